/* acquire: the states from START to the first byte sent: an idle connection, a
 * place in the queue, or a dial. */
#include <errno.h>
#include <unistd.h>

#include "run/exchange.h"

/* Go contract 3.2, surpassed: a request whose dial failed waits this long at
 * most for a connection of its host that others use. */
#define LINGER HP_NS_PER_S

static hp_go
begin_attempt(hp_exchange *ex)
{
    ex->state = HP_EX_SEND;
    ex->phase_deadline = HP_NEVER;
    ex->answered = false;
    ex->in.pos = ex->in.len = 0;
    ex->head_at = ex->seen = 0;
    ex->interims = 0;
    hp_ex_note_conn(ex);
    if (ex->trace)
        hp_tell_got_conn(ex);
    atomic_store_explicit(&ex->want.holding, HP_HOLDING_SENDING,
                          memory_order_relaxed);
    hp_send_reset(ex);
    return HP_GO_ON;
}

/* A connection that served before is looked at before it is used, one that was
 * handed over too: its server may have closed it or sent more than it should
 * since the message ended. */
static hp_close_reason
liveness(const hp_exchange *ex)
{
    if (!ex->want.conn->reused)
        return HP_KEEP;
    hp_stream *s = hp_ex_stream(ex);
    switch (s->ops->liveness(s)) {
    case HP_DEAD_CLOSED:
        return HP_CLOSE_SERVER_CLOSED_IDLE;
    case HP_DEAD_BYTES:
        return HP_CLOSE_UNSOLICITED_BYTES;
    case HP_ALIVE:
        break;
    }
    return HP_KEEP;
}

static hp_go
begin_queueing(hp_exchange *ex)
{
    ex->state = HP_EX_QUEUED;
    if (ex->phase_deadline == HP_NEVER) { /* else: queued before */
        ex->timings.queued = hp_clock_now();
        ex->phase_deadline =
            hp_deadline_after(ex->timings.queued, ex->timeouts.pool);
    }
    if (ex->trace)
        hp_tell_queue_entered(ex);
    return HP_GO_ON;
}

/* A leased connection, or another one instead of each that is dead. */
static hp_go
use_if_alive(hp_exchange *ex)
{
    do {
        hp_close_reason dead = liveness(ex);
        if (dead == HP_KEEP)
            return begin_attempt(ex);
        ex->state = HP_EX_ACQUIRE;
        if (hp_pool_acquire_again(ex->pool, &ex->want, dead, &ex->err) != 0)
            return hp_ex_failed(ex);
    } while (ex->want.acquired == HP_WANT_LEASED);
    ex->state = HP_EX_CONNECT;
    return HP_GO_ON;
}

hp_go
hp_ex_state_acquire(hp_exchange *ex)
{
    if (ex->trace)
        hp_tell_get_conn(ex);
    if (hp_pool_acquire(ex->pool, &ex->want, &ex->err) != 0)
        return hp_ex_failed(ex);
    switch (ex->want.acquired) {
    case HP_WANT_LEASED:
        return use_if_alive(ex);
    case HP_WANT_DIALING:
        ex->state = HP_EX_CONNECT;
        return HP_GO_ON;
    default:
        return begin_queueing(ex);
    }
}

static hp_go
closed_meanwhile(hp_exchange *ex)
{
    return hp_ex_fail(ex, HP_E_CLOSED, "the client was closed");
}

hp_go
hp_ex_state_queued(hp_exchange *ex, hp_wait *w)
{
    switch (hp_pool_look(ex->pool, &ex->want)) {
    case HP_WANT_LEASED:
        if (ex->trace)
            hp_tell_queue_left(ex, "connection");
        return use_if_alive(ex);
    case HP_WANT_DIALING:
        if (ex->trace)
            hp_tell_queue_left(ex, "slot");
        ex->state = HP_EX_CONNECT;
        return HP_GO_ON;
    case HP_WANT_REFUSED:
        return closed_meanwhile(ex);
    default:
        break;
    }
    hp_ns now = hp_clock_now();
    if (now >= ex->phase_deadline)
        return hp_pool_wait_timed_out(ex->pool, &ex->want,
                                      now - ex->timings.queued, &ex->err)
                   ? hp_ex_failed(ex)
                   : HP_GO_ON;
    hp_wait_until(w, ex->phase_deadline);
    return HP_GO_WAIT;
}

static bool
out_of_descriptors(const hp_exchange *ex)
{
    return ex->err.sys_errno == EMFILE || ex->err.sys_errno == ENFILE;
}

/* Out of descriptors: an idle connection of any host gives up its own, once.
 */
static bool
redial(hp_exchange *ex)
{
    if (ex->redialed || !out_of_descriptors(ex) ||
        !hp_pool_redial(ex->pool, &ex->want, ex->dial))
        return false;
    ex->dial = NULL;
    ex->redialed = true;
    hp_err_clear(&ex->err);
    return true;
}

/* A challenge, which the caller answers. */
static bool
is_challenged(const hp_exchange *ex)
{
    const hp_proxy *p = ex->key.proxy;
    return ex->err.status == 407 && p && hp_proxy_is_challenging(p);
}

/* Not when it is we who are at fault: a connection in use can do nothing about
 * that. */
static bool
may_linger(const hp_exchange *ex)
{
    hp_errc e = ex->err.code;
    return !is_challenged(ex) && e != HP_E_TLS_CONFIG &&
           e != HP_E_INVALID_ARGUMENT && e != HP_E_NOMEM;
}

static hp_go
linger(hp_exchange *ex)
{
    ex->dial_err = ex->err;
    hp_err_clear(&ex->err);
    ex->state = HP_EX_LINGER;
    ex->phase_deadline = hp_deadline_after(
        hp_clock_now(),
        ex->timeouts.pool < 0 ? LINGER : hp_ns_min(LINGER, ex->timeouts.pool));
    return HP_GO_ON;
}

static hp_go
dial_failed(hp_exchange *ex)
{
    /* While the want has a host to count it for. */
    hp_ex_tally_timeout(ex);
    if (out_of_descriptors(ex))
        hp_pool_tally_no_descriptor(ex->pool, &ex->want);
    if (redial(ex))
        return HP_GO_ON;
    hp_pconn *dial = ex->dial;
    ex->dial = NULL;
    hp_ex_note_answer(ex, &dial->net);
    switch (hp_pool_dial_failed(ex->pool, &ex->want, dial, may_linger(ex))) {
    case HP_WANT_LEASED:
        hp_err_clear(&ex->err); /* served while the dial failed */
        return use_if_alive(ex);
    case HP_WANT_LISTENING:
        return linger(ex);
    default:
        return hp_ex_over(ex, HP_EX_FAILED);
    }
}

/* No connection came back in time, so it is the dial's error after all. */
static hp_go
linger_over(hp_exchange *ex)
{
    ex->err = ex->dial_err;
    hp_pool_cancel(ex->pool, &ex->want, NULL);
    return hp_ex_over(ex, HP_EX_FAILED);
}

hp_go
hp_ex_state_linger(hp_exchange *ex, hp_wait *w)
{
    switch (hp_pool_look(ex->pool, &ex->want)) {
    case HP_WANT_LEASED:
        ex->phase_deadline = HP_NEVER;
        return use_if_alive(ex);
    case HP_WANT_REFUSED:
        return closed_meanwhile(ex);
    default:
        break;
    }
    if (hp_clock_now() >= ex->phase_deadline)
        return linger_over(ex);
    hp_wait_until(w, ex->phase_deadline);
    return HP_GO_WAIT;
}

static hp_go
dialed(hp_exchange *ex)
{
    hp_pconn *dial = ex->dial;
    ex->dial = NULL;
    ex->timings.resolved = dial->net.times.resolved;
    ex->timings.connected = dial->net.times.connected;
    ex->timings.secured = dial->net.times.secured;
    if (!hp_pool_dialed(ex->pool, &ex->want, dial))
        return closed_meanwhile(ex);
    return use_if_alive(ex);
}

static hp_go
served_meanwhile(hp_exchange *ex)
{
    hp_pconn *dial = ex->dial;
    ex->dial = NULL;
    hp_pool_orphan_dial(ex->pool, dial);
    return use_if_alive(ex);
}

/* One that somebody else has begun says what he had to say. */
static int
begin_dial(hp_exchange *ex)
{
    hp_span authorization = ex->prepared->connect_authorization;
    if (hp_pool_new_conn(ex->pool, &ex->want, ex->timeouts.connect,
                         ex->timeouts.tls, &ex->dial) != 0)
        return -1;
    if (authorization.ptr == NULL || ex->dial == NULL ||
        ex->dial->net.state != HP_CONN_NEW)
        return 0;
    return hp_conn_authorize(&ex->dial->net, authorization);
}

hp_go
hp_ex_state_connect(hp_exchange *ex, hp_waker *waker, hp_wait *w)
{
    switch (hp_pool_look(ex->pool, &ex->want)) {
    case HP_WANT_LEASED:
        return served_meanwhile(ex);
    case HP_WANT_REFUSED:
        return closed_meanwhile(ex);
    default:
        break;
    }
    if (ex->announce_connect) {
        ex->announce_connect = false;
        return HP_GO_CONNECTS;
    }
    if (ex->dial == NULL && begin_dial(ex) != 0)
        return hp_ex_fail(ex, HP_E_NOMEM, "out of memory");
    if (ex->dial == NULL)
        return HP_GO_ON; /* served or refused since the look: look again */
    switch (hp_conn_step(&ex->dial->net, waker, w, &ex->err)) {
    case HP_STEP_DONE:
        return dialed(ex);
    case HP_STEP_ERROR:
        return dial_failed(ex);
    case HP_STEP_DIAL:
        return HP_GO_DIAL;
    case HP_STEP_WAIT:
        break;
    }
    return HP_GO_WAIT;
}

/* ---- a custom dial ---- */

/* The dial that waits for a socket, if there still is one. */
static hp_conn *
awaiting(const hp_exchange *ex)
{
    hp_conn *c = ex->dial ? &ex->dial->net : NULL;
    return c && c->state == HP_CONN_AWAITING_SOCKET ? c : NULL;
}

static hp_ns
time_left(const hp_exchange *ex, const hp_conn *c)
{
    hp_ns until = hp_ns_min(c->connect_deadline, ex->total_deadline);
    hp_ns left = until - hp_clock_now();
    if (until == HP_NEVER)
        return HP_NO_LIMIT;
    return left < HP_NS_PER_MS ? HP_NS_PER_MS : left;
}

bool
hp_exchange_dial_wanted(hp_exchange *ex, hp_dial_wanted *out)
{
    if (!hp_ex_take_to_answer(ex))
        return false;
    const hp_conn *c = awaiting(ex);
    if (c)
        *out = (hp_dial_wanted){hp_span_cstr(c->spec->host), c->spec->port,
                                time_left(ex, c)};
    hp_ex_release(ex);
    return c != NULL;
}

void
hp_exchange_give_socket(hp_exchange *ex, int fd)
{
    bool entered = hp_ex_take_to_answer(ex);
    if (entered && awaiting(ex))
        hp_conn_give_socket(awaiting(ex), fd);
    else
        close(fd); /* closed meanwhile, or this is the child of a fork */
    if (entered)
        hp_ex_release(ex);
}

void
hp_exchange_fail_dial(hp_exchange *ex, int sys_errno, bool at_once)
{
    if (!hp_ex_take_to_answer(ex))
        return;
    if (awaiting(ex))
        hp_conn_fail_dial(awaiting(ex), sys_errno);
    if (at_once && awaiting(ex))
        hp_ex_fail(ex, HP_E_DIAL, "dial= was broken off");
    hp_ex_release(ex);
}
