/* Exchanges through a proxy: what stands in the request, and for whom; which of
 * them share a connection. */
#include "exchange_kit.h"
#include "proxy_kit.h"

#define OK_EMPTY SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
#define SOCKS_OK SCRIPT_BYTES("\5\0\5\0\0\1\0\0\0\0\0\0")

static kit k;

static void
begin(const char *proxy)
{
    kit_init(&k);
    k.r.proxy = proxy ? kit_proxy(proxy) : NULL;
}

static void
end(void)
{
    hp_proxy_unref(k.r.proxy);
    kit_free(&k);
    CHECK_INT(hp_proxy_known(), 0);
}

static hp_exchange *
get(const char *url)
{
    k.r.url = hp_span_cstr(url);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    return ex;
}

/* One GET of `url`, and all that was written on connection `i`. */
static void
wrote(const char *url, int i, const char *want)
{
    hp_exchange *ex = get(url);
    CHECK_SPAN(script_written(&k.scripts[i]), want);
    hp_exchange_free(ex);
}

/* ---- http through an http proxy ---- */

static void
test_forwarded(void)
{
    begin("http://p:3128");
    PLAY(&k, OK_EMPTY);
    wrote("http://user:pw@Foo.test:80/a%20b?q#f", 0,
          "GET http://foo.test/a%20b?q HTTP/1.1\r\nHost: foo.test\r\n\r\n");
    end();
    begin("http://Basic eDp5@p:3128");
    PLAY(&k, OK_EMPTY);
    wrote("http://[::1]:8080", 0,
          "GET http://[::1]:8080/ HTTP/1.1\r\nHost: [::1]:8080\r\n"
          "Proxy-Authorization: Basic eDp5\r\n\r\n");
    end();
}

/* On every request, and one connection for all hosts. */
static void
test_forwarded_again(void)
{
    begin("http://Basic eDp5@p:3128");
    PLAY(&k, OK_EMPTY, {.op = SCRIPT_AGAIN}, OK_EMPTY);
    hp_exchange_free(get("http://a.test/x"));
    hp_exchange *ex = get("http://b.test/y");
    CHECK(kit_facts(ex).reused);
    CHECK_STR(kit_facts(ex).proxy, "http://p:3128");
    CHECK_SPAN(script_written(&k.scripts[0]),
               "GET http://a.test/x HTTP/1.1\r\nHost: a.test\r\n"
               "Proxy-Authorization: Basic eDp5\r\n\r\n"
               "GET http://b.test/y HTTP/1.1\r\nHost: b.test\r\n"
               "Proxy-Authorization: Basic eDp5\r\n\r\n");
    CHECK_SPAN(ex->want.method, "GET"); /* as others see it who wait */
    CHECK_SPAN(ex->want.path, "/y");
    hp_exchange_free(ex);
    end();
}

static void
test_fields_for_the_proxy(void)
{
    static const hp_field fields[] = {{HP_SPAN_LIT("X-A"), HP_SPAN_LIT("1")},
                                      {HP_SPAN_LIT("X-B"), HP_SPAN_LIT("2")}};
    begin(NULL);
    hp_proxy_config c = kit_proxy_config("http://Basic eDp5@p:3128");
    c.fields = fields;
    c.n_fields = 2;
    c.user_agent = HP_SPAN_LIT("of CONNECT alone");
    k.r.proxy = kit_proxy_of(&c);
    kit_field(&k, "x-a", "own");
    kit_field(&k, "proxy-authorization", "own too");
    PLAY(&k, OK_EMPTY);
    wrote("http://a.test/", 0,
          "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nx-a: own\r\n"
          "proxy-authorization: own too\r\nX-B: 2\r\n\r\n");
    end();
}

static void
test_connect_by_hand(void)
{
    begin("http://Basic eDp5@p:3128");
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\n\r\n"));
    k.r.method = HP_SPAN_LIT("CONNECT");
    k.r.url = HP_SPAN_LIT("http://a.test:443");
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK(hp_exchange_is_upgraded(ex));
    CHECK_SPAN(script_written(&k.scripts[0]),
               "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n"
               "Proxy-Authorization: Basic eDp5\r\n\r\n");
    hp_exchange_free(ex);
    end();
}

/* ---- a target of one's own ---- */

/* The target and the line that is written with it, and what others are shown of
 * it while they wait. */
static void
targets(const char *proxy, const char *method, const char *const rows[][3])
{
    for (; (*rows)[0]; rows++) {
        begin(proxy);
        PLAY(&k, OK_EMPTY);
        k.r.method = hp_span_cstr(method);
        k.r.url = HP_SPAN_LIT("http://a.test/x?y");
        k.r.target = hp_span_cstr((*rows)[0]);
        k.r.fields_id = 7; /* and yet it is not remembered by the URL */
        hp_exchange *ex = kit_new(&k);
        CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
        hp_span wrote = script_written(&k.scripts[0]);
        CHECK_SPAN(hp_span_of(wrote.ptr, strlen((*rows)[1])), (*rows)[1]);
        CHECK_SPAN(ex->want.path, (*rows)[2]);
        hp_exchange_free(ex);
        end();
    }
}

static void
test_targets(void)
{
    static const char *const direct[][3] = {
        {"", "GET /x?y HTTP/1.1\r\nHost: a.test\r\n", "/x"},
        {"/a/../[|]?z", "GET /a/../[|]?z HTTP/1.1\r\nHost: a.test\r\n",
         "/a/../[|]"},
        {"*", "GET * HTTP/1.1\r\n", ""},
        {"http://u:p@b.test/", "GET http://u:p@b.test/ HTTP/1.1\r\n", ""},
        {NULL}};
    static const char *const forwarded[][3] = {
        {"/[|]?z", "GET http://a.test/[|]?z HTTP/1.1\r\n", "/[|]"},
        {"*", "GET http://a.test HTTP/1.1\r\n", ""},
        {"http://u:p@b.test/", "GET http://u:p@b.test/ HTTP/1.1\r\n", ""},
        {NULL}};
    static const char *const connect[][3] = {
        {"", "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\n", "a.test:80"},
        {"b.test:443", "CONNECT b.test:443 HTTP/1.1\r\n", ""},
        {NULL}};
    targets(NULL, "GET", direct);
    targets("http://p:3128", "GET", forwarded);
    targets(NULL, "CONNECT", connect);
    targets("http://p:3128", "CONNECT", connect);
}

static void
test_a_target_with_a_space(void)
{
    begin(NULL);
    k.r.url = HP_SPAN_LIT("http://a.test/");
    k.r.target = HP_SPAN_LIT("/a b");
    CHECK(kit_try(&k) == NULL);
    CHECK_STR(hp_errc_name(k.err.code), "invalid_url");
    end();
}

/* What a URL comes to is not what it came to with a target. */
static void
test_targets_are_not_remembered(void)
{
    begin(NULL);
    PLAY(&k, OK_EMPTY, {.op = SCRIPT_AGAIN}, OK_EMPTY);
    k.r.fields_id = 7;
    k.r.target = HP_SPAN_LIT("/b");
    hp_exchange_free(get("http://a.test/x"));
    k.r.target = HP_SPAN_LIT("");
    wrote("http://a.test/x", 0,
          "GET /b HTTP/1.1\r\nHost: a.test\r\n\r\n"
          "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n");
    end();
}

/* It is the proxy that answers in place of the server, or does not. */
static void
fails_with(const char *proxy, const char *text)
{
    begin(proxy);
    PLAY(&k, SCRIPT_BYTES("\5\377"), {.op = SCRIPT_EOF});
    k.r.url = HP_SPAN_LIT("http://a.test/");
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_REMOTE_PROTOCOL);
    CHECK_STR(ex->err.text, text);
    hp_exchange_free(ex);
    end();
}

static void
test_a_forwarder_that_fails_is_named(void)
{
    fails_with("http://Basic eDp5@p:3128",
               "malformed response head: it does not start with HTTP/ (byte 0) "
               "(through the proxy http://p:3128)");
    fails_with(NULL, "malformed response head: it does not start with HTTP/ "
                     "(byte 0)");
}

/* ---- what the target does not see ---- */

static void
test_socks_is_not_seen(void)
{
    begin("socks5h://me:pw@p:1080");
    kit_field(&k, "Proxy-Authorization", "Basic eDp5");
    kit_field(&k, "X", "y");
    PLAY(&k, SOCKS_OK, OK_EMPTY);
    hp_exchange *ex = get("http://a.test/x");
    hp_span all = script_written(&k.scripts[0]);
    const char *want = "GET /x HTTP/1.1\r\nHost: a.test\r\nX: y\r\n\r\n";
    size_t n = strlen(want);
    CHECK(all.len > n);
    CHECK_SPAN(hp_span_of(all.ptr + all.len - n, n), want);
    CHECK_STR(kit_facts(ex).proxy, "socks5h://p:1080");
    CHECK(strstr(kit_facts(ex).key, "|http|a.test:80"));
    hp_exchange_free(ex);
    end();
}

/* Direct, by a client that has proxies for others. */
static void
test_not_for_a_direct_target(void)
{
    static const char *const want[] = {
        "GET / HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"};
    for (int i = 0; i < 2; i++) {
        begin(NULL);
        kit_field(&k, "Proxy-Authorization", "x");
        k.r.has_proxies = i;
        k.r.fields_id = 7;
        PLAY(&k, OK_EMPTY);
        wrote("http://a.test/", 0, want[i]);
        end();
    }
}

/* What the request says to the proxy is said in CONNECT, so it makes another
 * connection, and nothing of it goes to the target. */
static void
test_own_authorization_for_a_tunnel(void)
{
    hp_err err = {0};
    hp_tls_config tls = {.verify = false};
    begin("http://Basic eDp5@p:3128");
    k.r.tls = hp_tls_get(&tls, &err);
    k.r.url = HP_SPAN_LIT("https://a.test/x");
    hp_exchange *plain = kit_new(&k);
    CHECK(plain->key.proxy == k.r.proxy);
    kit_field(&k, "Proxy-Authorization", "Bearer one");
    hp_exchange *one = kit_new(&k), *same = kit_new(&k);
    k.fields[0].value = HP_SPAN_LIT("Bearer two");
    hp_exchange *two = kit_new(&k);
    CHECK(one->key.proxy == same->key.proxy);
    CHECK(one->key.proxy != plain->key.proxy);
    CHECK(one->key.proxy != two->key.proxy);
    CHECK(!hp_span_eq(one->key.text, two->key.text));
    CHECK_SPAN(hp_proxy_settings(two->key.proxy)->authorization, "Bearer two");
    CHECK_SPAN(two->prepared->head, "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n");
    CHECK_STR(kit_facts(two).proxy, "http://p:3128");
    CHECK(!strstr(kit_facts(two).key, "Bearer"));
    hp_exchange_free(plain);
    hp_exchange_free(one);
    hp_exchange_free(same);
    hp_exchange_free(two);
    hp_tls_unref(k.r.tls);
    end();
}

/* A proxy that asks is told something else each time in the name of one user,
 * who is in the key. A refusal that is to be answered is told at once. */
static void
test_answers_to_a_challenge(void)
{
    hp_err err = {0};
    hp_tls_config tls = {.verify = false};
    hp_proxy_config c = kit_proxy_config("http://p:3128");
    c.user = c.password = HP_SPAN_LIT("me");
    kit_init(&k);
    k.r.proxy = kit_proxy_of(&c);
    k.r.tls = hp_tls_get(&tls, &err);
    k.r.url = HP_SPAN_LIT("https://a.test/x");
    hp_exchange *plain = kit_new(&k);
    kit_field(&k, "Proxy-Authorization", "Digest one");
    hp_exchange *one = kit_new(&k);
    CHECK(plain->key.proxy == k.r.proxy && one->key.proxy == k.r.proxy);
    CHECK(hp_span_eq(plain->key.text, one->key.text));
    CHECK_SPAN(one->prepared->head, "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n");
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 407 Auth\r\nA: 1\r\n\r\n"));
    CHECK_INT(kit_head(&k, one), HP_GO_ERROR);
    CHECK_ERR(one, HP_E_PROXY);
    CHECK_INT(one->err.status, 407);
    CHECK_SPAN(kit_facts(one).proxy_lines, "A: 1\r\n");
    CHECK_SPAN(script_written(&k.scripts[0]),
               "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n"
               "Proxy-Authorization: Digest one\r\n\r\n");
    hp_exchange_free(plain);
    hp_exchange_free(one);
    hp_tls_unref(k.r.tls);
    end();
}

/* ---- what is remembered, and what is refused ---- */

static void
test_remembered_by_proxy(void)
{
    begin(NULL);
    hp_proxy *a = kit_proxy("http://a:1"), *b = kit_proxy("http://b:1");
    hp_proxy *turns[] = {NULL, a, b, a, NULL};
    hp_exchange *ex[5];
    k.r.fields_id = 3;
    for (int i = 0; i < 5; i++) {
        k.r.proxy = turns[i];
        ex[i] = kit_new(&k);
        CHECK(ex[i]->key.proxy == turns[i]);
    }
    k.r.proxy = turns[4];
    hp_exchange *again = kit_new(&k);
    CHECK(again->prepared ==
          ex[4]->prepared); /* there is something to forget */
    hp_exchange_free(again);
    for (int i = 0; i < 5; i++)
        hp_exchange_free(ex[i]);
    hp_proxy_unref(a);
    hp_proxy_unref(b);
    k.r.proxy = NULL;
    end();
}

static void
test_no_unix_socket_beside_it(void)
{
    begin("http://p:3128");
    k.config.dial.uds = "/tmp/x";
    CHECK(kit_try(&k) == NULL);
    CHECK_STR(hp_errc_name(k.err.code), "invalid_argument");
    CHECK_STR(k.err.text, "a proxy cannot be used by a client whose "
                          "connections all go to a Unix socket (uds)");
    end();
}

/* The budget of heads holds for the proxy's, too. */
static void
test_budget(void)
{
    static char big[1100] = "HTTP/1.1 200 OK\r\nX: ";
    static script_event events[1];
    hp_err err = {0};
    hp_tls_config tls = {.verify = false};
    begin("http://p:3128");
    k.config.max_header_bytes = 1024;
    k.r.tls = hp_tls_get(&tls, &err);
    memset(big + 20, 'x', sizeof big - 21);
    events[0] = (script_event){SCRIPT_DATA, big, sizeof big - 1, 0};
    kit_play(&k, events, 1);
    k.r.url = HP_SPAN_LIT("https://a.test/");
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_PROXY);
    CHECK(strstr(ex->err.text, "more than 1024 bytes of header"));
    CHECK_STR(hp_phase_name(ex->err.phase), "proxy");
    hp_exchange_free(ex);
    hp_tls_unref(k.r.tls);
    end();
}

int
main(void)
{
    RUN(test_forwarded);
    RUN(test_forwarded_again);
    RUN(test_fields_for_the_proxy);
    RUN(test_connect_by_hand);
    RUN(test_targets);
    RUN(test_a_target_with_a_space);
    RUN(test_targets_are_not_remembered);
    RUN(test_socks_is_not_seen);
    RUN(test_not_for_a_direct_target);
    RUN(test_a_forwarder_that_fails_is_named);
    RUN(test_own_authorization_for_a_tunnel);
    RUN(test_answers_to_a_challenge);
    RUN(test_remembered_by_proxy);
    RUN(test_no_unix_socket_beside_it);
    RUN(test_budget);
    DONE();
}
