/* stats: what the pool counts. A snapshot is taken under the pool lock, so its
 * sums agree: per host and in total, conns = idle + in_use + dialing +
 * draining, and the total is the sum of the hosts plus what hosts that are
 * gone had counted. */
#ifndef HP_POOL_STATS_H
#define HP_POOL_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/reason.h"

typedef struct hp_gauges {
    int64_t idle, in_use, dialing, draining;
    int64_t waiting; /* requests queued for a slot, not connections */
} hp_gauges;

typedef struct hp_counters {
    uint64_t requests; /* exchanges that asked for a connection */
    uint64_t dials;    /* connections begun */
    uint64_t reuses;   /* requests served by an idle or handed-over one */
    uint64_t lookups, handshakes, resumed;
    uint64_t drains; /* bodies drained to their end and the conn kept */
    uint64_t waits;  /* requests that had to queue */
    uint64_t wait_ns;
    uint64_t leaked;      /* responses collected without end or close */
    uint64_t timeouts[8]; /* by phase, HP_PHASE_* */
    uint64_t closes[HP_CLOSE_REASON_COUNT];
    uint64_t replays[HP_REPLAY_REASON_COUNT];
    uint64_t host_waits;     /* of the waits: its own host was full */
    uint64_t refused;        /* requests that found the queue full */
    uint64_t no_descriptors; /* dials, and waits, that got none */
    uint64_t lost; /* requests that failed because the server had closed the
                      kept connection they went out on */
    /* Idle connections that the server had closed, and how long each had been
     * idle (an hour at most): number, sum, sum of squares. */
    uint64_t stale, stale_ms, stale_ms2;
} hp_counters;

typedef struct hp_host_stats {
    const char *key; /* "|http|example.com:80"; "" for the total */
    hp_gauges now, peak;
    hp_counters count;
} hp_host_stats;

typedef struct hp_stats {
    hp_host_stats total;
    size_t n_hosts;
    hp_host_stats *hosts; /* hosts with a connection or a waiter */
} hp_stats;

void hp_stats_free(hp_stats *s); /* NULL is fine */

#endif
