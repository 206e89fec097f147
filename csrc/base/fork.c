#include "base/fork.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/lock.h"

static atomic_uint generation;
static _Atomic(const hp_fork_hooks *) table[HP_FORK_ORDER_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int atfork_failed;

unsigned
hp_fork_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

static void
on_prepare(void)
{
    for (int i = 0; i < HP_FORK_ORDER_COUNT; i++) {
        const hp_fork_hooks *h = atomic_load(&table[i]);
        if (h && h->prepare)
            h->prepare();
    }
}

static void
on_parent(void)
{
    for (int i = HP_FORK_ORDER_COUNT - 1; i >= 0; i--) {
        const hp_fork_hooks *h = atomic_load(&table[i]);
        if (h && h->parent)
            h->parent();
    }
}

static void
on_child(void)
{
    atomic_fetch_add(&generation, 1);
#ifndef NDEBUG
    hp_locks_held = 0; /* those that were taken for the fork are made anew */
#endif
    for (int i = HP_FORK_ORDER_COUNT - 1; i >= 0; i--) {
        const hp_fork_hooks *h = atomic_load(&table[i]);
        if (h && h->child)
            h->child();
    }
}

static void
install(void)
{
    atfork_failed = pthread_atfork(on_prepare, on_parent, on_child);
}

int
hp_fork_register(const hp_fork_hooks *hooks)
{
    pthread_once(&once, install);
    if (atfork_failed)
        return -1;
    atomic_store(&table[hooks->order], hooks);
    return 0;
}
