/* resolve: flights and threads.
 *
 * A flight is one look-up of (host, family). It is QUEUED until a thread takes
 * it, RUNNING while getaddrinfo works, DONE with an answer or an error. While
 * QUEUED or RUNNING it is in `flights` (so that others join it) and has one
 * reference of its own; each hp_resolve that waits for it holds another and is
 * in its `waiting` list. A QUEUED flight whose last waiter leaves is dropped;
 * a RUNNING one flies on and fills the cache.
 *
 * One mutex guards everything here, the cache included, and is a leaf of the
 * lock order. Under it nothing waits: threads are made and wakers woken and
 * closed outside.
 */
#include "net/resolve.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/fork.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/addrs.h"
#include "net/dns_cache.h"

enum {
    MAX_THREADS = 16,
    WAKE_BATCH = 32,
    STACK_SIZE = 512 * 1024 /* NSS modules keep big buffers on it */
};

typedef enum flight_state {
    QUEUED,
    RUNNING,
    DONE
} flight_state;

typedef struct flight {
    hp_map_node by_key; /* in `flights` unless DONE */
    hp_node in_queue;   /* while QUEUED */
    hp_list waiting;    /* hp_resolve.link */
    int refs;
    flight_state state;
    bool keep;       /* somebody who asked wants the answer cached */
    hp_addrs *addrs; /* DONE: the answer, or NULL and: */
    int gai_code;
    int sys_errno;
    int family;
    char key[]; /* family, '/', host, NUL */
} flight;

struct hp_resolve {
    hp_node link;   /* in flight->waiting until woken */
    flight *flight; /* NULL: `addrs` was there at the start */
    hp_addrs *addrs;
    hp_waker *waker;
    hp_resolve_source source;
    unsigned fork_generation;
};

static hp_mutex mutex = HP_MUTEX_INIT;
/* Under the mutex: */
static hp_map flights;
static hp_list queue;
static hp_dns_cache cache;
static int n_threads; /* running or about to be made */

static atomic_uint_fast64_t n_lookups;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_failed;

/* ---- flights ---- */

static void
flight_unref_locked(flight *f)
{
    HP_ASSERT_HELD(&mutex);
    if (--f->refs > 0)
        return;
    assert(f->state == DONE && hp_list_empty(&f->waiting));
    hp_addrs_unref(f->addrs);
    hp_free(f);
}

/* QUEUED and known to nobody else yet. */
static flight *
flight_new(const char *host, int family)
{
    size_t room = strlen(host) + sizeof "unspec/";
    flight *f = hp_calloc(sizeof *f + room);
    if (f == NULL)
        return NULL;
    int n = snprintf(f->key, room, "%s/%s",
                     family == AF_INET    ? "inet"
                     : family == AF_INET6 ? "inet6"
                                          : "unspec",
                     host);
    f->by_key.key = hp_span_of(f->key, (size_t)n);
    f->by_key.hash = hp_hash(f->by_key.key);
    f->family = family;
    f->refs = 1;
    hp_list_init(&f->waiting);
    return f;
}

static const char *
flight_host(const flight *f)
{
    return strchr(f->key, '/') + 1;
}

/* QUEUED or RUNNING -> DONE. The flight's own reference is still there. */
static void
flight_done_locked(flight *f, hp_addrs *addrs, int gai_code, int sys_errno)
{
    HP_ASSERT_HELD(&mutex);
    if (f->state == QUEUED)
        hp_list_remove(&f->in_queue);
    hp_map_remove(&flights, &f->by_key);
    f->state = DONE;
    f->addrs = addrs;
    f->gai_code = gai_code;
    f->sys_errno = sys_errno;
    if (addrs && f->keep)
        hp_dns_cache_put(&cache, f->by_key.key, f->by_key.hash, addrs);
}

/* Takes up to `max` waiters off the list together with their references to
 * their wakers. */
static int
take_wakers_locked(flight *f, hp_waker **out, int max)
{
    int n = 0;
    hp_node *node;
    while (n < max && (node = hp_list_pop_front(&f->waiting)) != NULL) {
        hp_resolve *r = HP_CONTAINER(node, hp_resolve, link);
        if (r->waker)
            out[n++] = r->waker;
        r->waker = NULL;
    }
    return n;
}

/* Wakes all who wait for a DONE flight and gives up the caller's reference.
 * In batches, since there is no memory to ask for at this point. */
static void
flight_announce(flight *f)
{
    hp_waker *wakers[WAKE_BATCH];
    int n;
    do {
        hp_lock(&mutex);
        n = take_wakers_locked(f, wakers, WAKE_BATCH);
        if (n < WAKE_BATCH)
            flight_unref_locked(f);
        hp_unlock(&mutex);
        for (int i = 0; i < n; i++) {
            hp_waker_wake(wakers[i]);
            hp_waker_unref(wakers[i]);
        }
    } while (n == WAKE_BATCH);
}

/* ---- threads ---- */

/* Blocks in getaddrinfo, for as long as it takes. */
static void
look_up(flight *f)
{
    struct addrinfo hints = {.ai_family = f->family,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    hp_addrs *addrs = NULL;
    int n_usable = 0;
    atomic_fetch_add(&n_lookups, 1);
    /* No AI_ADDRCONFIG: it hides loopback on machines without a network. */
    int code = getaddrinfo(flight_host(f), NULL, &hints, &list);
    int sys_errno = code == EAI_SYSTEM ? errno : 0;
    if (code == 0) {
        addrs = hp_addrs_from_addrinfo(list, &n_usable);
        freeaddrinfo(list);
        if (addrs == NULL)
            code = n_usable ? EAI_MEMORY : EAI_NONAME;
    }
    hp_lock(&mutex);
    flight_done_locked(f, addrs, code, sys_errno);
    hp_unlock(&mutex);
    flight_announce(f);
}

/* The next queued flight, RUNNING. NULL: the thread's place is given up. */
static flight *
take_next(void)
{
    flight *f = NULL;
    hp_lock(&mutex);
    hp_node *n = hp_list_pop_front(&queue);
    if (n) {
        f = HP_CONTAINER(n, flight, in_queue);
        f->state = RUNNING;
    } else {
        n_threads--;
    }
    hp_unlock(&mutex);
    return f;
}

static void *
resolver_thread(void *unused)
{
    for (flight *f; (f = take_next()) != NULL;)
        look_up(f);
    return NULL;
}

/* Signals are the business of the caller's threads. 0 or an errno. */
static int
make_thread(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    int e = pthread_attr_init(&attr);
    if (e)
        return e;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e = pthread_create(&thread, &attr, resolver_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return e;
}

/* No thread is left to serve the queue: its flights fail. */
static void
fail_queue(int sys_errno)
{
    for (;;) {
        flight *f = NULL;
        hp_lock(&mutex);
        hp_node *n = n_threads == 0 ? hp_list_first(&queue) : NULL;
        if (n) {
            f = HP_CONTAINER(n, flight, in_queue);
            flight_done_locked(f, NULL, EAI_SYSTEM, sys_errno);
        }
        hp_unlock(&mutex);
        if (f == NULL)
            return;
        flight_announce(f);
    }
}

/* A place for one more thread, if there is one to have. */
static bool
reserve_thread_locked(void)
{
    HP_ASSERT_HELD(&mutex);
    if (n_threads >= MAX_THREADS)
        return false;
    n_threads++;
    return true;
}

/* Makes the thread whose place is reserved. 0 or an errno. */
static int
fill_thread(void)
{
    int e = make_thread();
    if (e == 0)
        return 0;
    hp_lock(&mutex);
    n_threads--;
    hp_unlock(&mutex);
    fail_queue(e); /* unless other threads remain to pick it up */
    return e;
}

/* ---- fork ---- */

static void
before_fork(void)
{
    hp_lock(&mutex);
}

static void
after_fork_in_parent(void)
{
    hp_unlock(&mutex);
}

/* The threads are gone and their flights with them. What the parent knew is
 * left behind unfreed: somebody may have been in the middle of using it. */
static void
start_afresh(void)
{
    hp_map_init(&flights);
    hp_list_init(&queue);
    hp_dns_cache_init(&cache);
    n_threads = 0;
}

static void
after_fork_in_child(void)
{
    start_afresh();
    hp_mutex_init(&mutex);
}

static const hp_fork_hooks fork_hooks = {
    .order = HP_FORK_ORDER_RESOLVE,
    .prepare = before_fork,
    .parent = after_fork_in_parent,
    .child = after_fork_in_child,
};

static void
set_up(void)
{
    hp_lock(&mutex);
    start_afresh();
    hp_unlock(&mutex);
    once_failed = hp_fork_register(&fork_hooks);
}

/* ---- one caller's interest ---- */

static hp_resolve *
interest_new(hp_resolve_source source)
{
    hp_resolve *r = hp_calloc(sizeof *r);
    if (r == NULL)
        return NULL;
    r->source = source;
    r->fork_generation = hp_fork_generation();
    return r;
}

static hp_resolve *
no_memory(hp_err *err)
{
    hp_err_set(err, HP_E_NOMEM, "out of memory");
    return NULL;
}

static hp_resolve *
start_literal(const char *host, int family, const hp_addr *addr, hp_err *err)
{
    if (family != AF_UNSPEC && family != addr->u.sa.sa_family) {
        hp_err_set(err, HP_E_RESOLVE, "%s is not an IPv%d address", host,
                   family == AF_INET ? 4 : 6);
        return NULL;
    }
    hp_resolve *r = interest_new(HP_RESOLVED_LITERAL);
    hp_addrs *addrs = hp_addrs_new(1);
    if (r == NULL || addrs == NULL) {
        hp_free(r);
        hp_addrs_unref(addrs);
        return no_memory(err);
    }
    addrs->list[0] = *addr;
    r->addrs = addrs;
    return r;
}

static bool
is_done(hp_resolve *r)
{
    hp_lock(&mutex);
    bool done = r->flight == NULL || r->flight->state == DONE;
    hp_unlock(&mutex);
    return done;
}

/* Answers from the cache or joins a flight. False: there is neither. */
static bool
find_locked(hp_resolve *r, hp_span key, uint64_t hash, hp_ns ttl)
{
    HP_ASSERT_HELD(&mutex);
    r->addrs = ttl ? hp_dns_cache_get(&cache, key, hash, ttl) : NULL;
    if (r->addrs) {
        r->source = HP_RESOLVED_CACHE;
        return true;
    }
    hp_map_node *n = hp_map_find(&flights, key, hash);
    if (n == NULL)
        return false;
    r->source = HP_RESOLVED_SHARED;
    r->flight = HP_CONTAINER(n, flight, by_key);
    return true;
}

static void
join_locked(hp_resolve *r, hp_ns ttl, hp_waker *waker)
{
    r->flight->refs++;
    if (ttl != 0)
        r->flight->keep = true;
    r->waker = waker ? hp_waker_ref(waker) : NULL;
    hp_list_push_back(&r->flight->waiting, &r->link);
}

/* Finds or makes what r waits for. `spare` is a new flight in case it is
 * needed, and is used up. *must_fill: a thread's place is reserved. -1: out of
 * memory. */
static int
enlist(hp_resolve *r, flight *spare, hp_ns ttl, hp_waker *waker,
       bool *must_fill)
{
    int result = 0;
    hp_lock(&mutex);
    if (!find_locked(r, spare->by_key.key, spare->by_key.hash, ttl)) {
        result = hp_map_insert(&flights, &spare->by_key);
        if (result == 0) {
            r->flight = spare;
            hp_list_push_back(&queue, &spare->in_queue);
            *must_fill = reserve_thread_locked();
            spare = NULL;
        }
    }
    if (r->flight)
        join_locked(r, ttl, waker);
    hp_unlock(&mutex);
    hp_free(spare);
    return result;
}

static hp_resolve *
start_name(const char *host, int family, hp_ns ttl, hp_waker *waker,
           hp_err *err)
{
    bool must_fill = false;
    hp_resolve *r = interest_new(HP_RESOLVED_LOOKUP);
    flight *spare = r ? flight_new(host, family) : NULL;
    if (spare == NULL || enlist(r, spare, ttl, waker, &must_fill) != 0) {
        hp_free(r);
        return no_memory(err);
    }
    int e = must_fill ? fill_thread() : 0;
    if (e && is_done(r)) { /* not done: a thread from before will do it */
        hp_err_set_sys(err, HP_E_RESOLVE, e,
                       "cannot start a thread to look up %s", host);
        hp_resolve_free(r);
        return NULL;
    }
    return r;
}

hp_resolve *
hp_resolve_start(const char *host, int family, hp_ns ttl, hp_waker *waker,
                 hp_err *err)
{
    hp_addr literal;
    int is_literal = hp_addr_from_literal(host, &literal);
    if (is_literal < 0) {
        hp_err_set(err, HP_E_RESOLVE, "%s: no such network interface", host);
        return NULL;
    }
    if (is_literal)
        return start_literal(host, family, &literal, err);
    pthread_once(&once, set_up);
    if (once_failed)
        return no_memory(err);
    return start_name(host, family, ttl, waker, err);
}

static bool
inherited(const hp_resolve *r)
{
    return r->fork_generation != hp_fork_generation();
}

hp_resolve_source
hp_resolve_how(const hp_resolve *r)
{
    return r->source;
}

void
hp_resolve_set_waker(hp_resolve *r, hp_waker *waker)
{
    hp_waker *old = NULL;
    if (r->flight == NULL || inherited(r))
        return;
    hp_lock(&mutex);
    /* Unlinked: the answer is there, and the driver is about to look. */
    if (hp_node_linked(&r->link) && r->waker != waker) {
        old = r->waker;
        r->waker = waker ? hp_waker_ref(waker) : NULL;
    }
    hp_unlock(&mutex);
    hp_waker_unref(old);
}

static int
say_why(const flight *f, hp_err *err)
{
    const char *host = flight_host(f);
    if (f->gai_code == EAI_MEMORY)
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    if (f->gai_code == EAI_SYSTEM)
        return hp_err_set_sys(err, HP_E_RESOLVE, f->sys_errno,
                              "cannot resolve %s", host);
    return hp_err_set(err, HP_E_RESOLVE, "cannot resolve %s: %s", host,
                      gai_strerror(f->gai_code));
}

int
hp_resolve_poll(hp_resolve *r, hp_addrs **out, hp_resolve_source *source,
                hp_err *err)
{
    if (inherited(r))
        return hp_err_set(err, HP_E_FORKED,
                          "the look-up belongs to the parent process");
    if (r->flight && !is_done(r))
        return 0;
    /* A DONE flight never changes again. */
    hp_addrs *addrs = r->flight ? r->flight->addrs : r->addrs;
    if (addrs == NULL)
        return say_why(r->flight, err);
    *out = hp_addrs_ref(addrs);
    *source = r->source;
    return 1;
}

/* Leaves the flight; one that has not started is not worth a thread then. */
static void
leave_locked(hp_resolve *r)
{
    flight *f = r->flight;
    HP_ASSERT_HELD(&mutex);
    if (hp_node_linked(&r->link))
        hp_list_remove(&r->link);
    if (f->state == QUEUED && hp_list_empty(&f->waiting)) {
        flight_done_locked(f, NULL, EAI_AGAIN, 0);
        flight_unref_locked(f);
    }
    flight_unref_locked(f);
}

void
hp_resolve_free(hp_resolve *r)
{
    if (r == NULL || inherited(r))
        return;
    if (r->flight) {
        hp_lock(&mutex);
        leave_locked(r);
        hp_unlock(&mutex);
    }
    hp_waker_unref(r->waker); /* nobody can take it any more */
    hp_addrs_unref(r->addrs);
    hp_free(r);
}

/* ---- all of them ---- */

uint64_t
hp_resolve_lookups(void)
{
    return atomic_load(&n_lookups);
}

void
hp_resolve_flush(void)
{
    hp_lock(&mutex);
    hp_dns_cache_clear(&cache);
    hp_unlock(&mutex);
}
