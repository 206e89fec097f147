/* tls_stream: TLS as a stream over another stream.
 *
 * OpenSSL reads and writes through a BIO of ours (tls_bio.h), which calls the
 * lower stream; so sends follow the lower stream's rules (no SIGPIPE), and the
 * lower stream may itself be TLS. An SSL object has one user at a time, like
 * every stream; nothing here locks. OpenSSL does: what goes into it passes its
 * gate (tls_gate.h).
 *
 * OpenSSL forgets why it failed: after a fatal error a second SSL_read reports
 * something else. The first verdict is therefore kept (`broken`, `code`) and
 * repeated, and a broken SSL is never asked to say goodbye.
 */
#include "net/tls_stream_impl.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "net/tls_gate.h"

enum {
    RECORD_MAX = 16384,   /* RFC 8446 5.1 */
    RECORDS_PER_CALL = 16 /* a fast reader must not keep a writer for ever */
};

/* ---- results of OpenSSL calls ---- */

void
hp_tls_stream_begin(hp_tls_stream *s, hp_err *low)
{
    if (ERR_peek_error()) /* clearing an empty queue is dear */
        ERR_clear_error();
    hp_tls_bio_begin(&s->bio, low);
}

void
hp_tls_distrust_sessions(hp_tls_stream *s)
{
    if (s->sessions)
        hp_sessions_clear(s->sessions);
}

int
hp_tls_stream_verdict(hp_tls_stream *s, int r)
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
    s->code = hp_tls_take_code(ERR_LIB_SSL);
    bool eof = s->code
                   ? hp_tls_code_is(s->code, SSL_R_UNEXPECTED_EOF_WHILE_READING)
                   : s->bio.eof && !s->bio.failed;
    s->broken = eof ? HP_IO_TRUNCATED : HP_IO_ERROR;
    if (s->code && !eof)
        hp_tls_distrust_sessions(s);
    return s->broken;
}

/* Puts what broke the stream into words: OpenSSL's reason before the lower
 * stream's, which may only tell that the alert about it could not be sent.
 * `low` is what the lower stream said in this call. Always HP_IO_ERROR. */
static int
complain(const hp_tls_stream *s, hp_errc io, const char *doing,
         const hp_err *low, hp_err *err)
{
    if (hp_tls_is_no_memory(s->code))
        hp_err_set(err, HP_E_NOMEM, "out of memory");
    else if (s->code)
        hp_err_set(err, HP_E_TLS, "TLS error while %s %s: %s", doing, s->name,
                   hp_tls_alert_words(s->code));
    else if (low->code && err && err->code == HP_OK)
        *err = *low;
    else if (s->bio.sys_errno)
        hp_err_set_sys(err, io, s->bio.sys_errno, "%s %s", doing, s->name);
    else
        hp_err_set(err, io, "%s %s: connection lost", doing, s->name);
    return HP_IO_ERROR;
}

static int
not_ready(const hp_tls_stream *s, hp_err *err)
{
    hp_err_set(err, HP_E_TLS, "TLS handshake with %s is not complete", s->name);
    return HP_IO_ERROR;
}

/* ---- reading ---- */

static int
read_failed(hp_tls_stream *s, int r, const hp_err *low, hp_err *err)
{
    if (r != HP_IO_ERROR)
        return r;
    return complain(s, HP_E_READ, "reading from", low, err);
}

/* Takes every record that is in memory, so that the caller need not ask twice
 * for a head and a body that came in one segment. What goes wrong behind bytes
 * that are good is told by the next call. */
static ssize_t
tls_read(hp_stream *st, void *buf, size_t n, bool patient, hp_err *err)
{
    hp_tls_stream *s = hp_tls_stream_of(st);
    size_t got = 0, more;
    hp_err low;
    assert(n > 0);
    if (!s->ready)
        return not_ready(s, err);
    hp_tls_stream_begin(s, &low);
    if (s->broken)
        return read_failed(s, s->broken, &low, err);
    s->bio.patient = patient;
    while (got < n) {
        int r = SSL_read_ex(s->ssl, (char *)buf + got, n - got, &more);
        if (r <= 0) {
            int v = hp_tls_stream_verdict(s, r);
            return got ? (ssize_t)got : read_failed(s, v, &low, err);
        }
        got += more;
        if (!SSL_has_pending(s->ssl))
            break;
        s->bio.corked = true;
    }
    return (ssize_t)got;
}

/* 1 when there is a byte to read, else as hp_tls_stream_verdict(). */
static int
peek(hp_tls_stream *s, bool corked)
{
    char c;
    hp_err low;
    hp_tls_enter();
    hp_tls_stream_begin(s, &low);
    s->bio.corked = corked;
    int r = SSL_peek(s->ssl, &c, 1);
    r = r > 0 ? 1 : hp_tls_stream_verdict(s, r);
    hp_tls_leave();
    return r;
}

/* Also true when read would report an end or an error at once: whoever polls
 * the socket for it would wait in vain. SSL_has_pending alone does not tell: it
 * counts half a record. */
static bool
tls_pending(const hp_stream *st)
{
    hp_tls_stream *s = hp_tls_stream_of(st);
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
socket_state(const hp_tls_stream *s)
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
    hp_tls_stream *s = hp_tls_stream_of(st);
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
write_failed(hp_tls_stream *s, int r)
{
    int v = hp_tls_stream_verdict(s, r);
    s->stuck = v == HP_IO_WANT_READ || v == HP_IO_WANT_WRITE;
    if (s->stuck)
        return v;
    s->mute = true;
    if (v == HP_IO_ERROR && s->bio.failed && s->code == 0)
        s->broken = 0;
    return HP_IO_ERROR;
}

static ssize_t
tls_writev(hp_stream *st, const struct iovec *iov, int n, hp_err *err)
{
    hp_tls_stream *s = hp_tls_stream_of(st);
    char stage[RECORD_MAX];
    size_t done = 0, taken;
    hp_err low;
    if (!s->ready)
        return not_ready(s, err);
    hp_tls_stream_begin(s, &low);
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

/* ---- the rest of the vtable ---- */

static int
tls_fd(const hp_stream *st)
{
    const hp_tls_stream *s = hp_tls_stream_of(st);
    return s->lower->ops->fd(s->lower);
}

/* close_notify, if the connection is in a state to say it. */
static void
tls_shutdown(hp_stream *st)
{
    hp_tls_stream *s = hp_tls_stream_of(st);
    if (s->ready && !s->broken && !s->mute && !s->stuck) {
        hp_err low;
        hp_tls_enter();
        hp_tls_stream_begin(s, &low);
        SSL_shutdown(s->ssl);
        ERR_clear_error();
        hp_tls_leave();
    }
}

static void
tls_close(hp_stream *st, bool polite)
{
    hp_tls_stream *s = hp_tls_stream_of(st);
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
    ssize_t r = tls_read(st, buf, n, false, err);
    hp_tls_leave();
    return r;
}

static ssize_t
gated_read_patiently(hp_stream *st, void *buf, size_t n, hp_err *err)
{
    const hp_stream *lower = hp_tls_stream_of(st)->lower;
    hp_tls_enter();
    ssize_t r = tls_read(st, buf, n, lower->ops->read_patiently != NULL, err);
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
    int r = hp_tls_handshake(st, err);
    hp_tls_leave();
    return r;
}

static const hp_stream_ops tls_ops = {.read = gated_read,
                                      .read_patiently = gated_read_patiently,
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
    const hp_tls_stream *s = hp_tls_stream_of(st);
    assert(st->ops == &tls_ops);
    out->version = SSL_get_version(s->ssl);
    out->cipher = SSL_get_cipher_name(s->ssl);
    out->alpn = s->alpn;
    out->resumed = SSL_session_reused(s->ssl);
}

/* ---- birth ---- */

static int
set_up(hp_tls_stream *s, SSL_CTX *ctx)
{
    s->bio.lower = s->lower;
    s->ssl = SSL_new(ctx);
    BIO *bio = s->ssl ? hp_tls_bio_new(&s->bio) : NULL;
    if (bio == NULL)
        return -1;
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_connect_state(s->ssl);
    if (SSL_set_app_data(s->ssl, s) != 1)
        return -1;
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
    hp_tls_stream *s = hp_calloc(sizeof *s + name.len + 1);
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
    hp_tls_stream *s = hp_tls_stream_of(st);
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
