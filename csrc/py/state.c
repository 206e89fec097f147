#include "state.h"

#ifndef HPOOL_VERSION
#define HPOOL_VERSION "0.1.0"
#endif

static const char *const arg_names[] = {
#define X(id, name) name,
    HPY_ARGS(X)
#undef X
};

static const char *const verb_names[] = {
#define X(id, name) name,
    HPY_VERBS(X)
#undef X
};

static const struct {
    const char *module, *name;
} helper_places[] = {
#define X(id, module, name) {module, name},
    HPY_HELPERS(X)
#undef X
};

static int
intern_all(PyObject **out, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = PyUnicode_InternFromString(words[i]);
        if (out[i] == NULL)
            return -1;
    }
    return 0;
}

int
hpy_state_init(hpy_state *st)
{
    if (intern_all(st->names, arg_names, HPY_ARG_COUNT) < 0 ||
        intern_all(st->verbs, verb_names, HPY_VERB_REQUEST) < 0)
        return -1;
    st->request_name = PyUnicode_InternFromString("request");
    st->user_agent = PyBytes_FromString("hpool/" HPOOL_VERSION);
    st->no_bytes = PyBytes_FromStringAndSize(NULL, 0);
    st->deadline_var = PyContextVar_New("hpool_deadline", NULL);
    st->main_interpreter =
        PyInterpreterState_Get() == PyInterpreterState_Main();
    if (st->request_name == NULL || st->user_agent == NULL ||
        st->no_bytes == NULL || st->deadline_var == NULL)
        return -1;
    return 0;
}

int
hpy_state_traverse(hpy_state *st, visitproc visit, void *arg)
{
    Py_VISIT(st->client_type);
    Py_VISIT(st->session_type);
    Py_VISIT(st->stream_type);
    Py_VISIT(st->response_type);
    Py_VISIT(st->raw_type);
    Py_VISIT(st->chunks_type);
    Py_VISIT(st->headers_type);
    Py_VISIT(st->cancel_type);
    Py_VISIT(st->upgraded_type);
    Py_VISIT(st->steps);
    Py_VISIT(st->deadline_var);
    Py_VISIT(st->shared);
    Py_VISIT(st->instrument);
    Py_VISIT(st->leak_sink);
    for (size_t i = 0; i < HPY_HELPER_COUNT; i++)
        Py_VISIT(st->helpers[i]);
    for (size_t i = 0; i < HP_ERRC_COUNT; i++)
        Py_VISIT(st->errors[i]);
    return 0;
}

static void
clear_all(PyObject **slots, size_t n)
{
    for (size_t i = 0; i < n; i++)
        Py_CLEAR(slots[i]);
}

void
hpy_state_clear(hpy_state *st)
{
    Py_CLEAR(st->shared);
    Py_CLEAR(st->instrument);
    Py_CLEAR(st->leak_sink);
    clear_all(st->helpers, HPY_HELPER_COUNT);
    clear_all(st->errors, HP_ERRC_COUNT);
    clear_all(st->names, HPY_ARG_COUNT);
    clear_all(st->verbs, HPY_VERB_REQUEST);
    Py_CLEAR(st->request_name);
    Py_CLEAR(st->steps);
    Py_CLEAR(st->user_agent);
    Py_CLEAR(st->deadline_var);
    Py_CLEAR(st->no_bytes);
    Py_CLEAR(st->client_type);
    Py_CLEAR(st->session_type);
    Py_CLEAR(st->stream_type);
    Py_CLEAR(st->response_type);
    Py_CLEAR(st->raw_type);
    Py_CLEAR(st->chunks_type);
    Py_CLEAR(st->headers_type);
    Py_CLEAR(st->cancel_type);
    Py_CLEAR(st->upgraded_type);
}

PyObject *
hpy_import(const char *module, const char *name)
{
    PyObject *m = PyImport_ImportModule(module);
    if (m == NULL)
        return NULL;
    PyObject *v = PyObject_GetAttrString(m, name);
    Py_DECREF(m);
    return v;
}

/* How many threads import it now. */
static int
count_import(hpy_state *st, size_t which, int change)
{
    hpy_lock(&st->lock);
    int n = st->importing[which] += change;
    hpy_unlock(&st->lock);
    return n;
}

PyObject *
hpy_helper_get(hpy_state *st, hpy_helper which)
{
    PyObject *v = hpy_slot_get(&st->lock, &st->helpers[which]);
    if (v != NULL)
        return v;
    count_import(st, which, 1);
    v = hpy_import(helper_places[which].module, helper_places[which].name);
    count_import(st, which, -1);
    if (v == NULL)
        return NULL;
    return hpy_slot_put(&st->lock, &st->helpers[which], v);
}

void
hpy_helpers_finish(hpy_state *st)
{
    for (size_t i = 0; i < HPY_HELPER_COUNT; i++) {
        if (count_import(st, i, 0) == 0)
            continue;
        Py_XDECREF(hpy_import(helper_places[i].module, helper_places[i].name));
        PyErr_Clear(); /* the thread that is at it tells of it */
    }
}

PyObject *
hpy_helper_call(hpy_state *st, hpy_helper which, size_t n, ...)
{
    enum {
        MOST = 7
    };
    PyObject *args[MOST + 1];
    assert(n <= MOST);
    PyObject *f = hpy_helper_get(st, which);
    if (f == NULL)
        return NULL;
    va_list ap;
    va_start(ap, n);
    for (size_t i = 0; i < n; i++)
        args[i + 1] = va_arg(ap, PyObject *);
    va_end(ap);
    PyObject *v = PyObject_Vectorcall(f, args + 1,
                                      n | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(f);
    return v;
}
