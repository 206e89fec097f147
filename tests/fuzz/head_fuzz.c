/* The response head: whole, byte by byte and cut at random it must be read
 * alike; what is accepted must be what RFC 9112 calls a head. */
#include "fuzz.h"
#include "wire/head.h"

typedef struct reading {
    ssize_t n;
    hp_head head;
    char *at; /* the bytes, unfolded; until the next reading */
} reading;

enum {
    ROUNDS = 3,
    BYTEWISE_MAX = 512
};

static reading
read_prefix(const uint8_t *data, size_t len)
{
    reading r = {.at = fuzz_place(data, len)};
    hp_err err = {0};
    r.n = hp_head_parse(r.at, len, 0, &r.head, &err);
    CHECK(r.n <= (ssize_t)len);
    fuzz_check_err(&err, r.n < 0);
    CHECK_INT(r.head.fault != HP_HEAD_OK, r.n < 0);
    return r;
}

/* Up to the first call that does not want more, or the end. */
static reading
read_cut(const uint8_t *data, size_t len, fuzz_cuts cuts)
{
    reading r = {.at = fuzz_edge()};
    size_t have = 0, seen = 0;
    while (r.n == 0 && have < len) {
        size_t piece = fuzz_piece(&cuts, len - have);
        hp_err err = {0};
        memmove(r.at - piece, r.at, have);
        r.at -= piece;
        memcpy(r.at + have, data + have, piece);
        have += piece;
        r.n = hp_head_parse(r.at, have, seen, &r.head, &err);
        fuzz_check_err(&err, r.n < 0);
        CHECK(r.n <= (ssize_t)have);
        seen = have;
    }
    return r;
}

/* ---- what an accepted head is ---- */

static hp_span
take_line(hp_span *rest)
{
    for (size_t i = 0; i + 1 < rest->len; i++) {
        if (rest->ptr[i] != '\r' || rest->ptr[i + 1] != '\n')
            continue;
        hp_span line = hp_span_of(rest->ptr, i);
        *rest = hp_span_of(rest->ptr + i + 2, rest->len - i - 2);
        return line;
    }
    CHECK(!"every line of a head ends in CR LF");
    return *rest;
}

static void
check_text(hp_span s)
{
    for (size_t i = 0; i < s.len; i++)
        CHECK(!fuzz_is_ctl(s.ptr[i]) || s.ptr[i] == '\t');
}

typedef struct lengths {
    int64_t value; /* -1: none */
    bool chunked;
} lengths;

/* A comma-separated list of one decimal number, over and over. */
static void
check_length(hp_span value, lengths *seen)
{
    char text[FUZZ_MAX];
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    for (char *p = text;; p++) {
        char *end;
        p += strspn(p, " \t");
        CHECK(*p >= '0' && *p <= '9');
        long long n = strtoll(p, &end, 10);
        CHECK(seen->value < 0 || seen->value == n);
        seen->value = n;
        p = end + strspn(end, " \t");
        if (*p == '\0')
            return;
        CHECK(*p == ',');
    }
}

static void
check_field(hp_span line, hp_span *rest, lengths *seen)
{
    hp_field f;
    CHECK(hp_field_next(rest, &f));
    CHECK(fuzz_is_token(f.name));
    CHECK(line.ptr == f.name.ptr && line.ptr[f.name.len] == ':');
    CHECK(f.value.ptr > f.name.ptr + f.name.len);
    CHECK(f.value.ptr + f.value.len <= line.ptr + line.len);
    check_text(line);
    if (hp_span_eq_nocase(f.name, HP_SPAN_LIT("content-length")))
        check_length(f.value, seen);
    if (hp_span_eq_nocase(f.name, HP_SPAN_LIT("transfer-encoding")))
        seen->chunked = true;
}

static void
check_accepted(const reading *r)
{
    const hp_head *h = &r->head;
    hp_span all = hp_span_of(r->at, (size_t)r->n), line = take_line(&all);
    for (int empty = 0; line.len == 0 && empty < 2; empty++)
        line = take_line(&all);
    CHECK(line.len >= 12 && memcmp(line.ptr, "HTTP/1.", 7) == 0);
    check_text(line);
    CHECK_INT(line.ptr[7] - '0', h->minor);
    CHECK(h->minor >= 0 && h->minor <= 9);
    CHECK(h->status >= 100 && h->status <= 999);
    CHECK(h->reason_at + h->reason_len <= (size_t)r->n);
    CHECK(all.ptr == r->at + h->fields_at);
    hp_span rest = hp_span_of(r->at + h->fields_at, h->fields_len);
    lengths seen = {.value = -1};
    for (int i = 0; i < h->n_fields; i++)
        check_field(take_line(&all), &rest, &seen);
    CHECK_INT(rest.len, 0);
    CHECK_INT(take_line(&all).len, 0);
    CHECK_INT(all.len, 0);
    CHECK_INT(h->content_length, seen.value);
    CHECK_INT(h->has_transfer_encoding, seen.chunked);
    CHECK(h->chunked == seen.chunked || h->minor == 0);
}

/* ---- both readings ---- */

static void
check_same_head(const hp_head *a, const hp_head *b)
{
    CHECK_INT(a->status, b->status);
    CHECK_INT(a->minor, b->minor);
    CHECK_INT(a->reason_at, b->reason_at);
    CHECK_INT(a->reason_len, b->reason_len);
    CHECK_INT(a->fields_at, b->fields_at);
    CHECK_INT(a->fields_len, b->fields_len);
    CHECK_INT(a->n_fields, b->n_fields);
    CHECK_INT(a->content_length, b->content_length);
    CHECK_INT(a->chunked, b->chunked);
    CHECK_INT(a->connection_close, b->connection_close);
    CHECK_INT(a->connection_keep_alive, b->connection_keep_alive);
    CHECK_INT(a->connection_upgrade, b->connection_upgrade);
    CHECK_INT(a->has_upgrade, b->has_upgrade);
    CHECK_INT(a->has_content_encoding, b->has_content_encoding);
    CHECK_INT(a->keep_alive_timeout_s, b->keep_alive_timeout_s);
    CHECK_INT(a->keep_alive_max, b->keep_alive_max);
}

/* Bytes up to the last empty line: with it the slowest sender is told. */
static size_t
last_end(const uint8_t *data, size_t len)
{
    for (; len >= 4; len--) {
        if (memcmp(data + len - 4, "\r\n\r\n", 4) == 0)
            return len;
    }
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > FUZZ_MAX - 1)
        return 0;
    size_t told = last_end(data, size);
    bool must_refuse = told && read_prefix(data, told).n < 0;
    reading whole = read_prefix(data, size);
    if (whole.n > 0)
        check_accepted(&whole);
    CHECK(!must_refuse || whole.n < 0);
    for (unsigned i = size > BYTEWISE_MAX; i < ROUNDS; i++) {
        reading cut = read_cut(data, size, fuzz_cuts_of(data, size, i));
        if (whole.n >= 0 || must_refuse)
            CHECK_INT(cut.n, whole.n);
        CHECK(cut.n <= 0 || whole.n > 0);
        if (cut.n > 0)
            check_same_head(&cut.head, &whole.head);
    }
    return 0;
}
