/* conn: the machine that makes a stream.
 *
 *   from        to          by
 *   ----------  ----------  -----------------------------------------------
 *   NEW         RESOLVING   step_new -> begin_resolve (a host to look up)
 *   NEW         CONNECTING  step_new -> begin_dial (Unix path, override)
 *   NEW         AWAITING_SOCKET  step_new (custom_dial)
 *   NEW         as CONNECTING  step_new -> connected (open_stream)
 *   RESOLVING   CONNECTING  step_resolving -> begin_dial
 *   CONNECTING  PROXY_HANDSHAKE, TARGET_RESOLVING, TUNNEL, READY
 *                           step_connecting -> connected -> hp_conn_at_proxy
 *   CONNECTING  HANDSHAKE, READY
 *                           step_connecting -> connected -> hp_conn_at_target
 *   AWAITING_SOCKET  as CONNECTING  step_awaiting -> connected
 *   HANDSHAKE   READY       hp_conn_step_handshake
 *   any         CLOSED      hp_conn_close, hp_conn_abandon; hp_conn_failed
 *
 * The states of a proxy and their table are in conn_proxy.c, TLS in conn_tls.c.
 *
 * Truths per state, checked by assert_state():
 *
 *   NEW         owns nothing
 *   RESOLVING   owns a resolve, nothing else; has a dial_start
 *   CONNECTING  owns a dial, nothing else; has a dial_start
 *   AWAITING_SOCKET  owns at most given_fd; has a dial_start
 *   PROXY_HANDSHAKE, TARGET_RESOLVING, TUNNEL  own a stream, the second of
 *               them a resolve, the third a tunnel; spec has a proxy; connected
 *   HANDSHAKE   owns a stream that wraps another; spec has tls; connected
 *   READY       owns a stream; connected; secured if and only if spec has tls
 *   CLOSED      owns nothing but an answer to CONNECT, if it failed
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

#include "net/conn_impl.h"
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
           (c->stream != NULL) == stream &&
           (c->tunnel != NULL) == (c->state == HP_CONN_TUNNEL);
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
    case HP_CONN_PROXY_HANDSHAKE:
    case HP_CONN_TARGET_RESOLVING:
    case HP_CONN_TUNNEL:
        assert(owns_only(c, c->state == HP_CONN_TARGET_RESOLVING, false, true));
        assert(c->times.connected && c->spec->proxy);
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
        .tunnel_deadline = HP_NEVER,
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
    if (c->state > HP_CONN_NEW && c->state < HP_CONN_HANDSHAKE)
        c->connect_deadline = hp_deadline_after(now, connect_timeout);
    if (c->state == HP_CONN_TUNNEL)
        c->tunnel_deadline = hp_conn_tunnel_deadline(c);
    if (c->state == HP_CONN_HANDSHAKE || c->state == HP_CONN_PROXY_HANDSHAKE)
        c->tls_deadline = hp_deadline_after(now, tls_timeout);
}

hp_phase
hp_conn_phase(const hp_conn *c)
{
    switch (c->state) {
    case HP_CONN_NEW:
    case HP_CONN_RESOLVING:
    case HP_CONN_TARGET_RESOLVING:
        return HP_PHASE_RESOLVE;
    case HP_CONN_CONNECTING:
    case HP_CONN_AWAITING_SOCKET:
        return HP_PHASE_CONNECT;
    case HP_CONN_PROXY_HANDSHAKE:
    case HP_CONN_TUNNEL:
        return HP_PHASE_PROXY;
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

void
hp_conn_drop(hp_conn *c, bool polite)
{
    drop_given(c);
    hp_resolve_free(c->resolve);
    hp_dial_free(c->dial);
    hp_tunnel_free(c->tunnel);
    if (c->stream)
        c->stream->ops->close(c->stream, polite);
    c->resolve = NULL;
    c->dial = NULL;
    c->tunnel = NULL;
    c->stream = NULL;
}

static void
close_quietly(hp_conn *c, bool polite)
{
    hp_conn_drop(c, polite);
    hp_addrs_unref(c->targets);
    c->targets = NULL;
    hp_conn_forget_authorization(c);
    c->state = HP_CONN_CLOSED;
}

void
hp_conn_close(hp_conn *c, bool polite)
{
    hp_conn_tell_end(c, "abandoned");
    close_quietly(c, polite);
    hp_answer_unref(c->answer);
    c->answer = NULL;
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
    c->tunnel = NULL;
    c->targets = NULL;
    c->authorization = NULL;
    c->answer = NULL;
    c->stream = NULL;
    c->state = HP_CONN_CLOSED;
}

hp_step
hp_conn_failed(hp_conn *c, hp_phase phase, hp_err *err)
{
    if (err->phase == HP_PHASE_NONE)
        err->phase = phase;
    if (c->spec->proxy)
        hp_conn_blame_proxy(c, err);
    hp_conn_tell_end(c, err->code == HP_E_CONNECT_TIMEOUT ? "timed out"
                                                          : err->text);
    close_quietly(c, false);
    return HP_STEP_ERROR;
}

hp_step
hp_conn_no_memory(hp_conn *c, hp_phase phase, hp_err *err)
{
    hp_err_set(err, HP_E_NOMEM, "out of memory");
    return hp_conn_failed(c, phase, err);
}

static hp_step
connect_timed_out(hp_conn *c, hp_err *err)
{
    char target[HP_DIAL_TARGET_MAX], tried[320] = "looking up the host";
    const char *open = " (", *close_ = ")";
    hp_dial_target(c->spec, target);
    if (c->state == HP_CONN_TARGET_RESOLVING)
        hp_conn_target(c, target);
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
               hp_conn_seconds(c->connect_timeout), open, tried, close_);
    return hp_conn_failed(c, hp_conn_phase(c), err);
}

/* ---- CONNECTING ---- */

/* c->stream has just become ours. */
static hp_step
connected(hp_conn *c, hp_waker *waker, hp_err *err)
{
    c->times.connected = hp_clock_now();
    return c->spec->proxy ? hp_conn_at_proxy(c, waker, err)
                          : hp_conn_at_target(c, err);
}

static hp_step
begin_dial(hp_conn *c, hp_addrs *addrs, hp_err *err)
{
    c->dial = hp_dial_new(addrs, c->spec, err);
    if (c->dial == NULL)
        return hp_conn_failed(c, HP_PHASE_CONNECT, err);
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
        return hp_conn_failed(c, HP_PHASE_CONNECT, err);
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
        return hp_conn_no_memory(c, HP_PHASE_CONNECT, err);
    }
    note_addresses(c, fd, &remote);
    return connected(c, waker, err);
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
    return hp_conn_failed(c, HP_PHASE_CONNECT, err);
}

static hp_step
use_given(hp_conn *c, hp_waker *waker, hp_err *err)
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
        return hp_conn_failed(c, HP_PHASE_CONNECT, err);
    }
    c->stream = hp_plain_stream_new(c->given_fd);
    if (c->stream == NULL)
        return hp_conn_no_memory(c, HP_PHASE_CONNECT, err);
    note_addresses(c, c->given_fd, &remote);
    c->given_fd = -1;
    hp_conn_tell_custom_done(c, NULL);
    return connected(c, waker, err);
}

static hp_step
step_awaiting(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    if (c->not_given)
        return not_given(c, err);
    if (hp_clock_now() >= c->connect_deadline)
        return connect_timed_out(c, err);
    return c->given_fd >= 0 ? use_given(c, waker, err) : HP_STEP_DIAL;
}

/* ---- RESOLVING ---- */

static hp_step
begin_resolve(hp_conn *c, hp_waker *waker, hp_err *err)
{
    const hp_dial_spec *spec = c->spec;
    c->state = HP_CONN_RESOLVING;
    return hp_conn_begin_look_up(c, spec->host, spec->family, waker, err);
}

hp_step
hp_conn_begin_look_up(hp_conn *c, const char *host, int family, hp_waker *waker,
                      hp_err *err)
{
    c->resolve = hp_resolve_start(host, family, c->spec->dns_ttl, waker, err);
    if (c->resolve == NULL)
        return hp_conn_failed(c, HP_PHASE_RESOLVE, err);
    hp_conn_tell_dns_start(c);
    return HP_STEP_DONE;
}

hp_step
hp_conn_look_up(hp_conn *c, hp_waker *waker, hp_wait *w, hp_addrs **addrs,
                hp_err *err)
{
    hp_resolve_source by;
    hp_resolve_set_waker(c->resolve, waker); /* the driver may be a new one */
    int r = hp_resolve_poll(c->resolve, addrs, &by, err);
    if (r < 0)
        return hp_conn_failed(c, HP_PHASE_RESOLVE, err);
    if (r == 0) {
        if (hp_clock_now() >= c->connect_deadline)
            return connect_timed_out(c, err);
        hp_wait_until(w, c->connect_deadline);
        if (waker == NULL)
            hp_wait_until(w, hp_clock_now() + BLIND_POLL);
        return HP_STEP_WAIT;
    }
    hp_conn_tell_resolved(c, *addrs);
    hp_resolve_free(c->resolve);
    c->resolve = NULL;
    if (by > c->resolved_by)
        c->resolved_by = by;
    return HP_STEP_DONE;
}

static hp_step
step_resolving(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    hp_addrs *addrs;
    hp_step s = hp_conn_look_up(c, waker, w, &addrs, err);
    if (s != HP_STEP_DONE)
        return s;
    c->times.resolved = hp_clock_now();
    s = begin_dial(c, addrs, err);
    hp_addrs_unref(addrs);
    return s;
}

/* ---- NEW ---- */

static hp_step
begin_unix(hp_conn *c, hp_err *err)
{
    hp_addrs *addrs = hp_addrs_new(1);
    if (addrs == NULL)
        return hp_conn_no_memory(c, HP_PHASE_CONNECT, err);
    hp_step s;
    if (hp_addr_from_path(c->spec->uds, &addrs->list[0]) != 0) {
        hp_err_set_sys(err, HP_E_CONNECT, ENAMETOOLONG,
                       "cannot connect to unix:%s", c->spec->uds);
        s = hp_conn_failed(c, HP_PHASE_CONNECT, err);
    } else {
        s = begin_dial(c, addrs, err);
    }
    hp_addrs_unref(addrs);
    return s;
}

static hp_step
begin_open(hp_conn *c, hp_waker *waker, hp_err *err)
{
    c->stream = c->spec->open_stream(c->spec->open_arg, err);
    if (c->stream)
        return connected(c, waker, err);
    hp_err_set(err, HP_E_CONNECT, "no stream was opened"); /* if not set */
    return hp_conn_failed(c, HP_PHASE_CONNECT, err);
}

hp_step
hp_conn_begin(hp_conn *c, hp_waker *waker, hp_err *err)
{
    if (c->spec->open_stream)
        return begin_open(c, waker, err);
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

static hp_step
step_new(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    c->times.dial_start = hp_clock_now();
    c->connect_deadline =
        hp_deadline_after(c->times.dial_start, c->connect_timeout);
    return hp_conn_begin(c, waker, err);
}

/* ---- the runner ---- */

static hp_step
step_closed(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    hp_err_set(err, HP_E_CLOSED, "the connection is closed");
    return HP_STEP_ERROR;
}

static hp_conn_fn *const steps[] = {
    [HP_CONN_NEW] = step_new,
    [HP_CONN_RESOLVING] = step_resolving,
    [HP_CONN_CONNECTING] = step_connecting,
    [HP_CONN_AWAITING_SOCKET] = step_awaiting,
    [HP_CONN_PROXY_HANDSHAKE] = hp_conn_step_proxy_handshake,
    [HP_CONN_TARGET_RESOLVING] = hp_conn_step_target_resolving,
    [HP_CONN_TUNNEL] = hp_conn_step_tunnel,
    [HP_CONN_HANDSHAKE] = hp_conn_step_handshake,
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
