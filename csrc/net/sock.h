/* sock: one non-blocking socket. Every descriptor is close-on-exec. Nothing
 * here blocks. Sends never raise SIGPIPE. */
#ifndef HP_NET_SOCK_H
#define HP_NET_SOCK_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"

typedef struct hp_addr {
    socklen_t len;
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } u;
} hp_addr;

enum {
    HP_ADDR_TEXT_MAX = 128
};

/* "127.0.0.1:80", "[::1]:80", "unix:/path". Always NUL-terminated. */
void hp_addr_format(const hp_addr *a, char out[HP_ADDR_TEXT_MAX]);
/* The same without port and brackets: "127.0.0.1", "::1". */
void hp_addr_format_host(const hp_addr *a, char out[HP_ADDR_TEXT_MAX]);

/* An IP literal (v6 without brackets, zone as name or number) with port 0.
 * 1: *out is set. 0: `text` is no literal. -1: it is one, but its zone names
 * no interface of this machine. */
int hp_addr_from_literal(const char *text, hp_addr *out);

/* Of an IP address. */
void hp_addr_set_port(hp_addr *a, uint16_t port);

/* A Unix socket's path. -1 when it is empty or too long for the kernel. */
int hp_addr_from_path(const char *path, hp_addr *out);

/* A setsockopt the user asked for. */
typedef struct hp_sockopt {
    int level, name;
    int value;        /* with data NULL and len 0 */
    const void *data; /* len bytes, or NULL: passed on as it is */
    socklen_t len;
    const char *label; /* for errors: "SOL_SOCKET, SO_MARK"; may be NULL */
} hp_sockopt;

/* A socket for `to`'s family with TCP_NODELAY and keep-alive probes on, the
 * user's options set after ours (and before bind(), where some must come),
 * bound to `local` (may be NULL), and connect() started. Returns the
 * descriptor, *in_progress telling whether it must still become writable; or
 * -1 with *err HP_E_CONNECT (sys_errno set) and a text of the form
 * "127.0.0.1:1: Connection refused" that names a failing option. EAGAIN is the
 * answer of a Unix socket whose queue is full: nothing is under way, try again
 * later. */
int hp_sock_connect(const hp_addr *to, const hp_addr *local,
                    const hp_sockopt *opts, int n_opts, int *in_progress,
                    hp_err *err);

/* Makes a socket that somebody else has connected one of ours: non-blocking,
 * close-on-exec, TCP_NODELAY on, no SIGPIPE; the rest stays as it is. 0, *peer
 * being whom it reached; or -1 with *err HP_E_INVALID_ARGUMENT (no stream
 * socket) or HP_E_CONNECT (not connected). fd remains the caller's. */
int hp_sock_adopt(int fd, hp_addr *peer, hp_err *err);

/* After writability: 0 when connected, else the errno. A TCP socket that has
 * met itself (a free port of this machine, chosen as its own) counts as
 * refused: nobody listens there. */
int hp_sock_connect_result(int fd);

#endif
