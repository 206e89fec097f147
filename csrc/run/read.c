/* read: body bytes to the caller.
 *
 *   connection -> [early bytes | stage | caller's buffer] -> coding -> caller
 *
 * Raw reads of some size go straight into the caller's buffer, where chunked
 * framing is taken out in place; small ones and those that are decoded go by
 * way of the stage. */
#include <string.h>

#include "run/exchange.h"

enum {
    DIRECT_MIN = 4096, /* smaller reads are served from the stage */
    STAGE_RAW = 16384,
    STAGE_CODED = 65536,
    DECODE_AT_ONCE = 262144
};

/* ---- raw bytes ---- */

static size_t
copy_from(hp_buf *b, size_t end, char *out, size_t cap)
{
    size_t n = end - b->pos;
    if (n > cap)
        n = cap;
    memcpy(out, b->ptr + b->pos, n);
    b->pos += n;
    return n;
}

static hp_go
body_lost(hp_exchange *ex, ssize_t n, const hp_err *cause)
{
    if (n == 0 && hp_body_eof(&ex->body, &ex->err) == 0)
        return hp_ex_message_ended(ex);
    if (n == HP_IO_TRUNCATED)
        return hp_ex_fail(ex, HP_E_INCOMPLETE_BODY,
                          "the TLS connection was cut without a close_notify "
                          "in the middle of the body, which may be "
                          "incomplete");
    if (n != 0)
        ex->err = *cause;
    return hp_ex_failed(ex);
}

/* Cuts *len back to max_size. A fault found in the same bytes lies beyond what
 * is too much already: how they were cut must not decide which is told. */
static bool
too_large(hp_exchange *ex, size_t *len)
{
    ex->raw_bytes += (int64_t)*len;
    ex->rate_bytes += (int64_t)*len;
    if (ex->max_size < 0 || ex->raw_bytes <= ex->max_size)
        return false;
    *len -= (size_t)(ex->raw_bytes - ex->max_size);
    hp_err_clear(&ex->err);
    hp_err_set(&ex->err, HP_E_BODY_TOO_LARGE,
               "the body is larger than max_size=%lld bytes",
               (long long)ex->max_size);
    return true;
}

hp_go
hp_ex_unframe(hp_exchange *ex, char *buf, size_t *len, size_t *used)
{
    int r = hp_body_feed(&ex->body, buf, len, used, &ex->err);
    if (!too_large(ex, len) && r == 0)
        return HP_GO_DONE;
    ex->bytes_first = true;
    return hp_ex_failed(ex);
}

/* One read from the connection into buf; *got body bytes of it. GO_ON: only
 * framing arrived. GO_ERROR: what there is in *got comes before the error. */
static hp_go
receive(hp_exchange *ex, hp_wait *w, char *buf, size_t cap, size_t *got)
{
    hp_stream *s = hp_ex_stream(ex);
    size_t want = hp_body_want(&ex->body);
    hp_err err = {0};
    ssize_t n = s->ops->read(s, buf, cap < want ? cap : want, &err);
    if (n == HP_IO_WANT_READ || n == HP_IO_WANT_WRITE) {
        hp_ex_wait_io(ex, w, n);
        return HP_GO_WAIT;
    }
    if (n <= 0)
        return body_lost(ex, n, &err);
    ex->silence_since = 0; /* read again when there is a wait */
    size_t len = (size_t)n, used = 0;
    hp_go go = hp_ex_unframe(ex, buf, &len, &used);
    *got = len;
    if (go == HP_GO_ERROR)
        return go;
    if (ex->body.ended) {
        ex->leftover = used < (size_t)n;
        hp_ex_message_ended(ex);
    }
    return len ? HP_GO_DONE : HP_GO_ON;
}

/* GO_ON: there are bytes in the stage, or only framing arrived. */
static hp_go
fill_stage(hp_exchange *ex, hp_wait *w, size_t size)
{
    hp_buf *b = &ex->stage;
    b->pos = b->len = 0;
    if (hp_buf_reserve(b, size) != 0)
        return hp_ex_fail(ex, HP_E_NOMEM, "out of memory");
    hp_go go = receive(ex, w, b->ptr, size, &b->len);
    return b->len ? HP_GO_ON : go;
}

static hp_go
read_raw(hp_exchange *ex, hp_wait *w, char *buf, size_t cap, size_t *got)
{
    if (ex->in.pos < ex->early_end) {
        *got = copy_from(&ex->in, ex->early_end, buf, cap);
        return HP_GO_DONE;
    }
    if (hp_buf_unread(&ex->stage)) {
        *got = copy_from(&ex->stage, ex->stage.len, buf, cap);
        return HP_GO_DONE;
    }
    if (ex->state == HP_EX_FAILED)
        return HP_GO_ERROR;
    if (ex->body.ended)
        return HP_GO_DONE;
    if (cap >= DIRECT_MIN || cap >= hp_body_want(&ex->body))
        return receive(ex, w, buf, cap, got);
    return fill_stage(ex, w, STAGE_RAW);
}

bool
hp_ex_read_at_hand(hp_exchange *ex, char *buf, size_t cap, size_t *got)
{
    if (ex->state != HP_EX_DONE || ex->coding)
        return false;
    if (ex->in.pos < ex->early_end)
        *got = copy_from(&ex->in, ex->early_end, buf, cap);
    if (hp_buf_unread(&ex->stage))
        *got += copy_from(&ex->stage, ex->stage.len, buf + *got, cap - *got);
    return true;
}

/* ---- decoded bytes ---- */

/* Where undecoded bytes lie now: what came with the head, else the stage. */
static hp_buf *
coded_input(hp_exchange *ex, size_t *end)
{
    if (ex->in.pos < ex->early_end) {
        *end = ex->early_end;
        return &ex->in;
    }
    *end = ex->stage.len;
    return &ex->stage;
}

static hp_go
count_decoded(hp_exchange *ex, size_t *n)
{
    ex->decoded_bytes += (int64_t)*n;
    int64_t over = ex->decoded_bytes - ex->max_decoded_size;
    if (ex->max_decoded_size < 0 || over <= 0)
        return *n ? HP_GO_DONE : HP_GO_BUSY;
    *n -= (size_t)over;
    ex->bytes_first = false;
    return hp_ex_fail(ex, HP_E_BODY_TOO_LARGE,
                      "the decoded body is larger than "
                      "max_decoded_size=%lld bytes",
                      (long long)ex->max_decoded_size);
}

/* Decodes some of what there is. GO_BUSY: nothing came out of it, and much may
 * be decoded to nothing. GO_ERROR: what there is in *got comes before it. */
static hp_go
decode(hp_exchange *ex, hp_buf *in, size_t end, char *buf, size_t cap,
       size_t *got)
{
    size_t n = end - in->pos;
    bool last = ex->body.ended;
    if (cap > DECODE_AT_ONCE)
        cap = DECODE_AT_ONCE;
    *got = cap;
    int r = hp_coding_decode(ex->coding, n ? in->ptr + in->pos : "", &n, last,
                             buf, got, &ex->err);
    in->pos += n;
    ex->coding_ended = r == HP_CODING_ENDED;
    ex->coding_holds = r == HP_CODING_BUSY || (r == 0 && *got == cap);
    hp_go go = count_decoded(ex, got);
    if (r >= 0 || go == HP_GO_ERROR)
        return go;
    ex->err.phase = HP_PHASE_BODY;
    ex->bytes_first = false;
    return hp_ex_failed(ex);
}

/* A decoder that has filled all the room may hold more, for which nothing need
 * arrive any more; so may one that was at it for long. */
static hp_go
read_decoded(hp_exchange *ex, hp_wait *w, char *buf, size_t cap, size_t *got)
{
    size_t end;
    hp_buf *in = coded_input(ex, &end);
    if (in->pos < end || ex->coding_holds)
        return decode(ex, in, end, buf, cap, got);
    if (ex->state == HP_EX_FAILED)
        return HP_GO_ERROR;
    if (!ex->body.ended)
        return fill_stage(ex, w, STAGE_CODED);
    if (ex->coding_ended)
        return HP_GO_DONE;
    return decode(ex, in, end, buf, cap, got); /* nothing, and that is all */
}

/* ---- waiting ---- */

static hp_go
too_slow(hp_exchange *ex, hp_wait *w, hp_ns now)
{
    const hp_timeouts *t = &ex->timeouts;
    if (t->min_rate_bytes < 0)
        return HP_GO_WAIT;
    if (ex->rate_since == 0)
        ex->rate_since = now - ex->rate_spent;
    hp_ns end = ex->rate_since + t->min_rate_window;
    if (now >= end) {
        if ((int64_t)ex->rate_bytes < t->min_rate_bytes)
            return hp_ex_fail(ex, HP_E_MIN_RATE,
                              "fewer than %lld bytes of the body came in "
                              "%.1f s (min_rate)",
                              (long long)t->min_rate_bytes,
                              (double)t->min_rate_window / HP_NS_PER_S);
        ex->rate_since = now;
        ex->rate_bytes = 0;
        end = now + t->min_rate_window;
    }
    hp_wait_until(w, end);
    return HP_GO_WAIT;
}

static hp_go
wait_for_body(hp_exchange *ex, hp_wait *w)
{
    hp_ns now = hp_clock_now();
    if (ex->silence_since == 0)
        ex->silence_since = now;
    hp_ns silence = hp_deadline_after(ex->silence_since, ex->timeouts.read);
    if (now >= silence)
        return hp_ex_fail(ex, HP_E_READ_TIMEOUT,
                          "no byte of the body for %.1f s (read timeout)",
                          (double)ex->timeouts.read / HP_NS_PER_S);
    hp_wait_until(w, silence);
    return too_slow(ex, w, now);
}

/* The rest of the upload goes on while the body is read, unless the
 * connection is not going to live anyway (RFC 9112 9.3: stop sending). */
static hp_go
continue_upload(hp_exchange *ex, hp_wait *w)
{
    if (ex->send.finished || ex->framing.verdict != HP_KEEP)
        return HP_GO_WAIT;
    hp_ns now = hp_clock_now();
    ssize_t want = 0;
    switch (hp_send_pump(ex, &want, now)) {
    case HP_SENT_ALL:
        ex->timings.sent = now;
        break;
    case HP_SENT_BLOCKED:
        hp_ex_wait_io(ex, w, want);
        break;
    case HP_SENT_MORE:
        return HP_GO_BUSY;
    case HP_SENT_PIECE:
        return HP_GO_PIECE;
    case HP_SENT_HELD:
    case HP_SENT_FAILED:
        break;
    }
    return HP_GO_WAIT;
}

static hp_go
state_body(hp_exchange *ex, hp_wait *w, char *buf, size_t cap, bool decoded,
           size_t *got)
{
    hp_go go = decoded ? read_decoded(ex, w, buf, cap, got)
                       : read_raw(ex, w, buf, cap, got);
    if (go != HP_GO_WAIT)
        return go;
    go = continue_upload(ex, w);
    return go == HP_GO_WAIT ? wait_for_body(ex, w) : go;
}

/* A body that has arrived, and is decoded to nothing. */
static bool
signalled_at_work(hp_exchange *ex)
{
    bool yes = ex->state != HP_EX_BODY && hp_ex_signalled(ex);
    if (yes)
        ex->bytes_first = false;
    return yes;
}

hp_go
hp_ex_step_read(hp_exchange *ex, hp_wait *w, void *buf, size_t cap, bool raw,
                size_t *got)
{
    bool decoded = ex->coding && !raw;
    *got = 0;
    if (ex->state == HP_EX_BODY && hp_ex_signalled(ex))
        return HP_GO_ERROR;
    if (ex->state == HP_EX_FAILED && !ex->bytes_first)
        return HP_GO_ERROR;
    if (cap == 0)
        return HP_GO_DONE;
    hp_go go;
    do {
        hp_wait_reset(w);
        go = state_body(ex, w, buf, cap, decoded, got);
    } while (go == HP_GO_ON);
    if (ex->state == HP_EX_BODY && *got)
        atomic_store_explicit(&ex->want.holding, HP_HOLDING_BODY_HALF_READ,
                              memory_order_relaxed);
    if (go == HP_GO_WAIT)
        hp_ex_deadline(ex, w);
    if (go == HP_GO_BUSY && signalled_at_work(ex))
        return HP_GO_ERROR;
    return go == HP_GO_ERROR && *got ? HP_GO_DONE : go; /* and then sticky */
}

void
hp_ex_drive_begins(hp_exchange *ex)
{
    ex->silence_since = 0;
}

void
hp_ex_drive_ends(hp_exchange *ex)
{
    if (ex->rate_since == 0)
        return; /* no min_rate, or nothing was waited for */
    ex->rate_spent = hp_clock_now() - ex->rate_since;
    ex->rate_since = 0;
}
