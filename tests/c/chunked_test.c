#include "wire/chunked.h"

#include "base/span.h"
#include "guard.h"
#include "test.h"

typedef struct decoded {
    hp_chunked_result result;
    char data[256];
    size_t len, used;
} decoded;

/* Decodes in pieces of `step` bytes, each ending at a guard page. */
static decoded
decode_in(const char *p, size_t n, size_t step)
{
    decoded d = {.result = HP_CHUNKED_MORE};
    hp_chunked c;
    hp_chunked_init(&c);
    while (d.used < n && d.result == HP_CHUNKED_MORE) {
        size_t len = n - d.used < step ? n - d.used : step, piece = len, used;
        hp_err err = {0};
        char *buf = guard_copy(p + d.used, len);
        CHECK(buf);
        d.result = hp_chunked_decode(&c, buf, &len, &used, &err);
        CHECK((d.result == HP_CHUNKED_ERROR) == (err.code == HP_E_CHUNKED));
        CHECK(d.result != HP_CHUNKED_MORE || used == piece);
        CHECK(d.len + len <= sizeof d.data);
        memcpy(d.data + d.len, buf, len);
        d.len += len;
        d.used += used;
        guard_free(buf, piece);
    }
    return d;
}

static decoded
decode(const char *p, size_t n)
{
    decoded whole = decode_in(p, n, n);
    for (size_t step = 1; step < n; step++) {
        decoded d = decode_in(p, n, step);
        CHECK_INT(d.result, whole.result);
        CHECK_INT(d.used, whole.used);
        CHECK(d.len == whole.len && !memcmp(d.data, whole.data, d.len));
    }
    return whole;
}

static void
good(const char *text, const char *data, size_t leftover)
{
    decoded d = decode(text, strlen(text));
    CHECK_INT(d.result, HP_CHUNKED_TRAILERS);
    CHECK_SPAN(hp_span_of(d.data, d.len), data);
    CHECK_INT(d.used, strlen(text) - leftover);
}

static void
bad(const char *text, const char *data)
{
    decoded d = decode(text, strlen(text));
    CHECK_INT(d.result, HP_CHUNKED_ERROR);
    CHECK_SPAN(hp_span_of(d.data, d.len), data);
    CHECK(d.used < strlen(text));
}

static void
chunks_become_data(void)
{
    good("0\r\n", "", 0);
    good("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nHTTP", "hello world", 6);
    good("A\r\n0123456789\r\n1\r\nx\r\n000\r\n", "0123456789x", 0);
    good("a\r\n01\r\n23456\n\r\n0\r\n", "01\r\n23456\n", 0);
    good("0000000000000003\r\nabc\r\n0\r\na: b\r\n\r\n", "abc", 8);
}

static void
extensions_are_skipped(void)
{
    good("1;a=b\r\nx\r\n0;last\r\n", "x", 0);
    good("1 \t; a=\"q\xc3\xa9\tq\"\r\nx\r\n0  \r\n", "x", 0);
    good("1;;;  ;\r\nx\r\n0\r\n", "x", 0);
    bad("1 x\r\nx\r\n0\r\n", "");
    bad("1;a\nb\r\nx\r\n0\r\n", "");
    bad("1;a\x01\r\nx\r\n0\r\n", "");
    bad("1;a\x7f\r\nx\r\n0\r\n", "");
    bad("1;a\r\rx\r\n0\r\n", "");
}

static void
sizes_are_hex_digits_only(void)
{
    const char *sizes[] = {"",    "x",  "0x5", "+5", "-5",   "5_0", " 5",
                           "\t5", ";5", "g",   "5g", "\xb2", "@",   "`"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s\r\nhello\r\n0\r\n", sizes[i]);
        bad(text, "");
    }
    bad("00000000000000001\r\nx", ""); /* 17 digits */
    bad("f0000000000000003\r\nabc", "");
    decoded d = decode("ffffffffffffffff\r\nabc", 21);
    CHECK_INT(d.result, HP_CHUNKED_MORE);
    CHECK_INT(d.len, 3);
    const char nul[] = "1\0\r\nx\r\n0\r\n";
    CHECK_INT(decode(nul, sizeof nul - 1).result, HP_CHUNKED_ERROR);
}

static void
only_crlf_ends_a_line(void)
{
    bad("1\nx\r\n0\r\n", "");
    bad("1\r\r\nx\r\n0\r\n", "");
    bad("1\rXx\r\n0\r\n", "");
    bad("1\r\nx\n0\r\n", "x");
    bad("1\r\nx__0\r\n", "x");
    bad("1\r\nx\r_0\r\n", "x");
    bad("1\r\nx_\n0\r\n", "x");
    bad("1\r\nx\r\n\r\n\r\n", "x");
}

static void
missing_bytes_are_known(void)
{
    hp_chunked c;
    hp_chunked_init(&c);
    char text[] = "1f\r\nabc";
    size_t len = 2, used;
    CHECK_INT(hp_chunked_decode(&c, text, &len, &used, NULL), HP_CHUNKED_MORE);
    CHECK_INT(hp_chunked_missing(&c), 0);
    len = 5;
    hp_chunked_decode(&c, text + 2, &len, &used, NULL);
    CHECK_INT(hp_chunked_missing(&c), 28);
}

/* Lines of `n` bytes, less CR LF. */
static hp_chunked_result
size_line_of(size_t n)
{
    char line[8192];
    memset(line, 'e', sizeof line);
    memcpy(line, "1;", 2);
    memcpy(line + n, "\r\n", 2);
    hp_chunked c;
    hp_chunked_init(&c);
    size_t len = n + 2, used;
    return hp_chunked_decode(&c, line, &len, &used, NULL);
}

static void
size_lines_are_short(void)
{
    CHECK_INT(size_line_of(4095), HP_CHUNKED_MORE);
    CHECK_INT(size_line_of(4096), HP_CHUNKED_ERROR);
    CHECK_INT(size_line_of(8000), HP_CHUNKED_ERROR);
}

/* Chunks of `data` bytes with extensions of `ext`; how many are taken before
 * the budget is used up, at most 1000. */
static int
chunks_within_budget(size_t data, size_t ext)
{
    hp_chunked c;
    hp_chunked_init(&c);
    for (int i = 0; i < 1000; i++) {
        char chunk[4096];
        int n = snprintf(chunk, sizeof chunk, "%03zx;%0*d\r\n%0*d\r\n", data,
                         (int)ext, 0, (int)data, 0);
        size_t len = (size_t)n, used;
        if (hp_chunked_decode(&c, chunk, &len, &used, NULL) == HP_CHUNKED_ERROR)
            return i;
    }
    return 1000;
}

static void
framing_must_be_paid_for(void)
{
    CHECK_INT(chunks_within_budget(1, 1), 1000);
    CHECK_INT(chunks_within_budget(1, 12), 1000); /* 18 spent, 18 paid */
    CHECK_INT(chunks_within_budget(50, 100), 1000);
    /* 3 digits, ';', 100, CR LF: 106 spent, 18 paid, 88 * 186 < 16 Ki */
    CHECK_INT(chunks_within_budget(1, 100), 186);
}

int
main(void)
{
    RUN(chunks_become_data);
    RUN(extensions_are_skipped);
    RUN(sizes_are_hex_digits_only);
    RUN(only_crlf_ends_a_line);
    RUN(missing_bytes_are_known);
    RUN(size_lines_are_short);
    RUN(framing_must_be_paid_for);
    DONE();
}
