/* The body of a Response: whole, piecewise, linewise. */
#include "response.h"

#include "errors.h"
#include "gil.h"
#include "trace.h"

enum {
    FIRST_UNKNOWN = 16 * 1024, /* first block of a body of any length */
    READ_AHEAD = 32 * 1024,    /* fetched at once for lines */
    KNOWN_AT_ONCE = 16 * 1024 *
        1024 /* an announced length is believed so far */
};

/* ---- one user at a time ---- */

int
hpy_response_enter(hpy_response *r)
{
    if (!atomic_exchange_explicit(&r->busy, true, memory_order_acquire))
        return 0;
    hpy_raise_text(r->st, r, HP_E_BUSY,
                   "another thread is reading this response");
    return -1;
}

void
hpy_response_leave(hpy_response *r)
{
    atomic_store_explicit(&r->busy, false, memory_order_release);
}

PyObject *
hpy_response_cached(hpy_response *r)
{
    return hpy_slot_get(&r->lock, &r->content);
}

static int
check_open(hpy_response *r)
{
    if (!atomic_load(&r->closed) && r->ex != NULL)
        return 0;
    hpy_raise_text(r->st, r, HP_E_CLOSED, "the response is closed");
    return -1;
}

int
hpy_response_close(hpy_response *r)
{
    atomic_store(&r->closed, true);
    if (r->ex == NULL)
        return 0;
    hp_exchange_close(r->ex);
    return hpy_response_tell(r);
}

int
hpy_response_failed(hpy_response *r, const hp_err *err)
{
    r->failed = true;
    if (hpy_response_tell(r) == 0)
        hpy_raise(r->st, err, r);
    return -1;
}

int
hpy_response_interrupted(hpy_response *r)
{
    r->failed = true;
    hp_exchange_interrupt(r->ex);
    hpy_response_tell(r); /* the exception stays */
    return -1;
}

/* ---- from the exchange ---- */

/* One read, asking the request's body for more where need be. -1 raises. A read
 * of what is there does not look for signals, and who calls it in a loop, as
 * list() does, may not either. */
static int
drive(hpy_response *r, char *buf, size_t cap, hpy_read how, size_t *got)
{
    hp_err err;
    hp_err_clear(&err);
    *got = 0;
    if (PyErr_CheckSignals() < 0)
        return hpy_response_interrupted(r);
    for (;;) {
        hp_drive d =
            hpy_drive_read(r->st, r->ex, buf, cap, how.how, how.raw, got, &err);
        /* A signal's exception may come with the last bytes. */
        if (hpy_response_tell(r) < 0 || PyErr_Occurred())
            return hpy_response_interrupted(r);
        if (d == HP_DRIVE_DONE) {
            r->eof |= *got == 0;
            return 0;
        }
        if (d != HP_DRIVE_EVENTS &&
            (d == HP_DRIVE_ERROR ||
             hpy_body_answer(&r->body, r->ex, d, &err) < 0))
            return hpy_response_failed(r, &err);
    }
}

/* Moves up to `cap` bytes out of what was fetched ahead. Bytes that were
 * decoded are no answer to a raw read. */
static size_t
take_ahead(hpy_response *r, char *buf, size_t cap, bool raw)
{
    hpy_ahead *a = &r->ahead;
    if (a->start == a->end || (raw && hp_exchange_decodes(r->ex)))
        return 0;
    size_t n = a->end - a->start < cap ? a->end - a->start : cap;
    memcpy(buf, a->mem + a->start, n);
    a->start += n;
    return n;
}

/* How many bytes the rest will have; -1 when that cannot be known. After an
 * error there may be none, but the error is still to come. */
static int64_t
expected(hpy_response *r, bool raw)
{
    int64_t ahead = (int64_t)(r->ahead.end - r->ahead.start);
    if (r->failed)
        return -1;
    if (!raw && hp_exchange_decodes(r->ex))
        return hp_exchange_ended(r->ex) ? ahead : -1;
    int64_t left = hp_exchange_left(r->ex);
    return left < 0 ? -1 : left + ahead;
}

static size_t
first_block(hpy_response *r, Py_ssize_t limit, bool raw)
{
    int64_t want = expected(r, raw);
    size_t n = want < 0               ? FIRST_UNKNOWN
               : want > KNOWN_AT_ONCE ? KNOWN_AT_ONCE
                                      : (size_t)want;
    return limit >= 0 && n > (size_t)limit ? (size_t)limit : n;
}

static size_t
next_block(hpy_response *r, size_t have, Py_ssize_t limit, bool raw)
{
    int64_t want = expected(r, raw);
    size_t n = 2 * have > FIRST_UNKNOWN ? 2 * have : FIRST_UNKNOWN;
    if (want >= 0 && n > have + (size_t)want)
        n = have + (size_t)want;
    return limit >= 0 && n > (size_t)limit ? (size_t)limit : n;
}

/* Bytes being collected: `len` of the `cap` of `bytes` are filled. */
typedef struct heap {
    PyObject *bytes;
    size_t len, cap;
} heap;

static int
heap_resize(heap *h, size_t cap)
{
    if (h->bytes == NULL)
        h->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)cap);
    else if (cap != h->cap)
        _PyBytes_Resize(&h->bytes, (Py_ssize_t)cap);
    h->cap = cap;
    return h->bytes == NULL ? -1 : 0;
}

/* Fills the heap once; 1 = there may be more, 0 = the body has ended. */
static int
heap_fill(hpy_response *r, heap *h, bool raw)
{
    char *to = PyBytes_AS_STRING(h->bytes) + h->len;
    size_t room = h->cap - h->len, got;
    size_t n = take_ahead(r, to, room, raw);
    h->len += n;
    if (n == room)
        return 1;
    hpy_read how = {HP_READ_FULL, raw};
    if (drive(r, to + n, room - n, how, &got) < 0)
        return -1;
    h->len += got;
    return got > 0;
}

/* A read that is to give some bytes gives those that came before an error;
 * the error, which stays with the exchange, comes with the next read. */
static bool
postpone_error(Py_ssize_t limit, size_t have)
{
    if (limit < 0 || have == 0 || !PyErr_ExceptionMatches(PyExc_OSError))
        return false;
    PyErr_Clear();
    return true;
}

/* Up to `limit` bytes, or all the rest (limit < 0). */
static PyObject *
collect(hpy_response *r, Py_ssize_t limit, bool raw)
{
    heap h = {NULL, 0, 0};
    int more = heap_resize(&h, first_block(r, limit, raw)) < 0 ? -1 : 1;
    while (more > 0 && (limit < 0 || h.len < (size_t)limit)) {
        if (expected(r, raw) == 0)
            break;
        if (h.len == h.cap &&
            heap_resize(&h, next_block(r, h.len, limit, raw)) < 0)
            return NULL;
        more = heap_fill(r, &h, raw);
        if (more < 0 && postpone_error(limit, h.len))
            more = 0;
    }
    if (more < 0) {
        Py_XDECREF(h.bytes);
        return NULL;
    }
    return heap_resize(&h, h.len) < 0 ? NULL : h.bytes;
}

/* ---- from the content ---- */

/* File-like reads of content that is there. A body that was decoded has no
 * undecoded bytes left to give. */
static PyObject *
slice_content(hpy_response *r, PyObject *content, Py_ssize_t n, bool raw)
{
    size_t size = (size_t)PyBytes_GET_SIZE(content);
    if (raw && r->ex != NULL && hp_exchange_decodes(r->ex))
        return Py_NewRef(r->st->no_bytes);
    size_t at = r->at, rest = size - at;
    size_t k = n < 0 || (size_t)n > rest ? rest : (size_t)n;
    r->at += k;
    if (at == 0 && k == size)
        return Py_NewRef(content);
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(content) + at,
                                     (Py_ssize_t)k);
}

/* ---- whole ---- */

static PyObject *
fetch_content(hpy_response *r)
{
    if (r->empty) /* even when the response is closed */
        return Py_NewRef(r->st->no_bytes);
    if (check_open(r) < 0)
        return NULL;
    if (r->taken > 0)
        return hpy_raise_consumed(r->st, r);
    return collect(r, -1, false);
}

/* With `busy` held. */
static PyObject *
keep_content(hpy_response *r)
{
    PyObject *v = fetch_content(r);
    return v == NULL ? NULL : hpy_slot_put(&r->lock, &r->content, v);
}

PyObject *
hpy_response_content(hpy_response *r)
{
    PyObject *v = hpy_response_cached(r);
    if (v != NULL || hpy_response_enter(r) < 0)
        return v;
    v = hpy_response_cached(r);
    if (v == NULL)
        v = keep_content(r);
    hpy_response_leave(r);
    return v;
}

int
hpy_response_keep(hpy_response *r, PyObject *content)
{
    if (hpy_response_enter(r) < 0) {
        Py_DECREF(content);
        return -1;
    }
    hpy_lock(&r->lock);
    PyObject *old = r->content;
    r->content = content;
    hpy_unlock(&r->lock);
    r->at = 0;
    hpy_response_leave(r);
    Py_XDECREF(old);
    return 0;
}

/* With `busy` held. An upload that goes on is not waited for. */
static PyObject *
small_content(hpy_response *r, size_t most)
{
    hp_timings t;
    hp_exchange_timings(r->ex, &t);
    if (r->taken > 0 || t.sent == 0 || check_open(r) < 0 ||
        hp_exchange_is_upgraded(r->ex) ||
        hp_exchange_left(r->ex) > (int64_t)most)
        return NULL;
    PyObject *v = collect(r, (Py_ssize_t)most + 1, false);
    if (v != NULL && (r->failed || (size_t)PyBytes_GET_SIZE(v) > most))
        Py_CLEAR(v);
    return v;
}

static void
drain(hpy_response *r, size_t most, hp_ns limit)
{
    PyObject *content = hpy_response_cached(r);
    if (content == NULL && r->ex != NULL) {
        hp_exchange_hurry(r->ex, limit);
        content = small_content(r, most);
        if (content != NULL)
            content = hpy_slot_put(&r->lock, &r->content, content);
    }
    Py_XDECREF(content);
}

int
hpy_response_drain(hpy_response *r, size_t most, hp_ns limit)
{
    if (hpy_response_enter(r) < 0)
        return -1;
    drain(r, most, limit);
    hpy_response_leave(r);
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OSError)) {
        hpy_exc e = hpy_exc_take();
        hpy_response_close(r);
        hpy_exc_put(e);
        return -1;
    }
    PyErr_Clear();
    return hpy_response_close(r);
}

int64_t
hpy_response_tell_raw(hpy_response *r)
{
    PyObject *content = hpy_response_cached(r);
    bool decodes = r->ex != NULL && hp_exchange_decodes(r->ex);
    Py_XDECREF(content);
    if (content != NULL && !decodes)
        return (int64_t)r->at;
    if (r->ex == NULL)
        return 0;
    int64_t ahead = (int64_t)(r->ahead.end - r->ahead.start);
    return hp_exchange_taken(r->ex) - (decodes ? 0 : ahead);
}

bool
hpy_response_is_consumed(hpy_response *r)
{
    if (r->ex == NULL || r->taken == 0)
        return false;
    return r->eof || expected(r, false) == 0;
}

/* ---- piecewise ---- */

static PyObject *
read_stream(hpy_response *r, Py_ssize_t n, hpy_read how)
{
    if (check_open(r) < 0)
        return NULL;
    PyObject *v = collect(r, n, how.raw);
    if (v != NULL)
        r->taken += (uint64_t)PyBytes_GET_SIZE(v);
    return v;
}

/* read() from the start is the content, and kept as such. */
static PyObject *
read_all(hpy_response *r)
{
    PyObject *v = keep_content(r);
    if (v != NULL)
        r->at = (size_t)PyBytes_GET_SIZE(v);
    return v;
}

static PyObject *
read_some(hpy_response *r, Py_ssize_t n, bool raw)
{
    size_t cap = n < 0 || n > READ_AHEAD * 2 ? READ_AHEAD * 2 : (size_t)n;
    heap h = {NULL, 0, 0};
    if (check_open(r) < 0 || heap_resize(&h, cap) < 0)
        return NULL;
    h.len = take_ahead(r, PyBytes_AS_STRING(h.bytes), cap, raw);
    hpy_read how = {HP_READ_SOME, raw};
    if (h.len == 0 && cap > 0 &&
        drive(r, PyBytes_AS_STRING(h.bytes), cap, how, &h.len) < 0) {
        Py_DECREF(h.bytes);
        return NULL;
    }
    r->taken += h.len;
    return heap_resize(&h, h.len) < 0 ? NULL : h.bytes;
}

PyObject *
hpy_response_read(hpy_response *r, Py_ssize_t n, hpy_read how)
{
    if (hpy_response_enter(r) < 0)
        return NULL;
    PyObject *v, *content = hpy_response_cached(r);
    if (content != NULL)
        v = slice_content(r, content, n, how.raw);
    else if (how.how == HP_READ_SOME)
        v = read_some(r, n, how.raw);
    else if (n < 0 && !how.raw && r->taken == 0)
        v = read_all(r);
    else
        v = read_stream(r, n, how);
    Py_XDECREF(content);
    hpy_response_leave(r);
    return v;
}

static Py_ssize_t
copy_content(hpy_response *r, PyObject *content, char *buf, size_t cap,
             bool raw)
{
    if (raw && r->ex != NULL && hp_exchange_decodes(r->ex))
        return 0;
    size_t rest = (size_t)PyBytes_GET_SIZE(content) - r->at;
    size_t n = rest < cap ? rest : cap;
    memcpy(buf, PyBytes_AS_STRING(content) + r->at, n);
    r->at += n;
    return (Py_ssize_t)n;
}

static Py_ssize_t
readinto_stream(hpy_response *r, char *buf, size_t cap, hpy_read how)
{
    if (check_open(r) < 0)
        return -1;
    size_t n = take_ahead(r, buf, cap, how.raw);
    if (n == 0 && cap > 0 && drive(r, buf, cap, how, &n) < 0)
        return -1;
    r->taken += n;
    return (Py_ssize_t)n;
}

Py_ssize_t
hpy_response_readinto(hpy_response *r, char *buf, size_t cap, hpy_read how)
{
    if (hpy_response_enter(r) < 0)
        return -1;
    PyObject *content = hpy_response_cached(r);
    Py_ssize_t n = content != NULL ? copy_content(r, content, buf, cap, how.raw)
                                   : readinto_stream(r, buf, cap, how);
    Py_XDECREF(content);
    hpy_response_leave(r);
    return n;
}

/* ---- linewise ---- */

/* Room for READ_AHEAD more bytes: moves what is there to the front, then
 * doubles. */
static int
ahead_reserve(hpy_ahead *a)
{
    if (a->start > 0) {
        memmove(a->mem, a->mem + a->start, a->end - a->start);
        a->end -= a->start;
        a->start = 0;
    }
    if (a->cap - a->end >= READ_AHEAD)
        return 0;
    size_t cap = a->cap == 0 ? READ_AHEAD : 2 * a->cap;
    char *mem = PyMem_Realloc(a->mem, cap);
    if (mem == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    a->mem = mem;
    a->cap = cap;
    return 0;
}

/* 1 = more bytes are there, 0 = the body has ended. */
static int
ahead_fill(hpy_response *r)
{
    hpy_ahead *a = &r->ahead;
    hpy_read how = {HP_READ_SOME, false};
    size_t got;
    if (ahead_reserve(a) < 0 ||
        drive(r, a->mem + a->end, READ_AHEAD, how, &got) < 0)
        return -1;
    a->end += got;
    r->taken += got;
    return got > 0;
}

/* The length of the line that starts what is ahead: to its newline, else
 * `limit`, else everything once the body has ended; 0 = not known yet. Looks
 * at the bytes from `seen` on. */
static size_t
line_length(const hpy_ahead *a, size_t seen, Py_ssize_t limit, bool ended)
{
    size_t have = a->end - a->start;
    bool full = limit >= 0 && have >= (size_t)limit;
    if (full)
        have = (size_t)limit;
    if (have <= seen)
        return ended || full ? have : 0;
    const char *p = a->mem + a->start;
    const char *nl = memchr(p + seen, '\n', have - seen);
    if (nl != NULL)
        return (size_t)(nl - p) + 1;
    return full || ended ? have : 0;
}

static PyObject *
readline_stream(hpy_response *r, Py_ssize_t limit)
{
    hpy_ahead *a = &r->ahead;
    size_t seen = 0, n = 0;
    int more = check_open(r) < 0 ? -1 : 1;
    while (more > 0) {
        n = line_length(a, seen, limit, false);
        if (n > 0 || limit == 0)
            break;
        seen = a->end - a->start;
        more = ahead_fill(r);
    }
    if (more < 0)
        return NULL;
    if (more == 0)
        n = line_length(a, seen, limit, true);
    PyObject *line = PyBytes_FromStringAndSize(
        a->mem == NULL ? NULL : a->mem + a->start, (Py_ssize_t)n);
    a->start += line == NULL ? 0 : n;
    return line;
}

static PyObject *
readline_content(hpy_response *r, PyObject *content, Py_ssize_t limit)
{
    const char *p = PyBytes_AS_STRING(content) + r->at;
    size_t rest = (size_t)PyBytes_GET_SIZE(content) - r->at;
    size_t n = limit >= 0 && (size_t)limit < rest ? (size_t)limit : rest;
    const char *nl = memchr(p, '\n', n);
    if (nl != NULL)
        n = (size_t)(nl - p) + 1;
    r->at += n;
    return PyBytes_FromStringAndSize(p, (Py_ssize_t)n);
}

PyObject *
hpy_response_readline(hpy_response *r, Py_ssize_t limit)
{
    if (hpy_response_enter(r) < 0)
        return NULL;
    PyObject *content = hpy_response_cached(r);
    PyObject *line = content != NULL ? readline_content(r, content, limit)
                                     : readline_stream(r, limit);
    Py_XDECREF(content);
    hpy_response_leave(r);
    return line;
}
