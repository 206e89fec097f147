/* lock: a mutex that, in debug builds, knows who holds it, and a thread that
 * knows how many it holds.
 *
 * Lock order (outer first) is in csrc/README.rst. Under no lock of ours is
 * there I/O, a callback, or anything else that can wait. */
#ifndef HP_BASE_LOCK_H
#define HP_BASE_LOCK_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

typedef struct hp_mutex {
    pthread_mutex_t m;
#ifndef NDEBUG
    pthread_t owner; /* meaningful while held */
    bool held;
#endif
} hp_mutex;

#ifndef NDEBUG
extern _Thread_local int hp_locks_held; /* by this thread */
#endif

#define HP_MUTEX_INIT {.m = PTHREAD_MUTEX_INITIALIZER}

static inline void
hp_mutex_init(hp_mutex *mu)
{
    pthread_mutex_init(&mu->m, NULL);
#ifndef NDEBUG
    mu->held = false;
#endif
}

static inline void
hp_mutex_destroy(hp_mutex *mu)
{
    pthread_mutex_destroy(&mu->m);
}

static inline void
hp_lock(hp_mutex *mu)
{
    pthread_mutex_lock(&mu->m);
#ifndef NDEBUG
    mu->owner = pthread_self();
    mu->held = true;
    hp_locks_held++;
#endif
}

static inline void
hp_unlock(hp_mutex *mu)
{
#ifndef NDEBUG
    mu->held = false;
    hp_locks_held--;
#endif
    pthread_mutex_unlock(&mu->m);
}

#ifndef NDEBUG
#define HP_ASSERT_HELD(mu)                                                     \
    assert((mu)->held &&pthread_equal((mu)->owner, pthread_self()))
#define HP_ASSERT_NONE_HELD() assert(hp_locks_held == 0)
#else
#define HP_ASSERT_HELD(mu) ((void)0)
#define HP_ASSERT_NONE_HELD() ((void)0)
#endif

#endif
