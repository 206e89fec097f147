/* poller: the keeper's eyes. epoll on Linux, poll() over a table elsewhere.
 * Level-triggered, one shot: an event disarms its descriptor. Event data is a
 * 64-bit id, never a pointer. Used by one thread, but add/arm/remove may be
 * called from any under the caller's lock. */
#ifndef HP_NET_POLLER_H
#define HP_NET_POLLER_H

#include <stdint.h>

#include "base/clock.h"

typedef struct hp_poller hp_poller;

typedef struct hp_poller_event {
    uint64_t id;
    short events; /* POLLIN, POLLOUT, POLLHUP, POLLERR */
} hp_poller_event;

hp_poller *hp_poller_new(void); /* NULL with errno */
void hp_poller_free(hp_poller *p);

/* Watches fd for `events` (POLLIN, POLLOUT) once, or again after an event.
 * 0, or -1 with errno. */
int hp_poller_arm(hp_poller *p, int fd, short events, uint64_t id);

/* Stops watching; must precede the close (a forked child may hold the same
 * open file). Unknown descriptors are ignored. */
void hp_poller_remove(hp_poller *p, int fd);

/* Waits until the deadline for up to `max` events. Count, 0 on timeout or
 * EINTR. Blocks. */
int hp_poller_wait(hp_poller *p, hp_poller_event *out, int max, hp_ns deadline);

#endif
