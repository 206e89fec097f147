/* What a process does to requests under way: signals, forks, its exit. */
#include <signal.h>
#include <sys/wait.h>

#include "calls.h"

#ifdef __SANITIZE_THREAD__
/* A child of ours goes on working, with a keeper of its own. */
const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
    return "die_after_fork=0";
}
#endif

/* ---- signals ---- */

static atomic_int interrupts;
static int stop_at;

static bool
on_interrupt(void *arg)
{
    return atomic_fetch_add(&interrupts, 1) + 1 == stop_at;
}

static void
on_signal(int number)
{
}

static void
test_interrupted(void)
{
    call c;
    struct sigaction a = {.sa_handler = on_signal};
    CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
    setup();
    atomic_store(&interrupts, 0);
    stop_at = 3;
    prepare(&c, "/hang");
    c.driver.on_interrupt = on_interrupt;
    make(&c);
    CHECK(pthread_create(&c.thread, NULL, run, &c) == 0);
    SOON(atomic_load(&srv.requests) == 1);
    for (int i = 1; i <= 3; i++) {
        while (atomic_load(&interrupts) < i) {
            pthread_kill(c.thread, SIGUSR1); /* one may come before the poll */
            poll(NULL, 0, 1);
        }
    }
    finish(&c, HP_E_INTERRUPTED);
    SOON(atomic_load(&srv.gone) == 1);
    teardown();
}

/* In the main thread nothing needs to interrupt the poll. */
static void
test_slices(void)
{
    call c;
    setup();
    atomic_store(&interrupts, 0);
    stop_at = 2;
    prepare(&c, "/hang");
    c.driver = (hp_driver){.on_interrupt = on_interrupt, .slices = true};
    make(&c);
    CHECK(!read_head(&c));
    CHECK_INT(c.err.code, HP_E_INTERRUPTED);
    CHECK_INT(c.err.phase, HP_PHASE_HEAD);
    CHECK_INT(atomic_load(&interrupts), 2);
    CHECK(!read_head(&c)); /* for good */
    hp_exchange_free(c.ex);
    teardown();
}

/* ---- forks ---- */

static void
in_child(void (*fn)(call *c), call *c)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        fn(c);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The parent's exchange is of no use here, and dropping it is harmless. */
static void
child_goes_on(call *c)
{
    CHECK_INT(now().idle + now().in_use, 0);
    CHECK_INT(read_some(c), HP_DRIVE_ERROR);
    CHECK_INT(c->err.code, HP_E_FORKED);
    CHECK_INT(hp_exchange_feed(c->ex, "x", 1, &c->err), 0);
    hp_exchange_fail_source(c->ex);
    hp_exchange_close(c->ex);
    hp_exchange_free(c->ex);
    get("/conn", "3");
    get("/conn", "3");
    hp_transport_unref(t);
}

static void
test_fork(void)
{
    call c;
    setup();
    prepare(&c, "/half");
    make(&c);
    CHECK(read_head(&c)); /* connection 1 */
    get("/conn", "2");
    in_child(child_goes_on, &c);
    get("/conn", "2"); /* the child has taken nothing away */
    server_go(&srv);
    read_body(&c);
    CHECK_SPAN(hp_span_of(c.body, c.len), "helloworld");
    hp_exchange_free(c.ex);
    teardown();
}

static pid_t forked;

static bool
fork_once(void *arg)
{
    if (forked < 0) {
        forked = fork();
        server_go(&srv); /* in the child there is nobody to hear it */
    }
    return false;
}

/* A signal handler that forks: the child's drive ends and touches nothing. */
static void
test_fork_within_a_drive(void)
{
    call c;
    int status;
    setup();
    fflush(stdout);
    forked = -1;
    prepare(&c, "/half");
    c.driver = (hp_driver){.on_interrupt = fork_once, .slices = true};
    make(&c);
    run(&c);
    if (forked == 0) {
        CHECK_INT(c.err.code, HP_E_FORKED);
        hp_exchange_free(c.ex);
        _exit(0);
    }
    CHECK(waitpid(forked, &status, 0) == forked);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_INT(c.err.code, HP_OK);
    CHECK_SPAN(hp_span_of(c.body, c.len), "helloworld");
    hp_exchange_free(c.ex);
    teardown();
}

static void
child_with_upgraded(call *c)
{
    size_t got;
    hp_upgraded *u = hp_exchange_take_upgraded(c->ex, &c->err);
    CHECK(u);
    CHECK_INT(hp_upgraded_recv(u, &c->driver, -1, c->body, 9, &got, &c->err),
              HP_DRIVE_ERROR);
    CHECK_INT(c->err.code, HP_E_FORKED);
    hp_upgraded_shutdown(u);
    hp_upgraded_free(u);
    hp_exchange_free(c->ex);
}

static void
test_fork_with_upgraded(void)
{
    static const hp_field fields[] = {
        {HP_SPAN_LIT("Connection"), HP_SPAN_LIT("upgrade")},
        {HP_SPAN_LIT("Upgrade"), HP_SPAN_LIT("x")}};
    call c;
    size_t got;
    setup();
    prepare(&c, "/up");
    c.r.fields = fields;
    c.r.n_fields = 2;
    make(&c);
    CHECK(read_head(&c));
    in_child(child_with_upgraded, &c);
    hp_upgraded *u = hp_exchange_take_upgraded(c.ex, &c.err);
    CHECK_INT(hp_upgraded_sendall(u, &c.driver, -1, "hi", 2, &c.err),
              HP_DRIVE_DONE);
    CHECK_INT(hp_upgraded_recv(u, &c.driver, -1, c.body, 9, &got, &c.err),
              HP_DRIVE_DONE);
    CHECK_SPAN(hp_span_of(c.body, got), "hi");
    hp_upgraded_free(u);
    hp_exchange_free(c.ex);
    teardown();
}

/* ---- exit ---- */

/* Whoever is inside comes out; what follows works without a keeper. */
static void
child_exits(call *body)
{
    call head, idle;
    setup();
    start(body, "/half");
    SOON(atomic_load(&body->in_body));
    start(&head, "/hang");
    prepare(&idle, "/half");
    make(&idle);
    CHECK(read_head(&idle));
    SOON(atomic_load(&srv.requests) == 3);
    hp_process_shutdown();
    finish(body, HP_E_CLOSED);
    finish(&head, HP_E_CLOSED);
    CHECK_INT(read_some(&idle), HP_DRIVE_ERROR);
    CHECK_INT(idle.err.code, HP_E_CLOSED);
    hp_exchange_free(idle.ex);
    get("/echo/a", "a");
    get("/echo/b", "b");
    hp_process_shutdown();
    teardown();
}

static void
test_exit(void)
{
    call c;
    in_child(child_exits, &c);
}

int
main(void)
{
    RUN(test_exit); /* first: its child starts threads of its own */
    RUN(test_interrupted);
    RUN(test_slices);
    RUN(test_fork);
    RUN(test_fork_within_a_drive);
    RUN(test_fork_with_upgraded);
    DONE();
}
