/* queue: limits, waiting in line, hand-over. The keeper is turned by hand. */
#include <poll.h>

#include "pool_kit.h"

static kit_host a, b, c;

static hp_pool *
pool_with(int64_t max_conns, int64_t per_host)
{
    hp_limits l = kit_limits();
    l.max_conns = max_conns;
    l.max_conns_per_host = per_host;
    return kit_pool(&l);
}

/* ---- the limit of a host ---- */

/* S35: ten requests, one connection, in the order they came. */
static void
test_s35_one_connection_for_ten(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, 1);
    kit_want w[10];
    for (int i = 0; i < 10; i++) {
        kit_want_init(&w[i], &a);
        CHECK_INT(kit_acquire(p, &w[i]), i ? HP_WANT_QUEUED : HP_WANT_DIALING);
    }
    kit_dial(p, &w[0]);
    CHECK_GAUGES(p, 0, 1, 0, 0, 9);
    for (int i = 0; i < 9; i++) {
        hp_clock_advance(KIT_MS);
        CHECK_INT(kit_put(p, &w[i]), HP_KEEP);
        for (int j = i + 2; j < 10; j++)
            CHECK_INT(hp_pool_look(p, &w[j].want), HP_WANT_QUEUED);
        CHECK_INT(hp_pool_look(p, &w[i + 1].want), HP_WANT_LEASED);
        CHECK(w[i + 1].want.conn->reused && !w[i + 1].want.was_idle);
    }
    hp_counters n = kit_count(p);
    CHECK_INT(n.dials, 1);
    CHECK_INT(n.waits, 9);
    CHECK_INT(n.reuses, 9); /* decision 13: a hand-over is a reuse */
    CHECK(n.wait_ns >= 45 * KIT_MS && n.wait_ns < 5 * KIT_S);
    /* It breaks; one more request is one more connection. */
    hp_pool_put(p, &w[9].want, HP_CLOSE_IO_ERROR);
    hp_pool_close_idle(p, (hp_span){0});
    kit_get(p, &w[0]);
    CHECK_INT(kit_count(p).dials, 2);
    kit_put(p, &w[0]);
    kit_done(p);
}

/* S36: a dial counts, and with keep-alives off nothing is handed over. */
static void
test_s36_dial_in_progress_counts(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    l.disable_keepalives = true;
    hp_pool *p = kit_pool(&l);
    kit_want v, w;
    kit_want_init(&v, &a);
    kit_want_init(&w, &a);
    CHECK_INT(kit_acquire(p, &v), HP_WANT_DIALING);
    kit_begin_dial(p, &v);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_QUEUED);
    CHECK(kit_finish_dial(p, &v));
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_QUEUED);
    CHECK_INT(kit_put(p, &v), HP_CLOSE_KEEPALIVES_DISABLED);
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_DIALING);
    kit_dial(p, &w);
    kit_put(p, &w);
    kit_done(p);
}

/* S37: cancelled between grant and dial: the slot goes on. */
static void
test_s37_granted_then_cancelled(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, 1);
    kit_want w[3];
    for (int i = 0; i < 3; i++)
        kit_want_init(&w[i], &a);
    kit_get(p, &w[0]);
    CHECK_INT(kit_acquire(p, &w[1]), HP_WANT_QUEUED);
    CHECK_INT(kit_acquire(p, &w[2]), HP_WANT_QUEUED);
    hp_pool_put(p, &w[0].want, HP_CLOSE_IO_ERROR);
    CHECK_GAUGES(p, 0, 0, 1, 0, 1); /* I7: handed over at once */
    hp_pool_cancel(p, &w[1].want, NULL);
    CHECK_GAUGES(p, 0, 0, 1, 0, 0);
    CHECK_INT(hp_pool_look(p, &w[2].want), HP_WANT_DIALING);
    hp_pool_cancel(p, &w[2].want, NULL);
    CHECK_INT(kit_hosts(p), 0);
    CHECK_INT(kit_acquire(p, &w[1]), HP_WANT_DIALING); /* not lost */
    kit_dial(p, &w[1]);
    kit_put(p, &w[1]);
    kit_done(p);
}

/* Whatever ends a connection hands its slot to the oldest; who comes later
 * cannot overtake. */
static void
test_slot_goes_to_the_oldest(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, 1);
    kit_want w[4], late;
    for (int i = 0; i < 4; i++)
        kit_want_init(&w[i], &a);
    kit_want_init(&late, &a);
    kit_get(p, &w[0]);
    for (int i = 1; i < 4; i++)
        CHECK_INT(kit_acquire(p, &w[i]), HP_WANT_QUEUED);
    hp_pool_put(p, &w[0].want, HP_CLOSE_IO_ERROR);
    CHECK_INT(hp_pool_look(p, &w[1].want), HP_WANT_DIALING);
    CHECK_INT(kit_acquire(p, &late), HP_WANT_QUEUED);
    kit_begin_dial(p, &w[1]);
    CHECK_INT(kit_fail_dial(p, &w[1], false), HP_WANT_NEW);
    CHECK_INT(hp_pool_look(p, &w[2].want), HP_WANT_DIALING);
    kit_dial(p, &w[2]);
    hp_pconn_free(hp_pool_detach(p, &w[2].want));
    CHECK_INT(hp_pool_look(p, &w[3].want), HP_WANT_DIALING);
    hp_pool_cancel(p, &w[3].want, NULL);
    CHECK_INT(hp_pool_look(p, &late.want), HP_WANT_DIALING);
    hp_pool_cancel(p, &late.want, NULL);
    kit_done(p);
}

static void
test_max_waiting(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    l.max_waiting = 2;
    hp_pool *p = kit_pool(&l);
    kit_want w[4];
    for (int i = 0; i < 4; i++)
        kit_want_init(&w[i], &a);
    kit_get(p, &w[0]);
    CHECK_INT(kit_acquire(p, &w[1]), HP_WANT_QUEUED);
    CHECK_INT(kit_acquire(p, &w[2]), HP_WANT_QUEUED);
    hp_err err = {0};
    CHECK_INT(hp_pool_acquire(p, &w[3].want, &err), -1);
    CHECK_INT(err.code, HP_E_QUEUE_FULL);
    CHECK(strstr(err.text,
                 "no connection to a.example:80 is free: 1 of 1 in use "
                 "(max_conns_per_host), and 2 requests wait already, as many "
                 "as may (max_waiting); the oldest has been held for 0."));
    CHECK(strstr(err.text, " s by GET /x still being sent"));
    CHECK_INT(w[3].shortage.waiting, 2);
    CHECK_STR(w[3].shortage.limit_name, "max_conns_per_host");
    CHECK_STR(w[3].shortage.holder, "GET /x still being sent");
    CHECK(w[3].shortage.held_for >= 0);
    CHECK(w[3].want.state == HP_WANT_NEW && w[3].want.host == NULL);
    CHECK_INT(kit_count(p).refused, 1);
    CHECK_INT(kit_count(p).host_waits, 2);
    hp_pool_cancel(p, &w[1].want, NULL);
    CHECK_INT(kit_acquire(p, &w[3]), HP_WANT_QUEUED);
    hp_pool_close(p);
    kit_put(p, &w[0]);
    kit_done(p);
}

/* Decision 10: 0 is no queue; hand-over to a dialing want still works. */
static void
test_max_waiting_zero(void)
{
    hp_limits l = kit_limits();
    l.max_conns = 1;
    l.max_waiting = 0;
    hp_pool *p = kit_pool(&l);
    kit_want w, v;
    kit_want_init(&w, &a);
    kit_want_init(&v, &b);
    kit_get(p, &w);
    CHECK_INT(kit_acquire_fails(p, &v), HP_E_QUEUE_FULL);
    CHECK_INT(kit_hosts(p), 1); /* b's record was made and is gone */
    CHECK_INT(kit_count(p).refused, 1);
    CHECK_INT(kit_count(p).requests, 2);
    kit_put(p, &w);
    CHECK_INT(kit_acquire(p, &v), HP_WANT_DIALING); /* a's idle one goes */
    hp_pool_cancel(p, &v.want, NULL);
    kit_done(p);
}

/* S39, S41: lists and records do not keep those who are served. */
static void
test_s41_nothing_is_kept(void)
{
    static const char *const names[] = {"0", "1", "2", "3", "4"};
    for (int off = 0; off < 2; off++) {
        hp_limits l = kit_limits();
        l.max_conns_per_host = 1;
        l.disable_keepalives = off;
        hp_pool *p = kit_pool(&l);
        for (int i = 0; i < 5; i++) {
            kit_host h;
            kit_host_init(&h, names[i]);
            kit_fill(p, &h, 1, NULL);
        }
        CHECK_INT(kit_hosts(p), off ? 0 : 5);
        hp_pool_close_idle(p, (hp_span){0});
        CHECK_INT(kit_hosts(p), 0);
        CHECK(hp_list_empty(&p->queue) && hp_list_empty(&p->all));
        kit_done(p);
    }
}

/* ---- the limit over all hosts ---- */

/* The oldest idle connection of any host makes room. */
static void
test_total_limit_evicts_idle(void)
{
    hp_pool *p = pool_with(2, HP_NO_LIMIT);
    kit_want w, v;
    kit_fill(p, &a, 1, NULL);
    kit_fill(p, &b, 1, NULL);
    kit_want_init(&w, &c);
    kit_want_init(&v, &b);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    CHECK_INT(kit_closes(p, HP_CLOSE_MADE_ROOM), 1);
    CHECK_INT(kit_get(p, &v) != 0, 1);
    CHECK(v.want.was_idle); /* a's was the oldest */
    kit_dial(p, &w);
    kit_put(p, &w);
    kit_put(p, &v);
    kit_done(p);
}

/* Decision 2: the oldest over all hosts; a connection of another key is closed
 * for it, though its own key has a waiter, too. */
static void
test_total_limit_oldest_wins(void)
{
    hp_pool *p = pool_with(1, HP_NO_LIMIT);
    kit_want w, x, y;
    kit_want_init(&w, &a);
    kit_want_init(&x, &b);
    kit_want_init(&y, &a);
    kit_get(p, &w);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
    CHECK_INT(kit_acquire(p, &y), HP_WANT_QUEUED);
    CHECK_INT(kit_put(p, &w), HP_CLOSE_MADE_ROOM);
    CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_DIALING);
    CHECK_INT(hp_pool_look(p, &y.want), HP_WANT_QUEUED);
    kit_dial(p, &x);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_QUEUED);
    CHECK_INT(kit_put(p, &x), HP_CLOSE_MADE_ROOM);
    CHECK_INT(hp_pool_look(p, &y.want), HP_WANT_DIALING);
    kit_dial(p, &y);
    CHECK_INT(kit_put(p, &y), HP_KEEP); /* same key: handed over */
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_LEASED);
    kit_put(p, &w);
    kit_done(p);
}

/* A want whose own host is full cannot use a slot and is stepped over; it
 * keeps its place. */
static void
test_both_limits(void)
{
    hp_pool *p = pool_with(3, 1);
    kit_want wa, wb, wc, a2, b2, b3;
    kit_want_init(&wa, &a);
    kit_want_init(&wb, &b);
    kit_want_init(&wc, &c);
    kit_want_init(&a2, &a);
    kit_want_init(&b2, &b);
    kit_want_init(&b3, &b);
    kit_get(p, &wa);
    kit_get(p, &wb);
    kit_get(p, &wc);
    CHECK_INT(kit_acquire(p, &a2), HP_WANT_QUEUED);
    CHECK_INT(kit_acquire(p, &b2), HP_WANT_QUEUED);
    CHECK_INT(kit_acquire(p, &b3), HP_WANT_QUEUED);
    /* c's connection is of use to nobody: a and b are full. It idles. */
    CHECK_INT(kit_put(p, &wc), HP_KEEP);
    CHECK_GAUGES(p, 1, 2, 0, 0, 3);
    CHECK_INT(kit_count(p).host_waits, 3);
    CHECK_INT(kit_put(p, &wb), HP_KEEP); /* b2, not the older a2 */
    CHECK_INT(hp_pool_look(p, &b2.want), HP_WANT_LEASED);
    hp_pool_put(p, &b2.want, HP_CLOSE_IO_ERROR);
    CHECK_INT(hp_pool_look(p, &b3.want), HP_WANT_DIALING);
    hp_pool_put(p, &wa.want, HP_CLOSE_IO_ERROR);
    CHECK_INT(hp_pool_look(p, &a2.want), HP_WANT_DIALING);
    hp_pool_cancel(p, &a2.want, NULL);
    hp_pool_cancel(p, &b3.want, NULL);
    kit_done(p);
}

/* ---- giving up ---- */

static void
test_cancel_in_every_state(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, 1);
    kit_want v, w, x;
    kit_want_init(&v, &a);
    kit_want_init(&w, &a);
    kit_want_init(&x, &a);
    hp_pool_cancel(p, &v.want, NULL); /* NEW */
    CHECK_INT(kit_acquire(p, &v), HP_WANT_DIALING);
    hp_pool_cancel(p, &v.want, NULL); /* DIALING, a slot */
    kit_get(p, &v);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_QUEUED);
    hp_pool_cancel(p, &w.want, NULL); /* QUEUED */
    CHECK_INT(w.want.state, HP_WANT_NEW);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_QUEUED);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
    uint64_t id = kit_id(&v);
    kit_put(p, &v);
    CHECK_INT(w.want.state, HP_WANT_SERVED);
    hp_pool_cancel(p, &w.want, NULL); /* SERVED: on to the next */
    CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_LEASED);
    CHECK_INT(kit_id(&x), id);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_QUEUED);
    kit_put(p, &x);
    hp_pool_cancel(p, &w.want, NULL); /* SERVED, nobody else: idle */
    CHECK_GAUGES(p, 1, 0, 0, 0, 0);
    CHECK_INT(kit_get(p, &x), id);
    CHECK_INT(x.want.conn->requests, 3); /* v, x, x: w never had it */
    CHECK_INT(kit_acquire(p, &w), HP_WANT_QUEUED);
    hp_pool_close(p);
    hp_pool_cancel(p, &w.want, NULL); /* REFUSED */
    CHECK_INT(w.want.state, HP_WANT_NEW);
    kit_put(p, &x);
    kit_done(p);
}

/* ---- wakers ---- */

static bool
woken(hp_waker *w)
{
    struct pollfd fd = {.fd = hp_waker_fd(w), .events = POLLIN};
    bool yes = poll(&fd, 1, 0) == 1;
    hp_waker_clear(w, yes);
    return yes;
}

static void
test_wakes(void)
{
    enum {
        N = 20
    }; /* more than a trash pins */
    hp_pool *p = pool_with(HP_NO_LIMIT, 1);
    kit_want w[N];
    hp_waker *wakers[N];
    for (int i = 0; i < N; i++) {
        kit_want_init(&w[i], &a);
        wakers[i] = w[i].want.waker = hp_waker_new();
        CHECK(wakers[i]);
        if (i == 0)
            kit_get(p, &w[i]);
        else
            CHECK_INT(kit_acquire(p, &w[i]), HP_WANT_QUEUED);
    }
    kit_put(p, &w[0]); /* a connection */
    for (int i = 0; i < N; i++)
        CHECK_INT(woken(wakers[i]), i == 1);
    CHECK_INT(hp_pool_look(p, &w[1].want), HP_WANT_LEASED);
    hp_pool_put(p, &w[1].want, HP_CLOSE_IO_ERROR); /* a slot */
    for (int i = 0; i < N; i++)
        CHECK_INT(woken(wakers[i]), i == 2);
    hp_pool_close(p);
    for (int i = 2; i < N; i++) {
        CHECK(woken(wakers[i]));
        CHECK_INT(hp_pool_look(p, &w[i].want), HP_WANT_REFUSED);
    }
    for (int i = 0; i < N; i++)
        hp_waker_unref(wakers[i]);
    kit_done(p);
}

int
main(void)
{
    hp_keeper_by_hand();
    kit_host_init(&a, "a.example");
    kit_host_init(&b, "b.example");
    kit_host_init(&c, "c.example");
    RUN(test_s35_one_connection_for_ten);
    RUN(test_s36_dial_in_progress_counts);
    RUN(test_s37_granted_then_cancelled);
    RUN(test_slot_goes_to_the_oldest);
    RUN(test_max_waiting);
    RUN(test_max_waiting_zero);
    RUN(test_s41_nothing_is_kept);
    RUN(test_total_limit_evicts_idle);
    RUN(test_total_limit_oldest_wins);
    RUN(test_both_limits);
    RUN(test_cancel_in_every_state);
    RUN(test_wakes);
    DONE();
}
