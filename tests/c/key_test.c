/* key: keys, the checks of limits, and the text for who waited too long. */
#include "pool_kit.h"
#include "proxy_kit.h"
#include "wire/url.h"

/* ---- keys ---- */

typedef struct made {
    hp_key key;
    hp_buf store;
    char url_store[HP_URL_STORE_SIZE(256)];
} made;

static void
make(made *m, const char *url, hp_tls *tls, const char *server_name)
{
    hp_url u;
    hp_err err = {0};
    CHECK_INT(hp_url_parse(hp_span_cstr(url), &u, m->url_store, &err), 0);
    hp_buf_init(&m->store, NULL, 0, 1 << 16);
    CHECK_INT(hp_key_make(&m->key, &u, NULL, tls, hp_span_cstr(server_name),
                          &m->store),
              0);
}

static void
check_key(const char *url, const char *text, const char *address)
{
    made m;
    make(&m, url, NULL, "");
    CHECK_SPAN(m.key.text, text);
    CHECK_SPAN(hp_key_address(m.key.text), address);
    CHECK(m.key.hash == hp_hash(m.key.text));
    CHECK(m.key.tls == NULL);
    hp_buf_free(&m.store);
}

static void
test_text(void)
{
    check_key("http://foo.com/x?y", "|http|foo.com:80", "foo.com:80");
    check_key("http://FOO.com:8080/", "|http|foo.com:8080", "foo.com:8080");
    check_key("http://[::1]/", "|http|[::1]:80", "[::1]:80");
    check_key("http://me:secret@foo.com/", "|http|foo.com:80", "foo.com:80");
    check_key("http://foo.com./", "|http|foo.com.:80", "foo.com.:80");
}

static void
test_tls_in_the_key(void)
{
    hp_err err = {0};
    made one, other, named, same_name;
    char want[64];
    hp_tls_config careful = {.verify = true}, careless = {.verify = false};
    hp_tls *tls = hp_tls_get(&careful, &err);
    hp_tls *fresh = hp_tls_get(&careless, &err);
    CHECK(tls && fresh && hp_tls_id(fresh) != hp_tls_id(tls));
    make(&one, "https://foo.com/", tls, "");
    make(&other, "https://foo.com/", fresh, "");
    make(&named, "https://foo.com/", tls, "bar.com");
    make(&same_name, "https://foo.com/", tls, "foo.com");
    snprintf(want, sizeof want, "|https|foo.com:443|tls=%llu",
             (unsigned long long)hp_tls_id(tls));
    CHECK_SPAN(one.key.text, want);
    CHECK(one.key.tls == tls && other.key.tls == fresh);
    CHECK(!hp_span_eq(one.key.text, other.key.text));
    strcat(want, "|name=bar.com");
    CHECK_SPAN(named.key.text, want);
    CHECK_SPAN(hp_key_address(named.key.text), "foo.com:443");
    CHECK(hp_span_eq(same_name.key.text, one.key.text));
    made *all[] = {&one, &other, &named, &same_name};
    for (int i = 0; i < 4; i++)
        hp_buf_free(&all[i]->store);
    hp_tls_unref(tls);
    hp_tls_unref(fresh);
}

/* Of a proxy shows scheme, host and port, and its id stands for the rest. */
static void
check_proxied(const char *proxy, const char *url, const char *form,
              const char *address)
{
    made m = {0};
    hp_url u;
    hp_err err = {0};
    char want[200];
    hp_proxy *p = kit_proxy(proxy);
    CHECK_INT(hp_url_parse(hp_span_cstr(url), &u, m.url_store, &err), 0);
    hp_buf_init(&m.store, NULL, 0, 1 << 16);
    CHECK_INT(hp_key_make(&m.key, &u, p, NULL, (hp_span){0}, &m.store), 0);
    snprintf(want, sizeof want, form, (unsigned long long)hp_proxy_id(p));
    CHECK_SPAN(m.key.text, want);
    CHECK_SPAN(hp_key_address(m.key.text), address);
    CHECK(m.key.proxy == p);
    CHECK_INT(m.key.host.len > 0, m.key.port > 0);
    hp_buf_free(&m.store);
    hp_proxy_unref(p);
}

/* Go contract 2: whoever forwards http serves every host. */
static void
test_proxy_in_the_key(void)
{
    check_proxied("http://Basic eDp5@p:3128", "http://foo.com/x",
                  "http://p:3128#%llu|http|", "p:3128");
    check_proxied("http://Basic eDp5@p:3128", "https://foo.com/x",
                  "http://p:3128#%llu|https|foo.com:443", "foo.com:443");
    check_proxied("socks5://a:b@p:1080", "http://foo.com/",
                  "socks5://p:1080#%llu|http|foo.com:80", "foo.com:80");
    check_proxied("http://[::1]:3128", "http://foo.com/",
                  "http://[::1]:3128#%llu|http|", "[::1]:3128");
}

static void
test_no_memory(void)
{
    hp_url u;
    hp_key key;
    hp_buf store;
    char url_store[HP_URL_STORE_SIZE(64)];
    hp_span text = hp_span_cstr("http://foo.com/");
    CHECK_INT(hp_url_parse(text, &u, url_store, NULL), 0);
    hp_buf_init(&store, NULL, 0, 1 << 16);
    hp_mem_fail_after(0);
    CHECK_INT(hp_key_make(&key, &u, NULL, NULL, (hp_span){0}, &store), -1);
    hp_mem_fail_after(-1);
    hp_buf_free(&store);
}

/* ---- limits ---- */

static void
refused(const hp_limits *l, const char *text)
{
    hp_err err = {0};
    CHECK_INT(hp_limits_check(l, &err), -1);
    CHECK_INT(err.code, HP_E_INVALID_ARGUMENT);
    CHECK_STR(err.text, text);
}

static void
test_limits(void)
{
    hp_limits l = kit_limits();
    hp_err err = {0};
    CHECK_INT(hp_limits_check(&l, &err), 0);
    CHECK_INT(l.max_idle_conns, 100);
    CHECK_INT(l.idle_conn_timeout, 90 * KIT_S);
    l.max_idle_conns = l.max_idle_conns_per_host = l.max_waiting = 0;
    l.idle_conn_timeout = l.drain_bytes = l.drain_timeout = 0;
    CHECK_INT(hp_limits_check(&l, &err), 0); /* decision 10 */
    l.max_conns = 0;
    refused(&l, "max_conns must be at least 1, or None for no limit (0 would "
                "let nothing through)");
    l = kit_limits();
    l.max_conn_age = 0;
    refused(&l, "max_conn_age must be at least 1, or None for no limit (0 "
                "would let nothing through)");
    l = kit_limits();
    l.max_waiting = -2;
    refused(&l, "max_waiting must not be negative; None means no limit");
}

/* ---- the text of a pool timeout ---- */

/* `text` has one %s for how long the oldest is held: `seconds`, or a bit more
 * on a slow machine. */
static void
check_description(hp_pool *p, kit_want *w, hp_ns waited, double seconds,
                  const char *text)
{
    char number[32], want[HP_ERR_TEXT_MAX];
    hp_err err = {0};
    CHECK(hp_pool_wait_timed_out(p, &w->want, waited, &err));
    CHECK_INT(err.code, HP_E_POOL_TIMEOUT);
    const char *at = strstr(err.text, "held for ");
    CHECK(at && sscanf(at, "held for %31s", number) == 1);
    CHECK(strtod(number, NULL) >= seconds - 0.01);
    CHECK(strtod(number, NULL) < seconds + 10);
    snprintf(want, sizeof want, text, number);
    CHECK_STR(err.text, want);
}

static void
test_describe_host_limit(void)
{
    enum {
        WAITERS = 14
    };
    kit_host api;
    hp_limits l = kit_limits();
    l.max_conns_per_host = 2;
    hp_pool *p = kit_pool(&l);
    kit_want h[2], w[WAITERS];
    kit_host_init(&api, "api.example.com");
    for (int i = 0; i < 2; i++) {
        kit_want_init(&h[i], &api);
        kit_get(p, &h[i]);
        h[i].want.holding = HP_HOLDING_BODY_UNREAD;
        hp_clock_advance(26200 * KIT_MS * (1 - i));
    }
    for (int i = 0; i < WAITERS; i++) {
        kit_want_init(&w[i], &api);
        CHECK_INT(kit_acquire(p, &w[i]), HP_WANT_QUEUED);
    }
    hp_clock_advance(5 * KIT_S);
    check_description(
        p, &w[0], 5 * KIT_S, 31.2,
        "waited 5.0 s for a connection to api.example.com:80: 2 of 2 in use "
        "(max_conns_per_host), 14 waiting; the oldest has been held for %s "
        "s by GET /x and its body is unread");
    h[0].want.holding = HP_HOLDING_AWAITING_HEAD;
    check_description(
        p, &w[0], 5 * KIT_S, 31.2,
        "waited 5.0 s for a connection to api.example.com:80: 2 of 2 in use "
        "(max_conns_per_host), 14 waiting; the oldest has been held for %s "
        "s by GET /x awaiting its answer");
    hp_pool_close(p);
    hp_err err = {0};
    CHECK(!hp_pool_wait_timed_out(p, &w[0].want, 0, &err)); /* look again */
    CHECK_INT(err.code, HP_OK);
    for (int i = 0; i < 2; i++)
        kit_put(p, &h[i]);
    kit_done(p);
}

/* Decision 13: dialing and draining are named apart. */
static void
test_describe_total_limit(void)
{
    kit_host a, b;
    hp_limits l = kit_limits();
    l.max_conns = 3;
    hp_pool *p = kit_pool(&l);
    kit_want x, y, z, w;
    hp_body body;
    hp_framing f = {.kind = HP_BODY_LENGTH, .length = 5};
    kit_host_init(&a, "a");
    kit_host_init(&b, "b");
    kit_want_init(&x, &a);
    kit_want_init(&y, &a);
    kit_want_init(&z, &a);
    kit_want_init(&w, &b);
    kit_get(p, &x);
    kit_get(p, &y);
    CHECK_INT(kit_acquire(p, &z), HP_WANT_DIALING);
    hp_body_init(&body, &f);
    CHECK_INT(kit_acquire(p, &w), HP_WANT_QUEUED);
    CHECK_INT(hp_pool_put_undrained(p, &y.want, &body), HP_KEEP);
    check_description(p, &w, 1500 * KIT_MS, 0,
                      "waited 1.5 s for a connection to b:80: 1 of 3 in use, 1 "
                      "dialing, 1 draining (max_conns), 1 waiting; the oldest "
                      "has been held for %s s by GET /x still being sent");
    hp_pool_put(p, &x.want, HP_CLOSE_IO_ERROR);
    CHECK_INT(hp_pool_look(p, &w.want), HP_WANT_DIALING);
    hp_pool_cancel(p, &w.want, NULL);
    hp_pool_cancel(p, &z.want, NULL);
    kit_done(p);
}

int
main(void)
{
    hp_keeper_by_hand();
    RUN(test_text);
    RUN(test_tls_in_the_key);
    RUN(test_proxy_in_the_key);
    RUN(test_no_memory);
    RUN(test_limits);
    RUN(test_describe_host_limit);
    RUN(test_describe_total_limit);
    DONE();
}
