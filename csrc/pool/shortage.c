/* shortage: the facts, taken under the pool lock, and their words. */
#include "pool/shortage.h"

#include <stdatomic.h>
#include <stdio.h>

#include "pool/host.h"

enum {
    METHOD_SHOWN = 20,
    PATH_SHOWN = 80,
    ADDRESS_SHOWN = 100,
    SITE_SHOWN = 120, /* of a line's text, which is known by its end */
    COUNTS_MAX = 160,
    OLDEST_MAX = HP_SHORTAGE_HOLDER_MAX + 64
};

/* ---- the facts ---- */

static const char *
holding_words(int holding)
{
    switch (holding) {
    case HP_HOLDING_SENDING:
        return "still being sent";
    case HP_HOLDING_AWAITING_HEAD:
        return "awaiting its answer";
    case HP_HOLDING_BODY_UNREAD:
        return "and its body is unread";
    default:
        return "and its body is half read";
    }
}

static int
shown(hp_span s, int most)
{
    return s.len > (size_t)most ? most : (int)s.len;
}

static void
note_holder(const hp_want *w, hp_shortage *out)
{
    hp_span site = w->site;
    int n = shown(site, SITE_SHOWN);
    out->held_for = hp_clock_now() - w->leased_at;
    snprintf(out->holder, sizeof out->holder, "%.*s %.*s %s%s%s%.*s",
             shown(w->method, METHOD_SHOWN), w->method.ptr,
             shown(w->path, PATH_SHOWN), w->path.ptr,
             holding_words(atomic_load(&w->holding)),
             site.len ? ", made at " : "", (size_t)n < site.len ? "..." : "", n,
             n ? site.ptr + site.len - n : "");
}

void
hp_shortage_note(const hp_pool *p, const hp_host *h, hp_shortage *out)
{
    HP_ASSERT_HELD(&p->mu);
    bool host_full = !hp_host_has_room(p, h);
    const hp_gauges *now = host_full ? &h->now : &p->now;
    const hp_node *oldest = hp_list_first(host_full ? &h->leased : &p->leased);
    *out = (hp_shortage){
        .in_use = now->in_use,
        .dialing = now->dialing,
        .draining = now->draining,
        .waiting = now->waiting,
        .limit = host_full ? p->limits.max_conns_per_host : p->limits.max_conns,
        .limit_name = host_full ? "max_conns_per_host" : "max_conns",
        .held_for = -1,
    };
    if (oldest)
        note_holder(host_full ? HP_CONTAINER(oldest, hp_want, wait_node)
                              : HP_CONTAINER(oldest, hp_want, total_node),
                    out);
}

/* ---- the words ---- */

/* "2 of 4 in use, 1 dialing (max_conns)" */
static const char *
count_words(const hp_shortage *s, char out[COUNTS_MAX])
{
    const struct {
        int64_t n;
        const char *word;
    } others[] = {{s->dialing, "dialing"}, {s->draining, "draining"}};
    int n = snprintf(out, COUNTS_MAX, "%lld of %lld in use",
                     (long long)s->in_use, (long long)s->limit);
    for (int i = 0; i < 2; i++) {
        if (others[i].n)
            n += snprintf(out + n, COUNTS_MAX - (size_t)n, ", %lld %s",
                          (long long)others[i].n, others[i].word);
    }
    snprintf(out + n, COUNTS_MAX - (size_t)n, " (%s)", s->limit_name);
    return out;
}

static const char *
oldest_words(const hp_shortage *s, char out[OLDEST_MAX])
{
    *out = '\0';
    if (s->held_for >= 0)
        snprintf(out, OLDEST_MAX, "; the oldest has been held for %.1f s by %s",
                 (double)s->held_for / HP_NS_PER_S, s->holder);
    return out;
}

void
hp_shortage_timed_out(const hp_shortage *s, hp_span address, hp_ns waited,
                      hp_err *err)
{
    char counts[COUNTS_MAX], oldest[OLDEST_MAX];
    hp_err_set(err, HP_E_POOL_TIMEOUT,
               "waited %.1f s for a connection to %.*s: %s, %lld waiting%s",
               (double)waited / HP_NS_PER_S, shown(address, ADDRESS_SHOWN),
               address.ptr, count_words(s, counts), (long long)s->waiting,
               oldest_words(s, oldest));
}

void
hp_shortage_queue_full(const hp_shortage *s, hp_span address, hp_err *err)
{
    char counts[COUNTS_MAX], oldest[OLDEST_MAX];
    hp_err_set(err, HP_E_QUEUE_FULL,
               "no connection to %.*s is free: %s, and %lld requests wait "
               "already, as many as may (max_waiting)%s",
               shown(address, ADDRESS_SHOWN), address.ptr,
               count_words(s, counts), (long long)s->waiting,
               oldest_words(s, oldest));
}
