/* proxy: one immutable setting: which proxy to use, and as whom.
 *
 * Equal settings give the same object in the whole process as long as somebody
 * holds it, with an id that stands for it in pool keys: a connection that was
 * opened in the name of one user, or with one set of headers, never serves
 * another. Its name, for people, shows no credentials.
 */
#ifndef HP_NET_PROXY_H
#define HP_NET_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "net/tls.h"
#include "wire/request.h" /* hp_field */

typedef enum hp_proxy_scheme {
    HP_PROXY_HTTP,
    HP_PROXY_HTTPS,  /* the same, spoken over TLS */
    HP_PROXY_SOCKS5, /* names are looked up here */
    HP_PROXY_SOCKS5H /* ... by the proxy */
} hp_proxy_scheme;

/* Borrowed for the call and copied; `tls` gets a reference. A span with a NULL
 * pointer is not given. */
typedef struct hp_proxy_config {
    hp_proxy_scheme scheme;
    uint16_t port;
    hp_span host; /* lower case, v6 without brackets */
    /* SOCKS5: both or none, of 1 to 255 bytes each. http, https: as whom the
     * caller answers its challenges; never sent by itself */
    hp_span user, password;
    /* http, https */
    hp_span authorization;  /* value of Proxy-Authorization */
    hp_span user_agent;     /* of CONNECT alone */
    const hp_field *fields; /* with CONNECT and with every forwarded request */
    size_t n_fields;
    hp_tls *tls;         /* https: how to speak to the proxy itself */
    hp_span server_name; /* what its certificate must name, if not host */
} hp_proxy_config;

typedef struct hp_proxy hp_proxy; /* reference-counted */

/* A reference to the setting; NULL with *err: HP_E_INVALID_ARGUMENT (host,
 * port, user, password, no tls), HP_E_INVALID_HEADER (also for a field that is
 * not the caller's to set: Host, Proxy-Authorization, those that frame),
 * HP_E_NOMEM. Any thread; never blocks. */
hp_proxy *hp_proxy_get(const hp_proxy_config *config, hp_err *err);
hp_proxy *hp_proxy_ref(hp_proxy *p);
void hp_proxy_unref(hp_proxy *p); /* NULL is fine; under no lock */

/* The same proxy with another Proxy-Authorization: a new reference, or NULL
 * with *err as hp_proxy_get. */
hp_proxy *hp_proxy_with_authorization(const hp_proxy *p, hp_span value,
                                      hp_err *err);

uint64_t hp_proxy_id(const hp_proxy *p);      /* > 0, never reused */
const char *hp_proxy_name(const hp_proxy *p); /* "http://[::1]:3128" */

/* What it was made from; each span ends in NUL. */
const hp_proxy_config *hp_proxy_settings(const hp_proxy *p);

static inline bool
hp_proxy_is_socks(const hp_proxy *p)
{
    return hp_proxy_settings(p)->scheme >= HP_PROXY_SOCKS5;
}

/* What it is sent with each request it forwards: Proxy-Authorization, if any,
 * and config.fields. */
const hp_field *hp_proxy_fields(const hp_proxy *p, size_t *n);

/* It is spoken to in HTTP, and the caller answers its challenges: what he says
 * in Proxy-Authorization differs each time, and means the same user. */
static inline bool
hp_proxy_is_challenging(const hp_proxy *p)
{
    return !hp_proxy_is_socks(p) && hp_proxy_settings(p)->user.ptr != NULL;
}

/* Appends the head of a CONNECT for "host:port"; `authorization`, if it is
 * given, is the value of Proxy-Authorization in place of the setting's. 0, or
 * -1 with *err. */
int hp_proxy_write_connect(const hp_proxy *p, hp_span target,
                           hp_span authorization, hp_buf *out, hp_err *err);

/* Tests: settings that somebody holds. */
size_t hp_proxy_known(void);

#endif
