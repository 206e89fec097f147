#include "base/registry.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/fork.h"

enum {
    REGISTRIES_MAX = 4
};

static _Atomic(hp_registry *) opened[REGISTRIES_MAX];

/* ---- fork ---- */

/* One may be opened while another thread forks. */
static hp_registry *locked[REGISTRIES_MAX];

static void
fork_prepare(void)
{
    for (int i = 0; i < REGISTRIES_MAX; i++) {
        hp_registry *r = atomic_load(&opened[i]);
        if (r)
            hp_lock(&r->lock);
        locked[i] = r;
    }
}

static void
fork_parent(void)
{
    for (int i = REGISTRIES_MAX - 1; i >= 0; i--) {
        if (locked[i])
            hp_unlock(&locked[i]->lock);
    }
}

static void
in_child(hp_registry *r)
{
    hp_mutex_init(&r->lock);
    for (hp_map_node *n = NULL;
         r->in_child && (n = hp_map_next(&r->map, n)) != NULL;)
        r->in_child(HP_CONTAINER(n, hp_entry, node));
}

static void
fork_child(void)
{
    for (int i = 0; i < REGISTRIES_MAX; i++) {
        hp_registry *r = atomic_load(&opened[i]);
        if (locked[i]) /* made anew below; who watches locks is told */
            pthread_mutex_unlock(&locked[i]->lock.m);
        if (r)
            in_child(r);
    }
}

static const hp_fork_hooks fork_hooks = {.order = HP_FORK_ORDER_REGISTRIES,
                                         .prepare = fork_prepare,
                                         .parent = fork_parent,
                                         .child = fork_child};

int
hp_registry_open(hp_registry *r)
{
    hp_list_init(&r->idle);
    if (hp_fork_register(&fork_hooks) != 0)
        return -1;
    for (int i = 0; i < REGISTRIES_MAX; i++) {
        hp_registry *none = NULL;
        if (atomic_compare_exchange_strong(&opened[i], &none, r))
            return 0;
    }
    assert(!"there are more registries than REGISTRIES_MAX");
    return -1;
}

/* ---- entries ---- */

static hp_entry *
get_locked(hp_registry *r, hp_entry *fresh)
{
    HP_ASSERT_HELD(&r->lock);
    hp_map_node *n = hp_map_find(&r->map, fresh->node.key, fresh->node.hash);
    hp_entry *e = n ? HP_CONTAINER(n, hp_entry, node) : fresh;
    if (n == NULL) {
        if (hp_map_insert(&r->map, &fresh->node) != 0)
            return NULL;
        fresh->id = ++r->last_id;
    } else if (e->refs == 0) {
        hp_list_remove(&e->idle);
        r->n_idle--;
    }
    e->refs++;
    return e;
}

hp_entry *
hp_registry_get(hp_registry *r, hp_entry *fresh)
{
    hp_lock(&r->lock);
    hp_entry *e = get_locked(r, fresh);
    hp_unlock(&r->lock);
    return e;
}

void
hp_registry_ref(hp_registry *r, hp_entry *e)
{
    hp_lock(&r->lock);
    assert(e->refs > 0);
    e->refs++;
    hp_unlock(&r->lock);
}

static hp_entry *
unref_locked(hp_registry *r, hp_entry *e)
{
    HP_ASSERT_HELD(&r->lock);
    assert(e->refs > 0);
    if (--e->refs > 0)
        return NULL;
    hp_list_push_back(&r->idle, &e->idle);
    if (++r->n_idle <= r->keeps)
        return NULL;
    hp_entry *oldest =
        HP_CONTAINER(hp_list_pop_front(&r->idle), hp_entry, idle);
    r->n_idle--;
    hp_map_remove(&r->map, &oldest->node);
    return oldest;
}

hp_entry *
hp_registry_unref(hp_registry *r, hp_entry *e)
{
    hp_lock(&r->lock);
    hp_entry *victim = unref_locked(r, e);
    hp_unlock(&r->lock);
    return victim;
}

size_t
hp_registry_known(hp_registry *r)
{
    hp_lock(&r->lock);
    size_t n = r->map.count;
    hp_unlock(&r->lock);
    return n;
}
