/* dialing: what Client() is told about how its connections are made.
 *
 * Checked by hpool._dialing, whose object the client keeps; NULL when it was
 * told nothing. */
#ifndef HPY_DIALING_H
#define HPY_DIALING_H

#include "state.h"

/* The keywords of Client() that are meant, in the order of _dialing.Dialing. */
enum {
    HPY_DIALING_RESOLVE,
    HPY_DIALING_LOCAL_ADDRESS,
    HPY_DIALING_UDS,
    HPY_DIALING_FAMILY,
    HPY_DIALING_SOCKET_OPTIONS,
    HPY_DIALING_DIAL,
    HPY_DIALING_COUNT
};

/* From the keywords as they were given (NULL: not); *out is a new reference or
 * NULL. What was checked takes the place of what was given in `settings`, so
 * that a later change of the caller's has no effect. RAISES. */
int hpy_dialing_new(hpy_state *st, PyObject *const *given, PyObject *settings,
                    PyObject **out);

/* A setting as the client shows it. New reference; None when it was told
 * nothing. RAISES. */
PyObject *hpy_dialing_get(PyObject *dialing, const char *name);

/* Answers HP_DRIVE_DIAL: calls dial=. What it raises goes into *raised (in
 * place of what is there), to be raised if the drive ends with HP_E_DIAL; -1
 * with the exception set for one that must not wait (KeyboardInterrupt). */
int hpy_dialing_answer(PyObject *dialing, hp_exchange *ex, hpy_exc *raised);

/* Arrays that a config borrows. */
typedef struct hpy_dialing_arrays {
    PyObject *core; /* owns the strings */
    hp_addr local_address;
    hp_sockopt *sockopts;
    hp_override *overrides;
    Py_ssize_t n_overrides;
} hpy_dialing_arrays;

/* Fills in what `dialing` (may be NULL) says. *out borrows from *a until
 * hpy_dialing_clear, which is due in any case. RAISES. */
int hpy_dialing_config(hpy_state *st, PyObject *dialing, hpy_dialing_arrays *a,
                       hp_dial_options *out);
void hpy_dialing_clear(hpy_dialing_arrays *a);

#endif
