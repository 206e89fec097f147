#include "cancel.h"

static PyObject *
cancel_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":CancelToken", names))
        return NULL;
    hpy_cancel *self = (hpy_cancel *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->token = hp_cancel_new();
    if (self->token == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void
cancel_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    hpy_cancel *self = (hpy_cancel *)op;
    if (self->token != NULL)
        hp_cancel_unref(self->token);
    type->tp_free(op);
    Py_DECREF(type);
}

static int
cancel_traverse(PyObject *op, visitproc visit, void *arg)
{
    HPY_VISIT_TYPE(op);
    return 0;
}

static PyObject *
cancel_cancel(PyObject *op, PyObject *unused)
{
    hp_cancel_trigger(((hpy_cancel *)op)->token);
    Py_RETURN_NONE;
}

static PyObject *
cancel_get_cancelled(PyObject *op, void *closure)
{
    return PyBool_FromLong(hp_cancel_is_set(((hpy_cancel *)op)->token));
}

static PyObject *
cancel_repr(PyObject *op)
{
    bool set = hp_cancel_is_set(((hpy_cancel *)op)->token);
    return PyUnicode_FromFormat("<CancelToken%s>", set ? " cancelled" : "");
}

PyDoc_STRVAR(cancel_doc, "CancelToken()\n--\n\n\
Ends requests from outside: pass it as cancel= to any number of requests.\n\
A token that was cancelled stays cancelled.");

PyDoc_STRVAR(cancel_cancel_doc, "cancel($self, /)\n--\n\n\
End every request made with this token, now and later, with Cancelled.\n\
\n\
From any thread or signal handler; does not block.");

static PyMethodDef cancel_methods[] = {
    {"cancel", cancel_cancel, METH_NOARGS, cancel_cancel_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef cancel_getset[] = {
    {"cancelled", cancel_get_cancelled, NULL,
     "bool: whether cancel() was called.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot cancel_slots[] = {
    {Py_tp_doc, (void *)cancel_doc}, {Py_tp_new, cancel_new},
    {Py_tp_dealloc, cancel_dealloc}, {Py_tp_traverse, cancel_traverse},
    {Py_tp_repr, cancel_repr},       {Py_tp_methods, cancel_methods},
    {Py_tp_getset, cancel_getset},   {0, NULL},
};

PyType_Spec hpy_cancel_spec = {
    .name = "hpool.CancelToken",
    .basicsize = sizeof(hpy_cancel),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = cancel_slots,
};
