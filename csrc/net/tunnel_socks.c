/* tunnel_socks: the states of SOCKS5 (RFC 1928, 1929), in their order. */
#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "net/tunnel_impl.h"

enum {
    REPLY_LEN = 5 /* up to the first byte of the bound address */
};

enum {
    SOCKS_VERSION = 5,
    LOGIN_VERSION = 1, /* RFC 1929 2 */
    METHOD_NONE = 0,
    METHOD_LOGIN = 2,
    METHOD_REFUSED = 0xff,
    COMMAND_CONNECT = 1,
    ATYP_IPV4 = 1,
    ATYP_NAME = 3,
    ATYP_IPV6 = 4
};

/* What fits is known beforehand: `out` has a store for it. */
static void
put(hp_tunnel *t, const void *p, size_t n)
{
    int r = hp_buf_add(&t->out, p, n);
    assert(r == 0);
    (void)r;
}

static void
put_byte(hp_tunnel *t, int byte_)
{
    char c = (char)byte_;
    put(t, &c, 1);
}

static bool
has_login(const hp_tunnel *t)
{
    return hp_proxy_settings(t->proxy)->user.ptr != NULL;
}

static void
write_greeting(hp_tunnel *t)
{
    put_byte(t, SOCKS_VERSION);
    put_byte(t, has_login(t) ? 2 : 1);
    put_byte(t, METHOD_NONE);
    if (has_login(t))
        put_byte(t, METHOD_LOGIN);
}

/* SOCKS5 has a kind of address for literals, which a proxy need not parse. */
int
hp_tunnel_begin_socks(hp_tunnel *t, const hp_addr *addr, hp_err *err)
{
    if (addr)
        t->addr = *addr;
    else if (hp_addr_from_literal(t->host, &t->addr) != 1)
        t->addr.len = 0;
    if (hp_buf_reserve(&t->out, 3 + 2 * (size_t)(HP_TUNNEL_NAME_MAX + 1)) != 0)
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    t->state = SEND_GREETING;
    write_greeting(t);
    return 0;
}

int
hp_tunnel_send_greeting(hp_tunnel *t, hp_stream *s, hp_err *err)
{
    return hp_tunnel_send(t, s, READ_METHOD, err);
}

static void
write_target(hp_tunnel *t)
{
    const hp_addr *a = &t->addr;
    uint16_t port = htons(t->port);
    put(t, (const char[]){SOCKS_VERSION, COMMAND_CONNECT, 0}, 3);
    if (a->len == 0) {
        put_byte(t, ATYP_NAME);
        put_byte(t, (int)strlen(t->host));
        put(t, t->host, strlen(t->host));
    } else if (a->u.sa.sa_family == AF_INET) {
        put_byte(t, ATYP_IPV4);
        put(t, &a->u.in.sin_addr, 4);
    } else {
        put_byte(t, ATYP_IPV6);
        put(t, &a->u.in6.sin6_addr, 16);
    }
    put(t, &port, sizeof port);
}

static int
ask_for_target(hp_tunnel *t)
{
    write_target(t);
    t->state = SEND_TARGET;
    return 0;
}

static int
log_in(hp_tunnel *t)
{
    const hp_proxy_config *c = hp_proxy_settings(t->proxy);
    const hp_span both[] = {c->user, c->password};
    put_byte(t, LOGIN_VERSION);
    for (int i = 0; i < 2; i++) {
        put_byte(t, (int)both[i].len);
        put(t, both[i].ptr, both[i].len);
    }
    t->state = SEND_LOGIN;
    return 0;
}

static int
no_method(hp_tunnel *t, hp_err *err)
{
    return HP_TUNNEL_FAIL(
        t, err,
        has_login(t)
            ? "the proxy %s wants another proof than a user and password"
            : "the proxy %s wants credentials: put them into its URL, "
              "socks5h://user:password@host:port",
        t->name);
}

int
hp_tunnel_read_method(hp_tunnel *t, hp_stream *s, hp_err *err)
{
    int r = hp_tunnel_read_exactly(t, s, 2, err);
    if (r != 0)
        return r;
    if (hp_tunnel_byte(t, 0) != SOCKS_VERSION)
        return HP_TUNNEL_FAIL(
            t, err, "the proxy %s does not speak SOCKS5%s", t->name,
            hp_tunnel_byte(t, 0) == 'H' ? " (is this an http:// proxy?)" : "");
    if (hp_tunnel_byte(t, 1) == METHOD_REFUSED)
        return no_method(t, err);
    if (hp_tunnel_byte(t, 1) == METHOD_NONE)
        return ask_for_target(t);
    if (hp_tunnel_byte(t, 1) == METHOD_LOGIN && has_login(t))
        return log_in(t);
    return HP_TUNNEL_FAIL(
        t, err,
        "the proxy %s chose an authentication method that was not "
        "offered",
        t->name);
}

int
hp_tunnel_send_login(hp_tunnel *t, hp_stream *s, hp_err *err)
{
    return hp_tunnel_send(t, s, READ_LOGIN, err);
}

/* The version that some send here is that of SOCKS. */
int
hp_tunnel_read_login(hp_tunnel *t, hp_stream *s, hp_err *err)
{
    int r = hp_tunnel_read_exactly(t, s, 2, err);
    if (r != 0)
        return r;
    if (hp_tunnel_byte(t, 1) != 0)
        return HP_TUNNEL_FAIL(
            t, err, "the proxy %s does not accept the user and password given",
            t->name);
    return ask_for_target(t);
}

int
hp_tunnel_send_target(hp_tunnel *t, hp_stream *s, hp_err *err)
{
    return hp_tunnel_send(t, s, READ_REPLY, err);
}

/* RFC 1928 6 */
static const char *
reply_words(unsigned code)
{
    static const char *const words[] = {
        [1] = "general failure",
        [2] = "not allowed by its rules",
        [3] = "network unreachable",
        [4] = "host unreachable",
        [5] = "connection refused",
        [6] = "TTL expired",
        [7] = "it does not know CONNECT",
        [8] = "it does not know this kind of address",
    };
    bool known = code > 0 && code < sizeof words / sizeof *words;
    return known ? words[code] : "for a reason that has no name";
}

/* How many bytes a reply has, by its first ones; 0: not known. */
static size_t
reply_len(const hp_tunnel *t)
{
    switch (hp_tunnel_byte(t, 3)) {
    case ATYP_IPV4:
        return 4 + 4 + 2;
    case ATYP_IPV6:
        return 4 + 16 + 2;
    case ATYP_NAME:
        return 4 + 1 + hp_tunnel_byte(t, 4) + 2;
    default:
        return 0;
    }
}

static int
target_refused(hp_tunnel *t, hp_err *err)
{
    char addr[HP_ADDR_TEXT_MAX] = "";
    if (t->addr.len)
        hp_addr_format_host(&t->addr, addr);
    if (strncmp(t->host, addr, sizeof addr) == 0)
        addr[0] = '\0';
    t->address_refused = hp_tunnel_byte(t, 1) != 2 && hp_tunnel_byte(t, 1) != 7;
    return HP_TUNNEL_FAIL(
        t, err, "the proxy %s refused a tunnel to %s%s%s%s: %s (%u)", t->name,
        t->target, addr[0] ? " (" : "", addr, addr[0] ? ")" : "",
        reply_words(hp_tunnel_byte(t, 1)), hp_tunnel_byte(t, 1));
}

static int
not_socks(hp_tunnel *t, hp_err *err)
{
    return HP_TUNNEL_FAIL(
        t, err, "the proxy %s gave an answer that is not SOCKS5", t->name);
}

/* A refusal may be shorter than it should be: its code is all that counts. */
int
hp_tunnel_read_reply(hp_tunnel *t, hp_stream *s, hp_err *err)
{
    int r = hp_tunnel_read_exactly(t, s, 2, err);
    if (r != 0)
        return r;
    if (hp_tunnel_byte(t, 0) != SOCKS_VERSION)
        return not_socks(t, err);
    if (hp_tunnel_byte(t, 1) != 0)
        return target_refused(t, err);
    r = hp_tunnel_read_exactly(t, s, REPLY_LEN, err);
    if (r != 0)
        return r;
    t->bound_len = reply_len(t);
    if (t->bound_len == 0)
        return not_socks(t, err);
    t->state = READ_BOUND;
    return 0;
}

/* Where the proxy's own end is, nobody asked. */
int
hp_tunnel_read_bound(hp_tunnel *t, hp_stream *s, hp_err *err)
{
    int r = hp_tunnel_read_exactly(t, s, t->bound_len, err);
    if (r == 0)
        t->state = OPEN;
    return r;
}
