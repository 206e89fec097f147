/* conn: the machine that makes a stream.
 *
 *   from        to          by
 *   ----------  ----------  -----------------------------------------------
 *   NEW         RESOLVING   step_new -> begin_resolve (a host to look up)
 *   NEW         CONNECTING  step_new -> begin_dial (Unix path, override)
 *   NEW         AWAITING_SOCKET  step_new (custom_dial)
 *   NEW         HANDSHAKE   step_new -> begin_tls (open_stream, with tls)
 *   NEW         READY       step_new -> connected (open_stream, plain)
 *   RESOLVING   CONNECTING  step_resolving -> begin_dial
 *   CONNECTING  HANDSHAKE   step_connecting -> connected -> begin_tls
 *   CONNECTING  READY       step_connecting -> connected
 *   AWAITING_SOCKET  HANDSHAKE, READY  step_awaiting -> connected
 *   HANDSHAKE   READY       step_handshake
 *   any         CLOSED      hp_conn_close, hp_conn_abandon; failed (error)
 *
 * Truths per state, checked by assert_state():
 *
 *   NEW         owns nothing
 *   RESOLVING   owns a resolve, nothing else; has a dial_start
 *   CONNECTING  owns a dial, nothing else; has a dial_start
 *   AWAITING_SOCKET  owns at most given_fd; has a dial_start
 *   HANDSHAKE   owns a stream that wraps another; spec has tls; connected
 *   READY       owns a stream; connected; secured if and only if spec has tls
 *   CLOSED      owns nothing
 *
 * A step function returns DONE when the state has changed for the better, and
 * hp_conn_step goes round; WAIT, DIAL and ERROR go to the caller.
 */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/conn_tell.h"
#include "net/dial.h"

/* How often to look at a resolver that has no waker to wake. */
static const hp_ns BLIND_POLL = 10 * HP_NS_PER_MS;

static atomic_uint_fast64_t last_id;

#ifndef NDEBUG
static bool
owns_only(const hp_conn *c, bool resolve, bool dial, bool stream)
{
    return (c->resolve != NULL) == resolve && (c->dial != NULL) == dial &&
           (c->stream != NULL) == stream;
}

static void
assert_state(const hp_conn *c)
{
    assert(c->given_fd < 0 || c->state == HP_CONN_AWAITING_SOCKET);
    switch (c->state) {
    case HP_CONN_NEW:
    case HP_CONN_CLOSED:
        assert(owns_only(c, false, false, false));
        break;
    case HP_CONN_RESOLVING:
        assert(owns_only(c, true, false, false));
        assert(c->times.dial_start);
        break;
    case HP_CONN_CONNECTING:
        assert(owns_only(c, false, true, false));
        assert(c->times.dial_start);
        break;
    case HP_CONN_AWAITING_SOCKET:
        assert(owns_only(c, false, false, false));
        assert(c->times.dial_start && c->spec->custom_dial);
        break;
    case HP_CONN_HANDSHAKE:
        assert(owns_only(c, false, false, true));
        assert(c->times.connected && c->spec->tls);
        break;
    case HP_CONN_READY:
        assert(owns_only(c, false, false, true));
        assert(c->times.connected);
        assert((c->times.secured != 0) == (c->spec->tls != NULL));
        break;
    }
}
#else
#define assert_state(c) ((void)0)
#endif

void
hp_conn_init(hp_conn *c, const hp_dial_spec *spec, hp_ns connect_timeout,
             hp_ns tls_timeout)
{
    *c = (hp_conn){
        .id = atomic_fetch_add(&last_id, 1) + 1,
        .state = HP_CONN_NEW,
        .spec = spec,
        .resolved_by = HP_RESOLVED_LITERAL,
        .given_fd = -1,
        .connect_timeout = connect_timeout,
        .connect_deadline = HP_NEVER,
        .tls_timeout = tls_timeout,
        .tls_deadline = HP_NEVER,
    };
}

void
hp_conn_extend(hp_conn *c, hp_ns connect_timeout, hp_ns tls_timeout)
{
    hp_ns now = hp_clock_now();
    c->connect_timeout = connect_timeout;
    c->tls_timeout = tls_timeout;
    if (c->state == HP_CONN_RESOLVING || c->state == HP_CONN_CONNECTING ||
        c->state == HP_CONN_AWAITING_SOCKET)
        c->connect_deadline = hp_deadline_after(now, connect_timeout);
    if (c->state == HP_CONN_HANDSHAKE)
        c->tls_deadline = hp_deadline_after(now, tls_timeout);
}

hp_phase
hp_conn_phase(const hp_conn *c)
{
    switch (c->state) {
    case HP_CONN_NEW:
    case HP_CONN_RESOLVING:
        return HP_PHASE_RESOLVE;
    case HP_CONN_CONNECTING:
    case HP_CONN_AWAITING_SOCKET:
        return HP_PHASE_CONNECT;
    case HP_CONN_HANDSHAKE:
        return HP_PHASE_TLS;
    default:
        return HP_PHASE_NONE;
    }
}

/* ---- the end ---- */

static void
drop_given(hp_conn *c)
{
    if (c->given_fd >= 0)
        close(c->given_fd);
    c->given_fd = -1;
}

static void
close_quietly(hp_conn *c, bool polite)
{
    drop_given(c);
    hp_resolve_free(c->resolve);
    hp_dial_free(c->dial);
    if (c->stream)
        c->stream->ops->close(c->stream, polite);
    c->resolve = NULL;
    c->dial = NULL;
    c->stream = NULL;
    c->state = HP_CONN_CLOSED;
}

void
hp_conn_close(hp_conn *c, bool polite)
{
    hp_conn_tell_end(c, "abandoned");
    close_quietly(c, polite);
}

void
hp_conn_abandon(hp_conn *c)
{
    int fd = c->stream ? c->stream->ops->fd(c->stream) : -1;
    if (fd >= 0)
        close(fd);
    drop_given(c);
    if (c->dial)
        hp_dial_abandon(c->dial);
    c->resolve = NULL;
    c->dial = NULL;
    c->stream = NULL;
    c->state = HP_CONN_CLOSED;
}

/* Names the phase in *err, which is set, and closes. */
static hp_step
failed(hp_conn *c, hp_phase phase, hp_err *err)
{
    if (err->phase == HP_PHASE_NONE)
        err->phase = phase;
    hp_conn_tell_end(c, err->code == HP_E_CONNECT_TIMEOUT ? "timed out"
                                                          : err->text);
    close_quietly(c, false);
    return HP_STEP_ERROR;
}

static hp_step
no_memory(hp_conn *c, hp_phase phase, hp_err *err)
{
    hp_err_set(err, HP_E_NOMEM, "out of memory");
    return failed(c, phase, err);
}

static double
seconds(hp_ns t)
{
    return (double)t / (double)HP_NS_PER_S;
}

static hp_step
connect_timed_out(hp_conn *c, hp_err *err)
{
    char target[HP_DIAL_TARGET_MAX], tried[320] = "looking up the host";
    const char *open = " (", *close_ = ")";
    hp_dial_target(c->spec, target);
    if (c->state == HP_CONN_AWAITING_SOCKET)
        snprintf(tried, sizeof tried, "dial= took longer");
    if (c->dial) {
        hp_dial_timed_out(c->dial);
        hp_dial_tried(c->dial, tried, sizeof tried);
        open = tried[0] ? " (tried " : "";
        close_ = tried[0] ? ")" : "";
    }
    hp_err_set(err, HP_E_CONNECT_TIMEOUT,
               "connect to %s timed out after %.1f s%s%s%s", target,
               seconds(c->connect_timeout), open, tried, close_);
    return failed(c, hp_conn_phase(c), err);
}

static hp_step
tls_timed_out(hp_conn *c, hp_err *err)
{
    char target[HP_DIAL_TARGET_MAX];
    hp_dial_target(c->spec, target);
    hp_err_set(err, HP_E_TLS_TIMEOUT,
               "TLS handshake with %s timed out after %.1f s", target,
               seconds(c->tls_timeout));
    return failed(c, HP_PHASE_TLS, err);
}

/* ---- HANDSHAKE ---- */

static hp_step
begin_tls(hp_conn *c, hp_err *err)
{
    hp_conn_tell_handshake_start(c);
    hp_stream *tls =
        hp_tls_stream_new(c->spec->tls, c->stream, c->spec->server_name, err);
    if (tls == NULL) {
        hp_conn_tell_handshake_done(c, err->text);
        return failed(c, HP_PHASE_TLS, err);
    }
    if (c->spec->sessions)
        hp_tls_stream_resume(tls, c->spec->sessions);
    c->stream = tls;
    c->tls_deadline = hp_deadline_after(hp_clock_now(), c->tls_timeout);
    c->state = HP_CONN_HANDSHAKE;
    return HP_STEP_DONE;
}

static hp_step
step_handshake(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    int r = c->stream->ops->handshake(c->stream, err);
    if (r == 0) {
        c->times.secured = hp_clock_now();
        c->state = HP_CONN_READY;
        hp_conn_tell_handshake_done(c, NULL);
        return HP_STEP_DONE;
    }
    if (r != HP_IO_WANT_READ && r != HP_IO_WANT_WRITE) {
        hp_err_set(err, HP_E_TLS,
                   "the server closed the connection during "
                   "the TLS handshake"); /* if nothing is set */
        return failed(c, HP_PHASE_TLS, err);
    }
    if (hp_clock_now() >= c->tls_deadline)
        return tls_timed_out(c, err);
    int fd = c->stream->ops->fd(c->stream);
    if (fd >= 0)
        hp_wait_fd(w, fd, r == HP_IO_WANT_READ ? POLLIN : POLLOUT);
    hp_wait_until(w, c->tls_deadline);
    return HP_STEP_WAIT;
}

/* ---- CONNECTING ---- */

/* c->stream has just become ours. */
static hp_step
connected(hp_conn *c, hp_err *err)
{
    c->times.connected = hp_clock_now();
    if (c->spec->tls)
        return begin_tls(c, err);
    c->state = HP_CONN_READY;
    return HP_STEP_DONE;
}

static hp_step
begin_dial(hp_conn *c, hp_addrs *addrs, hp_err *err)
{
    c->dial = hp_dial_new(addrs, c->spec, err);
    if (c->dial == NULL)
        return failed(c, HP_PHASE_CONNECT, err);
    hp_dial_trace(c->dial, &c->trace, c->id);
    c->state = HP_CONN_CONNECTING;
    return HP_STEP_DONE;
}

static void
note_addresses(hp_conn *c, int fd, const hp_addr *remote)
{
    hp_addr local = {.len = sizeof local.u};
    hp_addr_format(remote, c->remote);
    if (getsockname(fd, &local.u.sa, &local.len) == 0)
        hp_addr_format(&local, c->local);
}

static hp_step
step_connecting(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    int fd;
    hp_addr remote;
    hp_step s = hp_dial_step(c->dial, w, &fd, &remote, err);
    if (s == HP_STEP_ERROR)
        return failed(c, HP_PHASE_CONNECT, err);
    if (s == HP_STEP_WAIT) {
        if (hp_clock_now() >= c->connect_deadline)
            return connect_timed_out(c, err);
        hp_wait_until(w, c->connect_deadline);
        return HP_STEP_WAIT;
    }
    hp_dial_free(c->dial);
    c->dial = NULL;
    c->stream = hp_plain_stream_new(fd);
    if (c->stream == NULL) {
        close(fd);
        return no_memory(c, HP_PHASE_CONNECT, err);
    }
    note_addresses(c, fd, &remote);
    return connected(c, err);
}

/* ---- AWAITING_SOCKET ---- */

void
hp_conn_give_socket(hp_conn *c, int fd)
{
    assert(c->state == HP_CONN_AWAITING_SOCKET);
    drop_given(c);
    c->given_fd = fd;
}

void
hp_conn_fail_dial(hp_conn *c, int sys_errno)
{
    assert(c->state == HP_CONN_AWAITING_SOCKET);
    c->not_given = true;
    c->given_errno = sys_errno;
}

static hp_step
not_given(hp_conn *c, hp_err *err)
{
    char target[HP_DIAL_TARGET_MAX];
    hp_dial_target(c->spec, target);
    hp_err_set(err, HP_E_DIAL, "cannot connect to %s: dial= failed", target);
    err->sys_errno = c->given_errno;
    return failed(c, HP_PHASE_CONNECT, err);
}

static hp_step
use_given(hp_conn *c, hp_err *err)
{
    char target[HP_DIAL_TARGET_MAX];
    hp_addr remote;
    hp_err why;
    hp_err_clear(&why);
    if (hp_sock_adopt(c->given_fd, &remote, &why) != 0) {
        hp_dial_target(c->spec, target);
        hp_err_set(err, why.code,
                   "cannot connect to %s: what dial= returned is %s", target,
                   why.text);
        err->sys_errno = why.sys_errno;
        return failed(c, HP_PHASE_CONNECT, err);
    }
    c->stream = hp_plain_stream_new(c->given_fd);
    if (c->stream == NULL)
        return no_memory(c, HP_PHASE_CONNECT, err);
    note_addresses(c, c->given_fd, &remote);
    c->given_fd = -1;
    hp_conn_tell_custom_done(c, NULL);
    return connected(c, err);
}

static hp_step
step_awaiting(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    if (c->not_given)
        return not_given(c, err);
    if (hp_clock_now() >= c->connect_deadline)
        return connect_timed_out(c, err);
    return c->given_fd >= 0 ? use_given(c, err) : HP_STEP_DIAL;
}

/* ---- RESOLVING ---- */

static hp_step
begin_resolve(hp_conn *c, hp_waker *waker, hp_err *err)
{
    const hp_dial_spec *spec = c->spec;
    c->resolve =
        hp_resolve_start(spec->host, spec->family, spec->dns_ttl, waker, err);
    if (c->resolve == NULL)
        return failed(c, HP_PHASE_RESOLVE, err);
    hp_conn_tell_dns_start(c);
    c->state = HP_CONN_RESOLVING;
    return HP_STEP_DONE;
}

static hp_step
step_resolving(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    hp_addrs *addrs;
    hp_resolve_set_waker(c->resolve, waker); /* the driver may be a new one */
    int r = hp_resolve_poll(c->resolve, &addrs, &c->resolved_by, err);
    if (r < 0)
        return failed(c, HP_PHASE_RESOLVE, err);
    if (r == 0) {
        if (hp_clock_now() >= c->connect_deadline)
            return connect_timed_out(c, err);
        hp_wait_until(w, c->connect_deadline);
        if (waker == NULL)
            hp_wait_until(w, hp_clock_now() + BLIND_POLL);
        return HP_STEP_WAIT;
    }
    hp_conn_tell_resolved(c, addrs);
    hp_resolve_free(c->resolve);
    c->resolve = NULL;
    c->times.resolved = hp_clock_now();
    hp_step s = begin_dial(c, addrs, err);
    hp_addrs_unref(addrs);
    return s;
}

/* ---- NEW ---- */

static hp_step
begin_unix(hp_conn *c, hp_err *err)
{
    hp_addrs *addrs = hp_addrs_new(1);
    if (addrs == NULL)
        return no_memory(c, HP_PHASE_CONNECT, err);
    hp_step s;
    if (hp_addr_from_path(c->spec->uds, &addrs->list[0]) != 0) {
        hp_err_set_sys(err, HP_E_CONNECT, ENAMETOOLONG,
                       "cannot connect to unix:%s", c->spec->uds);
        s = failed(c, HP_PHASE_CONNECT, err);
    } else {
        s = begin_dial(c, addrs, err);
    }
    hp_addrs_unref(addrs);
    return s;
}

static hp_step
begin_open(hp_conn *c, hp_err *err)
{
    c->stream = c->spec->open_stream(c->spec->open_arg, err);
    if (c->stream)
        return connected(c, err);
    hp_err_set(err, HP_E_CONNECT, "no stream was opened"); /* if not set */
    return failed(c, HP_PHASE_CONNECT, err);
}

static hp_step
step_new(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    c->times.dial_start = hp_clock_now();
    c->connect_deadline =
        hp_deadline_after(c->times.dial_start, c->connect_timeout);
    if (c->spec->open_stream)
        return begin_open(c, err);
    if (c->spec->custom_dial) {
        c->state = HP_CONN_AWAITING_SOCKET;
        hp_conn_tell_custom_start(c);
        return HP_STEP_DONE;
    }
    if (c->spec->uds)
        return begin_unix(c, err);
    if (c->spec->resolve)
        /* Only its reference count will be written. */
        return begin_dial(c, (hp_addrs *)c->spec->resolve, err);
    return begin_resolve(c, waker, err);
}

/* ---- the runner ---- */

static hp_step
step_closed(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    hp_err_set(err, HP_E_CLOSED, "the connection is closed");
    return HP_STEP_ERROR;
}

typedef hp_step step_fn(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err);

static step_fn *const steps[] = {
    [HP_CONN_NEW] = step_new,
    [HP_CONN_RESOLVING] = step_resolving,
    [HP_CONN_CONNECTING] = step_connecting,
    [HP_CONN_AWAITING_SOCKET] = step_awaiting,
    [HP_CONN_HANDSHAKE] = step_handshake,
    [HP_CONN_CLOSED] = step_closed,
};

hp_step
hp_conn_step(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    assert_state(c);
    while (c->state != HP_CONN_READY) {
        hp_step s = steps[c->state](c, waker, w, err);
        assert_state(c);
        if (s != HP_STEP_DONE)
            return s;
    }
    return HP_STEP_DONE;
}
