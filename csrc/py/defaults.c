#include "defaults.h"

#include "args.h"
#include "errors.h"
#include "trace.h"

static void
point_fields(hpy_defaults *d)
{
    for (size_t i = 0; i < d->n_fields; i++) {
        PyObject *pair = PyTuple_GET_ITEM(d->headers, (Py_ssize_t)i);
        hp_field *f = &d->fields[i];
        f->name = hpy_span_of_bytes(PyTuple_GET_ITEM(pair, 0));
        f->value = hpy_span_of_bytes(PyTuple_GET_ITEM(pair, 1));
        if (hp_span_eq_nocase(f->name, HP_SPAN_LIT("Accept-Encoding")) &&
            hp_span_eq(f->value, hp_span_cstr(hp_coding_accept())))
            d->auto_encoding = f->value.ptr;
        if (hp_span_eq_nocase(f->name, HP_SPAN_LIT("Range")))
            d->has_range = true;
    }
}

static bool
is_pair_of_bytes(PyObject *p)
{
    return PyTuple_Check(p) && PyTuple_GET_SIZE(p) == 2 &&
           PyBytes_Check(PyTuple_GET_ITEM(p, 0)) &&
           PyBytes_Check(PyTuple_GET_ITEM(p, 1));
}

static int
check_headers(PyObject *headers)
{
    Py_ssize_t n = PyTuple_Check(headers) ? PyTuple_GET_SIZE(headers) : -1;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!is_pair_of_bytes(PyTuple_GET_ITEM(headers, i)))
            n = -1;
    }
    if (n < 0)
        PyErr_SetString(PyExc_TypeError,
                        "headers must be a tuple of (bytes, bytes)");
    return n < 0 ? -1 : 0;
}

static int
set_timeout(hpy_state *st, hpy_defaults *d, PyObject *timeout)
{
    hp_timeouts_default(&d->timeouts);
    if (timeout == NULL)
        return 0;
    d->timeout = hpy_timeout_object(st, timeout);
    if (d->timeout == NULL)
        return -1;
    return hpy_arg_timeout(st, d->timeout, &d->timeouts);
}

static int
set_trace(hpy_state *st, hpy_defaults *d, PyObject *trace, PyObject *log)
{
    d->trace = hpy_given(trace) ? Py_NewRef(trace) : NULL;
    d->log = hpy_given(log) ? Py_NewRef(log) : NULL;
    PyObject *own = hpy_trace_listeners(st, trace), *last = NULL;
    if (!PyErr_Occurred())
        last = hpy_trace_listeners(st, log);
    if (!PyErr_Occurred())
        d->listeners = hpy_trace_join(own, last);
    Py_XDECREF(own);
    Py_XDECREF(last);
    return PyErr_Occurred() ? -1 : 0;
}

/* ---- policy ---- */

/* Settings that matter only once an answer is there. */
static bool
is_for_answers(PyObject *name)
{
    return PyUnicode_CompareWithASCIIString(name, "follow_redirects") == 0 ||
           PyUnicode_CompareWithASCIIString(name, "max_redirects") == 0 ||
           PyUnicode_CompareWithASCIIString(name, "check_redirect") == 0 ||
           PyUnicode_CompareWithASCIIString(name, "overrides") == 0;
}

/* A setting that is off is not in the dict. */
static unsigned
policy_flags(PyObject *policy)
{
    unsigned flags = HPY_POLICY_FOLLOW;
    PyObject *name, *value;
    Py_ssize_t at = 0;
    while (policy != NULL && PyDict_Next(policy, &at, &name, &value)) {
        if (PyUnicode_CompareWithASCIIString(name, "send") == 0)
            flags |= HPY_POLICY_BEFORE | HPY_POLICY_SEND;
        else if (!is_for_answers(name))
            flags |= HPY_POLICY_BEFORE;
        else if (value == Py_False)
            flags &= ~(unsigned)HPY_POLICY_FOLLOW;
        else if (value == Py_True)
            flags |= HPY_POLICY_FOLLOW_HEAD;
    }
    return flags;
}

static int
set_policy(hpy_defaults *d, PyObject *policy)
{
    if (hpy_given(policy) && !PyDict_CheckExact(policy)) {
        PyErr_SetString(PyExc_TypeError, "policy settings must be a dict");
        return -1;
    }
    d->policy = hpy_given(policy) ? Py_NewRef(policy) : NULL;
    d->policy_flags = policy_flags(d->policy);
    return 0;
}

static int
set_proxies(hpy_defaults *d, PyObject *proxies)
{
    if (!hpy_given(proxies))
        return 0;
    d->proxies = Py_NewRef(proxies);
    PyObject *fixed = PyObject_GetAttrString(proxies, "fixed");
    if (fixed == NULL)
        return -1;
    if (fixed == Py_None)
        Py_CLEAR(fixed);
    d->fixed_proxies = fixed;
    return 0;
}

/* ---- trust ---- */

static int
set_trust(hpy_defaults *d, const hpy_default_values *v)
{
    d->verify = Py_NewRef(v->verify == NULL ? Py_True : v->verify);
    d->cert = Py_NewRef(v->cert == NULL ? Py_None : v->cert);
    if (hpy_arg_bool(v->trust_env, "trust_env", true, &d->trust_env) < 0)
        return -1;
    return hpy_arg_bool(v->stream, "stream", true, &d->stream);
}

static atomic_uint_fast64_t last_id;

hpy_defaults *
hpy_defaults_new(hpy_state *st, const hpy_default_values *v)
{
    if (check_headers(v->headers) < 0)
        return NULL;
    size_t n = (size_t)PyTuple_GET_SIZE(v->headers);
    hpy_defaults *d = PyMem_Calloc(1, sizeof *d + n * sizeof d->fields[0]);
    if (d == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    atomic_init(&d->refs, 1);
    d->id = atomic_fetch_add(&last_id, 1) + 1;
    d->headers = Py_NewRef(v->headers);
    if (hpy_given(v->base_url) && PyUnicode_GetLength(v->base_url) > 0)
        d->base_url = Py_NewRef(v->base_url);
    d->params = hpy_given(v->params) ? Py_NewRef(v->params) : NULL;
    d->n_fields = n;
    point_fields(d);
    if (set_timeout(st, d, v->timeout) < 0 ||
        set_trace(st, d, v->trace, v->log) < 0 ||
        set_policy(d, v->policy) < 0 || set_proxies(d, v->proxies) < 0 ||
        set_trust(d, v) < 0) {
        hpy_defaults_unref(d);
        return NULL;
    }
    return d;
}

hpy_defaults *
hpy_defaults_ref(hpy_defaults *d)
{
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void
hpy_defaults_unref(hpy_defaults *d)
{
    if (d == NULL || atomic_fetch_sub(&d->refs, 1) != 1)
        return;
    Py_XDECREF(d->headers);
    Py_XDECREF(d->base_url);
    Py_XDECREF(d->params);
    Py_XDECREF(d->timeout);
    Py_XDECREF(d->trace);
    Py_XDECREF(d->log);
    Py_XDECREF(d->listeners);
    Py_XDECREF(d->policy);
    Py_XDECREF(d->proxies);
    Py_XDECREF(d->fixed_proxies);
    Py_XDECREF(d->proxy_settings[0]);
    Py_XDECREF(d->proxy_settings[1]);
    Py_XDECREF(d->verify);
    Py_XDECREF(d->cert);
    Py_XDECREF(d->own_tls);
    PyMem_Free(d);
}

int
hpy_defaults_traverse(hpy_defaults *d, visitproc visit, void *arg)
{
    /* Each reference below is owned once, by the snapshot: it may be visited
     * through one owner only, so not while a request shares it. */
    if (d == NULL || atomic_load(&d->refs) != 1)
        return 0;
    Py_VISIT(d->params);
    Py_VISIT(d->timeout);
    Py_VISIT(d->trace);
    Py_VISIT(d->log);
    Py_VISIT(d->listeners);
    Py_VISIT(d->policy);
    Py_VISIT(d->proxies);
    Py_VISIT(d->fixed_proxies);
    Py_VISIT(d->verify);
    Py_VISIT(d->cert);
    return 0;
}

PyObject *
hpy_default_headers(hpy_state *st, PyObject *headers, bool decompress)
{
    hp_field base[] = {
        {HP_SPAN_LIT("User-Agent"), hpy_span_of_bytes(st->user_agent)},
        {HP_SPAN_LIT("Accept"), HP_SPAN_LIT("*/*")},
        {HP_SPAN_LIT("Accept-Encoding"), hp_span_cstr(hp_coding_accept())},
    };
    PyObject *pairs = NULL, *out = NULL;
    if (hpy_given(headers)) {
        pairs = hpy_header_pairs(st, headers);
        if (pairs == NULL)
            return NULL;
    }
    hpy_fields f;
    hpy_fields_init(&f);
    if (hpy_fields_merge(st, &f, base, decompress ? 3 : 2, pairs) == 0)
        out = hpy_fields_tuple(f.at, f.n);
    hpy_fields_clear(&f);
    Py_XDECREF(pairs);
    return out;
}
