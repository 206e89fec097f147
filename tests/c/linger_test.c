/* A request whose own dial failed: for a second it may yet get a connection of
 * its host that another one uses. Exchanges over scripted streams. */
#include <errno.h>

#include "exchange_kit.h"
#include "pool/host.h"

#define HEAD_OF_5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
#define OK_HELLO SCRIPT_BYTES(HEAD_OF_5 "hello")
#define LINGER HP_NS_PER_S

static kit k;
static hp_errc refusal;

static hp_stream *
refuse(void *arg, hp_err *err)
{
    if (refusal == HP_E_CONNECT)
        hp_err_set_sys(err, refusal, ECONNREFUSED, "no way in");
    else
        hp_err_set(err, refusal, "no way in");
    return NULL;
}

/* It has the head; its body is under way. */
static hp_exchange *
holder(void)
{
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    return ex;
}

/* Its dial fails. */
static hp_exchange *
refused(void)
{
    hp_exchange *ex = kit_new(&k);
    ex->key.open_stream = refuse;
    return ex;
}

static hp_exchange *
lingering(void)
{
    hp_exchange *ex = refused();
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
    CHECK_INT(ex->state, HP_EX_LINGER);
    return ex;
}

/* The record's dial is the holder's, so a refusing one has to be put there. */
static void
refuse_dials(hp_exchange *holding)
{
    holding->want.host->spec.open_stream = refuse;
}

static hp_exchange *
begin(hp_errc how)
{
    kit_init(&k);
    refusal = how;
    PLAY(&k, SCRIPT_BYTES(HEAD_OF_5 "he"), {.op = SCRIPT_AGAIN},
         SCRIPT_BYTES("llo"), OK_HELLO);
    hp_exchange *ex = holder();
    refuse_dials(ex);
    return ex;
}

static void
check_dial_error(hp_exchange *ex)
{
    CHECK_ERR(ex, HP_E_CONNECT);
    CHECK_INT(ex->err.phase, HP_PHASE_CONNECT);
    CHECK_INT(ex->err.sys_errno, ECONNREFUSED);
    CHECK(strstr(ex->err.text, "no way in"));
}

static void
test_served(void)
{
    hp_exchange *first = begin(HP_E_CONNECT), *ex = lingering();
    CHECK_INT(kit_body(&k, first, 99, true), HP_GO_DONE);
    CHECK_RELEASED(first, HP_KEEP);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_INT(kit_facts(ex).conn_id, kit_facts(first).conn_id);
    CHECK(kit_facts(ex).reused);
    CHECK_INT(kit_facts(ex).attempts, 1);
    hp_exchange_free(ex);
    hp_exchange_free(first);
    kit_free(&k);
}

/* A second at most, and no longer than one would wait for a slot; then the
 * error is the dial's own. */
static void
test_not_served(void)
{
    for (int how = 0; how < 2; how++) {
        hp_exchange *first = begin(HP_E_CONNECT);
        hp_ns patience = how ? LINGER / 4 : LINGER;
        if (how)
            k.r.timeouts.pool = patience;
        hp_exchange *ex = lingering();
        hp_ns left = k.w.deadline - hp_clock_now();
        CHECK(left > 0 && left <= patience);
        hp_clock_advance(left - HP_NS_PER_MS * 20);
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_WAIT);
        hp_clock_advance(HP_NS_PER_MS * 20);
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_ERROR);
        check_dial_error(ex);
        hp_exchange_free(ex);
        hp_exchange_free(first);
        kit_free(&k);
    }
}

/* Nothing of its host is in use, or we ourselves are at fault: at once. */
static void
test_at_once(void)
{
    hp_exchange *first = begin(HP_E_CONNECT);
    CHECK_INT(kit_body(&k, first, 99, true), HP_GO_DONE);
    hp_transport_close_idle(k.t, (hp_span){0});
    hp_exchange *ex = refused();
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_ERROR);
    check_dial_error(ex);
    hp_exchange_free(ex);
    hp_exchange_free(first);
    kit_free(&k);
    static const hp_errc ours[] = {HP_E_TLS_CONFIG, HP_E_NOMEM};
    for (int i = 0; i < 2; i++) {
        first = begin(ours[i]);
        ex = refused();
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_ERROR);
        CHECK_ERR(ex, ours[i]);
        hp_exchange_free(ex);
        hp_exchange_free(first);
        kit_free(&k);
    }
}

/* What came back is dead: one more dial, and its error. */
static void
test_served_with_a_dead_one(void)
{
    hp_exchange *first = begin(HP_E_CONNECT), *ex = lingering();
    k.scripts[0].liveness = HP_DEAD_CLOSED;
    CHECK_INT(kit_body(&k, first, 99, true), HP_GO_DONE);
    CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_ERROR);
    check_dial_error(ex);
    hp_exchange_free(ex);
    hp_exchange_free(first);
    kit_free(&k);
}

typedef enum end {
    CANCELLED,
    OUT_OF_TIME,
    CLIENT_CLOSED,
    RESPONSE_CLOSED
} end;

/* Whatever ends it names the phase of the dial. */
static void
test_ended(void)
{
    static const hp_errc codes[] = {HP_E_CANCELLED, HP_E_TOTAL_TIMEOUT,
                                    HP_E_CLOSED, HP_E_CLOSED};
    for (int how = CANCELLED; how <= RESPONSE_CLOSED; how++) {
        hp_exchange *first = begin(HP_E_CONNECT);
        k.r.cancel = hp_cancel_new();
        k.r.timeouts.total = LINGER / 2;
        hp_exchange *ex = lingering();
        if (how == CANCELLED)
            hp_cancel_trigger(k.r.cancel);
        if (how == OUT_OF_TIME)
            hp_clock_advance(LINGER / 2);
        if (how == CLIENT_CLOSED)
            hp_transport_close(k.t);
        if (how == RESPONSE_CLOSED)
            hp_exchange_close(ex);
        CHECK_INT(hp_ex_step_head(ex, NULL, &k.w), HP_GO_ERROR);
        CHECK_ERR(ex, codes[how]);
        if (how < CLIENT_CLOSED)
            CHECK_INT(ex->err.phase, HP_PHASE_CONNECT);
        hp_exchange_free(ex);
        hp_exchange_free(first);
        hp_cancel_unref(k.r.cancel);
        kit_free(&k);
    }
}

int
main(void)
{
    RUN(test_served);
    RUN(test_not_served);
    RUN(test_at_once);
    RUN(test_served_with_a_dead_one);
    RUN(test_ended);
    DONE();
}
