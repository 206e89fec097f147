/* host: the pool's inside, for the files of csrc/pool/ only.
 *
 * Numbered invariants (I1...) are in csrc/INVARIANTS.rst. */
#ifndef HP_POOL_HOST_H
#define HP_POOL_HOST_H

#include "base/lock.h"
#include "base/map.h"
#include "pool/pool.h"

typedef enum hp_room {
    HP_ROOM_NONE, /* counted nowhere */
    HP_ROOM_DIALING,
    HP_ROOM_LEASED,
    HP_ROOM_IDLE,     /* on host->idle, pool->lru */
    HP_ROOM_CHECKING, /* the keeper looks at it; counted as idle */
    HP_ROOM_DRAINING
} hp_room;

/* The TLS sessions of one key. They outlive its record, so that a host we come
 * back to is resumed. */
typedef struct hp_stash {
    hp_map_node node;      /* pool->stashes */
    hp_node spare;         /* pool->spare_stashes: the key has no record */
    hp_sessions *sessions; /* NULL: no TLS with the target */
    hp_sessions *proxy_sessions; /* NULL: none with a proxy. Never mixed: a
                                    ticket is for whom it came from */
    bool met; /* a handshake with the target has ended well */
    struct hp_stash *trash_next;
    char key[];
} hp_stash;

/* How many without a record are kept; the oldest makes room. */
enum {
    HP_SPARE_STASHES = 64
};

/* A key whose idle connection max_idle_conns has closed, see evicted.c. */
typedef struct hp_evicted {
    uint64_t hash; /* the key's */
    uint64_t nth;  /* of all that were closed for that; 0: empty */
    hp_ns until;   /* hp_clock_idle(): it would have been good */
} hp_evicted;

enum {
    HP_EVICTED_SETS = 64, /* by the key's hash */
    HP_EVICTED_WAYS = 8
};

struct hp_host {
    hp_map_node node; /* key text and hash */
    hp_list idle;     /* pconns, most recently used last */
    hp_list waiters;  /* wants QUEUED, DIALING, LISTENING, oldest first */
    hp_list queue;    /* wants QUEUED, oldest first */
    hp_list leased;   /* wants SERVED or LEASED, longest first */
    hp_list orphans;  /* dials that go on without a want, oldest first */
    hp_list warmers;
    int64_t n_waiters, n_orphans, n_warming;
    hp_gauges now, peak;
    hp_counters count;
    hp_ns max_wait;
    int pins; /* > 0: not to be freed just now */
    hp_dial_spec spec;
    char *strings;   /* owns spec's text and the key */
    hp_stash *stash; /* has spec's sessions; NULL: no TLS */
    struct hp_host *trash_next;
};

struct hp_pool {
    atomic_int refs;
    atomic_bool closed;
    /* fixed */
    hp_limits limits;
    hp_dial_options *dial_options; /* ours */
    hp_events events;              /* has its own lock */
    /* under mu */
    hp_mutex mu;
    hp_map hosts;
    hp_list lru;     /* idle pconns of all hosts, oldest first */
    hp_list queue;   /* wants QUEUED over all hosts, while max_conns is set */
    hp_list leased;  /* wants SERVED or LEASED, likewise */
    hp_list all;     /* every pconn */
    hp_list unarmed; /* idle pconns the poller does not watch yet */
    hp_list chores;  /* the keeper's: drains and orphaned dials */
    hp_map armed;    /* id -> hp_armed */
    hp_map stashes;  /* key -> hp_stash */
    hp_list spare_stashes; /* without a record, oldest first */
    int64_t n_spare_stashes;
    int64_t n_drains, n_orphans, n_warming;
    hp_gauges now, peak;
    hp_counters gone; /* of hosts whose record was freed */
    hp_ns gone_max_wait;
    hp_evicted evicted[HP_EVICTED_SETS][HP_EVICTED_WAYS];
    uint64_t n_evicted;
    uint64_t next_seq;
    bool close_idle;        /* close_idle() was called; an acquire clears it */
    hp_ns retire_at;        /* no idle connection is due before, but for
                               idle_conn_timeout (hp_clock_idle()) */
    hp_pconn *checking;     /* in room CHECKING: the keeper is alone */
    hp_close_reason doomed; /* close_idle() came while it was looked at */
    /* the keeper's appointment with this pool (hp_clock_now()); HP_NEVER: it
     * does not know the pool */
    hp_ns keep_at;
    uint64_t activity, seen_activity; /* releases; those the keeper knows of */
    int keeper_slot; /* -1: not registered; under the keeper's lock */
};

/* An entry of pool->armed. */
typedef struct hp_armed {
    hp_map_node node;
    uint64_t id;
    hp_pconn *conn;
} hp_armed;

typedef struct hp_drain {
    hp_body body;
    int64_t budget; /* bytes still allowed */
    hp_ns deadline; /* hp_clock_now() */
} hp_drain;

/* What a locked section leaves to be done after unlocking. */
enum {
    HP_TRASH_WAKERS = 8
};
typedef struct hp_trash {
    hp_pconn *conns;
    hp_host *hosts;
    hp_stash *stashes;
    hp_waker *wakers[HP_TRASH_WAKERS]; /* pinned */
    int n_wakers;
    bool call_keeper;
} hp_trash;

void hp_trash_empty(hp_pool *p, hp_trash *t); /* not under the lock */

/* Room for the text of an address, for those who need a copy. */
enum {
    HP_ADDRESS_MAX = 300
};

/* trace.c */
/* Closed, and about to be freed. */
void hp_pconn_tell_closed(const hp_pconn *c);
/* The release path has run: what it was asked for, and what came of it. Tells
 * nothing of a connection that was never eligible (Go contract section 10). */
void hp_trace_put(const hp_trace *t, uint64_t conn, hp_close_reason asked,
                  hp_close_reason outcome);
void hp_trace_drain_end(const hp_trace *t, uint64_t conn, hp_close_reason why);

/* ---- all below: pool lock held ---- */

void hp_trash_wake(hp_trash *t, hp_waker *w); /* pins; NULL is fine */

/* host.c */
void hp_room_enter(hp_pool *p, hp_pconn *c, hp_room room);
void hp_host_free(hp_host *h);
void hp_host_maybe_gone(hp_pool *p, hp_host *h, hp_trash *t);
hp_host *hp_host_get(hp_pool *p, const hp_key *key); /* NULL: no memory */

/* stash.c */
bool hp_stash_wanted(const hp_key *key); /* there is TLS in its connections */
/* For a new record. NULL: no memory. */
hp_stash *hp_stash_get(hp_pool *p, const hp_key *key);
/* Its record is gone. */
void hp_stash_spare(hp_pool *p, hp_stash *s, hp_trash *t);
void hp_stash_drop_spare(hp_pool *p, hp_trash *t);
void hp_stash_fork_child(hp_pool *p);
void hp_stash_free(hp_stash *s); /* not under the lock */

/* evicted.c */
/* An idle connection is about to be closed for max_idle_conns. */
void hp_evicted_note(hp_pool *p, const hp_pconn *c);
/* A dial begins: counts it if a higher cap would have spared it. */
void hp_evicted_dial(hp_pool *p, hp_host *h);

/* pool.c */
void hp_pconn_leave_idle(hp_pconn *c); /* the idle lists */
/* Room and all lists, but not the slot: for a connection whose slot goes
 * straight to somebody, or nowhere. */
void hp_pconn_forget(hp_pool *p, hp_pconn *c);
/* The same; counts the close and moves it to the trash. */
void hp_pconn_drop(hp_pool *p, hp_pconn *c, hp_close_reason why, hp_trash *t);
/* The same; the slot goes to whoever waits longest. */
void hp_pconn_discard(hp_pool *p, hp_pconn *c, hp_close_reason why,
                      hp_trash *t);
/* Has a connection, and is on host->leased: SERVED. The wake is the
 * caller's. */
void hp_want_give(hp_pool *p, hp_want *w, hp_pconn *c);
/* SERVED or LEASED, it leaves the lists of those; the state is the caller's. */
void hp_want_give_up(hp_want *w);
/* SERVED becomes LEASED. */
void hp_want_lease(hp_pool *p, hp_want *w);
/* It has neither connection nor error; it ends without a connection. */
void hp_want_ask(hp_pool *p, hp_want *w);
void hp_want_unserved(hp_pool *p, hp_want *w);
/* Back to NEW, in no list, with nothing. */
void hp_want_reset(hp_want *w);

/* Ends a lease: -> NEW. What the connection was closed for, or HP_KEEP. */
hp_pconn *hp_lease_end(hp_want *w, hp_close_reason why);

/* release.c: the release path for a connection that is on no list: waiter,
 * idle list or trash. Returns HP_KEEP or why it was closed. */
hp_close_reason hp_pconn_offer(hp_pool *p, hp_pconn *c, hp_ns idle_since,
                               hp_trash *t);

/* warm.c: a dial has ended; the pool is closed. */
void hp_warmers_wake(const hp_host *h);
void hp_warmers_end(const hp_host *h);

/* dialing.c */
/* On no list, in no room. Not under the lock; NULL: no memory. */
hp_pconn *hp_pconn_new(const hp_key *key);
/* It is h's now, and counted as a dial; the room is the caller's. */
void hp_dial_begin(hp_pool *p, hp_host *h, hp_pconn *c, hp_ns connect_timeout,
                   hp_ns tls_timeout);
/* What a dial that has ended, well or not, adds to the counts. */
void hp_pconn_count_dial(hp_pool *p, hp_pconn *c);
/* I12: of this host, just now. */
int64_t hp_orphans_allowed(const hp_pool *p, const hp_host *h);
/* DIALING with an orphaned dial of its host instead of a new one, if there is
 * one that the keeper is not stepping. */
bool hp_orphan_adopt(hp_pool *p, hp_want *w);
/* Not an orphan any more, if it was one. */
void hp_orphan_unlink(hp_pool *p, hp_pconn *c);
/* Gives up those too many, the oldest first; all of them. */
void hp_orphans_trim(hp_pool *p, hp_host *h, hp_trash *t);
void hp_orphans_abort(hp_pool *p, hp_host *h, hp_trash *t);
/* Somebody got in line: those orphans go that hold a slot he could use. */
void hp_orphans_make_way(hp_pool *p, hp_trash *t);
/* The keeper has looked at an orphan and goes on to the next: who got in line
 * meanwhile takes it over, or its slot. */
void hp_orphan_rested(hp_pool *p, hp_pconn *c, hp_trash *t);
/* A dial nobody drives just now, on no list: to the next in line of its host,
 * else closed. */
void hp_dial_pass_on(hp_pool *p, hp_pconn *dial, hp_trash *t);

/* queue.c */
bool hp_host_has_room(const hp_pool *p, const hp_host *h);
void hp_want_enqueue(hp_pool *p, hp_want *w);
void hp_want_unlink(hp_pool *p, hp_want *w, hp_trash *t);
void hp_want_serve(hp_pool *p, hp_want *w, hp_pconn *c, hp_trash *t);
hp_want *hp_queue_next(hp_pool *p, hp_host *freed);
void hp_grant_slots(hp_pool *p, hp_host *h, hp_trash *t);
/* The slot is w's: counted as a dial from now on, and listening. */
void hp_slot_take(hp_pool *p, hp_want *w);
void hp_want_listen(hp_want *w);
/* Out of the line, DIALING with a dial that is under way already. */
void hp_want_hand(hp_pool *p, hp_want *w, hp_pconn *dial, hp_trash *t);
/* w does not need its slot, or the dial handed to it: the next in line gets it.
 */
void hp_slot_return(hp_pool *p, hp_want *w, hp_trash *t);
bool hp_pool_has_room(hp_pool *p, const hp_host *h, hp_trash *t, bool evict);

/* shortage.c: of a host that is full, or of a pool that is. */
void hp_shortage_note(const hp_pool *p, const hp_host *h, hp_shortage *out);

/* Whom a connection's doings are told: the want that has it, or the pool's
 * listeners. It changes with the owner. */
static inline void
hp_pconn_tell_pool(hp_pool *p, hp_pconn *c)
{
    if (c->net.trace.events != &p->events)
        c->net.trace =
            (hp_trace){.events = &p->events, .host = hp_span_cstr(c->address)};
}

static inline void
hp_pconn_tell(hp_pool *p, hp_pconn *c, const hp_trace *trace)
{
    if (trace)
        c->net.trace = *trace;
    else
        hp_pconn_tell_pool(p, c);
}

#ifndef NDEBUG
/* check.c: re-derives what can be derived and asserts the invariants. For
 * tests with the lock held; every locked section of a small pool ends so. */
void hp_pool_check(const hp_pool *p);
void hp_pool_check_if_small(const hp_pool *p);
#else
#define hp_pool_check_if_small(p) ((void)0)
#endif

/* Ends a locked section. */
static inline void
hp_pool_unlock(hp_pool *p)
{
    hp_pool_check_if_small(p);
    hp_unlock(&p->mu);
}

void hp_counters_add(hp_counters *into, const hp_counters *from);
/* tally.c: the server had closed a connection that was idle for so long. */
void hp_count_stale(hp_counters *n, hp_ns idle_time);

static inline int64_t
hp_gauges_conns(const hp_gauges *g)
{
    return g->idle + g->in_use + g->dialing + g->draining;
}

/* When an idle connection must go of its own accord (hp_clock_idle()). */
static inline hp_ns
hp_pconn_due(const hp_pconn *c)
{
    return hp_ns_min(c->retire_at,
                     hp_deadline_after(c->idle_since, c->idle_limit));
}

static inline hp_close_reason
hp_pconn_due_reason(const hp_pconn *c, hp_ns idle_now)
{
    return idle_now >= c->retire_at ? HP_CLOSE_MAX_AGE : HP_CLOSE_IDLE_TIMEOUT;
}

static inline bool
hp_below(int64_t n, int64_t limit)
{
    return limit == HP_NO_LIMIT || n < limit;
}

#endif
