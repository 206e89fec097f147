/* Response: its bytes as text. */
#include "response.h"

#define SELF ((hpy_response *)op)

/* ---- charset ---- */

PyObject *
hpy_response_get_charset(PyObject *op, void *closure)
{
    PyObject *headers = hpy_response_headers(SELF);
    if (headers == NULL)
        return NULL;
    hp_span type = hpy_headers_find(headers, HP_SPAN_LIT("Content-Type"));
    PyObject *value =
        type.ptr == NULL ? Py_NewRef(Py_None) : hpy_str_of_span(type);
    Py_DECREF(headers);
    if (value == NULL || value == Py_None)
        return value;
    PyObject *v = hpy_helper_call(SELF->st, HPY_HELPER_CHARSET, 1, value);
    Py_DECREF(value);
    return v;
}

static bool
is_utf8(PyObject *encoding)
{
    const char *s = PyUnicode_AsUTF8(encoding);
    if (s == NULL) {
        PyErr_Clear();
        return false;
    }
    hp_span name = hp_span_cstr(s);
    return hp_span_eq_nocase(name, HP_SPAN_LIT("utf-8")) ||
           hp_span_eq_nocase(name, HP_SPAN_LIT("utf8"));
}

/* ---- nobody said ---- */

/* The codec for bytes with a byte order mark, NULL without one. UTF-32 comes
 * first: its mark begins as that of UTF-16 does. */
static const char *
marked(PyObject *start)
{
    static const struct {
        hp_span mark;
        const char *codec;
    } marks[] = {
        {{"\xff\xfe\0\0", 4}, "utf-32"},    {{"\0\0\xfe\xff", 4}, "utf-32"},
        {{"\xef\xbb\xbf", 3}, "utf-8-sig"}, {{"\xff\xfe", 2}, "utf-16"},
        {{"\xfe\xff", 2}, "utf-16"},
    };
    size_t n = (size_t)PyBytes_GET_SIZE(start);
    for (size_t i = 0; i < Py_ARRAY_LENGTH(marks); i++) {
        hp_span m = marks[i].mark;
        if (n >= m.len && memcmp(PyBytes_AS_STRING(start), m.ptr, m.len) == 0)
            return marks[i].codec;
    }
    return NULL;
}

/* What a default_encoding function says of these bytes. None, as detectors
 * say when they do not know, is UTF-8. */
static PyObject *
ask(PyObject *function, PyObject *start)
{
    PyObject *v = PyObject_CallOneArg(function, start);
    if (v == Py_None) {
        Py_DECREF(v);
        return PyUnicode_FromString("utf-8");
    }
    if (v != NULL && !PyUnicode_Check(v)) {
        PyErr_Format(PyExc_TypeError,
                     "default_encoding must return a str or None, not %s",
                     Py_TYPE(v)->tp_name);
        Py_CLEAR(v);
    }
    return v;
}

/* The client's default for bytes that begin so. start: NULL if they are not
 * there. */
static PyObject *
default_encoding(hpy_response *r, PyObject *start)
{
    PyObject *v = r->client == NULL ? NULL : r->client->default_encoding;
    if (v != NULL && !PyUnicode_Check(v))
        return ask(v, start);
    const char *codec = NULL;
    if (start != NULL && (v == NULL || is_utf8(v)))
        codec = marked(start);
    if (codec == NULL && v != NULL)
        return Py_NewRef(v);
    return PyUnicode_FromString(codec == NULL ? "utf-8" : codec);
}

/* What was assigned or declared; None for neither. */
static PyObject *
said_encoding(hpy_response *r)
{
    PyObject *v = hpy_slot_get(&r->lock, &r->encoding);
    return v != NULL ? v : hpy_response_get_charset((PyObject *)r, NULL);
}

static bool
default_is_function(hpy_response *r)
{
    return r->client != NULL && r->client->default_encoding != NULL &&
           !PyUnicode_Check(r->client->default_encoding);
}

PyObject *
hpy_response_encoding_of(hpy_response *r, PyObject *start)
{
    PyObject *v = said_encoding(r);
    if (v != Py_None)
        return v;
    Py_DECREF(v);
    return default_encoding(r, start);
}

/* ---- attributes ---- */

PyObject *
hpy_response_get_encoding(PyObject *op, void *closure)
{
    hpy_response *r = SELF;
    PyObject *v = said_encoding(r), *content;
    if (v != Py_None)
        return v;
    Py_DECREF(v);
    if (default_is_function(r)) {
        content = hpy_response_content(r);
        if (content == NULL)
            return NULL;
    } else {
        content = hpy_response_cached(r);
    }
    v = default_encoding(r, content);
    Py_XDECREF(content);
    return v;
}

int
hpy_response_set_encoding(PyObject *op, PyObject *value, void *closure)
{
    hpy_response *r = SELF;
    if (hpy_given(value) && !PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "encoding must be a str or None, not %s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    PyObject *v = hpy_given(value) ? Py_NewRef(value) : NULL;
    hpy_lock(&r->lock);
    PyObject *old = r->encoding;
    r->encoding = v;
    hpy_unlock(&r->lock);
    Py_XDECREF(old);
    return 0;
}

PyObject *
hpy_response_get_text(PyObject *op, void *closure)
{
    hpy_response *r = SELF;
    PyObject *content = hpy_response_content(r);
    PyObject *encoding =
        content == NULL ? NULL : hpy_response_encoding_of(r, content);
    PyObject *v = NULL;
    if (encoding != NULL && is_utf8(encoding))
        v = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(content),
                                 PyBytes_GET_SIZE(content), "replace");
    else if (encoding != NULL)
        v = hpy_helper_call(r->st, HPY_HELPER_DECODE, 2, content, encoding);
    Py_XDECREF(content);
    Py_XDECREF(encoding);
    return v;
}
