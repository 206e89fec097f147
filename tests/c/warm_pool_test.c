/* warm, the pool's side: how many dials the limits allow, who gets what they
 * make, and who is told. The keeper is turned by hand. */
#include <poll.h>

#include "pool_kit.h"

enum {
    MANY = 16
};

static kit_host a, b;

typedef struct kit_warmer {
    hp_warmer w;
    hp_interest interest;
    hp_pconn *dials[MANY];
    int n;
} kit_warmer;

static void
warmer_begin(hp_pool *p, kit_warmer *w, const kit_host *h)
{
    hp_err err = {0};
    *w = (kit_warmer){.w.key = &h->key};
    hp_interest_init(&w->interest);
    w->w.interest = &w->interest;
    CHECK_INT(hp_pool_warm_begin(p, &w->w, &err), 0);
}

/* Begins as many dials as it may, for n connections in all. */
static int
begin_dials(hp_pool *p, kit_warmer *w, int64_t n)
{
    int before = w->n;
    for (hp_pconn *c;; w->dials[w->n++] = c) {
        CHECK_INT(hp_pool_warm_dial(p, &w->w, n, KIT_S, KIT_S, &c), 0);
        if (c == NULL)
            return w->n - before;
        CHECK(w->n < MANY);
    }
}

static void
finish_dials(hp_pool *p, kit_warmer *w)
{
    while (w->n) {
        hp_wait wait;
        hp_err err = {0};
        hp_pconn *c = w->dials[--w->n];
        hp_wait_reset(&wait);
        CHECK_INT(hp_conn_step(&c->net, NULL, &wait, &err), HP_STEP_DONE);
        hp_pool_warmed(p, c);
    }
}

static void
give_up(hp_pool *p, kit_warmer *w)
{
    while (w->n)
        hp_pool_warm_failed(p, w->dials[--w->n], HP_CLOSE_CANCELLED);
    hp_pool_warm_end(p, &w->w);
}

static void
warm(hp_pool *p, const kit_host *h, int64_t n, int64_t ready)
{
    kit_warmer w;
    warmer_begin(p, &w, h);
    begin_dials(p, &w, n);
    finish_dials(p, &w);
    CHECK_INT(hp_pool_warmth(p, &w.w).ready, ready);
    hp_pool_warm_end(p, &w.w);
}

/* They lie idle, marked so that their first failure is replayed. */
static void
test_made_for_nobody(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    warm(p, &a, 5, 5);
    CHECK_GAUGES(p, 5, 0, 0, 0, 0);
    hp_counters n = kit_count(p);
    CHECK_INT(n.dials, 5);
    CHECK_INT(n.requests, 0);
    kit_want_init(&w, &a);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    CHECK(w.want.conn->reused && w.want.was_idle);
    CHECK_INT(w.want.conn->requests, 1);
    warm(p, &a, 7, 7); /* those in use are there, too */
    CHECK_GAUGES(p, 6, 1, 0, 0, 0);
    warm(p, &a, 3, 7);
    CHECK_INT(kit_count(p).dials, 7);
    kit_put(p, &w);
    kit_done(p);
}

static void
check_cap(hp_limits l, int64_t ready)
{
    hp_pool *p = kit_pool(&l);
    warm(p, &a, 9, ready);
    CHECK_GAUGES(p, ready, 0, 0, 0, 0);
    CHECK_INT(kit_count(p).dials, ready); /* none for nothing */
    CHECK_INT(kit_hosts(p), ready > 0);
    kit_done(p);
}

static void
test_limits(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 4;
    check_cap(l, 4);
    l = kit_limits();
    l.max_conns = 3;
    check_cap(l, 3);
    l = kit_limits();
    l.max_idle_conns_per_host = 2;
    check_cap(l, 2);
    l = kit_limits();
    l.max_idle_conns = 6;
    check_cap(l, 6);
    l.max_idle_conns = 0;
    check_cap(l, 0);
    l = kit_limits();
    l.idle_conn_timeout = 0;
    check_cap(l, 0);
    l = kit_limits();
    l.disable_keepalives = true;
    check_cap(l, 0);
}

/* Nothing of another host is closed for it, neither to be under max_conns nor
 * under the cap on idle ones. */
static void
test_takes_nothing_from_others(void)
{
    for (int idle = 0; idle < 2; idle++) {
        hp_limits l = kit_limits();
        l.max_conns = idle ? HP_NO_LIMIT : 4;
        l.max_idle_conns = idle ? 4 : 100;
        hp_pool *p = kit_pool(&l);
        kit_fill(p, &b, 3, NULL);
        warm(p, &a, 5, 1);
        CHECK_GAUGES(p, 4, 0, 0, 0, 0);
        CHECK_INT(kit_count(p).dials, 4);
        kit_done(p);
    }
}

/* A dial of somebody else counts as coming, be it for a request or another who
 * warms; each that ends is told. */
static void
test_dials_of_others(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want r;
    kit_warmer v, w;
    kit_want_init(&r, &a);
    CHECK_INT(kit_acquire(p, &r), HP_WANT_DIALING);
    warmer_begin(p, &v, &a);
    warmer_begin(p, &w, &a);
    hp_waker *waker = hp_waker_new();
    w.w.waker = waker;
    struct pollfd fd = {.fd = hp_waker_fd(waker), .events = POLLIN};
    CHECK_INT(begin_dials(p, &v, 3), 2);
    CHECK_INT(begin_dials(p, &w, 4), 1);
    CHECK_INT(begin_dials(p, &v, 4), 0);
    hp_warmth now = hp_pool_warmth(p, &w.w);
    CHECK_INT(now.ready, 0);
    CHECK_INT(now.coming, 4);
    CHECK_INT(poll(&fd, 1, 0), 0);
    hp_pool_cancel(p, &r.want, NULL); /* a slot that is not dialed with */
    CHECK_INT(poll(&fd, 1, 0), 1);
    hp_waker_clear(waker, 1);
    CHECK_INT(hp_pool_warmth(p, &w.w).coming, 3);
    finish_dials(p, &v);
    CHECK_INT(poll(&fd, 1, 0), 1);
    hp_waker_clear(waker, 1);
    CHECK_INT(begin_dials(p, &w, 4), 1); /* instead of the request's */
    hp_pool_warm_end(p, &v.w);
    give_up(p, &w);
    hp_waker_unref(waker);
    CHECK_INT(kit_closes(p, HP_CLOSE_CANCELLED), 2);
    CHECK_GAUGES(p, 2, 0, 0, 0, 0);
    kit_done(p);
}

/* What it makes goes to who waits, and what it cannot make room for waits. */
static void
test_waiters_first(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 2;
    hp_pool *p = kit_pool(&l);
    kit_want r[2];
    kit_warmer w;
    warmer_begin(p, &w, &a);
    CHECK_INT(begin_dials(p, &w, 2), 2);
    for (int i = 0; i < 2; i++) {
        kit_want_init(&r[i], &a);
        CHECK_INT(kit_acquire(p, &r[i]), HP_WANT_QUEUED);
    }
    hp_pool_warm_failed(p, w.dials[--w.n], HP_CLOSE_DIAL_FAILED);
    CHECK_INT(hp_pool_look(p, &r[0].want), HP_WANT_DIALING);
    CHECK_INT(begin_dials(p, &w, 2), 0);
    finish_dials(p, &w);
    CHECK_INT(hp_pool_look(p, &r[0].want), HP_WANT_LEASED);
    CHECK_INT(hp_pool_look(p, &r[1].want), HP_WANT_DIALING);
    kit_dial(p, &r[1]);
    CHECK_INT(hp_pool_warmth(p, &w.w).ready, 2);
    hp_pool_warm_end(p, &w.w);
    for (int i = 0; i < 2; i++)
        kit_put(p, &r[i]);
    kit_done(p);
}

static void
test_close(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_warmer w, late;
    hp_err err = {0};
    warmer_begin(p, &w, &a);
    CHECK_INT(begin_dials(p, &w, 2), 2);
    hp_pool_close(p);
    CHECK_INT(hp_interest_get(&w.interest), HP_E_CLOSED);
    CHECK_INT(begin_dials(p, &w, 3), 0);
    hp_pool_warmed(p, w.dials[--w.n]); /* too late: closed */
    give_up(p, &w);
    CHECK_INT(kit_closes(p, HP_CLOSE_POOL_CLOSED) +
                  kit_closes(p, HP_CLOSE_CANCELLED),
              2);
    CHECK_INT(kit_hosts(p), 0);
    late = (kit_warmer){.w.key = &a.key};
    CHECK_INT(hp_pool_warm_begin(p, &late.w, &err), -1);
    CHECK_INT(err.code, HP_E_CLOSED);
    hp_pool_warm_end(p, &late.w);
    kit_done(p);
}

/* After close_idle() it counts as a wish to have some again. */
static void
test_after_close_idle(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    hp_pool_close_idle(p, (hp_span){0});
    warm(p, &a, 2, 2);
    CHECK_GAUGES(p, 2, 0, 0, 0, 0);
    kit_done(p);
}

int
main(void)
{
    hp_keeper_by_hand();
    kit_host_init(&a, "a.example");
    kit_host_init(&b, "b.example");
    RUN(test_made_for_nobody);
    RUN(test_limits);
    RUN(test_takes_nothing_from_others);
    RUN(test_dials_of_others);
    RUN(test_waiters_first);
    RUN(test_close);
    RUN(test_after_close_idle);
    DONE();
}
