/* The TLS settings of a client and of single calls: resolved by
 * _tls.resolve, turned into an hp_tls, and kept. A CA file that is replaced on
 * disk counts for clients made afterwards. */
#include "client.h"
#include "errors.h"

enum {
    CACHE_MAX = 32,
    WARNED_MAX = 1024
};

static const char capsule_name[] = "hpool._core.tls";

typedef struct setting {
    hp_tls *tls;
    PyObject *server_name; /* bytes, or NULL */
    bool warns;            /* each new host it is used with */
} setting;

static void
setting_free(PyObject *capsule)
{
    setting *s = PyCapsule_GetPointer(capsule, capsule_name);
    if (s == NULL)
        return;
    hp_tls_unref(s->tls);
    Py_XDECREF(s->server_name);
    PyMem_Free(s);
}

/* Takes `tls`, borrows `server_name`. */
static PyObject *
setting_new(hp_tls *tls, const char *server_name, bool warns)
{
    setting *s = PyMem_Calloc(1, sizeof *s);
    PyObject *capsule = NULL;
    if (s == NULL)
        PyErr_NoMemory();
    else if (server_name == NULL ||
             (s->server_name = PyBytes_FromString(server_name)) != NULL)
        capsule = PyCapsule_New(s, capsule_name, setting_free);
    if (capsule != NULL) {
        s->tls = tls;
        s->warns = warns;
        return capsule;
    }
    if (s != NULL)
        Py_XDECREF(s->server_name);
    PyMem_Free(s);
    hp_tls_unref(tls);
    return NULL;
}

/* ---- from _tls.resolve ---- */

typedef struct resolved {
    hp_tls_config config;
    const char *ca_pem, *fingerprint, *server_name;
    Py_ssize_t ca_pem_len, fingerprint_len, alpn_len;
    int warns;
} resolved;

static int
parse_resolved(PyObject *t, resolved *r)
{
    hp_tls_config *c = &r->config;
    int verify;
    if (!PyTuple_Check(t)) {
        PyErr_SetString(PyExc_TypeError, "_tls.resolve must give a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(t, "pzzz#zzzziizzzzz#zz#p", &verify, &c->ca_file,
                          &c->ca_dir, &r->ca_pem, &r->ca_pem_len,
                          &c->fallback_ca_file, &c->cert_file, &c->key_file,
                          &c->key_password, &c->min_version, &c->max_version,
                          &c->ciphers, &c->ciphersuites, &c->groups,
                          &c->keylog_file, &r->fingerprint, &r->fingerprint_len,
                          &r->server_name, &c->alpn, &r->alpn_len, &r->warns))
        return -1;
    c->verify = verify;
    c->ca_pem = hp_span_of(r->ca_pem, (size_t)r->ca_pem_len);
    return 0;
}

static int
take_fingerprint(hpy_state *st, resolved *r)
{
    if (r->fingerprint == NULL)
        return 0;
    if (r->fingerprint_len != sizeof r->config.fingerprint)
        return hpy_raise_argument(
            st, "fingerprint takes the 32 bytes of a SHA-256");
    memcpy(r->config.fingerprint, r->fingerprint, sizeof r->config.fingerprint);
    r->config.has_fingerprint = true;
    return 0;
}

static PyObject *
setting_of(hpy_state *st, PyObject *tuple)
{
    resolved r = {0};
    hp_err err;
    hp_err_clear(&err);
    if (parse_resolved(tuple, &r) < 0 || take_fingerprint(st, &r) < 0)
        return NULL;
    hp_tls *tls = hp_tls_get(&r.config, &err);
    if (tls == NULL)
        return hpy_raise(st, &err, NULL);
    return setting_new(tls, r.server_name, r.warns);
}

static PyObject *
resolve(hpy_client *c, PyObject *verify, PyObject *cert, PyObject *tls,
        PyObject *env)
{
    PyObject *tuple = hpy_helper_call(c->st, HPY_HELPER_TLS_RESOLVE, 4, verify,
                                      cert, tls, env);
    if (tuple == NULL)
        return NULL;
    PyObject *s = setting_of(c->st, tuple);
    Py_DECREF(tuple);
    return s;
}

/* ---- kept ---- */

static PyObject *
env_of(const hpy_defaults *d)
{
    return d->trust_env ? Py_True : Py_False;
}

static PyObject *
own_setting(hpy_client *c, hpy_defaults *d)
{
    PyObject *s = hpy_slot_get(&c->lock, &d->own_tls);
    if (s != NULL)
        return s;
    s = resolve(c, d->verify, d->cert, c->tls, env_of(d));
    return s == NULL ? NULL : hpy_slot_put(&c->lock, &d->own_tls, s);
}

int
hpy_cache_put(PyObject *dict, PyObject *key, PyObject *value)
{
    if (PyDict_GET_SIZE(dict) >= CACHE_MAX)
        PyDict_Clear(dict);
    int rc = PyDict_SetItem(dict, key, value);
    if (rc < 0 && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        rc = 0;
    }
    return rc;
}

int
hpy_cache_get(PyObject *dict, PyObject *key, PyObject **out)
{
    int rc = hpy_dict_get(dict, key, out);
    if (rc < 0 && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        rc = 0;
    }
    return rc;
}

static PyObject *
or_own(PyObject *given, PyObject *own)
{
    return hpy_given(given) ? given : own;
}

static PyObject *
kept_setting(hpy_client *c, PyObject *verify, PyObject *cert, PyObject *tls,
             PyObject *env)
{
    PyObject *key = PyTuple_Pack(4, verify, cert, tls, env);
    if (key == NULL)
        return NULL;
    PyObject *s = NULL;
    if (hpy_cache_get(c->call_tls, key, &s) == 0) {
        s = resolve(c, verify, cert, tls, env);
        if (s != NULL && hpy_cache_put(c->call_tls, key, s) < 0)
            Py_CLEAR(s);
    }
    Py_DECREF(key);
    return s;
}

static int
take_setting(PyObject *holder, hp_tls **tls, hp_span *server_name)
{
    if (holder == NULL)
        return -1;
    setting *s = PyCapsule_GetPointer(holder, capsule_name);
    *tls = s->tls;
    if (s->server_name != NULL)
        *server_name = hpy_span_of_bytes(s->server_name);
    return 0;
}

int
hpy_client_tls_of(hpy_client *c, hpy_defaults *d, PyObject *verify,
                  PyObject *cert, PyObject *tls_object, PyObject **holder,
                  hp_tls **tls, hp_span *server_name)
{
    *holder = kept_setting(c, verify, cert, tls_object, env_of(d));
    return take_setting(*holder, tls, server_name);
}

int
hpy_client_tls(hpy_client *c, hpy_defaults *d, PyObject *const *args,
               PyObject **holder, hp_tls **tls, hp_span *server_name)
{
    bool own = !hpy_given(args[HPY_ARG_VERIFY]) &&
               !hpy_given(args[HPY_ARG_CERT]) && !hpy_given(args[HPY_ARG_TLS]);
    *holder = own ? own_setting(c, d)
                  : kept_setting(c, or_own(args[HPY_ARG_VERIFY], d->verify),
                                 or_own(args[HPY_ARG_CERT], d->cert),
                                 or_own(args[HPY_ARG_TLS], c->tls), env_of(d));
    return take_setting(*holder, tls, server_name);
}

/* ---- what is not verified ---- */

bool
hpy_client_tls_warns(PyObject *holder)
{
    const setting *s = PyCapsule_GetPointer(holder, capsule_name);
    return s->warns;
}

int
hpy_client_tls_warn(hpy_client *c, PyObject *host)
{
    int known = PySet_Contains(c->unverified, host);
    if (known != 0)
        return known < 0 ? -1 : 0;
    PyObject *v = hpy_helper_call(c->st, HPY_HELPER_TLS_WARN, 1, host);
    if (v == NULL)
        return -1;
    Py_DECREF(v);
    if (PySet_GET_SIZE(c->unverified) >= WARNED_MAX)
        PySet_Clear(c->unverified);
    return PySet_Add(c->unverified, host);
}
