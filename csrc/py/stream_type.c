/* What client.stream is: httpx's method, and requests' switch: as a truth value
 * it is whether calls without stream= leave the body to be read. */
#include "client.h"

typedef struct hpy_stream {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject *client;
    bool on;
} hpy_stream;

static PyObject *
stream_call(PyObject *op, PyObject *const *args, size_t nargsf,
            PyObject *kwnames)
{
    PyObject *client = ((hpy_stream *)op)->client;
    return hpy_client_stream(client, args, PyVectorcall_NARGS(nargsf), kwnames);
}

static bool
streams(hpy_client *c)
{
    hpy_defaults *d = hpy_client_defaults(c);
    bool on = d->stream;
    hpy_defaults_unref(d);
    return on;
}

PyObject *
hpy_client_get_stream(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    PyTypeObject *type = c->st->stream_type;
    hpy_stream *self = (hpy_stream *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->vectorcall = stream_call;
    self->client = Py_NewRef(op);
    self->on = streams(c);
    return (PyObject *)self;
}

static int
stream_traverse(PyObject *op, visitproc visit, void *arg)
{
    HPY_VISIT_TYPE(op);
    Py_VISIT(((hpy_stream *)op)->client);
    return 0;
}

static int
stream_clear(PyObject *op)
{
    Py_CLEAR(((hpy_stream *)op)->client);
    return 0;
}

static void
stream_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    stream_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
stream_repr(PyObject *op)
{
    return PyUnicode_FromString(((hpy_stream *)op)->on ? "True" : "False");
}

bool
hpy_stream_is_on(PyObject *v, bool *on)
{
    if (Py_TYPE(v)->tp_repr != stream_repr)
        return false;
    *on = ((hpy_stream *)v)->on;
    return true;
}

static int
stream_bool(PyObject *op)
{
    return ((hpy_stream *)op)->on;
}

static Py_hash_t
stream_hash(PyObject *op)
{
    return ((hpy_stream *)op)->on;
}

/* With a bool it is one. */
static PyObject *
stream_compare(PyObject *op, PyObject *other, int how)
{
    bool on;
    if (how != Py_EQ && how != Py_NE)
        Py_RETURN_NOTIMPLEMENTED;
    if (PyBool_Check(other))
        on = other == Py_True;
    else if (!hpy_stream_is_on(other, &on))
        Py_RETURN_NOTIMPLEMENTED;
    return PyBool_FromLong((((hpy_stream *)op)->on == on) == (how == Py_EQ));
}

PyDoc_STRVAR(stream_doc, "__call__($self, /, method, url, **keywords)\n--\n\n\
request() with stream=True, for use in a with statement.\n\
\n\
As a truth value: whether calls without stream= leave the body to be read.");

static PyMemberDef stream_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(hpy_stream, vectorcall),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_doc, (void *)stream_doc},
    {Py_tp_dealloc, stream_dealloc},
    {Py_tp_traverse, stream_traverse},
    {Py_tp_clear, stream_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_repr, stream_repr},
    {Py_tp_hash, stream_hash},
    {Py_tp_richcompare, stream_compare},
    {Py_nb_bool, stream_bool},
    {Py_tp_members, stream_members},
    {0, NULL},
};

PyType_Spec hpy_stream_spec = {
    .name = "hpool._core._Stream",
    .basicsize = sizeof(hpy_stream),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = stream_slots,
};
