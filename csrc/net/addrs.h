/* addrs: the addresses a name stands for. */
#ifndef HP_NET_ADDRS_H
#define HP_NET_ADDRS_H

#include "base/buf.h"
#include "net/sock.h"

struct addrinfo;

/* Immutable once shared, reference-counted, ordered as getaddrinfo gave them.
 * A port of 0 is filled in by whoever dials. */
typedef struct hp_addrs {
    int refs; /* atomic access inside addrs.c only */
    int n;
    hp_addr list[];
} hp_addrs;

/* Room for n zeroed addresses, for the caller to fill before anybody else sees
 * it. One reference; NULL: out of memory. */
hp_addrs *hp_addrs_new(int n);
hp_addrs *hp_addrs_ref(hp_addrs *a);
void hp_addrs_unref(hp_addrs *a); /* NULL is fine */

/* The order to try them in (RFC 8305 4): families take turns, that of the first
 * one begins; within a family as they came. Those of another family than
 * `family` are left out, unless that is AF_UNSPEC; a Unix socket never is.
 * Fills order[a->n] with indices and returns how many there are. */
int hp_addrs_order(const hp_addrs *a, int family, int *order);

/* Appends them as text, with a space between two: "::1 127.0.0.1". 0, or -1
 * as hp_buf_add. */
int hp_addrs_format(const hp_addrs *a, hp_buf *out);

/* What getaddrinfo gave, without duplicates and without families we cannot
 * dial, cut off at 128. NULL: out of memory, or nothing usable; *n_usable
 * tells which. */
hp_addrs *hp_addrs_from_addrinfo(const struct addrinfo *list, int *n_usable);

#endif
