/* keep: what the keeper does for one pool in one round: expire idle
 * connections, watch the others, drain, finish orphaned dials. Runs in the
 * keeper's thread. */
#include <assert.h>
#include <poll.h>
#include <stdio.h>

#include "base/mem.h"
#include "pool/host.h"
#include "pool/keeper.h"

enum {
    SCRATCH = 16384,
    ARM_BATCH = 256,
    DRAIN_READS = 16 /* of one drain in a row: the others wait */
};

/* It knows the pool, but will not come before it is called. */
#define NO_APPOINTMENT (HP_NEVER - 1)

/* ---- idle connections ---- */

static hp_pconn *
oldest_idle(const hp_pool *p)
{
    hp_node *n = hp_list_first(&p->lru);
    return n ? HP_CONTAINER(n, hp_pconn, lru_node) : NULL;
}

/* The oldest is the first to go. Returns when the next one is due. */
static hp_ns
expire_idle(hp_pool *p, hp_ns now, hp_ns idle_now, hp_trash *t)
{
    hp_ns limit = p->limits.idle_conn_timeout;
    hp_pconn *c;
    while (limit >= 0 && (c = oldest_idle(p)) != NULL) {
        hp_ns age = idle_now - c->idle_since;
        if (age <= limit)
            return hp_deadline_after(now + 1, limit - age);
        hp_pconn_discard(p, c, HP_CLOSE_IDLE_TIMEOUT, t);
    }
    return HP_NEVER;
}

/* Age, and what servers say, are in no order, so all are looked at, but only
 * when one may be due. */
static hp_ns
expire_aged(hp_pool *p, hp_ns now, hp_ns idle_now, hp_trash *t)
{
    if (idle_now >= p->retire_at) {
        hp_ns first = HP_NEVER;
        hp_node *n = hp_list_first(&p->lru);
        while (n) {
            hp_pconn *c = HP_CONTAINER(n, hp_pconn, lru_node);
            n = hp_list_next(&p->lru, n);
            if (idle_now >= hp_pconn_due(c))
                hp_pconn_discard(p, c, hp_pconn_due_reason(c, idle_now), t);
            else
                first = hp_ns_min(first, hp_pconn_due(c));
        }
        p->retire_at = first;
    }
    if (p->retire_at == HP_NEVER || oldest_idle(p) == NULL)
        return HP_NEVER;
    return hp_deadline_after(now, p->retire_at - idle_now);
}

static hp_ns
expire(hp_pool *p, hp_ns now, hp_trash *t)
{
    hp_ns idle_now = hp_clock_idle();
    hp_ns idle = expire_idle(p, now, idle_now, t);
    return hp_ns_min(idle, expire_aged(p, now, idle_now, t));
}

static bool
arm(hp_pool *p, hp_pconn *c)
{
    int fd = c->net.stream->ops->fd(c->net.stream);
    if (fd < 0)
        return false; /* scripted: nothing to watch */
    if (c->armed_entry == NULL)
        c->armed_entry = hp_calloc(sizeof *c->armed_entry);
    if (c->armed_entry == NULL)
        return false;
    hp_armed *a = c->armed_entry;
    if (!c->in_armed_map) {
        a->id = c->net.id;
        a->conn = c;
        a->node.key = hp_span_of((const char *)&a->id, sizeof a->id);
        a->node.hash = hp_hash(a->node.key);
        if (hp_map_insert(&p->armed, &a->node) != 0)
            return false;
        c->in_armed_map = true;
    }
    c->watched = true;
    c->armed = hp_keeper_arm(p, fd, POLLIN, c->net.id) == 0;
    return c->armed;
}

/* Arms what has been idle for a pace. epoll_ctl does not wait, so it may stand
 * under the lock, where no one can lease the connection meanwhile; in batches,
 * so that the lock is not held for long. */
static bool
arm_some(hp_pool *p)
{
    hp_ns idle_now = hp_clock_idle();
    for (int i = 0; i < ARM_BATCH; i++) {
        hp_node *n = hp_list_first(&p->unarmed);
        if (n == NULL)
            return false;
        hp_pconn *c = HP_CONTAINER(n, hp_pconn, unarmed_node);
        if (idle_now - c->idle_since < HP_KEEPER_PACE)
            return false;
        hp_list_remove(n);
        arm(p, c);
    }
    return true;
}

/* What is armed bears the slot that the pool has given up: such an event finds
 * nobody, or another pool. */
void
hp_pool_disarm(hp_pool *p)
{
    HP_ASSERT_HELD(&p->mu);
    for (hp_node *n = hp_list_first(&p->all); n; n = hp_list_next(&p->all, n)) {
        hp_pconn *c = HP_CONTAINER(n, hp_pconn, all_node);
        c->armed = false;
        if (c->room == HP_ROOM_IDLE && !hp_node_linked(&c->unarmed_node))
            hp_list_push_back(&p->unarmed, &c->unarmed_node);
    }
}

static hp_close_reason
check(hp_pconn *c)
{
    switch (c->net.stream->ops->liveness(c->net.stream)) {
    case HP_DEAD_CLOSED:
        return HP_CLOSE_SERVER_CLOSED_IDLE;
    case HP_DEAD_BYTES:
        return HP_CLOSE_UNSOLICITED_BYTES;
    case HP_ALIVE:
        break;
    }
    return HP_KEEP;
}

/* Takes an idle connection out for a look; NULL when the event is stale: the
 * connection has been leased meanwhile, or is a chore, or is gone. */
static hp_pconn *
take_for_check(hp_pool *p, uint64_t id)
{
    hp_span key = {(const char *)&id, sizeof id};
    hp_map_node *n = hp_map_find(&p->armed, key, hp_hash(key));
    if (n == NULL)
        return NULL;
    hp_pconn *c = HP_CONTAINER(n, hp_armed, node)->conn;
    c->armed = false;
    if (c->room != HP_ROOM_IDLE)
        return NULL;
    hp_pconn_leave_idle(c);
    hp_room_enter(p, c, HP_ROOM_CHECKING);
    p->checking = c;
    p->doomed = HP_KEEP;
    return c;
}

void
hp_pool_keep_event(hp_pool *p, uint64_t id)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    hp_pconn *c = take_for_check(p, id);
    hp_pool_unlock(p);
    if (c == NULL)
        return;
    hp_close_reason why = check(c);
    hp_lock(&p->mu);
    p->checking = NULL;
    if (why == HP_CLOSE_SERVER_CLOSED_IDLE)
        hp_count_stale(&c->host->count, hp_clock_idle() - c->idle_since);
    if (why == HP_KEEP)
        why = p->doomed;
    if (why == HP_KEEP)
        hp_pconn_offer(p, c, c->idle_since, &t);
    else
        hp_pconn_discard(p, c, why, &t);
    hp_pool_unlock(p);
    t.call_keeper = false; /* it is here */
    hp_trash_empty(p, &t);
}

/* ---- drains ---- */

typedef enum {
    CHORE_WAIT,
    CHORE_AGAIN,
    CHORE_DONE,
    CHORE_FAILED
} chore_result;

/* Where it cannot be watched the keeper comes by itself. */
static void
watch(hp_pool *p, hp_pconn *c, int fd, short events, hp_ns *next)
{
    c->watched = true;
    if (hp_keeper_arm(p, fd, events, c->net.id) != 0)
        *next = hp_ns_min(*next, hp_clock_now() + HP_KEEPER_PACE);
}

/* One read. The reason counts when the drain has failed. */
static chore_result
drain_once(hp_pconn *c, short *events, hp_close_reason *why)
{
    char scratch[SCRATCH];
    hp_drain *d = c->drain;
    hp_stream *s = c->net.stream;
    hp_err err = {0};
    size_t want = hp_body_want(&d->body);
    ssize_t n = s->ops->read(s, scratch, want < SCRATCH ? want : SCRATCH, &err);
    *why = HP_CLOSE_DRAIN_FAILED;
    *events = n == HP_IO_WANT_WRITE ? POLLOUT : POLLIN;
    if (n == HP_IO_WANT_READ || n == HP_IO_WANT_WRITE)
        return CHORE_WAIT;
    size_t len = (size_t)n, used = 0;
    if (n <= 0 || hp_body_feed(&d->body, scratch, &len, &used, &err) != 0)
        return CHORE_FAILED;
    *why = HP_CLOSE_LEFTOVER_BYTES;
    if (d->body.ended)
        return used == (size_t)n && !s->ops->pending(s) ? CHORE_DONE
                                                        : CHORE_FAILED;
    *why = HP_CLOSE_DRAIN_TOO_LONG;
    return d->budget >= 0 && (d->budget -= n) < 0 ? CHORE_FAILED : CHORE_AGAIN;
}

static chore_result
drain_step(hp_pool *p, hp_pconn *c, hp_ns now, hp_ns *next,
           hp_close_reason *why)
{
    chore_result r = CHORE_AGAIN;
    short events = 0;
    for (int i = 0; r == CHORE_AGAIN && i < DRAIN_READS; i++)
        r = drain_once(c, &events, why);
    if (r == CHORE_DONE || r == CHORE_FAILED)
        return r;
    if (now >= c->drain->deadline) {
        *why = HP_CLOSE_DRAIN_TIMEOUT;
        return CHORE_FAILED;
    }
    if (r == CHORE_AGAIN) {
        *next = now;
        return CHORE_WAIT;
    }
    int fd = c->net.stream->ops->fd(c->net.stream);
    *next = hp_ns_min(*next, c->drain->deadline);
    if (fd >= 0)
        watch(p, c, fd, events, next);
    return CHORE_WAIT;
}

static void
end_drain(hp_pool *p, hp_pconn *c, chore_result r)
{
    p->n_drains--;
    if (r == CHORE_DONE)
        c->host->count.drains++;
    hp_body_free(&c->drain->body);
    hp_free(c->drain);
    c->drain = NULL;
}

/* ---- orphaned dials ---- */

static chore_result
orphan_step(hp_pool *p, hp_pconn *c, hp_ns *next, hp_close_reason *why)
{
    hp_wait w;
    hp_err err = {0};
    hp_wait_reset(&w);
    *why = HP_CLOSE_DIAL_FAILED;
    switch (hp_conn_step(&c->net, hp_keeper_waker(), &w, &err)) {
    case HP_STEP_DONE:
        return CHORE_DONE;
    case HP_STEP_ERROR:
        return CHORE_FAILED;
    case HP_STEP_DIAL: /* whose caller is gone; the keeper never calls back */
        *why = HP_CLOSE_SURPLUS_DIAL;
        return CHORE_FAILED;
    case HP_STEP_WAIT:
        break;
    }
    *next = hp_ns_min(*next, w.deadline);
    for (int i = 0; i < w.n; i++)
        watch(p, c, w.fds[i].fd, w.fds[i].events, next);
    return CHORE_WAIT;
}

static void
end_orphan(hp_pool *p, hp_pconn *c)
{
    hp_orphan_unlink(p, c);
    hp_pconn_count_dial(p, c);
}

/* ---- a round ---- */

/* A drained connection is somebody else's, or gone, before the last of it can
 * be told. */
typedef struct drained {
    hp_trace trace;
    uint64_t conn; /* 0: it was no drain */
    char host[HP_ADDRESS_MAX];
} drained;

static void
remember(drained *d, const hp_pconn *c)
{
    snprintf(d->host, sizeof d->host, "%s", c->address);
    d->conn = c->net.id;
    d->trace = c->net.trace;
    d->trace.host = hp_span_cstr(d->host);
}

static void
end_chore(hp_pool *p, hp_pconn *c, chore_result r, hp_close_reason why)
{
    hp_trash t = {0};
    drained d;
    d.conn = 0;
    if (c->drain) {
        remember(&d, c);
        hp_trace_drain_end(&d.trace, d.conn, r == CHORE_DONE ? HP_KEEP : why);
    }
    hp_lock(&p->mu);
    hp_list_remove(&c->chore_node);
    c->at_work = false;
    if (c->drain)
        end_drain(p, c, r);
    else
        end_orphan(p, c);
    if (r == CHORE_DONE)
        why = hp_pconn_offer(p, c, hp_clock_idle(), &t);
    else
        hp_pconn_discard(p, c, why, &t);
    hp_pool_unlock(p);
    if (d.conn && r == CHORE_DONE)
        hp_trace_put(&d.trace, d.conn, HP_KEEP, why);
    t.call_keeper = false; /* it is here */
    hp_trash_empty(p, &t);
}

/* From here on an orphan may be adopted, and is not the keeper's any more. */
static void
rest(hp_pool *p, hp_pconn *c)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    c->at_work = false;
    hp_orphan_rested(p, c, &t);
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
}

static hp_pconn *
next_chore(hp_pool *p, int *left, bool *unwanted)
{
    hp_lock(&p->mu);
    hp_node *n = (*left)-- > 0 ? hp_list_pop_front(&p->chores) : NULL;
    hp_pconn *c = n ? HP_CONTAINER(n, hp_pconn, chore_node) : NULL;
    if (c) {
        hp_list_push_back(&p->chores, n);
        *unwanted = c->unwanted;
        c->at_work = true;
    }
    hp_pool_unlock(p);
    return c;
}

static chore_result
chore_step(hp_pool *p, hp_pconn *c, hp_ns now, hp_ns *next,
           hp_close_reason *why)
{
    return c->drain ? drain_step(p, c, now, next, why)
                    : orphan_step(p, c, next, why);
}

/* Only the keeper takes chores off the list that it has at work, so it may
 * work on them without the lock. */
static hp_ns
do_chores(hp_pool *p, hp_ns now)
{
    hp_ns next = HP_NEVER;
    int left = 0;
    bool unwanted = false;
    hp_lock(&p->mu);
    for (hp_node *n = hp_list_first(&p->chores); n;
         n = hp_list_next(&p->chores, n))
        left++;
    hp_pool_unlock(p);
    for (hp_pconn *c; (c = next_chore(p, &left, &unwanted)) != NULL;) {
        hp_close_reason why = HP_CLOSE_SURPLUS_DIAL;
        chore_result r =
            unwanted ? CHORE_FAILED : chore_step(p, c, now, &next, &why);
        if (r != CHORE_WAIT)
            end_chore(p, c, r, why);
        else
            rest(p, c);
    }
    return next;
}

static hp_ns
make_appointment(hp_pool *p, hp_ns now, hp_ns next)
{
    hp_lock(&p->mu);
    bool active = p->activity != p->seen_activity;
    p->seen_activity = p->activity;
    if (active || !hp_list_empty(&p->unarmed))
        next = hp_ns_min(next, now + HP_KEEPER_PACE);
    p->keep_at = hp_ns_min(next, NO_APPOINTMENT);
    hp_pool_unlock(p);
    return next;
}

hp_ns
hp_pool_keep(hp_pool *p, hp_ns now)
{
    hp_trash t = {0};
    bool more = true;
    hp_ns next = HP_NEVER;
    while (more) {
        hp_lock(&p->mu);
        next = expire(p, now, &t);
        more = arm_some(p);
        hp_pool_unlock(p);
        t.call_keeper = false; /* it is here */
        hp_trash_empty(p, &t);
    }
    next = hp_ns_min(next, do_chores(p, now));
    return make_appointment(p, now, next);
}

bool
hp_pool_keep_nothing(hp_pool *p)
{
    hp_lock(&p->mu);
    /* With an appointment it is busy: nothing is idle only at this moment. */
    bool nothing = p->now.idle == 0 && hp_list_empty(&p->chores) &&
                   p->keep_at >= NO_APPOINTMENT;
    if (nothing) {
        p->keep_at = HP_NEVER;
        hp_pool_disarm(p); /* those in use will come back to another slot */
    }
    hp_pool_unlock(p);
    return nothing;
}
