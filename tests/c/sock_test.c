#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/span.h"
#include "loopback.h"
#include "net/stream.h"
#include "test.h"

/* A connected pair over TCP; *client is the one hp_sock_connect made. */
static void
tcp_pair(int *client, int *server)
{
    hp_addr addr;
    hp_err err;
    int in_progress, listener = lo_listen(AF_INET, 8, &addr);
    hp_err_clear(&err);
    *client = hp_sock_connect(&addr, NULL, NULL, 0, &in_progress, &err);
    CHECK(*client >= 0);
    lo_poll(*client, POLLOUT);
    CHECK_INT(hp_sock_connect_result(*client), 0);
    *server = lo_accept(listener);
    close(listener);
}

/* ---- addresses ---- */

static void
check_format(const char *literal, uint16_t port, const char *want)
{
    hp_addr a;
    char text[HP_ADDR_TEXT_MAX];
    CHECK_INT(hp_addr_from_literal(literal, &a), 1);
    if (a.u.sa.sa_family == AF_INET)
        a.u.in.sin_port = htons(port);
    else
        a.u.in6.sin6_port = htons(port);
    hp_addr_format(&a, text);
    CHECK_STR(text, want);
}

static void
test_format(void)
{
    check_format("127.0.0.1", 80, "127.0.0.1:80");
    check_format("::1", 65535, "[::1]:65535");
    check_format("2001:db8:0:0::1", 443, "[2001:db8::1]:443");
    check_format("::ffff:192.0.2.1", 1, "[::ffff:192.0.2.1]:1");
    /* An interface nobody has keeps its number. */
    check_format("fe80::1%4000000000", 80, "[fe80::1%4000000000]:80");
}

static void
test_literals(void)
{
    hp_addr a;
    static const char *const names[] = {
        "localhost", "",      "127.1",         "127.0.0.1.",
        "1.2.3.256", "[::1]", "0x7f.0.0.1",    "127.0.0.1:80",
        "1::2::3",   "::1 ",  "example.com%1", "127.0.0.1%lo",
        "::12345",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_INT(hp_addr_from_literal(names[i], &a), 0);
    CHECK_INT(hp_addr_from_literal("fe80::1%no-such-if", &a), -1);
    CHECK_INT(hp_addr_from_literal("fe80::1%", &a), -1);
    CHECK_INT(hp_addr_from_literal("fe80::1%3x", &a), -1);
    CHECK_INT(hp_addr_from_literal("fe80::1%99999999999", &a), -1);
    CHECK_INT(hp_addr_from_literal("fe80::1%7", &a), 1);
    CHECK_INT(a.u.in6.sin6_scope_id, 7);
    CHECK_INT(a.u.in6.sin6_port, 0);
}

static void
test_zone_by_name(void)
{
    struct if_nameindex *ifs = if_nameindex();
    char literal[64], want[64];
    if (ifs && ifs[0].if_index) {
        snprintf(literal, sizeof literal, "fe80::1%%%s", ifs[0].if_name);
        snprintf(want, sizeof want, "[fe80::1%%%s]:9", ifs[0].if_name);
        check_format(literal, 9, want);
    }
    if_freenameindex(ifs);
}

static void
test_unix_addresses(void)
{
    hp_addr a;
    char text[HP_ADDR_TEXT_MAX], path[256], want[300];
    CHECK_INT(hp_addr_from_path("/run/x.sock", &a), 0);
    hp_addr_format(&a, text);
    CHECK_STR(text, "unix:/run/x.sock");
    CHECK_INT(hp_addr_from_path("", &a), -1);
    size_t room = sizeof a.u.un.sun_path;
    memset(path, 'p', sizeof path);
    path[room] = '\0';
    CHECK_INT(hp_addr_from_path(path, &a), -1);
    path[room - 1] = '\0';
    CHECK_INT(hp_addr_from_path(path, &a), 0);
    hp_addr_format(&a, text);
    snprintf(want, sizeof want, "unix:%s", path);
    CHECK_STR(text, want);
    /* What getsockname says of a client. */
    a.len = offsetof(struct sockaddr_un, sun_path);
    hp_addr_format(&a, text);
    CHECK_STR(text, "unix:");
    /* A path that fills the field, without a NUL. */
    memset(a.u.un.sun_path, 'q', room);
    a.len = sizeof a.u.un;
    hp_addr_format(&a, text);
    CHECK_INT(strlen(text), 5 + room);
}

/* ---- connecting ---- */

static int
get_int(int fd, int level, int name)
{
    int v = -1;
    socklen_t n = sizeof v;
    CHECK(getsockopt(fd, level, name, &v, &n) == 0);
    return v;
}

static void
test_options(void)
{
    int client, server;
    tcp_pair(&client, &server);
    CHECK(fcntl(client, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(client, F_GETFL) & O_NONBLOCK);
    CHECK(get_int(client, IPPROTO_TCP, TCP_NODELAY));
    CHECK(get_int(client, SOL_SOCKET, SO_KEEPALIVE));
    close(client);
    close(server);
}

static void
test_user_options_win(void)
{
    hp_addr addr, local = lo_addr(AF_INET);
    hp_err err;
    int in_progress, listener = lo_listen(AF_INET, 8, &addr);
    struct linger linger = {.l_onoff = 1, .l_linger = 7};
    const hp_sockopt opts[] = {
        {.level = IPPROTO_TCP, .name = TCP_NODELAY, .value = 0},
        {.level = SOL_SOCKET, .name = SO_KEEPALIVE, .value = 0},
        {.level = SOL_SOCKET,
         .name = SO_LINGER,
         .data = &linger,
         .len = sizeof linger}};
    hp_err_clear(&err);
    int fd = hp_sock_connect(&addr, &local, opts, 3, &in_progress, &err);
    CHECK(fd >= 0);
    linger = (struct linger){0};
    socklen_t n = sizeof linger;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &n) == 0);
    CHECK(linger.l_onoff && linger.l_linger == 7);
    CHECK_INT(get_int(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_INT(get_int(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    close(fd);
    close(listener);
}

static void
check_option_failed(const hp_sockopt *bad, int sys_errno, const char *named)
{
    hp_addr addr;
    hp_err err;
    int in_progress, listener = lo_listen(AF_INET, 8, &addr);
    hp_err_clear(&err);
    CHECK_INT(hp_sock_connect(&addr, NULL, bad, 1, &in_progress, &err), -1);
    CHECK_INT(err.code, HP_E_CONNECT);
    CHECK_INT(err.sys_errno, sys_errno);
    CHECK(strstr(err.text, named));
    close(listener);
}

static void
test_a_failing_option_is_named(void)
{
    hp_sockopt bad = {.level = IPPROTO_TCP, .name = 12345, .value = 1};
    check_option_failed(&bad, ENOPROTOOPT, ": socket option (6, 12345): ");
    bad.label = "IPPROTO_TCP, 12345";
    check_option_failed(&bad, ENOPROTOOPT,
                        ": socket option (IPPROTO_TCP, 12345): ");
    /* No value at all, but a length: the kernel is asked to read it. */
    bad = (hp_sockopt){.level = SOL_SOCKET, .name = SO_RCVBUF, .len = 4};
    check_option_failed(&bad, EFAULT, ": socket option (1, 8): ");
}

static void
test_refused(void)
{
    hp_addr addr;
    hp_err err;
    int in_progress = 0, e, dead = lo_bind(AF_INET, &addr);
    hp_err_clear(&err);
    int fd = hp_sock_connect(&addr, NULL, NULL, 0, &in_progress, &err);
    if (fd >= 0) {
        CHECK(in_progress);
        lo_poll(fd, POLLOUT);
        e = hp_sock_connect_result(fd);
        close(fd);
    } else {
        e = err.sys_errno;
    }
    CHECK_INT(e, ECONNREFUSED);
    close(dead);
}

static void
test_local_address_of_other_family(void)
{
    hp_addr addr = lo_addr(AF_INET), local = lo_addr(AF_INET6);
    hp_err err;
    int in_progress;
    hp_err_clear(&err);
    CHECK_INT(hp_sock_connect(&addr, &local, NULL, 0, &in_progress, &err), -1);
    CHECK_INT(err.sys_errno, EAFNOSUPPORT);
}

/* TCP lets a socket connect to its own port. */
static void
test_meeting_itself_is_refused(void)
{
    hp_addr addr;
    int fd = lo_bind(AF_INET, &addr);
    CHECK_INT(connect(fd, &addr.u.sa, addr.len), 0);
    CHECK_INT(hp_sock_connect_result(fd), ECONNREFUSED);
    close(fd);
}

static void
test_unix_socket(void)
{
    char dir[] = "/tmp/hp_sock_XXXXXX", path[64];
    hp_addr addr;
    hp_err err;
    int in_progress = 7;
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    CHECK_INT(hp_addr_from_path(path, &addr), 0);
    hp_err_clear(&err);
    CHECK_INT(hp_sock_connect(&addr, NULL, NULL, 0, &in_progress, &err), -1);
    CHECK_INT(err.sys_errno, ENOENT);
    CHECK(strncmp(err.text, "unix:/tmp/hp_sock_", 18) == 0);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, &addr.u.sa, addr.len) == 0);
    CHECK(listen(listener, 4) == 0);
    hp_err_clear(&err);
    int fd = hp_sock_connect(&addr, NULL, NULL, 0, &in_progress, &err);
    CHECK(fd >= 0);
    CHECK_INT(in_progress, 0);
    CHECK_INT(hp_sock_connect_result(fd), 0);
    close(fd);
    close(listener);
    unlink(path);
    rmdir(dir);
}

static void
test_no_descriptors(void)
{
    hp_addr addr = lo_addr(AF_INET);
    struct rlimit old, none;
    hp_err err;
    int in_progress;
    hp_err_clear(&err);
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    none = old;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    int fd = hp_sock_connect(&addr, NULL, NULL, 0, &in_progress, &err);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK_INT(fd, -1);
    CHECK_INT(err.sys_errno, EMFILE);
}

/* ---- the plain stream ---- */

static ssize_t
put(hp_stream *s, const char *text, hp_err *err)
{
    struct iovec v[2] = {{(char *)text, 1},
                         {(char *)text + 1, strlen(text) - 1}};
    return s->ops->writev(s, v, 2, err);
}

static void
test_stream(void)
{
    int client, server;
    char buf[16];
    hp_err err;
    tcp_pair(&client, &server);
    hp_stream *s = hp_plain_stream_new(client);
    CHECK(s);
    hp_err_clear(&err);
    CHECK_INT(s->ops->fd(s), client);
    CHECK_INT(s->ops->handshake(s, &err), 0);
    CHECK(!s->ops->pending(s));
    CHECK_INT(s->ops->liveness(s), HP_ALIVE);
    CHECK_INT(s->ops->read(s, buf, sizeof buf, &err), HP_IO_WANT_READ);
    CHECK_INT(put(s, "hello", &err), 5);
    CHECK_INT(recv(server, buf, sizeof buf, 0), 5);
    CHECK(memcmp(buf, "hello", 5) == 0);

    CHECK_INT(send(server, "abc", 3, 0), 3);
    lo_poll(client, POLLIN);
    CHECK_INT(s->ops->liveness(s), HP_DEAD_BYTES);
    CHECK_INT(s->ops->read(s, buf, 2, &err), 2); /* liveness took nothing */
    CHECK_INT(s->ops->read(s, buf, 2, &err), 1);
    close(server);
    lo_poll(client, POLLIN);
    CHECK_INT(s->ops->liveness(s), HP_DEAD_CLOSED);
    CHECK_INT(s->ops->read(s, buf, 2, &err), 0);
    CHECK_INT(err.code, HP_OK);
    s->ops->close(s, true);
    CHECK_INT(fcntl(client, F_GETFD), -1);
}

/* Whoever shares the open file can make it blocking; we must not notice. */
static void
test_stream_on_blocking_socket(void)
{
    int client, server;
    char buf[4];
    hp_err err;
    tcp_pair(&client, &server);
    CHECK(fcntl(client, F_SETFL, 0) == 0);
    hp_stream *s = hp_plain_stream_new(client);
    hp_err_clear(&err);
    CHECK_INT(s->ops->read(s, buf, sizeof buf, &err), HP_IO_WANT_READ);
    CHECK_INT(s->ops->liveness(s), HP_ALIVE);
    static char big[1 << 20];
    struct iovec v = {big, sizeof big};
    ssize_t n;
    do {
        n = s->ops->writev(s, &v, 1, &err);
    } while (n > 0);
    CHECK_INT(n, HP_IO_WANT_WRITE);
    s->ops->close(s, false);
    close(server);
}

static void
test_stream_many_vectors(void)
{
    enum {
        N = 3000
    };
    int client, server;
    hp_err err;
    static struct iovec v[N];
    tcp_pair(&client, &server);
    hp_stream *s = hp_plain_stream_new(client);
    for (int i = 0; i < N; i++)
        v[i] = (struct iovec){"x", 1};
    hp_err_clear(&err);
    CHECK(s->ops->writev(s, v, N, &err) > 0);
    s->ops->close(s, false);
    close(server);
}

/* A reset: no SIGPIPE, whose default would end this test. */
static void
test_stream_reset(void)
{
    int client, server;
    char buf[4];
    hp_err err;
    struct linger now = {1, 0};
    signal(SIGPIPE, SIG_DFL);
    tcp_pair(&client, &server);
    hp_stream *s = hp_plain_stream_new(client);
    CHECK(setsockopt(server, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    close(server);
    lo_poll(client, POLLIN);
    hp_err_clear(&err);
    CHECK_INT(s->ops->read(s, buf, sizeof buf, &err), HP_IO_ERROR);
    CHECK_INT(err.code, HP_E_READ);
    CHECK_INT(err.sys_errno, ECONNRESET);
    hp_err_clear(&err);
    CHECK_INT(put(s, "hello", &err), HP_IO_ERROR);
    CHECK_INT(err.code, HP_E_WRITE);
    CHECK_INT(err.sys_errno, EPIPE);
    CHECK_INT(s->ops->liveness(s), HP_DEAD_CLOSED);
    s->ops->close(s, false);
}

static void
test_stream_no_memory(void)
{
    int client, server;
    tcp_pair(&client, &server);
    hp_mem_fail_after(0);
    CHECK(hp_plain_stream_new(client) == NULL);
    hp_mem_fail_after(-1);
    CHECK(fcntl(client, F_GETFD) >= 0); /* still ours */
    close(client);
    close(server);
}

int
main(void)
{
    RUN(test_format);
    RUN(test_literals);
    RUN(test_zone_by_name);
    RUN(test_unix_addresses);
    RUN(test_options);
    RUN(test_user_options_win);
    RUN(test_a_failing_option_is_named);
    RUN(test_refused);
    RUN(test_local_address_of_other_family);
    RUN(test_meeting_itself_is_refused);
    RUN(test_unix_socket);
    RUN(test_no_descriptors);
    RUN(test_stream);
    RUN(test_stream_on_blocking_socket);
    RUN(test_stream_many_vectors);
    RUN(test_stream_reset);
    RUN(test_stream_no_memory);
    DONE();
}
