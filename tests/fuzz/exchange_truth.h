/* exchange_truth: what exchange_fuzz.c holds against the exchange: the answer
 * as one look at all the bytes has it, and requests as a server reads them. */
#ifndef HP_TEST_EXCHANGE_TRUTH_H
#define HP_TEST_EXCHANGE_TRUTH_H

#include "fuzz.h"
#include "wire/body.h"
#include "wire/head.h"

/* ---- a single look at what was read ---- */

typedef struct single {
    bool complete;
    size_t used;
    int status, keep_alive_max;
    hp_framing framing;
    size_t n_body;
    char body[FUZZ_MAX];
} single;

static void
look_at_body(char *p, size_t n, bool eof, single *s)
{
    hp_body b;
    hp_err err = {0};
    size_t len = n, used = 0;
    int r = 0;
    hp_body_init(&b, &s->framing);
    if (b.ended || n == 0)
        len = 0;
    else
        r = hp_body_feed(&b, p, &len, &used, &err);
    memcpy(s->body, p, len);
    s->n_body = len;
    s->used += used;
    s->complete = r == 0 && (b.ended || (eof && hp_body_eof(&b, &err) == 0));
    hp_body_free(&b);
}

static void
single_look(const char *data, size_t n, const hp_request_facts *facts, bool eof,
            single *s)
{
    static char copy[FUZZ_MAX];
    hp_head head;
    hp_err err = {0};
    ssize_t got;
    memset(s, 0, offsetof(single, body));
    memcpy(copy, data, n);
    do {
        got = hp_head_parse(copy + s->used, n - s->used, 0, &head, &err);
        if (got <= 0)
            return;
        s->used += (size_t)got;
    } while (hp_head_is_interim(&head));
    s->status = head.status;
    s->keep_alive_max = head.keep_alive_max;
    if (hp_framing_decide(&head, facts, &s->framing, &err) == 0)
        look_at_body(copy + s->used, n - s->used, eof, s);
}

/* ---- what was written ---- */

static bool
skip_chunked(hp_span *rest)
{
    static char copy[FUZZ_MAX];
    hp_chunked c;
    hp_err err = {0};
    size_t len = rest->len, used;
    CHECK(len <= sizeof copy);
    memcpy(copy, rest->ptr, len);
    hp_chunked_init(&c);
    hp_chunked_result r = hp_chunked_decode(&c, copy, &len, &used, &err);
    CHECK(r != HP_CHUNKED_ERROR);
    *rest = hp_span_of(rest->ptr + used, rest->len - used);
    if (r == HP_CHUNKED_MORE || rest->len < 2)
        return false;
    CHECK(memcmp(rest->ptr, "\r\n", 2) == 0);
    *rest = hp_span_of(rest->ptr + 2, rest->len - 2);
    return true;
}

/* Takes a request off; false: it is not whole. */
static bool
take_request(hp_span *rest)
{
    const char *end = memmem(rest->ptr, rest->len, "\r\n\r\n", 4);
    const char *line = memmem(rest->ptr, rest->len, "\r\n", 2);
    if (end == NULL)
        return false;
    hp_span fields = hp_span_of(line + 2, (size_t)(end - line));
    CHECK(memmem(rest->ptr, (size_t)(line - rest->ptr), " HTTP/1.1", 9));
    *rest = hp_span_of(end + 4, rest->len - (size_t)(end + 4 - rest->ptr));
    hp_field f;
    while (hp_field_next(&fields, &f)) {
        if (hp_span_eq_nocase(f.name, HP_SPAN_LIT("transfer-encoding")))
            return skip_chunked(rest);
        if (!hp_span_eq_nocase(f.name, HP_SPAN_LIT("content-length")))
            continue;
        size_t n = strtoul(f.value.ptr, NULL, 10);
        if (n > rest->len)
            return false;
        *rest = hp_span_of(rest->ptr + n, rest->len - n);
    }
    return true;
}

static bool
all_whole(hp_span rest)
{
    while (rest.len && take_request(&rest))
        ;
    return rest.len == 0;
}

#endif
