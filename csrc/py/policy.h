/* policy: where a call leaves for hpool.policy.flow, and how it comes back.
 *
 * A plain call never does. One leaves before anything is sent when the call or
 * the client's snapshot has something to say about it (auth, cookies, hooks,
 * files, retries, credentials in the URL), and after its head has arrived when
 * that is a redirect to follow; a Set-Cookie is handed over on the way. flow
 * then sends hop by hop through _send_once, which merges nothing: what was
 * taken off a request cannot come back from the client's defaults. */
#ifndef HPY_POLICY_H
#define HPY_POLICY_H

#include "response.h"

/* Whether arguments of the call send it to flow. -1: what is said of redirects
 * cannot be meant. RAISES TypeError, InvalidArgument. */
int hpy_policy_asked(hpy_state *st, PyObject *const *a);

/* Calls flow's function for a call that is Python's; `r` has its snapshot and
 * perhaps its URL. What it gives (the response of POLICY_CALL), or NULL.
 * RAISES. */
PyObject *hpy_policy_call(hpy_response *r, hpy_helper which, PyObject *const *a,
                          bool stream);

/* The head of `r` has arrived: hands its cookies over if they are kept. 1 if it
 * is a redirect that is to be followed (hpy_policy_resume), else 0. RAISES. */
int hpy_policy_look(hpy_response *r, PyObject *const *a);
/* Follows it; the response at the end, or NULL. RAISES. */
PyObject *hpy_policy_resume(hpy_response *r, PyObject *const *a, bool stream);

/* What flow gets of a call and of the client's snapshot: new dicts. RAISES. */
PyObject *hpy_policy_arguments(hpy_response *r, PyObject *const *a, bool stream,
                               hp_ns started);
PyObject *hpy_policy_settings(hpy_response *r);

/* What flow uses of the module: see _core.pyi. */
PyObject *hpy_send_once(PyObject *module, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *kwnames);
PyObject *hpy_pause(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames);
PyObject *hpy_merged_headers(PyObject *module, PyObject *args);
PyObject *hpy_asks(PyObject *module, PyObject *response);
PyObject *hpy_drain(PyObject *module, PyObject *args);
PyObject *hpy_finish(PyObject *module, PyObject *response);
PyObject *hpy_proxies(PyObject *module, PyObject *client);
PyObject *hpy_traced_as(PyObject *module, PyObject *response);
PyObject *hpy_tell(PyObject *module, PyObject *args);
PyObject *hpy_origin(PyObject *module, PyObject *url);

#endif
