/* evicted: what a higher max_idle_conns would have spared. Pool lock held.
 *
 * A cache's capacity misses: a host whose idle connection had to make room is
 * dialed again while that connection would still have been good. Its record may
 * be gone by then, so the pool itself remembers, in a cache of its own: sets of
 * a few, of which the oldest makes room. What that has forgotten is not
 * counted, so the counts are low rather than high, and end where a cap of
 * hundreds more would be asked for. */
#include "pool/host.h"

/* The one of the key; else, if `any`, the place for it: the oldest, or an empty
 * one. */
static hp_evicted *
find(hp_pool *p, uint64_t hash, bool any)
{
    hp_evicted *set = p->evicted[hash % HP_EVICTED_SETS];
    hp_evicted *oldest = &set[0];
    for (int i = 0; i < HP_EVICTED_WAYS; i++) {
        if (set[i].nth && set[i].hash == hash)
            return &set[i];
        if (set[i].nth < oldest->nth)
            oldest = &set[i];
    }
    return any ? oldest : NULL;
}

static hp_ns
good_until(const hp_pool *p, const hp_pconn *c)
{
    hp_ns limit = p->limits.idle_conn_timeout;
    return hp_ns_min(hp_pconn_due(c), hp_deadline_after(c->idle_since, limit));
}

void
hp_evicted_note(hp_pool *p, const hp_pconn *c)
{
    HP_ASSERT_HELD(&p->mu);
    uint64_t hash = c->host->node.hash;
    *find(p, hash, true) = (hp_evicted){
        .hash = hash, .nth = ++p->n_evicted, .until = good_until(p, c)};
}

void
hp_evicted_dial(hp_pool *p, hp_host *h)
{
    HP_ASSERT_HELD(&p->mu);
    hp_evicted *e = find(p, h->node.hash, false);
    if (e == NULL)
        return;
    if (hp_clock_idle() < e->until) {
        h->count.cap_misses++;
        h->count.cap_short += p->n_evicted - e->nth + 1;
    }
    e->nth = 0;
}
