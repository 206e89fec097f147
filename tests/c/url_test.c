#include "wire/url.h"

#include "guard.h"
#include "test.h"

/* A parse whose input and store both end at a guard page. */
typedef struct parse {
    char *text, *store;
    size_t n;
    int result;
    hp_url url;
    hp_err err;
} parse;

static void
parse_bytes(parse *p, const char *text, size_t n)
{
    char blank[HP_URL_STORE_SIZE(4096)] = {0};
    CHECK(n <= 4096);
    p->n = n;
    p->text = guard_copy(text, n);
    p->store = guard_copy(blank, HP_URL_STORE_SIZE(n));
    CHECK(p->text && p->store);
    hp_err_clear(&p->err);
    p->result =
        hp_url_parse(hp_span_of(p->text, n), &p->url, p->store, &p->err);
    CHECK_INT(p->result, p->err.code == HP_OK ? 0 : -1);
}

static void
parse_done(parse *p)
{
    guard_free(p->text, p->n);
    guard_free(p->store, HP_URL_STORE_SIZE(p->n));
}

static const struct good {
    const char *url;
    int port;
    const char *host, *authority, *target;
} good[] = {
    /* ports, RFC 3986 6.2.3 */
    {"http://a.test/", 80, "a.test", "a.test", "/"},
    {"https://a.test/", 443, "a.test", "a.test", "/"},
    {"http://a.test:80/", 80, "a.test", "a.test", "/"},
    {"http://a.test:/", 80, "a.test", "a.test", "/"},
    {"https://a.test:", 443, "a.test", "a.test", "/"},
    {"http://a.test:443/", 443, "a.test", "a.test:443", "/"},
    {"https://a.test:80/", 80, "a.test", "a.test:80", "/"},
    {"http://a.test:00080/", 80, "a.test", "a.test", "/"},
    {"http://a.test:08080/", 8080, "a.test", "a.test:8080", "/"},
    {"http://a.test:65535/", 65535, "a.test", "a.test:65535", "/"},
    {"http://a.test:1", 1, "a.test", "a.test:1", "/"},
    /* case, RFC 3986 6.2.2.1 */
    {"HTTP://A.Test/Path", 80, "a.test", "a.test", "/Path"},
    {"hTTpS://WWW.A.TEST:8443", 8443, "www.a.test", "www.a.test:8443", "/"},
    /* hosts */
    {"http://localhost", 80, "localhost", "localhost", "/"},
    {"http://a.test./", 80, "a.test.", "a.test.", "/"},
    {"http://my_service:8000/", 8000, "my_service", "my_service:8000", "/"},
    {"http://xn--bcher-kva.test/", 80, "xn--bcher-kva.test",
     "xn--bcher-kva.test", "/"},
    {"http://a--b.test/", 80, "a--b.test", "a--b.test", "/"},
    {"http://3com.test/", 80, "3com.test", "3com.test", "/"},
    {"http://1.2.3.4.test/", 80, "1.2.3.4.test", "1.2.3.4.test", "/"},
    {"http://a.1e1/", 80, "a.1e1", "a.1e1", "/"},
    {"http://a.0xg/", 80, "a.0xg", "a.0xg", "/"},
    {"http://127.0.0.1/", 80, "127.0.0.1", "127.0.0.1", "/"},
    {"http://255.255.255.255:81", 81, "255.255.255.255", "255.255.255.255:81",
     "/"},
    /* IPv6, RFC 3986 3.2.2, RFC 6874 */
    {"http://[::1]/", 80, "::1", "[::1]", "/"},
    {"http://[::]", 80, "::", "[::]", "/"},
    {"https://[::1]:443/", 443, "::1", "[::1]", "/"},
    {"http://[::1]:8080/x", 8080, "::1", "[::1]:8080", "/x"},
    {"http://[::1]:", 80, "::1", "[::1]", "/"},
    {"http://[2001:DB8::A:b]/", 80, "2001:db8::a:b", "[2001:db8::a:b]", "/"},
    {"http://[1:2:3:4:5:6:7:8]/", 80, "1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]",
     "/"},
    {"http://[1:2:3:4:5:6:7::]/", 80, "1:2:3:4:5:6:7::", "[1:2:3:4:5:6:7::]",
     "/"},
    {"http://[::2:3:4:5:6:7:8]/", 80, "::2:3:4:5:6:7:8", "[::2:3:4:5:6:7:8]",
     "/"},
    {"http://[::ffff:1.2.3.4]/", 80, "::ffff:1.2.3.4", "[::ffff:1.2.3.4]", "/"},
    {"http://[1:2:3:4:5:6:1.2.3.4]/", 80, "1:2:3:4:5:6:1.2.3.4",
     "[1:2:3:4:5:6:1.2.3.4]", "/"},
    {"http://[fe80::1%25eth0]/", 80, "fe80::1%eth0", "[fe80::1]", "/"},
    {"http://[FE80::A%Eth0]:81/", 81, "fe80::a%Eth0", "[fe80::a]:81", "/"},
    {"http://[fe80::1%2]/", 80, "fe80::1%2", "[fe80::1]", "/"},
    /* path and query, RFC 3986 3.3, 3.4; RFC 9112 3.2.1 */
    {"http://a.test", 80, "a.test", "a.test", "/"},
    {"http://a.test?", 80, "a.test", "a.test", "/?"},
    {"http://a.test?q=1", 80, "a.test", "a.test", "/?q=1"},
    {"http://a.test?a/b@c:d", 80, "a.test", "a.test", "/?a/b@c:d"},
    {"http://a.test:81?q", 81, "a.test", "a.test:81", "/?q"},
    {"http://a.test#frag", 80, "a.test", "a.test", "/"},
    {"http://a.test/a#frag", 80, "a.test", "a.test", "/a"},
    {"http://a.test/a?b#c?d#e/ f", 80, "a.test", "a.test", "/a?b"},
    {"http://a.test#@b.test/", 80, "a.test", "a.test", "/"},
    {"http://a.test/@b.test:81/", 80, "a.test", "a.test", "/@b.test:81/"},
    {"http://a.test//x/../y/./", 80, "a.test", "a.test", "//x/../y/./"},
    {"http://a.test/a b", 80, "a.test", "a.test", "/a%20b"},
    {"http://a.test/a?b c", 80, "a.test", "a.test", "/a?b%20c"},
    {"http://a.test/\xc3\xa9", 80, "a.test", "a.test", "/%C3%A9"},
    {"http://a.test/?\xff", 80, "a.test", "a.test", "/?%FF"},
    {"http://a.test/%41%2f%c3?%3d", 80, "a.test", "a.test", "/%41%2f%c3?%3d"},
    {"http://a.test/%", 80, "a.test", "a.test", "/%25"},
    {"http://a.test/%4", 80, "a.test", "a.test", "/%254"},
    {"http://a.test/%4g%%41", 80, "a.test", "a.test", "/%254g%25%41"},
    {"http://a.test/%#41", 80, "a.test", "a.test", "/%25"},
    {"http://a.test/\\x?\\", 80, "a.test", "a.test", "/%5Cx?%5C"},
    {"http://a.test/\"<>[]^`{|}", 80, "a.test", "a.test",
     "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D"},
    {"http://a.test/-._~!$&'()*+,;=:@?/?-._~!$&'()*+,;=:@", 80, "a.test",
     "a.test", "/-._~!$&'()*+,;=:@?/?-._~!$&'()*+,;=:@"},
};

static void
test_good(void)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct good *g = &good[i];
        parse p;
        parse_bytes(&p, g->url, strlen(g->url));
        if (p.result != 0)
            fprintf(stderr, "%s: %s\n", g->url, p.err.text);
        CHECK_INT(p.result, 0);
        CHECK_INT(p.url.port, g->port);
        CHECK_SPAN(p.url.host, g->host);
        CHECK_SPAN(p.url.authority, g->authority);
        CHECK_SPAN(p.url.target, g->target);
        CHECK_INT(p.url.userinfo.len, 0);
        CHECK_INT(p.url.https, hp_ascii_lower(g->url[4]) == 's');
        CHECK_INT(p.url.default_port, p.url.port == (p.url.https ? 443 : 80));
        CHECK_INT(p.url.host_is_ipv6, strchr(g->host, ':') != NULL);
        parse_done(&p);
    }
}

static void
test_host_is_ip(void)
{
    static const struct {
        const char *url;
        bool ip;
    } rows[] = {
        {"http://1.2.3.4", true},      {"http://0.0.0.0", true},
        {"http://[::1]", true},        {"http://[fe80::1%1]", true},
        {"http://a.test", false},      {"http://1.2.3.4.test", false},
        {"http://1.2.3.four.", false}, {"http://x1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        parse p;
        parse_bytes(&p, rows[i].url, strlen(rows[i].url));
        CHECK_INT(p.result, 0);
        CHECK_INT(p.url.host_is_ip, rows[i].ip);
        parse_done(&p);
    }
}

static void
test_userinfo(void)
{
    static const struct {
        const char *url, *userinfo, *host;
    } rows[] = {
        {"http://user@a.test/", "user", "a.test"},
        {"http://u:p@a.test:81/", "u:p", "a.test"},
        {"http://@a.test/", "", "a.test"},
        {"http://:@a.test/", ":", "a.test"},
        {"http://a.test%2F@b.test/", "a.test%2F", "b.test"},
        {"http://me@x.test:p@b.test/", "me@x.test:p", "b.test"},
        {"http://U:%40P@[::1]/", "U:%40P", "::1"},
        {"http://us\xc3\xa9r@b.test", "us\xc3\xa9r", "b.test"},
        {"http://a.test:80@b.test", "a.test:80", "b.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        parse p;
        parse_bytes(&p, rows[i].url, strlen(rows[i].url));
        CHECK_INT(p.result, 0);
        CHECK_SPAN(p.url.userinfo, rows[i].userinfo);
        CHECK_SPAN(p.url.host, rows[i].host);
        CHECK(p.url.userinfo.ptr >= p.text &&
              p.url.userinfo.ptr <= p.text + p.n);
        parse_done(&p);
    }
}

static const struct bad {
    const char *url;
    hp_errc code;
} bad[] = {
    {"", HP_E_MISSING_SCHEME},
    {"a.test", HP_E_MISSING_SCHEME},
    {"a.test/x", HP_E_MISSING_SCHEME},
    {"a.test/x:y", HP_E_MISSING_SCHEME},
    {"/x", HP_E_MISSING_SCHEME},
    {"//a.test/", HP_E_MISSING_SCHEME},
    {"://a.test/", HP_E_MISSING_SCHEME},
    {"1http://a.test/", HP_E_MISSING_SCHEME},
    {" http://a.test/", HP_E_MISSING_SCHEME},
    {"ht tp://a.test/", HP_E_MISSING_SCHEME},
    {"h\xc3\xa9tp://a.test/", HP_E_MISSING_SCHEME},
    {"http", HP_E_MISSING_SCHEME},
    {"[::1]:80", HP_E_MISSING_SCHEME},
    {"ftp://a.test/", HP_E_UNSUPPORTED_SCHEME},
    {"ws://a.test/", HP_E_UNSUPPORTED_SCHEME},
    {"httpx://a.test/", HP_E_UNSUPPORTED_SCHEME},
    {"file:///etc/passwd", HP_E_UNSUPPORTED_SCHEME},
    {"http+unix://a.test/", HP_E_UNSUPPORTED_SCHEME},
    {"localhost:8080/x", HP_E_UNSUPPORTED_SCHEME},
    {"data:,x", HP_E_UNSUPPORTED_SCHEME},
    {"http:", HP_E_INVALID_URL},
    {"http:/", HP_E_INVALID_URL},
    {"http:/a.test", HP_E_INVALID_URL},
    {"http:a.test", HP_E_INVALID_URL},
    {"http:\\\\a.test", HP_E_INVALID_URL},
    /* no host */
    {"http://", HP_E_INVALID_URL},
    {"http:///x", HP_E_INVALID_URL},
    {"http://?q", HP_E_INVALID_URL},
    {"http://#f", HP_E_INVALID_URL},
    {"http://:80/", HP_E_INVALID_URL},
    {"http://u@/", HP_E_INVALID_URL},
    {"http://u@:80/", HP_E_INVALID_URL},
    /* control bytes anywhere */
    {"http://a.test\r\nX: y/", HP_E_INVALID_URL},
    {"http://a.test\t:80/", HP_E_INVALID_URL},
    {"http://a.test:80\r\n/", HP_E_INVALID_URL},
    {"http://a.test/a\r\nX: y", HP_E_INVALID_URL},
    {"http://a.test/a\nb", HP_E_INVALID_URL},
    {"http://a.test/a\tb", HP_E_INVALID_URL},
    {"http://a.test/?a\x7f", HP_E_INVALID_URL},
    {"http://a.test/#a\n", HP_E_INVALID_URL},
    {"http://u\x01@a.test/", HP_E_INVALID_URL},
    {"\nhttp://a.test/", HP_E_INVALID_URL},
    {"http://a.test/\n", HP_E_INVALID_URL},
    /* authority */
    {"http://a.test /", HP_E_INVALID_URL},
    {"http:// a.test/", HP_E_INVALID_URL},
    {"http://u p@a.test/", HP_E_INVALID_URL},
    {"http://a.test\\@b.test/", HP_E_INVALID_URL},
    {"http://a.test\\x", HP_E_INVALID_URL},
    {"http://u\\p@a.test/", HP_E_INVALID_URL},
    /* host */
    {"http://a.test%00.b.test/", HP_E_INVALID_URL},
    {"http://%61.test/", HP_E_INVALID_URL},
    {"http://a..test/", HP_E_INVALID_URL},
    {"http://.a.test/", HP_E_INVALID_URL},
    {"http://a.test../", HP_E_INVALID_URL},
    {"http://./", HP_E_INVALID_URL},
    {"http://../", HP_E_INVALID_URL},
    {"http://-a.test/", HP_E_INVALID_URL},
    {"http://a-.test/", HP_E_INVALID_URL},
    {"http://a.-test/", HP_E_INVALID_URL},
    {"http://a.test-/", HP_E_INVALID_URL},
    {"http://a.test-./", HP_E_INVALID_URL},
    {"http://-/", HP_E_INVALID_URL},
    {"http://a,b.test/", HP_E_INVALID_URL},
    {"http://a\"b.test/", HP_E_INVALID_URL},
    {"http://a<b.test/", HP_E_INVALID_URL},
    {"http://a^b.test/", HP_E_INVALID_URL},
    {"http://a|b.test/", HP_E_INVALID_URL},
    {"http://a[b].test/", HP_E_INVALID_URL},
    {"http://a]/", HP_E_INVALID_URL},
    /* numbers that some resolver would take for an address */
    {"http://0x7f.1/", HP_E_INVALID_URL},
    {"http://127.1/", HP_E_INVALID_URL},
    {"http://2130706433/", HP_E_INVALID_URL},
    {"http://0x7f000001/", HP_E_INVALID_URL},
    {"http://0x/", HP_E_INVALID_URL},
    {"http://0X7F.0.0.0X1/", HP_E_INVALID_URL},
    {"http://127.0.0.01/", HP_E_INVALID_URL},
    {"http://0177.0.0.1/", HP_E_INVALID_URL},
    {"http://127.0.0.1./", HP_E_INVALID_URL},
    {"http://256.0.0.1/", HP_E_INVALID_URL},
    {"http://1.2.3.1000/", HP_E_INVALID_URL},
    {"http://1.2.3/", HP_E_INVALID_URL},
    {"http://1.2.3.4.5/", HP_E_INVALID_URL},
    {"http://a.test.0/", HP_E_INVALID_URL},
    {"http://a.7./", HP_E_INVALID_URL},
    /* port */
    {"http://a.test:0x50/", HP_E_INVALID_URL},
    {"http://a.test:65536/", HP_E_INVALID_URL},
    {"http://a.test:99999/", HP_E_INVALID_URL},
    {"http://a.test:000080/", HP_E_INVALID_URL},
    {"http://a.test:18446744073709551696/", HP_E_INVALID_URL},
    {"http://a.test:-1/", HP_E_INVALID_URL},
    {"http://a.test:+80/", HP_E_INVALID_URL},
    {"http://a.test:8a/", HP_E_INVALID_URL},
    {"http://a.test:80:80/", HP_E_INVALID_URL},
    {"http://a.test:\xd9\xa1/", HP_E_INVALID_URL},
    {"http://::1/", HP_E_INVALID_URL},
    {"http://1::2/", HP_E_INVALID_URL},
    /* IPv6 */
    {"http://[::1]x/", HP_E_INVALID_URL},
    {"http://[::1]80/", HP_E_INVALID_URL},
    {"http://x[::1]/", HP_E_INVALID_URL},
    {"http://[::1/", HP_E_INVALID_URL},
    {"http://[]/", HP_E_INVALID_URL},
    {"http://[", HP_E_INVALID_URL},
    {"http://[:]/", HP_E_INVALID_URL},
    {"http://[:::]/", HP_E_INVALID_URL},
    {"http://[1:::2]/", HP_E_INVALID_URL},
    {"http://[1::2::3]/", HP_E_INVALID_URL},
    {"http://[:1::2]/", HP_E_INVALID_URL},
    {"http://[1::2:]/", HP_E_INVALID_URL},
    {"http://[1:2:3:4:5:6:7]/", HP_E_INVALID_URL},
    {"http://[1:2:3:4:5:6:7:8:9]/", HP_E_INVALID_URL},
    {"http://[1:2:3:4::5:6:7:8]/", HP_E_INVALID_URL},
    {"http://[1:2:3:4:5:6:7:1.2.3.4]/", HP_E_INVALID_URL},
    {"http://[::1.2.3]/", HP_E_INVALID_URL},
    {"http://[::1.2.3.4:5]/", HP_E_INVALID_URL},
    {"http://[::1.2.3.256]/", HP_E_INVALID_URL},
    {"http://[::12345]/", HP_E_INVALID_URL},
    {"http://[::g]/", HP_E_INVALID_URL},
    {"http://[::\xc3\xa9]/", HP_E_INVALID_URL},
    {"http://[1.2.3.4]/", HP_E_INVALID_URL},
    {"http://[v1.x]/", HP_E_INVALID_URL},
    {"http://[a.test]/", HP_E_INVALID_URL},
    {"http://[::1%]/", HP_E_INVALID_URL},
    {"http://[::1%25]/", HP_E_INVALID_URL},
    {"http://[::1%25%41]/", HP_E_INVALID_URL},
    {"http://[::1%a%b]/", HP_E_INVALID_URL},
    {"http://[::1%a:b]/", HP_E_INVALID_URL},
    {"http://[%25eth0]/", HP_E_INVALID_URL},
};

static void
test_bad(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        parse p;
        parse_bytes(&p, bad[i].url, strlen(bad[i].url));
        if (p.err.code != bad[i].code)
            fprintf(stderr, "%s: %s\n", bad[i].url, hp_errc_name(p.err.code));
        CHECK_INT(p.err.code, bad[i].code);
        CHECK(p.err.text[0] != '\0');
        parse_done(&p);
    }
}

static void
test_nul(void)
{
    static const char in_host[] = "http://a\0b.test/";
    static const char in_path[] = "http://a.test/a\0b";
    static const char last[] = "http://a.test/"; /* with its NUL */
    parse p;
    parse_bytes(&p, in_host, sizeof in_host - 1);
    CHECK_INT(p.err.code, HP_E_INVALID_URL);
    parse_done(&p);
    parse_bytes(&p, in_path, sizeof in_path - 1);
    CHECK_INT(p.err.code, HP_E_INVALID_URL);
    parse_done(&p);
    parse_bytes(&p, last, sizeof last);
    CHECK_INT(p.err.code, HP_E_INVALID_URL);
    parse_done(&p);
}

static void
test_every_control_byte_everywhere(void)
{
    static const char url[] = "http://u:p@a.test:81/p?q#f";
    for (int c = 0; c < 0x80; c = c == 0x1f ? 0x7f : c + 1) {
        for (size_t at = 0; at < sizeof url - 1; at++) {
            char copy[sizeof url];
            memcpy(copy, url, sizeof url);
            copy[at] = (char)c;
            parse p;
            parse_bytes(&p, copy, sizeof url - 1);
            CHECK_INT(p.err.code, HP_E_INVALID_URL);
            parse_done(&p);
        }
    }
}

static void
test_needs_idna(void)
{
    static const struct {
        const char *url, *host;
    } rows[] = {
        {"http://b\xc3\xbc"
         "cher.test/",
         "b\xc3\xbc"
         "cher.test"},
        {"http://u:p@B\xc3\x9c.test:81/x", "B\xc3\x9c.test"},
        {"http://a.test\xe3\x80\x82"
         "b/",
         "a.test\xe3\x80\x82"
         "b"},
        {"https://\xff", "\xff"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        parse p;
        parse_bytes(&p, rows[i].url, strlen(rows[i].url));
        CHECK_INT(p.err.code, HP_E_NEEDS_IDNA);
        CHECK_SPAN(p.url.host, rows[i].host);
        CHECK(p.url.host.ptr > p.text && p.url.host.ptr < p.text + p.n);
        parse_done(&p);
    }
}

static void
test_errors_tell_no_secret(void)
{
    static const char *const rows[] = {
        "http://user:s3cret/x@a.test/",   "http://user:s3cret@a..test/",
        "http://user:s3cret@a.test:x/",   "http://user:s3cret @a.test/",
        "http://user:s3cret\\@a.test/",   "http://user:s3cret@[::x]/",
        "http://a.test/?k=s3cret\n",      "http://s3cret\n@a.test/",
        "ftp://user:s3cret@a.test/",      "s3cret:password@a.test/",
        "http://user:s3cret@\xc3\xa9/",   "user:s3cret@a.test",
        "http://user:s3cret@0x7f.1/?k=v", "http://[s3cret",
        "http:user:s3cret@a.test/",       "s3cret",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        parse p;
        parse_bytes(&p, rows[i], strlen(rows[i]));
        CHECK_INT(p.result, -1);
        CHECK(strstr(p.err.text, "s3cret") == NULL);
        parse_done(&p);
    }
}

static void
test_unsupported_scheme_is_named(void)
{
    parse p;
    parse_bytes(&p, "ftp://a.test/", strlen("ftp://a.test/"));
    CHECK(strstr(p.err.text, "not ftp") != NULL);
    parse_done(&p);
}

/* Whatever a prefix means, reading past it would hit the guard page. */
static void
test_every_prefix(void)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        for (size_t n = 0; n <= strlen(good[i].url); n++) {
            parse p;
            parse_bytes(&p, good[i].url, n);
            parse_done(&p);
        }
    }
}

static void
test_store_is_large_enough(void)
{
    static const char *const heads[] = {"http://a", "http://a:1", "http://[::]",
                                        "http://[::%a]:1"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        char url[1024];
        size_t n = strlen(heads[i]);
        memcpy(url, heads[i], n);
        url[n] = '?';
        memset(url + n + 1, 0xff, sizeof url - n - 1);
        parse p;
        parse_bytes(&p, url, sizeof url);
        CHECK_INT(p.result, 0);
        CHECK_INT(p.url.target.len, 2 + 3 * (sizeof url - n - 1));
        parse_done(&p);
        memset(url + 7, 'a', sizeof url - 7);
        memcpy(url + sizeof url - 2, ":1", 2);
        parse_bytes(&p, url, sizeof url);
        CHECK_INT(p.result, 0);
        CHECK_INT(p.url.authority.len, sizeof url - 7);
        parse_done(&p);
    }
}

/* What was parsed parses to itself: one meaning for everybody. */
static void
test_canonical_form_is_stable(void)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        parse p, q;
        char again[512];
        parse_bytes(&p, good[i].url, strlen(good[i].url));
        int n = snprintf(again, sizeof again, "%s://%.*s%.*s",
                         p.url.https ? "https" : "http",
                         (int)p.url.authority.len, p.url.authority.ptr,
                         (int)p.url.target.len, p.url.target.ptr);
        parse_bytes(&q, again, (size_t)n);
        CHECK_INT(q.result, 0);
        CHECK(hp_span_eq(p.url.authority, q.url.authority));
        CHECK(hp_span_eq(p.url.target, q.url.target));
        CHECK_INT(p.url.port, q.url.port);
        parse_done(&p);
        parse_done(&q);
    }
}

/* Nothing that may be a secret, and nothing but that, is left out. */
static void
test_public(void)
{
    static const struct {
        const char *url, *shown;
    } rows[] = {
        {"http://h", "http://h"},
        {"http://h/p/q", "http://h/p/q"},
        {"HTTP://H:80/P", "http://H:80/P"},
        {"https://u:p@h:1/p?q=s#f", "https://h:1/p"},
        {"http://u:p@w@h?q", "http://h"},
        {"http://u@[::1]:8/#f", "http://[::1]:8/"},
        {"http://h/a@b", "http://h/a@b"},
        {"http://h/x#y?z", "http://h/x"},
        {"http://h?http://u:p@x/", "http://h"},
        {"no url", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char store[64];
        hp_buf b;
        hp_buf_init(&b, store, sizeof store, 1000);
        CHECK_INT(hp_url_public(hp_span_cstr(rows[i].url), &b), 0);
        CHECK_SPAN(hp_span_of(b.ptr, b.len), rows[i].shown);
        hp_buf_free(&b);
    }
}

int
main(void)
{
    RUN(test_good);
    RUN(test_host_is_ip);
    RUN(test_userinfo);
    RUN(test_bad);
    RUN(test_nul);
    RUN(test_every_control_byte_everywhere);
    RUN(test_needs_idna);
    RUN(test_errors_tell_no_secret);
    RUN(test_unsupported_scheme_is_named);
    RUN(test_every_prefix);
    RUN(test_store_is_large_enough);
    RUN(test_canonical_form_is_stable);
    RUN(test_public);
    DONE();
}
