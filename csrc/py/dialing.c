#include "dialing.h"

#include <sys/socket.h>
#include <unistd.h>

#include "args.h"
#include "errors.h"

/* ---- making it ---- */

int
hpy_dialing_new(hpy_state *st, PyObject *const *given, PyObject *settings,
                PyObject **out)
{
    PyObject *v[HPY_DIALING_COUNT];
    bool any = false;
    *out = NULL;
    for (int i = 0; i < HPY_DIALING_COUNT; i++) {
        v[i] = given[i] == NULL ? Py_None : given[i];
        any |= v[i] != Py_None;
    }
    if (!any)
        return 0;
    *out = hpy_helper_call(st, HPY_HELPER_DIALING, HPY_DIALING_COUNT, v[0],
                           v[1], v[2], v[3], v[4], v[5]);
    if (*out == NULL)
        return -1;
    PyObject *own = PyObject_CallMethod(*out, "settings", NULL);
    int rc = own == NULL ? -1 : PyDict_Update(settings, own);
    Py_XDECREF(own);
    return rc;
}

PyObject *
hpy_dialing_get(PyObject *dialing, const char *name)
{
    return dialing == NULL ? Py_NewRef(Py_None)
                           : PyObject_GetAttrString(dialing, name);
}

/* ---- in the core's terms ---- */

static int
address_of(hpy_state *st, const char *ip, int port, hp_addr *out)
{
    if (hp_addr_from_literal(ip, out) != 1)
        return hpy_raise_argument(
            st, "the zone of %s is no interface of this machine", ip);
    hp_addr_set_port(out, (uint16_t)port);
    return 0;
}

static hp_addrs *
addresses_of(hpy_state *st, PyObject *list)
{
    Py_ssize_t n = PyTuple_GET_SIZE(list);
    hp_addrs *out = hp_addrs_new((int)n);
    if (out == NULL)
        return (hp_addrs *)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < n; i++) {
        const char *ip;
        int port;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(list, i), "si", &ip, &port) ||
            address_of(st, ip, port, &out->list[i]) < 0) {
            hp_addrs_unref(out);
            return NULL;
        }
    }
    return out;
}

static int
set_overrides(hpy_state *st, PyObject *list, hpy_dialing_arrays *a,
              hp_dial_options *out)
{
    Py_ssize_t n = PyTuple_GET_SIZE(list);
    a->overrides = PyMem_Calloc((size_t)n + 1, sizeof *a->overrides);
    if (a->overrides == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        hp_override *o = &a->overrides[i];
        PyObject *addresses;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(list, i), "sHO!", &o->host,
                              &o->port, &PyTuple_Type, &addresses))
            return -1;
        o->addrs = addresses_of(st, addresses);
        if (o->addrs == NULL)
            return -1;
        a->n_overrides = i + 1;
    }
    out->overrides = a->overrides;
    out->n_overrides = (int)n;
    return 0;
}

static int
sockopt_of(PyObject *item, hp_sockopt *out)
{
    PyObject *value;
    int length;
    if (!PyArg_ParseTuple(item, "iiOis", &out->level, &out->name, &value,
                          &length, &out->label))
        return -1;
    out->len = (socklen_t)length;
    if (PyBytes_Check(value))
        out->data = PyBytes_AS_STRING(value);
    else if (value != Py_None)
        out->value = (int)PyLong_AsLong(value);
    return PyErr_Occurred() ? -1 : 0;
}

static int
set_sockopts(PyObject *list, hpy_dialing_arrays *a, hp_dial_options *out)
{
    Py_ssize_t n = PyTuple_GET_SIZE(list);
    a->sockopts = PyMem_Calloc((size_t)n + 1, sizeof *a->sockopts);
    if (a->sockopts == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (sockopt_of(PyTuple_GET_ITEM(list, i), &a->sockopts[i]) < 0)
            return -1;
    }
    out->sockopts = a->sockopts;
    out->n_sockopts = (int)n;
    return 0;
}

static int
set_core(hpy_state *st, PyObject *core, hpy_dialing_arrays *a,
         hp_dial_options *out)
{
    PyObject *overrides, *options, *uds;
    int custom_dial;
    const char *ip;
    int port;
    if (!PyArg_ParseTuple(core, "O!ziOiO!p", &PyTuple_Type, &overrides, &ip,
                          &port, &uds, &out->family, &PyTuple_Type, &options,
                          &custom_dial))
        return -1;
    out->custom_dial = custom_dial;
    if (uds != Py_None)
        out->uds = PyBytes_AS_STRING(uds);
    if (ip != NULL) {
        if (address_of(st, ip, port, &a->local_address) < 0)
            return -1;
        out->local_address = &a->local_address;
    }
    if (set_overrides(st, overrides, a, out) < 0)
        return -1;
    return set_sockopts(options, a, out);
}

int
hpy_dialing_config(hpy_state *st, PyObject *dialing, hpy_dialing_arrays *a,
                   hp_dial_options *out)
{
    *a = (hpy_dialing_arrays){.n_overrides = 0};
    if (dialing == NULL)
        return 0;
    a->core = PyObject_GetAttrString(dialing, "core");
    return a->core == NULL ? -1 : set_core(st, a->core, a, out);
}

void
hpy_dialing_clear(hpy_dialing_arrays *a)
{
    for (Py_ssize_t i = 0; i < a->n_overrides; i++)
        hp_addrs_unref(a->overrides[i].addrs);
    PyMem_Free(a->overrides);
    PyMem_Free(a->sockopts);
    Py_CLEAR(a->core);
}

/* ---- dial= ---- */

/* TLS that is begun cannot be taken over: its state is not in the socket. */
static int
check_plain(PyObject *sock)
{
    PyObject *f = PyObject_GetAttrString(sock, "do_handshake");
    if (f == NULL) {
        PyErr_Clear();
        return 0;
    }
    Py_DECREF(f);
    PyErr_Format(PyExc_TypeError,
                 "dial must return a socket without TLS, not %s; hpool makes "
                 "the handshake itself",
                 Py_TYPE(sock)->tp_name);
    return -1;
}

static int
no_socket(PyObject *given)
{
    PyErr_Format(PyExc_TypeError,
                 "dial must return a connected socket.socket, not %s",
                 Py_TYPE(given)->tp_name);
    return -1;
}

/* What detach() gave back, as a descriptor: files have such a method, too. */
static int
descriptor_of(PyObject *sock, PyObject *v)
{
    int overflow = 0;
    long fd =
        PyLong_Check(v) ? PyLong_AsLongAndOverflow(v, &overflow) : LONG_MAX;
    if (overflow != 0 || fd > INT_MAX)
        return no_socket(sock);
    if (fd >= 0)
        return (int)fd;
    PyErr_SetString(PyExc_ValueError,
                    "dial must return a connected socket, not a closed one");
    return -1;
}

/* No server speaks first in HTTP or TLS: it would be taken for the answer. */
static int
check_silent(int fd)
{
    char byte;
    if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
        return fd;
    close(fd);
    PyErr_SetString(PyExc_ValueError,
                    "dial must return a socket that has nothing to read yet: "
                    "these bytes are no answer to the request");
    return -1;
}

/* The descriptor, which is ours from now on. */
static int
detach_socket(PyObject *sock)
{
    if (check_plain(sock) < 0)
        return -1;
    PyObject *v = PyObject_CallMethod(sock, "detach", NULL);
    if (v == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        return no_socket(sock);
    }
    int fd = v == NULL ? -1 : descriptor_of(sock, v);
    Py_XDECREF(v);
    return fd < 0 ? -1 : check_silent(fd);
}

static PyObject *
call_dial(PyObject *dialing, const hp_dial_wanted *w)
{
    PyObject *dial = PyObject_GetAttrString(dialing, "dial");
    PyObject *timeout = w->timeout < 0
                            ? Py_NewRef(Py_None)
                            : PyFloat_FromDouble((double)w->timeout / 1e9);
    PyObject *sock = NULL;
    if (dial != NULL && timeout != NULL)
        sock = PyObject_CallFunction(dial, "s#iO", w->host.ptr,
                                     (Py_ssize_t)w->host.len, (int)w->port,
                                     timeout);
    Py_XDECREF(dial);
    Py_XDECREF(timeout);
    return sock;
}

/* 0 when it has none. */
static int
errno_of(hpy_exc *e)
{
    PyObject *v = PyObject_GetAttrString(hpy_exc_value(e), "errno");
    int n = v != NULL && PyLong_Check(v) ? (int)PyLong_AsLong(v) : 0;
    Py_XDECREF(v);
    PyErr_Clear();
    return n;
}

static int
dial_raised(hp_exchange *ex, hpy_exc *raised)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        hp_exchange_fail_dial(ex, 0, true);
        return -1;
    }
    hpy_exc_drop(raised);
    *raised = hpy_exc_take();
    hp_exchange_fail_dial(ex, errno_of(raised), false);
    return 0;
}

int
hpy_dialing_answer(PyObject *dialing, hp_exchange *ex, hpy_exc *raised)
{
    hp_dial_wanted wanted;
    if (!hp_exchange_dial_wanted(ex, &wanted))
        return 0;
    PyObject *sock = call_dial(dialing, &wanted);
    int fd = sock == NULL ? -1 : detach_socket(sock);
    Py_XDECREF(sock);
    if (fd < 0)
        return dial_raised(ex, raised);
    hp_exchange_give_socket(ex, fd);
    return 0;
}
