/* The iterator behind iter_content, iter_bytes, iter_raw and raw.stream. */
#include "response.h"

#include "errors.h"

typedef struct chunks {
    PyObject_HEAD hpy_response *response;
    PyObject *content; /* what is cut up when it was read already, or NULL */
    Py_ssize_t at;     /* in content; the iterator's user's alone */
    Py_ssize_t size;   /* < 0: as it comes */
    hpy_read how;
} chunks;

PyObject *
hpy_chunks_new(hpy_response *r, Py_ssize_t size, hpy_read how)
{
    PyObject *content = hpy_response_cached(r);
    bool undecoded = how.raw && r->ex != NULL && hp_exchange_decodes(r->ex);
    bool gone = content != NULL ? undecoded : hpy_response_is_consumed(r);
    if (gone) {
        Py_XDECREF(content);
        return hpy_raise_consumed(r->st, r);
    }
    chunks *self = (chunks *)PyType_GenericAlloc(r->st->chunks_type, 0);
    if (self == NULL) {
        Py_XDECREF(content);
        return NULL;
    }
    self->response = (hpy_response *)Py_NewRef((PyObject *)r);
    self->content = content;
    self->size = size;
    self->how = how;
    return (PyObject *)self;
}

static PyObject *
next_slice(chunks *self)
{
    Py_ssize_t all = PyBytes_GET_SIZE(self->content);
    Py_ssize_t left = all - self->at;
    if (left <= 0)
        return NULL;
    Py_ssize_t n = self->size < 0 || self->size > left ? left : self->size;
    if (n == all)
        return self->at += n, Py_NewRef(self->content);
    const char *p = PyBytes_AS_STRING(self->content) + self->at;
    self->at += n;
    return PyBytes_FromStringAndSize(p, n);
}

static PyObject *
chunks_next(PyObject *op)
{
    chunks *self = (chunks *)op;
    if (self->content != NULL)
        return next_slice(self);
    PyObject *v = hpy_response_read(self->response, self->size, self->how);
    if (v != NULL && PyBytes_GET_SIZE(v) == 0)
        Py_CLEAR(v);
    return v;
}

/* As generators have it: the response is done with. */
static PyObject *
chunks_close(PyObject *op, PyObject *unused)
{
    if (hpy_response_close(((chunks *)op)->response) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int
chunks_traverse(PyObject *op, visitproc visit, void *arg)
{
    HPY_VISIT_TYPE(op);
    Py_VISIT(((chunks *)op)->response);
    return 0;
}

static int
chunks_clear(PyObject *op)
{
    Py_CLEAR(((chunks *)op)->response);
    return 0;
}

static void
chunks_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    chunks_clear(op);
    Py_XDECREF(((chunks *)op)->content);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef chunks_methods[] = {
    {"close", chunks_close, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nClose the response.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot chunks_slots[] = {
    {Py_tp_dealloc, chunks_dealloc},
    {Py_tp_traverse, chunks_traverse},
    {Py_tp_clear, chunks_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, chunks_next},
    {Py_tp_methods, chunks_methods},
    {0, NULL},
};

PyType_Spec hpy_chunks_spec = {
    .name = "hpool._core.Chunks",
    .basicsize = sizeof(chunks),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = chunks_slots,
};
