/* The type Headers: an immutable, case-insensitive mapping over field lines.
 *
 * The lines are one bytes object, as the head parser accepted them; nothing is
 * split or decoded before it is asked for. Look-ups walk the lines: there are
 * few, and most responses are asked for one or two. */
#include "errors.h"
#include "response.h"

typedef struct headers {
    PyObject_HEAD hpy_state *st;
    PyObject *block; /* bytes: "Name: value\r\n" ... */
} headers;

#define BLOCK(op) hpy_span_of_bytes(((headers *)(op))->block)

/* ---- birth ---- */

/* Takes `block`, which may be NULL with an exception. */
static PyObject *
headers_of_bytes(hpy_state *st, PyObject *block)
{
    if (block == NULL)
        return NULL;
    headers *self = (headers *)PyType_GenericAlloc(st->headers_type, 0);
    if (self == NULL) {
        Py_DECREF(block);
        return NULL;
    }
    self->st = st;
    self->block = block;
    return (PyObject *)self;
}

PyObject *
hpy_headers_of_block(hpy_state *st, hp_span block)
{
    return headers_of_bytes(st, hpy_bytes_of_span(block));
}

static bool
fits_on_line(const hp_field *f)
{
    const hp_span parts[] = {f->name, f->value};
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < parts[i].len; k++) {
            char c = parts[i].ptr[k];
            if (c == '\r' || c == '\n' || c == '\0' || (c == ':' && i == 0))
                return false;
        }
    }
    return f->name.len > 0;
}

static char *
put_span(char *to, hp_span s)
{
    if (s.len > 0)
        memcpy(to, s.ptr, s.len);
    return to + s.len;
}

PyObject *
hpy_headers_of_fields(hpy_state *st, const hp_field *at, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        if (fits_on_line(&at[i]))
            size += at[i].name.len + at[i].value.len + 4;
    }
    PyObject *block = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    char *to = block == NULL ? NULL : PyBytes_AS_STRING(block);
    for (size_t i = 0; block != NULL && i < n; i++) {
        if (!fits_on_line(&at[i]))
            continue;
        to = put_span(to, at[i].name);
        to = put_span(to, HP_SPAN_LIT(": "));
        to = put_span(to, at[i].value);
        to = put_span(to, HP_SPAN_LIT("\r\n"));
    }
    return headers_of_bytes(st, block);
}

static int
check_fields(hpy_state *st, const hpy_fields *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (fits_on_line(&f->at[i]))
            continue;
        hpy_raise_text(st, NULL, HP_E_INVALID_HEADER,
                       "header %zu has an empty name, or a colon or a control "
                       "character where none may be",
                       i + 1);
        return -1;
    }
    return 0;
}

static PyObject *
headers_of_object(hpy_state *st, PyObject *v)
{
    PyObject *pairs = hpy_header_pairs(st, v), *out = NULL;
    if (pairs == NULL)
        return NULL;
    hpy_fields f;
    hpy_fields_init(&f);
    if (hpy_fields_merge(st, &f, NULL, 0, pairs) == 0 &&
        check_fields(st, &f) == 0)
        out = hpy_headers_of_fields(st, f.at, f.n);
    hpy_fields_clear(&f);
    Py_DECREF(pairs);
    return out;
}

static PyObject *
headers_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"headers", NULL};
    PyObject *v = NULL, *module = PyType_GetModuleByDef(type, &hpy_module_def);
    if (module == NULL ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Headers", names, &v))
        return NULL;
    hpy_state *st = PyModule_GetState(module);
    if (!hpy_given(v))
        return hpy_headers_of_fields(st, NULL, 0);
    return headers_of_object(st, v);
}

static int
headers_traverse(PyObject *op, visitproc visit, void *arg)
{
    HPY_VISIT_TYPE(op);
    return 0;
}

static void
headers_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_XDECREF(((headers *)op)->block);
    type->tp_free(op);
    Py_DECREF(type);
}

/* ---- looking up ---- */

hp_span
hpy_headers_find(PyObject *op, hp_span name)
{
    hp_field f;
    for (hp_span rest = BLOCK(op); hp_field_next(&rest, &f);) {
        if (hp_span_eq_nocase(f.name, name))
            return f.value;
    }
    return (hp_span){NULL, 0};
}

/* The name as bytes are compared; false for what cannot be a name. */
static bool
name_span(PyObject *key, hp_span *out)
{
    Py_ssize_t n;
    if (PyBytes_Check(key)) {
        *out = hpy_span_of_bytes(key);
        return true;
    }
    if (!PyUnicode_Check(key) || !hpy_str_is_ascii(key))
        return false;
    const char *p = PyUnicode_AsUTF8AndSize(key, &n);
    *out = hp_span_of(p, (size_t)n);
    return p != NULL;
}

/* All values of that name joined by ", "; NULL without an exception when there
 * is none. */
static PyObject *
joined(PyObject *op, hp_span name)
{
    PyObject *v = NULL;
    hp_field f;
    for (hp_span rest = BLOCK(op); hp_field_next(&rest, &f);) {
        if (!hp_span_eq_nocase(f.name, name))
            continue;
        PyObject *value = hpy_str_of_span(f.value);
        if (value == NULL || v == NULL) {
            Py_XSETREF(v, value);
        } else {
            Py_SETREF(v, PyUnicode_FromFormat("%U, %U", v, value));
            Py_DECREF(value);
        }
        if (v == NULL)
            return NULL;
    }
    return v;
}

static PyObject *
headers_getitem(PyObject *op, PyObject *key)
{
    hp_span name;
    PyObject *v = name_span(key, &name) ? joined(op, name) : NULL;
    if (v == NULL && !PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, key);
    return v;
}

static PyObject *
headers_get(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name", "default", NULL};
    PyObject *key, *fallback = Py_None, *v = NULL;
    hp_span name;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get", names, &key,
                                     &fallback))
        return NULL;
    if (name_span(key, &name))
        v = joined(op, name);
    return v == NULL && !PyErr_Occurred() ? Py_NewRef(fallback) : v;
}

static int
headers_contains(PyObject *op, PyObject *key)
{
    hp_span name;
    return name_span(key, &name) && hpy_headers_find(op, name).ptr != NULL;
}

/* ---- as lists ---- */

/* Takes `item`, which may be NULL with an exception. */
static int
append(PyObject *list, PyObject *item)
{
    int rc = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(item);
    return rc;
}

typedef PyObject *(*make_item)(const hp_field *f);

static PyObject *
item_str(const hp_field *f)
{
    return Py_BuildValue("(NN)", hpy_str_of_span(f->name),
                         hpy_str_of_span(f->value));
}

static PyObject *
item_bytes(const hp_field *f)
{
    return Py_BuildValue("(NN)", hpy_bytes_of_span(f->name),
                         hpy_bytes_of_span(f->value));
}

static PyObject *
list_fields(PyObject *op, make_item make)
{
    PyObject *list = PyList_New(0);
    hp_field f;
    hp_span rest = BLOCK(op);
    while (list != NULL && hp_field_next(&rest, &f)) {
        if (append(list, make(&f)) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *
headers_multi_items(PyObject *op, PyObject *unused)
{
    return list_fields(op, item_str);
}

static PyObject *
get_raw(PyObject *op, void *closure)
{
    return list_fields(op, item_bytes);
}

static PyObject *
headers_get_list(PyObject *op, PyObject *key)
{
    hp_span name, rest = BLOCK(op);
    hp_field f;
    PyObject *list = PyList_New(0);
    if (list == NULL || !name_span(key, &name))
        return list;
    while (list != NULL && hp_field_next(&rest, &f)) {
        if (hp_span_eq_nocase(f.name, name) &&
            append(list, hpy_str_of_span(f.value)) < 0)
            Py_CLEAR(list);
    }
    return list;
}

/* Whether the field that ends where `rest` begins is the first of its name. */
static bool
is_first(PyObject *op, const hp_field *f)
{
    hp_field other;
    for (hp_span rest = BLOCK(op); hp_field_next(&rest, &other);) {
        if (hp_span_eq_nocase(other.name, f->name))
            return other.name.ptr == f->name.ptr;
    }
    return true;
}

/* Each name once, as first written. */
static PyObject *
list_names(PyObject *op)
{
    PyObject *list = PyList_New(0);
    hp_field f;
    hp_span rest = BLOCK(op);
    while (list != NULL && hp_field_next(&rest, &f)) {
        if (is_first(op, &f) && append(list, hpy_str_of_span(f.name)) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static Py_ssize_t
headers_len(PyObject *op)
{
    Py_ssize_t n = 0;
    hp_field f;
    for (hp_span rest = BLOCK(op); hp_field_next(&rest, &f);)
        n += is_first(op, &f);
    return n;
}

static PyObject *
headers_iter(PyObject *op)
{
    PyObject *names = list_names(op);
    PyObject *it = names == NULL ? NULL : PyObject_GetIter(names);
    Py_XDECREF(names);
    return it;
}

static PyObject *
headers_keys(PyObject *op, PyObject *unused)
{
    return hpy_helper_call(((headers *)op)->st, HPY_HELPER_KEYS_VIEW, 1, op);
}

static PyObject *
headers_values(PyObject *op, PyObject *unused)
{
    return hpy_helper_call(((headers *)op)->st, HPY_HELPER_VALUES_VIEW, 1, op);
}

static PyObject *
headers_items(PyObject *op, PyObject *unused)
{
    return hpy_helper_call(((headers *)op)->st, HPY_HELPER_ITEMS_VIEW, 1, op);
}

/* ---- comparing and showing ---- */

static int
add_lower(PyObject *dict, PyObject *name, PyObject *value)
{
    PyObject *lower = PyObject_CallMethod(name, "lower", NULL);
    int rc = lower == NULL ? -1 : PyDict_SetItem(dict, lower, value);
    Py_XDECREF(lower);
    return rc;
}

/* {lower-case name: joined value} of any mapping. */
static PyObject *
lower_dict(PyObject *mapping)
{
    PyObject *items = PyMapping_Items(mapping), *out = PyDict_New();
    Py_ssize_t n = items == NULL ? 0 : PyList_GET_SIZE(items);
    if (items == NULL)
        Py_CLEAR(out);
    for (Py_ssize_t i = 0; out != NULL && i < n; i++) {
        PyObject *name, *value;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(items, i), "OO", &name, &value) ||
            add_lower(out, name, value) < 0)
            Py_CLEAR(out);
    }
    Py_XDECREF(items);
    return out;
}

/* Classes say so by a flag, those registered with collections.abc too. */
static bool
is_mapping(PyObject *v)
{
    return PyType_HasFeature(Py_TYPE(v), Py_TPFLAGS_MAPPING);
}

static PyObject *
headers_richcompare(PyObject *a, PyObject *b, int op)
{
    PyObject *out = NULL;
    if ((op != Py_EQ && op != Py_NE) || !is_mapping(b))
        Py_RETURN_NOTIMPLEMENTED;
    PyObject *left = lower_dict(a), *right = lower_dict(b);
    if (left != NULL && right != NULL)
        out = PyObject_RichCompare(left, right, op);
    Py_XDECREF(left);
    Py_XDECREF(right);
    return out;
}

static PyObject *
headers_repr(PyObject *op)
{
    PyObject *items = headers_multi_items(op, NULL);
    PyObject *v = NULL;
    if (items != NULL)
        v = PyUnicode_FromFormat("Headers(%R)", items);
    Py_XDECREF(items);
    return v;
}

static PyObject *
headers_copy(PyObject *op, PyObject *unused)
{
    return Py_NewRef(op);
}

static PyObject *
headers_reduce(PyObject *op, PyObject *unused)
{
    PyObject *raw = get_raw(op, NULL);
    return raw == NULL ? NULL : Py_BuildValue("(O(N))", Py_TYPE(op), raw);
}

PyDoc_STRVAR(headers_doc, "Headers(headers=None)\n--\n\n\
An immutable mapping of header fields: case-insensitive, in order, with the\n\
case they came in. Repeated fields are joined with ', ' by the mapping and\n\
kept apart by get_list(), multi_items() and raw. Values are str (latin-1).");

PyDoc_STRVAR(get_doc, "get($self, /, name, default=None)\n--\n\n\
The value of that name, repeated ones joined, or the default.");
PyDoc_STRVAR(get_list_doc, "get_list($self, name, /)\n--\n\n\
The values of all fields of that name, apart; [] if there is none.");
PyDoc_STRVAR(getlist_doc, "getlist($self, name, /)\n--\n\n\
The same as get_list().");
PyDoc_STRVAR(get_all_doc, "get_all($self, name, /)\n--\n\n\
The same as get_list().");
PyDoc_STRVAR(multi_items_doc, "multi_items($self, /)\n--\n\n\
All fields as a list of (name, value), repeated ones apart.");
PyDoc_STRVAR(keys_doc, "keys($self, /)\n--\n\nA view of the names.");
PyDoc_STRVAR(values_doc, "values($self, /)\n--\n\nA view of the values.");
PyDoc_STRVAR(items_doc, "items($self, /)\n--\n\n\
A view of (name, value), repeated fields joined.");
PyDoc_STRVAR(copy_doc, "copy($self, /)\n--\n\nItself: it never changes.");

static PyMethodDef headers_methods[] = {
    {"get", (PyCFunction)(void (*)(void))headers_get,
     METH_VARARGS | METH_KEYWORDS, get_doc},
    {"get_list", headers_get_list, METH_O, get_list_doc},
    {"getlist", headers_get_list, METH_O, getlist_doc},
    {"get_all", headers_get_list, METH_O, get_all_doc},
    {"multi_items", headers_multi_items, METH_NOARGS, multi_items_doc},
    {"keys", headers_keys, METH_NOARGS, keys_doc},
    {"values", headers_values, METH_NOARGS, values_doc},
    {"items", headers_items, METH_NOARGS, items_doc},
    {"copy", headers_copy, METH_NOARGS, copy_doc},
    {"__reduce__", headers_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef headers_getset[] = {
    {"raw", get_raw, NULL, "list of (bytes, bytes): the fields as they came.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot headers_slots[] = {
    {Py_tp_doc, (void *)headers_doc},
    {Py_tp_new, headers_new},
    {Py_tp_dealloc, headers_dealloc},
    {Py_tp_traverse, headers_traverse},
    {Py_tp_repr, headers_repr},
    {Py_tp_richcompare, headers_richcompare},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_iter, headers_iter},
    {Py_mp_length, headers_len},
    {Py_mp_subscript, headers_getitem},
    {Py_sq_contains, headers_contains},
    {Py_tp_methods, headers_methods},
    {Py_tp_getset, headers_getset},
    {0, NULL},
};

PyType_Spec hpy_headers_spec = {
    .name = "hpool.Headers",
    .basicsize = sizeof(headers),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_MAPPING |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = headers_slots,
};
