/* admin: what is done to a pool as a whole: closing, forking. */
#include <assert.h>
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
            hp_want_give_up(w);
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
    for (hp_map_node *n = NULL; (n = hp_map_next(&p->hosts, n));)
        hp_warmers_end(HOST_OF(n));
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
    /* It lets go of a pool that has nothing left. */
    t.call_keeper |= p->keep_at != HP_NEVER;
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

void
hp_pool_fork_parent(hp_pool *p)
{
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
    hp_list_init(&p->leased);
    hp_list_init(&p->unarmed);
    hp_list_init(&p->chores);
    p->now = p->peak = (hp_gauges){0};
    p->gone = (hp_counters){0};
    p->gone_max_wait = 0;
    memset(p->evicted, 0, sizeof p->evicted);
    p->n_drains = p->n_orphans = p->n_warming = 0;
    p->retire_at = HP_NEVER;
    p->checking = NULL;
    p->keep_at = HP_NEVER;
    p->keeper_slot = -1;
}
