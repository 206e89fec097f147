/* pycompat: differences between CPython versions and builds, and the few
 * macros that look into object structs. Every file of the binding starts with
 * it. */
#ifndef HPY_PYCOMPAT_H
#define HPY_PYCOMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "hp.h"

/* A lock around a few loads and stores of an object of ours; nothing under it
 * blocks or calls Python. With a GIL the GIL is that lock. */
#ifdef Py_GIL_DISABLED
typedef PyMutex hpy_mutex;
#define hpy_lock(m) PyMutex_Lock(m)
#define hpy_unlock(m) PyMutex_Unlock(m)
#else
typedef char hpy_mutex;
#define hpy_lock(m) ((void)(m))
#define hpy_unlock(m) ((void)(m))
#endif

#if PY_VERSION_HEX < 0x030D0000
#define Py_IsFinalizing _Py_IsFinalizing
#endif

/* A heap type is visited by its instances (they own a reference to it). */
#define HPY_VISIT_TYPE(self) Py_VISIT(Py_TYPE(self))

/* Whether PyUnicode_AsUTF8AndSize is both free and ASCII. */
static inline bool
hpy_str_is_ascii(PyObject *s)
{
    return PyUnicode_IS_ASCII(s);
}

/* The bytes of a str that is ASCII, which lie in it; false for any other. */
static inline bool
hpy_ascii_span(PyObject *s, hp_span *out)
{
    if (!PyUnicode_IS_COMPACT_ASCII(s))
        return false;
    *out = hp_span_of((const char *)PyUnicode_1BYTE_DATA(s),
                      (size_t)PyUnicode_GET_LENGTH(s));
    return true;
}

static inline bool
hpy_given(PyObject *arg)
{
    return arg != NULL && arg != Py_None;
}

static inline PyObject *
hpy_str_of_span(hp_span s)
{
    return PyUnicode_DecodeLatin1(s.ptr, (Py_ssize_t)s.len, NULL);
}

static inline PyObject *
hpy_bytes_of_span(hp_span s)
{
    return PyBytes_FromStringAndSize(s.ptr, (Py_ssize_t)s.len);
}

static inline hp_span
hpy_span_of_bytes(PyObject *b)
{
    return hp_span_of(PyBytes_AS_STRING(b), (size_t)PyBytes_GET_SIZE(b));
}

/* A new reference to *slot, or NULL when it is still empty. */
static inline PyObject *
hpy_slot_get(hpy_mutex *lock, PyObject **slot)
{
    hpy_lock(lock);
    PyObject *v = Py_XNewRef(*slot);
    hpy_unlock(lock);
    return v;
}

/* Fills *slot with `made` (taken) unless another thread was first; gives a
 * new reference to what is there now. */
static inline PyObject *
hpy_slot_put(hpy_mutex *lock, PyObject **slot, PyObject *made)
{
    hpy_lock(lock);
    bool first = *slot == NULL;
    if (first)
        *slot = made;
    PyObject *v = Py_NewRef(*slot);
    hpy_unlock(lock);
    if (!first)
        Py_DECREF(made);
    return v;
}

/* 1 and a new reference in *out, 0 and NULL, or -1 with an exception. */
static inline int
hpy_dict_get(PyObject *dict, PyObject *key, PyObject **out)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyDict_GetItemRef(dict, key, out);
#else
    *out = Py_XNewRef(PyDict_GetItemWithError(dict, key));
    return *out != NULL ? 1 : PyErr_Occurred() ? -1 : 0;
#endif
}

/* The exception that is set, taken out and put back (3.11 knows no
 * PyErr_GetRaisedException). */
typedef struct hpy_exc {
    PyObject *type, *value, *traceback;
} hpy_exc;

static inline hpy_exc
hpy_exc_take(void)
{
    hpy_exc e = {NULL, NULL, NULL};
#if PY_VERSION_HEX >= 0x030C0000
    e.value = PyErr_GetRaisedException();
#else
    PyErr_Fetch(&e.type, &e.value, &e.traceback);
#endif
    return e;
}

/* The exception itself; borrowed. */
static inline PyObject *
hpy_exc_value(hpy_exc *e)
{
    if (e->type != NULL) /* 3.11: may be a class and its arguments yet */
        PyErr_NormalizeException(&e->type, &e->value, &e->traceback);
    return e->value;
}

static inline void
hpy_exc_drop(hpy_exc *e)
{
    Py_CLEAR(e->type);
    Py_CLEAR(e->value);
    Py_CLEAR(e->traceback);
}

/* Its class; NULL: none was set. Borrowed. */
static inline PyTypeObject *
hpy_exc_type(const hpy_exc *e)
{
    if (e->type != NULL)
        return (PyTypeObject *)e->type;
    return e->value == NULL ? NULL : Py_TYPE(e->value);
}

static inline void
hpy_exc_put(hpy_exc e)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(e.value);
#else
    PyErr_Restore(e.type, e.value, e.traceback);
#endif
}

#endif
