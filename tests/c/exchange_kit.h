/* exchange_kit: exchanges over scripted streams, turned by hand. A scripted
 * stream is never ready, so nothing here may wait: a step that asks for a wait
 * is simply stepped again, up to a bound, and what it waited for is in k->w.
 *
 *   kit k;
 *   kit_init(&k);
 *   PLAY(&k, SCRIPT_BYTES("HTTP/1.1 204 No Content\r\n\r\n"));
 *   hp_exchange *ex = kit_new(&k);        k.r was the request
 *   CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
 *   ...
 *   kit_free(&k);
 */
#ifndef HP_TEST_EXCHANGE_KIT_H
#define HP_TEST_EXCHANGE_KIT_H

#include "run/exchange.h"
#include "script_stream.h"
#include "test.h"

enum {
    KIT_SCRIPTS = 8,
    KIT_FIELDS = 8,
    KIT_PATIENCE = 2000 /* steps that wait, in a row */
};

typedef struct kit {
    hp_transport_config config;
    hp_transport *t; /* made by the first kit_new */
    hp_request r;    /* the next request */
    hp_field fields[KIT_FIELDS];
    script scripts[KIT_SCRIPTS]; /* one per connection, in order */
    script_queue queue;
    hp_wait w;                 /* of the last step */
    hp_ns after_wait;          /* the clock goes on by this at each wait */
    const char *const *pieces; /* of a produced body, NULL at the end */
    int next_piece, rewinds;
    hp_buf body; /* what kit_read collected */
    hp_err err;  /* of new and feed */
} kit;

static inline void
kit_init(kit *k)
{
    *k = (kit){.queue.scripts = k->scripts};
    hp_transport_config_default(&k->config);
    k->config.limits.drain_bytes = 0; /* the keeper would be another thread */
    hp_request_init(&k->r);
    k->r.url = HP_SPAN_LIT("http://h/p?q");
    hp_buf_init(&k->body, NULL, 0, SIZE_MAX / 2);
}

static inline void
kit_free(kit *k)
{
    hp_transport_unref(k->t);
    for (int i = 0; i < k->queue.n; i++) {
        CHECK_INT(k->scripts[i].closed, k->scripts[i].opened);
        script_free(&k->scripts[i]);
    }
    hp_buf_free(&k->body);
}

/* One more connection, playing this. */
static inline void
kit_play(kit *k, const script_event *events, size_t n)
{
    CHECK(k->queue.n < KIT_SCRIPTS);
    script_init(&k->scripts[k->queue.n++], events, n);
}

#define PLAY(k, ...)                                                           \
    do {                                                                       \
        static const script_event events_[] = {__VA_ARGS__};                   \
        kit_play(k, events_, sizeof events_ / sizeof *events_);                \
    } while (0)

static inline void
kit_field(kit *k, const char *name, const char *value)
{
    CHECK(k->r.n_fields < KIT_FIELDS);
    k->fields[k->r.n_fields++] =
        (hp_field){hp_span_cstr(name), hp_span_cstr(value)};
    k->r.fields = k->fields;
}

static inline void
kit_post(kit *k, const char *body)
{
    k->r.method = HP_SPAN_LIT("POST");
    k->r.source =
        (hp_source){.kind = HP_SOURCE_BYTES, .ptr = body, .len = strlen(body)};
}

/* `pieces` ends in NULL; length < 0 makes it chunked. */
static inline void
kit_produce(kit *k, const char *const *pieces, int64_t length)
{
    k->r.method = HP_SPAN_LIT("POST");
    k->r.source =
        (hp_source){.kind = HP_SOURCE_PRODUCED,
                    .length = length < 0 ? HP_BODY_LENGTH_UNKNOWN : length};
    k->pieces = pieces;
    k->next_piece = 0;
}

/* NULL with k->err. */
static inline hp_exchange *
kit_try(kit *k)
{
    hp_err_clear(&k->err);
    if (k->t == NULL)
        k->t = hp_transport_new(&k->config, &k->err);
    hp_exchange *ex = k->t ? hp_exchange_new(k->t, &k->r, &k->err) : NULL;
    if (ex) {
        ex->key.open_stream = script_open_next;
        ex->key.open_arg = &k->queue;
    }
    return ex;
}

static inline hp_exchange *
kit_new(kit *k)
{
    hp_exchange *ex = kit_try(k);
    CHECK(ex);
    return ex;
}

/* GO_ON: answered. */
static inline hp_go
kit_answer(kit *k, hp_exchange *ex, hp_go go)
{
    if (go == HP_GO_REWIND) {
        k->rewinds++;
        k->next_piece = 0;
        hp_exchange_rewound(ex);
    }
    if (go == HP_GO_PIECE) {
        const char *piece = k->pieces[k->next_piece];
        k->next_piece += piece != NULL;
        if (hp_exchange_feed(ex, piece, piece ? strlen(piece) : 0, &k->err))
            return HP_GO_ERROR;
    }
    return HP_GO_ON;
}

/* Until something else than waiting and feeding; GO_WAIT: nothing comes. */
static inline hp_go
kit_head(kit *k, hp_exchange *ex)
{
    for (int waits = 0; waits < KIT_PATIENCE;) {
        hp_go go = hp_ex_step_head(ex, NULL, &k->w);
        if (go == HP_GO_WAIT) {
            waits++;
            if (k->after_wait)
                hp_clock_advance(k->after_wait);
        } else if (kit_answer(k, ex, go) == HP_GO_ERROR) {
            return HP_GO_ERROR;
        } else if (go != HP_GO_PIECE && go != HP_GO_REWIND &&
                   go != HP_GO_BUSY) {
            return go;
        }
    }
    return HP_GO_WAIT;
}

/* One read of up to `cap` bytes, appended to k->body. */
static inline hp_go
kit_read(kit *k, hp_exchange *ex, size_t cap, bool raw, size_t *got)
{
    CHECK(hp_buf_reserve(&k->body, cap + 1) == 0);
    char *to = k->body.ptr + k->body.len;
    for (int waits = 0; waits < KIT_PATIENCE;) {
        hp_go go = hp_ex_step_read(ex, &k->w, to, cap, raw, got);
        CHECK(*got <= cap);
        CHECK(*got == 0 || go == HP_GO_DONE);
        k->body.len += *got;
        if (go == HP_GO_DONE || go == HP_GO_ERROR)
            return go;
        CHECK(go != HP_GO_REWIND && go != HP_GO_ON);
        if (go == HP_GO_PIECE && kit_answer(k, ex, go) == HP_GO_ERROR)
            return HP_GO_ERROR;
        waits += go == HP_GO_WAIT;
        if (go == HP_GO_WAIT && k->after_wait)
            hp_clock_advance(k->after_wait);
    }
    return HP_GO_WAIT;
}

/* The rest of the body, `cap` bytes at a time. */
static inline hp_go
kit_body(kit *k, hp_exchange *ex, size_t cap, bool raw)
{
    hp_go go;
    size_t got;
    do
        go = kit_read(k, ex, cap, raw, &got);
    while (go == HP_GO_DONE && got);
    return go;
}

/* The time after the response when the upload goes on. */
static inline hp_go
kit_grace(kit *k, hp_exchange *ex)
{
    for (int waits = 0; waits < KIT_PATIENCE && ex->state == HP_EX_GRACE;) {
        hp_go go = hp_ex_step_grace(ex, &k->w);
        waits += go == HP_GO_WAIT;
        if (kit_answer(k, ex, go) == HP_GO_ERROR)
            return HP_GO_ERROR;
    }
    return ex->state == HP_EX_DONE ? HP_GO_DONE : HP_GO_WAIT;
}

static inline hp_conn_facts
kit_facts(const hp_exchange *ex)
{
    hp_conn_facts f;
    hp_exchange_facts(ex, &f);
    return f;
}

static inline hp_span
kit_text(const kit *k)
{
    return hp_span_of(k->body.ptr, k->body.len);
}

/* Given up for this reason. */
#define CHECK_RELEASED(ex, why)                                                \
    do {                                                                       \
        CHECK(kit_facts(ex).released);                                         \
        CHECK_STR(hp_close_reason_name(kit_facts(ex).release),                 \
                  hp_close_reason_name(why));                                  \
    } while (0)

#define CHECK_ERR(ex, errc)                                                    \
    CHECK_STR(hp_errc_name((ex)->err.code), hp_errc_name(errc))

/* A whole GET that must succeed: status 200 and this body. */
static inline void
kit_get_ok(kit *k, const char *body)
{
    hp_exchange *ex = kit_new(k);
    CHECK_INT(kit_head(k, ex), HP_GO_DONE);
    CHECK_INT(hp_exchange_head(ex)->status, 200);
    k->body.len = 0;
    CHECK_INT(kit_body(k, ex, 8192, true), HP_GO_DONE);
    CHECK_SPAN(kit_text(k), body);
    hp_exchange_free(ex);
}

#endif
