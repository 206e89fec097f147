/* upgraded: a connection the caller has taken over after 101 or CONNECT. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fork.h"
#include "base/mem.h"
#include "run/drive.h"
#include "run/exchange.h"

/* One thread may receive while another sends, but a stream has one user at a
 * time: `io` is held while bytes are moved, which never waits. It is no
 * hp_mutex because OpenSSL's gate is passed under it; no fork takes it. */
struct hp_upgraded {
    pthread_mutex_t io;
    hp_pconn *conn;
    unsigned generation;
    char *early; /* bytes that came with the head */
    size_t early_at, early_len;
};

static hp_upgraded *
take(hp_exchange *ex, hp_err *err)
{
    if (ex->upgraded == NULL) {
        hp_err_set(err, HP_E_INVALID_ARGUMENT,
                   ex->is_upgraded
                       ? "the connection has been handed out or closed already"
                       : "the server did not switch protocols");
        return NULL;
    }
    hp_upgraded *u = hp_calloc(sizeof *u);
    size_t n = hp_buf_unread(&ex->in);
    char *early = u ? hp_memdup(hp_buf_read_ptr(&ex->in), n) : NULL;
    if (early == NULL) {
        hp_free(u);
        hp_err_set(err, HP_E_NOMEM, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&u->io, NULL);
    u->early = early;
    u->early_len = n;
    u->conn = ex->upgraded;
    u->generation = ex->generation;
    ex->upgraded = NULL;
    return u;
}

hp_upgraded *
hp_exchange_take_upgraded(hp_exchange *ex, hp_err *err)
{
    hp_upgraded *u = NULL;
    if (hp_ex_take(ex, HP_EX_USED) != HP_EX_FREE) {
        hp_err_set(err, HP_E_BUSY, "another thread is using this response");
    } else {
        u = take(ex, err);
        hp_ex_release(ex);
    }
    return u;
}

static hp_stream *
stream_of(const hp_upgraded *u)
{
    return u->conn->net.stream;
}

static ssize_t
read_some(hp_upgraded *u, void *buf, size_t cap, hp_err *err)
{
    hp_stream *s = stream_of(u);
    pthread_mutex_lock(&u->io);
    ssize_t r = s->ops->read(s, buf, cap, err);
    pthread_mutex_unlock(&u->io);
    return r;
}

static ssize_t
write_some(hp_upgraded *u, const void *buf, size_t n, hp_err *err)
{
    hp_stream *s = stream_of(u);
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = n};
    pthread_mutex_lock(&u->io);
    ssize_t r = s->ops->writev(s, &iov, 1, err);
    pthread_mutex_unlock(&u->io);
    return r;
}

static bool
forked(const hp_upgraded *u, hp_err *err)
{
    if (u->generation == hp_fork_generation())
        return false;
    hp_err_set(err, HP_E_FORKED,
               "this connection belongs to the parent process");
    return true;
}

enum {
    SEND_AT_ONCE = 1 << 20
};

/* How long one call may wait, and what it is called when it has. */
typedef struct patience {
    const hp_driver *driver;
    hp_ns timeout, deadline;
    hp_errc code;
    hp_ns look_at;
} patience;

static patience
patience_for(const hp_driver *driver, hp_ns timeout, hp_errc code)
{
    return (patience){.driver = driver,
                      .timeout = timeout,
                      .deadline = hp_deadline_after(hp_clock_now(), timeout),
                      .code = code};
}

static hp_drive
woken(const hp_upgraded *u, hp_woke how, hp_err *err)
{
    int e = errno;
    switch (how) {
    case HP_WOKE:
        return HP_DRIVE_DONE;
    case HP_WOKE_STOP:
        hp_err_set(err, HP_E_INTERRUPTED, "interrupted by a signal");
        break;
    case HP_WOKE_FORKED:
        forked(u, err);
        break;
    case HP_WOKE_FAILED:
        hp_err_set_sys(err, HP_E_READ, e, "poll failed");
        break;
    }
    return HP_DRIVE_ERROR;
}

/* Waits for what an I/O call wanted. DONE: try again. */
static hp_drive
wait_io(const hp_upgraded *u, patience *p, ssize_t want, hp_err *err)
{
    hp_waker *waker = hp_waker_for_thread();
    if (waker == NULL) {
        hp_err_set_sys(err, HP_E_READ, errno, "cannot wait");
        return HP_DRIVE_ERROR;
    }
    hp_wait w;
    int readable = 0;
    hp_wait_reset(&w);
    hp_wait_fd(&w, hp_upgraded_fileno(u),
               want == HP_IO_WANT_WRITE ? POLLOUT : POLLIN);
    hp_wait_until(&w, p->deadline);
    hp_waker_clear(waker, 1);
    if (hp_clock_now() >= p->deadline) {
        hp_err_set(err, p->code, "timed out on an upgraded connection");
        return HP_DRIVE_ERROR;
    }
    return woken(u, hp_drive_wait(p->driver, waker, &w, &readable, &p->look_at),
                 err);
}

/* A peer may be so fast that nothing is ever waited for. */
static hp_drive
look_up(const hp_upgraded *u, patience *p, hp_err *err)
{
    return woken(u, hp_drive_look(p->driver, &p->look_at), err);
}

static size_t
take_early(hp_upgraded *u, void *buf, size_t cap)
{
    size_t n = u->early_len - u->early_at;
    if (n > cap)
        n = cap;
    if (n)
        memcpy(buf, u->early + u->early_at, n);
    u->early_at += n;
    return n;
}

hp_drive
hp_upgraded_recv(hp_upgraded *u, const hp_driver *driver, hp_ns timeout,
                 void *buf, size_t cap, size_t *got, hp_err *err)
{
    *got = take_early(u, buf, cap);
    if (*got || cap == 0)
        return HP_DRIVE_DONE;
    if (forked(u, err))
        return HP_DRIVE_ERROR;
    patience p = patience_for(driver, timeout, HP_E_READ_TIMEOUT);
    for (;;) {
        ssize_t r = read_some(u, buf, cap, err);
        if (r >= 0 || r == HP_IO_TRUNCATED) {
            *got = r > 0 ? (size_t)r : 0;
            return HP_DRIVE_DONE;
        }
        if (r == HP_IO_ERROR || wait_io(u, &p, r, err) != HP_DRIVE_DONE)
            return HP_DRIVE_ERROR;
    }
}

hp_drive
hp_upgraded_sendall(hp_upgraded *u, const hp_driver *driver, hp_ns timeout,
                    const void *buf, size_t n, hp_err *err)
{
    if (forked(u, err))
        return HP_DRIVE_ERROR;
    patience p = patience_for(driver, timeout, HP_E_WRITE_TIMEOUT);
    for (size_t sent = 0; sent < n;) {
        size_t some = n - sent < SEND_AT_ONCE ? n - sent : SEND_AT_ONCE;
        ssize_t r = write_some(u, (const char *)buf + sent, some, err);
        if (r > 0) {
            sent += (size_t)r;
            p.deadline = hp_deadline_after(hp_clock_now(), p.timeout);
            if (sent < n && look_up(u, &p, err) != HP_DRIVE_DONE)
                return HP_DRIVE_ERROR;
        } else if (r == HP_IO_ERROR || r == 0 ||
                   wait_io(u, &p, r, err) != HP_DRIVE_DONE) {
            return HP_DRIVE_ERROR;
        }
    }
    return HP_DRIVE_DONE;
}

void
hp_upgraded_shutdown(hp_upgraded *u)
{
    hp_stream *s = stream_of(u);
    if (s->ops->shutdown == NULL || u->generation != hp_fork_generation())
        return;
    pthread_mutex_lock(&u->io);
    s->ops->shutdown(s);
    pthread_mutex_unlock(&u->io);
}

int
hp_upgraded_fileno(const hp_upgraded *u)
{
    return stream_of(u)->ops->fd(stream_of(u));
}

void
hp_ex_drop_upgraded(hp_pconn *c, unsigned generation)
{
    if (generation != hp_fork_generation())
        hp_conn_abandon(&c->net);
    hp_pconn_free(c);
}

void
hp_upgraded_free(hp_upgraded *u)
{
    if (u == NULL)
        return;
    hp_ex_drop_upgraded(u->conn, u->generation);
    hp_free(u->early);
    hp_free(u);
}
