/* loopback: real sockets for tests. Everything waits for a fact, nothing for
 * a time. */
#ifndef HP_TEST_LOOPBACK_H
#define HP_TEST_LOOPBACK_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/sock.h"
#include "net/wait.h"
#include "test.h"

/* A fact that has not come after this many ms is not coming. */
enum {
    LO_PATIENCE_MS = 20000
};

static inline hp_addr
lo_addr(int family)
{
    hp_addr a;
    CHECK(hp_addr_from_literal(family == AF_INET ? "127.0.0.1" : "::1", &a) ==
          1);
    return a;
}

/* A port of our own nobody listens on, until the descriptor is closed. */
static inline int
lo_bind(int family, hp_addr *addr)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    *addr = lo_addr(family);
    CHECK(bind(fd, &addr->u.sa, addr->len) == 0);
    CHECK(getsockname(fd, &addr->u.sa, &addr->len) == 0);
    return fd;
}

static inline int
lo_listen(int family, int backlog, hp_addr *addr)
{
    int fd = lo_bind(family, addr);
    CHECK(listen(fd, backlog) == 0);
    return fd;
}

static inline void
lo_poll(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    CHECK(poll(&p, 1, LO_PATIENCE_MS) == 1);
}

static inline int
lo_accept(int listener)
{
    lo_poll(listener, POLLIN);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    return fd;
}

/* A listener whose queue is full, so that a further connect() gets no answer:
 * with a backlog of 0 there is room for one. *filler takes that. */
static inline int
lo_black_hole(int family, hp_addr *addr, int *filler)
{
    int fd = lo_listen(family, 0, addr);
    *filler = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(*filler, &addr->u.sa, addr->len) == 0);
    lo_poll(fd, POLLIN);
    return fd;
}

static inline bool
lo_has_ipv6(void)
{
    hp_addr a = lo_addr(AF_INET6);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && bind(fd, &a.u.sa, a.len) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

static inline uint16_t
lo_port(const hp_addr *a)
{
    return ntohs(a->u.sa.sa_family == AF_INET ? a->u.in.sin_port
                                              : a->u.in6.sin6_port);
}

/* Polls what a step asked for, deadline aside. */
static inline void
lo_wait(hp_wait *w)
{
    CHECK(w->n > 0);
    CHECK(poll(w->fds, (nfds_t)w->n, LO_PATIENCE_MS) > 0);
}

#endif
