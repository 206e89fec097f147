/* tls_handshake: a stream's handshake, what is checked at its end, and the
 * sessions that come of it. */
#include <string.h>

#include "net/tls_stream_impl.h"

/* TLS 1.3 brings tickets after the handshake, TLS 1.2 within it, before we have
 * checked anything: keep_session() fetches that one. Put makes a copy, so
 * OpenSSL keeps its reference (0). */
int
hp_tls_new_session(SSL *ssl, SSL_SESSION *session)
{
    hp_tls_stream *s = SSL_get_app_data(ssl);
    if (s->sessions && s->ready)
        hp_sessions_put(s->sessions, session);
    return 0;
}

/* Also a resumed session, which was taken out of the store: TLS 1.2 allows to
 * use it again. A ticket of TLS 1.3 serves once, or others could tell that the
 * connections are of one client (RFC 8446 C.4). */
static void
keep_session(hp_tls_stream *s)
{
    if (s->sessions && SSL_version(s->ssl) < TLS1_3_VERSION)
        hp_sessions_put(s->sessions, SSL_get_session(s->ssl));
}

static int
refuse_protocol(const hp_tls_stream *s, hp_span chosen, hp_err *err)
{
    char name[32];
    size_t n = 0;
    for (; n < chosen.len && n < sizeof name - 1; n++)
        name[n] =
            chosen.ptr[n] > ' ' && chosen.ptr[n] < 0x7f ? chosen.ptr[n] : '?';
    name[n] = '\0';
    return hp_err_set(err, HP_E_TLS,
                      "%s chose the protocol '%s' (ALPN), and only http/1.1 is "
                      "spoken here: offer nothing else",
                      s->name, name);
}

static int
check_alpn(hp_tls_stream *s, hp_err *err)
{
    const unsigned char *p;
    unsigned n;
    SSL_get0_alpn_selected(s->ssl, &p, &n);
    if (n == 0)
        return 0;
    hp_span got = hp_span_of((const char *)p, n);
    if (!hp_span_eq(got, HP_SPAN_LIT("http/1.1")))
        return refuse_protocol(s, got, err);
    memcpy(s->alpn, got.ptr, got.len);
    return 0;
}

/* OpenSSL has verified chain and name by now; for a resumed session it tells
 * what it found when that was made. It calls a connection without any
 * certificate verified, too: the user's cipher list may have let anonymous ones
 * in. */
static int
finish_handshake(hp_tls_stream *s, hp_err *err)
{
    const hp_tls_config *c = hp_tls_settings(s->tls);
    int rc = check_alpn(s, err);
    if (rc == 0 && c->verify &&
        (SSL_get_verify_result(s->ssl) != X509_V_OK ||
         SSL_get0_peer_certificate(s->ssl) == NULL))
        rc = hp_err_set(err, HP_E_TLS,
                        "certificate verify failed for %s: the server showed "
                        "no valid certificate",
                        s->name);
    if (rc == 0 && c->has_fingerprint)
        rc = hp_tls_check_fingerprint(s->ssl, s->name, c->fingerprint, err);
    if (rc != 0) {
        hp_tls_distrust_sessions(s);
        return s->broken = HP_IO_ERROR;
    }
    s->ready = true;
    keep_session(s);
    return 0;
}

/* A server that meets the offer with an alert would do so every other time (one
 * of OpenSSL's does that wants client certificates and was given no session id
 * context): it is not made another. */
static void
handshake_failed(hp_tls_stream *s)
{
    bool alert = ERR_GET_LIB(s->code) == ERR_LIB_SSL &&
                 ERR_GET_REASON(s->code) > SSL_AD_REASON_OFFSET;
    if (s->offered && alert)
        hp_sessions_stop(s->sessions);
    else
        hp_tls_distrust_sessions(s);
}

int
hp_tls_handshake(hp_stream *st, hp_err *err)
{
    hp_tls_stream *s = hp_tls_stream_of(st);
    hp_err low;
    if (s->ready)
        return 0;
    hp_tls_stream_begin(s, &low);
    if (s->broken == 0) {
        int r = SSL_do_handshake(s->ssl);
        if (r == 1)
            return finish_handshake(s, err);
        r = hp_tls_stream_verdict(s, r);
        if (r == HP_IO_WANT_READ || r == HP_IO_WANT_WRITE)
            return r;
        if (r == 0) /* close_notify instead of a handshake */
            s->broken = HP_IO_TRUNCATED;
        handshake_failed(s);
    }
    hp_tls_failure f = {.ssl = s->ssl,
                        .name = s->name,
                        .code = s->code,
                        .eof = s->broken == HP_IO_TRUNCATED,
                        .sys_errno = s->bio.sys_errno,
                        .lower = &low,
                        .first = &s->bio.first};
    hp_tls_explain(&f, err);
    return HP_IO_ERROR;
}
