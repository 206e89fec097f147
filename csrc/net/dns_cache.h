/* dns_cache: answers of the resolver by key, at most 1024, the oldest going
 * first. Belongs to resolve.c, whose mutex the caller holds; only
 * hp_dns_cache_init() may be called without it where nobody else is about. */
#ifndef HP_NET_DNS_CACHE_H
#define HP_NET_DNS_CACHE_H

#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "net/addrs.h"

typedef struct hp_dns_cache {
    hp_map by_key;
    hp_list by_age; /* oldest first */
} hp_dns_cache;

/* Empty. Frees nothing: a forked child leaves its inheritance alone. */
void hp_dns_cache_init(hp_dns_cache *c);
void hp_dns_cache_clear(hp_dns_cache *c);

/* A new reference to an answer younger than ttl (negative: of any age), NULL
 * when there is none. The age counts sleep: a laptop may wake up in another
 * network. */
hp_addrs *hp_dns_cache_get(const hp_dns_cache *c, hp_span key, uint64_t hash,
                           hp_ns ttl);

/* Keeps a reference, in place of an earlier answer. Best effort: without
 * memory there is merely one more look-up later. */
void hp_dns_cache_put(hp_dns_cache *c, hp_span key, uint64_t hash,
                      hp_addrs *addrs);

#endif
