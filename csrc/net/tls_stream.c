/* tls_stream: TLS as a stream over another stream.
 *
 * OpenSSL reads and writes through a BIO of ours, which calls the lower
 * stream; so sends follow the lower stream's rules (no SIGPIPE), and the lower
 * stream may itself be TLS. An SSL object has one user at a time, like every
 * stream; nothing here locks. OpenSSL does: what goes into it passes its gate
 * (tls_gate.h).
 *
 * OpenSSL forgets why it failed: after a fatal error a second SSL_read reports
 * something else. The first verdict is therefore kept (`broken`, `code`) and
 * repeated, and a broken SSL is never asked to say goodbye.
 */
#include "net/tls_impl.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

#include "base/list.h"
#include "base/mem.h"
#include "net/tls_gate.h"

enum {
    RECORD_MAX = 16384,    /* RFC 8446 5.1 */
    RECORDS_PER_CALL = 16, /* a fast reader must not keep a writer for ever */
    LOOKS_PER_CALL = 64,   /* nor a peer that sends only tickets a reader */
    ERRORS_KEPT = 16,      /* as many as OpenSSL keeps */
    SERVER_NAME_MAX = 253  /* RFC 1035 2.3.4 without the root's dot */
};

typedef struct tls_stream {
    hp_stream stream;
    hp_stream *lower; /* owned once hp_tls_stream_new has succeeded */
    hp_tls *tls;      /* one reference */
    SSL *ssl;
    hp_sessions *sessions; /* one reference, or NULL: not to be resumed */
    bool offered;          /* the handshake begins with one of them */

    bool ready;         /* handshake done and every check passed */
    int broken;         /* 0, HP_IO_ERROR or HP_IO_TRUNCATED; for ever */
    unsigned long code; /* why broken: OpenSSL's code, or 0 */
    int sys_errno;      /* why broken: the lower stream's errno, or 0 */
    bool mute;  /* the lower stream takes no more; what it sent can be read */
    bool stuck; /* OpenSSL holds half a record: nothing else may be written */

    /* what the BIO may do in this call, and what it has seen */
    hp_err *low; /* where the lower stream may complain */
    int looks;   /* reads of the lower stream that are left */
    bool corked; /* only what the lower stream has in memory */
    bool lower_eof, lower_failed;
    hp_tls_first first;

    char alpn[16];
    char name[]; /* of the server, without trailing dot and zone */
} tls_stream;

static tls_stream *
self(const hp_stream *st)
{
    return HP_CONTAINER(st, tls_stream, stream);
}

/* ---- the BIO ---- */

static void
keep_first(hp_tls_first *f, const char *p, size_t n)
{
    for (; n && f->len < sizeof f->bytes; n--)
        f->bytes[f->len++] = *p++;
}

/* The result of a lower call that moved nothing, in BIO's language. */
static int
bio_stalled(tls_stream *s, BIO *b, ssize_t r)
{
    if (r == HP_IO_WANT_READ)
        BIO_set_retry_read(b);
    else if (r == HP_IO_WANT_WRITE)
        BIO_set_retry_write(b);
    else if (r == 0 || r == HP_IO_TRUNCATED)
        s->lower_eof = true;
    else
        s->lower_failed = true;
    if (s->lower_failed)
        s->sys_errno = s->low->sys_errno;
    return r == 0 ? 0 : -1;
}

/* The lower stream may be TLS, which uses OpenSSL's list of errors for itself,
 * while those of the call that we are in wait there to be read: of a bad
 * certificate, say, about which an alert is sent. Set aside for so long. */
typedef struct errors {
    unsigned long codes[ERRORS_KEPT];
    int n;
} errors;

static void
set_aside(errors *e)
{
    unsigned long code;
    e->n = 0;
    while ((code = ERR_get_error()) != 0) {
        if (e->n < ERRORS_KEPT)
            e->codes[e->n++] = code;
    }
}

static void
put_back(const errors *e)
{
    for (int i = 0; i < e->n; i++)
        ERR_raise(ERR_GET_LIB(e->codes[i]), ERR_GET_REASON(e->codes[i]));
}

static bool
may_look(const tls_stream *s)
{
    return s->looks > 0 && (!s->corked || s->lower->ops->pending(s->lower));
}

static int
bio_read(BIO *b, char *buf, int n)
{
    tls_stream *s = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (n <= 0)
        return 0;
    if (!may_look(s))
        return bio_stalled(s, b, HP_IO_WANT_READ);
    errors mine;
    s->looks--;
    set_aside(&mine);
    ssize_t r = s->lower->ops->read(s->lower, buf, (size_t)n, s->low);
    put_back(&mine);
    if (r <= 0)
        return bio_stalled(s, b, r);
    keep_first(&s->first, buf, (size_t)r);
    return (int)r;
}

static int
bio_write(BIO *b, const char *buf, int n)
{
    tls_stream *s = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (n <= 0)
        return 0;
    errors mine;
    struct iovec v = {(char *)buf, (size_t)n};
    set_aside(&mine);
    ssize_t r = s->lower->ops->writev(s->lower, &v, 1, s->low);
    put_back(&mine);
    return r > 0 ? (int)r : bio_stalled(s, b, r);
}

static long
bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    tls_stream *s = BIO_get_data(b);
    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF: /* how OpenSSL tells a FIN from an error */
        return s->lower_eof;
    default:
        return 0;
    }
}

static BIO_METHOD *bio_method; /* lives as long as the process */
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static void
make_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
                                 "hpool stream");
    if (m == NULL)
        return;
    if (BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
        BIO_meth_set_ctrl(m, bio_ctrl))
        bio_method = m;
    else
        BIO_meth_free(m);
}

/* ---- results of OpenSSL calls ---- */

/* Before each call into OpenSSL, whose error queue belongs to the thread. */
static void
begin(tls_stream *s, hp_err *low)
{
    ERR_clear_error();
    hp_err_clear(low);
    s->low = low;
    s->looks = LOOKS_PER_CALL;
    s->corked = false;
    s->lower_failed = false;
}

/* Takes the error queue; libssl's own word in it before that of the algorithms
 * below. 0 when it is empty. */
static unsigned long
ssl_code(void)
{
    unsigned long first = ERR_peek_error(), e;
    do
        e = ERR_get_error();
    while (e && ERR_GET_LIB(e) != ERR_LIB_SSL);
    ERR_clear_error();
    return e ? e : first;
}

/* After a fatal alert, ours or the peer's (RFC 5246 7.2.2), and after a
 * handshake that failed: the next one is to be a full one. */
static void
distrust_sessions(tls_stream *s)
{
    if (s->sessions)
        hp_sessions_clear(s->sessions);
}

/* What a call that returned r <= 0 means: 0 for close_notify, or HP_IO_*. The
 * last two are remembered in `broken`. */
static int
verdict(tls_stream *s, int r)
{
    switch (SSL_get_error(s->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return HP_IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return HP_IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        break;
    }
    s->code = ssl_code();
    bool eof = s->code
                   ? hp_tls_code_is(s->code, SSL_R_UNEXPECTED_EOF_WHILE_READING)
                   : s->lower_eof && !s->lower_failed;
    s->broken = eof ? HP_IO_TRUNCATED : HP_IO_ERROR;
    if (s->code && !eof)
        distrust_sessions(s);
    return s->broken;
}

/* Puts what broke the stream into words: OpenSSL's reason before the lower
 * stream's, which may only tell that the alert about it could not be sent.
 * `low` is what the lower stream said in this call. Always HP_IO_ERROR. */
static int
complain(const tls_stream *s, hp_errc io, const char *doing, const hp_err *low,
         hp_err *err)
{
    if (s->code && ERR_GET_REASON(s->code) == ERR_R_MALLOC_FAILURE)
        hp_err_set(err, HP_E_NOMEM, "out of memory");
    else if (s->code)
        hp_err_set(err, HP_E_TLS, "TLS error while %s %s: %s", doing, s->name,
                   hp_tls_alert_words(s->code));
    else if (low->code && err && err->code == HP_OK)
        *err = *low;
    else if (s->sys_errno)
        hp_err_set_sys(err, io, s->sys_errno, "%s %s", doing, s->name);
    else
        hp_err_set(err, io, "%s %s: connection lost", doing, s->name);
    return HP_IO_ERROR;
}

static int
not_ready(const tls_stream *s, hp_err *err)
{
    hp_err_set(err, HP_E_TLS, "TLS handshake with %s is not complete", s->name);
    return HP_IO_ERROR;
}

/* ---- reading ---- */

static int
read_failed(tls_stream *s, int r, const hp_err *low, hp_err *err)
{
    if (r != HP_IO_ERROR)
        return r;
    return complain(s, HP_E_READ, "reading from", low, err);
}

/* Takes every record that is in memory, so that the caller need not ask twice
 * for a head and a body that came in one segment. What goes wrong behind bytes
 * that are good is told by the next call. */
static ssize_t
tls_read(hp_stream *st, void *buf, size_t n, hp_err *err)
{
    tls_stream *s = self(st);
    size_t got = 0, more;
    hp_err low;
    assert(n > 0);
    if (!s->ready)
        return not_ready(s, err);
    begin(s, &low);
    if (s->broken)
        return read_failed(s, s->broken, &low, err);
    while (got < n) {
        int r = SSL_read_ex(s->ssl, (char *)buf + got, n - got, &more);
        if (r <= 0) {
            int v = verdict(s, r);
            return got ? (ssize_t)got : read_failed(s, v, &low, err);
        }
        got += more;
        if (!SSL_has_pending(s->ssl))
            break;
        s->corked = true;
    }
    return (ssize_t)got;
}

/* 1 when there is a byte to read, else as verdict(). */
static int
peek(tls_stream *s, bool corked)
{
    char c;
    hp_err low;
    hp_tls_enter();
    begin(s, &low);
    s->corked = corked;
    int r = SSL_peek(s->ssl, &c, 1);
    r = r > 0 ? 1 : verdict(s, r);
    hp_tls_leave();
    return r;
}

/* Also true when read would report an end or an error at once: whoever polls
 * the socket for it would wait in vain. SSL_has_pending alone does not tell: it
 * counts half a record. */
static bool
tls_pending(const hp_stream *st)
{
    tls_stream *s = self(st);
    if (!s->ready)
        return false;
    if (s->broken || SSL_pending(s->ssl) > 0 ||
        SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN)
        return true;
    if (!SSL_has_pending(s->ssl) && !s->lower->ops->pending(s->lower))
        return false;
    int r = peek(s, true);
    return r != HP_IO_WANT_READ && r != HP_IO_WANT_WRITE;
}

/* Looks at the socket without OpenSSL, which costs a tenth of a peek through
 * all layers: -1 nothing there, 0 EOF or reset, 1 readable or unknown. */
static int
socket_state(const tls_stream *s)
{
    char c;
    ssize_t r;
    int fd = s->lower->ops->fd(s->lower);
    if (fd < 0)
        return 1;
    do
        r = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    if (r >= 0)
        return r > 0;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return -1;
    return errno == ENOTSOCK;
}

static hp_liveness
tls_liveness(hp_stream *st)
{
    tls_stream *s = self(st);
    if (!s->ready || s->broken || s->mute || s->stuck)
        return HP_DEAD_CLOSED;
    if (SSL_pending(s->ssl) > 0)
        return HP_DEAD_BYTES;
    int state = socket_state(s);
    if (state == 0)
        return HP_DEAD_CLOSED;
    if (state < 0 && !SSL_has_pending(s->ssl) &&
        !s->lower->ops->pending(s->lower))
        return SSL_get_shutdown(s->ssl) ? HP_DEAD_CLOSED : HP_ALIVE;
    switch (peek(s, state < 0)) {
    case 1:
        return HP_DEAD_BYTES;
    case HP_IO_WANT_READ: /* tickets and key updates come unasked */
    case HP_IO_WANT_WRITE:
        return HP_ALIVE;
    default:
        return HP_DEAD_CLOSED;
    }
}

/* ---- writing ---- */

/* The next record's bytes behind the first `skip`: in place when one vector
 * has them all, else gathered in `stage`. Its length is the lesser of what is
 * left and a full record whatever the vectors' shape, so that a caller who
 * repeats a call with the same bytes never offers OpenSSL fewer than before. */
static hp_span
next_piece(const struct iovec *iov, int n, size_t skip, char *stage)
{
    while (n && skip >= iov->iov_len) {
        skip -= iov->iov_len;
        iov++, n--;
    }
    size_t len = 0;
    for (; n && len < RECORD_MAX; iov++, n--, skip = 0) {
        const char *p = (const char *)iov->iov_base + skip;
        size_t have = iov->iov_len - skip, room = RECORD_MAX - len;
        if (len == 0 && (have >= RECORD_MAX || n == 1))
            return hp_span_of(p, have < room ? have : room);
        have = have < room ? have : room;
        memcpy(stage + len, p, have);
        len += have;
    }
    return hp_span_of(stage, len);
}

/* A lower stream that takes nothing more may still hold the answer that says
 * why, so that reading goes on; anything else breaks the stream. */
static int
write_failed(tls_stream *s, int r)
{
    int v = verdict(s, r);
    s->stuck = v == HP_IO_WANT_READ || v == HP_IO_WANT_WRITE;
    if (s->stuck)
        return v;
    s->mute = true;
    if (v == HP_IO_ERROR && s->lower_failed && s->code == 0)
        s->broken = 0;
    return HP_IO_ERROR;
}

static ssize_t
tls_writev(hp_stream *st, const struct iovec *iov, int n, hp_err *err)
{
    tls_stream *s = self(st);
    char stage[RECORD_MAX];
    size_t done = 0, taken;
    hp_err low;
    if (!s->ready)
        return not_ready(s, err);
    begin(s, &low);
    if (s->broken || s->mute)
        return complain(s, HP_E_WRITE, "writing to", &low, err);
    for (int i = 0; i < RECORDS_PER_CALL; i++) {
        hp_span piece = next_piece(iov, n, done, stage);
        if (piece.len == 0)
            break;
        int r = SSL_write_ex(s->ssl, piece.ptr, piece.len, &taken);
        if (r <= 0) {
            int v = write_failed(s, r);
            if (done || v != HP_IO_ERROR)
                return done ? (ssize_t)done : v;
            return complain(s, HP_E_WRITE, "writing to", &low, err);
        }
        s->stuck = false;
        done += taken;
    }
    return (ssize_t)done;
}

/* ---- handshake ---- */

/* TLS 1.3 brings tickets after the handshake, TLS 1.2 within it, before we have
 * checked anything: keep_session() fetches that one. Put makes a copy, so
 * OpenSSL keeps its reference (0). */
int
hp_tls_new_session(SSL *ssl, SSL_SESSION *session)
{
    tls_stream *s = SSL_get_app_data(ssl);
    if (s->sessions && s->ready)
        hp_sessions_put(s->sessions, session);
    return 0;
}

/* Also a resumed session, which was taken out of the store: TLS 1.2 allows to
 * use it again. A ticket of TLS 1.3 serves once, or others could tell that the
 * connections are of one client (RFC 8446 C.4). */
static void
keep_session(tls_stream *s)
{
    if (s->sessions && SSL_version(s->ssl) < TLS1_3_VERSION)
        hp_sessions_put(s->sessions, SSL_get_session(s->ssl));
}

static int
check_alpn(tls_stream *s, hp_err *err)
{
    const unsigned char *p;
    unsigned n;
    SSL_get0_alpn_selected(s->ssl, &p, &n);
    if (n == 0)
        return 0;
    hp_span got = hp_span_of((const char *)p, n);
    if (!hp_span_eq(got, HP_SPAN_LIT("http/1.1")))
        return hp_err_set(err, HP_E_TLS,
                          "%s chose a protocol that was not offered (ALPN; "
                          "only http/1.1 is spoken here)",
                          s->name);
    memcpy(s->alpn, got.ptr, got.len);
    return 0;
}

/* OpenSSL has verified chain and name by now; for a resumed session it tells
 * what it found when that was made. It calls a connection without any
 * certificate verified, too: the user's cipher list may have let anonymous ones
 * in. */
static int
finish_handshake(tls_stream *s, hp_err *err)
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
        distrust_sessions(s);
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
handshake_failed(tls_stream *s)
{
    bool alert = ERR_GET_LIB(s->code) == ERR_LIB_SSL &&
                 ERR_GET_REASON(s->code) > SSL_AD_REASON_OFFSET;
    if (s->offered && alert)
        hp_sessions_stop(s->sessions);
    else
        distrust_sessions(s);
}

static int
tls_handshake(hp_stream *st, hp_err *err)
{
    tls_stream *s = self(st);
    hp_err low;
    if (s->ready)
        return 0;
    begin(s, &low);
    if (s->broken == 0) {
        int r = SSL_do_handshake(s->ssl);
        if (r == 1)
            return finish_handshake(s, err);
        r = verdict(s, r);
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
                        .sys_errno = s->sys_errno,
                        .lower = &low,
                        .first = &s->first};
    hp_tls_explain(&f, err);
    return HP_IO_ERROR;
}

/* ---- the rest of the vtable ---- */

static int
tls_fd(const hp_stream *st)
{
    const tls_stream *s = self(st);
    return s->lower->ops->fd(s->lower);
}

/* close_notify, if the connection is in a state to say it. */
static void
tls_shutdown(hp_stream *st)
{
    tls_stream *s = self(st);
    if (s->ready && !s->broken && !s->mute && !s->stuck) {
        hp_err low;
        hp_tls_enter();
        begin(s, &low);
        SSL_shutdown(s->ssl);
        ERR_clear_error();
        hp_tls_leave();
    }
}

static void
tls_close(hp_stream *st, bool polite)
{
    tls_stream *s = self(st);
    hp_tls_enter();
    if (polite)
        tls_shutdown(st);
    SSL_free(s->ssl);
    ERR_clear_error();
    hp_sessions_unref(s->sessions);
    hp_tls_leave();
    s->lower->ops->close(s->lower, polite);
    hp_tls_unref(s->tls);
    hp_free(s);
}

static ssize_t
gated_read(hp_stream *st, void *buf, size_t n, hp_err *err)
{
    hp_tls_enter();
    ssize_t r = tls_read(st, buf, n, err);
    hp_tls_leave();
    return r;
}

static ssize_t
gated_writev(hp_stream *st, const struct iovec *iov, int n, hp_err *err)
{
    hp_tls_enter();
    ssize_t r = tls_writev(st, iov, n, err);
    hp_tls_leave();
    return r;
}

static int
gated_handshake(hp_stream *st, hp_err *err)
{
    hp_tls_enter();
    int r = tls_handshake(st, err);
    hp_tls_leave();
    return r;
}

static const hp_stream_ops tls_ops = {.read = gated_read,
                                      .writev = gated_writev,
                                      .handshake = gated_handshake,
                                      .liveness = tls_liveness,
                                      .pending = tls_pending,
                                      .fd = tls_fd,
                                      .shutdown = tls_shutdown,
                                      .close = tls_close};

void
hp_tls_stream_info(const hp_stream *st, hp_tls_info *out)
{
    const tls_stream *s = self(st);
    assert(st->ops == &tls_ops);
    out->version = SSL_get_version(s->ssl);
    out->cipher = SSL_get_cipher_name(s->ssl);
    out->alpn = s->alpn;
    out->resumed = SSL_session_reused(s->ssl);
}

/* ---- birth ---- */

static int
set_up(tls_stream *s, SSL_CTX *ctx)
{
    pthread_once(&bio_once, make_bio_method);
    s->ssl = SSL_new(ctx);
    BIO *bio = s->ssl && bio_method ? BIO_new(bio_method) : NULL;
    if (bio == NULL)
        return -1;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_connect_state(s->ssl);
    SSL_set_app_data(s->ssl, s);
    return hp_tls_set_name(s->ssl, s->name);
}

static hp_stream *
stream_new(hp_tls *t, hp_stream *lower, const char *server_name, hp_err *err)
{
    hp_span name = hp_tls_bare_name(server_name);
    if (name.len == 0) {
        hp_err_set(err, HP_E_TLS_CONFIG, "'%.300s' is no TLS server name",
                   server_name);
        return NULL;
    }
    SSL_CTX *ctx = hp_tls_context(t, err);
    if (ctx == NULL)
        return NULL;
    tls_stream *s = hp_calloc(sizeof *s + name.len + 1);
    if (s == NULL) {
        hp_err_set(err, HP_E_NOMEM, "out of memory");
        return NULL;
    }
    memcpy(s->name, name.ptr, name.len);
    s->stream.ops = &tls_ops;
    s->lower = lower;
    int rc = set_up(s, ctx);
    ERR_clear_error();
    if (rc != 0) {
        hp_err_set(err, HP_E_NOMEM, "out of memory");
        SSL_free(s->ssl);
        hp_free(s);
        return NULL;
    }
    s->tls = hp_tls_ref(t);
    return &s->stream;
}

hp_stream *
hp_tls_stream_new(hp_tls *t, hp_stream *lower, const char *server_name,
                  hp_err *err)
{
    hp_tls_enter();
    hp_stream *st = stream_new(t, lower, server_name, err);
    hp_tls_leave();
    return st;
}

/* A session that cannot be set makes a full handshake, no error. */
void
hp_tls_stream_resume(hp_stream *st, hp_sessions *sessions)
{
    tls_stream *s = self(st);
    assert(st->ops == &tls_ops && s->sessions == NULL && !s->ready);
    s->sessions = hp_sessions_ref(sessions);
    hp_tls_enter();
    SSL_SESSION *session = hp_sessions_take(sessions);
    if (session) {
        s->offered = SSL_set_session(s->ssl, session) == 1;
        ERR_clear_error();
        SSL_SESSION_free(session);
    }
    hp_tls_leave();
}
