/* map: intrusive hash table from byte strings to nodes. No locking of its
 * own. The node's owner keeps the key bytes alive and unchanged while it is
 * in the table. */
#ifndef HP_BASE_MAP_H
#define HP_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

typedef struct hp_map_node {
    struct hp_map_node *next;
    uint64_t hash;
    hp_span key;
} hp_map_node;

typedef struct hp_map {
    hp_map_node **buckets;
    size_t n_buckets; /* a power of two, or 0 before the first insertion */
    size_t count;
} hp_map;

/* Keyed with a per-process random seed: host names come from strangers. */
uint64_t hp_hash(hp_span key);

void hp_map_init(hp_map *m);
void hp_map_free(hp_map *m); /* frees the table, not the nodes */

/* NULL when absent. */
hp_map_node *hp_map_find(const hp_map *m, hp_span key, uint64_t hash);

/* Links `n`, whose key and hash are set and not in the table yet. 0, or -1
 * when the first table could not be allocated; growing is best effort. */
int hp_map_insert(hp_map *m, hp_map_node *n);
void hp_map_remove(hp_map *m, hp_map_node *n);

/* Iteration: pass NULL first. The table must not change meanwhile. */
hp_map_node *hp_map_next(const hp_map *m, const hp_map_node *n);

#endif
