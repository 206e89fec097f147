/* The n-th allocation fails, for every n of several requests: each ends as it
 * should or with HP_E_NOMEM, nothing leaks (LeakSanitizer looks), and the next
 * request on the same transport works. */
#include <zlib.h>

#include "base/mem.h"
#include "exchange_kit.h"
#include "proxy_kit.h"

#define OK_EMPTY SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
#define OK_HELLO                                                               \
    SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

enum {
    ROOM = 1 << 17, /* of the test's own buffers: they shall not fail */
    MANY = 5000     /* more allocations than any request makes */
};

static kit k;

/* What a request is made of. `prepare` plays scripts and fills in k.r. */
typedef struct scenario {
    void (*prepare)(void);
    const char *body; /* of its response */
} scenario;

/* ---- the scenarios ---- */

static void
plain(void)
{
    PLAY(&k, OK_HELLO, OK_HELLO);
}

/* A head and names that fit no inline store. */
static void
large(void)
{
    static char url[3000] = "http://h/", value[6000], name[400], all[7000];
    memset(url + 9, 'p', sizeof url - 10);
    memset(value, 'v', sizeof value - 1);
    memset(name, 'n', sizeof name - 1);
    int n = sprintf(
        all, "HTTP/1.1 200 OK\r\nA: %s\r\nContent-Length: 5\r\n\r\n", value);
    static script_event events[4];
    events[0] = (script_event){SCRIPT_DATA, all, (size_t)n, 0};
    events[1] = (script_event){.op = SCRIPT_AGAIN};
    events[2] = (script_event)SCRIPT_BYTES("hello");
    events[3] = (script_event)OK_HELLO;
    kit_play(&k, events, 4);
    k.r.url = hp_span_cstr(url);
    k.r.server_name = hp_span_cstr(name);
    k.r.site = hp_span_cstr(name);
}

static void
chunked(void)
{
    PLAY(&k,
         SCRIPT_BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
         {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("3\r\nhel\r\n2\r\nlo\r\n0\r\nA: b\r\n"),
         {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("C: d\r\n\r\n"), OK_HELLO);
}

static void
coded(void)
{
    static char packed[200], heading[200];
    static script_event events[3];
    z_stream z = {.next_in = (Bytef *)"hello",
                  .avail_in = 5,
                  .next_out = (Bytef *)packed,
                  .avail_out = sizeof packed};
    CHECK(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    CHECK(deflateEnd(&z) == Z_OK);
    int n = sprintf(heading,
                    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                    "Content-Length: %lu\r\n\r\n",
                    z.total_out);
    events[0] = (script_event){SCRIPT_DATA, heading, (size_t)n, 0};
    events[1] = (script_event){SCRIPT_DATA, packed, z.total_out, 0};
    events[2] = (script_event)OK_HELLO;
    kit_play(&k, events, 3);
    k.r.decode = true;
}

/* Lost on a connection that was kept, sent again on another. */
static void
replayed(void)
{
    PLAY(&k, OK_EMPTY, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN},
         {.op = SCRIPT_EOF});
    PLAY(&k, OK_HELLO, OK_HELLO);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_RELEASED(ex, HP_KEEP);
    hp_exchange_free(ex);
}

static void
uploaded(void)
{
    static const char *const pieces[] = {"one", "two", NULL};
    PLAY(&k, {SCRIPT_AFTER, NULL, 80, 0}, OK_HELLO, OK_HELLO);
    kit_produce(&k, pieces, -1);
}

static void
upgraded(void)
{
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 101 Go\r\nConnection: upgrade\r\n"
                          "Upgrade: x\r\n\r\nhello"));
    kit_field(&k, "Connection", "upgrade");
    kit_field(&k, "Upgrade", "x");
}

static void
closed_early(void)
{
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
         {.op = SCRIPT_AGAIN});
}

/* For the next one, too: the test gives it back at its end. */
static hp_proxy *proxy;

static void
forwarded(void)
{
    PLAY(&k, OK_HELLO, OK_HELLO);
    kit_field(&k, "X", "y");
    k.r.proxy = proxy;
}

static void
tunnelled(void)
{
    PLAY(&k, SCRIPT_BYTES("\5\2\1\0\5\0\0\1\0\0\0\0\0\0"), OK_HELLO);
    kit_field(&k, "Proxy-Authorization", "not for the target");
    k.r.proxy = proxy;
}

/* ---- one try ---- */

/* HP_OK, and then the body is k.body. */
static hp_errc
take_over(hp_exchange *ex)
{
    static const hp_driver driver;
    hp_err err = {0};
    size_t got = 0;
    hp_upgraded *u = hp_exchange_take_upgraded(ex, &err);
    if (u && hp_upgraded_recv(u, &driver, -1, k.body.ptr, 100, &got, &err) ==
                 HP_DRIVE_DONE)
        k.body.len = got;
    hp_upgraded_free(u);
    return err.code;
}

static hp_errc
finish(hp_exchange *ex, const scenario *s)
{
    if (kit_head(&k, ex) != HP_GO_DONE)
        return ex->err.code;
    if (hp_exchange_is_upgraded(ex))
        return take_over(ex);
    if (s->body == NULL)
        return HP_OK; /* freed in the middle of its body */
    return kit_body(&k, ex, 100, false) == HP_GO_DONE ? HP_OK : ex->err.code;
}

static hp_errc
request(const scenario *s)
{
    hp_exchange *ex = kit_try(&k);
    if (ex == NULL)
        return k.err.code;
    hp_errc code = finish(ex, s);
    hp_exchange_free(ex);
    return code;
}

/* Whatever became of the one before. */
static void
next_request(void)
{
    hp_request_init(&k.r);
    k.r.url = HP_SPAN_LIT("http://h/p?q");
    k.queue.next = k.queue.n - 1;
    kit_get_ok(&k, "hello");
}

/* With the n-th allocation failing. How many were made. */
static long
try(const scenario *s, long n)
{
    kit_init(&k);
    CHECK((k.t = hp_transport_new(&k.config, &k.err)) != NULL);
    CHECK(hp_buf_reserve(&k.body, ROOM) == 0);
    s->prepare();
    PLAY(&k, OK_HELLO);
    for (int i = 0; i < k.queue.n; i++)
        CHECK(hp_buf_reserve(&k.scripts[i].written, ROOM) == 0);
    hp_mem_fail_after(n);
    hp_errc code = request(s);
    long left = 0;
    void *p;
    while (n == MANY && (p = hp_malloc(1)) != NULL) {
        hp_free(p);
        left++;
    }
    hp_mem_fail_after(-1);
    if (code == HP_OK && s->body)
        CHECK_SPAN(kit_text(&k), s->body);
    else if (code != HP_OK)
        CHECK_STR(hp_errc_name(code), hp_errc_name(HP_E_NOMEM));
    CHECK(n != MANY || code == HP_OK);
    next_request();
    kit_free(&k);
    return n - left;
}

static void
hold(void (*prepare)(void), const char *body)
{
    const scenario s = {prepare, body};
    long made = try(&s, MANY);
    CHECK(made > 0 && made < MANY);
    for (long n = 0; n < made; n++)
        try(&s, n);
}

/* ---- */

static void
test_plain(void)
{
    hold(plain, "hello");
}

static void
test_large(void)
{
    hold(large, "hello");
}

static void
test_chunked(void)
{
    hold(chunked, "hello");
}

static void
test_coded(void)
{
    hold(coded, "hello");
}

static void
test_replayed(void)
{
    hold(replayed, "hello");
}

static void
test_uploaded(void)
{
    hold(uploaded, "hello");
}

static void
test_upgraded(void)
{
    hold(upgraded, "hello");
}

static void
test_closed_early(void)
{
    hold(closed_early, NULL);
}

/* With the n-th allocation failing: what is ready is kept, nothing is left
 * over.
 */
static hp_errc
try_to_warm(long n)
{
    static const hp_driver driver;
    int64_t ready = 0;
    hp_err err = {0};
    kit_init(&k);
    for (int i = 0; i < 3; i++)
        PLAY(&k, OK_HELLO);
    CHECK((k.t = hp_transport_new(&k.config, &k.err)) != NULL);
    hp_mem_fail_after(n);
    hp_exchange *ex = kit_try(&k);
    if (ex)
        hp_drive_warm(ex, &driver, 3, &ready, &err);
    hp_mem_fail_after(-1);
    CHECK_INT(err.code == HP_OK && ex, ready == 3);
    hp_exchange_free(ex);
    hp_stats *s = hp_transport_stats(k.t);
    CHECK_INT(s->total.now.dialing, 0);
    CHECK(s->total.now.idle >= ready && s->total.now.idle <= 3);
    hp_stats_free(s);
    kit_free(&k);
    return ex ? err.code : k.err.code;
}

static void
test_warm(void)
{
    CHECK(hp_waker_for_thread());
    hp_errc code = HP_E_NOMEM;
    for (long n = 0; code != HP_OK; n++) {
        CHECK(n < 100);
        code = try_to_warm(n);
        if (code != HP_OK)
            CHECK_STR(hp_errc_name(code), hp_errc_name(HP_E_NOMEM));
    }
}

static void
test_proxied(void)
{
    proxy = kit_proxy("http://Basic eDp5@p:3128");
    hold(forwarded, "hello");
    hp_proxy_unref(proxy);
    proxy = kit_proxy("socks5h://me:pw@p:1080");
    hold(tunnelled, "hello");
    hp_proxy_unref(proxy);
    CHECK_INT(hp_proxy_known(), 0);
}

static void
test_transport(void)
{
    hp_transport_config config;
    hp_transport_config_default(&config);
    hp_transport *t = NULL;
    for (long n = 0; t == NULL; n++) {
        hp_err err = {0};
        hp_mem_fail_after(n);
        t = hp_transport_new(&config, &err);
        hp_mem_fail_after(-1);
        CHECK_INT(err.code, t ? HP_OK : HP_E_NOMEM);
        CHECK(n < 100);
    }
    hp_mem_fail_after(0);
    CHECK(hp_transport_stats(t) == NULL);
    hp_mem_fail_after(0);
    CHECK(hp_transport_holders(t) == NULL);
    hp_mem_fail_after(0);
    CHECK(hp_cancel_new() == NULL);
    hp_mem_fail_after(-1);
    hp_transport_unref(t);
}

int
main(void)
{
    RUN(test_transport);
    RUN(test_plain);
    RUN(test_large);
    RUN(test_chunked);
    RUN(test_coded);
    RUN(test_replayed);
    RUN(test_uploaded);
    RUN(test_upgraded);
    RUN(test_closed_early);
    RUN(test_warm);
    RUN(test_proxied);
    DONE();
}
