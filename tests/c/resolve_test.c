#include "net/resolve.h"

#include <dlfcn.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/span.h"
#include "fake_dns.h"
#include "test.h"

static const hp_ns TTL = 10 * HP_NS_PER_S;

#ifdef __SANITIZE_THREAD__
const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
    return "die_after_fork=0"; /* the child of test_fork starts threads */
}
#endif

/* The system runs out of threads when a test says so; and a test can wait for
 * those that are about to end. */
static bool no_threads;
static int n_alive;     /* under dns.mutex, as the next two */
static long recent[64]; /* kernel ids of the latest threads */
static unsigned n_started;

typedef struct thread_start {
    void *(*fn)(void *);
    void *arg;
} thread_start;

static void
count_threads(int by)
{
    pthread_mutex_lock(&dns.mutex);
    n_alive += by;
    pthread_cond_broadcast(&dns.changed);
    pthread_mutex_unlock(&dns.mutex);
}

#ifdef __linux__
static void
note_id(void)
{
    pthread_mutex_lock(&dns.mutex);
    recent[n_started++ % 64] = syscall(SYS_gettid);
    pthread_mutex_unlock(&dns.mutex);
}

/* Gone from the kernel's list, not merely done with our function: a thread on
 * its way out may hold the sanitizer's allocator, which does not survive a
 * fork() at that moment. */
static void
wait_until_gone(void)
{
    for (unsigned i = 0; i < n_started && i < 64; i++) {
        while (syscall(SYS_tgkill, getpid(), recent[i], 0) == 0)
            sched_yield();
    }
    n_started = 0;
}
#else
static void
note_id(void)
{
}
static void
wait_until_gone(void)
{
}
#endif

static void *
counted_thread(void *arg)
{
    thread_start start = *(thread_start *)arg;
    free(arg);
    note_id();
    void *result = start.fn(start.arg);
    count_threads(-1);
    return result;
}

int
pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *),
               void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (no_threads)
        return EAGAIN;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    thread_start *start = malloc(sizeof *start);
    *start = (thread_start){fn, arg};
    count_threads(1);
    return real(t, a, counted_thread, start);
}

static void
wait_for_threads_to_end(void)
{
    pthread_mutex_lock(&dns.mutex);
    while (n_alive)
        pthread_cond_wait(&dns.changed, &dns.mutex);
    wait_until_gone();
    pthread_mutex_unlock(&dns.mutex);
}

static void
wait_for_token(hp_waker *w)
{
    struct pollfd p = {.fd = hp_waker_fd(w), .events = POLLIN};
    CHECK(poll(&p, 1, 20000) == 1);
}

static bool
has_token(hp_waker *w)
{
    struct pollfd p = {.fd = hp_waker_fd(w), .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static hp_resolve *
start(const char *host, int family, hp_ns ttl, hp_waker *waker)
{
    hp_err err;
    hp_err_clear(&err);
    hp_resolve *r = hp_resolve_start(host, family, ttl, waker, &err);
    CHECK(r);
    CHECK_INT(err.code, HP_OK);
    return r;
}

/* Waits for the answer and ends the interest. 1, or -1 with *err. */
static int
finish(hp_resolve *r, hp_addrs **out, hp_resolve_source *source, hp_err *err)
{
    hp_waker *w = hp_waker_for_thread();
    int got;
    hp_err_clear(err);
    hp_resolve_set_waker(r, w);
    while ((got = hp_resolve_poll(r, out, source, err)) == 0) {
        wait_for_token(w);
        hp_waker_clear(w, 1);
    }
    hp_resolve_free(r);
    return got;
}

static hp_addrs *
look_up(const char *host, int family, hp_ns ttl, hp_resolve_source *source)
{
    hp_addrs *a = NULL;
    hp_err err;
    CHECK_INT(finish(start(host, family, ttl, NULL), &a, source, &err), 1);
    return a;
}

static hp_resolve_source
source_of(const char *host, hp_ns ttl)
{
    hp_resolve_source source;
    hp_addrs_unref(look_up(host, AF_UNSPEC, ttl, &source));
    return source;
}

static void
check_addr(const hp_addrs *a, int i, const char *want)
{
    char text[HP_ADDR_TEXT_MAX];
    CHECK(i < a->n);
    hp_addr_format(&a->list[i], text);
    CHECK_STR(text, want);
}

static void
fresh(void)
{
    wait_for_threads_to_end();
    dns_reset();
    hp_resolve_flush();
}

/* ---- literals ---- */

static void
test_literals(void)
{
    hp_resolve_source source;
    uint64_t before = hp_resolve_lookups();
    hp_addrs *a = look_up("127.0.0.1", AF_UNSPEC, TTL, &source);
    CHECK_INT(a->n, 1);
    check_addr(a, 0, "127.0.0.1:0");
    CHECK_INT(source, HP_RESOLVED_LITERAL);
    hp_addrs_unref(a);
    a = look_up("::1", AF_INET6, 0, &source);
    check_addr(a, 0, "[::1]:0");
    hp_addrs_unref(a);
    CHECK_INT(hp_resolve_lookups(), before);
}

static void
check_refused(const char *host, int family, const char *want)
{
    hp_err err;
    hp_err_clear(&err);
    CHECK(hp_resolve_start(host, family, TTL, NULL, &err) == NULL);
    CHECK_INT(err.code, HP_E_RESOLVE);
    CHECK_STR(err.text, want);
}

static void
test_literals_that_will_not_do(void)
{
    check_refused("::1", AF_INET, "::1 is not an IPv4 address");
    check_refused("192.0.2.1", AF_INET6, "192.0.2.1 is not an IPv6 address");
    check_refused("fe80::1%no-such-if", AF_UNSPEC,
                  "fe80::1%no-such-if: no such network interface");
}

/* ---- names ---- */

static void
test_names(void)
{
    hp_resolve_source source;
    fresh();
    hp_addrs *a = look_up("localhost", AF_UNSPEC, TTL, &source);
    CHECK_INT(a->n, 2);
    check_addr(a, 0, "127.0.0.1:0");
    check_addr(a, 1, "[::1]:0");
    CHECK_INT(source, HP_RESOLVED_LOOKUP);
    hp_addrs_unref(a);
    a = look_up("localhost", AF_INET6, TTL, &source);
    CHECK_INT(a->n, 1);
    check_addr(a, 0, "[::1]:0");
    CHECK_INT(source, HP_RESOLVED_LOOKUP); /* families are cached apart */
    hp_addrs_unref(a);
    CHECK_INT(dns_calls(), 2);
    CHECK(!dns.signals_came_through);
}

static void
test_duplicates_and_crowds(void)
{
    hp_resolve_source source;
    hp_addrs *a = look_up("dup.test", AF_UNSPEC, 0, &source);
    CHECK_INT(a->n, 2);
    check_addr(a, 0, "127.0.0.1:0");
    check_addr(a, 1, "127.0.0.2:0");
    hp_addrs_unref(a);
    a = look_up("many.test", AF_UNSPEC, 0, &source);
    CHECK(a->n >= 64 && a->n <= 200);
    hp_addrs_unref(a);
}

static void
check_error(const char *host, int sys_errno, const char *want)
{
    hp_addrs *a;
    hp_resolve_source source;
    hp_err err;
    hp_resolve *r = start(host, AF_UNSPEC, TTL, NULL);
    CHECK_INT(finish(r, &a, &source, &err), -1);
    CHECK_INT(err.code, HP_E_RESOLVE);
    CHECK_INT(err.sys_errno, sys_errno);
    CHECK_STR(err.text, want);
}

static void
test_errors(void)
{
    char want[200];
    fresh();
    snprintf(want, sizeof want, "cannot resolve none.test: %s",
             gai_strerror(EAI_NONAME));
    check_error("none.test", 0, want);
    check_error("none.test", 0, want); /* not cached */
    CHECK_INT(dns_calls(), 2);
    snprintf(want, sizeof want, "cannot resolve again.test: %s",
             gai_strerror(EAI_AGAIN));
    check_error("again.test", 0, want);
    snprintf(want, sizeof want, "cannot resolve sys.test: %s",
             strerror(EMFILE));
    check_error("sys.test", EMFILE, want);
}

/* ---- cache ---- */

static void
test_cache(void)
{
    fresh();
    CHECK_INT(source_of("a.test", TTL), HP_RESOLVED_LOOKUP);
    CHECK_INT(source_of("a.test", TTL), HP_RESOLVED_CACHE);
    CHECK_INT(source_of("b.test", TTL), HP_RESOLVED_LOOKUP);
    CHECK_INT(source_of("a.test", 0), HP_RESOLVED_LOOKUP); /* neither uses */
    hp_clock_advance(TTL / 2);
    CHECK_INT(source_of("a.test", TTL), HP_RESOLVED_CACHE); /* nor fills */
    hp_clock_advance(TTL / 2);
    CHECK_INT(source_of("a.test", HP_NO_LIMIT), HP_RESOLVED_CACHE);
    CHECK_INT(source_of("a.test", TTL), HP_RESOLVED_LOOKUP);
    CHECK_INT(source_of("a.test", TTL), HP_RESOLVED_CACHE);
    hp_resolve_flush();
    CHECK_INT(source_of("a.test", TTL), HP_RESOLVED_LOOKUP);
    CHECK_INT(source_of("c.test", 0), HP_RESOLVED_LOOKUP);
    CHECK_INT(source_of("c.test", TTL), HP_RESOLVED_LOOKUP);
}

static void
test_cache_is_bounded(void)
{
    char host[32];
    fresh();
    for (int i = 0; i <= 1024; i++) {
        snprintf(host, sizeof host, "n%d.test", i);
        CHECK_INT(source_of(host, TTL), HP_RESOLVED_LOOKUP);
    }
    CHECK_INT(source_of("n1024.test", TTL), HP_RESOLVED_CACHE);
    CHECK_INT(source_of("n1.test", TTL), HP_RESOLVED_CACHE);
    CHECK_INT(source_of("n0.test", TTL), HP_RESOLVED_LOOKUP); /* the oldest */
    hp_resolve_flush();
}

/* ---- flights ---- */

/* More waiters than are woken in one go. */
static void
test_one_flight_for_all(void)
{
    enum {
        N = 70
    };
    hp_resolve *r[N];
    hp_waker *w[N];
    fresh();
    for (int i = 0; i < N; i++) {
        w[i] = hp_waker_new();
        r[i] = start("slow.test", AF_UNSPEC, TTL, i % 7 ? w[i] : NULL);
    }
    dns_wait_inside(1);
    hp_resolve_free(r[5]); /* one of them loses interest */
    dns_open();
    for (int i = 0; i < N; i++) {
        hp_addrs *a;
        hp_resolve_source source;
        hp_err err;
        if (i != 5) {
            if (i % 7)
                wait_for_token(w[i]);
            CHECK_INT(finish(r[i], &a, &source, &err), 1);
            CHECK_INT(source, i ? HP_RESOLVED_SHARED : HP_RESOLVED_LOOKUP);
            hp_addrs_unref(a);
        }
        hp_waker_unref(w[i]);
    }
    CHECK_INT(dns_calls(), 1);
}

/* 0: still waiting; the interest then goes to another driver's waker. */
static void
test_another_waker(void)
{
    hp_waker *first = hp_waker_new(), *second = hp_waker_new();
    hp_addrs *a;
    hp_resolve_source source;
    hp_err err;
    fresh();
    hp_resolve *r = start("slow.test", AF_UNSPEC, TTL, first);
    dns_wait_inside(1);
    hp_err_clear(&err);
    CHECK_INT(hp_resolve_poll(r, &a, &source, &err), 0);
    hp_resolve_set_waker(r, second);
    hp_resolve_set_waker(r, second);
    dns_open();
    wait_for_token(second);
    CHECK(!has_token(first));
    CHECK_INT(hp_resolve_poll(r, &a, &source, &err), 1);
    hp_resolve_set_waker(r, first); /* too late, and harmless */
    hp_addrs_unref(a);
    hp_resolve_free(r);
    CHECK(!has_token(first));
    hp_waker_unref(first);
    hp_waker_unref(second);
}

static void
test_unwanted_answer_fills_the_cache(void)
{
    fresh();
    hp_resolve *r = start("slow.test", AF_UNSPEC, TTL, NULL);
    dns_wait_inside(1);
    hp_resolve_free(r);
    dns_open();
    CHECK(source_of("slow.test", TTL) != HP_RESOLVED_LOOKUP);
    CHECK_INT(source_of("slow.test", TTL), HP_RESOLVED_CACHE);
    CHECK_INT(dns_calls(), 1);
}

static void
test_sixteen_threads(void)
{
    enum {
        N = 20
    };
    hp_resolve *r[N];
    char host[32];
    fresh();
    for (int i = 0; i < N; i++) {
        snprintf(host, sizeof host, "slow%d.test", i);
        r[i] = start(host, AF_UNSPEC, TTL, NULL);
    }
    dns_wait_inside(16);
    hp_resolve_free(r[N - 1]); /* queued: never looked up */
    dns_open();
    for (int i = 0; i < N - 1; i++) {
        hp_addrs *a;
        hp_resolve_source source;
        hp_err err;
        CHECK_INT(finish(r[i], &a, &source, &err), 1);
        hp_addrs_unref(a);
    }
    CHECK_INT(dns.most_inside, 16);
    CHECK_INT(dns_calls(), N - 1);
}

/* ---- when things are short ---- */

static void
test_no_threads(void)
{
    hp_err err;
    fresh();
    no_threads = true;
    hp_err_clear(&err);
    CHECK(hp_resolve_start("a.test", AF_UNSPEC, TTL, NULL, &err) == NULL);
    no_threads = false;
    CHECK_INT(err.code, HP_E_RESOLVE);
    CHECK_INT(err.sys_errno, EAGAIN);
    CHECK(strstr(err.text, "cannot start a thread to look up a.test: "));
    CHECK_INT(source_of("a.test", TTL), HP_RESOLVED_LOOKUP);
}

/* A thread that is there already serves those who could not get one. */
static void
test_no_more_threads(void)
{
    hp_addrs *a;
    hp_resolve_source source;
    hp_err err;
    fresh();
    hp_resolve *first = start("slow.test", AF_UNSPEC, TTL, NULL);
    dns_wait_inside(1);
    no_threads = true;
    hp_resolve *second = start("a.test", AF_UNSPEC, TTL, NULL);
    no_threads = false;
    dns_open();
    CHECK_INT(finish(second, &a, &source, &err), 1);
    hp_addrs_unref(a);
    CHECK_INT(finish(first, &a, &source, &err), 1);
    hp_addrs_unref(a);
    CHECK_INT(dns.most_inside, 1);
}

static void
test_no_memory(void)
{
    bool done = false;
    for (int n = 0; !done; n++) {
        hp_addrs *a;
        hp_resolve_source source;
        hp_err err;
        CHECK(n < 20);
        fresh();
        hp_err_clear(&err);
        hp_mem_fail_after(n);
        hp_resolve *r = hp_resolve_start("a.test", AF_UNSPEC, TTL, NULL, &err);
        int got = r ? finish(r, &a, &source, &err) : -1;
        hp_mem_fail_after(-1);
        if (got == 1) {
            done = n > 0 && source_of("a.test", TTL) == HP_RESOLVED_CACHE;
            hp_addrs_unref(a);
        } else {
            CHECK_INT(err.code, HP_E_NOMEM);
        }
    }
}

static void
in_child(hp_resolve *inherited)
{
    hp_addrs *a;
    hp_resolve_source source;
    hp_err err;
    hp_err_clear(&err);
    CHECK_INT(hp_resolve_poll(inherited, &a, &source, &err), -1);
    CHECK_INT(err.code, HP_E_FORKED);
    hp_resolve_set_waker(inherited, NULL);
    hp_resolve_free(inherited);
    /* Neither the cache nor the flight is there any more. */
    pthread_cond_t unwaited = PTHREAD_COND_INITIALIZER;
    dns.changed = unwaited;
    dns_open();
    CHECK_INT(source_of("kept.test", TTL), HP_RESOLVED_LOOKUP);
    CHECK_INT(source_of("slow.test", TTL), HP_RESOLVED_LOOKUP);
    CHECK_INT(source_of("slow.test", TTL), HP_RESOLVED_CACHE);
    _exit(0);
}

static void
test_fork(void)
{
    hp_addrs *a;
    hp_resolve_source source;
    hp_err err;
    int status;
    fresh();
    CHECK_INT(source_of("kept.test", TTL), HP_RESOLVED_LOOKUP);
    wait_for_threads_to_end();
    hp_resolve *r = start("slow.test", AF_UNSPEC, TTL, NULL);
    dns_wait_inside(1);
    pthread_mutex_lock(&dns.mutex); /* so that the child can unlock it */
    pid_t pid = fork();
    pthread_mutex_unlock(&dns.mutex);
    CHECK(pid >= 0);
    if (pid == 0)
        in_child(r);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    dns_open();
    CHECK_INT(finish(r, &a, &source, &err), 1);
    hp_addrs_unref(a);
    CHECK_INT(source_of("kept.test", TTL), HP_RESOLVED_CACHE);
}

int
main(void)
{
    RUN(test_literals);
    RUN(test_literals_that_will_not_do);
    RUN(test_names);
    RUN(test_duplicates_and_crowds);
    RUN(test_errors);
    RUN(test_cache);
    RUN(test_cache_is_bounded);
    RUN(test_one_flight_for_all);
    RUN(test_another_waker);
    RUN(test_unwanted_answer_fills_the_cache);
    RUN(test_sixteen_threads);
    RUN(test_no_threads);
    RUN(test_no_more_threads);
    RUN(test_no_memory);
    RUN(test_fork);
    DONE();
}
