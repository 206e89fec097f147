#include "fields.h"

#include "errors.h"

void
hpy_fields_init(hpy_fields *f)
{
    f->at = f->inlined;
    f->n = 0;
    f->cap = HPY_FIELDS_INLINE;
    f->keep = NULL;
}

void
hpy_fields_clear(hpy_fields *f)
{
    if (f->at != f->inlined)
        PyMem_Free(f->at);
    Py_CLEAR(f->keep);
    hpy_fields_init(f);
}

static int
grow(hpy_fields *f)
{
    size_t cap = 2 * f->cap;
    hp_field *at = f->at == f->inlined ? NULL : f->at;
    at = PyMem_Realloc(at, cap * sizeof *at);
    if (at == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (f->at == f->inlined)
        memcpy(at, f->inlined, f->n * sizeof *at);
    f->at = at;
    f->cap = cap;
    return 0;
}

int
hpy_fields_add(hpy_fields *f, hp_span name, hp_span value)
{
    if (f->n == f->cap && grow(f) < 0)
        return -1;
    f->at[f->n++] = (hp_field){name, value};
    return 0;
}

/* Takes `bytes`. */
static int
keep(hpy_fields *f, PyObject *bytes)
{
    int rc = -1;
    if (f->keep == NULL)
        f->keep = PyList_New(0);
    if (f->keep != NULL)
        rc = PyList_Append(f->keep, bytes);
    Py_DECREF(bytes);
    return rc;
}

/* ---- from Python ---- */

static int
latin1_span(hpy_state *st, hpy_fields *f, PyObject *v, const char *what,
            PyObject *name, hp_span *out)
{
    PyObject *b = PyUnicode_AsLatin1String(v);
    if (b == NULL) {
        PyErr_Clear();
        PyObject *shown = PyObject_ASCII(name);
        const char *words = shown ? PyUnicode_AsUTF8(shown) : NULL;
        if (words != NULL)
            hpy_raise_text(st, NULL, HP_E_INVALID_HEADER,
                           "the %s of header %.120s is not latin-1; encode it "
                           "to bytes to send something else",
                           what, words);
        Py_XDECREF(shown);
        return -1;
    }
    *out = hpy_span_of_bytes(b);
    return keep(f, b);
}

static int
text_span(hpy_state *st, hpy_fields *f, PyObject *v, const char *what,
          PyObject *name, hp_span *out)
{
    if (PyBytes_Check(v)) {
        *out = hpy_span_of_bytes(v);
        return 0;
    }
    if (!PyUnicode_Check(v)) {
        PyErr_Format(PyExc_TypeError,
                     "the %s of header %A must be str or bytes, not %s", what,
                     name, Py_TYPE(v)->tp_name);
        return -1;
    }
    if (!hpy_str_is_ascii(v))
        return latin1_span(st, f, v, what, name, out);
    Py_ssize_t n;
    const char *p = PyUnicode_AsUTF8AndSize(v, &n);
    *out = hp_span_of(p, (size_t)n);
    return p == NULL ? -1 : 0;
}

/* A NULL value pointer stands for None. */
static int
add_pair(hpy_state *st, hpy_fields *f, PyObject *pair)
{
    hp_span name, value = {NULL, 0};
    PyObject *k = PyTuple_GET_ITEM(pair, 0), *v = PyTuple_GET_ITEM(pair, 1);
    if (text_span(st, f, k, "name", k, &name) < 0)
        return -1;
    if (v != Py_None && text_span(st, f, v, "value", k, &value) < 0)
        return -1;
    return hpy_fields_add(f, name, value);
}

static PyObject *
list_of_items(PyObject *headers)
{
    if (PyDict_Check(headers))
        return PyDict_Items(headers);
    if (PyUnicode_Check(headers) || PyBytes_Check(headers)) {
        PyErr_Format(PyExc_TypeError,
                     "headers must be a mapping or pairs, not %s",
                     Py_TYPE(headers)->tp_name);
        return NULL;
    }
    PyObject *items = PyObject_GetAttrString(headers, "items");
    if (items == NULL) {
        PyErr_Clear();
        return PySequence_List(headers);
    }
    Py_DECREF(items);
    items = PyMapping_Items(headers);
    return items;
}

/* Replaces each item of our own list by a tuple of two. */
static int
make_pairs(PyObject *list)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *item = PyList_GET_ITEM(list, i);
        if (PyTuple_CheckExact(item) && PyTuple_GET_SIZE(item) == 2)
            continue;
        bool text = PyUnicode_Check(item) || PyBytes_Check(item);
        PyObject *pair = text ? NULL : PySequence_Tuple(item);
        if (pair == NULL || PyTuple_GET_SIZE(pair) != 2) {
            Py_XDECREF(pair);
            PyErr_SetString(PyExc_TypeError,
                            "headers must be a mapping or an iterable of "
                            "(name, value) pairs");
            return -1;
        }
        PyList_SetItem(list, i, pair);
    }
    return 0;
}

PyObject *
hpy_header_pairs(hpy_state *st, PyObject *headers)
{
    if (Py_IS_TYPE(headers, st->headers_type)) {
        /* The list forms: Set-Cookie must not be joined. */
        PyObject *raw = PyObject_GetAttrString(headers, "raw");
        return raw;
    }
    PyObject *list = list_of_items(headers);
    if (list == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(PyExc_TypeError,
                         "headers must be a mapping or an iterable of (name, "
                         "value) pairs, not %s",
                         Py_TYPE(headers)->tp_name);
        return NULL;
    }
    if (make_pairs(list) < 0)
        Py_CLEAR(list);
    return list;
}

/* {NULL, 0} for what cannot be a name; it is refused when it is merged. */
static hp_span
pair_name(PyObject *pair)
{
    PyObject *k = PyTuple_GET_ITEM(pair, 0);
    Py_ssize_t n;
    if (PyBytes_Check(k))
        return hpy_span_of_bytes(k);
    if (!PyUnicode_Check(k) || !hpy_str_is_ascii(k))
        return (hp_span){NULL, 0};
    const char *p = PyUnicode_AsUTF8AndSize(k, &n);
    return hp_span_of(p, p == NULL ? 0 : (size_t)n);
}

static int
drop_name(PyObject *list, hp_span name)
{
    for (Py_ssize_t i = PyList_GET_SIZE(list); i-- > 0;) {
        hp_span own = pair_name(PyList_GET_ITEM(list, i));
        if (own.ptr != NULL && hp_span_eq_nocase(own, name) &&
            PyList_SetSlice(list, i, i + 1, NULL) < 0)
            return -1;
    }
    return 0;
}

int
hpy_header_pairs_replace(PyObject *list, PyObject *others)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(others); i++) {
        if (drop_name(list, pair_name(PyList_GET_ITEM(others, i))) < 0)
            return -1;
    }
    Py_ssize_t end = PyList_GET_SIZE(list);
    return PyList_SetSlice(list, end, end, others);
}

/* ---- merging ---- */

bool
hpy_fields_has(const hp_field *at, size_t n, hp_span name)
{
    for (size_t i = 0; i < n; i++) {
        if (hp_span_eq_nocase(at[i].name, name))
            return true;
    }
    return false;
}

static int
merge_own(hpy_fields *f, hpy_fields *own, const hp_field *defaults, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!hpy_fields_has(own->at, own->n, defaults[i].name) &&
            hpy_fields_add(f, defaults[i].name, defaults[i].value) < 0)
            return -1;
    }
    for (size_t i = 0; i < own->n; i++) {
        if (own->at[i].value.ptr != NULL &&
            hpy_fields_add(f, own->at[i].name, own->at[i].value) < 0)
            return -1;
    }
    return own->keep == NULL ? 0 : keep(f, Py_NewRef(own->keep));
}

int
hpy_fields_merge(hpy_state *st, hpy_fields *f, const hp_field *defaults,
                 size_t n_defaults, PyObject *pairs)
{
    hpy_fields own;
    hpy_fields_init(&own);
    int rc = 0;
    Py_ssize_t n = pairs == NULL ? 0 : PyList_GET_SIZE(pairs);
    for (Py_ssize_t i = 0; i < n && rc == 0; i++)
        rc = add_pair(st, &own, PyList_GET_ITEM(pairs, i));
    if (rc == 0)
        rc = merge_own(f, &own, defaults, n_defaults);
    hpy_fields_clear(&own);
    return rc;
}

void
hpy_fields_drop_value(hpy_fields *f, const char *value_ptr)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (f->at[i].value.ptr != value_ptr)
            f->at[kept++] = f->at[i];
    }
    f->n = kept;
}

PyObject *
hpy_fields_tuple(const hp_field *at, size_t n)
{
    PyObject *t = PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; t != NULL && i < n; i++) {
        PyObject *pair =
            Py_BuildValue("(y#y#)", at[i].name.ptr, (Py_ssize_t)at[i].name.len,
                          at[i].value.ptr, (Py_ssize_t)at[i].value.len);
        if (pair == NULL)
            Py_CLEAR(t);
        else
            PyTuple_SET_ITEM(t, (Py_ssize_t)i, pair);
    }
    return t;
}
