/* wait: what a step function wants to wait for. Filled by steps, read by
 * drivers. A step that returns HP_STEP_WAIT adds its descriptors and lowers
 * the deadline; the driver polls them together with its waker. */
#ifndef HP_NET_WAIT_H
#define HP_NET_WAIT_H

#include <poll.h>

#include "base/clock.h"

enum {
    HP_WAIT_MAX = 10
};

typedef struct hp_wait {
    struct pollfd fds[HP_WAIT_MAX];
    int n;
    hp_ns deadline; /* step again at this time at the latest */
} hp_wait;

typedef enum hp_step {
    HP_STEP_DONE,
    HP_STEP_WAIT,
    HP_STEP_DIAL, /* of a conn with a custom dial only: make the socket */
    HP_STEP_ERROR
} hp_step;

static inline void
hp_wait_reset(hp_wait *w)
{
    w->n = 0;
    w->deadline = HP_NEVER;
}

static inline void
hp_wait_fd(hp_wait *w, int fd, short events)
{
    if (w->n < HP_WAIT_MAX)
        w->fds[w->n++] = (struct pollfd){.fd = fd, .events = events};
}

static inline void
hp_wait_until(hp_wait *w, hp_ns deadline)
{
    w->deadline = hp_ns_min(w->deadline, deadline);
}

#endif
