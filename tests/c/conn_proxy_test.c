/* conn through a proxy: which states, in what order, under which deadline, and
 * whom an error blames. What the proxy says comes from scripts; TLS with one is
 * tested against real servers in tests/scenarios/test_proxy.py. */
#include "net/conn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "base/mem.h"
#include "fake_dns.h"
#include "loopback.h"
#include "proxy_kit.h"
#include "script_stream.h"

static const hp_ns S = HP_NS_PER_S;

#define OK_200 SCRIPT_BYTES("HTTP/1.1 200 OK\r\n\r\n")
#define SOCKS_OK SCRIPT_BYTES("\5\0\5\0\0\1\0\0\0\0\0\0")
#define SOCKS_NO SCRIPT_BYTES("\5\0\5\5\0\1\0\0\0\0\0\0")
#define SOCKS_RULES SCRIPT_BYTES("\5\0\5\2\0\1\0\0\0\0\0\0")
#define CONNECT_HEAD "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n"

enum {
    SCRIPTS = 4
};

/* A conn to be, and the scripts that its connections to the proxy play. */
typedef struct kit {
    hp_dial_spec spec;
    hp_conn c;
    hp_err err;
    hp_wait w;
    script scripts[SCRIPTS];
    script_queue queue;
} kit;

static void
kit_init(kit *k, const char *proxy)
{
    *k = (kit){.queue.scripts = k->scripts};
    hp_proxy *p = kit_proxy(proxy);
    k->spec = (hp_dial_spec){.host = hp_proxy_settings(p)->host.ptr,
                             .port = hp_proxy_settings(p)->port,
                             .proxy = p,
                             .target_host = "h.test",
                             .target_port = 443,
                             .max_connect_head = 1000,
                             .open_stream = script_open_next,
                             .open_arg = &k->queue};
    hp_conn_init(&k->c, &k->spec, 10 * S, 10 * S);
}

static void
kit_free(kit *k)
{
    hp_conn_close(&k->c, false);
    for (int i = 0; i < k->queue.n; i++) {
        CHECK_INT(k->scripts[i].closed, k->scripts[i].opened);
        script_free(&k->scripts[i]);
    }
    hp_proxy_unref(k->spec.proxy);
    CHECK_INT(hp_proxy_known(), 0);
}

#define PLAY(k, ...)                                                           \
    do {                                                                       \
        static const script_event events_[] = {__VA_ARGS__};                   \
        script_init(&(k)->scripts[(k)->queue.n++], events_,                    \
                    sizeof events_ / sizeof *events_);                         \
    } while (0)

static hp_step
step(kit *k)
{
    hp_wait_reset(&k->w);
    hp_err_clear(&k->err);
    return hp_conn_step(&k->c, hp_waker_for_thread(), &k->w, &k->err);
}

/* Until the end. What is waited for is in the script, or a look-up's. */
static hp_step
run(kit *k)
{
    hp_waker *waker = hp_waker_for_thread();
    for (;;) {
        hp_waker_clear(waker, 0);
        hp_step s = step(k);
        if (s != HP_STEP_WAIT)
            return s;
        if (k->c.state == HP_CONN_RESOLVING ||
            k->c.state == HP_CONN_CONNECTING ||
            k->c.state == HP_CONN_TARGET_RESOLVING) {
            hp_wait_fd(&k->w, hp_waker_fd(waker), POLLIN);
            lo_wait(&k->w);
        }
    }
}

static void
check_failed(const kit *k, hp_errc code, hp_phase phase, const char *text)
{
    CHECK_STR(hp_errc_name(k->err.code), hp_errc_name(code));
    CHECK_STR(hp_phase_name(k->err.phase), hp_phase_name(phase));
    CHECK_STR(k->err.text, text);
    CHECK_INT(k->c.state, HP_CONN_CLOSED);
    CHECK(!k->c.stream && !k->c.dial && !k->c.resolve && !k->c.tunnel);
}

static void
check_written(const kit *k, int i, const char *p, size_t n)
{
    hp_span got = script_written(&k->scripts[i]);
    CHECK_INT(got.len, n);
    CHECK(n == 0 || memcmp(got.ptr, p, n) == 0);
}

static void
check_answer(const kit *k, int status, const char *lines)
{
    CHECK(k->c.answer);
    hp_span got = hp_answer_lines(k->c.answer);
    CHECK_INT(hp_answer_status(k->c.answer), status);
    CHECK_INT(got.len, strlen(lines));
    CHECK(memcmp(got.ptr, lines, got.len) == 0);
}

#define WROTE(k, i, s) check_written((k), (i), (s), sizeof(s) - 1)

/* ---- getting there ---- */

static void
test_tunnel(void)
{
    kit k;
    kit_init(&k, "http://proxy:3128");
    PLAY(&k, {.op = SCRIPT_AGAIN}, OK_200);
    CHECK_INT(step(&k), HP_STEP_WAIT);
    CHECK_INT(k.c.state, HP_CONN_TUNNEL);
    CHECK_STR(hp_phase_name(hp_conn_phase(&k.c)), "proxy");
    hp_ns at_proxy = k.c.times.connected;
    hp_clock_advance(S);
    CHECK_INT(step(&k), HP_STEP_DONE);
    CHECK_INT(k.c.state, HP_CONN_READY);
    CHECK(k.c.tunnel == NULL);
    CHECK(k.c.times.connected >= at_proxy + S); /* the tunnel counts */
    WROTE(&k, 0, CONNECT_HEAD);
    check_answer(&k, 200, "");
    kit_free(&k);
}

/* What is to be said is said once, and then forgotten. */
static void
test_authorize(void)
{
    kit k;
    kit_init(&k, "http://proxy:3128");
    PLAY(&k, {.op = SCRIPT_AGAIN}, OK_200);
    CHECK_INT(hp_conn_authorize(&k.c, HP_SPAN_LIT("Digest old")), 0);
    CHECK_INT(hp_conn_authorize(&k.c, HP_SPAN_LIT("Digest x")), 0);
    CHECK_INT(run(&k), HP_STEP_DONE);
    CHECK(k.c.authorization == NULL);
    WROTE(&k, 0,
          "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n"
          "Proxy-Authorization: Digest x\r\n\r\n");
    kit_free(&k);
    kit_init(&k, "http://proxy:3128");
    CHECK_INT(hp_conn_authorize(&k.c, HP_SPAN_LIT("Digest x")), 0);
    kit_free(&k); /* never begun */
}

/* Who forwards is sent the request at once. */
static void
test_forward(void)
{
    kit k;
    kit_init(&k, "http://proxy:3128");
    k.spec.target_host = NULL;
    PLAY(&k, {.op = SCRIPT_AGAIN});
    CHECK_INT(step(&k), HP_STEP_DONE);
    CHECK_INT(k.c.state, HP_CONN_READY);
    WROTE(&k, 0, "");
    kit_free(&k);
}

static void
test_socks_by_name(void)
{
    kit k;
    int calls = dns_calls();
    kit_init(&k, "socks5h://proxy:1080");
    PLAY(&k, SOCKS_OK);
    CHECK_INT(run(&k), HP_STEP_DONE);
    WROTE(&k, 0, "\5\1\0\5\1\0\3\6h.test\1\xbb");
    CHECK_INT(dns_calls(), calls); /* not ours to ask */
    kit_free(&k);
}

static void
test_socks_looked_up_here(void)
{
    kit k;
    kit_init(&k, "socks5://proxy:1080");
    k.spec.target_host = "localhost"; /* 127.0.0.1, then ::1 */
    PLAY(&k, SOCKS_OK);
    CHECK_INT(run(&k), HP_STEP_DONE);
    CHECK_INT(k.c.resolved_by, HP_RESOLVED_LOOKUP);
    WROTE(&k, 0, "\5\1\0\5\1\0\1\x7f\0\0\1\1\xbb");
    kit_free(&k);
}

static void
test_socks_literal(void)
{
    kit k;
    kit_init(&k, "socks5://proxy:1080");
    k.spec.target_host = "::1";
    PLAY(&k, SOCKS_OK);
    CHECK_INT(run(&k), HP_STEP_DONE);
    WROTE(&k, 0, "\5\1\0\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1\xbb");
    kit_free(&k);
}

static hp_addrs *
addresses(const char *const *texts, int n)
{
    hp_addrs *a = hp_addrs_new(n);
    for (int i = 0; i < n; i++)
        CHECK_INT(hp_addr_from_literal(texts[i], &a->list[i]), 1);
    return a;
}

/* Families take turns; a port of its own is kept. */
static void
test_socks_next_address(void)
{
    static const char *const texts[] = {"127.0.0.1", "127.0.0.2", "::1"};
    kit k;
    hp_addrs *a = addresses(texts, 3);
    hp_addr_set_port(&a->list[1], 80);
    kit_init(&k, "socks5://proxy:1080");
    k.spec.target_resolve = a;
    PLAY(&k, {.op = SCRIPT_AGAIN}, SOCKS_NO);
    PLAY(&k, SOCKS_NO);
    PLAY(&k, {.op = SCRIPT_AGAIN}, SOCKS_OK);
    int calls = dns_calls();
    CHECK_INT(run(&k), HP_STEP_DONE);
    CHECK_INT(dns_calls(), calls);
    WROTE(&k, 0, "\5\1\0\5\1\0\1\x7f\0\0\1\1\xbb");
    WROTE(&k, 1, "\5\1\0\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1\xbb");
    WROTE(&k, 2, "\5\1\0\5\1\0\1\x7f\0\0\2\0\x50");
    CHECK_INT(k.scripts[0].closed, 1);
    kit_free(&k);
    CHECK_INT(a->refs, 1);
    hp_addrs_unref(a);
}

static void
test_socks_no_address_left(void)
{
    static const char *const texts[] = {"127.0.0.1", "127.0.0.2"};
    kit k;
    hp_addrs *a = addresses(texts, 2);
    kit_init(&k, "socks5://proxy:1080");
    k.spec.target_resolve = a;
    PLAY(&k, SOCKS_NO);
    PLAY(&k, SOCKS_NO);
    CHECK_INT(run(&k), HP_STEP_ERROR);
    check_failed(&k, HP_E_PROXY, HP_PHASE_PROXY,
                 "the proxy socks5://proxy:1080 refused a tunnel to h.test:443 "
                 "(127.0.0.2): connection refused (5)");
    kit_free(&k);
    kit_init(&k, "socks5://proxy:1080"); /* what its rules say holds for all */
    k.spec.target_resolve = a;
    PLAY(&k, SOCKS_RULES);
    PLAY(&k, SOCKS_OK);
    CHECK_INT(run(&k), HP_STEP_ERROR);
    check_failed(&k, HP_E_PROXY, HP_PHASE_PROXY,
                 "the proxy socks5://proxy:1080 refused a tunnel to h.test:443 "
                 "(127.0.0.1): not allowed by its rules (2)");
    kit_free(&k);
    hp_addrs_unref(a);
}

/* Each connection to the proxy is made as the first was. */
static void
test_socks_next_address_over_sockets(void)
{
    static const char *const texts[] = {"127.0.0.1", "127.0.0.2"};
    hp_addr at;
    kit k;
    int listener = lo_listen(AF_INET, 8, &at);
    hp_addrs *a = addresses(texts, 2);
    kit_init(&k, "socks5://localhost:1080");
    k.spec.open_stream = NULL;
    k.spec.family = AF_INET;
    k.spec.port = lo_port(&at);
    k.spec.target_resolve = a;
    static const char *const say[] = {"\5\0\5\4", "\5\0\5\0\0\1\0\0\0\0\0\0"};
    static const size_t n[] = {4, 12};
    int peers[2];
    for (int i = 0; i < 2; i++) {
        for (;;) {
            hp_waker_clear(hp_waker_for_thread(), 0);
            CHECK_INT(step(&k), HP_STEP_WAIT);
            if (k.c.state == HP_CONN_TUNNEL && k.c.next_target == i + 1)
                break;
            hp_wait_fd(&k.w, hp_waker_fd(hp_waker_for_thread()), POLLIN);
            lo_wait(&k.w);
        }
        peers[i] = lo_accept(listener);
        CHECK_INT(send(peers[i], say[i], n[i], 0), n[i]);
    }
    CHECK_INT(run(&k), HP_STEP_DONE);
    CHECK_INT(k.c.next_target, 2);
    kit_free(&k);
    for (int i = 0; i < 2; i++)
        close(peers[i]);
    close(listener);
    hp_addrs_unref(a);
}

/* ---- not getting there ---- */

static void
test_refused(void)
{
    kit k;
    kit_init(&k, "http://Basic c2VjcmV0@proxy:3128");
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 403 Forbidden\r\nVia: x\r\n\r\n"));
    CHECK_INT(run(&k), HP_STEP_ERROR);
    check_failed(&k, HP_E_PROXY, HP_PHASE_PROXY,
                 "the proxy http://proxy:3128 refused a tunnel to h.test:443: "
                 "403 Forbidden");
    CHECK_INT(k.err.status, 403);
    check_answer(&k, 403, "Via: x\r\n"); /* outlives the connection */
    hp_conn_close(&k.c, false);
    CHECK(k.c.answer == NULL);
    kit_free(&k);
}

/* What fails before the proxy is reached names it, and keeps the reason. */
static void
test_proxy_not_reached(void)
{
    hp_addr at;
    char want[300];
    kit k;
    int dead = lo_bind(AF_INET, &at);
    kit_init(&k, "http://127.0.0.1:3128");
    k.spec.open_stream = NULL;
    k.spec.port = lo_port(&at);
    CHECK_INT(run(&k), HP_STEP_ERROR);
    snprintf(want, sizeof want,
             "cannot use the proxy http://127.0.0.1:3128: cannot connect to "
             "127.0.0.1:%u: Connection refused",
             lo_port(&at));
    check_failed(&k, HP_E_PROXY, HP_PHASE_CONNECT, want);
    CHECK_INT(k.err.sys_errno, ECONNREFUSED);
    kit_free(&k);
    close(dead);

    kit_init(&k, "http://none.test:3128");
    k.spec.open_stream = NULL;
    CHECK_INT(run(&k), HP_STEP_ERROR);
    CHECK_INT(k.err.code, HP_E_PROXY);
    CHECK_INT(k.err.phase, HP_PHASE_RESOLVE);
    CHECK(strstr(k.err.text, "cannot use the proxy http://none.test:3128: ") ==
          k.err.text);
    kit_free(&k);
}

/* The target's own name is not the proxy's fault. */
static void
test_target_not_found(void)
{
    kit k;
    kit_init(&k, "socks5://proxy:1080");
    k.spec.target_host = "none.test";
    PLAY(&k, SOCKS_OK);
    CHECK_INT(run(&k), HP_STEP_ERROR);
    CHECK_STR(hp_errc_name(k.err.code), "resolve");
    CHECK(strstr(k.err.text, "none.test") && !strstr(k.err.text, "proxy"));
    CHECK_INT(k.err.phase, HP_PHASE_RESOLVE);
    kit_free(&k);
}

/* ---- time ---- */

static void
times_out(hp_ns connect, hp_ns after, const char *seconds)
{
    char want[200];
    kit k;
    kit_init(&k, "http://proxy:3128");
    hp_conn_init(&k.c, &k.spec, connect, 10 * S);
    PLAY(&k, {.op = SCRIPT_AGAIN});
    CHECK_INT(step(&k), HP_STEP_WAIT);
    CHECK(k.w.deadline == k.c.tunnel_deadline);
    hp_clock_advance(after - S / 10);
    CHECK_INT(step(&k), HP_STEP_WAIT);
    hp_clock_advance(S / 10);
    CHECK_INT(step(&k), HP_STEP_ERROR);
    snprintf(want, sizeof want,
             "the proxy http://proxy:3128 did not open a tunnel to h.test:443 "
             "in time: timed out after %s s",
             seconds);
    check_failed(&k, HP_E_CONNECT_TIMEOUT, HP_PHASE_PROXY, want);
    CHECK_INT(k.scripts[0].closed, 1);
    kit_free(&k);
}

/* A minute at most, whatever connecting may take. */
static void
test_timeouts(void)
{
    times_out(5 * S, 5 * S, "5.0");
    times_out(100 * S, 60 * S, "60.0");
    times_out(HP_NO_LIMIT, 60 * S, "60.0");
}

static void
test_extend(void)
{
    kit k;
    kit_init(&k, "http://proxy:3128");
    hp_conn_init(&k.c, &k.spec, 5 * S, 10 * S);
    PLAY(&k, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN}, OK_200);
    CHECK_INT(step(&k), HP_STEP_WAIT);
    hp_clock_advance(4 * S);
    hp_conn_extend(&k.c, 20 * S, 10 * S);
    hp_clock_advance(15 * S);
    CHECK_INT(step(&k), HP_STEP_WAIT);
    CHECK_INT(step(&k), HP_STEP_DONE);
    kit_free(&k);
}

static void
test_target_look_up_times_out(void)
{
    kit k;
    dns_reset();
    kit_init(&k, "socks5://proxy:1080");
    k.spec.target_host = "slow.test";
    PLAY(&k, SOCKS_OK);
    CHECK_INT(step(&k), HP_STEP_WAIT);
    CHECK_INT(k.c.state, HP_CONN_TARGET_RESOLVING);
    CHECK_STR(hp_phase_name(hp_conn_phase(&k.c)), "resolve");
    hp_clock_advance(10 * S);
    CHECK_INT(step(&k), HP_STEP_ERROR);
    check_failed(&k, HP_E_CONNECT_TIMEOUT, HP_PHASE_RESOLVE,
                 "connect to slow.test:443 timed out after 10.0 s (looking up "
                 "the host)");
    kit_free(&k);
    dns_open();
    dns_wait_inside(0);
}

/* ---- TLS with the proxy ---- */

static hp_proxy *
https_proxy(void)
{
    hp_err err = {0};
    hp_tls_config tls = {.verify = false};
    hp_proxy_config c = kit_proxy_config("https://127.0.0.1:3129");
    c.tls = hp_tls_get(&tls, &err);
    hp_proxy *p = kit_proxy_of(&c);
    hp_tls_unref(c.tls);
    return p;
}

static void
test_proxy_handshake(void)
{
    hp_addr at;
    kit k;
    char want[200];
    int listener = lo_listen(AF_INET, 8, &at);
    kit_init(&k, "http://proxy:3128");
    hp_proxy_unref(k.spec.proxy);
    k.spec.proxy = https_proxy();
    k.spec.open_stream = NULL;
    k.spec.host = "127.0.0.1";
    k.spec.port = lo_port(&at);
    hp_conn_init(&k.c, &k.spec, 10 * S, 3 * S);
    while (k.c.state != HP_CONN_PROXY_HANDSHAKE) {
        CHECK_INT(step(&k), HP_STEP_WAIT);
        if (k.c.state != HP_CONN_PROXY_HANDSHAKE)
            lo_wait(&k.w);
    }
    CHECK_STR(hp_phase_name(hp_conn_phase(&k.c)), "proxy");
    hp_clock_advance(3 * S);
    CHECK_INT(step(&k), HP_STEP_ERROR);
    snprintf(want, sizeof want,
             "cannot use the proxy https://127.0.0.1:3129: TLS handshake with "
             "127.0.0.1:%u timed out after 3.0 s (is it an http:// proxy?)",
             k.spec.port);
    check_failed(&k, HP_E_TLS_TIMEOUT, HP_PHASE_PROXY, want);
    close(lo_accept(listener));

    hp_conn_init(&k.c, &k.spec, 10 * S, 3 * S);
    CHECK_INT(step(&k), HP_STEP_WAIT);
    close(lo_accept(listener));
    hp_step s;
    while ((s = step(&k)) == HP_STEP_WAIT)
        lo_wait(&k.w);
    CHECK_INT(s, HP_STEP_ERROR);
    CHECK_STR(hp_errc_name(k.err.code), "proxy");
    CHECK(strstr(k.err.text,
                 "cannot use the proxy https://127.0.0.1:3129: "
                 "TLS handshake with 127.0.0.1 failed: ") == k.err.text);
    kit_free(&k);
    close(listener);
}

/* ---- memory, forks ---- */

static hp_step
with_memory_for(long n, const char *proxy, const hp_addrs *a)
{
    kit k;
    kit_init(&k, proxy);
    k.spec.target_resolve = a;
    PLAY(&k, SCRIPT_BYTES("\5\0\5\4"));
    PLAY(&k, SOCKS_OK);
    if (a == NULL) {
        k.queue.n = 0;
        PLAY(&k, OK_200);
    }
    for (int i = 0; i < k.queue.n; i++)
        CHECK(hp_buf_reserve(&k.scripts[i].written, 1000) == 0);
    hp_mem_fail_after(n);
    hp_step s = run(&k);
    hp_mem_fail_after(-1);
    CHECK_STR(hp_errc_name(k.err.code),
              hp_errc_name(s == HP_STEP_DONE ? HP_OK : HP_E_NOMEM));
    kit_free(&k);
    return s;
}

static void
test_no_memory(void)
{
    static const char *const texts[] = {"127.0.0.1", "127.0.0.2"};
    hp_addrs *a = addresses(texts, 2);
    for (int i = 0; i < 2; i++) {
        long n = 0;
        while (with_memory_for(n, i ? "socks5://p:1" : "http://p:1",
                               i ? a : NULL) != HP_STEP_DONE)
            n++;
        CHECK(n >= 2 && n < 30);
    }
    hp_addrs_unref(a);
}

static void
test_abandon(void)
{
    kit k;
    kit_init(&k, "http://proxy:3128");
    PLAY(&k, {.op = SCRIPT_AGAIN}, OK_200);
    CHECK_INT(step(&k), HP_STEP_WAIT);
    hp_tunnel *tunnel = k.c.tunnel;
    hp_conn_abandon(&k.c);
    CHECK_INT(k.c.state, HP_CONN_CLOSED);
    CHECK_INT(k.scripts[0].closed, 0); /* not a byte, not a call */
    k.scripts[0].closed = 1;
    hp_tunnel_free(tunnel); /* abandoned memory is for the test to free */
    kit_free(&k);
}

int
main(void)
{
    RUN(test_tunnel);
    RUN(test_authorize);
    RUN(test_forward);
    RUN(test_socks_by_name);
    RUN(test_socks_looked_up_here);
    RUN(test_socks_literal);
    RUN(test_socks_next_address);
    RUN(test_socks_no_address_left);
    RUN(test_socks_next_address_over_sockets);
    RUN(test_refused);
    RUN(test_proxy_not_reached);
    RUN(test_target_not_found);
    RUN(test_timeouts);
    RUN(test_extend);
    RUN(test_target_look_up_times_out);
    RUN(test_proxy_handshake);
    RUN(test_no_memory);
    RUN(test_abandon);
    DONE();
}
