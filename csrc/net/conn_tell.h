/* conn_tell: what a connection tells its trace of look-up, dial, tunnel and
 * handshake. Of conn*.c alone; dial.c tells of the single attempts. An error is
 * NULL when there is none. Nothing here fails or blocks. */
#ifndef HP_NET_CONN_TELL_H
#define HP_NET_CONN_TELL_H

#include "net/addrs.h"
#include "net/conn.h"

/* Of a look-up, while c->resolve is there. A literal is none. */
void hp_conn_tell_dns_start(const hp_conn *c);
void hp_conn_tell_resolved(const hp_conn *c, const hp_addrs *addrs);

/* Of a custom dial. */
void hp_conn_tell_custom_start(const hp_conn *c);
void hp_conn_tell_custom_done(const hp_conn *c, const char *error);

/* Of a tunnel, while c->tunnel is there. */
void hp_conn_tell_tunnel_start(const hp_conn *c);
void hp_conn_tell_tunnel_done(const hp_conn *c, const char *error);

void hp_conn_tell_handshake_start(const hp_conn *c, const char *server_name);
void hp_conn_tell_handshake_done(const hp_conn *c, const char *error);

/* What was begun ends now, and badly. */
void hp_conn_tell_end(hp_conn *c, const char *error);

#endif
