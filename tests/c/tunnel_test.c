/* tunnel: CONNECT and SOCKS5 over a scripted stream: every split of what the
 * proxy says, every short write, and every way of saying no. */
#include "net/tunnel.h"

#include <errno.h>

#include "base/mem.h"
#include "proxy_kit.h"
#include "script_stream.h"

enum {
    MAX_HEAD = 4096,
    PATIENCE = 100000 /* steps that want more, in a row */
};

/* What is asked for; zeroed: by name, through http. */
typedef struct ask {
    const char *proxy; /* as proxy_kit has it */
    const char *host;
    uint16_t port;
    const hp_addr *addr;
    const char *authorization;
} ask;

#define NO_SPAN ((hp_span){NULL, 0})

static const ask CONNECT = {"http://p:3128", "h.test", 443, NULL, NULL};
static const ask SOCKS = {"socks5h://p:1080", "h.test", 443, NULL, NULL};
static const ask LOGIN = {"socks5h://me:pw@p:1080", "h.test", 443, NULL, NULL};

/* How one ended. */
typedef struct end {
    int result;
    int status;
    char lines[200]; /* of the answer */
    bool address_refused;
    hp_err err;
    char written[1200];
    size_t n_written;
    size_t unread; /* bytes of the script */
} end;

static void
note_written(end *e, const script *s)
{
    e->n_written = s->written.len;
    CHECK(e->n_written < sizeof e->written);
    if (e->n_written)
        memcpy(e->written, s->written.ptr, e->n_written);
}

static void
note_answer(end *e, const hp_answer *a)
{
    if (a == NULL)
        return;
    hp_span lines = hp_answer_lines(a);
    e->status = hp_answer_status(a);
    CHECK(lines.len < sizeof e->lines);
    memcpy(e->lines, lines.ptr, lines.len);
}

static size_t
read_rest(hp_stream *s)
{
    char buf[1000];
    hp_err err = {0};
    size_t all = 0;
    ssize_t n;
    while ((n = s->ops->read(s, buf, sizeof buf, &err)) > 0)
        all += (size_t)n;
    return all;
}

static end
play_events(const ask *a, const script_event *events, size_t n)
{
    end e = {0};
    script s;
    script_init(&s, events, n);
    hp_stream *stream = script_open(&s, NULL);
    hp_proxy *p = kit_proxy(a->proxy);
    hp_tunnel *t =
        hp_tunnel_new(p, a->host, a->port, a->addr,
                      hp_span_or_none(a->authorization), MAX_HEAD, &e.err);
    CHECK(t);
    int steps = 0;
    do {
        CHECK(steps++ < PATIENCE);
        e.result = hp_tunnel_step(t, stream, &e.err);
    } while ((e.result == HP_IO_WANT_READ || e.result == HP_IO_WANT_WRITE) &&
             !(script_all_read(&s) && e.result == HP_IO_WANT_READ));
    note_answer(&e, hp_tunnel_answer(t));
    e.address_refused = hp_tunnel_address_refused(t);
    note_written(&e, &s);
    e.unread = read_rest(stream);
    CHECK_INT(e.result == HP_IO_ERROR, e.err.code != HP_OK);
    hp_tunnel_free(t);
    hp_proxy_unref(p);
    script_free(&s);
    return e;
}

/* Every byte of `say` in its time, cut once at `cut` and then, if `end_` is
 * not DATA, ended so. */
static end
play(const ask *a, const char *say, size_t n, size_t cut, script_op end_)
{
    script_event events[4];
    size_t k = 0;
    if (cut)
        events[k++] = (script_event){SCRIPT_DATA, say, cut, 0};
    events[k++] = (script_event){.op = SCRIPT_AGAIN};
    if (cut < n)
        events[k++] = (script_event){SCRIPT_DATA, say + cut, n - cut, 0};
    if (end_ != SCRIPT_DATA)
        events[k++] = (script_event){.op = end_, .err = ECONNRESET};
    return play_events(a, events, k);
}

static void
check_text(const end *e, const char *text)
{
    CHECK_STR(hp_errc_name(e->err.code), hp_errc_name(HP_E_PROXY));
    CHECK_STR(e->err.text, text);
    CHECK_INT(e->err.status, e->status);
}

/* ---- what holds for both ---- */

/* Whole at every cut, broken off at every byte, and one byte at a time. Nothing
 * behind it is read, and `behind` is what stands there. */
static void
hold(const ask *a, const char *say, size_t n, const char *write, size_t n_write)
{
    static script_event each[400];
    for (size_t cut = 0; cut <= n; cut++) {
        end e = play(a, say, n, cut, SCRIPT_DATA);
        CHECK_INT(e.result, 0);
        CHECK_INT(e.n_written, n_write);
        CHECK(memcmp(e.written, write, n_write) == 0);
        if (cut == n)
            continue;
        e = play(a, say, cut, cut, SCRIPT_EOF);
        CHECK_INT(e.err.code, HP_E_PROXY);
        CHECK(strstr(e.err.text, "closed the connection before it had opened a "
                                 "tunnel to h.test:443"));
        e = play(a, say, cut, cut, SCRIPT_ERROR);
        CHECK_INT(e.err.code, HP_E_PROXY);
        CHECK_INT(e.err.sys_errno, ECONNRESET);
        e = play(a, say, cut, cut, SCRIPT_DATA);
        CHECK_INT(e.result, HP_IO_WANT_READ);
    }
    CHECK(2 * n <= sizeof each / sizeof *each);
    for (size_t i = 0; i < n; i++) {
        each[2 * i] = (script_event){SCRIPT_DATA, say + i, 1, 0};
        each[2 * i + 1] = (script_event){.op = SCRIPT_AGAIN};
    }
    CHECK_INT(play_events(a, each, 2 * n).result, 0);
}

/* The same written in pieces of one byte with a pause before each. */
static void
hold_writes(const ask *a, const char *say, size_t n, const char *write,
            size_t n_write)
{
    static script_event events[1200];
    size_t k = 0;
    for (size_t i = 0; i < n_write; i++) {
        events[k++] = (script_event){.op = SCRIPT_WANT_WRITE};
        events[k++] = (script_event){.op = SCRIPT_ACCEPT, .len = 1};
    }
    events[k++] = (script_event){SCRIPT_DATA, say, n, 0};
    end e = play_events(a, events, k);
    CHECK_INT(e.result, 0);
    CHECK_INT(e.n_written, n_write);
    CHECK(memcmp(e.written, write, n_write) == 0);
    for (size_t i = 0; i < n_write; i++) {
        events[0] = (script_event){.op = SCRIPT_ACCEPT, .len = i};
        events[1] = (script_event){.op = SCRIPT_WRITE_ERROR, .err = EPIPE};
        events[2] = (script_event){SCRIPT_DATA, say, n, 0};
        e = play_events(a, events + (i == 0), 3 - (i == 0));
        CHECK_INT(e.err.code, HP_E_PROXY);
        CHECK_INT(e.err.sys_errno, EPIPE);
    }
}

#define SAY(s) (s), sizeof(s) - 1

/* ---- CONNECT ---- */

#define ASKED "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n"

static void
test_connect(void)
{
    hold(&CONNECT, SAY("HTTP/1.1 200 Connection established\r\n\r\n"),
         SAY(ASKED));
    hold(&CONNECT,
         SAY("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n"
             "\r\nHTTP/1.0 200 OK\r\nVia: y\r\n\r\n"),
         SAY(ASKED));
    hold_writes(&CONNECT, SAY("HTTP/1.1 200 OK\r\n\r\n"), SAY(ASKED));
    ask a = CONNECT;
    a.proxy = "http://Basic eDp5@p:3128";
    hold(&a, SAY("HTTP/1.1 200\r\n\r\n"),
         SAY("CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n"
             "Proxy-Authorization: Basic eDp5\r\n\r\n"));
    a = CONNECT;
    a.authorization = "Digest x";
    hold(&a, SAY("HTTP/1.1 200\r\n\r\n"),
         SAY("CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n"
             "Proxy-Authorization: Digest x\r\n\r\n"));
}

/* The last one, and that alone. */
static void
test_connect_answer(void)
{
    static const char *const rows[] = {
        "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nA: 1\r\n"
        "B: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\n\r\ntoo early",
        "HTTP/1.1 403 No\r\nA: 1\r\nB: 2\r\n\r\nsorry",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        end e = play(&CONNECT, rows[i], strlen(rows[i]), 20, SCRIPT_DATA);
        CHECK_INT(e.status, i < 2 ? 200 : 403);
        CHECK_STR(e.lines, "A: 1\r\nB: 2\r\n");
    }
    end e = play(&CONNECT, SAY("HTTP/1.1 200 OK\r\nA: 1\r\n"), 9, SCRIPT_EOF);
    CHECK_INT(e.status, 0);
    CHECK_STR(e.lines, "");
}

static void
test_connect_targets(void)
{
    static const char *const rows[][2] = {
        {"::1", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"},
        {"fe80::1%eth0",
         "CONNECT [fe80::1]:443 HTTP/1.1\r\nHost: [fe80::1]:443\r\n\r\n"},
        {"10.0.0.1",
         "CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: 10.0.0.1:443\r\n\r\n"},
    };
    for (int i = 0; i < 3; i++) {
        ask a = CONNECT;
        a.host = rows[i][0];
        end e = play(&a, SAY("HTTP/1.1 200 OK\r\n\r\n"), 5, SCRIPT_DATA);
        CHECK_INT(e.result, 0);
        CHECK_STR(e.written, rows[i][1]);
    }
}

/* Any 2xx, whatever it says about a body (RFC 9110 9.3.6). */
static void
test_connect_any_2xx(void)
{
    static const char *const rows[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 201 \r\nConnection: close\r\n\r\n",
        "HTTP/1.1 299 Odd\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        end e = play(&CONNECT, rows[i], strlen(rows[i]), 9, SCRIPT_DATA);
        CHECK_INT(e.result, 0);
        CHECK_INT(e.status, atoi(rows[i] + 9));
    }
}

#define REFUSED "the proxy http://p:3128 refused a tunnel to h.test:443: "

static void
test_connect_refused(void)
{
    static const struct {
        int status;
        const char *say, *text;
    } rows[] = {
        {403, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nsorry",
         REFUSED "403 Forbidden"},
        {400, "HTTP/1.1 400\r\n\r\n", REFUSED "400 (no reason)"},
        {101, "HTTP/1.1 101 Switching Protocols\r\n\r\n",
         REFUSED "101 Switching Protocols"},
        {300, "HTTP/1.1 300 Many\r\n\r\n", REFUSED "300 Many"},
        {502, "HTTP/1.1 502 Bad \xff gate\r\n\r\n", REFUSED "502 Bad ? gate"},
        {502,
         "HTTP/1.1 502 "
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "\r\n\r\n",
         REFUSED
         "502 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
        {407, "HTTP/1.1 407 Auth\r\nProxy-Authenticate: basic realm=x\r\n\r\n",
         REFUSED "407 Auth; it wants credentials: put them into the proxy's "
                 "URL, http://user:password@host:port"},
        {407,
         "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Negotiate\r\n"
         "Proxy-Authenticate: Basic\r\n\r\n",
         REFUSED "407 Auth; it wants credentials: put them into the proxy's "
                 "URL, http://user:password@host:port"},
        {407, "HTTP/1.1 407 Auth\r\nProxy-Authenticate: NTLM\r\n\r\n",
         REFUSED "407 Auth; it asks for NTLM, which is not spoken here (Basic "
                 "and Digest are)"},
        {407,
         "HTTP/1.1 407 Auth\r\nProxy-Authenticate: NTLM\r\n"
         "Proxy-Authenticate: digest realm=x\r\n\r\n",
         REFUSED "407 Auth; it asks for Digest: give its Proxy "
                 "auth=DigestAuth(user, password)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].say);
        for (size_t cut = 1; cut <= n; cut++) {
            end e = play(&CONNECT, rows[i].say, n, cut, SCRIPT_EOF);
            check_text(&e, rows[i].text);
            CHECK_INT(e.status, rows[i].status);
        }
    }
    ask a = CONNECT;
    a.proxy = "http://Basic c2VjcmV0@p:3128";
    end e = play(&a, SAY("HTTP/1.1 407 Auth\r\n\r\n"), 3, SCRIPT_DATA);
    check_text(&e,
               REFUSED "407 Auth; it does not accept the credentials given");
    a = CONNECT;
    a.authorization = "Digest x";
    e = play(&a, SAY("HTTP/1.1 407 Auth\r\n\r\n"), 3, SCRIPT_DATA);
    check_text(&e,
               REFUSED "407 Auth; it does not accept the credentials given");
}

/* In TLS the target would not speak first. */
static void
test_connect_bytes_behind_the_head(void)
{
    static const char say[] = "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    end e = play(&CONNECT, SAY(say), 2, SCRIPT_DATA);
    check_text(&e, "the proxy http://p:3128 sent 19 bytes behind its answer to "
                   "CONNECT h.test:443, before anything was said in the "
                   "tunnel");
    CHECK_INT(e.status, 200);
}

static void
not_http(const char *say, size_t n, const char *tail)
{
    for (size_t cut = 1; cut <= n; cut++) {
        end e = play(&CONNECT, say, n, cut, SCRIPT_EOF);
        CHECK_INT(e.err.code, HP_E_PROXY);
        CHECK_INT(e.status, 0);
        CHECK(strstr(e.err.text, "the proxy http://p:3128 did not answer "
                                 "CONNECT h.test:443 in HTTP: ") == e.err.text);
        size_t len = strlen(e.err.text), want = strlen(tail);
        CHECK(len > want && strcmp(e.err.text + len - want, tail) == 0);
    }
}

static void
test_connect_is_not_http(void)
{
    not_http(SAY("SSH-2.0-OpenSSH_9.2\r\n\r\n"), "");
    not_http(SAY("\x05\xff\x00\x00"), "");
    not_http(SAY("HTTP/2 200 OK\r\n\r\n"), "");
    not_http(SAY("HTTP/1.1 20x OK\r\n\r\n"), "");
    not_http(SAY("HTTP/1.1 200 OK\r\nA\r\n\r\n"), "");
    not_http(SAY("\x15\x03\x01\x00\x02\x02\x16"),
             "(is this the port of an https:// proxy?)");
}

/* Whatever there is too much of: the budget is for all heads together. */
static void
endless(const char *first, const char *again)
{
    static script_event events[2000];
    events[0] = (script_event){SCRIPT_DATA, first, strlen(first), 0};
    for (int i = 1; i < 2000; i++)
        events[i] = (script_event){SCRIPT_DATA, again, strlen(again), 0};
    end e = play_events(&CONNECT, events, 2000);
    check_text(&e, "the proxy http://p:3128 answered CONNECT h.test:443 with "
                   "more than 4096 bytes of header (max_header_bytes)");
    CHECK(e.unread > 10000); /* it did not read them all */
}

static void
test_connect_endless(void)
{
    endless("HTTP/1.1 200 OK\r\n", "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
    endless("HTTP/1.1 200 OK\r\nX: ", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
    endless("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n");
    endless("HTTP/1.1 200 ", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
}

/* ---- SOCKS5 ---- */

#define GREET "\5\1\0"
#define BY_NAME "\5\1\0\3\6h.test\1\xbb"
#define BOUND4 "\5\0\0\1\12\0\0\1\4\x38"

static void
test_socks(void)
{
    hold(&SOCKS, SAY("\5\0" BOUND4), SAY(GREET BY_NAME));
    hold_writes(&SOCKS, SAY("\5\0" BOUND4), SAY(GREET BY_NAME));
    hold(&LOGIN, SAY("\5\2\1\0" BOUND4), SAY("\5\2\0\2\1\2me\2pw" BY_NAME));
    hold_writes(&LOGIN, SAY("\5\2\1\0" BOUND4),
                SAY("\5\2\0\2\1\2me\2pw" BY_NAME));
    /* offered, and not wanted */
    hold(&LOGIN, SAY("\5\0" BOUND4), SAY("\5\2\0\2" BY_NAME));
}

/* Where the proxy's own end is comes in three forms; what is behind it is the
 * target's, and stays where it is. */
static void
test_socks_bound_addresses(void)
{
    static const struct {
        const char *say;
        size_t n;
    } rows[] = {
        {SAY("\5\0\5\0\0\1\1\2\3\4\0\0behind")},
        {SAY("\5\0\5\0\0\3\4name\0\0behind")},
        {SAY("\5\0\5\0\0\3\0\0\0behind")},
        {SAY("\5\0\5\0\0\4AAAABBBBCCCCDDDD\0\0behind")},
    };
    for (int i = 0; i < 4; i++) {
        for (size_t cut = 0; cut <= rows[i].n; cut++) {
            end e = play(&SOCKS, rows[i].say, rows[i].n, cut, SCRIPT_DATA);
            CHECK_INT(e.result, 0);
            CHECK(e.unread == 6 || cut >= rows[i].n - 6); /* an AGAIN */
        }
    }
}

static void
check_asked(const ask *a, const char *write, size_t n)
{
    end e = play(a, SAY("\5\0" BOUND4), 2, SCRIPT_DATA);
    CHECK_INT(e.result, 0);
    CHECK_INT(e.n_written, n);
    CHECK(memcmp(e.written, write, n) == 0);
}

static void
test_socks_targets(void)
{
    hp_addr v4, v6;
    ask a = SOCKS;
    a.host = "10.1.2.3";
    check_asked(&a, SAY(GREET "\5\1\0\1\12\1\2\3\1\xbb"));
    a.host = "2001:db8::5%eth0";
    check_asked(&a, SAY(GREET "\5\1\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\5"
                              "\1\xbb"));
    a.host = "h.test";
    CHECK_INT(hp_addr_from_literal("127.0.0.1", &v4), 1);
    a.addr = &v4;
    check_asked(&a, SAY(GREET "\5\1\0\1\x7f\0\0\1\1\xbb"));
    CHECK_INT(hp_addr_from_literal("::1", &v6), 1);
    a.addr = &v6;
    a.port = 80;
    check_asked(&a, SAY(GREET "\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0P"));
}

static void
test_socks_long_names(void)
{
    char name[257];
    end e;
    hp_err err = {0};
    memset(name, 'n', 256);
    name[256] = '\0';
    hp_proxy *p = kit_proxy("socks5h://p:1080");
    CHECK(hp_tunnel_new(p, name, 80, NULL, NO_SPAN, MAX_HEAD, &err) == NULL);
    CHECK_INT(err.code, HP_E_PROXY);
    CHECK_STR(err.text, "the proxy socks5h://p:1080 cannot be asked for a host "
                        "name of more than 255 bytes");
    hp_proxy_unref(p);
    name[255] = '\0';
    ask a = SOCKS;
    a.host = name;
    e = play(&a, SAY("\5\0" BOUND4), 2, SCRIPT_DATA);
    CHECK_INT(e.result, 0);
    CHECK_INT(e.n_written, 3 + 5 + 255 + 2);
    CHECK_INT((unsigned char)e.written[3 + 4], 255);
}

#define P "the proxy socks5h://p:1080 "
#define NO P "refused a tunnel to h.test:443"

static void
test_socks_refused(void)
{
    static const struct {
        const ask *a;
        const char *say;
        size_t n;
        const char *text;
        bool other_address;
    } rows[] = {
        {&SOCKS, SAY("\5\0\5\1\0\1\0\0\0\0\0\0"), NO ": general failure (1)",
         true},
        {&SOCKS, SAY("\5\0\5\2\0\1"), NO ": not allowed by its rules (2)",
         false},
        {&SOCKS, SAY("\5\0\5\3\0\1"), NO ": network unreachable (3)", true},
        {&SOCKS, SAY("\5\0\5\4"), NO ": host unreachable (4)", true},
        {&SOCKS, SAY("\5\0\5\5"), NO ": connection refused (5)", true},
        {&SOCKS, SAY("\5\0\5\6"), NO ": TTL expired (6)", true},
        {&SOCKS, SAY("\5\0\5\7"), NO ": it does not know CONNECT (7)", false},
        {&SOCKS, SAY("\5\0\5\x8"),
         NO ": it does not know this kind of address (8)", true},
        {&SOCKS, SAY("\5\0\5\xfe"), NO ": for a reason that has no name (254)",
         true},
        {&SOCKS, SAY("\5\0\4\0"), P "gave an answer that is not SOCKS5", false},
        {&SOCKS, SAY("\5\0\5\0\0\2\0"), P "gave an answer that is not SOCKS5",
         false},
        {&SOCKS, SAY("\5\xff"),
         P "wants credentials: put them into its URL, "
           "socks5h://user:password@host:port",
         false},
        {&SOCKS, SAY("\5\2"),
         P "chose an authentication method that was not offered", false},
        {&LOGIN, SAY("\5\1"),
         P "chose an authentication method that was not offered", false},
        {&LOGIN, SAY("\5\xff"),
         P "wants another proof than a user and password", false},
        {&LOGIN, SAY("\5\2\1\1"),
         P "does not accept the user and password given", false},
        {&SOCKS, SAY("HTTP/1.1 400 Bad Request\r\n"),
         P "does not speak SOCKS5 (is this an http:// proxy?)", false},
        {&SOCKS, SAY("\4\x5a"), P "does not speak SOCKS5", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t cut = 0; cut <= rows[i].n; cut++) {
            end e = play(rows[i].a, rows[i].say, rows[i].n, cut, SCRIPT_EOF);
            check_text(&e, rows[i].text);
            CHECK_INT(e.address_refused, rows[i].other_address);
        }
    }
    hp_addr addr;
    ask a = SOCKS;
    CHECK_INT(hp_addr_from_literal("192.0.2.1", &addr), 1);
    a.addr = &addr;
    end e = play(&a, SAY("\5\0\5\4"), 2, SCRIPT_DATA);
    check_text(&e, NO " (192.0.2.1): host unreachable (4)");
    a.addr = NULL;
    a.host = "192.0.2.1"; /* not said twice */
    e = play(&a, SAY("\5\0\5\4"), 2, SCRIPT_DATA);
    check_text(&e, P "refused a tunnel to 192.0.2.1:443: host unreachable (4)");
}

/* ---- memory ---- */

static hp_errc
try(const ask *a, const char *say, size_t n, long allocations)
{
    static const script_event again = {.op = SCRIPT_AGAIN};
    script_event events[] = {again, {SCRIPT_DATA, say, n, 0}};
    hp_err err = {0};
    script s;
    script_init(&s, events, 2);
    CHECK(hp_buf_reserve(&s.written, 1000) == 0);
    hp_stream *stream = script_open(&s, NULL);
    hp_proxy *p = kit_proxy(a->proxy);
    hp_mem_fail_after(allocations);
    hp_tunnel *t =
        hp_tunnel_new(p, a->host, a->port, a->addr,
                      hp_span_or_none(a->authorization), MAX_HEAD, &err);
    while (t && err.code == HP_OK && hp_tunnel_step(t, stream, &err) < 0)
        ;
    hp_mem_fail_after(-1);
    hp_tunnel_free(t);
    hp_proxy_unref(p);
    script_free(&s);
    return err.code;
}

static void
test_no_memory(void)
{
    static char big[3000] = "HTTP/1.1 200 OK\r\nX: ";
    memset(big + 20, 'y', 2900);
    strcpy(big + 2920, "\r\n\r\n");
    const struct {
        const ask *a;
        const char *say;
        size_t n;
    } rows[] = {{&CONNECT, big, strlen(big)}, {&LOGIN, SAY("\5\2\1\0" BOUND4)}};
    for (int i = 0; i < 2; i++) {
        hp_errc code = HP_E_NOMEM;
        long n = 0;
        for (; code == HP_E_NOMEM; n++)
            code = try(rows[i].a, rows[i].say, rows[i].n, n);
        CHECK_STR(hp_errc_name(code), "ok");
        CHECK(n > 2); /* there were some to fail */
    }
}

int
main(void)
{
    RUN(test_connect);
    RUN(test_connect_answer);
    RUN(test_connect_targets);
    RUN(test_connect_any_2xx);
    RUN(test_connect_refused);
    RUN(test_connect_bytes_behind_the_head);
    RUN(test_connect_is_not_http);
    RUN(test_connect_endless);
    RUN(test_socks);
    RUN(test_socks_bound_addresses);
    RUN(test_socks_targets);
    RUN(test_socks_long_names);
    RUN(test_socks_refused);
    RUN(test_no_memory);
    DONE();
}
