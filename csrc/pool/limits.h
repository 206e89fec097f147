/* limits: what the pool may hold and for how long. Fixed when the transport is
 * made. HP_NO_LIMIT (-1) means none; validated by hp_limits_check. */
#ifndef HP_POOL_LIMITS_H
#define HP_POOL_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

typedef struct hp_limits {
    int64_t max_conns;               /* over all hosts; > 0 or HP_NO_LIMIT */
    int64_t max_conns_per_host;      /* > 0 or HP_NO_LIMIT */
    int64_t max_idle_conns;          /* 0: nothing stays idle */
    int64_t max_idle_conns_per_host; /* 0: nothing stays idle */
    hp_ns idle_conn_timeout;         /* 0: nothing stays idle */
    hp_ns max_conn_age;              /* > 0 or HP_NO_LIMIT; jittered */
    int64_t max_requests_per_conn;   /* > 0 or HP_NO_LIMIT */
    int64_t max_waiting;             /* 0: no queue */
    int64_t drain_bytes;             /* 0: never drain */
    hp_ns drain_timeout;             /* 0: never drain */
    bool disable_keepalives;
    bool idle_fifo; /* take the longest idle first, to spread the load */
} hp_limits;

/* 100 idle in all, no cap per host, 90 s, drain 256 KiB in 50 ms. */
void hp_limits_default(hp_limits *l);

/* 0, or -1 with HP_E_INVALID_ARGUMENT naming the setting and what it takes. */
int hp_limits_check(const hp_limits *l, hp_err *err);

#endif
