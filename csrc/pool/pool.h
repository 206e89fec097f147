/* pool: who owns which connection.
 *
 * A connection has exactly one owner: an exchange (leased, or dialing for it),
 * the idle list, or the keeper (draining, checking, orphaned dial). Ownership
 * changes under the pool's one lock; under it there is no I/O, no close, no
 * callback, nothing that waits. What a call wants closed or woken it collects
 * and does after unlocking.
 *
 * A want is one request's place in the pool:
 *
 *   NEW --acquire--> LEASED                      an idle connection
 *       --acquire--> DIALING                     a slot: make a connection
 *       --acquire--> QUEUED                      at a limit: wait
 *   QUEUED  --> DIALING                          a slot was handed over, or a
 *                                                dial that lost its want
 *   DIALING --dial_failed--> LISTENING           one in use may come back
 *   QUEUED, DIALING, LISTENING --> SERVED --look--> LEASED
 *                                                a connection came back
 *   QUEUED, DIALING, LISTENING, SERVED --> REFUSED  the pool was closed
 *   DIALING --dialed--> LEASED                   its own dial was first
 *   LEASED  --acquire_again--> as from NEW, in its old place
 *   any --put, cancel, dial_failed--> NEW
 *
 * A want has one outcome, delivered once; first served are the oldest.
 */
#ifndef HP_POOL_POOL_H
#define HP_POOL_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/events.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/reason.h"
#include "base/waker.h"
#include "net/conn.h"
#include "net/dial_options.h"
#include "pool/holders.h"
#include "pool/key.h"
#include "pool/limits.h"
#include "pool/shortage.h"
#include "pool/stats.h"
#include "wire/body.h"

typedef struct hp_pool hp_pool; /* reference-counted */
typedef struct hp_host hp_host; /* the record of one key, see host.h */

/* A connection of the pool. The fields after `net` are the pool's, guarded by
 * its lock except where noted. */
typedef struct hp_pconn hp_pconn;
struct hp_pconn {
    hp_conn net; /* the owner's */
    hp_host *host;
    int room;    /* which gauge counts it, see host.h */
    bool reused; /* passed through the release path before */
    bool armed;  /* the keeper's poller will tell, once */
    bool in_armed_map;
    bool watched;  /* the poller knows its descriptor */
    bool at_work;  /* the keeper is stepping it just now */
    bool unwanted; /* an orphaned dial the keeper is to give up */
    bool warming;  /* a dial for nobody: to be idle */
    bool met; /* TLS: began after a handshake with its key had ended well */
    uint64_t requests;    /* exchanges that leased it */
    hp_ns born;           /* hp_clock_idle() */
    hp_ns idle_limit;     /* the server's Keep-Alive: timeout=, a little less;
                             HP_NO_LIMIT; set by whoever leases it */
    hp_ns retire_at;      /* hp_clock_idle() reading; max_conn_age, jittered */
    hp_ns idle_since;     /* hp_clock_idle() */
    hp_node idle_node;    /* host->idle */
    hp_node lru_node;     /* pool->lru */
    hp_node unarmed_node; /* pool->unarmed */
    hp_node all_node;     /* pool->all */
    hp_node chore_node;   /* pool->chores: drains and orphaned dials */
    hp_node orphan_node;  /* host->orphans: those still wanted */
    struct hp_drain *drain;
    struct hp_armed *armed_entry;
    hp_pconn *trash_next;
    hp_close_reason closed_for; /* in the trash */
    char address[];             /* "example.com:80"; outlives the host */
};

typedef enum hp_want_state {
    HP_WANT_NEW,
    HP_WANT_QUEUED,
    HP_WANT_DIALING,
    HP_WANT_LISTENING, /* its dial failed: a returned connection or nothing */
    HP_WANT_SERVED,
    HP_WANT_REFUSED,
    HP_WANT_LEASED
} hp_want_state;

/* Signals to a driving thread from others; a leaf lock. */
typedef struct hp_interest {
    hp_mutex mu;
    hp_waker *waker;   /* of the thread inside a drive, else NULL */
    int blocked_fd;    /* it blocks in recv() on this, else -1 */
    atomic_int signal; /* 0, HP_E_CANCELLED or HP_E_CLOSED; the first wins */
} hp_interest;

typedef struct hp_want {
    /* the owner's, set before acquire */
    const hp_key *key;
    hp_span address;      /* for diagnosis: the URL's, "example.com:80" */
    hp_span method, path; /* likewise; path without query */
    hp_span site;         /* hp_request.site, borrowed */
    bool whole;           /* hp_request.whole */
    hp_interest *interest;
    const hp_trace *trace;  /* told what its connections do, dials included;
                               NULL: the pool's listeners are. Zeroed: nobody */
    hp_waker *waker;        /* borrowed; woken on every change others make */
    hp_shortage *shortage;  /* borrowed: what it waited for in vain */
    _Atomic int holding;    /* hp_holding */
    hp_want_state acquired; /* what the last acquire made of it: `state` itself
                               others may have changed by now */
    /* the pool's */
    hp_want_state state;
    hp_host *host;
    uint64_t seq;       /* arrival */
    bool keeps_place;   /* NEW: acquires with the seq it has */
    hp_ns queued_at;    /* hp_clock_now() */
    int64_t position;   /* QUEUED: then, in the line it stood in; 1 is next */
    int64_t waiting;    /* QUEUED: then, in the whole pool, itself included */
    hp_ns leased_at;    /* hp_clock_now(): when the connection was given */
    hp_node wait_node;  /* host->waiters: QUEUED, DIALING and LISTENING;
                           host->leased: SERVED and LEASED */
    hp_node slot_node;  /* host->queue: QUEUED */
    hp_node total_node; /* while max_conns is set: pool->queue: QUEUED;
                           pool->leased: SERVED and LEASED */
    bool slot;          /* DIALING: the slot is counted, no conn made yet */
    hp_pconn *handed;   /* DIALING: another's dial that went over to it and
                           that new_conn has not given out yet */
    hp_pconn *conn;     /* SERVED, LEASED */
    bool was_idle;
    hp_ns idle_time;
} hp_want;

/* ---- life -------------------------------------------------------------- */

/* Copies both; dial_options NULL: none. NULL: out of memory. */
hp_pool *hp_pool_new(const hp_limits *limits,
                     const hp_dial_options *dial_options);
hp_pool *hp_pool_ref(hp_pool *p);
void hp_pool_unref(hp_pool *p);

/* See hp_transport_close. Drains and bodies go on, their connections close
 * after; orphaned dials are given up. */
void hp_pool_close(hp_pool *p);
bool hp_pool_is_closed(const hp_pool *p);

/* Closes idle connections and gives up orphaned dials: of one host ("name" or
 * "name:port"), or of all (host.len 0), and then also those that become idle
 * until the next acquire. Returns how many idle ones were closed. */
size_t hp_pool_close_idle(hp_pool *p, hp_span host);

/* Exit: ends every wait and every lease under way with HP_E_CLOSED, bodies
 * too. The pool stays open. Does not call the keeper. */
void hp_pool_interrupt(hp_pool *p);

/* Fork: called for every pool, in one order, between the keeper's hooks. */
void hp_pool_fork_prepare(hp_pool *p);
void hp_pool_fork_parent(hp_pool *p);
void hp_pool_fork_child(hp_pool *p);

/* ---- wants ------------------------------------------------------------- */

/* NEW -> LEASED, DIALING or QUEUED, see w->acquired. 0, or -1 with *err:
 * HP_E_CLOSED, HP_E_QUEUE_FULL (with the facts in *w->shortage), HP_E_NOMEM
 * (the want stays NEW). A LEASED
 * connection has not been looked at: check its liveness, and acquire again if
 * it is dead. */
int hp_pool_acquire(hp_pool *p, hp_want *w, hp_err *err);

/* The connection of a LEASED want was dead before it could serve: it is closed
 * for that reason, and another acquired in one step, so that neither its slot
 * nor the want's place in line goes to somebody younger. As acquire, but never
 * QUEUED. */
int hp_pool_acquire_again(hp_pool *p, hp_want *w, hp_close_reason why,
                          hp_err *err);

/* Looks at what others have done to a QUEUED, DIALING or LISTENING want: SERVED
 * becomes LEASED (w->conn). Returns the state now; REFUSED leaves the want NEW.
 */
hp_want_state hp_pool_look(hp_pool *p, hp_want *w);

/* The connection of a DIALING want, in room dialing: *out, whose net the caller
 * steps. A dial that others began and that was handed to it goes on, with these
 * timeouts from now; else a new one takes the want's slot. 0; *out is NULL when
 * others have changed the want meanwhile (the slot is gone: look again). -1:
 * out of memory, the want is as it was. */
int hp_pool_new_conn(hp_pool *p, hp_want *w, hp_ns connect_timeout,
                     hp_ns tls_timeout, hp_pconn **out);

/* The dial of a DIALING (or meanwhile SERVED) want is READY: the want becomes
 * LEASED with it, or with the one it was served, and the surplus goes through
 * the release path. Takes `dialed`. False: the pool was closed meanwhile, the
 * connection with it, and the want is NEW. */
bool hp_pool_dialed(hp_pool *p, hp_want *w, hp_pconn *dialed);

/* The dial failed and is closed: frees it, and its slot goes to the next in
 * line. The want becomes LEASED if it was served meanwhile, LISTENING if
 * `listen` is set and a connection of its host is in use that may be handed to
 * it, else NEW; which of them is returned. How long it listens is its owner's
 * affair. */
hp_want_state hp_pool_dial_failed(hp_pool *p, hp_want *w, hp_pconn *dialed,
                                  bool listen);

/* The dial failed for want of a descriptor (EMFILE) and is closed: the oldest
 * idle connection of any host gives up its own, and the want, DIALING still,
 * dials again with the slot it has. Takes `dialed`. False: nothing was idle, or
 * others have changed the want meanwhile, and nothing was done. */
bool hp_pool_redial(hp_pool *p, hp_want *w, hp_pconn *dialed);

/* A want was served while `dial` (may be NULL) was under way: the dial is
 * handed to the next in line if that is one of its host. If one of another host
 * is in line for its slot it is closed, so that a hanging dial never blocks a
 * host. Else it goes to the keeper as an orphan, which the next want of its
 * host takes over: above live waiters + 2 the oldest orphan is given up; under
 * a limit all are when no waiter is left, or one of another host gets in line.
 * Takes `dial`. */
void hp_pool_orphan_dial(hp_pool *p, hp_pconn *dial);

/* Gives up a want in any state but LEASED: leaves the queue, hands a slot or a
 * connection (SERVED) on; `dial` (may be NULL) as above. -> NEW. */
void hp_pool_cancel(hp_pool *p, hp_want *w, hp_pconn *dial);

/* Ends a lease. verdict HP_KEEP: idle, or to the oldest waiter, if the pool
 * agrees; else closed for that reason. Returns what happened: HP_KEEP or the
 * reason it was closed for. Takes w->conn; -> NEW. After a lease of a
 * connection that was dead before it could serve (HP_CLOSE_SERVER_CLOSED_IDLE,
 * _UNSOLICITED_BYTES) the next acquire finds the want's old place. */
hp_close_reason hp_pool_put(hp_pool *p, hp_want *w, hp_close_reason verdict);

/* Ends a lease whose body has not ended and which nothing else speaks against:
 * the keeper drains it within budget and then puts it, if drains are allowed
 * and the remainder fits; else it is closed. Takes w->conn, and the content of
 * *body when it returns HP_KEEP ("draining"); else the reason. -> NEW. */
hp_close_reason hp_pool_put_undrained(hp_pool *p, hp_want *w, hp_body *body);

/* Ends a lease because the caller takes the stream over: it counts for nothing
 * any more. Returns the connection, the caller's to close and to free with
 * hp_pconn_free. -> NEW. */
hp_pconn *hp_pool_detach(hp_pool *p, hp_want *w);
void hp_pconn_free(hp_pconn *c);

/* A QUEUED want has waited for too long: HP_E_POOL_TIMEOUT in *err, the facts
 * in *w->shortage. False: others have changed the want meanwhile, and nothing
 * was done: look again. */
bool hp_pool_wait_timed_out(hp_pool *p, const hp_want *w, hp_ns waited,
                            hp_err *err);

/* ---- trace -------------------------------------------------------------- */

/* What happens to connections that no traced want has: closes, drains,
 * orphaned dials. Off until switched on. */
void hp_pool_trace(hp_pool *p, bool on);
hp_events *hp_pool_events(hp_pool *p);

/* ---- warming (warm.c) -------------------------------------------------- */

/* Who wants connections of a host to be there, without a request. */
typedef struct hp_warmer {
    /* the owner's, set before begin */
    const hp_key *key;
    hp_interest *interest;
    hp_waker *waker; /* borrowed; woken when a dial of its host has ended */
    const hp_trace *trace;
    /* the pool's */
    hp_host *host;
    hp_node node; /* host->warmers */
} hp_warmer;

/* Connections of a host: those idle or in use, and those being made. */
typedef struct hp_warmth {
    int64_t ready, coming;
} hp_warmth;

/* Until the end close() signals w->interest. 0, or -1 with *err: HP_E_CLOSED,
 * HP_E_NOMEM. */
int hp_pool_warm_begin(hp_pool *p, hp_warmer *w, hp_err *err);
/* All its dials have ended. Idempotent; one that never began is fine. */
void hp_pool_warm_end(hp_pool *p, hp_warmer *w);
hp_warmth hp_pool_warmth(hp_pool *p, const hp_warmer *w);

/* One more dial in *out, whose net the caller steps; NULL if n are there or
 * coming, or a limit is reached: of connections, without taking one from
 * another host, or of idle ones. 0, or -1: out of memory. */
int hp_pool_warm_dial(hp_pool *p, hp_warmer *w, int64_t n,
                      hp_ns connect_timeout, hp_ns tls_timeout, hp_pconn **out);
/* The dial is READY: to the oldest waiter or the idle list. Takes it. */
void hp_pool_warmed(hp_pool *p, hp_pconn *dialed);
/* It is given up for that reason. Takes it. */
void hp_pool_warm_failed(hp_pool *p, hp_pconn *dial, hp_close_reason why);

/* ---- counting ---------------------------------------------------------- */

/* Count for a want's host while it has one, else only in total. */
void hp_pool_tally_leak(hp_pool *p, hp_want *w);
void hp_pool_tally_timeout(hp_pool *p, hp_want *w, hp_phase phase);
void hp_pool_tally_replay(hp_pool *p, hp_want *w, hp_replay_reason why);
/* LEASED, and lost for good before the first byte of the answer. */
void hp_pool_tally_lost(hp_pool *p, hp_want *w);
void hp_pool_tally_no_descriptor(hp_pool *p, hp_want *w);

hp_stats *hp_pool_stats(hp_pool *p); /* NULL: out of memory */

/* ---- who holds what (holders.c) ---------------------------------------- */

/* Adds everyone who has a connection of this pool. */
void hp_pool_gather(hp_pool *p, hp_gathering *g);
/* A want that is SERVED (pool lock held) or LEASED (that, or its owner); spans
 * borrowed from it. */
void hp_want_holder(const hp_want *w, hp_holder *out);

/* ---- interest ---------------------------------------------------------- */

void hp_interest_init(hp_interest *i);
void hp_interest_destroy(hp_interest *i);
/* Around a drive: whom a signal must wake. */
void hp_interest_enter(hp_interest *i, hp_waker *w);
void hp_interest_leave(hp_interest *i);
/* Around a recv() that blocks: a signal shuts the connection down, which it
 * spoils anyway. False: there is a signal already, do not block. */
bool hp_interest_block(hp_interest *i, int fd);
void hp_interest_unblock(hp_interest *i);
/* Any thread. False if there was a signal already. */
bool hp_interest_signal(hp_interest *i, hp_errc code);

static inline hp_errc
hp_interest_get(const hp_interest *i)
{
    return (hp_errc)atomic_load_explicit(&((hp_interest *)i)->signal,
                                         memory_order_acquire);
}

#endif
