/* Which lost requests are sent again: corpus/retry.jsonl (rt-..) and S57-S64.
 * Each test first makes a connection that has served a request. */
#include <errno.h>

#include "exchange_kit.h"

#define OK_EMPTY SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
#define OK_HELLO                                                               \
    SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
#define WARM_BYTES 30 /* of kit's plain GET */

static kit k;

/* Plays one served request, then `events`; the next connections answer. */
static void
warm(const script_event *events, size_t n)
{
    static script_event list[16];
    hp_request then = k.r;
    list[0] = (script_event)OK_EMPTY;
    list[1] = (script_event){SCRIPT_ACCEPT, NULL, WARM_BYTES, 0};
    CHECK(n < 14);
    memcpy(list + 2, events, n * sizeof *events);
    kit_play(&k, list, n + 2);
    hp_request_init(&k.r);
    k.r.url = then.url;
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_RELEASED(ex, HP_KEEP);
    CHECK_INT(k.scripts[0].written.len, WARM_BYTES);
    hp_exchange_free(ex);
    k.r = then;
}

#define WARM(...)                                                              \
    do {                                                                       \
        static const script_event events_[] = {__VA_ARGS__};                   \
        warm(events_, sizeof events_ / sizeof *events_);                       \
    } while (0)

static hp_counters
count(void)
{
    hp_stats *s = hp_transport_stats(k.t);
    hp_counters n = s->total.count;
    hp_stats_free(s);
    return n;
}

static void
replayed(hp_replay_reason why)
{
    PLAY(&k, OK_HELLO);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_INT(hp_exchange_head(ex)->status, 200);
    CHECK_INT(kit_facts(ex).attempts, 2);
    CHECK(!kit_facts(ex).reused);
    CHECK_INT(count().replays[why], 1);
    CHECK_INT(count().lost, 0);
    CHECK_INT(count().stale, 1);
    CHECK_INT(k.scripts[0].closed, 1);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
refused(hp_errc code, hp_replay_refusal why)
{
    PLAY(&k, OK_HELLO);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, code);
    CHECK_STR(hp_replay_refusal_name(kit_facts(ex).refusal),
              hp_replay_refusal_name(why));
    CHECK_INT(kit_facts(ex).attempts, 1);
    CHECK_INT(k.queue.next, 1);
    CHECK_INT(k.scripts[0].closed, 1);
    bool lost = code == HP_E_SERVER_DISCONNECTED && kit_facts(ex).reused;
    CHECK_INT(count().lost, lost);
    CHECK_INT(count().stale, lost);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
not_replayed(hp_errc code)
{
    refused(code, HP_REFUSAL_NOT_IDEMPOTENT);
}

/* rt-00, S57 a: every method Go replays. */
static void
test_eof_before_the_answer(void)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE"};
    for (int i = 0; i < 4; i++) {
        kit_init(&k);
        k.r.method = hp_span_cstr(methods[i]);
        WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
        replayed(HP_REPLAY_LOST_BEFORE_FIRST_BYTE);
    }
}

/* rt-01 */
static void
test_reset_before_the_answer(void)
{
    kit_init(&k);
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_ERROR, .err = ECONNRESET});
    replayed(HP_REPLAY_LOST_BEFORE_FIRST_BYTE);
    kit_init(&k);
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_TRUNCATED});
    replayed(HP_REPLAY_LOST_BEFORE_FIRST_BYTE);
}

/* rt-03, rt-04: we do as Go does. */
static void
test_other_methods(void)
{
    static const char *const methods[] = {"PUT", "DELETE", "POST", "QUERY"};
    for (int i = 0; i < 4; i++) {
        kit_init(&k);
        kit_post(&k, "body");
        k.r.method = hp_span_cstr(methods[i]);
        WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
        not_replayed(HP_E_SERVER_DISCONNECTED);
    }
}

/* rt-06, S59 */
static void
test_idempotency_key(void)
{
    static const char *const names[] = {"Idempotency-Key", "X-Idempotency-Key"};
    for (int i = 0; i < 2; i++) {
        kit_init(&k);
        kit_post(&k, "body");
        kit_field(&k, names[i], "x");
        WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
        replayed(HP_REPLAY_LOST_BEFORE_FIRST_BYTE);
    }
}

static void
test_said_by_the_caller(void)
{
    kit_init(&k);
    kit_post(&k, "body");
    k.r.idempotent = HP_IDEMPOTENT_YES;
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    replayed(HP_REPLAY_LOST_BEFORE_FIRST_BYTE);
    kit_init(&k);
    k.r.idempotent = HP_IDEMPOTENT_NO;
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    not_replayed(HP_E_SERVER_DISCONNECTED);
}

/* rt-07, S57 c and d: nothing written, any method. */
static void
test_nothing_written(void)
{
    for (int i = 0; i < 2; i++) {
        kit_init(&k);
        if (i)
            kit_post(&k, "body");
        else
            k.r.method = HP_SPAN_LIT("DELETE");
        WARM({.op = SCRIPT_WRITE_ERROR, .err = EPIPE});
        replayed(HP_REPLAY_NOTHING_WRITTEN);
    }
    kit_init(&k);
    k.r.idempotent = HP_IDEMPOTENT_NO; /* the server has seen none of it */
    WARM({.op = SCRIPT_WANT_WRITE}, {.op = SCRIPT_WRITE_ERROR, .err = EPIPE});
    replayed(HP_REPLAY_NOTHING_WRITTEN);
}

/* What lies on a connection on which this request was not even begun is no
 * answer to it. */
static void
test_no_answer_to_nothing(void)
{
    kit_init(&k);
    kit_post(&k, "body");
    WARM({.op = SCRIPT_WRITE_ERROR, .err = EPIPE},
         SCRIPT_BYTES("HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n"));
    replayed(HP_REPLAY_NOTHING_WRITTEN);
}

/* On a fresh one it can only be meant for us. */
static void
test_turned_away_at_once(void)
{
    kit_init(&k);
    kit_post(&k, "body");
    PLAY(&k, {.op = SCRIPT_WRITE_ERROR, .err = EPIPE},
         SCRIPT_BYTES("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"));
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_INT(hp_exchange_head(ex)->status, 503);
    CHECK_RELEASED(ex, HP_CLOSE_UPLOAD_UNFINISHED);
    hp_exchange_free(ex);
    kit_free(&k);
}

static const char *const two_pieces[] = {"one", "two", NULL};

/* rt-09, S59: a body that can be read only once, and was. */
static void
test_one_shot_body(void)
{
    kit_init(&k);
    kit_produce(&k, two_pieces, -1);
    k.r.method = HP_SPAN_LIT("GET");
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN},
         {.op = SCRIPT_EOF});
    refused(HP_E_SERVER_DISCONNECTED, HP_REFUSAL_BODY_GONE);
    kit_init(&k);
    kit_produce(&k, two_pieces, -1);
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_ACCEPT, .len = 1000},
         {.op = SCRIPT_WRITE_ERROR, .err = EPIPE}, {.op = SCRIPT_EOF});
    refused(HP_E_SERVER_DISCONNECTED, HP_REFUSAL_BODY_GONE);
}

/* ...but it was not read when the connection was lost before. */
static void
test_one_shot_body_not_begun(void)
{
    kit_init(&k);
    kit_produce(&k, two_pieces, 6);
    k.r.method = HP_SPAN_LIT("GET");
    WARM({.op = SCRIPT_EOF}); /* seen when the first piece would be asked for */
    replayed(HP_REPLAY_LOST_BEFORE_FIRST_BYTE);
    kit_init(&k);
    kit_produce(&k, two_pieces, 6);
    WARM({.op = SCRIPT_WRITE_ERROR, .err = EPIPE});
    replayed(HP_REPLAY_NOTHING_WRITTEN);
}

/* rt-10: put back before the next try, when it was read from. */
static void
test_rewinding(void)
{
    kit_init(&k);
    kit_produce(&k, two_pieces, 6);
    k.r.source.rewindable = true;
    k.r.idempotent = HP_IDEMPOTENT_YES;
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\n"), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("Content-Length: 0\r\n\r\n"));
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_INT(k.rewinds, 1);
    CHECK_INT(kit_facts(ex).attempts, 2);
    CHECK_SPAN(script_written(&k.scripts[1]),
               "POST /p?q HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n"
               "onetwo");
    CHECK_RELEASED(ex, HP_KEEP);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_rewinding_fails(void)
{
    for (int closed = 0; closed < 2; closed++) {
        kit_init(&k);
        kit_produce(&k, two_pieces, 6);
        k.r.source.rewindable = true;
        k.r.idempotent = HP_IDEMPOTENT_YES;
        WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
        hp_exchange *ex = kit_new(&k);
        hp_go go;
        while ((go = hp_ex_step_head(ex, NULL, &k.w)) == HP_GO_PIECE)
            kit_answer(&k, ex, go);
        CHECK_INT(go, HP_GO_REWIND);
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_REWIND);
        if (closed)
            hp_exchange_close(ex);
        else
            hp_exchange_fail_source(ex);
        hp_exchange_rewound(ex); /* too late */
        CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
        CHECK_ERR(ex, closed ? HP_E_CLOSED : HP_E_BODY_SOURCE);
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

/* rt-12 */
static void
test_lost_in_the_body(void)
{
    kit_init(&k);
    WARM({.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"),
         {.op = SCRIPT_EOF});
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_INT(kit_body(&k, ex, 99, true), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_INCOMPLETE_BODY);
    CHECK_INT(k.queue.next, 1);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* rt-13; and an answer that broke off is one all the same. */
static void
test_malformed_head(void)
{
    kit_init(&k);
    WARM({.op = SCRIPT_AGAIN}, SCRIPT_BYTES("SSH-2.0-x\r\n"));
    refused(HP_E_REMOTE_PROTOCOL, HP_REFUSAL_NONE);
    kit_init(&k);
    WARM({.op = SCRIPT_AGAIN}, SCRIPT_BYTES("H"), {.op = SCRIPT_EOF});
    refused(HP_E_REMOTE_PROTOCOL, HP_REFUSAL_ANSWER_BEGUN);
    kit_init(&k);
    WARM({.op = SCRIPT_AGAIN}, SCRIPT_BYTES("HTTP/1.1 103 Hi\r\n\r\n"),
         {.op = SCRIPT_EOF});
    refused(HP_E_REMOTE_PROTOCOL, HP_REFUSAL_ANSWER_BEGUN);
}

/* rt-15: slow is not stale. */
static void
test_read_timeout(void)
{
    kit_init(&k);
    k.r.timeouts.read = HP_NS_PER_S;
    WARM({.op = SCRIPT_AGAIN});
    k.after_wait = HP_NS_PER_S / 3;
    refused(HP_E_READ_TIMEOUT, HP_REFUSAL_NONE);
}

/* rt-16, S61, S62, S64: a fresh connection that fails is an answer. */
static void
test_fresh_connection(void)
{
    kit_init(&k);
    PLAY(&k, {.op = SCRIPT_EOF});
    refused(HP_E_SERVER_DISCONNECTED, HP_REFUSAL_FRESH_CONNECTION);
    kit_init(&k);
    PLAY(&k, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_ERROR, .err = ECONNRESET});
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_SERVER_DISCONNECTED);
    CHECK(strstr(ex->err.text, strerror(ECONNRESET)));
    CHECK(strstr(ex->err.text, "idempotent") == NULL);
    hp_exchange_free(ex);
    kit_free(&k);
    kit_init(&k);
    PLAY(&k, {.op = SCRIPT_WRITE_ERROR, .err = EPIPE}, {.op = SCRIPT_EOF});
    refused(HP_E_SERVER_DISCONNECTED, HP_REFUSAL_FRESH_CONNECTION);
}

/* rt-18: stale ones in a row, and a last try on a fresh one. */
static void
five_stale(const script_event *last, hp_go want)
{
    enum {
        N = 5
    };
    static const script_event stale[] = {OK_EMPTY,
                                         {SCRIPT_ACCEPT, NULL, WARM_BYTES, 0},
                                         {.op = SCRIPT_AGAIN},
                                         {.op = SCRIPT_EOF}};
    hp_exchange *busy[N];
    for (int i = 0; i < N; i++)
        kit_play(&k, stale, 4);
    kit_play(&k, last, 1);
    for (int i = 0; i < N; i++) {
        busy[i] = kit_new(&k); /* each with a connection of its own */
        CHECK_INT(hp_ex_step_head(busy[i], NULL, &k.w), HP_GO_WAIT);
    }
    for (int i = 0; i < N; i++) {
        CHECK_INT(kit_head(&k, busy[i]), HP_GO_DONE);
        hp_exchange_free(busy[i]);
    }
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), want);
    CHECK_INT(kit_facts(ex).attempts, 6);
    CHECK_INT(count().replays[HP_REPLAY_LOST_BEFORE_FIRST_BYTE], 5);
    if (want == HP_GO_ERROR)
        CHECK_ERR(ex, HP_E_SERVER_DISCONNECTED);
    hp_exchange_free(ex);
}

static void
test_stale_in_a_row(void)
{
    static const script_event good = OK_HELLO, eof = {.op = SCRIPT_EOF};
    kit_init(&k);
    five_stale(&good, HP_GO_DONE);
    kit_free(&k);
    kit_init(&k);
    five_stale(&eof, HP_GO_ERROR);
    kit_free(&k);
}

static void
check_holds(hp_exchange *ex, const char *phase)
{
    hp_holder holder;
    CHECK(hp_exchange_holder(ex, &holder));
    CHECK_STR(hp_holding_name(holder.phase), phase);
}

/* What it is doing with its second connection is what others are told. */
static void
test_phases_of_a_replay(void)
{
    kit_init(&k);
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    PLAY(&k, {.op = SCRIPT_WANT_WRITE}, {.op = SCRIPT_AGAIN},
         {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"));
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    check_holds(ex, "awaiting head");
    while (k.queue.next == 1)
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    check_holds(ex, "sending"); /* its first write was not taken */
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    check_holds(ex, "awaiting head");
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    check_holds(ex, "body unread");
    hp_exchange_free(ex);
    kit_free(&k);
}

/* rt-19: not after the deadline, and not when nobody wants it any more. */
static void
test_no_replay_when_over(void)
{
    kit_init(&k);
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    PLAY(&k, OK_HELLO);
    k.r.timeouts.total = HP_NS_PER_S;
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    hp_clock_advance(2 * HP_NS_PER_S);
    hp_wait_reset(&k.w);
    CHECK_INT(hp_ex_read_head(ex, &k.w), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_TOTAL_TIMEOUT);
    CHECK_INT(k.queue.next, 1);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* Whoever ends a request may cut its connection: he is named, not the cut. */
static void
test_ended_and_lost(void)
{
    kit_init(&k);
    kit_post(&k, "body");
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    k.r.cancel = hp_cancel_new();
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    hp_cancel_trigger(k.r.cancel);
    hp_wait_reset(&k.w);
    CHECK_INT(hp_ex_read_head(ex, &k.w), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CANCELLED);
    hp_cancel_unref(k.r.cancel);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* rt-21: we take it as a request of its method. */
static void
test_lost_before_100(void)
{
    kit_init(&k);
    kit_post(&k, "body");
    kit_field(&k, "Expect", "100-continue");
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    not_replayed(HP_E_SERVER_DISCONNECTED);
}

/* A write that failed halfway: what the server says counts; if it says
 * nothing, an idempotent request goes out again (Go gives up here). */
static void
test_write_error_halfway(void)
{
    kit_init(&k);
    WARM({SCRIPT_ACCEPT, NULL, 9, 0},
         {.op = SCRIPT_WRITE_ERROR, .err = ECONNRESET}, {.op = SCRIPT_EOF});
    replayed(HP_REPLAY_LOST_BEFORE_FIRST_BYTE);
    kit_init(&k);
    kit_post(&k, "body");
    WARM({SCRIPT_ACCEPT, NULL, 9, 0},
         {.op = SCRIPT_WRITE_ERROR, .err = ECONNRESET});
    k.after_wait = 10 * HP_NS_PER_MS;
    hp_ns began = hp_clock_now();
    not_replayed(HP_E_SERVER_DISCONNECTED);
    CHECK(hp_clock_now() - began < HP_NS_PER_S); /* no 60 s for last words */
}

/* S58: Go's decision table, as far as it is HTTP/1's, asked of the verdict
 * itself. A missing host is refused before there is an exchange. */
static const struct decision {
    bool reused;
    const char *method;
    hp_source source;
    uint64_t written;
    hp_replay_reason want;
    hp_replay_refusal refusal;
} decisions[] = {
    {false,
     "POST",
     {.kind = HP_SOURCE_NONE},
     0,
     HP_NO_REPLAY,
     HP_REFUSAL_FRESH_CONNECTION},
    {true,
     "POST",
     {.kind = HP_SOURCE_NONE},
     0,
     HP_REPLAY_NOTHING_WRITTEN,
     HP_REFUSAL_NONE},
    {true,
     "POST",
     {.kind = HP_SOURCE_BYTES, .ptr = "x", .len = 1},
     0,
     HP_REPLAY_NOTHING_WRITTEN,
     HP_REFUSAL_NONE},
    {true,
     "POST",
     {.kind = HP_SOURCE_PRODUCED, .length = 1, .rewindable = true},
     0,
     HP_REPLAY_NOTHING_WRITTEN,
     HP_REFUSAL_NONE},
    {true,
     "POST",
     {.kind = HP_SOURCE_PRODUCED, .length = 1},
     0,
     HP_NO_REPLAY,
     HP_REFUSAL_BODY_GONE},
    {true,
     "POST",
     {.kind = HP_SOURCE_NONE},
     9,
     HP_NO_REPLAY,
     HP_REFUSAL_NOT_IDEMPOTENT},
    {true,
     "GET",
     {.kind = HP_SOURCE_NONE},
     9,
     HP_REPLAY_LOST_BEFORE_FIRST_BYTE,
     HP_REFUSAL_NONE},
    {false,
     "GET",
     {.kind = HP_SOURCE_NONE},
     9,
     HP_NO_REPLAY,
     HP_REFUSAL_FRESH_CONNECTION},
};

static void
decide(const struct decision *d)
{
    hp_pconn conn = {.reused = d->reused};
    kit_init(&k);
    k.r.method = hp_span_cstr(d->method);
    k.r.source = d->source;
    hp_exchange *ex = kit_new(&k);
    ex->want.conn = &conn;
    ex->conn_facts.reused = d->reused;
    ex->send.written = d->written;
    ex->send.asked = true;
    hp_replay_refusal refusal;
    CHECK_INT(hp_ex_replay_verdict(ex, &refusal), d->want);
    CHECK_INT(refusal, d->refusal);
    ex->answered = true; /* a byte of the response: never */
    CHECK_INT(hp_ex_replay_verdict(ex, &refusal), HP_NO_REPLAY);
    CHECK_INT(refusal, d->reused ? HP_REFUSAL_ANSWER_BEGUN
                                 : HP_REFUSAL_FRESH_CONNECTION);
    ex->want.conn = NULL;
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_s58_the_decision_table(void)
{
    for (size_t i = 0; i < sizeof decisions / sizeof *decisions; i++)
        decide(&decisions[i]);
}

/* Switched off: neither what is safe by its method nor what was not begun. */
static void
test_switched_off(void)
{
    kit_init(&k);
    k.r.no_stale_replay = true;
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    refused(HP_E_SERVER_DISCONNECTED, HP_REFUSAL_SWITCHED_OFF);
    kit_init(&k);
    k.r.no_stale_replay = true;
    WARM({.op = SCRIPT_WRITE_ERROR, .err = EPIPE});
    refused(HP_E_SERVER_DISCONNECTED, HP_REFUSAL_SWITCHED_OFF);
}

static void
check_words(const char *why)
{
    WARM({.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN},
         {.op = SCRIPT_AGAIN}, {.op = SCRIPT_EOF});
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK(strstr(ex->err.text, "kept from an earlier request"));
    CHECK(strstr(ex->err.text, why));
    CHECK_INT(ex->err.phase, HP_PHASE_HEAD);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* The words say why it was not repeated, and how it could be. */
static void
test_words(void)
{
    kit_init(&k);
    kit_post(&k, "body");
    check_words("idempotent=True");
    kit_init(&k);
    k.r.no_stale_replay = true;
    check_words("Retries(stale=False)");
    kit_init(&k);
    kit_produce(&k, two_pieces, 6);
    check_words("pass bytes or a seekable file");
}

int
main(void)
{
    RUN(test_eof_before_the_answer);
    RUN(test_reset_before_the_answer);
    RUN(test_other_methods);
    RUN(test_idempotency_key);
    RUN(test_said_by_the_caller);
    RUN(test_nothing_written);
    RUN(test_no_answer_to_nothing);
    RUN(test_turned_away_at_once);
    RUN(test_one_shot_body);
    RUN(test_one_shot_body_not_begun);
    RUN(test_rewinding);
    RUN(test_rewinding_fails);
    RUN(test_lost_in_the_body);
    RUN(test_malformed_head);
    RUN(test_read_timeout);
    RUN(test_fresh_connection);
    RUN(test_stale_in_a_row);
    RUN(test_phases_of_a_replay);
    RUN(test_no_replay_when_over);
    RUN(test_ended_and_lost);
    RUN(test_lost_before_100);
    RUN(test_write_error_halfway);
    RUN(test_s58_the_decision_table);
    RUN(test_switched_off);
    RUN(test_words);
    DONE();
}
