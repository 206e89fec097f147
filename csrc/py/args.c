#include "args.h"

#include <math.h>

#include "cancel.h"
#include "client.h"
#include "errors.h"

/* ---- signatures ---- */

static int
find_name(hpy_state *st, uint64_t accepted, PyObject *name)
{
    for (int i = 0; i < HPY_ARG_COUNT; i++) {
        if (st->names[i] == name)
            return accepted >> i & 1 ? i : -1;
    }
    /* Not interned, or made at run time: by value. */
    for (int i = 0; i < HPY_ARG_COUNT; i++) {
        if (PyUnicode_Compare(st->names[i], name) == 0)
            return accepted >> i & 1 ? i : -1;
    }
    return -1;
}

static int
parse_keyword(hpy_state *st, const hpy_signature *sig, PyObject *name,
              PyObject *value, PyObject **out)
{
    int i = find_name(st, sig->accepted, name);
    if (i < 0) {
        PyErr_Format(PyExc_TypeError,
                     "%s() got an unexpected keyword argument '%U'", sig->name,
                     name);
        return -1;
    }
    if (out[i] != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "%s() got multiple values for argument '%U'", sig->name,
                     name);
        return -1;
    }
    out[i] = value;
    return 0;
}

static int
check_required(hpy_state *st, const hpy_signature *sig, PyObject **out)
{
    for (unsigned i = 0; i < sig->n_required; i++) {
        hpy_arg a = sig->positional[i];
        if (out[a] == NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%s() missing required argument: '%U'", sig->name,
                         st->names[a]);
            return -1;
        }
    }
    return 0;
}

int
hpy_args_parse(hpy_state *st, const hpy_signature *sig, PyObject *const *args,
               Py_ssize_t nargs, PyObject *kwnames, PyObject **out)
{
    if ((size_t)nargs > sig->n_positional) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes at most %u positional argument%s (%zd given)",
                     sig->name, sig->n_positional,
                     sig->n_positional == 1 ? "" : "s", nargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++)
        out[sig->positional[i]] = args[i];
    Py_ssize_t n = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t i = 0; i < n; i++) {
        if (parse_keyword(st, sig, PyTuple_GET_ITEM(kwnames, i),
                          args[nargs + i], out) < 0)
            return -1;
    }
    return check_required(st, sig, out);
}

/* ---- plain values ---- */

int
hpy_arg_bool(PyObject *v, const char *what, bool fallback, bool *out)
{
    *out = fallback;
    if (!hpy_given(v) || hpy_stream_is_on(v, out))
        return 0;
    if (!PyBool_Check(v)) {
        PyErr_Format(PyExc_TypeError, "%s must be True or False, not %s", what,
                     Py_TYPE(v)->tp_name);
        return -1;
    }
    *out = v == Py_True;
    return 0;
}

int
hpy_utf8(hpy_state *st, PyObject *v, const char *what, hp_errc code,
         hp_span *out)
{
    Py_ssize_t n = 0;
    if (hpy_ascii_span(v, out))
        return 0;
    const char *p = PyUnicode_AsUTF8AndSize(v, &n);
    *out = hp_span_of(p, (size_t)n);
    if (p != NULL)
        return 0;
    if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        hpy_raise_text(st, NULL, code, "%s: half a surrogate pair", what);
    }
    return -1;
}

int
hpy_arg_size(PyObject *v, const char *what, int64_t fallback, int64_t *out)
{
    *out = fallback;
    if (!hpy_given(v))
        return 0;
    if (!PyIndex_Check(v) || PyBool_Check(v)) {
        PyErr_Format(PyExc_TypeError, "%s must be an int or None, not %s", what,
                     Py_TYPE(v)->tp_name);
        return -1;
    }
    *out = PyNumber_AsSsize_t(v, NULL); /* clipped: more than there can be */
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

int
hpy_arg_only_size(PyObject *const *args, Py_ssize_t nargs, const char *name,
                  Py_ssize_t *out)
{
    int64_t n;
    if (nargs > 1) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes at most 1 argument (%zd given)", name, nargs);
        return -1;
    }
    if (hpy_arg_size(nargs ? args[0] : NULL, "size", -1, &n) < 0)
        return -1;
    *out = (Py_ssize_t)n;
    return 0;
}

static hp_ns
ns_of(double seconds)
{
    double ns = ceil(seconds * 1e9);
    return ns < 9e18 ? (hp_ns)ns : HP_NO_LIMIT; /* 285 years are no limit */
}

int
hpy_arg_seconds(hpy_state *st, PyObject *v, const char *what, bool zero_ok,
                hp_ns *out)
{
    *out = HP_NO_LIMIT;
    if (v == Py_None)
        return 0;
    double s = PyFloat_AsDouble(v);
    if (s == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_TypeError,
                         "%s must be a number of seconds or None, not %s", what,
                         Py_TYPE(v)->tp_name);
        }
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return -1;
        PyErr_Clear();
        return hpy_raise_argument(st, "%s takes seconds, not an int so large",
                                  what);
    }
    if (isnan(s) || s < 0 || (s == 0 && !zero_ok))
        return hpy_raise_argument(st,
                                  "%s takes seconds %s, or None for no limit",
                                  what, zero_ok ? "from 0 up" : "above zero");
    *out = ns_of(s);
    return 0;
}

/* ---- timeouts ---- */

static void
set_phases(hp_timeouts *t, hp_ns ns)
{
    hp_timeouts_default(t);
    t->pool = t->connect = t->tls = t->write = ns;
    t->response_header = t->read = ns;
}

static const struct {
    const char *name;
    size_t offset;
} timeout_parts[] = {
    {"total", offsetof(hp_timeouts, total)},
    {"connect", offsetof(hp_timeouts, connect)},
    {"tls", offsetof(hp_timeouts, tls)},
    {"pool", offsetof(hp_timeouts, pool)},
    {"write", offsetof(hp_timeouts, write)},
    {"response_header", offsetof(hp_timeouts, response_header)},
    {"read", offsetof(hp_timeouts, read)},
    {"expect_continue", offsetof(hp_timeouts, expect_continue)},
};

static int
read_min_rate(hpy_state *st, PyObject *t, hp_timeouts *out)
{
    out->min_rate_bytes = HP_NO_LIMIT;
    PyObject *v = PyObject_GetAttrString(t, "min_rate");
    if (v == NULL)
        return -1;
    if (v == Py_None) {
        Py_DECREF(v);
        return 0;
    }
    PyObject *bytes = PySequence_GetItem(v, 0);
    PyObject *window = PySequence_GetItem(v, 1);
    Py_DECREF(v);
    int rc = -1;
    if (bytes != NULL && window != NULL) {
        double rate = PyFloat_AsDouble(bytes);
        rc = hpy_arg_seconds(st, window, "min_rate", false,
                             &out->min_rate_window);
        if (rate == -1.0 && PyErr_Occurred())
            rc = -1;
        else if (rc == 0)
            out->min_rate_bytes = (int64_t)ceil(
                rate * (double)out->min_rate_window / (double)HP_NS_PER_S);
    }
    Py_XDECREF(bytes);
    Py_XDECREF(window);
    return rc;
}

static int
read_timeout_object(hpy_state *st, PyObject *t, hp_timeouts *out)
{
    hp_timeouts_default(out);
    for (size_t i = 0; i < Py_ARRAY_LENGTH(timeout_parts); i++) {
        PyObject *v = PyObject_GetAttrString(t, timeout_parts[i].name);
        if (v == NULL)
            return -1;
        hp_ns *at = (hp_ns *)((char *)out + timeout_parts[i].offset);
        int rc = hpy_arg_seconds(st, v, timeout_parts[i].name, false, at);
        Py_DECREF(v);
        if (rc < 0)
            return -1;
    }
    return read_min_rate(st, t, out);
}

PyObject *
hpy_timeout_object(hpy_state *st, PyObject *v)
{
    return hpy_helper_call(st, HPY_HELPER_PARSE_TIMEOUT, 1, v);
}

int
hpy_arg_timeout(hpy_state *st, PyObject *v, hp_timeouts *out)
{
    if (PyFloat_CheckExact(v) || PyLong_CheckExact(v)) {
        double s = PyFloat_AsDouble(v);
        if (s == -1.0 && PyErr_Occurred())
            return -1;
        if (s > 0 && isfinite(s)) {
            set_phases(out, ns_of(s));
            return 0;
        }
    }
    PyObject *t = hpy_timeout_object(st, v);
    if (t == NULL)
        return -1;
    int rc = read_timeout_object(st, t, out);
    Py_DECREF(t);
    return rc;
}

/* ---- limits ---- */

static const struct {
    const char *name;
    enum {
        COUNT,
        SECONDS,
        FLAG
    } kind;
    size_t offset;
} limit_parts[] = {
    {"max_conns", COUNT, offsetof(hp_limits, max_conns)},
    {"max_conns_per_host", COUNT, offsetof(hp_limits, max_conns_per_host)},
    {"max_idle_conns", COUNT, offsetof(hp_limits, max_idle_conns)},
    {"max_idle_conns_per_host", COUNT,
     offsetof(hp_limits, max_idle_conns_per_host)},
    {"idle_conn_timeout", SECONDS, offsetof(hp_limits, idle_conn_timeout)},
    {"max_conn_age", SECONDS, offsetof(hp_limits, max_conn_age)},
    {"max_requests_per_conn", COUNT,
     offsetof(hp_limits, max_requests_per_conn)},
    {"max_waiting", COUNT, offsetof(hp_limits, max_waiting)},
    {"drain_bytes", COUNT, offsetof(hp_limits, drain_bytes)},
    {"drain_timeout", SECONDS, offsetof(hp_limits, drain_timeout)},
    {"disable_keepalives", FLAG, offsetof(hp_limits, disable_keepalives)},
};

static int
read_limit(hpy_state *st, PyObject *v, size_t i, hp_limits *out)
{
    void *at = (char *)out + limit_parts[i].offset;
    const char *name = limit_parts[i].name;
    switch (limit_parts[i].kind) {
    case COUNT:
        return hpy_arg_size(v, name, HP_NO_LIMIT, at);
    case SECONDS:
        return hpy_arg_seconds(st, v, name, true, at);
    case FLAG:
        return hpy_arg_bool(v, name, false, at);
    }
    return -1;
}

static int
read_idle_order(PyObject *limits, hp_limits *out)
{
    PyObject *v = PyObject_GetAttrString(limits, "idle_order");
    if (v == NULL)
        return -1;
    out->idle_fifo =
        PyUnicode_Check(v) && PyUnicode_CompareWithASCIIString(v, "fifo") == 0;
    Py_DECREF(v);
    return 0;
}

int
hpy_arg_limits(hpy_state *st, PyObject *v, hp_limits *out)
{
    PyObject *cls = hpy_helper_get(st, HPY_HELPER_LIMITS);
    int ok = cls == NULL ? -1 : PyObject_IsInstance(v, cls);
    Py_XDECREF(cls);
    if (ok == 0)
        PyErr_Format(PyExc_TypeError,
                     "limits must be an hpool.Limits or None, not %s",
                     Py_TYPE(v)->tp_name);
    if (ok <= 0)
        return -1;
    hp_limits_default(out);
    for (size_t i = 0; i < Py_ARRAY_LENGTH(limit_parts); i++) {
        PyObject *part = PyObject_GetAttrString(v, limit_parts[i].name);
        if (part == NULL)
            return -1;
        int rc = read_limit(st, part, i, out);
        Py_DECREF(part);
        if (rc < 0)
            return -1;
    }
    return read_idle_order(v, out);
}

/* ---- cancel and deadline ---- */

PyObject *
hpy_retries_object(hpy_state *st, PyObject *v)
{
    return hpy_helper_call(st, HPY_HELPER_PARSE_RETRIES, 1,
                           v == NULL ? Py_None : v);
}

int
hpy_arg_retries(hpy_state *st, PyObject *v, bool *no_stale_replay)
{
    PyObject *retries = hpy_retries_object(st, v);
    PyObject *stale =
        retries == NULL ? NULL : PyObject_GetAttrString(retries, "stale");
    *no_stale_replay = stale == Py_False;
    Py_XDECREF(retries);
    Py_XDECREF(stale);
    return stale == NULL ? -1 : 0;
}

int
hpy_arg_cancel(hpy_state *st, PyObject *v, hp_cancel **out)
{
    *out = NULL;
    if (!hpy_given(v))
        return 0;
    if (!PyObject_TypeCheck(v, st->cancel_type)) {
        PyErr_Format(PyExc_TypeError,
                     "cancel must be an hpool.CancelToken or None, not %s",
                     Py_TYPE(v)->tp_name);
        return -1;
    }
    *out = ((hpy_cancel *)v)->token;
    return 0;
}

int
hpy_deadline_now(hpy_state *st, hp_ns *out)
{
    PyObject *v;
    *out = HP_NEVER;
    if (PyContextVar_Get(st->deadline_var, NULL, &v) < 0)
        return -1;
    if (v == NULL)
        return 0;
    if (v != Py_None)
        *out = PyLong_AsLongLong(v);
    Py_DECREF(v);
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}
