#include "script_stream.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

void
script_init(script *s, const script_event *events, size_t n)
{
    *s = (script){.events = events, .n = n, .liveness = HP_ALIVE};
    hp_buf_init(&s->written, NULL, 0, SIZE_MAX / 2);
}

void
script_free(script *s)
{
    hp_buf_free(&s->written);
}

hp_span
script_written(const script *s)
{
    return hp_span_of(s->written.ptr, s->written.len);
}

static bool
is_write(const script_event *e)
{
    return e->op >= SCRIPT_ACCEPT;
}

/* The next event of a kind, NULL at the end. Moves *at onto it. */
static const script_event *
next_event(const script *s, size_t *at, bool write)
{
    while (*at < s->n && is_write(&s->events[*at]) != write)
        ++*at;
    return *at < s->n ? &s->events[*at] : NULL;
}

bool
script_all_read(const script *s)
{
    size_t at = s->reading;
    return next_event(s, &at, false) == NULL;
}

static ssize_t
give(script *s, const script_event *e, char *buf, size_t n)
{
    size_t left = e->len - s->given;
    assert(left > 0); /* an empty DATA would look like EOF */
    n = n < left ? n : left;
    memcpy(buf, e->data + s->given, n);
    s->given += n;
    if (s->given == e->len) {
        s->given = 0;
        s->reading++;
    }
    return (ssize_t)n;
}

static ssize_t
script_read(hp_stream *base, void *buf, size_t n, hp_err *err)
{
    script *s = (script *)base;
    const script_event *e = next_event(s, &s->reading, false);
    assert(n > 0);
    if (e && e->op == SCRIPT_AFTER && s->written.len >= e->len) {
        s->reading++;
        e = next_event(s, &s->reading, false);
    }
    switch (e ? e->op : SCRIPT_AFTER) {
    case SCRIPT_DATA:
        return give(s, e, buf, n);
    case SCRIPT_AGAIN:
        s->reading++;
        return HP_IO_WANT_READ;
    case SCRIPT_EOF:
        return 0;
    case SCRIPT_TRUNCATED:
        return HP_IO_TRUNCATED;
    case SCRIPT_ERROR:
        hp_err_set_sys(err, HP_E_READ, e->err, "reading from the script");
        return HP_IO_ERROR;
    default:
        return HP_IO_WANT_READ;
    }
}

static ssize_t
take(script *s, const struct iovec *iov, int n, size_t limit)
{
    size_t before = s->written.len;
    for (int i = 0; i < n && limit; i++) {
        size_t len = iov[i].iov_len < limit ? iov[i].iov_len : limit;
        if (hp_buf_add(&s->written, iov[i].iov_base, len) != 0)
            break;
        limit -= len;
    }
    return (ssize_t)(s->written.len - before);
}

static ssize_t
script_writev(hp_stream *base, const struct iovec *iov, int n, hp_err *err)
{
    script *s = (script *)base;
    const script_event *e = next_event(s, &s->writing, true);
    ssize_t put;
    switch (e ? e->op : SCRIPT_ACCEPT) {
    case SCRIPT_WANT_WRITE:
        s->writing++;
        return HP_IO_WANT_WRITE;
    case SCRIPT_WRITE_ERROR:
        hp_err_set_sys(err, HP_E_WRITE, e->err, "writing to the script");
        return HP_IO_ERROR;
    default:
        put = take(s, iov, n, e ? e->len : SIZE_MAX);
        s->writing += e != NULL;
        if (put > 0)
            return put;
        hp_err_set(err, HP_E_NOMEM, "the script's record is full");
        return HP_IO_ERROR;
    }
}

static int
script_handshake(hp_stream *s, hp_err *err)
{
    return 0;
}

static hp_liveness
script_liveness(hp_stream *s)
{
    return ((script *)s)->liveness;
}

static bool
script_pending(const hp_stream *s)
{
    return false;
}

static int
script_fd(const hp_stream *s)
{
    return -1;
}

static void
script_close(hp_stream *base, bool polite)
{
    script *s = (script *)base;
    s->closed++;
    s->polite = polite;
}

static const hp_stream_ops script_ops = {
    .read = script_read,
    .writev = script_writev,
    .handshake = script_handshake,
    .liveness = script_liveness,
    .pending = script_pending,
    .fd = script_fd,
    .close = script_close,
};

hp_stream *
script_open(void *arg, hp_err *err)
{
    script *s = arg;
    s->base.ops = &script_ops;
    s->opened++;
    return &s->base;
}

hp_stream *
script_open_next(void *arg, hp_err *err)
{
    script_queue *q = arg;
    if (q->next < q->n)
        return script_open(&q->scripts[q->next++], err);
    hp_err_set_sys(err, HP_E_CONNECT, ECONNREFUSED, "no script is left");
    return NULL;
}
