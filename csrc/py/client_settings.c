/* Client.__init__ and the attributes; pickling is in client_pickle.c. */
#include "client.h"
#include "dialing.h"
#include "errors.h"
#include "leaks.h"
#include "log.h"

/* ---- __init__ ---- */

/* The keywords of Client(), in order. */
enum {
    BASE_URL,
    HEADERS,
    PARAMS,
    TIMEOUT,
    LIMITS,
    RETRIES,
    VERIFY,
    CERT,
    TLS,
    TRUST_ENV,
    DECOMPRESS,
    MAX_SIZE,
    MAX_DECODED_SIZE,
    DEFAULT_ENCODING,
    DNS_TTL,
    DIALING, /* the first of HPY_DIALING_COUNT, in their order */
    DIALING_LAST = DIALING + HPY_DIALING_COUNT - 1,
    MAX_HEADER_BYTES,
    RAISE_FOR_STATUS,
    LEAK_WARNINGS,
    STREAM,
    TRACE,
    SETTING_COUNT
};

static char *setting_names[] = {
    "base_url",
    "headers",
    "params",
    "timeout",
    "limits",
    "retries",
    "verify",
    "cert",
    "tls",
    "trust_env",
    "decompress",
    "max_size",
    "max_decoded_size",
    "default_encoding",
    "dns_ttl",
    "resolve",
    "local_address",
    "uds",
    "family",
    "socket_options",
    "dial",
    "max_header_bytes",
    "raise_for_status",
    "leak_warnings",
    "stream",
    "trace",
    NULL,
};
static_assert(sizeof(setting_names) / sizeof(*setting_names) ==
                  SETTING_COUNT + 1,
              "every setting has a name");

static int
parse_settings(PyObject *args, PyObject *kwargs, PyObject **v)
{
    return PyArg_ParseTupleAndKeywords(
               args, kwargs, "|$OOOOOOOOOOOOOOOOOOOOOOOOOO:Client",
               setting_names, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6],
               &v[7], &v[8], &v[9], &v[10], &v[11], &v[12], &v[13], &v[14],
               &v[15], &v[16], &v[17], &v[18], &v[19], &v[20], &v[21], &v[22],
               &v[23], &v[24], &v[25])
               ? 0
               : -1;
}

static int
set_flags(hpy_client *c, PyObject **v)
{
    bool stream = !PyObject_TypeCheck((PyObject *)c, c->st->session_type);
    if (hpy_arg_bool(v[TRUST_ENV], "trust_env", true, &c->trust_env) < 0 ||
        hpy_arg_bool(v[DECOMPRESS], "decompress", true, &c->decompress) < 0 ||
        hpy_arg_bool(v[RAISE_FOR_STATUS], "raise_for_status", false,
                     &c->raise_for_status) < 0 ||
        hpy_arg_leak_warnings(c, v[LEAK_WARNINGS]) < 0 ||
        hpy_arg_bool(v[STREAM], "stream", stream, &c->stream) < 0)
        return -1;
    return 0;
}

static int
set_retries(hpy_client *c, PyObject *v)
{
    if (!hpy_given(v))
        return 0;
    c->retries = hpy_retries_object(c->st, v);
    return c->retries == NULL
               ? -1
               : hpy_arg_retries(c->st, c->retries, &c->no_stale_replay);
}

static int
set_size(hpy_client *c, PyObject *v, const char *name, int64_t *out)
{
    if (hpy_arg_size(v, name, HP_NO_LIMIT, out) < 0)
        return -1;
    if (hpy_given(v) && *out < 0)
        return hpy_raise_argument(c->st,
                                  "%s takes a number of bytes from 0 up, or "
                                  "None for no limit",
                                  name);
    return 0;
}

/* The rest is judged with the first URL made of it. */
static int
check_base_url(hpy_client *c, PyObject *v)
{
    Py_ssize_t n;
    const char *p = PyUnicode_AsUTF8AndSize(v, &n);
    if (p == NULL)
        return -1;
    hp_span s = hp_span_of(p, (size_t)n);
    const hp_span schemes[] = {HP_SPAN_LIT("http://"), HP_SPAN_LIT("https://")};
    for (int i = 0; i < 2; i++) {
        size_t len = schemes[i].len;
        if (s.len >= len && hp_span_eq_nocase(hp_span_of(p, len), schemes[i]))
            return 0;
    }
    return hpy_raise_argument(c->st,
                              "base_url must begin with http:// or https://");
}

static int
set_base_url(hpy_client *c, PyObject *v)
{
    if (!hpy_given(v))
        return 0;
    if (!PyUnicode_Check(v)) {
        PyErr_Format(PyExc_TypeError, "base_url must be a str, not %s",
                     Py_TYPE(v)->tp_name);
        return -1;
    }
    if (PyUnicode_GetLength(v) == 0)
        return 0;
    if (check_base_url(c, v) < 0)
        return -1;
    c->base_url = Py_NewRef(v);
    return 0;
}

static int
set_encoding(hpy_client *c, PyObject *v)
{
    if (!hpy_given(v)) {
        c->default_encoding = PyUnicode_InternFromString("utf-8");
        return c->default_encoding == NULL ? -1 : 0;
    }
    if (!PyUnicode_Check(v) && !PyCallable_Check(v)) {
        PyErr_Format(PyExc_TypeError,
                     "default_encoding must be a str or a callable, not %s",
                     Py_TYPE(v)->tp_name);
        return -1;
    }
    c->default_encoding = Py_NewRef(v);
    return 0;
}

static int
set_fixed(hpy_client *c, PyObject **v)
{
    c->limits = hpy_given(v[LIMITS]) ? Py_NewRef(v[LIMITS]) : NULL;
    c->verify = Py_NewRef(v[VERIFY] == NULL ? Py_True : v[VERIFY]);
    c->cert = Py_NewRef(v[CERT] == NULL ? Py_None : v[CERT]);
    c->tls = Py_NewRef(v[TLS] == NULL ? Py_None : v[TLS]);
    c->call_tls = PyDict_New();
    if (c->call_tls == NULL || set_flags(c, v) < 0 ||
        set_retries(c, v[RETRIES]) < 0 || set_base_url(c, v[BASE_URL]) < 0 ||
        set_encoding(c, v[DEFAULT_ENCODING]) < 0 ||
        set_size(c, v[MAX_SIZE], "max_size", &c->max_size) < 0)
        return -1;
    return set_size(c, v[MAX_DECODED_SIZE], "max_decoded_size",
                    &c->max_decoded_size);
}

/* A copy of a dict, so that a later change of the caller's has no effect. */
static PyObject *
own_params(PyObject *v)
{
    return v != NULL && PyDict_CheckExact(v) ? PyDict_Copy(v) : Py_XNewRef(v);
}

static hpy_defaults *
first_defaults(hpy_client *c, PyObject *headers, PyObject *params,
               PyObject *timeout, PyObject *trace)
{
    PyObject *log = hpy_log_wanted(c->st);
    if (log == NULL)
        return NULL;
    hpy_defaults *d =
        hpy_defaults_new(c->st, headers, params, timeout, trace, log);
    Py_DECREF(log);
    return d;
}

static int
set_defaults(hpy_client *c, PyObject **v)
{
    PyObject *headers = hpy_default_headers(c->st, v[HEADERS], c->decompress);
    PyObject *params = own_params(v[PARAMS]);
    PyObject *timeout = v[TIMEOUT] == Py_Ellipsis ? NULL : v[TIMEOUT];
    if (headers != NULL && !(params == NULL && PyErr_Occurred()))
        c->defaults = first_defaults(c, headers, params, timeout, v[TRACE]);
    Py_XDECREF(headers);
    Py_XDECREF(params);
    return c->defaults == NULL ? -1 : 0;
}

static int
transport_config(hpy_client *c, PyObject **v, hp_transport_config *out)
{
    int64_t most;
    hp_transport_config_default(out);
    if (c->limits != NULL && hpy_arg_limits(c->st, c->limits, &out->limits) < 0)
        return -1;
    if (v[DNS_TTL] != NULL && hpy_arg_seconds(c->st, v[DNS_TTL], "dns_ttl",
                                              true, &out->dial.dns_ttl) < 0)
        return -1;
    if (out->dial.dns_ttl < 0) /* None: for ever */
        out->dial.dns_ttl = INT64_MAX / 2;
    if (hpy_arg_size(v[MAX_HEADER_BYTES], "max_header_bytes",
                     (int64_t)out->max_header_bytes, &most) < 0)
        return -1;
    if (most <= 0)
        return hpy_raise_argument(
            c->st, "max_header_bytes takes a number of bytes above 0");
    out->max_header_bytes = (size_t)most;
    return 0;
}

static int
make_transport(hpy_client *c, PyObject **v)
{
    hp_transport_config config;
    hpy_dialing_arrays arrays;
    hp_err err;
    hp_err_clear(&err);
    if (hpy_dialing_new(c->st, v + DIALING, c->settings, &c->dialing) < 0 ||
        transport_config(c, v, &config) < 0)
        return -1;
    if (hpy_dialing_config(c->st, c->dialing, &arrays, &config.dial) == 0)
        c->transport = hp_transport_new(&config, &err);
    hpy_dialing_clear(&arrays);
    if (c->transport == NULL)
        hpy_raise(c->st, &err, NULL); /* unless something is raised */
    return c->transport == NULL ? -1 : 0;
}

int
hpy_client_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    hpy_client *c = (hpy_client *)op;
    PyObject *v[SETTING_COUNT] = {NULL};
    if (c->settings != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a client's settings are fixed when it is made");
        return -1;
    }
    if (parse_settings(args, kwargs, v) < 0)
        return -1;
    c->settings = kwargs == NULL ? PyDict_New() : PyDict_Copy(kwargs);
    if (c->settings == NULL || set_fixed(c, v) < 0 || set_defaults(c, v) < 0 ||
        make_transport(c, v) < 0)
        return -1;
    hp_transport_trace(c->transport, c->defaults->listeners != NULL);
    return 0;
}

/* ---- changing the defaults ---- */

/* Puts `d` (taken) in force if `before` still is; else drops it. */
static bool
swap_defaults(hpy_client *c, hpy_defaults *before, hpy_defaults *d)
{
    hpy_lock(&c->lock);
    bool ours = c->defaults == before;
    if (ours)
        c->defaults = d;
    hpy_unlock(&c->lock);
    hpy_defaults_unref(ours ? before : d);
    return ours;
}

/* Puts a snapshot in force that is like the present one but for what is given
 * (NULL: as it is). */
static int
change(hpy_client *c, PyObject *headers, PyObject *params, PyObject *timeout,
       PyObject *trace, PyObject *log)
{
    if (hpy_client_check(c) < 0)
        return -1;
    for (;;) {
        hpy_defaults *now = hpy_client_defaults(c);
        hpy_defaults *d = hpy_defaults_new(
            c->st, headers == NULL ? now->headers : headers,
            params == NULL ? now->params : params,
            timeout == NULL ? now->timeout : timeout,
            trace == NULL ? now->trace : trace, log == NULL ? now->log : log);
        bool done = d == NULL || swap_defaults(c, now, d);
        hpy_defaults_unref(now);
        if (done)
            return d == NULL ? -1 : 0;
    }
}

static int
refuse_delete(PyObject *value, const char *name)
{
    if (value == NULL)
        PyErr_Format(PyExc_AttributeError, "cannot delete %s", name);
    return value == NULL ? -1 : 0;
}

/* What ClientHeaders calls after each change. */
static PyObject *
headers_changed(PyObject *op, PyObject *headers)
{
    if (change((hpy_client *)op, headers, NULL, NULL, NULL, NULL) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef headers_changed_def = {"headers_changed", headers_changed,
                                          METH_O, NULL};

static PyObject *
make_headers_view(hpy_client *c)
{
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *view = NULL;
    PyObject *changed = PyCFunction_New(&headers_changed_def, (PyObject *)c);
    if (changed != NULL)
        view = hpy_helper_call(c->st, HPY_HELPER_CLIENT_HEADERS, 2, d->headers,
                               changed);
    Py_XDECREF(changed);
    hpy_defaults_unref(d);
    return view;
}

static PyObject *
get_headers(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    PyObject *view = hpy_slot_get(&c->lock, &c->headers_view);
    if (view != NULL)
        return view;
    view = make_headers_view(c);
    return view == NULL ? NULL : hpy_slot_put(&c->lock, &c->headers_view, view);
}

static int
set_headers(PyObject *op, PyObject *value, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (refuse_delete(value, "headers") < 0)
        return -1;
    PyObject *headers = hpy_default_headers(c->st, value, c->decompress);
    int rc = headers == NULL ? -1 : change(c, headers, NULL, NULL, NULL, NULL);
    Py_XDECREF(headers);
    if (rc < 0)
        return -1;
    hpy_lock(&c->lock);
    PyObject *view = c->headers_view;
    c->headers_view = NULL;
    hpy_unlock(&c->lock);
    Py_XDECREF(view);
    return 0;
}

static PyObject *
get_params(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *v = d->params == NULL ? PyDict_New() : Py_NewRef(d->params);
    bool fresh = d->params == NULL;
    hpy_defaults_unref(d);
    /* Handed out and perhaps filled: it has to be the one in force. */
    if (fresh && v != NULL && change(c, NULL, v, NULL, NULL, NULL) < 0)
        Py_CLEAR(v);
    return v;
}

static int
set_params(PyObject *op, PyObject *value, void *closure)
{
    if (refuse_delete(value, "params") < 0)
        return -1;
    PyObject *params = own_params(value);
    int rc = params == NULL
                 ? -1
                 : change((hpy_client *)op, NULL, params, NULL, NULL, NULL);
    Py_XDECREF(params);
    return rc;
}

static PyObject *
get_timeout(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *v = d->timeout == NULL
                      ? hpy_helper_call(c->st, HPY_HELPER_TIMEOUT, 0)
                      : Py_NewRef(d->timeout);
    hpy_defaults_unref(d);
    return v;
}

static int
set_timeout(PyObject *op, PyObject *value, void *closure)
{
    if (refuse_delete(value, "timeout") < 0)
        return -1;
    return change((hpy_client *)op, NULL, NULL, value, NULL, NULL);
}

static PyObject *
get_trace(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *v = Py_NewRef(d->trace == NULL ? Py_None : d->trace);
    hpy_defaults_unref(d);
    return v;
}

/* Of two who change it at once the last one's say is what the core does. */
static void
apply_trace(hpy_client *c)
{
    hpy_lock(&c->lock);
    hp_transport_trace(c->transport, c->defaults->listeners != NULL);
    hpy_unlock(&c->lock);
}

static int
set_trace(PyObject *op, PyObject *value, void *closure)
{
    if (refuse_delete(value, "trace") < 0 ||
        change((hpy_client *)op, NULL, NULL, NULL, value, NULL) < 0)
        return -1;
    apply_trace((hpy_client *)op);
    return 0;
}

int
hpy_client_set_log(hpy_client *c, PyObject *log)
{
    if (change(c, NULL, NULL, NULL, NULL, log) < 0)
        return -1;
    apply_trace(c);
    return 0;
}

/* ---- what is fixed ---- */

static PyObject *
get_base_url(PyObject *op, void *closure)
{
    PyObject *v = ((hpy_client *)op)->base_url;
    return v == NULL ? PyUnicode_FromString("") : Py_NewRef(v);
}

static PyObject *
get_limits(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (c->limits != NULL)
        return Py_NewRef(c->limits);
    return hpy_helper_call(c->st, HPY_HELPER_LIMITS, 0);
}

static PyObject *
get_retries(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    return hpy_retries_object(c->st, c->retries);
}

static PyObject *
get_closed(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    return PyBool_FromLong(c->transport != NULL &&
                           hp_transport_is_closed(c->transport));
}

static PyObject *
get_object(PyObject *op, void *closure)
{
    PyObject *v = *(PyObject **)((char *)op + (size_t)closure);
    return Py_NewRef(v == NULL ? Py_None : v);
}

static PyObject *
get_dialing(PyObject *op, void *name)
{
    return hpy_dialing_get(((hpy_client *)op)->dialing, name);
}

static PyObject *
get_bool(PyObject *op, void *closure)
{
    return PyBool_FromLong(*(bool *)((char *)op + (size_t)closure));
}

#define AT(field) (void *)offsetof(hpy_client, field)

PyGetSetDef hpy_client_getset[] = {
    {"headers", get_headers, set_headers,
     "What every request sends: a mutable mapping, case-insensitive. Setting\n"
     "it puts the mapping given over the built-in defaults.",
     NULL},
    {"params", get_params, set_params,
     "Query parameters of every request: mapping or pairs.", NULL},
    {"timeout", get_timeout, set_timeout,
     "Timeout of requests that have none; takes what timeout= takes.", NULL},
    {"trace", get_trace, set_trace,
     "Who is told what happens to requests and connections, or None; takes\n"
     "what trace= takes.",
     NULL},
    {"base_url", get_base_url, NULL, "str: put before relative URLs.", NULL},
    {"limits", get_limits, NULL, "Limits of the pool; fixed.", NULL},
    {"retries", get_retries, NULL, "Retries; fixed.", NULL},
    {"closed", get_closed, NULL, "bool: whether close() was called.", NULL},
    {"is_closed", get_closed, NULL, "bool: whether close() was called.", NULL},
    {"verify", get_object, NULL, "What verify= was given; fixed.", AT(verify)},
    {"cert", get_object, NULL, "What cert= was given; fixed.", AT(cert)},
    {"tls", get_object, NULL, "What tls= was given; fixed.", AT(tls)},
    {"resolve", get_dialing, NULL, "What resolve= was given; fixed.",
     "resolve"},
    {"local_address", get_dialing, NULL,
     "What local_address= was given; fixed.", "local_address"},
    {"uds", get_dialing, NULL, "What uds= was given; fixed.", "uds"},
    {"family", get_dialing, NULL,
     "socket.AF_INET, socket.AF_INET6, or None for both; fixed.", "family"},
    {"socket_options", get_dialing, NULL,
     "What socket_options= was given, as a tuple; fixed.", "socket_options"},
    {"dial", get_dialing, NULL, "What dial= was given; fixed.", "dial"},
    {"default_encoding", get_object, NULL,
     "Encoding of text without a charset; fixed.", AT(default_encoding)},
    {"trust_env", get_bool, NULL, "bool; fixed.", AT(trust_env)},
    {NULL, NULL, NULL, NULL, NULL},
};
