/* Real TLS against an OpenSSL server. Where order matters the server's end is
 * turned by the test's own thread (the socket pair is non-blocking, and what
 * one end has written the other can read at once); where it does not, servers
 * are threads. The stream below TLS is plain, with a tap to make it awkward. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/list.h"
#include "base/mem.h"
#include "net/tls_gate.h"
#include "net/tls_stream_impl.h"
#include "test.h"
#include "tls_certs.h"

static cert ca, stranger;
static char ca_path[128];

/* ---- the lower stream ---- */

typedef struct tap {
    hp_stream stream;
    hp_stream *plain;
    size_t read_max, write_max; /* 0: no limit */
    bool stutter;               /* every other call moves nothing */
    bool write_blocked;
    int fail_read, fail_write; /* errno */
    int reads, patient_reads, writes, calls;
    void (*meanwhile)(void *arg); /* while a patient read waits */
    void *arg;
    bool *closed, *polite;
} tap;

static tap *
tap_of(const hp_stream *s)
{
    return HP_CONTAINER(s, tap, stream);
}

static ssize_t
tap_read(hp_stream *s, void *buf, size_t n, hp_err *err)
{
    tap *t = tap_of(s);
    t->reads++;
    if (t->fail_read) {
        hp_err_set_sys(err, HP_E_READ, t->fail_read, "tap");
        return HP_IO_ERROR;
    }
    if (t->stutter && t->calls++ % 2)
        return HP_IO_WANT_READ;
    if (t->read_max && n > t->read_max)
        n = t->read_max;
    return t->plain->ops->read(t->plain, buf, n, err);
}

static ssize_t
tap_read_patiently(hp_stream *s, void *buf, size_t n, hp_err *err)
{
    tap *t = tap_of(s);
    t->patient_reads++;
    CHECK_INT(hp_tls_gate_inside(), 0); /* a fork need not wait */
    if (t->meanwhile)
        t->meanwhile(t->arg);
    return tap_read(s, buf, n, err);
}

static ssize_t
tap_writev(hp_stream *s, const struct iovec *iov, int n, hp_err *err)
{
    tap *t = tap_of(s);
    struct iovec v = iov[0];
    CHECK_INT(n, 1);
    t->writes++;
    if (t->fail_write) {
        hp_err_set_sys(err, HP_E_WRITE, t->fail_write, "tap");
        return HP_IO_ERROR;
    }
    if (t->write_blocked || (t->stutter && t->calls++ % 2))
        return HP_IO_WANT_WRITE;
    if (t->write_max && v.iov_len > t->write_max)
        v.iov_len = t->write_max;
    return t->plain->ops->writev(t->plain, &v, 1, err);
}

static int
tap_handshake(hp_stream *s, hp_err *err)
{
    return 0;
}

static hp_liveness
tap_liveness(hp_stream *s)
{
    return HP_ALIVE;
}

static bool
tap_pending(const hp_stream *s)
{
    return false;
}

static int
tap_fd(const hp_stream *s)
{
    return tap_of(s)->plain->ops->fd(tap_of(s)->plain);
}

static void
tap_close(hp_stream *s, bool polite)
{
    tap *t = tap_of(s);
    t->plain->ops->close(t->plain, polite);
    hp_free(t);
}

static const hp_stream_ops tap_ops = {.read = tap_read,
                                      .read_patiently = tap_read_patiently,
                                      .writev = tap_writev,
                                      .handshake = tap_handshake,
                                      .liveness = tap_liveness,
                                      .pending = tap_pending,
                                      .fd = tap_fd,
                                      .close = tap_close};

static hp_stream *
tap_new(int fd)
{
    tap *t = hp_calloc(sizeof *t);
    CHECK(t);
    t->stream.ops = &tap_ops;
    t->plain = hp_plain_stream_new(fd);
    CHECK(t->plain);
    return &t->stream;
}

/* ---- both ends ---- */

typedef struct server_spec {
    const char *san, *cn;
    const cert *issuer; /* NULL: `ca` */
    bool self_signed, ask_cert, h2, no_alpn;
    const char *offered; /* NULL: http/1.1 */
    long to;             /* expiry */
    int min, max;        /* TLS versions */
    const char *ciphers;
} server_spec;

typedef struct pair {
    hp_tls *tls;
    hp_stream *client;
    tap *tap;
    SSL_CTX *server_ctx;
    SSL *server;
    int server_fd;
    unsigned char fingerprint[32];
} pair;

static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
            const unsigned char *in, unsigned in_len, void *arg)
{
    const server_spec *s = arg;
    const char *offered = s->offered ? s->offered : "\x08http/1.1";
    const char *chosen = s->h2 ? "h2" : "http/1.1";
    CHECK(in_len == strlen(offered) && memcmp(in, offered, in_len) == 0);
    *out = (const unsigned char *)chosen;
    *out_len = (unsigned char)strlen(chosen);
    return SSL_TLSEXT_ERR_OK;
}

/* One for all, which lives as long as any context. */
static server_spec *
alpn_of(server_spec s)
{
    static server_spec kept;
    kept = s;
    return &kept;
}

static int
accept_any(int ok, X509_STORE_CTX *ctx)
{
    return 1;
}

static SSL_CTX *
server_ctx_new(server_spec s, unsigned char fingerprint[32])
{
    cert leaf =
        cert_make((cert_spec){.cn = s.cn ? s.cn : "leaf",
                              .san = s.san  ? s.san
                                     : s.cn ? NULL
                                            : "DNS:example.test,IP:127.0.0.1",
                              .issuer = s.self_signed ? NULL
                                        : s.issuer    ? s.issuer
                                                      : &ca,
                              .to = s.to,
                              .from = s.to < 0 ? s.to - 86400 : 0});
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    CHECK(SSL_CTX_use_certificate(ctx, leaf.x) == 1);
    CHECK(SSL_CTX_use_PrivateKey(ctx, leaf.key) == 1);
    if (s.min)
        SSL_CTX_set_min_proto_version(ctx, s.min);
    SSL_CTX_set_max_proto_version(ctx, s.max);
    if (s.ciphers)
        CHECK(SSL_CTX_set_cipher_list(ctx, s.ciphers) == 1);
    if (!s.no_alpn)
        SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, alpn_of(s));
    if (s.ask_cert)
        SSL_CTX_set_verify(
            ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
    if (fingerprint)
        CHECK(X509_digest(leaf.x, EVP_sha256(), fingerprint, NULL) == 1);
    cert_free(&leaf);
    return ctx;
}

static void
socket_pair(int fd[2], bool server_blocks)
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    CHECK(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(server_blocks || fcntl(fd[1], F_SETFL, O_NONBLOCK) == 0);
}

static hp_tls_config
trusting(void)
{
    return (hp_tls_config){.verify = true, .ca_file = ca_path};
}

static hp_tls *
setting(const hp_tls_config *c)
{
    hp_err err;
    hp_err_clear(&err);
    hp_tls *t = hp_tls_get(c, &err);
    if (t == NULL)
        fprintf(stderr, "%s\n", err.text);
    CHECK(t);
    return t;
}

/* A client that has not begun its handshake, and its server. */
static pair
pair_new(server_spec spec, const hp_tls_config *config, const char *name)
{
    pair p = {0};
    int fd[2];
    hp_err err;
    hp_err_clear(&err);
    hp_tls_config plain = trusting();
    socket_pair(fd, false);
    p.server_ctx = server_ctx_new(spec, p.fingerprint);
    p.server = SSL_new(p.server_ctx);
    p.server_fd = fd[1];
    SSL_set_fd(p.server, fd[1]);
    SSL_set_accept_state(p.server);
    p.tls = setting(config ? config : &plain);
    hp_stream *lower = tap_new(fd[0]);
    p.tap = tap_of(lower);
    p.client =
        hp_tls_stream_new(p.tls, lower, name ? name : "example.test", &err);
    if (p.client == NULL)
        fprintf(stderr, "%s\n", err.text);
    CHECK(p.client);
    CHECK_INT(p.client->ops->fd(p.client), fd[0]);
    return p;
}

static bool
wants(ssize_t r)
{
    return r == HP_IO_WANT_READ || r == HP_IO_WANT_WRITE;
}

/* Both ends in turn until the client has its result and the server is done or
 * has failed. */
static int
shake(pair *p, hp_err *err)
{
    int r, n = 0;
    hp_err_clear(err);
    do {
        CHECK(n++ < 100000);
        r = p->client->ops->handshake(p->client, err);
        CHECK(r == 0 || wants(r) || r == HP_IO_ERROR);
        CHECK((r == HP_IO_ERROR) == (err->code != HP_OK));
        SSL_do_handshake(p->server);
        ERR_clear_error();
    } while (wants(r));
    for (int i = 0; r == 0 && i < 100; i++)
        SSL_do_handshake(p->server); /* it may have to read Finished */
    ERR_clear_error();
    return r;
}

static pair
connected(server_spec spec, const hp_tls_config *config, const char *name)
{
    hp_err err;
    pair p = pair_new(spec, config, name);
    int r = shake(&p, &err);
    if (r != 0)
        fprintf(stderr, "%s\n", err.text);
    CHECK_INT(r, 0);
    CHECK(SSL_is_init_finished(p.server));
    CHECK_INT(p.client->ops->handshake(p.client, &err), 0);
    return p;
}

static void
server_gone(pair *p)
{
    SSL_free(p->server);
    SSL_CTX_free(p->server_ctx);
    p->server = NULL;
    p->server_ctx = NULL;
    if (p->server_fd >= 0)
        close(p->server_fd);
    p->server_fd = -1;
}

static void
pair_free(pair *p)
{
    if (p->client)
        p->client->ops->close(p->client, false);
    server_gone(p);
    hp_tls_unref(p->tls);
}

static ssize_t
client_read(pair *p, char *buf, size_t n)
{
    hp_err err;
    hp_err_clear(&err);
    ssize_t r = p->client->ops->read(p->client, buf, n, &err);
    CHECK((r == HP_IO_ERROR) == (err.code != HP_OK));
    return r;
}

static ssize_t
client_write(pair *p, const char *a, size_t a_len, const char *b, size_t b_len)
{
    hp_err err;
    hp_err_clear(&err);
    struct iovec v[2] = {{(char *)a, a_len}, {(char *)b, b_len}};
    ssize_t r = p->client->ops->writev(p->client, v, b ? 2 : 1, &err);
    CHECK((r == HP_IO_ERROR) == (err.code != HP_OK));
    return r;
}

static void
server_write(pair *p, const char *text)
{
    int n = (int)strlen(text);
    CHECK_INT(SSL_write(p->server, text, n), n);
}

static hp_liveness
alive(pair *p)
{
    return p->client->ops->liveness(p->client);
}

static bool
pending(pair *p)
{
    return p->client->ops->pending(p->client);
}

/* ---- handshake ---- */

static void
a_request_and_an_answer(void)
{
    char buf[100];
    hp_tls_info info;
    pair p = connected((server_spec){0}, NULL, "example.test.");
    hp_tls_stream_info(p.client, &info);
    CHECK_STR(info.version, "TLSv1.3");
    CHECK_STR(info.alpn, "http/1.1");
    CHECK(strstr(info.cipher, "TLS_") && !info.resumed);
    CHECK_STR(SSL_get_servername(p.server, TLSEXT_NAMETYPE_host_name),
              "example.test");
    int before = p.tap->writes;
    CHECK_INT(client_write(&p, "head", 4, "body", 4), 8);
    CHECK_INT(p.tap->writes, before + 1);
    CHECK_INT(SSL_read(p.server, buf, sizeof buf), 8); /* one record */
    CHECK(memcmp(buf, "headbody", 8) == 0);
    CHECK_INT(client_read(&p, buf, sizeof buf), HP_IO_WANT_READ);
    server_write(&p, "answer");
    CHECK_INT(client_read(&p, buf, sizeof buf), 6);
    CHECK(memcmp(buf, "answer", 6) == 0);
    CHECK(!pending(&p));
    CHECK_INT(alive(&p), HP_ALIVE);
    pair_free(&p);
}

/* The handshake fails, and the text has both words. */
static void
fails(server_spec spec, const hp_tls_config *config, const char *name,
      const char *a, const char *b)
{
    hp_err err;
    pair p = pair_new(spec, config, name);
    CHECK_INT(shake(&p, &err), HP_IO_ERROR);
    if (!strstr(err.text, a) || !strstr(err.text, b))
        fprintf(stderr, "text: %s\n", err.text);
    CHECK_INT(err.code, HP_E_TLS);
    CHECK(strstr(err.text, a) && strstr(err.text, b));
    char c;
    CHECK_INT(client_read(&p, &c, 1), HP_IO_ERROR);
    CHECK_INT(client_write(&p, "x", 1, NULL, 0), HP_IO_ERROR);
    CHECK_INT(alive(&p), HP_DEAD_CLOSED);
    hp_err again; /* a second call gives the same verdict */
    hp_err_clear(&again);
    CHECK_INT(p.client->ops->handshake(p.client, &again), HP_IO_ERROR);
    CHECK_INT(again.code, HP_E_TLS);
    pair_free(&p);
}

static void
passes(server_spec spec, const hp_tls_config *config, const char *name)
{
    pair p = connected(spec, config, name);
    pair_free(&p);
}

static void
whom_to_trust(void)
{
    hp_tls_config none = {.verify = false};
    server_spec self = {.self_signed = true}, foreign = {.issuer = &stranger};
    server_spec old = {.to = -60};
    fails(self, NULL, NULL, "certificate verify failed for example.test: self",
          "pass verify='/path/to/ca.pem'");
    fails(foreign, NULL, NULL, "unable to get local issuer", "pass verify=");
    fails(old, NULL, NULL, "example.test", "certificate has expired");
    passes(self, &none, NULL);
    passes(foreign, &none, NULL);
    passes(old, &none, "other.test");
}

static void
names_of_the_certificate(void)
{
    server_spec many = {.san = "DNS:a.test,DNS:b.test,email:x@y.test,"
                               "DNS:c.test,DNS:d.test"};
    server_spec wild = {.san = "DNS:*.example.test"};
    server_spec partial = {.san = "DNS:w*.example.test"};
    server_spec cn = {.cn = "example.test"};
    server_spec mail = {.cn = "example.test", .san = "email:a@example.test"};
    fails(many, NULL, NULL, "for example.test: the certificate is for a.test, ",
          "b.test, c.test and 1 more");
    fails(cn, NULL, NULL, "example.test", "no subject alternative name");
    fails(mail, NULL, NULL, "example.test", "no subject alternative name");
    fails(wild, NULL, "example.test", "*.example.test", "");
    fails(wild, NULL, "a.b.example.test", "*.example.test", "");
    fails(partial, NULL, "www.example.test", "w*.example.test", "");
    passes(wild, NULL, "www.example.test");
    passes(wild, NULL, "WWW.Example.TEST.");
    passes(many, NULL, "d.test");
}

static void
addresses(void)
{
    server_spec both = {.san = "IP:127.0.0.1,IP:fe80::1"};
    server_spec text = {.san = "DNS:127.0.0.1", .cn = "127.0.0.1"};
    fails(both, NULL, "127.0.0.2", "for 127.0.0.2", "127.0.0.1, fe80::1");
    fails(text, NULL, "127.0.0.1", "for 127.0.0.1", "");
    fails((server_spec){.san = "DNS:a.test"}, NULL, "::1", "for ::1", "a.test");
    pair p = connected(both, NULL, "127.0.0.1");
    CHECK(SSL_get_servername(p.server, TLSEXT_NAMETYPE_host_name) == NULL);
    pair_free(&p);
    p = connected(both, NULL, "fe80::1%eth0");
    CHECK(SSL_get_servername(p.server, TLSEXT_NAMETYPE_host_name) == NULL);
    pair_free(&p);
}

static void
names_that_must_not_be_used(void)
{
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *bad[] = {
        "", ".", ".example.test", "a..test", "example.test..", longest};
    hp_tls_config c = trusting();
    hp_tls *t = setting(&c);
    int fd[2];
    socket_pair(fd, false);
    hp_stream *lower = tap_new(fd[0]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hp_err err;
        hp_err_clear(&err);
        CHECK(hp_tls_stream_new(t, lower, bad[i], &err) == NULL);
        CHECK_INT(err.code, HP_E_TLS_CONFIG);
    }
    lower->ops->close(lower, false);
    close(fd[1]);
    hp_tls_unref(t);
}

static void
fingerprints(void)
{
    hp_err err;
    server_spec self = {.self_signed = true};
    hp_tls_config c = {.has_fingerprint = true};
    fails(self, &c, NULL, "fingerprint", "not the one given");
    pair p = pair_new(self, &c, NULL);
    hp_tls_unref(p.tls); /* the server's is known only now */
    memcpy(c.fingerprint, p.fingerprint, 32);
    p.tls = setting(&c);
    hp_stream *lower = tap_new(dup(p.tap->stream.ops->fd(&p.tap->stream)));
    p.client->ops->close(p.client, false);
    p.client = hp_tls_stream_new(p.tls, lower, "example.test", &err);
    p.tap = tap_of(lower);
    CHECK_INT(shake(&p, &err), 0);
    pair_free(&p);
}

static void
protocols_and_versions(void)
{
    hp_tls_info info;
    server_spec h2 = {.h2 = true}, none = {.no_alpn = true};
    server_spec v11 = {.min = TLS1_VERSION,
                       .max = TLS1_1_VERSION,
                       .ciphers = "ALL:@SECLEVEL=0"};
    server_spec v13 = {.min = TLS1_3_VERSION};
    hp_tls_config c = trusting();
    fails(h2, NULL, NULL, "example.test", "");
    h2.offered = c.alpn = "\x02h2\x08http/1.1";
    fails(h2, &c, NULL, "example.test chose the protocol 'h2' (ALPN)",
          "only http/1.1 is spoken here");
    pair p = connected((server_spec){.offered = c.alpn}, &c, NULL);
    hp_tls_stream_info(p.client, &info);
    CHECK_STR(info.alpn, "http/1.1");
    pair_free(&p);
    c.alpn = ""; /* then nobody is asked to choose */
    p = connected((server_spec){.offered = "nothing"}, &c, NULL);
    hp_tls_stream_info(p.client, &info);
    CHECK_STR(info.alpn, "");
    pair_free(&p);
    c.alpn = NULL;
    fails(v11, NULL, NULL, "TLS handshake with example.test failed", "version");
    p = connected(none, NULL, NULL);
    hp_tls_stream_info(p.client, &info);
    CHECK_STR(info.alpn, "");
    pair_free(&p);
    c.max_version = 0x0303;
    fails(v13, &c, NULL, "TLS handshake with example.test failed", "version");
    p = connected((server_spec){0}, &c, NULL);
    hp_tls_stream_info(p.client, &info);
    CHECK_STR(info.version, "TLSv1.2");
    pair_free(&p);
}

static void
no_certificate_at_all(void)
{
    server_spec anonymous = {.max = TLS1_2_VERSION,
                             .ciphers = "aNULL:@SECLEVEL=0"};
    hp_tls_config c = trusting();
    c.ciphers = "ALL:@SECLEVEL=0";
    fails(anonymous, &c, NULL, "certificate verify failed", "no valid cert");
}

/* The peer answers the client's first flight with `answer` and closes. */
static void
answered(const char *answer, const char *words)
{
    hp_err err;
    char buf[4096];
    pair p = pair_new((server_spec){0}, NULL, NULL);
    hp_err_clear(&err);
    CHECK_INT(p.client->ops->handshake(p.client, &err), HP_IO_WANT_READ);
    CHECK(read(p.server_fd, buf, sizeof buf) > 0);
    CHECK(write(p.server_fd, answer, strlen(answer)) ==
          (ssize_t)strlen(answer));
    server_gone(&p);
    CHECK_INT(p.client->ops->handshake(p.client, &err), HP_IO_ERROR);
    if (!strstr(err.text, words))
        fprintf(stderr, "text: %s\n", err.text);
    CHECK_INT(err.code, HP_E_TLS);
    CHECK(strstr(err.text, words));
    pair_free(&p);
}

static void
peers_that_speak_no_tls(void)
{
    answered("HTTP/1.1 400 Bad Request\r\n\r\n", "answered in plain HTTP");
    answered("SSH-2.0-OpenSSH_9.2\r\n", "not TLS");
    answered("", "the server closed the connection");
    answered("\x16\x03\x03", "the server closed the connection");
    answered("\x15\x03\x03\x00\x02\x02\x28", "closed the connection");
    answered("\x15\x03\x03", "closed the connection");
}

static void
the_network_fails_in_the_handshake(void)
{
    hp_err err;
    hp_err_clear(&err);
    pair p = pair_new((server_spec){0}, NULL, NULL);
    CHECK_INT(p.client->ops->handshake(p.client, &err), HP_IO_WANT_READ);
    p.tap->fail_read = ECONNRESET;
    CHECK_INT(p.client->ops->handshake(p.client, &err), HP_IO_ERROR);
    CHECK_INT(err.code, HP_E_TLS);
    CHECK_INT(err.sys_errno, ECONNRESET);
    CHECK(strstr(err.text, "example.test"));
    pair_free(&p);
    hp_err_clear(&err);
    p = pair_new((server_spec){0}, NULL, NULL);
    p.tap->fail_write = EPIPE;
    CHECK_INT(p.client->ops->handshake(p.client, &err), HP_IO_ERROR);
    CHECK_INT(err.code, HP_E_TLS);
    CHECK_INT(err.sys_errno, EPIPE);
    pair_free(&p);
}

/* Every byte alone, with a refusal between any two. */
static void
byte_by_byte(void)
{
    char buf[8];
    hp_err err;
    size_t got = 0, sent = 0;
    pair p = pair_new((server_spec){0}, NULL, NULL);
    p.tap->read_max = p.tap->write_max = 1;
    p.tap->stutter = true;
    CHECK_INT(shake(&p, &err), 0);
    for (int i = 0; sent < 5 && i < 1000; i++) {
        ssize_t r = client_write(&p, "hello" + sent, 5 - sent, NULL, 0);
        CHECK(r > 0 || wants(r));
        sent += r > 0 ? (size_t)r : 0;
    }
    CHECK_INT(SSL_read(p.server, buf, sizeof buf), 5);
    server_write(&p, "world");
    for (int i = 0; got < 5 && i < 100000; i++) {
        ssize_t r = client_read(&p, buf + got, 5 - got);
        CHECK(r > 0 || wants(r));
        got += r > 0 ? (size_t)r : 0;
    }
    CHECK(memcmp(buf, "world", 5) == 0);
    pair_free(&p);
}

static void
client_certificates(void)
{
    char buf[8], name[64];
    hp_err err;
    server_spec spec = {.ask_cert = true};
    pair p = pair_new(spec, NULL, NULL);
    /* TLS 1.3: the refusal comes behind the handshake */
    CHECK_INT(shake(&p, &err), 0);
    hp_err_clear(&err);
    CHECK_INT(p.client->ops->read(p.client, buf, 8, &err), HP_IO_ERROR);
    CHECK_INT(err.code, HP_E_TLS);
    CHECK(strstr(err.text, "requires a client certificate"));
    pair_free(&p);
    cert me = cert_make((cert_spec){.cn = "me", .issuer = &ca});
    cert_write(in_dir("me.pem"), me.x, me.key, NULL);
    hp_tls_config c = trusting();
    c.cert_file = in_dir("me.pem");
    p = connected(spec, &c, NULL);
    X509 *seen = SSL_get0_peer_certificate(p.server);
    CHECK(seen);
    X509_NAME_get_text_by_NID(X509_get_subject_name(seen), NID_commonName, name,
                              sizeof name);
    CHECK_STR(name, "me");
    pair_free(&p);
    cert_free(&me);
}

static void
keys_are_logged(void)
{
    char line[512];
    int n = 0;
    hp_tls_config c = trusting();
    c.keylog_file = in_dir("keys.log");
    passes((server_spec){0}, &c, NULL);
    passes((server_spec){0}, &c, NULL);
    FILE *f = fopen(in_dir("keys.log"), "r");
    CHECK(f);
    while (fgets(line, sizeof line, f)) {
        n += strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0;
        CHECK(strchr(line, '\n'));
    }
    CHECK_INT(n, 2);
    fclose(f);
}

/* ---- reading ---- */

static void
several_records_in_one_segment(void)
{
    char buf[100];
    pair p = connected((server_spec){0}, NULL, NULL);
    server_write(&p, "head");
    server_write(&p, "body");
    int reads = p.tap->reads;
    CHECK_INT(client_read(&p, buf, sizeof buf), 8);
    CHECK(memcmp(buf, "headbody", 8) == 0);
    CHECK_INT(p.tap->reads, reads + 1);
    CHECK(!pending(&p));
    server_write(&p, "head");
    server_write(&p, "body");
    CHECK_INT(client_read(&p, buf, 4), 4); /* the rest is in memory */
    reads = p.tap->reads;
    CHECK(pending(&p));
    CHECK_INT(alive(&p), HP_DEAD_BYTES);
    CHECK_INT(client_read(&p, buf, 3), 3);
    CHECK(pending(&p));
    CHECK_INT(client_read(&p, buf, sizeof buf), 1);
    CHECK_INT(p.tap->reads, reads);
    CHECK(!pending(&p));
    pair_free(&p);
}

/* Lets the first `n` bytes that the server writes through to the client. The
 * rest waits in `rest`. */
static size_t
hold_back(pair *p, const char *text, size_t n, char *rest, size_t room)
{
    BIO *mem = BIO_new(BIO_s_mem());
    BIO *old = SSL_get_wbio(p->server);
    BIO_up_ref(old);
    SSL_set0_wbio(p->server, mem);
    server_write(p, text);
    int len = BIO_read(mem, rest, (int)room);
    SSL_set0_wbio(p->server, old);
    CHECK(len > (int)n);
    CHECK(write(p->server_fd, rest, n) == (ssize_t)n);
    memmove(rest, rest + n, (size_t)len - n);
    return (size_t)len - n;
}

static void
half_a_record(void)
{
    char buf[100], rest[100];
    pair p = connected((server_spec){0}, NULL, NULL);
    CHECK_INT(client_read(&p, buf, sizeof buf), HP_IO_WANT_READ);
    server_write(&p, "whole");
    size_t n = hold_back(&p, "answer", 9, rest, sizeof rest);
    int reads = p.tap->reads;
    CHECK_INT(client_read(&p, buf, sizeof buf), 5);
    CHECK_INT(p.tap->reads, reads + 1); /* no recv that must fail */
    CHECK_INT(client_read(&p, buf, sizeof buf), HP_IO_WANT_READ);
    CHECK(!pending(&p)); /* or whoever asks before polling would spin */
    CHECK_INT(alive(&p), HP_ALIVE);
    CHECK(write(p.server_fd, rest, n) == (ssize_t)n);
    CHECK(!pending(&p));
    CHECK_INT(alive(&p), HP_DEAD_BYTES);
    CHECK(pending(&p));
    CHECK_INT(client_read(&p, buf, sizeof buf), 6);
    pair_free(&p);
}

static void
the_two_ends(void)
{
    char buf[100];
    pair p = connected((server_spec){0}, NULL, NULL);
    server_write(&p, "last words");
    CHECK(SSL_shutdown(p.server) >= 0);
    CHECK_INT(client_read(&p, buf, sizeof buf), 10);
    CHECK(pending(&p)); /* the end is known, and no poll would tell */
    CHECK_INT(alive(&p), HP_DEAD_CLOSED);
    CHECK_INT(client_read(&p, buf, sizeof buf), 0);
    CHECK_INT(client_read(&p, buf, sizeof buf), 0);
    pair_free(&p);
    p = connected((server_spec){0}, NULL, NULL);
    server_write(&p, "last words");
    server_gone(&p); /* FIN alone */
    CHECK_INT(client_read(&p, buf, sizeof buf), 10);
    CHECK_INT(client_read(&p, buf, sizeof buf), HP_IO_TRUNCATED);
    CHECK_INT(client_read(&p, buf, sizeof buf), HP_IO_TRUNCATED);
    CHECK(pending(&p));
    CHECK_INT(alive(&p), HP_DEAD_CLOSED);
    pair_free(&p);
}

static ssize_t
read_patiently(pair *p, char *buf, size_t n)
{
    hp_err err;
    hp_err_clear(&err);
    ssize_t r = p->client->ops->read_patiently(p->client, buf, n, &err);
    CHECK((r == HP_IO_ERROR) == (err.code != HP_OK));
    CHECK_INT(hp_tls_gate_inside(), 0);
    return r;
}

static void
answer(void *arg)
{
    server_write(arg, "answer");
}

static void
go_away(void *arg)
{
    server_gone(arg);
}

static void
a_patient_read(void)
{
    char buf[100];
    pair p = connected((server_spec){0}, NULL, NULL);
    while (client_read(&p, buf, sizeof buf) > 0)
        ; /* tickets */
    CHECK_INT(read_patiently(&p, buf, sizeof buf), HP_IO_WANT_READ);
    CHECK_INT(p.tap->patient_reads, 1);
    p.tap->arg = &p;
    p.tap->meanwhile = answer;
    CHECK_INT(read_patiently(&p, buf, sizeof buf), 6);
    CHECK(memcmp(buf, "answer", 6) == 0);
    CHECK_INT(p.tap->patient_reads, 2);
    server_write(&p, "answer");
    CHECK_INT(client_read(&p, buf, sizeof buf), 6); /* which is not patient */
    CHECK_INT(p.tap->patient_reads, 2);
    p.tap->meanwhile = go_away;
    CHECK_INT(read_patiently(&p, buf, sizeof buf), HP_IO_TRUNCATED);
    pair_free(&p);
}

/* Half a record is there at once, the rest is not waited for twice. */
static void
a_patient_read_of_half_a_record(void)
{
    char buf[100], rest[100];
    pair p = connected((server_spec){0}, NULL, NULL);
    while (client_read(&p, buf, sizeof buf) > 0)
        ;
    size_t n = hold_back(&p, "answer", 5, rest, sizeof rest);
    CHECK_INT(read_patiently(&p, buf, sizeof buf), HP_IO_WANT_READ);
    CHECK_INT(p.tap->patient_reads, 1);
    CHECK(write(p.server_fd, rest, n) == (ssize_t)n);
    CHECK_INT(read_patiently(&p, buf, sizeof buf), 6);
    pair_free(&p);
}

static void
a_spoilt_record_behind_a_good_one(void)
{
    char buf[100], rest[100];
    hp_err err;
    pair p = connected((server_spec){0}, NULL, NULL);
    server_write(&p, "good");
    size_t n = hold_back(&p, "spoilt", 5, rest, sizeof rest);
    rest[3] ^= 1;
    CHECK(write(p.server_fd, rest, n) == (ssize_t)n);
    CHECK_INT(client_read(&p, buf, sizeof buf), 4);
    CHECK(pending(&p));
    CHECK_INT(alive(&p), HP_DEAD_CLOSED);
    for (int i = 0; i < 2; i++) {
        hp_err_clear(&err);
        CHECK_INT(p.client->ops->read(p.client, buf, 9, &err), HP_IO_ERROR);
        CHECK_INT(err.code, HP_E_TLS);
        CHECK(strstr(err.text, "bad record mac"));
    }
    CHECK_INT(client_write(&p, "x", 1, NULL, 0), HP_IO_ERROR);
    pair_free(&p);
}

static void
a_reset_while_reading(void)
{
    char buf[10];
    hp_err err;
    pair p = connected((server_spec){0}, NULL, NULL);
    p.tap->fail_read = ECONNRESET;
    for (int i = 0; i < 2; i++) {
        hp_err_clear(&err);
        CHECK_INT(p.client->ops->read(p.client, buf, 9, &err), HP_IO_ERROR);
        CHECK_INT(err.code, HP_E_READ);
        CHECK_INT(err.sys_errno, ECONNRESET);
    }
    pair_free(&p);
}

/* A server that sends tickets and nothing else must not keep a read for ever;
 * what it has sent is taken in measured portions. */
static void
a_flood_of_tickets(void)
{
    char buf[100];
    pair p = connected((server_spec){0}, NULL, NULL);
    CHECK_INT(client_read(&p, buf, sizeof buf), HP_IO_WANT_READ);
    for (int i = 0; i < 100; i++) {
        CHECK(SSL_new_session_ticket(p.server) == 1);
        CHECK(SSL_do_handshake(p.server) == 1);
    }
    server_write(&p, "x");
    p.tap->read_max = 100;
    int reads = p.tap->reads, calls = 0;
    while (client_read(&p, buf, sizeof buf) == HP_IO_WANT_READ) {
        calls++;
        CHECK(p.tap->reads - reads <= 64 * calls);
    }
    CHECK(calls > 1);
    CHECK(buf[0] == 'x');
    pair_free(&p);
}

/* ---- liveness ---- */

static void
what_an_idle_connection_survives(void)
{
    char buf[10];
    pair p = connected((server_spec){0}, NULL, NULL);
    CHECK_INT(alive(&p), HP_ALIVE); /* the first tickets lie unread */
    CHECK_INT(alive(&p), HP_ALIVE);
    CHECK(SSL_new_session_ticket(p.server) == 1);
    CHECK(SSL_do_handshake(p.server) == 1);
    CHECK_INT(alive(&p), HP_ALIVE);
    CHECK(SSL_key_update(p.server, SSL_KEY_UPDATE_REQUESTED) == 1);
    CHECK(SSL_do_handshake(p.server) == 1);
    CHECK_INT(alive(&p), HP_ALIVE);
    int reads = p.tap->reads;
    CHECK_INT(alive(&p), HP_ALIVE);
    CHECK_INT(p.tap->reads, reads); /* nothing there: OpenSSL is not asked */
    CHECK_INT(client_write(&p, "ping", 4, NULL, 0), 4);
    CHECK_INT(SSL_read(p.server, buf, sizeof buf), 4);
    server_write(&p, "pong");
    CHECK_INT(client_read(&p, buf, sizeof buf), 4);
    pair_free(&p);
}

static void
a_key_update_that_cannot_be_answered_yet(void)
{
    char buf[10];
    pair p = connected((server_spec){0}, NULL, NULL);
    CHECK_INT(alive(&p), HP_ALIVE);
    p.tap->write_blocked = true;
    CHECK(SSL_key_update(p.server, SSL_KEY_UPDATE_REQUESTED) == 1);
    CHECK(SSL_do_handshake(p.server) == 1);
    CHECK_INT(alive(&p), HP_ALIVE);
    CHECK(wants(client_write(&p, "ping", 4, NULL, 0)));
    p.tap->write_blocked = false;
    CHECK_INT(client_write(&p, "ping", 4, NULL, 0), 4);
    CHECK_INT(SSL_read(p.server, buf, sizeof buf), 4);
    CHECK(memcmp(buf, "ping", 4) == 0);
    pair_free(&p);
}

static void
what_an_idle_connection_dies_of(void)
{
    char buf[10];
    pair p = connected((server_spec){0}, NULL, NULL);
    server_write(&p, "HTTP");
    CHECK_INT(alive(&p), HP_DEAD_BYTES);
    CHECK_INT(alive(&p), HP_DEAD_BYTES);
    CHECK_INT(client_read(&p, buf, sizeof buf), 4); /* no byte was taken */
    pair_free(&p);
    p = connected((server_spec){0}, NULL, NULL);
    CHECK(SSL_shutdown(p.server) >= 0);
    CHECK_INT(alive(&p), HP_DEAD_CLOSED);
    pair_free(&p);
    p = connected((server_spec){0}, NULL, NULL);
    server_gone(&p);
    CHECK_INT(alive(&p), HP_DEAD_CLOSED);
    pair_free(&p);
    p = connected((server_spec){0}, NULL, NULL);
    CHECK(write(p.server_fd, "GET / HTTP/1.1\r\n", 16) == 16);
    CHECK_INT(alive(&p), HP_DEAD_CLOSED);
    pair_free(&p);
}

static void
renegotiation_is_declined(void)
{
    char buf[10];
    pair p = connected((server_spec){.max = TLS1_2_VERSION}, NULL, NULL);
    CHECK(SSL_renegotiate(p.server) == 1);
    SSL_do_handshake(p.server); /* sends HelloRequest */
    CHECK_INT(alive(&p), HP_ALIVE);
    CHECK_INT(client_read(&p, buf, sizeof buf), HP_IO_WANT_READ);
    CHECK(SSL_read(p.server, buf, sizeof buf) <= 0); /* the client's alert */
    CHECK_INT(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    ERR_clear_error();
    pair_free(&p);
}

/* ---- writing ---- */

static void
fill_pattern(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 31 + i / 251);
}

/* Head and body of any size arrive as they were, whoever is slow. */
static void
send_all(size_t head, size_t body, size_t write_max)
{
    char *data = malloc(head + body), *got = malloc(head + body);
    size_t sent = 0, have = 0;
    fill_pattern(data, head + body);
    pair p = connected((server_spec){0}, NULL, NULL);
    p.tap->write_max = write_max;
    p.tap->stutter = write_max != 0;
    while (have < head + body) {
        size_t at = sent < head ? sent : head;
        if (sent < head + body) {
            size_t from = sent > head ? sent - head : 0;
            ssize_t r = client_write(&p, data + at, head - at,
                                     data + head + from, body - from);
            CHECK(r > 0 || wants(r));
            sent += r > 0 ? (size_t)r : 0;
        }
        int r = SSL_read(p.server, got + have, (int)(head + body - have));
        have += r > 0 ? (size_t)r : 0;
        ERR_clear_error();
    }
    CHECK(sent == have && memcmp(data, got, have) == 0);
    pair_free(&p);
    free(data);
    free(got);
}

static void
bodies_of_all_sizes(void)
{
    send_all(200, 0, 0);
    send_all(200, 16184, 0);
    send_all(200, 16185, 0);
    send_all(0, 3000000, 0);
    send_all(200, 3000000, 0);
    send_all(16384, 16384, 0);
    send_all(200, 40000, 7);
    send_all(20000, 20000, 1000);
}

static void
a_write_that_must_be_repeated(void)
{
    char buf[64];
    pair p = connected((server_spec){0}, NULL, NULL);
    p.tap->write_blocked = true;
    CHECK_INT(client_write(&p, "headbody", 8, NULL, 0), HP_IO_WANT_WRITE);
    CHECK_INT(alive(&p), HP_DEAD_CLOSED); /* half a request is on its way */
    p.tap->write_blocked = false;
    /* the same bytes elsewhere, cut otherwise, and some more behind them */
    CHECK_INT(client_write(&p, "headbo", 6, "dymore", 6), 12);
    CHECK_INT(SSL_read(p.server, buf, sizeof buf), 8);
    CHECK_INT(SSL_read(p.server, buf + 8, sizeof buf), 4);
    CHECK(memcmp(buf, "headbodymore", 12) == 0);
    pair_free(&p);
}

static void
the_answer_to_a_broken_upload(void)
{
    char buf[64];
    hp_err err;
    pair p = connected((server_spec){0}, NULL, NULL);
    CHECK_INT(client_write(&p, "upload", 6, NULL, 0), 6);
    server_write(&p, "413");
    p.tap->fail_write = EPIPE;
    for (int i = 0; i < 2; i++) {
        struct iovec v = {"more", 4};
        hp_err_clear(&err);
        CHECK_INT(p.client->ops->writev(p.client, &v, 1, &err), HP_IO_ERROR);
        CHECK_INT(err.code, HP_E_WRITE);
        CHECK_INT(err.sys_errno, EPIPE);
    }
    CHECK_INT(client_read(&p, buf, sizeof buf), 3);
    CHECK_INT(client_read(&p, buf, sizeof buf), HP_IO_WANT_READ);
    CHECK_INT(alive(&p), HP_DEAD_CLOSED);
    pair_free(&p);
}

/* ---- closing ---- */

static int
how_it_ends(bool polite, bool stuck)
{
    char buf[10];
    pair p = connected((server_spec){0}, NULL, NULL);
    CHECK_INT(alive(&p), HP_ALIVE); /* takes the tickets: no reset on close */
    if (stuck) {
        p.tap->write_blocked = true;
        CHECK(wants(client_write(&p, "x", 1, NULL, 0)));
        p.tap->write_blocked = false;
    }
    p.client->ops->close(p.client, polite);
    p.client = NULL;
    int r = SSL_read(p.server, buf, sizeof buf);
    int e = SSL_get_error(p.server, r);
    ERR_clear_error();
    pair_free(&p);
    return e;
}

static void
goodbyes(void)
{
    /* The server's alert about a missing goodbye. Elsewhere a SIGPIPE ends the
     * test: the client must never cause one. */
    signal(SIGPIPE, SIG_IGN);
    CHECK_INT(how_it_ends(true, false), SSL_ERROR_ZERO_RETURN);
    CHECK_INT(how_it_ends(false, false), SSL_ERROR_SSL);
    CHECK_INT(how_it_ends(true, true), SSL_ERROR_SSL);
    signal(SIGPIPE, SIG_DFL);
}

/* ---- TLS in TLS ---- */

/* One step of a server that unwraps the outer layer for the inner one. */
static void
relay(SSL *outer, SSL *inner, bool handshake)
{
    char buf[20000];
    int n;
    SSL_do_handshake(outer);
    while ((n = SSL_read(outer, buf, sizeof buf)) > 0)
        BIO_write(SSL_get_rbio(inner), buf, n);
    if (handshake)
        SSL_do_handshake(inner);
    while ((n = BIO_read(SSL_get_wbio(inner), buf, sizeof buf)) > 0)
        CHECK_INT(SSL_write(outer, buf, n), n);
    ERR_clear_error();
}

/* A server within the outer one's connection; p->client is asked for
 * "inner.test" and becomes the inner stream. */
static SSL *
inner_server(pair *p, server_spec spec, hp_tls *t)
{
    hp_err err;
    SSL_CTX *ctx = server_ctx_new(spec, NULL);
    SSL *inner = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_bio(inner, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(inner);
    hp_err_clear(&err);
    p->client = hp_tls_stream_new(t, p->client, "inner.test", &err);
    CHECK(p->client);
    return inner;
}

static int
shake_inner(pair *p, SSL *inner, hp_err *err)
{
    int r, n = 0;
    hp_err_clear(err);
    while (wants(r = p->client->ops->handshake(p->client, err))) {
        CHECK(n++ < 100);
        relay(p->server, inner, true);
    }
    relay(p->server, inner, true);
    return r;
}

static void
tls_in_tls(void)
{
    char buf[100];
    hp_err err;
    hp_tls_config c = trusting();
    hp_tls *t = setting(&c);
    pair p = connected((server_spec){0}, NULL, NULL);
    SSL *inner = inner_server(&p, (server_spec){.san = "DNS:inner.test"}, t);
    CHECK_INT(shake_inner(&p, inner, &err), 0);
    CHECK_INT(alive(&p), HP_ALIVE);
    CHECK_INT(client_write(&p, "deep", 4, NULL, 0), 4);
    relay(p.server, inner, false);
    CHECK_INT(SSL_read(inner, buf, sizeof buf), 4);
    CHECK_INT(SSL_write(inner, "deeper", 6), 6);
    relay(p.server, inner, false);
    CHECK_INT(client_read(&p, buf, 3), 3);
    CHECK(pending(&p));
    CHECK_INT(client_read(&p, buf, 3), 3);
    CHECK(!pending(&p));
    CHECK_INT(alive(&p), HP_ALIVE);
    CHECK(SSL_shutdown(p.server) >= 0); /* the outer layer ends, not ours */
    CHECK_INT(client_read(&p, buf, 3), HP_IO_TRUNCATED);
    SSL_free(inner);
    hp_tls_unref(t);
    pair_free(&p);
}

/* The alert about it goes out through the outer layer, which uses OpenSSL's
 * list of errors for itself. */
static void
tls_in_tls_distrusts(void)
{
    hp_err err;
    hp_tls_config c = trusting();
    hp_tls *t = setting(&c);
    server_spec spec = {.san = "DNS:inner.test", .issuer = &stranger};
    pair p = connected((server_spec){0}, NULL, NULL);
    SSL *inner = inner_server(&p, spec, t);
    CHECK_INT(shake_inner(&p, inner, &err), HP_IO_ERROR);
    CHECK_INT(err.code, HP_E_TLS);
    CHECK(strstr(err.text, "certificate verify failed for inner.test"));
    CHECK_INT(client_read(&p, (char[1]){0}, 1), HP_IO_ERROR);
    SSL_free(inner);
    hp_tls_unref(t);
    pair_free(&p);
}

/* ---- threads ---- */

typedef struct echo {
    pthread_t thread;
    SSL_CTX *ctx;
    int fd;
} echo;

static void *
echo_main(void *arg)
{
    echo *e = arg;
    char buf[4096];
    int n;
    SSL *ssl = SSL_new(e->ctx);
    SSL_set_fd(ssl, e->fd);
    if (SSL_accept(ssl) == 1) {
        while ((n = SSL_read(ssl, buf, sizeof buf)) > 0)
            CHECK_INT(SSL_write(ssl, buf, n), n);
        CHECK_INT(SSL_get_error(ssl, n), SSL_ERROR_ZERO_RETURN);
    }
    SSL_free(ssl);
    close(e->fd);
    return NULL;
}

static void
await(hp_stream *s, ssize_t r)
{
    struct pollfd p = {s->ops->fd(s), r == HP_IO_WANT_READ ? POLLIN : POLLOUT,
                       0};
    CHECK(wants(r));
    if (!s->ops->pending(s))
        CHECK_INT(poll(&p, 1, 30000), 1);
}

static void
talk(hp_stream *s)
{
    hp_err err;
    char out[3000], in[3000];
    size_t have = 0;
    ssize_t r;
    hp_err_clear(&err);
    fill_pattern(out, sizeof out);
    struct iovec v = {out, sizeof out};
    while ((r = s->ops->handshake(s, &err)) != 0)
        await(s, r);
    while ((r = s->ops->writev(s, &v, 1, &err)) < 0)
        await(s, r);
    CHECK_INT(r, sizeof out);
    while (have < sizeof in) {
        r = s->ops->read(s, in + have, sizeof in - have, &err);
        if (r < 0)
            await(s, r);
        have += r > 0 ? (size_t)r : 0;
    }
    CHECK(memcmp(in, out, sizeof in) == 0);
    CHECK_INT(s->ops->liveness(s), HP_ALIVE);
    s->ops->close(s, true);
}

static void *
talk_main(void *arg)
{
    hp_err err;
    hp_err_clear(&err);
    hp_tls_config c = trusting();
    c.groups = "P-256"; /* a setting of this test alone */
    hp_tls *t = setting(&c);
    hp_stream *lower = hp_plain_stream_new(*(int *)arg);
    hp_stream *s = hp_tls_stream_new(t, lower, "example.test", &err);
    CHECK(s);
    hp_tls_unref(t); /* the stream has its own reference */
    talk(s);
    return NULL;
}

static void
eight_clients_with_one_setting(void)
{
    enum {
        N = 8
    };
    pthread_t th[N];
    echo servers[N];
    int fd[N][2];
    unsigned before = hp_tls_contexts_built();
    SSL_CTX *ctx = server_ctx_new((server_spec){0}, NULL);
    for (int i = 0; i < N; i++) {
        socket_pair(fd[i], true);
        servers[i] = (echo){.ctx = ctx, .fd = fd[i][1]};
        CHECK(pthread_create(&servers[i].thread, NULL, echo_main,
                             &servers[i]) == 0);
        CHECK(pthread_create(&th[i], NULL, talk_main, &fd[i][0]) == 0);
    }
    for (int i = 0; i < N; i++) {
        CHECK(pthread_join(th[i], NULL) == 0);
        CHECK(pthread_join(servers[i].thread, NULL) == 0);
    }
    CHECK_INT(hp_tls_contexts_built(), before + 1);
    SSL_CTX_free(ctx);
}

/* ---- memory ---- */

/* OpenSSL's allocations go through ours, so that they can fail too. */
static void *
crypto_malloc(size_t n, const char *file, int line)
{
    return hp_malloc(n);
}

static void *
crypto_realloc(void *p, size_t n, const char *file, int line)
{
    return hp_realloc(p, n);
}

static void
crypto_free(void *p, const char *file, int line)
{
    hp_free(p);
}

static void
memory_runs_out(void)
{
    hp_err err;
    hp_tls_config c = trusting();
    hp_tls *t = setting(&c);
    int fd[2], failed = 0;
    socket_pair(fd, false);
    hp_err_clear(&err);
    CHECK(hp_tls_context(t, &err));
    hp_stream *lower = tap_new(fd[0]), *s = NULL;
    for (int n = 0; n < 100; n++) {
        hp_err_clear(&err);
        hp_mem_fail_after(n);
        s = hp_tls_stream_new(t, lower, "example.test", &err);
        hp_mem_fail_after(-1);
        CHECK((s == NULL) == (err.code == HP_E_NOMEM));
        failed += s == NULL;
        if (s) {
            /* What OpenSSL's callbacks find us by. */
            CHECK(SSL_get_app_data(hp_tls_stream_of(s)->ssl));
            s->ops->close(s, true);
            lower = tap_new(dup(fd[1]));
        }
    }
    CHECK(failed > 10);
    lower->ops->close(lower, false);
    hp_tls_unref(t);
    close(fd[1]);
}

static void
run_handshakes(void)
{
    RUN(a_request_and_an_answer);
    RUN(whom_to_trust);
    RUN(names_of_the_certificate);
    RUN(addresses);
    RUN(names_that_must_not_be_used);
    RUN(fingerprints);
    RUN(protocols_and_versions);
    RUN(no_certificate_at_all);
    RUN(peers_that_speak_no_tls);
    RUN(the_network_fails_in_the_handshake);
    RUN(byte_by_byte);
    RUN(client_certificates);
    RUN(keys_are_logged);
}

int
main(void)
{
    CHECK(CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free));
    cert_dir_make();
    ca = cert_make((cert_spec){.cn = "test CA", .ca = true});
    stranger = cert_make((cert_spec){.cn = "another CA", .ca = true});
    strcpy(ca_path, in_dir("ca.pem"));
    cert_write(ca_path, ca.x, NULL, NULL);
    RUN(memory_runs_out);
    run_handshakes();
    RUN(several_records_in_one_segment);
    RUN(half_a_record);
    RUN(the_two_ends);
    RUN(a_patient_read);
    RUN(a_patient_read_of_half_a_record);
    RUN(a_spoilt_record_behind_a_good_one);
    RUN(a_reset_while_reading);
    RUN(a_flood_of_tickets);
    RUN(what_an_idle_connection_survives);
    RUN(a_key_update_that_cannot_be_answered_yet);
    RUN(what_an_idle_connection_dies_of);
    RUN(renegotiation_is_declined);
    RUN(bodies_of_all_sizes);
    RUN(a_write_that_must_be_repeated);
    RUN(the_answer_to_a_broken_upload);
    RUN(goodbyes);
    RUN(tls_in_tls);
    RUN(tls_in_tls_distrusts);
    RUN(eight_clients_with_one_setting);
    cert_free(&ca);
    cert_free(&stranger);
    DONE();
}
