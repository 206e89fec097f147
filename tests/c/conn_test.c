#include "net/conn.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/span.h"
#include "fake_dns.h"
#include "loopback.h"
#include "net/addr_trouble.h"
#include "net/dial.h"
#include "script_stream.h"
#include "test.h"

static const hp_ns S = HP_NS_PER_S;

static hp_step
step(hp_conn *c, hp_wait *w, hp_err *err)
{
    hp_wait_reset(w);
    hp_err_clear(err);
    return hp_conn_step(c, hp_waker_for_thread(), w, err);
}

/* Steps and polls, with our waker beside, until the end. */
static hp_step
run(hp_conn *c, hp_err *err)
{
    hp_waker *waker = hp_waker_for_thread();
    hp_wait w;
    hp_step s;
    for (;;) {
        hp_waker_clear(waker, 0);
        s = step(c, &w, err);
        if (s != HP_STEP_WAIT)
            return s;
        hp_wait_fd(&w, hp_waker_fd(waker), POLLIN);
        lo_wait(&w);
    }
}

static int
open_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/dev/fd");
    CHECK(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A conn that has failed owns nothing and says where it died. */
static void
check_failed(const hp_conn *c, const hp_err *err, hp_errc code, hp_phase phase)
{
    CHECK_INT(err->code, code);
    CHECK_STR(hp_phase_name(err->phase), hp_phase_name(phase));
    CHECK_INT(c->state, HP_CONN_CLOSED);
    CHECK(!c->stream && !c->dial && !c->resolve);
}

/* ---- getting there ---- */

static void
test_literal(void)
{
    hp_addr at;
    hp_conn c, d;
    hp_err err;
    char text[HP_ADDR_TEXT_MAX], peer_text[HP_ADDR_TEXT_MAX];
    hp_addr from = {.len = sizeof from.u};
    int listener = lo_listen(AF_INET, 8, &at);
    hp_dial_spec spec = {.host = "127.0.0.1", .port = lo_port(&at)};
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    hp_conn_init(&d, &spec, 10 * S, 10 * S);
    CHECK(c.id >= 1 && d.id == c.id + 1);
    CHECK_INT(c.state, HP_CONN_NEW);
    CHECK_INT(run(&c, &err), HP_STEP_DONE);
    CHECK_INT(c.state, HP_CONN_READY);
    CHECK_INT(c.resolved_by, HP_RESOLVED_LITERAL);
    CHECK(c.times.dial_start && c.times.dial_start <= c.times.resolved);
    CHECK(c.times.resolved <= c.times.connected && !c.times.secured);
    hp_addr_format(&at, text);
    CHECK_STR(c.remote, text);
    int peer = accept(listener, &from.u.sa, &from.len);
    hp_addr_format(&from, peer_text);
    CHECK_STR(c.local, peer_text);
    CHECK_INT(run(&c, &err), HP_STEP_DONE); /* stays so */
    int fd = c.stream->ops->fd(c.stream);
    hp_conn_close(&c, true);
    hp_conn_close(&c, true);
    CHECK_INT(fcntl(fd, F_GETFD), -1);
    CHECK_INT(run(&c, &err), HP_STEP_ERROR);
    CHECK_INT(err.code, HP_E_CLOSED);
    hp_conn_close(&d, false); /* from NEW */
    close(peer);
    close(listener);
}

static void
test_name(void)
{
    hp_addr at;
    hp_conn c;
    hp_err err;
    int listener = lo_listen(AF_INET, 8, &at);
    hp_dial_spec spec = {
        .host = "localhost", .port = lo_port(&at), .dns_ttl = 10 * S};
    static const hp_resolve_source by[] = {HP_RESOLVED_LOOKUP,
                                           HP_RESOLVED_CACHE};
    hp_resolve_flush();
    for (int i = 0; i < 2; i++) {
        hp_conn_init(&c, &spec, 10 * S, 10 * S);
        CHECK_INT(run(&c, &err), HP_STEP_DONE);
        CHECK_INT(c.resolved_by, by[i]);
        hp_conn_close(&c, false);
        close(lo_accept(listener));
    }
    close(listener);
}

static void
test_without_waker(void)
{
    hp_conn c;
    hp_err err;
    hp_wait w;
    dns_reset();
    hp_dial_spec spec = {.host = "slow.test", .port = 80};
    hp_conn_init(&c, &spec, HP_NO_LIMIT, HP_NO_LIMIT);
    hp_err_clear(&err);
    hp_wait_reset(&w);
    CHECK_INT(hp_conn_step(&c, NULL, &w, &err), HP_STEP_WAIT);
    CHECK(w.deadline != HP_NEVER); /* polls by time */
    dns_wait_inside(1);
    hp_conn_close(&c, false);
    dns_open();
    dns_wait_inside(0);
}

static void
test_resolve_override(void)
{
    hp_addr at;
    hp_conn c;
    hp_err err;
    int before = dns_calls(), listener = lo_listen(AF_INET, 8, &at);
    hp_addrs *addrs = hp_addrs_new(1);
    addrs->list[0] = lo_addr(AF_INET);
    hp_dial_spec spec = {
        .host = "example.com", .port = lo_port(&at), .resolve = addrs};
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK_INT(run(&c, &err), HP_STEP_DONE);
    CHECK(!c.times.resolved);
    CHECK_INT(dns_calls(), before);
    hp_conn_close(&c, false);
    hp_addrs_unref(addrs);
    close(listener);
}

static void
test_unix_socket(void)
{
    char dir[] = "/tmp/hp_conn_XXXXXX", path[64], want[200];
    hp_addr at;
    hp_conn c;
    hp_err err;
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    hp_dial_spec spec = {.host = "example.com", .port = 80, .uds = path};
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK_INT(run(&c, &err), HP_STEP_ERROR);
    check_failed(&c, &err, HP_E_CONNECT, HP_PHASE_CONNECT);
    snprintf(want, sizeof want, "cannot connect to unix:%s: %s", path,
             strerror(ENOENT));
    CHECK_STR(err.text, want);

    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(hp_addr_from_path(path, &at), 0);
    CHECK(bind(listener, &at.u.sa, at.len) == 0 && listen(listener, 4) == 0);
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK_INT(run(&c, &err), HP_STEP_DONE);
    snprintf(want, sizeof want, "unix:%s", path);
    CHECK_STR(c.remote, want);
    hp_conn_close(&c, false);
    close(listener);
    unlink(path);
    rmdir(dir);
}

static void
test_unix_path_too_long(void)
{
    char path[200];
    hp_conn c;
    hp_err err;
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    hp_dial_spec spec = {.uds = path};
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK_INT(run(&c, &err), HP_STEP_ERROR);
    check_failed(&c, &err, HP_E_CONNECT, HP_PHASE_CONNECT);
    CHECK_INT(err.sys_errno, ENAMETOOLONG);
}

static void
test_open_stream(void)
{
    static const script_event events[] = {
        {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("hi"), {.op = SCRIPT_EOF}};
    script s;
    script_queue q = {&s, 1, 0};
    char buf[8];
    hp_conn c;
    hp_err err;
    script_init(&s, events, 3);
    hp_dial_spec spec = {.open_stream = script_open_next, .open_arg = &q};
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK_INT(run(&c, &err), HP_STEP_DONE);
    CHECK(c.times.connected);
    const hp_stream_ops *ops = c.stream->ops;
    CHECK_INT(ops->read(c.stream, buf, 8, &err), HP_IO_WANT_READ);
    CHECK_INT(ops->read(c.stream, buf, 8, &err), 2);
    CHECK_INT(ops->read(c.stream, buf, 8, &err), 0);
    hp_conn_close(&c, true);
    CHECK_INT(s.closed, 1);
    CHECK(s.polite);
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK_INT(run(&c, &err), HP_STEP_ERROR); /* there is no second script */
    check_failed(&c, &err, HP_E_CONNECT, HP_PHASE_CONNECT);
    script_free(&s);
}

/* ---- not getting there ---- */

/* Asks for a socket until it has one, which a forked child closes. */
static void
test_custom_dial(void)
{
    hp_conn c;
    hp_err err;
    hp_wait w;
    int fds[2];
    hp_dial_spec spec = {.host = "h", .port = 1, .custom_dial = true};
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK_INT(step(&c, &w, &err), HP_STEP_DIAL);
    CHECK_INT(c.state, HP_CONN_AWAITING_SOCKET);
    CHECK_INT(hp_conn_phase(&c), HP_PHASE_CONNECT);
    CHECK(w.n == 0 && c.times.dial_start);
    hp_clock_advance(9 * S);
    hp_conn_extend(&c, 10 * S, 10 * S);
    hp_clock_advance(9 * S);
    CHECK_INT(step(&c, &w, &err), HP_STEP_DIAL);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    hp_conn_give_socket(&c, fds[0]);
    hp_conn_abandon(&c);
    CHECK_INT(c.state, HP_CONN_CLOSED);
    CHECK_INT(fcntl(fds[0], F_GETFD), -1);
    close(fds[1]);
}

static void
test_refused(void)
{
    hp_addr at;
    hp_conn c;
    hp_err err;
    char want[200];
    int dead = lo_bind(AF_INET, &at);
    hp_dial_spec spec = {
        .host = "localhost", .port = lo_port(&at), .family = AF_INET};
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK_INT(run(&c, &err), HP_STEP_ERROR);
    check_failed(&c, &err, HP_E_CONNECT, HP_PHASE_CONNECT);
    CHECK_INT(err.sys_errno, ECONNREFUSED);
    snprintf(want, sizeof want,
             "cannot connect to localhost:%u: 127.0.0.1:%u: %s", spec.port,
             spec.port, strerror(ECONNREFUSED));
    CHECK_STR(err.text, want);
    close(dead);
}

static void
test_no_such_host(void)
{
    hp_conn c;
    hp_err err;
    hp_dial_spec spec = {.host = "none.test", .port = 80};
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK_INT(run(&c, &err), HP_STEP_ERROR);
    check_failed(&c, &err, HP_E_RESOLVE, HP_PHASE_RESOLVE);
    CHECK(strstr(err.text, "none.test"));
}

static void
test_connect_timeout(void)
{
    hp_addr at;
    hp_conn c;
    hp_err err;
    hp_wait w;
    char want[200];
    int filler, hole = lo_black_hole(AF_INET, &at, &filler);
    hp_addrs *addrs = hp_addrs_new(1);
    addrs->list[0] = at;
    hp_dial_spec spec = {
        .host = "example.com", .port = lo_port(&at), .resolve = addrs};
    hp_addr_trouble_forget();
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK_INT(step(&c, &w, &err), HP_STEP_WAIT);
    CHECK_INT(c.state, HP_CONN_CONNECTING);
    CHECK_INT(hp_conn_phase(&c), HP_PHASE_CONNECT);
    CHECK_INT(w.n, 1);
    CHECK(w.deadline == c.connect_deadline);
    hp_clock_advance(10 * S);
    CHECK_INT(step(&c, &w, &err), HP_STEP_ERROR);
    check_failed(&c, &err, HP_E_CONNECT_TIMEOUT, HP_PHASE_CONNECT);
    snprintf(want, sizeof want,
             "connect to example.com:%u timed out after 10.0 s "
             "(tried 127.0.0.1:%u)",
             spec.port, spec.port);
    CHECK_STR(err.text, want);
    CHECK_INT(hp_addr_trouble_count(), 1); /* it had its chance */
    hp_addr_trouble_forget();
    hp_addrs_unref(addrs);
    close(filler);
    close(hole);
}

static void
test_resolve_timeout(void)
{
    hp_conn c;
    hp_err err;
    hp_wait w;
    dns_reset();
    hp_dial_spec spec = {.host = "slow.test", .port = 80};
    hp_conn_init(&c, &spec, S / 2, 10 * S);
    CHECK_INT(hp_conn_phase(&c), HP_PHASE_RESOLVE);
    CHECK_INT(step(&c, &w, &err), HP_STEP_WAIT);
    CHECK_INT(c.state, HP_CONN_RESOLVING);
    CHECK(w.n == 0 && w.deadline == c.connect_deadline);
    hp_clock_advance(S / 2);
    CHECK_INT(step(&c, &w, &err), HP_STEP_ERROR);
    check_failed(&c, &err, HP_E_CONNECT_TIMEOUT, HP_PHASE_RESOLVE);
    CHECK_STR(err.text, "connect to slow.test:80 timed out after 0.5 s "
                        "(looking up the host)");
    dns_open();
    dns_wait_inside(0);
}

static void
test_out_of_descriptors(void)
{
    hp_conn c;
    hp_err err;
    hp_wait w;
    struct rlimit before, none;
    hp_dial_spec spec = {.host = "127.0.0.1", .port = 80};
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = before;
    none.rlim_cur = 0;
    hp_conn_init(&c, &spec, 10 * S, 10 * S);
    CHECK(hp_waker_for_thread()); /* has its descriptor already */
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    hp_step s = step(&c, &w, &err);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_INT(s, HP_STEP_ERROR);
    check_failed(&c, &err, HP_E_CONNECT, HP_PHASE_CONNECT);
    CHECK_INT(err.sys_errno, EMFILE);
}

/* Every allocation on the way may fail; nothing is left behind. */
static void
test_no_memory(void)
{
    hp_addr at;
    hp_conn c;
    hp_err err;
    int listener = lo_listen(AF_INET, 64, &at), before = open_descriptors();
    hp_dial_spec spec = {.host = "127.0.0.1", .port = lo_port(&at)};
    hp_step s = HP_STEP_ERROR;
    for (int n = 0; s != HP_STEP_DONE; n++) {
        CHECK(n < 20);
        hp_conn_init(&c, &spec, 10 * S, 10 * S);
        hp_mem_fail_after(n);
        s = run(&c, &err);
        hp_mem_fail_after(-1);
        if (s == HP_STEP_ERROR)
            CHECK_INT(err.code, HP_E_NOMEM);
        hp_conn_close(&c, false);
        CHECK_INT(open_descriptors(), before);
    }
    close(listener);
}

static void
test_close_and_abandon_while_connecting(void)
{
    hp_addr at;
    hp_conn c;
    hp_err err;
    hp_wait w;
    int filler, hole = lo_black_hole(AF_INET, &at, &filler);
    int before = open_descriptors();
    hp_dial_spec spec = {.host = "127.0.0.1", .port = lo_port(&at)};
    for (int i = 0; i < 2; i++) {
        hp_conn_init(&c, &spec, 10 * S, 10 * S);
        CHECK_INT(step(&c, &w, &err), HP_STEP_WAIT);
        hp_dial *dial = c.dial;
        CHECK_INT(open_descriptors(), before + 1);
        if (i == 0)
            hp_conn_close(&c, false);
        else
            hp_conn_abandon(&c);
        CHECK_INT(open_descriptors(), before);
        CHECK_INT(c.state, HP_CONN_CLOSED);
        if (i == 1)
            hp_dial_free(dial); /* abandoned memory is for the test to free */
        hp_conn_abandon(&c);
    }
    close(filler);
    close(hole);
}

/* ---- TLS: only that conn waits for it and ends it ---- */

static void
tls_conn(hp_conn *c, hp_dial_spec *spec, const hp_addr *at)
{
    hp_err err;
    hp_tls_config config = {.verify = false};
    hp_err_clear(&err);
    *spec = (hp_dial_spec){.host = "127.0.0.1",
                           .port = lo_port(at),
                           .tls = hp_tls_get(&config, &err),
                           .server_name = "127.0.0.1"};
    CHECK(spec->tls);
    hp_conn_init(c, spec, 10 * S, 3 * S);
}

static void
test_tls_timeout(void)
{
    hp_addr at;
    hp_conn c;
    hp_dial_spec spec;
    hp_err err;
    hp_wait w;
    char want[200];
    int listener = lo_listen(AF_INET, 8, &at);
    tls_conn(&c, &spec, &at);
    while (c.state != HP_CONN_HANDSHAKE) {
        CHECK_INT(step(&c, &w, &err), HP_STEP_WAIT);
        if (c.state != HP_CONN_HANDSHAKE)
            lo_wait(&w);
    }
    CHECK_INT(hp_conn_phase(&c), HP_PHASE_TLS);
    CHECK(c.times.connected && !c.times.secured);
    CHECK_INT(w.n, 1);
    CHECK_INT(w.fds[0].events, POLLIN);
    CHECK(w.deadline == c.tls_deadline);
    hp_clock_advance(3 * S);
    CHECK_INT(step(&c, &w, &err), HP_STEP_ERROR);
    check_failed(&c, &err, HP_E_TLS_TIMEOUT, HP_PHASE_TLS);
    snprintf(want, sizeof want,
             "TLS handshake with 127.0.0.1:%u timed out after 3.0 s",
             spec.port);
    CHECK_STR(err.text, want);
    hp_tls_unref(spec.tls);
    close(listener);
}

static void
test_tls_closed_during_handshake(void)
{
    hp_addr at;
    hp_conn c;
    hp_dial_spec spec;
    hp_err err;
    hp_wait w;
    int listener = lo_listen(AF_INET, 8, &at);
    tls_conn(&c, &spec, &at);
    CHECK_INT(step(&c, &w, &err), HP_STEP_WAIT);
    close(lo_accept(listener));
    CHECK_INT(run(&c, &err), HP_STEP_ERROR);
    check_failed(&c, &err, HP_E_TLS, HP_PHASE_TLS);
    hp_tls_unref(spec.tls);
    close(listener);
}

int
main(void)
{
    RUN(test_literal);
    RUN(test_name);
    RUN(test_without_waker);
    RUN(test_resolve_override);
    RUN(test_unix_socket);
    RUN(test_unix_path_too_long);
    RUN(test_open_stream);
    RUN(test_custom_dial);
    RUN(test_refused);
    RUN(test_no_such_host);
    RUN(test_connect_timeout);
    RUN(test_resolve_timeout);
    RUN(test_out_of_descriptors);
    RUN(test_no_memory);
    RUN(test_close_and_abandon_while_connecting);
    RUN(test_tls_timeout);
    RUN(test_tls_closed_during_handshake);
    DONE();
}
