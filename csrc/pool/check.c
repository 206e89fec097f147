/* check: re-derives what the pool keeps as numbers and flags from its lists,
 * and asserts the invariants of csrc/INVARIANTS.rst. Debug builds only; pool
 * lock held. */
#include "pool/host.h"

#ifndef NDEBUG

#include <assert.h>

/* Connections and waiters; a test that wants more checked asks itself. */
#define SMALL 200

#define HOST_OF(n) HP_CONTAINER(n, hp_host, node)

/* ---- wants ---- */

typedef struct found {
    hp_gauges now;
    int64_t n_orphans; /* still wanted */
    int64_t n_slots;   /* granted, and not yet dialed with */
    int64_t n_warming;
} found;

static void
check_waiter(const hp_pool *p, const hp_host *h, const hp_want *w, found *f)
{
    assert(w->host == h && w->conn == NULL); /* I9, I11 */
    assert(w->state == HP_WANT_QUEUED || w->state == HP_WANT_DIALING ||
           w->state == HP_WANT_LISTENING);
    assert(hp_node_linked(&w->slot_node) == (w->state == HP_WANT_QUEUED));
    assert(hp_node_linked(&w->total_node) ==
           (w->state == HP_WANT_QUEUED && p->limits.max_conns != HP_NO_LIMIT));
    assert(!(w->slot || w->handed) || w->state == HP_WANT_DIALING);
    assert(!(w->slot && w->handed));
    if (w->handed) {
        assert(w->handed->host == h && w->handed->room == HP_ROOM_DIALING);
        assert(!hp_node_linked(&w->handed->chore_node)); /* I1 */
    }
    f->now.waiting += w->state == HP_WANT_QUEUED;
    f->now.dialing += w->slot; /* I3: no connection stands for it yet */
    f->now.asking++;
    f->n_slots += w->slot;
}

static void
check_waiters(const hp_pool *p, const hp_host *h, found *f)
{
    uint64_t seq = 0;
    int64_t n = 0, queued = 0;
    for (hp_node *at = hp_list_first(&h->waiters); at;
         at = hp_list_next(&h->waiters, at)) {
        const hp_want *w = HP_CONTAINER(at, hp_want, wait_node);
        assert(w->seq > seq && w->seq <= p->next_seq); /* I8 */
        seq = w->seq;
        check_waiter(p, h, w, f);
        n++;
    }
    seq = 0;
    for (hp_node *at = hp_list_first(&h->queue); at;
         at = hp_list_next(&h->queue, at)) {
        const hp_want *w = HP_CONTAINER(at, hp_want, slot_node);
        assert(w->host == h && w->seq > seq); /* I8 */
        seq = w->seq;
        queued++;
    }
    assert(n == h->n_waiters && queued == h->now.waiting); /* I3 */
}

static void
check_leased(const hp_pool *p, const hp_host *h, found *f)
{
    hp_ns since = 0;
    for (hp_node *at = hp_list_first(&h->leased); at;
         at = hp_list_next(&h->leased, at)) {
        const hp_want *w = HP_CONTAINER(at, hp_want, wait_node);
        assert(w->state == HP_WANT_SERVED || w->state == HP_WANT_LEASED);
        assert(w->host == h && w->conn && w->conn->host == h); /* I9 */
        assert(w->conn->room == HP_ROOM_LEASED && !w->slot);   /* I1 */
        assert(w->leased_at >= since);
        assert(hp_node_linked(&w->total_node) ==
               (p->limits.max_conns != HP_NO_LIMIT));
        since = w->leased_at;
        f->now.in_use++;
        f->now.asking += w->state == HP_WANT_SERVED;
    }
}

/* ---- connections ---- */

static void
check_lists(const hp_pool *p, const hp_pconn *c)
{
    bool idle = c->room == HP_ROOM_IDLE;
    bool orphan = hp_node_linked(&c->orphan_node);
    assert(hp_node_linked(&c->all_node));
    assert(hp_node_linked(&c->idle_node) == idle); /* I1 */
    assert(hp_node_linked(&c->lru_node) == idle);
    assert(!hp_node_linked(&c->unarmed_node) || (idle && !c->armed));
    assert((p->checking == c) == (c->room == HP_ROOM_CHECKING));
    assert((c->drain != NULL) == (c->room == HP_ROOM_DRAINING));
    assert(!orphan || (c->room == HP_ROOM_DIALING && !c->unwanted));
    if (hp_node_linked(&c->chore_node))
        assert(c->drain || orphan || c->unwanted);
    assert(!c->in_armed_map || (c->armed_entry && c->armed_entry->conn == c));
    if (idle || p->checking == c || c->drain || hp_node_linked(&c->chore_node))
        assert(c->net.trace.events == &p->events); /* I18 */
    if (idle)                                      /* I5 */
        assert(c->net.state == HP_CONN_READY && c->net.stream && c->reused);
}

static void
check_conn(const hp_pool *p, const hp_pconn *c, hp_gauges *now)
{
    switch ((hp_room)c->room) {
    case HP_ROOM_DIALING:
        now->dialing++;
        break;
    case HP_ROOM_LEASED:
        break; /* counted by their wants: one each (I1) */
    case HP_ROOM_IDLE:
    case HP_ROOM_CHECKING:
        now->idle++;
        break;
    case HP_ROOM_DRAINING:
        now->draining++;
        break;
    case HP_ROOM_NONE:
        assert(!"a connection of the pool is in some room"); /* I1 */
    }
    check_lists(p, c);
}

/* ---- a host ---- */

static bool
same(const hp_gauges *a, const hp_gauges *b)
{
    return a->idle == b->idle && a->in_use == b->in_use &&
           a->dialing == b->dialing && a->draining == b->draining &&
           a->waiting == b->waiting && a->asking == b->asking;
}

/* I17 */
static void
check_sums(const hp_counters *n, const hp_gauges *now, int64_t slots)
{
    uint64_t closes = 0, waits = 0;
    for (int i = 0; i < HP_CLOSE_REASON_COUNT; i++)
        closes += n->closes[i];
    for (int i = 0; i < HP_WAIT_BUCKETS; i++)
        waits += n->wait_histogram[i];
    assert(n->requests + n->asked_again ==
           n->fresh + n->reuses + n->unserved + (uint64_t)now->asking);
    assert(n->dials + (uint64_t)slots ==
           closes + (uint64_t)hp_gauges_conns(now));
    assert(n->waits == waits + (uint64_t)now->waiting);
}

static void
check_idle(const hp_host *h)
{
    hp_ns since = INT64_MIN;
    int64_t n = 0;
    for (hp_node *at = hp_list_first(&h->idle); at;
         at = hp_list_next(&h->idle, at)) {
        const hp_pconn *c = HP_CONTAINER(at, hp_pconn, idle_node);
        assert(c->host == h && c->idle_since >= since); /* I10 */
        since = c->idle_since;
        n++;
    }
    assert(n <= h->now.idle);
    assert(n == 0 || h->n_waiters == 0); /* I6 */
}

static bool
below_limits(const hp_pool *p, const hp_host *h)
{
    return hp_below(hp_gauges_conns(&h->now), p->limits.max_conns_per_host) &&
           hp_below(hp_gauges_conns(&p->now), p->limits.max_conns);
}

static void
check_host_limits(const hp_pool *p, const hp_host *h)
{
    int64_t n = hp_gauges_conns(&h->now);
    int64_t max = p->limits.max_conns_per_host;
    assert(max == HP_NO_LIMIT || n <= max);                  /* I2 */
    assert(hp_list_empty(&h->queue) || !below_limits(p, h)); /* I7 */
    assert(h->pins == 0 && (n > 0 || !hp_list_empty(&h->waiters) ||
                            !hp_list_empty(&h->warmers))); /* I4 */
    int64_t cap = p->limits.max_idle_conns_per_host;
    assert(cap == HP_NO_LIMIT || h->now.idle <= cap); /* I10 */
}

/* But for one the keeper is stepping, until it lets go of it (I12). */
static void
check_orphans_block_nobody(const hp_pool *p, const hp_host *h)
{
    const hp_want *next = hp_queue_next((hp_pool *)p, (hp_host *)h);
    for (hp_node *at = hp_list_first(&h->orphans); at && next;
         at = hp_list_next(&h->orphans, at))
        assert(HP_CONTAINER(at, hp_pconn, orphan_node)->at_work &&
               next->host == h);
}

/* What the wants of a host hold; its connections come from pool->all. */
static void
check_host(const hp_pool *p, const hp_host *h, found *f)
{
    found own = {0};
    check_waiters(p, h, &own);
    check_leased(p, h, &own);
    check_idle(h);
    for (hp_node *at = hp_list_first(&h->orphans); at;
         at = hp_list_next(&h->orphans, at)) {
        assert(HP_CONTAINER(at, hp_pconn, orphan_node)->host == h);
        own.n_orphans++;
    }
    assert(own.n_orphans == h->n_orphans);            /* I3 */
    assert(h->n_orphans <= hp_orphans_allowed(p, h)); /* I12 */
    check_orphans_block_nobody(p, h);
    for (hp_node *at = hp_list_first(&p->all); at;
         at = hp_list_next(&p->all, at)) {
        const hp_pconn *c = HP_CONTAINER(at, hp_pconn, all_node);
        if (c->host != h)
            continue;
        check_conn(p, c, &own.now);
        own.n_warming += c->warming;
        assert(!c->warming || c->room == HP_ROOM_DIALING);
    }
    assert(own.n_warming == h->n_warming);
    f->n_warming += own.n_warming;
    assert(same(&own.now, &h->now)); /* I3 */
    check_sums(&h->count, &h->now, own.n_slots);
    check_host_limits(p, h);
    f->now.idle += h->now.idle;
    f->now.in_use += h->now.in_use;
    f->now.dialing += h->now.dialing;
    f->now.draining += h->now.draining;
    f->now.waiting += h->now.waiting;
    f->now.asking += h->now.asking;
}

/* ---- the pool ---- */

static void
check_lru(const hp_pool *p)
{
    hp_ns since = INT64_MIN;
    int64_t n = 0;
    for (hp_node *at = hp_list_first(&p->lru); at;
         at = hp_list_next(&p->lru, at)) {
        const hp_pconn *c = HP_CONTAINER(at, hp_pconn, lru_node);
        assert(c->idle_since >= since); /* I10 */
        assert(p->retire_at <= hp_pconn_due(c));
        since = c->idle_since;
        n++;
    }
    assert(n + (p->checking != NULL) == p->now.idle); /* I3 */
    assert(p->limits.max_idle_conns == HP_NO_LIMIT ||
           p->now.idle <= p->limits.max_idle_conns); /* I10 */
}

/* No idle connection while somebody waits who could have its slot. */
static void
check_queue(const hp_pool *p)
{
    uint64_t seq = 0;
    int64_t n = 0;
    for (hp_node *at = hp_list_first(&p->queue); at;
         at = hp_list_next(&p->queue, at)) {
        const hp_want *w = HP_CONTAINER(at, hp_want, total_node);
        int64_t conns = hp_gauges_conns(&w->host->now);
        assert(w->seq > seq); /* I8 */
        seq = w->seq;
        n++;
        assert(hp_list_empty(&p->lru) ||
               !hp_below(conns, p->limits.max_conns_per_host)); /* I6 */
    }
    assert(n == (p->limits.max_conns == HP_NO_LIMIT ? 0 : p->now.waiting));
}

/* While max_conns is set: everybody, longest first. */
static void
check_all_leased(const hp_pool *p)
{
    hp_ns since = 0;
    int64_t n = 0;
    for (hp_node *at = hp_list_first(&p->leased); at;
         at = hp_list_next(&p->leased, at)) {
        const hp_want *w = HP_CONTAINER(at, hp_want, total_node);
        assert(w->conn && w->leased_at >= since);
        since = w->leased_at;
        n++;
    }
    assert(n == (p->limits.max_conns == HP_NO_LIMIT ? 0 : p->now.in_use));
}

static void
check_chores(const hp_pool *p)
{
    int64_t drains = 0, orphans = 0, armed = 0;
    for (hp_node *at = hp_list_first(&p->chores); at;
         at = hp_list_next(&p->chores, at)) {
        const hp_pconn *c = HP_CONTAINER(at, hp_pconn, chore_node);
        drains += c->drain != NULL;
        orphans += hp_node_linked(&c->orphan_node);
        assert(c->room == HP_ROOM_DRAINING || c->room == HP_ROOM_DIALING);
    }
    for (hp_node *at = hp_list_first(&p->all); at;
         at = hp_list_next(&p->all, at))
        armed += HP_CONTAINER(at, hp_pconn, all_node)->in_armed_map;
    assert(drains == p->n_drains && drains == p->now.draining); /* I3 */
    assert(orphans == p->n_orphans);
    assert((size_t)armed == p->armed.count);
}

static void
check_stashes(const hp_pool *p)
{
    int64_t spare = 0, with_record = 0;
    for (hp_node *at = hp_list_first(&p->spare_stashes); at;
         at = hp_list_next(&p->spare_stashes, at))
        spare++;
    for (hp_map_node *n = NULL; (n = hp_map_next(&p->hosts, n));)
        with_record += HOST_OF(n)->stash != NULL;
    assert(spare == p->n_spare_stashes && spare <= HP_SPARE_STASHES); /* I16 */
    assert((size_t)(spare + with_record) == p->stashes.count);
}

void
hp_pool_check(const hp_pool *p)
{
    HP_ASSERT_HELD(&p->mu);
    found sum = {0};
    for (hp_map_node *n = NULL; (n = hp_map_next(&p->hosts, n));)
        check_host(p, HOST_OF(n), &sum);
    assert(same(&sum.now, &p->now)); /* I3 */
    check_sums(&p->gone, &(hp_gauges){0}, 0);
    assert(sum.n_warming == p->n_warming);
    assert(p->limits.max_conns == HP_NO_LIMIT ||
           hp_gauges_conns(&p->now) <= p->limits.max_conns); /* I2 */
    check_lru(p);
    check_queue(p);
    check_all_leased(p);
    check_chores(p);
    check_stashes(p);
}

void
hp_pool_check_if_small(const hp_pool *p)
{
    if (hp_gauges_conns(&p->now) + p->now.waiting <= SMALL)
        hp_pool_check(p);
}

#endif
