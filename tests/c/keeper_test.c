/* keeper: the thread and its poller, with real descriptors. Facts are waited
 * for; nothing depends on how long something takes, but a few tests need the
 * keeper's own pace of 100 ms. */
#include "loopback.h"
#include "pool_kit.h"

static kit_server server;
static kit_host a; /* socket pairs */

static void
serve(kit_host *h, const char *name)
{
    kit_host_init(h, name);
    h->key.open_stream = kit_open_pair;
    h->key.open_arg = &server;
}

static void
done(hp_pool *p)
{
    kit_done(p);
    kit_server_close(&server);
}

static bool
is_armed(hp_pool *p, const hp_pconn *c)
{
    hp_lock(&p->mu);
    bool armed = c->armed;
    hp_unlock(&p->mu);
    return armed;
}

/* One connection, idle and watched. */
static hp_pconn *
watched(hp_pool *p, kit_want *w, const kit_host *h)
{
    kit_want_init(w, h);
    kit_get(p, w);
    hp_pconn *c = w->want.conn;
    kit_put(p, w);
    UNTIL(is_armed(p, c));
    return c;
}

/* ---- life ---- */

/* Without memory for its tools there is no keeper; the pool lives without, and
 * tries again when a second has passed. First of all tests. */
static void
test_no_keeper(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    hp_body body;
    hp_framing f = {.kind = HP_BODY_LENGTH, .length = 5};
    kit_want_init(&w, &a);
    kit_get(p, &w);
    hp_mem_fail_after(0);
    CHECK_INT(kit_put(p, &w), HP_KEEP);
    hp_mem_fail_after(-1);
    CHECK(!hp_keeper_running() && !hp_keeper_available());
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    hp_body_init(&body, &f);
    CHECK_INT(hp_pool_put_undrained(p, &w.want, &body), HP_CLOSE_BODY_UNREAD);
    hp_clock_advance(2 * KIT_S);
    kit_get(p, &w);
    CHECK_INT(kit_put(p, &w), HP_KEEP);
    CHECK(hp_keeper_running() && hp_keeper_available());
    done(p);
}

/* It starts with the first release, and lets go of a pool with nothing in it,
 * whose last reference may then be the user's. */
static void
test_lets_go(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    watched(p, &w, &a);
    CHECK(hp_keeper_running());
    UNTIL(p->refs == 2); /* more during a visit */
    hp_pool_close(p);
    UNTIL(p->refs == 1);
    done(p);
}

/* The keeper's is the last. */
static void
test_last_reference(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    watched(p, &w, &a);
    int fd = server.peers[0];
    hp_pool_close(p);
    hp_pool_unref(p);
    lo_poll(fd, POLLIN); /* closed */
    kit_server_close(&server);
}

/* ---- watching ---- */

/* S50, S52: the server closes; no client does anything; the next request is
 * fine. */
static void
test_s52_server_closes_idle(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    hp_pool *p = kit_pool(&l);
    kit_want w;
    watched(p, &w, &a);
    close(server.peers[0]);
    server.peers[0] = -1;
    UNTIL(kit_hosts(p) == 0);
    CHECK_INT(kit_closes(p, HP_CLOSE_SERVER_CLOSED_IDLE), 1);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    kit_dial(p, &w);
    kit_put(p, &w);
    done(p);
}

/* S54: bytes nobody asked for. */
static void
test_s54_unsolicited_bytes(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    watched(p, &w, &a);
    CHECK_INT(write(server.peers[0], "HTTP/1.1 408 bye\r\n", 18), 18);
    UNTIL(kit_hosts(p) == 0);
    CHECK_INT(kit_closes(p, HP_CLOSE_UNSOLICITED_BYTES), 1);
    done(p);
}

/* Somebody waits, but for a connection of another host that is full. */
static void
test_server_closes_idle_beside_a_waiter(void)
{
    hp_limits l = kit_limits();
    l.max_conns = 2;
    l.max_conns_per_host = 1;
    hp_pool *p = kit_pool(&l);
    kit_host b;
    kit_want u, v, w;
    serve(&b, "b");
    kit_want_init(&u, &b);
    kit_want_init(&v, &b);
    kit_get(p, &u);
    CHECK_INT(kit_acquire(p, &v), HP_WANT_QUEUED);
    watched(p, &w, &a);
    close(server.peers[1]);
    server.peers[1] = -1;
    UNTIL(kit_hosts(p) == 1);
    CHECK_INT(hp_pool_look(p, &v.want), HP_WANT_QUEUED);
    kit_put(p, &u);
    CHECK_INT(hp_pool_look(p, &v.want), HP_WANT_LEASED);
    kit_put(p, &v);
    done(p);
}

/* An event for a connection that was leased meanwhile costs one look; later it
 * is watched again. */
static void
test_event_while_leased(void)
{
    char byte;
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    hp_pconn *c = watched(p, &w, &a);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    CHECK_INT(write(server.peers[0], "x", 1), 1);
    UNTIL(!is_armed(p, c));
    CHECK_INT(c->room, HP_ROOM_LEASED);
    CHECK_INT(c->net.stream->ops->read(c->net.stream, &byte, 1, NULL), 1);
    CHECK_INT(kit_put(p, &w), HP_KEEP);
    UNTIL(is_armed(p, c));
    close(server.peers[0]);
    server.peers[0] = -1;
    UNTIL(kit_now(p).idle == 0);
    done(p);
}

/* Armed, and leased and given back in between: still watched. */
static void
test_armed_over_a_lease(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    hp_pconn *c = watched(p, &w, &a);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    kit_put(p, &w);
    CHECK(is_armed(p, c));
    close(server.peers[0]);
    server.peers[0] = -1;
    UNTIL(kit_now(p).idle == 0);
    done(p);
}

/* Watched, and leased for so long that the keeper lets go of the pool, and
 * another pool gets its slot; the answer comes meanwhile, or does not. Given
 * back, it is watched again. */
static void
comes_back_to_another_slot(bool answer)
{
    char byte;
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l), *other = kit_pool(&l);
    kit_want w, x;
    hp_pconn *c = watched(p, &w, &a);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    kit_want_init(&x, &a);
    kit_get(other, &x);
    while (atomic_load(&p->refs) > 1) { /* a round looks at all pools */
        kit_put(other, &x);
        usleep(10000);
        kit_get(other, &x);
    }
    hp_pool *third = kit_pool(&l);
    kit_want y;
    kit_want_init(&y, &a);
    kit_get(third, &y);
    kit_put(third, &y);
    UNTIL(third->refs == 2);
    if (answer) {
        CHECK_INT(write(server.peers[0], "x", 1), 1);
        usleep(50000);
        CHECK_INT(c->net.stream->ops->read(c->net.stream, &byte, 1, NULL), 1);
    }
    CHECK_INT(kit_put(p, &w), HP_KEEP);
    UNTIL(is_armed(p, c));
    close(server.peers[0]);
    server.peers[0] = -1;
    UNTIL(kit_now(p).idle == 0);
    kit_put(other, &x);
    hp_pool_close(other);
    hp_pool_close(third);
    UNTIL(atomic_load(&other->refs) == 1 && atomic_load(&third->refs) == 1);
    hp_pool_unref(other);
    hp_pool_unref(third);
    done(p);
}

static void
test_armed_for_another_slot(void)
{
    comes_back_to_another_slot(false);
    comes_back_to_another_slot(true);
}

/* ---- the fast path does not pay ---- */

/* Not once per request: the keeper comes by its own pace, whether it finds the
 * connection idle or in use. */
static void
test_hot_path_never_wakes_it(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    kit_get(p, &w);
    kit_put(p, &w);
    UNTIL(p->refs == 2);
    hp_ns start = hp_clock_now();
    uint64_t rounds = hp_keeper_rounds();
    long requests = 0;
    while (hp_clock_now() - start < KIT_S / 2) {
        kit_get(p, &w);
        for (hp_ns until = hp_clock_now() + 50000; hp_clock_now() < until;)
            ; /* in use most of the time */
        kit_put(p, &w);
        requests++;
    }
    rounds = hp_keeper_rounds() - rounds;
    hp_ns paces = (hp_clock_now() - start) / HP_KEEPER_PACE;
    CHECK(requests > 100);
    CHECK((hp_ns)rounds <= paces + 3);
    done(p);
}

/* A quiet pool does not wake it at all. */
static void
test_quiet_pool_sleeps(void)
{
    hp_limits l = kit_limits();
    l.idle_conn_timeout = HP_NO_LIMIT;
    hp_pool *p = kit_pool(&l);
    kit_want w;
    watched(p, &w, &a);
    uint64_t before, rounds = hp_keeper_rounds();
    int tries = 0;
    do { /* first it sees that nothing has happened */
        CHECK(tries++ < 20);
        before = rounds;
        usleep(250000);
        rounds = hp_keeper_rounds();
    } while (rounds != before);
    done(p);
}

/* ---- expiry ---- */

static void
test_s48_idle_timeout(void)
{
    hp_limits l = kit_limits();
    l.idle_conn_timeout = 150 * KIT_MS;
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    kit_get(p, &w);
    kit_put(p, &w);
    UNTIL(kit_hosts(p) == 0);
    CHECK_INT(kit_closes(p, HP_CLOSE_IDLE_TIMEOUT), 1);
    lo_poll(server.peers[0], POLLIN);
    done(p);
}

/* ---- drains ---- */

static hp_close_reason
put_undrained(hp_pool *p, kit_want *w, int64_t left)
{
    hp_framing f = {.kind = HP_BODY_LENGTH, .length = left};
    hp_body body;
    hp_body_init(&body, &f);
    return hp_pool_put_undrained(p, &w->want, &body);
}

static void
test_drain(void)
{
    hp_limits l = kit_limits();
    l.drain_timeout = 20 * KIT_S;
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    kit_get(p, &w);
    CHECK_INT(put_undrained(p, &w, 10), HP_KEEP);
    CHECK_INT(write(server.peers[0], "hello", 5), 5);
    UNTIL(kit_now(p).draining == 1);
    CHECK_INT(write(server.peers[0], "world", 5), 5);
    UNTIL(kit_now(p).idle == 1);
    CHECK_INT(kit_count(p).drains, 1);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    CHECK_INT(put_undrained(p, &w, 10), HP_KEEP);
    close(server.peers[0]);
    server.peers[0] = -1;
    UNTIL(kit_hosts(p) == 0);
    CHECK_INT(kit_closes(p, HP_CLOSE_DRAIN_FAILED), 1);
    done(p);
}

static void
test_drain_timeout(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    kit_get(p, &w);
    CHECK_INT(put_undrained(p, &w, 10), HP_KEEP);
    UNTIL(kit_hosts(p) == 0);
    CHECK_INT(kit_closes(p, HP_CLOSE_DRAIN_TIMEOUT), 1);
    done(p);
}

/* ---- orphans ---- */

static void
at_address(kit_host *h, const hp_addr *at)
{
    kit_host_init(h, "127.0.0.1");
    h->key.open_stream = NULL;
    h->key.port = lo_port(at);
}

static void
begin_real_dial(hp_pool *p, kit_want *w, const kit_host *h, hp_ns timeout)
{
    hp_wait wait;
    hp_err err = {0};
    kit_want_init(w, h);
    CHECK_INT(kit_acquire(p, w), HP_WANT_DIALING);
    CHECK_INT(hp_pool_new_conn(p, &w->want, timeout, timeout, &w->dial), 0);
    hp_wait_reset(&wait);
    hp_conn_step(&w->dial->net, hp_waker_for_thread(), &wait, &err);
}

static void
test_orphan_is_finished(void)
{
    hp_addr at;
    kit_host h;
    int listener = lo_listen(AF_INET, 8, &at);
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    at_address(&h, &at);
    kit_want_init(&w, &h);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_DIALING);
    kit_begin_dial(p, &w);
    hp_pool_cancel(p, &w.want, w.dial);
    UNTIL(kit_now(p).idle == 1);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    CHECK(w.want.conn->reused); /* S15 of the list: its failure replays */
    kit_put(p, &w);
    done(p);
    close(listener);
}

/* With nothing to do for long but to wait for that dial. */
static bool
is_asleep(hp_pool *p)
{
    hp_lock(&p->mu);
    bool asleep = p->keep_at > hp_clock_now() + 50 * KIT_S;
    hp_unlock(&p->mu);
    return asleep;
}

/* A dial that hangs goes to the next in line, is given up with the last waiter,
 * or ends by its own timeout. */
static void
test_hanging_orphan(void)
{
    hp_addr at;
    kit_host h;
    int filler, hole = lo_black_hole(AF_INET, &at, &filler);
    hp_limits l = kit_limits();
    l.max_conns_per_host = 2;
    hp_pool *p = kit_pool(&l);
    kit_want w, x, y;
    at_address(&h, &at);
    kit_want_init(&x, &h);
    kit_want_init(&y, &h);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_DIALING);
    begin_real_dial(p, &w, &h, 100 * KIT_S);
    CHECK_INT(kit_acquire(p, &y), HP_WANT_QUEUED);
    hp_pool_cancel(p, &w.want, w.dial);
    CHECK_GAUGES(p, 0, 0, 2, 0, 0);
    CHECK_INT(hp_pool_look(p, &y.want), HP_WANT_DIALING);
    CHECK_INT(hp_pool_new_conn(p, &y.want, 100 * KIT_S, 100 * KIT_S, &y.dial),
              0);
    CHECK(y.dial == w.dial);
    hp_pool_cancel(p, &y.want, y.dial); /* to the keeper: x is left */
    CHECK_GAUGES(p, 0, 0, 2, 0, 0);
    UNTIL(is_asleep(p));
    hp_pool_cancel(p, &x.want, NULL);
    UNTIL(kit_hosts(p) == 0);
    CHECK_INT(kit_closes(p, HP_CLOSE_SURPLUS_DIAL), 1);
    CHECK_INT(kit_acquire(p, &x), HP_WANT_DIALING);
    begin_real_dial(p, &w, &h, 100 * KIT_MS);
    hp_pool_cancel(p, &w.want, w.dial);
    UNTIL(kit_closes(p, HP_CLOSE_DIAL_FAILED) == 1);
    CHECK_GAUGES(p, 0, 0, 1, 0, 0);
    hp_pool_cancel(p, &x.want, NULL);
    done(p);
    close(filler);
    close(hole);
}

/* One whose request would have waited for ever does not. */
static void
test_orphan_without_timeouts(void)
{
    hp_addr at;
    kit_host h;
    int filler, hole = lo_black_hole(AF_INET, &at, &filler);
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    at_address(&h, &at);
    begin_real_dial(p, &w, &h, HP_NO_LIMIT);
    hp_pool_cancel(p, &w.want, w.dial);
    CHECK_GAUGES(p, 0, 0, 1, 0, 0);
    hp_clock_advance(11 * KIT_S);
    hp_keeper_call(p);
    UNTIL(kit_hosts(p) == 0);
    CHECK_INT(kit_closes(p, HP_CLOSE_DIAL_FAILED), 1);
    done(p);
    close(filler);
    close(hole);
}

/* ---- the end ---- */

/* After the exit's stop everything works, without a keeper. */
static void
test_stopped_for_good(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    kit_get(p, &w);
    kit_put(p, &w);
    UNTIL(p->refs == 2);
    hp_keeper_stop_for_good();
    CHECK(!hp_keeper_running() && !hp_keeper_available());
    CHECK_INT(p->refs, 1);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    CHECK_INT(kit_put(p, &w), HP_KEEP);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_LEASED);
    CHECK_INT(put_undrained(p, &w, 10), HP_CLOSE_BODY_UNREAD);
    CHECK(!hp_keeper_running());
    done(p);
}

int
main(void)
{
    serve(&a, "a");
    RUN(test_no_keeper);
    RUN(test_lets_go);
    RUN(test_last_reference);
    RUN(test_s52_server_closes_idle);
    RUN(test_s54_unsolicited_bytes);
    RUN(test_server_closes_idle_beside_a_waiter);
    RUN(test_event_while_leased);
    RUN(test_armed_over_a_lease);
    RUN(test_armed_for_another_slot);
    RUN(test_hot_path_never_wakes_it);
    RUN(test_quiet_pool_sleeps);
    RUN(test_s48_idle_timeout);
    RUN(test_drain);
    RUN(test_drain_timeout);
    RUN(test_orphan_is_finished);
    RUN(test_hanging_orphan);
    RUN(test_orphan_without_timeouts);
    RUN(test_stopped_for_good);
    DONE();
}
