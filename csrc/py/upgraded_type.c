/* The type Upgraded: a connection after a 101 or a CONNECT.
 *
 * One thread may receive while another sends; close() from a third ends both:
 * it shuts the socket down at once, and the last one inside frees it. */
#include <sys/socket.h>

#include "args.h"
#include "errors.h"
#include "gil.h"
#include "response.h"

enum {
    RECV_DEFAULT = 65536
};

typedef struct upgraded {
    PyObject_HEAD hpy_state *st;
    hpy_response *response; /* for the errors */
    hp_ns timeout;
    hpy_mutex lock;
    /* guarded by lock */
    hp_upgraded *u; /* NULL: closed */
    unsigned users; /* inside a call */
    bool closing;
} upgraded;

PyObject *
hpy_upgraded_new(hpy_response *r)
{
    hp_err err;
    hp_err_clear(&err);
    if (r->ex == NULL)
        return hpy_raise_text(r->st, r, HP_E_INVALID_ARGUMENT,
                              "the connection was not upgraded");
    upgraded *self = (upgraded *)PyType_GenericAlloc(r->st->upgraded_type, 0);
    if (self == NULL)
        return NULL;
    self->st = r->st;
    self->timeout = HP_NO_LIMIT;
    self->u = hp_exchange_take_upgraded(r->ex, &err);
    if (self->u == NULL) {
        Py_DECREF(self);
        return hpy_raise(r->st, &err, r);
    }
    self->response = (hpy_response *)Py_NewRef((PyObject *)r);
    return (PyObject *)self;
}

/* ---- in and out ---- */

static hp_upgraded *
enter(upgraded *self)
{
    hpy_lock(&self->lock);
    hp_upgraded *u = self->closing ? NULL : self->u;
    if (u != NULL)
        self->users++;
    hpy_unlock(&self->lock);
    if (u == NULL)
        hpy_raise_text(self->st, self->response, HP_E_CLOSED,
                       "the connection is closed");
    return u;
}

/* False: it was closed meanwhile. */
static bool
leave(upgraded *self)
{
    hp_upgraded *dead = NULL;
    hpy_lock(&self->lock);
    bool open = !self->closing;
    if (--self->users == 0 && self->closing) {
        dead = self->u;
        self->u = NULL;
    }
    hpy_unlock(&self->lock);
    if (dead != NULL)
        hp_upgraded_free(dead);
    return open;
}

/* What moved before a close() counts; what failed, or found the end, did so
 * because of it. */
static int
outcome(upgraded *self, hp_drive d, bool moved, bool open, const hp_err *err)
{
    if (d == HP_DRIVE_DONE && (moved || open))
        return 0;
    if (open || err->code == HP_E_INTERRUPTED || err->code == HP_E_FORKED)
        hpy_raise(self->st, err, self->response);
    else
        hpy_raise_text(self->st, self->response, HP_E_CLOSED,
                       "the connection was closed");
    return -1;
}

static void
close_now(upgraded *self)
{
    hp_upgraded *dead = NULL;
    hpy_lock(&self->lock);
    self->closing = true;
    if (self->users > 0) { /* wakes those who wait on it */
        shutdown(hp_upgraded_fileno(self->u), SHUT_RDWR);
    } else {
        dead = self->u;
        self->u = NULL;
    }
    hpy_unlock(&self->lock);
    if (dead != NULL)
        hp_upgraded_free(dead);
}

/* ---- methods ---- */

static int
receive(upgraded *self, void *buf, size_t cap, size_t *got)
{
    hp_err err;
    hp_err_clear(&err);
    hp_upgraded *u = enter(self);
    if (u == NULL)
        return -1;
    *got = 0;
    hp_drive d =
        hpy_drive_recv(self->st, u, self->timeout, buf, cap, got, &err);
    return outcome(self, d, *got > 0, leave(self), &err);
}

static PyObject *
upgraded_recv(PyObject *op, PyObject *args)
{
    Py_ssize_t n = RECV_DEFAULT;
    size_t got;
    if (!PyArg_ParseTuple(args, "|n:recv", &n))
        return NULL;
    if (n < 0) {
        hpy_raise_argument(((upgraded *)op)->st, "size must not be negative");
        return NULL;
    }
    PyObject *v = PyBytes_FromStringAndSize(NULL, n);
    if (v == NULL || n == 0)
        return v;
    if (receive((upgraded *)op, PyBytes_AS_STRING(v), (size_t)n, &got) < 0) {
        Py_DECREF(v);
        return NULL;
    }
    _PyBytes_Resize(&v, (Py_ssize_t)got);
    return v;
}

static PyObject *
upgraded_recv_into(PyObject *op, PyObject *buffer)
{
    Py_buffer view;
    size_t got = 0;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0)
        return NULL;
    int rc = view.len == 0
                 ? 0
                 : receive((upgraded *)op, view.buf, (size_t)view.len, &got);
    PyBuffer_Release(&view);
    return rc < 0 ? NULL : PyLong_FromSize_t(got);
}

static int
send_all(upgraded *self, const Py_buffer *view)
{
    hp_err err;
    hp_err_clear(&err);
    hp_upgraded *u = enter(self);
    if (u == NULL)
        return -1;
    hp_drive d = hpy_drive_sendall(self->st, u, self->timeout, view->buf,
                                   (size_t)view->len, &err);
    return outcome(self, d, true, leave(self), &err);
}

static PyObject *
upgraded_sendall(PyObject *op, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    int rc = send_all((upgraded *)op, &view);
    PyBuffer_Release(&view);
    if (rc < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
upgraded_shutdown(PyObject *op, PyObject *unused)
{
    hp_upgraded *u = enter((upgraded *)op);
    if (u == NULL)
        return NULL;
    hp_upgraded_shutdown(u);
    leave((upgraded *)op);
    Py_RETURN_NONE;
}

static PyObject *
upgraded_fileno(PyObject *op, PyObject *unused)
{
    hp_upgraded *u = enter((upgraded *)op);
    if (u == NULL)
        return NULL;
    int fd = hp_upgraded_fileno(u);
    leave((upgraded *)op);
    return PyLong_FromLong(fd);
}

static PyObject *
upgraded_settimeout(PyObject *op, PyObject *seconds)
{
    upgraded *self = (upgraded *)op;
    if (hpy_arg_seconds(self->st, seconds, "timeout", false, &self->timeout) <
        0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
upgraded_gettimeout(PyObject *op, PyObject *unused)
{
    hp_ns t = ((upgraded *)op)->timeout;
    if (t < 0)
        Py_RETURN_NONE;
    return PyFloat_FromDouble((double)t / (double)HP_NS_PER_S);
}

static PyObject *
upgraded_close(PyObject *op, PyObject *unused)
{
    close_now((upgraded *)op);
    Py_RETURN_NONE;
}

static PyObject *
upgraded_enter(PyObject *op, PyObject *unused)
{
    return Py_NewRef(op);
}

static PyObject *
upgraded_exit(PyObject *op, PyObject *args)
{
    return upgraded_close(op, NULL);
}

static PyObject *
get_closed(PyObject *op, void *closure)
{
    upgraded *self = (upgraded *)op;
    hpy_lock(&self->lock);
    bool closed = self->closing;
    hpy_unlock(&self->lock);
    return PyBool_FromLong(closed);
}

/* ---- the type ---- */

static int
upgraded_traverse(PyObject *op, visitproc visit, void *arg)
{
    HPY_VISIT_TYPE(op);
    Py_VISIT(((upgraded *)op)->response);
    return 0;
}

static int
upgraded_clear(PyObject *op)
{
    Py_CLEAR(((upgraded *)op)->response);
    return 0;
}

static void
upgraded_dealloc(PyObject *op)
{
    upgraded *self = (upgraded *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->u != NULL)
        hp_upgraded_free(self->u);
    upgraded_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(upgraded_doc, "\
A connection after a 101 or a CONNECT, TLS included. What came with the\n\
response's head is received first. One thread may receive while another\n\
sends.");
PyDoc_STRVAR(recv_doc, "recv($self, size=65536, /)\n--\n\n\
What has arrived, at most `size` bytes; b'' when the peer has ended.\n\
\n\
Raises ReadTimeout after settimeout() seconds of silence, ReadError,\n\
ClosedError.");
PyDoc_STRVAR(recv_into_doc, "recv_into($self, buffer, /)\n--\n\n\
The same into a writable buffer; returns how many bytes, 0 at the end.");
PyDoc_STRVAR(sendall_doc, "sendall($self, data, /)\n--\n\n\
Send all of a bytes-like object. Raises WriteTimeout, WriteError,\n\
ClosedError.");
PyDoc_STRVAR(shutdown_doc, "shutdown($self, /)\n--\n\n\
Say that no more will be sent; receiving goes on.");
PyDoc_STRVAR(fileno_doc, "fileno($self, /)\n--\n\n\
The socket's descriptor, for polling. Bytes may be buffered above it.");
PyDoc_STRVAR(settimeout_doc, "settimeout($self, seconds, /)\n--\n\n\
The longest silence a call bears; None (the default) is no limit.");
PyDoc_STRVAR(gettimeout_doc, "gettimeout($self, /)\n--\n\n\
What settimeout() was given.");
PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\n\
Close it; never blocks. Calls under way in other threads end.");

static PyMethodDef upgraded_methods[] = {
    {"recv", upgraded_recv, METH_VARARGS, recv_doc},
    {"recv_into", upgraded_recv_into, METH_O, recv_into_doc},
    {"sendall", upgraded_sendall, METH_O, sendall_doc},
    {"shutdown", upgraded_shutdown, METH_NOARGS, shutdown_doc},
    {"fileno", upgraded_fileno, METH_NOARGS, fileno_doc},
    {"settimeout", upgraded_settimeout, METH_O, settimeout_doc},
    {"gettimeout", upgraded_gettimeout, METH_NOARGS, gettimeout_doc},
    {"close", upgraded_close, METH_NOARGS, close_doc},
    {"__enter__", upgraded_enter, METH_NOARGS, NULL},
    {"__exit__", upgraded_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef upgraded_getset[] = {
    {"closed", get_closed, NULL, "bool: whether close() was called.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot upgraded_slots[] = {
    {Py_tp_doc, (void *)upgraded_doc},
    {Py_tp_dealloc, upgraded_dealloc},
    {Py_tp_traverse, upgraded_traverse},
    {Py_tp_clear, upgraded_clear},
    {Py_tp_methods, upgraded_methods},
    {Py_tp_getset, upgraded_getset},
    {0, NULL},
};

PyType_Spec hpy_upgraded_spec = {
    .name = "hpool.Upgraded",
    .basicsize = sizeof(upgraded),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = upgraded_slots,
};
