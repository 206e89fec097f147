#include "wire/head.h"

#include <time.h>

#include "guard.h"
#include "test.h"

/* A head parsed from a copy that ends at a guard page. */
typedef struct parsed {
    ssize_t n;
    hp_head head;
    hp_err err;
    char *buf;
    size_t len;
} parsed;

static parsed
parse_bytes(const char *p, size_t len)
{
    parsed r = {.buf = guard_copy(p, len), .len = len};
    CHECK(r.buf);
    r.n = hp_head_parse(r.buf, len, 0, &r.head, &r.err);
    return r;
}

static void
done(parsed *r)
{
    guard_free(r->buf, r->len);
}

static hp_head
accepted(const char *text)
{
    parsed r = parse_bytes(text, strlen(text));
    CHECK_INT(r.n, strlen(text));
    CHECK_INT(r.head.fault, HP_HEAD_OK);
    CHECK_INT(r.err.code, HP_OK);
    done(&r);
    return r.head;
}

/* The fault, which is also the fault when the bytes come one by one. */
static hp_head_fault
refused_bytes(const char *p, size_t len)
{
    parsed r = parse_bytes(p, len);
    CHECK_INT(r.n, -1);
    CHECK_INT(r.err.code, HP_E_REMOTE_PROTOCOL);
    CHECK(r.err.text[0] != '\0');
    hp_head_fault fault = r.head.fault;
    done(&r);
    char *buf = guard_copy(p, len);
    ssize_t n = 0;
    size_t seen = 0;
    for (; n == 0 && seen < len; seen++)
        n = hp_head_parse(buf, seen + 1, seen, &r.head, NULL);
    CHECK_INT(n, -1);
    CHECK_INT(r.head.fault, fault);
    guard_free(buf, len);
    return fault;
}

static hp_head_fault
refused(const char *text)
{
    return refused_bytes(text, strlen(text));
}

static hp_head_fault
refused_field(const char *line)
{
    char text[512];
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nA: b\r\n%s\r\n\r\n", line);
    return refused(text);
}

static hp_head
with_field(const char *line)
{
    char text[512];
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nA: b\r\n%s\r\n\r\n", line);
    return accepted(text);
}

static const char nginx[] = "HTTP/1.1 200 OK\r\n"
                            "Server: nginx/1.24.0\r\n"
                            "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n"
                            "Content-Type: text/html\r\n"
                            "Content-Length: 615\r\n"
                            "Last-Modified: Tue, 15 Nov 1994 08:12:31 GMT\r\n"
                            "Connection: keep-alive\r\n"
                            "ETag: \"64230162-267\"\r\n"
                            "Accept-Ranges: bytes\r\n\r\n";

static void
parts_are_where_they_say(void)
{
    parsed r = parse_bytes(nginx, sizeof nginx - 1);
    CHECK_INT(r.n, sizeof nginx - 1);
    CHECK_INT(r.head.status, 200);
    CHECK_INT(r.head.minor, 1);
    CHECK_SPAN(hp_span_of(r.buf + r.head.reason_at, r.head.reason_len), "OK");
    CHECK_INT(r.head.content_length, 615);
    CHECK(r.head.connection_keep_alive && !r.head.connection_close);
    CHECK_INT(r.head.n_fields, 8);

    hp_span rest = hp_span_of(r.buf + r.head.fields_at, r.head.fields_len);
    hp_field f;
    CHECK(hp_field_next(&rest, &f));
    CHECK_SPAN(f.name, "Server");
    CHECK_SPAN(f.value, "nginx/1.24.0");
    for (int i = 1; i < 8; i++)
        CHECK(hp_field_next(&rest, &f));
    CHECK_SPAN(f.name, "Accept-Ranges");
    CHECK_SPAN(f.value, "bytes");
    CHECK(!hp_field_next(&rest, &f));
    done(&r);
}

static void
bytes_behind_the_head_are_left_alone(void)
{
    const char text[] =
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    parsed r = parse_bytes(text, sizeof text - 1);
    CHECK_INT(r.n, 27);
    CHECK_INT(r.head.n_fields, 0);
    CHECK_INT(r.head.fields_len, 0);
    done(&r);
}

static void
every_prefix_needs_more(void)
{
    size_t len = sizeof nginx - 1;
    for (size_t n = 0; n < len; n++) {
        parsed r = parse_bytes(nginx, n);
        CHECK_INT(r.n, 0);
        CHECK_INT(r.head.fault, HP_HEAD_OK);
        for (size_t last = 0; last <= n; last++)
            CHECK_INT(hp_head_parse(r.buf, n, last, &r.head, NULL), 0);
        done(&r);
    }
}

static void
any_last_len_finds_the_end(void)
{
    size_t len = sizeof nginx - 1;
    for (size_t last = 0; last < len; last++) {
        parsed r = parse_bytes(nginx, len);
        CHECK_INT(hp_head_parse(r.buf, len, last, &r.head, NULL), len);
        CHECK_INT(r.head.content_length, 615);
        done(&r);
    }
}

static void
status_lines(void)
{
    hp_head h = accepted("HTTP/1.0 999 \x80 odd\treason \r\n\r\n");
    CHECK_INT(h.status, 999);
    CHECK_INT(h.minor, 0);
    CHECK_INT(h.reason_len, 12);
    CHECK_INT(accepted("HTTP/1.9 100\r\n\r\n").minor, 9);
    CHECK_INT(accepted("HTTP/1.1 301 \r\n\r\n").reason_len, 0);
    CHECK_INT(accepted("HTTP/1.1   200   OK\r\n\r\n").reason_len, 2);
    CHECK_INT(accepted("\r\nHTTP/1.1 200 OK\r\n\r\n").status, 200);
    CHECK_INT(accepted("\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").status, 200);

    CHECK_INT(refused("\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), HP_HEAD_NOT_HTTP);
    CHECK_INT(refused("SSH-2.0-OpenSSH_9.2\r\n"), HP_HEAD_NOT_HTTP);
    CHECK_INT(refused("http/1.1 200 OK\r\n\r\n"), HP_HEAD_NOT_HTTP);
    CHECK_INT(refused("\nHTTP/1.1 200 OK\r\n\r\n"), HP_HEAD_NOT_HTTP);
    CHECK_INT(refused("\rHTTP/1.1 200 OK\r\n\r\n"), HP_HEAD_BARE_CR);
    CHECK_INT(refused("HTTP/2.0 200 OK\r\n\r\n"), HP_HEAD_BAD_VERSION);
    CHECK_INT(refused("HTTP/1.x 200 OK\r\n\r\n"), HP_HEAD_BAD_VERSION);
    CHECK_INT(refused("HTTP/1.11 200 OK\r\n\r\n"), HP_HEAD_BAD_VERSION);
    CHECK_INT(refused("HTTP/1.1\t200 OK\r\n\r\n"), HP_HEAD_BAD_VERSION);
    CHECK_INT(refused("HTTP/1.1 099 OK\r\n\r\n"), HP_HEAD_BAD_STATUS);
    CHECK_INT(refused("HTTP/1.1 20 OK\r\n\r\n"), HP_HEAD_BAD_STATUS);
    CHECK_INT(refused("HTTP/1.1 2000 OK\r\n\r\n"), HP_HEAD_BAD_STATUS);
    CHECK_INT(refused("HTTP/1.1 200\tOK\r\n\r\n"), HP_HEAD_BAD_STATUS);
    CHECK_INT(refused("HTTP/1.1 200 O\x01K\r\n\r\n"), HP_HEAD_BAD_REASON);
    CHECK_INT(refused("HTTP/1.1 200 O\rK\r\n\r\n"), HP_HEAD_BARE_CR);
    CHECK_INT(refused("HTTP/1.1 200 OK\n\n"), HP_HEAD_BARE_LF);
}

static void
another_protocol_is_refused_at_once(void)
{
    hp_head h;
    CHECK_INT(hp_head_parse((char[]){"SS"}, 2, 1, &h, NULL), -1);
    CHECK_INT(h.fault, HP_HEAD_NOT_HTTP);
    CHECK_INT(hp_head_parse((char[]){"\x15\x03\x01"}, 3, 0, &h, NULL), -1);
    CHECK_INT(h.fault, HP_HEAD_NOT_HTTP);
}

static void
field_lines(void)
{
    CHECK_INT(with_field("!#$%&'*+-.^_`|~09azAZ:").n_fields, 2);
    CHECK_INT(with_field("Tab:\ta\tb\t").n_fields, 2);
    CHECK_INT(with_field("High: \x80\xff").n_fields, 2);

    CHECK_INT(refused_field(": x"), HP_HEAD_BAD_NAME);
    CHECK_INT(refused_field("Foo : x"), HP_HEAD_BAD_NAME);
    CHECK_INT(refused_field("Foo\t: x"), HP_HEAD_BAD_NAME);
    CHECK_INT(refused_field("F(o: x"), HP_HEAD_BAD_NAME);
    CHECK_INT(refused_field("F\xc3\xb6: x"), HP_HEAD_BAD_NAME);
    CHECK_INT(refused_field("Foo"), HP_HEAD_NO_COLON);
    CHECK_INT(refused_field("Foo\r\n : x"), HP_HEAD_NO_COLON);
    CHECK_INT(refused_field("Foo\r: x"), HP_HEAD_BARE_CR);
    CHECK_INT(refused_field("Foo\n: x"), HP_HEAD_BARE_LF);
    CHECK_INT(refused_field("Foo: x\ry"), HP_HEAD_BARE_CR);
    CHECK_INT(refused_field("Foo: x\ny: z"), HP_HEAD_BARE_LF);
    CHECK_INT(refused_field("Foo: x\x7f"), HP_HEAD_BAD_VALUE);
    CHECK_INT(refused_field("Foo: 0123456789\x1f"), HP_HEAD_BAD_VALUE);
    CHECK_INT(refused("HTTP/1.1 200 OK\r\n a: b\r\n\r\n"),
              HP_HEAD_LEADING_FOLD);
    CHECK_INT(refused("HTTP/1.1 200 OK\r\n\rx\r\n\r\n"), HP_HEAD_BARE_CR);

    const char nul[] = "HTTP/1.1 200 OK\r\nFoo: a\0b\r\n\r\n";
    CHECK_INT(refused_bytes(nul, sizeof nul - 1), HP_HEAD_NUL);
    const char nul_name[] = "HTTP/1.1 200 OK\r\nFo\0o: ab\r\n\r\n";
    CHECK_INT(refused_bytes(nul_name, sizeof nul_name - 1), HP_HEAD_NUL);
}

/* Each control byte at each place of the eight-byte stride. */
static void
control_bytes_are_found_anywhere(void)
{
    char text[] = "HTTP/1.1 200 OK\r\nA: 0123456789abcdef0123456789\r\n\r\n";
    for (size_t at = 20; at < 20 + 26; at++) {
        for (int c = 0; c < 256; c++) {
            char kept = text[at];
            text[at] = (char)c;
            parsed r = parse_bytes(text, sizeof text - 1);
            bool bad = (c < 0x20 && c != '\t') || c == 0x7f;
            CHECK_INT(r.n, bad ? -1 : (ssize_t)sizeof text - 1);
            done(&r);
            text[at] = kept;
        }
    }
}

static void
folds_become_spaces(void)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n \r\n"
                               "Connection:\r\n close\r\n\r\n";
    parsed r = parse_bytes(text, sizeof text - 1);
    CHECK_INT(r.n, sizeof text - 1);
    CHECK_INT(r.head.n_fields, 2);
    CHECK(r.head.connection_close);
    hp_span rest = hp_span_of(r.buf + r.head.fields_at, r.head.fields_len);
    hp_field f;
    CHECK(hp_field_next(&rest, &f));
    CHECK_SPAN(f.value, "b   c");
    CHECK(hp_field_next(&rest, &f));
    CHECK_SPAN(f.value, "close");
    done(&r);

    CHECK_INT(with_field("A: b\r\n Content-Length: 5").content_length, -1);
    CHECK_INT(refused_field("Content-Length: 4\r\n 2"), HP_HEAD_BAD_LENGTH);
    CHECK_INT(refused_field("Transfer-Encoding: chunked\r\n x"),
              HP_HEAD_BAD_TRANSFER_ENCODING);
}

static void
content_lengths(void)
{
    CHECK_INT(accepted(nginx).content_length, 615);
    CHECK_INT(with_field("content-LENGTH:0").content_length, 0);
    CHECK_INT(with_field("Content-Length: 030").content_length, 30);
    CHECK_INT(
        with_field("Content-Length: 7, 7\r\nContent-Length:7").content_length,
        7);
    CHECK_INT(with_field("Content-Length: 9223372036854775807").content_length,
              INT64_MAX);
    CHECK_INT(with_field("Content-Lengths: x").content_length, -1);

    const char *bad[] = {"",
                         "+3",
                         "-3",
                         "0x10",
                         "1_0",
                         "1e1",
                         "3,",
                         ",3",
                         "4 2",
                         "\"3\"",
                         "3;",
                         "3.0",
                         "\xb2",
                         "3, x",
                         "9223372036854775808",
                         "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[64];
        snprintf(line, sizeof line, "Content-Length: %s", bad[i]);
        CHECK_INT(refused_field(line), HP_HEAD_BAD_LENGTH);
    }
    CHECK_INT(refused_field("Content-Length: 1\r\nContent-Length: 2"),
              HP_HEAD_LENGTHS_DIFFER);
    CHECK_INT(refused_field("Content-Length: 030, 30"), HP_HEAD_LENGTHS_DIFFER);
}

static void
transfer_encodings(void)
{
    hp_head h = with_field("Transfer-Encoding: Chunked");
    CHECK(h.has_transfer_encoding && h.chunked);
    CHECK(with_field("Transfer-Encoding: ,chunked,").chunked);
    h = with_field("Content-Length: 5\r\nTransfer-Encoding: chunked");
    CHECK(h.chunked && h.content_length == 5);

    const char *bad[] = {"",
                         ",",
                         "identity",
                         "gzip, chunked",
                         "chunked, gzip",
                         "chunked, chunked",
                         "chunked;q=1",
                         "xchunked",
                         "\"chunked\"",
                         "chunked\xa0",
                         "chunked\r\nTransfer-Encoding: chunked",
                         ",chunked\r\nContent-Length: 5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[128];
        snprintf(line, sizeof line, "Transfer-Encoding: %s", bad[i]);
        CHECK_INT(refused_field(line), HP_HEAD_BAD_TRANSFER_ENCODING);
    }
    h = accepted("HTTP/1.0 200 OK\r\nTransfer-Encoding: bogus\r\n\r\n");
    CHECK(h.has_transfer_encoding && !h.chunked);
    h = accepted("HTTP/1.0 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
    CHECK(h.has_transfer_encoding && h.chunked);
}

static void
connection_options(void)
{
    hp_head h = with_field("Connection: keep-alive, Upgrade\r\n"
                           "CONNECTION: x-close, closed,close ,");
    CHECK(h.connection_keep_alive && h.connection_upgrade);
    CHECK(h.connection_close && !h.has_upgrade);
    h = with_field("Connection: closed");
    CHECK(!h.connection_close && !h.connection_keep_alive);
    h = with_field("Upgrade: h2c\r\nSet-Cookie: a=b\r\nLocation: /\r\n"
                   "Content-Encoding: br");
    CHECK(h.has_upgrade && h.has_set_cookie && h.has_location);
    CHECK(h.has_content_encoding);
}

static void
keep_alive_hints(void)
{
    hp_head h = with_field("Keep-Alive: timeout=5, MAX = 100");
    CHECK_INT(h.keep_alive_timeout_s, 5);
    CHECK_INT(h.keep_alive_max, 100);
    h = with_field("Keep-Alive: timeout=99999999999, max=-1, timeout, x=2");
    CHECK_INT(h.keep_alive_timeout_s, -1);
    CHECK_INT(h.keep_alive_max, -1);
    h = with_field("Keep-Alive: 300");
    CHECK_INT(h.keep_alive_timeout_s, -1);
}

static char *
many_fields(int n, size_t *len)
{
    static const char line[] = "HTTP/1.1 200 OK\r\n";
    char *text = malloc(sizeof line + 6 * (size_t)n + 2);
    CHECK(text);
    memcpy(text, line, sizeof line - 1);
    *len = sizeof line - 1;
    for (int i = 0; i < n; i++, *len += 6)
        memcpy(text + *len, "a: b\r\n", 6);
    memcpy(text + *len, "\r\n", 2);
    *len += 2;
    return text;
}

static void
fields_are_counted(void)
{
    size_t len;
    hp_head h;
    char *text = many_fields(HP_MAX_FIELDS, &len);
    CHECK_INT(hp_head_parse(text, len, 0, &h, NULL), len);
    CHECK_INT(h.n_fields, HP_MAX_FIELDS);
    free(text);
    text = many_fields(HP_MAX_FIELDS + 1, &len);
    CHECK_INT(hp_head_parse(text, len, 0, &h, NULL), -1);
    CHECK_INT(h.fault, HP_HEAD_TOO_MANY_FIELDS);
    free(text);
}

/* CPython CVE-2020-10735, h11 pull 181: a number as long as the head. */
static void
a_long_number_is_cheap(void)
{
    enum {
        N = 1 << 20
    };
    static const char start[] = "HTTP/1.1 200 OK\r\nContent-Length: ";
    char *text = malloc(sizeof start + N + 4);
    CHECK(text);
    memcpy(text, start, sizeof start - 1);
    memset(text + sizeof start - 1, '9', N);
    memcpy(text + sizeof start - 1 + N, "\r\n\r\n", 4);
    hp_head h;
    struct timespec a, b;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    CHECK_INT(hp_head_parse(text, sizeof start + N + 3, 0, &h, NULL), -1);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    CHECK_INT(h.fault, HP_HEAD_BAD_LENGTH);
    CHECK((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 <
          100);
    free(text);
}

static void
errors_say_what_and_where(void)
{
    hp_err err = {0};
    hp_head h;
    char text[] = "HTTP/1.1 200 OK\r\nCookie: s3cret\x01\r\n\r\n";
    CHECK_INT(hp_head_parse(text, sizeof text - 1, 0, &h, &err), -1);
    CHECK_STR(err.text, "malformed response head: control byte in a field "
                        "value (byte 31)");
    CHECK_STR(hp_head_fault_name(h.fault), "bad_value");
    for (int i = 0; i < HP_HEAD_FAULT_COUNT; i++)
        CHECK(hp_head_fault_name((hp_head_fault)i)[0] != '\0');
}

static ssize_t
trailers(const char *text, hp_err *err)
{
    size_t len = strlen(text);
    ssize_t by_byte = 0;
    char *slow = guard_copy(text, len);
    for (size_t n = 1; by_byte == 0 && n <= len; n++)
        by_byte = hp_trailers_parse(slow, n, n - 1, NULL);
    guard_free(slow, len);
    char *buf = guard_copy(text, len);
    ssize_t r = hp_trailers_parse(buf, len, 0, err);
    guard_free(buf, len);
    CHECK_INT(by_byte, r);
    return r;
}

static void
trailer_blocks(void)
{
    hp_err err = {0};
    CHECK_INT(trailers("\r\n", &err), 2);
    CHECK_INT(trailers("\r", &err), 0);
    CHECK_INT(trailers("a: b\r\nc: d\r\n\r\nHTTP", &err), 14);
    CHECK_INT(trailers("a: b\r\n", &err), 0);
    CHECK_INT(trailers("a: b\r\n c\r\n\r\n", &err), 12);
    /* not interpreted: a length here means nothing */
    CHECK_INT(trailers("Content-Length: x\r\n\r\n", &err), 21);
    CHECK_INT(err.code, HP_OK);

    CHECK_INT(trailers("a: b\n\n", &err), -1);
    CHECK_INT(err.code, HP_E_CHUNKED);
    CHECK_INT(trailers("bad\r\n\r\n", NULL), -1);
    CHECK_INT(trailers(" a: b\r\n\r\n", NULL), -1);
    CHECK_INT(trailers("\n", NULL), -1);
    CHECK_INT(trailers("\rx\r\n\r\n", NULL), -1);
}

static void
trailers_that_come_too_late(void)
{
    CHECK(!hp_trailer_allowed(HP_SPAN_LIT("Content-Length")));
    CHECK(!hp_trailer_allowed(HP_SPAN_LIT("TRANSFER-ENCODING")));
    CHECK(!hp_trailer_allowed(HP_SPAN_LIT("host")));
    CHECK(hp_trailer_allowed(HP_SPAN_LIT("Server-Timing")));
    CHECK(hp_trailer_allowed(HP_SPAN_LIT("Content-MD5")));
}

int
main(void)
{
    RUN(parts_are_where_they_say);
    RUN(bytes_behind_the_head_are_left_alone);
    RUN(every_prefix_needs_more);
    RUN(any_last_len_finds_the_end);
    RUN(status_lines);
    RUN(another_protocol_is_refused_at_once);
    RUN(field_lines);
    RUN(control_bytes_are_found_anywhere);
    RUN(folds_become_spaces);
    RUN(content_lengths);
    RUN(transfer_encodings);
    RUN(connection_options);
    RUN(keep_alive_hints);
    RUN(fields_are_counted);
    RUN(a_long_number_is_cheap);
    RUN(errors_say_what_and_where);
    RUN(trailer_blocks);
    RUN(trailers_that_come_too_late);
    DONE();
}
