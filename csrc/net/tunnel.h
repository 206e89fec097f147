/* tunnel: asks a proxy for a way to the target, over a stream to the proxy.
 *
 *   CONNECT (RFC 9110 9.3.6)
 *     SEND_CONNECT -> READ_HEAD -> OPEN
 *
 *   SOCKS5 (RFC 1928, 1929)
 *     SEND_GREETING -> READ_METHOD -+-------------------------+-> SEND_TARGET
 *                                   +-> SEND_LOGIN -> READ_LOGIN
 *     SEND_TARGET -> READ_REPLY -> READ_BOUND -> OPEN
 *
 *   any -> FAILED
 *
 * After CONNECT nothing may have come but the head: in TLS the server speaks
 * second, and who speaks before that is not the target. Of SOCKS5 no byte is
 * read beyond the reply.
 */
#ifndef HP_NET_TUNNEL_H
#define HP_NET_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/answer.h"
#include "net/proxy.h"
#include "net/sock.h"
#include "net/stream.h"

typedef struct hp_tunnel hp_tunnel;

enum {
    HP_TUNNEL_TARGET_MAX = 300
};

/* "example.com:443", "[::1]:443"; without the zone of an address, which means
 * nothing to others. */
void hp_tunnel_target(const char *host, uint16_t port,
                      char out[HP_TUNNEL_TARGET_MAX]);

/* To `host`, a name or a literal; SOCKS5 asks for `addr` instead if that is
 * given. `authorization`, if it is, stands in CONNECT in place of the setting's
 * Proxy-Authorization. At most max_head bytes of answer to CONNECT are read,
 * interim ones included. Nothing is sent yet. NULL with *err: HP_E_PROXY (a
 * name that SOCKS5 cannot say), HP_E_NOMEM. */
hp_tunnel *hp_tunnel_new(hp_proxy *p, const char *host, uint16_t port,
                         const hp_addr *addr, hp_span authorization,
                         size_t max_head, hp_err *err);
void hp_tunnel_free(hp_tunnel *t); /* NULL is fine */

/* Goes as far as it can without blocking. 0: open, the stream is the target's
 * from here on. HP_IO_WANT_READ, HP_IO_WANT_WRITE. HP_IO_ERROR: *err is
 * HP_E_PROXY, with err->status if CONNECT was answered, and names proxy and
 * target; or HP_E_NOMEM. */
int hp_tunnel_step(hp_tunnel *t, hp_stream *s, hp_err *err);

/* After HP_IO_ERROR: SOCKS5 has refused this address, and may not refuse
 * another one of the same host. */
bool hp_tunnel_address_refused(const hp_tunnel *t);
/* The final answer to CONNECT, borrowed; NULL: none came. */
hp_answer *hp_tunnel_answer(const hp_tunnel *t);

#endif
