/* client_late: methods of Client and Session whose work is done
 * in Python, by hpool.policy. */
#ifndef HPY_CLIENT_LATE_H
#define HPY_CLIENT_LATE_H

#include "client.h"

#define HPY_LATE_METHODS(X)                                                    \
    X(mount, MOUNT)                                                            \
    X(get_adapter, GET_ADAPTER)                                                \
    X(merge_environment_settings, SESSION_MERGE)                               \
    X(get_redirect_target, SESSION_TARGET)                                     \
    X(resolve_redirects, SESSION_RESOLVE)                                      \
    X(rebuild_auth, SESSION_AUTH)                                              \
    X(rebuild_method, SESSION_METHOD)                                          \
    X(rebuild_proxies, SESSION_PROXIES)                                        \
    X(should_strip_auth, SESSION_STRIP)

/* The getter of client.adapters. */
PyObject *hpy_client_get_adapters(PyObject *op, void *closure);

/* METH_VARARGS | METH_KEYWORDS */
#define X(name, helper)                                                        \
    PyObject *hpy_late_##name(PyObject *op, PyObject *args, PyObject *kwargs); \
    extern const char hpy_##name##_doc[];
HPY_LATE_METHODS(X)
#undef X

#endif
