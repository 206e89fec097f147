/* pool_kit: a pool under test, wants with short names, and connections that
 * are made and closed by the million: counted streams without a socket. */
#ifndef HP_TEST_POOL_KIT_H
#define HP_TEST_POOL_KIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "pool/host.h"
#include "pool/keeper.h"
#include "pool/pool.h"
#include "test.h"

#define KIT_S HP_NS_PER_S
#define KIT_MS HP_NS_PER_MS

/* ---- streams ---- */

static atomic_long kit_opened, kit_closed;

typedef struct kit_stream {
    hp_stream base;
    atomic_int users; /* I1: more than one at a time is a bug */
    atomic_bool dead; /* liveness finds it closed */
} kit_stream;

static inline ssize_t
kit_read(hp_stream *s, void *buf, size_t n, hp_err *err)
{
    return HP_IO_WANT_READ;
}

static inline int
kit_handshake(hp_stream *s, hp_err *err)
{
    return 0;
}

static inline hp_liveness
kit_liveness(hp_stream *s)
{
    return ((kit_stream *)s)->dead ? HP_DEAD_CLOSED : HP_ALIVE;
}

static inline bool
kit_pending(const hp_stream *s)
{
    return false;
}

static inline int
kit_fd(const hp_stream *s)
{
    return -1;
}

static inline void
kit_close(hp_stream *s, bool polite)
{
    CHECK_INT(((kit_stream *)s)->users, 0);
    atomic_fetch_add(&kit_closed, 1);
    free(s);
}

static const hp_stream_ops kit_ops = {.read = kit_read,
                                      .handshake = kit_handshake,
                                      .liveness = kit_liveness,
                                      .pending = kit_pending,
                                      .fd = kit_fd,
                                      .close = kit_close};

/* Not hp_calloc: a test of the pool's memory does not mean ours. */
static inline hp_stream *
kit_open(void *arg, hp_err *err)
{
    kit_stream *s = calloc(1, sizeof *s);
    CHECK(s);
    s->base.ops = &kit_ops;
    atomic_fetch_add(&kit_opened, 1);
    return &s->base;
}

static inline long
kit_open_now(void)
{
    return atomic_load(&kit_opened) - atomic_load(&kit_closed);
}

/* ---- sockets ---- */

/* Connections that are one end of a socket pair; the other is the server's. */
typedef struct kit_server {
    int peers[64];
    int n;
} kit_server;

static inline hp_stream *
kit_open_pair(void *arg, hp_err *err)
{
    kit_server *server = arg;
    int fds[2];
    CHECK(server->n < 64);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    server->peers[server->n++] = fds[1];
    return hp_plain_stream_new(fds[0]);
}

static inline void
kit_server_close(kit_server *server)
{
    for (int i = 0; i < server->n; i++) {
        if (server->peers[i] >= 0)
            close(server->peers[i]);
    }
    server->n = 0;
}

/* ---- keys ---- */

/* "a" becomes "|http|a:80". The name must live as long as the key. */
typedef struct kit_host {
    hp_key key;
    char text[64];
} kit_host;

static inline void
kit_host_init(kit_host *h, const char *name)
{
    int n = snprintf(h->text, sizeof h->text, "|http|%s:80", name);
    h->key = (hp_key){.text = hp_span_of(h->text, (size_t)n),
                      .host = hp_span_cstr(name),
                      .port = 80,
                      .open_stream = kit_open};
    h->key.hash = hp_hash(h->key.text);
}

/* ---- pools ---- */

/* No limits but those the test sets on top. */
static inline hp_limits
kit_limits(void)
{
    hp_limits l;
    hp_limits_default(&l);
    return l;
}

static inline hp_pool *
kit_pool(const hp_limits *l)
{
    hp_pool *p = hp_pool_new(l, NULL);
    CHECK(p);
    return p;
}

/* All invariants, however big the pool is. */
static inline void
kit_check(hp_pool *p)
{
    hp_lock(&p->mu);
#ifndef NDEBUG
    hp_pool_check(p);
#endif
    hp_unlock(&p->mu);
}

/* The end of a test: closed, let go of by the keeper, nothing lost. The
 * references others hold are the keeper's, which lets go when called. */
static inline void
kit_done(hp_pool *p)
{
    hp_pool_close(p);
    while (atomic_load(&p->refs) > 1) {
        hp_keeper_call(p);
        usleep(200);
    }
    hp_pool_unref(p);
    CHECK_INT(kit_open_now(), 0);
}

/* ---- looking in ---- */

static inline hp_gauges
kit_now(hp_pool *p)
{
    hp_lock(&p->mu);
    hp_gauges g = p->now;
    hp_unlock(&p->mu);
    return g;
}

static inline hp_counters
kit_count(hp_pool *p)
{
    hp_stats *s = hp_pool_stats(p);
    CHECK(s);
    hp_counters c = s->total.count;
    hp_stats_free(s);
    return c;
}

static inline long
kit_closes(hp_pool *p, hp_close_reason why)
{
    return (long)kit_count(p).closes[why];
}

static inline size_t
kit_hosts(hp_pool *p)
{
    hp_lock(&p->mu);
    size_t n = p->hosts.count;
    hp_unlock(&p->mu);
    return n;
}

#define CHECK_GAUGES(p, idle_, in_use_, dialing_, draining_, waiting_)         \
    do {                                                                       \
        hp_gauges g_ = kit_now(p);                                             \
        CHECK_INT(g_.idle, idle_);                                             \
        CHECK_INT(g_.in_use, in_use_);                                         \
        CHECK_INT(g_.dialing, dialing_);                                       \
        CHECK_INT(g_.draining, draining_);                                     \
        CHECK_INT(g_.waiting, waiting_);                                       \
    } while (0)

/* Waits for a fact; what has not come after 20 s is not coming. */
#define UNTIL(cond)                                                            \
    do {                                                                       \
        int patience_ = 100000;                                                \
        while (!(cond) && patience_-- > 0)                                     \
            usleep(200);                                                       \
        CHECK(cond);                                                           \
    } while (0)

/* ---- wants ---- */

typedef struct kit_want {
    hp_want want;
    hp_pconn *dial;
    hp_interest interest;
    hp_shortage shortage;
} kit_want;

static inline void
kit_want_init(kit_want *w, const kit_host *h)
{
    *w = (kit_want){.want = {.key = &h->key,
                             .method = hp_span_cstr("GET"),
                             .path = hp_span_cstr("/x")}};
    hp_interest_init(&w->interest);
    w->want.interest = &w->interest;
    w->want.shortage = &w->shortage;
}

static inline hp_want_state
kit_acquire(hp_pool *p, kit_want *w)
{
    hp_err err = {0};
    CHECK_INT(hp_pool_acquire(p, &w->want, &err), 0);
    return w->want.acquired;
}

static inline hp_errc
kit_acquire_fails(hp_pool *p, kit_want *w)
{
    hp_err err = {0};
    CHECK_INT(hp_pool_acquire(p, &w->want, &err), -1);
    CHECK_INT(w->want.state, HP_WANT_NEW);
    return err.code;
}

/* The slot becomes a dial that has not moved yet, unless one was handed on. */
static inline void
kit_begin_dial(hp_pool *p, kit_want *w)
{
    CHECK_INT(hp_pool_new_conn(p, &w->want, 10 * KIT_S, 10 * KIT_S, &w->dial),
              0);
    CHECK(w->dial);
}

static inline void
kit_step_dial(kit_want *w)
{
    hp_wait wait;
    hp_err err = {0};
    hp_wait_reset(&wait);
    CHECK_INT(hp_conn_step(&w->dial->net, NULL, &wait, &err), HP_STEP_DONE);
}

/* The dial ends well: what the pool says. */
static inline bool
kit_finish_dial(hp_pool *p, kit_want *w)
{
    hp_pconn *c = w->dial;
    kit_step_dial(w);
    w->dial = NULL;
    return hp_pool_dialed(p, &w->want, c);
}

/* It ends badly. */
static inline hp_want_state
kit_fail_dial(hp_pool *p, kit_want *w, bool listen)
{
    hp_pconn *c = w->dial;
    w->dial = NULL;
    hp_conn_close(&c->net, false);
    return hp_pool_dial_failed(p, &w->want, c, listen);
}

/* It ends for want of a descriptor. False: the dial is where it was. */
static inline bool
kit_redial(hp_pool *p, kit_want *w)
{
    hp_conn_close(&w->dial->net, false);
    bool again = hp_pool_redial(p, &w->want, w->dial);
    if (again)
        w->dial = NULL;
    return again;
}

static inline void
kit_dial(hp_pool *p, kit_want *w)
{
    kit_begin_dial(p, w);
    CHECK(kit_finish_dial(p, w));
    CHECK_INT(w->want.state, HP_WANT_LEASED);
}

/* Acquires at once, dialing if need be. The connection's id. */
static inline uint64_t
kit_get(hp_pool *p, kit_want *w)
{
    if (kit_acquire(p, w) == HP_WANT_DIALING)
        kit_dial(p, w);
    CHECK_INT(w->want.state, HP_WANT_LEASED);
    return w->want.conn->net.id;
}

static inline hp_close_reason
kit_put(hp_pool *p, kit_want *w)
{
    hp_close_reason why = hp_pool_put(p, &w->want, HP_KEEP);
    CHECK_INT(w->want.state, HP_WANT_NEW);
    return why;
}

static inline uint64_t
kit_id(const kit_want *w)
{
    return w->want.conn->net.id;
}

/* n connections of a host at once, then given back in order: idle. */
static inline void
kit_fill(hp_pool *p, const kit_host *h, int n, uint64_t *ids)
{
    kit_want w[16];
    CHECK(n <= 16);
    for (int i = 0; i < n; i++) {
        kit_want_init(&w[i], h);
        uint64_t id = kit_get(p, &w[i]);
        if (ids)
            ids[i] = id;
    }
    for (int i = 0; i < n; i++)
        kit_put(p, &w[i]);
}

#endif
