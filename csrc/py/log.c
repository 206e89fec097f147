#include "log.h"

#include "errors.h"
#include "trace.h"

static PyObject *
module_imported(const char *name)
{
    PyObject *key = PyUnicode_FromString(name);
    PyObject *module = key == NULL ? NULL : PyImport_GetModule(key);
    Py_XDECREF(key);
    return module;
}

PyObject *
hpy_log_wanted(hpy_state *st)
{
    PyObject *logging = module_imported("logging");
    if (logging == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    Py_DECREF(logging);
    return hpy_helper_call(st, HPY_HELPER_LOG_WANTED, 0);
}

/* Nobody else sees the response before its head is there. */
static int
listen_to(hpy_response *r, PyObject *log)
{
    hp_err err;
    hp_span url;
    hp_err_clear(&err);
    PyObject *listeners = hpy_trace_listeners(r->st, log);
    PyObject *all =
        listeners == NULL ? NULL : hpy_trace_join(r->listeners, listeners);
    Py_XDECREF(listeners);
    if (all == NULL ||
        hpy_utf8(r->st, r->url, "url", HP_E_INVALID_URL, &url) < 0) {
        Py_XDECREF(all);
        return -1;
    }
    if (hp_exchange_listen(r->ex, url, &err) != 0)
        hpy_raise(r->st, &err, r);
    Py_XSETREF(r->listeners, all);
    return PyErr_Occurred() ? -1 : 0;
}

static int
tell_client(hpy_client *c, PyObject *log)
{
    hpy_defaults *d = hpy_client_defaults(c);
    bool on = d->log != NULL;
    hpy_defaults_unref(d);
    return on == (log != Py_None) ? 0 : hpy_client_set_log(c, log);
}

static int
look(hpy_response *r)
{
    PyObject *log = hpy_log_wanted(r->st);
    if (log == NULL)
        return -1;
    bool own = r->defaults->log != NULL;
    int rc = tell_client(r->client, log);
    if (rc == 0 && !own && log != Py_None)
        rc = listen_to(r, log);
    Py_DECREF(log);
    return rc;
}

int
hpy_log_look(hpy_response *r)
{
    if (hpy_trace_telling() || look(r) == 0)
        return 0;
    return hpy_report((PyObject *)r->client);
}

int
hpy_log_look_client(hpy_client *c)
{
    if (hpy_trace_telling())
        return 0;
    PyObject *log = hpy_log_wanted(c->st);
    int rc = log == NULL ? -1 : tell_client(c, log);
    Py_XDECREF(log);
    return rc == 0 ? 0 : hpy_report((PyObject *)c);
}
