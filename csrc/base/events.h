/* events: what happened, as records, for those who trace.
 *
 * An event is a kind, a time, whom it is about, and a few numbers and texts.
 * A list of them is bounded: when it is full, newcomers are counted and
 * dropped. Lists belong to one exchange or one pool, which outlives whoever
 * adds to them; any thread may add and take.
 *
 *   kind                     n[0], n[1], ...         text[0], text[1], ...
 *   request_start                                    method, url
 *   get_conn                 attempt, from 1
 *   queue_entered            position, waiting
 *   queue_left               waited                  outcome
 *   dns_start                                        name
 *   dns_cache_hit                                    name, addresses
 *   dns_done                 coalesced               name, addresses, error
 *   connect_start                                    address
 *   connect_done                                     address, error
 *   proxy_connect_start                              proxy, target
 *   proxy_connect_done   status (0: none)            proxy, target, error,
 *                                                    field lines
 *   tls_handshake_start                              server_name
 *   tls_handshake_done       resumed                 version, cipher, error
 *   got_conn                 reused, was_idle,       remote
 *                            idle_time, age,
 *                            requests
 *   wrote_header_field                               name, value
 *   wrote_headers
 *   wait_100_continue
 *   wrote_request                                    error
 *   got_first_response_byte
 *   got_1xx_response         status                  field lines
 *   got_100_continue
 *   got_response             status
 *   put_idle_conn                                    reason
 *   retry                    attempt, the next       reason
 *   drain_start              left, -1: unknown
 *   drain_end                                        reason
 *   conn_closed              requests, age           reason
 *   request_done             status (0: none),
 *                            hp_errc, duration
 *
 * Durations are nanoseconds. Addresses are joined by spaces. An error or a
 * reason that there is none of is a span with a NULL pointer.
 */
#ifndef HP_BASE_EVENTS_H
#define HP_BASE_EVENTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/span.h"

#define HP_EVENTS(X)                                                           \
    X(REQUEST_START, "request_start")                                          \
    X(GET_CONN, "get_conn")                                                    \
    X(QUEUE_ENTERED, "queue_entered")                                          \
    X(QUEUE_LEFT, "queue_left")                                                \
    X(DNS_START, "dns_start")                                                  \
    X(DNS_CACHE_HIT, "dns_cache_hit")                                          \
    X(DNS_DONE, "dns_done")                                                    \
    X(CONNECT_START, "connect_start")                                          \
    X(CONNECT_DONE, "connect_done")                                            \
    X(PROXY_CONNECT_START, "proxy_connect_start")                              \
    X(PROXY_CONNECT_DONE, "proxy_connect_done")                                \
    X(TLS_HANDSHAKE_START, "tls_handshake_start")                              \
    X(TLS_HANDSHAKE_DONE, "tls_handshake_done")                                \
    X(GOT_CONN, "got_conn")                                                    \
    X(WROTE_HEADER_FIELD, "wrote_header_field")                                \
    X(WROTE_HEADERS, "wrote_headers")                                          \
    X(WAIT_100_CONTINUE, "wait_100_continue")                                  \
    X(WROTE_REQUEST, "wrote_request")                                          \
    X(GOT_FIRST_RESPONSE_BYTE, "got_first_response_byte")                      \
    X(GOT_1XX_RESPONSE, "got_1xx_response")                                    \
    X(GOT_100_CONTINUE, "got_100_continue")                                    \
    X(GOT_RESPONSE, "got_response")                                            \
    X(PUT_IDLE_CONN, "put_idle_conn")                                          \
    X(RETRY, "retry")                                                          \
    X(DRAIN_START, "drain_start")                                              \
    X(DRAIN_END, "drain_end")                                                  \
    X(CONN_CLOSED, "conn_closed")                                              \
    X(REQUEST_DONE, "request_done")

typedef enum hp_event_kind {
#define X(id, name) HP_EVENT_##id,
    HP_EVENTS(X)
#undef X
    HP_EVENT_KIND_COUNT
} hp_event_kind;

/* "request_start". Static storage. */
const char *hp_event_name(hp_event_kind k);

enum {
    HP_EVENT_NUMBERS = 5,
    HP_EVENT_TEXTS = 4
};

typedef struct hp_event {
    struct hp_event *next; /* in a batch */
    hp_event_kind kind;
    hp_ns at;         /* hp_clock_now() */
    uint64_t request; /* 0: of no request */
    uint64_t conn;    /* hp_conn.id; 0: none yet */
    hp_span host;     /* "example.com:443" */
    int64_t n[HP_EVENT_NUMBERS];
    hp_span text[HP_EVENT_TEXTS];
} hp_event;

/* How many a list holds at most, and how many bytes of text. */
enum {
    HP_EVENTS_MAX = 1024,
    HP_EVENTS_MAX_TEXT = 1024 * 1024
};

typedef struct hp_events {
    atomic_bool on; /* else nothing is added */
    hp_mutex mu;    /* a leaf */
    /* under mu */
    hp_event *first, *last;
    size_t count, text;
    uint64_t dropped;
} hp_events;

void hp_events_init(hp_events *l, bool on);
void hp_events_destroy(hp_events *l);
/* Frees what it holds, without the lock: for a forked child, where somebody
 * may have held it. */
void hp_events_abandon(hp_events *l);

/* Off: what it holds is forgotten, too. */
void hp_events_switch(hp_events *l, bool on);

/* Copies *e with its texts. `at` 0 is now. Without room or memory it is
 * counted as dropped. */
void hp_events_add(hp_events *l, const hp_event *e);

/* Is there something to take? */
bool hp_events_any(hp_events *l);

/* All there is, oldest first, the caller's to free; NULL: none. *dropped: how
 * many were, since the last time and after these. */
hp_event *hp_events_take(hp_events *l, uint64_t *dropped);
void hp_event_free_all(hp_event *first); /* NULL is fine */

/* Tests: records made in this process so far. */
uint64_t hp_events_made(void);

/* Whom to tell, and about whom. Zeroed: nobody. */
typedef struct hp_trace {
    hp_events *events; /* borrowed */
    uint64_t request;
    hp_span host; /* borrowed */
} hp_trace;

static inline bool
hp_trace_on(const hp_trace *t)
{
    return t->events &&
           atomic_load_explicit(&t->events->on, memory_order_relaxed);
}

/* Adds *e with the trace's request and host. */
void hp_trace_add(const hp_trace *t, hp_event e);

/* HP_TELL(&trace, .kind = HP_EVENT_DNS_START, .conn = id, .text = {name});
 * What stands in it is evaluated only when somebody listens. */
#define HP_TELL(t, ...)                                                        \
    do {                                                                       \
        if (hp_trace_on(t))                                                    \
            hp_trace_add(t, (hp_event){__VA_ARGS__});                          \
    } while (0)

#endif
