/* Each kind of timeout. The clock is moved by hand. */
#include "exchange_kit.h"
#include "loopback.h"

#define OK_EMPTY SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
#define TEN "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"

static kit k;

static void
init(void)
{
    kit_init(&k);
    k.after_wait = 100 * HP_NS_PER_MS;
}

static uint64_t
timeouts(hp_phase phase)
{
    hp_stats *s = hp_transport_stats(k.t);
    uint64_t n = s->total.count.timeouts[phase];
    hp_stats_free(s);
    return n;
}

/* `ex` has failed in this way and phase, about `after` the start. */
static void
timed_out(hp_exchange *ex, hp_errc code, hp_phase phase, hp_ns after)
{
    hp_ns took = hp_clock_now() - ex->timings.started;
    CHECK_ERR(ex, code);
    CHECK_STR(hp_phase_name(ex->err.phase), hp_phase_name(phase));
    CHECK(took >= after && took < after + HP_NS_PER_S);
    CHECK_INT(timeouts(phase), 1);
    if (kit_facts(ex).conn_id)
        CHECK_RELEASED(ex, HP_CLOSE_TIMEOUT);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR); /* for good */
    hp_exchange_free(ex);
}

/* ---- before the head ---- */

static void
head_times_out(hp_errc code, hp_phase phase, hp_ns after)
{
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    timed_out(ex, code, phase, after);
    kit_free(&k);
}

/* S74 */
static void
test_response_header(void)
{
    init();
    k.r.timeouts.response_header = 2 * HP_NS_PER_S;
    PLAY(&k, {.op = SCRIPT_AGAIN});
    head_times_out(HP_E_HEADER_TIMEOUT, HP_PHASE_HEAD, 2 * HP_NS_PER_S);
    init(); /* a server that trickles does not put it off */
    static script_event trickle[200];
    for (int i = 0; i < 200; i++)
        trickle[i] = i % 2 ? (script_event){.op = SCRIPT_AGAIN}
                           : (script_event)SCRIPT_BYTES("H");
    trickle[0] = (script_event)SCRIPT_BYTES("HTTP/1.1 200 OK\r\nA: ");
    k.r.timeouts.response_header = 2 * HP_NS_PER_S;
    kit_play(&k, trickle, 200);
    head_times_out(HP_E_HEADER_TIMEOUT, HP_PHASE_HEAD, 2 * HP_NS_PER_S);
}

/* It does not begin before the request is out. */
static void
test_response_header_after_upload(void)
{
    static script_event slow[62];
    for (int i = 0; i < 60; i += 2) {
        slow[i] = (script_event){.op = SCRIPT_WANT_WRITE};
        slow[i + 1] = (script_event){SCRIPT_ACCEPT, NULL, 1, 0};
    }
    slow[60] = (script_event){SCRIPT_AFTER, NULL, 30, 0};
    slow[61] = (script_event)OK_EMPTY;
    init();
    k.r.timeouts.response_header = HP_NS_PER_S / 2;
    k.r.timeouts.read = HP_NS_PER_S / 2;
    k.r.timeouts.write = HP_NS_PER_S / 2; /* without progress */
    kit_play(&k, slow, 62);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK(hp_clock_now() - ex->timings.started > 2 * HP_NS_PER_S);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_read_in_head(void)
{
    init();
    k.r.timeouts.read = HP_NS_PER_S / 3;
    PLAY(&k, {.op = SCRIPT_AGAIN});
    head_times_out(HP_E_READ_TIMEOUT, HP_PHASE_HEAD, HP_NS_PER_S / 3);
}

static script_event stuck[KIT_PATIENCE];

static void
test_write(void)
{
    for (int i = 1; i < KIT_PATIENCE; i++)
        stuck[i] = (script_event){.op = SCRIPT_WANT_WRITE};
    stuck[0] = (script_event){SCRIPT_ACCEPT, NULL, 5, 0};
    init();
    k.r.timeouts.write = HP_NS_PER_S;
    kit_play(&k, stuck, KIT_PATIENCE);
    head_times_out(HP_E_WRITE_TIMEOUT, HP_PHASE_SEND, HP_NS_PER_S);
}

/* The caller may take his time over a piece: the server did not stall. */
static void
test_write_after_slow_source(void)
{
    static const char *const pieces[] = {"a piece", NULL};
    init();
    k.after_wait = 0;
    k.r.timeouts.write = HP_NS_PER_S;
    kit_produce(&k, pieces, -1);
    PLAY(&k, {SCRIPT_ACCEPT, NULL, 1000, 0}, {.op = SCRIPT_WANT_WRITE},
         {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN},
         {.op = SCRIPT_AGAIN}, OK_EMPTY);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_PIECE);
    hp_clock_advance(10 * HP_NS_PER_S);
    kit_answer(&k, ex, HP_GO_PIECE);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_total(void)
{
    init();
    k.r.timeouts.total = HP_NS_PER_S;
    PLAY(&k, {.op = SCRIPT_AGAIN});
    head_times_out(HP_E_TOTAL_TIMEOUT, HP_PHASE_HEAD, HP_NS_PER_S);
    init(); /* an absolute deadline, the earlier of the two */
    k.r.timeouts.total = 5 * HP_NS_PER_S;
    k.r.deadline = hp_clock_now() + HP_NS_PER_S;
    PLAY(&k, {.op = SCRIPT_AGAIN});
    head_times_out(HP_E_TOTAL_TIMEOUT, HP_PHASE_HEAD, HP_NS_PER_S / 2);
}

/* S70, S78: over before it began, without a dial. */
static void
test_deadline_passed(void)
{
    init();
    k.r.deadline = hp_clock_now() - 1;
    PLAY(&k, OK_EMPTY);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_TOTAL_TIMEOUT);
    CHECK_INT(k.queue.next, 0);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* A limit that is not there. */
static void
test_no_timeouts(void)
{
    init();
    hp_timeouts *t = &k.r.timeouts;
    t->total = t->pool = t->connect = t->tls = t->write = HP_NO_LIMIT;
    t->response_header = t->read = t->expect_continue = HP_NO_LIMIT;
    PLAY(&k, {.op = SCRIPT_AGAIN});
    k.after_wait = HP_NS_PER_S;
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_WAIT);
    CHECK(k.w.deadline == HP_NEVER);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- waiting for a slot ---- */

/* One holds the only slot, its body half read; the next one waits. */
static hp_exchange *
holder(void)
{
    init();
    k.config.limits.max_conns_per_host = 1;
    PLAY(&k, SCRIPT_BYTES(TEN "abc"), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("defghij"), OK_EMPTY);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    return ex;
}

static void
test_pool(void)
{
    hp_exchange *first = holder();
    k.r.timeouts.pool = 2 * HP_NS_PER_S;
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_INT(ex->state, HP_EX_QUEUED);
    CHECK_INT(k.w.n, 0);
    CHECK(k.w.deadline != HP_NEVER);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK(strstr(ex->err.text, "max_conns_per_host"));
    CHECK(strstr(ex->err.text, "GET /p and its body is unread"));
    timed_out(ex, HP_E_POOL_TIMEOUT, HP_PHASE_POOL, 2 * HP_NS_PER_S);
    hp_exchange_free(first);
    kit_free(&k);
}

static void
test_total_in_the_queue(void)
{
    hp_exchange *first = holder();
    k.r.timeouts.total = HP_NS_PER_S;
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    timed_out(ex, HP_E_TOTAL_TIMEOUT, HP_PHASE_POOL, HP_NS_PER_S);
    hp_exchange_free(first);
    kit_free(&k);
}

/* Handed over, and looked at first: what the server has closed meanwhile is
 * not sent on. The time in the queue goes on. */
static void
test_handed_over_dead(void)
{
    for (int dead = 0; dead < 2; dead++) {
        hp_exchange *first = holder();
        k.after_wait = 0;
        PLAY(&k, OK_EMPTY);
        hp_exchange *ex = kit_new(&k);
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
        CHECK_INT(kit_body(&k, first, 99, true), HP_GO_DONE);
        k.scripts[0].liveness = dead ? HP_DEAD_BYTES : HP_ALIVE;
        CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
        CHECK_INT(kit_facts(ex).reused, !dead);
        CHECK(!kit_facts(ex).was_idle);
        CHECK_INT(k.queue.next, 1 + dead);
        CHECK(ex->timings.queued);
        hp_exchange_free(ex);
        hp_exchange_free(first);
        kit_free(&k);
    }
}

/* ---- connecting ---- */

static hp_exchange *
dialing(const hp_addr *addr, const char *scheme)
{
    static char url[64];
    snprintf(url, sizeof url, "%s://127.0.0.1:%u/", scheme,
             (unsigned)lo_port(addr));
    k.r.url = hp_span_cstr(url);
    hp_exchange *ex = kit_new(&k);
    ex->key.open_stream = NULL;
    return ex;
}

static void
test_connect(void)
{
    hp_addr addr;
    int filler, hole = lo_black_hole(AF_INET, &addr, &filler);
    init();
    k.r.timeouts.connect = 2 * HP_NS_PER_S;
    hp_exchange *ex = dialing(&addr, "http");
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_INT(ex->state, HP_EX_CONNECT);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    timed_out(ex, HP_E_CONNECT_TIMEOUT, HP_PHASE_CONNECT, 2 * HP_NS_PER_S);
    kit_free(&k);
    close(filler);
    close(hole);
}

/* S80 */
static void
test_tls(void)
{
    hp_addr addr;
    int listener = lo_listen(AF_INET, 5, &addr);
    init();
    k.after_wait = 0;
    k.r.timeouts.tls = 2 * HP_NS_PER_S;
    k.r.tls = hp_tls_get(&(hp_tls_config){.verify = false}, &k.err);
    hp_exchange *ex = dialing(&addr, "https");
    while (hp_ex_phase(ex) != HP_PHASE_TLS) {
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
        if (hp_ex_phase(ex) != HP_PHASE_TLS)
            lo_wait(&k.w);
    }
    k.after_wait = 100 * HP_NS_PER_MS;
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    timed_out(ex, HP_E_TLS_TIMEOUT, HP_PHASE_TLS, 2 * HP_NS_PER_S);
    hp_tls_unref(k.r.tls);
    kit_free(&k);
    close(listener);
}

/* ---- in the body ---- */

static hp_exchange *
body(void)
{
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    return ex;
}

static void
body_times_out(hp_exchange *ex, hp_errc code, hp_ns after)
{
    hp_ex_drive_begins(ex);
    CHECK_INT(kit_body(&k, ex, 99, true), HP_GO_ERROR);
    timed_out(ex, code, HP_PHASE_BODY, after);
    kit_free(&k);
}

/* S81; also while an upload stands still beside it. */
static void
test_read_in_body(void)
{
    init();
    k.r.timeouts.read = HP_NS_PER_S;
    PLAY(&k, SCRIPT_BYTES(TEN "abc"));
    body_times_out(body(), HP_E_READ_TIMEOUT, HP_NS_PER_S);
    init();
    k.r.timeouts.read = HP_NS_PER_S;
    kit_post(&k, "body");
    static script_event events[KIT_PATIENCE];
    events[0] = (script_event)SCRIPT_BYTES(TEN "abc");
    for (int i = 1; i < KIT_PATIENCE; i++)
        events[i] = (script_event){.op = SCRIPT_WANT_WRITE};
    kit_play(&k, events, KIT_PATIENCE);
    body_times_out(body(), HP_E_READ_TIMEOUT, HP_NS_PER_S);
}

/* The caller's own time between two reads does not count. */
static void
test_slow_caller(void)
{
    init();
    k.after_wait = 0;
    k.r.timeouts.read = HP_NS_PER_S;
    PLAY(&k, SCRIPT_BYTES(TEN "abc"), {.op = SCRIPT_AGAIN},
         {.op = SCRIPT_AGAIN}, {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("defghij"));
    hp_exchange *ex = body();
    size_t got;
    char buf[99];
    CHECK_INT(kit_read(&k, ex, 3, true, &got), HP_GO_DONE);
    for (int i = 0; i < 3; i++) {
        hp_clock_advance(10 * HP_NS_PER_S);
        hp_ex_drive_begins(ex);
        CHECK_INT(hp_ex_step_read(ex, &k.w, buf, 99, true, &got), HP_GO_WAIT);
        CHECK(k.w.deadline > hp_clock_now() + HP_NS_PER_S / 2);
    }
    CHECK_INT(kit_read(&k, ex, 99, true, &got), HP_GO_DONE);
    CHECK_INT(got, 7);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_total_in_body(void)
{
    init();
    k.r.timeouts.total = 3 * HP_NS_PER_S;
    PLAY(&k, SCRIPT_BYTES(TEN "abc"));
    body_times_out(body(), HP_E_TOTAL_TIMEOUT, 3 * HP_NS_PER_S);
}

/* What is here already is not late. */
static void
test_total_after_the_end(void)
{
    init();
    k.r.timeouts.total = HP_NS_PER_S;
    PLAY(&k, SCRIPT_BYTES(TEN "abcdefghij"));
    hp_exchange *ex = body();
    hp_clock_advance(2 * HP_NS_PER_S);
    CHECK_INT(kit_body(&k, ex, 99, true), HP_GO_DONE);
    CHECK_INT(k.body.len, 10);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* A byte now and then passes for no silence, but not for a rate; and it is the
 * rate over all reads, however short each of them is. */
static void
trickle_read(hp_ns pause, hp_go want)
{
    enum {
        N = 40
    };
    static script_event events[2 * N + 1] = {
        SCRIPT_BYTES("HTTP/1.1 200 OK\r\n\r\n")};
    for (int i = 1; i < 2 * N + 1; i += 2) {
        events[i] = (script_event){.op = SCRIPT_AGAIN};
        events[i + 1] = (script_event)SCRIPT_BYTES("x");
    }
    init();
    k.after_wait = pause;
    k.r.timeouts.min_rate_bytes = 10;
    k.r.timeouts.min_rate_window = 5 * HP_NS_PER_S;
    kit_play(&k, events, 2 * N + 1);
    hp_exchange *ex = body();
    hp_go go = HP_GO_DONE;
    size_t got;
    for (int i = 0; i < N - 1 && go == HP_GO_DONE; i++) {
        hp_ex_drive_begins(ex);
        go = kit_read(&k, ex, 99, true, &got);
        hp_ex_drive_ends(ex);
        hp_clock_advance(HP_NS_PER_S); /* the caller's: not counted */
    }
    CHECK_INT(go, want);
    if (go == HP_GO_ERROR) {
        CHECK_ERR(ex, HP_E_MIN_RATE);
        CHECK_INT(k.body.len, 5);
    }
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_min_rate(void)
{
    trickle_read(HP_NS_PER_S, HP_GO_ERROR);
    trickle_read(HP_NS_PER_S / 4, HP_GO_DONE);
    init();
    k.r.timeouts.min_rate_bytes = 4;
    k.r.timeouts.min_rate_window = 4 * HP_NS_PER_S;
    PLAY(&k, SCRIPT_BYTES(TEN "abc"));
    body_times_out(body(), HP_E_MIN_RATE, 4 * HP_NS_PER_S);
}

int
main(void)
{
    RUN(test_response_header);
    RUN(test_response_header_after_upload);
    RUN(test_read_in_head);
    RUN(test_write);
    RUN(test_write_after_slow_source);
    RUN(test_total);
    RUN(test_deadline_passed);
    RUN(test_no_timeouts);
    RUN(test_pool);
    RUN(test_total_in_the_queue);
    RUN(test_handed_over_dead);
    RUN(test_connect);
    RUN(test_tls);
    RUN(test_read_in_body);
    RUN(test_slow_caller);
    RUN(test_total_in_body);
    RUN(test_total_after_the_end);
    RUN(test_min_rate);
    DONE();
}
