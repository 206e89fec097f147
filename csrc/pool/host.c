/* host: records of keys, rooms and gauges, and the trash. Pool lock held
 * unless a function says otherwise. */
#include "pool/host.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "pool/keeper.h"

/* ---- gauges ---- */

static int64_t *
gauge_of(hp_gauges *g, hp_room room)
{
    switch (room) {
    case HP_ROOM_DIALING:
        return &g->dialing;
    case HP_ROOM_LEASED:
        return &g->in_use;
    case HP_ROOM_IDLE:
    case HP_ROOM_CHECKING:
        return &g->idle;
    case HP_ROOM_DRAINING:
        return &g->draining;
    case HP_ROOM_NONE:
        break;
    }
    return NULL;
}

static void
raise_peak(int64_t *peak, int64_t now)
{
    if (now > *peak)
        *peak = now;
}

static void
count_out(hp_gauges *g, hp_room room)
{
    int64_t *n = gauge_of(g, room);
    if (n) {
        assert(*n > 0); /* I3: an underflow would silently lose slots */
        (*n)--;
    }
}

static void
count_in(hp_gauges *g, hp_gauges *peak, hp_room room)
{
    int64_t *n = gauge_of(g, room);
    if (n) {
        (*n)++;
        raise_peak(gauge_of(peak, room), *n);
    }
}

static void
dial_ended(hp_pool *p, hp_pconn *c)
{
    c->host->n_warming -= c->warming;
    p->n_warming -= c->warming;
    c->warming = false;
    hp_warmers_wake(c->host);
}

void
hp_room_enter(hp_pool *p, hp_pconn *c, hp_room room)
{
    HP_ASSERT_HELD(&p->mu);
    if (c->room == HP_ROOM_DIALING)
        dial_ended(p, c);
    count_out(&c->host->now, (hp_room)c->room);
    count_out(&p->now, (hp_room)c->room);
    c->room = room;
    count_in(&c->host->now, &c->host->peak, room);
    count_in(&p->now, &p->peak, room);
}

/* ---- records ---- */

/* One allocation holds key, host and server name, each NUL-terminated. */
static char *
copy_strings(const hp_key *key)
{
    size_t n = key->text.len + key->host.len + key->server_name.len + 3;
    char *s = hp_calloc(n);
    if (s == NULL)
        return NULL;
    char *p = s;
    const hp_span parts[] = {key->text, key->host, key->server_name};
    for (int i = 0; i < 3; i++) {
        if (parts[i].len)
            memcpy(p, parts[i].ptr, parts[i].len);
        p += parts[i].len + 1;
    }
    return s;
}

/* Whom the spec would dial becomes whom the proxy is asked for. */
static void
put_proxy_before(hp_dial_spec *spec, hp_proxy *proxy, const hp_dial_options *o)
{
    const hp_proxy_config *c = hp_proxy_settings(proxy);
    if (*spec->host) {
        spec->target_host = spec->host;
        spec->target_port = spec->port;
        spec->target_resolve = spec->resolve;
    }
    spec->proxy = hp_proxy_ref(proxy);
    spec->host = c->host.ptr;
    spec->port = c->port;
    spec->resolve = hp_dial_options_override(o, spec->host, spec->port);
}

static void
fill_spec(hp_pool *p, hp_host *h, const hp_key *key)
{
    const char *host = h->strings + key->text.len + 1;
    const char *name = host + key->host.len + 1;
    const hp_dial_options *o = p->dial_options;
    h->spec = (hp_dial_spec){
        .host = host,
        .port = key->port,
        .family = o->family,
        .uds = o->uds,
        .resolve = hp_dial_options_override(o, host, key->port),
        .max_connect_head = o->max_connect_head,
        .local_address = o->local_address,
        .sockopts = o->sockopts,
        .n_sockopts = o->n_sockopts,
        .dns_ttl = o->dns_ttl,
        .custom_dial = o->custom_dial,
        .tls = key->tls ? hp_tls_ref(key->tls) : NULL,
        .server_name = key->server_name.len ? name : host,
        .open_stream = key->open_stream,
        .open_arg = key->open_arg,
    };
    if (key->proxy)
        put_proxy_before(&h->spec, key->proxy, o);
}

void
hp_host_free(hp_host *h)
{
    hp_proxy_unref(h->spec.proxy);
    hp_tls_unref(h->spec.tls);
    hp_free(h->strings);
    hp_free(h);
}

static int
add_stash(hp_pool *p, hp_host *h, const hp_key *key)
{
    h->stash = hp_stash_get(p, key);
    if (h->stash == NULL)
        return -1;
    h->spec.sessions = h->stash->sessions;
    h->spec.proxy_sessions = h->stash->proxy_sessions;
    return 0;
}

static hp_host *
host_new(hp_pool *p, const hp_key *key)
{
    hp_host *h = hp_calloc(sizeof *h);
    if (h == NULL)
        return NULL;
    h->strings = copy_strings(key);
    if (h->strings == NULL) {
        hp_free(h);
        return NULL;
    }
    hp_list_init(&h->idle);
    hp_list_init(&h->waiters);
    hp_list_init(&h->queue);
    hp_list_init(&h->leased);
    hp_list_init(&h->orphans);
    hp_list_init(&h->warmers);
    fill_spec(p, h, key);
    h->node.key = hp_span_of(h->strings, key->text.len);
    h->node.hash = key->hash;
    if (hp_map_insert(&p->hosts, &h->node) != 0) {
        hp_host_free(h);
        return NULL;
    }
    if (hp_stash_wanted(key) && add_stash(p, h, key) != 0) {
        hp_map_remove(&p->hosts, &h->node);
        hp_host_free(h);
        return NULL;
    }
    return h;
}

hp_host *
hp_host_get(hp_pool *p, const hp_key *key)
{
    HP_ASSERT_HELD(&p->mu);
    hp_map_node *n = hp_map_find(&p->hosts, key->text, key->hash);
    return n ? HP_CONTAINER(n, hp_host, node) : host_new(p, key);
}

void
hp_counters_add(hp_counters *into, const hp_counters *from)
{
    /* hp_counters is nothing but uint64_t, see the assertion. */
    uint64_t *a = (uint64_t *)into;
    const uint64_t *b = (const uint64_t *)from;
    static_assert(sizeof(hp_counters) % sizeof(uint64_t) == 0, "all uint64_t");
    for (size_t i = 0; i < sizeof *into / sizeof *a; i++)
        a[i] += b[i];
}

void
hp_host_maybe_gone(hp_pool *p, hp_host *h, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    if (h->pins || hp_gauges_conns(&h->now) || !hp_list_empty(&h->waiters) ||
        !hp_list_empty(&h->warmers))
        return;
    hp_counters_add(&p->gone, &h->count);
    if (h->max_wait > p->gone_max_wait)
        p->gone_max_wait = h->max_wait;
    hp_map_remove(&p->hosts, &h->node);
    if (h->stash)
        hp_stash_spare(p, h->stash, t);
    h->trash_next = t->hosts;
    t->hosts = h;
}

/* ---- trash ---- */

void
hp_trash_wake(hp_trash *t, hp_waker *w)
{
    if (w == NULL)
        return;
    if (t->n_wakers < HP_TRASH_WAKERS)
        t->wakers[t->n_wakers++] = hp_waker_ref(w);
    else
        hp_waker_wake(w); /* full: a token now, under the lock, beats none */
}

void
hp_pconn_free(hp_pconn *c)
{
    hp_conn_close(&c->net, true);
    if (c->drain) {
        hp_body_free(&c->drain->body);
        hp_free(c->drain);
    }
    hp_free(c->armed_entry);
    hp_free(c);
}

void
hp_trash_empty(hp_pool *p, hp_trash *t)
{
    for (int i = 0; i < t->n_wakers; i++) {
        hp_waker_wake(t->wakers[i]);
        hp_waker_unref(t->wakers[i]);
    }
    while (t->conns) {
        hp_pconn *c = t->conns;
        t->conns = c->trash_next;
        hp_keeper_unwatch(c);
        hp_conn_close(&c->net, true);
        hp_pconn_tell_closed(c);
        hp_pconn_free(c);
    }
    while (t->hosts) {
        hp_host *h = t->hosts;
        t->hosts = h->trash_next;
        hp_host_free(h);
    }
    while (t->stashes) {
        hp_stash *s = t->stashes;
        t->stashes = s->trash_next;
        hp_stash_free(s);
    }
    if (t->call_keeper)
        hp_keeper_call(p);
    *t = (hp_trash){0};
}
