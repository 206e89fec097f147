#include "net/dial.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/span.h"
#include "loopback.h"
#include "net/addr_trouble.h"
#include "net/resolve.h"
#include "test.h"

static const hp_ns MS = HP_NS_PER_MS;

static hp_addrs *
addrs_of(const hp_addr *list, int n)
{
    hp_addrs *a = hp_addrs_new(n);
    CHECK(a);
    for (int i = 0; i < n; i++)
        a->list[i] = list[i];
    return a;
}

static hp_dial *
dial(const hp_dial_spec *spec, const hp_addr *list, int n)
{
    hp_err err;
    hp_addrs *a = addrs_of(list, n);
    hp_err_clear(&err);
    hp_dial *d = hp_dial_new(a, spec, &err);
    CHECK(d);
    hp_addrs_unref(a); /* the dial holds its own reference */
    return d;
}

static hp_step
step(hp_dial *d, hp_wait *w, int *fd, hp_addr *addr, hp_err *err)
{
    hp_wait_reset(w);
    hp_err_clear(err);
    *fd = -1;
    return hp_dial_step(d, w, fd, addr, err);
}

/* Steps and polls until the end; time stands still as far as dial knows, so
 * that no attempt starts by the stagger. */
static hp_step
run(hp_dial *d, int *fd, hp_addr *addr, hp_err *err)
{
    hp_wait w;
    hp_step s;
    while ((s = step(d, &w, fd, addr, err)) == HP_STEP_WAIT)
        lo_wait(&w);
    return s;
}

static bool
same_addr(const hp_addr *a, const hp_addr *b)
{
    char x[HP_ADDR_TEXT_MAX], y[HP_ADDR_TEXT_MAX];
    hp_addr_format(a, x);
    hp_addr_format(b, y);
    return strcmp(x, y) == 0;
}

/* ---- reaching somebody ---- */

static void
test_first_answers(void)
{
    hp_addr at, got;
    hp_err err;
    int fd, listener = lo_listen(AF_INET, 8, &at);
    hp_dial_spec spec = {.host = "127.0.0.1", .port = lo_port(&at)};
    hp_addr without_port = at;
    without_port.u.in.sin_port = 0;
    hp_dial *d = dial(&spec, &without_port, 1);
    CHECK_INT(run(d, &fd, &got, &err), HP_STEP_DONE);
    CHECK(same_addr(&got, &at));
    int peer = lo_accept(listener);
    hp_dial_free(d);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC); /* ours: the dial let go */
    close(fd);
    close(peer);
    close(listener);
}

static void
test_failure_starts_the_next_at_once(void)
{
    hp_addr list[3], got;
    hp_err err;
    int fd, dead1 = lo_bind(AF_INET, &list[0]);
    int dead2 = lo_bind(AF_INET, &list[1]);
    int listener = lo_listen(AF_INET, 8, &list[2]);
    hp_dial_spec spec = {.host = "example.com", .port = 80};
    hp_dial *d = dial(&spec, list, 3);
    /* Were it to wait for the stagger, run() would find nothing to poll. */
    CHECK_INT(run(d, &fd, &got, &err), HP_STEP_DONE);
    CHECK(same_addr(&got, &list[2]));
    hp_dial_free(d);
    close(fd);
    close(dead1);
    close(dead2);
    close(listener);
}

static void
test_stagger(void)
{
    hp_addr list[2], got;
    hp_err err;
    hp_wait w;
    int fd, filler, hole = lo_black_hole(AF_INET, &list[0], &filler);
    int listener = lo_listen(AF_INET, 8, &list[1]);
    hp_dial_spec spec = {.host = "example.com", .port = 80};
    hp_dial *d = dial(&spec, list, 2);
    hp_ns before = hp_clock_now();
    CHECK_INT(step(d, &w, &fd, &got, &err), HP_STEP_WAIT);
    CHECK_INT(w.n, 1);
    CHECK_INT(w.fds[0].events, POLLOUT);
    CHECK(w.deadline >= before + 250 * MS);
    CHECK(w.deadline <= hp_clock_now() + 250 * MS);
    hp_clock_advance(250 * MS);
    CHECK_INT(run(d, &fd, &got, &err), HP_STEP_DONE);
    CHECK(same_addr(&got, &list[1]));
    /* The loser is closed. */
    CHECK_INT(fcntl(w.fds[0].fd, F_GETFD), -1);
    hp_dial_free(d);
    close(fd);
    close(filler);
    close(hole);
    close(listener);
}

/* Ten silent addresses: the ninth and the tenth have their turn, too, each in
 * the place of the oldest, and the last eight have all the time there is. */
static void
test_eight_in_flight(void)
{
    hp_addr list[10], got;
    hp_err err;
    hp_wait w;
    int fd, filler, hole = lo_black_hole(AF_INET, &list[0], &filler);
    for (int i = 1; i < 10; i++)
        list[i] = list[0];
    hp_dial_spec spec = {.host = "example.com", .port = 80};
    hp_dial *d = dial(&spec, list, 10);
    for (int i = 1; i <= 10; i++) {
        CHECK_INT(step(d, &w, &fd, &got, &err), HP_STEP_WAIT);
        CHECK_INT(w.n, i < 8 ? i : 8);
        CHECK((w.deadline == HP_NEVER) == (i == 10));
        if (i < 10)
            CHECK(w.deadline <= hp_clock_now() + 250 * MS);
        hp_clock_advance(250 * MS);
    }
    CHECK_INT(step(d, &w, &fd, &got, &err), HP_STEP_WAIT);
    CHECK_INT(w.n, 8);
    char tried[128];
    hp_dial_tried(d, tried, sizeof tried);
    CHECK(strlen(tried) > 20 && strlen(tried) < sizeof tried);
    CHECK(strstr(tried, ": no answer for 2.0 s; "));
    hp_dial_free(d);
    for (int i = 0; i < 8; i++)
        CHECK_INT(fcntl(w.fds[i].fd, F_GETFD), -1);
    close(filler);
    close(hole);
}

/* However late the eighth attempt has begun, the first has its two seconds. */
static void
test_the_ninth_answers(void)
{
    hp_addr list[9], got;
    hp_err err;
    hp_wait w;
    int fd, filler, hole = lo_black_hole(AF_INET, &list[0], &filler);
    for (int i = 1; i < 8; i++)
        list[i] = list[0];
    int listener = lo_listen(AF_INET, 8, &list[8]);
    hp_dial_spec spec = {.host = "example.com", .port = 80};
    hp_dial *d = dial(&spec, list, 9);
    for (int i = 1; i <= 8; i++) {
        CHECK_INT(step(d, &w, &fd, &got, &err), HP_STEP_WAIT);
        hp_clock_advance(250 * MS - (i == 8 ? 50 * MS : 0));
    }
    CHECK_INT(step(d, &w, &fd, &got, &err), HP_STEP_WAIT);
    CHECK(w.deadline <= hp_clock_now() + 50 * MS);
    hp_clock_advance(50 * MS);
    CHECK_INT(run(d, &fd, &got, &err), HP_STEP_DONE);
    CHECK(same_addr(&got, &list[8]));
    hp_dial_free(d);
    close(fd);
    close(filler);
    close(hole);
    close(listener);
}

static void
test_unix_queue_full(void)
{
    char dir[] = "/tmp/hp_dial_XXXXXX", path[64];
    hp_addr addr, got;
    hp_err err;
    hp_wait w;
    int fd, listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int filler = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    CHECK_INT(hp_addr_from_path(path, &addr), 0);
    CHECK(bind(listener, &addr.u.sa, addr.len) == 0);
    CHECK(listen(listener, 0) == 0);
    CHECK(connect(filler, &addr.u.sa, addr.len) == 0);
    hp_dial_spec spec = {.uds = path};
    hp_dial *d = dial(&spec, &addr, 1);
    CHECK_INT(step(d, &w, &fd, &got, &err), HP_STEP_WAIT);
    CHECK_INT(w.n, 0);
    CHECK(w.deadline <= hp_clock_now() + 10 * MS);
    close(lo_accept(listener));
    hp_clock_advance(10 * MS);
    CHECK_INT(step(d, &w, &fd, &got, &err), HP_STEP_DONE);
    hp_dial_free(d);
    close(fd);
    close(filler);
    close(listener);
    unlink(path);
    rmdir(dir);
}

/* ---- reaching nobody ---- */

/* Runs to the error. */
static void
fail(const hp_dial_spec *spec, const hp_addr *list, int n, hp_err *err)
{
    hp_addr got;
    int fd;
    hp_dial *d = dial(spec, list, n);
    CHECK_INT(run(d, &fd, &got, err), HP_STEP_ERROR);
    CHECK_INT(err->code, HP_E_CONNECT);
    CHECK_INT(fd, -1);
    hp_dial_free(d);
}

static void
test_refused_text(void)
{
    hp_addr at;
    hp_err err;
    char want[200];
    int dead = lo_bind(AF_INET, &at);
    hp_dial_spec spec = {.host = "127.0.0.1", .port = lo_port(&at)};
    fail(&spec, &at, 1, &err);
    CHECK_INT(err.sys_errno, ECONNREFUSED);
    snprintf(want, sizeof want, "cannot connect to 127.0.0.1:%u: %s", spec.port,
             strerror(ECONNREFUSED));
    CHECK_STR(err.text, want);
    spec.host = "localhost";
    fail(&spec, &at, 1, &err);
    snprintf(want, sizeof want,
             "cannot connect to localhost:%u: 127.0.0.1:%u: %s", spec.port,
             spec.port, strerror(ECONNREFUSED));
    CHECK_STR(err.text, want);
    close(dead);
}

/* [v6 a, v6 b, v4 c, v4 d] are tried as a, c, b, d. */
static void
test_families_interleaved(void)
{
    hp_addr list[4];
    hp_err err;
    int dead[4];
    char want[4][HP_ADDR_TEXT_MAX];
    static const int order[] = {0, 2, 1, 3};
    for (int i = 0; i < 4; i++) {
        dead[i] = lo_bind(i < 2 ? AF_INET6 : AF_INET, &list[i]);
        hp_addr_format(&list[i], want[i]);
    }
    hp_dial_spec spec = {.host = "localhost", .port = 1};
    fail(&spec, list, 4, &err);
    const char *p = err.text;
    for (int i = 0; i < 4; i++) {
        p = strstr(p, want[order[i]]);
        CHECK(p);
    }
    CHECK_INT(err.sys_errno, ECONNREFUSED);
    /* And only one family when the spec says so. */
    spec.family = AF_INET;
    fail(&spec, list, 4, &err);
    CHECK(!strstr(err.text, want[0]) && !strstr(err.text, want[1]));
    CHECK(strstr(err.text, want[2]) && strstr(err.text, want[3]));
    for (int i = 0; i < 4; i++)
        close(dead[i]);
}

static void
test_other_family_than_local_address(void)
{
    hp_addr list[2], got, local = lo_addr(AF_INET), bound;
    hp_err err;
    int fd;
    int dead = lo_bind(AF_INET, &list[0]);
    int listener = lo_listen(AF_INET, 8, &list[1]);
    hp_dial_spec spec = {
        .host = "localhost", .port = 1, .local_address = &local};
    hp_addr six = lo_addr(AF_INET6), mixed[2] = {six, list[1]};
    hp_dial *d = dial(&spec, mixed, 2);
    CHECK_INT(run(d, &fd, &got, &err), HP_STEP_DONE); /* skipped silently */
    bound.len = sizeof bound.u;
    CHECK(getsockname(fd, &bound.u.sa, &bound.len) == 0);
    CHECK(bound.u.in.sin_addr.s_addr == local.u.in.sin_addr.s_addr);
    hp_dial_free(d);
    close(fd);
    mixed[1] = list[0];
    fail(&spec, mixed, 2, &err); /* but named when all fails */
    CHECK(strstr(err.text, "[::1]:1: local address 127.0.0.1: "));
    close(dead);
    close(listener);
}

static void
test_nothing_to_try(void)
{
    hp_addr at = lo_addr(AF_INET);
    hp_err err;
    hp_dial_spec spec = {.host = "::1", .port = 8, .family = AF_INET6};
    fail(&spec, &at, 1, &err);
    CHECK_STR(err.text, "cannot connect to [::1]:8: no address to try");
    fail(&spec, NULL, 0, &err);
    CHECK_STR(err.text, "cannot connect to [::1]:8: no address to try");
}

static void
test_more_than_fit(void)
{
    enum {
        N = 40
    };
    hp_addr list[N];
    hp_err err;
    int dead = lo_bind(AF_INET, &list[0]), more;
    for (int i = 1; i < N; i++)
        list[i] = list[0];
    hp_dial_spec spec = {.host = "example.com", .port = 80};
    fail(&spec, list, N, &err);
    const char *p = strstr(err.text, "; and ");
    CHECK(p && sscanf(p, "; and %d more", &more) == 1);
    CHECK(more > 10 && more < N);
    CHECK_STR(p + strlen(p) - 5, " more"); /* nothing is cut off */
    close(dead);
}

static void
set_limit(rlim_t n)
{
    struct rlimit r;
    CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0);
    r.rlim_cur = n;
    CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
}

static void
test_out_of_descriptors(void)
{
    hp_addr list[2] = {lo_addr(AF_INET), lo_addr(AF_INET)}, got;
    hp_err err;
    hp_wait w;
    struct rlimit before;
    int fd;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    hp_dial_spec spec = {.host = "example.com", .port = 80};
    hp_dial *d = dial(&spec, list, 2);
    set_limit(0);
    hp_step s = step(d, &w, &fd, &got, &err);
    set_limit(before.rlim_cur);
    CHECK_INT(s, HP_STEP_ERROR);
    CHECK_INT(err.sys_errno, EMFILE);
    CHECK(strstr(err.text, "example.com:80") && strstr(err.text, "ulimit -n"));
    CHECK(strstr(err.text, "max_idle_conns"));
    hp_dial_free(d);
}

/* With an attempt under way the next one waits for its descriptor. */
static void
test_descriptors_for_one(void)
{
    hp_addr list[2], got;
    hp_err err;
    hp_wait w;
    struct rlimit before;
    int fd, filler, hole = lo_black_hole(AF_INET, &list[0], &filler);
    int listener = lo_listen(AF_INET, 8, &list[1]);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    hp_dial_spec spec = {.host = "example.com", .port = 80};
    hp_dial *d = dial(&spec, list, 2);
    CHECK_INT(step(d, &w, &fd, &got, &err), HP_STEP_WAIT);
    set_limit((rlim_t)w.fds[0].fd + 1);
    hp_clock_advance(250 * MS);
    CHECK_INT(step(d, &w, &fd, &got, &err), HP_STEP_WAIT);
    CHECK_INT(w.n, 1);
    CHECK(w.deadline == HP_NEVER);
    close(hole); /* the next SYN, within a second, is refused */
    CHECK_INT(run(d, &fd, &got, &err), HP_STEP_DONE);
    set_limit(before.rlim_cur);
    CHECK(same_addr(&got, &list[1]));
    hp_dial_free(d);
    close(fd);
    close(filler);
    close(listener);
}

static void
test_no_memory(void)
{
    hp_addr at = lo_addr(AF_INET);
    hp_addrs *a = addrs_of(&at, 1);
    hp_err err;
    hp_dial_spec spec = {.host = "x", .port = 1};
    hp_err_clear(&err);
    hp_mem_fail_after(0);
    CHECK(hp_dial_new(a, &spec, &err) == NULL);
    hp_mem_fail_after(-1);
    CHECK_INT(err.code, HP_E_NOMEM);
    hp_addrs_unref(a);
    hp_dial_free(NULL);
}

static void
test_targets(void)
{
    char text[HP_DIAL_TARGET_MAX];
    hp_dial_target(&(hp_dial_spec){.host = "example.com", .port = 80}, text);
    CHECK_STR(text, "example.com:80");
    hp_dial_target(&(hp_dial_spec){.host = "::1", .port = 443}, text);
    CHECK_STR(text, "[::1]:443");
    hp_dial_target(&(hp_dial_spec){.uds = "/run/x", .host = "y"}, text);
    CHECK_STR(text, "unix:/run/x");
}

/* ---- addresses that keep failing ---- */

enum {
    A,
    B,
    C,
    DEAD_PORTS
};

/* Three ports of which those named by `alive` listen. */
static void
open_ports(hp_addr list[DEAD_PORTS], int fds[DEAD_PORTS], unsigned alive)
{
    hp_addr_trouble_forget();
    for (int i = 0; i < DEAD_PORTS; i++)
        fds[i] = alive >> i & 1 ? lo_listen(AF_INET, 64, &list[i])
                                : lo_bind(AF_INET, &list[i]);
}

static void
close_ports(int fds[DEAD_PORTS])
{
    for (int i = 0; i < DEAD_PORTS; i++)
        close(fds[i]);
    hp_addr_trouble_forget();
}

/* Which of the list is reached; -1 for none. */
static int
reached(const hp_addr *list, int n)
{
    hp_addr got;
    hp_err err;
    int fd, at = -1;
    hp_dial_spec spec = {.host = "example.com", .port = 80};
    hp_dial *d = dial(&spec, list, n);
    hp_step s = run(d, &fd, &got, &err);
    hp_dial_free(d);
    if (s != HP_STEP_DONE)
        return -1;
    close(fd);
    for (int i = 0; i < n; i++) {
        if (same_addr(&got, &list[i]))
            at = i;
    }
    return at;
}

static void
test_two_failures_move_an_address_back(void)
{
    hp_addr list[DEAD_PORTS];
    int fds[DEAD_PORTS];
    open_ports(list, fds, 1 << B | 1 << C);
    CHECK_INT(reached(list, 3), B);
    CHECK(!hp_addr_in_trouble(&list[A]));
    CHECK_INT(reached(list, 3), B);
    CHECK(hp_addr_in_trouble(&list[A]));
    CHECK(listen(fds[A], 64) == 0); /* alive again, but not trusted yet */
    CHECK_INT(reached(list, 3), B);
    hp_clock_advance(60 * HP_NS_PER_S);
    CHECK_INT(reached(list, 3), A);
    CHECK_INT(hp_addr_trouble_count(), 0);
    close_ports(fds);
}

/* Those in trouble are the only ones: in their order, and one success counts.
 */
static void
test_nothing_else_is_there(void)
{
    hp_addr list[DEAD_PORTS];
    int fds[DEAD_PORTS];
    open_ports(list, fds, 0);
    for (int i = 0; i < 2; i++)
        CHECK_INT(reached(list, 3), -1);
    for (int i = 0; i < DEAD_PORTS; i++) {
        CHECK(hp_addr_in_trouble(&list[i]));
        CHECK(listen(fds[i], 64) == 0);
    }
    CHECK_INT(reached(list, 3), A);
    CHECK(!hp_addr_in_trouble(&list[A]));
    hp_addr swapped[] = {list[C], list[B], list[A]};
    CHECK_INT(reached(swapped, 3), 2); /* the healthy one */
    close_ports(fds);
}

/* After the families have been interleaved: [v6 a, v6 b, v4 c] are a, c, b;
 * with a in trouble they are c, b, a. */
static void
test_back_of_both_families(void)
{
    hp_addr list[3];
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = lo_listen(i < 2 ? AF_INET6 : AF_INET, 64, &list[i]);
    CHECK_INT(reached(list, 3), 0);
    hp_addr_failed(&list[0]);
    hp_addr_failed(&list[0]);
    CHECK_INT(reached(list, 3), 2);
    hp_addr_failed(&list[2]);
    hp_addr_failed(&list[2]);
    CHECK_INT(reached(list, 3), 1);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    hp_addr_trouble_forget();
}

/* The port is part of it, whether given or the spec's. */
static void
test_another_port_is_another_address(void)
{
    hp_addr list[2], without_port[2];
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = lo_listen(AF_INET, 64, &list[i]);
        hp_addr_failed(&list[0]);
        without_port[i] = list[i];
    }
    without_port[0].u.in.sin_port = 0;
    hp_addr got;
    hp_err err;
    int fd;
    hp_dial_spec spec = {.host = "example.com", .port = lo_port(&list[0])};
    hp_dial *d = dial(&spec, without_port, 2);
    CHECK_INT(run(d, &fd, &got, &err), HP_STEP_DONE);
    CHECK(same_addr(&got, &list[1]));
    hp_dial_free(d);
    close(fd);
    for (int i = 0; i < 2; i++)
        close(fds[i]);
    hp_addr_trouble_forget();
}

/* Steps a dial to [hole, other] once, and lets `ns` pass. */
static hp_dial *
wait_at_hole(const hp_dial_spec *spec, const hp_addr list[2], hp_ns ns)
{
    hp_addr got;
    hp_err err;
    hp_wait w;
    int fd;
    hp_dial *d = dial(spec, list, 2);
    CHECK_INT(step(d, &w, &fd, &got, &err), HP_STEP_WAIT);
    hp_clock_advance(ns);
    return d;
}

/* Who says nothing and is overtaken has failed, too; who had no start has
 * not. */
static void
test_an_overtaken_address_has_failed(void)
{
    hp_addr list[2], got;
    hp_err err;
    int fd, filler, hole = lo_black_hole(AF_INET, &list[0], &filler);
    int listener = lo_listen(AF_INET, 8, &list[1]);
    hp_dial_spec spec = {.host = "example.com", .port = 80};
    hp_addr_trouble_forget();
    for (int i = 0; i < 2; i++) {
        CHECK(!hp_addr_in_trouble(&list[0]));
        hp_dial *d = wait_at_hole(&spec, list, 250 * MS);
        CHECK_INT(run(d, &fd, &got, &err), HP_STEP_DONE);
        CHECK(same_addr(&got, &list[1]));
        hp_dial_free(d);
        close(fd);
    }
    CHECK(hp_addr_in_trouble(&list[0]));
    CHECK_INT(hp_addr_trouble_count(), 1);
    CHECK_INT(reached(list, 2), 1); /* without any wait */
    hp_addr_trouble_forget();
    close(filler);
    close(hole);
    close(listener);
}

static void
test_silence_until_the_timeout(void)
{
    hp_addr list[2];
    int filler, hole = lo_black_hole(AF_INET, &list[0], &filler);
    hp_dial_spec spec = {.host = "example.com", .port = 80};
    static const struct {
        hp_ns waited;
        size_t failed;
    } rows[] = {{249 * MS / 2, 0}, {250 * MS, 1}};
    list[1] = list[0];
    for (int i = 0; i < 2; i++) {
        hp_addr_trouble_forget();
        hp_dial *d = wait_at_hole(&spec, list, rows[i].waited);
        hp_dial_timed_out(d);
        hp_dial_free(d);
        CHECK_INT(hp_addr_trouble_count(), rows[i].failed);
    }
    hp_addr_trouble_forget(); /* and given up before its time: nothing */
    hp_dial_free(wait_at_hole(&spec, list, 250 * MS));
    CHECK_INT(hp_addr_trouble_count(), 0);
    close(filler);
    close(hole);
}

/* What goes wrong on our side says nothing about the address. */
static void
test_our_own_failures_are_not_held_against_it(void)
{
    hp_addr at, local = lo_addr(AF_INET6);
    hp_err err;
    int listener = lo_listen(AF_INET, 8, &at);
    hp_sockopt bad = {.level = IPPROTO_TCP, .name = 12345, .value = 1};
    hp_dial_spec specs[] = {{.host = "h", .local_address = &local},
                            {.host = "h", .sockopts = &bad, .n_sockopts = 1}};
    hp_addr_trouble_forget();
    for (int i = 0; i < 2; i++) {
        fail(&specs[i], &at, 1, &err);
        CHECK_INT(hp_addr_trouble_count(), 0);
    }
    close(listener);
}

int
main(void)
{
    RUN(test_targets);
    RUN(test_first_answers);
    RUN(test_failure_starts_the_next_at_once);
    RUN(test_stagger);
    RUN(test_eight_in_flight);
    RUN(test_the_ninth_answers);
    RUN(test_unix_queue_full);
    RUN(test_refused_text);
    if (lo_has_ipv6())
        RUN(test_families_interleaved);
    RUN(test_other_family_than_local_address);
    RUN(test_nothing_to_try);
    RUN(test_more_than_fit);
    RUN(test_out_of_descriptors);
    RUN(test_descriptors_for_one);
    RUN(test_no_memory);
    RUN(test_two_failures_move_an_address_back);
    RUN(test_nothing_else_is_there);
    if (lo_has_ipv6())
        RUN(test_back_of_both_families);
    RUN(test_another_port_is_another_address);
    RUN(test_an_overtaken_address_has_failed);
    RUN(test_silence_until_the_timeout);
    RUN(test_our_own_failures_are_not_held_against_it);
    DONE();
}
