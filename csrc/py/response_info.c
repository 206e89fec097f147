/* The attributes of Response. What is made lazily is kept in the response;
 * should two threads make it at once, the first one's stays. */
#include "response.h"

#include "errors.h"

#define SELF ((hpy_response *)op)

/* ---- the request ---- */

int
hpy_request_fields(hpy_response *r, hpy_fields *f)
{
    const hpy_defaults *d = r->defaults;
    size_t n_defaults = r->exact ? 0 : d->n_fields;
    if (hpy_fields_merge(r->st, f, d->fields, n_defaults, r->call_headers) < 0)
        return -1;
    if (r->content_type != NULL &&
        !hpy_fields_has(f->at, f->n, HP_SPAN_LIT("Content-Type")) &&
        hpy_fields_add(f, HP_SPAN_LIT("Content-Type"),
                       hpy_span_of_bytes(r->content_type)) < 0)
        return -1;
    /* Parts of a coded body cannot be decoded. */
    if (d->auto_encoding != NULL &&
        (!r->decode || hpy_fields_has(f->at, f->n, HP_SPAN_LIT("Range"))))
        hpy_fields_drop_value(f, d->auto_encoding);
    return 0;
}

static PyObject *
request_headers(hpy_response *r)
{
    hpy_fields f;
    PyObject *v = NULL;
    if (r->defaults == NULL)
        return hpy_headers_of_fields(r->st, NULL, 0);
    hpy_fields_init(&f);
    if (hpy_request_fields(r, &f) == 0)
        v = hpy_headers_of_fields(r->st, f.at, f.n);
    hpy_fields_clear(&f);
    return v;
}

PyObject *
hpy_response_request(hpy_response *r)
{
    PyObject *v = hpy_slot_get(&r->lock, &r->request);
    if (v != NULL)
        return v;
    PyObject *headers = request_headers(r);
    if (headers == NULL)
        return NULL;
    PyObject *body = r->body.object == NULL ? Py_None : r->body.object;
    PyObject *url = r->url == NULL ? Py_None : r->url;
    PyObject *source = r->body.source == NULL ? Py_None : r->body.source;
    v = hpy_helper_call(r->st, HPY_HELPER_REQUEST, 5, r->method, url, headers,
                        body, source);
    Py_DECREF(headers);
    return v == NULL ? NULL : hpy_slot_put(&r->lock, &r->request, v);
}

static PyObject *
get_request(PyObject *op, void *closure)
{
    return hpy_response_request(SELF);
}

static PyObject *
get_url(PyObject *op, void *closure)
{
    return Py_NewRef(SELF->url);
}

/* ---- the head ---- */

static PyObject *
get_status(PyObject *op, void *closure)
{
    return SELF->status == 0 ? Py_NewRef(Py_None)
                             : PyLong_FromLong(SELF->status);
}

PyObject *
hpy_response_reason(hpy_response *r)
{
    PyObject *v = hpy_slot_get(&r->lock, &r->reason);
    if (v != NULL)
        return v;
    hp_span words = {"", 0};
    if (r->ex != NULL)
        words = hp_exchange_reason(r->ex);
    v = hpy_str_of_span(words);
    return v == NULL ? NULL : hpy_slot_put(&r->lock, &r->reason, v);
}

static PyObject *
get_reason(PyObject *op, void *closure)
{
    return hpy_response_reason(SELF);
}

PyObject *
hpy_response_headers(hpy_response *r)
{
    PyObject *v = hpy_slot_get(&r->lock, &r->headers);
    if (v != NULL)
        return v;
    hp_span block = {NULL, 0};
    if (r->ex != NULL)
        block = hp_exchange_fields(r->ex);
    v = hpy_headers_of_block(r->st, block);
    return v == NULL ? NULL : hpy_slot_put(&r->lock, &r->headers, v);
}

static PyObject *
get_headers(PyObject *op, void *closure)
{
    return hpy_response_headers(SELF);
}

/* The status is within [closure & 0xffff, closure >> 16]. */
static PyObject *
get_status_within(PyObject *op, void *closure)
{
    size_t range = (size_t)closure;
    int status = SELF->status;
    return PyBool_FromLong(status >= (int)(range & 0xffff) &&
                           status <= (int)(range >> 16));
}

#define WITHIN(low, high) (void *)(size_t)((low) | (high) << 16)

static bool
has_location(hpy_response *r)
{
    if (r->ex != NULL)
        return hp_exchange_head(r->ex)->has_location;
    return r->headers != NULL &&
           hpy_headers_find(r->headers, HP_SPAN_LIT("Location")).ptr != NULL;
}

static PyObject *
get_is_redirect(PyObject *op, void *closure)
{
    int s = SELF->status;
    bool moved = s == 301 || s == 302 || s == 303 || s == 307 || s == 308;
    return PyBool_FromLong(moved && has_location(SELF));
}

static PyObject *
get_is_permanent_redirect(PyObject *op, void *closure)
{
    int s = SELF->status;
    return PyBool_FromLong((s == 301 || s == 308) && has_location(SELF));
}

static PyObject *
get_http_version(PyObject *op, void *closure)
{
    return PyUnicode_FromFormat("HTTP/1.%d", SELF->minor);
}

static PyObject *
get_version(PyObject *op, void *closure)
{
    return PyLong_FromLong(10 + SELF->minor);
}

static PyObject *
get_elapsed(PyObject *op, void *closure)
{
    PyObject *us = PyLong_FromLongLong(SELF->elapsed / 1000);
    PyObject *zero = PyLong_FromLong(0), *v = NULL;
    if (us != NULL && zero != NULL)
        v = hpy_helper_call(SELF->st, HPY_HELPER_TIMEDELTA, 3, zero, zero, us);
    Py_XDECREF(us);
    Py_XDECREF(zero);
    return v;
}

/* What is in `slot`, a list that is made when first asked for. */
static PyObject *
list_in(hpy_response *r, PyObject **slot)
{
    PyObject *v = hpy_slot_get(&r->lock, slot);
    if (v != NULL)
        return v;
    v = PyList_New(0);
    return v == NULL ? NULL : hpy_slot_put(&r->lock, slot, v);
}

static PyObject *
get_history(PyObject *op, void *closure)
{
    return list_in(SELF, &SELF->history);
}

static PyObject *
get_attempts(PyObject *op, void *closure)
{
    return list_in(SELF, &SELF->attempts);
}

static PyObject *
get_cookies(PyObject *op, void *closure)
{
    hpy_response *r = SELF;
    PyObject *v = hpy_slot_get(&r->lock, &r->cookies);
    if (v != NULL)
        return v;
    v = hpy_helper_call(r->st, HPY_HELPER_COOKIES, 1, op);
    return v == NULL ? NULL : hpy_slot_put(&r->lock, &r->cookies, v);
}

static PyObject *
get_next_request(PyObject *op, void *closure)
{
    return hpy_helper_call(SELF->st, HPY_HELPER_NEXT_REQUEST, 1, op);
}

static PyObject *
get_links(PyObject *op, void *closure)
{
    PyObject *headers = hpy_response_headers(SELF), *links = NULL;
    if (headers == NULL)
        return NULL;
    PyObject *value = PyObject_CallMethod(headers, "get", "ss", "Link", "");
    if (value != NULL)
        links = hpy_helper_call(SELF->st, HPY_HELPER_PARSE_LINKS, 1, value);
    Py_XDECREF(value);
    Py_DECREF(headers);
    return links;
}

static PyObject *
get_apparent_encoding(PyObject *op, void *closure)
{
    PyObject *content = hpy_response_content(SELF);
    if (content == NULL)
        return NULL;
    PyObject *v =
        hpy_helper_call(SELF->st, HPY_HELPER_APPARENT_ENCODING, 1, content);
    Py_DECREF(content);
    return v;
}

static PyObject *
get_content(PyObject *op, void *closure)
{
    return hpy_response_content(SELF);
}

/* ---- what happened ---- */

static PyObject *
moment(hp_ns t, hp_ns started)
{
    if (t == 0)
        return Py_NewRef(Py_None);
    return PyFloat_FromDouble((double)(t - started) / (double)HP_NS_PER_S);
}

PyObject *
hpy_response_timings(hpy_response *r)
{
    if (r->ex == NULL)
        return hpy_helper_call(r->st, HPY_HELPER_TIMINGS, 0);
    hp_timings t;
    hp_exchange_timings(r->ex, &t);
    const hp_ns moments[] = {t.started,   t.queued,  t.acquired, t.resolved,
                             t.connected, t.secured, t.sent,     t.first_byte,
                             t.head,      t.ended};
    enum {
        N = Py_ARRAY_LENGTH(moments)
    };
    PyObject *args = PyTuple_New(N), *v = NULL;
    for (int i = 0; args != NULL && i < N; i++) {
        PyObject *m = moment(moments[i], t.started);
        if (m == NULL)
            Py_CLEAR(args);
        else
            PyTuple_SET_ITEM(args, i, m);
    }
    PyObject *cls =
        args == NULL ? NULL : hpy_helper_get(r->st, HPY_HELPER_TIMINGS);
    if (cls != NULL)
        v = PyObject_CallObject(cls, args);
    Py_XDECREF(cls);
    Py_XDECREF(args);
    return v;
}

static PyObject *
get_timings(PyObject *op, void *closure)
{
    return hpy_response_timings(SELF);
}

static double
seconds(hp_ns ns)
{
    return (double)ns / (double)HP_NS_PER_S;
}

static PyObject *
get_connection(PyObject *op, void *closure)
{
    hpy_response *r = SELF;
    hp_conn_facts f;
    PyObject *cls = hpy_helper_get(r->st, HPY_HELPER_CONNECTION_INFO);
    if (cls == NULL)
        return NULL;
    if (r->ex == NULL) {
        PyObject *none = PyObject_CallNoArgs(cls);
        Py_DECREF(cls);
        return none;
    }
    hp_exchange_facts(r->ex, &f);
    PyObject *headers = f.proxy_lines.ptr == NULL
                            ? Py_NewRef(Py_None)
                            : hpy_headers_of_block(r->st, f.proxy_lines);
    if (headers == NULL) {
        Py_DECREF(cls);
        return NULL;
    }
    const char *release = f.released ? hp_close_reason_name(f.release) : NULL;
    PyObject *client = PyWeakref_NewRef((PyObject *)r->client, NULL);
    if (client == NULL) {
        Py_DECREF(headers);
        Py_DECREF(cls);
        return NULL;
    }
    PyObject *v = PyObject_CallFunction(
        cls, "KNNddKzzzzzNIzzzNN", (unsigned long long)f.conn_id,
        PyBool_FromLong(f.reused), PyBool_FromLong(f.was_idle),
        seconds(f.idle_time), seconds(f.age), (unsigned long long)f.requests,
        f.remote, f.local, f.tls_version, f.tls_cipher, f.alpn,
        PyBool_FromLong(f.tls_resumed), f.attempts, f.key, release, f.proxy,
        headers, client);
    Py_DECREF(cls);
    return v;
}

static PyObject *
get_trailers(PyObject *op, void *closure)
{
    hpy_response *r = SELF;
    hp_span block = {NULL, 0};
    if (hpy_response_enter(r) < 0)
        return NULL;
    if (r->ex != NULL)
        block = hp_exchange_trailers(r->ex);
    PyObject *v = hpy_headers_of_block(r->st, block);
    hpy_response_leave(r);
    return v;
}

static PyObject *
get_closed(PyObject *op, void *closure)
{
    return PyBool_FromLong(atomic_load(&SELF->closed));
}

static PyObject *
get_raw(PyObject *op, void *closure)
{
    return hpy_raw_new(SELF);
}

#define MADE hpy_response_set_made

PyGetSetDef hpy_response_getset[] = {
    {"status_code", get_status, MADE, "int: 100 to 999.",
     (void *)&hpy_made_status},
    {"status", get_status, MADE, "int: the same as status_code.",
     (void *)&hpy_made_status},
    {"reason", get_reason, MADE, "str: the reason phrase, perhaps empty.",
     (void *)&hpy_made_reason},
    {"reason_phrase", get_reason, MADE, "str: the same as reason.",
     (void *)&hpy_made_reason},
    {"ok", get_status_within, NULL, "bool: below 400.", WITHIN(0, 399)},
    {"is_success", get_status_within, NULL, "bool: 2xx.", WITHIN(200, 299)},
    {"is_error", get_status_within, NULL, "bool: 4xx or 5xx.",
     WITHIN(400, 599)},
    {"is_client_error", get_status_within, NULL, "bool: 4xx.",
     WITHIN(400, 499)},
    {"is_server_error", get_status_within, NULL, "bool: 5xx.",
     WITHIN(500, 599)},
    {"is_informational", get_status_within, NULL, "bool: 1xx.",
     WITHIN(100, 199)},
    {"is_redirect", get_is_redirect, NULL,
     "bool: 301, 302, 303, 307 or 308 with a Location.", NULL},
    {"is_permanent_redirect", get_is_permanent_redirect, NULL,
     "bool: 301 or 308 with a Location.", NULL},
    {"has_redirect_location", get_is_redirect, NULL,
     "bool: the same as is_redirect.", NULL},
    {"next_request", get_next_request, NULL,
     "PreparedRequest that a redirect asks for; None if this is none, or if\n"
     "the body cannot be sent again.",
     NULL},
    {"next", get_next_request, NULL,
     "PreparedRequest or None: the same as next_request.", NULL},
    {"cookies", get_cookies, MADE, "Cookies that this response sets.",
     (void *)&hpy_made_cookies},
    {"url", get_url, MADE, "str: what was asked for.", (void *)&hpy_made_url},
    {"headers", get_headers, MADE, "Headers of the answer.",
     (void *)&hpy_made_headers},
    {"request", get_request, MADE, "Request: method, url, headers, body.",
     (void *)&hpy_made_request},
    {"history", get_history, MADE, "list of the redirects followed.",
     (void *)&hpy_made_history},
    {"attempts", get_attempts, NULL,
     "list of Attempt, the last one included: what `retries` tried; empty\n"
     "where there are none.",
     NULL},
    {"elapsed", get_elapsed, MADE,
     "datetime.timedelta: from the call to the end of the head.",
     (void *)&hpy_made_elapsed},
    {"encoding", hpy_response_get_encoding, hpy_response_set_encoding,
     "str: what was assigned, else the charset of the Content-Type, else the\n"
     "client's default_encoding. Where that is UTF-8 and the content is there\n"
     "and begins with a byte order mark, what the mark says.",
     NULL},
    {"apparent_encoding", get_apparent_encoding, NULL,
     "str: a guess from the content: its byte order mark, UTF-8 if it fits,\n"
     "what chardet or charset_normalizer say if one is installed, else\n"
     "windows-1252.",
     NULL},
    {"charset", hpy_response_get_charset, NULL,
     "str or None: the charset of the Content-Type.", NULL},
    {"http_version", get_http_version, NULL, "str: HTTP/1.1 or HTTP/1.0.",
     NULL},
    {"version", get_version, NULL, "int: 11 or 10.", NULL},
    {"content", get_content, NULL,
     "bytes: the decoded body; read at first use, then kept. Raises what\n"
     "read() raises, and StreamConsumed after a partial read.",
     NULL},
    {"text", hpy_response_get_text, NULL,
     "str: the content decoded; bytes that do not fit become U+FFFD.", NULL},
    {"links", get_links, NULL, "dict: the Link header by rel.", NULL},
    {"timings", get_timings, NULL, "Timings: what happened when.", NULL},
    {"connection", get_connection, NULL,
     "ConnectionInfo: the connection it came on.", NULL},
    {"trailers", get_trailers, NULL,
     "Headers that came after the body; empty before its end.", NULL},
    {"closed", get_closed, NULL, "bool: whether close() was called.", NULL},
    {"raw", get_raw, NULL, "A file of the body before content decoding.", NULL},
    {"_content", hpy_response_get_kept, hpy_response_set_kept,
     "bytes: the content if it has been read, else False; what is assigned\n"
     "takes its place.",
     NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
