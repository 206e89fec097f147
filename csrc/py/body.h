/* body: what a request sends, and who is asked for it.
 *
 * Bytes-like objects are sent from where they are, held by a Py_buffer until
 * the exchange is freed; str goes out as UTF-8; files and iterators are
 * wrapped by _prepare.body_source and asked piece by piece, attached. */
#ifndef HPY_BODY_H
#define HPY_BODY_H

#include "state.h"

typedef struct hpy_body {
    PyObject *object; /* bytes-like, str, file or iterator; NULL: none */
    PyObject *source; /* the wrapped file or iterator, or NULL */
    Py_buffer view;   /* of `object`; obj NULL: none */
    Py_buffer piece;  /* the piece of `source` under way; obj NULL: none */
} hpy_body;

/* From the arguments data, content and json of a call. *content_type gets the
 * default for the encoding (bytes, new reference) or NULL. RAISES. */
int hpy_body_prepare(hpy_state *st, hpy_body *b, PyObject *const *args,
                     PyObject **content_type, hp_source *out);

/* Answers HP_DRIVE_BODY or HP_DRIVE_REWIND. -1 with the producer's own
 * exception (the exchange has failed then) or with *err set. */
int hpy_body_answer(hpy_body *b, hp_exchange *ex, hp_drive want, hp_err *err);

/* After the exchange is freed. */
void hpy_body_clear(hpy_body *b);
int hpy_body_traverse(hpy_body *b, visitproc visit, void *arg);

#endif
