/* corpus_rows: the response corpus as gen_corpus.py has packed it, what came of
 * a row, and how that is judged. tests/corpus/README.md says what a row asks
 * for. For corpus_test and exchange_corpus_test. */
#ifndef HP_TEST_CORPUS_ROWS_H
#define HP_TEST_CORPUS_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "test.h"
#include "wire/head.h"

enum {
    EXPECT_OK,
    EXPECT_ERROR,
    EXPECT_EITHER
};
enum {
    PREFER_NONE,
    PREFER_OK,
    PREFER_ERROR
};
enum {
    REUSE_NO,
    REUSE_YES,
    REUSE_FREE
};

enum {
    ROW_MAX = 1 << 20 /* longer than any row */
};

typedef struct row {
    int32_t status;
    unsigned char then_close, expect, prefer, reusable, has_headers, has_body;
    hp_span id, method, bytes, headers, body;
} row;

typedef struct outcome {
    bool ok, in_body; /* in_body: the head was accepted */
    int status;
    bool reusable;
    hp_buf headers, body, trailers;
} outcome;

static struct {
    int rows, hard, preferred, prefer_of, reuse, splits;
} score;

/* ---- the file ---- */

static char *
read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        exit(2);
    }
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*len);
    CHECK(bytes && fread(bytes, 1, *len, f) == *len);
    fclose(f);
    return bytes;
}

static const char *
take(hp_span *rest, size_t n)
{
    const char *p = rest->ptr;
    CHECK(n <= rest->len);
    rest->ptr += n;
    rest->len -= n;
    return p;
}

static uint32_t
take_u32(hp_span *rest)
{
    const unsigned char *p = (const unsigned char *)take(rest, 4);
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static hp_span
take_blob(hp_span *rest)
{
    size_t n = take_u32(rest);
    return hp_span_of(take(rest, n), n);
}

static row
take_row(hp_span *rest)
{
    row r = {.status = (int32_t)take_u32(rest)};
    const unsigned char *flags = (const unsigned char *)take(rest, 6);
    r.then_close = flags[0];
    r.expect = flags[1];
    r.prefer = flags[2];
    r.reusable = flags[3];
    r.has_headers = flags[4];
    r.has_body = flags[5];
    r.id = take_blob(rest);
    r.method = take_blob(rest);
    r.bytes = take_blob(rest);
    r.headers = take_blob(rest);
    r.body = take_blob(rest);
    CHECK(r.bytes.len <= ROW_MAX);
    return r;
}

/* ---- outcomes ---- */

static void
outcome_init(outcome *o)
{
    *o = (outcome){0};
    hp_buf_init(&o->headers, NULL, 0, 2 * ROW_MAX);
    hp_buf_init(&o->body, NULL, 0, 2 * ROW_MAX);
    hp_buf_init(&o->trailers, NULL, 0, 2 * ROW_MAX);
}

static void
outcome_free(outcome *o)
{
    hp_buf_free(&o->headers);
    hp_buf_free(&o->body);
    hp_buf_free(&o->trailers);
}

static hp_span
held(const hp_buf *b)
{
    return hp_span_of(b->ptr, b->len);
}

static bool
same(const outcome *a, const outcome *b)
{
    if (!a->ok && !b->ok)
        return a->in_body == b->in_body;
    return a->ok == b->ok && a->status == b->status &&
           a->reusable == b->reusable &&
           hp_span_eq(held(&a->headers), held(&b->headers)) &&
           hp_span_eq(held(&a->body), held(&b->body)) &&
           hp_span_eq(held(&a->trailers), held(&b->trailers));
}

/* The line gen_corpus.py makes of a field. */
static void
add_header(hp_buf *out, hp_field f)
{
    if (hp_span_eq_nocase(f.name, HP_SPAN_LIT("content-length")) ||
        hp_span_eq_nocase(f.name, HP_SPAN_LIT("transfer-encoding")))
        return;
    CHECK(hp_buf_reserve(out, f.name.len + f.value.len + 2) == 0);
    for (size_t i = 0; i < f.name.len; i++)
        out->ptr[out->len++] = hp_ascii_lower(f.name.ptr[i]);
    out->ptr[out->len++] = ':';
    bool blank = false;
    for (size_t i = 0; i < f.value.len; i++) {
        char c = f.value.ptr[i] == '\t' ? ' ' : f.value.ptr[i];
        if (!(blank && c == ' '))
            out->ptr[out->len++] = c;
        blank = c == ' ';
    }
    out->ptr[out->len++] = '\n';
}

/* ---- judging ---- */

static void
complain(const row *r, const char *what, size_t at)
{
    fprintf(stderr, "%.*s: %s", (int)r->id.len, r->id.ptr, what);
    if (at)
        fprintf(stderr, " (cut at %zu)", at);
    fputc('\n', stderr);
}

static const char *
hard_failure(const row *r, const outcome *o)
{
    if (!o->ok)
        return r->expect == EXPECT_OK ? "refused" : NULL;
    if (r->expect == EXPECT_ERROR)
        return "accepted";
    if (r->status >= 0 && o->status != r->status)
        return "wrong status";
    if (r->has_headers && !hp_span_eq(held(&o->headers), r->headers))
        return "wrong headers";
    if (r->has_body && !hp_span_eq(held(&o->body), r->body))
        return "wrong body";
    return NULL;
}

static void
judge(const row *r, const outcome *o)
{
    const char *failure = hard_failure(r, o);
    if (failure) {
        score.hard++;
        complain(r, failure, 0);
    }
    if (r->expect == EXPECT_EITHER && r->prefer != PREFER_NONE) {
        bool hit = o->ok == (r->prefer == PREFER_OK);
        score.prefer_of++;
        score.preferred += hit;
        if (!hit)
            complain(r, o->ok ? "better refused" : "better accepted", 0);
    }
    if (o->ok && r->reusable != REUSE_FREE &&
        o->reusable != (r->reusable == REUSE_YES)) {
        score.reuse++;
        complain(r, o->reusable ? "reused" : "not reused", 0);
    }
}

/* ---- all rows ---- */

static void
corpus_each(const char *path, void (*hold)(const row *))
{
    size_t len;
    char *bytes = read_file(path, &len);
    hp_span rest = hp_span_of(bytes, len);
    CHECK(memcmp(take(&rest, 4), "HPC1", 4) == 0);
    for (uint32_t n = take_u32(&rest); n > 0; n--) {
        row r = take_row(&rest);
        hold(&r);
        score.rows++;
    }
    CHECK_INT(rest.len, 0);
    free(bytes);
}

static const char *
corpus_path(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : getenv("HP_CORPUS");
    return path ? path : "build/c/corpus.bin";
}

static void
corpus_verdict(void)
{
    printf("%d rows, %d hard failures, %d of %d preferred, "
           "%d reuse mismatches, %d split differences\n",
           score.rows, score.hard, score.preferred, score.prefer_of,
           score.reuse, score.splits);
    CHECK(score.rows > 0);
    CHECK_INT(score.hard, 0);
    CHECK_INT(score.reuse, 0);
    CHECK_INT(score.splits, 0);
    CHECK(score.preferred * 100 >= score.prefer_of * 95);
}

#endif
