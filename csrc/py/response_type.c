/* The type Response: life cycle and methods. Reading is in response_read.c,
 * the attributes in response_info.c. */
#include "response.h"

#include "args.h"
#include "dialing.h"
#include "errors.h"
#include "gil.h"
#include "leaks.h"
#include "log.h"
#include "response_doc.h"
#include "trace.h"

/* ---- birth ---- */

hpy_response *
hpy_response_new(hpy_client *c, PyObject *method)
{
    hpy_response *r = PyObject_GC_New(hpy_response, c->st->response_type);
    if (r == NULL)
        return NULL;
    memset((char *)r + offsetof(hpy_response, st), 0,
           sizeof *r - offsetof(hpy_response, st));
    r->st = c->st;
    r->client = (hpy_client *)Py_NewRef((PyObject *)c);
    r->method = Py_NewRef(method);
    r->defaults = hpy_client_defaults(c);
    return r;
}

/* -1: *err, or an exception is set. */
static int
answer(hpy_response *r, hp_drive want, hpy_exc *raised, hp_err *err)
{
    switch (want) {
    case HP_DRIVE_ERROR:
        return -1;
    case HP_DRIVE_CONNECTS:
    case HP_DRIVE_EVENTS:
        return 0;
    case HP_DRIVE_DIAL:
        return hpy_dialing_answer(r->client->dialing, r->ex, raised);
    default:
        return hpy_body_answer(&r->body, r->ex, want, err);
    }
}

static int
head_failed(hpy_response *r, const hp_err *err, hpy_exc *raised)
{
    if (err->code == HP_E_DIAL && hpy_exc_value(raised) != NULL)
        hpy_exc_put(*raised);
    else
        hpy_exc_drop(raised);
    return hpy_response_failed(r, err);
}

static int
told_badly(hpy_response *r, hpy_exc *raised)
{
    hpy_exc_drop(raised);
    return hpy_response_interrupted(r);
}

int
hpy_response_head(hpy_response *r)
{
    hp_err err;
    hp_timings t;
    hpy_exc raised = {NULL, NULL, NULL}; /* by dial= */
    hp_drive d;
    hp_err_clear(&err);
    while ((d = hpy_drive_head(r->st, r->ex, &err)) != HP_DRIVE_DONE) {
        if ((d == HP_DRIVE_CONNECTS && hpy_log_look(r) < 0) ||
            (d != HP_DRIVE_ERROR && hpy_response_tell(r) < 0))
            return told_badly(r, &raised);
        if (answer(r, d, &raised, &err) < 0)
            return head_failed(r, &err, &raised);
    }
    if (hpy_response_tell(r) < 0)
        return told_badly(r, &raised);
    hpy_exc_drop(&raised);
    const hp_head *head = hp_exchange_head(r->ex);
    r->status = head->status;
    r->minor = head->minor;
    r->asks = head->has_location || head->has_set_cookie;
    hp_exchange_timings(r->ex, &t);
    r->elapsed = t.head - t.started;
    r->empty = hp_exchange_left(r->ex) == 0;
    return 0;
}

int
hpy_response_warm(hpy_response *r, int64_t n, int64_t *ready)
{
    hp_err err;
    hpy_exc raised = {NULL, NULL, NULL}; /* by dial= */
    hp_drive d;
    hp_err_clear(&err);
    while ((d = hpy_drive_warm(r->st, r->ex, n, ready, &err)) !=
           HP_DRIVE_DONE) {
        if (answer(r, d, &raised, &err) < 0)
            return head_failed(r, &err, &raised);
    }
    hpy_exc_drop(&raised);
    return 0;
}

int
hpy_response_pause(hpy_response *r, hp_ns until)
{
    hp_err err;
    hpy_exc none = {NULL, NULL, NULL};
    hp_err_clear(&err);
    if (hpy_drive_pause(r->st, r->ex, until, &err) == HP_DRIVE_DONE)
        return 0;
    return head_failed(r, &err, &none);
}

/* ---- death ---- */

static int
response_traverse(PyObject *op, visitproc visit, void *arg)
{
    hpy_response *r = (hpy_response *)op;
    HPY_VISIT_TYPE(op);
    Py_VISIT(r->dict);
    Py_VISIT(r->client);
    Py_VISIT(r->call_headers);
    Py_VISIT(r->headers);
    Py_VISIT(r->history);
    Py_VISIT(r->attempts);
    Py_VISIT(r->request);
    Py_VISIT(r->cookies);
    Py_VISIT(r->encoding);
    Py_VISIT(r->listeners);
    return hpy_body_traverse(&r->body, visit, arg);
}

static int
response_clear(PyObject *op)
{
    hpy_response *r = (hpy_response *)op;
    hp_exchange_free(r->ex); /* before what it borrows */
    r->ex = NULL;
    hpy_body_clear(&r->body);
    Py_CLEAR(r->dict);
    Py_CLEAR(r->client);
    Py_CLEAR(r->call_headers);
    Py_CLEAR(r->headers);
    Py_CLEAR(r->history);
    Py_CLEAR(r->attempts);
    Py_CLEAR(r->request);
    Py_CLEAR(r->cookies);
    Py_CLEAR(r->encoding);
    Py_CLEAR(r->listeners);
    return 0;
}

static bool
holds_connection(hpy_response *r)
{
    hp_conn_facts facts;
    if (r->ex == NULL || r->failed || atomic_load(&r->closed))
        return false;
    hp_exchange_facts(r->ex, &facts);
    return !facts.released;
}

/* Neither read nor closed: the connection was held for nothing. */
static void
response_finalize(PyObject *op)
{
    hpy_response *r = (hpy_response *)op;
    if (!holds_connection(r))
        return;
    hpy_exc pending = hpy_exc_take();
    atomic_store(&r->closed, true);
    if (hp_exchange_mark_leaked(r->ex) && r->client != NULL)
        hpy_leak_collected(r);
    if (hpy_response_close(r) < 0)
        PyErr_WriteUnraisable(op);
    hpy_exc_put(pending);
}

static void
response_dealloc(PyObject *op)
{
    hpy_response *r = (hpy_response *)op;
    PyTypeObject *type = Py_TYPE(op);
    if (PyObject_CallFinalizerFromDealloc(op) < 0)
        return;
    PyObject_GC_UnTrack(op);
    if (r->weakrefs != NULL)
        PyObject_ClearWeakRefs(op);
    response_clear(op);
    Py_XDECREF(r->method);
    Py_XDECREF(r->url);
    Py_XDECREF(r->content_type);
    Py_XDECREF(r->content);
    Py_XDECREF(r->reason);
    hpy_defaults_unref(r->defaults);
    PyMem_Free(r->ahead.mem);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

/* ---- the file's methods ---- */

static PyObject *
response_read(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t n;
    if (hpy_arg_only_size(args, nargs, "read", &n) < 0)
        return NULL;
    return hpy_response_read((hpy_response *)op, n,
                             (hpy_read){HP_READ_FULL, false});
}

static PyObject *
response_read1(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t n;
    if (hpy_arg_only_size(args, nargs, "read1", &n) < 0)
        return NULL;
    return hpy_response_read((hpy_response *)op, n,
                             (hpy_read){HP_READ_SOME, false});
}

static PyObject *
response_readinto(PyObject *op, PyObject *buffer)
{
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0)
        return NULL;
    hpy_read how = {HP_READ_SOME, false};
    Py_ssize_t n = hpy_response_readinto((hpy_response *)op, view.buf,
                                         (size_t)view.len, how);
    PyBuffer_Release(&view);
    return n < 0 ? NULL : PyLong_FromSsize_t(n);
}

static PyObject *
response_readline(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t n;
    if (hpy_arg_only_size(args, nargs, "readline", &n) < 0)
        return NULL;
    return hpy_response_readline((hpy_response *)op, n);
}

static PyObject *
response_next(PyObject *op)
{
    PyObject *line = hpy_response_readline((hpy_response *)op, -1);
    if (line != NULL && PyBytes_GET_SIZE(line) == 0)
        Py_CLEAR(line);
    return line;
}

static PyObject *
response_readlines(PyObject *op, PyObject *unused)
{
    return PySequence_List(op);
}

static PyObject *
return_true(PyObject *op, PyObject *unused)
{
    Py_RETURN_TRUE;
}

static PyObject *
return_false(PyObject *op, PyObject *unused)
{
    Py_RETURN_FALSE;
}

static PyObject *
return_none(PyObject *op, PyObject *unused)
{
    Py_RETURN_NONE;
}

/* ---- iterators ---- */

static int
parse_chunk_size(hpy_state *st, PyObject *v, Py_ssize_t *out)
{
    int64_t n;
    if (hpy_arg_size(v, "chunk_size", -1, &n) < 0)
        return -1;
    if (hpy_given(v) && n <= 0)
        return hpy_raise_argument(st, "chunk_size takes a number of bytes "
                                      "above 0, or None");
    *out = (Py_ssize_t)n;
    return 0;
}

/* Pieces of a body whose length is known are all full but the last; of others
 * each is what has arrived, so that a slow stream is seen as it comes. */
static hp_read_how
content_pace(hpy_response *r, Py_ssize_t size)
{
    bool known = r->ex != NULL && !hp_exchange_decodes(r->ex) &&
                 hp_exchange_left(r->ex) >= 0;
    return known && size >= 0 ? HP_READ_FULL : HP_READ_SOME;
}

static PyObject *
response_iter_content(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    static const hpy_signature sig = {
        "iter_content",
        0,
        2,
        {HPY_ARG_CHUNK_SIZE, HPY_ARG_DECODE_UNICODE},
        HPY_BIT(CHUNK_SIZE) | HPY_BIT(DECODE_UNICODE)};
    hpy_response *r = (hpy_response *)op;
    PyObject *a[HPY_ARG_COUNT] = {NULL};
    bool unicode;
    Py_ssize_t size;
    if (hpy_args_parse(r->st, &sig, args, nargs, kwnames, a) < 0 ||
        hpy_arg_bool(a[HPY_ARG_DECODE_UNICODE], "decode_unicode", false,
                     &unicode) < 0 ||
        parse_chunk_size(r->st, a[HPY_ARG_CHUNK_SIZE], &size) < 0)
        return NULL;
    PyObject *given = a[HPY_ARG_CHUNK_SIZE];
    if (unicode)
        return hpy_helper_call(r->st, HPY_HELPER_ITER_TEXT, 2, op,
                               given == NULL ? Py_None : given);
    if (given == NULL)
        size = 65536;
    return hpy_chunks_new(r, size, (hpy_read){content_pace(r, size), false});
}

static PyObject *
iterate(hpy_response *r, PyObject *const *args, Py_ssize_t nargs,
        PyObject *kwnames, const char *name, bool raw)
{
    const hpy_signature sig = {
        name, 0, 1, {HPY_ARG_CHUNK_SIZE}, HPY_BIT(CHUNK_SIZE)};
    PyObject *a[HPY_ARG_COUNT] = {NULL};
    Py_ssize_t size;
    if (hpy_args_parse(r->st, &sig, args, nargs, kwnames, a) < 0 ||
        parse_chunk_size(r->st, a[HPY_ARG_CHUNK_SIZE], &size) < 0)
        return NULL;
    hp_read_how how = size < 0 ? HP_READ_SOME : HP_READ_FULL;
    return hpy_chunks_new(r, size, (hpy_read){how, raw});
}

static PyObject *
response_iter_bytes(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames)
{
    return iterate((hpy_response *)op, args, nargs, kwnames, "iter_bytes",
                   false);
}

static PyObject *
response_iter_raw(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                  PyObject *kwnames)
{
    return iterate((hpy_response *)op, args, nargs, kwnames, "iter_raw", true);
}

static PyObject *
response_iter_text(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"chunk_size", NULL};
    PyObject *size = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:iter_text", names,
                                     &size))
        return NULL;
    return hpy_helper_call(((hpy_response *)op)->st, HPY_HELPER_ITER_TEXT, 2,
                           op, size);
}

/* chunk_size is accepted, but lines come as soon as they are there. */
static PyObject *
response_iter_lines(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"chunk_size", "decode_unicode", "delimiter", NULL};
    PyObject *size, *unicode = Py_False, *delimiter = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO!O:iter_lines", names,
                                     &size, &PyBool_Type, &unicode, &delimiter))
        return NULL;
    return hpy_helper_call(((hpy_response *)op)->st, HPY_HELPER_ITER_LINES, 4,
                           op, Py_None, unicode, delimiter);
}

static PyObject *
response_iter_text_lines(PyObject *op, PyObject *unused)
{
    return hpy_helper_call(((hpy_response *)op)->st, HPY_HELPER_ITER_TEXT_LINES,
                           1, op);
}

static PyObject *
response_encoding_of(PyObject *op, PyObject *start)
{
    if (!PyBytes_Check(start)) {
        PyErr_Format(PyExc_TypeError, "start must be bytes, not %s",
                     Py_TYPE(start)->tp_name);
        return NULL;
    }
    return hpy_response_encoding_of((hpy_response *)op, start);
}

/* ---- the rest ---- */

static PyObject *
response_json(PyObject *op, PyObject *args, PyObject *kwargs)
{
    if (!PyArg_ParseTuple(args, ":json"))
        return NULL;
    PyObject *f = hpy_helper_get(((hpy_response *)op)->st, HPY_HELPER_LOADS);
    PyObject *one = f == NULL ? NULL : PyTuple_Pack(1, op);
    PyObject *v = one == NULL ? NULL : PyObject_Call(f, one, kwargs);
    Py_XDECREF(f);
    Py_XDECREF(one);
    return v;
}

static PyObject *
response_raise_for_status(PyObject *op, PyObject *unused)
{
    hpy_response *r = (hpy_response *)op;
    if (r->status < 400)
        return Py_NewRef(op);
    PyObject *exc = hpy_helper_call(r->st, HPY_HELPER_STATUS_ERROR, 1, op);
    if (exc != NULL)
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    Py_XDECREF(exc);
    return NULL;
}

static PyObject *
response_close(PyObject *op, PyObject *unused)
{
    if (hpy_response_close((hpy_response *)op) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
response_enter(PyObject *op, PyObject *unused)
{
    return Py_NewRef(op);
}

static PyObject *
response_exit(PyObject *op, PyObject *args)
{
    return response_close(op, NULL);
}

static PyObject *
response_upgraded(PyObject *op, PyObject *unused)
{
    return hpy_upgraded_new((hpy_response *)op);
}

static PyObject *
response_reduce(PyObject *op, PyObject *protocol)
{
    return hpy_helper_call(((hpy_response *)op)->st, HPY_HELPER_REDUCE, 1, op);
}

static int
response_bool(PyObject *op)
{
    return ((hpy_response *)op)->status < 400;
}

static PyObject *
response_repr(PyObject *op)
{
    return PyUnicode_FromFormat("<Response [%d]>",
                                ((hpy_response *)op)->status);
}

#define FAST(f) (PyCFunction)(void (*)(void))(f), METH_FASTCALL
#define FASTKW(f)                                                              \
    (PyCFunction)(void (*)(void))(f), METH_FASTCALL | METH_KEYWORDS
#define COLD(f) (PyCFunction)(void (*)(void))(f), METH_VARARGS | METH_KEYWORDS

static PyMethodDef response_methods[] = {
    {"read", FAST(response_read), hpy_read_doc},
    {"read1", FAST(response_read1), hpy_read1_doc},
    {"readinto", response_readinto, METH_O, hpy_readinto_doc},
    {"readline", FAST(response_readline), hpy_readline_doc},
    {"readlines", response_readlines, METH_NOARGS, hpy_readlines_doc},
    {"readable", return_true, METH_NOARGS, HPY_FILE_DOC("readable")},
    {"writable", return_false, METH_NOARGS, HPY_FILE_DOC("writable")},
    {"seekable", return_false, METH_NOARGS, HPY_FILE_DOC("seekable")},
    {"isatty", return_false, METH_NOARGS, HPY_FILE_DOC("isatty")},
    {"flush", return_none, METH_NOARGS, HPY_FILE_DOC("flush")},
    {"iter_content", FASTKW(response_iter_content), hpy_iter_content_doc},
    {"iter_bytes", FASTKW(response_iter_bytes), hpy_iter_bytes_doc},
    {"iter_raw", FASTKW(response_iter_raw), hpy_iter_raw_doc},
    {"iter_text", COLD(response_iter_text), hpy_iter_text_doc},
    {"iter_lines", COLD(response_iter_lines), hpy_iter_lines_doc},
    {"iter_text_lines", response_iter_text_lines, METH_NOARGS,
     hpy_iter_text_lines_doc},
    {"_encoding_of", response_encoding_of, METH_O,
     PyDoc_STR("_encoding_of($self, start, /)\n--\n\n"
               "The encoding of a body that begins with these bytes.")},
    {"json", COLD(response_json), hpy_json_doc},
    {"raise_for_status", response_raise_for_status, METH_NOARGS,
     hpy_raise_for_status_doc},
    {"close", response_close, METH_NOARGS, hpy_close_doc},
    {"release_conn", response_close, METH_NOARGS, hpy_release_conn_doc},
    {"upgraded", response_upgraded, METH_NOARGS, hpy_upgraded_doc},
    {"__enter__", response_enter, METH_NOARGS, NULL},
    {"__exit__", response_exit, METH_VARARGS, NULL},
    {"__reduce_ex__", response_reduce, METH_O, NULL},
    {"__reduce__", response_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef response_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(hpy_response, weakrefs),
     READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(hpy_response, dict), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot response_slots[] = {
    {Py_tp_doc, (void *)hpy_response_doc}, {Py_tp_new, hpy_response_make},
    {Py_tp_dealloc, response_dealloc},     {Py_tp_finalize, response_finalize},
    {Py_tp_traverse, response_traverse},   {Py_tp_clear, response_clear},
    {Py_tp_repr, response_repr},           {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, response_next},       {Py_nb_bool, response_bool},
    {Py_tp_methods, response_methods},     {Py_tp_members, response_members},
    {Py_tp_getset, hpy_response_getset},   {0, NULL},
};

PyType_Spec hpy_response_spec = {
    .name = "hpool.Response",
    .basicsize = sizeof(hpy_response),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = response_slots,
};
