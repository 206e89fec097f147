/* From the arguments of a call to its exchange: all that hp_exchange_new asks
 * for is gathered in a plan. */
#include "client.h"
#include "errors.h"
#include "instrument.h"
#include "leaks.h"
#include "response.h"
#include "trace.h"

/* What is gathered for hp_exchange_new and not needed after it. */
typedef struct plan {
    hp_request request;
    hpy_fields fields;
    PyObject *tls;    /* keeps request.tls */
    PyObject *proxy;  /* keeps request.proxy */
    PyObject *line;   /* keeps request.site */
    PyObject *finish; /* of the instrument; outlives the plan */
} plan;

static void
plan_init(plan *p)
{
    hp_request_init(&p->request);
    hpy_fields_init(&p->fields);
    p->tls = p->proxy = p->line = p->finish = NULL;
}

static void
plan_clear(plan *p)
{
    hpy_fields_clear(&p->fields);
    Py_XDECREF(p->tls);
    Py_XDECREF(p->proxy);
    Py_XDECREF(p->line);
}

/* ---- method and URL ---- */

static bool
has_lower(hp_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] >= 'a' && s.ptr[i] <= 'z')
            return true;
    }
    return false;
}

/* `code` is for what cannot be encoded. */
static int
utf8_span(hpy_state *st, PyObject *v, const char *what, hp_errc code,
          hp_span *out)
{
    if (!PyUnicode_Check(v)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str, not %s", what,
                     Py_TYPE(v)->tp_name);
        return -1;
    }
    return hpy_utf8(st, v, what, code, out);
}

PyObject *
hpy_method_of(hpy_state *st, PyObject *given)
{
    hp_span s;
    if (utf8_span(st, given, "method", HP_E_INVALID_METHOD, &s) < 0)
        return NULL;
    if (s.len == 0) /* which the core would take for GET */
        return hpy_raise_text(st, NULL, HP_E_INVALID_METHOD,
                              "the method is empty");
    return has_lower(s) ? PyObject_CallMethod(given, "upper", NULL)
                        : Py_NewRef(given);
}

/* The client's params with the call's over them; new reference or NULL with
 * an exception; None for none. */
static PyObject *
merged_params(hpy_response *r, PyObject *own)
{
    PyObject *defaults = r->defaults->params;
    if (defaults == NULL)
        return Py_NewRef(hpy_given(own) ? own : Py_None);
    return hpy_helper_call(r->st, HPY_HELPER_MERGE_PARAMS, 2, defaults,
                           hpy_given(own) ? own : Py_None);
}

static int
add_params(hpy_response *r, PyObject *own)
{
    PyObject *params = merged_params(r, own);
    if (params == NULL)
        return -1;
    if (params != Py_None) {
        PyObject *url =
            hpy_helper_call(r->st, HPY_HELPER_ADD_PARAMS, 2, r->url, params);
        Py_SETREF(r->url, url);
    }
    Py_DECREF(params);
    return r->url == NULL ? -1 : 0;
}

static int
put_together(hpy_response *r, PyObject *const *a)
{
    PyObject *base = r->defaults->base_url;
    if (base != NULL) {
        PyObject *url =
            hpy_helper_call(r->st, HPY_HELPER_JOIN_BASE, 2, base, r->url);
        Py_SETREF(r->url, url);
        if (url == NULL)
            return -1;
    }
    if (r->defaults->params == NULL && !hpy_given(a[HPY_ARG_PARAMS]))
        return 0;
    return add_params(r, a[HPY_ARG_PARAMS]);
}

static int
url_and_span(hpy_response *r, PyObject *const *a, hp_span *out)
{
    r->url = Py_NewRef(a[HPY_ARG_URL]);
    if (utf8_span(r->st, r->url, "url", HP_E_INVALID_URL, out) < 0)
        return -1;
    if (r->exact ||
        (r->defaults->base_url == NULL && r->defaults->params == NULL &&
         !hpy_given(a[HPY_ARG_PARAMS])))
        return 0;
    if (put_together(r, a) < 0)
        return -1;
    return utf8_span(r->st, r->url, "url", HP_E_INVALID_URL, out);
}

int
hpy_client_url(hpy_response *r, PyObject *const *a)
{
    hp_span ignored;
    return url_and_span(r, a, &ignored);
}

/* ---- headers and body ---- */

static int
plan_headers(hpy_response *r, PyObject *const *a, plan *p)
{
    const hpy_defaults *d = r->defaults;
    if (hpy_given(a[HPY_ARG_HEADERS])) {
        r->call_headers = hpy_header_pairs(r->st, a[HPY_ARG_HEADERS]);
        if (r->call_headers == NULL)
            return -1;
    }
    if (hpy_instrumented(r->st) && hpy_instrument_ask(r, &p->finish) < 0)
        return -1;
    bool as_they_are =
        r->call_headers == NULL && r->content_type == NULL && !r->exact &&
        (d->auto_encoding == NULL || (r->decode && !d->has_range));
    p->request.fields = d->fields;
    p->request.n_fields = d->n_fields;
    p->request.fields_id = as_they_are ? d->id : 0;
    if (as_they_are)
        return 0;
    if (hpy_request_fields(r, &p->fields) < 0)
        return -1;
    p->request.fields = p->fields.at;
    p->request.n_fields = p->fields.n;
    return 0;
}

/* ---- time, cancellation, TLS ---- */

static int
plan_limits(hpy_response *r, PyObject *const *a, plan *p)
{
    hp_request *q = &p->request;
    bool idempotent;
    q->timeouts = r->defaults->timeouts;
    q->max_size = r->client->max_size;
    q->max_decoded_size = r->client->max_decoded_size;
    q->no_stale_replay = r->client->no_stale_replay;
    if (a[HPY_ARG_TIMEOUT] != NULL && a[HPY_ARG_TIMEOUT] != Py_Ellipsis &&
        hpy_arg_timeout(r->st, a[HPY_ARG_TIMEOUT], &q->timeouts) < 0)
        return -1;
    if (hpy_deadline_now(r->st, &q->deadline) < 0 ||
        hpy_arg_cancel(r->st, a[HPY_ARG_CANCEL], &q->cancel) < 0)
        return -1;
    if (hpy_given(a[HPY_ARG_RETRIES]) &&
        hpy_arg_retries(r->st, a[HPY_ARG_RETRIES], &q->no_stale_replay) < 0)
        return -1;
    if (a[HPY_ARG_STARTED] != NULL) {
        q->since = PyLong_AsLongLong(a[HPY_ARG_STARTED]);
        if (q->since == -1 && PyErr_Occurred())
            return -1;
    }
    if (!hpy_given(a[HPY_ARG_IDEMPOTENT]))
        return 0;
    if (hpy_arg_bool(a[HPY_ARG_IDEMPOTENT], "idempotent", false, &idempotent) <
        0)
        return -1;
    q->idempotent = idempotent ? HP_IDEMPOTENT_YES : HP_IDEMPOTENT_NO;
    return 0;
}

/* Of a URL with a scheme that is supported; any other is refused later. */
static bool
is_https(hp_span url)
{
    return url.len > 5 && (url.ptr[4] == 's' || url.ptr[4] == 'S') &&
           url.ptr[5] == ':';
}

/* Whether there may be credentials in it. */
static bool
may_have_user(hp_span url)
{
    return memchr(url.ptr, '@', url.len) != NULL;
}

/* Whom the connection is made to. */
static int
plan_proxy(hpy_response *r, PyObject *const *a, plan *p)
{
    hp_request *q = &p->request;
    if (r->defaults->proxies == NULL && !hpy_given(a[HPY_ARG_PROXY]) &&
        !hpy_given(a[HPY_ARG_PROXIES]))
        return 0;
    return hpy_client_choose_proxy(r, a, is_https(q->url), q, &p->proxy);
}

/* ... and how. */
static int
plan_tls(hpy_response *r, PyObject *const *a, plan *p)
{
    hp_request *q = &p->request;
    if (!is_https(q->url))
        return 0;
    return hpy_client_tls(r->client, r->defaults, a, &p->tls, &q->tls,
                          &q->server_name);
}

/* Its challenges are answered by policy. */
static bool
is_challenging(const hp_request *q)
{
    return q->proxy && hp_proxy_is_challenging(q->proxy);
}

/* ---- opening ---- */

static hp_exchange *
encode_host_and_open(hpy_response *r, plan *p, hp_err *err)
{
    PyObject *url = hpy_helper_call(r->st, HPY_HELPER_IDNA_URL, 1, r->url);
    if (url == NULL)
        return NULL;
    Py_SETREF(r->url, url);
    if (utf8_span(r->st, url, "url", HP_E_INVALID_URL, &p->request.url) < 0)
        return NULL;
    hp_err_clear(err);
    return hp_exchange_new(r->client->transport, &p->request, err);
}

/* "example.com:443" of "proxy|https|example.com:443|tls=3". New reference. */
static PyObject *
address_of(const char *key)
{
    for (int i = 0; i < 2; i++)
        key += strcspn(key, "|") + 1;
    return hpy_str_of_span(hp_span_of(key, strcspn(key, "|")));
}

static int
warn_if_unverified(hpy_response *r, const plan *p)
{
    hp_conn_facts facts;
    if (p->tls == NULL || !hpy_client_tls_warns(p->tls))
        return 0;
    hp_exchange_facts(r->ex, &facts);
    PyObject *host = address_of(facts.key);
    int rc = host == NULL ? -1 : hpy_client_tls_warn(r->client, host);
    Py_XDECREF(host);
    return rc;
}

static int
open_exchange(hpy_response *r, plan *p)
{
    hp_err err;
    hp_err_clear(&err);
    r->ex = hp_exchange_new(r->client->transport, &p->request, &err);
    if (r->ex == NULL && err.code == HP_E_NEEDS_IDNA)
        r->ex = encode_host_and_open(r, p, &err);
    if (r->ex == NULL) {
        hpy_raise(r->st, &err, r);
    } else if (warn_if_unverified(r, p) < 0) {
        hp_exchange_free(r->ex);
        r->ex = NULL;
    }
    return r->ex == NULL ? -1 : 0;
}

/* 1: it is a matter of policy. */
static int
plan_and_open(hpy_response *r, PyObject *const *a, plan *p)
{
    hp_request *q = &p->request;
    if (utf8_span(r->st, r->method, "method", HP_E_INVALID_METHOD, &q->method) <
            0 ||
        url_and_span(r, a, &q->url) < 0)
        return -1;
    if (!r->exact && may_have_user(q->url))
        return 1;
    if (plan_proxy(r, a, p) < 0)
        return -1;
    if (!r->exact && is_challenging(q))
        return 1;
    if (hpy_given(a[HPY_ARG_TARGET]) &&
        utf8_span(r->st, a[HPY_ARG_TARGET], "target", HP_E_INVALID_URL,
                  &q->target) < 0)
        return -1;
    if (hpy_arg_bool(a[HPY_ARG_DECOMPRESS], "decompress", r->client->decompress,
                     &r->decode) < 0 ||
        hpy_body_prepare(r->st, &r->body, a, &r->content_type, &q->source) <
            0 ||
        plan_headers(r, a, p) < 0 || plan_limits(r, a, p) < 0)
        return -1;
    q->decode = r->decode;
    q->announce_connect = true;
    if ((a[HPY_ARG_TRACE] != NULL || r->defaults->listeners != NULL) &&
        hpy_trace_begin(r, a[HPY_ARG_TRACE], &q->trace) < 0)
        return -1;
    if (plan_tls(r, a, p) < 0)
        return -1;
    return open_exchange(r, p);
}

static void
note_line(hpy_response *r, plan *p)
{
    p->line = hpy_caller_line();
    if (p->line != NULL)
        p->request.site = hpy_span_of_bytes(p->line);
}

int
hpy_client_open(hpy_response *r, PyObject *const *a, bool stream,
                PyObject **finish)
{
    plan p;
    plan_init(&p);
    p.request.whole = !stream;
    if (hpy_leaks_traced(r->client))
        note_line(r, &p);
    int rc = plan_and_open(r, a, &p);
    plan_clear(&p);
    *finish = p.finish;
    return rc;
}

int
hpy_client_open_silent(hpy_response *r, PyObject *const *a)
{
    plan p;
    plan_init(&p);
    hp_request *q = &p.request;
    int rc = -1;
    if (hpy_trace_telling())
        q->trace = HP_TRACE_SILENT;
    if (url_and_span(r, a, &q->url) == 0 && plan_limits(r, a, &p) == 0 &&
        plan_proxy(r, a, &p) == 0 && plan_tls(r, a, &p) == 0)
        rc = open_exchange(r, &p);
    plan_clear(&p);
    return rc;
}
