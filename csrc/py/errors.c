#include "errors.h"

#include <stdarg.h>
#include <stdio.h>

#include "response.h"
#include "trace.h"

/* NULL: not raised through a class of hpool.errors. */
static const char *const class_names[] = {
    [HP_OK] = NULL,
    [HP_E_NOMEM] = NULL,
    [HP_E_INVALID_URL] = "InvalidURL",
    [HP_E_MISSING_SCHEME] = "MissingSchema",
    [HP_E_UNSUPPORTED_SCHEME] = "InvalidSchema",
    [HP_E_NEEDS_IDNA] = "InvalidURL",
    [HP_E_INVALID_METHOD] = "InvalidMethod",
    [HP_E_INVALID_HEADER] = "InvalidHeader",
    [HP_E_INVALID_ARGUMENT] = "InvalidArgument",
    [HP_E_LOCAL_PROTOCOL] = "LocalProtocolError",
    [HP_E_BODY_SOURCE] = "RequestException",
    [HP_E_QUEUE_FULL] = "QueueFull",
    [HP_E_RESOLVE] = "NameResolutionError",
    [HP_E_CONNECT] = "ConnectError",
    [HP_E_DIAL] = "ConnectError",
    [HP_E_PROXY] = "ProxyError",
    [HP_E_TLS] = "SSLError",
    [HP_E_TLS_CONFIG] = "SSLError",
    [HP_E_WRITE] = "WriteError",
    [HP_E_READ] = "ReadError",
    [HP_E_SERVER_DISCONNECTED] = "ServerDisconnected",
    [HP_E_REMOTE_PROTOCOL] = "RemoteProtocolError",
    [HP_E_HEADERS_TOO_LARGE] = "RemoteProtocolError",
    [HP_E_CHUNKED] = "ChunkedEncodingError",
    [HP_E_INCOMPLETE_BODY] = "IncompleteRead",
    [HP_E_DECODING] = "ContentDecodingError",
    [HP_E_BODY_TOO_LARGE] = "BodyTooLarge",
    [HP_E_POOL_TIMEOUT] = "PoolTimeout",
    [HP_E_CONNECT_TIMEOUT] = "ConnectTimeout",
    [HP_E_TLS_TIMEOUT] = "ConnectTimeout",
    [HP_E_WRITE_TIMEOUT] = "WriteTimeout",
    [HP_E_HEADER_TIMEOUT] = "ReadTimeout",
    [HP_E_READ_TIMEOUT] = "ReadTimeout",
    [HP_E_MIN_RATE] = "ReadTimeout",
    [HP_E_TOTAL_TIMEOUT] = "TotalTimeout",
    [HP_E_CANCELLED] = "Cancelled",
    [HP_E_CLOSED] = "ClosedError",
    [HP_E_INTERRUPTED] = "RequestException",
    [HP_E_BUSY] = "ConcurrentUse",
    [HP_E_FORKED] = "ForkedError",
};
static_assert(sizeof(class_names) / sizeof(*class_names) == HP_ERRC_COUNT,
              "every code has a class");

static PyObject *
error_class(hpy_state *st, hp_errc code)
{
    PyObject *cls = hpy_slot_get(&st->lock, &st->errors[code]);
    if (cls != NULL)
        return cls;
    cls = hpy_import("hpool.errors", class_names[code]);
    if (cls == NULL)
        return NULL;
    return hpy_slot_put(&st->lock, &st->errors[code], cls);
}

/* What adorns an error must not hide it. */
static PyObject *
or_none(PyObject *v)
{
    if (v != NULL)
        return v;
    PyErr_Clear();
    return Py_NewRef(Py_None);
}

static int
put(PyObject *dict, const char *name, PyObject *value)
{
    int rc = value == NULL ? -1 : PyDict_SetItemString(dict, name, value);
    Py_XDECREF(value);
    return rc;
}

/* What a request waited for in vain. */
static int
add_shortage(PyObject *attributes, const hp_shortage *s)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"in_use", s->in_use},
                   {"dialing", s->dialing},
                   {"draining", s->draining},
                   {"waiting", s->waiting},
                   {"limit", s->limit}};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(numbers); i++) {
        if (put(attributes, numbers[i].name,
                PyLong_FromLongLong(numbers[i].value)) < 0)
            return -1;
    }
    if (put(attributes, "limit_name", PyUnicode_FromString(s->limit_name)) < 0)
        return -1;
    if (s->held_for < 0)
        return 0;
    if (put(attributes, "held_for",
            PyFloat_FromDouble((double)s->held_for / (double)HP_NS_PER_S)) < 0)
        return -1;
    return put(attributes, "holder",
               PyUnicode_DecodeUTF8(s->holder, (Py_ssize_t)strlen(s->holder),
                                    "replace"));
}

static PyObject *
error_attributes(const hp_err *err, hpy_response *r)
{
    hp_conn_facts facts = {.attempts = 1};
    PyObject *request = Py_NewRef(Py_None), *timings = Py_NewRef(Py_None);
    if (r != NULL) {
        Py_SETREF(request, or_none(hpy_response_request(r)));
        if (r->ex != NULL) {
            hp_exchange_facts(r->ex, &facts);
            Py_SETREF(timings, or_none(hpy_response_timings(r)));
        }
    }
    const char *phase =
        err->phase == HP_PHASE_NONE ? NULL : hp_phase_name(err->phase);
    const char *why = NULL;
    if (facts.refusal != HP_REFUSAL_NONE)
        why = hp_replay_refusal_name(facts.refusal);
    else if (facts.released && facts.release != HP_KEEP)
        why = hp_close_reason_name(facts.release);
    PyObject *d = Py_BuildValue("{s:N,s:N,s:z,s:I,s:z,s:z}", "request", request,
                                "timings", timings, "phase", phase, "attempts",
                                facts.attempts == 0 ? 1 : facts.attempts,
                                "host", facts.key, "reason", why);
    if (d != NULL && r != NULL && err->status != 0 &&
        (put(d, "status", PyLong_FromLong(err->status)) < 0 ||
         put(d, "headers", hpy_headers_of_block(r->st, facts.proxy_lines)) < 0))
        Py_CLEAR(d);
    const hp_shortage *s =
        r == NULL || r->ex == NULL ? NULL : hp_exchange_shortage(r->ex);
    if (d != NULL && s != NULL && add_shortage(d, s) < 0)
        Py_CLEAR(d);
    return d;
}

static void
set_errno(PyObject *exc, int sys_errno)
{
    PyObject *n = PyLong_FromLong(sys_errno);
    if (n == NULL || PyObject_SetAttrString(exc, "errno", n) < 0)
        PyErr_Clear();
    Py_XDECREF(n);
}

/* For what is told of it later. */
static void
set_traced(PyObject *exc, const hpy_response *r)
{
    PyObject *numbers = hpy_trace_numbers(r);
    if (numbers == NULL || PyObject_SetAttrString(exc, "_traced", numbers) < 0)
        PyErr_Clear();
    Py_XDECREF(numbers);
}

static void
raise_class(PyObject *cls, const hp_err *err, hpy_response *r)
{
    const char *text = err->text[0] ? err->text : hp_errc_name(err->code);
    PyObject *words =
        PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    PyObject *args = words == NULL ? NULL : PyTuple_Pack(1, words);
    PyObject *attributes = args == NULL ? NULL : error_attributes(err, r);
    PyObject *exc =
        attributes == NULL ? NULL : PyObject_Call(cls, args, attributes);
    if (exc != NULL) {
        if (err->sys_errno != 0)
            set_errno(exc, err->sys_errno);
        if (r != NULL && r->listeners != NULL)
            set_traced(exc, r);
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    }
    Py_XDECREF(words);
    Py_XDECREF(args);
    Py_XDECREF(attributes);
    Py_XDECREF(exc);
}

PyObject *
hpy_raise(hpy_state *st, const hp_err *err, hpy_response *r)
{
    if (PyErr_Occurred())
        return NULL;
    if (err->code == HP_E_NOMEM)
        return PyErr_NoMemory();
    PyObject *cls = error_class(st, err->code);
    if (cls != NULL)
        raise_class(cls, err, r);
    Py_XDECREF(cls);
    return NULL;
}

PyObject *
hpy_raise_text(hpy_state *st, hpy_response *r, hp_errc code, const char *fmt,
               ...)
{
    hp_err err;
    hp_err_clear(&err);
    err.code = code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err.text, sizeof err.text, fmt, ap);
    va_end(ap);
    return hpy_raise(st, &err, r);
}

static void
set_missing_request(hpy_state *st, PyObject *exc, hpy_response *r)
{
    PyObject *root = hpy_helper_get(st, HPY_HELPER_REQUEST_EXCEPTION);
    PyObject *known = NULL, *request = NULL;
    if (root != NULL && PyObject_IsInstance(exc, root) > 0)
        known = PyObject_GetAttrString(exc, "request");
    if (known == Py_None)
        request = hpy_response_request(r);
    if (request != NULL)
        PyObject_SetAttrString(exc, "request", request);
    Py_XDECREF(root);
    Py_XDECREF(known);
    Py_XDECREF(request);
    PyErr_Clear(); /* what adorns an error must not hide it */
}

void
hpy_raise_with_request(hpy_state *st, hpy_response *r)
{
    hpy_exc e = hpy_exc_take();
    set_missing_request(st, hpy_exc_value(&e), r);
    hpy_exc_put(e);
}

int
hpy_raise_argument(hpy_state *st, const char *fmt, ...)
{
    hp_err err;
    hp_err_clear(&err);
    err.code = HP_E_INVALID_ARGUMENT;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err.text, sizeof err.text, fmt, ap);
    va_end(ap);
    hpy_raise(st, &err, NULL);
    return -1;
}

const char *
hpy_error_name(hp_errc code)
{
    return class_names[code] == NULL ? "MemoryError" : class_names[code];
}

int
hpy_report(PyObject *where)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyErr_WriteUnraisable(where);
    return 0;
}

PyObject *
hpy_raise_consumed(hpy_state *st, hpy_response *r)
{
    PyObject *cls = hpy_helper_get(st, HPY_HELPER_STREAM_CONSUMED);
    hp_err err;
    hp_err_clear(&err);
    err.phase = HP_PHASE_BODY;
    hp_err_set(&err, HP_E_CLOSED,
               "the body has been read as a stream and was not kept");
    if (cls != NULL)
        raise_class(cls, &err, r);
    Py_XDECREF(cls);
    return NULL;
}
