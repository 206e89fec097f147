/* proxy_kit: proxy settings for tests, from
 * "scheme://[user:password@]host:port" (for http, what stands before '@' is the
 * value of Proxy-Authorization). */
#ifndef HP_TEST_PROXY_KIT_H
#define HP_TEST_PROXY_KIT_H

#include "net/proxy.h"
#include "test.h"

static inline hp_proxy_scheme
kit_scheme(const char *url)
{
    if (strncmp(url, "http:", 5) == 0)
        return HP_PROXY_HTTP;
    if (strncmp(url, "https:", 6) == 0)
        return HP_PROXY_HTTPS;
    return strncmp(url, "socks5h:", 8) == 0 ? HP_PROXY_SOCKS5H
                                            : HP_PROXY_SOCKS5;
}

static inline hp_proxy_config
kit_proxy_config(const char *url)
{
    hp_proxy_config c = {.scheme = kit_scheme(url)};
    const char *at = strstr(url, "://") + 3, *user = at;
    const char *sign = strchr(at, '@');
    if (sign) {
        hp_span login = hp_span_of(user, (size_t)(sign - user));
        const char *colon = memchr(user, ':', login.len);
        if (c.scheme < HP_PROXY_SOCKS5)
            c.authorization = login;
        else
            c.user = hp_span_of(user, (size_t)(colon - user));
        if (c.scheme >= HP_PROXY_SOCKS5)
            c.password = hp_span_of(colon + 1, (size_t)(sign - colon - 1));
        at = sign + 1;
    }
    const char *port = strrchr(at, ':');
    c.host = hp_span_of(at, (size_t)(port - at));
    if (*at == '[')
        c.host = hp_span_of(at + 1, c.host.len - 2);
    c.port = (uint16_t)atoi(port + 1);
    return c;
}

static inline hp_proxy *
kit_proxy_of(const hp_proxy_config *c)
{
    hp_err err = {0};
    hp_proxy *p = hp_proxy_get(c, &err);
    if (p == NULL)
        fprintf(stderr, "%s\n", err.text);
    CHECK(p);
    return p;
}

static inline hp_proxy *
kit_proxy(const char *url)
{
    hp_proxy_config c = kit_proxy_config(url);
    return kit_proxy_of(&c);
}

#endif
