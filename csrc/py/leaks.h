/* leaks: responses that hold a connection: which they are, which line of the
 * program made them, and what is said of one that is collected. */
#ifndef HPY_LEAKS_H
#define HPY_LEAKS_H

#include "response.h"

/* Whether a request of this client records its line: the client is made so, or
 * somebody watches. Without, this is all that a request pays. */
static inline bool
hpy_leaks_traced(const hpy_client *c)
{
    return c->leak_lines ||
           atomic_load_explicit(&c->st->leaks_watched, memory_order_relaxed);
}

/* "app.py:12 in fetch": the innermost line outside this package, as UTF-8;
 * new bytes. NULL, without an exception: there is none, or no memory. */
PyObject *hpy_caller_line(void);

/* leak_warnings=: True, False or "trace". RAISES. */
int hpy_arg_leak_warnings(hpy_client *c, PyObject *v);

/* Client.leaks(); `older_than` may be NULL. RAISES. */
PyObject *hpy_leaks(hpy_state *st, hp_transport *t, PyObject *older_than);

/* Responses of the process that hold a connection, as rows for
 * _leaks.make_leaks. RAISES. */
PyObject *hpy_open_responses(void);

/* From now on, lines are recorded by every client of this interpreter, and
 * (row, text) of each response that is collected is appended to the list
 * `sink` instead of a warning with that text; None ends it. New reference to
 * what was there before, or None. RAISES TypeError. */
PyObject *hpy_watch_leaks(hpy_state *st, PyObject *sink);

/* A response that holds its connection is collected: warns, or tells who
 * watches. Leaves no exception. */
void hpy_leak_collected(hpy_response *r);

#endif
