/* keep: what the keeper does in a round, turned by hand: expiry, drains. The
 * thread itself is in keeper_test.c. */
#include "pool_kit.h"
#include "script_stream.h"

static kit_host a, b;

static hp_ns
turn_keeper(hp_pool *p)
{
    return hp_pool_keep(p, hp_clock_now());
}

/* ---- expiry ---- */

/* S48: the idle list empties by itself. */
static void
test_s48_idle_timeout(void)
{
    hp_limits l = kit_limits();
    l.idle_conn_timeout = 10 * KIT_S;
    hp_pool *p = kit_pool(&l);
    kit_fill(p, &a, 2, NULL);
    hp_clock_advance(5 * KIT_S);
    kit_fill(p, &b, 1, NULL);
    hp_ns now = hp_clock_now();
    turn_keeper(p);          /* sees releases: comes again after a pace */
    hp_clock_advance(KIT_S); /* and then, all being quiet, when one is due */
    hp_ns next = turn_keeper(p);
    CHECK(next > now + 4 * KIT_S && next < now + 6 * KIT_S);
    CHECK_INT(kit_now(p).idle, 3);
    hp_clock_advance(next - hp_clock_now() + KIT_S);
    next = turn_keeper(p);
    CHECK_INT(kit_now(p).idle, 1); /* a's two */
    CHECK_INT(kit_closes(p, HP_CLOSE_IDLE_TIMEOUT), 2);
    CHECK_INT(kit_hosts(p), 1);
    hp_clock_advance(next - hp_clock_now());
    CHECK_INT(turn_keeper(p), HP_NEVER);
    CHECK_INT(kit_now(p).idle, 0);
    CHECK(hp_pool_keep_nothing(p));
    kit_done(p);
}

/* Aged ones go in any order, whatever the idle timeout. */
static void
test_max_conn_age(void)
{
    hp_limits l = kit_limits();
    l.max_conn_age = 100 * KIT_S;
    l.idle_conn_timeout = HP_NO_LIMIT;
    hp_pool *p = kit_pool(&l);
    kit_want w;
    kit_want_init(&w, &a);
    kit_fill(p, &b, 1, NULL); /* an old one */
    hp_clock_advance(50 * KIT_S);
    uint64_t young = kit_get(p, &w);
    kit_put(p, &w);
    kit_want_init(&w, &b);
    kit_get(p, &w);
    kit_put(p, &w); /* the old one is the last of the lru now */
    turn_keeper(p);
    CHECK_INT(kit_now(p).idle, 2);
    hp_clock_advance(50 * KIT_S);
    hp_ns next = turn_keeper(p);
    CHECK_INT(kit_now(p).idle, 1);
    CHECK_INT(kit_closes(p, HP_CLOSE_MAX_AGE), 1);
    CHECK(next != HP_NEVER);
    kit_want_init(&w, &a);
    CHECK_INT(kit_get(p, &w), young);
    kit_put(p, &w);
    hp_clock_advance(50 * KIT_S);
    turn_keeper(p);
    CHECK_INT(kit_closes(p, HP_CLOSE_MAX_AGE), 2);
    kit_done(p);
}

static void
test_no_timeout_at_all(void)
{
    hp_limits l = kit_limits();
    l.idle_conn_timeout = HP_NO_LIMIT;
    hp_pool *p = kit_pool(&l);
    kit_fill(p, &a, 1, NULL);
    turn_keeper(p);
    hp_clock_advance(1000000 * KIT_S);
    CHECK_INT(turn_keeper(p), HP_NEVER);
    CHECK_INT(kit_now(p).idle, 1);
    kit_done(p);
}

/* ---- looking at one ---- */

/* A sound connection stays, at the caps, and in its place. */
static void
test_check_of_a_sound_one(void)
{
    hp_limits l = kit_limits();
    l.max_idle_conns = 2;
    l.max_idle_conns_per_host = 1;
    hp_pool *p = kit_pool(&l);
    kit_server server = {0};
    kit_host pair;
    kit_want w;
    kit_host_init(&pair, "pair");
    pair.key.open_stream = kit_open_pair;
    pair.key.open_arg = &server;
    kit_want_init(&w, &pair);
    kit_get(p, &w);
    hp_pconn *c = w.want.conn;
    kit_put(p, &w);
    hp_ns since = c->idle_since;
    hp_clock_advance(KIT_S);
    kit_fill(p, &a, 1, NULL);
    turn_keeper(p);
    CHECK(c->armed && c->watched);
    hp_pool_keep_event(p, c->net.id); /* there is nothing to see */
    CHECK_INT(kit_now(p).idle, 2);
    CHECK_INT(c->idle_since, since);
    CHECK(hp_list_first(&p->lru) == &c->lru_node);
    CHECK(!c->armed && hp_node_linked(&c->unarmed_node));
    kit_check(p);
    hp_pool_keep_event(p, c->net.id + 1000); /* nobody's */
    kit_get(p, &w);
    hp_pool_keep_event(p, c->net.id); /* late */
    CHECK_INT(c->room, HP_ROOM_LEASED);
    kit_put(p, &w);
    kit_done(p);
    kit_server_close(&server);
}

/* What others do while the keeper looks: done from within the look. */
static struct {
    hp_stream base;
    int fd;
    hp_pool *p;
    void (*meanwhile)(void);
    kit_want other; /* whom it concerns */
} eyes;

static hp_liveness
eyes_look(hp_stream *s)
{
    CHECK_INT(eyes.p->checking->room, HP_ROOM_CHECKING);
    CHECK_INT(kit_now(eyes.p).idle, 1); /* still counted so */
    eyes.meanwhile();
    return HP_ALIVE;
}

static int
eyes_fd(const hp_stream *s)
{
    return eyes.fd;
}

static void
eyes_close(hp_stream *s, bool polite)
{
    CHECK(close(eyes.fd) == 0);
    eyes.fd = -1;
}

static const hp_stream_ops eyes_ops = {
    .liveness = eyes_look, .fd = eyes_fd, .close = eyes_close};

static hp_stream *
eyes_open(void *arg, hp_err *err)
{
    eyes.base.ops = &eyes_ops;
    eyes.fd = dup(*(int *)arg);
    CHECK(eyes.fd >= 0);
    return &eyes.base;
}

static void
look_while(const hp_limits *l, const kit_host *other, void (*meanwhile)(void))
{
    int fds[2];
    kit_host h;
    kit_want w;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    eyes.p = kit_pool(l);
    eyes.meanwhile = meanwhile;
    kit_host_init(&h, "h");
    h.key.open_stream = eyes_open;
    h.key.open_arg = &fds[0];
    kit_want_init(&eyes.other, other ? other : &h);
    kit_want_init(&w, &h);
    kit_get(eyes.p, &w);
    uint64_t id = kit_id(&w);
    kit_put(eyes.p, &w);
    hp_clock_advance(KIT_S);
    turn_keeper(eyes.p);
    hp_pool_keep_event(eyes.p, id);
    kit_check(eyes.p);
    close(fds[0]);
    close(fds[1]);
}

static void
close_idle_meanwhile(void)
{
    CHECK_INT(hp_pool_close_idle(eyes.p, hp_span_cstr("else")), 0);
    CHECK_INT(hp_pool_close_idle(eyes.p, hp_span_cstr("h")), 1);
    CHECK_INT(hp_pool_close_idle(eyes.p, (hp_span){0}), 0); /* not twice */
}

/* Alone: an idle connection that comes back now is kept. */
static void
close_its_host_meanwhile(void)
{
    CHECK_INT(hp_pool_close_idle(eyes.p, hp_span_cstr("h")), 1);
}

static void
close_meanwhile(void)
{
    hp_pool_close(eyes.p);
}

static void
queue_meanwhile(void)
{
    CHECK_INT(kit_acquire(eyes.p, &eyes.other), HP_WANT_QUEUED);
}

static void
put_meanwhile(void)
{
    kit_get(eyes.p, &eyes.other);
    CHECK_INT(kit_put(eyes.p, &eyes.other), HP_CLOSE_IDLE_CAP_TOTAL);
}

static void
test_events_during_a_check(void)
{
    hp_limits l = kit_limits();
    look_while(&l, NULL, close_idle_meanwhile);
    CHECK_INT(kit_closes(eyes.p, HP_CLOSE_CLOSE_IDLE_CALLED), 1);
    kit_done(eyes.p);
    look_while(&l, NULL, close_its_host_meanwhile);
    CHECK_INT(kit_closes(eyes.p, HP_CLOSE_CLOSE_IDLE_CALLED), 1);
    CHECK_INT(kit_hosts(eyes.p), 0);
    kit_done(eyes.p);
    look_while(&l, NULL, close_meanwhile);
    CHECK_INT(kit_closes(eyes.p, HP_CLOSE_POOL_CLOSED), 1);
    kit_done(eyes.p);
    l.max_conns = 1;
    look_while(&l, NULL, queue_meanwhile); /* the same host: handed over */
    CHECK_INT(hp_pool_look(eyes.p, &eyes.other.want), HP_WANT_LEASED);
    kit_put(eyes.p, &eyes.other);
    kit_done(eyes.p);
    look_while(&l, &a, queue_meanwhile); /* another: closed for it */
    CHECK_INT(hp_pool_look(eyes.p, &eyes.other.want), HP_WANT_DIALING);
    CHECK_INT(kit_closes(eyes.p, HP_CLOSE_MADE_ROOM), 1);
    hp_pool_cancel(eyes.p, &eyes.other.want, NULL);
    kit_done(eyes.p);
    l = kit_limits();
    l.max_idle_conns = 1;
    look_while(&l, &a, put_meanwhile);
    CHECK_INT(kit_now(eyes.p).idle, 1);
    kit_done(eyes.p);
}

/* ---- drains ---- */

/* One lease on a scripted connection, its body not read. */
typedef struct drain {
    hp_limits limits;
    hp_pool *p;
    kit_host host;
    script script;
    kit_want w;
    hp_body body;
} drain;

static void
drain_begin(drain *d, const script_event *events, size_t n, hp_body_kind kind,
            int64_t length)
{
    hp_framing f = {.kind = kind, .length = length};
    d->p = kit_pool(&d->limits);
    kit_host_init(&d->host, "drain");
    script_init(&d->script, events, n);
    d->host.key.open_stream = script_open;
    d->host.key.open_arg = &d->script;
    kit_want_init(&d->w, &d->host);
    kit_get(d->p, &d->w);
    hp_body_init(&d->body, &f);
}

static hp_close_reason
drain_put(drain *d)
{
    return hp_pool_put_undrained(d->p, &d->w.want, &d->body);
}

static void
drain_end(drain *d)
{
    kit_done(d->p);
    CHECK_INT(d->script.opened, 1);
    CHECK_INT(d->script.closed, 1);
    hp_body_free(&d->body);
    script_free(&d->script);
}

#define BEGIN(d, events, kind, length)                                         \
    drain_begin(d, events, sizeof(events) / sizeof *(events), kind, length)

static const script_event slow_hello[] = {
    SCRIPT_BYTES("he"), {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("llo")};

/* S9 (a, b): drained, and idle again. */
static void
test_s9_drained(void)
{
    drain d = {.limits = kit_limits()};
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 5);
    CHECK_INT(drain_put(&d), HP_KEEP);
    CHECK_INT(d.w.want.state, HP_WANT_NEW);
    CHECK(d.body.ended); /* its content is the keeper's */
    CHECK_GAUGES(d.p, 0, 0, 0, 1, 0);
    turn_keeper(d.p);
    CHECK_GAUGES(d.p, 0, 0, 0, 1, 0);
    turn_keeper(d.p);
    CHECK_GAUGES(d.p, 1, 0, 0, 0, 0);
    CHECK_INT(kit_count(d.p).drains, 1);
    CHECK_INT(kit_acquire(d.p, &d.w), HP_WANT_LEASED);
    CHECK_INT(kit_put(d.p, &d.w), HP_KEEP);
    drain_end(&d);
}

static const script_event chunks[] = {SCRIPT_BYTES("5\r\nhello\r\n0\r\n"),
                                      SCRIPT_BYTES("A: b\r\n\r\n")};

/* S11: trailers are read, and belong to nobody. */
static void
test_s11_drained_with_trailers(void)
{
    drain d = {.limits = kit_limits()};
    BEGIN(&d, chunks, HP_BODY_CHUNKED, -1);
    CHECK_INT(drain_put(&d), HP_KEEP);
    turn_keeper(d.p);
    CHECK_GAUGES(d.p, 1, 0, 0, 0, 0);
    CHECK_INT(d.body.trailers.len, 0);
    drain_end(&d);
}

/* It counts against the limit, and what is drained goes to who waits. */
static void
test_drained_for_a_waiter(void)
{
    drain d = {.limits = kit_limits()};
    d.limits.max_conns_per_host = 1;
    kit_want x;
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 5);
    CHECK_INT(drain_put(&d), HP_KEEP);
    kit_want_init(&x, &d.host);
    CHECK_INT(kit_acquire(d.p, &x), HP_WANT_QUEUED);
    turn_keeper(d.p);
    turn_keeper(d.p);
    CHECK_INT(hp_pool_look(d.p, &x.want), HP_WANT_LEASED);
    CHECK(x.want.conn->reused);
    CHECK_INT(kit_put(d.p, &x), HP_KEEP);
    drain_end(&d);
}

static void
drain_fails(drain *d, hp_close_reason why)
{
    CHECK_INT(drain_put(d), HP_KEEP);
    turn_keeper(d->p);
    CHECK_INT(kit_closes(d->p, why), 1);
    CHECK_INT(kit_hosts(d->p), 0);
    CHECK_INT(kit_count(d->p).drains, 0);
    drain_end(d);
}

static const script_event hello_and_more[] = {
    SCRIPT_BYTES("0\r\n\r\nHTTP/1.1 200 OK\r\n")};
static const script_event half_and_eof[] = {SCRIPT_BYTES("he"),
                                            {.op = SCRIPT_EOF}};
static const script_event half_and_error[] = {SCRIPT_BYTES("he"),
                                              {.op = SCRIPT_ERROR, .err = 104}};
static const script_event no_chunk[] = {SCRIPT_BYTES("zz\r\n")};
static const script_event much[] = {SCRIPT_BYTES("ff\r\n0123456789"),
                                    SCRIPT_BYTES("0123456789")};

static void
test_drain_failures(void)
{
    drain d = {.limits = kit_limits()};
    BEGIN(&d, hello_and_more, HP_BODY_CHUNKED, -1);
    drain_fails(&d, HP_CLOSE_LEFTOVER_BYTES);
    BEGIN(&d, half_and_eof, HP_BODY_LENGTH, 5);
    drain_fails(&d, HP_CLOSE_DRAIN_FAILED);
    BEGIN(&d, half_and_error, HP_BODY_LENGTH, 5);
    drain_fails(&d, HP_CLOSE_DRAIN_FAILED);
    BEGIN(&d, no_chunk, HP_BODY_CHUNKED, -1);
    drain_fails(&d, HP_CLOSE_DRAIN_FAILED);
    d.limits.drain_bytes = 20; /* raw bytes, framing included */
    BEGIN(&d, much, HP_BODY_CHUNKED, -1);
    drain_fails(&d, HP_CLOSE_DRAIN_TOO_LONG);
}

/* What remains counts, not what was announced: hpool surpasses Go here. */
static void
test_drain_remainder(void)
{
    drain d = {.limits = kit_limits()};
    d.limits.drain_bytes = 5;
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 6);
    CHECK_INT(drain_put(&d), HP_CLOSE_DRAIN_TOO_LONG);
    CHECK(!d.body.ended); /* still ours */
    CHECK_INT(kit_closes(d.p, HP_CLOSE_DRAIN_TOO_LONG), 1);
    drain_end(&d);
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 6);
    char h[] = "x";
    size_t len = 1, used;
    CHECK_INT(hp_body_feed(&d.body, h, &len, &used, NULL), 0);
    CHECK_INT(drain_put(&d), HP_KEEP); /* 5 are left */
    turn_keeper(d.p);
    turn_keeper(d.p);
    CHECK_INT(kit_count(d.p).drains, 1);
    drain_end(&d);
}

static void
test_drain_timeout(void)
{
    drain d = {.limits = kit_limits()};
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 9);
    hp_ns now = hp_clock_now();
    CHECK_INT(drain_put(&d), HP_KEEP);
    turn_keeper(d.p);
    hp_ns next = turn_keeper(d.p);
    CHECK(next >= now + 50 * KIT_MS && next < now + 10 * KIT_S);
    hp_clock_advance(next - hp_clock_now());
    turn_keeper(d.p);
    CHECK_INT(kit_closes(d.p, HP_CLOSE_DRAIN_TIMEOUT), 1);
    drain_end(&d);
}

/* A server that never stops: the drain ends by the clock although there is
 * always something to read, and other chores get their turn. */
static void
test_drain_without_end(void)
{
    enum {
        N = 1 << 20
    };
    char *flood = calloc(1, N);
    script_event events[] = {{SCRIPT_DATA, flood, N, 0}};
    drain d = {.limits = kit_limits()};
    d.limits.drain_bytes = HP_NO_LIMIT;
    BEGIN(&d, events, HP_BODY_LENGTH, INT64_MAX);
    CHECK_INT(drain_put(&d), HP_KEEP);
    hp_ns now = hp_clock_now();
    CHECK(turn_keeper(d.p) <= hp_clock_now()); /* more at once */
    CHECK(hp_clock_now() - now < 10 * KIT_S);
    CHECK_GAUGES(d.p, 0, 0, 0, 1, 0);
    hp_clock_advance(KIT_S);
    turn_keeper(d.p);
    CHECK_INT(kit_closes(d.p, HP_CLOSE_DRAIN_TIMEOUT), 1);
    drain_end(&d);
    free(flood);
}

/* S12, decision 10, and a closed client. */
static void
test_s12_no_drain(void)
{
    drain d = {.limits = kit_limits()};
    d.limits.drain_bytes = 0;
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 5);
    CHECK_INT(drain_put(&d), HP_CLOSE_BODY_UNREAD);
    drain_end(&d);
    d.limits = kit_limits();
    d.limits.drain_timeout = 0;
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 5);
    CHECK_INT(drain_put(&d), HP_CLOSE_BODY_UNREAD);
    drain_end(&d);
    d.limits = kit_limits();
    d.limits.disable_keepalives = true;
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 5);
    CHECK_INT(drain_put(&d), HP_CLOSE_KEEPALIVES_DISABLED);
    drain_end(&d);
    d.limits = kit_limits();
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 5);
    hp_pool_close(d.p);
    CHECK_INT(drain_put(&d), HP_CLOSE_POOL_CLOSED);
    drain_end(&d);
}

/* close() lets a drain go on; its connection closes after. */
static void
test_close_while_draining(void)
{
    drain d = {.limits = kit_limits()};
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 5);
    CHECK_INT(drain_put(&d), HP_KEEP);
    hp_pool_close(d.p);
    turn_keeper(d.p);
    turn_keeper(d.p);
    CHECK_INT(kit_closes(d.p, HP_CLOSE_POOL_CLOSED), 1);
    CHECK_INT(kit_hosts(d.p), 0);
    drain_end(&d);
}

/* What is left when the last reference goes is closed with it. */
static void
test_last_reference_with_chores(void)
{
    drain d = {.limits = kit_limits()};
    BEGIN(&d, slow_hello, HP_BODY_LENGTH, 5);
    CHECK_INT(drain_put(&d), HP_KEEP);
    drain_end(&d);
}

static void
test_flood_of_drains(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    hp_framing f = {.kind = HP_BODY_LENGTH, .length = 5};
    for (int i = 0; i < 70; i++) {
        kit_want w;
        hp_body body;
        kit_want_init(&w, &a);
        hp_body_init(&body, &f);
        kit_get(p, &w);
        CHECK_INT(hp_pool_put_undrained(p, &w.want, &body),
                  i < 64 ? HP_KEEP : HP_CLOSE_BODY_UNREAD);
    }
    CHECK_GAUGES(p, 0, 0, 0, 64, 0);
    kit_done(p);
}

int
main(void)
{
    hp_keeper_by_hand();
    kit_host_init(&a, "a.example");
    kit_host_init(&b, "b.example");
    RUN(test_s48_idle_timeout);
    RUN(test_max_conn_age);
    RUN(test_no_timeout_at_all);
    RUN(test_check_of_a_sound_one);
    RUN(test_events_during_a_check);
    RUN(test_s9_drained);
    RUN(test_s11_drained_with_trailers);
    RUN(test_drained_for_a_waiter);
    RUN(test_drain_failures);
    RUN(test_drain_remainder);
    RUN(test_drain_timeout);
    RUN(test_drain_without_end);
    RUN(test_s12_no_drain);
    RUN(test_close_while_draining);
    RUN(test_last_reference_with_chores);
    RUN(test_flood_of_drains);
    DONE();
}
