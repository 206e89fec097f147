/* response: hpool.Response.
 *
 * It owns the exchange and everything the exchange borrows. One user at a
 * time: whatever touches the body first takes `busy` (hpy_response_enter), and
 * a second one gets ConcurrentUse; no lock is held while bytes are awaited.
 * close() is for any thread at any time.
 *
 * Where bytes are, in the order they are handed out: `ahead` (fetched for a
 * line, not yet given), then the exchange. Once `content` is there, it is all
 * of the body, and `at` is the position of the file-like reads in it. */
#ifndef HPY_RESPONSE_H
#define HPY_RESPONSE_H

#include "body.h"
#include "client.h"

typedef struct hpy_ahead {
    char *mem;
    size_t start, end, cap; /* start <= end <= cap */
} hpy_ahead;

typedef struct hpy_response {
    PyObject_HEAD hpy_state *st;
    PyObject *weakrefs;
    PyObject *dict;  /* what was put on it, by a hook say; NULL: nothing */
    hp_exchange *ex; /* NULL: made from Python, `content` is there then */
    /* the request; fixed once it was sent */
    hpy_client *client;     /* NULL when made from Python */
    hpy_defaults *defaults; /* the same */
    PyObject *method, *url; /* str */
    PyObject *call_headers; /* list of pairs, or NULL */
    PyObject *content_type; /* bytes: added for json= or data=, or NULL */
    hpy_body body;
    PyObject *listeners; /* tuple; NULL: it is not traced */
    bool decode;
    bool exact; /* a hop of policy: call_headers are all there are */
    /* the answer; fixed once the head is there */
    int status, minor; /* status 0: made from Python, and not yet said */
    hp_ns elapsed;
    bool empty; /* there is no body */
    bool asks;  /* it has a Location or a Set-Cookie */
    /* of the reader that holds `busy` */
    atomic_bool busy;
    uint64_t taken; /* bytes fetched by stream reads */
    size_t at;      /* position of file-like reads in `content` */
    hpy_ahead ahead;
    bool failed; /* a drive ended with an error */
    bool eof;    /* a read has seen the end */
    /* any thread */
    atomic_bool closed;
    hpy_mutex lock;
    /* guarded by lock; the first six are set once */
    PyObject *content; /* bytes */
    PyObject *headers, *reason, *history, *attempts, *request, *cookies;
    PyObject *encoding; /* what was assigned, or NULL */
    bool raw_decodes;   /* raw.decode_content */
    bool raw_ended;     /* a read of raw has seen the end */
} hpy_response;

extern PyType_Spec hpy_response_spec;
extern PyType_Spec hpy_raw_spec;
extern PyType_Spec hpy_chunks_spec;
extern PyGetSetDef hpy_response_getset[]; /* response_info.c */

/* Not yet known to the garbage collector: others must not see it before the
 * head is there. */
hpy_response *hpy_response_new(hpy_client *c, PyObject *method);
/* Response.__new__ (response_made.c). */
PyObject *hpy_response_make(PyTypeObject *type, PyObject *args,
                            PyObject *kwargs);
/* The attributes of one that was made from Python can be assigned, those that
 * say how it came about of any: the closure of their getset entries. */
typedef struct hpy_made_field {
    const char *name;
    bool of_any;
    int (*put)(hpy_response *r, PyObject *value);
} hpy_made_field;
extern const hpy_made_field hpy_made_status, hpy_made_reason, hpy_made_url,
    hpy_made_headers, hpy_made_request, hpy_made_history, hpy_made_elapsed,
    hpy_made_cookies;
int hpy_response_set_made(PyObject *op, PyObject *value, void *field);
/* requests' name for the content, which hooks assign. */
PyObject *hpy_response_get_kept(PyObject *op, void *closure);
int hpy_response_set_kept(PyObject *op, PyObject *value, void *closure);
/* Drives to the head and takes status and version from it. RAISES. */
int hpy_response_head(hpy_response *r);
/* The same for a wait, hp_drive_pause. RAISES. */
int hpy_response_pause(hpy_response *r, hp_ns until);
/* The same for Client.warm(), which has no response. RAISES. */
int hpy_response_warm(hpy_response *r, int64_t n, int64_t *ready);

/* ---- reading (response_read.c); all raise ---- */

int hpy_response_enter(hpy_response *r); /* -1: ConcurrentUse */
void hpy_response_leave(hpy_response *r);

typedef struct hpy_read {
    hp_read_how how;
    bool raw; /* as it came, not decoded */
} hpy_read;

/* Up to n bytes (n < 0: all the rest). New bytes; b"" at the end. Enters. */
PyObject *hpy_response_read(hpy_response *r, Py_ssize_t n, hpy_read how);
/* What one wait gives, into memory; 0 at the end. Enters. */
Py_ssize_t hpy_response_readinto(hpy_response *r, char *buf, size_t cap,
                                 hpy_read how);
/* A line with its end, of at most `limit` bytes (< 0: whole). Enters. */
PyObject *hpy_response_readline(hpy_response *r, Py_ssize_t limit);
/* All of the body; kept. New reference. */
PyObject *hpy_response_content(hpy_response *r);
/* Takes the body as `content` if it has at most `most` bytes and is there
 * within `limit` from now; closes the response. Enters. RAISES only what is not
 * about the body. */
int hpy_response_drain(hpy_response *r, size_t most, hp_ns limit);
/* `content` if it is there; new reference, else NULL without an exception. */
PyObject *hpy_response_cached(hpy_response *r);
/* How many bytes file-like reads are from the beginning, before decoding. */
int64_t hpy_response_tell_raw(hpy_response *r);
/* Puts `content` in the place of the body; takes it. Enters. */
int hpy_response_keep(hpy_response *r, PyObject *content);
/* Streamed to its end: there is nothing left for an iterator. */
bool hpy_response_is_consumed(hpy_response *r);

/* For any thread. RAISES only what a listener raised. */
int hpy_response_close(hpy_response *r);

/* Ways to end it with an exception; always -1. A drive or a producer has
 * failed, perhaps with an exception of its own; a listener has raised. */
int hpy_response_failed(hpy_response *r, const hp_err *err);
int hpy_response_interrupted(hpy_response *r);

/* ---- facts (response_info.c); new references, raise ---- */

PyObject *hpy_response_headers(hpy_response *r);
PyObject *hpy_response_reason(hpy_response *r);
PyObject *hpy_response_request(hpy_response *r);
PyObject *hpy_response_timings(hpy_response *r);

/* ---- text (response_text.c); raise ---- */

/* The encoding of a body that begins with these bytes: what was assigned, else
 * declared, else the client's default. New reference. */
PyObject *hpy_response_encoding_of(hpy_response *r, PyObject *start);
PyObject *hpy_response_get_charset(PyObject *op, void *closure);
PyObject *hpy_response_get_encoding(PyObject *op, void *closure);
int hpy_response_set_encoding(PyObject *op, PyObject *value, void *closure);
PyObject *hpy_response_get_text(PyObject *op, void *closure);

/* ---- the rest ---- */

/* Headers of a block as the head parser left it (copied). */
PyObject *hpy_headers_of_block(hpy_state *st, hp_span block);
/* Headers of fields; those that cannot stand on a line are left out. */
PyObject *hpy_headers_of_fields(hpy_state *st, const hp_field *at, size_t n);
/* The first field of that name; {NULL, 0} if there is none. */
hp_span hpy_headers_find(PyObject *headers, hp_span name);

/* What the request was sent with, from its snapshot and the call. */
int hpy_request_fields(hpy_response *r, hpy_fields *f);

/* iter_content and friends (chunks_type.c); size < 0: as it comes. */
PyObject *hpy_chunks_new(hpy_response *r, Py_ssize_t size, hpy_read how);

PyObject *hpy_raw_new(hpy_response *r);
PyObject *hpy_upgraded_new(hpy_response *r);
extern PyType_Spec hpy_headers_spec;
extern PyType_Spec hpy_upgraded_spec;

#endif
