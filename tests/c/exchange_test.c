/* The exchange's plain paths: bodies of each kind, when the connection comes
 * back and why not, interim and switching responses. */
#include "exchange_kit.h"

#define OK_HELLO                                                               \
    SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
#define OK_EMPTY SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

static kit k;

/* The head of a response, which must come. */
static hp_exchange *
head(void)
{
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    return ex;
}

/* The whole body, which must come. */
static void
body(hp_exchange *ex, const char *want)
{
    k.body.len = 0;
    CHECK_INT(kit_body(&k, ex, 8192, false), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), want);
    CHECK(hp_exchange_ended(ex));
    CHECK_INT(hp_exchange_left(ex), 0);
}

/* A request whose response is complete and leaves this verdict. */
static void
verdict(hp_close_reason why)
{
    hp_exchange *ex = head();
    k.body.len = 0;
    CHECK_INT(kit_body(&k, ex, 8192, false), HP_GO_DONE);
    CHECK_RELEASED(ex, why);
    hp_exchange_free(ex);
}

static void
test_whole_with_the_head(void)
{
    kit_init(&k);
    PLAY(&k, OK_HELLO, OK_EMPTY);
    hp_exchange *ex = head();
    CHECK_SPAN(script_written(&k.scripts[0]),
               "GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_INT(hp_exchange_head(ex)->status, 200);
    CHECK_SPAN(hp_exchange_reason(ex), "OK");
    CHECK_SPAN(hp_exchange_fields(ex), "Content-Length: 5\r\n");
    CHECK_RELEASED(ex, HP_KEEP); /* before it is read */
    CHECK_INT(hp_exchange_left(ex), 5);
    CHECK(!hp_exchange_ended(ex));
    body(ex, "hello");
    hp_exchange *next = head();
    CHECK_INT(kit_facts(next).conn_id, kit_facts(ex).conn_id);
    CHECK(kit_facts(next).reused && kit_facts(next).was_idle);
    CHECK_INT(kit_facts(next).requests, 2);
    hp_exchange_free(ex);
    hp_exchange_free(next);
    kit_free(&k);
}

static void
test_facts_and_timings(void)
{
    kit_init(&k);
    PLAY(&k, OK_HELLO);
    hp_exchange *ex = head();
    hp_conn_facts f = kit_facts(ex);
    CHECK_STR(f.key, "|http|h:80");
    CHECK_STR(f.tls_version, "");
    CHECK_STR(f.alpn, "");
    CHECK(f.conn_id && !f.reused && !f.was_idle && f.attempts == 1);
    hp_timings t;
    hp_exchange_timings(ex, &t);
    CHECK(t.started && t.queued == 0 && t.started <= t.connected);
    CHECK(t.connected <= t.acquired && t.acquired <= t.sent);
    CHECK(t.sent <= t.first_byte && t.first_byte <= t.head);
    CHECK(t.head <= t.ended && t.secured == 0);
    CHECK_SPAN(ex->want.method, "GET");
    CHECK_SPAN(ex->want.path, "/p");
    hp_exchange_free(ex);
    kit_free(&k);
}

/* Nobody waits for what a first recv would not find. */
static void
test_what_is_waited_for(void)
{
    kit_init(&k);
    PLAY(&k, {.op = SCRIPT_WANT_WRITE}, {SCRIPT_ACCEPT, NULL, 7, 0},
         {.op = SCRIPT_WANT_WRITE}, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN},
         OK_HELLO);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_INT(ex->state, HP_EX_SEND);
    CHECK_INT(k.w.n, 2); /* an answer may come before the request is out */
    CHECK_INT(k.w.fds[0].events, POLLIN);
    CHECK_INT(k.w.fds[1].events, POLLOUT);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_INT(ex->state, HP_EX_SEND);
    CHECK_INT(k.scripts[0].written.len, 7);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_INT(ex->state, HP_EX_HEAD);
    CHECK_INT(k.w.n, 1);
    CHECK_INT(k.w.fds[0].events, POLLIN);
    CHECK(k.w.deadline != HP_NEVER);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_DONE);
    CHECK_SPAN(script_written(&k.scripts[0]),
               "GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n");
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_length_in_pieces(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 2"), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("00 Fine\r\nA: b\r\nContent-Length: 9\r\n\r\nabc"),
         {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("def"), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("ghi"));
    hp_exchange *ex = head();
    CHECK_SPAN(hp_exchange_reason(ex), "Fine");
    CHECK_INT(hp_exchange_left(ex), 9);
    size_t got;
    CHECK_INT(kit_read(&k, ex, 8, true, &got), HP_GO_DONE);
    CHECK_INT(got, 3);
    CHECK_INT(kit_read(&k, ex, 8, true, &got), HP_GO_DONE);
    CHECK_INT(got, 3);
    CHECK_INT(hp_exchange_left(ex), 3);
    CHECK(!kit_facts(ex).released);
    CHECK_INT(kit_read(&k, ex, 8, true, &got), HP_GO_DONE);
    CHECK_INT(got, 3); /* the last byte and the end in one */
    CHECK_RELEASED(ex, HP_KEEP);
    CHECK(hp_exchange_ended(ex));
    CHECK_INT(kit_read(&k, ex, 8, true, &got), HP_GO_DONE);
    CHECK_INT(got, 0);
    CHECK_SPAN(kit_text(&k), "abcdefghi");
    hp_exchange_free(ex);
    kit_free(&k);
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

/* S90: what is there is given in one piece, with the end. */
static void
test_chunked_whole(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES(CHUNKED "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"));
    hp_exchange *ex = head();
    size_t got;
    CHECK_RELEASED(ex, HP_KEEP);
    CHECK_INT(hp_exchange_left(ex), 7);
    CHECK_INT(kit_read(&k, ex, 100, true, &got), HP_GO_DONE);
    CHECK_INT(got, 7);
    CHECK(hp_exchange_ended(ex));
    CHECK_SPAN(kit_text(&k), "abcdefg");
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_chunked_late_end(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES(CHUNKED), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("3\r\nabc"), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("\r\n0\r"), {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("\n\r\n"));
    hp_exchange *ex = head();
    CHECK_INT(hp_exchange_left(ex), -1);
    CHECK(!kit_facts(ex).released);
    body(ex, "abc");
    CHECK_RELEASED(ex, HP_KEEP);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_until_close(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\n\r\nabc"), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("def"), {.op = SCRIPT_EOF});
    hp_exchange *ex = head();
    CHECK_INT(hp_exchange_left(ex), -1);
    body(ex, "abcdef");
    CHECK_RELEASED(ex, HP_CLOSE_UNTIL_CLOSE_BODY);
    CHECK_INT(k.scripts[0].closed, 1);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* S17, S18, S19, S21: length and coding of what is not there do not matter. */
static void
test_no_body(void)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        script_event e = {SCRIPT_DATA, answers[i], strlen(answers[i]), 0};
        kit_init(&k);
        kit_play(&k, &e, 1);
        if (i < 3)
            k.r.method = HP_SPAN_LIT("HEAD");
        hp_exchange *ex = head();
        CHECK_RELEASED(ex, HP_KEEP);
        CHECK(hp_exchange_ended(ex));
        body(ex, "");
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

/* S20: stray bytes after a 304 cost the connection, nothing else. */
static void
test_leftover(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 304 Not Modified\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
    verdict(HP_CLOSE_LEFTOVER_BYTES);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy"));
    verdict(HP_CLOSE_LEFTOVER_BYTES);
    PLAY(&k, SCRIPT_BYTES(CHUNKED), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("1\r\nx\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"));
    verdict(HP_CLOSE_LEFTOVER_BYTES);
    PLAY(&k, OK_HELLO);
    kit_get_ok(&k, "hello");
    CHECK_INT(k.queue.next, 4);
    kit_free(&k);
}

/* S3, S4, S6, S31 and the rest of the flat list. */
static void
test_verdicts(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nConnection: close\r\n"
                          "Content-Length: 2\r\n\r\nab"));
    verdict(HP_CLOSE_RESPONSE_SAYS_CLOSE);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab"));
    verdict(HP_CLOSE_HTTP10);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                          "Content-Length: 2\r\n\r\n2\r\nab\r\n0\r\n\r\n"));
    verdict(HP_CLOSE_LENGTH_AND_CHUNKED);
    PLAY(&k,
         SCRIPT_BYTES("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
                      "Content-Length: 2\r\n\r\nab"),
         OK_HELLO);
    verdict(HP_KEEP);
    k.r.close = true;
    verdict(HP_CLOSE_REQUEST_SAYS_CLOSE);
    CHECK_SPAN(script_written(&k.scripts[3]),
               "GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n"
               "GET /p?q HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    kit_free(&k);
}

/* S5 */
static void
test_keepalives_disabled(void)
{
    kit_init(&k);
    k.config.limits.disable_keepalives = true;
    PLAY(&k, OK_HELLO);
    PLAY(&k, OK_HELLO);
    verdict(HP_CLOSE_REQUEST_SAYS_CLOSE);
    verdict(HP_CLOSE_REQUEST_SAYS_CLOSE);
    CHECK_SPAN(script_written(&k.scripts[1]),
               "GET /p?q HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    kit_free(&k);
}

/* S54, S50: found dead before it is used. */
static void
test_dead_idle(void)
{
    static const hp_liveness dead[] = {HP_DEAD_CLOSED, HP_DEAD_BYTES};
    for (int i = 0; i < 2; i++) {
        kit_init(&k);
        PLAY(&k, OK_EMPTY);
        PLAY(&k, OK_HELLO);
        verdict(HP_KEEP);
        k.scripts[0].liveness = dead[i];
        hp_exchange *ex = head();
        CHECK_INT(kit_facts(ex).attempts, 1);
        CHECK(!kit_facts(ex).reused && !kit_facts(ex).was_idle);
        CHECK_INT(k.scripts[0].closed, 1);
        body(ex, "hello");
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

/* ---- interim and switching ---- */

/* S99, S102 */
static void
test_interim(void)
{
    kit_init(&k);
    PLAY(&k,
         SCRIPT_BYTES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n"
                      "Link: x\r\n\r\nHTTP/1.1 2"),
         {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("00 OK\r\nA: 1\r\nContent-Length: 2\r\n\r\nab"),
         SCRIPT_BYTES("HTTP/1.1 100 Continue\r\n\r\n"), OK_EMPTY);
    hp_exchange *ex = head();
    CHECK_INT(hp_exchange_head(ex)->status, 200);
    CHECK_SPAN(hp_exchange_fields(ex), "A: 1\r\nContent-Length: 2\r\n");
    body(ex, "ab");
    hp_exchange_free(ex);
    ex = head();
    CHECK_INT(hp_exchange_head(ex)->content_length, 0);
    CHECK_RELEASED(ex, HP_KEEP);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* S100: neither many nor large ones. */
static void
test_interim_limits(void)
{
    enum {
        N = 101
    };
    static const char one[] = "HTTP/1.1 102 Processing\r\n\r\n";
    static script_event many[N];
    for (int i = 0; i < N; i++)
        many[i] = (script_event){SCRIPT_DATA, one, sizeof one - 1, 0};
    kit_init(&k);
    kit_play(&k, many, N);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_REMOTE_PROTOCOL);
    CHECK_RELEASED(ex, HP_CLOSE_PROTOCOL_ERROR);
    hp_exchange_free(ex);
    kit_free(&k);
    kit_init(&k);
    k.config.max_header_bytes = 1024;
    kit_play(&k, many, 50);
    ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_HEADERS_TOO_LARGE);
    hp_exchange_free(ex);
    kit_free(&k);
}

#define SWITCHED                                                               \
    "HTTP/1.1 101 Switching\r\nConnection: upgRADe\r\nUpgrade: foo\r\n\r\n"

/* S28 */
static void
test_upgrade(void)
{
    static const hp_driver driver;
    kit_init(&k);
    kit_field(&k, "Connection", "Upgrade");
    kit_field(&k, "Upgrade", "foo");
    PLAY(&k, SCRIPT_BYTES(SWITCHED "early"), SCRIPT_BYTES("later"),
         {.op = SCRIPT_EOF});
    hp_exchange *ex = head();
    CHECK(hp_exchange_is_upgraded(ex));
    CHECK_RELEASED(ex, HP_CLOSE_UPGRADED);
    body(ex, "");
    hp_upgraded *u = hp_exchange_take_upgraded(ex, &k.err);
    CHECK(u);
    CHECK(hp_exchange_take_upgraded(ex, &k.err) == NULL);
    CHECK_INT(k.err.code, HP_E_INVALID_ARGUMENT);
    hp_exchange_free(ex);
    hp_err_clear(&k.err);
    char buf[8];
    size_t got;
    const char *want[] = {"ear", "ly", "lat", "er", ""};
    for (int i = 0; i < 5; i++) {
        CHECK_INT(hp_upgraded_recv(u, &driver, -1, buf, 0, &got, &k.err),
                  HP_DRIVE_DONE);
        CHECK_INT(hp_upgraded_recv(u, &driver, -1, buf, 3, &got, &k.err),
                  HP_DRIVE_DONE);
        CHECK_SPAN(hp_span_of(buf, got), want[i]);
    }
    k.scripts[0].written.len = 0;
    CHECK_INT(hp_upgraded_sendall(u, &driver, -1, "hi", 2, &k.err),
              HP_DRIVE_DONE);
    CHECK_SPAN(script_written(&k.scripts[0]), "hi");
    CHECK_INT(k.scripts[0].closed, 0);
    hp_upgraded_free(u);
    kit_free(&k);
}

static void
test_upgraded_and_not_taken(void)
{
    for (int close_first = 0; close_first < 2; close_first++) {
        kit_init(&k);
        kit_field(&k, "Connection", "Upgrade");
        kit_field(&k, "Upgrade", "foo");
        PLAY(&k, SCRIPT_BYTES(SWITCHED));
        hp_exchange *ex = head();
        CHECK(hp_exchange_ended(ex));
        if (close_first) {
            hp_exchange_close(ex);
            CHECK_INT(k.scripts[0].closed, 1);
            CHECK(hp_exchange_take_upgraded(ex, &k.err) == NULL);
        }
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

/* S29: a 101 that does not switch is a final answer; one nobody asked for is
 * somebody else's. */
static void
test_101_without_upgrade(void)
{
    kit_init(&k);
    kit_field(&k, "Connection", "Upgrade");
    kit_field(&k, "Upgrade", "foo");
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 101 Hm\r\n\r\n"));
    hp_exchange *ex = head();
    CHECK_INT(hp_exchange_head(ex)->status, 101);
    CHECK(!hp_exchange_is_upgraded(ex));
    CHECK_RELEASED(ex, HP_CLOSE_FINAL_1XX);
    hp_exchange_free(ex);
    k.r.n_fields = 0;
    PLAY(&k, SCRIPT_BYTES(SWITCHED));
    ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_REMOTE_PROTOCOL);
    CHECK_RELEASED(ex, HP_CLOSE_PROTOCOL_ERROR);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_connect(void)
{
    kit_init(&k);
    k.r.method = HP_SPAN_LIT("CONNECT");
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno"),
         SCRIPT_BYTES("HTTP/1.1 200 Yes\r\nContent-Length: 2\r\n\r\nhi"));
    hp_exchange *ex = head();
    CHECK(!hp_exchange_is_upgraded(ex));
    body(ex, "no");
    hp_exchange_free(ex);
    ex = head();
    CHECK(hp_exchange_is_upgraded(ex));
    CHECK_INT(hp_exchange_left(ex), 0);
    hp_upgraded *u = hp_exchange_take_upgraded(ex, &k.err);
    static const hp_driver driver;
    char buf[8];
    size_t got;
    CHECK_INT(hp_upgraded_recv(u, &driver, -1, buf, 8, &got, &k.err),
              HP_DRIVE_DONE);
    CHECK_SPAN(hp_span_of(buf, got), "hi");
    hp_upgraded_free(u);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- prepared requests ---- */

/* What is remembered serves equal requests only. */
static void
test_remembered(void)
{
    kit_init(&k);
    k.r.fields_id = 7;
    hp_exchange *first = kit_new(&k), *ex = kit_new(&k);
    CHECK(ex->prepared == first->prepared);
    hp_exchange_free(ex);
    const hp_request same = k.r;
    for (int i = 0; i < 6; i++) {
        k.r = same;
        if (i == 0)
            k.r.fields_id = 8;
        else if (i == 1)
            k.r.method = HP_SPAN_LIT("HEAD");
        else if (i == 2)
            k.r.close = true;
        else if (i == 3)
            k.r.url = HP_SPAN_LIT("http://h/p?r");
        else if (i == 4)
            k.r.server_name = HP_SPAN_LIT("n");
        else
            kit_post(&k, "body");
        ex = kit_new(&k);
        CHECK(ex->prepared != first->prepared);
        hp_exchange_free(ex);
    }
    hp_exchange_free(first);
    kit_free(&k);
}

int
main(void)
{
    RUN(test_whole_with_the_head);
    RUN(test_facts_and_timings);
    RUN(test_what_is_waited_for);
    RUN(test_length_in_pieces);
    RUN(test_chunked_whole);
    RUN(test_chunked_late_end);
    RUN(test_until_close);
    RUN(test_no_body);
    RUN(test_leftover);
    RUN(test_verdicts);
    RUN(test_keepalives_disabled);
    RUN(test_dead_idle);
    RUN(test_interim);
    RUN(test_interim_limits);
    RUN(test_upgrade);
    RUN(test_upgraded_and_not_taken);
    RUN(test_101_without_upgrade);
    RUN(test_connect);
    RUN(test_remembered);
    DONE();
}
