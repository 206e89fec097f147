/* tally: counting and the snapshot. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "pool/host.h"

static_assert(HP_PHASE_COUNT <=
                  sizeof(((hp_counters *)0)->timeouts) / sizeof(uint64_t),
              "a counter for each phase");

/* Where to count for a want: its host while it has one. */
static hp_counters *
counters_of(hp_pool *p, const hp_want *w)
{
    return w->host ? &w->host->count : &p->gone;
}

void
hp_pool_tally_leak(hp_pool *p, hp_want *w)
{
    hp_lock(&p->mu);
    counters_of(p, w)->leaked++;
    hp_unlock(&p->mu);
}

void
hp_pool_tally_timeout(hp_pool *p, hp_want *w, hp_phase phase)
{
    hp_lock(&p->mu);
    counters_of(p, w)->timeouts[phase]++;
    hp_unlock(&p->mu);
}

void
hp_pool_tally_replay(hp_pool *p, hp_want *w, hp_replay_reason why)
{
    hp_lock(&p->mu);
    counters_of(p, w)->replays[why]++;
    hp_unlock(&p->mu);
}

void
hp_pool_tally_no_descriptor(hp_pool *p, hp_want *w)
{
    hp_lock(&p->mu);
    counters_of(p, w)->no_descriptors++;
    hp_unlock(&p->mu);
}

/* ---- closed by the server while idle ---- */

/* What squares of milliseconds can be summed up of without an overflow. */
#define LONGEST (3600 * HP_NS_PER_S)

void
hp_count_stale(hp_counters *n, hp_ns idle_time)
{
    uint64_t ms = (uint64_t)(hp_ns_min(idle_time, LONGEST) / HP_NS_PER_MS);
    n->stale++;
    n->stale_ms += ms;
    n->stale_ms2 += ms * ms;
}

void
hp_pool_tally_lost(hp_pool *p, hp_want *w)
{
    hp_lock(&p->mu);
    hp_counters *n = counters_of(p, w);
    n->lost++;
    if (w->was_idle)
        hp_count_stale(n, w->idle_time);
    hp_unlock(&p->mu);
}

/* ---- the snapshot ---- */

static void
fill(hp_stats *s, const hp_pool *p, char *keys)
{
    s->gone = (hp_host_stats){
        .key = "", .count = p->gone, .max_wait = p->gone_max_wait};
    s->total = s->gone;
    s->total.now = p->now;
    s->total.peak = p->peak;
    for (hp_map_node *n = NULL; (n = hp_map_next(&p->hosts, n));) {
        const hp_host *h = HP_CONTAINER(n, hp_host, node);
        hp_host_stats *out = &s->hosts[s->n_hosts++];
        *out = (hp_host_stats){.key = keys,
                               .now = h->now,
                               .peak = h->peak,
                               .count = h->count,
                               .max_wait = h->max_wait};
        memcpy(keys, h->node.key.ptr, h->node.key.len);
        keys += h->node.key.len + 1;
        hp_counters_add(&s->total.count, &h->count);
        if (h->max_wait > s->total.max_wait)
            s->total.max_wait = h->max_wait;
    }
}

static size_t
keys_size(const hp_pool *p)
{
    size_t n = 0;
    for (hp_map_node *m = NULL; (m = hp_map_next(&p->hosts, m));)
        n += m->key.len + 1;
    return n;
}

/* One block: the snapshot, its rows, the text of the keys. Measured and
 * allocated outside the lock, so it may have to be measured again. */
hp_stats *
hp_pool_stats(hp_pool *p)
{
    size_t n_hosts = 0, n_keys = 0;
    for (;;) {
        size_t rows = n_hosts * sizeof(hp_host_stats);
        hp_stats *s = hp_calloc(sizeof *s + rows + n_keys);
        if (s == NULL)
            return NULL;
        s->hosts = (hp_host_stats *)(s + 1);
        hp_lock(&p->mu);
        size_t need = keys_size(p);
        bool fits = p->hosts.count <= n_hosts && need <= n_keys;
        if (fits)
            fill(s, p, (char *)(s + 1) + rows);
        n_hosts = p->hosts.count + 8;
        n_keys = need + 256;
        hp_unlock(&p->mu);
        if (fits)
            return s;
        hp_free(s);
    }
}

void
hp_stats_free(hp_stats *s)
{
    hp_free(s);
}
