#include "base/fork.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/span.h"
#include "base/waker.h"
#include "test.h"

/* What ran, in order: "B0B2P2P0": before, parent, child. */
static char ran[64];

static void
note(char what, char order)
{
    size_t n = strlen(ran);
    ran[n] = what;
    ran[n + 1] = order;
    ran[n + 2] = '\0';
}

#define HOOKS(n)                                                               \
    static void prepare##n(void)                                               \
    {                                                                          \
        note('B', '0' + (n));                                                  \
    }                                                                          \
    static void parent##n(void)                                                \
    {                                                                          \
        note('P', '0' + (n));                                                  \
    }                                                                          \
    static void child##n(void)                                                 \
    {                                                                          \
        note('C', '0' + (n));                                                  \
    }                                                                          \
    static const hp_fork_hooks hooks##n = {(n), prepare##n, parent##n, child##n}

HOOKS(0);
HOOKS(2);
static void
child_only(void)
{
    note('C', '1');
}
static const hp_fork_hooks hooks1 = {.order = 1, .child = child_only};

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
check_child_order(void)
{
    CHECK_SPAN(hp_span_cstr(ran), "B0B2C2C1C0");
}

static void
test_order(void)
{
    /* The order of registration does not matter, nor does doing it twice. */
    CHECK_INT(hp_fork_register(&hooks2), 0);
    CHECK_INT(hp_fork_register(&hooks0), 0);
    CHECK_INT(hp_fork_register(&hooks1), 0);
    CHECK_INT(hp_fork_register(&hooks0), 0);
    ran[0] = '\0';
    in_child(check_child_order);
    CHECK_SPAN(hp_span_cstr(ran), "B0B2P2P0");
}

static unsigned generation_of_parent;

static void
check_grandchild(void)
{
    CHECK_INT(hp_fork_generation(), generation_of_parent + 2);
}

static void
check_generation(void)
{
    CHECK_INT(hp_fork_generation(), generation_of_parent + 1);
    ran[0] = '\0';
    in_child(check_grandchild);
    CHECK_INT(hp_fork_generation(), generation_of_parent + 1);
}

static void
test_generation(void)
{
    generation_of_parent = hp_fork_generation();
    ran[0] = '\0';
    in_child(check_generation);
    CHECK_INT(hp_fork_generation(), generation_of_parent);
}

/* ---- wakers ---- */

static hp_waker *parents;

static bool
readable(hp_waker *w)
{
    struct pollfd p = {.fd = hp_waker_fd(w), .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void
use_wakers(void)
{
    hp_waker_wake(parents); /* must not reach the parent's poll() */
    int inherited = hp_waker_fd(parents);
    hp_waker *mine = hp_waker_for_thread();
    CHECK(mine && mine != parents);
    CHECK(mine == hp_waker_for_thread());
    CHECK(hp_waker_fd(mine) != inherited);
    CHECK_INT(fcntl(inherited, F_GETFD), -1); /* our copy is closed */
    CHECK(!readable(mine));
    hp_waker_wake(mine);
    CHECK(readable(mine));
    hp_waker_clear(mine, 1);
    CHECK(!readable(mine));
}

static void
test_child_has_its_own_waker(void)
{
    parents = hp_waker_for_thread();
    CHECK(parents);
    ran[0] = '\0';
    in_child(use_wakers);
    CHECK(!readable(parents));
    hp_waker_wake(parents);
    CHECK(readable(parents));
    hp_waker_clear(parents, 1);
}

/* A token that was there at the fork is not the child's to take. */
static void
test_tokens_stay_with_the_parent(void)
{
    hp_waker_wake(parents);
    ran[0] = '\0';
    in_child(use_wakers);
    CHECK(readable(parents));
    hp_waker_clear(parents, 1);
}

int
main(void)
{
    RUN(test_order);
    RUN(test_generation);
    RUN(test_child_has_its_own_waker);
    RUN(test_tokens_stay_with_the_parent);
    DONE();
}
