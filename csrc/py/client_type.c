/* The type Client: life cycle and everything but the verbs
 * (client_request.c), the settings (client_settings.c) and TLS
 * (client_tls.c). */
#include "client.h"
#include "client_doc.h"
#include "client_late.h"
#include "errors.h"
#include "leaks.h"
#include "trace.h"

static PyObject *
client_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *module = PyType_GetModuleByDef(type, &hpy_module_def);
    if (module == NULL)
        return NULL;
    hpy_client *self = (hpy_client *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->st = PyModule_GetState(module);
    return (PyObject *)self;
}

int
hpy_client_traverse(PyObject *op, visitproc visit, void *arg)
{
    hpy_client *self = (hpy_client *)op;
    HPY_VISIT_TYPE(op);
    Py_VISIT(self->limits);
    Py_VISIT(self->retries);
    Py_VISIT(self->tls);
    Py_VISIT(self->dialing);
    Py_VISIT(self->default_encoding);
    Py_VISIT(self->settings);
    Py_VISIT(self->headers_view);
    Py_VISIT(self->call_tls);
    Py_VISIT(self->made_proxies);
    Py_VISIT(self->unverified);
    return hpy_defaults_traverse(self->defaults, visit, arg);
}

int
hpy_client_clear(PyObject *op)
{
    hpy_client *self = (hpy_client *)op;
    Py_CLEAR(self->limits);
    Py_CLEAR(self->retries);
    Py_CLEAR(self->tls);
    Py_CLEAR(self->dialing);
    Py_CLEAR(self->default_encoding);
    Py_CLEAR(self->settings);
    Py_CLEAR(self->headers_view);
    Py_CLEAR(self->call_tls);
    Py_CLEAR(self->made_proxies);
    Py_CLEAR(self->unverified);
    hpy_defaults *d = self->defaults;
    self->defaults = NULL;
    hpy_defaults_unref(d);
    return 0;
}

void
hpy_client_dealloc(PyObject *op)
{
    hpy_client *self = (hpy_client *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(op);
    hpy_client_clear(op);
    if (self->transport != NULL)
        hp_transport_unref(self->transport);
    type->tp_free(op);
    Py_DECREF(type);
}

int
hpy_client_check(hpy_client *c)
{
    if (c->transport != NULL)
        return 0;
    PyErr_Format(PyExc_RuntimeError, "%s.__init__() was not called",
                 Py_TYPE(c)->tp_name);
    return -1;
}

hpy_defaults *
hpy_client_defaults(hpy_client *c)
{
    hpy_lock(&c->lock);
    hpy_defaults *d = hpy_defaults_ref(c->defaults);
    hpy_unlock(&c->lock);
    return d;
}

/* ---- methods ---- */

static int
close_mounts(hpy_client *self)
{
    PyObject *mounts = NULL, *v;
    hpy_defaults *d = hpy_client_defaults(self);
    if (d->policy != NULL)
        mounts = Py_XNewRef(PyDict_GetItemString(d->policy, "mounts"));
    hpy_defaults_unref(d);
    if (mounts == NULL)
        return 0;
    v = PyObject_CallMethod(mounts, "close", NULL);
    Py_DECREF(mounts);
    Py_XDECREF(v);
    return v == NULL ? -1 : 0;
}

static PyObject *
client_close(PyObject *op, PyObject *unused)
{
    hpy_client *self = (hpy_client *)op;
    if (self->transport == NULL)
        Py_RETURN_NONE;
    hp_transport_close(self->transport);
    if (hpy_trace_client(self) < 0 || close_mounts(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
client_enter(PyObject *op, PyObject *unused)
{
    hpy_client *self = (hpy_client *)op;
    if (hpy_client_check(self) < 0)
        return NULL;
    if (hp_transport_is_closed(self->transport))
        return hpy_raise_text(self->st, NULL, HP_E_CLOSED,
                              "the client is closed");
    return Py_NewRef(op);
}

static PyObject *
client_exit(PyObject *op, PyObject *args)
{
    return client_close(op, NULL);
}

static PyObject *
client_stats(PyObject *op, PyObject *unused)
{
    hpy_client *self = (hpy_client *)op;
    if (hpy_client_check(self) < 0 || hpy_trace_client(self) < 0)
        return NULL;
    return hpy_stats(self->st, self->transport);
}

static PyObject *
client_advise(PyObject *op, PyObject *unused)
{
    hpy_client *self = (hpy_client *)op;
    if (hpy_client_check(self) < 0)
        return NULL;
    return hpy_advise(self->st, op, self->transport);
}

static PyObject *
client_leaks(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"older_than", NULL};
    hpy_client *self = (hpy_client *)op;
    PyObject *older_than = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:leaks", names,
                                     &older_than) ||
        hpy_client_check(self) < 0)
        return NULL;
    return hpy_leaks(self->st, self->transport, older_than);
}

/* A name, host:port or URL, as the core takes it: without scheme and path. */
static hp_span
host_span(const char *p, size_t n)
{
    hp_span s = hp_span_of(p, n);
    for (size_t i = 0; i + 2 < n; i++) {
        if (memcmp(p + i, "://", 3) == 0) {
            s = hp_span_of(p + i + 3, n - i - 3);
            break;
        }
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '/' || s.ptr[i] == '?' || s.ptr[i] == '#')
            s.len = i;
    }
    return s;
}

/* The host= of close_idle(); {NULL, 0} for None. */
static int
host_argument(hpy_client *self, PyObject *v, hp_span *out)
{
    hp_span s;
    *out = (hp_span){NULL, 0};
    if (v == Py_None)
        return 0;
    if (!PyUnicode_Check(v)) {
        PyErr_Format(PyExc_TypeError, "host must be a str or None, not %s",
                     Py_TYPE(v)->tp_name);
        return -1;
    }
    if (hpy_utf8(self->st, v, "host", HP_E_INVALID_ARGUMENT, &s) < 0)
        return -1;
    *out = host_span(s.ptr, s.len);
    if (out->len)
        return 0;
    hpy_raise_argument(self->st, "host takes a name, host:port or URL");
    return -1;
}

static PyObject *
client_close_idle(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"host", NULL};
    hpy_client *self = (hpy_client *)op;
    PyObject *host = Py_None;
    hp_span span;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:close_idle", names,
                                     &host) ||
        hpy_client_check(self) < 0 || host_argument(self, host, &span) < 0)
        return NULL;
    size_t closed = hp_transport_close_idle(self->transport, span);
    return hpy_trace_client(self) < 0 ? NULL : PyLong_FromSize_t(closed);
}

static PyObject *
client_repr(PyObject *op)
{
    hpy_client *self = (hpy_client *)op;
    const char *name = Py_TYPE(op)->tp_name;
    const char *dot = strrchr(name, '.');
    if (self->transport == NULL)
        return PyUnicode_FromFormat("<%s>", dot == NULL ? name : dot + 1);
    bool closed = hp_transport_is_closed(self->transport);
    hpy_defaults *d = hpy_client_defaults(self);
    PyObject *v = PyUnicode_FromFormat(
        "<%s%s%s%V>", dot == NULL ? name : dot + 1, closed ? " closed" : "",
        d->base_url == NULL ? "" : " ", d->base_url, "");
    hpy_defaults_unref(d);
    return v;
}

PyDoc_STRVAR(
    warm_doc,
    "warm($self, /, url, n, *, timeout=..., "
    "verify=None, cert=None, tls=None, proxy=None, proxies=None, cancel=None)"
    "\n--\n\n\
Make connections for the URL's host before they are needed: blocks until n\n\
are there, those in use included, and returns how many are.\n\
\n\
All that are missing are dialed at once, TLS included. Limits cap it: fewer\n\
come back where no more may be made or kept idle, at once and without an\n\
error. Requests may take what is there meanwhile. When a dial fails its error\n\
is raised once the others have ended; those that succeeded are kept.");

PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\n\
Close the pool; does not block and may be called twice.\n\
\n\
Idle connections are closed at once. Requests that have no answer yet get\n\
ClosedError; bodies under way can be read to their end.");

PyDoc_STRVAR(stats_doc, "stats($self, /)\n--\n\n\
A snapshot of the pool: `total`, and `hosts` by key. str() is a table.");

PyDoc_STRVAR(advise_doc, "advise($self, /)\n--\n\n\
What the pool's counters say is wrong, and which setting or code to change:\n\
a list of Advice, the worst first; empty when all is well.\n\
\n\
Looks at what this client has counted since it was made, and at the\n\
process: its descriptors, its short-lived clients. Does not block.");

PyDoc_STRVAR(leaks_doc, "leaks($self, /, older_than=30.0)\n--\n\n\
The responses that have held a connection for `older_than` seconds or more,\n\
neither read to their end nor closed: a list of Leak, the longest first.\n\
\n\
With Client(leak_warnings=\"trace\") each names the line that made it. 0 lists\n\
all. Any thread, also when the pool is full; does not block. ValueError for\n\
a negative number.");

PyDoc_STRVAR(close_idle_doc, "close_idle($self, /, host=None)\n--\n\n\
Close idle connections, of one host if `host` is given, and those that\n\
become idle until the next request. Returns how many were closed.\n\
\n\
`host` is a name, host:port or a URL. Does not block.");

#define LATE(name)                                                             \
    (PyCFunction)(void (*)(void)) hpy_late_##name, METH_VARARGS | METH_KEYWORDS
#define FAST(f) (PyCFunction)(void (*)(void))(f), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef client_methods[] = {
    {"get", FAST(hpy_client_get), hpy_get_doc},
    {"options", FAST(hpy_client_options), hpy_options_doc},
    {"head", FAST(hpy_client_head), hpy_head_doc},
    {"post", FAST(hpy_client_post), hpy_post_doc},
    {"put", FAST(hpy_client_put), hpy_put_doc},
    {"patch", FAST(hpy_client_patch), hpy_patch_doc},
    {"delete", FAST(hpy_client_delete), hpy_delete_doc},
    {"request", FAST(hpy_client_request), hpy_request_doc},
    {"build_request", FAST(hpy_client_build_request), hpy_build_request_doc},
    {"prepare_request", hpy_client_prepare_request, METH_O,
     hpy_prepare_request_doc},
    {"send", FAST(hpy_client_send_prepared), hpy_send_doc},
    {"mount", LATE(mount), hpy_mount_doc},
    {"get_adapter", LATE(get_adapter), hpy_get_adapter_doc},
    {"close", client_close, METH_NOARGS, close_doc},
    {"stats", client_stats, METH_NOARGS, stats_doc},
    {"advise", client_advise, METH_NOARGS, advise_doc},
    {"leaks", (PyCFunction)(void (*)(void))client_leaks,
     METH_VARARGS | METH_KEYWORDS, leaks_doc},
    {"warm", FAST(hpy_client_warm), warm_doc},
    {"close_idle", (PyCFunction)(void (*)(void))client_close_idle,
     METH_VARARGS | METH_KEYWORDS, close_idle_doc},
    {"__enter__", client_enter, METH_NOARGS, NULL},
    {"__exit__", client_exit, METH_VARARGS, NULL},
    {"__getstate__", hpy_client_getstate, METH_NOARGS, NULL},
    {"__setstate__", hpy_client_setstate, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef client_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(hpy_client, weakrefs), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot client_slots[] = {
    {Py_tp_doc, (void *)hpy_client_doc},   {Py_tp_new, client_new},
    {Py_tp_init, hpy_client_init},         {Py_tp_dealloc, hpy_client_dealloc},
    {Py_tp_traverse, hpy_client_traverse}, {Py_tp_clear, hpy_client_clear},
    {Py_tp_setattro, hpy_client_setattro}, {Py_tp_repr, client_repr},
    {Py_tp_methods, client_methods},       {Py_tp_members, client_members},
    {Py_tp_getset, hpy_client_getset},     {0, NULL},
};

PyType_Spec hpy_client_spec = {
    .name = "hpool.Client",
    .basicsize = sizeof(hpy_client),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = client_slots,
};
