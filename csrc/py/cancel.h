/* cancel: hpool.CancelToken. */
#ifndef HPY_CANCEL_H
#define HPY_CANCEL_H

#include "state.h"

typedef struct hpy_cancel {
    PyObject_HEAD hp_cancel *token;
} hpy_cancel;

extern PyType_Spec hpy_cancel_spec;

#endif
