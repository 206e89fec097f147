/* defaults: one frozen snapshot of what may be changed on a client (headers,
 * params, timeout, trace). A change makes a new one; a request keeps the one it
 * started with. Reference-counted; any thread, attached. */
#ifndef HPY_DEFAULTS_H
#define HPY_DEFAULTS_H

#include "fields.h"

typedef struct hpy_defaults {
    atomic_size_t refs;
    uint64_t id;       /* stands for the fields in the whole process; > 0 */
    PyObject *headers; /* tuple of (bytes, bytes): the fields point into it */
    PyObject *params;  /* NULL: none */
    PyObject *timeout; /* config.Timeout; NULL: hp_timeouts_default */
    hp_timeouts timeouts;
    PyObject *trace;           /* as it was given; NULL: none */
    PyObject *log;             /* log.h: a handler of ours; NULL: none */
    PyObject *listeners;       /* a tuple of those made of them; NULL: none */
    const char *auto_encoding; /* value of the Accept-Encoding nobody chose:
                                  left out with a Range or without decoding */
    bool has_range;
    size_t n_fields;
    hp_field fields[];
} hpy_defaults;

/* `headers` as hpy_fields_tuple makes it; the others may be NULL or None. All
 * get a new reference. */
hpy_defaults *hpy_defaults_new(hpy_state *st, PyObject *headers,
                               PyObject *params, PyObject *timeout,
                               PyObject *trace, PyObject *log);
hpy_defaults *hpy_defaults_ref(hpy_defaults *d);
void hpy_defaults_unref(hpy_defaults *d); /* NULL is fine */
int hpy_defaults_traverse(hpy_defaults *d, visitproc visit, void *arg);

/* What a client sends when it is told nothing, with `headers` (may be NULL)
 * put over it: a tuple of (bytes, bytes). */
PyObject *hpy_default_headers(hpy_state *st, PyObject *headers,
                              bool decompress);

#endif
