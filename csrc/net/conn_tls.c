/* conn_tls: a connection's handshakes, with the target and with a proxy. */
#include "net/conn_impl.h"
#include "net/conn_tell.h"

static hp_step
tls_timed_out(hp_conn *c, hp_err *err)
{
    char target[HP_CONN_TARGET_MAX];
    const char *hint = "";
    if (c->state == HP_CONN_HANDSHAKE) {
        hp_conn_target(c, target);
    } else {
        hp_dial_target(c->spec, target);
        hint = " (is it an http:// proxy?)";
    }
    hp_err_set(err, HP_E_TLS_TIMEOUT,
               "TLS handshake with %s timed out after %.1f s%s", target,
               hp_conn_seconds(c->tls_timeout), hint);
    return hp_conn_failed(c, hp_conn_phase(c), err);
}

hp_step
hp_conn_begin_tls(hp_conn *c, hp_tls *tls, const char *server_name,
                  hp_sessions *sessions, hp_err *err)
{
    hp_conn_tell_handshake_start(c, server_name);
    hp_stream *s = hp_tls_stream_new(tls, c->stream, server_name, err);
    if (s == NULL)
        return hp_conn_failed(c, hp_conn_phase(c), err);
    if (sessions)
        hp_tls_stream_resume(s, sessions);
    c->stream = s;
    c->tls_deadline = hp_deadline_after(hp_clock_now(), c->tls_timeout);
    return HP_STEP_DONE;
}

hp_step
hp_conn_shake_hands(hp_conn *c, hp_wait *w, hp_err *err)
{
    int r = c->stream->ops->handshake(c->stream, err);
    if (r == 0) {
        hp_conn_tell_handshake_done(c, NULL);
        return HP_STEP_DONE;
    }
    if (r != HP_IO_WANT_READ && r != HP_IO_WANT_WRITE) {
        hp_err_set(err, HP_E_TLS,
                   "the server closed the connection during "
                   "the TLS handshake"); /* if nothing is set */
        return hp_conn_failed(c, hp_conn_phase(c), err);
    }
    if (hp_clock_now() >= c->tls_deadline)
        return tls_timed_out(c, err);
    hp_conn_wait_io(c, r, w);
    hp_wait_until(w, c->tls_deadline);
    return HP_STEP_WAIT;
}

hp_step
hp_conn_at_target(hp_conn *c, hp_err *err)
{
    const hp_dial_spec *spec = c->spec;
    c->times.connected = hp_clock_now();
    c->state = spec->tls ? HP_CONN_HANDSHAKE : HP_CONN_READY;
    if (spec->tls == NULL)
        return HP_STEP_DONE;
    return hp_conn_begin_tls(c, spec->tls, spec->server_name, spec->sessions,
                             err);
}

hp_step
hp_conn_step_handshake(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    hp_step s = hp_conn_shake_hands(c, w, err);
    if (s == HP_STEP_DONE) {
        c->times.secured = hp_clock_now();
        c->state = HP_CONN_READY;
    }
    return s;
}
