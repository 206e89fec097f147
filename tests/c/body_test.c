#include "wire/body.h"

#include "base/mem.h"
#include "guard.h"
#include "test.h"
#include "wire/head.h"

static hp_body
body_of(hp_body_kind kind, int64_t length)
{
    hp_body b;
    hp_framing f = {.kind = kind, .length = length};
    hp_body_init(&b, &f);
    return b;
}

/* Feeds text in pieces of `step` up to the end or an error; the result, the
 * body bytes and how many input bytes were used. */
static int
feed(hp_body *b, const char *text, size_t step, char *out, size_t *used,
     hp_err *err)
{
    size_t n = strlen(text), made = 0;
    int r = 0;
    *used = 0;
    while (r == 0 && !b->ended && *used < n) {
        size_t piece = n - *used < step ? n - *used : step, len = piece, took;
        char *buf = guard_copy(text + *used, piece);
        r = hp_body_feed(b, buf, &len, &took, err);
        CHECK(len <= took && took <= piece);
        CHECK(r != 0 || took == piece || b->ended);
        memcpy(out + made, buf, len);
        made += len;
        *used += took;
        guard_free(buf, piece);
    }
    out[made] = '\0';
    return r;
}

static void
check_good(hp_body_kind kind, int64_t length, const char *text,
           const char *want, const char *trailers, size_t leftover)
{
    for (size_t step = 1; step <= strlen(text); step++) {
        hp_body b = body_of(kind, length);
        char out[256];
        size_t used;
        hp_err err = {0};
        CHECK_INT(feed(&b, text, step, out, &used, &err), 0);
        CHECK(b.ended);
        CHECK_STR(out, want);
        CHECK_INT(b.trailers.len, strlen(trailers));
        CHECK(b.trailers.len == 0 ||
              memcmp(b.trailers.ptr, trailers, b.trailers.len) == 0);
        CHECK_INT(strlen(text) - used, leftover);
        CHECK_INT(hp_body_want(&b), 0);
        CHECK_INT(hp_body_eof(&b, &err), 0);
        hp_body_free(&b);
    }
}

static void
check_bad(const char *text, const char *want)
{
    for (size_t step = 1; step <= strlen(text); step++) {
        hp_body b = body_of(HP_BODY_CHUNKED, -1);
        char out[256];
        size_t used;
        hp_err err = {0};
        CHECK_INT(feed(&b, text, step, out, &used, &err), -1);
        CHECK_INT(err.code, HP_E_CHUNKED);
        CHECK_STR(out, want);
        CHECK(!b.ended);
        hp_body_free(&b);
    }
}

static void
check_cut(hp_body_kind kind, int64_t length, const char *text,
          const char *words)
{
    for (size_t step = 1; step <= strlen(text) + 1; step++) {
        hp_body b = body_of(kind, length);
        char out[256];
        size_t used;
        hp_err err = {0};
        CHECK_INT(feed(&b, text, step, out, &used, &err), 0);
        CHECK_INT(used, strlen(text));
        CHECK_INT(hp_body_eof(&b, &err), -1);
        CHECK_INT(err.code, HP_E_INCOMPLETE_BODY);
        CHECK_STR(err.text, words);
        hp_body_free(&b);
    }
}

static void
no_body_ends_at_once(void)
{
    CHECK(body_of(HP_BODY_NONE, -1).ended);
    CHECK(body_of(HP_BODY_TUNNEL, -1).ended);
    CHECK(body_of(HP_BODY_LENGTH, 0).ended);
    CHECK(!body_of(HP_BODY_LENGTH, 1).ended);
    CHECK(!body_of(HP_BODY_CHUNKED, -1).ended);
    CHECK(!body_of(HP_BODY_UNTIL_CLOSE, -1).ended);
}

static void
known_length(void)
{
    check_good(HP_BODY_LENGTH, 5, "hello", "hello", "", 0);
    check_good(HP_BODY_LENGTH, 5, "helloHTTP/1.1", "hello", "", 8);
    check_cut(HP_BODY_LENGTH, 7, "hello",
              "connection closed with 2 bytes of the body still to come");
}

static void
wanted_bytes(void)
{
    hp_body b = body_of(HP_BODY_LENGTH, 7);
    char text[] = "hel";
    size_t len = 3, used;
    CHECK_INT(hp_body_want(&b), 7);
    CHECK_INT(hp_body_feed(&b, text, &len, &used, NULL), 0);
    CHECK_INT(hp_body_want(&b), 4);
    b = body_of(HP_BODY_LENGTH, INT64_MAX);
    CHECK(hp_body_want(&b) == INT64_MAX);
    b = body_of(HP_BODY_CHUNKED, -1);
    CHECK(hp_body_want(&b) == SIZE_MAX);
    b = body_of(HP_BODY_UNTIL_CLOSE, -1);
    CHECK(hp_body_want(&b) == SIZE_MAX);
}

static void
until_close(void)
{
    hp_body b = body_of(HP_BODY_UNTIL_CLOSE, -1);
    char out[64];
    size_t used;
    hp_err err = {0};
    CHECK_INT(feed(&b, "all of it", 4, out, &used, &err), 0);
    CHECK_STR(out, "all of it");
    CHECK(!b.ended);
    CHECK_INT(hp_body_eof(&b, &err), 0);
    CHECK(b.ended);
}

static void
chunked(void)
{
    check_good(HP_BODY_CHUNKED, -1, "5\r\nhello\r\n0\r\n\r\n", "hello", "", 0);
    check_good(HP_BODY_CHUNKED, -1, "0\r\n\r\nHTTP/1.1", "", "", 8);
    check_bad("5\r\nhelloX", "hello");
    check_bad("5\r\nhello\r\n\r\n", "hello");
    check_cut(HP_BODY_CHUNKED, -1, "",
              "connection closed before the last "
              "chunk");
    check_cut(HP_BODY_CHUNKED, -1, "5\r\nhel",
              "connection closed with 2 bytes of a chunk still to come");
    check_cut(HP_BODY_CHUNKED, -1, "5\r\nhello\r\n0\r",
              "connection closed before the last chunk");
    check_cut(HP_BODY_CHUNKED, -1, "0\r\n",
              "connection closed in the "
              "trailers");
    check_cut(HP_BODY_CHUNKED, -1, "0\r\n\r",
              "connection closed in the "
              "trailers");
    check_cut(HP_BODY_CHUNKED, -1, "0\r\na: b\r\n",
              "connection closed in the trailers");
}

static void
trailers_are_kept(void)
{
    check_good(HP_BODY_CHUNKED, -1,
               "2\r\nhi\r\n0\r\nA: b\r\nC:d\r\n\r\nHTTP/1.1 400 x\r\n\r\n",
               "hi", "A: b\r\nC:d\r\n", 18);
    check_good(HP_BODY_CHUNKED, -1, "0\r\nA: b\r\n c\r\n\r\n", "",
               "A: b   c\r\n", 0);
    check_good(HP_BODY_CHUNKED, -1,
               "0\r\nContent-Length: 5\r\nA: b\r\nHOST: x\r\nC: d\r\n\r\n", "",
               "A: b\r\nC: d\r\n", 0);
    check_good(HP_BODY_CHUNKED, -1, "0\r\nTransfer-Encoding: x\r\n\r\n", "", "",
               0);
    check_bad("2\r\nhi\r\n0\r\nno colon\r\n\r\n", "hi");
    check_bad("0\r\n\n", "");
    check_bad("0\r\n\rx", "");
    check_bad("0\r\n a: b\r\n\r\n", "");
}

/* A trailer block of n bytes in all. */
static int
feed_trailers_of(size_t n, size_t step, hp_err *err)
{
    size_t len = n + 3;
    char *text = malloc(len + 1);
    CHECK(text);
    memset(text, 'x', len);
    memcpy(text, "0\r\nA: ", 6);
    memcpy(text + len - 4, "\r\n\r\n", 5);
    hp_body b = body_of(HP_BODY_CHUNKED, -1);
    char out[8];
    size_t used;
    int r = feed(&b, text, step, out, &used, err);
    CHECK_INT(b.ended, r == 0);
    hp_body_free(&b);
    free(text);
    return r;
}

static void
trailers_are_limited(void)
{
    const size_t steps[] = {64, 4096, 100000};
    for (int i = 0; i < 3; i++) {
        hp_err err = {0};
        CHECK_INT(feed_trailers_of(HP_TRAILERS_MAX, steps[i], &err), 0);
        CHECK_INT(feed_trailers_of(HP_TRAILERS_MAX + 1, steps[i], &err), -1);
        CHECK_INT(err.code, HP_E_CHUNKED);
    }
}

static void
memory_is_asked_for_trailers_only(void)
{
    char out[8];
    size_t used;
    hp_err err = {0};
    hp_body b = body_of(HP_BODY_CHUNKED, -1);
    hp_mem_fail_after(0);
    CHECK_INT(feed(&b, "1\r\nx\r\n0\r\n\r\n", 1, out, &used, &err), 0);
    CHECK(b.ended);
    b = body_of(HP_BODY_CHUNKED, -1);
    CHECK_INT(feed(&b, "1\r\nx\r\n0\r\na: b\r\n\r\n", 99, out, &used, &err),
              -1);
    hp_mem_fail_after(-1);
    CHECK_INT(err.code, HP_E_NOMEM);
    CHECK_STR(out, "x");
    hp_body_free(&b);
}

int
main(void)
{
    RUN(no_body_ends_at_once);
    RUN(known_length);
    RUN(wanted_bytes);
    RUN(until_close);
    RUN(chunked);
    RUN(trailers_are_kept);
    RUN(trailers_are_limited);
    RUN(memory_is_asked_for_trailers_only);
    DONE();
}
