/* evicted: dials that a higher max_idle_conns would have spared. */
#include "pool_kit.h"

enum {
    HOSTS = 4
};
static kit_host hosts[HOSTS];

static hp_pool *
pool_that_keeps(int64_t n)
{
    hp_limits l = kit_limits();
    l.max_idle_conns = n;
    return kit_pool(&l);
}

static void
visit(hp_pool *p, int i)
{
    kit_fill(p, &hosts[i], 1, NULL);
}

static void
visit_all(hp_pool *p, int rounds)
{
    for (int i = 0; i < rounds * HOSTS; i++)
        visit(p, i % HOSTS);
}

static void
check_counts(hp_pool *p, long misses, long by)
{
    hp_counters n = kit_count(p);
    CHECK_INT(n.cap_misses, misses);
    CHECK_INT(n.cap_short, by);
    kit_check(p);
}

/* Each comes back when two others, and one more than fit, have been there. */
static void
test_hosts_in_turn(void)
{
    hp_pool *p = pool_that_keeps(1);
    visit_all(p, 3);
    check_counts(p, 2 * HOSTS, 2 * HOSTS * (HOSTS - 1));
    kit_done(p);
}

/* The figure is the lowest cap that spares them all. */
static void
test_the_cap_that_is_enough(void)
{
    hp_pool *p = pool_that_keeps(HOSTS);
    visit_all(p, 3);
    CHECK_INT(kit_count(p).dials, HOSTS);
    check_counts(p, 0, 0);
    kit_done(p);
}

/* One eviction is missed once, however often its host is dialed. */
static void
test_missed_once(void)
{
    hp_pool *p = pool_that_keeps(1);
    kit_want w[3];
    visit(p, 0);
    visit(p, 1);
    for (int i = 0; i < 3; i++) {
        kit_want_init(&w[i], &hosts[0]);
        kit_get(p, &w[i]);
    }
    check_counts(p, 1, 1);
    for (int i = 0; i < 3; i++)
        kit_put(p, &w[i]);
    kit_done(p);
}

/* It would have been too old by then. */
static void
test_too_late(void)
{
    hp_limits l = kit_limits();
    l.max_idle_conns = 1;
    l.idle_conn_timeout = 60 * KIT_S;
    hp_pool *p = kit_pool(&l);
    visit(p, 0);
    hp_clock_advance(59 * KIT_S);
    visit(p, 1);
    visit(p, 0);
    check_counts(p, 1, 1);
    hp_clock_advance(59 * KIT_S);
    visit(p, 2); /* host 0 goes, with a second left */
    hp_clock_advance(2 * KIT_S);
    visit(p, 0);
    check_counts(p, 1, 1);
    kit_done(p);
}

/* Closed for other reasons than the cap. */
static void
test_other_reasons(void)
{
    hp_pool *p = pool_that_keeps(HOSTS);
    for (int i = 0; i < 3; i++) {
        visit_all(p, 1);
        hp_pool_close_idle(p, hp_span_of("", 0));
    }
    CHECK_INT(kit_count(p).dials, 3 * HOSTS);
    check_counts(p, 0, 0);
    kit_done(p);
}

int
main(void)
{
    static const char *const names[HOSTS] = {"a", "b", "c", "d"};
    hp_keeper_by_hand();
    for (int i = 0; i < HOSTS; i++)
        kit_host_init(&hosts[i], names[i]);
    RUN(test_hosts_in_turn);
    RUN(test_the_cap_that_is_enough);
    RUN(test_missed_once);
    RUN(test_too_late);
    RUN(test_other_reasons);
    return 0;
}
