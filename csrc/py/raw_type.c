/* Response.raw: the same body before content decoding, with the attributes
 * and methods that code written for urllib3's responses looks for. A view: it
 * keeps the response and nothing else. */
#include "args.h"
#include "errors.h"
#include "response.h"
#include "response_doc.h"

typedef struct raw {
    PyObject_HEAD hpy_response *response;
} raw;

#define RESPONSE(op) (((raw *)(op))->response)

PyObject *
hpy_raw_new(hpy_response *r)
{
    raw *self = (raw *)PyType_GenericAlloc(r->st->raw_type, 0);
    if (self != NULL)
        self->response = (hpy_response *)Py_NewRef((PyObject *)r);
    return (PyObject *)self;
}

/* ---- reading ---- */

static int
parse_amt(PyObject *op, const hpy_signature *sig, PyObject *const *args,
          Py_ssize_t nargs, PyObject *kwnames, int64_t fallback,
          Py_ssize_t *amt, bool *undecoded)
{
    hpy_response *r = RESPONSE(op);
    PyObject *a[HPY_ARG_COUNT] = {NULL};
    int64_t n;
    bool decode;
    if (hpy_args_parse(r->st, sig, args, nargs, kwnames, a) < 0 ||
        hpy_arg_size(a[HPY_ARG_AMT], "amt", fallback, &n) < 0 ||
        hpy_arg_bool(a[HPY_ARG_DECODE_CONTENT], "decode_content",
                     r->raw_decodes, &decode) < 0)
        return -1;
    if (a[HPY_ARG_AMT] == Py_None)
        n = -1;
    *amt = (Py_ssize_t)n;
    *undecoded = !decode;
    return 0;
}

static const hpy_arg amt_first[] = {HPY_ARG_AMT, HPY_ARG_DECODE_CONTENT};

static hpy_signature
amt_signature(const char *name)
{
    return (hpy_signature){name,
                           0,
                           2,
                           {amt_first[0], amt_first[1]},
                           HPY_BIT(AMT) | HPY_BIT(DECODE_CONTENT)};
}

/* `all`: whatever was read is all there was. */
static void
note_end(hpy_response *r, bool all, PyObject *read)
{
    r->raw_ended |= all || PyBytes_GET_SIZE(read) == 0;
}

static PyObject *
read_as(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
        PyObject *kwnames, const char *name, hp_read_how how)
{
    hpy_signature sig = amt_signature(name);
    Py_ssize_t n;
    bool undecoded;
    if (parse_amt(op, &sig, args, nargs, kwnames, -1, &n, &undecoded) < 0)
        return NULL;
    PyObject *v =
        hpy_response_read(RESPONSE(op), n, (hpy_read){how, undecoded});
    if (v != NULL && n != 0)
        note_end(RESPONSE(op), n < 0 && how == HP_READ_FULL, v);
    return v;
}

static PyObject *
raw_read(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
         PyObject *kwnames)
{
    return read_as(op, args, nargs, kwnames, "read", HP_READ_FULL);
}

static PyObject *
raw_read1(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    return read_as(op, args, nargs, kwnames, "read1", HP_READ_SOME);
}

static PyObject *
stream_as(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames, const char *name, int64_t size)
{
    hpy_signature sig = amt_signature(name);
    Py_ssize_t n;
    bool undecoded;
    if (parse_amt(op, &sig, args, nargs, kwnames, size, &n, &undecoded) < 0)
        return NULL;
    if (hpy_response_is_consumed(RESPONSE(op))) /* as a file at its end */
        return PyObject_GetIter(RESPONSE(op)->st->no_bytes);
    hp_read_how how = n < 0 ? HP_READ_SOME : HP_READ_FULL;
    return hpy_chunks_new(RESPONSE(op), n, (hpy_read){how, undecoded});
}

static PyObject *
raw_stream(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    return stream_as(op, args, nargs, kwnames, "stream", 65536);
}

static PyObject *
raw_read_chunked(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    return stream_as(op, args, nargs, kwnames, "read_chunked", -1);
}

static PyObject *
raw_readinto(PyObject *op, PyObject *buffer)
{
    Py_buffer view;
    hpy_response *r = RESPONSE(op);
    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0)
        return NULL;
    hpy_read how = {HP_READ_SOME, !r->raw_decodes};
    Py_ssize_t n = hpy_response_readinto(r, view.buf, (size_t)view.len, how);
    PyBuffer_Release(&view);
    return n < 0 ? NULL : PyLong_FromSsize_t(n);
}

/* ---- lines ---- */

static int
check_lines(hpy_response *r)
{
    if (r->raw_decodes || r->ex == NULL || !hp_exchange_decodes(r->ex))
        return 0;
    return hpy_raise_argument(
        r->st, "a coded body has no lines; set raw.decode_content = True, or "
               "read those of the response itself");
}

static PyObject *
raw_readline(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t n;
    if (hpy_arg_only_size(args, nargs, "readline", &n) < 0 ||
        check_lines(RESPONSE(op)) < 0)
        return NULL;
    PyObject *line = hpy_response_readline(RESPONSE(op), n);
    if (line != NULL && n != 0)
        note_end(RESPONSE(op), false, line);
    return line;
}

static PyObject *
raw_readlines(PyObject *op, PyObject *unused)
{
    return PySequence_List(op);
}

static PyObject *
raw_next(PyObject *op)
{
    PyObject *line = raw_readline(op, NULL, 0);
    if (line != NULL && PyBytes_GET_SIZE(line) == 0)
        Py_CLEAR(line);
    return line;
}

/* ---- the rest ---- */

static PyObject *
raw_tell(PyObject *op, PyObject *unused)
{
    hpy_response *r = RESPONSE(op);
    if (hpy_response_enter(r) < 0)
        return NULL;
    int64_t at = hpy_response_tell_raw(r);
    hpy_response_leave(r);
    return PyLong_FromLongLong(at);
}

/* Or at its end, so that loops until then end. */
static PyObject *
get_closed(PyObject *op, void *closure)
{
    hpy_response *r = RESPONSE(op);
    bool closed = r->ex != NULL && atomic_load(&r->closed);
    return PyBool_FromLong(r->raw_ended || closed);
}

static PyObject *
raw_isclosed(PyObject *op, PyObject *unused)
{
    return get_closed(op, NULL);
}

static PyObject *
raw_enter(PyObject *op, PyObject *unused)
{
    return Py_NewRef(op);
}

static PyObject *
raw_close(PyObject *op, PyObject *unused)
{
    if (hpy_response_close(RESPONSE(op)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
raw_exit(PyObject *op, PyObject *args)
{
    return raw_close(op, NULL);
}

static PyObject *
raw_true(PyObject *op, PyObject *unused)
{
    Py_RETURN_TRUE;
}

static PyObject *
raw_false(PyObject *op, PyObject *unused)
{
    Py_RETURN_FALSE;
}

static PyObject *
raw_none(PyObject *op, PyObject *unused)
{
    Py_RETURN_NONE;
}

/* The response's attribute of the name in `closure`. */
static PyObject *
get_of_response(PyObject *op, void *closure)
{
    return PyObject_GetAttrString((PyObject *)RESPONSE(op), closure);
}

static PyObject *
get_decode_content(PyObject *op, void *closure)
{
    return PyBool_FromLong(RESPONSE(op)->raw_decodes);
}

static int
set_decode_content(PyObject *op, PyObject *value, void *closure)
{
    bool decode;
    if (hpy_arg_bool(value, "decode_content", false, &decode) < 0)
        return -1;
    RESPONSE(op)->raw_decodes = decode;
    return 0;
}

static int
raw_traverse(PyObject *op, visitproc visit, void *arg)
{
    HPY_VISIT_TYPE(op);
    Py_VISIT(RESPONSE(op));
    return 0;
}

static int
raw_clear(PyObject *op)
{
    Py_CLEAR(RESPONSE(op));
    return 0;
}

static void
raw_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    raw_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

#define FASTKW(f)                                                              \
    (PyCFunction)(void (*)(void))(f), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef raw_methods[] = {
    {"read", FASTKW(raw_read),
     PyDoc_STR("read($self, /, amt=None, decode_content=None)\n--\n\n"
               "Up to `amt` bytes as they came, or all the rest; decoded with\n"
               "decode_content. Raises what Response.read() raises.")},
    {"read1", FASTKW(raw_read1),
     PyDoc_STR("read1($self, /, amt=None, decode_content=None)\n--\n\n"
               "What has arrived, at most `amt` bytes.")},
    {"readinto", raw_readinto, METH_O,
     PyDoc_STR("readinto($self, buffer, /)\n--\n\n"
               "What has arrived, into a writable buffer; how many bytes.")},
    {"stream", FASTKW(raw_stream),
     PyDoc_STR("stream($self, /, amt=65536, decode_content=None)\n--\n\n"
               "Iterates over the body in pieces of `amt` bytes.")},
    {"read_chunked", FASTKW(raw_read_chunked),
     PyDoc_STR("read_chunked($self, /, amt=None, decode_content=None)\n--\n\n"
               "stream(), in pieces as they arrive.")},
    {"readline", (PyCFunction)(void (*)(void))raw_readline, METH_FASTCALL,
     PyDoc_STR("readline($self, size=-1, /)\n--\n\n"
               "A line with its end, of at most `size` bytes. ValueError for\n"
               "one that is coded, unless decode_content is set.")},
    {"readlines", raw_readlines, METH_NOARGS, HPY_FILE_DOC("readlines")},
    {"tell", raw_tell, METH_NOARGS,
     PyDoc_STR(
         "tell($self, /)\n--\n\n"
         "How many bytes of the body reads have taken, before decoding.")},
    {"isclosed", raw_isclosed, METH_NOARGS,
     PyDoc_STR("isclosed($self, /)\n--\n\nThe same as closed.")},
    {"__enter__", raw_enter, METH_NOARGS, NULL},
    {"__exit__", raw_exit, METH_VARARGS, NULL},
    {"close", raw_close, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nClose the response.")},
    {"release_conn", raw_close, METH_NOARGS,
     PyDoc_STR("release_conn($self, /)\n--\n\nThe same as close().")},
    {"readable", raw_true, METH_NOARGS, HPY_FILE_DOC("readable")},
    {"writable", raw_false, METH_NOARGS, HPY_FILE_DOC("writable")},
    {"seekable", raw_false, METH_NOARGS, HPY_FILE_DOC("seekable")},
    {"isatty", raw_false, METH_NOARGS, HPY_FILE_DOC("isatty")},
    {"flush", raw_none, METH_NOARGS, HPY_FILE_DOC("flush")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef raw_getset[] = {
    {"headers", get_of_response, NULL, "Headers.", "headers"},
    {"status", get_of_response, NULL, "int.", "status"},
    {"reason", get_of_response, NULL, "str.", "reason"},
    {"version", get_of_response, NULL, "int: 11 or 10.", "version"},
    {"closed", get_closed, NULL,
     "bool: closed, or a read() or readline() has seen the end.", NULL},
    {"decode_content", get_decode_content, set_decode_content,
     "bool: whether reads decode when they are not told.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot raw_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A response's body before decoding.")},
    {Py_tp_dealloc, raw_dealloc},
    {Py_tp_traverse, raw_traverse},
    {Py_tp_clear, raw_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, raw_next},
    {Py_tp_methods, raw_methods},
    {Py_tp_getset, raw_getset},
    {0, NULL},
};

PyType_Spec hpy_raw_spec = {
    .name = "hpool._core.RawBody",
    .basicsize = sizeof(raw),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = raw_slots,
};
