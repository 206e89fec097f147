#include "leaks.h"

#include <math.h>

#include "errors.h"

/* ---- the caller's line ---- */

/* Whether the frame runs code of the package hpool. */
static bool
is_ours(PyFrameObject *f)
{
    PyObject *globals = PyFrame_GetGlobals(f), *name = NULL;
    PyObject *key = PyUnicode_InternFromString("__name__");
    bool ours = false;
    if (key != NULL && hpy_dict_get(globals, key, &name) > 0 &&
        PyUnicode_Check(name)) {
        const char *s = PyUnicode_AsUTF8(name);
        ours = s != NULL && strncmp(s, "hpool", 5) == 0 &&
               (s[5] == '\0' || s[5] == '.');
    }
    Py_XDECREF(key);
    Py_XDECREF(name);
    Py_DECREF(globals);
    return ours;
}

static PyObject *
line_of(PyFrameObject *f)
{
    PyObject *code = (PyObject *)PyFrame_GetCode(f);
    PyObject *file = PyObject_GetAttrString(code, "co_filename");
    PyObject *name = PyObject_GetAttrString(code, "co_qualname");
    PyObject *text = NULL, *utf8 = NULL;
    if (file != NULL && name != NULL)
        text = PyUnicode_FromFormat("%U:%d in %U", file,
                                    PyFrame_GetLineNumber(f), name);
    if (text != NULL)
        utf8 = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    Py_DECREF(code);
    Py_XDECREF(file);
    Py_XDECREF(name);
    Py_XDECREF(text);
    return utf8;
}

PyObject *
hpy_caller_line(void)
{
    PyFrameObject *f = PyThreadState_GetFrame(PyThreadState_Get());
    while (f != NULL && is_ours(f)) {
        PyFrameObject *outer = PyFrame_GetBack(f);
        Py_DECREF(f);
        f = outer;
    }
    PyObject *line = f == NULL ? NULL : line_of(f);
    Py_XDECREF(f);
    if (PyErr_Occurred()) /* a request does not fail for its line */
        PyErr_Clear();
    return line;
}

int
hpy_arg_leak_warnings(hpy_client *c, PyObject *v)
{
    c->leak_lines = false;
    if (v != NULL && PyUnicode_Check(v)) {
        c->leak_warnings = c->leak_lines = true;
        if (PyUnicode_CompareWithASCIIString(v, "trace") == 0)
            return 0;
        return hpy_raise_argument(
            c->st, "leak_warnings takes True, False or \"trace\"");
    }
    if (!hpy_given(v) || PyBool_Check(v)) {
        c->leak_warnings = v != Py_False;
        return 0;
    }
    PyErr_Format(PyExc_TypeError,
                 "leak_warnings must be True, False or \"trace\", not %s",
                 Py_TYPE(v)->tp_name);
    return -1;
}

/* ---- rows ---- */

static PyObject *
words_of(hp_span s)
{
    return PyUnicode_DecodeUTF8(s.ptr, (Py_ssize_t)s.len, "replace");
}

/* Through a proxy that leads to any host the key has none. */
static PyObject *
key_of(const hp_holder *h)
{
    PyObject *key = hpy_str_of_span(h->key), *address, *both;
    if (key == NULL || h->key.len == 0 || h->key.ptr[h->key.len - 1] != '|')
        return key;
    address = hpy_str_of_span(h->address);
    both = address == NULL ? NULL : PyUnicode_Concat(key, address);
    Py_XDECREF(address);
    Py_DECREF(key);
    return both;
}

static PyObject *
row(const hp_holder *h)
{
    return Py_BuildValue("(LNNNsNK)", (long long)h->since, key_of(h),
                         hpy_str_of_span(h->method), hpy_str_of_span(h->path),
                         hp_holding_name(h->phase), words_of(h->site),
                         (unsigned long long)h->conn_id);
}

/* A response is out, and its body has not ended. */
static bool
is_response(const hp_holder *h)
{
    return h->phase >= HP_HOLDING_BODY_UNREAD && !h->whole;
}

static PyObject *
rows_of(const hp_holders *all, hp_ns until)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < all->n; i++) {
        const hp_holder *h = &all->at[i];
        if (!is_response(h) || h->since > until)
            continue;
        PyObject *one = row(h);
        if (one == NULL || PyList_Append(list, one) < 0)
            Py_CLEAR(list);
        Py_XDECREF(one);
    }
    return list;
}

/* `all` is taken. */
static PyObject *
rows_until(hp_holders *all, hp_ns until)
{
    if (all == NULL)
        return PyErr_NoMemory();
    PyObject *list = rows_of(all, until);
    hp_holders_free(all);
    return list;
}

enum {
    OLDER_THAN = 30 /* seconds, of a Client.leaks() without an argument */
};

static int
parse_older_than(hpy_state *st, PyObject *v, double *seconds)
{
    *seconds = v == NULL ? OLDER_THAN : PyFloat_AsDouble(v);
    if (*seconds == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_TypeError,
                         "older_than must be a number of seconds, not %s",
                         Py_TYPE(v)->tp_name);
        }
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return -1;
        PyErr_Clear();
        return hpy_raise_argument(
            st, "older_than takes seconds, not an int so large");
    }
    if (isnan(*seconds) || *seconds < 0)
        return hpy_raise_argument(st, "older_than takes seconds from 0 up");
    return 0;
}

PyObject *
hpy_leaks(hpy_state *st, hp_transport *t, PyObject *older_than)
{
    double seconds;
    if (parse_older_than(st, older_than, &seconds) < 0)
        return NULL;
    hp_holders *all = hp_transport_holders(t);
    hp_ns now = hp_clock_now();
    double ns = seconds * HP_NS_PER_S;
    PyObject *list = rows_until(all, ns < (double)now ? now - (hp_ns)ns : -1);
    PyObject *when = list == NULL ? NULL : PyLong_FromLongLong(now);
    PyObject *leaks = NULL;
    if (when != NULL)
        leaks = hpy_helper_call(st, HPY_HELPER_MAKE_LEAKS, 2, when, list);
    Py_XDECREF(list);
    Py_XDECREF(when);
    return leaks;
}

PyObject *
hpy_open_responses(void)
{
    return rows_until(hp_process_holders(), HP_NEVER);
}

/* ---- collected ---- */

PyObject *
hpy_watch_leaks(hpy_state *st, PyObject *sink)
{
    if (sink != Py_None && !PyList_CheckExact(sink)) {
        PyErr_Format(PyExc_TypeError, "sink must be a list or None, not %s",
                     Py_TYPE(sink)->tp_name);
        return NULL;
    }
    hpy_lock(&st->lock);
    PyObject *before = st->leak_sink;
    st->leak_sink = sink == Py_None ? NULL : Py_NewRef(sink);
    atomic_store(&st->leaks_watched, st->leak_sink != NULL);
    hpy_unlock(&st->lock);
    return before == NULL ? Py_NewRef(Py_None) : before;
}

/* "GET http://a.test/x": no userinfo, no query. */
static PyObject *
request_words(hpy_response *r)
{
    const char *url = PyUnicode_AsUTF8(r->url);
    if (url == NULL)
        return NULL;
    const char *host = strstr(url, "://");
    host = host == NULL ? url : host + 3;
    size_t authority = strcspn(host, "/?#");
    const char *rest = host;
    for (size_t i = 0; i < authority; i++) {
        if (host[i] == '@')
            rest = host + i + 1;
    }
    PyObject *before = words_of(hp_span_of(url, (size_t)(host - url)));
    PyObject *after = words_of(hp_span_of(rest, strcspn(rest, "?#")));
    PyObject *words = NULL;
    if (before != NULL && after != NULL)
        words = PyUnicode_FromFormat("%U %U%U", r->method, before, after);
    Py_XDECREF(before);
    Py_XDECREF(after);
    return words;
}

static PyObject *
leak_words(hpy_response *r, hp_span site)
{
    PyObject *request = request_words(r), *line = words_of(site);
    PyObject *words = NULL;
    bool known = site.len > 0;
    if (request != NULL && line != NULL)
        words = PyUnicode_FromFormat(
            "unclosed <Response [%d]> %U%s%U: use `with client.get(...) as r:` "
            "or read it to its end%s",
            r->status, request, known ? ", made at " : "", line,
            known ? "" : " (leak_warnings=\"trace\" names the line)");
    Py_XDECREF(request);
    Py_XDECREF(line);
    return words;
}

static int
tell(PyObject *sink, const hp_holder *h, PyObject *words)
{
    PyObject *one = row(h);
    PyObject *pair = one == NULL ? NULL : PyTuple_Pack(2, one, words);
    int rc = pair == NULL ? -1 : PyList_Append(sink, pair);
    Py_XDECREF(one);
    Py_XDECREF(pair);
    return rc;
}

static int
report(hpy_response *r, const hp_holder *h, PyObject *words)
{
    PyObject *sink = hpy_slot_get(&r->st->lock, &r->st->leak_sink);
    int rc = 0;
    if (sink != NULL)
        rc = tell(sink, h, r->client->leak_warnings ? words : Py_None);
    else if (r->client->leak_warnings)
        rc = PyErr_ResourceWarning((PyObject *)r, 1, "%U", words);
    Py_XDECREF(sink);
    return rc;
}

void
hpy_leak_collected(hpy_response *r)
{
    hp_holder h = {0};
    hp_exchange_holder(r->ex, &h);
    PyObject *words = leak_words(r, h.site);
    if (words == NULL || report(r, &h, words) < 0)
        PyErr_WriteUnraisable((PyObject *)r);
    Py_XDECREF(words);
}
