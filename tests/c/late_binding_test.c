/* late_binding: a dial is begun for a want but not tied to it. What comes back
 * first serves; the dial goes on as an orphan. The keeper is turned by hand. */
#include "pool_kit.h"

static kit_host a;

static hp_pool *
pool_with(int64_t max_conns, int64_t per_host)
{
    hp_limits l = kit_limits();
    l.max_conns = max_conns;
    l.max_conns_per_host = per_host;
    return kit_pool(&l);
}

static void
turn_keeper(hp_pool *p)
{
    hp_pool_keep(p, hp_clock_now());
}

/* ---- late binding ---- */

/* S40: a dialing want is served by a returned connection; its dial goes on, is
 * pooled, and counts as reused, so that its first failure is replayed. */
static void
test_s40_late_binding(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, HP_NO_LIMIT);
    kit_want v, w;
    kit_want_init(&v, &a);
    kit_want_init(&w, &a);
    uint64_t id = kit_get(p, &v);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    kit_begin_dial(p, &w);
    hp_pconn *dial = w.dial;
    kit_put(p, &v);
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_LEASED);
    CHECK_INT(kit_id(&w), id);
    hp_pool_orphan_dial(p, dial);
    CHECK_GAUGES(p, 0, 1, 1, 0, 0);
    turn_keeper(p);
    CHECK_GAUGES(p, 1, 1, 0, 0, 0);
    CHECK_INT(kit_get(p, &v), dial->net.id);
    CHECK(v.want.conn->reused && v.want.was_idle);
    CHECK_INT(v.want.conn->requests, 1);
    kit_put(p, &v);
    kit_put(p, &w);
    kit_done(p);
}

/* Its dial ends before it looks: the surplus is pooled, or serves a waiter. */
static void
test_dialed_after_served(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, 2);
    kit_want v, w, x;
    kit_want_init(&v, &a);
    kit_want_init(&w, &a);
    kit_want_init(&x, &a);
    kit_get(p, &v);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    kit_begin_dial(p, &w);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
    kit_put(p, &v);
    CHECK(kit_finish_dial(p, &w));
    CHECK(w.want.conn->reused);
    CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_LEASED);
    kit_put(p, &w);
    kit_put(p, &x);
    CHECK_GAUGES(p, 2, 0, 0, 0, 0);
    kit_done(p);
}

static void
test_dial_failed_after_served(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, HP_NO_LIMIT);
    kit_want v, w;
    kit_want_init(&v, &a);
    kit_want_init(&w, &a);
    uint64_t id = kit_get(p, &v);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    kit_begin_dial(p, &w);
    kit_put(p, &v);
    CHECK_INT(kit_fail_dial(p, &w, true), HP_WANT_LEASED);
    CHECK_INT(w.want.state, HP_WANT_LEASED);
    CHECK_INT(kit_id(&w), id);
    kit_put(p, &w);
    kit_done(p);
}

/* Granted a slot, then served before it could dial: the slot goes on. */
static void
test_granted_then_served(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, 2);
    kit_want u, v, w, x;
    kit_want_init(&u, &a);
    kit_want_init(&v, &a);
    kit_want_init(&w, &a);
    kit_want_init(&x, &a);
    kit_get(p, &u);
    kit_get(p, &v);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_QUEUED);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
    hp_pool_put(p, &u.want, HP_CLOSE_IO_ERROR); /* w's slot */
    kit_put(p, &v);                             /* and w's connection */
    /* w looked before that and makes its dial now: there is none to make. */
    CHECK_INT(hp_pool_new_conn(p, &w.want, 1, 1, &w.dial), 0);
    CHECK(w.dial == NULL);
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_LEASED);
    CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_DIALING);
    CHECK_GAUGES(p, 0, 1, 1, 0, 0);
    hp_pool_cancel(p, &x.want, NULL);
    kit_put(p, &w);
    kit_done(p);
}

/* ---- orphans ---- */

/* n dialing wants of `h`, each with a dial that has not moved. */
static void
begin_dials(hp_pool *p, const kit_host *h, kit_want *w, int n)
{
    for (int i = 0; i < n; i++) {
        kit_want_init(&w[i], h);
        CHECK_INT(kit_acquire(p, &w[i]), HP_WANT_DIALING);
        kit_begin_dial(p, &w[i]);
    }
}

/* Decision 1: above live waiters + 2 the oldest is given up. */
static void
test_orphans_are_bounded(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, HP_NO_LIMIT);
    kit_want w[5], v;
    begin_dials(p, &a, w, 5);
    kit_want_init(&v, &a);
    uint64_t first = w[0].dial->net.id;
    for (int i = 0; i < 4; i++)
        hp_pool_cancel(p, &w[i].want, w[i].dial);
    /* w[4] lives: 3 may stay, the first has to go. */
    turn_keeper(p);
    CHECK_INT(kit_closes(p, HP_CLOSE_SURPLUS_DIAL), 1);
    CHECK_GAUGES(p, 2, 1, 1, 0, 0);
    CHECK_INT(hp_pool_look(p, &w[4].want), HP_WANT_LEASED); /* adopted */
    CHECK(kit_id(&w[4]) > first);
    hp_pool_orphan_dial(p, w[4].dial);
    turn_keeper(p);
    CHECK_INT(kit_count(p).dials, 5);
    kit_put(p, &w[4]);
    CHECK_GAUGES(p, 4, 0, 0, 0, 0);
    kit_done(p);
}

/* Under a limit an orphan needs a waiter, now and later. */
static void
test_orphans_under_a_limit(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, 2);
    kit_want w[2], x;
    kit_want_init(&x, &a);
    begin_dials(p, &a, w, 2);
    hp_pool_cancel(p, &w[0].want, w[0].dial); /* w[1] waits, too */
    CHECK_GAUGES(p, 0, 0, 2, 0, 0);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_DIALING);
    hp_pconn *first = w[0].dial;
    kit_begin_dial(p, &x);
    CHECK(x.dial == first);
    hp_pool_cancel(p, &w[1].want, w[1].dial);
    CHECK_GAUGES(p, 0, 0, 2, 0, 0);
    hp_pool_cancel(p, &x.want, x.dial); /* nobody is left */
    turn_keeper(p);
    CHECK_INT(kit_closes(p, HP_CLOSE_SURPLUS_DIAL), 2);
    CHECK_INT(kit_hosts(p), 0);
    begin_dials(p, &a, w, 1);
    hp_pool_cancel(p, &w[0].want, w[0].dial); /* at once */
    CHECK_INT(kit_closes(p, HP_CLOSE_SURPLUS_DIAL), 3);
    kit_done(p);
}

/* Who asks while one is in flight makes it his own. */
static void
test_orphan_is_adopted(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, HP_NO_LIMIT);
    kit_want w, x;
    begin_dials(p, &a, &w, 1);
    kit_want_init(&x, &a);
    hp_pconn *dial = w.dial;
    hp_pool_cancel(p, &w.want, w.dial);
    kit_get(p, &x);
    CHECK(x.want.conn == dial && !dial->reused);
    turn_keeper(p); /* it is not the keeper's any more */
    CHECK_GAUGES(p, 0, 1, 0, 0, 0);
    CHECK_INT(kit_count(p).dials, 1);
    kit_put(p, &x);
    kit_done(p);
}

/* But he who stands in line is not overtaken: the dial is his, if he is of its
 * host, else he gets its slot. */
static void
test_dial_goes_to_the_next_in_line(void)
{
    for (int other = 0; other < 2; other++) {
        hp_pool *p = pool_with(2, HP_NO_LIMIT);
        kit_host b;
        kit_want w[2], old, late;
        kit_host_init(&b, "b.example");
        begin_dials(p, &a, w, 2);
        kit_want_init(&old, other ? &b : &a);
        kit_want_init(&late, &a);
        CHECK_INT(kit_acquire(p, &old), HP_WANT_QUEUED);
        CHECK_INT(kit_acquire(p, &late), HP_WANT_QUEUED);
        uint64_t dial = w[0].dial->net.id;
        /* w[1] may profit, but waits */
        hp_pool_cancel(p, &w[0].want, w[0].dial);
        CHECK_INT(hp_pool_look(p, &old.want), HP_WANT_DIALING);
        CHECK_INT(hp_pool_look(p, &late.want), HP_WANT_QUEUED);
        CHECK_GAUGES(p, 0, 0, 2, 0, 1);
        kit_begin_dial(p, &old);
        CHECK_INT(old.dial->net.id == dial, !other);
        CHECK_INT(kit_closes(p, HP_CLOSE_SURPLUS_DIAL), other);
        CHECK(kit_finish_dial(p, &old));
        hp_pool_cancel(p, &late.want, NULL);
        hp_pool_cancel(p, &w[1].want, w[1].dial);
        kit_put(p, &old);
        turn_keeper(p);
        kit_done(p);
    }
}

/* What was handed over goes on once more when its new want is served, or gives
 * up, before it has looked. */
static void
test_handed_and_not_needed(void)
{
    for (int how = 0; how < 3; how++) {
        hp_pool *p = pool_with(HP_NO_LIMIT, 2);
        kit_want v, w, x, y;
        kit_want_init(&v, &a);
        kit_want_init(&x, &a);
        kit_want_init(&y, &a);
        kit_get(p, &v);
        begin_dials(p, &a, &w, 1);
        hp_pconn *dial = w.dial;
        CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
        if (how < 2)
            CHECK_INT(kit_acquire(p, &y), HP_WANT_QUEUED);
        hp_pool_cancel(p, &w.want, dial);
        CHECK(x.want.handed == dial);
        if (how == 0)
            kit_put(p, &v); /* serves x */
        else
            hp_pool_cancel(p, &x.want, NULL);
        if (how == 2) { /* nobody is left */
            CHECK_INT(kit_closes(p, HP_CLOSE_SURPLUS_DIAL), 1);
            CHECK_GAUGES(p, 0, 1, 0, 0, 0);
        } else {
            CHECK_INT(hp_pool_look(p, &y.want), HP_WANT_DIALING);
            kit_begin_dial(p, &y);
            CHECK(y.dial == dial);
            CHECK(kit_finish_dial(p, &y));
            kit_put(p, &y);
        }
        hp_pool_close(p);
        if (x.want.state == HP_WANT_REFUSED)
            CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_REFUSED);
        hp_pool_cancel(p, &x.want, NULL);
        if (v.want.state == HP_WANT_LEASED)
            hp_pool_put(p, &v.want, HP_KEEP);
        turn_keeper(p);
        kit_done(p);
    }
}

/* Decision 1: a dial that hangs and that nobody needs keeps no slot from who
 * gets in line for it, of whatever host. */
static void
test_orphan_makes_way_for_another_host(void)
{
    hp_pool *p = pool_with(2, 2);
    kit_host b;
    kit_want w[2], x;
    kit_host_init(&b, "b.example");
    kit_want_init(&x, &b);
    begin_dials(p, &a, w, 2);
    hp_pool_cancel(p, &w[0].want, w[0].dial);
    CHECK_GAUGES(p, 0, 0, 2, 0, 0); /* an orphan, for w[1] */
    CHECK_INT(p->n_orphans, 1);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
    CHECK_INT(p->n_orphans, 0);
    turn_keeper(p);
    CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_DIALING);
    CHECK_INT(kit_closes(p, HP_CLOSE_SURPLUS_DIAL), 1);
    hp_pool_cancel(p, &x.want, NULL);
    hp_pool_cancel(p, &w[1].want, w[1].dial);
    turn_keeper(p);
    kit_done(p);
}

/* Not for one whose own host is full: its slot is of no use to him. */
static void
test_orphan_stays_where_it_blocks_nobody(void)
{
    hp_pool *p = pool_with(4, 2);
    kit_host b;
    kit_want u, v, w[2], x;
    kit_host_init(&b, "b.example");
    kit_want_init(&u, &b);
    kit_want_init(&v, &b);
    kit_want_init(&x, &b);
    kit_get(p, &u);
    kit_get(p, &v);
    begin_dials(p, &a, w, 2);
    hp_pool_cancel(p, &w[0].want, w[0].dial);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
    CHECK_INT(p->n_orphans, 1);
    hp_pool_put(p, &u.want, HP_CLOSE_IO_ERROR);
    CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_DIALING);
    CHECK_INT(p->n_orphans, 1);
    hp_pool_cancel(p, &x.want, NULL);
    turn_keeper(p);
    CHECK_INT(hp_pool_look(p, &w[1].want), HP_WANT_LEASED);
    hp_pool_orphan_dial(p, w[1].dial);
    kit_put(p, &v);
    kit_put(p, &w[1]);
    kit_done(p);
}

/* The keeper is just stepping it, so it cannot be taken over at once. */
static void
test_orphan_at_work(void)
{
    for (int other = 0; other < 2; other++) {
        hp_pool *p = pool_with(2, HP_NO_LIMIT);
        kit_host b;
        kit_want w[2], x;
        hp_trash t = {0};
        kit_host_init(&b, "b.example");
        kit_want_init(&x, other ? &b : &a);
        begin_dials(p, &a, w, 2);
        hp_pconn *dial = w[0].dial;
        hp_pool_cancel(p, &w[0].want, dial);
        dial->at_work = true;
        CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
        hp_lock(&p->mu);
        dial->at_work = false;
        hp_orphan_rested(p, dial, &t);
        hp_pool_unlock(p);
        hp_trash_empty(p, &t);
        turn_keeper(p);
        CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_DIALING);
        CHECK_INT(x.want.handed == dial, !other);
        hp_pool_cancel(p, &x.want, NULL);
        hp_pool_cancel(p, &w[1].want, w[1].dial);
        turn_keeper(p);
        kit_done(p);
    }
}

/* ---- after a failed dial ---- */

/* Its slot goes on; what comes back is still his, in his turn. */
static void
test_listening_after_a_failed_dial(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, 2);
    kit_want v, w, x;
    kit_want_init(&v, &a);
    kit_want_init(&w, &a);
    kit_want_init(&x, &a);
    uint64_t id = kit_get(p, &v);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_QUEUED);
    kit_begin_dial(p, &w);
    CHECK_INT(kit_fail_dial(p, &w, true), HP_WANT_LISTENING);
    CHECK_INT(hp_pool_look(p, &x.want), HP_WANT_DIALING);
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_LISTENING);
    CHECK_GAUGES(p, 0, 1, 1, 0, 0);
    kit_put(p, &v); /* w came before x */
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_LEASED);
    CHECK_INT(kit_id(&w), id);
    kit_dial(p, &x);
    kit_put(p, &x);
    kit_put(p, &w);
    CHECK_GAUGES(p, 2, 0, 0, 0, 0);
    kit_done(p);
}

/* Only if there is something to wait for. */
static void
test_nothing_to_listen_for(void)
{
    for (int how = 0; how < 3; how++) {
        hp_limits l = kit_limits();
        l.disable_keepalives = how == 2;
        hp_pool *p = kit_pool(&l);
        kit_host b;
        kit_want v, w;
        kit_host_init(&b, "b.example");
        kit_want_init(&v, how == 0 ? &b : &a);
        kit_get(p, &v);
        begin_dials(p, &a, &w, 1);
        CHECK_INT(kit_fail_dial(p, &w, how != 1), HP_WANT_NEW);
        hp_pool_put(p, &v.want, HP_CLOSE_IO_ERROR);
        kit_done(p);
    }
}

static void
test_listening_ends(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, HP_NO_LIMIT);
    kit_want v, w[2];
    kit_want_init(&v, &a);
    kit_get(p, &v);
    begin_dials(p, &a, w, 2);
    CHECK_INT(kit_fail_dial(p, &w[0], true), HP_WANT_LISTENING);
    CHECK_INT(kit_fail_dial(p, &w[1], true), HP_WANT_LISTENING);
    hp_pool_cancel(p, &w[0].want, NULL);
    CHECK_INT(w[0].want.state, HP_WANT_NEW);
    hp_pool_close(p);
    CHECK_INT(hp_pool_look(p, &w[1].want), HP_WANT_REFUSED);
    hp_pool_put(p, &v.want, HP_KEEP);
    kit_done(p);
}

static void
test_close_gives_up_orphans(void)
{
    for (int how = 0; how < 3; how++) {
        hp_pool *p = pool_with(HP_NO_LIMIT, HP_NO_LIMIT);
        kit_want w[2];
        begin_dials(p, &a, w, 2);
        for (int i = 0; i < 2; i++)
            hp_pool_cancel(p, &w[i].want, w[i].dial);
        if (how == 0)
            hp_pool_close(p);
        else
            hp_pool_close_idle(p, hp_span_cstr(how == 1 ? "" : "a.example"));
        turn_keeper(p);
        CHECK_INT(kit_closes(p, HP_CLOSE_SURPLUS_DIAL), 2);
        CHECK_INT(kit_hosts(p), 0);
        kit_done(p);
    }
}

/* S51, S56: cancelled while its dial is about to be ready; and served, with a
 * dial of its own on top. */
static void
test_s56_cancel_with_a_dial(void)
{
    hp_pool *p = pool_with(HP_NO_LIMIT, HP_NO_LIMIT);
    kit_want v, w;
    begin_dials(p, &a, &w, 1);
    kit_step_dial(&w);
    hp_pool_cancel(p, &w.want, w.dial);
    turn_keeper(p);
    CHECK_GAUGES(p, 1, 0, 0, 0, 0);
    kit_want_init(&v, &a);
    kit_get(p, &v);
    begin_dials(p, &a, &w, 1);
    kit_put(p, &v);
    CHECK_INT(w.want.state, HP_WANT_SERVED);
    hp_pool_cancel(p, &w.want, w.dial);
    turn_keeper(p);
    CHECK_GAUGES(p, 2, 0, 0, 0, 0);
    kit_done(p);
}

int
main(void)
{
    hp_keeper_by_hand();
    kit_host_init(&a, "a.example");
    RUN(test_s40_late_binding);
    RUN(test_dialed_after_served);
    RUN(test_dial_failed_after_served);
    RUN(test_granted_then_served);
    RUN(test_orphans_are_bounded);
    RUN(test_orphans_under_a_limit);
    RUN(test_orphan_is_adopted);
    RUN(test_dial_goes_to_the_next_in_line);
    RUN(test_handed_and_not_needed);
    RUN(test_orphan_makes_way_for_another_host);
    RUN(test_orphan_stays_where_it_blocks_nobody);
    RUN(test_orphan_at_work);
    RUN(test_listening_after_a_failed_dial);
    RUN(test_nothing_to_listen_for);
    RUN(test_listening_ends);
    RUN(test_close_gives_up_orphans);
    RUN(test_s56_cancel_with_a_dial);
    DONE();
}
