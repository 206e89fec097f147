/* conn_impl: what the conn*.c files share. Nobody else includes it. */
#ifndef HP_NET_CONN_IMPL_H
#define HP_NET_CONN_IMPL_H

#include "net/conn.h"
#include "net/dial.h"

/* A state's function: DONE when it has changed the state for the better. */
typedef hp_step hp_conn_fn(hp_conn *c, hp_waker *waker, hp_wait *w,
                           hp_err *err);

static inline double
hp_conn_seconds(hp_ns t)
{
    return (double)t / (double)HP_NS_PER_S;
}

/* WANT_READ or WANT_WRITE of the stream, to the wait. */
static inline void
hp_conn_wait_io(const hp_conn *c, int want, hp_wait *w)
{
    int fd = c->stream->ops->fd(c->stream);
    if (fd >= 0)
        hp_wait_fd(w, fd, want == HP_IO_WANT_READ ? POLLIN : POLLOUT);
}

/* ---- conn.c ---- */

/* Names the phase in *err, which is set, and closes. */
hp_step hp_conn_failed(hp_conn *c, hp_phase phase, hp_err *err);
hp_step hp_conn_no_memory(hp_conn *c, hp_phase phase, hp_err *err);
/* Frees what a state owns; the state is the caller's to set. */
void hp_conn_drop(hp_conn *c, bool polite);
/* Dials the first hop, which may have to be looked up first. */
hp_step hp_conn_begin(hp_conn *c, hp_waker *waker, hp_err *err);
/* Sets c->resolve, for hp_conn_look_up. */
hp_step hp_conn_begin_look_up(hp_conn *c, const char *host, int family,
                              hp_waker *waker, hp_err *err);
/* DONE: *addrs is a new reference, and c->resolve is gone. */
hp_step hp_conn_look_up(hp_conn *c, hp_waker *waker, hp_wait *w,
                        hp_addrs **addrs, hp_err *err);

/* ---- conn_tls.c ---- */

/* c->stream leads to the target: to HANDSHAKE or READY. */
hp_step hp_conn_at_target(hp_conn *c, hp_err *err);
/* Puts TLS over c->stream; the state is that of its handshake already. */
hp_step hp_conn_begin_tls(hp_conn *c, hp_tls *tls, const char *server_name,
                          hp_sessions *sessions, hp_err *err);
/* DONE when the handshake is; the state is the caller's to change. */
hp_step hp_conn_shake_hands(hp_conn *c, hp_wait *w, hp_err *err);
hp_conn_fn hp_conn_step_handshake;

/* ---- conn_proxy.c ---- */

enum {
    HP_CONN_TARGET_MAX = HP_DIAL_TARGET_MAX
};

/* Whom it is all for, in words: the other end of the tunnel, else who is
 * dialled. */
void hp_conn_target(const hp_conn *c, char out[HP_CONN_TARGET_MAX]);
/* c->stream leads to the proxy: to the first of its states, or on. */
hp_step hp_conn_at_proxy(hp_conn *c, hp_waker *waker, hp_err *err);
hp_conn_fn hp_conn_step_proxy_handshake, hp_conn_step_target_resolving,
    hp_conn_step_tunnel;
void hp_conn_forget_authorization(hp_conn *c);
/* For one that begins now. */
hp_ns hp_conn_tunnel_deadline(const hp_conn *c);
/* Puts the proxy into an error of the way to it. */
void hp_conn_blame_proxy(const hp_conn *c, hp_err *err);

#endif
