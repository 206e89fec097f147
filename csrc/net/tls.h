/* tls: settings, the SSL_CTX made from them, and the TLS stream. The only room
 * that includes OpenSSL headers.
 *
 * hp_tls is one immutable TLS setting. Equal settings give the same object in
 * the whole process, with an id that stands for it in pool keys: files count
 * by path, device, inode and modification time, so that a CA file replaced on
 * disk makes a new setting. The registry is bounded: settings nobody holds are
 * forgotten, oldest first. The SSL_CTX is built at the first handshake, once,
 * without holding the registry's lock (others who need the same one wait on
 * that setting's own mutex); it is never built for a client that speaks http
 * only.
 */
#ifndef HP_NET_TLS_H
#define HP_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "net/stream.h"

typedef struct hp_tls hp_tls;

/* All strings are borrowed for the call and copied. Zeroed = the defaults but
 * for `verify`, which the caller sets. */
typedef struct hp_tls_config {
    bool verify;         /* certificate chain and host name */
    const char *ca_file; /* NULL: not given */
    const char *ca_dir;
    hp_span ca_pem; /* certificates as PEM bytes */
    /* none of the three: the system's store (OpenSSL's built-in place, then
     * the usual places of Linux distributions and macOS) and, when that is
     * empty, `fallback_ca_file` (the binding passes certifi's). */
    const char *fallback_ca_file;
    const char *cert_file; /* client certificate chain, PEM */
    const char *key_file;  /* NULL: in cert_file */
    const char *key_password;
    int min_version, max_version; /* 0x0303 = 1.2, 0x0304 = 1.3; 0 default */
    const char *ciphers;          /* TLS 1.2 and below, OpenSSL's syntax */
    const char *ciphersuites;     /* TLS 1.3 */
    const char *groups;
    const char *alpn; /* what is offered, as on the wire (RFC 7301 3.1) with a
                         NUL behind it; NULL: http/1.1; "": nothing. Whoever
                         chooses anything but http/1.1 is refused */
    const char *keylog_file;       /* SSLKEYLOGFILE; NULL: none */
    unsigned char fingerprint[32]; /* SHA-256 of the leaf certificate */
    bool has_fingerprint;
} hp_tls_config;

/* A reference to the setting, or NULL with *err: HP_E_TLS_CONFIG naming the
 * file that is missing or unreadable (or versions that cannot be), HP_E_NOMEM.
 * The fallback and the key log are not missed before the handshake. Looks at
 * files (stat), reads none, builds nothing. Any thread. */
hp_tls *hp_tls_get(const hp_tls_config *config, hp_err *err);
hp_tls *hp_tls_ref(hp_tls *t);
void hp_tls_unref(hp_tls *t);        /* NULL is fine */
uint64_t hp_tls_id(const hp_tls *t); /* > 0, never reused */

/* TLS over `lower` (taken over on success), for `server_name`: checked against
 * the certificate as host name or as IP literal, and sent as SNI unless it is
 * an IP literal. NULL with *err: HP_E_TLS_CONFIG (a CA file that holds no
 * certificate, a key that does not match, ...), HP_E_NOMEM; lower is still
 * the caller's then. Building the SSL_CTX may read files. The handshake is
 * done by ops->handshake; failures are HP_E_TLS with OpenSSL's reason in the
 * text, and for verification with the peer's name and what to do. */
hp_stream *hp_tls_stream_new(hp_tls *t, hp_stream *lower,
                             const char *server_name, hp_err *err);

/* Facts after the handshake. Static or stream-owned storage. */
/* The texts are OpenSSL's own and constant, but for `alpn`, the stream's. */
typedef struct hp_tls_info {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    const char *alpn; /* "" when none */
    bool resumed;
} hp_tls_info;
void hp_tls_stream_info(const hp_stream *s, hp_tls_info *out);

/* Tests: how many SSL_CTX this process has built. */
unsigned hp_tls_contexts_built(void);

#endif
