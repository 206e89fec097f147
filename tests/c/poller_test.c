/* Also included by poller_table_test.c, with the other implementation. */
#include "net/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "test.h"

static int a, b; /* a pair of sockets; a is watched */

static hp_poller *
set_up(void)
{
    int pair[2];
    hp_poller *p = hp_poller_new();
    CHECK(p);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    a = pair[0];
    b = pair[1];
    return p;
}

static void
tear_down(hp_poller *p)
{
    hp_poller_remove(p, a);
    close(a);
    close(b);
    hp_poller_free(p);
}

static int
look(hp_poller *p, hp_poller_event *out, int max)
{
    return hp_poller_wait(p, out, max, hp_clock_now());
}

/* Waits for exactly one event. */
static hp_poller_event
expect_one(hp_poller *p)
{
    hp_poller_event e[4];
    CHECK_INT(hp_poller_wait(p, e, 4, HP_NEVER), 1);
    return e[0];
}

static void
test_one_shot_and_level(void)
{
    hp_poller_event e;
    hp_poller *p = set_up();
    CHECK_INT(hp_poller_arm(p, a, POLLIN, 42), 0);
    CHECK_INT(look(p, &e, 1), 0);
    CHECK(write(b, "x", 1) == 1);
    e = expect_one(p);
    CHECK_INT(e.id, 42);
    CHECK_INT(e.events, POLLIN);
    CHECK_INT(look(p, &e, 1), 0); /* disarmed, though still readable */
    CHECK_INT(hp_poller_arm(p, a, POLLIN, UINT64_MAX), 0);
    e = expect_one(p); /* level: the old byte counts */
    CHECK(e.id == UINT64_MAX);
    tear_down(p);
}

static void
test_arming_again_replaces(void)
{
    hp_poller_event e;
    hp_poller *p = set_up();
    CHECK_INT(hp_poller_arm(p, a, POLLIN, 1), 0);
    CHECK_INT(hp_poller_arm(p, a, POLLOUT, 2), 0);
    e = expect_one(p);
    CHECK_INT(e.id, 2);
    CHECK_INT(e.events, POLLOUT);
    CHECK_INT(look(p, &e, 1), 0);
    tear_down(p);
}

static void
test_hang_up(void)
{
    hp_poller *p = set_up();
    CHECK_INT(hp_poller_arm(p, a, POLLIN, 7), 0);
    CHECK(shutdown(b, SHUT_WR) == 0);
    CHECK(expect_one(p).events & POLLIN); /* a FIN reads as EOF */
    CHECK_INT(hp_poller_arm(p, a, POLLIN, 7), 0);
    CHECK(shutdown(a, SHUT_WR) == 0);
    CHECK(expect_one(p).events & POLLIN);
    CHECK_INT(hp_poller_arm(p, a, POLLIN, 7), 0);
    CHECK(expect_one(p).events & POLLHUP);
    tear_down(p);
}

static void
test_remove(void)
{
    hp_poller_event e;
    hp_poller *p = set_up();
    CHECK_INT(hp_poller_arm(p, a, POLLIN, 7), 0);
    CHECK(write(b, "x", 1) == 1);
    /* The open file lives on in the copy, as it would in a forked child. */
    int copy = dup(a);
    hp_poller_remove(p, a);
    close(a);
    CHECK_INT(look(p, &e, 1), 0);
    errno = 0;
    hp_poller_remove(p, a); /* unknown by now */
    hp_poller_remove(p, copy);
    CHECK_INT(errno, 0);
    a = copy;
    CHECK_INT(hp_poller_arm(p, a, POLLIN, 8), 0);
    CHECK_INT(expect_one(p).id, 8);
    tear_down(p);
}

static void
test_no_more_than_asked(void)
{
    enum {
        N = 150
    };
    int pair[N][2], total = 0, got;
    hp_poller_event e[100];
    char seen[N] = {0};
    hp_poller *p = set_up();
    for (int i = 0; i < N; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair[i]) == 0);
        CHECK(write(pair[i][1], "x", 1) == 1);
        CHECK_INT(hp_poller_arm(p, pair[i][0], POLLIN, (uint64_t)i), 0);
    }
    CHECK_INT(look(p, e, 2), 2);
    seen[e[0].id]++;
    seen[e[1].id]++;
    while ((got = look(p, e, 100)) > 0) {
        total += got;
        for (int i = 0; i < got; i++)
            seen[e[i].id]++;
    }
    CHECK_INT(total, N - 2);
    for (int i = 0; i < N; i++) {
        CHECK_INT(seen[i], 1);
        hp_poller_remove(p, pair[i][0]);
        close(pair[i][0]);
        close(pair[i][1]);
    }
    tear_down(p);
}

static void
test_deadline(void)
{
    hp_poller_event e;
    hp_poller *p = set_up();
    CHECK_INT(hp_poller_arm(p, a, POLLIN, 7), 0);
    hp_ns deadline = hp_clock_now() + 20 * HP_NS_PER_MS;
    while (hp_clock_now() < deadline)
        CHECK_INT(hp_poller_wait(p, &e, 1, deadline), 0);
    CHECK_INT(hp_poller_wait(p, &e, 1, deadline), 0);
    tear_down(p);
}

static void
nothing(int sig)
{
}

static void
test_signal(void)
{
    hp_poller_event e;
    hp_poller *p = set_up();
    struct sigaction act = {.sa_handler = nothing}, old;
    /* Again and again: the first may come before the wait has begun. */
    struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    CHECK(sigaction(SIGALRM, &act, &old) == 0);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    CHECK_INT(hp_poller_wait(p, &e, 1, HP_NEVER), 0);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK(sigaction(SIGALRM, &old, NULL) == 0);
    tear_down(p);
}

static void *
waiting_thread(void *p)
{
    CHECK_INT(expect_one(p).id, 99);
    return NULL;
}

/* Whether it is asleep already or not yet. */
static void
test_armed_by_another_thread(void)
{
    pthread_t t;
    hp_poller *p = set_up();
    CHECK(write(b, "x", 1) == 1);
    CHECK(pthread_create(&t, NULL, waiting_thread, p) == 0);
    CHECK_INT(hp_poller_arm(p, a, POLLIN, 99), 0);
    CHECK(pthread_join(t, NULL) == 0);
    tear_down(p);
}

static void
test_no_memory(void)
{
    hp_poller *p = NULL;
    for (int n = 0; p == NULL; n++) {
        CHECK(n < 10);
        errno = 0;
        hp_mem_fail_after(n);
        p = hp_poller_new();
        hp_mem_fail_after(-1);
        CHECK(p || errno == ENOMEM);
    }
    hp_poller_free(p);
    hp_poller_free(NULL);
}

int
main(void)
{
    RUN(test_one_shot_and_level);
    RUN(test_arming_again_replaces);
    RUN(test_hang_up);
    RUN(test_remove);
    RUN(test_no_more_than_asked);
    RUN(test_deadline);
    RUN(test_signal);
    RUN(test_armed_by_another_thread);
    RUN(test_no_memory);
    DONE();
}
