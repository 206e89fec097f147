/* keeper_fork: the pool and its keeper around fork(). */
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "base/fork.h"
#include "loopback.h"
#include "pool_kit.h"

#if defined(__SANITIZE_THREAD__)
enum {
    THREADS_IN_CHILD = 0
}; /* TSan forbids them */
#else
enum {
    THREADS_IN_CHILD = 1
};
#endif

#if defined(__SANITIZE_ADDRESS__)
enum {
    FORKS_AMONG_THREADS = 0
}; /* its allocator has locks that a fork knows nothing of */
#else
enum {
    FORKS_AMONG_THREADS = 20
};
#endif

static kit_server server;
static kit_host a;
static hp_pool *pool;

static void
prepare(void)
{
    if (pool)
        hp_pool_fork_prepare(pool);
}

static void
parent(void)
{
    if (pool)
        hp_pool_fork_parent(pool);
}

static void
child(void)
{
    if (pool)
        hp_pool_fork_child(pool);
}

static const hp_fork_hooks pool_hooks = {HP_FORK_ORDER_TRANSPORTS, prepare,
                                         parent, child};
static const hp_fork_hooks keeper_hooks = {
    HP_FORK_ORDER_KEEPER, hp_keeper_fork_prepare, hp_keeper_fork_parent,
    hp_keeper_fork_child};

/* Runs `in_child` in a child, which passes by returning. */
static void
in_child(void (*fn)(void))
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
begin(const hp_limits *l)
{
    pool = kit_pool(l);
}

static void
done(void)
{
    kit_done(pool);
    kit_server_close(&server);
}

static bool
has_something(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}

static hp_close_reason
put_undrained(kit_want *w)
{
    hp_framing f = {.kind = HP_BODY_LENGTH, .length = 5};
    hp_body body;
    hp_body_init(&body, &f);
    return hp_pool_put_undrained(pool, &w->want, &body);
}

static int
fd_of(const kit_want *w)
{
    hp_stream *s = w->want.conn->net.stream;
    return s->ops->fd(s);
}

/* ---- what the child finds ---- */

static int fds[3]; /* idle, leased, draining */

static void
look_around(void)
{
    kit_want w;
    for (int i = 0; i < 3; i++)
        CHECK_INT(fcntl(fds[i], F_GETFD), -1);
    CHECK_GAUGES(pool, 0, 0, 0, 0, 0);
    CHECK_INT(kit_hosts(pool), 0);
    CHECK_INT(kit_count(pool).requests, 0);
    CHECK(!hp_keeper_running() && hp_keeper_available());
    kit_check(pool);
    kit_want_init(&w, &a);
    CHECK_INT(kit_acquire(pool, &w), HP_WANT_DIALING);
    if (!THREADS_IN_CHILD) {
        hp_pool_cancel(pool, &w.want, NULL);
        return;
    }
    kit_dial(pool, &w);
    CHECK_INT(kit_put(pool, &w), HP_KEEP);
    CHECK(hp_keeper_running());
    int last = server.n - 1;
    close(server.peers[last]);
    UNTIL(kit_hosts(pool) == 0); /* its keeper is at work */
}

/* The child starts empty, works at once, and says nothing on what it
 * inherited; the parent goes on as if nothing had been. */
static void
test_child_starts_empty(void)
{
    hp_limits l = kit_limits();
    l.drain_timeout = 100 * KIT_S;
    begin(&l);
    kit_want w[3];
    for (int i = 0; i < 3; i++) {
        kit_want_init(&w[i], &a);
        kit_get(pool, &w[i]);
        fds[i] = fd_of(&w[i]);
    }
    uint64_t idle = kit_id(&w[0]);
    kit_put(pool, &w[0]);
    CHECK_INT(put_undrained(&w[2]), HP_KEEP);
    UNTIL(pool->refs == 2);
    in_child(look_around);
    CHECK(hp_keeper_running());
    for (int i = 0; i < 3; i++)
        CHECK(!has_something(server.peers[i])); /* no FIN, no byte */
    CHECK_GAUGES(pool, 1, 1, 0, 1, 0);
    CHECK_INT(kit_get(pool, &w[0]), idle);
    CHECK_INT(write(server.peers[2], "hello", 5), 5);
    UNTIL(kit_now(pool).idle == 1);
    kit_put(pool, &w[0]);
    kit_put(pool, &w[1]);
    close(server.peers[1]);
    server.peers[1] = -1;
    UNTIL(kit_now(pool).idle == 2);
    done();
}

static void
nothing(void)
{
}

/* Nobody asks the pool for anything any more: what the fork has interrupted
 * goes on, whether somebody waits for it ... */
static void
test_a_drain_goes_on(void)
{
    hp_limits l = kit_limits();
    l.drain_timeout = 100 * KIT_S;
    l.max_conns_per_host = 1;
    begin(&l);
    kit_want w, x;
    kit_want_init(&w, &a);
    kit_want_init(&x, &a);
    hp_waker *waker = x.want.waker = hp_waker_new();
    kit_get(pool, &w);
    CHECK_INT(put_undrained(&w), HP_KEEP);
    CHECK_INT(kit_acquire(pool, &x), HP_WANT_QUEUED);
    in_child(nothing);
    CHECK_INT(write(server.peers[0], "hello", 5), 5);
    lo_poll(hp_waker_fd(waker), POLLIN);
    CHECK_INT(hp_pool_look(pool, &x.want), HP_WANT_LEASED);
    kit_put(pool, &x);
    hp_waker_unref(waker);
    done();
}

/* ... or the pool was closed before ... */
static void
test_the_drain_of_a_closed_pool_goes_on(void)
{
    hp_limits l = kit_limits();
    l.drain_timeout = 100 * KIT_S;
    begin(&l);
    kit_want w;
    kit_want_init(&w, &a);
    kit_get(pool, &w);
    CHECK_INT(put_undrained(&w), HP_KEEP);
    hp_pool_close(pool);
    in_child(nothing);
    CHECK_INT(write(server.peers[0], "hello", 5), 5);
    UNTIL(kit_hosts(pool) == 0);
    lo_poll(server.peers[0], POLLIN); /* closed */
    done();
}

static int last_fd;

static void
look_at_last_fd(void)
{
    CHECK_INT(fcntl(last_fd, F_GETFD), -1);
    CHECK(!hp_keeper_running());
}

/* ... or nobody but the keeper knows it any more ... */
static void
test_the_drain_of_a_forgotten_pool_goes_on(void)
{
    char c;
    hp_limits l = kit_limits();
    l.drain_timeout = 100 * KIT_S;
    begin(&l);
    kit_want w;
    kit_want_init(&w, &a);
    kit_get(pool, &w);
    last_fd = fd_of(&w);
    CHECK_INT(put_undrained(&w), HP_KEEP);
    UNTIL(pool->refs == 2);
    hp_pool_close(pool);
    hp_pool_unref(pool);
    pool = NULL;
    in_child(look_at_last_fd);
    CHECK(!has_something(server.peers[0]));
    CHECK_INT(write(server.peers[0], "hello", 5), 5);
    lo_poll(server.peers[0], POLLIN);
    CHECK_INT(read(server.peers[0], &c, 1), 0);
    kit_server_close(&server);
}

/* ... and what is idle grows old. */
static void
test_idle_ones_expire(void)
{
    hp_limits l = kit_limits();
    l.idle_conn_timeout = 300 * KIT_MS;
    begin(&l);
    kit_want w;
    kit_want_init(&w, &a);
    kit_get(pool, &w);
    CHECK_INT(kit_put(pool, &w), HP_KEEP);
    in_child(nothing);
    UNTIL(kit_hosts(pool) == 0);
    CHECK_INT(kit_count(pool).closes[HP_CLOSE_IDLE_TIMEOUT], 1);
    done();
}

static bool postpones;

static bool
postpone(void)
{
    return postpones;
}

/* It can be later, and is if it is not forgotten. */
static void
test_no_thread_before_fork_returns(void)
{
    hp_limits l = kit_limits();
    begin(&l);
    kit_want w;
    kit_want_init(&w, &a);
    hp_keeper_after_fork(postpone);
    kit_get(pool, &w);
    CHECK_INT(kit_put(pool, &w), HP_KEEP);
    postpones = true;
    in_child(nothing);
    CHECK(!hp_keeper_running() && hp_keeper_is_late());
    hp_keeper_resume();
    CHECK(hp_keeper_running() && !hp_keeper_is_late());
    in_child(nothing);
    CHECK(!hp_keeper_running() && hp_keeper_is_late());
    kit_get(pool, &w); /* without a resume */
    CHECK(hp_keeper_running() && !hp_keeper_is_late());
    CHECK_INT(kit_put(pool, &w), HP_KEEP);
    postpones = false;
    in_child(nothing);
    CHECK(hp_keeper_running() && !hp_keeper_is_late());
    hp_keeper_after_fork(NULL);
    done();
}

/* ---- forks and threads ---- */

static atomic_bool enough;

static void *
release_all_the_time(void *arg)
{
    kit_host h;
    kit_want w;
    kit_host_init(&h, arg);
    while (!enough) {
        kit_want_init(&w, &h);
        kit_get(pool, &w);
        if (put_undrained(&w) != HP_KEEP || kit_now(pool).draining > 20)
            sched_yield();
        kit_get(pool, &w);
        kit_put(pool, &w);
        hp_pool_close_idle(pool, (hp_span){0}); /* so that it is called */
    }
    return NULL;
}

static void *
fork_a_lot(void *arg)
{
    for (int i = 0; i < FORKS_AMONG_THREADS; i++) {
        pid_t pid = fork();
        int status;
        CHECK(pid >= 0);
        if (pid == 0) {
            kit_want w;
            kit_want_init(&w, &a);
            CHECK_INT(kit_acquire(pool, &w), HP_WANT_DIALING);
            hp_pool_cancel(pool, &w.want, NULL);
            _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    return arg;
}

/* Others call the keeper while forks stop it, two forks at a time. */
static void
test_forks_among_threads(void)
{
    static char *const names[] = {"0", "1", "2"};
    pthread_t busy[3], forks[2];
    hp_limits l = kit_limits();
    l.drain_timeout = KIT_MS;
    begin(&l);
    enough = false;
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&busy[i], NULL, release_all_the_time, names[i]) ==
              0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&forks[i], NULL, fork_a_lot, NULL) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(forks[i], NULL) == 0);
    enough = true;
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(busy[i], NULL) == 0);
    kit_check(pool);
    kit_want w;
    kit_want_init(&w, &a);
    kit_get(pool, &w);
    kit_put(pool, &w);
    CHECK(hp_keeper_running());
    UNTIL(kit_now(pool).draining == 0);
    done();
}

int
main(void)
{
    kit_host_init(&a, "a");
    a.key.open_stream = kit_open_pair;
    a.key.open_arg = &server;
    CHECK_INT(hp_fork_register(&keeper_hooks), 0);
    CHECK_INT(hp_fork_register(&pool_hooks), 0);
    RUN(test_child_starts_empty);
    RUN(test_a_drain_goes_on);
    RUN(test_the_drain_of_a_closed_pool_goes_on);
    RUN(test_the_drain_of_a_forgotten_pool_goes_on);
    RUN(test_idle_ones_expire);
    RUN(test_no_thread_before_fork_returns);
    RUN(test_forks_among_threads);
    hp_keeper_stop_for_good();
    DONE();
}
