/* calls: requests over real sockets to a small_server, in this thread or in
 * one of their own. */
#ifndef HP_TEST_CALLS_H
#define HP_TEST_CALLS_H

#include "hp.h"
#include "run/exchange.h"
#include "small_server.h"

static server srv;
static hp_transport_config config;
static hp_transport *t;

static inline void
open_transport(void)
{
    hp_err err = {0};
    t = hp_transport_new(&config, &err);
    CHECK(t);
}

static inline void
setup(void)
{
    server_start(&srv);
    hp_transport_config_default(&config);
    open_transport();
}

static inline void
teardown(void)
{
    hp_transport_unref(t);
    server_stop(&srv);
}

/* ---- one request ---- */

/* A request and what became of it; all of it may run in a thread. */
typedef struct call {
    char url[128];
    hp_request r;
    hp_driver driver;
    hp_exchange *ex;
    hp_err err; /* of the first call that failed */
    char body[64];
    size_t len;
    atomic_bool in_body; /* about to read what follows "hello" */
    pthread_t thread;
} call;

static inline void
prepare_at(call *c, const hp_addr *addr, const char *path)
{
    *c = (call){.len = 0};
    snprintf(c->url, sizeof c->url, "http://127.0.0.1:%u%s",
             (unsigned)lo_port(addr), path);
    hp_request_init(&c->r);
    c->r.url = hp_span_cstr(c->url);
}

static inline void
prepare(call *c, const char *path)
{
    prepare_at(c, &srv.addr, path);
}

static inline void
make(call *c)
{
    c->ex = hp_exchange_new(t, &c->r, &c->err);
    CHECK(c->ex);
}

static inline bool
read_head(call *c)
{
    return hp_drive_head(c->ex, &c->driver, &c->err) == HP_DRIVE_DONE;
}

static inline hp_drive
read_some(call *c)
{
    size_t got;
    hp_drive d = hp_drive_read(c->ex, &c->driver, c->body + c->len,
                               sizeof c->body - c->len, HP_READ_SOME, false,
                               &got, &c->err);
    c->len += got;
    return d == HP_DRIVE_DONE && got == 0 ? HP_DRIVE_BODY : d; /* the end */
}

static inline void
read_body(call *c)
{
    for (hp_drive d = HP_DRIVE_DONE; d == HP_DRIVE_DONE;) {
        atomic_store(&c->in_body, c->len == 5);
        d = read_some(c);
    }
}

static inline void *
run(void *arg)
{
    call *c = arg;
    if (read_head(c))
        read_body(c);
    return NULL;
}

static inline void
start(call *c, const char *path)
{
    prepare(c, path);
    make(c);
    CHECK(pthread_create(&c->thread, NULL, run, c) == 0);
}

/* Ended, in a thread, with this error. */
static inline void
finish(call *c, hp_errc code)
{
    CHECK(pthread_join(c->thread, NULL) == 0);
    CHECK_STR(hp_errc_name(c->err.code), hp_errc_name(code));
    hp_exchange_free(c->ex);
}

/* A whole GET by this thread. */
static inline void
get(const char *path, const char *want)
{
    call c;
    prepare(&c, path);
    make(&c);
    run(&c);
    CHECK_STR(hp_errc_name(c.err.code), hp_errc_name(HP_OK));
    CHECK_SPAN(hp_span_of(c.body, c.len), want);
    hp_exchange_free(c.ex);
}

static inline hp_gauges
now(void)
{
    hp_stats *s = hp_transport_stats(t);
    CHECK(s);
    hp_gauges g = s->total.now;
    hp_stats_free(s);
    return g;
}

static inline hp_counters
counts(void)
{
    hp_stats *s = hp_transport_stats(t);
    CHECK(s);
    hp_counters n = s->total.count;
    hp_stats_free(s);
    return n;
}

#endif
