/* dial_options: what a client says about how its connections are made. The
 * same for all of a pool's connections; hp_dial_spec has what one host needs of
 * it. */
#ifndef HP_NET_DIAL_OPTIONS_H
#define HP_NET_DIAL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "net/addrs.h"
#include "net/sock.h"

/* "For this host dial these, and look nothing up." */
typedef struct hp_override {
    const char *host; /* lower case; v6 as inet_ntop() spells it, plus its zone,
                         without brackets */
    uint16_t port;    /* 0: every port */
    hp_addrs *addrs;
} hp_override;

typedef struct hp_dial_options {
    hp_ns dns_ttl;   /* 0: no cache */
    int family;      /* AF_UNSPEC, AF_INET, AF_INET6 */
    const char *uds; /* Unix socket path instead of any host, or NULL */
    const hp_addr *local_address; /* NULL: any */
    const hp_sockopt *sockopts;
    int n_sockopts;
    const hp_override *overrides; /* in any order, no two alike */
    int n_overrides;
    bool custom_dial; /* instead of all the above: HP_DRIVE_DIAL asks for it */
    size_t max_connect_head; /* bytes of a proxy's answers to CONNECT; set by
                                the transport, to its max_header_bytes */
} hp_dial_options;

/* No options: every family, no cache. */
#define HP_DIAL_OPTIONS_INIT ((hp_dial_options){.family = AF_UNSPEC})

/* 0, or -1 with *err HP_E_INVALID_ARGUMENT. */
int hp_dial_options_check(const hp_dial_options *o, hp_err *err);

/* A copy that owns everything in it (addrs by reference) and never changes; its
 * overrides are sorted. NULL: out of memory. */
hp_dial_options *hp_dial_options_copy(const hp_dial_options *o);
void hp_dial_options_free(hp_dial_options *copy); /* NULL is fine */

/* The addresses to dial instead of a look-up, NULL for none: those for this
 * port before those for every port. Of a v6 `host` any spelling will do. `copy`
 * is one; the answer lives as long. O(log n). */
const hp_addrs *hp_dial_options_override(const hp_dial_options *copy,
                                         const char *host, uint16_t port);

#endif
