/* Requests that are made first and sent later: build_request(),
 * prepare_request(), send(). They are Python's (hpool.policy). */
#include "errors.h"
#include "policy.h"

#define BUILD_KEYWORDS                                                         \
    (HPY_BIT(METHOD) | HPY_BIT(URL) | HPY_BIT(PARAMS) | HPY_BIT(HEADERS) |     \
     HPY_BIT(DATA) | HPY_BIT(CONTENT) | HPY_BIT(JSON) | HPY_BIT(FILES) |       \
     HPY_BIT(COOKIES) | HPY_BIT(AUTH) | HPY_BIT(HOOKS) | HPY_BIT(TIMEOUT) |    \
     HPY_BIT(EXTENSIONS) | HPY_BIT(DECOMPRESS))

#define SEND_KEYWORDS                                                          \
    (HPY_BIT(REQUEST) | HPY_BIT(STREAM) | HPY_BIT(AUTH) | HPY_BIT(TIMEOUT) |   \
     HPY_BIT(VERIFY) | HPY_BIT(CERT) | HPY_BIT(TLS) | HPY_BIT(PROXY) |         \
     HPY_BIT(PROXIES) | HPY_BIT(CANCEL) | HPY_BIT(IDEMPOTENT) |                \
     HPY_BIT(RETRIES) | HPY_BIT(DECOMPRESS) | HPY_BIT(TRACE) |                 \
     HPY_BIT(FOLLOW_REDIRECTS) | HPY_BIT(ALLOW_REDIRECTS) |                    \
     HPY_BIT(MAX_REDIRECTS) | HPY_BIT(CHECK_REDIRECT))

static const hpy_signature build_signature = {
    "build_request", 2, 2, {HPY_ARG_METHOD, HPY_ARG_URL}, BUILD_KEYWORDS};

static const hpy_signature send_signature = {
    "send", 1, 1, {HPY_ARG_REQUEST}, SEND_KEYWORDS};

PyObject *
hpy_client_build_request(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    hpy_client *c = (hpy_client *)op;
    PyObject *a[HPY_ARG_COUNT] = {NULL}, *v = NULL;
    if (hpy_client_check(c) < 0 ||
        hpy_args_parse(c->st, &build_signature, args, nargs, kwnames, a) < 0)
        return NULL;
    PyObject *method = hpy_method_of(c->st, a[HPY_ARG_METHOD]);
    hpy_response *r = method == NULL ? NULL : hpy_response_new(c, method);
    if (r != NULL)
        v = hpy_policy_call(r, HPY_HELPER_POLICY_BUILD, a, false);
    Py_XDECREF(method);
    Py_XDECREF(r);
    return v;
}

PyObject *
hpy_client_prepare_request(PyObject *op, PyObject *request)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    return hpy_helper_call(c->st, HPY_HELPER_POLICY_PREPARE, 2, op, request);
}

/* ---- send ---- */

/* New reference. */
static PyObject *
method_of_request(PyObject *request)
{
    PyObject *method = PyObject_GetAttrString(request, "method");
    if (method != NULL && PyUnicode_Check(method))
        return method;
    Py_XDECREF(method);
    PyErr_Clear();
    PyErr_Format(PyExc_TypeError,
                 "send() takes an hpool.PreparedRequest, not %s",
                 Py_TYPE(request)->tp_name);
    return NULL;
}

static PyObject *
send_request(hpy_response *r, PyObject *const *a)
{
    bool stream;
    PyObject *v = NULL;
    r->request = Py_NewRef(a[HPY_ARG_REQUEST]);
    if (hpy_arg_bool(a[HPY_ARG_STREAM], "stream", r->defaults->stream,
                     &stream) < 0)
        return NULL;
    PyObject *given = hpy_policy_arguments(r, a, stream, hp_clock_now());
    PyObject *own = given == NULL ? NULL : hpy_policy_settings(r);
    if (own != NULL)
        v = hpy_helper_call(r->st, HPY_HELPER_POLICY_SEND, 4,
                            (PyObject *)r->client, a[HPY_ARG_REQUEST], given,
                            own);
    Py_XDECREF(given);
    Py_XDECREF(own);
    if (v == NULL)
        hpy_raise_with_request(r->st, r);
    return hpy_client_checked(r->client, v);
}

PyObject *
hpy_client_send_prepared(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    hpy_client *c = (hpy_client *)op;
    PyObject *a[HPY_ARG_COUNT] = {NULL}, *v = NULL;
    if (hpy_client_check(c) < 0 ||
        hpy_args_parse(c->st, &send_signature, args, nargs, kwnames, a) < 0 ||
        hpy_policy_asked(c->st, a) < 0)
        return NULL;
    PyObject *method = method_of_request(a[HPY_ARG_REQUEST]);
    hpy_response *r = method == NULL ? NULL : hpy_response_new(c, method);
    if (r != NULL)
        v = send_request(r, a);
    Py_XDECREF(method);
    Py_XDECREF(r);
    return v;
}
