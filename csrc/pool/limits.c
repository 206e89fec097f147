#include "pool/limits.h"

#include <stddef.h>

void
hp_limits_default(hp_limits *l)
{
    *l = (hp_limits){
        .max_conns = HP_NO_LIMIT,
        .max_conns_per_host = HP_NO_LIMIT,
        .max_idle_conns = 100,
        .max_idle_conns_per_host = HP_NO_LIMIT,
        .idle_conn_timeout = 90 * HP_NS_PER_S,
        .max_conn_age = HP_NO_LIMIT,
        .max_requests_per_conn = HP_NO_LIMIT,
        .max_waiting = HP_NO_LIMIT,
        .drain_bytes = 262144,
        .drain_timeout = 50 * HP_NS_PER_MS,
    };
}

static int
check_min(const char *name, int64_t value, int64_t min, hp_err *err)
{
    if (value == HP_NO_LIMIT || value >= min)
        return 0;
    if (min == 1 && value == 0)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "%s must be at least 1, or None for no limit "
                          "(0 would let nothing through)",
                          name);
    return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                      "%s must not be negative; None means no limit", name);
}

int
hp_limits_check(const hp_limits *l, hp_err *err)
{
    const struct {
        const char *name;
        int64_t value, min;
    } rules[] = {
        {"max_conns", l->max_conns, 1},
        {"max_conns_per_host", l->max_conns_per_host, 1},
        {"max_idle_conns", l->max_idle_conns, 0},
        {"max_idle_conns_per_host", l->max_idle_conns_per_host, 0},
        {"idle_conn_timeout", l->idle_conn_timeout, 0},
        {"max_conn_age", l->max_conn_age, 1},
        {"max_requests_per_conn", l->max_requests_per_conn, 1},
        {"max_waiting", l->max_waiting, 0},
        {"drain_bytes", l->drain_bytes, 0},
        {"drain_timeout", l->drain_timeout, 0},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (check_min(rules[i].name, rules[i].value, rules[i].min, err) != 0)
            return -1;
    }
    return 0;
}
