/* finish: the end of a message and of an exchange; what becomes of the
 * connection. */
#include <string.h>

#include "base/fork.h"
#include "run/exchange.h"

/* Go contract 4.2: the upload gets this long after the response's end. */
#define UPLOAD_GRACE (50 * HP_NS_PER_MS)

enum {
    TAKE_AT_CLOSE = 65536
};

/* ---- the verdict ---- */

/* The flat list: the first reason against keeping the connection. */
static hp_close_reason
verdict(const hp_exchange *ex)
{
    const hp_send *s = &ex->send;
    if (ex->framing.verdict != HP_KEEP)
        return ex->framing.verdict;
    if (ex->head.keep_alive_max == 0)
        return HP_CLOSE_MAX_REQUESTS; /* the server's own, none remains */
    if (s->continue_skipped)
        return HP_CLOSE_BODY_NOT_SENT;
    if (!s->finished)
        return HP_CLOSE_UPLOAD_UNFINISHED;
    if (ex->leftover)
        return HP_CLOSE_LEFTOVER_BYTES;
    hp_stream *stream = hp_ex_stream(ex);
    if (stream->ops->pending(stream))
        return HP_CLOSE_LEFTOVER_BYTES;
    return HP_KEEP;
}

/* What the server says of its patience is obeyed a fifth early, at most a
 * second: its clock started before ours. */
static void
note_keep_alive(hp_exchange *ex)
{
    hp_ns timeout = ex->head.keep_alive_timeout_s * HP_NS_PER_S;
    if (ex->head_ok && timeout >= 0)
        ex->want.conn->idle_limit =
            timeout - hp_ns_min(timeout / 5, HP_NS_PER_S);
}

/* For the trace, if the request did not go out whole. */
static const char *
unsent_because(const hp_exchange *ex)
{
    return ex->err.code ? ex->err.text
                        : "the response ended before the request was sent";
}

void
hp_ex_give_back(hp_exchange *ex, hp_close_reason why)
{
    note_keep_alive(ex);
    if (ex->trace)
        hp_tell_wrote_request(ex, unsent_because(ex));
    ex->conn_facts.release = hp_pool_put(ex->pool, &ex->want, why);
    ex->conn_facts.released = true;
}

/* ---- the end of the body ---- */

hp_go
hp_ex_message_ended(hp_exchange *ex)
{
    ex->timings.ended = hp_clock_now();
    if (!ex->send.finished && !ex->send.failed &&
        ex->framing.verdict == HP_KEEP) {
        ex->state = HP_EX_GRACE;
        ex->phase_deadline = ex->timings.ended + UPLOAD_GRACE;
        return HP_GO_ON;
    }
    hp_ex_give_back(ex, verdict(ex));
    return hp_ex_over(ex, HP_EX_DONE);
}

void
hp_ex_give_up_upload(hp_exchange *ex)
{
    hp_ex_give_back(ex, verdict(ex));
    hp_ex_over(ex, HP_EX_DONE);
}

static hp_go
grace_over(hp_exchange *ex)
{
    hp_ex_give_up_upload(ex);
    return HP_GO_DONE;
}

hp_go
hp_ex_step_grace(hp_exchange *ex, hp_wait *w)
{
    hp_ns now = hp_clock_now();
    ssize_t want = 0;
    if (now >= ex->phase_deadline || hp_interest_get(&ex->interest))
        return grace_over(ex);
    hp_wait_reset(w);
    switch (hp_send_pump(ex, &want, now)) {
    case HP_SENT_ALL:
        ex->timings.sent = now;
        return grace_over(ex);
    case HP_SENT_PIECE:
        return HP_GO_PIECE;
    case HP_SENT_BLOCKED:
        hp_ex_wait_io(ex, w, want);
        hp_wait_until(w, ex->phase_deadline);
        return HP_GO_WAIT;
    case HP_SENT_MORE:
        return HP_GO_BUSY;
    case HP_SENT_HELD:
    case HP_SENT_FAILED:
        break;
    }
    return grace_over(ex);
}

/* ---- closed before the end ---- */

/* Takes what the kernel already holds, without waiting. HP_KEEP: that was all,
 * or nothing is wrong with it so far. */
static hp_close_reason
take_what_is_there(hp_exchange *ex)
{
    char scratch[16384];
    hp_stream *s = hp_ex_stream(ex);
    hp_err err = {0};
    for (size_t taken = 0; taken < TAKE_AT_CLOSE && !ex->body.ended;) {
        size_t want = hp_body_want(&ex->body);
        ssize_t n = s->ops->read(
            s, scratch, want < sizeof scratch ? want : sizeof scratch, &err);
        if (n == HP_IO_WANT_READ || n == HP_IO_WANT_WRITE)
            break;
        if (n <= 0)
            return HP_CLOSE_DRAIN_FAILED;
        size_t len = (size_t)n, used = 0;
        if (hp_body_feed(&ex->body, scratch, &len, &used, &err) != 0)
            return HP_CLOSE_PROTOCOL_ERROR;
        ex->leftover = used < (size_t)n;
        taken += (size_t)n;
    }
    return HP_KEEP;
}

void
hp_ex_close_early(hp_exchange *ex)
{
    hp_close_reason why = verdict(ex);
    if (why == HP_KEEP)
        why = take_what_is_there(ex);
    if (why != HP_KEEP || ex->body.ended) {
        hp_ex_give_back(ex, why == HP_KEEP ? verdict(ex) : why);
        return;
    }
    note_keep_alive(ex);
    if (ex->trace)
        hp_tell_wrote_request(ex, unsent_because(ex));
    ex->conn_facts.release =
        hp_pool_put_undrained(ex->pool, &ex->want, &ex->body);
    ex->conn_facts.released = true;
}

static void
close_idle_exchange(hp_exchange *ex)
{
    switch (ex->state) {
    case HP_EX_DONE:
    case HP_EX_FAILED:
        break;
    case HP_EX_BODY:
        hp_ex_close_early(ex);
        hp_ex_over(ex, HP_EX_DONE);
        break;
    case HP_EX_GRACE:
        hp_ex_give_back(ex, HP_CLOSE_UPLOAD_UNFINISHED);
        hp_ex_over(ex, HP_EX_DONE);
        break;
    default:
        hp_ex_fail(ex, HP_E_CLOSED, "the response was closed");
        break;
    }
    if (ex->upgraded)
        hp_ex_drop_upgraded(ex->upgraded, ex->generation);
    ex->upgraded = NULL;
    hp_err_set(&ex->err, HP_E_CLOSED, "the response is closed");
    ex->bytes_first = false;
    ex->state = HP_EX_FAILED;
}

void
hp_exchange_hurry(hp_exchange *ex, hp_ns limit)
{
    ex->total_deadline =
        hp_ns_min(ex->total_deadline, hp_deadline_after(hp_clock_now(), limit));
}

void
hp_exchange_close(hp_exchange *ex)
{
    if (ex->generation != hp_fork_generation())
        return; /* the parent's connection: not a byte, not a lock */
    if (hp_ex_take(ex, HP_EX_CLOSING) != HP_EX_FREE) {
        hp_interest_signal(&ex->interest, HP_E_CLOSED);
        if (hp_ex_take(ex, HP_EX_CLOSING) != HP_EX_FREE)
            return; /* who is inside will see the signal, see hp_ex_release */
    }
    close_idle_exchange(ex);
    atomic_store(&ex->busy, HP_EX_FREE);
}

bool
hp_exchange_mark_leaked(hp_exchange *ex)
{
    if (ex->generation != hp_fork_generation())
        return false;
    hp_pool_tally_leak(ex->pool, &ex->want);
    return true;
}

bool
hp_exchange_holder(const hp_exchange *ex, hp_holder *out)
{
    if (ex->generation != hp_fork_generation() || !hp_ex_is_leased(ex))
        return false;
    hp_want_holder(&ex->want, out);
    return true;
}

/* ---- facts ---- */

static void
note_tls(hp_exchange *ex, const hp_conn *c)
{
    hp_conn_facts *f = &ex->conn_facts;
    f->tls_version = f->tls_cipher = f->alpn = "";
    f->tls_resumed = false;
    if (c->times.secured == 0)
        return;
    hp_tls_info info;
    hp_tls_stream_info(c->stream, &info);
    f->tls_version = info.version;
    f->tls_cipher = info.cipher;
    f->alpn = *info.alpn ? "http/1.1" : ""; /* the only one we offer */
    f->tls_resumed = info.resumed;
}

void
hp_ex_note_answer(hp_exchange *ex, const hp_conn *c)
{
    if (ex->answer == c->answer)
        return;
    hp_answer_unref(ex->answer);
    ex->answer = c->answer ? hp_answer_ref(c->answer) : NULL;
}

/* The connection may be somebody else's, or gone, when the user asks: what he
 * may ask for is noted when it is got. */
void
hp_ex_note_conn(hp_exchange *ex)
{
    const hp_pconn *c = ex->want.conn;
    hp_conn_facts *f = &ex->conn_facts;
    ex->timings.acquired = hp_clock_now();
    f->conn_id = c->net.id;
    f->reused = c->reused;
    f->was_idle = ex->want.was_idle;
    f->idle_time = ex->want.idle_time;
    f->age = hp_clock_idle() - c->born;
    f->requests = c->requests;
    f->released = false;
    memcpy(ex->remote, c->net.remote, sizeof ex->remote);
    memcpy(ex->local, c->net.local, sizeof ex->local);
    note_tls(ex, &c->net);
    hp_ex_note_answer(ex, &c->net);
}

void
hp_exchange_facts(const hp_exchange *ex, hp_conn_facts *out)
{
    *out = ex->conn_facts;
    out->remote = ex->remote;
    out->local = ex->local;
    out->key = ex->key.text.ptr;
    out->proxy = ex->key.proxy ? hp_proxy_name(ex->key.proxy) : "";
    if (ex->answer)
        out->proxy_lines = hp_answer_lines(ex->answer);
    if (out->tls_version == NULL)
        out->tls_version = out->tls_cipher = out->alpn = "";
}

const hp_shortage *
hp_exchange_shortage(const hp_exchange *ex)
{
    hp_errc e = ex->err.code;
    return e == HP_E_POOL_TIMEOUT || e == HP_E_QUEUE_FULL ? &ex->shortage
                                                          : NULL;
}

void
hp_exchange_timings(const hp_exchange *ex, hp_timings *out)
{
    *out = ex->timings;
}

const hp_head *
hp_exchange_head(const hp_exchange *ex)
{
    return &ex->head;
}

hp_span
hp_exchange_reason(const hp_exchange *ex)
{
    return hp_span_of(ex->in.ptr + ex->head_at + ex->head.reason_at,
                      ex->head.reason_len);
}

hp_span
hp_exchange_fields(const hp_exchange *ex)
{
    return hp_span_of(ex->in.ptr + ex->head_at + ex->head.fields_at,
                      ex->head.fields_len);
}

hp_span
hp_exchange_trailers(const hp_exchange *ex)
{
    if (!ex->body.ended)
        return hp_span_of("", 0);
    return hp_span_of(ex->body.trailers.ptr, ex->body.trailers.len);
}

/* Body bytes that have arrived and that no read has taken. */
static int64_t
untaken(const hp_exchange *ex)
{
    return (int64_t)(ex->early_end - ex->in.pos) +
           (int64_t)hp_buf_unread(&ex->stage);
}

int64_t
hp_exchange_taken(const hp_exchange *ex)
{
    return ex->raw_bytes - untaken(ex);
}

int64_t
hp_exchange_left(const hp_exchange *ex)
{
    int64_t buffered = untaken(ex);
    if (ex->bytes_first)
        return -1; /* an error follows, whatever the framing said */
    if (ex->body.ended || ex->state == HP_EX_DONE)
        return buffered;
    return ex->body.left < 0 ? -1 : ex->body.left + buffered;
}

bool
hp_exchange_decodes(const hp_exchange *ex)
{
    return ex->coding != NULL;
}

bool
hp_exchange_ended(const hp_exchange *ex)
{
    return ex->timings.ended && ex->state != HP_EX_FAILED &&
           hp_exchange_left(ex) == 0 && (!ex->coding || ex->coding_ended);
}

bool
hp_exchange_is_upgraded(const hp_exchange *ex)
{
    return ex->is_upgraded;
}
