/* stream_plain: a stream that is a socket and nothing else. */
#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE is set on the socket instead */
#endif

/* A Linux system call takes no more; the rest is for the next call. */
enum {
    MAX_VECTORS = 1024
};

typedef struct plain_stream {
    hp_stream base;
    int fd;
    bool patient; /* the socket blocks, but for HP_PATIENCE_MS only */
} plain_stream;

static plain_stream *
plain(hp_stream *s)
{
    return (plain_stream *)s;
}

static bool
would_block(int e)
{
    return e == EAGAIN || e == EWOULDBLOCK;
}

/* MSG_DONTWAIT although our sockets are non-blocking: that flag belongs to the
 * open file, and whoever else holds it (a child, the caller of dial=) can
 * clear it. */

static ssize_t
plain_read(hp_stream *s, void *buf, size_t n, hp_err *err)
{
    ssize_t got;
    assert(n > 0); /* else 0 would look like EOF */
    do {
        got = recv(plain(s)->fd, buf, n, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got >= 0)
        return got;
    if (would_block(errno))
        return HP_IO_WANT_READ;
    hp_err_set_sys(err, HP_E_READ, errno, "reading from the connection");
    return HP_IO_ERROR;
}

/* Everything else says MSG_DONTWAIT, so only read_patiently sees that the
 * socket blocks. */
static int
make_patient(plain_stream *p)
{
    const struct timeval t = {.tv_usec = HP_PATIENCE_MS * 1000};
    if (setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) != 0)
        return -1;
    int flags = fcntl(p->fd, F_GETFL);
    if (flags < 0 || fcntl(p->fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
        return -1;
    p->patient = true;
    return 0;
}

static ssize_t
plain_read_patiently(hp_stream *s, void *buf, size_t n, hp_err *err)
{
    plain_stream *p = plain(s);
    if (!p->patient && make_patient(p) != 0)
        return HP_IO_WANT_READ;
    ssize_t got = recv(p->fd, buf, n, 0);
    if (got >= 0)
        return got;
    if (would_block(errno) || errno == EINTR)
        return HP_IO_WANT_READ;
    hp_err_set_sys(err, HP_E_READ, errno, "reading from the connection");
    return HP_IO_ERROR;
}

/* A small request is one vector, and send() is the cheaper call for it. */
static ssize_t
send_vectors(int fd, const struct iovec *iov, int n)
{
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    if (n == 1)
        return send(fd, iov->iov_base, iov->iov_len, flags);
    struct msghdr msg = {.msg_iov = (struct iovec *)iov};
    msg.msg_iovlen = (size_t)(n < MAX_VECTORS ? n : MAX_VECTORS);
    return sendmsg(fd, &msg, flags);
}

static ssize_t
plain_writev(hp_stream *s, const struct iovec *iov, int n, hp_err *err)
{
    ssize_t put;
    do {
        put = send_vectors(plain(s)->fd, iov, n);
    } while (put < 0 && errno == EINTR);
    if (put >= 0)
        return put;
    if (would_block(errno))
        return HP_IO_WANT_WRITE;
    hp_err_set_sys(err, HP_E_WRITE, errno, "writing to the connection");
    return HP_IO_ERROR;
}

static int
plain_handshake(hp_stream *s, hp_err *err)
{
    return 0;
}

static hp_liveness
plain_liveness(hp_stream *s)
{
    char byte;
    ssize_t got;
    do {
        got = recv(plain(s)->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0)
        return HP_DEAD_BYTES;
    return got < 0 && would_block(errno) ? HP_ALIVE : HP_DEAD_CLOSED;
}

static bool
plain_pending(const hp_stream *s)
{
    return false;
}

static int
plain_fd(const hp_stream *s)
{
    return ((const plain_stream *)s)->fd;
}

static void
plain_shutdown(hp_stream *s)
{
    shutdown(plain(s)->fd, SHUT_WR);
}

static void
plain_close(hp_stream *s, bool polite)
{
    close(plain(s)->fd); /* not again on EINTR: Linux has let go of it */
    hp_free(s);
}

static const hp_stream_ops plain_ops = {
    .read = plain_read,
    .read_patiently = plain_read_patiently,
    .writev = plain_writev,
    .handshake = plain_handshake,
    .liveness = plain_liveness,
    .pending = plain_pending,
    .fd = plain_fd,
    .shutdown = plain_shutdown,
    .close = plain_close,
};

hp_stream *
hp_plain_stream_new(int fd)
{
    plain_stream *s = hp_malloc(sizeof *s);
    if (s == NULL)
        return NULL;
    *s = (plain_stream){.base.ops = &plain_ops, .fd = fd};
    return &s->base;
}
