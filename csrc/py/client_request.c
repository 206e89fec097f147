/* The verbs: from the arguments of a call to a Response. A plain get(url)
 * touches no Python code: the URL is sent from the str's own UTF-8, the
 * headers lie ready in the client's snapshot. */
#include "client.h"
#include "errors.h"
#include "instrument.h"
#include "log.h"
#include "policy.h"
#include "response.h"
#include "trace.h"

#define CALL_KEYWORDS                                                          \
    (HPY_BIT(URL) | HPY_BIT(PARAMS) | HPY_BIT(HEADERS) | HPY_BIT(DATA) |       \
     HPY_BIT(CONTENT) | HPY_BIT(JSON) | HPY_BIT(TIMEOUT) | HPY_BIT(STREAM) |   \
     HPY_BIT(VERIFY) | HPY_BIT(CERT) | HPY_BIT(TLS) | HPY_BIT(PROXY) |         \
     HPY_BIT(PROXIES) | HPY_BIT(CANCEL) | HPY_BIT(IDEMPOTENT) |                \
     HPY_BIT(DECOMPRESS) | HPY_BIT(TRACE) | HPY_BIT(AUTH) | HPY_BIT(COOKIES) | \
     HPY_BIT(FILES) | HPY_BIT(HOOKS) | HPY_BIT(EVENT_HOOKS) |                  \
     HPY_BIT(RETRIES) | HPY_BIT(EXTENSIONS) | HPY_BIT(FOLLOW_REDIRECTS) |      \
     HPY_BIT(ALLOW_REDIRECTS) | HPY_BIT(MAX_REDIRECTS) |                       \
     HPY_BIT(CHECK_REDIRECT))

#define URL_PARAMS 1, 2, {HPY_ARG_URL, HPY_ARG_PARAMS}, CALL_KEYWORDS
#define URL_DATA 1, 2, {HPY_ARG_URL, HPY_ARG_DATA}, CALL_KEYWORDS
#define URL_DATA_JSON                                                          \
    1, 3, {HPY_ARG_URL, HPY_ARG_DATA, HPY_ARG_JSON}, CALL_KEYWORDS
#define METHOD_URL(keywords) 2, 2, {HPY_ARG_METHOD, HPY_ARG_URL}, keywords

static const hpy_signature signatures[HPY_VERB_COUNT] = {
    [HPY_VERB_GET] = {"get", URL_PARAMS},
    [HPY_VERB_OPTIONS] = {"options", URL_PARAMS},
    [HPY_VERB_HEAD] = {"head", URL_PARAMS},
    [HPY_VERB_POST] = {"post", URL_DATA_JSON},
    [HPY_VERB_PUT] = {"put", URL_DATA},
    [HPY_VERB_PATCH] = {"patch", URL_DATA},
    [HPY_VERB_DELETE] = {"delete", URL_PARAMS},
    /* in the order that requests has them */
    [HPY_VERB_REQUEST] = {"request",
                          2,
                          16,
                          {HPY_ARG_METHOD, HPY_ARG_URL, HPY_ARG_PARAMS,
                           HPY_ARG_DATA, HPY_ARG_HEADERS, HPY_ARG_COOKIES,
                           HPY_ARG_FILES, HPY_ARG_AUTH, HPY_ARG_TIMEOUT,
                           HPY_ARG_ALLOW_REDIRECTS, HPY_ARG_PROXIES,
                           HPY_ARG_HOOKS, HPY_ARG_STREAM, HPY_ARG_VERIFY,
                           HPY_ARG_CERT, HPY_ARG_JSON},
                          CALL_KEYWORDS | HPY_BIT(METHOD)},
    [HPY_VERB_STREAM] = {"stream",
                         METHOD_URL((CALL_KEYWORDS & ~HPY_BIT(STREAM)) |
                                    HPY_BIT(METHOD))},
};

/* ---- the call ---- */

int
hpy_client_read_body(hpy_response *r)
{
    if (hp_exchange_is_upgraded(r->ex))
        return 0;
    PyObject *content = hpy_response_content(r);
    hp_exchange_close(r->ex);
    int rc = content == NULL ? -1 : 0;
    if (hpy_response_tell(r) < 0)
        rc = -1;
    Py_XDECREF(content);
    return rc;
}

PyObject *
hpy_client_checked(hpy_client *c, PyObject *response)
{
    if (response == NULL || !c->raise_for_status)
        return response;
    PyObject *self = PyObject_CallMethod(response, "raise_for_status", NULL);
    if (self == NULL)
        Py_CLEAR(response);
    Py_XDECREF(self);
    return response;
}

/* How a call went, or goes on. */
typedef enum course {
    COURSE_FAILED = -1, /* with an exception */
    COURSE_DONE,
    COURSE_LEAVES,    /* for policy, nothing was sent */
    COURSE_REDIRECTED /* its body is not read */
} course;

static course
exchange(hpy_response *r, PyObject *const *a, bool stream, PyObject **finish)
{
    int rc = hpy_client_open(r, a, stream, finish);
    if (rc > 0)
        return COURSE_LEAVES;
    if (rc < 0) {
        hpy_raise_with_request(r->st, r);
        return COURSE_FAILED;
    }
    if (hpy_response_head(r) < 0)
        return COURSE_FAILED;
    PyObject_GC_Track(r); /* from here on others may see it */
    if (r->asks && !r->exact) {
        int redirected = hpy_policy_look(r, a);
        if (redirected != 0)
            return redirected < 0 ? COURSE_FAILED : COURSE_REDIRECTED;
    }
    return stream || hpy_client_read_body(r) == 0 ? COURSE_DONE : COURSE_FAILED;
}

/* What the pool has to tell by now is told before and after. */
static course
traced_exchange(hpy_response *r, PyObject *const *a, bool stream,
                PyObject **finish)
{
    if (hpy_trace_client(r->client) < 0)
        return COURSE_FAILED;
    course went = exchange(r, a, stream, finish);
    if (hpy_trace_client(r->client) == 0)
        return went;
    hpy_response_interrupted(r);
    return COURSE_FAILED;
}

static course
run(hpy_response *r, PyObject *const *a, bool stream)
{
    PyObject *finish = NULL;
    course went = r->defaults->listeners == NULL
                      ? exchange(r, a, stream, &finish)
                      : traced_exchange(r, a, stream, &finish);
    if (finish != NULL &&
        hpy_instrument_finish(finish, r, went == COURSE_FAILED ? -1 : 0) < 0)
        return COURSE_FAILED;
    return went;
}

PyObject *
hpy_client_send(hpy_response *r, PyObject *const *a)
{
    if (run(r, a, true) == COURSE_FAILED)
        Py_CLEAR(r);
    return (PyObject *)r;
}

static PyObject *
send_request(hpy_client *c, PyObject *method, PyObject *const *a,
             bool by_policy)
{
    PyObject *after = NULL;
    bool stream;
    hpy_response *r = hpy_response_new(c, method);
    if (r == NULL)
        return NULL;
    if (hpy_arg_bool(a[HPY_ARG_STREAM], "stream", r->defaults->stream,
                     &stream) < 0) {
        Py_DECREF(r);
        return NULL;
    }
    course went = COURSE_LEAVES;
    if (!by_policy && !(r->defaults->policy_flags & HPY_POLICY_BEFORE))
        went = run(r, a, stream);
    if (went == COURSE_DONE)
        return c->raise_for_status ? hpy_client_checked(c, (PyObject *)r)
                                   : (PyObject *)r;
    if (went == COURSE_LEAVES)
        after = hpy_policy_call(r, HPY_HELPER_POLICY_CALL, a, stream);
    else if (went == COURSE_REDIRECTED)
        after = hpy_policy_resume(r, a, stream);
    Py_DECREF(r);
    return hpy_client_checked(c, after);
}

/* ---- warm ---- */

static const hpy_signature warm_signature = {
    "warm",
    2,
    2,
    {HPY_ARG_URL, HPY_ARG_N},
    HPY_BIT(URL) | HPY_BIT(N) | HPY_BIT(TIMEOUT) | HPY_BIT(VERIFY) |
        HPY_BIT(CERT) | HPY_BIT(TLS) | HPY_BIT(PROXY) | HPY_BIT(PROXIES) |
        HPY_BIT(CANCEL)};

/* A host has so many ports to be connected to from one address. */
#define WARM_MOST 65535

static int
how_many(hpy_state *st, PyObject *v, int64_t *n)
{
    if (v == Py_None || !PyIndex_Check(v) || PyBool_Check(v)) {
        PyErr_Format(PyExc_TypeError, "n takes an int from 1 to %d, not %s",
                     WARM_MOST, Py_TYPE(v)->tp_name);
        return -1;
    }
    if (hpy_arg_size(v, "n", 0, n) < 0)
        return -1;
    if (*n > 0 && *n <= WARM_MOST)
        return 0;
    return hpy_raise_argument(st, "n takes an int from 1 to %d", WARM_MOST);
}

/* A response that nobody sees, and that holds no connection. */
static PyObject *
warm(hpy_client *c, PyObject *const *a, int64_t n)
{
    int64_t ready = 0;
    hpy_response *r = hpy_response_new(c, c->st->verbs[HPY_VERB_GET]);
    if (r == NULL)
        return NULL;
    atomic_store(&r->closed, true);
    int rc = hpy_client_open_silent(r, a);
    if (rc < 0)
        hpy_raise_with_request(r->st, r);
    else
        rc = hpy_response_warm(r, n, &ready);
    Py_DECREF(r);
    return rc < 0 ? NULL : PyLong_FromLongLong(ready);
}

int
hpy_client_pause(hpy_response *r, PyObject *const *a, hp_ns until)
{
    atomic_store(&r->closed, true);
    if (hpy_client_open_silent(r, a) == 0)
        return hpy_response_pause(r, until);
    hpy_raise_with_request(r->st, r);
    return -1;
}

PyObject *
hpy_client_warm(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    hpy_client *c = (hpy_client *)op;
    PyObject *a[HPY_ARG_COUNT] = {NULL};
    int64_t n;
    if (hpy_client_check(c) < 0 ||
        hpy_args_parse(c->st, &warm_signature, args, nargs, kwnames, a) < 0 ||
        how_many(c->st, a[HPY_ARG_N], &n) < 0)
        return NULL;
    if (hpy_log_look_client(c) < 0)
        return NULL;
    PyObject *ready = warm(c, a, n);
    if (hpy_trace_client(c) < 0)
        Py_CLEAR(ready);
    return ready;
}

/* ---- another request() ---- */

static PyObject *
call_request(hpy_client *c, PyObject *method, PyObject *const *a)
{
    hpy_state *st = c->st;
    PyObject *kwargs = PyDict_New(), *v = NULL;
    PyObject *args = PyTuple_Pack(2, method, a[HPY_ARG_URL]);
    PyObject *f = PyObject_GetAttr((PyObject *)c, st->request_name);
    bool ok = kwargs != NULL && args != NULL && f != NULL;
    for (int i = 0; ok && i < HPY_ARG_COUNT; i++) {
        if (a[i] != NULL && i != HPY_ARG_URL && i != HPY_ARG_METHOD)
            ok = PyDict_SetItem(kwargs, st->names[i], a[i]) == 0;
    }
    if (ok)
        v = PyObject_Call(f, args, kwargs);
    Py_XDECREF(kwargs);
    Py_XDECREF(args);
    Py_XDECREF(f);
    return v;
}

/* ---- verbs ---- */

static PyObject *
dispatch(hpy_client *c, hpy_verb verb, PyObject *method, PyObject **a,
         bool named)
{
    if (verb != HPY_VERB_REQUEST) {
        int other = Py_IS_TYPE(c, c->st->client_type)
                        ? 0
                        : hpy_client_has_own_request(c);
        if (verb == HPY_VERB_STREAM)
            a[HPY_ARG_STREAM] = Py_True;
        if (other != 0)
            return other < 0 ? NULL : call_request(c, method, a);
    }
    int asked = named ? hpy_policy_asked(c->st, a) : 0;
    if (asked < 0)
        return NULL;
    return send_request(c, method, a, asked > 0);
}

PyObject *
hpy_client_verb(hpy_client *c, hpy_verb verb, PyObject *const *args,
                Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *a[HPY_ARG_COUNT] = {NULL};
    bool named = kwnames != NULL || nargs > 3; /* or may be */
    if (hpy_client_check(c) < 0 ||
        hpy_args_parse(c->st, &signatures[verb], args, nargs, kwnames, a) < 0)
        return NULL;
    if (verb < HPY_VERB_REQUEST)
        return dispatch(c, verb, c->st->verbs[verb], a, named);
    PyObject *method = hpy_method_of(c->st, a[HPY_ARG_METHOD]);
    if (method == NULL)
        return NULL;
    PyObject *r = dispatch(c, verb, method, a, named);
    Py_DECREF(method);
    return r;
}

#define VERB(name, id)                                                         \
    HPY_VERB_METHOD(name)                                                      \
    {                                                                          \
        return hpy_client_verb((hpy_client *)op, HPY_VERB_##id, args, nargs,   \
                               kwnames);                                       \
    }

VERB(get, GET)
VERB(options, OPTIONS)
VERB(head, HEAD)
VERB(post, POST)
VERB(put, PUT)
VERB(patch, PATCH)
VERB(delete, DELETE)
VERB(request, REQUEST)
VERB(stream, STREAM)
