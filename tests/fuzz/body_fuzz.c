/* Heads, framing and body, as an exchange puts them together, with trailers:
 * whole against cut. The last byte says what was asked for and whether the
 * server closes at the end. */
#include "base/buf.h"
#include "fuzz.h"
#include "wire/body.h"
#include "wire/head.h"

enum {
    IS_HEAD = 1,
    IS_CONNECT = 2,
    WANTS_UPGRADE = 4,
    THEN_CLOSE = 8,
    ROUNDS = 3,
    BYTEWISE_MAX = 512
};

typedef enum state {
    HEAD,
    BODY,
    ENDED,
    FAILED
} state;

typedef struct reading {
    state state;
    uint8_t flags;
    /* HEAD: bytes not parsed yet, up to the edge */
    size_t have, seen;
    int status;
    hp_framing framing;
    hp_body body;
    bool in_body;
    size_t used; /* bytes of the message */
    hp_buf out;
} reading;

static void
feed_body(reading *r, char *p, size_t n)
{
    size_t len = n, used = 0;
    hp_err err = {0};
    if (r->body.ended || n == 0) {
        r->state = r->body.ended ? ENDED : BODY;
        return;
    }
    size_t want = hp_body_want(&r->body);
    int result = hp_body_feed(&r->body, p, &len, &used, &err);
    fuzz_check_err(&err, result != 0);
    CHECK(len <= used && used <= n && len <= want);
    CHECK(result != 0 || used == n || r->body.ended);
    CHECK(hp_buf_add(&r->out, p, len) == 0);
    r->used += used;
    if (result != 0)
        CHECK(err.code == HP_E_CHUNKED);
    if (result != 0 || r->body.ended)
        r->state = result ? FAILED : ENDED;
    CHECK(r->state != ENDED || hp_body_want(&r->body) == 0);
}

static void
accept_head(reading *r, const hp_head *head)
{
    hp_request_facts facts = {.is_head = r->flags & IS_HEAD,
                              .is_connect = r->flags & IS_CONNECT,
                              .wants_upgrade = r->flags & WANTS_UPGRADE};
    hp_err err = {0};
    int result = hp_framing_decide(head, &facts, &r->framing, &err);
    fuzz_check_err(&err, result != 0);
    r->state = result ? FAILED : BODY;
    if (result)
        return;
    r->status = head->status;
    CHECK((r->framing.length >= 0) == (r->framing.kind == HP_BODY_LENGTH));
    CHECK(r->framing.kind != HP_BODY_UNTIL_CLOSE ||
          r->framing.verdict != HP_KEEP);
    hp_body_init(&r->body, &r->framing);
    r->in_body = true;
}

static void
feed_head(reading *r, const uint8_t *p, size_t n)
{
    char *edge = fuzz_edge(), *at = edge - r->have - n;
    memmove(at, edge - r->have, r->have);
    memcpy(edge - n, p, n);
    r->have += n;
    while (r->state == HEAD) {
        hp_head head;
        hp_err err = {0};
        ssize_t done =
            hp_head_parse(edge - r->have, r->have, r->seen, &head, &err);
        r->seen = done > 0 ? 0 : r->have;
        if (done < 0)
            r->state = FAILED;
        if (done <= 0)
            return;
        r->have -= (size_t)done;
        r->used += (size_t)done;
        if (!hp_head_is_interim(&head))
            accept_head(r, &head);
    }
    if (r->state == BODY)
        feed_body(r, edge - r->have, r->have);
}

static void
finish(reading *r)
{
    hp_err err = {0};
    if (r->state != BODY || !(r->flags & THEN_CLOSE))
        return;
    r->state = hp_body_eof(&r->body, &err) == 0 ? ENDED : FAILED;
    fuzz_check_err(&err, r->state == FAILED);
    CHECK_INT(r->state == ENDED, r->framing.kind == HP_BODY_UNTIL_CLOSE);
}

static reading
read_cut(const uint8_t *data, size_t size, uint8_t flags, fuzz_cuts *cuts)
{
    reading r = {.flags = flags};
    hp_buf_init(&r.out, NULL, 0, FUZZ_MAX);
    for (size_t at = 0; at < size && r.state < ENDED;) {
        size_t n = cuts ? fuzz_piece(cuts, size - at) : size;
        if (r.state == HEAD)
            feed_head(&r, data + at, n);
        else
            feed_body(&r, fuzz_place(data + at, n), n);
        at += n;
    }
    finish(&r);
    return r;
}

static void
reading_free(reading *r)
{
    hp_buf_free(&r->out);
    if (r->in_body)
        hp_body_free(&r->body);
}

/* A refusal may be told later when head or trailers come bit by bit. */
static void
check_same(const reading *a, const reading *b)
{
    if (a->state == FAILED && !a->in_body) {
        CHECK(b->state == FAILED || b->state == HEAD);
        CHECK(!b->in_body);
        return;
    }
    if (a->state == FAILED && a->body.in_trailers) {
        CHECK(b->state == FAILED || b->state == BODY);
        CHECK(b->body.in_trailers);
    } else {
        CHECK_INT(a->state, b->state);
    }
    CHECK_INT(a->in_body, b->in_body);
    CHECK_INT(a->status, b->status);
    CHECK(a->state == FAILED || a->used == b->used);
    CHECK(hp_span_eq(hp_span_of(a->out.ptr, a->out.len),
                     hp_span_of(b->out.ptr, b->out.len)));
    if (!a->in_body)
        return;
    CHECK_INT(a->framing.verdict, b->framing.verdict);
    CHECK_INT(hp_body_want(&a->body), hp_body_want(&b->body));
    if (a->state == ENDED)
        CHECK(
            hp_span_eq(hp_span_of(a->body.trailers.ptr, a->body.trailers.len),
                       hp_span_of(b->body.trailers.ptr, b->body.trailers.len)));
}

static void
check_trailers(const reading *r)
{
    hp_span rest = hp_span_of(r->body.trailers.ptr, r->body.trailers.len);
    hp_field f;
    if (r->state != ENDED || !r->in_body)
        return;
    while (hp_field_next(&rest, &f))
        CHECK(fuzz_is_token(f.name) && hp_trailer_allowed(f.name));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > FUZZ_MAX)
        return 0;
    uint8_t flags = data[--size];
    reading whole = read_cut(data, size, flags, NULL);
    check_trailers(&whole);
    for (unsigned i = size > BYTEWISE_MAX; i < ROUNDS; i++) {
        fuzz_cuts cuts = fuzz_cuts_of(data, size, i);
        reading cut = read_cut(data, size, flags, &cuts);
        check_same(&whole, &cut);
        reading_free(&cut);
    }
    reading_free(&whole);
    return 0;
}
