#include "net/dns_cache.h"

#include <string.h>

#include "base/mem.h"

enum {
    MAX_CACHED = 1024
};

typedef struct answer {
    hp_map_node by_key;
    hp_node by_age;
    hp_addrs *addrs;
    hp_ns answered; /* by hp_clock_idle() */
    char key[];
} answer;

void
hp_dns_cache_init(hp_dns_cache *c)
{
    hp_map_init(&c->by_key);
    hp_list_init(&c->by_age);
}

static void
drop(hp_dns_cache *c, answer *a)
{
    hp_map_remove(&c->by_key, &a->by_key);
    hp_list_remove(&a->by_age);
    hp_addrs_unref(a->addrs);
    hp_free(a);
}

static void
drop_oldest(hp_dns_cache *c)
{
    drop(c, HP_CONTAINER(hp_list_first(&c->by_age), answer, by_age));
}

void
hp_dns_cache_clear(hp_dns_cache *c)
{
    while (c->by_key.count)
        drop_oldest(c);
    hp_map_free(&c->by_key);
}

static answer *
find(const hp_dns_cache *c, hp_span key, uint64_t hash)
{
    hp_map_node *n = hp_map_find(&c->by_key, key, hash);
    return n ? HP_CONTAINER(n, answer, by_key) : NULL;
}

hp_addrs *
hp_dns_cache_get(const hp_dns_cache *c, hp_span key, uint64_t hash, hp_ns ttl)
{
    answer *a = find(c, key, hash);
    if (a == NULL || hp_clock_idle() >= hp_deadline_after(a->answered, ttl))
        return NULL;
    return hp_addrs_ref(a->addrs);
}

static answer *
answer_new(hp_span key, uint64_t hash, hp_addrs *addrs)
{
    answer *a = hp_calloc(sizeof *a + key.len);
    if (a == NULL)
        return NULL;
    memcpy(a->key, key.ptr, key.len);
    a->by_key.key = hp_span_of(a->key, key.len);
    a->by_key.hash = hash;
    a->answered = hp_clock_idle();
    a->addrs = hp_addrs_ref(addrs);
    return a;
}

void
hp_dns_cache_put(hp_dns_cache *c, hp_span key, uint64_t hash, hp_addrs *addrs)
{
    answer *old = find(c, key, hash);
    if (old)
        drop(c, old);
    else if (c->by_key.count >= MAX_CACHED)
        drop_oldest(c);
    answer *a = answer_new(key, hash, addrs);
    if (a == NULL)
        return;
    if (hp_map_insert(&c->by_key, &a->by_key) != 0) {
        hp_addrs_unref(a->addrs);
        hp_free(a);
        return;
    }
    hp_list_push_back(&c->by_age, &a->by_age);
}
