/* stale: idle connections that the server has closed, and how long they had
 * been idle: what the pool counts of them, wherever it finds out. */
#include "pool_kit.h"

static kit_host a;

/* A stall of the machine counts as idle: of less than a second each. */
static void
check_stale(hp_pool *p, uint64_t n, uint64_t seconds_each)
{
    uint64_t least = seconds_each * 1000, most = least + 1000;
    hp_counters c = kit_count(p);
    CHECK_INT(c.stale, n);
    CHECK(c.stale_ms >= n * least && c.stale_ms <= n * most);
    CHECK(c.stale_ms2 >= n * least * least && c.stale_ms2 <= n * most * most);
}

/* The keeper sees the close when it comes. */
static void
test_while_idle(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_server server = {0};
    kit_host pair;
    kit_host_init(&pair, "pair");
    pair.key.open_stream = kit_open_pair;
    pair.key.open_arg = &server;
    kit_fill(p, &pair, 2, NULL);
    hp_clock_advance(KIT_S);
    hp_pool_keep(p, hp_clock_now()); /* so that the keeper watches them */
    hp_clock_advance(59 * KIT_S);
    kit_server_close(&server);
    UNTIL(kit_hosts(p) == 0);
    check_stale(p, 2, 60); /* its counts are not lost */
    kit_done(p);
}

/* Who was about to use it does, or has sent something and got nothing back. */
static void
test_at_the_next_request(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_fill(p, &a, 1, NULL);
    hp_clock_advance(5 * KIT_S);
    kit_want_init(&w, &a);
    kit_get(p, &w);
    hp_pool_put(p, &w.want, HP_CLOSE_SERVER_CLOSED_IDLE);
    check_stale(p, 1, 5);
    kit_done(p);
}

static void
test_lost_for_good(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_fill(p, &a, 1, NULL);
    hp_clock_advance(5 * KIT_S);
    kit_want_init(&w, &a);
    kit_get(p, &w);
    hp_pool_tally_lost(p, &w.want);
    hp_pool_put(p, &w.want, HP_CLOSE_IO_ERROR);
    check_stale(p, 1, 5);
    CHECK_INT(kit_count(p).lost, 1);
    kit_done(p);
}

/* Handed over, it was never idle: its end says nothing of a timeout. */
static void
test_never_idle(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    hp_pool *p = kit_pool(&l);
    kit_want v, w;
    kit_want_init(&v, &a);
    kit_want_init(&w, &a);
    kit_get(p, &v);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_QUEUED);
    kit_put(p, &v);
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_LEASED);
    hp_pool_tally_lost(p, &w.want);
    hp_pool_put(p, &w.want, HP_CLOSE_SERVER_CLOSED_IDLE);
    check_stale(p, 0, 0);
    CHECK_INT(kit_count(p).lost, 1);
    kit_done(p);
}

/* Closed for another reason, it was not the server. */
static void
test_closed_by_us(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_fill(p, &a, 2, NULL);
    hp_clock_advance(5 * KIT_S);
    kit_want_init(&w, &a);
    kit_get(p, &w);
    hp_pool_put(p, &w.want, HP_CLOSE_IO_ERROR);
    hp_pool_close_idle(p, (hp_span){0});
    check_stale(p, 0, 0);
    kit_done(p);
}

/* A month of it would make the squares overflow. */
static void
test_an_hour_at_most(void)
{
    hp_limits l = kit_limits();
    l.idle_conn_timeout = HP_NO_LIMIT;
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_fill(p, &a, 1, NULL);
    hp_clock_advance(30 * 24 * 3600 * KIT_S);
    kit_want_init(&w, &a);
    kit_get(p, &w);
    hp_pool_put(p, &w.want, HP_CLOSE_SERVER_CLOSED_IDLE);
    check_stale(p, 1, 3600);
    kit_done(p);
}

int
main(void)
{
    kit_host_init(&a, "a");
    RUN(test_while_idle);
    RUN(test_at_the_next_request);
    RUN(test_lost_for_good);
    RUN(test_never_idle);
    RUN(test_closed_by_us);
    RUN(test_an_hour_at_most);
    DONE();
}
