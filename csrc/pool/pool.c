/* pool: life and acquire. The rules are sections 2 to 5 of the Go contract;
 * see pool.h for the states of a want. dialing.c has the way of a new
 * connection, release.c the way back. */
#include "pool/pool.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "pool/host.h"
#include "pool/keeper.h"

/* ---- life ---- */

hp_pool *
hp_pool_new(const hp_limits *limits, const hp_dial_options *dial_options)
{
    hp_pool *p = hp_calloc(sizeof *p);
    if (p == NULL)
        return NULL;
    p->dial_options = hp_dial_options_copy(
        dial_options ? dial_options : &HP_DIAL_OPTIONS_INIT);
    if (p->dial_options == NULL) {
        hp_free(p);
        return NULL;
    }
    atomic_init(&p->refs, 1);
    p->limits = *limits;
    hp_mutex_init(&p->mu);
    hp_events_init(&p->events, false);
    hp_map_init(&p->hosts);
    hp_map_init(&p->armed);
    hp_map_init(&p->stashes);
    hp_list_init(&p->spare_stashes);
    hp_list_init(&p->lru);
    hp_list_init(&p->queue);
    hp_list_init(&p->leased);
    hp_list_init(&p->all);
    hp_list_init(&p->unarmed);
    hp_list_init(&p->chores);
    p->retire_at = HP_NEVER;
    p->keep_at = HP_NEVER;
    p->keeper_slot = -1;
    return p;
}

hp_pool *
hp_pool_ref(hp_pool *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void
hp_pool_unref(hp_pool *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    /* Exchanges hold references, so what is left is idle or the keeper's, and
     * the keeper has been stopped (fork, exit). */
    hp_trash t = {0};
    hp_lock(&p->mu);
    for (hp_node *n; (n = hp_list_first(&p->all)) != NULL;)
        hp_pconn_discard(p, HP_CONTAINER(n, hp_pconn, all_node),
                         HP_CLOSE_POOL_CLOSED, &t);
    hp_stash_drop_spare(p, &t);
    hp_unlock(&p->mu);
    hp_trash_empty(p, &t);
    assert(p->hosts.count == 0 && p->stashes.count == 0); /* I4 */
    hp_map_free(&p->hosts);
    hp_map_free(&p->stashes);
    hp_map_free(&p->armed);
    hp_mutex_destroy(&p->mu);
    hp_events_destroy(&p->events);
    hp_dial_options_free(p->dial_options);
    hp_free(p);
}

bool
hp_pool_is_closed(const hp_pool *p)
{
    return atomic_load_explicit(&p->closed, memory_order_acquire);
}

/* ---- leaving lists ---- */

void
hp_pconn_leave_idle(hp_pconn *c)
{
    hp_list_remove(&c->idle_node);
    hp_list_remove(&c->lru_node);
    if (hp_node_linked(&c->unarmed_node))
        hp_list_remove(&c->unarmed_node);
}

static void
leave_all_lists(hp_pool *p, hp_pconn *c)
{
    if (hp_node_linked(&c->idle_node))
        hp_pconn_leave_idle(c);
    if (hp_node_linked(&c->chore_node))
        hp_list_remove(&c->chore_node);
    hp_orphan_unlink(p, c);
    if (c->in_armed_map) {
        hp_map_remove(&p->armed, &c->armed_entry->node);
        c->in_armed_map = false;
    }
    hp_list_remove(&c->all_node);
}

void
hp_pconn_forget(hp_pool *p, hp_pconn *c)
{
    HP_ASSERT_HELD(&p->mu);
    leave_all_lists(p, c);
    hp_room_enter(p, c, HP_ROOM_NONE);
}

void
hp_pconn_drop(hp_pool *p, hp_pconn *c, hp_close_reason why, hp_trash *t)
{
    hp_pconn_forget(p, c);
    c->host->count.closes[why]++;
    c->closed_for = why;
    c->trash_next = t->conns;
    t->conns = c;
}

void
hp_pconn_discard(hp_pool *p, hp_pconn *c, hp_close_reason why, hp_trash *t)
{
    hp_host *h = c->host;
    hp_pconn_drop(p, c, why, t);
    hp_grant_slots(p, h, t);
    hp_host_maybe_gone(p, h, t);
}

/* ---- a want and its connection ---- */

void
hp_want_give(hp_pool *p, hp_want *w, hp_pconn *c)
{
    w->conn = c;
    w->state = HP_WANT_SERVED;
    w->was_idle = false;
    w->idle_time = 0;
    w->leased_at = hp_clock_now();
    hp_list_push_back(&w->host->leased, &w->wait_node);
    if (p->limits.max_conns != HP_NO_LIMIT)
        hp_list_push_back(&p->leased, &w->total_node);
}

void
hp_want_give_up(hp_want *w)
{
    hp_list_remove(&w->wait_node);
    if (hp_node_linked(&w->total_node))
        hp_list_remove(&w->total_node);
}

static void
lease(hp_want *w)
{
    assert(w->state == HP_WANT_SERVED);
    w->state = HP_WANT_LEASED;
    if (w->trace)
        w->conn->net.trace = *w->trace;
    w->conn->requests++;
    if (w->conn->reused)
        w->host->count.reuses++;
    else
        w->host->count.fresh++;
}

static void
stop_asking(hp_pool *p, hp_want *w)
{
    assert(w->host->now.asking > 0 && p->now.asking > 0); /* I3 */
    w->host->now.asking--;
    p->now.asking--;
}

void
hp_want_lease(hp_pool *p, hp_want *w)
{
    stop_asking(p, w);
    lease(w);
}

void
hp_want_ask(hp_pool *p, hp_want *w)
{
    hp_host *h = w->host;
    if (++h->now.asking > h->peak.asking)
        h->peak.asking = h->now.asking;
    if (++p->now.asking > p->peak.asking)
        p->peak.asking = p->now.asking;
}

void
hp_want_unserved(hp_pool *p, hp_want *w)
{
    stop_asking(p, w);
    w->host->count.unserved++;
}

/* The host's record may be gone from now on: nothing points at it (I11). */
void
hp_want_reset(hp_want *w)
{
    assert(!hp_node_linked(&w->wait_node) && !w->slot && !w->handed);
    w->state = HP_WANT_NEW;
    w->host = NULL;
    w->conn = NULL;
}

/* ---- acquire ---- */

static bool
idle_too_long(const hp_pool *p, const hp_pconn *c, hp_ns idle_now)
{
    hp_ns limit = p->limits.idle_conn_timeout;
    return limit >= 0 && idle_now - c->idle_since > limit;
}

static hp_pconn *
pick_idle(const hp_pool *p, const hp_host *h)
{
    hp_node *n =
        p->limits.idle_fifo ? hp_list_first(&h->idle) : hp_list_last(&h->idle);
    return n ? HP_CONTAINER(n, hp_pconn, idle_node) : NULL;
}

/* Takes an idle connection, dropping those idle for too long or too old. */
static bool
take_idle(hp_pool *p, hp_want *w, hp_trash *t)
{
    hp_ns idle_now = hp_clock_idle();
    hp_pconn *c;
    while ((c = pick_idle(p, w->host)) != NULL) {
        if (idle_too_long(p, c, idle_now)) {
            hp_pconn_discard(p, c, HP_CLOSE_IDLE_TIMEOUT, t);
        } else if (idle_now >= hp_pconn_due(c)) {
            hp_pconn_discard(p, c, hp_pconn_due_reason(c, idle_now), t);
        } else {
            hp_pconn_leave_idle(c);
            hp_room_enter(p, c, HP_ROOM_LEASED);
            hp_want_give(p, w, c);
            lease(w);
            w->was_idle = true;
            w->idle_time = idle_now - c->idle_since;
            return true;
        }
    }
    return false;
}

static hp_errc
queue_up(hp_pool *p, hp_want *w, hp_trash *t)
{
    if (hp_below(p->now.waiting, p->limits.max_waiting)) {
        hp_want_enqueue(p, w);
        hp_orphans_make_way(p, t);
        return HP_OK;
    }
    w->host->count.refused++;
    hp_shortage_note(p, w->host, w->shortage);
    w->shortage->waiting = p->now.waiting;
    return HP_E_QUEUE_FULL;
}

static void
note_arrival(hp_pool *p, hp_want *w)
{
    if (w->keeps_place) {
        w->host->count.asked_again++;
    } else {
        w->host->count.requests++;
        w->seq = ++p->next_seq;
    }
    w->keeps_place = false;
}

/* For a dial, or in line for one. */
static hp_errc
wait_for_one(hp_pool *p, hp_want *w, hp_trash *t)
{
    hp_want_ask(p, w);
    if (hp_orphan_adopt(p, w))
        return HP_OK;
    if (!hp_pool_has_room(p, w->host, t, true))
        return queue_up(p, w, t);
    hp_slot_take(p, w);
    hp_want_listen(w);
    return HP_OK;
}

static hp_errc
acquire_locked(hp_pool *p, hp_want *w, hp_trash *t)
{
    if (hp_pool_is_closed(p))
        return HP_E_CLOSED;
    hp_host *h = hp_host_get(p, w->key);
    if (h == NULL)
        return HP_E_NOMEM;
    p->close_idle = false;
    t->call_keeper |= hp_keeper_is_late();
    w->host = h;
    note_arrival(p, w);
    h->pins++; /* dropping its last idle connection must not free it */
    hp_errc e = take_idle(p, w, t) ? HP_OK : wait_for_one(p, w, t);
    h->pins--;
    if (e != HP_OK) {
        hp_want_unserved(p, w);
        hp_want_reset(w);
        hp_host_maybe_gone(p, h, t);
    }
    w->acquired = w->state;
    return e;
}

/* The words, found when the lock is free again. */
static int
explain(const hp_want *w, hp_errc e, hp_err *err)
{
    switch (e) {
    case HP_OK:
        return 0;
    case HP_E_CLOSED:
        return hp_err_set(err, e, "the client is closed");
    case HP_E_QUEUE_FULL:
        hp_shortage_queue_full(w->shortage, hp_key_address(w->key->text), err);
        return -1;
    default:
        return hp_err_set(err, e, "out of memory");
    }
}

int
hp_pool_acquire(hp_pool *p, hp_want *w, hp_err *err)
{
    assert(w->state == HP_WANT_NEW);
    hp_trash t = {0};
    hp_lock(&p->mu);
    hp_errc e = acquire_locked(p, w, &t);
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
    return explain(w, e, err);
}

int
hp_pool_acquire_again(hp_pool *p, hp_want *w, hp_close_reason why, hp_err *err)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    hp_host *h = w->host;
    h->pins++;
    hp_pconn_drop(p, hp_lease_end(w, why), why, &t);
    hp_errc e = acquire_locked(p, w, &t);
    assert(w->state != HP_WANT_QUEUED);
    h->pins--;
    hp_grant_slots(p, h, &t); /* who got another idle one has no need of it */
    hp_host_maybe_gone(p, h, &t);
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
    return explain(w, e, err);
}

bool
hp_pool_wait_timed_out(hp_pool *p, const hp_want *w, hp_ns waited, hp_err *err)
{
    hp_lock(&p->mu);
    bool waits = w->state == HP_WANT_QUEUED;
    if (waits)
        hp_shortage_note(p, w->host, w->shortage);
    hp_unlock(&p->mu);
    if (waits)
        hp_shortage_timed_out(w->shortage, hp_key_address(w->key->text), waited,
                              err);
    return waits;
}

hp_want_state
hp_pool_look(hp_pool *p, hp_want *w)
{
    hp_lock(&p->mu);
    hp_want_state s = w->state;
    if (s == HP_WANT_SERVED) {
        hp_want_lease(p, w);
        s = HP_WANT_LEASED;
    } else if (s == HP_WANT_REFUSED) {
        hp_want_reset(w);
    }
    hp_pool_unlock(p);
    return s;
}
