/* keeper: the one background thread per process image.
 *
 * Started when first needed, pure C, all signals blocked, holds no lock while
 * doing I/O. It expires idle connections, closes those the server has closed,
 * drains bodies closed early and finishes orphaned dials. A hot request does
 * not pay for it: nothing on the fast path makes a system call for it.
 *
 * A pool has an appointment with the keeper, pool->keep_at, under the pool
 * lock. Whoever needs it earlier moves the appointment and calls the keeper
 * after unlocking; as long as requests flow the keeper comes by itself every
 * 100 ms, so that a busy pool never has to call. A connection is armed in the
 * poller only once it has been idle for that long; arming is one-shot, so an
 * event for a connection leased meanwhile costs one look and is forgotten.
 */
#ifndef HP_POOL_KEEPER_H
#define HP_POOL_KEEPER_H

#include "pool/pool.h"

#define HP_KEEPER_PACE (100 * HP_NS_PER_MS)

/* Not under the pool lock: starts the thread if need be, registers the pool,
 * wakes the thread. When no thread can be made the pool lives without: idle
 * connections are checked and expired at checkout only, nothing is drained.
 */
void hp_keeper_call(hp_pool *p);

/* False after hp_keeper_stop_for_good or when no thread can be made: then the
 * pool keeps nothing for it to do (no drains, no orphans). Never blocks. */
bool hp_keeper_available(void);

/* Removes a connection's descriptor from the poller before it is closed. */
void hp_keeper_unwatch(hp_pconn *c);

/* For keep.c, in the keeper's thread: tells once about `fd`, as an event for
 * `id` (its low 44 bits) of pool `p`. 0, or -1 with errno. */
int hp_keeper_arm(const hp_pool *p, int fd, short events, uint64_t id);
hp_waker *hp_keeper_waker(void); /* borrowed */

/* Fork: stops and joins the thread. In the parent it goes on with what it has;
 * in the child it starts with nothing, at the next call. From prepare to parent
 * or child its lock is held: prepare comes before the pools', the others after
 * them. */
void hp_keeper_fork_prepare(void);
void hp_keeper_fork_parent(void);
void hp_keeper_fork_child(void);

/* `later` is called in the parent of a fork, in the thread that forks and
 * before fork() returns, when the keeper has something to do; it must not
 * block. True: it will see to it that hp_keeper_resume is called soon; false:
 * the thread is started at once, as it is when there is no such function. The
 * next acquire of any pool starts it, too. */
void hp_keeper_after_fork(bool (*later)(void));
void hp_keeper_resume(void);
/* It was stopped and has something to do. Never blocks. */
bool hp_keeper_is_late(void);

/* Exit: stops and joins; later calls find no keeper, until there is a new
 * beginning. */
void hp_keeper_stop_for_good(void);
void hp_keeper_begin(void);

/* One round for one pool (keep.c), keeper thread only: expires, arms, does the
 * chores. Returns when it wants the next round (hp_clock_now()), HP_NEVER for
 * not before it calls. `now` is hp_clock_now(). */
hp_ns hp_pool_keep(hp_pool *p, hp_ns now);
/* The poller saw something on connection `id` (keep.c). */
void hp_pool_keep_event(hp_pool *p, uint64_t id);
/* True when the pool has nothing for the keeper; it then has no appointment
 * and will call again. */
bool hp_pool_keep_nothing(hp_pool *p);
/* The pool loses its slot (keep.c): what is watched will be armed anew. Pool
 * lock held. */
void hp_pool_disarm(hp_pool *p);

/* Tests: from now on there is no thread; hp_keeper_available() stays true, and
 * the test calls hp_pool_keep() itself. */
void hp_keeper_by_hand(void);
/* Tests: rounds the keeper has made, and whether its thread runs. */
uint64_t hp_keeper_rounds(void);
bool hp_keeper_running(void);

#endif
