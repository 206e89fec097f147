/* keeper: the thread, its register of pools, its poller. What it does for a
 * pool is in keep.c. Lock order: keeper's, then a pool's.
 *
 *   STOPPED   --hp_keeper_call----------> RUNNING
 *   RUNNING   --fork_prepare------------> STOPPED, held so until the fork's end
 *   STOPPED   --fork_parent, has pools--> RUNNING, or LATE if it can be later
 *   LATE      --resume, hp_keeper_call--> RUNNING
 *   any       --fork_child--------------> STOPPED, without pools
 *   any       --stop_for_good-----------> gone, until hp_keeper_begin
 *
 * From fork_prepare's beginning to the fork's end nobody can start it: else a
 * release on another thread would undo the stop while it is waited for. The
 * register and the poller outlive the stop: in the parent it goes on where it
 * was. */
#include "pool/keeper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/lock.h"
#include "base/mem.h"
#include "net/poller.h"
#include "pool/host.h"

enum {
    ID_BITS = 44, /* of a connection's id; above them the pool's slot */
    MAX_SLOTS = 1 << (64 - ID_BITS - 1),
    EVENTS = 64,
    STACK = 256 * 1024
};
#define ID_MASK ((UINT64_C(1) << ID_BITS) - 1)
#define WAKER_EVENT UINT64_MAX

static struct {
    hp_mutex mu;
    bool running, gone_for_good;
    int forks;   /* under way: it must not be started */
    bool failed; /* no thread or poller could be made the last time */
    pthread_t thread;
    hp_pool **slots; /* references; NULL entries are free */
    int n_slots;
    _Atomic(hp_waker *) waker;
    _Atomic(hp_poller *) poller; /* made once, kept until the process ends */
    atomic_bool stop;
    atomic_ulong rounds;
    bool (*later)(void); /* see hp_keeper_after_fork */
    atomic_bool late;    /* a fork stopped it, and it has something to do */
} keeper = {.mu = HP_MUTEX_INIT};

/* ---- the thread ---- */

static int
pools_to_visit(hp_pool ***list, int *cap)
{
    int n = 0;
    hp_lock(&keeper.mu);
    if (*cap < keeper.n_slots) {
        hp_pool **more =
            hp_realloc(*list, (size_t)keeper.n_slots * sizeof **list);
        if (more) {
            *list = more;
            *cap = keeper.n_slots;
        }
    }
    for (int i = 0; i < keeper.n_slots && n < *cap; i++) {
        if (keeper.slots[i])
            (*list)[n++] = hp_pool_ref(keeper.slots[i]);
    }
    hp_unlock(&keeper.mu);
    return n;
}

static void
unregister_if_idle(hp_pool *p)
{
    hp_lock(&keeper.mu);
    bool drop = p->keeper_slot >= 0 && hp_pool_keep_nothing(p);
    if (drop) {
        keeper.slots[p->keeper_slot] = NULL;
        p->keeper_slot = -1;
    }
    hp_unlock(&keeper.mu);
    if (drop)
        hp_pool_unref(p);
}

static hp_pool *
pool_of_event(uint64_t id)
{
    int slot = (int)(id >> ID_BITS);
    hp_pool *p = NULL;
    hp_lock(&keeper.mu);
    if (slot < keeper.n_slots && keeper.slots[slot])
        p = hp_pool_ref(keeper.slots[slot]);
    hp_unlock(&keeper.mu);
    return p;
}

static void
on_event(const hp_poller_event *e)
{
    if (e->id == WAKER_EVENT) {
        hp_waker_clear(keeper.waker, 1);
        return;
    }
    hp_pool *p = pool_of_event(e->id);
    if (p) {
        hp_pool_keep_event(p, e->id & ID_MASK);
        hp_pool_unref(p);
    }
}

static hp_ns
visit_pools(hp_pool ***list, int *cap)
{
    hp_ns next = HP_NEVER;
    int n = pools_to_visit(list, cap);
    for (int i = 0; i < n; i++) {
        hp_pool *p = (*list)[i];
        next = hp_ns_min(next, hp_pool_keep(p, hp_clock_now()));
        unregister_if_idle(p);
        hp_pool_unref(p);
    }
    return next;
}

static void *
run(void *arg)
{
    hp_poller_event events[EVENTS];
    hp_pool **list = NULL;
    int cap = 0;
    for (;;) {
        hp_waker_clear(keeper.waker, 0); /* clear, look, poll: stop() too */
        if (atomic_load(&keeper.stop))
            break;
        hp_ns next = visit_pools(&list, &cap);
        /* One that cannot be called comes by itself. */
        if (hp_poller_arm(keeper.poller, hp_waker_fd(keeper.waker), POLLIN,
                          WAKER_EVENT) != 0)
            next = hp_ns_min(next, hp_clock_now() + HP_KEEPER_PACE);
        int n = hp_poller_wait(keeper.poller, events, EVENTS, next);
        for (int i = 0; i < n; i++)
            on_event(&events[i]);
        atomic_fetch_add(&keeper.rounds, 1);
    }
    hp_free(list);
    return arg;
}

/* ---- starting and stopping ---- */

static bool
make_tools(void)
{
    if (keeper.waker == NULL)
        keeper.waker = hp_waker_new();
    if (keeper.poller == NULL)
        keeper.poller = hp_poller_new();
    return keeper.waker && keeper.poller;
}

/* All signals blocked: they are for the threads that can act on them. */
static int
create_thread(void)
{
    sigset_t all, old;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int e = pthread_create(&keeper.thread, &attr, run, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
#ifdef __linux__
    if (e == 0)
        pthread_setname_np(keeper.thread, "hpool-keeper");
#endif
    return e;
}

static void
start_locked(void)
{
    if (keeper.running || keeper.gone_for_good || keeper.forks > 0)
        return;
    atomic_store(&keeper.stop, false);
    keeper.running = make_tools() && create_thread() == 0;
    keeper.failed = !keeper.running;
    atomic_store(&keeper.late, false);
}

/* Not under the lock. The caller has seen to it that nobody starts it again. */
static void
stop(void)
{
    hp_lock(&keeper.mu);
    bool was_running = keeper.running;
    keeper.running = false;
    atomic_store(&keeper.stop, true);
    if (was_running)
        hp_waker_wake(keeper.waker);
    hp_unlock(&keeper.mu);
    if (was_running)
        pthread_join(keeper.thread, NULL);
}

/* ---- pools ---- */

static int
free_slot(void)
{
    for (int i = 0; i < keeper.n_slots; i++) {
        if (keeper.slots[i] == NULL)
            return i;
    }
    int n = keeper.n_slots ? keeper.n_slots * 2 : 8;
    if (n > MAX_SLOTS)
        return -1;
    hp_pool **more = hp_realloc(keeper.slots, (size_t)n * sizeof *more);
    if (more == NULL)
        return -1;
    memset(more + keeper.n_slots, 0,
           (size_t)(n - keeper.n_slots) * sizeof *more);
    int first = keeper.n_slots;
    keeper.slots = more;
    keeper.n_slots = n;
    return first;
}

void
hp_keeper_call(hp_pool *p)
{
    hp_lock(&keeper.mu);
    start_locked();
    if (keeper.running && p->keeper_slot < 0) {
        int slot = free_slot();
        if (slot >= 0) {
            keeper.slots[slot] = hp_pool_ref(p);
            p->keeper_slot = slot;
        }
    }
    if (keeper.running)
        hp_waker_wake(keeper.waker);
    hp_unlock(&keeper.mu);
}

bool
hp_keeper_available(void)
{
    hp_lock(&keeper.mu);
    bool yes = !keeper.gone_for_good && !keeper.failed;
    hp_unlock(&keeper.mu);
    return yes;
}

void
hp_keeper_unwatch(hp_pconn *c)
{
    if (c->watched && c->net.stream)
        hp_poller_remove(keeper.poller, c->net.stream->ops->fd(c->net.stream));
    c->watched = false;
}

int
hp_keeper_arm(const hp_pool *p, int fd, short events, uint64_t id)
{
    uint64_t slot = (uint64_t)p->keeper_slot;
    return hp_poller_arm(keeper.poller, fd, events,
                         slot << ID_BITS | (id & ID_MASK));
}

hp_waker *
hp_keeper_waker(void)
{
    return keeper.waker;
}

/* ---- fork and exit ---- */

static hp_pool *
take_a_pool(void)
{
    hp_pool *p = NULL;
    hp_lock(&keeper.mu);
    for (int i = 0; i < keeper.n_slots && p == NULL; i++) {
        p = keeper.slots[i];
        keeper.slots[i] = NULL;
    }
    if (p)
        p->keeper_slot = -1;
    hp_unlock(&keeper.mu);
    return p;
}

static void
drop_pools(void)
{
    for (hp_pool *p; (p = take_a_pool()) != NULL;)
        hp_pool_unref(p);
}

static bool
has_pools(void)
{
    for (int i = 0; i < keeper.n_slots; i++) {
        if (keeper.slots[i])
            return true;
    }
    return false;
}

void
hp_keeper_after_fork(bool (*later)(void))
{
    hp_lock(&keeper.mu);
    keeper.later = later;
    hp_unlock(&keeper.mu);
}

void
hp_keeper_resume(void)
{
    hp_lock(&keeper.mu);
    if (has_pools())
        start_locked();
    hp_unlock(&keeper.mu);
}

bool
hp_keeper_is_late(void)
{
    return atomic_load_explicit(&keeper.late, memory_order_relaxed);
}

void
hp_keeper_fork_prepare(void)
{
    hp_lock(&keeper.mu);
    keeper.forks++;
    hp_unlock(&keeper.mu);
    stop();
    hp_lock(&keeper.mu); /* the child must find the register in one piece */
}

void
hp_keeper_fork_parent(void)
{
    keeper.forks--;
    if (has_pools()) {
        atomic_store(&keeper.late, true);
        if (keeper.later == NULL || !keeper.later())
            start_locked();
    }
    hp_unlock(&keeper.mu);
}

/* The pools that only the keeper still held no other hook has seen. For the
 * others it is the second time, which finds nothing to do. */
static void
abandon_pools(void)
{
    for (int i = 0; i < keeper.n_slots; i++) {
        if (keeper.slots[i])
            hp_pool_fork_child(keeper.slots[i]);
    }
    drop_pools();
}

void
hp_keeper_fork_child(void)
{
    hp_mutex_init(&keeper.mu);
    abandon_pools();
    atomic_store(&keeper.late, false);
    /* The epoll set is shared with the parent: its descriptor is closed, what
     * is registered in it is left alone. */
    if (keeper.poller)
        hp_poller_free(keeper.poller);
    keeper.poller = NULL;
    hp_waker_unref(keeper.waker);
    keeper.waker = NULL;
    keeper.running = keeper.failed = false;
    keeper.forks = 0;
}

void
hp_keeper_stop_for_good(void)
{
    hp_lock(&keeper.mu);
    keeper.gone_for_good = true;
    hp_unlock(&keeper.mu);
    stop();
    drop_pools();
}

void
hp_keeper_begin(void)
{
    hp_lock(&keeper.mu);
    keeper.gone_for_good = false;
    hp_unlock(&keeper.mu);
}

void
hp_keeper_by_hand(void)
{
    hp_lock(&keeper.mu);
    keeper.forks++; /* it must not be started */
    make_tools();
    hp_unlock(&keeper.mu);
    stop();
    drop_pools();
}

uint64_t
hp_keeper_rounds(void)
{
    return atomic_load(&keeper.rounds);
}

bool
hp_keeper_running(void)
{
    hp_lock(&keeper.mu);
    bool r = keeper.running;
    hp_unlock(&keeper.mu);
    return r;
}
