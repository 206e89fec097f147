#include "wire/request.h"

#include "base/mem.h"
#include "guard.h"
#include "test.h"

enum {
    FIELDS_MAX = 6,
    ABSENT = HP_BODY_ABSENT,
    UNKNOWN = -2
};

typedef struct row {
    const char *method, *target, *authority;
    const char *fields[2 * FIELDS_MAX]; /* name, value, ..., NULL */
    int64_t body;
    bool close;
    const char *want;
} row;

/* A row as spans that each end at a guard page, and what became of it. */
typedef struct attempt {
    hp_field fields[FIELDS_MAX];
    hp_request_head head;
    hp_buf out;
    hp_request_facts facts;
    int64_t promised;
    int result;
    hp_err err;
} attempt;

static hp_span
guard_span(const char *s)
{
    char *p = guard_copy(s, strlen(s));
    CHECK(p != NULL);
    return hp_span_of(p, strlen(s));
}

static void
guard_span_free(hp_span s)
{
    guard_free((char *)(size_t)s.ptr, s.len);
}

static void
attempt_init(attempt *a, const row *r)
{
    *a = (attempt){.head = {.method = guard_span(r->method),
                            .target = guard_span(r->target),
                            .authority = guard_span(r->authority),
                            .fields = a->fields,
                            .body_length = r->body,
                            .close = r->close}};
    for (size_t n = 0; n < FIELDS_MAX && r->fields[2 * n]; n++) {
        a->fields[n].name = guard_span(r->fields[2 * n]);
        a->fields[n].value = guard_span(r->fields[2 * n + 1]);
        a->head.n_fields++;
    }
    hp_buf_init(&a->out, NULL, 0, 65536);
    hp_err_clear(&a->err);
}

static void
attempt_write(attempt *a)
{
    a->result =
        hp_request_write(&a->out, &a->head, &a->facts, &a->promised, &a->err);
    CHECK_INT(a->result, a->err.code == HP_OK ? 0 : -1);
}

static void
attempt_done(attempt *a)
{
    guard_span_free(a->head.method);
    guard_span_free(a->head.target);
    guard_span_free(a->head.authority);
    for (size_t i = 0; i < a->head.n_fields; i++) {
        guard_span_free(a->fields[i].name);
        guard_span_free(a->fields[i].value);
    }
    hp_buf_free(&a->out);
}

static void
attempt_run(attempt *a, const row *r)
{
    attempt_init(a, r);
    attempt_write(a);
}

#define GET_A "GET / HTTP/1.1\r\nHost: a.test\r\n"
#define POST_A "POST / HTTP/1.1\r\nHost: a.test\r\n"

static const row written[] = {
    {"GET", "/", "a.test", {NULL}, ABSENT, false, GET_A "\r\n"},
    {"", "/", "a.test", {NULL}, ABSENT, false, GET_A "\r\n"},
    {"GET", "", "a.test", {NULL}, ABSENT, false, GET_A "\r\n"},
    {"get",
     "/",
     "a.test",
     {NULL},
     ABSENT,
     false,
     "get / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
    {"M-SEARCH",
     "*",
     "a.test:81",
     {NULL},
     ABSENT,
     false,
     "M-SEARCH * HTTP/1.1\r\nHost: a.test:81\r\n\r\n"},
    {"!#$%&'*+-.^_`|~09azAZ",
     "/",
     "a.test",
     {NULL},
     ABSENT,
     false,
     "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
    {"CONNECT",
     "a.test:443",
     "a.test:443",
     {NULL},
     ABSENT,
     false,
     "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"},
    {"GET",
     "http://a.test/x?y",
     "a.test",
     {NULL},
     ABSENT,
     false,
     "GET http://a.test/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n"},
    {"GET",
     "/\"<>\\^`{|}[]~!",
     "a.test",
     {NULL},
     ABSENT,
     false,
     "GET /\"<>\\^`{|}[]~! HTTP/1.1\r\nHost: a.test\r\n\r\n"},
    {"GET",
     "/",
     "[::1]:8080",
     {NULL},
     ABSENT,
     false,
     "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"},
    /* fields: order and spelling kept, values trimmed */
    {"GET",
     "/",
     "a.test",
     {"X-b", "1", "x-A", " 2\t", "X-b", "3"},
     ABSENT,
     false,
     GET_A "X-b: 1\r\nx-A: 2\r\nX-b: 3\r\n\r\n"},
    {"GET", "/", "a.test", {"X", ""}, ABSENT, false, GET_A "X: \r\n\r\n"},
    {"GET", "/", "a.test", {"X", " \t "}, ABSENT, false, GET_A "X: \r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"X", "a\tb \xc3\xa9\xff"},
     ABSENT,
     false,
     GET_A "X: a\tb \xc3\xa9\xff\r\n\r\n"},
    /* User-Agent */
    {"GET",
     "/",
     "a.test",
     {"User-Agent", "u/1", "X", "y"},
     ABSENT,
     false,
     GET_A "User-Agent: u/1\r\nX: y\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"user-agent", " ", "X", "y"},
     ABSENT,
     false,
     GET_A "X: y\r\n\r\n"},
    /* Host of the caller: first, once, in our spelling */
    {"GET",
     "/",
     "a.test",
     {"X", "y", "hOST", " b.test:81 "},
     ABSENT,
     false,
     "GET / HTTP/1.1\r\nHost: b.test:81\r\nX: y\r\n\r\n"},
    {"GET",
     "/",
     "",
     {"Host", "[fe80::1]"},
     ABSENT,
     false,
     "GET / HTTP/1.1\r\nHost: [fe80::1]\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"Host", "my_host.:80"},
     ABSENT,
     false,
     "GET / HTTP/1.1\r\nHost: my_host.:80\r\n\r\n"},
    /* Connection: close, RFC 9110 7.6.1 */
    {"GET",
     "/",
     "a.test",
     {NULL},
     ABSENT,
     true,
     GET_A "Connection: close\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"X", "y"},
     ABSENT,
     true,
     GET_A "X: y\r\nConnection: close\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"connection", "Close", "X", "y"},
     ABSENT,
     true,
     GET_A "connection: close\r\nX: y\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"Connection", "close"},
     ABSENT,
     false,
     GET_A "Connection: close\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"Connection", "close, close"},
     ABSENT,
     false,
     GET_A "Connection: close\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"Connection", "TE", "TE", "trailers"},
     ABSENT,
     true,
     GET_A "Connection: TE, close\r\nTE: trailers\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"Connection", "close,TE"},
     ABSENT,
     true,
     GET_A "Connection: TE, close\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"Connection", "TE", "Connection", "close", "Connection", "close, x"},
     ABSENT,
     false,
     GET_A "Connection: TE\r\nConnection: close\r\nConnection: x\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"Connection", "TE", "Connection", "close", "Connection", "close, x"},
     ABSENT,
     true,
     GET_A "Connection: TE, close\r\nConnection: x\r\n\r\n"},
    {"GET", "/", "a.test", {"Connection", " , ,"}, ABSENT, false, GET_A "\r\n"},
    {"GET",
     "/",
     "a.test",
     {"Connection", ""},
     ABSENT,
     true,
     GET_A "Connection: close\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"Connection", "keep-alive"},
     ABSENT,
     false,
     GET_A "Connection: keep-alive\r\n\r\n"},
    /* lengths, RFC 9110 8.6 */
    {"GET", "/", "a.test", {NULL}, 0, false, GET_A "Content-Length: 0\r\n\r\n"},
    {"POST",
     "/",
     "a.test",
     {NULL},
     ABSENT,
     false,
     POST_A "Content-Length: 0\r\n\r\n"},
    {"PUT",
     "/",
     "a.test",
     {NULL},
     ABSENT,
     false,
     "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n"},
    {"PATCH",
     "/",
     "a.test",
     {NULL},
     ABSENT,
     false,
     "PATCH / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n"},
    {"DELETE",
     "/",
     "a.test",
     {NULL},
     ABSENT,
     false,
     "DELETE / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
    {"POST",
     "/",
     "a.test",
     {NULL},
     5,
     false,
     POST_A "Content-Length: 5\r\n\r\n"},
    {"POST",
     "/",
     "a.test",
     {NULL},
     INT64_MAX,
     true,
     POST_A "Connection: close\r\nContent-Length: 9223372036854775807\r\n\r\n"},
    {"POST",
     "/",
     "a.test",
     {"content-length", " 5 ", "X", "y"},
     5,
     false,
     POST_A "content-length: 5\r\nX: y\r\n\r\n"},
    {"POST",
     "/",
     "a.test",
     {"Content-Length", "9223372036854775807"},
     INT64_MAX,
     false,
     POST_A "Content-Length: 9223372036854775807\r\n\r\n"},
    {"GET",
     "/",
     "a.test",
     {"Content-Length", "0"},
     ABSENT,
     false,
     GET_A "Content-Length: 0\r\n\r\n"},
    {"POST",
     "/",
     "a.test",
     {"Content-Length", "0"},
     ABSENT,
     false,
     POST_A "Content-Length: 0\r\n\r\n"},
    {"POST",
     "/",
     "a.test",
     {NULL},
     UNKNOWN,
     false,
     POST_A "Transfer-Encoding: chunked\r\n\r\n"},
    {"POST",
     "/",
     "a.test",
     {"transfer-encoding", " Chunked ", "X", "y"},
     UNKNOWN,
     false,
     POST_A "transfer-encoding: Chunked\r\nX: y\r\n\r\n"},
    {"POST",
     "/",
     "a.test",
     {"Content-Length", "7"},
     UNKNOWN,
     false,
     POST_A "Content-Length: 7\r\n\r\n"},
};

static void
test_written(void)
{
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        attempt a;
        attempt_run(&a, &written[i]);
        if (a.result != 0)
            fprintf(stderr, "row %zu: %s\n", i, a.err.text);
        CHECK_INT(a.result, 0);
        CHECK_SPAN(hp_span_of(a.out.ptr, a.out.len), written[i].want);
        attempt_done(&a);
    }
}

static const struct refusal {
    row r;
    hp_errc code;
    const char *names; /* must be in the text */
} refusals[] = {
#define METHOD(m)                                                              \
    {{m, "/", "a.test", {NULL}, ABSENT, false, NULL}, HP_E_INVALID_METHOD, ""}
    METHOD("GET\r\nX: s3cret"),
    METHOD("GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET"),
    METHOD(" GET"),
    METHOD("GET "),
    METHOD("G ET"),
    METHOD("G\x7fT"),
    METHOD("G\xc3\x89T"),
    METHOD("GET\n"),
    METHOD("G:T"),
    METHOD("G/T"),
    METHOD("(GET)"),
#define TARGET(m, t)                                                           \
    {{m, t, "a.test", {NULL}, ABSENT, false, NULL}, HP_E_INVALID_URL, "target"}
    TARGET("GET", "/a\r\nX: y"),
    TARGET("GET", "/a b"),
    TARGET("GET", " /"),
    TARGET("GET", "/?s3cret\n"),
    TARGET("GET", "/a\tb"),
    TARGET("GET", "/a\x7f"),
    TARGET("GET", "/\xc3\xa9"),
    TARGET("GET", "/a#frag"),
    TARGET("CONNECT", ""),
    TARGET("CONNECT", "a.test:443\r\n"),
#define AUTHORITY(h)                                                           \
    {{"GET", "/", h, {NULL}, ABSENT, false, NULL}, HP_E_INVALID_HEADER, "Host"}
    AUTHORITY(""),
    AUTHORITY("a.test\r\nX: s3cret"),
    AUTHORITY("a b"),
    AUTHORITY("u:s3cret@a.test"),
    AUTHORITY("a.test/"),
    AUTHORITY("a.test:8x"),
    AUTHORITY("a.test:123456"),
    AUTHORITY("a:1:2"),
    AUTHORITY(":80"),
    AUTHORITY("[]"),
    AUTHORITY("[::1"),
    AUTHORITY("[::1]x"),
    AUTHORITY("[fe80::1%25eth0]"),
    AUTHORITY("\xc3\xa9.test"),
    AUTHORITY("a%2etest"),
#define FIELD(n, v, names)                                                     \
    {{"GET", "/", "a.test", {"X", "y", n, v}, ABSENT, false, NULL},            \
     HP_E_INVALID_HEADER,                                                      \
     names}
    FIELD("X-Key", "s3cret\r\nX: y", "\"X-Key\""),
    FIELD("X-Key", "s3cret\nX: y", "\"X-Key\""),
    FIELD("X-Key", "s3cret\ry", "\"X-Key\""),
    FIELD("X-Key", "\r\n", "\"X-Key\""),
    FIELD("X-Key", "s3cret\v", "\"X-Key\""),
    FIELD("X-Key", "s3cret\x7f", "\"X-Key\""),
    FIELD("X-Key", "s3cret\x01", "\"X-Key\""),
    FIELD("X-Key", "\r\n X: s3cret", "\"X-Key\""),
    FIELD("User-Agent", "s3cret\n", "\"User-Agent\""),
    FIELD("Upgrade", "s3cret\n", "\"Upgrade\""),
    FIELD("X Y", "s3cret", "\"X\""),
    FIELD("X-Key: s3cret", "", "\"X-Key\""),
    FIELD("X:", "s3cret", "\"X\""),
    FIELD("", "s3cret", "name"),
    FIELD("X\t", "s3cret", "\"X\""),
    FIELD(" X", "s3cret", "name"),
    FIELD(":authority", "s3cret", "name"),
    FIELD("Host\r\n", "s3cret", "\"Host\""),
    FIELD("X\"", "s3cret", "\"X\""),
    FIELD("X\xc3\xa9", "s3cret", "\"X\""),
    FIELD("X\x7f", "s3cret", "\"X\""),
    FIELD("Host", "s3cret b", "\"Host\""),
    FIELD("Host", "s3cret\r\nX: y", "\"Host\""),
    FIELD("Host", "", "\"Host\""),
    FIELD("Host", "s3cret/", "\"Host\""),
    FIELD("Connection", "s3cret b c", "\"Connection\""),
    FIELD("Connection", "TE, s3cret=1", "\"Connection\""),
    FIELD("connection", "s3cret\n", "\"connection\""),
    FIELD("Content-Length", "5", "\"Content-Length\""),
    FIELD("Transfer-Encoding", "chunked", "\"Transfer-Encoding\""),
    FIELD("Transfer-Encoding", "", "\"Transfer-Encoding\""),
#define LENGTH(v)                                                              \
    {{"POST", "/", "a.test", {"content-LENGTH", v}, 5, false, NULL},           \
     HP_E_INVALID_HEADER,                                                      \
     "\"content-LENGTH\""}
    LENGTH(""),
    LENGTH("5, 5"),
    LENGTH("5, 6"),
    LENGTH("+5"),
    LENGTH("-5"),
    LENGTH("5\r\n"),
    LENGTH("5s3cret"),
    LENGTH("0x5"),
    LENGTH("5.0"),
    LENGTH("5 5"),
    LENGTH("\xd9\xa5"),
    LENGTH("4"),
    LENGTH("9223372036854775808"),
    LENGTH("18446744073709551621"), /* 5 modulo 2^64 */
#define FRAMING(body, n1, v1, n2, v2, names)                                   \
    {{"POST", "/", "a.test", {n1, v1, n2, v2}, body, false, NULL},             \
     HP_E_INVALID_HEADER,                                                      \
     names}
    FRAMING(5, "Content-Length", "5", "content-length", "5", "content-length"),
    FRAMING(0, "Host", "a", "Host", "b", "Host"),
    FRAMING(0, "Host", "a", "host", "a", "Host"),
    FRAMING(5, "Transfer-Encoding", "chunked", NULL, NULL, "Transfer-"),
    FRAMING(UNKNOWN, "Transfer-Encoding", "chunked, gzip", NULL, NULL,
            "Transfer-"),
    FRAMING(UNKNOWN, "Transfer-Encoding", "gzip", NULL, NULL, "Transfer-"),
    FRAMING(UNKNOWN, "Transfer-Encoding", "identity", NULL, NULL, "Transfer-"),
    FRAMING(UNKNOWN, "Transfer-Encoding", "chunked", "Transfer-Encoding",
            "chunked", "twice"),
    FRAMING(UNKNOWN, "Transfer-Encoding", "chunked", "Content-Length", "5",
            "Content-Length"),
    FRAMING(UNKNOWN, "Content-Length", "5", "Transfer-Encoding", "chunked",
            "Transfer-"),
    FRAMING(UNKNOWN, "Content-Length", "x", NULL, NULL, "Content-Length"),
};

static void
test_refusals(void)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *f = &refusals[i];
        attempt a;
        attempt_init(&a, &f->r);
        hp_buf_add_cstr(&a.out, "before");
        attempt_write(&a);
        if (a.err.code != f->code)
            fprintf(stderr, "row %zu: %s\n", i, a.err.text);
        CHECK_INT(a.err.code, f->code);
        CHECK(strstr(a.err.text, f->names) != NULL);
        CHECK(strstr(a.err.text, "s3cret") == NULL);
        CHECK_SPAN(hp_span_of(a.out.ptr, a.out.len), "before");
        attempt_done(&a);
    }
}

static void
check_one(hp_request_head head, hp_errc code)
{
    hp_buf out;
    hp_buf_init(&out, NULL, 0, 4096);
    hp_request_facts facts;
    int64_t promised;
    hp_err err;
    hp_err_clear(&err);
    CHECK_INT(hp_request_write(&out, &head, &facts, &promised, &err),
              code == HP_OK ? 0 : -1);
    CHECK_INT(err.code, code);
    CHECK(code == HP_OK || out.len == 0);
    hp_buf_free(&out);
}

/* Every control byte, NUL too, in every part of a request. */
static void
test_every_control_byte(void)
{
    for (int c = 0; c < 0x80; c = c == 0x1f ? 0x7f : c + 1) {
        char bytes[3] = {'a', (char)c, 'b'};
        hp_span bad = hp_span_of(bytes, sizeof bytes);
        hp_span good = HP_SPAN_LIT("a");
        hp_field fields[2] = {{good, good}, {good, bad}};
        hp_request_head head = {.method = bad,
                                .target = good,
                                .authority = good,
                                .fields = fields,
                                .body_length = HP_BODY_ABSENT};
        check_one(head, HP_E_INVALID_METHOD);
        head.method = good;
        head.target = bad;
        check_one(head, HP_E_INVALID_URL);
        head.target = good;
        head.authority = bad;
        check_one(head, HP_E_INVALID_HEADER);
        head.authority = good;
        head.n_fields = 2;
        check_one(head, c == '\t' ? HP_OK : HP_E_INVALID_HEADER);
        fields[1] = (hp_field){bad, good};
        check_one(head, HP_E_INVALID_HEADER);
    }
}

static void
test_token(void)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z');
        bool want = alnum || (c && memchr(others, c, sizeof others - 1));
        CHECK_INT(hp_is_token(hp_span_of(&byte, 1)), want);
    }
    CHECK(!hp_is_token(HP_SPAN_LIT("")));
    CHECK(hp_is_token(HP_SPAN_LIT("Content-Type")));
    CHECK(!hp_is_token(HP_SPAN_LIT("Content-Type ")));
}

static hp_request_facts
facts_of(row r)
{
    attempt a;
    attempt_run(&a, &r);
    CHECK_INT(a.result, 0);
    attempt_done(&a);
    return a.facts;
}

static void
test_method_facts(void)
{
    static const struct {
        const char *method;
        bool head, connect, replayable;
    } rows[] = {{"", false, false, true},       {"GET", false, false, true},
                {"HEAD", true, false, true},    {"OPTIONS", false, false, true},
                {"TRACE", false, false, true},  {"POST", false, false, false},
                {"PUT", false, false, false},   {"DELETE", false, false, false},
                {"get", false, false, false},   {"Head", false, false, false},
                {"CONNECT", false, true, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hp_request_facts f = facts_of(
            (row){rows[i].method, "a:1", "a", {NULL}, ABSENT, false, NULL});
        CHECK_INT(f.is_head, rows[i].head);
        CHECK_INT(f.is_connect, rows[i].connect);
        CHECK_INT(f.replayable_method, rows[i].replayable);
        CHECK(!f.idempotency_key && !f.says_close && !f.wants_upgrade &&
              !f.expects_continue && !f.chunked);
    }
}

static void
test_field_facts(void)
{
    hp_request_facts f;
    f = facts_of((row){"POST", "/", "a", {"idempotency-KEY", ""}, 1, 0, NULL});
    CHECK(f.idempotency_key);
    f = facts_of((row){"POST", "/", "a", {"X-Idempotency-Key", "k"}, 1, 0, 0});
    CHECK(f.idempotency_key);
    f = facts_of((row){"GET", "/", "a", {NULL}, ABSENT, true, NULL});
    CHECK(f.says_close);
    f = facts_of((row){"GET", "/", "a", {"Connection", "x, CLOSE"}, -1, 0, 0});
    CHECK(f.says_close);
    f = facts_of((row){"GET", "/", "a", {"Connection", "closed"}, -1, 0, 0});
    CHECK(!f.says_close);
    f = facts_of((row){"GET",
                       "/",
                       "a",
                       {"Upgrade", "websocket", "Connection", "x, Upgrade"},
                       ABSENT,
                       false,
                       NULL});
    CHECK(f.wants_upgrade);
    f = facts_of((row){"GET", "/", "a", {"Upgrade", "websocket"}, -1, 0, 0});
    CHECK(!f.wants_upgrade);
    f = facts_of((row){"GET", "/", "a", {"Connection", "upgrade"}, -1, 0, 0});
    CHECK(!f.wants_upgrade);
}

static void
test_expect(void)
{
    static const struct {
        const char *value;
        int64_t body;
        bool want;
    } rows[] = {
        {"100-continue", 1, true},        {"100-Continue", UNKNOWN, true},
        {" 100-continue ", 5, true},      {"100-continue", 0, false},
        {"100-continue", ABSENT, false},  {"200-ok", 5, false},
        {"100-continue, more", 5, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hp_request_facts f = facts_of((row){
            "POST", "/", "a", {"expect", rows[i].value}, rows[i].body, 0, 0});
        CHECK_INT(f.expects_continue, rows[i].want);
    }
}

static void
test_framing_facts(void)
{
    static const struct {
        const char *name, *value;
        int64_t body, promised;
        bool chunked;
    } rows[] = {
        {NULL, NULL, ABSENT, -1, false},
        {NULL, NULL, 0, 0, false},
        {NULL, NULL, 7, 7, false},
        {NULL, NULL, UNKNOWN, -1, true},
        {"Transfer-Encoding", "chunked", UNKNOWN, -1, true},
        {"Content-Length", "7", 7, 7, false},
        {"Content-Length", "0", ABSENT, -1, false},
        {"Content-Length", "7", UNKNOWN, 7, false},
        {"Content-Length", "007", UNKNOWN, 7, false},
        {"Content-Length", "0", UNKNOWN, 0, false},
        {"Content-Length", "9223372036854775807", UNKNOWN, INT64_MAX, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        row r = {"POST",       "/",   "a", {rows[i].name, rows[i].value},
                 rows[i].body, false, NULL};
        attempt a;
        attempt_run(&a, &r);
        CHECK_INT(a.result, 0);
        CHECK_INT(a.promised, rows[i].promised);
        CHECK_INT(a.facts.chunked, rows[i].chunked);
        attempt_done(&a);
    }
}

static void
test_appends(void)
{
    attempt a;
    attempt_init(&a, &written[0]);
    hp_buf_add_cstr(&a.out, "before");
    attempt_write(&a);
    CHECK_SPAN(hp_span_of(a.out.ptr, a.out.len), "before" GET_A "\r\n");
    attempt_done(&a);
}

/* One byte too few at any size is refused whole. */
static void
test_maximum(void)
{
    size_t need = strlen(written[10].want);
    for (size_t max = 0; max <= need; max++) {
        attempt a;
        attempt_init(&a, &written[10]);
        hp_buf_init(&a.out, NULL, 0, max);
        attempt_write(&a);
        CHECK_INT(a.err.code, max < need ? HP_E_INVALID_HEADER : HP_OK);
        CHECK_INT(a.out.len, max < need ? 0 : need);
        attempt_done(&a);
    }
}

static void
test_no_memory(void)
{
    char big[600];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    row r = {"GET", "/", "a.test", {"X", big, "Y", big}, ABSENT, true, NULL};
    int failures = 0;
    for (long n = 0;; n++) {
        attempt a;
        attempt_init(&a, &r);
        hp_mem_fail_after(n);
        attempt_write(&a);
        hp_mem_fail_after(-1);
        hp_errc code = a.err.code;
        CHECK(code == HP_OK || a.out.len == 0);
        attempt_done(&a);
        if (code == HP_OK)
            break;
        CHECK_INT(code, HP_E_NOMEM);
        failures++;
    }
    CHECK(failures >= 2);
}

int
main(void)
{
    RUN(test_written);
    RUN(test_refusals);
    RUN(test_every_control_byte);
    RUN(test_token);
    RUN(test_method_facts);
    RUN(test_field_facts);
    RUN(test_expect);
    RUN(test_framing_facts);
    RUN(test_appends);
    RUN(test_maximum);
    RUN(test_no_memory);
    DONE();
}
