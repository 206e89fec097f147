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
    REMEMBERED_MAX = 4096 /* bytes of URL and head worth keeping */
};

/* What is gathered before the one block is allocated. */
typedef struct draft {
    hp_url url;
    hp_buf head, key_text;
    hp_key key;
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

/* CONNECT names host and port and nothing else (RFC 9112 3.2.3). */
static hp_span
target_of(const draft *d, const hp_request *r)
{
    if (hp_span_eq(r->method, HP_SPAN_LIT("CONNECT")))
        return hp_key_address(d->key.text);
    return d->url.target;
}

static int
write_draft(draft *d, const hp_request *r, bool close, hp_err *err)
{
    if (d->url.https && r->tls == NULL)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "https needs a TLS setting");
    if (hp_key_make(&d->key, &d->url, r->tls, r->server_name, &d->key_text))
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    hp_request_head head = {
        .method = r->method,
        .target = target_of(d, r),
        .authority = d->url.authority,
        .fields = r->fields,
        .n_fields = r->n_fields,
        .body_length = body_length(&r->source),
        .close = close,
    };
    return hp_request_write(&d->head, &head, &d->facts, &d->promised, err);
}

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

/* "GET /path" for those who wait for us. */
static void
label(hp_prepared *p)
{
    const char *start = p->head.ptr, *end = start + p->head.len;
    const char *target = memchr(start, ' ', p->head.len);
    const char *stop = ++target;
    while (stop < end && *stop != '?' && *stop != ' ')
        stop++;
    p->method = hp_span_of(start, (size_t)(target - 1 - start));
    p->path = hp_span_of(target, (size_t)(stop - target));
}

static hp_prepared *
fill(const draft *d, const hp_request *r, bool close)
{
    const hp_span key_text = d->key.text;
    size_t n = d->head.len + key_text.len + d->url.host.len +
               r->server_name.len + r->url.len + r->method.len + 6;
    hp_prepared *p = hp_malloc(sizeof *p + n);
    if (p == NULL)
        return NULL;
    char *at = (char *)(p + 1);
    *p = (hp_prepared){
        .facts = d->facts,
        .promised = d->promised,
        .key = d->key,
        .fields_id = r->fields_id,
        .close = close,
    };
    atomic_init(&p->refs, 1);
    p->head = put(&at, hp_span_of(d->head.ptr, d->head.len));
    p->key.text = put(&at, key_text);
    p->key.host = put(&at, d->url.host);
    p->server_name = p->key.server_name = put(&at, r->server_name);
    p->url = put(&at, r->url);
    p->method_given = put(&at, r->method);
    if (p->key.tls)
        hp_tls_ref(p->key.tls);
    label(p);
    return p;
}

static hp_prepared *
draft_and_fill(const hp_request *r, bool close, char *store, hp_err *err)
{
    char head_store[HEAD_ON_STACK], key_store[KEY_ON_STACK];
    draft d = {.promised = -1};
    hp_prepared *p = NULL;
    hp_buf_init(&d.head, head_store, sizeof head_store, SIZE_MAX / 2);
    hp_buf_init(&d.key_text, key_store, sizeof key_store, SIZE_MAX / 2);
    if (hp_url_parse(r->url, &d.url, store, err) == 0 &&
        write_draft(&d, r, close, err) == 0) {
        p = fill(&d, r, close);
        if (p == NULL)
            hp_err_set(err, HP_E_NOMEM, "out of memory");
    }
    hp_buf_free(&d.head);
    hp_buf_free(&d.key_text);
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
        hp_err_set(err, HP_E_NOMEM, "out of memory");
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
    if (r->fields_id == 0 || r->source.kind != HP_SOURCE_NONE)
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
