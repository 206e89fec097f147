/* exchange_scripts: the connections that exchange_fuzz.c plays, as a plan in
 * its input lays them out. seeds.py says what a plan is. */
#ifndef HP_TEST_EXCHANGE_SCRIPTS_H
#define HP_TEST_EXCHANGE_SCRIPTS_H

#include <errno.h>

#include "fuzz.h"
#include "script_stream.h"
#include "wire/request.h"

enum {
    CONNS = 4,
    EVENTS = 96
};

/* First byte of a plan. */
enum {
    N_REQUESTS = 3, /* less one */
    ONE_CONN = 4,   /* per host */
    NO_DRAIN = 8,
    SMALL_HEADS = 16,
    ENDS_IN_EOF = 32, /* behind the last event */
    FIFO_IDLE = 64
};

typedef struct conn {
    script script;
    script_event events[EVENTS];
    const char *data; /* its first byte */
    size_t n_data;
    uint64_t id; /* 0: no request has had it */
    /* of the request that has it, or had it last */
    size_t from; /* bytes given out before */
    hp_request_facts facts;
} conn;

static struct {
    conn conns[CONNS];
    int n, opened;
} server;

/* ---- the plan ---- */

typedef struct plan {
    const uint8_t *p;
    size_t left;
} plan;

static uint8_t
take(plan *p)
{
    if (p->left == 0)
        return 0;
    p->left--;
    return *p->p++;
}

/* ---- connections ---- */

static hp_stream *
open_conn(void *arg, hp_err *err)
{
    if (server.opened < server.n)
        return script_open(&server.conns[server.opened++].script, err);
    hp_err_set_sys(err, HP_E_CONNECT, ECONNREFUSED, "no script is left");
    return NULL;
}

static size_t
given(const conn *c)
{
    size_t n = c->script.given;
    for (size_t i = 0; i < c->script.reading; i++)
        n += c->events[i].op == SCRIPT_DATA ? c->events[i].len : 0;
    return n;
}

/* What a look at the socket would tell now. */
static hp_liveness
look(const conn *c)
{
    const script *s = &c->script;
    for (size_t i = s->reading; i < s->n; i++) {
        switch (c->events[i].op) {
        case SCRIPT_DATA:
            return HP_DEAD_BYTES;
        case SCRIPT_EOF:
        case SCRIPT_ERROR:
        case SCRIPT_TRUNCATED:
            return HP_DEAD_CLOSED;
        case SCRIPT_AGAIN:
            return HP_ALIVE;
        case SCRIPT_AFTER:
            if (s->written.len < c->events[i].len)
                return HP_ALIVE;
            break;
        default:
            break; /* of writing */
        }
    }
    return HP_ALIVE;
}

/* An event from two bytes, or the next connection. */
static void
plan_event(plan *p, hp_span *data, script_event *events, size_t *n)
{
    static const script_op ops[] = {
        SCRIPT_DATA,       SCRIPT_AGAIN, SCRIPT_DATA,      SCRIPT_AFTER,
        SCRIPT_EOF,        SCRIPT_ERROR, SCRIPT_TRUNCATED, SCRIPT_ACCEPT,
        SCRIPT_WANT_WRITE, SCRIPT_AGAIN, SCRIPT_DATA,      SCRIPT_AGAIN,
        SCRIPT_DATA,       SCRIPT_AGAIN, SCRIPT_DATA,      SCRIPT_WRITE_ERROR};
    uint8_t what = take(p);
    script_event e = {.op = ops[what & 15], .err = ECONNRESET};
    bool sized =
        e.op == SCRIPT_DATA || e.op == SCRIPT_AFTER || e.op == SCRIPT_ACCEPT;
    if (sized)
        e.len = (size_t)(what >> 4) * 256 + take(p);
    if (e.op == SCRIPT_DATA) {
        if (e.len > data->len)
            e.len = data->len;
        if (e.len == 0)
            return;
        e.data = data->ptr;
        *data = hp_span_of(data->ptr + e.len, data->len - e.len);
    }
    events[(*n)++] = e;
}

/* One connection: a byte with the number of its events, then these; the last
 * one gets what data is left. */
static void
plan_conn(plan *p, hp_span *data, uint8_t global)
{
    conn *c = &server.conns[server.n++];
    size_t n = 0, all = data->len;
    c->data = data->ptr;
    int events = take(p) % (EVENTS - 2);
    for (int i = 0; i < events && p->left; i++)
        plan_event(p, data, c->events, &n);
    if (p->left == 0 && data->len) {
        c->events[n++] = (script_event){SCRIPT_DATA, data->ptr, data->len, 0};
        data->len = 0;
    }
    if (p->left == 0 && global & ENDS_IN_EOF)
        c->events[n++] = (script_event){.op = SCRIPT_EOF};
    c->n_data = all - data->len;
    script_init(&c->script, c->events, n);
}

#endif
