/* head: from the first response byte to the framing verdict, and what to do
 * when the connection is lost before that. */
#include <stdio.h>
#include <string.h>

#include "run/exchange.h"

enum {
    MAX_INTERIMS = 100,
    READ_AT_LEAST = 1024
};

static size_t
max_header_bytes(const hp_exchange *ex)
{
    return hp_transport_settings(ex->t)->max_header_bytes;
}

static hp_go
too_large(hp_exchange *ex)
{
    return hp_ex_fail(ex, HP_E_HEADERS_TOO_LARGE,
                      "the response head is larger than %zu bytes "
                      "(max_header_bytes)",
                      max_header_bytes(ex));
}

/* ---- the final head ---- */

/* All Content-Encoding fields as one list (RFC 9110 5.3). */
static int
join_content_encoding(const hp_exchange *ex, hp_buf *out)
{
    hp_span rest = hp_exchange_fields(ex);
    hp_field f;
    while (hp_field_next(&rest, &f)) {
        if (!hp_span_eq_nocase(f.name, HP_SPAN_LIT("content-encoding")))
            continue;
        if ((out->len && hp_buf_add_cstr(out, ",")) ||
            hp_buf_add_span(out, f.value))
            return -1;
    }
    return 0;
}

static int
choose_coding(hp_exchange *ex)
{
    if (!ex->decode || !ex->head.has_content_encoding || ex->body.ended)
        return 0;
    char store[128];
    hp_buf value;
    hp_buf_init(&value, store, sizeof store, 1 << 20);
    int r = join_content_encoding(ex, &value);
    if (r != 0)
        hp_err_set(&ex->err, HP_E_NOMEM, "out of memory");
    else
        r = hp_coding_new(hp_span_of(value.ptr, value.len), &ex->coding,
                          &ex->err);
    hp_buf_free(&value);
    return r;
}

static bool
announces_too_much(hp_exchange *ex)
{
    if (ex->max_size < 0 || ex->framing.kind != HP_BODY_LENGTH ||
        ex->framing.length <= ex->max_size)
        return false;
    hp_err_set(&ex->err, HP_E_BODY_TOO_LARGE,
               "the server announces a body of %lld bytes, more than "
               "max_size=%lld",
               (long long)ex->framing.length, (long long)ex->max_size);
    return true;
}

/* Body bytes that came with the head are unframed where they lie. The head is
 * good whatever is wrong with them: reading the body will tell. */
static hp_go
take_early_bytes(hp_exchange *ex)
{
    if (announces_too_much(ex)) {
        ex->bytes_first = true; /* none, and the head before them */
        hp_ex_failed(ex);
        return HP_GO_DONE;
    }
    size_t len = hp_buf_unread(&ex->in), all = len, used = 0;
    if (ex->body.ended) {
        ex->leftover = all > 0;
        return hp_ex_message_ended(ex);
    }
    if (all == 0)
        return HP_GO_ON;
    hp_go go = hp_ex_unframe(ex, hp_buf_read_ptr(&ex->in), &len, &used);
    ex->early_end = ex->in.pos + len;
    if (go == HP_GO_ERROR)
        return HP_GO_DONE;
    ex->leftover = used < all;
    return ex->body.ended ? hp_ex_message_ended(ex) : HP_GO_ON;
}

static hp_go
begin_tunnel(hp_exchange *ex)
{
    ex->is_upgraded = true;
    ex->upgraded = hp_pool_detach(ex->pool, &ex->want);
    ex->conn_facts.released = true;
    ex->conn_facts.release = HP_CLOSE_UPGRADED;
    ex->timings.ended = ex->timings.head;
    return hp_ex_over(ex, HP_EX_DONE);
}

/* The final answer came while the body was held back. The body goes out all
 * the same if the connection is to live on, so that the framing stays valid
 * (Go contract 8.4); else it stays here. */
static void
settle_continue(hp_exchange *ex)
{
    hp_send *s = &ex->send;
    if (!s->awaiting_continue)
        return;
    s->awaiting_continue = false;
    if (ex->framing.verdict != HP_KEEP) {
        s->continue_skipped = true;
        s->finished = true;
        if (ex->trace)
            hp_tell_wrote_request(ex, NULL);
    }
}

static hp_go
head_complete(hp_exchange *ex, size_t n)
{
    ex->timings.head = hp_clock_now();
    ex->head_ok = true;
    if (ex->trace)
        hp_tell_response(ex);
    ex->in.pos = ex->early_end = ex->head_at + n;
    if (hp_framing_decide(&ex->head, &ex->facts, &ex->framing, &ex->err) != 0)
        return hp_ex_failed(ex);
    hp_body_init(&ex->body, &ex->framing);
    if (ex->framing.kind == HP_BODY_TUNNEL)
        return begin_tunnel(ex);
    settle_continue(ex);
    ex->state = HP_EX_BODY;
    ex->phase_deadline = HP_NEVER;
    atomic_store_explicit(&ex->want.holding, HP_HOLDING_BODY_UNREAD,
                          memory_order_relaxed);
    if (choose_coding(ex) != 0)
        return hp_ex_failed(ex);
    return take_early_bytes(ex);
}

/* ---- interim heads ---- */

/* One that somebody was told of counts for no limit of size any more (Go
 * contract 1.1). */
static void
forget_interim(hp_exchange *ex)
{
    ex->in.len -= ex->head_at;
    memmove(ex->in.ptr, ex->in.ptr + ex->head_at, ex->in.len);
    ex->head_at = 0;
}

static hp_go
pass_over(hp_exchange *ex, size_t n)
{
    if (ex->trace)
        hp_tell_interim(ex);
    if (++ex->interims > MAX_INTERIMS)
        return hp_ex_fail(ex, HP_E_REMOTE_PROTOCOL,
                          "more than %d interim (1xx) responses", MAX_INTERIMS);
    if (ex->head.status == 100)
        ex->send.awaiting_continue = false;
    ex->head_at += n;
    ex->seen = 0;
    if (ex->trace)
        forget_interim(ex);
    return HP_GO_ON;
}

/* GO_WAIT: more bytes are needed. */
static hp_go
parse(hp_exchange *ex)
{
    for (;;) {
        size_t have = ex->in.len - ex->head_at;
        ssize_t n = hp_head_parse(ex->in.ptr + ex->head_at, have, ex->seen,
                                  &ex->head, &ex->err);
        if (n < 0)
            return hp_ex_failed(ex);
        if (ex->head_at + (n ? (size_t)n : have) > max_header_bytes(ex))
            return too_large(ex);
        if (n == 0) {
            ex->seen = have;
            return HP_GO_WAIT;
        }
        if (!hp_head_is_interim(&ex->head))
            return head_complete(ex, (size_t)n);
        hp_go go = pass_over(ex, (size_t)n);
        if (go != HP_GO_ON)
            return go;
    }
}

/* Who ends this drive shuts the connection down: the EOF is not the server's.
 */
static ssize_t
read_patiently(hp_exchange *ex, hp_stream *s, size_t room, hp_err *err)
{
    ex->may_block = false;
    if (!hp_interest_block(&ex->interest, s->ops->fd(s)))
        return HP_IO_WANT_READ;
    ssize_t n = s->ops->read_patiently(s, ex->in.ptr + ex->in.len, room, err);
    hp_interest_unblock(&ex->interest);
    return n <= 0 && hp_interest_get(&ex->interest) ? HP_IO_WANT_READ : n;
}

static ssize_t
receive(hp_exchange *ex, hp_err *err, size_t *room)
{
    if (hp_buf_reserve(&ex->in, READ_AT_LEAST) != 0 &&
        ex->in.cap == ex->in.len) {
        hp_err_set(err, HP_E_NOMEM, "out of memory");
        return HP_IO_ERROR;
    }
    *room = ex->in.cap - ex->in.len;
    hp_stream *s = hp_ex_stream(ex);
    if (ex->may_block)
        return read_patiently(ex, s, *room, err);
    return s->ops->read(s, ex->in.ptr + ex->in.len, *room, err);
}

static void
first_byte(hp_exchange *ex)
{
    ex->timings.first_byte = ex->silence_since;
    ex->answered = true;
    if (ex->trace)
        hp_tell_first_byte(ex);
}

hp_go
hp_ex_read_head(hp_exchange *ex, hp_wait *w)
{
    for (;;) {
        hp_err err = {0};
        size_t room = 0;
        ssize_t n = receive(ex, &err, &room);
        if (n == HP_IO_WANT_READ || n == HP_IO_WANT_WRITE) {
            hp_ex_wait_io(ex, w, n);
            return HP_GO_WAIT;
        }
        if (n <= 0)
            return hp_ex_lost(ex, n, &err);
        ex->silence_since = hp_clock_now();
        if (!ex->answered)
            first_byte(ex);
        ex->in.len += (size_t)n;
        hp_go go = parse(ex);
        if (go != HP_GO_WAIT)
            return go;
        hp_stream *s = hp_ex_stream(ex);
        if ((size_t)n < room && !s->ops->pending(s)) {
            hp_ex_wait_io(ex, w, HP_IO_WANT_READ);
            return HP_GO_WAIT;
        }
    }
}

hp_go
hp_ex_read_head_patiently(hp_exchange *ex, hp_wait *w)
{
    hp_stream *s = hp_ex_stream(ex);
    hp_ns enough = ex->timings.sent + 2 * HP_PATIENCE_MS * HP_NS_PER_MS;
    if (s->ops->read_patiently == NULL || w->deadline < enough)
        return HP_GO_WAIT;
    ex->may_block = true;
    hp_go go = hp_ex_read_head(ex, w);
    return go == HP_GO_WAIT ? HP_GO_ON : go;
}

static hp_go
header_timed_out(hp_exchange *ex)
{
    return hp_ex_fail(ex, HP_E_HEADER_TIMEOUT,
                      "no response head within %.1f s "
                      "(response_header timeout)",
                      (double)ex->timeouts.response_header / HP_NS_PER_S);
}

static hp_go
no_last_words(hp_exchange *ex)
{
    hp_err none = {0};
    return hp_ex_lost(ex, HP_IO_ERROR, &none);
}

hp_go
hp_ex_state_head(hp_exchange *ex, hp_wait *w)
{
    hp_go go = hp_ex_read_head(ex, w);
    if (go != HP_GO_WAIT)
        return go;
    hp_ns now = hp_clock_now();
    hp_ns silence = hp_deadline_after(ex->silence_since, ex->timeouts.read);
    if (ex->send.failed && now >= hp_ns_min(ex->phase_deadline, silence))
        return no_last_words(ex);
    if (now >= ex->phase_deadline)
        return header_timed_out(ex);
    if (now >= silence)
        return hp_ex_fail(ex, HP_E_READ_TIMEOUT,
                          "nothing received for %.1f s while awaiting the "
                          "response head (read timeout)",
                          (double)ex->timeouts.read / HP_NS_PER_S);
    hp_wait_until(w, ex->phase_deadline);
    hp_wait_until(w, silence);
    return HP_GO_WAIT;
}

/* ---- lost before the head ---- */

static hp_go
replay(hp_exchange *ex, hp_replay_reason why)
{
    ex->phase_deadline = HP_NEVER;
    hp_pool_tally_replay(ex->pool, &ex->want, why);
    ex->conn_facts.attempts++;
    hp_ex_give_back(ex, HP_CLOSE_SERVER_CLOSED_IDLE);
    if (ex->trace)
        hp_tell_retry(ex, why);
    bool rewind = ex->source.kind == HP_SOURCE_PRODUCED && ex->send.asked;
    ex->state = rewind ? HP_EX_REWIND : HP_EX_ACQUIRE;
    return HP_GO_ON;
}

static const char *
refusal_words(const hp_exchange *ex)
{
    switch (ex->conn_facts.refusal) {
    case HP_REFUSAL_SWITCHED_OFF:
        return "; the connection had been kept from an earlier request, and "
               "this one is not repeated: Retries(stale=False)";
    case HP_REFUSAL_BODY_GONE:
        return "; the connection had been kept from an earlier request, and "
               "this one is not repeated, since its body could be read only "
               "once (pass bytes or a seekable file)";
    case HP_REFUSAL_NOT_IDEMPOTENT:
        return "; the connection had been kept from an earlier request, and "
               "this one is not repeated by itself, since the server may have "
               "acted on it (idempotent=True says that it may be)";
    default:
        return "";
    }
}

static hp_go
server_disconnected(hp_exchange *ex, const hp_err *cause)
{
    char note[HP_ERR_TEXT_MAX / 2] = "";
    int e = cause->sys_errno ? cause->sys_errno : ex->send.failed_errno;
    if (e) {
        hp_err words = {0};
        hp_err_set_sys(&words, HP_E_READ, e, " ");
        snprintf(note, sizeof note, " (%.*s)", 100, words.text + 3);
    }
    if (ex->conn_facts.reused)
        hp_pool_tally_lost(ex->pool, &ex->want);
    hp_go go =
        hp_ex_fail(ex, HP_E_SERVER_DISCONNECTED,
                   "the server closed the connection without answering%s%s",
                   note, refusal_words(ex));
    ex->err.sys_errno = e;
    return go;
}

hp_go
hp_ex_lost(hp_exchange *ex, ssize_t n, const hp_err *cause)
{
    if (cause->code == HP_E_NOMEM) {
        ex->err = *cause;
        return hp_ex_failed(ex);
    }
    if (hp_ex_signalled(ex))
        return HP_GO_ERROR; /* whoever ended it may have cut the connection */
    hp_replay_reason why = hp_ex_replay_verdict(ex, &ex->conn_facts.refusal);
    if (why != HP_NO_REPLAY)
        return replay(ex, why);
    if (ex->answered)
        return hp_ex_fail(ex, HP_E_REMOTE_PROTOCOL,
                          "the connection ended in the middle of the response "
                          "head, after %zu bytes",
                          ex->in.len - ex->head_at);
    if (n == HP_IO_ERROR && cause->code == HP_E_TLS) {
        ex->err = *cause; /* e.g. the alert "certificate required" */
        return hp_ex_failed(ex);
    }
    return server_disconnected(ex, cause);
}
