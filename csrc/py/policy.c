#include "policy.h"

#include "errors.h"
#include "trace.h"

/* ---- what a call asks for ---- */

static int
refuse_two_answers(hpy_state *st, PyObject *const *a)
{
    bool follow, allow;
    PyObject *one = a[HPY_ARG_FOLLOW_REDIRECTS];
    PyObject *other = a[HPY_ARG_ALLOW_REDIRECTS];
    if (hpy_arg_bool(one, "follow_redirects", false, &follow) < 0 ||
        hpy_arg_bool(other, "allow_redirects", false, &allow) < 0)
        return -1;
    if (!hpy_given(one) || !hpy_given(other) || follow == allow)
        return 0;
    PyErr_SetString(PyExc_TypeError,
                    "follow_redirects and allow_redirects mean the same and "
                    "cannot differ");
    return -1;
}

static int
check_max_redirects(hpy_state *st, PyObject *v)
{
    int64_t n;
    if (!hpy_given(v))
        return 0;
    if (hpy_arg_size(v, "max_redirects", 0, &n) < 0)
        return -1;
    return n >= 0 ? 0
                  : hpy_raise_argument(
                        st, "max_redirects takes a number from 0 up");
}

static int
check_check_redirect(PyObject *v)
{
    if (!hpy_given(v) || PyCallable_Check(v))
        return 0;
    PyErr_Format(PyExc_TypeError,
                 "check_redirect must be a callable or None, not %s",
                 Py_TYPE(v)->tp_name);
    return -1;
}

int
hpy_policy_asked(hpy_state *st, PyObject *const *a)
{
    if (refuse_two_answers(st, a) < 0 ||
        check_max_redirects(st, a[HPY_ARG_MAX_REDIRECTS]) < 0 ||
        check_check_redirect(a[HPY_ARG_CHECK_REDIRECT]) < 0)
        return -1;
    for (int i = HPY_ARG_AUTH; i <= HPY_ARG_EXTENSIONS; i++) {
        if (hpy_given(a[i]))
            return 1;
    }
    return hpy_given(a[HPY_ARG_RETRIES]);
}

/* HEAD is not followed unless somebody says so. */
static bool
follows(const hpy_response *r, PyObject *const *a)
{
    PyObject *given = a[HPY_ARG_FOLLOW_REDIRECTS];
    if (!hpy_given(given))
        given = a[HPY_ARG_ALLOW_REDIRECTS];
    if (hpy_given(given))
        return given == Py_True;
    bool head = PyUnicode_CompareWithASCIIString(r->method, "HEAD") == 0;
    return r->defaults->policy_flags &
           (head ? HPY_POLICY_FOLLOW_HEAD : HPY_POLICY_FOLLOW);
}

static bool
is_redirect(const hp_head *head)
{
    switch (head->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return head->has_location;
    default:
        return false;
    }
}

/* ---- arguments for flow ---- */

static int
put(PyObject *dict, const char *name, PyObject *taken)
{
    int rc = taken == NULL ? -1 : PyDict_SetItemString(dict, name, taken);
    Py_XDECREF(taken);
    return rc;
}

/* What is not in the URL and the headers already. */
static bool
travels(int arg)
{
    return arg != HPY_ARG_URL && arg != HPY_ARG_METHOD &&
           arg != HPY_ARG_PARAMS && arg != HPY_ARG_HEADERS &&
           arg != HPY_ARG_REQUEST && arg != HPY_ARG_FOLLOW_REDIRECTS &&
           arg != HPY_ARG_ALLOW_REDIRECTS;
}

PyObject *
hpy_policy_arguments(hpy_response *r, PyObject *const *a, bool stream,
                     hp_ns started)
{
    hpy_state *st = r->st;
    PyObject *d = PyDict_New();
    for (int i = 0; d != NULL && i < HPY_ARG_COUNT; i++) {
        if (a[i] != NULL && travels(i) &&
            PyDict_SetItem(d, st->names[i], a[i]) < 0)
            Py_CLEAR(d);
    }
    if (d != NULL &&
        (put(d, "stream", PyBool_FromLong(stream)) < 0 ||
         put(d, "follow", PyBool_FromLong(follows(r, a))) < 0 ||
         put(d, "keep", PyBool_FromLong(!r->client->forgets_cookies)) < 0 ||
         put(d, "started", PyLong_FromLongLong(started)) < 0))
        Py_CLEAR(d);
    return d;
}

PyObject *
hpy_policy_settings(hpy_response *r)
{
    return r->defaults->policy == NULL ? PyDict_New()
                                       : Py_NewRef(r->defaults->policy);
}

/* All headers of a request, the client's with them: a tuple of pairs. */
static PyObject *
all_headers(hpy_response *r)
{
    hpy_fields f;
    PyObject *v = NULL;
    hpy_fields_init(&f);
    if (hpy_request_fields(r, &f) == 0)
        v = hpy_fields_tuple(f.at, f.n);
    hpy_fields_clear(&f);
    return v;
}

static int
take_headers(hpy_response *r, PyObject *headers)
{
    if (!hpy_given(headers))
        return 0;
    r->call_headers = hpy_header_pairs(r->st, headers);
    return r->call_headers == NULL ? -1 : 0;
}

/* ---- before ---- */

static PyObject *
call_flow(hpy_response *r, hpy_helper which, PyObject *const *a, bool stream)
{
    PyObject *headers = NULL, *given = NULL, *own = NULL, *v = NULL;
    if ((r->url == NULL && hpy_client_url(r, a) < 0) ||
        take_headers(r, a[HPY_ARG_HEADERS]) < 0 ||
        hpy_arg_bool(a[HPY_ARG_DECOMPRESS], "decompress", r->client->decompress,
                     &r->decode) < 0)
        return NULL;
    headers = all_headers(r);
    if (headers != NULL)
        given = hpy_policy_arguments(r, a, stream, hp_clock_now());
    if (given != NULL)
        own = hpy_policy_settings(r);
    if (own != NULL)
        v = hpy_helper_call(r->st, which, 6, (PyObject *)r->client, r->method,
                            r->url, headers, given, own);
    Py_XDECREF(headers);
    Py_XDECREF(given);
    Py_XDECREF(own);
    return v;
}

/* The way through the methods of a subclass. */
static PyObject *
call_session(hpy_response *r, PyObject *const *a)
{
    hpy_state *st = r->st;
    PyObject *given = PyDict_New(), *v = NULL;
    for (int i = 0; given != NULL && i < HPY_ARG_COUNT; i++) {
        if (a[i] != NULL && i != HPY_ARG_URL && i != HPY_ARG_METHOD &&
            PyDict_SetItem(given, st->names[i], a[i]) < 0)
            Py_CLEAR(given);
    }
    if (given != NULL)
        v = hpy_helper_call(st, HPY_HELPER_SESSION_REQUEST, 4,
                            (PyObject *)r->client, r->method, a[HPY_ARG_URL],
                            given);
    Py_XDECREF(given);
    return v;
}

PyObject *
hpy_policy_call(hpy_response *r, hpy_helper which, PyObject *const *a,
                bool stream)
{
    if (which == HPY_HELPER_POLICY_CALL &&
        (r->defaults->policy_flags & HPY_POLICY_SEND))
        return call_session(r, a);
    PyObject *v = call_flow(r, which, a, stream);
    if (v == NULL)
        hpy_raise_with_request(r->st, r);
    return v;
}

/* ---- after ---- */

int
hpy_policy_look(hpy_response *r, PyObject *const *a)
{
    const hp_head *head = hp_exchange_head(r->ex);
    if (is_redirect(head) && follows(r, a))
        return 1;
    if (!head->has_set_cookie || r->client->forgets_cookies)
        return 0;
    PyObject *v = hpy_helper_call(r->st, HPY_HELPER_POLICY_KEEP_COOKIES, 2,
                                  (PyObject *)r->client, (PyObject *)r);
    Py_XDECREF(v);
    return v == NULL ? hpy_response_interrupted(r) : 0;
}

static hp_ns
started(hpy_response *r)
{
    hp_timings t;
    hp_exchange_timings(r->ex, &t);
    return t.started;
}

PyObject *
hpy_policy_resume(hpy_response *r, PyObject *const *a, bool stream)
{
    PyObject *given = hpy_policy_arguments(r, a, stream, started(r)),
             *own = NULL;
    PyObject *v = NULL;
    if (given != NULL)
        own = hpy_policy_settings(r);
    if (own != NULL)
        v = hpy_helper_call(r->st, HPY_HELPER_POLICY_RESUME, 4,
                            (PyObject *)r->client, (PyObject *)r, given, own);
    Py_XDECREF(given);
    Py_XDECREF(own);
    return v;
}

/* ---- what flow uses ---- */

static hpy_client *
client_argument(hpy_state *st, PyObject *v)
{
    if (PyObject_TypeCheck(v, st->client_type))
        return hpy_client_check((hpy_client *)v) < 0 ? NULL : (hpy_client *)v;
    PyErr_Format(PyExc_TypeError, "client must be an hpool.Client, not %s",
                 Py_TYPE(v)->tp_name);
    return NULL;
}

static hpy_response *
hop(hpy_client *c, PyObject *const *a)
{
    if (!PyUnicode_Check(a[HPY_ARG_METHOD])) {
        PyErr_Format(PyExc_TypeError, "method must be a str, not %s",
                     Py_TYPE(a[HPY_ARG_METHOD])->tp_name);
        return NULL;
    }
    hpy_response *r = hpy_response_new(c, a[HPY_ARG_METHOD]);
    if (r == NULL)
        return NULL;
    r->exact = true;
    if (hpy_given(a[HPY_ARG_REQUEST]))
        r->request = Py_NewRef(a[HPY_ARG_REQUEST]);
    return r;
}

/* The client, which comes first, and the arguments behind it. */
static hpy_client *
parse_with_client(PyObject *module, const hpy_signature *sig,
                  PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                  PyObject **a)
{
    hpy_state *st = PyModule_GetState(module);
    if (nargs < 1) {
        PyErr_Format(PyExc_TypeError,
                     "%s() missing required argument: 'client'", sig->name);
        return NULL;
    }
    hpy_client *c = client_argument(st, args[0]);
    if (c == NULL ||
        hpy_args_parse(st, sig, args + 1, nargs - 1, kwnames, a) < 0)
        return NULL;
    return c;
}

PyObject *
hpy_send_once(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    static const hpy_signature sig = {
        "_send_once",
        3,
        3,
        {HPY_ARG_METHOD, HPY_ARG_URL, HPY_ARG_HEADERS},
        HPY_BIT(METHOD) | HPY_BIT(URL) | HPY_BIT(HEADERS) | HPY_BIT(CONTENT) |
            HPY_BIT(TIMEOUT) | HPY_BIT(VERIFY) | HPY_BIT(CERT) | HPY_BIT(TLS) |
            HPY_BIT(PROXY) | HPY_BIT(PROXIES) | HPY_BIT(CANCEL) |
            HPY_BIT(IDEMPOTENT) | HPY_BIT(DECOMPRESS) | HPY_BIT(TRACE) |
            HPY_BIT(RETRIES) | HPY_BIT(REQUEST) | HPY_BIT(STARTED) |
            HPY_BIT(TARGET)};
    PyObject *a[HPY_ARG_COUNT] = {NULL};
    hpy_client *c = parse_with_client(module, &sig, args, nargs, kwnames, a);
    hpy_response *r = c == NULL ? NULL : hop(c, a);
    return r == NULL ? NULL : hpy_client_send(r, a);
}

PyObject *
hpy_pause(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    static const hpy_signature sig = {
        "_pause",
        3,
        3,
        {HPY_ARG_METHOD, HPY_ARG_URL, HPY_ARG_N},
        HPY_BIT(METHOD) | HPY_BIT(URL) | HPY_BIT(N) | HPY_BIT(TIMEOUT) |
            HPY_BIT(VERIFY) | HPY_BIT(CERT) | HPY_BIT(TLS) | HPY_BIT(PROXY) |
            HPY_BIT(PROXIES) | HPY_BIT(CANCEL) | HPY_BIT(REQUEST) |
            HPY_BIT(STARTED)};
    PyObject *a[HPY_ARG_COUNT] = {NULL};
    hpy_client *c = parse_with_client(module, &sig, args, nargs, kwnames, a);
    if (c == NULL)
        return NULL;
    long long until = PyLong_AsLongLong(a[HPY_ARG_N]);
    if (until == -1 && PyErr_Occurred())
        return NULL;
    hpy_response *r = hop(c, a);
    if (r == NULL)
        return NULL;
    int rc = hpy_client_pause(r, a, until);
    Py_DECREF(r);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *
hpy_merged_headers(PyObject *module, PyObject *args)
{
    hpy_state *st = PyModule_GetState(module);
    PyObject *client, *headers = Py_None, *decompress = Py_None, *v = NULL;
    if (!PyArg_ParseTuple(args, "O|OO:_merged_headers", &client, &headers,
                          &decompress))
        return NULL;
    hpy_client *c = client_argument(st, client);
    hpy_response *r =
        c == NULL ? NULL : hpy_response_new(c, st->verbs[HPY_VERB_GET]);
    if (r == NULL)
        return NULL;
    if (take_headers(r, headers) == 0 &&
        hpy_arg_bool(decompress, "decompress", c->decompress, &r->decode) == 0)
        v = all_headers(r);
    Py_DECREF(r);
    return v;
}

static hpy_response *
response_argument(hpy_state *st, PyObject *v)
{
    if (Py_IS_TYPE(v, st->response_type))
        return (hpy_response *)v;
    PyErr_Format(PyExc_TypeError, "response must be an hpool.Response, not %s",
                 Py_TYPE(v)->tp_name);
    return NULL;
}

PyObject *
hpy_asks(PyObject *module, PyObject *response)
{
    hpy_response *r = response_argument(PyModule_GetState(module), response);
    if (r == NULL)
        return NULL;
    if (r->ex != NULL)
        return PyBool_FromLong(r->asks);
    /* made by hand */
    return PyBool_FromLong(
        hpy_headers_find(r->headers, HP_SPAN_LIT("Location")).ptr ||
        hpy_headers_find(r->headers, HP_SPAN_LIT("Set-Cookie")).ptr);
}

PyObject *
hpy_drain(PyObject *module, PyObject *args)
{
    hpy_state *st = PyModule_GetState(module);
    PyObject *response, *most, *seconds;
    int64_t n;
    hp_ns limit;
    if (!PyArg_ParseTuple(args, "OOO:_drain", &response, &most, &seconds) ||
        hpy_arg_size(most, "most", 0, &n) < 0 ||
        hpy_arg_seconds(st, seconds, "seconds", true, &limit) < 0)
        return NULL;
    hpy_response *r = response_argument(st, response);
    if (r == NULL || hpy_response_drain(r, (size_t)n, limit) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *
hpy_finish(PyObject *module, PyObject *response)
{
    hpy_response *r = response_argument(PyModule_GetState(module), response);
    if (r == NULL || (r->ex != NULL && hpy_client_read_body(r) < 0))
        return NULL;
    Py_RETURN_NONE;
}

PyObject *
hpy_proxies(PyObject *module, PyObject *client)
{
    hpy_client *c = client_argument(PyModule_GetState(module), client);
    if (c == NULL)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *v = Py_NewRef(d->proxies == NULL ? Py_None : d->proxies);
    hpy_defaults_unref(d);
    return v;
}

/* ---- the trace ---- */

PyObject *
hpy_traced_as(PyObject *module, PyObject *response)
{
    hpy_response *r = response_argument(PyModule_GetState(module), response);
    return r == NULL ? NULL : hpy_trace_numbers(r);
}

PyObject *
hpy_tell(PyObject *module, PyObject *args)
{
    PyObject *client, *trace, *info;
    if (!PyArg_ParseTuple(args, "OOO!:_tell", &client, &trace, &PyDict_Type,
                          &info))
        return NULL;
    hpy_client *c = client_argument(PyModule_GetState(module), client);
    if (c == NULL || hpy_trace_tell(c, trace, info) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- origins ---- */

/* `*store` gets what the URL's parts lie in; to be freed in any case. */
static int
parse_url(hpy_state *st, PyObject *url, hp_url *out, char **store)
{
    hp_span text;
    hp_err err;
    hp_err_clear(&err);
    if (!PyUnicode_Check(url)) {
        PyErr_Format(PyExc_TypeError, "url must be a str, not %s",
                     Py_TYPE(url)->tp_name);
        return -1;
    }
    if (hpy_utf8(st, url, "url", HP_E_INVALID_URL, &text) < 0)
        return -1;
    *store = PyMem_Malloc(HP_URL_STORE_SIZE(text.len));
    if (*store == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (hp_url_parse(text, out, *store, &err) == 0)
        return 0;
    hpy_raise(st, &err, NULL);
    return -1;
}

PyObject *
hpy_origin(PyObject *module, PyObject *url)
{
    char *store = NULL;
    hp_url u;
    PyObject *v = NULL;
    if (parse_url(PyModule_GetState(module), url, &u, &store) == 0)
        v = Py_BuildValue("(ss#i)", u.https ? "https" : "http", u.host.ptr,
                          (Py_ssize_t)u.host.len, (int)u.port);
    PyMem_Free(store);
    return v;
}
