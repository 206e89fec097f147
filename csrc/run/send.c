/* send: the request on its way out, frame by frame, and the state SEND, in
 * which an answer may come at any time.
 *
 *   frame   head | chunk size line | piece | suffix      any part may be empty
 *
 *   source     frames
 *   none       head
 *   bytes      head and body in one; with Expect, head, then body
 *   produced   head; then, for each piece the caller gives, that piece; at its
 *              end, when chunked, the last-chunk
 */
#include <assert.h>
#include <stdio.h>
#include <sys/uio.h>

#include "base/fork.h"
#include "run/exchange.h"

enum {
    SEND_AT_ONCE = 1 << 20 /* a reader may be as fast as we, for ever */
};

static size_t
frame_size(const hp_send *s)
{
    return (s->head_in_frame ? s->head.len : 0) + s->prefix_len + s->piece_len +
           s->suffix_len;
}

static void
empty_frame(hp_send *s)
{
    s->head_in_frame = false;
    s->prefix_len = s->piece_len = s->suffix_len = s->frame_sent = 0;
}

void
hp_send_reset(hp_exchange *ex)
{
    hp_send *s = &ex->send;
    *s = (hp_send){.head = ex->prepared->head, .head_in_frame = true};
    s->awaiting_continue = ex->facts.expects_continue;
    s->progress_at = hp_clock_now();
    if (ex->source.kind == HP_SOURCE_BYTES && !s->awaiting_continue) {
        s->piece = ex->source.ptr;
        s->piece_len = ex->source.len;
        s->body_bytes = (int64_t)ex->source.len;
    }
}

/* The parts of the frame from byte `frame_sent` on. */
static int
frame_iov(const hp_send *s, struct iovec iov[4])
{
    const struct {
        const char *ptr;
        size_t len;
    } parts[4] = {
        {s->head.ptr, s->head_in_frame ? s->head.len : 0},
        {s->prefix, s->prefix_len},
        {s->piece, s->piece_len},
        {s->suffix, s->suffix_len},
    };
    size_t skip = s->frame_sent;
    int n = 0;
    for (int i = 0; i < 4; i++) {
        if (skip >= parts[i].len) {
            skip -= parts[i].len;
            continue;
        }
        iov[n++] = (struct iovec){.iov_base = (char *)parts[i].ptr + skip,
                                  .iov_len = parts[i].len - skip};
        skip = 0;
    }
    return n;
}

/* Not more than `most` bytes of them. */
static int
cut_iov(struct iovec *iov, int n, size_t most)
{
    int i = 0;
    while (i < n && most > 0) {
        if (iov[i].iov_len > most)
            iov[i].iov_len = most;
        most -= iov[i++].iov_len;
    }
    return i;
}

/* One write from the frame. */
static ssize_t
write_some(hp_exchange *ex, size_t left, hp_err *err)
{
    struct iovec iov[4];
    hp_stream *stream = hp_ex_stream(ex);
    int n = frame_iov(&ex->send, iov);
    if (left > SEND_AT_ONCE)
        n = cut_iov(iov, n, SEND_AT_ONCE);
    return stream->ops->writev(stream, iov, n, err);
}

/* Sends some of what is left of the frame. HP_SENT_ALL: it is out. */
static hp_sent
send_frame(hp_exchange *ex, ssize_t *want, hp_ns now)
{
    hp_send *s = &ex->send;
    size_t size = frame_size(s), enough = s->frame_sent + SEND_AT_ONCE;
    while (s->frame_sent < size) {
        hp_err err = {0};
        if (s->frame_sent >= enough)
            return HP_SENT_MORE;
        ssize_t n = write_some(ex, size - s->frame_sent, &err);
        if (n == HP_IO_WANT_READ || n == HP_IO_WANT_WRITE) {
            *want = n;
            return HP_SENT_BLOCKED;
        }
        if (n <= 0) {
            s->failed = true;
            s->failed_errno = err.sys_errno;
            if (ex->trace)
                hp_tell_wrote_request(ex, err.text);
            return HP_SENT_FAILED;
        }
        s->frame_sent += (size_t)n;
        s->written += (uint64_t)n;
        s->progress_at = now;
        if (ex->trace)
            hp_tell_progress(ex);
    }
    empty_frame(s);
    return HP_SENT_ALL;
}

/* What comes after a frame. HP_SENT_ALL: nothing, the request is out. */
static hp_sent
next_frame(hp_exchange *ex, hp_ns now)
{
    hp_send *s = &ex->send;
    if (s->awaiting_continue)
        return HP_SENT_HELD;
    switch (ex->source.kind) {
    case HP_SOURCE_NONE:
        break;
    case HP_SOURCE_BYTES:
        if (s->body_bytes < (int64_t)ex->source.len) {
            s->piece = ex->source.ptr;
            s->piece_len = ex->source.len;
            s->body_bytes = (int64_t)ex->source.len;
            s->progress_at = now;   /* what was awaited before is no stall */
            return HP_SENT_BLOCKED; /* there is a frame to send */
        }
        break;
    case HP_SOURCE_PRODUCED:
        if (!s->source_ended)
            return HP_SENT_PIECE;
        break;
    }
    s->finished = true;
    if (ex->trace)
        hp_tell_wrote_request(ex, NULL);
    return HP_SENT_ALL;
}

hp_sent
hp_send_pump(hp_exchange *ex, ssize_t *want, hp_ns now)
{
    if (ex->send.finished)
        return HP_SENT_ALL;
    if (ex->send.failed)
        return HP_SENT_FAILED;
    for (;;) {
        hp_sent r = send_frame(ex, want, now);
        if (r != HP_SENT_ALL)
            return r;
        r = next_frame(ex, now);
        if (r != HP_SENT_BLOCKED)
            return r;
    }
}

/* ---- the state ---- */

/* Whatever the server said before a write failed has arrived by then; the time
 * is for what a TLS layer or a relay still holds. */
#define LAST_WORDS (50 * HP_NS_PER_MS)

static hp_go
request_sent(hp_exchange *ex, hp_wait *w, hp_ns now)
{
    ex->timings.sent = now;
    ex->state = HP_EX_HEAD;
    ex->silence_since = now;
    ex->phase_deadline = hp_deadline_after(now, ex->timeouts.response_header);
    atomic_store_explicit(&ex->want.holding, HP_HOLDING_AWAITING_HEAD,
                          memory_order_relaxed);
    hp_stream *s = hp_ex_stream(ex);
    if (s->ops->pending(s))
        return HP_GO_ON;
    /* No recv yet: it would have to fail. */
    hp_ex_wait_io(ex, w, HP_IO_WANT_READ);
    hp_wait_until(w, ex->phase_deadline);
    hp_wait_until(w, hp_deadline_after(now, ex->timeouts.read));
    return HP_GO_WAIT;
}

static hp_go
write_stalled(hp_exchange *ex)
{
    return hp_ex_fail(ex, HP_E_WRITE_TIMEOUT,
                      "the server took no bytes of the request for %.1f s "
                      "(write timeout)",
                      (double)ex->timeouts.write / HP_NS_PER_S);
}

/* Both directions are looked at whenever one of them stops. */
static hp_go
upload_blocked(hp_exchange *ex, hp_wait *w, ssize_t want, hp_ns now)
{
    hp_go go = hp_ex_read_head(ex, w);
    if (go != HP_GO_WAIT)
        return go;
    hp_ns deadline =
        hp_deadline_after(ex->send.progress_at, ex->timeouts.write);
    if (now >= deadline)
        return write_stalled(ex);
    hp_ex_wait_io(ex, w, want);
    hp_wait_until(w, deadline);
    return HP_GO_WAIT;
}

/* A server that goes on reading may have answered. */
static hp_go
upload_goes_on(hp_exchange *ex, hp_wait *w)
{
    hp_go go = hp_ex_read_head(ex, w);
    return go == HP_GO_WAIT ? HP_GO_BUSY : go;
}

static hp_go
upload_held(hp_exchange *ex, hp_wait *w, hp_ns now)
{
    if (ex->phase_deadline == HP_NEVER) {
        ex->phase_deadline =
            hp_deadline_after(now, ex->timeouts.expect_continue);
        if (ex->trace)
            hp_tell_wait_100_continue(ex);
    }
    hp_go go = hp_ex_read_head(ex, w);
    if (go != HP_GO_WAIT)
        return go;
    if (now >= ex->phase_deadline)
        ex->send.awaiting_continue = false;
    if (!ex->send.awaiting_continue) {
        ex->phase_deadline = HP_NEVER;
        return HP_GO_ON;
    }
    hp_wait_until(w, ex->phase_deadline);
    return HP_GO_WAIT;
}

static hp_go
upload_asks(hp_exchange *ex, hp_wait *w)
{
    hp_go go = hp_ex_read_head(ex, w);
    if (go != HP_GO_WAIT)
        return go;
    ex->send.asked = true;
    return HP_GO_PIECE;
}

/* An answer may be there already, a 413 for instance. But nobody can answer
 * what was not even begun: what lies on a kept connection then was meant for
 * somebody else. */
static hp_go
upload_failed(hp_exchange *ex, hp_ns now)
{
    hp_err none = {0};
    if (ex->send.written == 0 && ex->conn_facts.reused)
        return hp_ex_lost(ex, HP_IO_ERROR, &none);
    ex->state = HP_EX_HEAD;
    ex->silence_since = now;
    ex->phase_deadline = now + LAST_WORDS;
    return HP_GO_ON;
}

hp_go
hp_ex_state_send(hp_exchange *ex, hp_wait *w)
{
    hp_ns now = hp_clock_now();
    ssize_t want = 0;
    switch (hp_send_pump(ex, &want, now)) {
    case HP_SENT_ALL:
        if (ex->source.kind != HP_SOURCE_NONE)
            now = hp_clock_now(); /* the kernel has copied for a while */
        return request_sent(ex, w, now);
    case HP_SENT_BLOCKED:
        return upload_blocked(ex, w, want, now);
    case HP_SENT_MORE:
        return upload_goes_on(ex, w);
    case HP_SENT_HELD:
        return upload_held(ex, w, now);
    case HP_SENT_FAILED:
        return upload_failed(ex, now);
    case HP_SENT_PIECE:
        break;
    }
    return upload_asks(ex, w);
}

/* ---- what the caller feeds ---- */

static int
end_source(hp_exchange *ex, hp_err *err)
{
    hp_send *s = &ex->send;
    s->source_ended = true;
    if (ex->facts.chunked) {
        s->suffix = "0\r\n\r\n";
        s->suffix_len = 5;
        return 0;
    }
    if (ex->source.length >= 0 && s->body_bytes != ex->source.length)
        return hp_err_set(err, HP_E_LOCAL_PROTOCOL,
                          "the body ended after %lld bytes, but "
                          "Content-Length promised %lld",
                          (long long)s->body_bytes,
                          (long long)ex->source.length);
    return 0;
}

static int
add_piece(hp_exchange *ex, const void *ptr, size_t n, hp_err *err)
{
    hp_send *s = &ex->send;
    s->body_bytes += (int64_t)n;
    if (!ex->facts.chunked && ex->source.length >= 0 &&
        s->body_bytes > ex->source.length)
        return hp_err_set(err, HP_E_LOCAL_PROTOCOL,
                          "the body is longer than the %lld bytes that "
                          "Content-Length promised",
                          (long long)ex->source.length);
    s->piece = ptr;
    s->piece_len = n;
    if (ex->facts.chunked) {
        s->prefix_len =
            (size_t)snprintf(s->prefix, sizeof s->prefix, "%zx\r\n", n);
        s->suffix = "\r\n";
        s->suffix_len = 2;
    }
    return 0;
}

static int
feed(hp_exchange *ex, const void *ptr, size_t n, hp_err *err)
{
    if (ex->state == HP_EX_FAILED || ex->state == HP_EX_DONE)
        return 0; /* over meanwhile; the next drive says how */
    assert(frame_size(&ex->send) == 0);
    ex->send.progress_at = hp_clock_now(); /* the caller's time is no stall */
    int r = n ? add_piece(ex, ptr, n, err) : end_source(ex, err);
    if (r != 0) {
        ex->err = *err;
        hp_ex_failed(ex);
        *err = ex->err;
    }
    return r;
}

int
hp_exchange_feed(hp_exchange *ex, const void *ptr, size_t n, hp_err *err)
{
    if (!hp_ex_take_to_answer(ex))
        return 0;
    int r = feed(ex, ptr, n, err);
    hp_ex_release(ex);
    return r;
}

void
hp_exchange_rewound(hp_exchange *ex)
{
    if (!hp_ex_take_to_answer(ex))
        return;
    if (ex->state == HP_EX_REWIND)
        ex->state = HP_EX_ACQUIRE;
    hp_ex_release(ex);
}

void
hp_exchange_fail_source(hp_exchange *ex)
{
    if (!hp_ex_take_to_answer(ex))
        return;
    if (ex->state != HP_EX_FAILED && ex->state != HP_EX_DONE)
        hp_ex_fail(ex, HP_E_BODY_SOURCE, "the request body failed");
    hp_ex_release(ex);
}

void
hp_exchange_interrupt(hp_exchange *ex)
{
    if (!hp_ex_take_to_answer(ex))
        return;
    if (ex->state != HP_EX_FAILED && ex->state != HP_EX_DONE)
        hp_ex_fail(ex, HP_E_INTERRUPTED, "interrupted");
    hp_ex_release(ex);
}
