/* proxy: settings by value, what they show, and what they refuse. */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "forks.h"
#include "proxy_kit.h"

static void
test_equal_settings_are_one(void)
{
    static const hp_field fields[] = {
        {HP_SPAN_LIT("X-A"), HP_SPAN_LIT("1")},
        {HP_SPAN_LIT("X-B"), HP_SPAN_LIT("")},
    };
    char url[] = "http://Basic eDp5@proxy:3128";
    hp_proxy_config c = kit_proxy_config(url);
    c.fields = fields;
    c.n_fields = 2;
    c.user_agent = HP_SPAN_LIT("agent");
    hp_proxy *p = kit_proxy_of(&c), *q = kit_proxy_of(&c);
    CHECK(p == q && hp_proxy_id(p) > 0);
    CHECK_INT(hp_proxy_known(), 1);
    memset(url, '?', sizeof url); /* it has copies */
    CHECK_SPAN(hp_proxy_settings(p)->host, "proxy");
    CHECK_SPAN(hp_proxy_settings(p)->authorization, "Basic eDp5");
    CHECK_SPAN(hp_proxy_settings(p)->fields[1].name, "X-B");
    CHECK_STR(hp_proxy_settings(p)->host.ptr, "proxy"); /* ends in NUL */
    hp_proxy_unref(q);
    CHECK_INT(hp_proxy_known(), 1);
    uint64_t id = hp_proxy_id(p);
    hp_proxy_unref(p);
    CHECK_INT(hp_proxy_known(), 0);
    p = kit_proxy("http://proxy:3128");
    CHECK(hp_proxy_id(p) > id); /* never reused */
    hp_proxy_unref(p);
    hp_proxy_unref(NULL);
}

/* Each part by itself makes another setting: what it is told would otherwise be
 * done in somebody else's name. */
static void
test_every_part_counts(void)
{
    static const hp_field field[] = {{HP_SPAN_LIT("A"), HP_SPAN_LIT("b")}};
    static const hp_field longer[] = {{HP_SPAN_LIT("Ab"), HP_SPAN_LIT("")}};
    hp_err err = {0};
    hp_tls_config tls = {.verify = false};
    hp_proxy_config all[] = {
        kit_proxy_config("http://p:1"),
        kit_proxy_config("http://p:2"),
        kit_proxy_config("http://q:1"),
        kit_proxy_config("http://Basic YTpi@p:1"),
        kit_proxy_config("http://Basic YTpj@p:1"),
        kit_proxy_config("socks5://p:1"),
        kit_proxy_config("socks5h://p:1"),
        kit_proxy_config("socks5h://a:bc@p:1"),
        kit_proxy_config("socks5h://ab:c@p:1"),
        kit_proxy_config("http://p:1"),
        kit_proxy_config("http://p:1"),
        kit_proxy_config("http://p:1"),
        kit_proxy_config("https://p:1"),
        kit_proxy_config("https://p:1"),
        kit_proxy_config("https://p:1"),
        kit_proxy_config("http://p:1"),
    };
    enum {
        N = sizeof all / sizeof *all
    };
    hp_proxy *made[N];
    all[9].fields = field;
    all[10].fields = longer;
    all[9].n_fields = all[10].n_fields = 1;
    all[11].user_agent = HP_SPAN_LIT("agent");
    all[12].tls = all[13].tls = hp_tls_get(&tls, &err);
    tls.verify = true;
    all[14].tls = hp_tls_get(&tls, &err);
    all[13].server_name = HP_SPAN_LIT("other");
    all[15].authorization = HP_SPAN_LIT(""); /* given, and empty */
    for (int i = 0; i < N; i++) {
        made[i] = kit_proxy_of(&all[i]);
        for (int k = 0; k < i; k++)
            CHECK(made[k] != made[i]);
    }
    CHECK_INT(hp_proxy_known(), N);
    for (int i = 0; i < N; i++)
        hp_proxy_unref(made[i]);
    hp_tls_unref(all[12].tls);
    hp_tls_unref(all[14].tls);
    CHECK_INT(hp_proxy_known(), 0);
}

static void
test_names(void)
{
    static const char *const rows[][2] = {
        {"http://Basic c2VjcmV0@proxy:3128", "http://proxy:3128"},
        {"socks5://me:secret@10.1.2.3:1080", "socks5://10.1.2.3:1080"},
        {"socks5h://[2001:db8::1]:9050", "socks5h://[2001:db8::1]:9050"},
    };
    for (int i = 0; i < 3; i++) {
        hp_proxy *p = kit_proxy(rows[i][0]);
        CHECK_STR(hp_proxy_name(p), rows[i][1]);
        hp_proxy_unref(p);
    }
}

static void
refused(hp_proxy_config c, hp_errc code, const char *text)
{
    hp_err err = {0};
    CHECK(hp_proxy_get(&c, &err) == NULL);
    CHECK_STR(hp_errc_name(err.code), hp_errc_name(code));
    CHECK_STR(err.text, text);
    CHECK_INT(hp_proxy_known(), 0);
}

static void
refused_field(hp_span name, hp_span value, const char *text)
{
    const hp_field fields[] = {{HP_SPAN_LIT("Fine"), HP_SPAN_LIT("x")},
                               {name, value}};
    hp_proxy_config c = kit_proxy_config("http://p:1");
    c.fields = fields;
    c.n_fields = 2;
    refused(c, HP_E_INVALID_HEADER, text);
}

static void
test_refusals(void)
{
    static char big[257];
    memset(big, 'x', 256);
    const char *login = "SOCKS5 takes a user and a password of 1 to 255 bytes "
                        "each";
    hp_proxy_config c = kit_proxy_config("http://:1");
    refused(c, HP_E_INVALID_ARGUMENT, "a proxy needs a host and a port");
    c = kit_proxy_config("http://p:0");
    refused(c, HP_E_INVALID_ARGUMENT, "a proxy needs a host and a port");
    c = kit_proxy_config("https://p:1");
    refused(c, HP_E_INVALID_ARGUMENT, "an https proxy needs a TLS setting");
    refused(kit_proxy_config("socks5://:y@p:1"), HP_E_INVALID_ARGUMENT, login);
    refused(kit_proxy_config("socks5://x:@p:1"), HP_E_INVALID_ARGUMENT, login);
    c = kit_proxy_config("socks5://x:y@p:1");
    c.password = hp_span_of(big, 256);
    refused(c, HP_E_INVALID_ARGUMENT, login);
    c = kit_proxy_config("http://Basic x\ny@p:1");
    refused(c, HP_E_INVALID_HEADER,
            "header \"Proxy-Authorization\": control byte in the value");
    refused_field(HP_SPAN_LIT("host"), HP_SPAN_LIT("x"),
                  "header \"Host\": not to be set for a proxy");
    refused_field(HP_SPAN_LIT("content-length"), HP_SPAN_LIT("0"),
                  "header \"Content-Length\": not to be set for a proxy");
    refused_field(HP_SPAN_LIT("A b"), HP_SPAN_LIT("0"),
                  "header \"A\": the name goes on with a byte that none may "
                  "hold");
    refused_field(HP_SPAN_LIT("A"), HP_SPAN_LIT("x\r\nB: y"),
                  "header \"A\": control byte in the value");
}

static void
check_authorized(hp_proxy *p, const char *authorization, const char *want)
{
    hp_buf out;
    hp_err err = {0};
    hp_buf_init(&out, NULL, 0, 10000);
    CHECK_INT(hp_proxy_write_connect(p, HP_SPAN_LIT("h.test:443"),
                                     hp_span_or_none(authorization), &out,
                                     &err),
              0);
    CHECK_SPAN(hp_span_of(out.ptr, out.len), want);
    hp_buf_free(&out);
}

static void
check_connect(hp_proxy *p, const char *want)
{
    check_authorized(p, NULL, want);
}

/* As whom a proxy is used is part of the setting, and is not said. */
static void
test_challenging(void)
{
    hp_proxy *plain = kit_proxy("http://p:1");
    hp_proxy_config c = kit_proxy_config("http://p:1");
    c.user_agent = HP_SPAN_LIT("ours");
    c.user = c.password = HP_SPAN_LIT("me");
    hp_proxy *mine = kit_proxy_of(&c), *again = kit_proxy_of(&c);
    c.password = HP_SPAN_LIT("you");
    hp_proxy *other = kit_proxy_of(&c);
    CHECK(hp_proxy_is_challenging(mine) && !hp_proxy_is_challenging(plain));
    CHECK(mine == again && mine != other && mine != plain);
    check_connect(mine, "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n"
                        "User-Agent: ours\r\n\r\n");
    check_authorized(mine, "Digest x",
                     "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n"
                     "Proxy-Authorization: Digest x\r\n"
                     "User-Agent: ours\r\n\r\n");
    hp_proxy *socks = kit_proxy("socks5://x:y@p:1");
    CHECK(!hp_proxy_is_challenging(socks));
    hp_proxy *all[] = {plain, mine, again, other, socks};
    for (int i = 0; i < 5; i++)
        hp_proxy_unref(all[i]);
    CHECK_INT(hp_proxy_known(), 0);
}

/* What is said in place of the setting's own stands there alone. */
static void
test_authorization_in_place(void)
{
    hp_proxy *p = kit_proxy("http://Basic YTpi@p:1");
    check_authorized(p, "Basic x",
                     "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n"
                     "Proxy-Authorization: Basic x\r\n\r\n");
    hp_proxy_unref(p);
}

static void
test_fields(void)
{
    static const hp_field fields[] = {
        {HP_SPAN_LIT("X"), HP_SPAN_LIT("y")},
        {HP_SPAN_LIT("user-agent"), HP_SPAN_LIT("mine")}};
    size_t n;
    hp_err err = {0};
    hp_proxy_config c = kit_proxy_config("http://Basic YTpi@p:1");
    c.user_agent = HP_SPAN_LIT("ours");
    c.fields = fields;
    c.n_fields = 1;
    hp_proxy *p = kit_proxy_of(&c);
    check_connect(p, "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n"
                     "User-Agent: ours\r\nProxy-Authorization: Basic YTpi\r\n"
                     "X: y\r\n\r\n");
    const hp_field *forwarded = hp_proxy_fields(p, &n);
    CHECK_INT(n, 2); /* the agent is the request's own there */
    CHECK_SPAN(forwarded[0].name, "Proxy-Authorization");
    hp_proxy *q = hp_proxy_with_authorization(p, HP_SPAN_LIT("Bearer t"), &err);
    check_connect(q, "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n"
                     "User-Agent: ours\r\nProxy-Authorization: Bearer t\r\n"
                     "X: y\r\n\r\n");
    hp_proxy_unref(p);
    hp_proxy_unref(q);
    c = kit_proxy_config("http://p:1");
    c.user_agent = HP_SPAN_LIT("ours");
    c.fields = fields;
    c.n_fields = 2;
    p = kit_proxy_of(&c);
    check_connect(p, "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n"
                     "X: y\r\nuser-agent: mine\r\n\r\n");
    hp_proxy_unref(p);
}

static void
test_no_memory(void)
{
    hp_proxy_config c = kit_proxy_config("http://Basic YTpi@p:1");
    hp_proxy *p = NULL;
    for (long n = 0; p == NULL; n++) {
        hp_err err = {0};
        hp_mem_fail_after(n);
        p = hp_proxy_get(&c, &err);
        hp_mem_fail_after(-1);
        CHECK_INT(err.code, p ? HP_OK : HP_E_NOMEM);
        CHECK(n < 20);
    }
    hp_proxy_unref(p);
}

/* ---- threads and forks ---- */

enum {
    THREADS = 4,
    TURNS = 2000
};

static void *
come_and_go(void *arg)
{
    hp_proxy_config c = kit_proxy_config("http://Basic YTpi@p:1");
    for (int i = 0; i < TURNS; i++) {
        c.port = (uint16_t)(1 + i % 3);
        hp_proxy *p = kit_proxy_of(&c);
        CHECK_INT(hp_proxy_settings(p)->port, c.port);
        hp_proxy_unref(hp_proxy_ref(p));
        hp_proxy_unref(p);
    }
    return NULL;
}

static void
test_threads(void)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&t[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    CHECK_INT(hp_proxy_known(), 0);
}

static void
test_fork(void)
{
    int status;
    pthread_t t;
    CHECK_INT(pthread_create(&t, NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            hp_proxy *p = kit_proxy("http://child:1"); /* no lock is held */
            hp_proxy_unref(p);
            _exit(0);
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK_INT(status, 0);
    }
    pthread_join(t, NULL);
}

int
main(void)
{
    RUN(test_equal_settings_are_one);
    RUN(test_every_part_counts);
    RUN(test_names);
    RUN(test_refusals);
    RUN(test_fields);
    RUN(test_challenging);
    RUN(test_authorization_in_place);
    RUN(test_no_memory);
    RUN(test_threads);
    RUN(test_fork);
    DONE();
}
