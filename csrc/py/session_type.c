/* The type Session: a Client whose instances take attributes, and whose class
 * can be patched. A method that is put there, or that a subclass has, is called
 * in place of ours: request() is looked for at each verb, the steps of a call
 * when the client is made and whenever one is assigned. */
#include "client.h"
#include "client_doc.h"
#include "client_late.h"

typedef struct hpy_session {
    hpy_client client;
    PyObject *dict; /* what was assigned, NULL before the first */
} hpy_session;

/* ---- steps ---- */

static const char *const step_names[] = {
    "send",           "prepare_request",     "merge_environment_settings",
    "get_adapter",    "get_redirect_target", "rebuild_auth",
    "rebuild_method", "rebuild_proxies",     "should_strip_auth",
};

PyObject *
hpy_session_steps(PyTypeObject *session_type)
{
    PyObject *steps = PyDict_New();
    for (size_t i = 0; steps && i < Py_ARRAY_LENGTH(step_names); i++) {
        PyObject *ours =
            PyObject_GetAttrString((PyObject *)session_type, step_names[i]);
        if (ours == NULL ||
            PyDict_SetItemString(steps, step_names[i], ours) < 0)
            Py_CLEAR(steps);
        Py_XDECREF(ours);
    }
    return steps;
}

/* The attribute of `op`, NULL without an exception when there is none. */
static int
look_up(PyObject *op, PyObject *name, PyObject **out)
{
    *out = PyObject_GetAttr(op, name);
    if (*out != NULL)
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_AttributeError))
        return -1;
    PyErr_Clear();
    return 0;
}

static int
is_ours(PyObject *type, PyObject *name, PyObject *ours)
{
    PyObject *found;
    if (look_up(type, name, &found) < 0)
        return -1;
    Py_XDECREF(found);
    return found == NULL || found == ours;
}

/* Whether it was assigned to the instance, whose dict may be NULL. */
static int
is_assigned(PyObject *dict, PyObject *name)
{
    return dict == NULL ? 0 : PyDict_Contains(dict, name);
}

/* The dict of the instance, NULL without an exception when it has none. */
static int
instance_dict(hpy_client *c, PyObject **out)
{
    PyObject *name = PyUnicode_InternFromString("__dict__");
    *out = NULL;
    int rc = name == NULL ? -1 : look_up((PyObject *)c, name, out);
    Py_XDECREF(name);
    return rc;
}

static int
add_own(PyObject *set, hpy_client *c, PyObject *dict, PyObject *name,
        PyObject *ours)
{
    int ok = is_ours((PyObject *)Py_TYPE(c), name, ours);
    int own = ok < 0 ? -1 : ok == 0 ? 1 : is_assigned(dict, name);
    return own > 0 ? PySet_Add(set, name) : own;
}

PyObject *
hpy_client_own_steps(hpy_client *c)
{
    PyObject *set = PyFrozenSet_New(NULL), *dict = NULL, *name, *ours;
    Py_ssize_t at = 0;
    if (set == NULL || instance_dict(c, &dict) < 0)
        Py_CLEAR(set);
    while (set != NULL && PyDict_Next(c->st->steps, &at, &name, &ours)) {
        if (add_own(set, c, dict, name, ours) < 0)
            Py_CLEAR(set);
    }
    Py_XDECREF(dict);
    return set;
}

int
hpy_client_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    hpy_client *c = (hpy_client *)op;
    if (PyObject_GenericSetAttr(op, name, value) < 0)
        return -1;
    if (c->transport == NULL) /* __init__ will look */
        return 0;
    int is_step = PyDict_Contains(c->st->steps, name);
    return is_step > 0 ? hpy_client_steps_changed(c) : is_step;
}

int
hpy_client_has_own_request(hpy_client *c)
{
    PyObject *f = PyObject_GetAttr((PyObject *)c, c->st->request_name);
    if (f == NULL)
        return -1;
    bool ours = PyCFunction_Check(f) &&
                PyCFunction_GET_SELF(f) == (PyObject *)c &&
                PyCFunction_GET_FUNCTION(f) ==
                    (PyCFunction)(void (*)(void))hpy_client_request;
    Py_DECREF(f);
    return !ours;
}

/* ---- the type ---- */

static int
session_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(((hpy_session *)op)->dict);
    return hpy_client_traverse(op, visit, arg);
}

static int
session_clear(PyObject *op)
{
    Py_CLEAR(((hpy_session *)op)->dict);
    return hpy_client_clear(op);
}

static void
session_dealloc(PyObject *op)
{
    hpy_session *self = (hpy_session *)op;
    PyObject_GC_UnTrack(op);
    if (self->client.weakrefs != NULL) /* before anything of it is gone */
        PyObject_ClearWeakRefs(op);
    Py_CLEAR(self->dict);
    hpy_client_dealloc(op);
}

/* For subclasses that add to it, as requests' own pickling asks for. Here all
 * that was assigned to an instance travels. */
int
hpy_session_add_attrs(PyTypeObject *session_type)
{
    PyObject *names =
        Py_BuildValue("[ssssssssssss]", "headers", "cookies", "auth", "proxies",
                      "hooks", "params", "verify", "cert", "adapters", "stream",
                      "trust_env", "max_redirects");
    int rc = names == NULL ? -1
                           : PyObject_SetAttrString((PyObject *)session_type,
                                                    "__attrs__", names);
    Py_XDECREF(names);
    return rc;
}

#define LATE(name)                                                             \
    (PyCFunction)(void (*)(void)) hpy_late_##name, METH_VARARGS | METH_KEYWORDS

static PyMethodDef session_methods[] = {
    {"merge_environment_settings", LATE(merge_environment_settings),
     hpy_merge_environment_settings_doc},
    {"get_redirect_target", LATE(get_redirect_target),
     hpy_get_redirect_target_doc},
    {"resolve_redirects", LATE(resolve_redirects), hpy_resolve_redirects_doc},
    {"rebuild_auth", LATE(rebuild_auth), hpy_rebuild_auth_doc},
    {"rebuild_method", LATE(rebuild_method), hpy_rebuild_method_doc},
    {"rebuild_proxies", LATE(rebuild_proxies), hpy_rebuild_proxies_doc},
    {"should_strip_auth", LATE(should_strip_auth), hpy_should_strip_auth_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef session_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(hpy_session, dict), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef session_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot session_slots[] = {
    {Py_tp_doc, (void *)hpy_session_doc}, {Py_tp_methods, session_methods},
    {Py_tp_members, session_members},     {Py_tp_getset, session_getset},
    {Py_tp_traverse, session_traverse},   {Py_tp_clear, session_clear},
    {Py_tp_dealloc, session_dealloc},     {0, NULL},
};

/* Not immutable: tests patch its methods. */
PyType_Spec hpy_session_spec = {
    .name = "hpool.Session",
    .basicsize = sizeof(hpy_session),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = session_slots,
};
