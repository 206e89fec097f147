/* Response(...) called from Python: one that is read and closed, as tests and
 * pickles make it. Nothing of the core is in it, so that its attributes can be
 * assigned. */
#include "args.h"
#include "response.h"

typedef struct made {
    PyObject *status;
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
            args, kwargs, "|OOO$UUOOUOOO:Response", names, &m->status,
            &m->headers, &m->content, &m->url, &m->method, &m->request,
            &m->reason, &m->version, &m->encoding, &m->elapsed, &m->history))
        return -1;
    return 0;
}

static int
put_status(hpy_response *r, PyObject *v)
{
    int64_t status;
    if (hpy_arg_size(v, "status", 0, &status) < 0)
        return -1;
    if (hpy_given(v) && (status < 100 || status > 999)) {
        PyErr_SetString(PyExc_ValueError, "status takes 100 to 999");
        return -1;
    }
    r->status = (int)status;
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
    if (put_status(r, m->status) < 0)
        return -1;
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

/* ---- assigned later ---- */

/* Takes `v`, which may be NULL with an exception. */
static int
put(hpy_response *r, PyObject **slot, PyObject *v)
{
    if (v == NULL)
        return -1;
    hpy_lock(&r->lock);
    PyObject *old = *slot;
    *slot = v;
    hpy_unlock(&r->lock);
    Py_XDECREF(old);
    return 0;
}

static PyObject *
text(PyObject *v, const char *name)
{
    if (!hpy_given(v))
        return PyUnicode_FromString("");
    if (PyUnicode_Check(v))
        return Py_NewRef(v);
    PyErr_Format(PyExc_TypeError, "%s must be a str, not %s", name,
                 Py_TYPE(v)->tp_name);
    return NULL;
}

static int
put_reason(hpy_response *r, PyObject *v)
{
    return put(r, &r->reason, text(v, "reason"));
}

static int
put_url(hpy_response *r, PyObject *v)
{
    return put(r, &r->url, text(v, "url"));
}

static int
put_headers(hpy_response *r, PyObject *v)
{
    PyObject *type = (PyObject *)r->st->headers_type;
    return put(r, &r->headers, PyObject_CallOneArg(type, v));
}

static int
put_request(hpy_response *r, PyObject *v)
{
    return put(r, &r->request, Py_NewRef(v));
}

static int
put_history(hpy_response *r, PyObject *v)
{
    return put(r, &r->history, PySequence_List(v));
}

static int
put_cookies(hpy_response *r, PyObject *v)
{
    return put(r, &r->cookies, Py_NewRef(v));
}

const hpy_made_field hpy_made_status = {"status_code", false, put_status};
const hpy_made_field hpy_made_reason = {"reason", false, put_reason};
const hpy_made_field hpy_made_url = {"url", false, put_url};
const hpy_made_field hpy_made_headers = {"headers", false, put_headers};
const hpy_made_field hpy_made_request = {"request", true, put_request};
const hpy_made_field hpy_made_history = {"history", true, put_history};
const hpy_made_field hpy_made_elapsed = {"elapsed", false, take_elapsed};
const hpy_made_field hpy_made_cookies = {"cookies", false, put_cookies};

int
hpy_response_set_made(PyObject *op, PyObject *value, void *closure)
{
    hpy_response *r = (hpy_response *)op;
    const hpy_made_field *field = closure;
    if (value != NULL && (r->ex == NULL || field->of_any))
        return field->put(r, value);
    PyErr_Format(PyExc_AttributeError,
                 value == NULL ? "cannot delete %s"
                               : "%s cannot be assigned: this response has "
                                 "come from a server, and stays what it was; "
                                 "make one with hpool.Response(...)",
                 field->name);
    return -1;
}

PyObject *
hpy_response_get_kept(PyObject *op, void *closure)
{
    PyObject *content = hpy_response_cached((hpy_response *)op);
    return content == NULL ? Py_NewRef(Py_False) : content;
}

int
hpy_response_set_kept(PyObject *op, PyObject *value, void *closure)
{
    if (value == NULL || !PyBytes_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "_content takes bytes");
        return -1;
    }
    return hpy_response_keep((hpy_response *)op, Py_NewRef(value));
}
