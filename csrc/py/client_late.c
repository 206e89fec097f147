#include "client_late.h"

/* Calls the helper with the client before the arguments. */
static PyObject *
late(PyObject *op, PyObject *args, PyObject *kwargs, hpy_helper which)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    PyObject *first = PyTuple_Pack(1, op), *v = NULL;
    PyObject *all = first == NULL ? NULL : PySequence_Concat(first, args);
    PyObject *f = all == NULL ? NULL : hpy_helper_get(c->st, which);
    if (f != NULL)
        v = PyObject_Call(f, all, kwargs);
    Py_XDECREF(first);
    Py_XDECREF(all);
    Py_XDECREF(f);
    return v;
}

PyObject *
hpy_client_get_adapters(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    return hpy_helper_call(c->st, HPY_HELPER_ADAPTERS_VIEW, 1, op);
}

#define X(name, helper)                                                        \
    PyObject *hpy_late_##name(PyObject *op, PyObject *args, PyObject *kwargs)  \
    {                                                                          \
        return late(op, args, kwargs, HPY_HELPER_##helper);                    \
    }
HPY_LATE_METHODS(X)
#undef X

/* ---- docstrings ---- */

const char hpy_mount_doc[] = "mount($self, /, prefix, transport)\n--\n\n\
Have `transport` serve the URLs that begin with `prefix`.\n\
\n\
prefix     \"https://\", \"https://host\", \"https://host/path\"; \"all://\" for both\n\
           schemes; a host may be \"*.example.com\" (those below it) or\n\
           \"*example.com\" (it as well). The most specific one serves.\n\
transport  an HTTPAdapter, a MockTransport, any object with requests'\n\
           send(request, **how) or httpx's handle_request(request), or None\n\
           for the client's own pool";

const char hpy_get_adapter_doc[] = "get_adapter($self, /, url)\n--\n\n\
What serves `url`: the transport mounted for it, else an adapter of the\n\
client's own pool. InvalidSchema for what nothing serves.";

const char hpy_merge_environment_settings_doc[] =
    "merge_environment_settings($self, /, url, proxies, stream, verify, cert)"
    "\n--\n\n\
What send() takes, as a dict: the arguments, and the session's where they\n\
are None. What is None in it is the client's or the environment's affair.";

const char hpy_get_redirect_target_doc[] =
    "get_redirect_target($self, /, resp)\n--\n\n\
The Location of a redirect, None of what is none.";

const char hpy_resolve_redirects_doc[] =
    "resolve_redirects($self, /, resp, req, stream=False, timeout=None, "
    "verify=True, cert=None, proxies=None, yield_requests=False, "
    "**adapter_kwargs)\n--\n\n\
Follows the redirect `resp` and those after it: yields the responses, or,\n\
with yield_requests, the requests, of which none is sent.";

const char hpy_rebuild_auth_doc[] =
    "rebuild_auth($self, /, prepared_request, response)\n--\n\n\
Takes credentials off a request to which `response` redirects, if\n\
should_strip_auth() says so. An own one in a subclass is called.";

const char hpy_rebuild_method_doc[] =
    "rebuild_method($self, /, prepared_request, response)\n--\n\n\
Gives a request to which `response` redirects its method. An own one in a\n\
subclass is called.";

const char hpy_rebuild_proxies_doc[] =
    "rebuild_proxies($self, /, prepared_request, proxies)\n--\n\n\
The proxies for a request to which a redirect leads, as a dict: `proxies`,\n\
the session's, and the environment's for its URL. Takes Proxy-Authorization\n\
off it. An own one in a subclass is called.";

const char hpy_should_strip_auth_doc[] =
    "should_strip_auth($self, /, old_url, new_url)\n--\n\n\
Whether credentials for `old_url` are not for `new_url`: scheme, host or port\n\
differ. An own one in a subclass is called.";
