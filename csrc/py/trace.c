#include "trace.h"

#include "errors.h"

/* Listeners on the stack of this thread. */
static _Thread_local int telling;

/* ---- who listens ---- */

PyObject *
hpy_trace_listeners(hpy_state *st, PyObject *given)
{
    if (!hpy_given(given))
        return NULL;
    PyObject *listener = hpy_helper_call(st, HPY_HELPER_LISTENER, 1, given);
    if (listener == NULL)
        return NULL;
    PyObject *tuple = PyTuple_Pack(1, listener);
    Py_DECREF(listener);
    return tuple;
}

PyObject *
hpy_trace_join(PyObject *first, PyObject *then)
{
    if (first == NULL || then == NULL)
        return Py_XNewRef(first == NULL ? then : first);
    return PySequence_Concat(first, then);
}

bool
hpy_trace_telling(void)
{
    return telling > 0;
}

/* The call's own first; new reference, NULL without an exception for none. */
static PyObject *
all_listeners(hpy_state *st, PyObject *given, const hpy_defaults *d)
{
    PyObject *others = telling > 0 ? NULL : d->listeners;
    PyObject *own = hpy_trace_listeners(st, given);
    PyObject *all =
        own == NULL && PyErr_Occurred() ? NULL : hpy_trace_join(own, others);
    Py_XDECREF(own);
    return all;
}

int
hpy_trace_begin(hpy_response *r, PyObject *given, hp_request_trace *out)
{
    r->listeners = all_listeners(r->st, given, r->defaults);
    *out = r->listeners == NULL ? HP_TRACE_SILENT : HP_TRACE_EVENTS;
    return PyErr_Occurred() ? -1 : 0;
}

/* ---- records ---- */

/* Header lines are Latin-1, as everywhere; all else is text of ours or the
 * system's. */
static PyObject *
text(const hp_event *e, hp_span s)
{
    if (s.ptr == NULL)
        return Py_NewRef(Py_None);
    if (e->kind == HP_EVENT_WROTE_HEADER_FIELD)
        return hpy_str_of_span(s);
    return PyUnicode_DecodeUTF8(s.ptr, (Py_ssize_t)s.len, "replace");
}

static PyObject *
field_pairs(hp_span lines)
{
    PyObject *list = PyList_New(0);
    hp_field f;
    while (list != NULL && hp_field_next(&lines, &f)) {
        PyObject *pair = Py_BuildValue("(NN)", hpy_str_of_span(f.name),
                                       hpy_str_of_span(f.value));
        if (pair == NULL || PyList_Append(list, pair) < 0)
            Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

/* The name of the class that is raised. When that is the caller's own, or a
 * signal handler's, it is the exception that is set. */
static PyObject *
error_name(hp_errc code, const hpy_exc *set)
{
    if (code == HP_OK)
        return Py_NewRef(Py_None);
    bool others = code == HP_E_BODY_SOURCE || code == HP_E_INTERRUPTED ||
                  code == HP_E_DIAL;
    PyTypeObject *type = others ? hpy_exc_type(set) : NULL;
    if (type != NULL)
        return PyObject_GetAttrString((PyObject *)type, "__name__");
    return PyUnicode_FromString(hpy_error_name(code));
}

static PyObject *
texts(const hp_event *e, const hpy_exc *set)
{
    PyObject *v[HP_EVENT_TEXTS];
    for (int i = 0; i < HP_EVENT_TEXTS; i++)
        v[i] = text(e, e->text[i]);
    if (e->kind == HP_EVENT_GOT_1XX_RESPONSE)
        Py_XSETREF(v[0], field_pairs(e->text[0]));
    if (e->kind == HP_EVENT_PROXY_CONNECT_DONE)
        Py_XSETREF(v[3], field_pairs(e->text[3]));
    if (e->kind == HP_EVENT_REQUEST_DONE)
        Py_XSETREF(v[0], error_name((hp_errc)e->n[1], set));
    return Py_BuildValue("(NNNN)", v[0], v[1], v[2], v[3]);
}

typedef long long ll;
typedef unsigned long long ull;

/* As _trace.info takes it. */
static PyObject *
record(const hp_event *e, const char *name, const hpy_exc *set)
{
    const int64_t *n = e->n;
    return Py_BuildValue("sdKKs#(LLLLL)N", name,
                         (double)e->at / (double)HP_NS_PER_S, (ull)e->request,
                         (ull)e->conn, e->host.ptr == NULL ? "" : e->host.ptr,
                         (Py_ssize_t)e->host.len, (ll)n[0], (ll)n[1], (ll)n[2],
                         (ll)n[3], (ll)n[4], texts(e, set));
}

/* ---- telling ---- */

/* Each gets a dict of his own. */
static int
tell_one(PyObject *listener, PyObject *info)
{
    PyObject *own = PyDict_Copy(info);
    PyObject *name = PyMapping_GetItemString(info, "event");
    PyObject *v = NULL;
    if (own != NULL && name != NULL)
        v = PyObject_CallFunctionObjArgs(listener, name, own, NULL);
    Py_XDECREF(own);
    Py_XDECREF(name);
    Py_XDECREF(v);
    return v == NULL ? hpy_report(listener) : 0;
}

static int
tell_each(PyObject *listeners, PyObject *info)
{
    int rc = 0;
    for (Py_ssize_t i = 0; rc == 0 && i < PyTuple_GET_SIZE(listeners); i++)
        rc = tell_one(PyTuple_GET_ITEM(listeners, i), info);
    return rc;
}

static int
tell(hpy_state *st, PyObject *listeners, PyObject *taken)
{
    if (taken == NULL)
        return -1;
    PyObject *info = hpy_helper_call(st, HPY_HELPER_INFO, 1, taken);
    int rc = info == NULL ? -1 : tell_each(listeners, info);
    Py_XDECREF(info);
    Py_DECREF(taken);
    return rc;
}

static int
tell_all(hpy_state *st, PyObject *listeners, const hp_event *first,
         uint64_t dropped, const hpy_exc *set)
{
    int rc = 0;
    for (const hp_event *e = first; rc == 0 && e != NULL; e = e->next)
        rc = tell(st, listeners, record(e, hp_event_name(e->kind), set));
    if (rc == 0 && dropped > 0) {
        hp_event e = {.at = hp_clock_now(), .n = {(int64_t)dropped}};
        rc = tell(st, listeners, record(&e, "dropped", set));
    }
    return rc;
}

/* Takes the events. */
static int
deliver(hpy_state *st, PyObject *listeners, hp_event *first, uint64_t dropped)
{
    if (first == NULL && dropped == 0)
        return 0;
    hpy_exc set = hpy_exc_take();
    bool failing = hpy_exc_type(&set) != NULL;
    telling++;
    int rc = tell_all(st, listeners, first, dropped, &set);
    telling--;
    hp_event_free_all(first);
    if (!failing)
        return rc;
    if (rc < 0)
        PyErr_WriteUnraisable(listeners);
    hpy_exc_put(set);
    return 0;
}

int
hpy_trace_exchange(hpy_response *r)
{
    uint64_t dropped;
    hp_event *first = hp_exchange_take_events(r->ex, &dropped);
    return deliver(r->st, r->listeners, first, dropped);
}

PyObject *
hpy_trace_numbers(const hpy_response *r)
{
    uint64_t request = 0, conn = 0;
    if (r->ex != NULL)
        hp_exchange_traced_as(r->ex, &request, &conn);
    return Py_BuildValue("KK", (ull)request, (ull)conn);
}

int
hpy_trace_tell(hpy_client *c, PyObject *trace, PyObject *info)
{
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *listeners = all_listeners(c->st, trace, d);
    int rc = PyErr_Occurred() ? -1 : 0;
    hpy_defaults_unref(d);
    telling++;
    if (listeners != NULL)
        rc = tell_each(listeners, info);
    telling--;
    Py_XDECREF(listeners);
    return rc;
}

int
hpy_trace_client(hpy_client *c)
{
    uint64_t dropped;
    if (telling > 0)
        return 0;
    hpy_defaults *d = hpy_client_defaults(c);
    int rc = 0;
    if (d->listeners != NULL && !atomic_exchange(&c->telling, true)) {
        hp_event *first = hp_transport_take_events(c->transport, &dropped);
        rc = deliver(c->st, d->listeners, first, dropped);
        atomic_store(&c->telling, false);
    }
    hpy_defaults_unref(d);
    return rc;
}
