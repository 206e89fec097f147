/* admin: what is done to a pool as a whole: closing, forking, describing. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "pool/host.h"
#include "pool/keeper.h"

#define HOST_OF(n) HP_CONTAINER(n, hp_host, node)

/* ---- close ---- */

static size_t discard_idle(hp_pool *p, hp_span host, hp_close_reason why,
                           hp_trash *t);

static void
refuse(hp_pool *p, hp_want *w, hp_trash *t)
{
    hp_want_unserved(p, w);
    w->state = HP_WANT_REFUSED;
    w->host = NULL; /* it may be gone before the want's owner looks */
    w->conn = NULL;
    hp_trash_wake(t, w->waker);
}

static void
refuse_waiters(hp_pool *p, hp_host *h, hp_trash *t)
{
    hp_node *n;
    while ((n = hp_list_first(&h->waiters)) != NULL) {
        hp_want *w = HP_CONTAINER(n, hp_want, wait_node);
        hp_want_unlink(p, w, t);
        hp_slot_return(p, w, t);
        refuse(p, w, t);
    }
}

/* A connection that was delivered but not looked at goes back. After close() a
 * body under way stays readable. The signal wakes under the lock: the want's
 * owner, who holds the interest, may be gone as soon as we unlock. */
static void
end_leases(hp_pool *p, hp_host *h, bool bodies_too, hp_trash *t)
{
    hp_node *n = hp_list_first(&h->leased);
    while (n) {
        hp_want *w = HP_CONTAINER(n, hp_want, wait_node);
        n = hp_list_next(&h->leased, n);
        bool in_body = atomic_load(&w->holding) >= HP_HOLDING_BODY_UNREAD;
        if (w->state == HP_WANT_SERVED) {
            hp_pconn *c = w->conn;
            hp_list_remove(&w->wait_node);
            refuse(p, w, t);
            hp_pconn_offer(p, c, hp_clock_idle(), t);
        } else if (w->interest && (bodies_too || !in_body)) {
            hp_interest_signal(w->interest, HP_E_CLOSED);
        }
    }
}

/* First those who wait, so that nothing is handed to them on the way. Slots
 * are handed on nevertheless, and a host's record may become empty: pinned. */
static void
end_all(hp_pool *p, bool bodies_too, hp_trash *t)
{
    for (hp_map_node *n = NULL; (n = hp_map_next(&p->hosts, n));)
        HOST_OF(n)->pins++;
    for (hp_map_node *n = NULL; (n = hp_map_next(&p->hosts, n));)
        refuse_waiters(p, HOST_OF(n), t);
    for (hp_map_node *n = NULL; (n = hp_map_next(&p->hosts, n));)
        end_leases(p, HOST_OF(n), bodies_too, t);
    hp_map_node *next = hp_map_next(&p->hosts, NULL);
    while (next) {
        hp_host *h = HOST_OF(next);
        next = hp_map_next(&p->hosts, next);
        h->pins--;
        hp_host_maybe_gone(p, h, t);
    }
}

void
hp_pool_close(hp_pool *p)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    atomic_store(&p->closed, true);
    discard_idle(p, (hp_span){0}, HP_CLOSE_POOL_CLOSED, &t);
    end_all(p, false, &t);
    hp_stash_drop_spare(p, &t);
    for (hp_map_node *n = NULL; (n = hp_map_next(&p->hosts, n));)
        hp_orphans_trim(p, HOST_OF(n), &t);
    /* It lets go of a pool that has nothing left. After a fork no acquire will
     * call it any more. */
    t.call_keeper |= p->keep_at != HP_NEVER || p->keeper_lost;
    p->keeper_lost = false;
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
}

void
hp_pool_interrupt(hp_pool *p)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    end_all(p, true, &t);
    t.call_keeper = false; /* the exit stops it */
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
}

/* ---- close_idle ---- */

/* "example.com" or "example.com:80" against "|http|example.com:80|tls=1". */
static bool
names_host(hp_span wanted, hp_span key)
{
    if (wanted.len == 0)
        return true;
    hp_span address = hp_key_address(key);
    if (hp_span_eq_nocase(wanted, address))
        return true;
    while (address.len && address.ptr[address.len - 1] != ':')
        address.len--;
    if (address.len)
        address.len--;
    if (hp_span_eq_nocase(wanted, address))
        return true;
    if (address.len < 2 || address.ptr[0] != '[')
        return false;
    return hp_span_eq_nocase(wanted,
                             hp_span_of(address.ptr + 1, address.len - 2));
}

static size_t
discard_idle(hp_pool *p, hp_span host, hp_close_reason why, hp_trash *t)
{
    size_t closed = 0;
    hp_node *n = hp_list_first(&p->lru);
    while (n) {
        hp_pconn *c = HP_CONTAINER(n, hp_pconn, lru_node);
        n = hp_list_next(&p->lru, n);
        if (names_host(host, c->host->node.key)) {
            hp_pconn_discard(p, c, why, t);
            closed++;
        }
    }
    if (p->checking && p->doomed == HP_KEEP &&
        names_host(host, p->checking->host->node.key)) {
        p->doomed = why;
        closed++;
    }
    return closed;
}

size_t
hp_pool_close_idle(hp_pool *p, hp_span host)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    if (host.len == 0)
        p->close_idle = true;
    for (hp_map_node *m = NULL; (m = hp_map_next(&p->hosts, m));) {
        if (names_host(host, m->key))
            hp_orphans_abort(p, HOST_OF(m), &t);
    }
    size_t n = discard_idle(p, host, HP_CLOSE_CLOSE_IDLE_CALLED, &t);
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
    return n;
}

/* ---- fork ---- */

void
hp_pool_fork_prepare(hp_pool *p)
{
    hp_lock(&p->mu);
    hp_lock(&p->events.mu);
}

/* To call it here would start a thread before fork() returns. */
static void
wake_one_waiter(hp_pool *p)
{
    for (hp_map_node *n = NULL; (n = hp_map_next(&p->hosts, n));) {
        hp_node *first = hp_list_first(&HOST_OF(n)->waiters);
        hp_want *w = first ? HP_CONTAINER(first, hp_want, wait_node) : NULL;
        if (w && w->waker) {
            hp_waker_wake(w->waker);
            return;
        }
    }
}

/* The keeper was stopped. The next release, acquire or look calls it again;
 * if only waiters are left, one of them has to look. */
void
hp_pool_fork_parent(hp_pool *p)
{
    bool chores = !hp_list_empty(&p->chores);
    p->keep_at = HP_NEVER;
    p->keeper_slot = -1;
    hp_pool_disarm(p);
    p->keeper_lost = chores || p->now.idle > 0;
    if (chores)
        wake_one_waiter(p);
    hp_unlock(&p->events.mu);
    hp_pool_unlock(p);
}

static void
abandon_conns(hp_pool *p)
{
    hp_node *n;
    while ((n = hp_list_pop_front(&p->all)) != NULL) {
        hp_pconn *c = HP_CONTAINER(n, hp_pconn, all_node);
        hp_conn_abandon(&c->net);
        hp_free(c->armed_entry);
        hp_free(c->drain);
        hp_free(c);
    }
}

static void
forget_hosts(hp_pool *p)
{
    hp_map_node *next = hp_map_next(&p->hosts, NULL);
    while (next) {
        hp_host *h = HOST_OF(next);
        next = hp_map_next(&p->hosts, next);
        hp_host_free(h);
    }
    hp_map_free(&p->hosts);
    hp_map_free(&p->armed);
}

/* The child starts with an empty pool. Wants of the parent's exchanges are not
 * touched: their exchanges know that they belong to another generation. */
void
hp_pool_fork_child(hp_pool *p)
{
    hp_mutex_init(&p->mu);
    hp_mutex_init(&p->events.mu);
    hp_events_abandon(&p->events); /* the parent tells of them */
    abandon_conns(p);
    forget_hosts(p);
    hp_stash_fork_child(p);
    hp_list_init(&p->lru);
    hp_list_init(&p->queue);
    hp_list_init(&p->unarmed);
    hp_list_init(&p->chores);
    p->now = p->peak = (hp_gauges){0};
    p->gone = (hp_counters){0};
    p->gone_max_wait = 0;
    p->n_drains = p->n_orphans = 0;
    p->retire_at = HP_NEVER;
    p->checking = NULL;
    p->keep_at = HP_NEVER;
    p->keeper_lost = false;
    p->keeper_slot = -1;
}

/* ---- describe ---- */

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

static const hp_want *
longest_holder(const hp_pool *p, const hp_host *only)
{
    const hp_want *oldest = NULL;
    for (hp_map_node *n = NULL; (n = hp_map_next(&p->hosts, n));) {
        hp_node *first = hp_list_first(&HOST_OF(n)->leased);
        if (first == NULL || (only && HOST_OF(n) != only))
            continue;
        const hp_want *w = HP_CONTAINER(first, hp_want, wait_node);
        if (oldest == NULL || w->leased_at < oldest->leased_at)
            oldest = w;
    }
    return oldest;
}

static int
describe_counts(const hp_gauges *g, int64_t limit, const char *name, char *out,
                size_t cap)
{
    int n = snprintf(out, cap, "%lld of %lld in use", (long long)g->in_use,
                     (long long)limit);
    const struct {
        int64_t n;
        const char *word;
    } others[] = {{g->dialing, "dialing"}, {g->draining, "draining"}};
    for (int i = 0; i < 2; i++) {
        if (others[i].n && n >= 0 && (size_t)n < cap)
            n += snprintf(out + n, cap - (size_t)n, ", %lld %s",
                          (long long)others[i].n, others[i].word);
    }
    if (n >= 0 && (size_t)n < cap)
        n += snprintf(out + n, cap - (size_t)n, " (%s), %lld waiting", name,
                      (long long)g->waiting);
    return n;
}

enum {
    SITE_SHOWN = 120 /* of a line's text, which is known by its end */
};

static hp_span
last(hp_span s, size_t n)
{
    return s.len > n ? hp_span_of(s.ptr + s.len - n, n) : s;
}

static void
describe_holder(const hp_want *w, char *out, size_t cap)
{
    hp_span site = last(w->site, SITE_SHOWN);
    snprintf(out, cap,
             "; the oldest has been held for %.1f s by %.*s %.*s %s%s%s%.*s",
             (double)(hp_clock_now() - w->leased_at) / HP_NS_PER_S,
             w->method.len > 20 ? 20 : (int)w->method.len, w->method.ptr,
             w->path.len > 80 ? 80 : (int)w->path.len, w->path.ptr,
             holding_words(atomic_load(&w->holding)),
             site.len ? ", made at " : "", site.len < w->site.len ? "..." : "",
             (int)site.len, site.ptr);
}

static void
describe_locked(hp_pool *p, const hp_host *h, hp_ns waited, hp_err *err)
{
    bool host_full =
        !hp_below(hp_gauges_conns(&h->now), p->limits.max_conns_per_host);
    hp_span address = hp_key_address(h->node.key);
    char counts[160], holder[360] = "";
    describe_counts(
        host_full ? &h->now : &p->now,
        host_full ? p->limits.max_conns_per_host : p->limits.max_conns,
        host_full ? "max_conns_per_host" : "max_conns", counts, sizeof counts);
    const hp_want *o = longest_holder(p, host_full ? h : NULL);
    if (o)
        describe_holder(o, holder, sizeof holder);
    hp_err_set(err, HP_E_POOL_TIMEOUT,
               "waited %.1f s for a connection to %.*s: %s%s",
               (double)waited / HP_NS_PER_S,
               address.len > 100 ? 100 : (int)address.len, address.ptr, counts,
               holder);
}

void
hp_pool_describe_wait(hp_pool *p, const hp_want *w, hp_ns waited, hp_err *err)
{
    hp_lock(&p->mu);
    if (w->host)
        describe_locked(p, w->host, waited, err);
    else /* refused at this very moment */
        hp_err_set(err, HP_E_CLOSED, "the client was closed");
    hp_unlock(&p->mu);
}
