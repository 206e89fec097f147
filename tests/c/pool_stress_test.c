/* pool_stress: 16 threads and the keeper on one small pool: acquire, wait,
 * dial, put, drain, cancel, close_idle. Nobody waits for ever, a connection
 * never has two users, and in the end nothing is left. */
#include <poll.h>
#include <pthread.h>

#include "pool_kit.h"

enum {
    THREADS = 16,
    HOSTS = 3,
    ROUNDS = 400,
    PAIRS = 4
};

static hp_pool *pool;
static kit_host hosts[HOSTS];
static kit_server server;
static pthread_mutex_t pairs = PTHREAD_MUTEX_INITIALIZER;
static atomic_long served, queued, dialed, lingered, stale, drained, cancelled,
    refused;

/* A few connections have a descriptor whose server goes at once: the keeper
 * has something to see. */
static hp_stream *
open_some(void *arg, hp_err *err)
{
    hp_stream *s = NULL;
    pthread_mutex_lock(&pairs);
    if (server.n < PAIRS) {
        s = kit_open_pair(&server, err);
        close(server.peers[server.n - 1]);
        server.peers[server.n - 1] = -1;
    }
    pthread_mutex_unlock(&pairs);
    return s ? s : kit_open(arg, err);
}

typedef struct worker {
    uint64_t seed;
    kit_want w;
    hp_waker *waker;
} worker;

static int
pick(worker *k, int n)
{
    k->seed ^= k->seed << 13;
    k->seed ^= k->seed >> 7;
    k->seed ^= k->seed << 17;
    return (int)(k->seed % (uint64_t)n);
}

/* I1: while it is ours it is nobody else's. */
static void
use(kit_want *w)
{
    hp_stream *s = w->want.conn->net.stream;
    if (s->ops != &kit_ops)
        return;
    atomic_int *users = &((kit_stream *)s)->users;
    CHECK_INT(atomic_fetch_add(users, 1), 0);
    sched_yield();
    CHECK_INT(atomic_fetch_sub(users, 1), 1);
}

static void
give_back(worker *k)
{
    hp_framing f = {.kind = HP_BODY_LENGTH, .length = 5};
    hp_body body;
    use(&k->w);
    switch (pick(k, 8)) {
    case 0:
        hp_body_init(&body, &f);
        drained += hp_pool_put_undrained(pool, &k->w.want, &body) == HP_KEEP;
        hp_body_free(&body);
        break;
    case 1:
        hp_pool_put(pool, &k->w.want, HP_CLOSE_IO_ERROR);
        break;
    default:
        hp_pool_put(pool, &k->w.want, HP_KEEP);
    }
    served++;
}

static void
give_up(worker *k)
{
    hp_pool_cancel(pool, &k->w.want, k->w.dial);
    k->w.dial = NULL;
    cancelled++;
}

/* Until it is served, granted a slot, refused, or tired of it. */
static hp_want_state
wait_in_line(worker *k)
{
    struct pollfd fd = {.fd = hp_waker_fd(k->waker), .events = POLLIN};
    bool patient = pick(k, 4) != 0;
    queued++;
    for (int n = 0;; n++) {
        hp_waker_clear(k->waker, fd.revents != 0);
        hp_want_state s = hp_pool_look(pool, &k->w.want);
        if (s != HP_WANT_QUEUED)
            return s;
        if (!patient && n > 1)
            return s;
        /* A patient one is woken, or the test fails here. */
        CHECK(poll(&fd, 1, patient ? 60000 : 1) == 1 || !patient);
    }
}

/* Its dial failed: what comes back now, or nothing. */
static hp_want_state
linger(worker *k)
{
    struct pollfd fd = {.fd = hp_waker_fd(k->waker), .events = POLLIN};
    lingered++;
    for (int n = 0; n < 3; n++) {
        hp_waker_clear(k->waker, fd.revents != 0);
        hp_want_state s = hp_pool_look(pool, &k->w.want);
        if (s != HP_WANT_LISTENING)
            return s;
        poll(&fd, 1, 1);
    }
    return HP_WANT_LISTENING;
}

/* A slot: the want may be served at any time meanwhile. */
static hp_want_state
dial(worker *k)
{
    kit_want *w = &k->w;
    CHECK_INT(hp_pool_new_conn(pool, &w->want, KIT_S, KIT_S, &w->dial), 0);
    if (w->dial == NULL)
        return hp_pool_look(pool, &w->want);
    dialed++;
    if (pick(k, 3) == 0)
        sched_yield();
    if (pick(k, 4) == 0) {
        hp_want_state s = hp_pool_look(pool, &w->want);
        if (s != HP_WANT_DIALING) {
            if (s == HP_WANT_LEASED)
                hp_pool_orphan_dial(pool, w->dial);
            else
                hp_pool_cancel(pool, &w->want, w->dial);
            w->dial = NULL;
            return s;
        }
    }
    if (pick(k, 8) == 0)
        return HP_WANT_DIALING; /* given up */
    if (pick(k, 8) == 0 && kit_redial(pool, w))
        return HP_WANT_DIALING;
    if (pick(k, 8) == 0)
        return kit_fail_dial(pool, w, pick(k, 2));
    if (w->dial->net.state == HP_CONN_CLOSED)
        return kit_fail_dial(pool, w, false);
    return kit_finish_dial(pool, w) ? HP_WANT_LEASED : HP_WANT_REFUSED;
}

/* Dead before it served. */
static hp_want_state
ask_again(worker *k)
{
    hp_err err = {0};
    stale++;
    if (hp_pool_acquire_again(pool, &k->w.want, HP_CLOSE_SERVER_CLOSED_IDLE,
                              &err) == 0)
        return k->w.want.acquired;
    CHECK_INT(err.code, HP_E_CLOSED);
    return HP_WANT_REFUSED;
}

static void
one_request(worker *k)
{
    hp_err err = {0};
    kit_want_init(&k->w, &hosts[pick(k, HOSTS)]);
    k->w.want.waker = k->waker;
    if (hp_pool_acquire(pool, &k->w.want, &err) != 0) {
        CHECK_INT(err.code, HP_E_CLOSED);
        refused++;
        return;
    }
    hp_want_state s = k->w.want.acquired;
    if (s == HP_WANT_QUEUED)
        s = wait_in_line(k);
    if (s == HP_WANT_QUEUED && pick(k, 8) == 0)
        hp_pool_wait_timed_out(pool, &k->w.want, 0, &err);
    if (s == HP_WANT_DIALING)
        s = dial(k);
    if (s == HP_WANT_LISTENING)
        s = linger(k);
    while (s == HP_WANT_LEASED && pick(k, 8) == 0)
        s = ask_again(k);
    if (s == HP_WANT_LEASED)
        give_back(k);
    else if (s == HP_WANT_NEW || s == HP_WANT_REFUSED)
        refused += s == HP_WANT_REFUSED;
    else
        give_up(k);
}

static void *
work(void *arg)
{
    worker k = {.seed = 0x9e3779b97f4a7c15u * (uintptr_t)arg};
    k.waker = hp_waker_new();
    CHECK(k.waker);
    for (int i = 0; i < ROUNDS; i++) {
        one_request(&k);
        int what = pick(&k, 64);
        if (what == 0)
            hp_pool_close_idle(pool, (hp_span){0});
        else if (what == 1)
            hp_stats_free(hp_pool_stats(pool));
        else if (what == 2)
            usleep(1000);
    }
    hp_waker_unref(k.waker);
    return NULL;
}

static void
run(bool close_early)
{
    static const char *const names[HOSTS] = {"0", "1", "2"};
    pthread_t threads[THREADS];
    hp_limits l = kit_limits();
    l.max_conns = 3;
    l.max_conns_per_host = 2;
    l.max_idle_conns = 2;
    l.max_idle_conns_per_host = 1;
    l.drain_timeout = KIT_MS;
    pool = kit_pool(&l);
    server.n = 0;
    served = 0;
    for (int i = 0; i < HOSTS; i++) {
        kit_host_init(&hosts[i], names[i]);
        hosts[i].key.open_stream = open_some;
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work,
                             (void *)(uintptr_t)(i + 1)) == 0);
    if (close_early) {
        UNTIL(served > 500);
        hp_pool_close(pool);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static void
test_stress(void)
{
    run(false);
    CHECK_INT(refused, 0);
    CHECK(served > 1000 && queued > 100 && dialed > 100 && drained > 10 &&
          lingered > 10 && stale > 100 && cancelled > 10);
    UNTIL(kit_now(pool).draining == 0 && kit_now(pool).dialing == 0);
    hp_gauges now = kit_now(pool);
    CHECK(now.idle <= 2 && now.in_use == 0 && now.waiting == 0);
    hp_counters n = kit_count(pool);
    uint64_t closes = 0;
    for (int i = 0; i < HP_CLOSE_REASON_COUNT; i++)
        closes += n.closes[i];
    CHECK_INT(n.dials, closes + (uint64_t)now.idle);
    CHECK_INT(n.requests, THREADS * ROUNDS);
    kit_done(pool);
    printf("   served %ld, queued %ld, dialed %ld, lingered %ld, stale %ld, "
           "drained %ld, cancelled %ld\n",
           served, queued, dialed, lingered, stale, drained, cancelled);
}

/* Everybody hears of it, whatever he is at. */
static void
test_stress_and_close(void)
{
    run(true);
    CHECK(refused > 0);
    UNTIL(kit_hosts(pool) == 0);
    kit_done(pool);
}

int
main(void)
{
    RUN(test_stress);
    RUN(test_stress_and_close);
    hp_keeper_stop_for_good();
    DONE();
}
