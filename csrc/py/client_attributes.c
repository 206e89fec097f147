/* The attributes of Client and Session. Those that can be changed are a matter
 * of the snapshot in force: a change puts another one there. */
#include "client.h"
#include "client_late.h"
#include "dialing.h"
#include "errors.h"

/* ---- changing the defaults ---- */

/* Puts `d` (taken) in force if `before` still is; else drops it. */
static bool
swap_defaults(hpy_client *c, hpy_defaults *before, hpy_defaults *d)
{
    hpy_lock(&c->lock);
    bool ours = c->defaults == before;
    if (ours)
        c->defaults = d;
    hpy_unlock(&c->lock);
    hpy_defaults_unref(ours ? before : d);
    return ours;
}

static hpy_default_values
values_of(const hpy_defaults *d)
{
    return (hpy_default_values){.headers = d->headers,
                                .base_url = d->base_url,
                                .params = d->params,
                                .timeout = d->timeout,
                                .trace = d->trace,
                                .log = d->log,
                                .policy = d->policy,
                                .proxies = d->proxies,
                                .verify = d->verify,
                                .cert = d->cert,
                                .trust_env = d->trust_env ? Py_True : Py_False,
                                .stream = d->stream ? Py_True : Py_False};
}

static void
put_over(hpy_default_values *v, const hpy_default_values *given)
{
    const struct {
        PyObject **to, *from;
    } all[] = {
        {&v->headers, given->headers},     {&v->base_url, given->base_url},
        {&v->params, given->params},       {&v->timeout, given->timeout},
        {&v->trace, given->trace},         {&v->log, given->log},
        {&v->policy, given->policy},       {&v->proxies, given->proxies},
        {&v->verify, given->verify},       {&v->cert, given->cert},
        {&v->trust_env, given->trust_env}, {&v->stream, given->stream}};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(all); i++) {
        if (all[i].from != NULL)
            *all[i].to = all[i].from;
    }
}

/* A snapshot in place of `before`, with the TLS setting made for that one if it
 * holds on. */
static hpy_defaults *
next_defaults(hpy_client *c, hpy_defaults *before, const hpy_default_values *v)
{
    hpy_defaults *d = hpy_defaults_new(c->st, v);
    if (d != NULL && d->verify == before->verify && d->cert == before->cert &&
        d->trust_env == before->trust_env)
        d->own_tls = hpy_slot_get(&c->lock, &before->own_tls);
    return d;
}

/* Puts a snapshot in force that is like the present one but for what is given
 * (NULL: as it is). */
static int
change(hpy_client *c, hpy_default_values given)
{
    if (hpy_client_check(c) < 0)
        return -1;
    for (;;) {
        hpy_defaults *now = hpy_client_defaults(c);
        hpy_default_values v = values_of(now);
        put_over(&v, &given);
        hpy_defaults *d = next_defaults(c, now, &v);
        bool done = d == NULL || swap_defaults(c, now, d);
        hpy_defaults_unref(now);
        if (done)
            return d == NULL ? -1 : 0;
    }
}

#define CHANGE(c, field, value)                                                \
    change((hpy_client *)(c), (hpy_default_values){.field = (value)})

static int
refuse_delete(PyObject *value, const char *name)
{
    if (value == NULL)
        PyErr_Format(PyExc_AttributeError, "cannot delete %s", name);
    return value == NULL ? -1 : 0;
}

/* What ClientHeaders calls after each change. */
static PyObject *
headers_changed(PyObject *op, PyObject *headers)
{
    if (CHANGE(op, headers, headers) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef headers_changed_def = {"headers_changed", headers_changed,
                                          METH_O, NULL};

static PyObject *
make_headers_view(hpy_client *c)
{
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *view = NULL;
    PyObject *changed = PyCFunction_New(&headers_changed_def, (PyObject *)c);
    if (changed != NULL)
        view = hpy_helper_call(c->st, HPY_HELPER_CLIENT_HEADERS, 2, d->headers,
                               changed);
    Py_XDECREF(changed);
    hpy_defaults_unref(d);
    return view;
}

static PyObject *
get_headers(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    PyObject *view = hpy_slot_get(&c->lock, &c->headers_view);
    if (view != NULL)
        return view;
    view = make_headers_view(c);
    return view == NULL ? NULL : hpy_slot_put(&c->lock, &c->headers_view, view);
}

static int
set_headers(PyObject *op, PyObject *value, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (refuse_delete(value, "headers") < 0)
        return -1;
    PyObject *headers = hpy_default_headers(c->st, value, c->decompress);
    int rc = headers == NULL ? -1 : CHANGE(c, headers, headers);
    Py_XDECREF(headers);
    if (rc < 0)
        return -1;
    hpy_lock(&c->lock);
    PyObject *view = c->headers_view;
    c->headers_view = NULL;
    hpy_unlock(&c->lock);
    Py_XDECREF(view);
    return 0;
}

static PyObject *
get_base_url(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *v = Py_XNewRef(d->base_url);
    hpy_defaults_unref(d);
    return v == NULL ? PyUnicode_FromString("") : v;
}

static int
set_base_url(PyObject *op, PyObject *value, void *closure)
{
    if (refuse_delete(value, "base_url") < 0 ||
        hpy_check_base_url((hpy_client *)op, value) < 0)
        return -1;
    return CHANGE(op, base_url, value);
}

static PyObject *
get_params(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *v = d->params == NULL ? PyDict_New() : Py_NewRef(d->params);
    bool fresh = d->params == NULL;
    hpy_defaults_unref(d);
    /* Handed out and perhaps filled: it has to be the one in force. */
    if (fresh && v != NULL && CHANGE(c, params, v) < 0)
        Py_CLEAR(v);
    return v;
}

static int
set_params(PyObject *op, PyObject *value, void *closure)
{
    if (refuse_delete(value, "params") < 0)
        return -1;
    PyObject *params = hpy_own_params(value);
    int rc = params == NULL ? -1 : CHANGE(op, params, params);
    Py_XDECREF(params);
    return rc;
}

static PyObject *
get_timeout(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *v = d->timeout == NULL
                      ? hpy_helper_call(c->st, HPY_HELPER_TIMEOUT, 0)
                      : Py_NewRef(d->timeout);
    hpy_defaults_unref(d);
    return v;
}

static int
set_timeout(PyObject *op, PyObject *value, void *closure)
{
    if (refuse_delete(value, "timeout") < 0)
        return -1;
    return CHANGE(op, timeout, value);
}

static PyObject *
get_trace(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *v = Py_NewRef(d->trace == NULL ? Py_None : d->trace);
    hpy_defaults_unref(d);
    return v;
}

/* Of two who change it at once the last one's say is what the core does. */
static void
apply_trace(hpy_client *c)
{
    hpy_lock(&c->lock);
    hp_transport_trace(c->transport, c->defaults->listeners != NULL);
    hpy_unlock(&c->lock);
}

static int
set_trace(PyObject *op, PyObject *value, void *closure)
{
    if (refuse_delete(value, "trace") < 0 || CHANGE(op, trace, value) < 0)
        return -1;
    apply_trace((hpy_client *)op);
    return 0;
}

int
hpy_client_set_log(hpy_client *c, PyObject *log)
{
    if (CHANGE(c, log, log) < 0)
        return -1;
    apply_trace(c);
    return 0;
}

/* ---- proxies ---- */

static int
set_proxies(PyObject *op, PyObject *value, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (refuse_delete(value, "proxies") < 0 || hpy_client_check(c) < 0)
        return -1;
    hpy_defaults *now = hpy_client_defaults(c);
    PyObject *before = now->proxies == NULL ? Py_None : now->proxies;
    PyObject *proxies =
        hpy_helper_call(c->st, HPY_HELPER_PROXY_CHANGE, 2, before, value);
    int rc = proxies == NULL ? -1 : CHANGE(c, proxies, proxies);
    Py_XDECREF(proxies);
    hpy_defaults_unref(now);
    return rc;
}

/* What ClientProxies calls after each change. */
static PyObject *
proxies_changed(PyObject *op, PyObject *proxies)
{
    if (set_proxies(op, proxies, NULL) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef proxies_changed_def = {"proxies_changed", proxies_changed,
                                          METH_O, NULL};

static PyObject *
get_proxies(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *v = NULL;
    PyObject *changed = PyCFunction_New(&proxies_changed_def, op);
    if (changed != NULL)
        v = hpy_helper_call(c->st, HPY_HELPER_PROXY_VIEW, 2,
                            d->proxies == NULL ? Py_None : d->proxies, changed);
    Py_XDECREF(changed);
    hpy_defaults_unref(d);
    return v;
}

/* ---- policy ---- */

/* Puts `policy` in force unless something was changed since `before`: 1, or 0
 * to look again. */
static int
try_policy(hpy_client *c, hpy_defaults *before, PyObject *policy)
{
    hpy_default_values v = values_of(before);
    v.policy = policy;
    hpy_defaults *d = next_defaults(c, before, &v);
    return d == NULL ? -1 : swap_defaults(c, before, d);
}

static PyObject *
policy_of(const hpy_defaults *d)
{
    return d->policy == NULL ? Py_None : d->policy;
}

/* One look: settings.get gives the value, and the policy that has it in it
 * when it was made for the occasion (else None). 1, 0 to look again, or -1. */
static int
look_policy(hpy_client *c, const char *name, PyObject **value)
{
    hpy_defaults *now = hpy_client_defaults(c);
    PyObject *key = PyUnicode_FromString(name), *pair = NULL;
    int rc = -1;
    if (key != NULL)
        pair = hpy_helper_call(c->st, HPY_HELPER_POLICY_GET, 2, policy_of(now),
                               key);
    if (pair != NULL) {
        PyObject *policy = PyTuple_GET_ITEM(pair, 1);
        rc = policy == Py_None ? 1 : try_policy(c, now, policy);
    }
    if (rc == 1)
        *value = Py_NewRef(PyTuple_GET_ITEM(pair, 0));
    Py_XDECREF(key);
    Py_XDECREF(pair);
    hpy_defaults_unref(now);
    return rc;
}

static PyObject *
get_policy(PyObject *op, void *name)
{
    hpy_client *c = (hpy_client *)op;
    PyObject *value = NULL;
    int rc = hpy_client_check(c);
    while (rc == 0)
        rc = look_policy(c, name, &value);
    return rc < 0 ? NULL : value;
}

static int
set_policy(PyObject *op, PyObject *value, void *name)
{
    hpy_client *c = (hpy_client *)op;
    if (refuse_delete(value, name) < 0)
        return -1;
    PyObject *key = PyUnicode_FromString(name);
    int rc = key == NULL ? -1 : hpy_client_check(c);
    while (rc == 0) {
        hpy_defaults *now = hpy_client_defaults(c);
        PyObject *policy = hpy_helper_call(c->st, HPY_HELPER_POLICY_CHANGE, 3,
                                           policy_of(now), key, value);
        rc = policy == NULL ? -1 : try_policy(c, now, policy);
        Py_XDECREF(policy);
        hpy_defaults_unref(now);
    }
    Py_XDECREF(key);
    return rc < 0 ? -1 : 0;
}

int
hpy_client_steps_changed(hpy_client *c)
{
    PyObject *own = hpy_client_own_steps(c);
    int rc = own == NULL ? -1 : set_policy((PyObject *)c, own, "overrides");
    Py_XDECREF(own);
    return rc;
}

/* ---- trust and streaming ---- */

/* Of the snapshot; closure: which of its objects, that are never NULL. */
static PyObject *
get_in_force(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    PyObject *v = Py_NewRef(*(PyObject **)((char *)d + (size_t)closure));
    hpy_defaults_unref(d);
    return v;
}

#define IN_FORCE(field) (void *)offsetof(hpy_defaults, field)

static int
set_verify(PyObject *op, PyObject *value, void *closure)
{
    return refuse_delete(value, "verify") < 0 ? -1 : CHANGE(op, verify, value);
}

static int
set_cert(PyObject *op, PyObject *value, void *closure)
{
    return refuse_delete(value, "cert") < 0 ? -1 : CHANGE(op, cert, value);
}

static int
refuse_none(PyObject *value, const char *name)
{
    if (refuse_delete(value, name) < 0)
        return -1;
    if (value == Py_None)
        PyErr_Format(PyExc_TypeError, "%s must be True or False, not None",
                     name);
    return value == Py_None ? -1 : 0;
}

static PyObject *
get_trust_env(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (hpy_client_check(c) < 0)
        return NULL;
    hpy_defaults *d = hpy_client_defaults(c);
    bool v = d->trust_env;
    hpy_defaults_unref(d);
    return PyBool_FromLong(v);
}

/* A netrc file and proxies of the environment are looked for anew. */
static int
set_trust_env(PyObject *op, PyObject *value, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    PyObject *wanted = value == Py_True ? Py_True : Py_None;
    if (refuse_none(value, "trust_env") < 0 || hpy_client_check(c) < 0 ||
        CHANGE(op, trust_env, value) < 0 || set_policy(op, wanted, "netrc") < 0)
        return -1;
    hpy_defaults *now = hpy_client_defaults(c);
    PyObject *proxies =
        hpy_helper_call(c->st, HPY_HELPER_PROXY_TRUST, 2,
                        now->proxies == NULL ? Py_None : now->proxies, value);
    int rc = proxies == NULL ? -1 : CHANGE(c, proxies, proxies);
    Py_XDECREF(proxies);
    hpy_defaults_unref(now);
    return rc;
}

static int
set_stream(PyObject *op, PyObject *value, void *closure)
{
    return refuse_none(value, "stream") < 0 ? -1 : CHANGE(op, stream, value);
}

/* ---- what is fixed ---- */

static PyObject *
get_limits(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    if (c->limits != NULL)
        return Py_NewRef(c->limits);
    return hpy_helper_call(c->st, HPY_HELPER_LIMITS, 0);
}

static PyObject *
get_retries(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    return hpy_retries_object(c->st, c->retries);
}

static PyObject *
get_closed(PyObject *op, void *closure)
{
    hpy_client *c = (hpy_client *)op;
    return PyBool_FromLong(c->transport != NULL &&
                           hp_transport_is_closed(c->transport));
}

static PyObject *
get_object(PyObject *op, void *closure)
{
    PyObject *v = *(PyObject **)((char *)op + (size_t)closure);
    return Py_NewRef(v == NULL ? Py_None : v);
}

static PyObject *
get_dialing(PyObject *op, void *name)
{
    return hpy_dialing_get(((hpy_client *)op)->dialing, name);
}

#define AT(field) (void *)offsetof(hpy_client, field)

PyGetSetDef hpy_client_getset[] = {
    {"headers", get_headers, set_headers,
     "What every request sends: a mutable mapping, case-insensitive. Setting\n"
     "it puts the mapping given over the built-in defaults.",
     NULL},
    {"params", get_params, set_params,
     "Query parameters of every request: mapping or pairs.", NULL},
    {"timeout", get_timeout, set_timeout,
     "Timeout of requests that have none; takes what timeout= takes.", NULL},
    {"trace", get_trace, set_trace,
     "Who is told what happens to requests and connections, or None; takes\n"
     "what trace= takes.",
     NULL},
    {"proxies", get_proxies, set_proxies,
     "What proxies= takes, as a mutable mapping of \"http\", \"https\", "
     "\"all\" or\n"
     "\"scheme://host\" to a URL or Proxy; not those of the environment.",
     NULL},
    {"auth", get_policy, set_policy,
     "Who a request is from unless it says so itself; takes what auth= takes.",
     "auth"},
    {"cookies", get_policy, set_policy,
     "The cookies kept: a mapping, with `.jar` underneath. Takes a mapping or\n"
     "an http.cookiejar.CookieJar.",
     "cookies"},
    {"hooks", get_policy, set_policy,
     "{\"response\": [f, ...]}: f(response, **how) may return another one.",
     "hooks"},
    {"event_hooks", get_policy, set_policy,
     "{\"request\": [f, ...], \"response\": [g, ...]}: called with each\n"
     "request before it is sent, and with each response.",
     "event_hooks"},
    {"follow_redirects", get_policy, set_policy,
     "bool: whether redirects are followed.", "follow_redirects"},
    {"max_redirects", get_policy, set_policy,
     "int: how many redirects in a row are followed.", "max_redirects"},
    {"check_redirect", get_policy, set_policy,
     "callable(request, history) asked before each redirect, or None.",
     "check_redirect"},
    {"mounts", get_policy, set_policy,
     "Which transport serves which URLs: a mapping of prefixes and patterns\n"
     "to transports, where None is the client's own pool. See mount().",
     "mounts"},
    {"adapters", hpy_client_get_adapters, set_policy,
     "The same in requests' manner: a mutable mapping in which \"https://\"\n"
     "and \"http://\" are always found.",
     "mounts"},
    {"base_url", get_base_url, set_base_url, "str: put before relative URLs.",
     NULL},
    {"limits", get_limits, NULL, "Limits of the pool; fixed.", NULL},
    {"retries", get_retries, NULL, "Retries; fixed.", NULL},
    {"closed", get_closed, NULL, "bool: whether close() was called.", NULL},
    {"is_closed", get_closed, NULL, "bool: whether close() was called.", NULL},
    {"verify", get_in_force, set_verify,
     "Who is trusted; takes what verify= takes. Connections that are there\n"
     "serve no request that trusts others.",
     IN_FORCE(verify)},
    {"cert", get_in_force, set_cert,
     "The client certificate; takes what cert= takes.", IN_FORCE(cert)},
    {"stream", hpy_client_get_stream, set_stream,
     "stream(method, url, **keywords): request() with stream=True, for use in\n"
     "a with statement. As a bool, read or assigned: what calls without\n"
     "stream= go by.",
     NULL},
    {"tls", get_object, NULL, "What tls= was given; fixed.", AT(tls)},
    {"resolve", get_dialing, NULL, "What resolve= was given; fixed.",
     "resolve"},
    {"local_address", get_dialing, NULL,
     "What local_address= was given; fixed.", "local_address"},
    {"uds", get_dialing, NULL, "What uds= was given; fixed.", "uds"},
    {"family", get_dialing, NULL,
     "socket.AF_INET, socket.AF_INET6, or None for both; fixed.", "family"},
    {"socket_options", get_dialing, NULL,
     "What socket_options= was given, as a tuple; fixed.", "socket_options"},
    {"dial", get_dialing, NULL, "What dial= was given; fixed.", "dial"},
    {"default_encoding", get_object, NULL,
     "Encoding of text without a charset; fixed.", AT(default_encoding)},
    {"trust_env", get_trust_env, set_trust_env,
     "bool: whether environment variables and a netrc file count.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
