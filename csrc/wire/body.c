#include "wire/body.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "wire/head.h"

void
hp_body_init(hp_body *b, const hp_framing *f)
{
    *b = (hp_body){.kind = f->kind, .left = -1};
    hp_chunked_init(&b->chunked);
    hp_buf_init(&b->trailers, NULL, 0, HP_TRAILERS_MAX);
    if (f->kind == HP_BODY_LENGTH)
        b->left = f->length;
    b->ended =
        f->kind == HP_BODY_NONE || f->kind == HP_BODY_TUNNEL || b->left == 0;
}

void
hp_body_free(hp_body *b)
{
    hp_buf_free(&b->trailers);
}

static void
feed_length(hp_body *b, size_t *len, size_t *used)
{
    if ((uint64_t)*len > (uint64_t)b->left)
        *len = (size_t)b->left;
    b->left -= (int64_t)*len;
    b->ended = b->left == 0;
    *used = *len;
}

/* A block that starts with CR can only be the empty line: no buffer, though
 * the CR may come alone (trailers_seen then remembers it). */
static int
feed_empty_line(hp_body *b, const char *p, size_t n, size_t *used, hp_err *err)
{
    size_t i = b->trailers_seen == 0;
    b->trailers_seen = 1;
    *used = i;
    if (i == n)
        return 0;
    if (p[i] != '\n')
        return hp_err_set(err, HP_E_CHUNKED,
                          "malformed trailers: CR without LF");
    *used = i + 1;
    b->ended = true;
    return 0;
}

/* Cuts the block down to the lines of fields that mean something here. */
static void
keep_allowed(hp_buf *block, size_t lines_len)
{
    hp_span rest = hp_span_of(block->ptr, lines_len);
    hp_field field;
    block->len = 0;
    for (const char *line = rest.ptr; hp_field_next(&rest, &field);
         line = rest.ptr) {
        size_t n = (size_t)(rest.ptr - line);
        if (!hp_trailer_allowed(field.name))
            continue;
        memmove(block->ptr + block->len, line, n);
        block->len += n;
    }
}

/* RFC 9112 7.1.2. What was appended beyond the end of the block is dropped
 * from the copy and reported as unused. */
static int
feed_trailers(hp_body *b, const char *p, size_t n, size_t *used, hp_err *err)
{
    hp_buf *block = &b->trailers;
    size_t before = block->len, room = block->max - before;
    *used = 0;
    if (n == 0)
        return 0;
    if (before == 0 && (b->trailers_seen == 1 || *p == '\r'))
        return feed_empty_line(b, p, n, used, err);
    if (n > room)
        n = room;
    if (hp_buf_add(block, p, n) != 0)
        return hp_err_set(err, HP_E_NOMEM, "no memory for trailers");
    ssize_t end =
        hp_trailers_parse(block->ptr, block->len, b->trailers_seen, err);
    if (end < 0)
        return -1;
    b->trailers_seen = block->len;
    *used = n;
    if (end == 0 && block->len == block->max)
        return hp_err_set(err, HP_E_CHUNKED, "trailers of over %d bytes",
                          HP_TRAILERS_MAX);
    if (end == 0)
        return 0;
    assert((size_t)end > before);
    *used = (size_t)end - before;
    keep_allowed(block, (size_t)end - 2);
    b->ended = true;
    return 0;
}

static int
feed_chunked(hp_body *b, char *buf, size_t *len, size_t *used, hp_err *err)
{
    size_t n = *len, chunks = 0, trailers;
    if (b->in_trailers) {
        *len = 0;
    } else {
        hp_chunked_result r =
            hp_chunked_decode(&b->chunked, buf, len, &chunks, err);
        *used = chunks;
        if (r != HP_CHUNKED_TRAILERS)
            return r == HP_CHUNKED_ERROR ? -1 : 0;
        b->in_trailers = true;
    }
    int r = feed_trailers(b, buf + chunks, n - chunks, &trailers, err);
    *used = chunks + trailers;
    return r;
}

int
hp_body_feed(hp_body *b, char *buf, size_t *len, size_t *used, hp_err *err)
{
    assert(!b->ended);
    if (b->kind == HP_BODY_CHUNKED)
        return feed_chunked(b, buf, len, used, err);
    if (b->kind == HP_BODY_LENGTH)
        feed_length(b, len, used);
    else
        *used = *len; /* UNTIL_CLOSE takes all there is */
    return 0;
}

int
hp_body_eof(hp_body *b, hp_err *err)
{
    if (b->ended)
        return 0;
    if (b->kind == HP_BODY_UNTIL_CLOSE) {
        b->ended = true;
        return 0;
    }
    if (b->kind == HP_BODY_LENGTH)
        return hp_err_set(err, HP_E_INCOMPLETE_BODY,
                          "connection closed with %" PRId64
                          " bytes of the body still to come",
                          b->left);
    if (b->in_trailers)
        return hp_err_set(err, HP_E_INCOMPLETE_BODY,
                          "connection closed in the trailers");
    uint64_t missing = hp_chunked_missing(&b->chunked);
    if (missing)
        return hp_err_set(err, HP_E_INCOMPLETE_BODY,
                          "connection closed with %" PRIu64
                          " bytes of a chunk still to come",
                          missing);
    return hp_err_set(err, HP_E_INCOMPLETE_BODY,
                      "connection closed before the last chunk");
}

size_t
hp_body_want(const hp_body *b)
{
    if (b->ended)
        return 0;
    if (b->kind != HP_BODY_LENGTH || (uint64_t)b->left > SIZE_MAX)
        return SIZE_MAX;
    return (size_t)b->left;
}
