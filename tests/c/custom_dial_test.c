/* custom_dial: an exchange whose socket its caller makes. The sockets are one
 * end of a pair, whose other end has the answer ready; the keeper is turned by
 * hand. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "exchange_kit.h"
#include "pool/keeper.h"

#define S HP_NS_PER_S
#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK_AB "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"
#define OK_ABC OK_AB "c"

static kit k;

static void
begin(void)
{
    kit_init(&k);
    k.config.dial.custom_dial = true;
}

static hp_exchange *
ask(void)
{
    hp_exchange *ex = kit_new(&k);
    ex->key.open_stream = NULL;
    CHECK_INT(kit_head(&k, ex), HP_GO_DIAL);
    CHECK_INT(ex->state, HP_EX_CONNECT);
    return ex;
}

/* A connected socket; *peer has sent `answer` already. */
static int
pair(const char *answer, int *peer)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK(write(fds[1], answer, strlen(answer)) == (ssize_t)strlen(answer));
    *peer = fds[1];
    return fds[0];
}

static bool
is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static hp_gauges
now(void)
{
    hp_stats *s = hp_transport_stats(k.t);
    hp_gauges g = s->total.now;
    hp_stats_free(s);
    return g;
}

static void
turn_keeper(void)
{
    hp_pool_keep(hp_transport_pool(k.t), hp_clock_now());
}

static void
check_gauges(int idle, int in_use, int dialing)
{
    hp_gauges g = now();
    CHECK_INT(g.idle, idle);
    CHECK_INT(g.in_use, in_use);
    CHECK_INT(g.dialing, dialing);
    CHECK_INT(g.waiting, 0);
}

static void
end(hp_exchange *ex)
{
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- given ---- */

static void
test_a_given_socket_is_used(void)
{
    int peer, fd;
    hp_dial_wanted w;
    begin();
    k.r.url = HP_SPAN_LIT("http://H.test:8080/");
    hp_exchange *ex = ask();
    CHECK_INT(kit_head(&k, ex), HP_GO_DIAL); /* asks until it is answered */
    CHECK(hp_exchange_dial_wanted(ex, &w));
    CHECK_SPAN(w.host, "h.test");
    CHECK_INT(w.port, 8080);
    fd = pair(OK_ABC, &peer);
    hp_exchange_give_socket(ex, fd);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_STR(kit_facts(ex).remote, "unix:");
    CHECK(!hp_exchange_dial_wanted(ex, &w));
    CHECK_INT(kit_body(&k, ex, 100, true), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), "abc");
    check_gauges(1, 0, 0);
    close(peer);
    end(ex);
    CHECK(!is_open(fd));
}

/* Not asked for: it is closed all the same. */
static void
test_given_without_being_asked(void)
{
    int peer, fd = pair(OK_EMPTY, &peer);
    begin();
    hp_exchange *ex = kit_new(&k);
    hp_exchange_give_socket(ex, fd);
    CHECK(!is_open(fd));
    hp_exchange_fail_dial(ex, 0, true);
    CHECK_INT(ex->state, HP_EX_START);
    close(peer);
    end(ex);
}

static void
refused(int fd, hp_errc code, const char *why)
{
    char want[200];
    begin();
    hp_exchange *ex = ask();
    hp_exchange_give_socket(ex, fd);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, code);
    CHECK_INT(ex->err.phase, HP_PHASE_CONNECT);
    snprintf(want, sizeof want,
             "cannot connect to h:80: what dial= returned is %s", why);
    CHECK_STR(ex->err.text, want);
    CHECK(!is_open(fd));
    check_gauges(0, 0, 0);
    end(ex);
}

static void
test_what_is_no_connected_stream_socket(void)
{
    int fds[2];
    CHECK(pipe(fds) == 0);
    close(fds[1]);
    refused(fds[0], HP_E_INVALID_ARGUMENT,
            "no socket: Socket operation on non-socket");
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
    close(fds[1]);
    refused(fds[0], HP_E_INVALID_ARGUMENT, "no stream socket");
    refused(socket(AF_INET, SOCK_STREAM, 0), HP_E_CONNECT,
            "not connected: Transport endpoint is not connected");
}

static void
test_no_memory_for_the_stream(void)
{
    int peer, fd = pair(OK_EMPTY, &peer);
    begin();
    hp_exchange *ex = ask();
    hp_exchange_give_socket(ex, fd);
    hp_mem_fail_after(0);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    hp_mem_fail_after(-1);
    CHECK_ERR(ex, HP_E_NOMEM);
    CHECK(!is_open(fd));
    check_gauges(0, 0, 0);
    close(peer);
    end(ex);
}

/* ---- failed ---- */

static void
test_a_failed_dial(void)
{
    begin();
    hp_exchange *ex = ask();
    hp_exchange_fail_dial(ex, ECONNREFUSED, false);
    CHECK_INT(ex->state, HP_EX_CONNECT); /* the drive sees it */
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_DIAL);
    CHECK_INT(ex->err.sys_errno, ECONNREFUSED);
    CHECK_STR(ex->err.text, "cannot connect to h:80: dial= failed");
    check_gauges(0, 0, 0);
    end(ex);
}

static void
test_a_dial_broken_off(void)
{
    begin();
    hp_exchange *ex = ask();
    hp_exchange_fail_dial(ex, 0, true);
    CHECK_INT(ex->state, HP_EX_FAILED);
    CHECK_ERR(ex, HP_E_DIAL);
    turn_keeper();
    check_gauges(0, 0, 0);
    end(ex);
}

/* An idle connection of another host gives up its descriptor, and we are asked
 * once more; not twice. */
static void
test_out_of_descriptors(void)
{
    int peer;
    begin();
    hp_exchange *ex = ask();
    hp_exchange_give_socket(ex, pair(OK_EMPTY, &peer));
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    hp_exchange_free(ex);
    check_gauges(1, 0, 0);
    k.r.url = HP_SPAN_LIT("http://other/");
    ex = ask();
    hp_exchange_fail_dial(ex, EMFILE, false);
    CHECK_INT(kit_head(&k, ex), HP_GO_DIAL);
    check_gauges(0, 0, 1);
    hp_exchange_fail_dial(ex, EMFILE, false);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_DIAL);
    close(peer);
    end(ex);
}

/* ---- time ---- */

static hp_ns
wanted_timeout(hp_exchange *ex)
{
    hp_dial_wanted w;
    CHECK(hp_exchange_dial_wanted(ex, &w));
    return w.timeout;
}

/* What is left of connect or total, whichever is shorter (S79). */
static void
test_s79_timeout(void)
{
    static const struct {
        hp_ns connect, total, spent, want;
    } rows[] = {
        {10 * S, HP_NO_LIMIT, 0, 10 * S},
        {10 * S, 3 * S, 0, 3 * S},
        {HP_NO_LIMIT, 3 * S, 0, 3 * S},
        {HP_NO_LIMIT, HP_NO_LIMIT, 0, -1},
        {10 * S, HP_NO_LIMIT, 4 * S, 6 * S},
        {10 * S, HP_NO_LIMIT, 11 * S, HP_NS_PER_MS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin();
        k.r.timeouts.connect = rows[i].connect;
        k.r.timeouts.total = rows[i].total;
        hp_exchange *ex = ask();
        hp_clock_advance(rows[i].spent);
        hp_ns got = wanted_timeout(ex);
        CHECK(got <= rows[i].want);
        CHECK(got > rows[i].want - S / 2);
        end(ex);
    }
}

static void
test_connect_timeout(void)
{
    int peer, fd = pair(OK_EMPTY, &peer);
    begin();
    hp_exchange *ex = ask();
    hp_clock_advance(10 * S);
    hp_exchange_give_socket(ex, fd);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CONNECT_TIMEOUT);
    CHECK_STR(ex->err.text,
              "connect to h:80 timed out after 10.0 s (dial= took longer)");
    CHECK(!is_open(fd));
    check_gauges(0, 0, 0);
    close(peer);
    end(ex);
}

/* The request is over, the socket is good for another one. */
static void
test_total_timeout(void)
{
    int peer;
    begin();
    k.r.timeouts.total = 3 * S;
    hp_exchange *ex = ask();
    hp_clock_advance(3 * S);
    hp_exchange_give_socket(ex, pair(OK_EMPTY, &peer));
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_TOTAL_TIMEOUT);
    turn_keeper();
    check_gauges(1, 0, 0);
    close(peer);
    end(ex);
}

/* ---- others meanwhile ---- */

/* Asked, while another exchange gives its connection back. */
static hp_exchange *
served_while_asked(int *peer)
{
    begin();
    hp_exchange *other = ask();
    hp_exchange_give_socket(other, pair(OK_AB, peer));
    CHECK_INT(kit_head(&k, other), HP_GO_DONE);
    hp_exchange *ex = ask();
    check_gauges(0, 1, 1);
    CHECK(write(*peer, "c", 1) == 1);
    CHECK_INT(kit_body(&k, other, 100, true), HP_GO_DONE);
    hp_exchange_free(other);
    return ex;
}

/* The request goes out on the other's connection, and is answered. */
static void
answered(hp_exchange *ex, int peer)
{
    CHECK_INT(kit_head(&k, ex), HP_GO_WAIT);
    CHECK_INT(ex->state, HP_EX_HEAD);
    CHECK(write(peer, OK_EMPTY, strlen(OK_EMPTY)) > 0);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK(kit_facts(ex).reused);
}

/* S40 with a custom dial: the surplus socket is kept. */
static void
test_s40_served_while_asked(void)
{
    int peer, surplus;
    hp_exchange *ex = served_while_asked(&peer);
    hp_exchange_give_socket(ex, pair(OK_EMPTY, &surplus));
    answered(ex, peer);
    turn_keeper();
    check_gauges(2, 0, 0);
    close(peer);
    close(surplus);
    end(ex);
}

static void
test_served_and_failed(void)
{
    int peer;
    hp_exchange *ex = served_while_asked(&peer);
    hp_exchange_fail_dial(ex, ECONNREFUSED, false);
    answered(ex, peer);
    turn_keeper();
    check_gauges(1, 0, 0);
    close(peer);
    end(ex);
}

/* But who breaks it off means it. */
static void
test_served_and_broken_off(void)
{
    int peer;
    hp_exchange *ex = served_while_asked(&peer);
    hp_exchange_fail_dial(ex, 0, true);
    CHECK_ERR(ex, HP_E_DIAL);
    turn_keeper();
    check_gauges(1, 0, 0); /* the other's */
    close(peer);
    end(ex);
}

static void
test_cancelled_while_asked(void)
{
    int peer;
    begin();
    k.r.cancel = hp_cancel_new();
    hp_exchange *ex = ask();
    hp_cancel_trigger(k.r.cancel);
    hp_exchange_give_socket(ex, pair(OK_EMPTY, &peer));
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CANCELLED);
    turn_keeper();
    check_gauges(1, 0, 0);
    hp_cancel_unref(k.r.cancel);
    close(peer);
    end(ex);
}

static void
test_closed_while_asked(void)
{
    hp_dial_wanted w;
    int peer, fd = pair(OK_EMPTY, &peer);
    begin();
    hp_exchange *ex = ask();
    hp_exchange_close(ex);
    CHECK(!hp_exchange_dial_wanted(ex, &w));
    hp_exchange_give_socket(ex, fd);
    CHECK(!is_open(fd));
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CLOSED);
    turn_keeper();
    check_gauges(0, 0, 0);
    close(peer);
    end(ex);
}

static void
test_client_closed_while_asked(void)
{
    int peer, fd = pair(OK_EMPTY, &peer);
    begin();
    hp_exchange *ex = ask();
    hp_transport_close(k.t);
    hp_exchange_give_socket(ex, fd);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CLOSED);
    CHECK(!is_open(fd));
    check_gauges(0, 0, 0);
    close(peer);
    end(ex);
}

/* The keeper cannot make a socket: it gives the dial up. */
static void
test_an_orphan_without_a_socket(void)
{
    begin();
    k.r.cancel = hp_cancel_new();
    hp_exchange *ex = ask();
    hp_cancel_trigger(k.r.cancel);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    check_gauges(0, 0, 1);
    turn_keeper();
    check_gauges(0, 0, 0);
    hp_stats *s = hp_transport_stats(k.t);
    CHECK_INT(s->total.count.closes[HP_CLOSE_SURPLUS_DIAL], 1);
    hp_stats_free(s);
    hp_cancel_unref(k.r.cancel);
    end(ex);
}

/* But the next request may be quicker, and makes it for itself, with its own
 * time. */
static void
test_an_orphan_is_adopted(void)
{
    int peer;
    begin();
    k.r.cancel = hp_cancel_new();
    hp_exchange *gone = ask();
    hp_cancel_trigger(k.r.cancel);
    CHECK_INT(kit_head(&k, gone), HP_GO_ERROR);
    hp_exchange_free(gone);
    hp_cancel_unref(k.r.cancel);
    k.r.cancel = NULL;
    hp_clock_advance(8 * S);
    hp_exchange *ex = ask();
    check_gauges(0, 0, 1);
    CHECK(wanted_timeout(ex) > 9 * S);
    hp_exchange_give_socket(ex, pair(OK_EMPTY, &peer));
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    close(peer);
    end(ex);
}

int
main(void)
{
    hp_keeper_by_hand();
    RUN(test_a_given_socket_is_used);
    RUN(test_given_without_being_asked);
    RUN(test_what_is_no_connected_stream_socket);
    RUN(test_no_memory_for_the_stream);
    RUN(test_a_failed_dial);
    RUN(test_a_dial_broken_off);
    RUN(test_out_of_descriptors);
    RUN(test_s79_timeout);
    RUN(test_connect_timeout);
    RUN(test_total_timeout);
    RUN(test_s40_served_while_asked);
    RUN(test_served_and_failed);
    RUN(test_served_and_broken_off);
    RUN(test_cancelled_while_asked);
    RUN(test_closed_while_asked);
    RUN(test_client_closed_while_asked);
    RUN(test_an_orphan_without_a_socket);
    RUN(test_an_orphan_is_adopted);
    DONE();
}
