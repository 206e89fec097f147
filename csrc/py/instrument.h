/* instrument: one callable per interpreter that is told of every request, for
 * spans and metrics. `_core._set_instrument` puts it in the module's state.
 *
 *   instrument(client, method, url) -> None, or (headers, finish)
 *
 * is called once per call of a verb, when the URL is complete and nothing has
 * been sent. `headers` (mapping, pairs or None) are sent in place of the
 * call's own of the same names; then, in the same thread,
 *
 *   finish(response, error)
 *
 * is called exactly once: with the response when its head has arrived (its
 * body too, if the call reads it), with the exception when the call failed,
 * with both when the body did.
 *
 * What either raises does not break the request: an Exception is reported
 * through sys.unraisablehook, any other propagates. */
#ifndef HPY_INSTRUMENT_H
#define HPY_INSTRUMENT_H

#include "response.h"

/* Any object that can be called, or None for none. RAISES TypeError. */
int hpy_instrument_set(hpy_state *st, PyObject *callable);

/* Asks it, and puts its headers into r->call_headers. *finish gets a new
 * reference when there is one to call, also when this fails. RAISES. */
int hpy_instrument_ask(hpy_response *r, PyObject **finish);

/* Calls `finish` (taken). `rc` is how the call went, with its exception set
 * when negative; gives back how it goes on. RAISES. */
int hpy_instrument_finish(PyObject *finish, hpy_response *r, int rc);

/* With nothing set this is all that a request pays. */
static inline bool
hpy_instrumented(hpy_state *st)
{
    return atomic_load_explicit(&st->instrumented, memory_order_relaxed);
}

#endif
