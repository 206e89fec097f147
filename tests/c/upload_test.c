/* Request bodies: what stands on the wire, answers that come before the body
 * is out, Expect: 100-continue, and bodies that belie their length. */
#include <errno.h>

#include "exchange_kit.h"

#define OK_EMPTY SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
#define POST "POST /p?q HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const char *const two[] = {"one", "three", NULL};
static kit k;

static hp_exchange *
head(void)
{
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    return ex;
}

/* A request that leaves this on the wire and this verdict. */
static void
sends(const char *bytes, hp_close_reason why)
{
    hp_exchange *ex = head();
    k.body.len = 0;
    CHECK_INT(kit_body(&k, ex, 8192, true), HP_GO_DONE);
    CHECK_INT(kit_grace(&k, ex), HP_GO_DONE);
    CHECK_SPAN(script_written(&k.scripts[k.queue.next - 1]), bytes);
    CHECK_RELEASED(ex, why);
    hp_exchange_free(ex);
}

/* ---- on the wire ---- */

/* S103: head and body in one write. */
static void
test_bytes(void)
{
    static const char want[] = POST "Content-Length: 4\r\n\r\nbody";
    static const script_event events[] = {
        {SCRIPT_ACCEPT, NULL, sizeof want - 1, 0},
        {.op = SCRIPT_WANT_WRITE},
        OK_EMPTY};
    kit_init(&k);
    kit_post(&k, "body");
    kit_play(&k, events, 3);
    sends(want, HP_KEEP);
    CHECK_INT(k.scripts[0].writing, 1); /* no second write was tried */
    kit_free(&k);
}

static void
test_empty_bodies(void)
{
    static const char *const none[] = {NULL};
    kit_init(&k);
    kit_post(&k, "");
    PLAY(&k, {.op = SCRIPT_AGAIN}, OK_EMPTY);
    sends(POST "Content-Length: 0\r\n\r\n", HP_KEEP);
    kit_free(&k);
    kit_init(&k);
    kit_produce(&k, none, 0);
    PLAY(&k, {.op = SCRIPT_AGAIN}, OK_EMPTY);
    sends(POST "Content-Length: 0\r\n\r\n", HP_KEEP);
    kit_free(&k);
    kit_init(&k);
    kit_produce(&k, none, -1);
    PLAY(&k, {.op = SCRIPT_AGAIN}, OK_EMPTY);
    sends(CHUNKED "0\r\n\r\n", HP_KEEP);
    kit_free(&k);
}

/* However few bytes a write takes. */
static void
test_chunked(void)
{
    static const char want[] = CHUNKED "3\r\none\r\n5\r\nthree\r\n0\r\n\r\n";
    static script_event events[2 * sizeof want];
    for (size_t step = 1; step < 30; step++) {
        size_t n = 0;
        events[n++] = (script_event){SCRIPT_AFTER, NULL, sizeof want - 1, 0};
        events[n++] = (script_event)OK_EMPTY;
        for (size_t at = 0; at < sizeof want - 1; at += step) {
            events[n++] = (script_event){SCRIPT_ACCEPT, NULL, step, 0};
            events[n++] = (script_event){.op = SCRIPT_WANT_WRITE};
        }
        kit_init(&k);
        kit_produce(&k, two, -1);
        kit_play(&k, events, n);
        sends(want, HP_KEEP);
        kit_free(&k);
    }
}

/* S104, S105: the head goes out before the first piece is there, and each
 * piece when it is. */
static void
test_pieces_go_out_at_once(void)
{
    kit_init(&k);
    kit_produce(&k, two, -1);
    PLAY(&k, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN},
         OK_EMPTY);
    hp_exchange *ex = kit_new(&k);
    static const char *const wire[] = {CHUNKED, CHUNKED "3\r\none\r\n",
                                       CHUNKED "3\r\none\r\n5\r\nthree\r\n"};
    for (int i = 0; i < 3; i++) {
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_PIECE);
        CHECK_SPAN(script_written(&k.scripts[0]), wire[i]);
        kit_answer(&k, ex, HP_GO_PIECE);
    }
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_RELEASED(ex, HP_KEEP);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_large_piece(void)
{
    static char big[100001], want[100100];
    static const char *const pieces[] = {big, NULL};
    memset(big, 'x', sizeof big - 1);
    int n = sprintf(want, CHUNKED "186a0\r\n%s\r\n0\r\n\r\n", big);
    kit_init(&k);
    kit_produce(&k, pieces, -1);
    PLAY(&k, {SCRIPT_ACCEPT, NULL, 70000, 0}, {.op = SCRIPT_WANT_WRITE},
         {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN},
         OK_EMPTY);
    sends(want, HP_KEEP);
    CHECK_INT(k.scripts[0].written.len, n);
    kit_free(&k);
}

static void
test_length(void)
{
#define EIGHT POST "Content-Length: 8\r\n\r\nonethree"
    kit_init(&k);
    kit_produce(&k, two, 8);
    PLAY(&k, {SCRIPT_AFTER, NULL, sizeof EIGHT - 1, 0}, OK_EMPTY);
    sends(EIGHT, HP_KEEP);
    kit_free(&k);
    kit_init(&k);
    kit_produce(&k, two, -1); /* the caller says it with a field */
    kit_field(&k, "Content-Length", "8");
    PLAY(&k, {SCRIPT_AFTER, NULL, sizeof EIGHT - 1, 0}, OK_EMPTY);
    sends(EIGHT, HP_KEEP);
    kit_free(&k);
}

/* ---- bodies that fail ---- */

static void
fails(hp_errc code, const char *words)
{
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, code);
    CHECK(strstr(ex->err.text, words));
    CHECK_RELEASED(ex, HP_CLOSE_IO_ERROR);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_wrong_length(void)
{
    kit_init(&k);
    kit_produce(&k, two, 9);
    PLAY(&k, {.op = SCRIPT_AGAIN});
    fails(HP_E_LOCAL_PROTOCOL, "after 8 bytes");
    CHECK_INT(k.err.code, HP_E_LOCAL_PROTOCOL);
    kit_init(&k);
    kit_produce(&k, two, 7);
    PLAY(&k, {.op = SCRIPT_AGAIN});
    fails(HP_E_LOCAL_PROTOCOL, "longer than the 7 bytes");
}

/* S60: no last chunk, no connection left, no second try. */
static void
test_source_fails(void)
{
    kit_init(&k);
    kit_produce(&k, two, -1);
    PLAY(&k, {.op = SCRIPT_AGAIN});
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_PIECE);
    kit_answer(&k, ex, HP_GO_PIECE);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_PIECE);
    hp_exchange_fail_source(ex);
    CHECK_SPAN(script_written(&k.scripts[0]), CHUNKED "3\r\none\r\n");
    CHECK_RELEASED(ex, HP_CLOSE_CANCELLED);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_BODY_SOURCE);
    CHECK_INT(ex->err.phase, HP_PHASE_SEND);
    CHECK_INT(hp_exchange_feed(ex, "x", 1, &k.err), 0); /* too late */
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_closed_while_asking(void)
{
    kit_init(&k);
    kit_produce(&k, two, -1);
    PLAY(&k, {.op = SCRIPT_AGAIN});
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_PIECE);
    hp_exchange_close(ex);
    CHECK_INT(hp_exchange_feed(ex, "x", 1, &k.err), 0);
    hp_exchange_fail_source(ex);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CLOSED);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- answers before the end of the body ---- */

#define EARLY "HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n"

/* S22, S107: the answer counts, the connection does not live on. */
static void
test_early_answer_blocked_upload(void)
{
    kit_init(&k);
    kit_post(&k, "a long body");
    PLAY(&k, {SCRIPT_ACCEPT, NULL, 60, 0}, {.op = SCRIPT_WANT_WRITE},
         SCRIPT_BYTES(EARLY "Connection: close\r\n\r\nno"));
    hp_exchange *ex = head();
    CHECK_INT(hp_exchange_head(ex)->status, 413);
    CHECK_RELEASED(ex, HP_CLOSE_RESPONSE_SAYS_CLOSE);
    CHECK_INT(kit_body(&k, ex, 99, true), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), "no");
    hp_exchange_free(ex);
    kit_free(&k);
}

/* The upload is given 50 ms more, for the sake of the connection. */
static void
test_grace(void)
{
    kit_init(&k);
    kit_post(&k, "a long body");
    PLAY(&k, {SCRIPT_ACCEPT, NULL, 60, 0}, {.op = SCRIPT_WANT_WRITE},
         SCRIPT_BYTES(EARLY "\r\nno"), {.op = SCRIPT_WANT_WRITE},
         {.op = SCRIPT_WANT_WRITE});
    hp_exchange *ex = head();
    CHECK_RELEASED(ex, HP_KEEP);
    CHECK_SPAN(script_written(&k.scripts[0]),
               POST "Content-Length: 11\r\n\r\na long body");
    hp_exchange_free(ex);
    kit_free(&k);
    static script_event events[KIT_PATIENCE] = {{SCRIPT_ACCEPT, NULL, 60, 0},
                                                SCRIPT_BYTES(EARLY "\r\nno")};
    for (int i = 2; i < KIT_PATIENCE; i++)
        events[i] = (script_event){.op = SCRIPT_WANT_WRITE};
    kit_init(&k);
    kit_post(&k, "a long body");
    kit_play(&k, events, KIT_PATIENCE);
    k.after_wait = 10 * HP_NS_PER_MS;
    hp_ns began = hp_clock_now();
    ex = head();
    hp_ns took = hp_clock_now() - began;
    CHECK(took >= 50 * HP_NS_PER_MS && took < 300 * HP_NS_PER_MS);
    CHECK_RELEASED(ex, HP_CLOSE_UPLOAD_UNFINISHED);
    CHECK_INT(hp_exchange_left(ex), 2);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* A produced body goes on being asked for while the answer is read. */
static void
test_upload_beside_the_answer(void)
{
    kit_init(&k);
    kit_produce(&k, two, -1);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab"),
         {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("cd"), {.op = SCRIPT_AGAIN},
         {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("ef"));
    hp_exchange *ex = head();
    CHECK_SPAN(script_written(&k.scripts[0]), CHUNKED);
    CHECK_INT(kit_body(&k, ex, 99, true), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), "abcdef");
    CHECK_INT(kit_grace(&k, ex), HP_GO_DONE);
    CHECK_SPAN(script_written(&k.scripts[0]),
               CHUNKED "3\r\none\r\n5\r\nthree\r\n0\r\n\r\n");
    CHECK_RELEASED(ex, HP_KEEP);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* The drives: bytes first, then the question for the next piece. */
static void
test_read_drive_asks(void)
{
    static const hp_driver driver;
    kit_init(&k);
    kit_produce(&k, two, -1);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab"),
         {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("cdef"));
    hp_exchange *ex = head();
    char buf[10];
    size_t got;
    CHECK_INT(
        hp_drive_read(ex, &driver, buf, 10, HP_READ_FULL, true, &got, &k.err),
        HP_DRIVE_DONE);
    CHECK_INT(got, 2);
    k.scripts[0].reading = 1; /* once more: nothing there yet */
    CHECK_INT(
        hp_drive_read(ex, &driver, buf, 10, HP_READ_FULL, true, &got, &k.err),
        HP_DRIVE_BODY);
    CHECK_INT(got, 0);
    kit_answer(&k, ex, HP_GO_PIECE);
    /* The last bytes: the connection is not held for a body nobody feeds. */
    CHECK_INT(
        hp_drive_read(ex, &driver, buf, 10, HP_READ_FULL, true, &got, &k.err),
        HP_DRIVE_DONE);
    CHECK_INT(got, 4);
    CHECK_RELEASED(ex, HP_CLOSE_UPLOAD_UNFINISHED);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* In GRACE with nothing to give: the piece is asked for. */
static void
test_grace_asks(void)
{
    static const hp_driver driver;
    kit_init(&k);
    kit_produce(&k, two, -1);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"));
    hp_exchange *ex = kit_new(&k);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(hp_drive_head(ex, &driver, &k.err), HP_DRIVE_BODY);
        kit_answer(&k, ex, HP_GO_PIECE);
    }
    CHECK_INT(hp_drive_head(ex, &driver, &k.err), HP_DRIVE_DONE);
    CHECK_RELEASED(ex, HP_KEEP);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* A body that raises in GRACE is the caller's error, though all is here. */
static void
test_grace_source_fails(void)
{
    kit_init(&k);
    kit_produce(&k, two, -1);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"));
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_PIECE);
    CHECK_INT(ex->state, HP_EX_GRACE);
    hp_exchange_fail_source(ex);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_BODY_SOURCE);
    CHECK_RELEASED(ex, HP_CLOSE_CANCELLED);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_closed_in_grace(void)
{
    kit_init(&k);
    kit_produce(&k, two, -1);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"));
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_PIECE);
    hp_exchange_close(ex);
    CHECK_RELEASED(ex, HP_CLOSE_UPLOAD_UNFINISHED);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* S107: the answer was on its way when the write failed. */
static void
test_answer_after_write_error(void)
{
    kit_init(&k);
    kit_post(&k, "a long body");
    PLAY(&k, {SCRIPT_ACCEPT, NULL, 20, 0},
         {.op = SCRIPT_WRITE_ERROR, .err = EPIPE}, {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES(EARLY), {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("\r\nno"));
    sends("POST /p?q HTTP/1.1\r\n", HP_CLOSE_UPLOAD_UNFINISHED);
    CHECK_SPAN(kit_text(&k), "no");
    kit_free(&k);
    kit_init(&k);
    kit_post(&k, "a long body");
    PLAY(&k, {SCRIPT_ACCEPT, NULL, 20, 0},
         {.op = SCRIPT_WRITE_ERROR, .err = EPIPE}, {.op = SCRIPT_AGAIN},
         {.op = SCRIPT_EOF});
    fails(HP_E_SERVER_DISCONNECTED, strerror(EPIPE));
}

/* The write fails while the body of the answer is read: never mind. */
static void
test_write_error_beside_the_answer(void)
{
    kit_init(&k);
    kit_produce(&k, two, -1);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"),
         {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("cd"),
         {SCRIPT_ACCEPT, NULL, 1000, 0},
         {.op = SCRIPT_WRITE_ERROR, .err = EPIPE});
    hp_exchange *ex = head();
    CHECK_INT(kit_body(&k, ex, 99, true), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), "abcd");
    CHECK_RELEASED(ex, HP_CLOSE_UPLOAD_UNFINISHED);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* S106: an endless body, an answer that does not wait for it. */
static void
test_endless_body(void)
{
    static const char *endless[KIT_PATIENCE];
    for (int i = 0; i < KIT_PATIENCE - 1; i++)
        endless[i] = "again and again";
    kit_init(&k);
    kit_produce(&k, endless, -1);
    PLAY(&k, {SCRIPT_AFTER, NULL, 1000, 0},
         SCRIPT_BYTES("HTTP/1.1 401 No\r\nConnection: close\r\n\r\nsorry"),
         {.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    hp_exchange *ex = head();
    CHECK_INT(kit_body(&k, ex, 99, true), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), "sorry");
    CHECK(k.next_piece < 100); /* it stopped asking */
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- Expect: 100-continue, S109 ---- */

#define EXPECT POST "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"

static void
expect(void)
{
    kit_init(&k);
    kit_post(&k, "body");
    kit_field(&k, "Expect", "100-continue");
}

static void
test_expect_granted(void)
{
    expect();
    PLAY(&k, {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("HTTP/1.1 100 Go\r\n\r\n"),
         {SCRIPT_AFTER, NULL, sizeof EXPECT - 1 + 4, 0}, OK_EMPTY);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_SPAN(script_written(&k.scripts[0]), EXPECT);
    CHECK_INT(k.w.n, 1);
    CHECK_INT(k.w.fds[0].events, POLLIN);
    CHECK(k.w.deadline <= hp_clock_now() + HP_NS_PER_S);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_SPAN(script_written(&k.scripts[0]), EXPECT "body");
    CHECK_RELEASED(ex, HP_KEEP);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* b, d: the status is known, but the framing must stay valid. */
static void
test_expect_final_answer(void)
{
    expect();
    PLAY(&k, {.op = SCRIPT_AGAIN}, OK_EMPTY);
    sends(EXPECT "body", HP_KEEP);
    kit_free(&k);
    expect();
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n"),
         {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("oh"));
    sends(EXPECT "body", HP_KEEP);
    kit_free(&k);
}

/* c */
static void
test_expect_final_answer_and_close(void)
{
    expect();
    PLAY(&k,
         SCRIPT_BYTES("HTTP/1.1 417 No\r\nConnection: close\r\n"
                      "Content-Length: 2\r\n\r\n"),
         {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("no"));
    sends(EXPECT, HP_CLOSE_RESPONSE_SAYS_CLOSE);
    kit_free(&k);
    expect();
    k.r.close = true;
    PLAY(&k, OK_EMPTY);
    sends(POST "Expect: 100-continue\r\nConnection: close\r\n"
               "Content-Length: 4\r\n\r\n",
          HP_CLOSE_REQUEST_SAYS_CLOSE);
    kit_free(&k);
}

/* e: unasked, after a while; other 1xx grant nothing. */
static void
test_expect_timeout(void)
{
    expect();
    k.r.timeouts.expect_continue = 5 * HP_NS_PER_MS;
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 102 Hm\r\n\r\n"),
         {SCRIPT_AFTER, NULL, sizeof EXPECT - 1 + 4, 0}, OK_EMPTY);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_SPAN(script_written(&k.scripts[0]), EXPECT);
    hp_clock_advance(6 * HP_NS_PER_MS);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_SPAN(script_written(&k.scripts[0]), EXPECT "body");
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_expect_lost(void)
{
    expect();
    PLAY(&k, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    fails(HP_E_SERVER_DISCONNECTED, "without answering");
}

static void
test_expect_produced(void)
{
    static const char want[] =
        POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3\r\none\r\n5\r\nthree\r\n0\r\n\r\n";
    kit_init(&k);
    kit_produce(&k, two, -1);
    kit_field(&k, "Expect", "100-continue");
    PLAY(&k, {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("HTTP/1.1 100 Go\r\n\r\n"),
         {SCRIPT_AFTER, NULL, sizeof want - 1, 0}, OK_EMPTY);
    sends(want, HP_KEEP);
    kit_free(&k);
}

int
main(void)
{
    RUN(test_bytes);
    RUN(test_empty_bodies);
    RUN(test_chunked);
    RUN(test_pieces_go_out_at_once);
    RUN(test_large_piece);
    RUN(test_length);
    RUN(test_wrong_length);
    RUN(test_source_fails);
    RUN(test_closed_while_asking);
    RUN(test_early_answer_blocked_upload);
    RUN(test_grace);
    RUN(test_upload_beside_the_answer);
    RUN(test_read_drive_asks);
    RUN(test_grace_asks);
    RUN(test_grace_source_fails);
    RUN(test_closed_in_grace);
    RUN(test_answer_after_write_error);
    RUN(test_write_error_beside_the_answer);
    RUN(test_endless_body);
    RUN(test_expect_granted);
    RUN(test_expect_final_answer);
    RUN(test_expect_final_answer_and_close);
    RUN(test_expect_timeout);
    RUN(test_expect_lost);
    RUN(test_expect_produced);
    DONE();
}
