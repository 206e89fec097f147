/* Reading bodies: small and large reads, errors and the bytes before them,
 * limits, trailers. */
#include "exchange_kit.h"

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

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

/* Reads to an error, which must be this one and stay; what came before it. */
static void
fails(hp_exchange *ex, size_t cap, hp_errc code, const char *before)
{
    size_t got;
    CHECK_INT(kit_body(&k, ex, cap, false), HP_GO_ERROR);
    CHECK_ERR(ex, code);
    CHECK_INT(ex->err.phase, HP_PHASE_BODY);
    CHECK_SPAN(kit_text(&k), before);
    CHECK_INT(kit_read(&k, ex, cap, false, &got), HP_GO_ERROR);
    CHECK_ERR(ex, code);
    CHECK(!hp_exchange_ended(ex));
    hp_exchange_free(ex);
}

/* ---- sizes of reads ---- */

static const size_t caps[] = {1, 3, 7, 4095, 4096, 20000};
enum {
    N_CAPS = sizeof caps / sizeof *caps
};

/* Small reads are served from a stage, large ones go straight to the caller:
 * the bytes are the same. */
static void
test_read_sizes(void)
{
    enum {
        SIZE = 30000
    };
    static char data[SIZE], chunked[SIZE + 2000];
    size_t n = 0;
    for (int i = 0; i < SIZE; i++)
        data[i] = (char)('a' + i % 26);
    for (int i = 0; i < SIZE; i += 1000) {
        n += (size_t)sprintf(chunked + n, "3e8\r\n");
        memcpy(chunked + n, data + i, 1000);
        memcpy(chunked + n + 1000, "\r\n", 2);
        n += 1002;
    }
    n += (size_t)sprintf(chunked + n, "0\r\n\r\n");
    const script_event events[] = {
        SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n"),
        {SCRIPT_DATA, data, 10, 0},
        {.op = SCRIPT_AGAIN},
        {SCRIPT_DATA, data + 10, SIZE - 10, 0},
        SCRIPT_BYTES(CHUNKED),
        {SCRIPT_DATA, chunked, 5555, 0},
        {.op = SCRIPT_AGAIN},
        {SCRIPT_DATA, chunked + 5555, n - 5555, 0},
    };
    for (int i = 0; i < N_CAPS; i++) {
        kit_init(&k);
        kit_play(&k, events, sizeof events / sizeof *events);
        for (int round = 0; round < 2; round++) {
            hp_exchange *ex = head();
            CHECK_INT(kit_body(&k, ex, caps[i], true), HP_GO_DONE);
            CHECK(hp_span_eq(kit_text(&k), hp_span_of(data, SIZE)));
            CHECK_RELEASED(ex, HP_KEEP);
            hp_exchange_free(ex);
        }
        kit_free(&k);
    }
}

/* What has arrived but was not read is not taken, wherever it lies. */
static void
test_taken(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
         SCRIPT_BYTES("defghi"));
    hp_exchange *ex = head();
    CHECK_INT(hp_exchange_taken(ex), 0);
    size_t got, all = 0;
    for (int i = 0; i < 6; i++) {
        CHECK_INT(kit_read(&k, ex, 2, false, &got), HP_GO_DONE);
        all += got;
        CHECK_INT(hp_exchange_taken(ex), all);
    }
    CHECK_INT(all, 9);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* A read of nothing neither waits nor says that the body has ended. */
static void
test_read_of_nothing(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
         SCRIPT_BYTES("abc"));
    hp_exchange *ex = head();
    size_t got;
    CHECK_INT(hp_ex_step_read(ex, &k.w, NULL, 0, false, &got), HP_GO_DONE);
    CHECK_INT(hp_exchange_left(ex), 3);
    CHECK_INT(kit_body(&k, ex, 8192, false), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), "abc");
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- the drive's side ---- */

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

static void
test_read_full(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
         SCRIPT_BYTES("de"), SCRIPT_BYTES("fghi"));
    hp_exchange *ex = head();
    size_t got;
    CHECK_INT(drive(ex, 2, HP_READ_FULL, true, &got), HP_DRIVE_DONE);
    CHECK_INT(got, 2);
    CHECK_INT(drive(ex, 5, HP_READ_FULL, true, &got), HP_DRIVE_DONE);
    CHECK_INT(got, 5);
    CHECK_INT(drive(ex, 5, HP_READ_FULL, true, &got), HP_DRIVE_DONE);
    CHECK_INT(got, 2);
    CHECK_RELEASED(ex, HP_KEEP);
    CHECK_INT(drive(ex, 5, HP_READ_FULL, true, &got), HP_DRIVE_DONE);
    CHECK_INT(got, 0);
    CHECK_SPAN(kit_text(&k), "abcdefghi");
    hp_exchange_free(ex);
    kit_free(&k);
}

/* S84, S67: the bytes first, the error at the next call, and for ever. */
static void
test_read_full_then_error(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
         SCRIPT_BYTES("de"), {.op = SCRIPT_EOF});
    hp_exchange *ex = head();
    size_t got;
    CHECK_INT(drive(ex, 9, HP_READ_FULL, true, &got), HP_DRIVE_DONE);
    CHECK_SPAN(kit_text(&k), "abcde");
    for (int i = 0; i < 2; i++) {
        CHECK_INT(drive(ex, 9, HP_READ_FULL, true, &got), HP_DRIVE_ERROR);
        CHECK_INT(k.err.code, HP_E_INCOMPLETE_BODY);
        CHECK(strstr(k.err.text, " 4 bytes"));
        CHECK_RELEASED(ex, HP_CLOSE_IO_ERROR);
    }
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- signals in a drive that never waits ---- */

static hp_stream_ops slow_ops;
static ssize_t (*script_read)(hp_stream *s, void *buf, size_t n, hp_err *err);

static ssize_t
read_slowly(hp_stream *s, void *buf, size_t n, hp_err *err)
{
    hp_clock_advance(2 * HP_NS_PER_MS);
    return script_read(s, buf, n, err);
}

static bool
stop_at_second(void *arg)
{
    return ++*(int *)arg == 2;
}

/* The main thread is asked every 10 ms, though there is always more to read.
 */
static void
test_busy_drive_is_interrupted(void)
{
    enum {
        N = 100
    };
    static script_event events[N + 1] = {
        SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")};
    int asked = 0;
    for (int i = 1; i <= N; i++)
        events[i] = (script_event)SCRIPT_BYTES("x");
    kit_init(&k);
    kit_play(&k, events, N + 1);
    hp_exchange *ex = head();
    slow_ops = *k.scripts[0].base.ops;
    script_read = slow_ops.read;
    slow_ops.read = read_slowly;
    k.scripts[0].base.ops = &slow_ops;
    const hp_driver main_thread = {stop_at_second, &asked, true};
    char buf[N];
    size_t got;
    CHECK_INT(hp_drive_read(ex, &main_thread, buf, N, HP_READ_FULL, true, &got,
                            &k.err),
              HP_DRIVE_DONE);
    CHECK_INT(asked, 2);
    CHECK(got >= 10 && got <= 12); /* and nothing is lost */
    CHECK_INT(hp_drive_read(ex, &main_thread, buf, N, HP_READ_FULL, true, &got,
                            &k.err),
              HP_DRIVE_ERROR);
    CHECK_INT(k.err.code, HP_E_INTERRUPTED);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_read_before_head(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"));
    hp_exchange *ex = kit_new(&k);
    size_t got;
    CHECK_INT(drive(ex, 9, HP_READ_SOME, true, &got), HP_DRIVE_ERROR);
    CHECK_INT(k.err.code, HP_E_INVALID_ARGUMENT);
    CHECK(!hp_exchange_ended(ex));
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE); /* that error does not stick */
    CHECK_INT(drive(ex, 9, HP_READ_SOME, true, &got), HP_DRIVE_DONE);
    CHECK_INT(got, 3);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- broken bodies ---- */

/* Whatever way the bytes come: those before the fault are given out. */
static void
test_broken_chunks(void)
{
    for (int i = 0; i < N_CAPS; i++) {
        kit_init(&k);
        PLAY(&k, SCRIPT_BYTES(CHUNKED "3\r\nabc\r\n2\r\ndeX"));
        fails(head(), caps[i], HP_E_CHUNKED, "abcde");
        PLAY(&k, SCRIPT_BYTES(CHUNKED), {.op = SCRIPT_AGAIN},
             SCRIPT_BYTES("3\r\nabc\r\n2\r\ndeX"));
        fails(head(), caps[i], HP_E_CHUNKED, "abcde");
        PLAY(&k, SCRIPT_BYTES(CHUNKED "3\r\nab"), {.op = SCRIPT_EOF});
        fails(head(), caps[i], HP_E_INCOMPLETE_BODY, "ab");
        PLAY(&k, SCRIPT_BYTES(CHUNKED "0\r\nbad trailer\r\n\r\n"));
        fails(head(), caps[i], HP_E_CHUNKED, "");
        kit_free(&k);
    }
}

static void
test_broken_connections(void)
{
    for (int i = 0; i < N_CAPS; i++) {
        kit_init(&k);
        PLAY(&k,
             SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
             {.op = SCRIPT_ERROR, .err = 104});
        fails(head(), caps[i], HP_E_READ, "abc");
        PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\n\r\nabc"),
             {.op = SCRIPT_ERROR, .err = 104});
        fails(head(), caps[i], HP_E_READ, "abc");
        PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\n\r\nabc"),
             {.op = SCRIPT_TRUNCATED});
        fails(head(), caps[i], HP_E_INCOMPLETE_BODY, "abc");
        PLAY(&k,
             SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc"),
             {.op = SCRIPT_TRUNCATED});
        fails(head(), caps[i], HP_E_INCOMPLETE_BODY, "abc");
        kit_free(&k);
    }
}

/* ---- limits ---- */

/* Up to the limit all is well, and exactly the bytes within it are given. */
static void
test_max_size(void)
{
    for (int i = 0; i < N_CAPS; i++) {
        kit_init(&k);
        k.r.max_size = 5;
        PLAY(&k, SCRIPT_BYTES(CHUNKED "6\r\nabcdef\r\n0\r\n\r\n"));
        fails(head(), caps[i], HP_E_BODY_TOO_LARGE, "abcde");
        PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\n\r\nabc"),
             SCRIPT_BYTES("defghi"), {.op = SCRIPT_EOF});
        fails(head(), caps[i], HP_E_BODY_TOO_LARGE, "abcde");
        PLAY(&k, SCRIPT_BYTES(CHUNKED "5\r\nabcde\r\n0\r\n\r\n"));
        hp_exchange *ex = head();
        CHECK_INT(kit_body(&k, ex, caps[i], false), HP_GO_DONE);
        CHECK_SPAN(kit_text(&k), "abcde");
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

/* What lies beyond max_size is not looked at, however the bytes are cut; and
 * the failure is told once. */
static void
test_max_size_before_a_fault(void)
{
    static const char bytes[] = CHUNKED "6\r\nabcdef\r\nfault";
    for (size_t cut = 1; cut < sizeof bytes - 1; cut++) {
        script_event events[] = {
            {SCRIPT_DATA, bytes, cut, 0},
            {.op = SCRIPT_AGAIN},
            {SCRIPT_DATA, bytes + cut, sizeof bytes - 1 - cut, 0}};
        uint64_t dropped;
        int done = 0;
        kit_init(&k);
        k.r.max_size = 5;
        k.r.trace = HP_TRACE_EVENTS;
        kit_play(&k, events, 3);
        hp_exchange *ex = kit_new(&k);
        CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
        CHECK_INT(kit_body(&k, ex, 8192, true), HP_GO_ERROR);
        CHECK_ERR(ex, HP_E_BODY_TOO_LARGE);
        CHECK_SPAN(kit_text(&k), "abcde");
        hp_event *all = hp_exchange_take_events(ex, &dropped);
        for (const hp_event *e = all; e; e = e->next)
            done += e->kind == HP_EVENT_REQUEST_DONE;
        CHECK_INT(done, 1);
        hp_event_free_all(all);
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

/* Nobody waits for what is announced to be too much; the head is an answer all
 * the same, a redirect perhaps. */
static void
test_max_size_announced(void)
{
    kit_init(&k);
    k.r.max_size = 5;
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"));
    hp_exchange *ex = head();
    CHECK_RELEASED(ex, HP_CLOSE_PROTOCOL_ERROR);
    fails(ex, 20000, HP_E_BODY_TOO_LARGE, "");
    k.r.method = HP_SPAN_LIT("HEAD"); /* announces, but does not send */
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"));
    hp_exchange_free(head());
    kit_free(&k);
}

/* S101; and a head that never ends but stays below is only waited for. */
static void
test_max_header_bytes(void)
{
    static char big[3000];
    memset(big, 'x', sizeof big);
    const script_event events[] = {
        SCRIPT_BYTES("HTTP/1.1 200 OK\r\nA: "),
        {SCRIPT_DATA, big, 1500, 0},
        {.op = SCRIPT_AGAIN},
        {SCRIPT_DATA, big, 1500, 0},
    };
    kit_init(&k);
    k.config.max_header_bytes = 2000;
    kit_play(&k, events, 4);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_HEADERS_TOO_LARGE);
    CHECK_RELEASED(ex, HP_CLOSE_PROTOCOL_ERROR);
    hp_exchange_free(ex);
    kit_play(&k, events, 2);
    ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_WAIT);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* The limit is on the head: a body that came along does not count. */
static void
test_header_limit_spares_the_body(void)
{
    static char big[3000];
    memset(big, 'x', sizeof big);
    const script_event events[] = {
        SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"),
        {SCRIPT_DATA, big, sizeof big, 0},
    };
    static char joined[3100];
    size_t n = events[0].len;
    memcpy(joined, events[0].data, n);
    memcpy(joined + n, big, sizeof big);
    const script_event one = {SCRIPT_DATA, joined, n + sizeof big, 0};
    kit_init(&k);
    k.config.max_header_bytes = 1024;
    kit_play(&k, &one, 1);
    hp_exchange *ex = head();
    CHECK_RELEASED(ex, HP_KEEP);
    CHECK_INT(hp_exchange_left(ex), sizeof big);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- trailers ---- */

/* S91, S92 */
static void
test_trailers(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES(CHUNKED "1\r\nx\r\n0\r\nA: "), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("1\r\nContent-Length: 9\r\nB: 2\r\n\r\n"));
    hp_exchange *ex = head();
    CHECK_SPAN(hp_exchange_trailers(ex), "");
    CHECK_INT(kit_body(&k, ex, 8192, false), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), "x");
    CHECK_SPAN(hp_exchange_trailers(ex), "A: 1\r\nB: 2\r\n");
    CHECK_RELEASED(ex, HP_KEEP);
    hp_exchange_free(ex);
    PLAY(&k, SCRIPT_BYTES(CHUNKED "1\r\nx\r\n0\r\nA: 1\r\n"),
         {.op = SCRIPT_EOF});
    k.scripts[0].liveness = HP_DEAD_CLOSED;
    ex = head();
    CHECK_INT(kit_body(&k, ex, 8192, false), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_INCOMPLETE_BODY);
    CHECK_SPAN(hp_exchange_trailers(ex), "");
    hp_exchange_free(ex);
    kit_free(&k);
}

int
main(void)
{
    RUN(test_read_sizes);
    RUN(test_taken);
    RUN(test_read_of_nothing);
    RUN(test_read_full);
    RUN(test_read_full_then_error);
    RUN(test_busy_drive_is_interrupted);
    RUN(test_read_before_head);
    RUN(test_broken_chunks);
    RUN(test_broken_connections);
    RUN(test_max_size);
    RUN(test_max_size_before_a_fault);
    RUN(test_max_size_announced);
    RUN(test_max_header_bytes);
    RUN(test_header_limit_spares_the_body);
    RUN(test_trailers);
    DONE();
}
