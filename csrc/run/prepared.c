#include "run/prepared.h"

#include <stdatomic.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "wire/url.h"

enum {
    URL_ON_STACK = 1024,
    HEAD_ON_STACK = 2048,
    KEY_ON_STACK = 320,
    ADDRESS_ON_STACK = 272,
    REMEMBERED_MAX = 4096 /* bytes of URL and head worth keeping */
};

/* What is gathered before the one block is allocated. */
typedef struct draft {
    hp_url url;
    hp_buf head, key_text, address, target;
    hp_key key;
    hp_proxy *proxy; /* a reference: the one that is used */
    hp_span connect_authorization;
    hp_field *fields;   /* NULL: the request's own will do */
    size_t before_path; /* bytes of the target */
    hp_request_facts facts;
    int64_t promised;
} draft;

/* ---- making ---- */

static int64_t
body_length(const hp_source *s)
{
    switch (s->kind) {
    case HP_SOURCE_BYTES:
        return (int64_t)s->len;
    case HP_SOURCE_PRODUCED:
        return s->length;
    case HP_SOURCE_NONE:
        break;
    }
    return HP_BODY_ABSENT;
}

static int
no_memory(hp_err *err)
{
    return hp_err_set(err, HP_E_NOMEM, "out of memory");
}

/* ---- through a proxy ---- */

/* It is sent the requests, and no tunnel. */
static bool
forwards(const draft *d)
{
    return d->proxy && !d->url.https && !hp_proxy_is_socks(d->proxy);
}

static bool
is_proxy_authorization(const hp_field *f)
{
    return hp_span_eq_nocase(f->name, HP_SPAN_LIT("Proxy-Authorization"));
}

static const hp_field *
find_field(const hp_field *fields, size_t n, hp_span name)
{
    for (size_t i = 0; i < n; i++) {
        if (hp_span_eq_nocase(fields[i].name, name))
            return &fields[i];
    }
    return NULL;
}

/* What the request says in Proxy-Authorization comes before what the proxy's
 * setting says. It goes into CONNECT, and so it makes another proxy, unless it
 * answers a challenge in the name of the setting's user. */
static int
choose_proxy(draft *d, const hp_request *r, hp_err *err)
{
    if (r->proxy == NULL)
        return 0;
    const hp_field *own =
        find_field(r->fields, r->n_fields, HP_SPAN_LIT("Proxy-Authorization"));
    bool tunnel = d->url.https && !hp_proxy_is_socks(r->proxy);
    bool answer = own && tunnel && hp_proxy_is_challenging(r->proxy);
    if (answer)
        d->connect_authorization = own->value;
    if (own && tunnel && !answer)
        d->proxy = hp_proxy_with_authorization(r->proxy, own->value, err);
    else
        d->proxy = hp_proxy_ref(r->proxy);
    return d->proxy ? 0 : -1;
}

/* Those of the proxy that the request has none of. */
static size_t
add_proxy_fields(const draft *d, const hp_request *r, hp_field *to)
{
    size_t n, added = 0;
    const hp_field *fields = hp_proxy_fields(d->proxy, &n);
    for (size_t i = 0; i < n; i++) {
        if (!find_field(r->fields, r->n_fields, fields[i].name))
            to[added++] = fields[i];
    }
    return added;
}

/* A proxy that forwards is sent its fields with each request; a target that is
 * reached through one, or without one by a client that has one for others,
 * never sees Proxy-Authorization. */
static int
make_fields(draft *d, const hp_request *r, hp_request_head *head, hp_err *err)
{
    size_t own = r->n_fields, theirs = 0;
    bool hide = (d->proxy || r->has_proxies) && !forwards(d) &&
                find_field(r->fields, own, HP_SPAN_LIT("Proxy-Authorization"));
    if (forwards(d))
        hp_proxy_fields(d->proxy, &theirs);
    if (!hide && theirs == 0)
        return 0;
    d->fields = hp_malloc((own + theirs) * sizeof *d->fields);
    if (d->fields == NULL)
        return no_memory(err);
    size_t n = 0;
    for (size_t i = 0; i < own; i++) {
        if (!hide || !is_proxy_authorization(&r->fields[i]))
            d->fields[n++] = r->fields[i];
    }
    if (theirs)
        n += add_proxy_fields(d, r, d->fields + n);
    head->fields = d->fields;
    head->n_fields = n;
    return 0;
}

/* Who forwards needs the whole URL (RFC 9112 3.2.2); "*" is for the server as
 * such, and a URL without a path stands for that (3.2.4). */
static int
add_origin(draft *d, hp_span *target, hp_err *err)
{
    bool star = hp_span_eq(*target, HP_SPAN_LIT("*"));
    if (!star && target->ptr[0] != '/')
        return 0; /* it is whole */
    if (hp_buf_add_cstr(&d->target, "http://") |
        hp_buf_add_span(&d->target, d->url.authority))
        return no_memory(err);
    d->before_path = d->target.len;
    if (!star && hp_buf_add_span(&d->target, *target) != 0)
        return no_memory(err);
    *target = hp_span_of(d->target.ptr, d->target.len);
    return 0;
}

static int
make_target(draft *d, const hp_request *r, hp_span *out, hp_err *err)
{
    if (r->target.len) {
        *out = r->target;
        if (out->ptr[0] != '/') /* there may be a password in it */
            d->before_path = out->len;
    } else if (hp_span_eq(r->method, HP_SPAN_LIT("CONNECT"))) {
        /* host and port and nothing else (RFC 9112 3.2.3) */
        *out = hp_span_of(d->address.ptr, d->address.len);
    } else {
        *out = d->url.target;
    }
    return forwards(d) ? add_origin(d, out, err) : 0;
}

/* ---- the draft ---- */

static int
make_key(draft *d, const hp_request *r, hp_err *err)
{
    if (hp_url_add_address(&d->url, &d->address) != 0 ||
        hp_key_make(&d->key, &d->url, d->proxy, r->tls, r->server_name,
                    &d->key_text) != 0)
        return no_memory(err);
    return 0;
}

static int
write_draft(draft *d, const hp_request *r, bool close, hp_err *err)
{
    if (d->url.https && r->tls == NULL)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "https needs a TLS setting");
    hp_request_head head = {
        .method = r->method,
        .authority = d->url.authority,
        .fields = r->fields,
        .n_fields = r->n_fields,
        .body_length = body_length(&r->source),
        .close = close,
    };
    if (choose_proxy(d, r, err) != 0 || make_key(d, r, err) != 0 ||
        make_target(d, r, &head.target, err) != 0 ||
        make_fields(d, r, &head, err) != 0)
        return -1;
    return hp_request_write(&d->head, &head, &d->facts, &d->promised, err);
}

/* ---- one block ---- */

static hp_span
put(char **at, hp_span s)
{
    hp_span copy = {*at, s.len};
    if (s.len)
        memcpy(*at, s.ptr, s.len);
    (*at)[s.len] = '\0';
    *at += s.len + 1;
    return copy;
}

/* "GET /path" for those who wait for us. `skip` bytes of the target come before
 * the path. */
static void
label(hp_prepared *p, size_t skip)
{
    const char *start = p->head.ptr, *end = start + p->head.len;
    const char *space = memchr(start, ' ', p->head.len);
    const char *target = space + 1 + skip;
    const char *stop = target;
    while (stop < end && *stop != '?' && *stop != ' ')
        stop++;
    p->method = hp_span_of(start, (size_t)(space - start));
    p->path = hp_span_of(target, (size_t)(stop - target));
}

static hp_prepared *
fill(const draft *d, const hp_request *r, bool close)
{
    const hp_span key_text = d->key.text;
    size_t n = d->head.len + key_text.len + d->key.host.len + d->address.len +
               r->server_name.len + r->url.len + r->method.len +
               d->connect_authorization.len + 8;
    hp_prepared *p = hp_malloc(sizeof *p + n);
    if (p == NULL)
        return NULL;
    char *at = (char *)(p + 1);
    *p = (hp_prepared){
        .facts = d->facts,
        .promised = d->promised,
        .key = d->key,
        .proxy_given = r->proxy ? hp_proxy_ref(r->proxy) : NULL,
        .fields_id = r->fields_id,
        .has_proxies = r->has_proxies,
        .close = close,
    };
    atomic_init(&p->refs, 1);
    p->head = put(&at, hp_span_of(d->head.ptr, d->head.len));
    p->key.text = put(&at, key_text);
    p->key.host = put(&at, d->key.host);
    p->address = put(&at, hp_span_of(d->address.ptr, d->address.len));
    p->server_name = p->key.server_name = put(&at, r->server_name);
    p->url = put(&at, r->url);
    p->method_given = put(&at, r->method);
    if (d->connect_authorization.ptr)
        p->connect_authorization = put(&at, d->connect_authorization);
    if (p->key.tls)
        hp_tls_ref(p->key.tls);
    if (p->key.proxy)
        hp_proxy_ref(p->key.proxy);
    label(p, d->before_path);
    return p;
}

static void
draft_clear(draft *d)
{
    hp_buf_free(&d->head);
    hp_buf_free(&d->key_text);
    hp_buf_free(&d->address);
    hp_buf_free(&d->target);
    hp_free(d->fields);
    hp_proxy_unref(d->proxy);
}

static hp_prepared *
draft_and_fill(const hp_request *r, bool close, char *store, hp_err *err)
{
    char head_store[HEAD_ON_STACK], key_store[KEY_ON_STACK];
    char address_store[ADDRESS_ON_STACK];
    draft d = {.promised = -1};
    hp_prepared *p = NULL;
    hp_buf_init(&d.head, head_store, sizeof head_store, SIZE_MAX / 2);
    hp_buf_init(&d.key_text, key_store, sizeof key_store, SIZE_MAX / 2);
    hp_buf_init(&d.address, address_store, sizeof address_store, SIZE_MAX / 2);
    hp_buf_init(&d.target, NULL, 0, SIZE_MAX / 2);
    if (hp_url_parse(r->url, &d.url, store, err) == 0 &&
        write_draft(&d, r, close, err) == 0) {
        p = fill(&d, r, close);
        if (p == NULL)
            no_memory(err);
    }
    draft_clear(&d);
    return p;
}

static hp_prepared *
make(const hp_request *r, bool close, hp_err *err)
{
    char on_stack[HP_URL_STORE_SIZE(URL_ON_STACK)];
    char *store = on_stack;
    if (r->url.len > URL_ON_STACK)
        store = hp_malloc(HP_URL_STORE_SIZE(r->url.len));
    if (store == NULL) {
        no_memory(err);
        return NULL;
    }
    hp_prepared *p = draft_and_fill(r, close, store, err);
    if (store != on_stack)
        hp_free(store);
    return p;
}

void
hp_prepared_unref(hp_prepared *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    hp_tls_unref(p->key.tls);
    hp_proxy_unref(p->key.proxy);
    hp_proxy_unref(p->proxy_given);
    hp_free(p);
}

/* ---- remembering ---- */

void
hp_prepared_cache_init(hp_prepared_cache *c)
{
    memset(c->slots, 0, sizeof c->slots);
    hp_mutex_init(&c->mu);
}

void
hp_prepared_cache_free(hp_prepared_cache *c)
{
    for (int i = 0; i < HP_PREPARED_SLOTS; i++)
        hp_prepared_unref(c->slots[i]);
    hp_mutex_destroy(&c->mu);
}

static bool
matches(const hp_prepared *p, const hp_request *r, bool close)
{
    return p->fields_id == r->fields_id && p->close == close &&
           hp_span_eq(p->url, r->url) &&
           hp_span_eq(p->method_given, r->method) &&
           (p->key.tls == NULL || p->key.tls == r->tls) &&
           p->proxy_given == r->proxy && p->has_proxies == r->has_proxies &&
           hp_span_eq(p->server_name, r->server_name);
}

static hp_prepared *
recall(hp_prepared_cache *c, hp_prepared **slot, const hp_request *r,
       bool close)
{
    hp_lock(&c->mu);
    hp_prepared *p = *slot;
    if (p && matches(p, r, close))
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    else
        p = NULL;
    hp_unlock(&c->mu);
    return p;
}

static void
remember(hp_prepared_cache *c, hp_prepared **slot, hp_prepared *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    hp_lock(&c->mu);
    hp_prepared *old = *slot;
    *slot = p;
    hp_unlock(&c->mu);
    hp_prepared_unref(old);
}

hp_prepared *
hp_prepared_get(hp_prepared_cache *c, const hp_request *r, bool close,
                hp_err *err)
{
    if (r->fields_id == 0 || r->source.kind != HP_SOURCE_NONE || r->target.len)
        return make(r, close, err);
    hp_prepared **slot = &c->slots[hp_hash(r->url) % HP_PREPARED_SLOTS];
    hp_prepared *p = recall(c, slot, r, close);
    if (p)
        return p;
    p = make(r, close, err);
    if (p && p->head.len + p->url.len <= REMEMBERED_MAX)
        remember(c, slot, p);
    return p;
}
