/* client: hpool.Client and hpool.Session.
 *
 * Everything is fixed in __init__ but the defaults, of which a request takes
 * the snapshot that is there when it starts. The pool is the transport's; a
 * client adds nothing to its locking. */
#ifndef HPY_CLIENT_H
#define HPY_CLIENT_H

#include "args.h"
#include "defaults.h"

typedef struct hpy_client {
    PyObject_HEAD hpy_state *st;
    PyObject *weakrefs;
    /* fixed after __init__ */
    hp_transport *transport; /* NULL before __init__ */
    PyObject *limits;        /* config.Limits, or NULL */
    PyObject *retries;       /* what retries= was given, or NULL */
    PyObject *tls;
    PyObject *dialing;          /* see dialing.h, or NULL */
    PyObject *default_encoding; /* str or callable */
    int64_t max_size, max_decoded_size;
    bool no_stale_replay;
    bool decompress, raise_for_status;
    bool leak_warnings, leak_lines; /* lines: record who made a request */
    bool forgets_cookies;           /* the shared one does */
    PyObject *settings;  /* dict: what __init__ was given, for pickling */
    atomic_bool telling; /* somebody tells what the pool has to tell */
    hpy_mutex lock;
    /* guarded by lock */
    hpy_defaults *defaults;
    PyObject *headers_view; /* _defaults.ClientHeaders, or NULL */
    PyObject *call_tls;     /* dict: (verify, cert, tls, env) -> capsule */
    PyObject *made_proxies; /* dict: (Proxy, verify) -> capsule */
    PyObject *unverified;   /* set: hosts that were warned of */
} hpy_client;

extern PyType_Spec hpy_client_spec;
extern PyType_Spec hpy_session_spec;

/* The snapshot in force; new reference. */
hpy_defaults *hpy_client_defaults(hpy_client *c);

/* 0, or -1 with RuntimeError when __init__ was never called. */
int hpy_client_check(hpy_client *c);

/* The slots that Session goes on from. */
int hpy_client_traverse(PyObject *op, visitproc visit, void *arg);
int hpy_client_clear(PyObject *op);
void hpy_client_dealloc(PyObject *op);

/* session_type.c */

/* {name: Session's method} of the steps of a call that others may put their own
 * in place of. RAISES. */
PyObject *hpy_session_steps(PyTypeObject *session_type);
int hpy_session_add_attrs(PyTypeObject *session_type);
/* The names of those that are not ours: a frozenset. RAISES. */
PyObject *hpy_client_own_steps(hpy_client *c);
/* Whether request() is not ours, so that every verb goes there. -1: RAISES. */
int hpy_client_has_own_request(hpy_client *c);
int hpy_client_setattro(PyObject *op, PyObject *name, PyObject *value);

/* stream_type.c */
extern PyType_Spec hpy_stream_spec;
/* The getter of client.stream. New reference. RAISES. */
PyObject *hpy_client_get_stream(PyObject *op, void *closure);
/* false: `v` is none. */
bool hpy_stream_is_on(PyObject *v, bool *on);

struct hpy_response;

/* client_open.c */
/* "get" is meant as GET. New reference. RAISES. */
PyObject *hpy_method_of(hpy_state *st, PyObject *given);
/* The URL of a call, base_url and params in it, as r->url. RAISES. */
int hpy_client_url(struct hpy_response *r, PyObject *const *args);
/* Makes r->ex of a call's arguments; nothing is sent. 1: it is a matter of
 * policy. *finish: what the instrument wants called at the end, also of a
 * failure. RAISES. */
int hpy_client_open(struct hpy_response *r, PyObject *const *args, bool stream,
                    PyObject **finish);
/* The same for an exchange that is not to send anything. 0. RAISES. */
int hpy_client_open_silent(struct hpy_response *r, PyObject *const *args);

/* client_request.c */
/* Reads all of the body and gives the connection back, unless it is upgraded.
 * RAISES. */
int hpy_client_read_body(struct hpy_response *r);

/* Raises for the status if the client is made so. Takes `response`, which may
 * be NULL, and which a hook may have replaced by anything. */
PyObject *hpy_client_checked(hpy_client *c, PyObject *response);

/* Sends `r` as it is, and nothing but it: to its head. Takes `r`. RAISES. */
PyObject *hpy_client_send(struct hpy_response *r, PyObject *const *args);

/* Waits until hp_clock_now() is `until`, as long as a request made with these
 * arguments might go on: `r` is one that is not sent. RAISES. */
int hpy_client_pause(struct hpy_response *r, PyObject *const *args,
                     hp_ns until);

/* One call of a verb, from parsing to the Response. */
PyObject *hpy_client_verb(hpy_client *c, hpy_verb verb, PyObject *const *args,
                          Py_ssize_t nargs, PyObject *kwnames);

/* The TLS setting for a call and the name to verify, if not the host's.
 * *holder gets a new reference that keeps both. RAISES. */
int hpy_client_tls(hpy_client *c, hpy_defaults *d, PyObject *const *args,
                   PyObject **holder, hp_tls **tls, hp_span *server_name);

/* The same for these three. */
int hpy_client_tls_of(hpy_client *c, hpy_defaults *d, PyObject *verify,
                      PyObject *cert, PyObject *tls_object, PyObject **holder,
                      hp_tls **tls, hp_span *server_name);

/* Whether each host it is used with is to be warned of: nothing is verified. */
bool hpy_client_tls_warns(PyObject *holder);
/* Warns of "example.com:443", once. RAISES, which a warning may be made to do.
 */
int hpy_client_tls_warn(hpy_client *c, PyObject *host);

/* A dict of what was made of some arguments. Putting forgets all when it is
 * full: calls that differ each time must not pile up. What cannot be hashed is
 * made each time. 1 with *out a new reference, 0; RAISES. */
int hpy_cache_get(PyObject *dict, PyObject *key, PyObject **out);
int hpy_cache_put(PyObject *dict, PyObject *key, PyObject *value);

/* client_proxy.c */
bool hpy_environment_names_proxy(void);
/* Sets q->proxy, which *holder keeps (a new reference), and may put the host of
 * the URL into ASCII. RAISES. */
int hpy_client_choose_proxy(struct hpy_response *r, PyObject *const *args,
                            bool https, hp_request *q, PyObject **holder);

/* client_settings.c */
int hpy_client_init(PyObject *op, PyObject *args, PyObject *kwargs);
/* 0 for what base_url may be. RAISES. */
int hpy_check_base_url(hpy_client *c, PyObject *v);
/* A copy of a dict, so that a later change of the caller's has no effect; else
 * `v` itself. New reference. */
PyObject *hpy_own_params(PyObject *v);

/* client_attributes.c */
extern PyGetSetDef hpy_client_getset[];
/* Looks at hpy_client_own_steps() anew. RAISES. */
int hpy_client_steps_changed(hpy_client *c);
/* A trace handler told after the user's own, or None. RAISES. */
int hpy_client_set_log(hpy_client *c, PyObject *log);

/* client_pickle.c */
PyObject *hpy_client_getstate(PyObject *op, PyObject *unused);
PyObject *hpy_client_setstate(PyObject *op, PyObject *state);

/* client_request.c: the methods, FASTCALL|KEYWORDS */
#define HPY_VERB_METHOD(name)                                                  \
    PyObject *hpy_client_##name(PyObject *op, PyObject *const *args,           \
                                Py_ssize_t nargs, PyObject *kwnames)
HPY_VERB_METHOD(get);
HPY_VERB_METHOD(options);
HPY_VERB_METHOD(head);
HPY_VERB_METHOD(post);
HPY_VERB_METHOD(put);
HPY_VERB_METHOD(patch);
HPY_VERB_METHOD(delete);
HPY_VERB_METHOD(request);
HPY_VERB_METHOD(stream);

/* prepared.c */
HPY_VERB_METHOD(build_request);
HPY_VERB_METHOD(send_prepared);
PyObject *hpy_client_prepare_request(PyObject *op, PyObject *request);
HPY_VERB_METHOD(warm);

/* stats.c */
PyObject *hpy_stats(hpy_state *st, hp_transport *t);
PyObject *hpy_advise(hpy_state *st, PyObject *client, hp_transport *t);

#endif
