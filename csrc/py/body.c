#include "body.h"

#include "args.h"
#include "errors.h"

/* ---- which argument ---- */

static int
refuse_two(const char *a, const char *b)
{
    PyErr_Format(PyExc_TypeError, "%s and %s cannot be given together", a, b);
    return -1;
}

/* As in requests, data that is empty gives way to json. Not for bytes and str,
 * which are a body of no length. */
static int
is_empty_form(PyObject *data)
{
    if (!hpy_given(data) ||
        !(PyDict_Check(data) || PyList_Check(data) || PyTuple_Check(data)))
        return 0;
    return PyObject_Size(data) == 0;
}

static int
check_one(PyObject *data, PyObject *content, PyObject *json)
{
    if (hpy_given(data) && hpy_given(content))
        return refuse_two("data", "content");
    if (hpy_given(json) && hpy_given(data) && !is_empty_form(data))
        return refuse_two("json", "data");
    if (hpy_given(json) && hpy_given(content))
        return refuse_two("json", "content");
    return 0;
}

static bool
is_plain(PyObject *v)
{
    return PyBytes_Check(v) || PyUnicode_Check(v) || PyObject_CheckBuffer(v);
}

static int
take_json(hpy_state *st, hpy_body *b, PyObject *json, PyObject **content_type)
{
    b->object = hpy_helper_call(st, HPY_HELPER_ENCODE_JSON, 1, json);
    if (b->object == NULL)
        return -1;
    *content_type = PyBytes_FromString("application/json");
    return *content_type == NULL ? -1 : 0;
}

/* data= that is not text or bytes: a form, or a file or iterator as it is. */
static int
take_form(hpy_state *st, hpy_body *b, PyObject *data, PyObject **content_type)
{
    PyObject *type, *body;
    PyObject *pair = hpy_helper_call(st, HPY_HELPER_ENCODE_DATA, 1, data);
    if (pair == NULL)
        return -1;
    int ok = PyArg_ParseTuple(pair, "OO", &body, &type);
    if (ok && hpy_given(body))
        b->object = Py_NewRef(body);
    if (ok && PyUnicode_Check(type)) {
        *content_type = PyUnicode_AsLatin1String(type);
        ok = *content_type != NULL;
    } else if (ok && PyBytes_Check(type)) {
        *content_type = Py_NewRef(type);
    }
    Py_DECREF(pair);
    return ok ? 0 : -1;
}

/* ---- as the core wants it ---- */

static int
source_bytes(hpy_state *st, hpy_body *b, hp_source *out)
{
    out->kind = HP_SOURCE_BYTES;
    if (PyUnicode_Check(b->object)) {
        hp_span s;
        if (hpy_utf8(st, b->object, "data/content", HP_E_INVALID_ARGUMENT, &s) <
            0)
            return -1;
        out->ptr = s.ptr;
        out->len = s.len;
        return 0;
    }
    if (PyObject_GetBuffer(b->object, &b->view, PyBUF_SIMPLE) < 0) {
        b->view.obj = NULL;
        if (!PyErr_ExceptionMatches(PyExc_BufferError))
            return -1;
        PyErr_Clear();
        return hpy_raise_argument(st, "data/content takes a buffer that lies "
                                      "in one piece: bytes(...) makes one");
    }
    out->ptr = b->view.buf;
    out->len = (size_t)b->view.len;
    return 0;
}

static int
attr_length(PyObject *source, int64_t *out)
{
    PyObject *v = PyObject_GetAttrString(source, "length");
    if (v == NULL)
        return -1;
    *out = v == Py_None ? HP_BODY_LENGTH_UNKNOWN : PyLong_AsLongLong(v);
    Py_DECREF(v);
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

static int
source_produced(hpy_state *st, hpy_body *b, hp_source *out)
{
    out->kind = HP_SOURCE_PRODUCED;
    b->source = hpy_helper_call(st, HPY_HELPER_BODY_SOURCE, 1, b->object);
    if (b->source == NULL || attr_length(b->source, &out->length) < 0)
        return -1;
    PyObject *v = PyObject_GetAttrString(b->source, "rewindable");
    int yes = v == NULL ? -1 : PyObject_IsTrue(v);
    Py_XDECREF(v);
    out->rewindable = yes == 1;
    return yes < 0 ? -1 : 0;
}

int
hpy_body_prepare(hpy_state *st, hpy_body *b, PyObject *const *args,
                 PyObject **content_type, hp_source *out)
{
    PyObject *data = args[HPY_ARG_DATA], *content = args[HPY_ARG_CONTENT];
    PyObject *json = args[HPY_ARG_JSON];
    int rc = check_one(data, content, json);
    if (rc == 0 && hpy_given(json))
        rc = take_json(st, b, json, content_type);
    else if (rc == 0 && hpy_given(data) && !is_plain(data))
        rc = take_form(st, b, data, content_type);
    else if (rc == 0 && hpy_given(data))
        b->object = Py_NewRef(data);
    else if (rc == 0 && hpy_given(content))
        b->object = Py_NewRef(content);
    if (rc < 0 || b->object == NULL)
        return rc;
    return is_plain(b->object) ? source_bytes(st, b, out)
                               : source_produced(st, b, out);
}

/* ---- producing ---- */

static void
drop_piece(hpy_body *b)
{
    if (b->piece.obj != NULL)
        PyBuffer_Release(&b->piece);
    b->piece.obj = NULL;
}

static int
next_piece(hpy_body *b)
{
    drop_piece(b);
    PyObject *v = PyObject_CallMethod(b->source, "next", NULL);
    if (v == NULL)
        return -1;
    int rc = PyObject_GetBuffer(v, &b->piece, PyBUF_SIMPLE);
    if (rc < 0)
        b->piece.obj = NULL;
    Py_DECREF(v);
    return rc;
}

static int
rewind_source(hpy_body *b)
{
    drop_piece(b);
    PyObject *v = PyObject_CallMethod(b->source, "rewind", NULL);
    Py_XDECREF(v);
    return v == NULL ? -1 : 0;
}

int
hpy_body_answer(hpy_body *b, hp_exchange *ex, hp_drive want, hp_err *err)
{
    int rc = want == HP_DRIVE_BODY ? next_piece(b) : rewind_source(b);
    if (rc < 0) {
        hp_exchange_fail_source(ex);
        return -1;
    }
    if (want == HP_DRIVE_BODY)
        return hp_exchange_feed(ex, b->piece.buf, (size_t)b->piece.len, err);
    hp_exchange_rewound(ex);
    return 0;
}

/* ---- the end ---- */

void
hpy_body_clear(hpy_body *b)
{
    drop_piece(b);
    if (b->view.obj != NULL)
        PyBuffer_Release(&b->view);
    b->view.obj = NULL;
    Py_CLEAR(b->object);
    Py_CLEAR(b->source);
}

int
hpy_body_traverse(hpy_body *b, visitproc visit, void *arg)
{
    Py_VISIT(b->object);
    Py_VISIT(b->source);
    Py_VISIT(b->view.obj);
    Py_VISIT(b->piece.obj);
    return 0;
}
