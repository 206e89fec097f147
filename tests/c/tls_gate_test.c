/* tls_gate: forks among threads that are inside OpenSSL. */
#include "net/tls_gate.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/tls.h"
#include "forks.h"
#include "test.h"

#if defined(__SANITIZE_ADDRESS__)
enum {
    FORKS = 0 /* its allocator has locks that a fork knows nothing of */
};
#elif defined(__SANITIZE_THREAD__)
enum {
    FORKS = 60
};
#else
enum {
    FORKS = 400
};
#endif

/* A child that hangs is ended by the alarm. */
static void
in_child(void (*fn)(void))
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(20);
        fn();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
}

static void
start(pthread_t *t, void *(*fn)(void *), void *arg)
{
    CHECK(pthread_create(t, NULL, fn, arg) == 0);
}

static void
join(pthread_t t)
{
    CHECK(pthread_join(t, NULL) == 0);
}

#define UNTIL(cond)                                                            \
    do {                                                                       \
        while (!(cond))                                                        \
            poll(NULL, 0, 1);                                                  \
    } while (0)

/* ---- who is inside, and who comes ---- */

static atomic_bool inside, left, go, entered;
static atomic_long late_thread;

static bool
is_asleep(long tid)
{
    char path[64], line[512], state = '?';
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", tid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return true; /* not Linux: then it may be late */
    if (fgets(line, sizeof line, f))
        sscanf(strrchr(line, ')') + 1, " %c", &state);
    fclose(f);
    return state == 'S';
}

/* Leaves only when the fork waits for it, and somebody else for the fork. */
static void *
stay_until_closed(void *arg)
{
    hp_tls_enter();
    atomic_store(&inside, true);
    UNTIL(hp_tls_gate_is_closed());
    hp_tls_enter(); /* within a visit nobody waits */
    hp_tls_leave();
    atomic_store(&go, true);
    UNTIL(atomic_load(&late_thread) && is_asleep(atomic_load(&late_thread)));
    atomic_store(&left, true);
    hp_tls_leave();
    return arg;
}

static void *
come_when_closed(void *arg)
{
    while (!atomic_load(&go))
        ; /* asleep it is to be at the gate only */
#ifdef __linux__
    atomic_store(&late_thread, syscall(SYS_gettid));
#else
    atomic_store(&late_thread, 1);
#endif
    hp_tls_enter();
    atomic_store(&entered, true);
    hp_tls_leave();
    return arg;
}

static void
check_nobody_is_inside(void)
{
    CHECK(atomic_load(&left));
    CHECK(!atomic_load(&entered));
    CHECK(!hp_tls_gate_is_closed());
    hp_tls_enter();
    hp_tls_leave();
}

static void
test_a_fork_waits(void)
{
    pthread_t stays, comes;
    start(&stays, stay_until_closed, NULL);
    start(&comes, come_when_closed, NULL);
    UNTIL(atomic_load(&inside));
    in_child(check_nobody_is_inside);
    CHECK(!hp_tls_gate_is_closed());
    join(stays);
    join(comes);
    CHECK(atomic_load(&entered));
}

static void
leave_as_child(void)
{
    hp_tls_leave();
    hp_tls_enter();
    hp_tls_leave();
}

/* A crash handler forks wherever its thread was. */
static void
test_a_fork_from_inside(void)
{
    hp_tls_enter();
    in_child(leave_as_child);
    hp_tls_leave();
    in_child(leave_as_child);
}

/* ---- forks among handshakes ---- */

static atomic_bool enough;
static atomic_uint rounds;

/* A client's hello, by a setting that nobody had before: the arithmetic of a
 * handshake, and an SSL_CTX is made and freed. */
static void
hello(unsigned number)
{
    hp_err err = {0};
    hp_tls_config c = {.has_fingerprint = true};
    memcpy(c.fingerprint, &number, sizeof number);
    hp_tls *t = hp_tls_get(&c, &err);
    CHECK(t);
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    hp_stream *plain = hp_plain_stream_new(fds[0]);
    CHECK(plain);
    hp_stream *s = hp_tls_stream_new(t, plain, "a.test", &err);
    CHECK(s);
    CHECK_INT(s->ops->handshake(s, &err), HP_IO_WANT_READ);
    s->ops->close(s, true);
    close(fds[1]);
    hp_tls_unref(t);
}

static void *
one_hello(void *arg)
{
    hello(atomic_fetch_add(&rounds, 1));
    return arg;
}

static void *
many_hellos(void *arg)
{
    while (!atomic_load(&enough))
        one_hello(NULL);
    return arg;
}

/* Threads that end: OpenSSL notes that, too. */
static void *
many_threads(void *arg)
{
    while (!atomic_load(&enough)) {
        pthread_t t;
        start(&t, one_hello, NULL);
        join(t);
    }
    return arg;
}

static void
hello_as_child(void)
{
    hello(UINT32_MAX);
}

static void
test_forks_among_handshakes(void)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        start(&t[i], i % 2 ? many_hellos : many_threads, NULL);
    UNTIL(atomic_load(&rounds) > 4);
    for (int i = 0; i < FORKS; i++)
        in_child(hello_as_child);
    atomic_store(&enough, true);
    for (int i = 0; i < 4; i++)
        join(t[i]);
}

int
main(void)
{
    CHECK_INT(hp_tls_gate_init(), 0);
    RUN(test_a_fork_waits);
    RUN(test_a_fork_from_inside);
    RUN(test_forks_among_handshakes);
    DONE();
}
