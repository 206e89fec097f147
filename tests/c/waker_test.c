#include "base/waker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "test.h"

static bool
readable(hp_waker *w, int timeout_ms)
{
    struct pollfd p = {.fd = hp_waker_fd(w), .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static void
test_tokens(void)
{
    hp_waker *w = hp_waker_new();
    CHECK(w);
    CHECK(fcntl(hp_waker_fd(w), F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(hp_waker_fd(w), F_GETFL) & O_NONBLOCK);
    CHECK(!readable(w, 0));
    hp_waker_clear(w, 0); /* nothing to take is fine */
    hp_waker_clear(w, 1);
    hp_waker_wake(w);
    hp_waker_wake(w);
    CHECK(readable(w, 0));
    hp_waker_clear(w, 0); /* takes it without having polled */
    CHECK(!readable(w, 0));
    hp_waker_wake(w);
    CHECK(readable(w, 0));
    hp_waker_clear(w, 1);
    CHECK(!readable(w, 0));
    hp_waker_unref(w);
    hp_waker_unref(NULL);
}

static void
test_wake_keeps_errno(void)
{
    hp_waker *w = hp_waker_new();
    errno = 1234;
    hp_waker_wake(w);
    CHECK_INT(errno, 1234);
    hp_waker_unref(w);
}

/* ---- threads ---- */

enum {
    ROUNDS = 20000
};

typedef struct player {
    hp_waker *mine, *other;
    atomic_int *ball; /* whose parity says whose turn it is */
    int parity;
} player;

/* Waits for its turn as a driver does: clear, look, poll. */
static void *
play(void *arg)
{
    player *p = arg;
    for (;;) {
        hp_waker_clear(p->mine, 0);
        int n = atomic_load(p->ball);
        if (n >= ROUNDS)
            break;
        if (n % 2 != p->parity) {
            CHECK(readable(p->mine, 20000));
            continue;
        }
        atomic_store(p->ball, n + 1);
        hp_waker_wake(p->other);
    }
    hp_waker_wake(p->other);
    return NULL;
}

static void
test_two_threads_wake_each_other(void)
{
    atomic_int ball = 0;
    hp_waker *x = hp_waker_new(), *y = hp_waker_new();
    player one = {x, y, &ball, 0}, two = {y, x, &ball, 1};
    pthread_t t;
    CHECK(pthread_create(&t, NULL, play, &two) == 0);
    play(&one);
    CHECK(pthread_join(t, NULL) == 0);
    CHECK_INT(atomic_load(&ball), ROUNDS);
    hp_waker_unref(x);
    hp_waker_unref(y);
}

typedef struct crowd {
    hp_waker *waker;
    atomic_int done;
} crowd;

static void *
add_and_wake(void *arg)
{
    crowd *c = arg;
    hp_waker *w = hp_waker_ref(c->waker);
    for (int i = 0; i < ROUNDS / 4; i++) {
        atomic_fetch_add(&c->done, 1);
        hp_waker_wake(w);
    }
    hp_waker_unref(w);
    return NULL;
}

/* The last wake-up is never lost, however they overlap with the clearing. */
static void
test_many_wake_one(void)
{
    crowd c = {.waker = hp_waker_new()};
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&t[i], NULL, add_and_wake, &c) == 0);
    int ready = 0;
    for (;;) {
        hp_waker_clear(c.waker, ready);
        if (atomic_load(&c.done) == ROUNDS)
            break;
        CHECK(readable(c.waker, 20000));
        ready = 1;
    }
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    hp_waker_unref(c.waker);
}

/* ---- the thread's own ---- */

static void *
own_waker(void *unused)
{
    hp_waker *w = hp_waker_for_thread();
    CHECK(w && w == hp_waker_for_thread());
    return hp_waker_ref(w); /* outlives the thread */
}

static void
test_one_per_thread(void)
{
    pthread_t t;
    void *theirs;
    hp_waker *mine = hp_waker_for_thread();
    CHECK(mine && mine == hp_waker_for_thread());
    CHECK(pthread_create(&t, NULL, own_waker, NULL) == 0);
    CHECK(pthread_join(t, &theirs) == 0);
    CHECK(theirs != mine);
    int fd = hp_waker_fd(theirs);
    hp_waker_wake(theirs); /* the thread is gone, its waker is not */
    CHECK(readable(theirs, 0));
    hp_waker_unref(theirs);
    CHECK_INT(fcntl(fd, F_GETFD), -1);
}

/* ---- shortages ---- */

static void
test_no_descriptors(void)
{
    struct rlimit old, none;
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    none = old;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    hp_waker *w = hp_waker_new();
    int e = errno;
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK(w == NULL);
    CHECK_INT(e, EMFILE);
}

static void
test_no_memory(void)
{
    hp_mem_fail_after(0);
    CHECK(hp_waker_new() == NULL);
    hp_mem_fail_after(-1);
    CHECK_INT(errno, ENOMEM);
}

int
main(void)
{
    RUN(test_tokens);
    RUN(test_wake_keeps_errno);
    RUN(test_two_threads_wake_each_other);
    RUN(test_many_wake_one);
    RUN(test_one_per_thread);
    RUN(test_no_descriptors);
    RUN(test_no_memory);
    DONE();
}
