/* exchange: birth, death, failing, and the runner. The diagram is in
 * exchange.h; the states are in acquire.c, send.c, head.c, read.c and
 * finish.c. */
#include "run/exchange.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fork.h"
#include "base/mem.h"
#include "wire/url.h"

enum {
    URL_ON_STACK = 1024,
    RAW_STAGE = 65536
};

bool
hp_ex_is_leased(const hp_exchange *ex)
{
    hp_ex_state s = ex->state;
    return s == HP_EX_SEND || s == HP_EX_HEAD || s == HP_EX_BODY ||
           s == HP_EX_GRACE;
}

#ifndef NDEBUG
static void
assert_state(const hp_exchange *ex)
{
    hp_ex_state s = ex->state;
    assert(ex->dial == NULL || s == HP_EX_CONNECT || s == HP_EX_WARM);
    if (s == HP_EX_QUEUED || s == HP_EX_CONNECT || s == HP_EX_LINGER)
        return; /* the want is in others' hands too */
    assert(ex->want.state ==
           (hp_ex_is_leased(ex) ? HP_WANT_LEASED : HP_WANT_NEW));
    if (s == HP_EX_FAILED)
        assert(ex->err.code != HP_OK);
}
#else
#define assert_state(ex) ((void)0)
#endif

/* ---- birth ---- */

void
hp_timeouts_default(hp_timeouts *t)
{
    *t = (hp_timeouts){
        .total = HP_NO_LIMIT,
        .pool = 30 * HP_NS_PER_S,
        .connect = 10 * HP_NS_PER_S,
        .tls = 10 * HP_NS_PER_S,
        .write = 60 * HP_NS_PER_S,
        .response_header = 60 * HP_NS_PER_S,
        .read = 60 * HP_NS_PER_S,
        .expect_continue = 1 * HP_NS_PER_S,
        .min_rate_bytes = HP_NO_LIMIT,
        .min_rate_window = HP_NO_LIMIT,
    };
}

void
hp_request_init(hp_request *r)
{
    *r = (hp_request){
        .deadline = HP_NEVER,
        .source.length = HP_BODY_LENGTH_UNKNOWN,
        .max_size = HP_NO_LIMIT,
        .max_decoded_size = HP_NO_LIMIT,
    };
    hp_timeouts_default(&r->timeouts);
}

static void
init(hp_exchange *ex, hp_transport *t, const hp_request *r)
{
    memset(ex, 0, offsetof(hp_exchange, dial_err));
    ex->t = hp_transport_ref(t);
    ex->pool = hp_transport_pool(t);
    ex->generation = hp_fork_generation();
    hp_interest_init(&ex->interest);
    size_t max_head = hp_transport_settings(t)->max_header_bytes;
    hp_buf_init(&ex->in, ex->in_store, HP_EX_IN_STORE, max_head + RAW_STAGE);
    hp_buf_init(&ex->stage, NULL, 0, RAW_STAGE);
    ex->timeouts = r->timeouts;
    ex->source = r->source;
    ex->idempotent = r->idempotent;
    ex->no_stale_replay = r->no_stale_replay;
    ex->decode = r->decode;
    ex->announce_connect = r->announce_connect;
    ex->max_size = r->max_size;
    ex->max_decoded_size = r->max_decoded_size;
    ex->timings.started = hp_clock_now();
    ex->total_since = r->since != 0 ? r->since : ex->timings.started;
    ex->total_deadline = hp_ns_min(
        r->deadline, hp_deadline_after(ex->total_since, r->timeouts.total));
    ex->phase_deadline = HP_NEVER;
    ex->conn_facts.attempts = 1;
    ex->want.key = &ex->key;
    ex->want.interest = &ex->interest;
    ex->want.shortage = &ex->shortage;
}

static int
prepare(hp_exchange *ex, const hp_request *r, hp_err *err)
{
    bool close =
        r->close || hp_transport_settings(ex->t)->limits.disable_keepalives;
    hp_prepared *p =
        hp_prepared_get(hp_transport_prepared(ex->t), r, close, err);
    if (p == NULL)
        return -1;
    ex->prepared = p;
    ex->key = p->key;
    ex->facts = p->facts;
    ex->want.address = p->address;
    ex->want.method = p->method;
    ex->want.path = p->path;
    ex->want.whole = r->whole;
    if (r->source.kind == HP_SOURCE_PRODUCED && p->promised >= 0)
        ex->source.length = p->promised;
    return 0;
}

static int
copy_site(hp_exchange *ex, hp_span site, hp_err *err)
{
    if (site.len == 0)
        return 0;
    ex->site = hp_memdup(site.ptr, site.len);
    if (ex->site == NULL)
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    ex->want.site = hp_span_of(ex->site, site.len);
    return 0;
}

static int
check_request(hp_transport *t, const hp_request *r, hp_err *err)
{
    if (hp_transport_is_closed(t))
        return hp_err_set(err, HP_E_CLOSED, "the client is closed");
    if (r->proxy && hp_transport_uses_unix(t))
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "a proxy cannot be used by a client whose "
                          "connections all go to a Unix socket (uds)");
    if (r->idempotent == HP_IDEMPOTENT_YES &&
        r->source.kind == HP_SOURCE_PRODUCED && !r->source.rewindable)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "idempotent=True needs a body that can be sent "
                          "again; this one can be read only once (pass bytes "
                          "or a seekable file)");
    return 0;
}

hp_exchange *
hp_exchange_new(hp_transport *t, const hp_request *request, hp_err *err)
{
    if (check_request(t, request, err) != 0)
        return NULL;
    hp_exchange *ex = hp_malloc(sizeof *ex);
    if (ex == NULL) {
        hp_err_set(err, HP_E_NOMEM, "out of memory");
        return NULL;
    }
    init(ex, t, request);
    if (prepare(ex, request, err) != 0 ||
        copy_site(ex, request->site, err) != 0 ||
        (request->trace && hp_ex_trace_begin(ex, request, err) != 0)) {
        hp_exchange_free(ex);
        return NULL;
    }
    if (request->cancel)
        hp_cancel_attach(request->cancel, ex);
    return ex;
}

/* ---- death ---- */

void
hp_exchange_free(hp_exchange *ex)
{
    if (ex == NULL)
        return;
    if (ex->state != HP_EX_DONE && ex->state != HP_EX_FAILED)
        hp_exchange_close(ex);
    if (ex->upgraded) /* not closed, for one in the child of a fork */
        hp_ex_drop_upgraded(ex->upgraded, ex->generation);
    hp_cancel_detach(ex);
    if (ex->trace)
        hp_ex_trace_end(ex);
    if (ex->generation == hp_fork_generation())
        hp_interest_destroy(&ex->interest); /* else perhaps held for ever */
    hp_prepared_unref(ex->prepared);
    if (ex->warm)
        hp_ex_warm_free(ex);
    hp_answer_unref(ex->answer);
    hp_free(ex->site);
    hp_coding_free(ex->coding);
    hp_body_free(&ex->body);
    hp_buf_free(&ex->in);
    hp_buf_free(&ex->stage);
    hp_transport_unref(ex->t);
    hp_free(ex);
}

/* ---- failing ---- */

hp_phase
hp_ex_phase(const hp_exchange *ex)
{
    switch (ex->state) {
    case HP_EX_START:
    case HP_EX_ACQUIRE:
    case HP_EX_QUEUED:
        return HP_PHASE_POOL;
    case HP_EX_CONNECT:
        return ex->dial ? hp_conn_phase(&ex->dial->net) : HP_PHASE_CONNECT;
    case HP_EX_WARM:
        return hp_ex_warm_phase(ex);
    case HP_EX_LINGER:
        return ex->dial_err.phase;
    case HP_EX_SEND:
    case HP_EX_REWIND:
        return HP_PHASE_SEND;
    case HP_EX_HEAD:
        return HP_PHASE_HEAD;
    case HP_EX_BODY:
    case HP_EX_GRACE:
    case HP_EX_DONE: /* decoding what is here already */
        return HP_PHASE_BODY;
    default:
        return HP_PHASE_NONE;
    }
}

static hp_close_reason
close_reason(hp_errc code)
{
    switch (code) {
    case HP_E_CONNECT_TIMEOUT:
    case HP_E_TLS_TIMEOUT:
    case HP_E_WRITE_TIMEOUT:
    case HP_E_HEADER_TIMEOUT:
    case HP_E_READ_TIMEOUT:
    case HP_E_MIN_RATE:
    case HP_E_TOTAL_TIMEOUT:
        return HP_CLOSE_TIMEOUT;
    case HP_E_CANCELLED:
    case HP_E_CLOSED:
    case HP_E_INTERRUPTED:
    case HP_E_BODY_SOURCE:
        return HP_CLOSE_CANCELLED;
    case HP_E_REMOTE_PROTOCOL:
    case HP_E_HEADERS_TOO_LARGE:
    case HP_E_CHUNKED:
    case HP_E_DECODING:
    case HP_E_BODY_TOO_LARGE:
        return HP_CLOSE_PROTOCOL_ERROR;
    default:
        return HP_CLOSE_IO_ERROR;
    }
}

static bool
is_timeout(hp_errc code)
{
    return code >= HP_E_POOL_TIMEOUT && code <= HP_E_TOTAL_TIMEOUT;
}

void
hp_ex_tally_timeout(hp_exchange *ex)
{
    if (is_timeout(ex->err.code))
        hp_pool_tally_timeout(ex->pool, &ex->want, ex->err.phase);
}

/* A proxy that forwards answers in the server's place, or does not. */
static void
name_forwarder(hp_exchange *ex)
{
    const hp_proxy *p = ex->key.proxy;
    hp_errc e = ex->err.code;
    bool by_peer = (e >= HP_E_WRITE && e <= HP_E_INCOMPLETE_BODY) ||
                   (e >= HP_E_WRITE_TIMEOUT && e <= HP_E_MIN_RATE);
    if (p == NULL || ex->key.tls || hp_proxy_is_socks(p) || !by_peer)
        return;
    size_t n = strlen(ex->err.text);
    snprintf(ex->err.text + n, sizeof ex->err.text - n,
             " (through the proxy %s)", hp_proxy_name(p));
}

hp_go
hp_ex_failed(hp_exchange *ex)
{
    assert(ex->err.code != HP_OK);
    if (ex->err.phase == HP_PHASE_NONE)
        ex->err.phase = hp_ex_phase(ex);
    name_forwarder(ex);
    hp_ex_tally_timeout(ex);
    if (ex->trace)
        hp_tell_failing(ex);
    if (ex->state == HP_EX_WARM)
        hp_ex_warm_give_up(ex, close_reason(ex->err.code));
    if (hp_ex_is_leased(ex)) {
        hp_ex_give_back(ex, close_reason(ex->err.code));
    } else {
        hp_pconn *dial = ex->dial;
        ex->dial = NULL;
        hp_pool_cancel(ex->pool, &ex->want, dial);
    }
    hp_go go = hp_ex_over(ex, HP_EX_FAILED);
    assert_state(ex);
    return go;
}

hp_go
hp_ex_fail(hp_exchange *ex, hp_errc code, const char *fmt, ...)
{
    char text[HP_ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    hp_err_set(&ex->err, code, "%s", text);
    return hp_ex_failed(ex);
}

/* ---- one user ---- */

hp_ex_user
hp_ex_take(hp_exchange *ex, hp_ex_user as)
{
    int user = HP_EX_FREE;
    atomic_compare_exchange_strong(&ex->busy, &user, (int)as);
    return (hp_ex_user)user;
}

bool
hp_ex_take_to_answer(hp_exchange *ex)
{
    return ex->generation == hp_fork_generation() &&
           hp_ex_take(ex, HP_EX_USED) == HP_EX_FREE;
}

void
hp_ex_release(hp_exchange *ex)
{
    atomic_store(&ex->busy, HP_EX_FREE);
    /* In this order and not relaxed: a closer signals first and then looks
     * whether we are still inside. One of us sees the other. */
    if (atomic_load(&ex->interest.signal) == HP_E_CLOSED)
        hp_exchange_close(ex);
}

/* ---- signals ---- */

/* What others or the clock have decided since the last step. */
bool
hp_ex_signalled(hp_exchange *ex)
{
    hp_errc signal = hp_interest_get(&ex->interest);
    if (signal == HP_E_CANCELLED) {
        hp_ex_fail(ex, signal, "the request was cancelled");
        return true;
    }
    if (signal == HP_E_CLOSED) {
        hp_ex_fail(ex, signal,
                   hp_pool_is_closed(ex->pool) ? "the client was closed"
                                               : "the response was closed");
        return true;
    }
    if (ex->total_deadline != HP_NEVER &&
        hp_clock_now() >= ex->total_deadline) {
        double s = (double)(ex->total_deadline - ex->total_since) / HP_NS_PER_S;
        hp_ex_fail(ex, HP_E_TOTAL_TIMEOUT,
                   "the request did not end within its deadline of %.1f s "
                   "(phase: %s)",
                   s > 0 ? s : 0.0, hp_phase_name(hp_ex_phase(ex)));
        return true;
    }
    return false;
}

/* ---- what the states share ---- */

hp_stream *
hp_ex_stream(const hp_exchange *ex)
{
    return ex->want.conn->net.stream;
}

void
hp_ex_wait_io(const hp_exchange *ex, hp_wait *w, ssize_t want)
{
    hp_stream *s = hp_ex_stream(ex);
    short events = want == HP_IO_WANT_WRITE ? POLLOUT : POLLIN;
    hp_wait_fd(w, s->ops->fd(s), events);
}

/* ---- the runner ---- */

static hp_go
one_step(hp_exchange *ex, hp_waker *waker, hp_wait *w)
{
    switch (ex->state) {
    case HP_EX_START:
        ex->state = HP_EX_ACQUIRE;
        return HP_GO_ON;
    case HP_EX_ACQUIRE:
        return hp_ex_state_acquire(ex);
    case HP_EX_QUEUED:
        return hp_ex_state_queued(ex, w);
    case HP_EX_CONNECT:
        return hp_ex_state_connect(ex, waker, w);
    case HP_EX_LINGER:
        return hp_ex_state_linger(ex, w);
    case HP_EX_SEND:
        return hp_ex_state_send(ex, w);
    case HP_EX_HEAD:
        return hp_ex_state_head(ex, w);
    case HP_EX_REWIND:
        return HP_GO_REWIND;
    case HP_EX_GRACE:
        return hp_ex_step_grace(ex, w);
    case HP_EX_BODY:
    case HP_EX_DONE:
        return HP_GO_DONE;
    case HP_EX_WARM: /* has a drive of its own */
    case HP_EX_FAILED:
        return HP_GO_ERROR;
    }
    return HP_GO_ERROR;
}

hp_go
hp_ex_step_head(hp_exchange *ex, hp_waker *waker, hp_wait *w)
{
    if (ex->state < HP_EX_BODY && hp_ex_signalled(ex))
        return HP_GO_ERROR;
    if (ex->want.waker != waker) /* no write while others may look at it */
        ex->want.waker = waker;
    hp_go go;
    do {
        hp_wait_reset(w);
        go = one_step(ex, waker, w);
        assert_state(ex);
    } while (go == HP_GO_ON);
    if (go == HP_GO_WAIT)
        hp_ex_deadline(ex, w);
    return go;
}
