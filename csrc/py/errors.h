/* errors: the one place where exceptions of hpool.errors are raised. All
 * functions return with an exception set; RAISES functions return -1 or NULL
 * so that `return hpy_raise(...)` reads well. */
#ifndef HPY_ERRORS_H
#define HPY_ERRORS_H

#include "state.h"

struct hpy_response;

/* The exception for `err`, with what is known of the request (r may be NULL):
 * request, phase, timings, attempts, host. An exception that is set already
 * (a signal handler's, a body producer's) stays. Always NULL. */
PyObject *hpy_raise(hpy_state *st, const hp_err *err, struct hpy_response *r);

/* The same with a text of our own. Always NULL. */
PyObject *hpy_raise_text(hpy_state *st, struct hpy_response *r, hp_errc code,
                         const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* An exception is set: if it is one of ours that knows no request yet, it is
 * this one. */
void hpy_raise_with_request(hpy_state *st, struct hpy_response *r);

/* InvalidArgument. Always -1. */
int hpy_raise_argument(hpy_state *st, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "PoolTimeout": the class that `code` is raised as; not for HP_OK. */
const char *hpy_error_name(hp_errc code);

/* For what users' code raises where it must not break a request: 0 when that
 * was an Exception, which goes to sys.unraisablehook with `where`; else -1, and
 * it is still set. */
int hpy_report(PyObject *where);

/* The body was read as a stream before. Always NULL. */
PyObject *hpy_raise_consumed(hpy_state *st, struct hpy_response *r);

#endif
