/* trace: who listens to a request or a client, and how he is told.
 *
 * `trace=` takes an object with methods named as the events, or a callable
 * (event, info). _trace.listener makes one kind of callable of both, and
 * _trace.info the dict of a record. Listeners are called attached, with no
 * lock held. What one raises does not break the request: an Exception is
 * reported through sys.unraisablehook, any other propagates.
 *
 * While a listener runs, what its thread asks of a client is not told to that
 * client's own: a listener that makes requests would have no end. */
#ifndef HPY_TRACE_H
#define HPY_TRACE_H

#include "response.h"

/* A tuple of one listener out of a trace= argument; NULL without an exception
 * for None or a missing one. New reference. RAISES TypeError. */
PyObject *hpy_trace_listeners(hpy_state *st, PyObject *given);

/* The two tuples as one, either of which may be NULL; new reference, NULL with
 * an exception, and for two NULLs without. */
PyObject *hpy_trace_join(PyObject *first, PyObject *then);

/* Is this thread in a listener? */
bool hpy_trace_telling(void);

/* Before the exchange is made: who listens to it, the call's own first, and
 * what the core has to note. RAISES. */
int hpy_trace_begin(hpy_response *r, PyObject *given, hp_request_trace *out);

/* Tells what has happened in the exchange so far. An exception that is set
 * stays; else RAISES what a listener raised that is no Exception. */
int hpy_trace_exchange(hpy_response *r);

/* What its events call it and its connection: (request, conn), new reference;
 * NULL with an exception. */
PyObject *hpy_trace_numbers(const hpy_response *r);

/* One event of Python's own to whom the call's trace= and the client name, as
 * above. RAISES TypeError, and as hpy_trace_exchange. */
int hpy_trace_tell(hpy_client *c, PyObject *trace, PyObject *info);

/* The same for what happened to connections of the client that no request of
 * his had, unless somebody is at it already. */
int hpy_trace_client(hpy_client *c);

static inline int
hpy_response_tell(hpy_response *r)
{
    return r->listeners == NULL ? 0 : hpy_trace_exchange(r);
}

#endif
