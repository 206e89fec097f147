/* args: arguments of FASTCALL|KEYWORDS methods, and single values turned into
 * the core's terms. All functions raise. */
#ifndef HPY_ARGS_H
#define HPY_ARGS_H

#include "state.h"

#define HPY_BIT(arg) (UINT64_C(1) << (HPY_ARG_##arg))

typedef struct hpy_signature {
    const char *name; /* for error texts */
    unsigned n_required, n_positional;
    hpy_arg positional[16];
    uint64_t accepted; /* by name; the positional ones included */
} hpy_signature;

/* Fills out[HPY_ARG_COUNT] (all NULL before) with borrowed references that
 * live as long as the call. 0, or -1 with a TypeError worded like Python's. */
int hpy_args_parse(hpy_state *st, const hpy_signature *sig,
                   PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                   PyObject **out);

/* None or missing: `fallback`. -1 with TypeError naming `what`. A size that
 * does not fit is the largest there is. */
int hpy_arg_bool(PyObject *v, const char *what, bool fallback, bool *out);
int hpy_arg_size(PyObject *v, const char *what, int64_t fallback, int64_t *out);

/* The size argument of `name`, the only one it takes, -1 without one. RAISES.
 */
int hpy_arg_only_size(PyObject *const *args, Py_ssize_t nargs, const char *name,
                      Py_ssize_t *out);

/* The UTF-8 of a str, which owns it. What has none (half a surrogate pair)
 * raises the exception of `code`. */
int hpy_utf8(hpy_state *st, PyObject *v, const char *what, hp_errc code,
             hp_span *out);

/* Seconds to ns; None is HP_NO_LIMIT. 0 passes only when `zero_ok`. */
int hpy_arg_seconds(hpy_state *st, PyObject *v, const char *what, bool zero_ok,
                    hp_ns *out);

/* A timeout= argument: number, None, config.Timeout or what parse_timeout
 * reads. */
int hpy_arg_timeout(hpy_state *st, PyObject *v, hp_timeouts *out);
/* The config.Timeout object that `v` stands for; new reference. */
PyObject *hpy_timeout_object(hpy_state *st, PyObject *v);

/* A config.Limits. */
int hpy_arg_limits(hpy_state *st, PyObject *v, hp_limits *out);

/* The _retries.Retries that `v` stands for; new reference. */
PyObject *hpy_retries_object(hpy_state *st, PyObject *v);
/* Its `stale`, the other way round. */
int hpy_arg_retries(hpy_state *st, PyObject *v, bool *no_stale_replay);

/* A CancelToken; borrowed from it. None or missing gives NULL. */
int hpy_arg_cancel(hpy_state *st, PyObject *v, hp_cancel **out);

/* The deadline() in force in this context; HP_NEVER for none. */
int hpy_deadline_now(hpy_state *st, hp_ns *out);

#endif
