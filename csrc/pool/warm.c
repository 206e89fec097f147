/* warm: connections that are made before anybody asks for them. Who warms a
 * host dials for nobody: what gets ready goes the way of a returned connection,
 * to the oldest waiter or to the idle list. He takes free slots only, and no
 * more than may stay idle afterwards. */
#include <assert.h>

#include "base/mem.h"
#include "pool/host.h"

static void
unlink_warmer(hp_pool *p, hp_warmer *w, hp_trash *t)
{
    hp_host *h = w->host;
    hp_list_remove(&w->node);
    w->host = NULL;
    hp_host_maybe_gone(p, h, t);
}

int
hp_pool_warm_begin(hp_pool *p, hp_warmer *w, hp_err *err)
{
    hp_lock(&p->mu);
    bool closed = hp_pool_is_closed(p);
    w->host = closed ? NULL : hp_host_get(p, w->key);
    if (w->host) {
        p->close_idle = false;
        hp_list_push_back(&w->host->warmers, &w->node);
    }
    hp_pool_unlock(p);
    if (closed)
        return hp_err_set(err, HP_E_CLOSED, "the client is closed");
    return w->host ? 0 : hp_err_set(err, HP_E_NOMEM, "out of memory");
}

void
hp_pool_warm_end(hp_pool *p, hp_warmer *w)
{
    hp_trash t = {0};
    if (w->host == NULL)
        return;
    hp_lock(&p->mu);
    unlink_warmer(p, w, &t);
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
}

static hp_warmth
warmth(const hp_host *h)
{
    return (hp_warmth){.ready = h->now.idle + h->now.in_use,
                       .coming = h->now.dialing};
}

hp_warmth
hp_pool_warmth(hp_pool *p, const hp_warmer *w)
{
    hp_lock(&p->mu);
    hp_warmth now = warmth(w->host);
    hp_unlock(&p->mu);
    return now;
}

/* Those being warmed are as good as idle. */
static bool
may_keep_one_more(const hp_pool *p, const hp_host *h)
{
    const hp_limits *l = &p->limits;
    return !hp_pool_is_closed(p) && !l->disable_keepalives &&
           l->idle_conn_timeout != 0 &&
           hp_below(h->now.idle + h->n_warming, l->max_idle_conns_per_host) &&
           hp_below(p->now.idle + p->n_warming, l->max_idle_conns);
}

static bool
begin(hp_pool *p, hp_warmer *w, int64_t n, hp_pconn *c, hp_ns connect_timeout,
      hp_ns tls_timeout)
{
    hp_trash none = {0};
    hp_warmth now = warmth(w->host);
    if (now.ready + now.coming >= n || !may_keep_one_more(p, w->host) ||
        !hp_pool_has_room(p, w->host, &none, false))
        return false;
    hp_dial_begin(p, w->host, c, connect_timeout, tls_timeout);
    hp_room_enter(p, c, HP_ROOM_DIALING);
    c->warming = true;
    w->host->n_warming++;
    p->n_warming++;
    hp_pconn_tell(p, c, w->trace);
    return true;
}

int
hp_pool_warm_dial(hp_pool *p, hp_warmer *w, int64_t n, hp_ns connect_timeout,
                  hp_ns tls_timeout, hp_pconn **out)
{
    hp_pconn *c = hp_pconn_new(w->key);
    *out = NULL;
    if (c == NULL)
        return -1;
    hp_lock(&p->mu);
    if (begin(p, w, n, c, connect_timeout, tls_timeout))
        *out = c;
    hp_pool_unlock(p);
    if (*out == NULL)
        hp_free(c);
    return 0;
}

void
hp_pool_warmed(hp_pool *p, hp_pconn *dialed)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    hp_pconn_count_dial(p, dialed);
    hp_pconn_offer(p, dialed, hp_clock_idle(), &t);
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
}

void
hp_pool_warm_failed(hp_pool *p, hp_pconn *dial, hp_close_reason why)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    hp_pconn_count_dial(p, dial);
    hp_pconn_discard(p, dial, why, &t);
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
}

/* A wake never waits, and the warmer holds its waker for as long as it is on
 * the list. */
void
hp_warmers_wake(const hp_host *h)
{
    for (const hp_node *n = hp_list_first(&h->warmers); n;
         n = hp_list_next(&h->warmers, n)) {
        hp_warmer *w = HP_CONTAINER(n, hp_warmer, node);
        if (w->waker)
            hp_waker_wake(w->waker);
    }
}

void
hp_warmers_end(const hp_host *h)
{
    for (const hp_node *n = hp_list_first(&h->warmers); n;
         n = hp_list_next(&h->warmers, n))
        hp_interest_signal(HP_CONTAINER(n, hp_warmer, node)->interest,
                           HP_E_CLOSED);
}
