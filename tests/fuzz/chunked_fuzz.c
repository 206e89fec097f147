/* Chunked framing against a decoder that reads RFC 9112 7.1 line by line from
 * the whole input; and whole against cut. */
#include "fuzz.h"
#include "wire/chunked.h"

typedef struct reading {
    hp_chunked_result result;
    size_t used, len;
    char *data; /* FUZZ_MAX bytes */
    hp_err err;
} reading;

enum {
    ROUNDS = 3,
    BYTEWISE_MAX = 2048,
    LINE_MAX_BYTES = 4096
};

static char stores[2][FUZZ_MAX];

static reading
read_cut(const uint8_t *data, size_t size, fuzz_cuts *cuts, char *store)
{
    reading r = {.result = HP_CHUNKED_MORE, .data = store};
    hp_chunked c;
    hp_chunked_init(&c);
    while (r.used < size && r.result == HP_CHUNKED_MORE) {
        size_t piece = cuts ? fuzz_piece(cuts, size - r.used) : size;
        size_t len = piece, used;
        char *buf = fuzz_place(data + r.used, piece);
        r.result = hp_chunked_decode(&c, buf, &len, &used, &r.err);
        CHECK(len <= used && used <= piece);
        CHECK(r.result != HP_CHUNKED_MORE || used == piece);
        memcpy(r.data + r.len, buf, len);
        r.len += len;
        r.used += used;
    }
    fuzz_check_err(&r.err, r.result == HP_CHUNKED_ERROR);
    return r;
}

/* ---- the other decoder ---- */

static int
hex(uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, hp_ascii_lower((char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* chunk-size [BWS] [";" anything but controls] CRLF: its bytes; 0: there is no
 * such line here, or not all of it. */
static size_t
size_line(const uint8_t *p, size_t n, uint64_t *size)
{
    size_t i = 0;
    *size = 0;
    for (; i < n && hex(p[i]) >= 0; i++)
        *size = *size << 4 | (unsigned)hex(p[i]);
    if (i == 0 || i > 16)
        return 0;
    for (; i < n && (p[i] == ' ' || p[i] == '\t'); i++)
        ;
    if (i < n && p[i] == ';') {
        for (; i < n && (!fuzz_is_ctl((char)p[i]) || p[i] == '\t'); i++)
            ;
    }
    if (i >= LINE_MAX_BYTES || i + 2 > n || p[i] != '\r' || p[i + 1] != '\n')
        return 0;
    return i + 2;
}

/* TRAILERS with used and len; MORE: not a whole body, or a broken one. */
static reading
read_by_lines(const uint8_t *p, size_t n, char *store)
{
    reading r = {.result = HP_CHUNKED_MORE, .data = store};
    for (;;) {
        uint64_t size;
        size_t line = size_line(p + r.used, n - r.used, &size);
        if (line == 0)
            return r;
        r.used += line;
        if (size == 0) {
            r.result = HP_CHUNKED_TRAILERS;
            return r;
        }
        if (n - r.used < 2 || size > n - r.used - 2)
            return r;
        memcpy(r.data + r.len, p + r.used, size);
        r.len += size;
        r.used += size + 2;
        if (p[r.used - 2] != '\r' || p[r.used - 1] != '\n')
            return r;
    }
}

static void
check_same(const reading *a, const reading *b)
{
    CHECK_INT(a->result, b->result);
    CHECK_INT(a->used, b->used);
    CHECK_INT(a->len, b->len);
    CHECK(memcmp(a->data, b->data, a->len) == 0);
}

static bool
is_too_much_framing(const hp_err *err)
{
    return strstr(err->text, "too much framing") != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > FUZZ_MAX)
        return 0;
    reading whole = read_cut(data, size, NULL, stores[0]);
    reading lines = read_by_lines(data, size, stores[1]);
    if (!is_too_much_framing(&whole.err)) {
        CHECK_INT(lines.result == HP_CHUNKED_TRAILERS,
                  whole.result == HP_CHUNKED_TRAILERS);
        if (whole.result == HP_CHUNKED_TRAILERS)
            check_same(&whole, &lines);
    }
    for (unsigned i = size > BYTEWISE_MAX; i < ROUNDS; i++) {
        fuzz_cuts cuts = fuzz_cuts_of(data, size, i);
        reading cut = read_cut(data, size, &cuts, stores[1]);
        check_same(&cut, &whole);
        CHECK_STR(cut.err.text, whole.err.text);
    }
    return 0;
}
