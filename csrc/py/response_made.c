/* Response(...) called from Python: one that is read and closed, as tests and
 * pickles make it. */
#include "response.h"

typedef struct made {
    int status;
    PyObject *headers, *content, *url, *request, *reason, *version, *encoding;
    PyObject *elapsed, *history, *method;
} made;

static int
parse_made(PyObject *args, PyObject *kwargs, made *m)
{
    static char *names[] = {"status",   "headers", "content", "url",
                            "method",   "request", "reason",  "http_version",
                            "encoding", "elapsed", "history", NULL};
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "i|OO$UUOOUOOO:Response", names, &m->status,
            &m->headers, &m->content, &m->url, &m->method, &m->request,
            &m->reason, &m->version, &m->encoding, &m->elapsed, &m->history))
        return -1;
    if (m->status < 100 || m->status > 999) {
        PyErr_SetString(PyExc_ValueError, "status takes 100 to 999");
        return -1;
    }
    return 0;
}

static PyObject *
bytes_of(PyObject *v)
{
    if (!hpy_given(v))
        return PyBytes_FromStringAndSize(NULL, 0);
    if (PyUnicode_Check(v))
        return PyUnicode_AsUTF8String(v);
    if (PyObject_CheckBuffer(v))
        return PyBytes_FromObject(v);
    PyErr_Format(PyExc_TypeError, "content must be bytes or str, not %s",
                 Py_TYPE(v)->tp_name);
    return NULL;
}

static int
take_elapsed(hpy_response *r, PyObject *v)
{
    if (!hpy_given(v))
        return 0;
    PyObject *s = PyObject_CallMethod(v, "total_seconds", NULL);
    double seconds = s == NULL ? -1.0 : PyFloat_AsDouble(s);
    Py_XDECREF(s);
    if (PyErr_Occurred())
        return -1;
    r->elapsed = (hp_ns)(seconds * 1e9);
    return 0;
}

static PyObject *
str_or(PyObject *v, const char *fallback)
{
    return hpy_given(v) ? Py_NewRef(v) : PyUnicode_FromString(fallback);
}

static int
set_slot(PyObject **slot, PyObject *v)
{
    *slot = v;
    return v == NULL ? -1 : 0;
}

static int
fill_head(hpy_response *r, made *m)
{
    PyObject *type = (PyObject *)r->st->headers_type;
    PyObject *given = hpy_given(m->headers) ? m->headers : NULL;
    bool old = m->version != NULL &&
               PyUnicode_CompareWithASCIIString(m->version, "HTTP/1.0") == 0;
    r->status = m->status;
    r->minor = old ? 0 : 1;
    if (set_slot(&r->reason, str_or(m->reason, "")) < 0)
        return -1;
    return set_slot(&r->headers,
                    PyObject_CallFunctionObjArgs(type, given, NULL));
}

static int
fill_made(hpy_response *r, made *m)
{
    PyObject *history =
        hpy_given(m->history) ? PySequence_List(m->history) : PyList_New(0);
    if (set_slot(&r->history, history) < 0 || fill_head(r, m) < 0 ||
        set_slot(&r->method, str_or(m->method, "GET")) < 0 ||
        set_slot(&r->url, str_or(m->url, "")) < 0 ||
        set_slot(&r->content, bytes_of(m->content)) < 0)
        return -1;
    r->request = hpy_given(m->request) ? Py_NewRef(m->request) : NULL;
    r->encoding = hpy_given(m->encoding) ? Py_NewRef(m->encoding) : NULL;
    return take_elapsed(r, m->elapsed);
}

PyObject *
hpy_response_make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    made m = {0};
    PyObject *module = PyType_GetModuleByDef(type, &hpy_module_def);
    if (module == NULL || parse_made(args, kwargs, &m) < 0)
        return NULL;
    hpy_response *r = (hpy_response *)type->tp_alloc(type, 0);
    if (r == NULL)
        return NULL;
    r->st = PyModule_GetState(module);
    r->decode = true;
    atomic_store(&r->closed, true);
    if (fill_made(r, &m) < 0)
        Py_CLEAR(r);
    return (PyObject *)r;
}
