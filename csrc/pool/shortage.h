/* shortage: why a request got no connection, at the moment it gave up waiting
 * for one or was not let into the line. */
#ifndef HP_POOL_SHORTAGE_H
#define HP_POOL_SHORTAGE_H

#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

enum {
    HP_SHORTAGE_HOLDER_MAX = 320
};

typedef struct hp_shortage {
    /* Of the host, if it is the host's limit that was reached; else of all. */
    int64_t in_use, dialing, draining, waiting;
    int64_t limit;
    const char *limit_name; /* "max_conns_per_host" or "max_conns"; static */
    hp_ns held_for;         /* by the longest holder; < 0: nobody holds any */
    char holder[HP_SHORTAGE_HOLDER_MAX]; /* "GET /x and its body is unread" */
} hp_shortage;

/* HP_E_POOL_TIMEOUT for who has waited that long for a connection to
 * `address`. */
void hp_shortage_timed_out(const hp_shortage *s, hp_span address, hp_ns waited,
                           hp_err *err);

/* HP_E_QUEUE_FULL: s->waiting is all that wait, whatever for. */
void hp_shortage_queue_full(const hp_shortage *s, hp_span address, hp_err *err);

#endif
