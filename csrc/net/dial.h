/* dial: connects to the first of several addresses that answers (RFC 8305).
 * Families interleaved, the first family being that of the first address, then
 * those in trouble (addr_trouble.h) moved to the end; a further attempt starts
 * 250 ms after the last one, or at once when an attempt fails. At most 8
 * attempts are in flight: a ninth address takes the place of the oldest
 * attempt, which has been silent for 2 s then. So 40 addresses have their turn
 * within a connect timeout of 10 s.
 *
 * What is held against an address: that it refuses or cannot be reached, and
 * that it has said nothing for 250 ms or more when the dial times out, a later
 * attempt wins or takes its place. Not what is our own affair: options, the
 * local address, no network at all. */
#ifndef HP_NET_DIAL_H
#define HP_NET_DIAL_H

#include <stddef.h>

#include "net/conn.h"

enum {
    HP_DIAL_TARGET_MAX = 300
};

/* "example.com:80", "[::1]:80", "unix:/path": the dialled, in words. */
void hp_dial_target(const hp_dial_spec *spec, char out[HP_DIAL_TARGET_MAX]);

/* `addrs` gets a reference; spec gives family, port, local address and
 * options. Addresses of another family than spec's are left out; an address
 * that has a port keeps it. NULL: *err HP_E_NOMEM. */
hp_dial *hp_dial_new(hp_addrs *addrs, const hp_dial_spec *spec, hp_err *err);

/* Tells of each attempt from now on, as of connection `conn`. `t` is looked at
 * each time, and must live as long as the dial. */
void hp_dial_trace(hp_dial *d, const hp_trace *t, uint64_t conn);

/* DONE: *fd is the connected descriptor (the caller's), *addr whom it reached;
 * the other attempts are closed. WAIT: fills *w. ERROR: HP_E_CONNECT, naming
 * each address tried with its reason (as many as fit); sys_errno is that of
 * the last one. EMFILE or ENFILE with no attempt under way ends it at once;
 * with one, the next waits for its descriptor. Never blocks, looks at no
 * deadline but the stagger. */
hp_step hp_dial_step(hp_dial *d, hp_wait *w, int *fd, hp_addr *addr,
                     hp_err *err);

/* The time for it is up: those in flight have had their chance. */
void hp_dial_timed_out(hp_dial *d);

/* Whom it has tried so far, with the reason of those that failed, as many as
 * fit: "[::1]:80: Connection refused; 192.0.2.1:80". May be "". */
void hp_dial_tried(const hp_dial *d, char *out, size_t n);

/* Closes what is in flight; `why` is what a trace is told of it. */
void hp_dial_give_up(hp_dial *d, const char *why);
void hp_dial_free(hp_dial *d);    /* gives up as "abandoned"; NULL is fine */
void hp_dial_abandon(hp_dial *d); /* forked child: closes descriptors only */

#endif
