/* poller: epoll, or poll() over a table where there is none. Tests force the
 * table on Linux with HP_POLLER_TABLE. */
#include "net/poller.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "base/mem.h"

#if defined(__linux__) && !defined(HP_POLLER_TABLE)

#include <sys/epoll.h>

enum {
    BATCH = 64
};

struct hp_poller {
    int fd;
};

hp_poller *
hp_poller_new(void)
{
    hp_poller *p = hp_malloc(sizeof *p);
    if (p == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->fd < 0) {
        int saved = errno;
        hp_free(p);
        errno = saved;
        return NULL;
    }
    return p;
}

void
hp_poller_free(hp_poller *p)
{
    if (p == NULL)
        return;
    close(p->fd);
    hp_free(p);
}

int
hp_poller_arm(hp_poller *p, int fd, short events, uint64_t id)
{
    struct epoll_event e = {.events = EPOLLONESHOT, .data.u64 = id};
    if (events & POLLIN)
        e.events |= EPOLLIN;
    if (events & POLLOUT)
        e.events |= EPOLLOUT;
    /* A disarmed descriptor is still known, and re-arming is the rule. */
    if (epoll_ctl(p->fd, EPOLL_CTL_MOD, fd, &e) == 0)
        return 0;
    if (errno != ENOENT)
        return -1;
    return epoll_ctl(p->fd, EPOLL_CTL_ADD, fd, &e);
}

void
hp_poller_remove(hp_poller *p, int fd)
{
    int saved = errno;
    struct epoll_event unused = {0};
    epoll_ctl(p->fd, EPOLL_CTL_DEL, fd, &unused);
    errno = saved;
}

static short
poll_events(uint32_t e)
{
    short r = 0;
    if (e & EPOLLIN)
        r |= POLLIN;
    if (e & EPOLLOUT)
        r |= POLLOUT;
    if (e & EPOLLHUP)
        r |= POLLHUP;
    if (e & EPOLLERR)
        r |= POLLERR;
    return r;
}

int
hp_poller_wait(hp_poller *p, hp_poller_event *out, int max, hp_ns deadline)
{
    struct epoll_event events[BATCH];
    int n = epoll_wait(p->fd, events, max < BATCH ? max : BATCH,
                       hp_poll_timeout(hp_clock_now(), deadline));
    for (int i = 0; i < n; i++) {
        out[i].id = events[i].data.u64;
        out[i].events = poll_events(events[i].events);
    }
    return n < 0 ? 0 : n;
}

#else /* poll() over a table */

#include "base/lock.h"
#include "base/waker.h"

enum {
    FIRST_ROOM = 64
};

typedef struct entry {
    int fd;
    short events; /* 0: disarmed */
    uint64_t id;
} entry;

/* The waiting thread polls a copy, so that others can change the table. What
 * it finds counts only if the entry still says the same afterwards: an event
 * for a descriptor that was removed or given another id is dropped, and the
 * level trigger brings it again if it is still true. */
struct hp_poller {
    hp_waker *waker; /* ends a poll() over a table that has changed */
    hp_mutex mutex;
    /* under the mutex: */
    entry *entries;
    int n, room;
    /* the waiting thread's own; entry 0 is the waker: */
    struct pollfd *fds;
    uint64_t *ids;
    int fds_room;
};

/* Grows the waiting thread's copy. Without memory it watches what fits. */
static void
grow_copy(hp_poller *p, int room)
{
    struct pollfd *fds =
        hp_realloc(p->fds, ((size_t)room + 1) * sizeof *p->fds);
    if (fds)
        p->fds = fds;
    uint64_t *ids = hp_realloc(p->ids, ((size_t)room + 1) * sizeof *p->ids);
    if (ids)
        p->ids = ids;
    if (fds && ids)
        p->fds_room = room;
}

hp_poller *
hp_poller_new(void)
{
    hp_poller *p = hp_calloc(sizeof *p);
    if (p == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    hp_mutex_init(&p->mutex);
    p->waker = hp_waker_new();
    if (p->waker == NULL) {
        int saved = errno;
        hp_poller_free(p);
        errno = saved;
        return NULL;
    }
    grow_copy(p, FIRST_ROOM);
    if (p->fds_room == 0) {
        hp_poller_free(p);
        errno = ENOMEM;
        return NULL;
    }
    return p;
}

void
hp_poller_free(hp_poller *p)
{
    if (p == NULL)
        return;
    hp_waker_unref(p->waker);
    hp_mutex_destroy(&p->mutex);
    hp_free(p->entries);
    hp_free(p->fds);
    hp_free(p->ids);
    hp_free(p);
}

static entry *
find_locked(hp_poller *p, int fd)
{
    for (int i = 0; i < p->n; i++) {
        if (p->entries[i].fd == fd)
            return &p->entries[i];
    }
    return NULL;
}

static entry *
add_locked(hp_poller *p, int fd)
{
    if (p->n == p->room) {
        int room = p->room ? p->room * 2 : FIRST_ROOM;
        entry *e = hp_realloc(p->entries, (size_t)room * sizeof *e);
        if (e == NULL)
            return NULL;
        p->entries = e;
        p->room = room;
    }
    p->entries[p->n] = (entry){.fd = fd};
    return &p->entries[p->n++];
}

int
hp_poller_arm(hp_poller *p, int fd, short events, uint64_t id)
{
    hp_lock(&p->mutex);
    entry *e = find_locked(p, fd);
    if (e == NULL)
        e = add_locked(p, fd);
    if (e) {
        e->events = (short)(events & (POLLIN | POLLOUT));
        e->id = id;
    }
    hp_unlock(&p->mutex);
    if (e == NULL) {
        errno = ENOMEM;
        return -1;
    }
    hp_waker_wake(p->waker);
    return 0;
}

void
hp_poller_remove(hp_poller *p, int fd)
{
    hp_lock(&p->mutex);
    entry *e = find_locked(p, fd);
    if (e)
        *e = p->entries[--p->n];
    hp_unlock(&p->mutex);
}

/* How many descriptors, the waker's included. */
static int
copy_table(hp_poller *p)
{
    int n = 1;
    hp_lock(&p->mutex);
    if (p->n > p->fds_room)
        grow_copy(p, p->room);
    for (int i = 0; i < p->n && n <= p->fds_room; i++) {
        const entry *e = &p->entries[i];
        if (e->events == 0)
            continue;
        p->fds[n] = (struct pollfd){.fd = e->fd, .events = e->events};
        p->ids[n++] = e->id;
    }
    hp_unlock(&p->mutex);
    p->fds[0] = (struct pollfd){.fd = hp_waker_fd(p->waker), .events = POLLIN};
    return n;
}

/* Disarms and reports what the copy's poll() has found. */
static int
collect(hp_poller *p, int n, hp_poller_event *out, int max)
{
    int found = 0;
    hp_lock(&p->mutex);
    for (int i = 1; i < n && found < max; i++) {
        short revents = p->fds[i].revents;
        entry *e = revents ? find_locked(p, p->fds[i].fd) : NULL;
        if (e == NULL || e->events == 0 || e->id != p->ids[i])
            continue;
        e->events = 0;
        out[found].id = e->id;
        out[found++].events =
            (short)(revents & (POLLIN | POLLOUT | POLLHUP | POLLERR));
    }
    hp_unlock(&p->mutex);
    return found;
}

int
hp_poller_wait(hp_poller *p, hp_poller_event *out, int max, hp_ns deadline)
{
    for (;;) {
        int found = 0, n = copy_table(p);
        int got =
            poll(p->fds, (nfds_t)n, hp_poll_timeout(hp_clock_now(), deadline));
        if (got > 0)
            found = collect(p, n, out, max);
        bool changed = got > 0 && p->fds[0].revents;
        if (changed)
            hp_waker_clear(p->waker, 1);
        if (found || !changed)
            return found;
    }
}

#endif
