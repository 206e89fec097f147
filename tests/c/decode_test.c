/* Content codings through the exchange: sizes of reads, faults and the bytes
 * before them, limits, raw and decoded reads. */
#include <zlib.h>

#include "exchange_kit.h"

static const hp_driver driver;
static kit k;

/* The head of a response, which must come. */
static hp_exchange *
head(void)
{
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    k.body.len = 0;
    return ex;
}

static const size_t caps[] = {1, 3, 7, 4095, 4096, 20000};
enum {
    N_CAPS = sizeof caps / sizeof *caps
};

static hp_drive
drive(hp_exchange *ex, size_t cap, hp_read_how how, bool raw, size_t *got)
{
    hp_err_clear(&k.err);
    CHECK(hp_buf_reserve(&k.body, cap + 1) == 0);
    char *to = k.body.ptr + k.body.len;
    hp_drive d = hp_drive_read(ex, &driver, to, cap, how, raw, got, &k.err);
    CHECK(*got == 0 || d == HP_DRIVE_DONE);
    k.body.len += *got;
    return d;
}

static char packed[100000];

/* `n` times "0123456789", as gzip. */
static size_t
gzip(size_t n)
{
    z_stream z = {0};
    CHECK(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_out = (Bytef *)packed;
    z.avail_out = sizeof packed;
    for (size_t i = 0; i < n; i++) {
        z.next_in = (Bytef *)"0123456789";
        z.avail_in = 10;
        CHECK(deflate(&z, Z_NO_FLUSH) == Z_OK);
    }
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    CHECK(deflateEnd(&z) == Z_OK);
    return z.total_out;
}

static void
check_digits(size_t n)
{
    CHECK_INT(k.body.len, n * 10);
    for (size_t i = 0; i < n * 10; i++)
        CHECK(k.body.ptr[i] == (char)('0' + i % 10));
}

#define GZIP_HEAD(length)                                                      \
    "HTTP/1.1 200 OK\r\nContent-Encoding: " length "\r\n\r\n"

/* S16, S94: the exact number of decoded bytes gives the connection back. */
static void
test_gzip(void)
{
    enum {
        N = 20000
    };
    char heading[100];
    size_t n = gzip(N);
    int h = sprintf(heading,
                    "HTTP/1.1 200 OK\r\nContent-Encoding: GZip\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    n);
    const script_event events[] = {
        {SCRIPT_DATA, heading, (size_t)h, 0},
        {SCRIPT_DATA, packed, 20, 0},
        {.op = SCRIPT_AGAIN},
        {SCRIPT_DATA, packed + 20, n - 20, 0},
    };
    for (int i = 0; i < N_CAPS; i++) {
        kit_init(&k);
        k.r.decode = true;
        kit_play(&k, events, 4);
        hp_exchange *ex = head();
        CHECK(hp_exchange_decodes(ex));
        CHECK_INT(hp_exchange_left(ex), n);
        CHECK_INT(kit_body(&k, ex, caps[i], false), HP_GO_DONE);
        check_digits(N);
        CHECK_INT(hp_exchange_taken(ex), n);
        CHECK_RELEASED(ex, HP_KEEP);
        CHECK(hp_exchange_ended(ex));
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

/* All in one piece with the head: released at once, decoded afterwards. */
static void
test_gzip_with_the_head(void)
{
    char all[500];
    size_t n = gzip(1000);
    size_t h = (size_t)sprintf(all,
                               "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                               "Content-Length: %zu\r\n\r\n",
                               n);
    CHECK(h + n < sizeof all);
    memcpy(all + h, packed, n);
    const script_event event = {SCRIPT_DATA, all, h + n, 0};
    kit_init(&k);
    k.r.decode = true;
    kit_play(&k, &event, 1);
    hp_exchange *ex = head();
    CHECK_RELEASED(ex, HP_KEEP);
    CHECK_INT(kit_body(&k, ex, 33, false), HP_GO_DONE);
    check_digits(1000);
    CHECK(hp_exchange_ended(ex));
    hp_exchange_free(ex);
    kit_free(&k);
}

/* What cannot or shall not be decoded is handed on as it is. */
static void
test_not_decoded(void)
{
    kit_init(&k);
    PLAY(&k,
         SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                      "Content-Length: 3\r\n\r\nabc"),
         SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Encoding: strange\r\n"
                      "Content-Length: 3\r\n\r\nabc"),
         SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                      "Content-Encoding: strange\r\n"
                      "Content-Length: 3\r\n\r\nabc"),
         SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                      "Content-Length: 0\r\n\r\n"));
    for (int i = 0; i < 4; i++) {
        k.r.decode = i > 0;
        hp_exchange *ex = head();
        CHECK(!hp_exchange_decodes(ex));
        CHECK_INT(kit_body(&k, ex, 8192, false), HP_GO_DONE);
        CHECK_SPAN(kit_text(&k), i < 3 ? "abc" : "");
        hp_exchange_free(ex);
    }
    kit_free(&k);
}

/* An empty chunked body is an empty body, whatever its coding. */
static void
test_coded_and_empty(void)
{
    kit_init(&k);
    k.r.decode = true;
    PLAY(&k,
         SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n"),
         {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("0\r\n\r\n"));
    hp_exchange *ex = head();
    CHECK(hp_exchange_decodes(ex));
    CHECK_INT(kit_body(&k, ex, 8192, false), HP_GO_DONE);
    CHECK_INT(k.body.len, 0);
    CHECK(hp_exchange_ended(ex));
    hp_exchange_free(ex);
    kit_free(&k);
}

/* The fault is told after what could be decoded, however it is read. */
static void
test_broken_coding(void)
{
    size_t n = gzip(100);
    packed[n - 6] ^= 1; /* the checksum */
    const script_event events[] = {SCRIPT_BYTES(GZIP_HEAD("gzip")),
                                   {SCRIPT_DATA, packed, n, 0},
                                   {.op = SCRIPT_EOF}};
    const script_event cut[] = {SCRIPT_BYTES(GZIP_HEAD("gzip")),
                                {SCRIPT_DATA, packed, n - 9, 0},
                                {.op = SCRIPT_EOF}};
    for (int i = 0; i < N_CAPS; i++) {
        kit_init(&k);
        k.r.decode = true;
        kit_play(&k, events, 3);
        kit_play(&k, cut, 3);
        for (int j = 0; j < 2; j++) {
            hp_exchange *ex = head();
            CHECK_INT(kit_body(&k, ex, caps[i], false), HP_GO_ERROR);
            CHECK_ERR(ex, HP_E_DECODING);
            CHECK(k.body.len <= 1000 && k.body.len >= 990);
            hp_exchange_free(ex);
        }
        kit_free(&k);
    }
}

/* The connection breaks in the middle of coded bytes: those that came are
 * decoded first. */
static void
test_coding_cut_by_the_connection(void)
{
    size_t n = gzip(100);
    const script_event events[] = {
        SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n1000\r\n"),
        {SCRIPT_DATA, packed, n - 8, 0},
        {.op = SCRIPT_EOF}};
    for (int i = 0; i < N_CAPS; i++) {
        kit_init(&k);
        k.r.decode = true;
        kit_play(&k, events, 3);
        hp_exchange *ex = head();
        CHECK_INT(kit_body(&k, ex, caps[i], false), HP_GO_ERROR);
        CHECK_ERR(ex, HP_E_INCOMPLETE_BODY);
        check_digits(100);
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

static void
test_max_decoded_size(void)
{
    size_t n = gzip(100);
    const script_event events[] = {SCRIPT_BYTES(GZIP_HEAD("gzip")),
                                   {SCRIPT_DATA, packed, n, 0},
                                   {.op = SCRIPT_EOF}};
    for (int i = 0; i < N_CAPS; i++) {
        kit_init(&k);
        k.r.decode = true;
        k.r.max_size = (int64_t)n;
        k.r.max_decoded_size = 990;
        kit_play(&k, events, 3);
        hp_exchange *ex = head();
        CHECK_INT(kit_body(&k, ex, caps[i], false), HP_GO_ERROR);
        CHECK_ERR(ex, HP_E_BODY_TOO_LARGE);
        check_digits(99);
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

static void
test_too_many_codings(void)
{
    kit_init(&k);
    k.r.decode = true;
    PLAY(&k, SCRIPT_BYTES(GZIP_HEAD("gzip, gzip, gzip, gzip, gzip, gzip")));
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_DECODING);
    CHECK_RELEASED(ex, HP_CLOSE_PROTOCOL_ERROR);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_raw_and_decoded(void)
{
    size_t n = gzip(100), got;
    const script_event events[] = {SCRIPT_BYTES(GZIP_HEAD("gzip")),
                                   {SCRIPT_DATA, packed, n, 0},
                                   {.op = SCRIPT_EOF}};
    for (int raw = 0; raw < 2; raw++) {
        kit_init(&k);
        k.r.decode = true;
        kit_play(&k, events, 3);
        hp_exchange *ex = head();
        CHECK_INT(drive(ex, 10, HP_READ_FULL, raw, &got), HP_DRIVE_DONE);
        CHECK_INT(got, 10);
        CHECK_INT(drive(ex, 10, HP_READ_FULL, !raw, &got), HP_DRIVE_ERROR);
        CHECK_INT(k.err.code, HP_E_INVALID_ARGUMENT);
        while (drive(ex, 99, HP_READ_FULL, raw, &got) == HP_DRIVE_DONE && got)
            ;
        CHECK_INT(k.err.code, HP_OK); /* and does no harm */
        if (raw)
            CHECK(hp_span_eq(kit_text(&k), hp_span_of(packed, n)));
        else
            check_digits(100);
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

#ifdef HP_HAVE_BROTLI
/* A mebibyte of zeros in fourteen bytes: whatever the decoder holds is given
 * out before anything is waited for. */
static void
test_decoder_that_holds(void)
{
    static const char zeros[] = "\x5b\xff\xff\x8f\x7f\x02\x20\x1e\x0b\x04\x72"
                                "\xef\x1f\x00";
    const script_event events[] = {
        SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n"
                     "Transfer-Encoding: chunked\r\n\r\ne\r\n"),
        {SCRIPT_DATA, zeros, 14, 0}};
    kit_init(&k);
    k.r.decode = true;
    kit_play(&k, events, 2);
    hp_exchange *ex = head();
    CHECK_INT(kit_body(&k, ex, 5000, false), HP_GO_WAIT);
    CHECK_INT(k.body.len, 1 << 20);
    hp_exchange_free(ex);
    kit_free(&k);
}
#endif

int
main(void)
{
    RUN(test_gzip);
    RUN(test_gzip_with_the_head);
    RUN(test_not_decoded);
    RUN(test_coded_and_empty);
    RUN(test_broken_coding);
    RUN(test_coding_cut_by_the_connection);
    RUN(test_max_decoded_size);
    RUN(test_too_many_codings);
    RUN(test_raw_and_decoded);
#ifdef HP_HAVE_BROTLI
    RUN(test_decoder_that_holds);
#endif
    DONE();
}
