/* addr_trouble: the table by itself; what dials make of it is in dial_test.c.
 */
#include "net/addr_trouble.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/span.h"
#include "forks.h"
#include "test.h"

static const hp_ns S = HP_NS_PER_S;

static hp_addr
addr(const char *literal, uint16_t port)
{
    hp_addr a;
    CHECK(hp_addr_from_literal(literal, &a) == 1);
    hp_addr_set_port(&a, port);
    return a;
}

static void
fail_times(const hp_addr *a, int n)
{
    while (n-- > 0)
        hp_addr_failed(a);
}

static void
test_two_in_a_row(void)
{
    hp_addr a = addr("192.0.2.1", 80);
    CHECK(!hp_addr_in_trouble(&a));
    hp_addr_failed(&a);
    CHECK(!hp_addr_in_trouble(&a));
    hp_addr_succeeded(&a);
    hp_addr_failed(&a); /* the first again */
    CHECK(!hp_addr_in_trouble(&a));
    hp_addr_failed(&a);
    CHECK(hp_addr_in_trouble(&a));
    hp_addr_succeeded(&a);
    CHECK(!hp_addr_in_trouble(&a));
    CHECK_INT(hp_addr_trouble_count(), 0);
}

/* For 60 s after the last failure; then one is enough. */
static void
test_for_a_while(void)
{
    hp_addr a = addr("192.0.2.1", 80);
    fail_times(&a, 2);
    hp_clock_advance(59 * S);
    CHECK(hp_addr_in_trouble(&a));
    hp_addr_failed(&a);
    hp_clock_advance(59 * S);
    CHECK(hp_addr_in_trouble(&a));
    hp_clock_advance(1 * S);
    CHECK(!hp_addr_in_trouble(&a));
    hp_addr_failed(&a);
    CHECK(hp_addr_in_trouble(&a));
    hp_addr_trouble_forget();
    CHECK(!hp_addr_in_trouble(&a));
}

static void
test_what_an_address_is(void)
{
    hp_addr a = addr("192.0.2.1", 80), same = addr("192.0.2.1", 80);
    hp_addr others[] = {addr("192.0.2.1", 81), addr("192.0.2.2", 80),
                        addr("::ffff:192.0.2.1", 80), addr("c000:201::", 80)};
    hp_addr zone = addr("fe80::1", 80), other_zone = zone, path;
    fail_times(&a, 2);
    same.u.in.sin_zero[0] = 'x'; /* padding */
    CHECK(hp_addr_in_trouble(&same));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK(!hp_addr_in_trouble(&others[i]));
    other_zone.u.in6.sin6_scope_id = 7;
    fail_times(&zone, 2);
    CHECK(hp_addr_in_trouble(&zone) && !hp_addr_in_trouble(&other_zone));
    CHECK_INT(hp_addr_from_path("/s", &path), 0);
    fail_times(&path, 2);
    CHECK(!hp_addr_in_trouble(&path));
    hp_addr_trouble_forget();
}

/* The one that failed longest ago makes room. */
static void
test_bounded(void)
{
    hp_addr a = addr("192.0.2.1", 1), b = addr("192.0.2.1", 2);
    fail_times(&a, 2);
    fail_times(&b, 2);
    hp_addr_failed(&a);
    for (int port = 3; port <= 1025; port++) {
        hp_addr other = addr("192.0.2.1", (uint16_t)port);
        hp_addr_failed(&other);
    }
    CHECK_INT(hp_addr_trouble_count(), 1024);
    CHECK(hp_addr_in_trouble(&a) && !hp_addr_in_trouble(&b));
    hp_addr_trouble_forget();
    CHECK_INT(hp_addr_trouble_count(), 0);
}

static void
test_no_memory(void)
{
    hp_addr a = addr("192.0.2.1", 80);
    for (int n = 0; n < 2; n++) {
        hp_mem_fail_after(n);
        fail_times(&a, 1);
        hp_mem_fail_after(-1);
        CHECK_INT(hp_addr_trouble_count(), 0);
    }
    fail_times(&a, 2);
    CHECK(hp_addr_in_trouble(&a));
    hp_addr_trouble_forget();
}

static void *
busy(void *arg)
{
    hp_addr a = addr("192.0.2.1", (uint16_t)(uintptr_t)arg);
    hp_addr shared = addr("192.0.2.2", 80);
    for (int i = 0; i < 2000; i++) {
        fail_times(&a, 2);
        CHECK(hp_addr_in_trouble(&a));
        hp_addr_failed(&shared);
        hp_addr_succeeded(&shared);
        hp_addr_succeeded(&a);
        CHECK(!hp_addr_in_trouble(&a));
    }
    return NULL;
}

/* A child forked while others hold the lock can use it, and knows what its
 * parent knew. */
static void
test_threads_and_fork(void)
{
    pthread_t threads[4];
    hp_addr a = addr("192.0.2.3", 80);
    fail_times(&a, 2);
    for (uintptr_t i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, busy, (void *)(i + 1)) == 0);
    for (int i = 0; i < 20; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            alarm(10);
            bool knew = hp_addr_in_trouble(&a);
            hp_addr_succeeded(&a);
            _exit(knew && !hp_addr_in_trouble(&a) ? 0 : 1);
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK_INT(status, 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(hp_addr_in_trouble(&a));
    hp_addr_trouble_forget();
}

int
main(void)
{
    RUN(test_two_in_a_row);
    RUN(test_for_a_while);
    RUN(test_what_an_address_is);
    RUN(test_bounded);
    RUN(test_no_memory);
    RUN(test_threads_and_fork);
    DONE();
}
