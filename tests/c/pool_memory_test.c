/* pool_memory: every allocation fails once, at every place in turn; nothing is
 * lost and the next attempt works. */
#include "pool_kit.h"

static kit_host a;

/* How many allocations `fn` makes: it is called with 0, 1, ... of them
 * succeeding until it makes no more. */
static void
at_each_failure(bool (*fn)(void))
{
    bool ok = false;
    for (long n = 0; !ok; n++) {
        CHECK(n < 100);
        ok = fn();
        hp_mem_fail_after(-1);
        CHECK_INT(kit_open_now(), 0);
    }
}

static long nth;

static void
fail_next(void)
{
    hp_mem_fail_after(nth++);
}

/* ---- acquire ---- */

static bool
acquire_once(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    hp_err err = {0};
    kit_want_init(&w, &a);
    fail_next();
    int r = hp_pool_acquire(p, &w.want, &err);
    hp_mem_fail_after(-1);
    if (r != 0) {
        CHECK_INT(err.code, HP_E_NOMEM);
        CHECK(w.want.state == HP_WANT_NEW && w.want.host == NULL);
        CHECK_INT(kit_hosts(p), 0);
        kit_check(p);
        kit_get(p, &w);
        kit_put(p, &w);
    } else {
        hp_pool_cancel(p, &w.want, NULL);
    }
    kit_done(p);
    return r == 0;
}

static void
test_acquire(void)
{
    nth = 0;
    at_each_failure(acquire_once);
    CHECK(nth >= 4); /* record, strings, table; and one that worked */
}

/* A second host while the first has somebody waiting: nothing of his moves. */
static bool
acquire_beside_others(void)
{
    hp_limits l = kit_limits();
    l.max_conns = 1;
    hp_pool *p = kit_pool(&l);
    kit_host b;
    kit_want u, v, w;
    hp_err err = {0};
    kit_host_init(&b, "b");
    kit_want_init(&u, &a);
    kit_want_init(&v, &a);
    kit_want_init(&w, &b);
    kit_get(p, &u);
    CHECK_INT(kit_acquire(p, &v), HP_WANT_QUEUED);
    fail_next();
    int r = hp_pool_acquire(p, &w.want, &err);
    hp_mem_fail_after(-1);
    CHECK_GAUGES(p, 0, 1, 0, 0, r == 0 ? 2 : 1);
    kit_put(p, &u);
    CHECK_INT(hp_pool_look(p, &v.want), HP_WANT_LEASED);
    kit_put(p, &v);
    hp_pool_cancel(p, &w.want, NULL);
    kit_done(p);
    return r == 0;
}

static void
test_acquire_beside_others(void)
{
    nth = 0;
    at_each_failure(acquire_beside_others);
}

/* ---- new_conn ---- */

static bool
new_conn_once(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    hp_pool *p = kit_pool(&l);
    kit_want w, x;
    kit_want_init(&w, &a);
    kit_want_init(&x, &a);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
    fail_next();
    int r = hp_pool_new_conn(p, &w.want, KIT_S, KIT_S, &w.dial);
    hp_mem_fail_after(-1);
    CHECK_INT(w.want.state, HP_WANT_DIALING);
    CHECK((r == 0) == (w.dial != NULL));
    hp_pool_cancel(p, &w.want, w.dial);
    if (r != 0) /* its slot goes on */
        CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_DIALING);
    hp_pool_cancel(p, &x.want, NULL);
    hp_pool_keep(p, hp_clock_now());
    CHECK_INT(kit_hosts(p), 0);
    kit_done(p);
    return r == 0;
}

static void
test_new_conn(void)
{
    nth = 0;
    at_each_failure(new_conn_once);
    CHECK_INT(nth, 2);
}

/* ---- put_undrained ---- */

static bool
put_undrained_once(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    hp_framing f = {.kind = HP_BODY_LENGTH, .length = 5};
    hp_body body;
    kit_want_init(&w, &a);
    kit_get(p, &w);
    hp_body_init(&body, &f);
    fail_next();
    hp_close_reason why = hp_pool_put_undrained(p, &w.want, &body);
    hp_mem_fail_after(-1);
    CHECK_INT(w.want.state, HP_WANT_NEW);
    CHECK_INT(body.ended, why == HP_KEEP);
    CHECK_INT(kit_now(p).draining, why == HP_KEEP);
    if (why != HP_KEEP) {
        CHECK_INT(why, HP_CLOSE_BODY_UNREAD);
        CHECK_INT(kit_hosts(p), 0);
    }
    hp_body_free(&body);
    kit_done(p);
    return why == HP_KEEP;
}

static void
test_put_undrained(void)
{
    nth = 0;
    at_each_failure(put_undrained_once);
    CHECK_INT(nth, 2);
}

/* ---- the rest ---- */

static bool
pool_and_stats_once(void)
{
    hp_limits l = kit_limits();
    fail_next();
    hp_pool *p = hp_pool_new(&l, NULL);
    if (p == NULL)
        return false;
    kit_want w;
    kit_want_init(&w, &a);
    hp_mem_fail_after(-1);
    kit_get(p, &w);
    kit_put(p, &w);
    hp_mem_fail_after(nth - 3); /* the n-th of the snapshot's */
    hp_stats *s = hp_pool_stats(p);
    hp_mem_fail_after(-1);
    hp_stats_free(s);
    kit_done(p);
    return s != NULL;
}

static void
test_pool_and_stats(void)
{
    nth = 0;
    at_each_failure(pool_and_stats_once);
    CHECK(nth >= 3);
}

/* Release and hand-over allocate nothing: they cannot fail. */
static void
test_release_needs_no_memory(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    hp_pool *p = kit_pool(&l);
    kit_want w, x;
    kit_want_init(&w, &a);
    kit_want_init(&x, &a);
    kit_get(p, &w);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
    hp_mem_fail_after(0);
    kit_put(p, &w);
    CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_LEASED);
    kit_put(p, &x);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_LEASED); /* nor does reuse */
    kit_put(p, &x);
    hp_pool_close_idle(p, (hp_span){0});
    hp_mem_fail_after(-1);
    kit_done(p);
}

/* Unwatched for want of memory: the connection is as good as any. */
static void
test_arming_without_memory(void)
{
    kit_server server = {0};
    kit_host pair;
    kit_want w;
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_host_init(&pair, "pair");
    pair.key.open_stream = kit_open_pair;
    pair.key.open_arg = &server;
    kit_want_init(&w, &pair);
    for (long n = 0; n < 2; n++) {
        kit_get(p, &w);
        hp_pconn *c = w.want.conn;
        kit_put(p, &w);
        hp_clock_advance(KIT_S);
        hp_mem_fail_after(n);
        hp_pool_keep(p, hp_clock_now());
        hp_mem_fail_after(-1);
        CHECK(!c->armed && !c->in_armed_map);
        kit_check(p);
    }
    CHECK_INT(kit_now(p).idle, 1);
    kit_done(p);
    kit_server_close(&server);
}

int
main(void)
{
    hp_keeper_by_hand();
    kit_host_init(&a, "a");
    RUN(test_acquire);
    RUN(test_acquire_beside_others);
    RUN(test_new_conn);
    RUN(test_put_undrained);
    RUN(test_pool_and_stats);
    RUN(test_release_needs_no_memory);
    RUN(test_arming_without_memory);
    DONE();
}
