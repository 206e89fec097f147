/* Cancelling and closing in each state, by the hand of one thread; with real
 * threads: transport_test. */
#include "exchange_kit.h"
#include "loopback.h"

#define OK_EMPTY SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
#define TEN "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"

static kit k;

static hp_exchange *
body(void)
{
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    return ex;
}

/* One holds the only slot, its body half read; the next one waits. */
static hp_exchange *
holder(void)
{
    kit_init(&k);
    k.config.limits.max_conns_per_host = 1;
    PLAY(&k, SCRIPT_BYTES(TEN "abc"), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("defghij"), OK_EMPTY);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    return ex;
}

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

/* ---- the signals ---- */

typedef void signal_fn(hp_exchange *ex);

static void
cancel(hp_exchange *ex)
{
    hp_cancel_trigger(k.r.cancel);
}

/* As from another thread while a drive is under way. */
static void
close_in_drive(hp_exchange *ex)
{
    CHECK(hp_ex_take(ex, HP_EX_USED) == HP_EX_FREE);
    hp_exchange_close(ex);
    atomic_store(&ex->busy, 0);
}

static void
close_client(hp_exchange *ex)
{
    hp_transport_close(k.t);
}

static const struct {
    signal_fn *fn;
    hp_errc code;
} signals[] = {{cancel, HP_E_CANCELLED},
               {close_in_drive, HP_E_CLOSED},
               {close_client, HP_E_CLOSED}};

enum {
    N_SIGNALS = sizeof signals / sizeof *signals
};

static void
begin(void)
{
    kit_init(&k);
    k.r.cancel = hp_cancel_new();
    CHECK(k.r.cancel);
}

static void
end(hp_exchange *ex)
{
    hp_exchange_free(ex);
    hp_cancel_unref(k.r.cancel);
    kit_free(&k);
}

/* Signal `i` ends what `ex` does in this state. */
static void
ended_in(hp_exchange *ex, int i, hp_ex_state state, hp_phase phase)
{
    CHECK_INT(ex->state, state);
    signals[i].fn(ex);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, signals[i].code);
    CHECK_STR(hp_phase_name(ex->err.phase), hp_phase_name(phase));
    CHECK_INT(ex->state, HP_EX_FAILED);
    if (kit_facts(ex).conn_id)
        CHECK_RELEASED(ex, HP_CLOSE_CANCELLED);
}

/* S70 */
static void
test_signal_before_start(void)
{
    for (int i = 0; i < 2; i++) {
        begin();
        hp_exchange *ex = kit_new(&k);
        ended_in(ex, i, HP_EX_START, HP_PHASE_POOL);
        CHECK_INT(k.queue.next, 0);
        end(ex);
    }
    begin(); /* a token that is set already */
    hp_cancel_trigger(k.r.cancel);
    CHECK(hp_cancel_is_set(k.r.cancel));
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CANCELLED);
    end(ex);
}

/* S37: and the slot is not lost. */
static void
test_signal_in_queue(void)
{
    for (int i = 0; i < N_SIGNALS; i++) {
        hp_exchange *first = holder();
        k.r.cancel = hp_cancel_new();
        hp_exchange *ex = kit_new(&k);
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
        ended_in(ex, i, HP_EX_QUEUED, HP_PHASE_POOL);
        CHECK_INT(kit_body(&k, first, 99, true), HP_GO_DONE);
        hp_exchange_free(first);
        hp_cancel *old = k.r.cancel;
        k.r.cancel = NULL;
        if (i < 2)
            kit_get_ok(&k, "");
        k.r.cancel = old;
        end(ex);
    }
}

/* S69 */
static void
test_signal_in_connect(void)
{
    hp_addr addr;
    int filler, hole = lo_black_hole(AF_INET, &addr, &filler);
    for (int i = 0; i < N_SIGNALS; i++) {
        begin();
        k.config.limits.max_conns = 1; /* no orphan: nobody waits */
        hp_exchange *ex = dialing(&addr, "http");
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
        ended_in(ex, i, HP_EX_CONNECT, HP_PHASE_CONNECT);
        end(ex);
    }
    close(filler);
    close(hole);
}

/* S71 */
static void
test_signal_in_send(void)
{
    static const char *const pieces[] = {"x", NULL};
    for (int i = 0; i < N_SIGNALS; i++) {
        begin();
        PLAY(&k, {SCRIPT_ACCEPT, NULL, 3, 0}, {.op = SCRIPT_WANT_WRITE});
        hp_exchange *ex = kit_new(&k);
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
        ended_in(ex, i, HP_EX_SEND, HP_PHASE_SEND);
        CHECK_SPAN(script_written(&k.scripts[0]), "GET");
        end(ex);
        begin(); /* the caller is looking for the next piece */
        kit_produce(&k, pieces, -1);
        PLAY(&k, {.op = SCRIPT_AGAIN});
        ex = kit_new(&k);
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_PIECE);
        ended_in(ex, i, HP_EX_SEND, HP_PHASE_SEND);
        end(ex);
    }
}

/* S68, S73: the server sees the end of the connection. */
static void
test_signal_in_head(void)
{
    for (int i = 0; i < N_SIGNALS; i++) {
        begin();
        PLAY(&k, {.op = SCRIPT_AGAIN});
        hp_exchange *ex = kit_new(&k);
        CHECK_INT(kit_head(&k, ex), HP_GO_WAIT);
        ended_in(ex, i, HP_EX_HEAD, HP_PHASE_HEAD);
        CHECK_INT(k.scripts[0].closed, 1);
        end(ex);
    }
}

/* S67, S72: no extra bytes, but the signal's own error. */
static void
test_signal_in_body(void)
{
    for (int i = 0; i < 2; i++) {
        begin();
        PLAY(&k, SCRIPT_BYTES(TEN "Hello"), SCRIPT_BYTES("World"));
        hp_exchange *ex = body();
        size_t got;
        CHECK_INT(kit_read(&k, ex, 3, true, &got), HP_GO_DONE);
        signals[i].fn(ex);
        CHECK_INT(kit_read(&k, ex, 99, true, &got), HP_GO_ERROR);
        CHECK_SPAN(kit_text(&k), "Hel");
        CHECK_ERR(ex, signals[i].code);
        CHECK_RELEASED(ex, HP_CLOSE_CANCELLED);
        end(ex);
    }
    begin(); /* a closed client lets bodies come to their end */
    PLAY(&k, SCRIPT_BYTES(TEN "Hello"), SCRIPT_BYTES("World"));
    hp_exchange *ex = body();
    close_client(ex);
    CHECK_INT(kit_body(&k, ex, 99, true), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), "HelloWorld");
    CHECK_RELEASED(ex, HP_CLOSE_POOL_CLOSED);
    end(ex);
}

/* S26: another one on the same connection does not mind. */
static void
test_signal_after_the_end(void)
{
    begin();
    PLAY(&k, SCRIPT_BYTES(TEN "HelloWorld"), OK_EMPTY);
    hp_exchange *ex = body();
    hp_cancel *token = k.r.cancel;
    k.r.cancel = NULL;
    hp_exchange *next = kit_new(&k);
    CHECK_INT(hp_ex_step_head(next, NULL, &k.w), HP_GO_WAIT);
    hp_cancel_trigger(token);
    CHECK_INT(kit_head(&k, next), HP_GO_DONE);
    CHECK(kit_facts(next).reused);
    CHECK_INT(kit_body(&k, ex, 99, true), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), "HelloWorld");
    hp_exchange_free(next);
    k.r.cancel = token;
    end(ex);
}

/* The response is complete: only the upload is given up. */
static void
test_signal_in_grace(void)
{
    static const char *const pieces[] = {"x", NULL};
    for (int i = 0; i < 2; i++) {
        begin();
        kit_produce(&k, pieces, -1);
        PLAY(&k, SCRIPT_BYTES(TEN "HelloWorld"));
        hp_exchange *ex = kit_new(&k);
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_PIECE);
        CHECK_INT(ex->state, HP_EX_GRACE);
        signals[i].fn(ex);
        CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
        CHECK_RELEASED(ex, HP_CLOSE_UPLOAD_UNFINISHED);
        end(ex);
    }
}

/* While another thread is at closing it: closed, not busy. */
static void
test_drive_beside_a_close(void)
{
    static const hp_driver driver;
    begin();
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(hp_ex_take(ex, HP_EX_CLOSING), HP_EX_FREE);
    CHECK_INT(hp_drive_head(ex, &driver, &k.err), HP_DRIVE_ERROR);
    CHECK_INT(k.err.code, HP_E_CLOSED);
    atomic_store(&ex->busy, HP_EX_USED);
    hp_err_clear(&k.err);
    CHECK_INT(hp_drive_head(ex, &driver, &k.err), HP_DRIVE_ERROR);
    CHECK_INT(k.err.code, HP_E_BUSY);
    CHECK(hp_exchange_take_upgraded(ex, &k.err) == NULL);
    atomic_store(&ex->busy, HP_EX_FREE);
    end(ex);
}

/* One token, many exchanges; it outlives none and none outlives it. */
static void
test_shared_token(void)
{
    begin();
    PLAY(&k, {.op = SCRIPT_AGAIN});
    PLAY(&k, SCRIPT_BYTES(TEN "abc"));
    hp_exchange *a = kit_new(&k);
    CHECK_INT(kit_head(&k, a), HP_GO_WAIT);
    hp_exchange *b = body(), *c = kit_new(&k);
    hp_cancel *token = k.r.cancel;
    k.r.cancel = NULL;
    hp_cancel_trigger(token);
    hp_cancel_unref(token);
    CHECK_INT(kit_head(&k, a), HP_GO_ERROR);
    CHECK_INT(kit_body(&k, b, 99, true), HP_GO_ERROR);
    CHECK_INT(kit_head(&k, c), HP_GO_ERROR);
    CHECK_ERR(a, HP_E_CANCELLED);
    CHECK_ERR(b, HP_E_CANCELLED);
    CHECK_ERR(c, HP_E_CANCELLED);
    hp_exchange_free(b);
    hp_exchange_free(a);
    end(c);
}

int
main(void)
{
    RUN(test_signal_before_start);
    RUN(test_signal_in_queue);
    RUN(test_signal_in_connect);
    RUN(test_signal_in_send);
    RUN(test_signal_in_head);
    RUN(test_signal_in_body);
    RUN(test_signal_after_the_end);
    RUN(test_signal_in_grace);
    RUN(test_drive_beside_a_close);
    RUN(test_shared_token);
    DONE();
}
