/* Pickling of a client: its settings, as they are now. */
#include "client.h"

/* Over the built-in defaults in a new client, these give the present ones. */
static PyObject *
portable_headers(hpy_client *c, PyObject *headers)
{
    PyObject *out = PySequence_List(headers);
    PyObject *base = hpy_default_headers(c->st, NULL, c->decompress);
    Py_ssize_t n = base == NULL ? 0 : PyTuple_GET_SIZE(base);
    for (Py_ssize_t i = 0; out != NULL && i < n; i++) {
        PyObject *name = PyTuple_GET_ITEM(PyTuple_GET_ITEM(base, i), 0);
        PyObject *gone = PyTuple_Pack(2, name, Py_None);
        if (gone == NULL || PyList_Append(out, gone) < 0)
            Py_CLEAR(out);
        Py_XDECREF(gone);
    }
    Py_XDECREF(base);
    return out;
}

static int
put_setting(PyObject *settings, const char *name, PyObject *value)
{
    return hpy_given(value) ? PyDict_SetItemString(settings, name, value) : 0;
}

/* Whatever of it was given at first, the present ones count; a setting that is
 * off now was perhaps on then. */
static int
put_policy(PyObject *settings, PyObject *policy)
{
    static const char *const names[] = {
        "auth",          "cookies",          "hooks",
        "event_hooks",   "follow_redirects", "allow_redirects",
        "max_redirects", "check_redirect",   "mounts",
        "transport"};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(names); i++) {
        PyObject *v =
            policy == NULL ? NULL : PyDict_GetItemString(policy, names[i]);
        if (PyDict_SetItemString(settings, names[i], v == NULL ? Py_None : v) <
            0)
            return -1;
    }
    return 0;
}

/* Of a client that was told nothing, the environment's are left to where it is
 * unpickled. */
static int
put_proxies(hpy_client *c, const hpy_defaults *d, PyObject *settings)
{
    PyObject *now = d->proxies == NULL ? Py_None : d->proxies;
    if (d->proxies == NULL && PyDict_GetItemString(settings, "proxy") == NULL &&
        PyDict_GetItemString(settings, "proxies") == NULL)
        return 0;
    PyObject *v =
        hpy_helper_call(c->st, HPY_HELPER_PROXY_KEEP, 2, settings, now);
    Py_XDECREF(v);
    return v == NULL ? -1 : 0;
}

static PyObject *
current_settings(hpy_client *c)
{
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *headers = portable_headers(c, d->headers);
    PyObject *out = headers == NULL ? NULL : PyDict_Copy(c->settings);
    if (out != NULL && put_policy(out, d->policy) < 0)
        Py_CLEAR(out);
    if (out != NULL &&
        (put_proxies(c, d, out) < 0 ||
         PyDict_SetItemString(out, "base_url",
                              d->base_url == NULL ? Py_None : d->base_url) <
             0 ||
         put_setting(out, "headers", headers) < 0 ||
         put_setting(out, "params", d->params) < 0 ||
         put_setting(out, "timeout", d->timeout) < 0 ||
         PyDict_SetItemString(out, "verify", d->verify) < 0 ||
         PyDict_SetItemString(out, "cert", d->cert) < 0 ||
         PyDict_SetItemString(out, "trust_env",
                              d->trust_env ? Py_True : Py_False) < 0 ||
         PyDict_SetItemString(out, "stream", d->stream ? Py_True : Py_False) <
             0 ||
         PyDict_SetItemString(out, "trace",
                              d->trace == NULL ? Py_None : d->trace) < 0))
        Py_CLEAR(out);
    Py_XDECREF(headers);
    hpy_defaults_unref(d);
    return out;
}

PyObject *
hpy_client_getstate(PyObject *op, PyObject *unused)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    PyObject *settings = current_settings(c);
    if (settings == NULL)
        return NULL;
    PyObject *dict = PyObject_GetAttrString(op, "__dict__");
    if (dict == NULL) { /* only subclasses have one */
        PyErr_Clear();
        dict = Py_NewRef(Py_None);
    }
    return Py_BuildValue("(NN)", settings, dict);
}

static int
restore_dict(PyObject *op, PyObject *dict)
{
    if (dict == Py_None)
        return 0;
    PyObject *own = PyObject_GetAttrString(op, "__dict__");
    int rc = own == NULL ? -1 : PyDict_Update(own, dict);
    Py_XDECREF(own);
    return rc;
}

PyObject *
hpy_client_setstate(PyObject *op, PyObject *state)
{
    PyObject *settings, *dict, *none = PyTuple_New(0);
    if (none == NULL)
        return NULL;
    int ok = PyArg_ParseTuple(state, "O!O:__setstate__", &PyDict_Type,
                              &settings, &dict) &&
             hpy_client_init(op, none, settings) == 0 &&
             restore_dict(op, dict) == 0;
    Py_DECREF(none);
    if (!ok)
        return NULL;
    Py_RETURN_NONE;
}
