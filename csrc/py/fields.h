/* fields: request headers from Python values to the core's hp_field. Names
 * and values point into the strings and bytes they came from. */
#ifndef HPY_FIELDS_H
#define HPY_FIELDS_H

#include "state.h"

enum {
    HPY_FIELDS_INLINE = 24
};

typedef struct hpy_fields {
    hp_field *at; /* `inlined`, or from the heap */
    size_t n, cap;
    PyObject *keep; /* list of the bytes made here, or NULL */
    hp_field inlined[HPY_FIELDS_INLINE];
} hpy_fields;

void hpy_fields_init(hpy_fields *f);
void hpy_fields_clear(hpy_fields *f); /* frees what it owns */
int hpy_fields_add(hpy_fields *f, hp_span name, hp_span value);

/* A mapping or an iterable of pairs as a new list of 2-tuples that nobody
 * else sees; the strings in it are what the fields point into. */
PyObject *hpy_header_pairs(hpy_state *st, PyObject *headers);

/* Appends `others` to `list` (both of hpy_header_pairs) in place of the pairs
 * that bear one of their names, whatever the case. RAISES MemoryError. */
int hpy_header_pairs_replace(PyObject *list, PyObject *others);

/* Appends the defaults that `pairs` does not name (whatever the case), then
 * the pairs; a pair with None as value only removes. Borrows from both until
 * the fields are cleared. RAISES TypeError, InvalidHeader. */
int hpy_fields_merge(hpy_state *st, hpy_fields *f, const hp_field *defaults,
                     size_t n_defaults, PyObject *pairs);

bool hpy_fields_has(const hp_field *at, size_t n, hp_span name);
/* Drops the field whose value is that very piece of memory. */
void hpy_fields_drop_value(hpy_fields *f, const char *value_ptr);

/* A tuple of (bytes, bytes). */
PyObject *hpy_fields_tuple(const hp_field *at, size_t n);

#endif
