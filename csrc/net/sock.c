#include "net/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Go's figures: the first probe after 15 s of silence, dead after nine. */
enum {
    KEEPALIVE_S = 15,
    KEEPALIVE_PROBES = 9
};

/* ---- addresses ---- */

static void
format_in6_host(const struct sockaddr_in6 *in6, char out[HP_ADDR_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN], zone[IF_NAMESIZE + 1] = "";
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    if (in6->sin6_scope_id) {
        char name[IF_NAMESIZE];
        if (if_indextoname(in6->sin6_scope_id, name))
            snprintf(zone, sizeof zone, "%%%s", name);
        else
            snprintf(zone, sizeof zone, "%%%u", in6->sin6_scope_id);
    }
    snprintf(out, HP_ADDR_TEXT_MAX, "%s%s", host, zone);
}

static void
format_un(const hp_addr *a, char out[HP_ADDR_TEXT_MAX])
{
    /* Unnamed (len 2) and abstract (leading NUL) addresses come from
     * getsockname; paths may fill sun_path without a NUL. */
    size_t n = a->len - offsetof(struct sockaddr_un, sun_path);
    const char *path = a->u.un.sun_path;
    if (a->len <= offsetof(struct sockaddr_un, sun_path))
        snprintf(out, HP_ADDR_TEXT_MAX, "unix:");
    else if (path[0] == '\0')
        snprintf(out, HP_ADDR_TEXT_MAX, "unix:@%.*s", (int)(n - 1), path + 1);
    else
        snprintf(out, HP_ADDR_TEXT_MAX, "unix:%.*s", (int)n, path);
}

void
hp_addr_format_host(const hp_addr *a, char out[HP_ADDR_TEXT_MAX])
{
    switch (a->u.sa.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &a->u.in.sin_addr, out, HP_ADDR_TEXT_MAX);
        break;
    case AF_INET6:
        format_in6_host(&a->u.in6, out);
        break;
    case AF_UNIX:
        format_un(a, out);
        break;
    default:
        snprintf(out, HP_ADDR_TEXT_MAX, "(address family %d)",
                 a->u.sa.sa_family);
    }
}

void
hp_addr_format(const hp_addr *a, char out[HP_ADDR_TEXT_MAX])
{
    char host[HP_ADDR_TEXT_MAX];
    int family = a->u.sa.sa_family;
    hp_addr_format_host(a, host);
    if (family == AF_INET)
        snprintf(out, HP_ADDR_TEXT_MAX, "%.100s:%u", host,
                 ntohs(a->u.in.sin_port));
    else if (family == AF_INET6)
        snprintf(out, HP_ADDR_TEXT_MAX, "[%.100s]:%u", host,
                 ntohs(a->u.in6.sin6_port));
    else
        memcpy(out, host, sizeof host);
}

/* The number of an interface given by name or digits; 0: there is none. */
static unsigned
zone_index(const char *zone)
{
    unsigned index = if_nametoindex(zone);
    if (index || zone[0] < '0' || zone[0] > '9')
        return index;
    char *end;
    errno = 0;
    unsigned long n = strtoul(zone, &end, 10);
    return errno || *end || n > UINT32_MAX ? 0 : (unsigned)n;
}

static int
in6_from_literal(const char *text, hp_addr *out)
{
    char host[INET6_ADDRSTRLEN];
    const char *zone = strchr(text, '%');
    size_t n = zone ? (size_t)(zone - text) : strlen(text);
    if (n >= sizeof host)
        return 0;
    memcpy(host, text, n);
    host[n] = '\0';
    if (inet_pton(AF_INET6, host, &out->u.in6.sin6_addr) != 1)
        return 0;
    out->u.in6.sin6_family = AF_INET6;
    out->len = sizeof out->u.in6;
    if (zone == NULL)
        return 1;
    out->u.in6.sin6_scope_id = zone_index(zone + 1);
    return out->u.in6.sin6_scope_id ? 1 : -1;
}

int
hp_addr_from_literal(const char *text, hp_addr *out)
{
    *out = (hp_addr){0};
    if (inet_pton(AF_INET, text, &out->u.in.sin_addr) == 1) {
        out->u.in.sin_family = AF_INET;
        out->len = sizeof out->u.in;
        return 1;
    }
    return in6_from_literal(text, out);
}

void
hp_addr_set_port(hp_addr *a, uint16_t port)
{
    a->u.in.sin_port = htons(port); /* the same place for both families */
}

int
hp_addr_from_path(const char *path, hp_addr *out)
{
    size_t n = strlen(path);
    *out = (hp_addr){0};
    if (n == 0 || n >= sizeof out->u.un.sun_path)
        return -1;
    out->u.un.sun_family = AF_UNIX;
    memcpy(out->u.un.sun_path, path, n);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return 0;
}

/* ---- sockets ---- */

static int
open_socket(int family)
{
#ifdef SOCK_CLOEXEC
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
#endif
}

static int
set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

/* Each of these makes things better; none is worth failing for. */
static void
set_our_options(int fd, int family)
{
#ifdef SO_NOSIGPIPE
    set_int(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
    if (family == AF_UNIX)
        return;
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S);
#elif defined(TCP_KEEPALIVE) /* macOS's name for it */
    set_int(fd, IPPROTO_TCP, TCP_KEEPALIVE, KEEPALIVE_S);
#endif
#ifdef TCP_KEEPINTVL
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
#endif
}

static int
bind_local(int fd, const hp_addr *to, const hp_addr *local)
{
    if (local->u.sa.sa_family != to->u.sa.sa_family) {
        errno = EAFNOSUPPORT; /* another address may suit */
        return -1;
    }
#ifdef IP_BIND_ADDRESS_NO_PORT
    /* Choose the port at connect(), when the kernel knows the whole tuple;
     * else 28,000 connections use up the ports of a local address. */
    if (local->u.sa.sa_family != AF_UNIX)
        set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
#endif
    return bind(fd, &local->u.sa, local->len);
}

static int
set_user_option(int fd, const hp_sockopt *o)
{
    if (o->data == NULL && o->len == 0)
        return set_int(fd, o->level, o->name, o->value);
    return setsockopt(fd, o->level, o->name, o->data, o->len);
}

/* The first option that fails, or NULL. */
static const hp_sockopt *
set_user_options(int fd, const hp_sockopt *opts, int n)
{
    for (int i = 0; i < n; i++) {
        if (set_user_option(fd, &opts[i]) != 0)
            return &opts[i];
    }
    return NULL;
}

static int
start_connect(int fd, const hp_addr *to, int *in_progress)
{
    *in_progress = 0;
    if (connect(fd, &to->u.sa, to->len) == 0)
        return 0;
    /* A connect() broken off by a signal goes on without us (POSIX). */
    if (errno != EINPROGRESS && errno != EINTR)
        return -1;
    *in_progress = 1;
    return 0;
}

/* Closes fd (unless negative) and reports errno as it was at the call. */
static int
connect_failed(int fd, const hp_addr *to, const char *doing, hp_err *err)
{
    int saved = errno;
    char text[HP_ADDR_TEXT_MAX];
    if (fd >= 0)
        close(fd);
    hp_addr_format(to, text);
    return hp_err_set_sys(err, HP_E_CONNECT, saved, "%s%s", text, doing);
}

static int
option_failed(int fd, const hp_addr *to, const hp_sockopt *o, hp_err *err)
{
    char doing[128];
    int saved = errno;
    if (o->label)
        snprintf(doing, sizeof doing, ": socket option (%s)", o->label);
    else
        snprintf(doing, sizeof doing, ": socket option (%d, %d)", o->level,
                 o->name);
    errno = saved;
    return connect_failed(fd, to, doing, err);
}

static int
bind_failed(int fd, const hp_addr *to, const hp_addr *local, hp_err *err)
{
    char doing[HP_ADDR_TEXT_MAX + 32], text[HP_ADDR_TEXT_MAX];
    int saved = errno;
    hp_addr_format(local, text);
    if (local->u.in.sin_port == 0)
        *strrchr(text, ':') = '\0'; /* any port: not worth a word */
    snprintf(doing, sizeof doing, ": local address %s", text);
    errno = saved;
    return connect_failed(fd, to, doing, err);
}

int
hp_sock_connect(const hp_addr *to, const hp_addr *local, const hp_sockopt *opts,
                int n_opts, int *in_progress, hp_err *err)
{
    int fd = open_socket(to->u.sa.sa_family);
    if (fd < 0)
        return connect_failed(fd, to, "", err);
    set_our_options(fd, to->u.sa.sa_family);
    const hp_sockopt *refused = set_user_options(fd, opts, n_opts);
    if (refused)
        return option_failed(fd, to, refused, err);
    if (local && bind_local(fd, to, local) != 0)
        return bind_failed(fd, to, local, err);
    if (start_connect(fd, to, in_progress) != 0)
        return connect_failed(fd, to, "", err);
    return fd;
}

int
hp_sock_adopt(int fd, hp_addr *peer, hp_err *err)
{
    int type = 0, flags = fcntl(fd, F_GETFL);
    socklen_t n = sizeof type;
    *peer = (hp_addr){.len = sizeof peer->u};
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0)
        return hp_err_set_sys(err, HP_E_INVALID_ARGUMENT, errno, "no socket");
    if (type != SOCK_STREAM)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT, "no stream socket");
    if (getpeername(fd, &peer->u.sa, &peer->len) != 0)
        return hp_err_set_sys(err, HP_E_CONNECT, errno, "not connected");
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return hp_err_set_sys(err, HP_E_CONNECT, errno, "fcntl");
    if (peer->u.sa.sa_family != AF_UNIX)
        set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
#ifdef SO_NOSIGPIPE
    set_int(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
    return 0;
}

static bool
met_itself(const hp_addr *here, const hp_addr *there)
{
    if (here->u.sa.sa_family != there->u.sa.sa_family)
        return false;
    if (here->u.sa.sa_family == AF_INET)
        return here->u.in.sin_port == there->u.in.sin_port &&
               here->u.in.sin_addr.s_addr == there->u.in.sin_addr.s_addr;
    if (here->u.sa.sa_family == AF_INET6)
        return here->u.in6.sin6_port == there->u.in6.sin6_port &&
               memcmp(&here->u.in6.sin6_addr, &there->u.in6.sin6_addr,
                      sizeof here->u.in6.sin6_addr) == 0;
    return false;
}

int
hp_sock_connect_result(int fd)
{
    int e = 0;
    socklen_t n = sizeof e;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) != 0)
        return errno;
    if (e)
        return e;
    hp_addr here = {.len = sizeof here.u}, there = {.len = sizeof there.u};
    if (getpeername(fd, &there.u.sa, &there.len) != 0 ||
        getsockname(fd, &here.u.sa, &here.len) != 0)
        return errno;
    return met_itself(&here, &there) ? ECONNREFUSED : 0;
}
