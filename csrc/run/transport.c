/* transport: a pool with its settings, the register of all transports, and
 * what concerns the whole process: fork and exit. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/fork.h"
#include "base/lock.h"
#include "base/mem.h"
#include "pool/keeper.h"
#include "run/exchange.h"
#include "run/short_lived.h"

struct hp_transport {
    atomic_int refs;
    hp_transport_config config;
    hp_pool *pool;
    bool uses_unix;
    hp_prepared_cache prepared;
    hp_node node;      /* registry */
    hp_ns born;        /* hp_clock_idle() */
    atomic_bool ended; /* closed, or about to be freed */
    bool interrupted;  /* by the exit; under the registry's lock */
};

static struct {
    hp_mutex mu;
    hp_list list;
    bool ready;
} registry = {.mu = HP_MUTEX_INIT};

static atomic_int inside;

void
hp_inside_enter(void)
{
    atomic_fetch_add_explicit(&inside, 1, memory_order_relaxed);
}

void
hp_inside_leave(void)
{
    atomic_fetch_sub_explicit(&inside, 1, memory_order_release);
}

/* NULL: the first one; after the last one. */
static hp_transport *
next_transport(hp_transport *t)
{
    hp_node *n = NULL;
    if (t)
        n = hp_list_next(&registry.list, &t->node);
    else if (registry.ready)
        n = hp_list_first(&registry.list);
    return n ? HP_CONTAINER(n, hp_transport, node) : NULL;
}

static void
each_transport(void (*fn)(hp_transport *))
{
    for (hp_transport *t = NULL; (t = next_transport(t));)
        fn(t);
}

/* ---- fork ---- */

static void
prepare_one(hp_transport *t)
{
    hp_pool_fork_prepare(t->pool);
    hp_lock(&t->prepared.mu);
}

static void
parent_one(hp_transport *t)
{
    hp_unlock(&t->prepared.mu);
    hp_pool_fork_parent(t->pool);
}

static void
child_one(hp_transport *t)
{
    hp_mutex_init(&t->prepared.mu);
    hp_pool_fork_child(t->pool);
}

static void
prepare(void)
{
    hp_lock(&registry.mu);
    each_transport(prepare_one);
}

static void
parent(void)
{
    each_transport(parent_one);
    hp_unlock(&registry.mu);
}

static void
child(void)
{
    each_transport(child_one);
    atomic_store(&inside, 0);
    hp_short_lived_forget();
    hp_mutex_init(&registry.mu);
}

static const hp_fork_hooks transport_hooks = {
    .order = HP_FORK_ORDER_TRANSPORTS,
    .prepare = prepare,
    .parent = parent,
    .child = child,
};

static const hp_fork_hooks keeper_hooks = {
    .order = HP_FORK_ORDER_KEEPER,
    .prepare = hp_keeper_fork_prepare,
    .parent = hp_keeper_fork_parent,
    .child = hp_keeper_fork_child,
};

int
hp_process_init(hp_err *err)
{
    hp_lock(&registry.mu);
    if (!registry.ready) {
        hp_list_init(&registry.list);
        registry.ready = true;
    }
    hp_unlock(&registry.mu);
    if (hp_fork_register(&keeper_hooks) != 0 ||
        hp_fork_register(&transport_hooks) != 0 ||
        hp_fork_register(&hp_cancel_fork_hooks) != 0)
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    return 0;
}

void
hp_process_after_fork(bool (*later)(void))
{
    hp_keeper_after_fork(later);
}

void
hp_process_resume(void)
{
    hp_keeper_resume();
}

/* ---- exit ---- */

enum {
    EXIT_WAIT_MS = 1000
};

/* The pool of one that was not interrupted yet, with a reference, or NULL. */
static hp_pool *
next_to_interrupt(void)
{
    hp_pool *p = NULL;
    hp_lock(&registry.mu);
    hp_node *n = registry.ready ? hp_list_first(&registry.list) : NULL;
    for (; n && p == NULL; n = hp_list_next(&registry.list, n)) {
        hp_transport *t = HP_CONTAINER(n, hp_transport, node);
        if (!t->interrupted)
            p = hp_pool_ref(t->pool);
        t->interrupted = true;
    }
    hp_unlock(&registry.mu);
    return p;
}

void
hp_process_begin(void)
{
    hp_keeper_begin();
}

/* Connections are closed on the way, so that no lock may be held. */
void
hp_process_shutdown(void)
{
    for (hp_pool *p; (p = next_to_interrupt()) != NULL;) {
        hp_pool_interrupt(p);
        hp_pool_unref(p);
    }
    for (int ms = 0; ms < EXIT_WAIT_MS && atomic_load(&inside) > 0; ms++)
        poll(NULL, 0, 1);
    hp_keeper_stop_for_good();
}

/* ---- life ---- */

void
hp_transport_config_default(hp_transport_config *c)
{
    *c = (hp_transport_config){.dial = HP_DIAL_OPTIONS_INIT,
                               .max_header_bytes = 1024 * 1024};
    c->dial.dns_ttl = 10 * HP_NS_PER_S;
    hp_limits_default(&c->limits);
}

static int
check_config(const hp_transport_config *c, hp_err *err)
{
    if (hp_limits_check(&c->limits, err) != 0 ||
        hp_dial_options_check(&c->dial, err) != 0)
        return -1;
    if (c->max_header_bytes < 1024)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "max_header_bytes must be at least 1024");
    return 0;
}

hp_transport *
hp_transport_new(const hp_transport_config *config, hp_err *err)
{
    if (hp_process_init(err) != 0 || check_config(config, err) != 0)
        return NULL;
    hp_transport *t = hp_calloc(sizeof *t);
    hp_dial_options dial = config->dial;
    dial.max_connect_head = config->max_header_bytes;
    hp_pool *pool = t ? hp_pool_new(&config->limits, &dial) : NULL;
    if (pool == NULL) {
        hp_free(t);
        hp_err_set(err, HP_E_NOMEM, "out of memory");
        return NULL;
    }
    atomic_init(&t->refs, 1);
    t->config = *config;
    t->config.dial = HP_DIAL_OPTIONS_INIT; /* the pool has the copy */
    t->config.dial.dns_ttl = config->dial.dns_ttl;
    t->uses_unix = config->dial.uds != NULL;
    t->pool = pool;
    t->born = hp_clock_idle();
    hp_prepared_cache_init(&t->prepared);
    hp_lock(&registry.mu);
    hp_list_push_back(&registry.list, &t->node);
    hp_unlock(&registry.mu);
    return t;
}

hp_transport *
hp_transport_ref(hp_transport *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

/* How long it lived counts for those to come. */
static void
note_end(hp_transport *t)
{
    if (atomic_exchange(&t->ended, true))
        return;
    hp_stats *s = hp_pool_stats(t->pool);
    if (s == NULL)
        return;
    hp_lock(&registry.mu);
    hp_short_lived_note(s, t->born, hp_clock_idle());
    hp_unlock(&registry.mu);
    hp_stats_free(s);
}

size_t
hp_process_short_lived(hp_short_lived *out)
{
    hp_lock(&registry.mu);
    size_t n = hp_short_lived_list(out, hp_clock_idle());
    hp_unlock(&registry.mu);
    return n;
}

void
hp_transport_unref(hp_transport *t)
{
    if (t == NULL || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    note_end(t);
    hp_pool_close(t->pool);
    hp_lock(&registry.mu);
    hp_list_remove(&t->node);
    hp_unlock(&registry.mu);
    hp_pool_unref(t->pool);
    hp_prepared_cache_free(&t->prepared);
    hp_free(t);
}

void
hp_transport_close(hp_transport *t)
{
    note_end(t);
    hp_pool_close(t->pool);
}

bool
hp_transport_is_closed(const hp_transport *t)
{
    return hp_pool_is_closed(t->pool);
}

size_t
hp_transport_close_idle(hp_transport *t, hp_span host)
{
    return hp_pool_close_idle(t->pool, host);
}

void
hp_transport_trace(hp_transport *t, bool on)
{
    hp_pool_trace(t->pool, on);
}

hp_event *
hp_transport_take_events(hp_transport *t, uint64_t *dropped)
{
    return hp_events_take(hp_pool_events(t->pool), dropped);
}

hp_stats *
hp_transport_stats(hp_transport *t)
{
    return hp_pool_stats(t->pool);
}

hp_ns
hp_transport_dns_ttl(const hp_transport *t)
{
    return t->config.dial.dns_ttl;
}

static void
gather_transport(void *t, hp_gathering *g)
{
    hp_pool_gather(((hp_transport *)t)->pool, g);
}

hp_holders *
hp_transport_holders(hp_transport *t)
{
    return hp_gather(gather_transport, t);
}

static void
gather_process(void *unused, hp_gathering *g)
{
    hp_lock(&registry.mu);
    for (hp_transport *t = NULL; (t = next_transport(t));)
        gather_transport(t, g);
    hp_unlock(&registry.mu);
}

hp_holders *
hp_process_holders(void)
{
    return hp_gather(gather_process, NULL);
}

hp_pool *
hp_transport_pool(hp_transport *t)
{
    return t->pool;
}

hp_prepared_cache *
hp_transport_prepared(hp_transport *t)
{
    return &t->prepared;
}

bool
hp_transport_uses_unix(const hp_transport *t)
{
    return t->uses_unix;
}

const hp_transport_config *
hp_transport_settings(const hp_transport *t)
{
    return &t->config;
}
