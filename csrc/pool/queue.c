/* queue: wants in line. Pool lock held throughout.
 *
 * Three lists, all oldest first: host->waiters has every want that a returned
 * connection may serve (QUEUED, DIALING, LISTENING); host->queue those that
 * need a slot; pool->queue the same over all hosts, kept only while max_conns
 * is set.
 * With only one kind of limit the next in line is a list's first. With both,
 * wants whose own host is full are stepped over in pool->queue: a walk over
 * those wants only.
 */
#include "pool/host.h"

#include <assert.h>

bool
hp_host_has_room(const hp_pool *p, const hp_host *h)
{
    return hp_below(hp_gauges_conns(&h->now), p->limits.max_conns_per_host);
}

#define SEQ_AT(n, offset) (((const hp_want *)((char *)(n) - (offset)))->seq)

/* Who comes back for his old place is among the oldest: from the front. Returns
 * his place, 1 being the first; `last` at the end. */
static int64_t
insert_by_seq(hp_list *l, hp_node *n, size_t offset, int64_t last)
{
    uint64_t seq = SEQ_AT(n, offset);
    hp_node *at = hp_list_last(l);
    if (at == NULL || SEQ_AT(at, offset) < seq) {
        hp_list_push_back(l, n);
        return last;
    }
    int64_t place = 1;
    at = hp_list_first(l);
    for (; SEQ_AT(at, offset) < seq; place++)
        at = hp_list_next(l, at);
    hp_list_insert_before(at, n);
    return place;
}

void
hp_want_listen(hp_want *w)
{
    w->host->n_waiters++;
    insert_by_seq(&w->host->waiters, &w->wait_node,
                  offsetof(hp_want, wait_node), w->host->n_waiters);
}

/* Counted already. Its place is that in the line of the limit it is stopped by.
 */
static void
get_in_line(hp_pool *p, hp_want *w)
{
    hp_host *h = w->host;
    w->waiting = p->now.waiting;
    w->position = insert_by_seq(&h->queue, &w->slot_node,
                                offsetof(hp_want, slot_node), h->now.waiting);
    if (p->limits.max_conns == HP_NO_LIMIT)
        return;
    int64_t of_all =
        insert_by_seq(&p->queue, &w->total_node, offsetof(hp_want, total_node),
                      p->now.waiting);
    if (hp_host_has_room(p, h))
        w->position = of_all;
}

void
hp_want_enqueue(hp_pool *p, hp_want *w)
{
    HP_ASSERT_HELD(&p->mu);
    hp_host *h = w->host;
    w->state = HP_WANT_QUEUED;
    w->queued_at = hp_clock_now();
    hp_want_listen(w);
    h->count.waits++;
    h->count.host_waits += !hp_host_has_room(p, h);
    h->now.waiting++;
    p->now.waiting++;
    get_in_line(p, w);
    if (h->now.waiting > h->peak.waiting)
        h->peak.waiting = h->now.waiting;
    if (p->now.waiting > p->peak.waiting)
        p->peak.waiting = p->now.waiting;
}

static void
count_wait(hp_host *h, hp_ns waited)
{
    static const hp_ns bounds[HP_WAIT_BUCKETS - 1] = HP_WAIT_BOUNDS;
    int bucket = 0;
    while (bucket < HP_WAIT_BUCKETS - 1 && waited > bounds[bucket])
        bucket++;
    h->count.wait_histogram[bucket]++;
    h->count.wait_ns += (uint64_t)waited;
    if (waited > h->max_wait)
        h->max_wait = waited;
}

static void
leave_slot_queue(hp_pool *p, hp_want *w)
{
    hp_host *h = w->host;
    hp_list_remove(&w->slot_node);
    if (hp_node_linked(&w->total_node))
        hp_list_remove(&w->total_node);
    assert(h->now.waiting > 0 && p->now.waiting > 0); /* I3 */
    h->now.waiting--;
    p->now.waiting--;
    count_wait(h, hp_clock_now() - w->queued_at);
}

/* A QUEUED, DIALING or LISTENING want listens no more. */
void
hp_want_unlink(hp_pool *p, hp_want *w, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    if (w->state == HP_WANT_QUEUED)
        leave_slot_queue(p, w);
    hp_list_remove(&w->wait_node);
    w->host->n_waiters--;
    hp_orphans_trim(p, w->host, t);
}

static bool
total_has_room(const hp_pool *p)
{
    return hp_below(hp_gauges_conns(&p->now), p->limits.max_conns);
}

/* Room for one more connection of h? With `evict`, the oldest idle connection
 * of any host makes room under max_conns. */
bool
hp_pool_has_room(hp_pool *p, const hp_host *h, hp_trash *t, bool evict)
{
    HP_ASSERT_HELD(&p->mu);
    if (!hp_host_has_room(p, h))
        return false;
    hp_node *oldest = evict ? hp_list_first(&p->lru) : NULL;
    if (!total_has_room(p) && oldest)
        hp_pconn_discard(p, HP_CONTAINER(oldest, hp_pconn, lru_node),
                         HP_CLOSE_MADE_ROOM, t);
    return total_has_room(p);
}

/* The oldest want that a slot freed by `freed` could go to: of that host, or
 * of any other one that is not full itself. NULL: nobody. */
hp_want *
hp_queue_next(hp_pool *p, hp_host *freed)
{
    HP_ASSERT_HELD(&p->mu);
    if (p->limits.max_conns == HP_NO_LIMIT) {
        hp_node *n = hp_list_first(&freed->queue);
        return n ? HP_CONTAINER(n, hp_want, slot_node) : NULL;
    }
    for (hp_node *n = hp_list_first(&p->queue); n;
         n = hp_list_next(&p->queue, n)) {
        hp_want *w = HP_CONTAINER(n, hp_want, total_node);
        if (w->host == freed || hp_host_has_room(p, w->host))
            return w;
    }
    return NULL;
}

void
hp_slot_take(hp_pool *p, hp_want *w)
{
    HP_ASSERT_HELD(&p->mu);
    hp_host *h = w->host;
    w->state = HP_WANT_DIALING;
    w->slot = true;
    h->now.dialing++;
    p->now.dialing++;
    if (h->now.dialing > h->peak.dialing)
        h->peak.dialing = h->now.dialing;
    if (p->now.dialing > p->peak.dialing)
        p->peak.dialing = p->now.dialing;
}

void
hp_slot_return(hp_pool *p, hp_want *w, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    hp_host *h = w->host;
    hp_pconn *dial = w->handed;
    w->handed = NULL;
    if (dial)
        hp_dial_pass_on(p, dial, t);
    if (dial || !w->slot)
        return;
    w->slot = false;
    assert(h->now.dialing > 0 && p->now.dialing > 0); /* I3 */
    h->now.dialing--;
    p->now.dialing--;
    hp_warmers_wake(h);
    hp_grant_slots(p, h, t);
}

/* I7: handed over within one locked section, so the limit never dips while
 * somebody waits. The want stays on host->waiters: late binding. */
static void
grant(hp_pool *p, hp_want *w, hp_trash *t)
{
    leave_slot_queue(p, w);
    hp_slot_take(p, w);
    hp_trash_wake(t, w->waker);
}

void
hp_want_hand(hp_pool *p, hp_want *w, hp_pconn *dial, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    assert(w->host == dial->host);
    leave_slot_queue(p, w);
    w->state = HP_WANT_DIALING;
    w->handed = dial;
    hp_pconn_tell_pool(p, dial); /* until it is given out */
    hp_trash_wake(t, w->waker);
}

void
hp_grant_slots(hp_pool *p, hp_host *h, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    hp_want *w;
    while ((w = hp_queue_next(p, h)) != NULL &&
           hp_pool_has_room(p, w->host, t, false))
        grant(p, w, t);
}

void
hp_want_serve(hp_pool *p, hp_want *w, hp_pconn *c, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    assert(w->state == HP_WANT_QUEUED || w->state == HP_WANT_DIALING ||
           w->state == HP_WANT_LISTENING); /* I9 */
    hp_want_unlink(p, w, t);
    hp_pconn_tell_pool(p, c); /* until the want is leased */
    hp_want_give(p, w, c);
    hp_room_enter(p, c, HP_ROOM_LEASED);
    hp_trash_wake(t, w->waker);
    /* Granted a slot or a dial, and served before it looked: one is enough. */
    hp_slot_return(p, w, t);
}
