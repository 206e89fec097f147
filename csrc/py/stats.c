/* Client.stats(): the core's snapshot as tuples for _stats.make_stats; and
 * Client.advise(), which judges it in _advise.advise. */
#include "client.h"

static PyObject *
counts(const uint64_t *at, size_t n)
{
    PyObject *t = PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; t != NULL && i < n; i++) {
        PyObject *v = PyLong_FromUnsignedLongLong(at[i]);
        if (v == NULL)
            Py_CLEAR(t);
        else
            PyTuple_SET_ITEM(t, (Py_ssize_t)i, v);
    }
    return t;
}

static PyObject *
gauges(const hp_gauges *g)
{
    return Py_BuildValue("(LLLLLL)", (long long)g->idle, (long long)g->in_use,
                         (long long)g->dialing, (long long)g->draining,
                         (long long)g->waiting, (long long)g->asking);
}

typedef unsigned long long ull;

#define SECONDS_OF_MS 1e-3

/* What advise() lives on besides. */
static PyObject *
troubles(const hp_counters *c)
{
    return Py_BuildValue("(KKKKKddKKK)", (ull)c->host_waits, (ull)c->refused,
                         (ull)c->no_descriptors, (ull)c->lost, (ull)c->stale,
                         (double)c->stale_ms * SECONDS_OF_MS,
                         (double)c->stale_ms2 * SECONDS_OF_MS * SECONDS_OF_MS,
                         (ull)c->cap_misses, (ull)c->cap_short,
                         (ull)c->unresumed);
}

/* What became of those who asked. */
static PyObject *
accounts(const hp_counters *c)
{
    return Py_BuildValue("(KKK)", (ull)c->asked_again, (ull)c->fresh,
                         (ull)c->unserved);
}

/* [(upper bound in seconds, or None, count), ...] */
static PyObject *
histogram(const uint64_t *buckets)
{
    static const hp_ns bounds[] = HP_WAIT_BOUNDS;
    PyObject *t = PyTuple_New(HP_WAIT_BUCKETS);
    for (int i = 0; t != NULL && i < HP_WAIT_BUCKETS; i++) {
        ull n = buckets[i];
        PyObject *v =
            i < HP_WAIT_BUCKETS - 1
                ? Py_BuildValue("(dK)", (double)bounds[i] / (double)HP_NS_PER_S,
                                n)
                : Py_BuildValue("(OK)", Py_None, n);
        if (v == NULL)
            Py_CLEAR(t);
        else
            PyTuple_SET_ITEM(t, i, v);
    }
    return t;
}

static PyObject *
host(const hp_host_stats *h)
{
    const hp_counters *c = &h->count;
    return Py_BuildValue(
        "(sNNKKKKKKKKdKNNNNNNd)", h->key, gauges(&h->now), gauges(&h->peak),
        (ull)c->requests, (ull)c->dials, (ull)c->reuses, (ull)c->lookups,
        (ull)c->handshakes, (ull)c->resumed, (ull)c->drains, (ull)c->waits,
        (double)c->wait_ns / (double)HP_NS_PER_S, (ull)c->leaked,
        counts(c->timeouts, Py_ARRAY_LENGTH(c->timeouts)),
        counts(c->closes, HP_CLOSE_REASON_COUNT),
        counts(c->replays, HP_REPLAY_REASON_COUNT), troubles(c), accounts(c),
        histogram(c->wait_histogram),
        (double)h->max_wait / (double)HP_NS_PER_S);
}

static PyObject *
hosts(const hp_stats *s)
{
    PyObject *list = PyList_New((Py_ssize_t)s->n_hosts);
    for (size_t i = 0; list != NULL && i < s->n_hosts; i++) {
        PyObject *h = host(&s->hosts[i]);
        if (h == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, h);
    }
    return list;
}

/* [(key, transports, requests), ...] */
static PyObject *
short_lived(void)
{
    hp_short_lived *at = PyMem_New(hp_short_lived, HP_SHORT_LIVED_HOSTS);
    if (at == NULL)
        return PyErr_NoMemory();
    size_t n = hp_process_short_lived(at);
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list != NULL && i < n; i++) {
        PyObject *row = Py_BuildValue(
            "(sKK)", at[i].host, (ull)at[i].transports, (ull)at[i].requests);
        if (row == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    PyMem_Free(at);
    return list;
}

PyObject *
hpy_advise(hpy_state *st, PyObject *client, hp_transport *t)
{
    double ttl = (double)hp_transport_dns_ttl(t) / (double)HP_NS_PER_S;
    PyObject *dns_ttl = PyFloat_FromDouble(ttl), *v = NULL;
    PyObject *hosts = dns_ttl == NULL ? NULL : short_lived();
    if (hosts != NULL)
        v = hpy_helper_call(st, HPY_HELPER_ADVISE, 3, client, dns_ttl, hosts);
    Py_XDECREF(dns_ttl);
    Py_XDECREF(hosts);
    return v;
}

PyObject *
hpy_stats(hpy_state *st, hp_transport *t)
{
    hp_stats *s = hp_transport_stats(t);
    if (s == NULL)
        return PyErr_NoMemory();
    PyObject *total = host(&s->total);
    PyObject *gone = total == NULL ? NULL : host(&s->gone);
    PyObject *all = gone == NULL ? NULL : hosts(s);
    PyObject *v = NULL;
    if (all != NULL)
        v = hpy_helper_call(st, HPY_HELPER_MAKE_STATS, 3, total, gone, all);
    Py_XDECREF(total);
    Py_XDECREF(gone);
    Py_XDECREF(all);
    hp_stats_free(s);
    return v;
}
