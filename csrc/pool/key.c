#include "pool/key.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/map.h"

static int
add_proxy(hp_buf *store, const hp_proxy *proxy)
{
    char id[32];
    snprintf(id, sizeof id, "#%" PRIu64, hp_proxy_id(proxy));
    return hp_buf_add_cstr(store, hp_proxy_name(proxy)) |
           hp_buf_add_cstr(store, id);
}

static int
add_tls(hp_buf *store, hp_tls *tls, hp_span server_name)
{
    char id[32];
    snprintf(id, sizeof id, "|tls=%" PRIu64, hp_tls_id(tls));
    int r = hp_buf_add_cstr(store, id);
    if (server_name.len)
        r |= hp_buf_add_cstr(store, "|name=") |
             hp_buf_add_span(store, server_name);
    return r;
}

/* Through a proxy that forwards, a connection serves every host. */
static bool
serves_all(const hp_url *url, const hp_proxy *proxy)
{
    return proxy && !url->https && !hp_proxy_is_socks(proxy);
}

static int
write_text(const hp_url *url, const hp_proxy *proxy, hp_tls *tls,
           hp_span server_name, hp_buf *store)
{
    int r = proxy ? add_proxy(store, proxy) : 0;
    r |= hp_buf_add_cstr(store, url->https ? "|https|" : "|http|");
    if (!serves_all(url, proxy))
        r |= hp_url_add_address(url, store);
    if (url->https && tls)
        r |= add_tls(store, tls, server_name);
    return r;
}

int
hp_key_make(hp_key *out, const hp_url *url, hp_proxy *proxy, hp_tls *tls,
            hp_span server_name, hp_buf *store)
{
    size_t start = store->len;
    if (!url->https || hp_span_eq_nocase(server_name, url->host))
        server_name = (hp_span){0};
    if (write_text(url, proxy, tls, server_name, store) != 0)
        return -1;
    *out = (hp_key){
        .text = {store->ptr + start, store->len - start},
        .proxy = proxy,
        .tls = url->https ? tls : NULL,
        .server_name = server_name,
    };
    if (!serves_all(url, proxy)) {
        out->host = url->host;
        out->port = url->port;
    }
    out->hash = hp_hash(out->text);
    return 0;
}

/* "proxy:3128" out of "http://proxy:3128#1". */
static hp_span
proxy_address(hp_span field)
{
    const char *end = field.ptr + field.len, *p = field.ptr;
    for (int slashes = 0; p < end && slashes < 2; p++)
        slashes += *p == '/';
    const char *hash = memchr(p, '#', (size_t)(end - p));
    return hp_span_of(p, (size_t)((hash ? hash : end) - p));
}

/* The field that begins at *p, which moves behind the bar at its end. */
static hp_span
next_field(const char **p, const char *end)
{
    const char *start = *p;
    const char *bar = memchr(start, '|', (size_t)(end - start));
    *p = bar ? bar + 1 : end;
    return hp_span_of(start, (size_t)((bar ? bar : end) - start));
}

hp_span
hp_key_address(hp_span key_text)
{
    const char *p = key_text.ptr, *end = p + key_text.len;
    hp_span proxy = next_field(&p, end);
    next_field(&p, end);
    hp_span address = next_field(&p, end);
    return address.len ? address : proxy_address(proxy);
}
