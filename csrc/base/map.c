#include "base/map.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void
make_seed(void)
{
    if (getentropy(&seed, sizeof seed) != 0)
        seed = (uint64_t)hp_clock_now() ^ (uint64_t)(uintptr_t)&seed;
}

static uint64_t
mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

uint64_t
hp_hash(hp_span key)
{
    pthread_once(&seed_once, make_seed);
    uint64_t h = seed ^ key.len;
    const char *p = key.ptr;
    size_t n = key.len;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = mix(h ^ word);
    }
    uint64_t tail = 0;
    if (n)
        memcpy(&tail, p, n);
    return mix(h ^ tail);
}

void
hp_map_init(hp_map *m)
{
    *m = (hp_map){0};
}

void
hp_map_free(hp_map *m)
{
    hp_free(m->buckets);
    *m = (hp_map){0};
}

static hp_map_node **
bucket(const hp_map *m, uint64_t hash)
{
    return &m->buckets[hash & (m->n_buckets - 1)];
}

hp_map_node *
hp_map_find(const hp_map *m, hp_span key, uint64_t hash)
{
    if (m->n_buckets == 0)
        return NULL;
    hp_map_node *n = *bucket(m, hash);
    while (n && !(n->hash == hash && hp_span_eq(n->key, key)))
        n = n->next;
    return n;
}

static int
resize(hp_map *m, size_t n_buckets)
{
    hp_map_node **fresh = hp_calloc(n_buckets * sizeof *fresh);
    if (fresh == NULL)
        return -1;
    hp_map old = *m;
    m->buckets = fresh;
    m->n_buckets = n_buckets;
    for (size_t i = 0; i < old.n_buckets; i++) {
        for (hp_map_node *n = old.buckets[i], *next; n; n = next) {
            next = n->next;
            hp_map_node **b = bucket(m, n->hash);
            n->next = *b;
            *b = n;
        }
    }
    hp_free(old.buckets);
    return 0;
}

int
hp_map_insert(hp_map *m, hp_map_node *n)
{
    if (m->count >= m->n_buckets) {
        size_t want = m->n_buckets ? m->n_buckets * 2 : 8;
        if (resize(m, want) != 0 && m->n_buckets == 0)
            return -1;
    }
    hp_map_node **b = bucket(m, n->hash);
    n->next = *b;
    *b = n;
    m->count++;
    return 0;
}

void
hp_map_remove(hp_map *m, hp_map_node *n)
{
    hp_map_node **p = bucket(m, n->hash);
    while (*p != n)
        p = &(*p)->next;
    *p = n->next;
    n->next = NULL;
    m->count--;
}

hp_map_node *
hp_map_next(const hp_map *m, const hp_map_node *n)
{
    if (n && n->next)
        return n->next;
    size_t i = n ? (n->hash & (m->n_buckets - 1)) + 1 : 0;
    for (; i < m->n_buckets; i++) {
        if (m->buckets[i])
            return m->buckets[i];
    }
    return NULL;
}
