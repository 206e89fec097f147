/* pool: the states of a want, the idle lists and their caps, the ends. Limits
 * and waiting are in queue_test.c; the keeper is turned by hand here. */
#include "pool_kit.h"

static kit_host a, b;

/* ---- a want's way ---- */

static void
test_dial_lease_idle_lease(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    CHECK_GAUGES(p, 0, 0, 1, 0, 0);
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_DIALING);
    kit_begin_dial(p, &w);
    CHECK_GAUGES(p, 0, 0, 1, 0, 0);
    CHECK(kit_finish_dial(p, &w));
    CHECK_INT(w.want.state, HP_WANT_LEASED);
    CHECK(!w.want.was_idle && !w.want.conn->reused);
    CHECK_INT(w.want.conn->requests, 1);
    CHECK_GAUGES(p, 0, 1, 0, 0, 0);
    uint64_t id = kit_id(&w);
    CHECK_INT(kit_put(p, &w), HP_KEEP);
    CHECK_GAUGES(p, 1, 0, 0, 0, 0);
    hp_clock_advance(3 * KIT_S);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    CHECK(w.want.was_idle && w.want.conn->reused);
    CHECK(w.want.idle_time >= 3 * KIT_S && w.want.idle_time < 4 * KIT_S);
    CHECK_INT(kit_id(&w), id);
    CHECK_INT(w.want.conn->requests, 2);
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_LEASED);
    CHECK_INT(hp_pool_put(p, &w.want, HP_CLOSE_PROTOCOL_ERROR),
              HP_CLOSE_PROTOCOL_ERROR);
    CHECK_GAUGES(p, 0, 0, 0, 0, 0);
    hp_counters n = kit_count(p);
    CHECK_INT(n.requests, 2);
    CHECK_INT(n.dials, 1);
    CHECK_INT(n.reuses, 1);
    CHECK_INT(n.closes[HP_CLOSE_PROTOCOL_ERROR], 1);
    kit_done(p);
}

static void
test_dial_fails(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    kit_begin_dial(p, &w);
    CHECK_INT(kit_fail_dial(p, &w, false), HP_WANT_NEW);
    CHECK_INT(w.want.state, HP_WANT_NEW);
    CHECK(w.want.host == NULL); /* I11: the record is gone */
    CHECK_INT(kit_hosts(p), 0);
    hp_pool_tally_leak(p, &w.want); /* and is not touched any more */
    CHECK_INT(kit_count(p).leaked, 1);
    CHECK_INT(kit_closes(p, HP_CLOSE_DIAL_FAILED), 1);
    kit_done(p);
}

/* A dead one has served nobody: the request asks again, and is counted once. */
static void
test_dead_at_checkout(void)
{
    for (int at_once = 0; at_once < 2; at_once++) {
        hp_err err = {0};
        hp_limits l = kit_limits();
        hp_pool *p = kit_pool(&l);
        kit_want w;
        kit_want_init(&w, &a);
        kit_fill(p, &a, 1, NULL);
        CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
        if (at_once) {
            CHECK_INT(hp_pool_acquire_again(p, &w.want,
                                            HP_CLOSE_SERVER_CLOSED_IDLE, &err),
                      0);
        } else {
            hp_pool_put(p, &w.want, HP_CLOSE_SERVER_CLOSED_IDLE);
            CHECK_INT(kit_count(p).asked_again, 0);
            kit_acquire(p, &w);
        }
        kit_dial(p, &w);
        hp_counters n = kit_count(p);
        CHECK_INT(n.requests, 2);
        CHECK_INT(n.asked_again, 1);
        CHECK_INT(n.fresh, 2);
        CHECK_INT(n.reuses, 1);
        CHECK_INT(n.unserved, 0);
        CHECK_INT(n.dials, 2);
        kit_put(p, &w);
        kit_done(p);
    }
}

/* Who never gets one is counted, too, and for as long as he asks. */
static void
test_unserved(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    l.max_waiting = 1;
    hp_pool *p = kit_pool(&l);
    kit_want v, w, x;
    kit_want_init(&v, &a);
    kit_want_init(&w, &a);
    kit_want_init(&x, &a);
    CHECK_INT(kit_acquire(p, &v), HP_WANT_DIALING);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_QUEUED);
    CHECK_INT(kit_acquire_fails(p, &x), HP_E_QUEUE_FULL);
    CHECK_INT(kit_now(p).asking, 2);
    CHECK_INT(kit_count(p).unserved, 1);
    kit_begin_dial(p, &v);
    CHECK_INT(kit_fail_dial(p, &v, false), HP_WANT_NEW);
    CHECK_INT(kit_count(p).unserved, 2);
    hp_pool_cancel(p, &w.want, NULL);
    CHECK_INT(kit_count(p).unserved, 3);
    CHECK_INT(kit_acquire(p, &v), HP_WANT_DIALING);
    hp_pool_close(p);
    CHECK_INT(kit_count(p).unserved, 4);
    CHECK_INT(kit_acquire_fails(p, &w), HP_E_CLOSED); /* has not asked */
    CHECK_INT(kit_count(p).requests, 4);
    CHECK_INT(hp_pool_look(p, &v.want), HP_WANT_REFUSED);
    kit_done(p);
}

static void
test_detach(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    hp_pool *p = kit_pool(&l);
    kit_want w, next;
    kit_want_init(&w, &a);
    kit_want_init(&next, &a);
    kit_get(p, &w);
    CHECK_INT(kit_acquire(p, &next), HP_WANT_QUEUED);
    hp_pconn *c = hp_pool_detach(p, &w.want);
    CHECK_INT(w.want.state, HP_WANT_NEW);
    CHECK_INT(hp_pool_look(p, &next.want), HP_WANT_DIALING);
    hp_pool_cancel(p, &next.want, NULL);
    CHECK_INT(kit_hosts(p), 0);
    CHECK_INT(kit_closes(p, HP_CLOSE_UPGRADED), 1);
    CHECK_INT(kit_open_now(), 1); /* ours now */
    hp_pconn_free(c);
    kit_done(p);
}

/* ---- idle order ---- */

static void
check_order(bool fifo, const int want_order[3])
{
    hp_limits l = kit_limits();
    l.idle_fifo = fifo;
    hp_pool *p = kit_pool(&l);
    kit_want w[3];
    uint64_t ids[3];
    kit_fill(p, &a, 3, ids);
    for (int i = 0; i < 3; i++) {
        kit_want_init(&w[i], &a);
        CHECK_INT(kit_get(p, &w[i]), ids[want_order[i]]);
    }
    for (int i = 0; i < 3; i++)
        kit_put(p, &w[i]);
    kit_done(p);
}

static void
test_idle_order(void)
{
    check_order(false, (const int[]){2, 1, 0});
    check_order(true, (const int[]){0, 1, 2});
}

/* ---- caps ---- */

/* S33: over the host's cap the newcomer goes. */
static void
test_s33_idle_cap_of_a_host(void)
{
    hp_limits l = kit_limits();
    l.max_idle_conns_per_host = 2;
    hp_pool *p = kit_pool(&l);
    kit_want w[3];
    uint64_t ids[3];
    for (int i = 0; i < 3; i++) {
        kit_want_init(&w[i], &a);
        ids[i] = kit_get(p, &w[i]);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(kit_now(p).idle, i);
        CHECK_INT(kit_put(p, &w[i]), i < 2 ? HP_KEEP : HP_CLOSE_IDLE_CAP_HOST);
    }
    CHECK_INT(kit_now(p).idle, 2);
    CHECK_INT(kit_get(p, &w[0]), ids[1]);
    CHECK_INT(kit_get(p, &w[1]), ids[0]);
    kit_put(p, &w[0]);
    kit_put(p, &w[1]);
    kit_done(p);
}

/* S34: over the cap of all the oldest of any host goes. */
static void
test_s34_idle_cap_of_all(void)
{
    static const char *const names[] = {"0", "1", "2", "3", "4"};
    hp_limits l = kit_limits();
    l.max_idle_conns = 4;
    hp_pool *p = kit_pool(&l);
    kit_host hosts[5];
    for (int i = 0; i < 5; i++) {
        kit_host_init(&hosts[i], names[i]);
        kit_fill(p, &hosts[i], 1, NULL);
        CHECK_INT(kit_hosts(p), i < 4 ? i + 1 : 4);
    }
    CHECK_INT(kit_closes(p, HP_CLOSE_IDLE_CAP_TOTAL), 1);
    kit_want w;
    kit_want_init(&w, &hosts[0]);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING); /* 0 was the oldest */
    hp_pool_cancel(p, &w.want, NULL);
    for (int i = 1; i < 5; i++) {
        kit_want_init(&w, &hosts[i]);
        CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
        kit_put(p, &w);
    }
    kit_done(p);
}

static void
closes_at_release(const hp_limits *l, hp_close_reason why)
{
    hp_pool *p = kit_pool(l);
    kit_want w;
    kit_want_init(&w, &a);
    kit_get(p, &w);
    CHECK_INT(kit_put(p, &w), why);
    CHECK_INT(kit_closes(p, why), 1);
    CHECK_INT(kit_hosts(p), 0);
    kit_done(p);
}

/* Decision 10: 0 means that nothing stays idle. */
static void
test_zero_means_nothing_idle(void)
{
    hp_limits l = kit_limits();
    l.max_idle_conns = 0;
    closes_at_release(&l, HP_CLOSE_IDLE_CAP_TOTAL);
    l = kit_limits();
    l.max_idle_conns_per_host = 0;
    closes_at_release(&l, HP_CLOSE_IDLE_CAP_HOST);
    l = kit_limits();
    l.idle_conn_timeout = 0;
    closes_at_release(&l, HP_CLOSE_IDLE_TIMEOUT);
    l = kit_limits();
    l.disable_keepalives = true;
    closes_at_release(&l, HP_CLOSE_KEEPALIVES_DISABLED);
}

static void
test_max_requests_per_conn(void)
{
    hp_limits l = kit_limits();
    l.max_requests_per_conn = 2;
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    uint64_t first = kit_get(p, &w);
    CHECK_INT(kit_put(p, &w), HP_KEEP);
    CHECK_INT(kit_get(p, &w), first);
    CHECK_INT(kit_put(p, &w), HP_CLOSE_MAX_REQUESTS);
    CHECK(kit_get(p, &w) != first);
    kit_put(p, &w);
    kit_done(p);
}

/* Decision 12: 0.9 to 1.0 of the age. */
static void
test_max_conn_age_jitter(void)
{
    hp_limits l = kit_limits();
    l.max_conn_age = 1000 * KIT_S;
    l.idle_conn_timeout = HP_NO_LIMIT;
    hp_pool *p = kit_pool(&l);
    hp_ns least = HP_NEVER, most = 0;
    for (int i = 0; i < 200; i++) {
        kit_want w;
        kit_want_init(&w, &a);
        CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
        kit_dial(p, &w);
        hp_ns life = w.want.conn->retire_at - w.want.conn->born;
        CHECK(life >= 900 * KIT_S && life <= 1000 * KIT_S);
        least = life < least ? life : least;
        most = life > most ? life : most;
        hp_pool_put(p, &w.want, HP_CLOSE_IO_ERROR);
    }
    CHECK(most - least > 50 * KIT_S); /* spread out */
    kit_done(p);
}

static void
test_max_conn_age(void)
{
    hp_limits l = kit_limits();
    l.max_conn_age = 100 * KIT_S;
    l.idle_conn_timeout = HP_NO_LIMIT;
    hp_pool *p = kit_pool(&l);
    kit_want w, v;
    kit_want_init(&w, &a);
    kit_want_init(&v, &a);
    kit_fill(p, &a, 1, NULL);
    hp_clock_advance(89 * KIT_S);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    kit_get(p, &v);
    hp_clock_advance(12 * KIT_S); /* w's is too old now, v's is not */
    CHECK_INT(kit_put(p, &w), HP_CLOSE_MAX_AGE);
    CHECK_INT(kit_put(p, &v), HP_KEEP);
    hp_clock_advance(90 * KIT_S);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING); /* v's: at checkout */
    CHECK_INT(kit_closes(p, HP_CLOSE_MAX_AGE), 2);
    hp_pool_cancel(p, &w.want, NULL);
    kit_done(p);
}

/* S48: each use starts the clock anew; too old is found at checkout, before
 * the keeper has seen it. */
static void
test_s48_idle_timeout_at_checkout(void)
{
    hp_limits l = kit_limits();
    l.idle_conn_timeout = 10 * KIT_S;
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    uint64_t id = kit_get(p, &w);
    for (int i = 0; i < 3; i++) {
        kit_put(p, &w);
        hp_clock_advance(9 * KIT_S);
        CHECK_INT(kit_get(p, &w), id);
    }
    kit_put(p, &w);
    hp_clock_advance(10 * KIT_S + 1);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    CHECK_INT(kit_closes(p, HP_CLOSE_IDLE_TIMEOUT), 1);
    CHECK_INT(kit_hosts(p), 1);
    hp_pool_cancel(p, &w.want, NULL);
    kit_done(p);
}

/* S49: 1/1 and 1 s; the slot comes back with the close. */
static void
test_s49_slot_after_idle_timeout(void)
{
    hp_limits l = kit_limits();
    l.idle_conn_timeout = KIT_S;
    l.max_conns_per_host = l.max_idle_conns_per_host = 1;
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    uint64_t id = kit_get(p, &w);
    kit_put(p, &w);
    hp_clock_advance(KIT_S / 2);
    CHECK_INT(kit_get(p, &w), id);
    kit_put(p, &w);
    hp_clock_advance(KIT_S + KIT_MS);
    CHECK(kit_get(p, &w) != id);
    kit_put(p, &w);
    kit_done(p);
}

/* No descriptor for a dial: the oldest idle connection of any host gives up
 * its own, and the slot stays. */
static void
test_redial(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    hp_pool *p = kit_pool(&l);
    kit_host c;
    kit_want v, w, x;
    kit_host_init(&c, "c.example");
    kit_want_init(&v, &b);
    kit_want_init(&w, &c);
    kit_want_init(&x, &c);
    kit_fill(p, &a, 1, NULL);
    kit_fill(p, &b, 1, NULL);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
    kit_begin_dial(p, &w);
    CHECK(kit_redial(p, &w));
    CHECK_GAUGES(p, 1, 0, 1, 0, 1);
    CHECK_INT(kit_acquire(p, &v), HP_WANT_LEASED); /* a's was the oldest */
    kit_begin_dial(p, &w);
    CHECK(!kit_redial(p, &w));
    CHECK_INT(kit_closes(p, HP_CLOSE_NO_DESCRIPTORS), 1);
    CHECK_INT(kit_closes(p, HP_CLOSE_DIAL_FAILED), 1);
    CHECK_INT(kit_fail_dial(p, &w, true), HP_WANT_NEW);
    CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_DIALING);
    hp_pool_cancel(p, &x.want, NULL);
    kit_put(p, &v);
    kit_done(p);
}

/* ---- close_idle ---- */

/* S45: two idle, none, the next is refused, until an acquire. */
static void
test_s45_close_idle(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &b);
    kit_get(p, &w);
    kit_fill(p, &a, 2, NULL);
    CHECK_INT(hp_pool_close_idle(p, (hp_span){0}), 2);
    CHECK_GAUGES(p, 0, 1, 0, 0, 0);
    CHECK_INT(kit_put(p, &w), HP_CLOSE_CLOSE_IDLE_CALLED);
    CHECK_INT(kit_closes(p, HP_CLOSE_CLOSE_IDLE_CALLED), 3);
    kit_get(p, &w); /* ends it */
    CHECK_INT(kit_put(p, &w), HP_KEEP);
    kit_done(p);
}

static size_t
close_idle_of(hp_pool *p, const char *host)
{
    return hp_pool_close_idle(p, hp_span_cstr(host));
}

static void
test_close_idle_of_a_host(void)
{
    kit_host six;
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_host_init(&six, "[::1]");
    kit_fill(p, &a, 2, NULL);
    kit_fill(p, &b, 1, NULL);
    CHECK_INT(close_idle_of(p, "c.example"), 0);
    CHECK_INT(close_idle_of(p, "a.example:81"), 0);
    CHECK_INT(close_idle_of(p, "a.exampl"), 0);
    CHECK_INT(close_idle_of(p, "A.example"), 2);
    CHECK_INT(close_idle_of(p, "b.example:80"), 1);
    for (int i = 0; i < 3; i++) {
        kit_fill(p, &six, 1, NULL);
        CHECK_INT(close_idle_of(p, i == 0   ? "[::1]:80"
                                   : i == 1 ? "[::1]"
                                            : "::1"),
                  1);
    }
    /* What becomes idle later stays: that is for close_idle() of all. */
    kit_fill(p, &a, 1, NULL);
    CHECK_INT(kit_now(p).idle, 1);
    kit_done(p);
}

/* ---- close ---- */

static bool
signalled(const kit_want *w)
{
    return hp_interest_get(&w->interest) == HP_E_CLOSED;
}

/* One want in each state; limits 4 per host. */
static void
in_every_state(hp_pool *p, kit_want w[7])
{
    for (int i = 0; i < 7; i++)
        kit_want_init(&w[i], i == 6 ? &b : &a);
    kit_get(p, &w[0]); /* LEASED, awaiting its head */
    w[0].want.holding = HP_HOLDING_AWAITING_HEAD;
    kit_get(p, &w[1]); /* LEASED, in the body */
    w[1].want.holding = HP_HOLDING_BODY_UNREAD;
    kit_get(p, &w[2]);
    kit_get(p, &w[3]);
    CHECK_INT(kit_acquire(p, &w[4]), HP_WANT_QUEUED);
    CHECK_INT(kit_acquire(p, &w[5]), HP_WANT_QUEUED);
    CHECK_INT(kit_put(p, &w[2]), HP_KEEP);         /* w[4] SERVED */
    hp_pool_put(p, &w[3].want, HP_CLOSE_IO_ERROR); /* w[5] a slot */
    CHECK_INT(kit_acquire(p, &w[2]), HP_WANT_QUEUED);
    CHECK_INT(kit_acquire(p, &w[6]), HP_WANT_DIALING); /* with a dial */
    kit_begin_dial(p, &w[6]);
    CHECK_INT(w[4].want.state, HP_WANT_SERVED);
    CHECK_INT(w[5].want.state, HP_WANT_DIALING);
}

static void
check_refused(hp_pool *p, kit_want *w)
{
    CHECK_INT(hp_pool_look(p, &w->want), HP_WANT_REFUSED);
    CHECK_INT(w->want.state, HP_WANT_NEW);
    CHECK(w->want.host == NULL && w->want.conn == NULL);
}

static void
test_close_in_every_state(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 4;
    hp_pool *p = kit_pool(&l);
    kit_want w[7];
    in_every_state(p, w);
    kit_fill(p, &b, 1, NULL);
    hp_pool_close(p);
    hp_pool_close(p); /* again is fine */
    kit_check(p);
    CHECK_GAUGES(p, 0, 2, 1, 0, 0);
    CHECK(signalled(&w[0]));
    CHECK(!signalled(&w[1])); /* its body stays readable */
    CHECK_INT(kit_put(p, &w[0]), HP_CLOSE_POOL_CLOSED);
    CHECK_INT(kit_put(p, &w[1]), HP_CLOSE_POOL_CLOSED);
    check_refused(p, &w[2]);
    CHECK_INT(kit_acquire_fails(p, &w[3]), HP_E_CLOSED);
    check_refused(p, &w[4]);
    check_refused(p, &w[5]);
    CHECK(!kit_finish_dial(p, &w[6]));
    CHECK_INT(w[6].want.state, HP_WANT_NEW);
    CHECK_INT(kit_hosts(p), 0);
    kit_done(p);
}

/* With keep-alives off a dialing want must hear of it, too. */
static void
test_close_while_dialing_without_keepalives(void)
{
    hp_limits l = kit_limits();
    l.disable_keepalives = true;
    hp_pool *p = kit_pool(&l);
    kit_want w[3];
    for (int i = 0; i < 3; i++) {
        kit_want_init(&w[i], &a);
        CHECK_INT(kit_acquire(p, &w[i]), HP_WANT_DIALING);
    }
    kit_begin_dial(p, &w[0]);
    kit_begin_dial(p, &w[1]);
    hp_pool_close(p);
    CHECK(!kit_finish_dial(p, &w[0]));
    CHECK_INT(kit_fail_dial(p, &w[1], false), HP_WANT_NEW);
    /* Between slot and dial: the record it points to is gone. */
    CHECK_INT(hp_pool_new_conn(p, &w[2].want, 1, 1, &w[2].dial), 0);
    CHECK(w[2].dial == NULL);
    check_refused(p, &w[2]);
    kit_done(p);
}

static void
test_interrupt(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 4;
    hp_pool *p = kit_pool(&l);
    kit_want w[7];
    in_every_state(p, w);
    hp_pool_interrupt(p);
    CHECK(signalled(&w[0]) && signalled(&w[1]));
    check_refused(p, &w[2]);
    check_refused(p, &w[4]);
    check_refused(p, &w[5]);
    CHECK_INT(kit_put(p, &w[0]), HP_KEEP); /* it is not closed */
    CHECK_INT(kit_put(p, &w[1]), HP_KEEP);
    CHECK(!kit_finish_dial(p, &w[6]));
    CHECK_INT(kit_now(p).idle, 3);
    kit_done(p);
}

/* ---- stats ---- */

/* The snapshot, and with the counters of the gone nothing is lost. */
static void
test_stats_agree(void)
{
    static const char *const names[] = {"0", "1", "2", "3"};
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_host hosts[4];
    for (int i = 0; i < 4; i++) {
        kit_host_init(&hosts[i], names[i]);
        kit_fill(p, &hosts[i], i + 1, NULL);
    }
    close_idle_of(p, "3"); /* a record is freed */
    hp_stats *s = hp_pool_stats(p);
    CHECK_INT(s->n_hosts, 3);
    CHECK_STR(s->total.key, "");
    CHECK_INT(s->total.count.requests, 10);
    CHECK_INT(s->total.count.closes[HP_CLOSE_CLOSE_IDLE_CALLED], 4);
    CHECK_INT(s->total.peak.in_use, 4);
    int64_t idle = 0;
    uint64_t requests = 0;
    for (size_t i = 0; i < s->n_hosts; i++) {
        int n = atoi(s->hosts[i].key + strlen("|http|")) + 1;
        CHECK_INT(s->hosts[i].now.idle, n);
        CHECK_INT(s->hosts[i].count.dials, n);
        idle += s->hosts[i].now.idle;
        requests += s->hosts[i].count.requests;
    }
    CHECK_INT(s->total.now.idle, idle);
    CHECK_INT(s->total.count.requests, requests + 4);
    hp_stats_free(s);
    kit_done(p);
}

static void
test_tallies(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    hp_pool_tally_timeout(p, &w.want, HP_PHASE_HEAD); /* only in total */
    kit_get(p, &w);
    hp_pool_tally_timeout(p, &w.want, HP_PHASE_HEAD);
    hp_pool_tally_replay(p, &w.want, HP_REPLAY_NOTHING_WRITTEN);
    hp_stats *s = hp_pool_stats(p);
    CHECK_INT(s->total.count.timeouts[HP_PHASE_HEAD], 2);
    CHECK_INT(s->hosts[0].count.timeouts[HP_PHASE_HEAD], 1);
    CHECK_INT(s->hosts[0].count.replays[HP_REPLAY_NOTHING_WRITTEN], 1);
    hp_stats_free(s);
    kit_put(p, &w);
    kit_done(p);
}

int
main(void)
{
    hp_keeper_by_hand();
    kit_host_init(&a, "a.example");
    kit_host_init(&b, "b.example");
    RUN(test_dial_lease_idle_lease);
    RUN(test_dial_fails);
    RUN(test_dead_at_checkout);
    RUN(test_unserved);
    RUN(test_detach);
    RUN(test_idle_order);
    RUN(test_s33_idle_cap_of_a_host);
    RUN(test_s34_idle_cap_of_all);
    RUN(test_zero_means_nothing_idle);
    RUN(test_max_requests_per_conn);
    RUN(test_max_conn_age_jitter);
    RUN(test_max_conn_age);
    RUN(test_s48_idle_timeout_at_checkout);
    RUN(test_s49_slot_after_idle_timeout);
    RUN(test_redial);
    RUN(test_s45_close_idle);
    RUN(test_close_idle_of_a_host);
    RUN(test_close_in_every_state);
    RUN(test_close_while_dialing_without_keepalives);
    RUN(test_interrupt);
    RUN(test_stats_agree);
    RUN(test_tallies);
    DONE();
}
