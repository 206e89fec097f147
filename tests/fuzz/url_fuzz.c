/* URLs: what comes out is safe to send, to look up and to show, and is read
 * alike when it is put together again. */
#include <arpa/inet.h>

#include "fuzz.h"
#include "wire/url.h"

static bool
lies_in(hp_span s, const char *p, size_t n)
{
    return s.ptr >= p && s.len <= n && s.ptr + s.len <= p + n;
}

static void
check_host(const hp_url *u)
{
    CHECK(u->host.len > 0);
    for (size_t i = 0; i < u->host.len; i++) {
        char c = u->host.ptr[i];
        bool zone = memchr(u->host.ptr, '%', i + 1) != NULL;
        CHECK(c > ' ' && c < 0x7f && (zone || c == hp_ascii_lower(c)));
        CHECK(!strchr("/?#@\\[]\"<>", c));
        CHECK(c != ':' || u->host_is_ipv6);
    }
    CHECK(u->host_is_ip || !u->host_is_ipv6);
    CHECK_INT(u->default_port, u->port == (u->https ? 443 : 80));
}

/* Nobody else may take a name for an address, or another one. */
static void
check_address_kind(const hp_url *u)
{
    static char text[FUZZ_MAX];
    char back[INET6_ADDRSTRLEN];
    struct in6_addr a;
    struct in_addr old;
    hp_span host = u->host;
    const char *zone = memchr(host.ptr, '%', host.len);
    if (zone)
        host.len = (size_t)(zone - host.ptr);
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    CHECK_INT(inet_pton(AF_INET6, text, &a), u->host_is_ipv6);
    CHECK_INT(inet_pton(AF_INET, text, &a), u->host_is_ip && !u->host_is_ipv6);
    if (!u->host_is_ip)
        CHECK(inet_aton(text, &old) == 0);
    else if (!u->host_is_ipv6)
        CHECK_STR(inet_ntop(AF_INET, &a, back, sizeof back), text);
}

static void
check_target(hp_span t)
{
    CHECK(t.len > 0 && t.ptr[0] == '/');
    for (size_t i = 0; i < t.len; i++) {
        CHECK(t.ptr[i] > ' ' && t.ptr[i] < 0x7f);
        CHECK(t.ptr[i] != '#');
        CHECK(t.ptr[i] != '%' || t.len - i > 2);
    }
}

static size_t
put(char *at, hp_span s)
{
    memcpy(at, s.ptr, s.len);
    return s.len;
}

/* scheme://authority/target once more; of the zone nobody is told. */
static void
check_fixed(const hp_url *u)
{
    static char text[8 * FUZZ_MAX + 128], store[HP_URL_STORE_SIZE(sizeof text)];
    hp_span scheme =
        u->https ? HP_SPAN_LIT("https://") : HP_SPAN_LIT("http://");
    size_t n = put(text, scheme);
    n += put(text + n, u->authority);
    n += put(text + n, u->target);
    hp_url again;
    hp_err err = {0};
    CHECK_INT(hp_url_parse(hp_span_of(text, n), &again, store, &err), 0);
    CHECK_INT(again.https, u->https);
    CHECK_INT(again.port, u->port);
    CHECK_INT(again.host_is_ip, u->host_is_ip);
    CHECK_INT(again.userinfo.len, 0);
    CHECK(hp_span_eq(again.authority, u->authority));
    CHECK(hp_span_eq(again.target, u->target));
    CHECK(again.host.len <= u->host.len);
    CHECK(memcmp(again.host.ptr, u->host.ptr, again.host.len) == 0);
    CHECK(again.host.len == u->host.len || u->host.ptr[again.host.len] == '%');
}

static void
check_public(hp_span text, const hp_url *u)
{
    hp_buf out;
    hp_buf_init(&out, NULL, 0, SIZE_MAX / 2);
    CHECK_INT(hp_url_public(text, &out), 0);
    CHECK(!memchr(out.ptr, '?', out.len) && !memchr(out.ptr, '#', out.len));
    size_t slashes = u->https ? 8 : 7;
    CHECK(out.len >= slashes);
    const char *host = out.ptr + slashes;
    size_t n = out.len - slashes;
    const char *path = memchr(host, '/', n);
    CHECK(!memchr(host, '@', path ? (size_t)(path - host) : n));
    hp_buf_free(&out);
}

static void
check_address(const hp_url *u)
{
    hp_buf out;
    hp_buf_init(&out, NULL, 0, SIZE_MAX / 2);
    CHECK_INT(hp_url_add_address(u, &out), 0);
    CHECK(out.len > u->host.len);
    hp_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > FUZZ_MAX / 8)
        return 0;
    hp_span text = hp_span_of(fuzz_place(data, size), size);
    size_t room = HP_URL_STORE_SIZE(size);
    char *store = malloc(room);
    CHECK(store);
    hp_url u;
    hp_err err = {0};
    int r = hp_url_parse(text, &u, store, &err);
    fuzz_check_err(&err, r != 0);
    if (r == 0) {
        check_host(&u);
        check_address_kind(&u);
        check_target(u.target);
        CHECK(lies_in(u.host, store, room));
        CHECK(lies_in(u.authority, store, room));
        CHECK(lies_in(u.target, store, room));
        CHECK(lies_in(u.userinfo, text.ptr, size));
        check_fixed(&u);
        check_public(text, &u);
        check_address(&u);
    } else if (err.code == HP_E_NEEDS_IDNA) {
        CHECK(u.host.len > 0 && lies_in(u.host, text.ptr, size));
    }
    free(store);
    return 0;
}
