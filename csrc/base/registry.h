/* registry: immutable settings, of which equal ones are one object in the whole
 * process, as long as somebody holds it.
 *
 * A setting is found by its key: every part of it, byte for byte. It has an id
 * that stands for it and is never used again. The last few that nobody holds
 * may stay known, for who comes back. The lock is a leaf, and nothing is made
 * or freed under it.
 */
#ifndef HP_BASE_REGISTRY_H
#define HP_BASE_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"

/* What each setting has within it; zeroed but for the key and its hash. */
typedef struct hp_entry {
    hp_map_node node; /* its key is the owner's, and does not change */
    uint64_t id;      /* > 0 once it is known */
    /* under the registry's lock */
    unsigned refs;
    hp_node idle; /* linked while nobody holds it */
} hp_entry;

typedef struct hp_registry {
    size_t keeps; /* how many that nobody holds */
    /* In the child of a fork, for each that is known; may be NULL. */
    void (*in_child)(hp_entry *e);
    hp_mutex lock;
    hp_map map;
    hp_list idle; /* oldest first */
    size_t n_idle;
    uint64_t last_id;
} hp_registry;

#define HP_REGISTRY_INIT(keeps_, in_child_)                                    \
    {.keeps = (keeps_), .in_child = (in_child_), .lock = HP_MUTEX_INIT}

/* Once for each, before anything else. It lives for ever. 0, or -1: no memory.
 */
int hp_registry_open(hp_registry *r);

/* The known one equal to `fresh`, or `fresh` itself, known from now on; with
 * one more reference. If it is not `fresh`, that is still the caller's. NULL:
 * no memory. Any thread. */
hp_entry *hp_registry_get(hp_registry *r, hp_entry *fresh);
void hp_registry_ref(hp_registry *r, hp_entry *e);
/* One reference less. What is known no longer, the caller's to free; or NULL.
 */
hp_entry *hp_registry_unref(hp_registry *r, hp_entry *e);

size_t hp_registry_known(hp_registry *r); /* held or not */

#endif
