/* Whole exchanges over scripted connections: several requests on one
 * transport, answers early, late, cut, broken off, too long, and whatever
 * stands between them. The clock is turned by hand, so that each request comes
 * to its end. Afterwards:
 *
 *   - an answer that was taken is the one a single look at the bytes gives;
 *   - a connection is used again only if the answer before it ended exactly
 *     with the last byte that was read, said nothing against it, and nothing
 *     was waiting behind it;
 *   - what was written on a connection is one whole request after another;
 *   - no request that may not be repeated went out twice;
 *   - each connection that was opened is idle or closed, and the pool's own
 *     checks hold (hp_pool_check runs with every change).
 *
 * The input: the servers' bytes, the plan, and the plan's length in one byte.
 * seeds.py writes such inputs and says what a plan is. */
#include "exchange_scripts.h"
#include "exchange_truth.h"
#include "pool/keeper.h"
#include "run/exchange.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

enum {
    REQUESTS = 4,
    BODY_MAX = 1 << 17, /* of a decoded one no more is read */
    STEPS_MAX = 20000
};

/* Of each request, two bytes. */
enum {
    READ_ALL,
    CLOSE_IN_BODY,
    LEAVE_OPEN,
    CLOSE_IN_HEAD
};
enum {
    KIND = 7,
    HOW = 24,
    HOW_SHIFT = 3,
    DECODE = 32,
    SAYS_CLOSE = 64,
    IDEMPOTENT = 128
};
enum {
    CAP = 7,
    TRACED = 8,
    NO_REPLAY = 16,
    REWINDABLE = 32,
    SMALL_BODY = 64, /* max_size */
    WRONG_LENGTH = 128
};
enum {
    GET,
    HEAD,
    POST,
    POST_PRODUCED,
    POST_CHUNKED,
    PUT_EXPECTING,
    CONNECT,
    GET_UPGRADE
};

typedef struct request {
    hp_exchange *ex;
    uint8_t what, more; /* its bytes of the plan */
    int number;
    char url[32];
    const char *const *piece; /* the next one */
    hp_go end;
    hp_buf body;
    /* the connection, from the last one it got */
    conn *on;
    hp_request_facts facts;
    size_t from, to;
    bool released;
} request;

static struct {
    hp_transport *t;
    request requests[REQUESTS];
    int n_requests;
    hp_ns turned; /* the clock, since the input began */
} x;

static const char *const pieces[] = {"one", "three", NULL};

/* ---- after each step ---- */

/* Each connection as it is before a step. */
typedef struct moment {
    struct {
        size_t given, written;
        int closed;
        hp_liveness alive;
    } of[CONNS];
} moment;

static moment
now(void)
{
    moment m;
    for (int i = 0; i < server.n; i++) {
        conn *c = &server.conns[i];
        c->script.liveness = look(c);
        m.of[i].alive = c->script.liveness;
        m.of[i].given = given(c);
        m.of[i].written = c->script.written.len;
        m.of[i].closed = c->script.closed;
    }
    return m;
}

static void
check_reuse(const conn *c, const moment *before)
{
    static single s;
    size_t i = (size_t)(c - server.conns), n = before->of[i].given - c->from;
    hp_span written = script_written(&c->script);
    CHECK_INT(before->of[i].closed, 0);
    CHECK_INT(before->of[i].alive, HP_ALIVE);
    single_look(c->data + c->from, n, &c->facts, false, &s);
    CHECK(s.complete);
    CHECK_INT(s.used, n);
    CHECK_INT(s.framing.verdict, HP_KEEP);
    CHECK(s.keep_alive_max != 0);
    CHECK(all_whole(hp_span_of(written.ptr, before->of[i].written)));
}

static conn *
conn_with(uint64_t id)
{
    for (int i = 0; i < server.opened; i++) {
        if (server.conns[i].id == id)
            return &server.conns[i];
    }
    CHECK(server.opened > 0);
    conn *c = &server.conns[server.opened - 1];
    CHECK_INT(c->id, 0);
    return c;
}

static void
note_conn(request *q, const moment *before)
{
    hp_conn_facts f;
    hp_exchange_facts(q->ex, &f);
    if (f.conn_id && (q->on == NULL || q->on->id != f.conn_id)) {
        conn *c = q->on = conn_with(f.conn_id);
        bool used = c->id != 0;
        CHECK_INT(f.reused, used);
        if (used)
            check_reuse(c, before);
        c->id = f.conn_id;
        q->facts = c->facts = q->ex->facts;
        q->from = c->from = used ? before->of[c - server.conns].given : 0;
        q->released = false;
    }
    if (f.conn_id && f.released && !q->released) {
        q->released = true;
        q->to = given(q->on);
        CHECK(f.release == HP_KEEP || f.release == HP_CLOSE_UPGRADED ||
              q->on->script.closed == 1);
    }
}

static void
forget_events(hp_exchange *ex)
{
    uint64_t dropped;
    hp_event_free_all(hp_exchange_take_events(ex, &dropped));
}

/* ---- turning ---- */

static uint64_t
progress(void)
{
    uint64_t n = 0;
    for (int i = 0; i < server.n; i++) {
        const script *s = &server.conns[i].script;
        n += s->reading + s->writing + s->given + s->written.len;
    }
    return n;
}

/* What is waited for does not come: it is time for the deadline. */
static void
turn_clock(const hp_wait *w)
{
    hp_ns by = w->deadline - hp_clock_now();
    CHECK(w->deadline != HP_NEVER);
    if (by > 0) {
        hp_clock_advance(by);
        x.turned += by;
    }
}

/* GO_ON: answered; GO_ERROR: the exchange has failed. */
static hp_go
answer(request *q, hp_go go)
{
    hp_err err = {0};
    if (go == HP_GO_REWIND) {
        CHECK(q->ex->source.rewindable);
        q->piece = pieces;
        hp_exchange_rewound(q->ex);
    } else if (go == HP_GO_PIECE) {
        const char *piece = *q->piece;
        q->piece += piece != NULL;
        if (hp_exchange_feed(q->ex, piece, piece ? strlen(piece) : 0, &err))
            return HP_GO_ERROR;
    } else if (go != HP_GO_BUSY) {
        return go;
    }
    return HP_GO_ON;
}

typedef hp_go step(request *q, hp_wait *w);

/* Until it ends, or so many steps. */
static hp_go
turn(request *q, step *one, int steps)
{
    uint64_t before = 0;
    for (int i = 0; i < steps; i++) {
        hp_wait w;
        moment m = now();
        hp_go go = one(q, &w);
        forget_events(q->ex);
        note_conn(q, &m);
        if (go == HP_GO_WAIT) {
            if (before == progress())
                turn_clock(&w);
            before = progress();
            continue;
        }
        go = answer(q, go);
        note_conn(q, &m); /* a piece too many ends the exchange */
        if (go != HP_GO_ON)
            return go;
    }
    CHECK(steps < STEPS_MAX); /* each request comes to an end */
    return HP_GO_WAIT;
}

static hp_go
step_head(request *q, hp_wait *w)
{
    return hp_ex_step_head(q->ex, hp_waker_for_thread(), w);
}

static hp_go
step_grace(request *q, hp_wait *w)
{
    return hp_ex_step_grace(q->ex, w);
}

/* ON: there may be more. */
static hp_go
step_read(request *q, hp_wait *w)
{
    static const size_t caps[] = {1, 7, 100, 1000, 4095, 4096, 20000, 65536};
    size_t cap = caps[q->more & CAP], got = 0;
    CHECK(hp_buf_reserve(&q->body, cap) == 0);
    hp_go go = hp_ex_step_read(q->ex, w, q->body.ptr + q->body.len, cap,
                               !(q->what & DECODE), &got);
    CHECK(got <= cap && (got == 0 || go == HP_GO_DONE));
    q->body.len += got;
    if (q->body.len >= BODY_MAX)
        return HP_GO_DONE;
    return go == HP_GO_DONE && got ? HP_GO_ON : go;
}

/* ---- one request ---- */

static hp_request
request_of(request *q)
{
    static const char *const methods[] = {"GET",  "HEAD", "POST",    "POST",
                                          "POST", "PUT",  "CONNECT", "GET"};
    static const hp_field expect = {HP_SPAN_LIT("Expect"),
                                    HP_SPAN_LIT("100-continue")};
    static const hp_field upgrade[] = {
        {HP_SPAN_LIT("Connection"), HP_SPAN_LIT("upgrade")},
        {HP_SPAN_LIT("Upgrade"), HP_SPAN_LIT("x")}};
    int kind = q->what & KIND;
    hp_request r;
    hp_request_init(&r);
    snprintf(q->url, sizeof q->url, "http://h/%d", q->number);
    r.url = hp_span_cstr(q->url);
    r.method = hp_span_cstr(methods[kind]);
    r.decode = q->what & DECODE;
    r.close = q->what & SAYS_CLOSE;
    r.idempotent =
        q->what & IDEMPOTENT ? HP_IDEMPOTENT_YES : HP_IDEMPOTENT_BY_METHOD;
    r.no_stale_replay = q->more & NO_REPLAY;
    r.trace = q->more & TRACED ? HP_TRACE_EVENTS : HP_TRACE_NONE;
    r.max_size = q->more & SMALL_BODY ? 100 : HP_NO_LIMIT;
    if (kind == POST || kind == PUT_EXPECTING)
        r.source = (hp_source){
            .kind = HP_SOURCE_BYTES, .ptr = "0123456789", .len = 10};
    if (kind == POST_PRODUCED || kind == POST_CHUNKED)
        r.source = (hp_source){.kind = HP_SOURCE_PRODUCED,
                               .length = HP_BODY_LENGTH_UNKNOWN,
                               .rewindable = q->more & REWINDABLE ||
                                             q->what & IDEMPOTENT};
    if (kind == POST_PRODUCED)
        r.source.length = q->more & WRONG_LENGTH ? 7 : 8;
    if (kind == PUT_EXPECTING)
        r.fields = &expect, r.n_fields = 1;
    if (kind == GET_UPGRADE)
        r.fields = upgrade, r.n_fields = 2;
    return r;
}

static bool
is_framing_error(const hp_exchange *ex)
{
    return ex->err.code == HP_E_CHUNKED || ex->err.code == HP_E_INCOMPLETE_BODY;
}

/* It has been read to its end, or to the fault in it. */
static void
check_answer(const request *q)
{
    static single s;
    const hp_exchange *ex = q->ex;
    if (q->what & DECODE || q->body.len >= BODY_MAX || ex->is_upgraded)
        return;
    if (q->end != HP_GO_DONE && !is_framing_error(ex))
        return;
    CHECK(q->on && q->released);
    single_look(q->on->data + q->from, q->to - q->from, &q->facts,
                q->end == HP_GO_DONE && q->on->script.closed, &s);
    CHECK_INT(s.complete, q->end == HP_GO_DONE);
    CHECK_INT(s.status, ex->head.status);
    CHECK(hp_span_eq(hp_span_of(s.body, s.n_body),
                     hp_span_of(q->body.ptr, q->body.len)));
}

/* What is called malformed is no whole answer in one piece, either. */
static void
check_refusal(const request *q)
{
    static single s;
    const hp_err *err = &q->ex->err;
    if (err->code != HP_E_REMOTE_PROTOCOL || strstr(err->text, "interim"))
        return;
    CHECK(q->on && q->released);
    single_look(q->on->data + q->from, q->to - q->from, &q->facts, false, &s);
    CHECK(!s.complete);
}

static void
read_answer(request *q)
{
    hp_err err = {0};
    if (q->end != HP_GO_DONE)
        return;
    if (q->ex->is_upgraded && q->more & REWINDABLE) {
        hp_upgraded *u = hp_exchange_take_upgraded(q->ex, &err);
        CHECK(u && hp_exchange_take_upgraded(q->ex, &err) == NULL);
        hp_upgraded_free(u);
        return;
    }
    q->end = turn(q, step_read, STEPS_MAX);
    if (q->end == HP_GO_DONE && q->ex->state == HP_EX_GRACE)
        turn(q, step_grace, STEPS_MAX);
    check_answer(q);
}

static void
close_early(request *q)
{
    moment m = now();
    hp_exchange_close(q->ex);
    forget_events(q->ex);
    note_conn(q, &m);
}

static void
begin(request *q)
{
    hp_err err = {0};
    hp_request r = request_of(q);
    q->piece = pieces;
    hp_buf_init(&q->body, NULL, 0, SIZE_MAX / 2);
    q->ex = hp_exchange_new(x.t, &r, &err);
    CHECK(q->ex);
    q->ex->key.open_stream = open_conn;
    int how = (q->what & HOW) >> HOW_SHIFT;
    q->end =
        turn(q, step_head, how == CLOSE_IN_HEAD ? q->more & CAP : STEPS_MAX);
    if (q->end == HP_GO_ERROR)
        check_refusal(q);
    if (how == READ_ALL)
        read_answer(q);
    if (how == CLOSE_IN_BODY && q->end == HP_GO_DONE)
        q->end = turn(q, step_read, q->more >> 5);
    if (how == CLOSE_IN_BODY || how == CLOSE_IN_HEAD)
        close_early(q);
    now();
    hp_pool_keep(hp_transport_pool(x.t), hp_clock_now());
}

static void
finish(request *q)
{
    if ((q->what & HOW) >> HOW_SHIFT == LEAVE_OPEN)
        read_answer(q);
    close_early(q);
    fuzz_check_err(&q->ex->err, true); /* "the response is closed" */
    hp_exchange_free(q->ex);
    hp_buf_free(&q->body);
}

/* ---- in the end ---- */

static void
check_repeats(const request *q)
{
    int kind = q->what & KIND, times = 0;
    char line[32];
    int n = snprintf(line, sizeof line, " /%d HTTP/1.1\r\n", q->number);
    for (int i = 0; i < server.opened; i++) {
        hp_span w = script_written(&server.conns[i].script);
        times += w.len && memmem(w.ptr, w.len, line, (size_t)n);
    }
    bool repeatable = kind == GET || kind == HEAD || kind == GET_UPGRADE ||
                      q->what & IDEMPOTENT;
    CHECK(times <= 1 || (repeatable && !(q->more & NO_REPLAY)));
}

static void
check_stats(void)
{
    hp_stats *s = hp_transport_stats(x.t);
    const hp_gauges *g = &s->total.now;
    int open = 0;
    for (int i = 0; i < server.opened; i++)
        open += !server.conns[i].script.closed;
    CHECK_INT(g->in_use + g->dialing + g->waiting + g->asking, 0);
    CHECK_INT(g->idle + g->draining, open);
    CHECK(s->total.count.dials >= (uint64_t)server.opened);
    hp_stats_free(s);
}

static void
make_transport(uint8_t global)
{
    hp_transport_config c;
    hp_err err = {0};
    hp_transport_config_default(&c);
    if (global & ONE_CONN)
        c.limits.max_conns_per_host = 1;
    if (global & NO_DRAIN)
        c.limits.drain_bytes = 0;
    if (global & SMALL_HEADS)
        c.max_header_bytes = 1024;
    c.limits.idle_fifo = global & FIFO_IDLE;
    x.t = hp_transport_new(&c, &err);
    CHECK(x.t);
}

static void
play(plan *p, hp_span data)
{
    uint8_t global = take(p);
    memset(&x, 0, sizeof x);
    memset(&server, 0, sizeof server);
    make_transport(global);
    x.n_requests = 1 + (global & N_REQUESTS);
    for (int i = 0; i < x.n_requests; i++) {
        request *q = &x.requests[i];
        q->number = i;
        q->what = take(p);
        q->more = take(p);
    }
    do
        plan_conn(p, &data, global);
    while (p->left && server.n < CONNS);
    for (int i = 0; i < x.n_requests; i++)
        begin(&x.requests[i]);
    for (int i = 0; i < x.n_requests; i++)
        finish(&x.requests[i]);
    now();
    hp_pool_keep(hp_transport_pool(x.t), hp_clock_now());
    for (int i = 0; i < x.n_requests; i++)
        check_repeats(&x.requests[i]);
    check_stats();
    hp_transport_unref(x.t);
    for (int i = 0; i < server.n; i++) {
        CHECK_INT(server.conns[i].script.closed, server.conns[i].script.opened);
        script_free(&server.conns[i].script);
    }
    hp_clock_advance(-x.turned);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    hp_keeper_by_hand();
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > FUZZ_MAX / 2)
        return 0;
    size_t n = data[--size];
    if (n > size)
        n = size;
    plan p = {data + size - n, n};
    play(&p, hp_span_of((const char *)data, size - n));
    return 0;
}
