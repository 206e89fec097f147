/* Client.__init__; the attributes are in client_attributes.c, pickling is in
 * client_pickle.c. */
#include "client.h"
#include "dialing.h"
#include "errors.h"
#include "leaks.h"
#include "log.h"
#include "netrc.h"

/* ---- __init__ ---- */

/* The keywords of Client(). */
#define SETTINGS(X)                                                            \
    X(BASE_URL, "base_url")                                                    \
    X(HEADERS, "headers")                                                      \
    X(PARAMS, "params")                                                        \
    X(TIMEOUT, "timeout")                                                      \
    X(LIMITS, "limits")                                                        \
    X(RETRIES, "retries")                                                      \
    X(VERIFY, "verify")                                                        \
    X(CERT, "cert")                                                            \
    X(TLS, "tls")                                                              \
    X(PROXY, "proxy")                                                          \
    X(PROXIES, "proxies")                                                      \
    X(TRUST_ENV, "trust_env")                                                  \
    X(DECOMPRESS, "decompress")                                                \
    X(MAX_SIZE, "max_size")                                                    \
    X(MAX_DECODED_SIZE, "max_decoded_size")                                    \
    X(DEFAULT_ENCODING, "default_encoding")                                    \
    X(DNS_TTL, "dns_ttl")                                                      \
    /* HPY_DIALING_COUNT of them, in their order */                            \
    X(DIALING, "resolve")                                                      \
    X(LOCAL_ADDRESS, "local_address")                                          \
    X(UDS, "uds")                                                              \
    X(FAMILY, "family")                                                        \
    X(SOCKET_OPTIONS, "socket_options")                                        \
    X(DIAL, "dial")                                                            \
    X(MAX_HEADER_BYTES, "max_header_bytes")                                    \
    X(RAISE_FOR_STATUS, "raise_for_status")                                    \
    X(LEAK_WARNINGS, "leak_warnings")                                          \
    X(STREAM, "stream")                                                        \
    X(TRACE, "trace")                                                          \
    /* policy.settings looks after the rest */                                 \
    X(POLICY, "auth")                                                          \
    X(COOKIES, "cookies")                                                      \
    X(HOOKS, "hooks")                                                          \
    X(EVENT_HOOKS, "event_hooks")                                              \
    X(FOLLOW_REDIRECTS, "follow_redirects")                                    \
    X(ALLOW_REDIRECTS, "allow_redirects")                                      \
    X(MAX_REDIRECTS, "max_redirects")                                          \
    X(CHECK_REDIRECT, "check_redirect")                                        \
    X(MOUNTS, "mounts")                                                        \
    X(TRANSPORT, "transport")

enum {
#define X(id, name) id,
    SETTINGS(X)
#undef X
    SETTING_COUNT
};

static const char *const setting_names[] = {
#define X(id, name) name,
    SETTINGS(X)
#undef X
};
static_assert(DIAL + 1 - DIALING == HPY_DIALING_COUNT,
              "the settings of dialing.h are all there");

static int
find_setting(PyObject *name)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (PyUnicode_CompareWithASCIIString(name, setting_names[i]) == 0)
            return i;
    }
    PyErr_Format(PyExc_TypeError,
                 "Client() got an unexpected keyword argument '%U'", name);
    return -1;
}

static int
parse_settings(PyObject *args, PyObject *kwargs, PyObject **v)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    if (PyTuple_GET_SIZE(args) > 0) {
        PyErr_Format(PyExc_TypeError,
                     "Client() takes keyword arguments only (%zd positional "
                     "given)",
                     PyTuple_GET_SIZE(args));
        return -1;
    }
    while (kwargs != NULL && PyDict_Next(kwargs, &at, &name, &value)) {
        int i = find_setting(name);
        if (i < 0)
            return -1;
        v[i] = value;
    }
    return 0;
}

static int
set_flags(hpy_client *c, PyObject **v)
{
    if (hpy_arg_bool(v[DECOMPRESS], "decompress", true, &c->decompress) < 0 ||
        hpy_arg_bool(v[RAISE_FOR_STATUS], "raise_for_status", false,
                     &c->raise_for_status) < 0 ||
        hpy_arg_leak_warnings(c, v[LEAK_WARNINGS]) < 0)
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
check_scheme(hpy_client *c, PyObject *v)
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

int
hpy_check_base_url(hpy_client *c, PyObject *v)
{
    if (!hpy_given(v))
        return 0;
    if (!PyUnicode_Check(v)) {
        PyErr_Format(PyExc_TypeError, "base_url must be a str, not %s",
                     Py_TYPE(v)->tp_name);
        return -1;
    }
    return PyUnicode_GetLength(v) == 0 ? 0 : check_scheme(c, v);
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
    c->tls = Py_NewRef(v[TLS] == NULL ? Py_None : v[TLS]);
    c->call_tls = PyDict_New();
    c->made_proxies = PyDict_New();
    c->unverified = PySet_New(NULL);
    if (c->call_tls == NULL || c->made_proxies == NULL ||
        c->unverified == NULL || set_flags(c, v) < 0 ||
        set_retries(c, v[RETRIES]) < 0 ||
        hpy_check_base_url(c, v[BASE_URL]) < 0 ||
        set_encoding(c, v[DEFAULT_ENCODING]) < 0 ||
        set_size(c, v[MAX_SIZE], "max_size", &c->max_size) < 0)
        return -1;
    return set_size(c, v[MAX_DECODED_SIZE], "max_decoded_size",
                    &c->max_decoded_size);
}

PyObject *
hpy_own_params(PyObject *v)
{
    return v != NULL && PyDict_CheckExact(v) ? PyDict_Copy(v) : Py_XNewRef(v);
}

/* Puts the names of the methods in `given` that are not ours, if any. */
static int
add_own_steps(hpy_client *c, PyObject *given)
{
    if (Py_IS_TYPE(c, c->st->client_type))
        return 0;
    PyObject *own = hpy_client_own_steps(c);
    if (own == NULL)
        return -1;
    int rc = PySet_GET_SIZE(own) == 0
                 ? 0
                 : PyDict_SetItemString(given, "overrides", own);
    Py_DECREF(own);
    return rc;
}

/* What policy.settings makes of its settings; None when there are none. */
static PyObject *
settled_policy(hpy_client *c, PyObject **v)
{
    PyObject *given = PyDict_New(), *policy = NULL;
    for (int i = 0; given != NULL && i < SETTING_COUNT; i++) {
        if (v[i] != NULL && (i >= POLICY || i == RETRIES) &&
            PyDict_SetItemString(given, setting_names[i], v[i]) < 0)
            Py_CLEAR(given);
    }
    if (given != NULL && v[TRUST_ENV] != Py_False && hpy_netrc_exists() &&
        PyDict_SetItemString(given, "netrc", Py_True) < 0)
        Py_CLEAR(given);
    if (given != NULL && add_own_steps(c, given) < 0)
        Py_CLEAR(given);
    if (given != NULL && PyDict_GET_SIZE(given) == 0)
        policy = Py_NewRef(Py_None);
    else if (given != NULL)
        policy = hpy_helper_call(c->st, HPY_HELPER_POLICY_SETTLE, 1, given);
    Py_XDECREF(given);
    return policy;
}

/* What policy.proxies makes of proxy=, proxies= and the environment; None when
 * nobody names a proxy. */
static PyObject *
settled_proxies(hpy_client *c, PyObject **v)
{
    PyObject *proxy = v[PROXY] == NULL ? Py_None : v[PROXY];
    PyObject *proxies = v[PROXIES] == NULL ? Py_None : v[PROXIES];
    bool env = v[TRUST_ENV] != Py_False && !hpy_given(v[UDS]) &&
               hpy_environment_names_proxy();
    if (proxy == Py_None && proxies == Py_None && !env)
        return Py_NewRef(Py_None);
    PyObject *made = hpy_helper_call(c->st, HPY_HELPER_PROXY_SETTLE, 3, proxy,
                                     proxies, env ? Py_True : Py_False);
    if (made == NULL || made == Py_None || !hpy_given(v[UDS]))
        return made;
    Py_DECREF(made);
    hpy_raise_argument(c->st,
                       "a proxy has no effect beside uds, which is where all "
                       "connections go; leave one of them out");
    return NULL;
}

/* A Session reads bodies at once. */
static PyObject *
streams(hpy_client *c)
{
    return PyObject_TypeCheck((PyObject *)c, c->st->session_type) ? Py_False
                                                                  : Py_True;
}

static int
set_defaults(hpy_client *c, PyObject **v)
{
    PyObject *params = hpy_own_params(v[PARAMS]);
    if (params == NULL && PyErr_Occurred())
        return -1;
    hpy_default_values first = {
        .headers = hpy_default_headers(c->st, v[HEADERS], c->decompress),
        .base_url = v[BASE_URL],
        .params = params,
        .timeout = v[TIMEOUT] == Py_Ellipsis ? NULL : v[TIMEOUT],
        .trace = v[TRACE],
        .verify = v[VERIFY],
        .cert = v[CERT],
        .trust_env = v[TRUST_ENV],
        .stream = hpy_given(v[STREAM]) ? v[STREAM] : streams(c),
    };
    if (first.headers != NULL)
        first.policy = settled_policy(c, v);
    if (first.policy != NULL)
        first.log = hpy_log_wanted(c->st);
    if (first.log != NULL)
        first.proxies = settled_proxies(c, v);
    if (first.proxies != NULL)
        c->defaults = hpy_defaults_new(c->st, &first);
    Py_XDECREF(first.headers);
    Py_XDECREF(params);
    Py_XDECREF(first.policy);
    Py_XDECREF(first.log);
    Py_XDECREF(first.proxies);
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
