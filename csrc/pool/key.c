#include "pool/key.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/map.h"

static int
add_address(hp_buf *store, const hp_url *url)
{
    char port[8];
    snprintf(port, sizeof port, ":%u", (unsigned)url->port);
    if (url->host_is_ipv6) {
        return hp_buf_add_cstr(store, "[") | hp_buf_add_span(store, url->host) |
               hp_buf_add_cstr(store, "]") | hp_buf_add_cstr(store, port);
    }
    return hp_buf_add_span(store, url->host) | hp_buf_add_cstr(store, port);
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

int
hp_key_make(hp_key *out, const hp_url *url, hp_tls *tls, hp_span server_name,
            hp_buf *store)
{
    size_t start = store->len;
    if (!url->https || hp_span_eq_nocase(server_name, url->host))
        server_name = (hp_span){0};
    int r = hp_buf_add_cstr(store, url->https ? "|https|" : "|http|") |
            add_address(store, url);
    if (url->https && tls)
        r |= add_tls(store, tls, server_name);
    if (r)
        return -1;
    *out = (hp_key){
        .text = {store->ptr + start, store->len - start},
        .host = url->host,
        .port = url->port,
        .tls = url->https ? tls : NULL,
        .server_name = server_name,
    };
    out->hash = hp_hash(out->text);
    return 0;
}

hp_span
hp_key_address(hp_span key_text)
{
    const char *end = key_text.ptr + key_text.len;
    const char *p = key_text.ptr;
    for (int bars = 0; p < end && bars < 2; p++)
        bars += *p == '|';
    const char *stop = p;
    while (stop < end && *stop != '|')
        stop++;
    return hp_span_of(p, (size_t)(stop - p));
}
