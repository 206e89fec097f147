/* defaults: one frozen snapshot of what may be changed on a client (base_url,
 * headers, params, timeout, trust, trace, policy, proxies). A change makes a
 * new one; a request keeps the one it started with. Reference-counted; any
 * thread, attached. */
#ifndef HPY_DEFAULTS_H
#define HPY_DEFAULTS_H

#include "fields.h"

typedef enum hpy_policy_flag {
    HPY_POLICY_BEFORE = 1,      /* requests go through hpool.policy.flow */
    HPY_POLICY_FOLLOW = 2,      /* redirects are followed */
    HPY_POLICY_FOLLOW_HEAD = 4, /* ... those of a HEAD as well */
    HPY_POLICY_SEND =
        8, /* a subclass has its own send() or prepare_request() */
} hpy_policy_flag;

/* What a snapshot is made of; NULL or None: nothing of it. */
typedef struct hpy_default_values {
    PyObject *headers; /* as hpy_fields_tuple makes it; never NULL */
    PyObject *base_url;
    PyObject *params, *timeout, *trace;
    PyObject *log;           /* log.h */
    PyObject *policy;        /* dict of policy.settings; nobody changes it */
    PyObject *proxies;       /* policy.proxies.Proxies */
    PyObject *verify, *cert; /* as they were given; NULL: True, None */
    PyObject *trust_env;     /* a bool; NULL: True */
    PyObject *stream;        /* a bool; never NULL */
} hpy_default_values;

typedef struct hpy_defaults {
    atomic_size_t refs;
    uint64_t id;        /* stands for the fields in the whole process; > 0 */
    PyObject *headers;  /* tuple of (bytes, bytes): the fields point into it */
    PyObject *base_url; /* str; NULL: none */
    PyObject *params;   /* NULL: none */
    PyObject *timeout;  /* config.Timeout; NULL: hp_timeouts_default */
    hp_timeouts timeouts;
    PyObject *trace;         /* as it was given; NULL: none */
    PyObject *log;           /* log.h: a handler of ours; NULL: none */
    PyObject *listeners;     /* a tuple of those made of them; NULL: none */
    PyObject *policy;        /* dict; NULL: none */
    unsigned policy_flags;   /* hpy_policy_flag */
    PyObject *proxies;       /* NULL: nothing goes through a proxy */
    PyObject *fixed_proxies; /* tuple, of its attribute; NULL: it is asked */
    PyObject *proxy_settings[2]; /* capsules of those, for http and https; made
                                    when needed, under the client's lock */
    bool trust_env, stream;
    PyObject *verify, *cert;
    PyObject *own_tls;         /* client_tls.c: capsule of the setting they come
                                  to, or NULL; under the client's lock */
    const char *auto_encoding; /* value of the Accept-Encoding nobody chose:
                                  left out with a Range or without decoding */
    bool has_range;
    size_t n_fields;
    hp_field fields[];
} hpy_defaults;

/* Takes a new reference of each. RAISES. */
hpy_defaults *hpy_defaults_new(hpy_state *st, const hpy_default_values *v);
hpy_defaults *hpy_defaults_ref(hpy_defaults *d);
void hpy_defaults_unref(hpy_defaults *d); /* NULL is fine */
int hpy_defaults_traverse(hpy_defaults *d, visitproc visit, void *arg);

/* What a client sends when it is told nothing, with `headers` (may be NULL)
 * put over it: a tuple of (bytes, bytes). */
PyObject *hpy_default_headers(hpy_state *st, PyObject *headers,
                              bool decompress);

#endif
