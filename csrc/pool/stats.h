/* stats: what the pool counts. A snapshot is taken under the pool lock, so its
 * sums agree (I17). Per host, for hosts that are gone, and in total:
 *
 *   requests + asked_again = fresh + reuses + unserved + now.asking
 *   dials + slots granted and not yet dialed with
 *     = idle + in_use + dialing + draining + all closes
 *   waits = all of wait_histogram + now.waiting
 *
 * and the total is the sum of the hosts and of those that are gone, but for
 * peaks and max_wait. No counter ever falls. */
#ifndef HP_POOL_STATS_H
#define HP_POOL_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/reason.h"

typedef struct hp_gauges {
    int64_t idle, in_use, dialing, draining;
    int64_t waiting; /* requests queued for a slot, not connections */
    int64_t asking;  /* requests with neither connection nor error: those that
                        wait, dial, or have not looked yet */
} hp_gauges;

/* Upper bounds of the buckets of waits for a slot; above the last there is one
 * more. */
#define HP_WAIT_BOUNDS                                                         \
    {HP_NS_PER_MS, 10 * HP_NS_PER_MS, 100 * HP_NS_PER_MS, HP_NS_PER_S,         \
     10 * HP_NS_PER_S}
enum {
    HP_WAIT_BUCKETS = 6
};

typedef struct hp_counters {
    uint64_t requests;    /* exchanges that asked for a connection */
    uint64_t asked_again; /* because what they had got was dead */
    uint64_t fresh;       /* given a connection nobody had used */
    uint64_t reuses;      /* given an idle or handed-over one */
    uint64_t unserved;    /* ended without one */
    uint64_t dials;       /* connections begun */
    uint64_t lookups, handshakes, resumed;
    uint64_t unresumed; /* full handshakes, begun after one with this key */
    uint64_t drains;    /* bodies drained to their end and the conn kept */
    uint64_t waits;     /* requests that had to queue */
    uint64_t wait_ns;
    uint64_t wait_histogram[HP_WAIT_BUCKETS]; /* waits that are over */
    uint64_t leaked;      /* responses collected without end or close */
    uint64_t timeouts[9]; /* by phase, HP_PHASE_* */
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
    /* Dials that a higher max_idle_conns would have spared, and by how much it
     * was too low for each of them, in all. */
    uint64_t cap_misses, cap_short;
} hp_counters;

typedef struct hp_host_stats {
    const char *key; /* "|http|example.com:80"; "" for the total */
    hp_gauges now, peak;
    hp_counters count;
    hp_ns max_wait; /* of waits that are over */
} hp_host_stats;

typedef struct hp_stats {
    hp_host_stats total;
    hp_host_stats gone; /* what hosts without a record any more had counted */
    size_t n_hosts;
    hp_host_stats *hosts; /* hosts with a connection or a waiter */
} hp_stats;

void hp_stats_free(hp_stats *s); /* NULL is fine */

#endif
