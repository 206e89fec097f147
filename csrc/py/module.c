/* hpool._core: the module, its functions, and its life. */
#include "cancel.h"
#include "client.h"
#include "client_doc.h"
#include "errors.h"
#include "gil.h"
#include "instrument.h"
#include "leaks.h"
#include "policy.h"

static hpy_state *
state_of(PyObject *module)
{
    return PyModule_GetState(module);
}

/* ---- the shared client ---- */

/* Reads bodies at once: what it returns outlives everything. Keeps no cookies:
 * they would be one caller's, sent for another. */
static PyObject *
make_shared(hpy_state *st, PyObject *kwargs)
{
    PyObject *settings = kwargs == NULL ? PyDict_New() : PyDict_Copy(kwargs);
    PyObject *none = PyTuple_New(0), *client = NULL;
    PyObject *stream =
        settings == NULL
            ? NULL
            : PyDict_SetDefault(settings, st->names[HPY_ARG_STREAM], Py_False);
    if (stream != NULL && none != NULL)
        client = PyObject_Call((PyObject *)st->client_type, none, settings);
    if (client != NULL)
        ((hpy_client *)client)->forgets_cookies = true;
    Py_XDECREF(settings);
    Py_XDECREF(none);
    return client;
}

static PyObject *
shared(hpy_state *st)
{
    PyObject *client = hpy_slot_get(&st->lock, &st->shared);
    if (client != NULL)
        return client;
    client = make_shared(st, NULL);
    return client == NULL ? NULL : hpy_slot_put(&st->lock, &st->shared, client);
}

static PyObject *
shared_verb(PyObject *module, hpy_verb verb, PyObject *const *args,
            Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *client = shared(state_of(module));
    if (client == NULL)
        return NULL;
    PyObject *r =
        hpy_client_verb((hpy_client *)client, verb, args, nargs, kwnames);
    Py_DECREF(client);
    return r;
}

#define VERB(name, id)                                                         \
    static PyObject *module_##name(PyObject *module, PyObject *const *args,    \
                                   Py_ssize_t nargs, PyObject *kwnames)        \
    {                                                                          \
        return shared_verb(module, HPY_VERB_##id, args, nargs, kwnames);       \
    }

VERB(get, GET)
VERB(options, OPTIONS)
VERB(head, HEAD)
VERB(post, POST)
VERB(put, PUT)
VERB(patch, PATCH)
VERB(delete, DELETE)
VERB(request, REQUEST)

static PyObject *
module_configure(PyObject *module, PyObject *args, PyObject *kwargs)
{
    hpy_state *st = state_of(module);
    if (!PyArg_ParseTuple(args, ":configure"))
        return NULL;
    PyObject *client = make_shared(st, kwargs);
    if (client == NULL)
        return NULL;
    hpy_lock(&st->lock);
    PyObject *old = st->shared;
    st->shared = client;
    hpy_unlock(&st->lock);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

/* ---- small functions ---- */

static PyObject *
module_accept_encoding(PyObject *module, PyObject *unused)
{
    return PyUnicode_FromString(hp_coding_accept());
}

static PyObject *
module_lookups(PyObject *module, PyObject *unused)
{
    return PyLong_FromUnsignedLongLong(hp_resolve_lookups());
}

static PyObject *
module_clock(PyObject *module, PyObject *unused)
{
    return PyLong_FromLongLong(hp_clock_now());
}

static PyObject *
module_set_instrument(PyObject *module, PyObject *callable)
{
    if (hpy_instrument_set(state_of(module), callable) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
module_open_responses(PyObject *module, PyObject *unused)
{
    return hpy_open_responses();
}

static PyObject *
module_watch_leaks(PyObject *module, PyObject *sink)
{
    return hpy_watch_leaks(state_of(module), sink);
}

/* Tests only: both clocks go on by so many seconds, for all of the process. */
static PyObject *
module_advance(PyObject *module, PyObject *seconds)
{
    double s = PyFloat_AsDouble(seconds);
    if (s == -1.0 && PyErr_Occurred())
        return NULL;
    hp_clock_advance((hp_ns)(s * HP_NS_PER_S));
    Py_RETURN_NONE;
}

/* Tests only: as if the machine had been suspended for so many seconds. */
static PyObject *
module_suspend(PyObject *module, PyObject *seconds)
{
    double s = PyFloat_AsDouble(seconds);
    if (s == -1.0 && PyErr_Occurred())
        return NULL;
    hp_clock_suspend((hp_ns)(s * HP_NS_PER_S));
    Py_RETURN_NONE;
}

/* Before a fork. */
static PyObject *
module_forks(PyObject *module, PyObject *unused)
{
    hpy_helpers_finish(state_of(module));
    Py_RETURN_NONE;
}

/* In the child of a fork. */
static PyObject *
module_forked(PyObject *module, PyObject *unused)
{
    hpy_forget_thread();
    Py_RETURN_NONE;
}

/* The interpreters that use the core. It is shut down by the last one to end,
 * and by the main one, which takes the process with it. */
static atomic_int users;

static PyObject *
module_shutdown(PyObject *module, PyObject *unused)
{
    hpy_state *st = state_of(module);
    hpy_lock(&st->lock);
    bool counted = st->counted;
    st->counted = false;
    hpy_unlock(&st->lock);
    if (counted && (atomic_fetch_sub(&users, 1) == 1 || st->main_interpreter))
        hpy_end();
    Py_RETURN_NONE;
}

/* ---- making it ---- */

static PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base, bool public)
{
    PyObject *t = PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
    if (t != NULL && public && PyModule_AddType(module, (PyTypeObject *)t) < 0)
        Py_CLEAR(t);
    return (PyTypeObject *)t;
}

static int
add_types(PyObject *m, hpy_state *st)
{
    st->client_type = add_type(m, &hpy_client_spec, NULL, true);
    if (st->client_type == NULL)
        return -1;
    st->session_type = add_type(m, &hpy_session_spec, st->client_type, true);
    st->stream_type = add_type(m, &hpy_stream_spec, NULL, false);
    st->response_type = add_type(m, &hpy_response_spec, NULL, true);
    st->headers_type = add_type(m, &hpy_headers_spec, NULL, true);
    st->cancel_type = add_type(m, &hpy_cancel_spec, NULL, true);
    st->upgraded_type = add_type(m, &hpy_upgraded_spec, NULL, true);
    st->raw_type = add_type(m, &hpy_raw_spec, NULL, false);
    st->chunks_type = add_type(m, &hpy_chunks_spec, NULL, false);
    if (st->session_type != NULL &&
        hpy_session_add_attrs(st->session_type) == 0)
        st->steps = hpy_session_steps(st->session_type);
    return st->steps == NULL || st->stream_type == NULL ||
                   st->response_type == NULL || st->headers_type == NULL ||
                   st->cancel_type == NULL || st->upgraded_type == NULL ||
                   st->raw_type == NULL || st->chunks_type == NULL
               ? -1
               : 0;
}

static const char *
close_name(size_t i)
{
    return hp_close_reason_name((hp_close_reason)i);
}

static const char *
phase_name(size_t i)
{
    return hp_phase_name((hp_phase)i);
}

static const char *
replay_name(size_t i)
{
    return hp_replay_reason_name((hp_replay_reason)i);
}

static int
add_names(PyObject *m, const char *attr, const char *(*name)(size_t), size_t n)
{
    PyObject *t = PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; t != NULL && i < n; i++) {
        PyObject *s = PyUnicode_FromString(name(i));
        if (s == NULL)
            Py_CLEAR(t);
        else
            PyTuple_SET_ITEM(t, (Py_ssize_t)i, s);
    }
    int rc = t == NULL ? -1 : PyModule_AddObjectRef(m, attr, t);
    Py_XDECREF(t);
    return rc;
}

static int
add_constants(PyObject *m, hpy_state *st)
{
    if (add_names(m, "_close_reasons", close_name, HP_CLOSE_REASON_COUNT) < 0 ||
        add_names(m, "_phases", phase_name, HP_PHASE_COUNT) < 0 ||
        add_names(m, "_replay_reasons", replay_name, HP_REPLAY_REASON_COUNT) <
            0)
        return -1;
    return PyModule_AddObjectRef(m, "_deadline_var", st->deadline_var);
}

/* collections.abc.Mapping.register(Headers) */
static int
register_mapping(hpy_state *st)
{
    PyObject *abc = hpy_import("_collections_abc", "Mapping");
    PyObject *v = abc == NULL ? NULL
                              : PyObject_CallMethod(abc, "register", "O",
                                                    st->headers_type);
    Py_XDECREF(abc);
    Py_XDECREF(v);
    return v == NULL ? -1 : 0;
}

/* atexit.register(_shutdown) */
static int
register_at_exit(PyObject *m)
{
    PyObject *shutdown = PyObject_GetAttrString(m, "_shutdown");
    PyObject *at_exit = hpy_import("atexit", "register");
    PyObject *r = at_exit == NULL || shutdown == NULL
                      ? NULL
                      : PyObject_CallOneArg(at_exit, shutdown);
    Py_XDECREF(shutdown);
    Py_XDECREF(at_exit);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

/* posix.register_at_fork(before=_forks, after_in_child=_forked) */
static int
register_at_fork(PyObject *m)
{
    PyObject *before = PyObject_GetAttrString(m, "_forks");
    PyObject *after = PyObject_GetAttrString(m, "_forked");
    PyObject *at_fork = hpy_import("posix", "register_at_fork");
    PyObject *none = PyTuple_New(0), *kwargs = NULL, *r = NULL;
    if (before != NULL && after != NULL)
        kwargs =
            Py_BuildValue("{sOsO}", "before", before, "after_in_child", after);
    if (at_fork != NULL && none != NULL && kwargs != NULL)
        r = PyObject_Call(at_fork, none, kwargs);
    PyObject *all[] = {before, after, at_fork, none, kwargs, r};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(all); i++)
        Py_XDECREF(all[i]);
    return r == NULL ? -1 : 0;
}

static int
module_exec(PyObject *m)
{
    hpy_state *st = state_of(m);
    hp_err err;
    hp_err_clear(&err);
    if (hpy_state_init(st) < 0 || add_types(m, st) < 0 ||
        add_constants(m, st) < 0 || register_mapping(st) < 0)
        return -1;
    if (hp_process_init(&err) != 0) {
        hpy_raise(st, &err, NULL);
        return -1;
    }
    hp_process_after_fork(hpy_resume_later);
    st->counted = true;
    if (atomic_fetch_add(&users, 1) == 0)
        hpy_begin();
    return register_at_exit(m) < 0 ? -1 : register_at_fork(m);
}

/* ---- the definition ---- */

#define FAST(f) (PyCFunction)(void (*)(void))(f), METH_FASTCALL | METH_KEYWORDS

/* The docstring of a Client method without its $self. */
#define SHARED_DOC(signature, words)                                           \
    signature ")\n--\n\n" words                                                \
              " request on the shared client, and read the body before the "   \
              "call\nreturns. Keywords as for Client.get()."
#define NO_BODY HPY_NO_BODY HPY_CALL_KEYWORDS

static PyMethodDef module_methods[] = {
    {"get", FAST(module_get), SHARED_DOC("get(" NO_BODY, "Send a GET")},
    {"options", FAST(module_options),
     SHARED_DOC("options(" NO_BODY, "Send an OPTIONS")},
    {"head", FAST(module_head), SHARED_DOC("head(" NO_BODY, "Send a HEAD")},
    {"post", FAST(module_post),
     SHARED_DOC("post(url, data=None, json=None, *, params=None, " //
                HPY_CALL_KEYWORDS,
                "Send a POST")},
    {"put", FAST(module_put),
     SHARED_DOC("put(url, data=None, *, params=None, json=None, " //
                HPY_CALL_KEYWORDS,
                "Send a PUT")},
    {"patch", FAST(module_patch),
     SHARED_DOC("patch(url, data=None, *, params=None, json=None, " //
                HPY_CALL_KEYWORDS,
                "Send a PATCH")},
    {"delete", FAST(module_delete),
     SHARED_DOC("delete(" NO_BODY, "Send a DELETE")},
    {"request", FAST(module_request),
     SHARED_DOC("request(" HPY_REQUEST_ARGUMENTS, "Send any")},
    {"configure", (PyCFunction)(void (*)(void))module_configure,
     METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("configure(**settings)\n--\n\n"
               "Make a new shared client for the module-level verbs, with the\n"
               "settings Client() takes. Requests under way keep the old "
               "one.")},
    {"_accept_encoding", module_accept_encoding, METH_NOARGS, NULL},
    {"_lookups", module_lookups, METH_NOARGS, NULL},
    {"_clock", module_clock, METH_NOARGS, NULL},
    {"_set_instrument", module_set_instrument, METH_O,
     PyDoc_STR(
         "_set_instrument($module, instrument, /)\n--\n\n"
         "Have instrument(client, method, url) called before each\n"
         "request; None for none. It returns None, or (headers, finish):\n"
         "headers to send (mapping, pairs or None), and what is then\n"
         "called, once, as finish(response or None, exception or None)\n"
         "when the head has arrived or the call failed.")},
    {"_open_responses", module_open_responses, METH_NOARGS, NULL},
    {"_watch_leaks", module_watch_leaks, METH_O,
     PyDoc_STR(
         "_watch_leaks($module, sink, /)\n--\n\n"
         "Record the line of every request, and append (row, text) of each\n"
         "response that is collected unclosed to the list `sink` instead of\n"
         "warning; None ends it. Returns what was there before.")},
    {"_send_once", FAST(hpy_send_once),
     PyDoc_STR(
         "_send_once(client, method, url, headers, *, content=None, "
         "timeout=..., verify=None, cert=None, tls=None, proxy=None, "
         "proxies=None, cancel=None, "
         "idempotent=None, retries=None, decompress=None, trace=None, "
         "request=None, "
         "started=None, target=None)\n--\n\n"
         "Send one request, without anything of the client's that is not\n"
         "about connections; the Response with its head there and its body\n"
         "not read. `request` becomes its request; `started`, a reading of\n"
         "_clock(), is when the time of timeout's total began; `target`\n"
         "stands in the request line as it is, in place of the URL's path\n"
         "and query.")},
    {"_pause", FAST(hpy_pause),
     PyDoc_STR("_pause(client, method, url, n, *, timeout=..., verify=None, "
               "cert=None, tls=None, proxy=None, proxies=None, cancel=None, "
               "request=None, started=None)\n--\n\n"
               "Wait until _clock() says `n`. What would end a request ends "
               "the wait:\n"
               "the token, the time of the call, a signal, client.close().")},
    {"_merged_headers", hpy_merged_headers, METH_VARARGS,
     PyDoc_STR("_merged_headers(client, headers=None, decompress=None, /)\n"
               "--\n\n"
               "What a call with these headers would send: ((name, value), "
               "...) in\nbytes.")},
    {"_asks", hpy_asks, METH_O,
     PyDoc_STR("_asks(response, /)\n--\n\n"
               "Whether its head has a Location or a Set-Cookie.")},
    {"_drain", hpy_drain, METH_VARARGS,
     PyDoc_STR("_drain(response, most, seconds, /)\n--\n\n"
               "Read the body if it has at most so many bytes and comes "
               "within so\nmany seconds (None: any), and close the response.")},
    {"_finish", hpy_finish, METH_O,
     PyDoc_STR("_finish(response, /)\n--\n\n"
               "Read all of the body and give the connection back.")},
    {"_proxies", hpy_proxies, METH_O,
     PyDoc_STR("_proxies(client, /)\n--\n\n"
               "What it says of proxies, or None for nothing.")},
    {"_traced_as", hpy_traced_as, METH_O,
     PyDoc_STR("_traced_as(response, /)\n--\n\n"
               "(request, conn) of its trace events, 0 for none.")},
    {"_tell", hpy_tell, METH_VARARGS,
     PyDoc_STR("_tell(client, trace, info, /)\n--\n\n"
               "Tell one more event to the handler of a call and to those of "
               "the client.")},
    {"_origin", hpy_origin, METH_O,
     PyDoc_STR("_origin(url, /)\n--\n\n"
               "(scheme, host, port) of whom a request for this URL goes to.\n"
               "InvalidURL, MissingSchema, InvalidSchema.")},
    {"_advance", module_advance, METH_O, NULL},
    {"_suspend", module_suspend, METH_O, NULL},
    {"_forks", module_forks, METH_NOARGS, NULL},
    {"_forked", module_forked, METH_NOARGS, NULL},
    {"_shutdown", module_shutdown, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int
module_traverse(PyObject *m, visitproc visit, void *arg)
{
    hpy_state *st = state_of(m);
    return st == NULL ? 0 : hpy_state_traverse(st, visit, arg);
}

static int
module_clear(PyObject *m)
{
    hpy_state *st = state_of(m);
    if (st != NULL)
        hpy_state_clear(st);
    return 0;
}

static void
module_free(void *m)
{
    module_clear(m);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

PyModuleDef hpy_module_def = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "hpool._core",
    .m_doc = "The C half of hpool; import hpool instead.",
    .m_size = sizeof(hpy_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&hpy_module_def);
}
