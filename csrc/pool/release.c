/* release: the way back: to a waiter, to the idle list, to the keeper, or
 * out. Section 4 of the Go contract. */
#include <assert.h>

#include "base/mem.h"
#include "pool/host.h"
#include "pool/keeper.h"

/* An appointment missed by this much was made with a keeper that could not be
 * started. */
#define OVERDUE HP_NS_PER_S

/* ---- idle ---- */

static hp_close_reason
may_stay_idle(const hp_pool *p, const hp_pconn *c)
{
    const hp_limits *l = &p->limits;
    /* One that was looked at is counted as idle while it comes back. */
    int64_t others = c->host->now.idle - (c->room == HP_ROOM_CHECKING);
    if (p->close_idle)
        return HP_CLOSE_CLOSE_IDLE_CALLED;
    if (l->idle_conn_timeout == 0 || c->idle_limit == 0)
        return HP_CLOSE_IDLE_TIMEOUT;
    if (l->max_idle_conns == 0)
        return HP_CLOSE_IDLE_CAP_TOTAL;
    if (!hp_below(others, l->max_idle_conns_per_host))
        return HP_CLOSE_IDLE_CAP_HOST;
    return HP_KEEP;
}

/* Sorted by idle time: a connection the keeper has checked goes back to its
 * place, which is near the end unless it was watched for long. */
static void
insert_by_idle_since(hp_list *l, hp_node *n, size_t offset, hp_ns since)
{
    hp_node *at = &l->head;
    while (at->prev != &l->head) {
        hp_pconn *prev = (hp_pconn *)((char *)at->prev - offset);
        if (prev->idle_since <= since)
            break;
        at = at->prev;
    }
    hp_list_insert_before(at, n);
}

/* As long as requests flow the keeper comes by itself. */
static void
keeper_soon(hp_pool *p, hp_trash *t)
{
    hp_ns now = hp_clock_now();
    p->activity++;
    if (p->keep_at > now + 2 * HP_KEEPER_PACE || p->keep_at < now - OVERDUE) {
        p->keep_at = now + HP_KEEPER_PACE;
        t->call_keeper = true;
    }
}

static hp_close_reason
go_idle(hp_pool *p, hp_pconn *c, hp_ns idle_since, hp_trash *t)
{
    hp_host *h = c->host;
    c->idle_since = idle_since;
    hp_pconn_tell_pool(p, c);
    hp_room_enter(p, c, HP_ROOM_IDLE);
    insert_by_idle_since(&h->idle, &c->idle_node, offsetof(hp_pconn, idle_node),
                         idle_since);
    insert_by_idle_since(&p->lru, &c->lru_node, offsetof(hp_pconn, lru_node),
                         idle_since);
    if (!c->armed)
        hp_list_push_back(&p->unarmed, &c->unarmed_node);
    p->retire_at = hp_ns_min(p->retire_at, hp_pconn_due(c));
    keeper_soon(p, t);
    if (hp_below(p->now.idle - 1, p->limits.max_idle_conns))
        return HP_KEEP;
    hp_pconn *oldest = HP_CONTAINER(hp_list_first(&p->lru), hp_pconn, lru_node);
    hp_evicted_note(p, oldest);
    hp_pconn_discard(p, oldest, HP_CLOSE_IDLE_CAP_TOTAL, t);
    /* The oldest of all may be under the keeper's eyes, and c the next. */
    return oldest == c ? HP_CLOSE_IDLE_CAP_TOTAL : HP_KEEP;
}

/* ---- the release path ---- */

/* What no waiter changes. */
static hp_close_reason
may_go_on(const hp_pool *p, const hp_pconn *c)
{
    const hp_limits *l = &p->limits;
    if (l->disable_keepalives)
        return HP_CLOSE_KEEPALIVES_DISABLED;
    if (hp_pool_is_closed(p))
        return HP_CLOSE_POOL_CLOSED;
    if (l->max_requests_per_conn != HP_NO_LIMIT &&
        c->requests >= (uint64_t)l->max_requests_per_conn)
        return HP_CLOSE_MAX_REQUESTS;
    if (c->retire_at != HP_NEVER && hp_clock_idle() >= c->retire_at)
        return HP_CLOSE_MAX_AGE;
    return HP_KEEP;
}

hp_close_reason
hp_pconn_offer(hp_pool *p, hp_pconn *c, hp_ns idle_since, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    hp_close_reason why = may_go_on(p, c);
    if (why == HP_KEEP) {
        hp_node *n = hp_list_first(&c->host->waiters);
        hp_want *own = n ? HP_CONTAINER(n, hp_want, wait_node) : NULL;
        hp_want *other =
            hp_list_empty(&p->queue) ? NULL : hp_queue_next(p, c->host);
        c->reused = true; /* a surplus dial too: its first failure replays */
        if (own && (other == NULL || own->seq <= other->seq)) {
            hp_want_serve(p, own, c, t);
            return HP_KEEP;
        }
        why = other ? HP_CLOSE_MADE_ROOM : may_stay_idle(p, c);
    }
    if (why == HP_KEEP)
        return go_idle(p, c, idle_since, t);
    hp_pconn_discard(p, c, why, t);
    return why;
}

/* ---- the end of a lease ---- */

/* Dead before it could serve: the request will ask again, in its old place. */
static bool
was_dead(hp_close_reason why)
{
    return why == HP_CLOSE_SERVER_CLOSED_IDLE ||
           why == HP_CLOSE_UNSOLICITED_BYTES;
}

hp_pconn *
hp_lease_end(hp_want *w, hp_close_reason why)
{
    assert(w->state == HP_WANT_LEASED);
    hp_pconn *c = w->conn;
    hp_counters *n = &w->host->count;
    w->keeps_place = was_dead(why);
    if (why == HP_CLOSE_SERVER_CLOSED_IDLE && w->was_idle)
        hp_count_stale(n, w->idle_time);
    if (w->keeps_place)
        c->requests--;
    hp_want_give_up(w);
    hp_want_reset(w);
    return c;
}

hp_close_reason
hp_pool_put(hp_pool *p, hp_want *w, hp_close_reason verdict)
{
    hp_trash t = {0};
    hp_ns idle_now = hp_clock_idle();
    hp_lock(&p->mu);
    hp_pconn *c = hp_lease_end(w, verdict);
    uint64_t id = c->net.id;
    hp_close_reason outcome = verdict;
    if (verdict == HP_KEEP)
        outcome = hp_pconn_offer(p, c, idle_now, &t);
    else
        hp_pconn_discard(p, c, verdict, &t);
    hp_pool_unlock(p);
    if (w->trace)
        hp_trace_put(w->trace, id, verdict, outcome);
    hp_trash_empty(p, &t);
    return outcome;
}

enum {
    MAX_DRAINS = 64
}; /* at once in a pool; a flood is closed instead */

static hp_close_reason
may_drain(const hp_pool *p, const hp_body *body)
{
    const hp_limits *l = &p->limits;
    if (hp_pool_is_closed(p))
        return HP_CLOSE_POOL_CLOSED;
    if (l->disable_keepalives)
        return HP_CLOSE_KEEPALIVES_DISABLED;
    if (l->drain_bytes == 0 || l->drain_timeout == 0 ||
        p->n_drains >= MAX_DRAINS)
        return HP_CLOSE_BODY_UNREAD;
    if (l->drain_bytes != HP_NO_LIMIT && body->left > l->drain_bytes)
        return HP_CLOSE_DRAIN_TOO_LONG;
    return HP_KEEP;
}

static void
begin_drain(hp_pool *p, hp_pconn *c, hp_drain *d, hp_body *body, hp_trash *t)
{
    hp_ns now = hp_clock_now();
    d->body = *body;
    *body = (hp_body){.kind = HP_BODY_NONE, .ended = true};
    d->budget = p->limits.drain_bytes;
    d->deadline = hp_deadline_after(now, p->limits.drain_timeout);
    c->drain = d;
    p->n_drains++;
    hp_pconn_tell_pool(p, c);
    hp_room_enter(p, c, HP_ROOM_DRAINING);
    hp_list_push_back(&p->chores, &c->chore_node);
    p->keep_at = now;
    t->call_keeper = true;
}

hp_close_reason
hp_pool_put_undrained(hp_pool *p, hp_want *w, hp_body *body)
{
    hp_trash t = {0};
    bool keeper = hp_keeper_available();
    hp_drain *d = keeper ? hp_calloc(sizeof *d) : NULL;
    assert(!body->ended);
    hp_lock(&p->mu);
    hp_close_reason why = d ? may_drain(p, body) : HP_CLOSE_BODY_UNREAD;
    hp_pconn *c = hp_lease_end(w, why);
    uint64_t id = c->net.id;
    hp_ns at = hp_clock_now(); /* the drain may be over before we tell of it */
    int64_t left = body->left;
    if (why == HP_KEEP)
        begin_drain(p, c, d, body, &t);
    else
        hp_pconn_discard(p, c, why, &t);
    hp_pool_unlock(p);
    if (w->trace && why == HP_KEEP)
        HP_TELL(w->trace, .kind = HP_EVENT_DRAIN_START, .at = at, .conn = id,
                .n = {left});
    hp_trash_empty(p, &t);
    if (why != HP_KEEP)
        hp_free(d);
    return why;
}

hp_pconn *
hp_pool_detach(hp_pool *p, hp_want *w)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    hp_pconn *c = hp_lease_end(w, HP_CLOSE_UPGRADED);
    hp_host *h = c->host;
    hp_pconn_forget(p, c);
    h->count.closes[HP_CLOSE_UPGRADED]++;
    c->closed_for = HP_CLOSE_UPGRADED;
    c->host = NULL;
    c->net.spec = NULL;
    hp_grant_slots(p, h, &t);
    hp_host_maybe_gone(p, h, &t);
    hp_pool_unlock(p);
    hp_keeper_unwatch(c);
    hp_pconn_tell_closed(c);
    c->net.trace = (hp_trace){0}; /* from now on it is the caller's */
    hp_trash_empty(p, &t);
    return c;
}
