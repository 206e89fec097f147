/* tls_stream_impl: the stream as tls_stream.c and tls_handshake.c share it. */
#ifndef HP_NET_TLS_STREAM_IMPL_H
#define HP_NET_TLS_STREAM_IMPL_H

#include "base/list.h"
#include "net/stream.h"
#include "net/tls_bio.h"
#include "net/tls_impl.h"

typedef struct hp_tls_stream {
    hp_stream stream;
    hp_stream *lower; /* owned once hp_tls_stream_new has succeeded */
    hp_tls *tls;      /* one reference */
    SSL *ssl;
    hp_sessions *sessions; /* one reference, or NULL: not to be resumed */
    bool offered;          /* the handshake begins with one of them */

    bool ready;         /* handshake done and every check passed */
    int broken;         /* 0, HP_IO_ERROR or HP_IO_TRUNCATED; for ever */
    unsigned long code; /* why broken: OpenSSL's code, or 0 */
    bool mute;  /* the lower stream takes no more; what it sent can be read */
    bool stuck; /* OpenSSL holds half a record: nothing else may be written */
    hp_tls_bio bio;

    char alpn[16];
    char name[]; /* of the server, without trailing dot and zone */
} hp_tls_stream;

static inline hp_tls_stream *
hp_tls_stream_of(const hp_stream *st)
{
    return HP_CONTAINER(st, hp_tls_stream, stream);
}

/* tls_stream.c */
/* Before each call into OpenSSL, whose error queue belongs to the thread; *low
 * is what the lower stream says in this call. */
void hp_tls_stream_begin(hp_tls_stream *s, hp_err *low);
/* What a call that returned r <= 0 means: 0 for close_notify, or HP_IO_*. The
 * last two are remembered in `broken`. */
int hp_tls_stream_verdict(hp_tls_stream *s, int r);
/* After a fatal alert, ours or the peer's (RFC 5246 7.2.2), and after a
 * handshake that failed: the next one is to be a full one. */
void hp_tls_distrust_sessions(hp_tls_stream *s);

/* tls_handshake.c */
/* As hp_stream_ops.handshake, in OpenSSL's gate. */
int hp_tls_handshake(hp_stream *st, hp_err *err);

#endif
