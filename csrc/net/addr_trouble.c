#include "net/addr_trouble.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/fork.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"

enum {
    MAX_ENTRIES = 1024,
    ENOUGH = 2 /* failures in a row */
};

static const hp_ns TROUBLE = 60 * HP_NS_PER_S;

/* What tells addresses apart, without the padding of a sockaddr. */
typedef struct entry_key {
    struct in6_addr ip; /* IPv4: the first four bytes */
    uint32_t scope;
    uint16_t family, port;
} entry_key;

typedef struct entry {
    hp_map_node by_key;
    hp_node by_age;
    int failures;
    hp_ns last; /* hp_clock_now() */
    entry_key key;
} entry;

static hp_mutex mutex = HP_MUTEX_INIT;
/* Under the mutex: */
static hp_map entries;
static hp_list ages; /* the latest failure last */

/* Nearly always 0, so that dials which succeed take no lock. */
static atomic_size_t n_entries;

/* ---- fork and start ---- */

static void
prepare(void)
{
    hp_lock(&mutex);
}

static void
parent(void)
{
    hp_unlock(&mutex);
}

static void
child(void)
{
    hp_mutex_init(&mutex);
}

static const hp_fork_hooks fork_hooks = {.order = HP_FORK_ORDER_ADDR_TROUBLE,
                                         .prepare = prepare,
                                         .parent = parent,
                                         .child = child};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool ready;

static void
start(void)
{
    hp_map_init(&entries);
    hp_list_init(&ages);
    ready = hp_fork_register(&fork_hooks) == 0;
}

static bool
is_ready(void)
{
    pthread_once(&once, start);
    return ready;
}

/* ---- entries ---- */

static bool
key_of(const hp_addr *a, entry_key *out)
{
    int family = a->u.sa.sa_family;
    if (family != AF_INET && family != AF_INET6)
        return false;
    *out = (entry_key){.family = (uint16_t)family, .port = a->u.in.sin_port};
    if (family == AF_INET) {
        memcpy(&out->ip, &a->u.in.sin_addr, sizeof a->u.in.sin_addr);
    } else {
        out->ip = a->u.in6.sin6_addr;
        out->scope = a->u.in6.sin6_scope_id;
    }
    return true;
}

static hp_span
span_of(const entry_key *key)
{
    static_assert(sizeof *key == 24, "no padding");
    return hp_span_of((const char *)key, sizeof *key);
}

static entry *
find(const entry_key *key, uint64_t hash)
{
    HP_ASSERT_HELD(&mutex);
    hp_map_node *n = hp_map_find(&entries, span_of(key), hash);
    return n ? HP_CONTAINER(n, entry, by_key) : NULL;
}

static void
drop(entry *e)
{
    HP_ASSERT_HELD(&mutex);
    hp_map_remove(&entries, &e->by_key);
    hp_list_remove(&e->by_age);
    atomic_store(&n_entries, entries.count);
    hp_free(e);
}

/* NULL: no memory. */
static entry *
add(const entry_key *key, uint64_t hash)
{
    HP_ASSERT_HELD(&mutex);
    if (entries.count >= MAX_ENTRIES)
        drop(HP_CONTAINER(hp_list_first(&ages), entry, by_age));
    entry *e = hp_calloc(sizeof *e);
    if (e == NULL)
        return NULL;
    e->key = *key;
    e->by_key.key = span_of(&e->key);
    e->by_key.hash = hash;
    if (hp_map_insert(&entries, &e->by_key) != 0) {
        hp_free(e);
        return NULL;
    }
    hp_list_push_back(&ages, &e->by_age);
    atomic_store(&n_entries, entries.count);
    return e;
}

static void
note_failure(entry *e)
{
    HP_ASSERT_HELD(&mutex);
    e->failures++;
    e->last = hp_clock_now();
    hp_list_remove(&e->by_age);
    hp_list_push_back(&ages, &e->by_age);
}

/* ---- what others call ---- */

void
hp_addr_failed(const hp_addr *a)
{
    entry_key key;
    if (!key_of(a, &key) || !is_ready())
        return;
    uint64_t hash = hp_hash(span_of(&key));
    hp_lock(&mutex);
    entry *e = find(&key, hash);
    if (e == NULL)
        e = add(&key, hash);
    if (e)
        note_failure(e);
    hp_unlock(&mutex);
}

void
hp_addr_succeeded(const hp_addr *a)
{
    entry_key key;
    if (atomic_load(&n_entries) == 0 || !key_of(a, &key))
        return;
    hp_lock(&mutex);
    entry *e = find(&key, hp_hash(span_of(&key)));
    if (e)
        drop(e);
    hp_unlock(&mutex);
}

bool
hp_addr_in_trouble(const hp_addr *a)
{
    entry_key key;
    if (atomic_load(&n_entries) == 0 || !key_of(a, &key))
        return false;
    hp_lock(&mutex);
    const entry *e = find(&key, hp_hash(span_of(&key)));
    bool yes = e && e->failures >= ENOUGH && hp_clock_now() - e->last < TROUBLE;
    hp_unlock(&mutex);
    return yes;
}

void
hp_addr_trouble_forget(void)
{
    hp_lock(&mutex);
    while (entries.count)
        drop(HP_CONTAINER(hp_list_first(&ages), entry, by_age));
    hp_map_free(&entries);
    hp_unlock(&mutex);
}

size_t
hp_addr_trouble_count(void)
{
    return atomic_load(&n_entries);
}
