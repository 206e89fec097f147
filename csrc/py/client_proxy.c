/* The proxy of a request: chosen by policy.proxies, unless a client has the
 * same one for all of a scheme, and turned into an hp_proxy, which is kept. */
#include "client.h"
#include "errors.h"
#include "response.h"

#include <stdlib.h>

static const char capsule_name[] = "hpool._core.proxy";

bool
hpy_environment_names_proxy(void)
{
    static const char *const names[] = {"http_proxy",  "HTTP_PROXY",
                                        "https_proxy", "HTTPS_PROXY",
                                        "all_proxy",   "ALL_PROXY"};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && *value)
            return true;
    }
    return false;
}

/* ---- from policy.proxy.Proxy ---- */

static void
setting_free(PyObject *capsule)
{
    hp_proxy_unref(PyCapsule_GetPointer(capsule, capsule_name));
}

/* Takes `proxy`. */
static PyObject *
setting_new(hp_proxy *proxy)
{
    PyObject *capsule = PyCapsule_New(proxy, capsule_name, setting_free);
    if (capsule == NULL)
        hp_proxy_unref(proxy);
    return capsule;
}

static hp_span
span_of(const char *p, Py_ssize_t n)
{
    return (hp_span){p, (size_t)n};
}

/* *fields: a tuple of (bytes, bytes), borrowed from `core` like all the rest.
 */
static int
parse_core(PyObject *core, hp_proxy_config *c, PyObject **fields)
{
    const char *host, *user, *password, *authorization;
    Py_ssize_t n_host, n_user, n_password, n_authorization;
    int scheme;
    if (!PyArg_ParseTuple(core, "is#Hz#z#z#O!", &scheme, &host, &n_host,
                          &c->port, &user, &n_user, &password, &n_password,
                          &authorization, &n_authorization, &PyTuple_Type,
                          fields))
        return -1;
    c->scheme = (hp_proxy_scheme)scheme;
    c->host = span_of(host, n_host);
    c->user = span_of(user, n_user);
    c->password = span_of(password, n_password);
    c->authorization = span_of(authorization, n_authorization);
    return 0;
}

static hp_field *
fields_of(PyObject *fields)
{
    Py_ssize_t n = PyTuple_GET_SIZE(fields);
    hp_field *all = PyMem_Calloc((size_t)n + 1, sizeof *all);
    if (all == NULL)
        return (hp_field *)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < n; i++) {
        const char *name, *value;
        Py_ssize_t n_name, n_value;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(fields, i), "y#y#", &name,
                              &n_name, &value, &n_value)) {
            PyMem_Free(all);
            return NULL;
        }
        all[i] = (hp_field){span_of(name, n_name), span_of(value, n_value)};
    }
    return all;
}

static PyObject *
setting_of(hpy_state *st, hp_proxy_config *c, PyObject *fields)
{
    hp_err err;
    hp_err_clear(&err);
    hp_field *all = fields_of(fields);
    if (all == NULL)
        return NULL;
    c->fields = all;
    c->n_fields = (size_t)PyTuple_GET_SIZE(fields);
    c->user_agent = hpy_span_of_bytes(st->user_agent);
    hp_proxy *proxy = hp_proxy_get(c, &err);
    PyMem_Free(all);
    return proxy == NULL ? hpy_raise(st, &err, NULL) : setting_new(proxy);
}

/* How TLS is spoken to an https proxy is its own affair, but for verify=, which
 * holds for all that a call reaches unless the Proxy says otherwise. */
static int
add_tls(hpy_response *r, PyObject *proxy, PyObject *verify,
        hp_proxy_config *out, PyObject **holder)
{
    PyObject *own = PyObject_GetAttrString(proxy, "verify");
    PyObject *cert = PyObject_GetAttrString(proxy, "cert");
    PyObject *tls = PyObject_GetAttrString(proxy, "tls");
    int rc = -1;
    if (own != NULL && cert != NULL && tls != NULL)
        rc = hpy_client_tls_of(r->client, r->defaults,
                               own == Py_None ? verify : own, cert, tls, holder,
                               &out->tls, &out->server_name);
    Py_XDECREF(own);
    Py_XDECREF(cert);
    Py_XDECREF(tls);
    return rc;
}

static int
warn_if_unverified(hpy_response *r, const hp_proxy_config *c, PyObject *tls)
{
    if (!hpy_client_tls_warns(tls))
        return 0;
    bool v6 = memchr(c->host.ptr, ':', c->host.len) != NULL;
    PyObject *host = hpy_str_of_span(c->host), *address = NULL;
    if (host != NULL)
        address = PyUnicode_FromFormat(v6 ? "[%U]:%d" : "%U:%d", host,
                                       (int)c->port);
    int rc = address == NULL ? -1 : hpy_client_tls_warn(r->client, address);
    Py_XDECREF(host);
    Py_XDECREF(address);
    return rc;
}

static PyObject *
make_setting(hpy_response *r, PyObject *proxy, PyObject *verify)
{
    hp_proxy_config config = {0};
    PyObject *fields, *tls = NULL, *made = NULL;
    PyObject *core = PyObject_GetAttrString(proxy, "core");
    if (core != NULL && parse_core(core, &config, &fields) == 0 &&
        (config.scheme != HP_PROXY_HTTPS ||
         (add_tls(r, proxy, verify, &config, &tls) == 0 &&
          warn_if_unverified(r, &config, tls) == 0)))
        made = setting_of(r->st, &config, fields);
    Py_XDECREF(core);
    Py_XDECREF(tls);
    return made;
}

/* ---- kept ---- */

static PyObject *
verify_of(const hpy_defaults *d, PyObject *const *a)
{
    return hpy_given(a[HPY_ARG_VERIFY]) ? a[HPY_ARG_VERIFY] : d->verify;
}

static PyObject *
kept_setting(hpy_response *r, PyObject *proxy, PyObject *verify)
{
    hpy_client *c = r->client;
    PyObject *s = NULL, *key = PyTuple_Pack(2, proxy, verify);
    if (key == NULL)
        return NULL;
    if (hpy_cache_get(c->made_proxies, key, &s) == 0) {
        s = make_setting(r, proxy, verify);
        if (s != NULL && hpy_cache_put(c->made_proxies, key, s) < 0)
            Py_CLEAR(s);
    }
    Py_DECREF(key);
    return s;
}

/* None when it goes there directly. */
static PyObject *
fixed_setting(hpy_response *r, PyObject *const *a, bool https)
{
    hpy_client *c = r->client;
    hpy_defaults *d = r->defaults;
    PyObject *proxy = PyTuple_GET_ITEM(d->fixed_proxies, https);
    if (proxy == Py_None)
        return Py_NewRef(proxy);
    if (hpy_given(a[HPY_ARG_VERIFY]))
        return kept_setting(r, proxy, a[HPY_ARG_VERIFY]);
    PyObject **slot = &d->proxy_settings[https];
    PyObject *s = hpy_slot_get(&c->lock, slot);
    if (s != NULL)
        return s;
    s = make_setting(r, proxy, d->verify);
    return s == NULL ? NULL : hpy_slot_put(&c->lock, slot, s);
}

/* ---- chosen ---- */

enum {
    URL_ON_STACK = 1024
};

static PyObject *
ask(hpy_response *r, PyObject *const *a, const hp_url *u)
{
    hpy_defaults *d = r->defaults;
    PyObject *https = u->https ? Py_True : Py_False, *v = NULL;
    PyObject *host = hpy_str_of_span(u->host);
    PyObject *port = PyLong_FromLong(u->port);
    PyObject *client = d->proxies == NULL ? Py_None : d->proxies;
    bool own = !hpy_given(a[HPY_ARG_PROXY]) && !hpy_given(a[HPY_ARG_PROXIES]);
    PyObject *proxy = a[HPY_ARG_PROXY], *proxies = a[HPY_ARG_PROXIES];
    if (host != NULL && port != NULL && own)
        v = PyObject_CallMethod(client, "choose", "OOOO", r->url, https, host,
                                port);
    else if (host != NULL && port != NULL)
        v = hpy_helper_call(r->st, HPY_HELPER_PROXY_CHOOSE, 7,
                            proxy == NULL ? Py_None : proxy,
                            proxies == NULL ? Py_None : proxies, client, r->url,
                            https, host, port);
    Py_XDECREF(host);
    Py_XDECREF(port);
    return v;
}

/* The host is put into ASCII if need be. 1, 0 for what is no URL, or -1. */
static int
parse_url(hpy_response *r, hp_request *q, hp_url *u, char *store)
{
    hp_err err;
    hp_err_clear(&err);
    if (hp_url_parse(q->url, u, store, &err) == 0)
        return 1;
    if (err.code != HP_E_NEEDS_IDNA)
        return 0;
    PyObject *url = hpy_helper_call(r->st, HPY_HELPER_IDNA_URL, 1, r->url);
    if (url == NULL)
        return -1;
    Py_SETREF(r->url, url);
    return hpy_utf8(r->st, url, "url", HP_E_INVALID_URL, &q->url) < 0 ? -1 : 2;
}

/* What is no URL is refused when it is sent. */
static PyObject *
chosen_proxy(hpy_response *r, PyObject *const *a, hp_request *q)
{
    char on_stack[HP_URL_STORE_SIZE(URL_ON_STACK)], *store = on_stack;
    PyObject *proxy = NULL;
    hp_url u;
    int parsed = 2;
    while (parsed == 2) {
        if (store != on_stack)
            PyMem_Free(store);
        store = q->url.len <= URL_ON_STACK
                    ? on_stack
                    : PyMem_Malloc(HP_URL_STORE_SIZE(q->url.len));
        if (store == NULL)
            return PyErr_NoMemory();
        parsed = parse_url(r, q, &u, store);
    }
    if (parsed == 1)
        proxy = ask(r, a, &u);
    else if (parsed == 0)
        proxy = Py_NewRef(Py_None);
    if (store != on_stack)
        PyMem_Free(store);
    return proxy;
}

static PyObject *
chosen_setting(hpy_response *r, PyObject *const *a, hp_request *q)
{
    PyObject *proxy = chosen_proxy(r, a, q);
    if (proxy == NULL || proxy == Py_None)
        return proxy;
    PyObject *s = kept_setting(r, proxy, verify_of(r->defaults, a));
    Py_DECREF(proxy);
    return s;
}

int
hpy_client_choose_proxy(hpy_response *r, PyObject *const *a, bool https,
                        hp_request *q, PyObject **holder)
{
    bool own = !hpy_given(a[HPY_ARG_PROXY]) && !hpy_given(a[HPY_ARG_PROXIES]);
    q->has_proxies = true;
    *holder = own && r->defaults->fixed_proxies != NULL
                  ? fixed_setting(r, a, https)
                  : chosen_setting(r, a, q);
    if (*holder == NULL)
        return -1;
    if (*holder != Py_None)
        q->proxy = PyCapsule_GetPointer(*holder, capsule_name);
    return 0;
}
