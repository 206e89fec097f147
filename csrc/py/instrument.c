#include "instrument.h"

#include "errors.h"

int
hpy_instrument_set(hpy_state *st, PyObject *callable)
{
    if (callable != Py_None && !PyCallable_Check(callable)) {
        PyErr_Format(PyExc_TypeError,
                     "instrument must be a callable or None, not %s",
                     Py_TYPE(callable)->tp_name);
        return -1;
    }
    bool on = callable != Py_None;
    hpy_lock(&st->lock);
    PyObject *old = st->instrument;
    st->instrument = on ? Py_NewRef(callable) : NULL;
    atomic_store(&st->instrumented, on);
    hpy_unlock(&st->lock);
    Py_XDECREF(old);
    return 0;
}

/* ---- before ---- */

static int
take_headers(hpy_response *r, PyObject *headers)
{
    PyObject *pairs = hpy_header_pairs(r->st, headers);
    if (pairs == NULL)
        return -1;
    int rc = 0;
    if (r->call_headers == NULL)
        r->call_headers = Py_NewRef(pairs);
    else
        rc = hpy_header_pairs_replace(r->call_headers, pairs);
    Py_DECREF(pairs);
    return rc;
}

static int
take_answer(hpy_response *r, PyObject *answer, PyObject **finish)
{
    if (answer == Py_None)
        return 0;
    if (!PyTuple_Check(answer) || PyTuple_GET_SIZE(answer) != 2 ||
        !PyCallable_Check(PyTuple_GET_ITEM(answer, 1))) {
        PyErr_SetString(PyExc_TypeError,
                        "instrument must return None or (headers, callable)");
        return -1;
    }
    *finish = Py_NewRef(PyTuple_GET_ITEM(answer, 1));
    PyObject *headers = PyTuple_GET_ITEM(answer, 0);
    return headers == Py_None ? 0 : take_headers(r, headers);
}

int
hpy_instrument_ask(hpy_response *r, PyObject **finish)
{
    PyObject *ask = hpy_slot_get(&r->st->lock, &r->st->instrument);
    if (ask == NULL) /* taken away a moment ago */
        return 0;
    PyObject *answer = PyObject_CallFunctionObjArgs(ask, (PyObject *)r->client,
                                                    r->method, r->url, NULL);
    int rc = answer == NULL ? -1 : take_answer(r, answer, finish);
    Py_XDECREF(answer);
    if (rc < 0)
        rc = hpy_report(ask);
    Py_DECREF(ask);
    return rc;
}

/* ---- after ---- */

/* Takes the exception that is set out, as one object with its traceback. */
static hpy_exc
take_exception(void)
{
    hpy_exc e = hpy_exc_take();
#if PY_VERSION_HEX < 0x030C0000
    PyErr_NormalizeException(&e.type, &e.value, &e.traceback);
    if (e.traceback != NULL)
        PyException_SetTraceback(e.value, e.traceback);
#endif
    return e;
}

static void
drop_exception(hpy_exc e)
{
    Py_XDECREF(e.type);
    Py_XDECREF(e.value);
    Py_XDECREF(e.traceback);
}

/* `finish` was interrupted: that goes on, with how the call had ended. */
static int
interrupted(PyObject *finish, hpy_response *r, hpy_exc before)
{
    hpy_exc now = take_exception();
    if (hpy_response_close(r) < 0)
        PyErr_WriteUnraisable(finish);
    if (before.value != NULL)
        PyException_SetContext(now.value, Py_NewRef(before.value));
    hpy_exc_put(now);
    drop_exception(before);
    return -1;
}

int
hpy_instrument_finish(PyObject *finish, hpy_response *r, int rc)
{
    hpy_exc error = {NULL, NULL, NULL};
    if (rc < 0)
        error = take_exception();
    /* Before its head a response is nobody's to see. */
    PyObject *v = PyObject_CallFunctionObjArgs(
        finish, r->status == 0 ? Py_None : (PyObject *)r,
        error.value == NULL ? Py_None : error.value, NULL);
    if (v == NULL && hpy_report(finish) < 0)
        rc = interrupted(finish, r, error);
    else if (rc < 0)
        hpy_exc_put(error);
    Py_XDECREF(v);
    Py_DECREF(finish);
    return rc;
}
