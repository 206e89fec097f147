/* Resumption with an OpenSSL server in a thread. What a client has seen is told
 * by its own stream and by the server, which must agree. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "net/tls_impl.h"
#include "test.h"
#include "tls_certs.h"

static cert ca;
static char ca_path[128];

/* ---- the server ---- */

typedef enum ending {
    POLITE, /* says close_notify when the client has gone */
    CUT,    /* closes without a word after its byte */
    GARBAGE /* sends what is no TLS after its byte */
} ending;

typedef struct server {
    SSL_CTX *ctx;
    ending end;
    unsigned char fingerprint[32];
} server;

typedef struct served {
    const server *s;
    int fd;
    bool reused;
} served;

static server
server_new(int version, const char *san, bool trusted, long to)
{
    server s = {.ctx = SSL_CTX_new(TLS_server_method())};
    cert leaf = cert_make((cert_spec){.cn = "leaf",
                                      .san = san,
                                      .issuer = trusted ? &ca : NULL,
                                      .from = to ? -3600 : 0,
                                      .to = to});
    CHECK(SSL_CTX_use_certificate(s.ctx, leaf.x) == 1);
    CHECK(SSL_CTX_use_PrivateKey(s.ctx, leaf.key) == 1);
    CHECK(SSL_CTX_set_min_proto_version(s.ctx, version) == 1);
    CHECK(SSL_CTX_set_max_proto_version(s.ctx, version) == 1);
    CHECK(X509_digest(leaf.x, EVP_sha256(), s.fingerprint, NULL) == 1);
    cert_free(&leaf);
    return s;
}

static server
good(int version)
{
    return server_new(version, "DNS:example.test", true, 0);
}

static void
server_free(server *s)
{
    SSL_CTX_free(s->ctx);
}

static void *
serve(void *arg)
{
    served *v = arg;
    char c;
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE); /* not for the client: it must raise none */
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    SSL *ssl = SSL_new(v->s->ctx);
    SSL_set_fd(ssl, v->fd);
    if (SSL_accept(ssl) == 1) {
        v->reused = SSL_session_reused(ssl);
        SSL_write(ssl, "x", 1);
        if (v->s->end == GARBAGE)
            CHECK(write(v->fd, "GARBAGE GARBAGE", 15) == 15);
        if (v->s->end != CUT && SSL_read(ssl, &c, 1) == 0)
            SSL_shutdown(ssl);
    }
    ERR_clear_error();
    SSL_free(ssl);
    close(v->fd);
    return NULL;
}

/* ---- the client ---- */

typedef struct client {
    hp_tls *tls;
    hp_stream *st;
    pthread_t thread;
    served served;
    hp_err err;
} client;

static hp_tls_config
trusting(void)
{
    return (hp_tls_config){.verify = true, .ca_file = ca_path};
}

static void
await(hp_stream *st, ssize_t want)
{
    struct pollfd p = {.fd = st->ops->fd(st),
                       .events = want == HP_IO_WANT_READ ? POLLIN : POLLOUT};
    CHECK(poll(&p, 1, 10000) == 1);
}

/* Ready for its handshake. */
static client *
client_new(const server *s, const hp_tls_config *config, hp_sessions *sessions)
{
    int fd[2];
    client *c = calloc(1, sizeof *c);
    CHECK(c && socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    CHECK(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0);
    hp_tls_config plain = trusting();
    c->tls = hp_tls_get(config ? config : &plain, &c->err);
    CHECK(c->tls);
    hp_stream *lower = hp_plain_stream_new(fd[0]);
    c->st = hp_tls_stream_new(c->tls, lower, "example.test", &c->err);
    CHECK(c->st);
    if (sessions)
        hp_tls_stream_resume(c->st, sessions);
    c->served = (served){.s = s, .fd = fd[1]};
    CHECK(pthread_create(&c->thread, NULL, serve, &c->served) == 0);
    return c;
}

static int
shake(client *c)
{
    int r;
    while ((r = c->st->ops->handshake(c->st, &c->err)) == HP_IO_WANT_READ ||
           r == HP_IO_WANT_WRITE)
        await(c->st, r);
    return r;
}

static ssize_t
read_one(client *c)
{
    char b;
    ssize_t r;
    while ((r = c->st->ops->read(c->st, &b, 1, &c->err)) == HP_IO_WANT_READ)
        await(c->st, r);
    return r;
}

static bool
resumed(const client *c)
{
    hp_tls_info info;
    hp_tls_stream_info(c->st, &info);
    return info.resumed;
}

/* Whether the server has resumed, too. */
static bool
client_free(client *c, bool polite)
{
    c->st->ops->close(c->st, polite);
    CHECK(pthread_join(c->thread, NULL) == 0);
    bool reused = c->served.reused;
    hp_tls_unref(c->tls);
    free(c);
    return reused;
}

/* A connection that handshakes, reads its byte and is closed: resumed? */
static bool
visit(const server *s, const hp_tls_config *config, hp_sessions *sessions)
{
    client *c = client_new(s, config, sessions);
    int r = shake(c);
    if (r != 0)
        fprintf(stderr, "%s\n", c->err.text);
    CHECK_INT(r, 0);
    CHECK_INT(read_one(c), 1);
    bool mine = resumed(c);
    CHECK_INT(client_free(c, true), mine);
    return mine;
}

static void
visit_fails(const server *s, const hp_tls_config *config, hp_sessions *sessions)
{
    client *c = client_new(s, config, sessions);
    CHECK_INT(shake(c), HP_IO_ERROR);
    CHECK(c->err.code == HP_E_TLS);
    client_free(c, false);
}

static hp_sessions *
store(void)
{
    hp_sessions *s = hp_sessions_new();
    CHECK(s);
    return s;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define EACH_VERSION(v)                                                        \
    for (int i_ = 0, v = versions[0]; i_ < 2; v = versions[++i_ % 2])

/* ---- what is resumed ---- */

static void
test_a_second_connection_resumes(void)
{
    EACH_VERSION(v)
    {
        server s = good(v);
        hp_sessions *mine = store();
        CHECK(!visit(&s, NULL, mine));
        for (int i = 0; i < 5; i++)
            CHECK(visit(&s, NULL, mine));
        hp_sessions_unref(mine);
        server_free(&s);
    }
}

static void
test_without_a_store(void)
{
    EACH_VERSION(v)
    {
        server s = good(v);
        CHECK(!visit(&s, NULL, NULL));
        CHECK(!visit(&s, NULL, NULL));
        server_free(&s);
    }
}

static void
test_stores_do_not_cross(void)
{
    EACH_VERSION(v)
    {
        server s = good(v);
        hp_sessions *mine = store(), *other = store();
        CHECK(!visit(&s, NULL, mine));
        CHECK(!visit(&s, NULL, other));
        CHECK(visit(&s, NULL, mine));
        hp_sessions_unref(mine);
        hp_sessions_unref(other);
        server_free(&s);
    }
}

/* With session ids instead of tickets. */
static void
test_a_server_without_tickets(void)
{
    server s = good(TLS1_2_VERSION);
    hp_sessions *mine = store();
    SSL_CTX_set_options(s.ctx, SSL_OP_NO_TICKET);
    CHECK(!visit(&s, NULL, mine));
    CHECK(visit(&s, NULL, mine));
    CHECK(visit(&s, NULL, mine));
    hp_sessions_unref(mine);
    server_free(&s);
}

static void
test_a_server_that_has_forgotten(void)
{
    EACH_VERSION(v)
    {
        server s = good(v), same = good(v);
        hp_sessions *mine = store();
        CHECK(!visit(&s, NULL, mine));
        CHECK(!visit(&same, NULL, mine));
        CHECK(visit(&same, NULL, mine));
        hp_sessions_unref(mine);
        server_free(&s);
        server_free(&same);
    }
}

/* ---- once ---- */

static void
test_a_ticket_serves_once(void)
{
    server s = good(TLS1_3_VERSION);
    hp_sessions *mine = store();
    SSL_CTX_set_num_tickets(s.ctx, 1);
    CHECK(!visit(&s, NULL, mine));
    CHECK_INT(hp_sessions_count(mine), 1);
    client *a = client_new(&s, NULL, mine);
    CHECK_INT(hp_sessions_count(mine), 0);
    client *b = client_new(&s, NULL, mine);
    CHECK(shake(a) == 0 && resumed(a));
    CHECK(shake(b) == 0 && !resumed(b));
    CHECK_INT(hp_sessions_count(mine), 0);
    CHECK(read_one(a) == 1 && read_one(b) == 1);
    CHECK_INT(hp_sessions_count(mine), 2);
    client_free(a, true);
    client_free(b, true);
    hp_sessions_unref(mine);
    server_free(&s);
}

static void
test_no_new_ticket_no_resumption(void)
{
    server s = good(TLS1_3_VERSION);
    hp_sessions *mine = store();
    SSL_CTX_set_num_tickets(s.ctx, 1);
    CHECK(!visit(&s, NULL, mine));
    SSL_CTX_set_num_tickets(s.ctx, 0);
    CHECK(visit(&s, NULL, mine));
    CHECK(!visit(&s, NULL, mine));
    hp_sessions_unref(mine);
    server_free(&s);
}

static void
test_a_session_of_1_2_comes_back(void)
{
    server s = good(TLS1_2_VERSION);
    hp_sessions *mine = store();
    CHECK(!visit(&s, NULL, mine));
    client *c = client_new(&s, NULL, mine);
    CHECK_INT(hp_sessions_count(mine), 0);
    CHECK(shake(c) == 0 && resumed(c));
    CHECK_INT(hp_sessions_count(mine), 1);
    client_free(c, true);
    hp_sessions_unref(mine);
    server_free(&s);
}

/* ---- only what was checked ---- */

static void
test_not_after_failed_verification(void)
{
    EACH_VERSION(v)
    {
        server bad[] = {server_new(v, "DNS:example.test", false, 0),
                        server_new(v, "DNS:other.test", true, 0)};
        for (int i = 0; i < 2; i++) {
            hp_sessions *mine = store();
            visit_fails(&bad[i], NULL, mine);
            CHECK_INT(hp_sessions_count(mine), 0);
            hp_sessions_unref(mine);
            server_free(&bad[i]);
        }
    }
}

static void
test_not_after_a_wrong_fingerprint(void)
{
    EACH_VERSION(v)
    {
        server s = server_new(v, "DNS:example.test", false, 0);
        hp_sessions *mine = store();
        hp_tls_config c = {.has_fingerprint = true};
        visit_fails(&s, &c, mine);
        CHECK_INT(hp_sessions_count(mine), 0);
        memcpy(c.fingerprint, s.fingerprint, sizeof c.fingerprint);
        CHECK(!visit(&s, &c, mine));
        CHECK(visit(&s, &c, mine));
        hp_sessions_unref(mine);
        server_free(&s);
    }
}

/* A session made without verification does not pass where one verifies, even
 * if it got there. */
static void
test_an_unverified_session_is_refused(void)
{
    EACH_VERSION(v)
    {
        server s = server_new(v, "DNS:example.test", false, 0);
        hp_sessions *mine = store();
        hp_tls_config any = {.verify = false};
        CHECK(!visit(&s, &any, mine));
        CHECK(visit(&s, &any, mine));
        visit_fails(&s, NULL, mine);
        CHECK_INT(hp_sessions_count(mine), 0);
        hp_sessions_unref(mine);
        server_free(&s);
    }
}

static void
test_a_failed_handshake_spoils_the_others(void)
{
    EACH_VERSION(v)
    {
        server s = good(v), bad = server_new(v, "DNS:other.test", true, 0);
        hp_sessions *mine = store();
        CHECK(!visit(&s, NULL, mine));
        visit_fails(&bad, NULL, mine);
        CHECK_INT(hp_sessions_count(mine), 0);
        CHECK(!visit(&s, NULL, mine));
        CHECK(visit(&s, NULL, mine));
        hp_sessions_unref(mine);
        server_free(&s);
        server_free(&bad);
    }
}

static void
test_a_fatal_error_spoils_them(void)
{
    EACH_VERSION(v)
    {
        server s = good(v);
        hp_sessions *mine = store();
        CHECK(!visit(&s, NULL, mine));
        s.end = GARBAGE;
        client *c = client_new(&s, NULL, mine);
        CHECK(shake(c) == 0 && read_one(c) == 1);
        CHECK(hp_sessions_count(mine) > 0);
        CHECK_INT(read_one(c), HP_IO_ERROR);
        CHECK_INT(hp_sessions_count(mine), 0);
        client_free(c, false);
        hp_sessions_unref(mine);
        server_free(&s);
    }
}

/* OpenSSL's server wants a session id context when it asks for certificates. */
static void
test_a_server_that_cannot_resume(void)
{
    EACH_VERSION(v)
    {
        server s = good(v);
        hp_sessions *mine = store();
        CHECK(!visit(&s, NULL, mine));
        SSL_CTX_set_verify(s.ctx, SSL_VERIFY_PEER, NULL);
        visit_fails(&s, NULL, mine);
        for (int i = 0; i < 3; i++)
            CHECK(!visit(&s, NULL, mine));
        CHECK_INT(hp_sessions_count(mine), 0);
        hp_sessions_unref(mine);
        server_free(&s);
    }
}

/* ---- connections that end badly or late ---- */

static void
test_a_cut_connection_is_resumed(void)
{
    EACH_VERSION(v)
    {
        server s = good(v);
        s.end = CUT;
        hp_sessions *mine = store();
        client *c = client_new(&s, NULL, mine);
        CHECK(shake(c) == 0 && read_one(c) == 1);
        CHECK_INT(read_one(c), HP_IO_TRUNCATED);
        client_free(c, false);
        CHECK(visit(&s, NULL, mine));
        hp_sessions_unref(mine);
        server_free(&s);
    }
}

/* Tickets nobody has read are seen by the look at an idle connection. */
static void
test_a_look_takes_tickets(void)
{
    server s = good(TLS1_3_VERSION);
    hp_sessions *mine = store();
    client *c = client_new(&s, NULL, mine);
    CHECK_INT(shake(c), 0);
    CHECK_INT(hp_sessions_count(mine), 0);
    while (c->st->ops->liveness(c->st) == HP_ALIVE)
        await(c->st, HP_IO_WANT_READ);
    CHECK_INT(hp_sessions_count(mine), 2);
    client_free(c, true);
    hp_sessions_unref(mine);
    server_free(&s);
}

static void
test_a_connection_outlives_the_holder(void)
{
    EACH_VERSION(v)
    {
        server s = good(v);
        hp_sessions *mine = store();
        client *c = client_new(&s, NULL, mine);
        hp_sessions_unref(mine);
        CHECK(shake(c) == 0 && read_one(c) == 1);
        client_free(c, true);
        server_free(&s);
    }
}

/* ---- the store ---- */

static void
test_bounded_newest_first(void)
{
    server s = good(TLS1_3_VERSION);
    hp_sessions *mine = store(), *bin = store();
    CHECK(!visit(&s, NULL, bin));
    SSL_SESSION *one = hp_sessions_take(bin);
    CHECK(one);
    long now = (long)time(NULL);
    for (int i = 0; i < 20; i++) {
        SSL_SESSION_set_time(one, now - 100 + i);
        hp_sessions_put(mine, one);
    }
    CHECK_INT(hp_sessions_count(mine), HP_SESSIONS_MAX);
    for (int i = 19; i > 19 - HP_SESSIONS_MAX; i--) {
        SSL_SESSION *got = hp_sessions_take(mine);
        CHECK(got && got != one);
        CHECK_INT(SSL_SESSION_get_time(got), now - 100 + i);
        SSL_SESSION_free(got);
    }
    CHECK(hp_sessions_take(mine) == NULL);
    SSL_SESSION_free(one);
    hp_sessions_unref(mine);
    hp_sessions_unref(bin);
    server_free(&s);
}

static void
test_many_tickets_are_bounded(void)
{
    server s = good(TLS1_3_VERSION);
    hp_sessions *mine = store();
    SSL_CTX_set_num_tickets(s.ctx, 20);
    CHECK(!visit(&s, NULL, mine));
    CHECK_INT(hp_sessions_count(mine), HP_SESSIONS_MAX);
    CHECK(visit(&s, NULL, mine));
    CHECK_INT(hp_sessions_count(mine), HP_SESSIONS_MAX);
    hp_sessions_unref(mine);
    server_free(&s);
}

static void
test_stale_sessions_are_dropped(void)
{
    EACH_VERSION(v)
    {
        server s = good(v);
        hp_sessions *mine = store();
        CHECK(!visit(&s, NULL, mine));
        SSL_SESSION *one = hp_sessions_take(mine);
        CHECK(one);
        hp_sessions_clear(mine);
        long now = (long)time(NULL), bad[] = {now - 8 * 86400, now + 3600};
        for (int i = 0; i < 2; i++) {
            SSL_SESSION_set_time(one, bad[i]);
            hp_sessions_put(mine, one);
        }
        CHECK(hp_sessions_take(mine) == NULL);
        CHECK_INT(hp_sessions_count(mine), 0);
        SSL_SESSION_free(one);
        hp_sessions_unref(mine);
        server_free(&s);
    }
}

static void
test_an_expired_certificate_is_not_resumed(void)
{
    server s[] = {server_new(TLS1_2_VERSION, "DNS:example.test", true, 2),
                  server_new(TLS1_3_VERSION, "DNS:example.test", true, 2)};
    hp_sessions *mine[] = {store(), store()};
    for (int i = 0; i < 2; i++)
        CHECK(!visit(&s[i], NULL, mine[i]));
    CHECK(poll(NULL, 0, 3100) == 0);
    for (int i = 0; i < 2; i++) {
        visit_fails(&s[i], NULL, mine[i]);
        hp_sessions_unref(mine[i]);
        server_free(&s[i]);
    }
}

/* ---- many threads ---- */

enum {
    THREADS = 4,
    VISITS = 15
};

typedef struct crowd {
    server s;
    hp_sessions *mine;
} crowd;

static void *
visit_often(void *arg)
{
    crowd *w = arg;
    long n = 0;
    for (int i = 0; i < VISITS; i++)
        n += visit(&w->s, NULL, w->mine);
    return (void *)n;
}

static void
test_threads_share_a_store(void)
{
    EACH_VERSION(v)
    {
        crowd w = {good(v), store()};
        pthread_t t[THREADS];
        long n = 0;
        for (int i = 0; i < THREADS; i++)
            CHECK(pthread_create(&t[i], NULL, visit_often, &w) == 0);
        for (int i = 0; i < THREADS; i++) {
            void *some;
            CHECK(pthread_join(t[i], &some) == 0);
            n += (long)some;
        }
        /* Each thread's first may find nothing, and so may one that comes
         * while the others have taken all there is. */
        CHECK(n >= THREADS * VISITS / 2);
        CHECK(hp_sessions_count(w.mine) <= HP_SESSIONS_MAX);
        hp_sessions_unref(w.mine);
        server_free(&w.s);
    }
}

int
main(void)
{
    cert_dir_make();
    ca = cert_make((cert_spec){.cn = "test authority", .ca = true});
    snprintf(ca_path, sizeof ca_path, "%s", in_dir("ca.pem"));
    cert_write(ca_path, ca.x, NULL, NULL);
    RUN(test_a_second_connection_resumes);
    RUN(test_without_a_store);
    RUN(test_stores_do_not_cross);
    RUN(test_a_server_without_tickets);
    RUN(test_a_server_that_has_forgotten);
    RUN(test_a_ticket_serves_once);
    RUN(test_no_new_ticket_no_resumption);
    RUN(test_a_session_of_1_2_comes_back);
    RUN(test_not_after_failed_verification);
    RUN(test_not_after_a_wrong_fingerprint);
    RUN(test_an_unverified_session_is_refused);
    RUN(test_a_failed_handshake_spoils_the_others);
    RUN(test_a_fatal_error_spoils_them);
    RUN(test_a_server_that_cannot_resume);
    RUN(test_a_cut_connection_is_resumed);
    RUN(test_a_look_takes_tickets);
    RUN(test_a_connection_outlives_the_holder);
    RUN(test_bounded_newest_first);
    RUN(test_many_tickets_are_bounded);
    RUN(test_stale_sessions_are_dropped);
    RUN(test_an_expired_certificate_is_not_resumed);
    RUN(test_threads_share_a_store);
    cert_free(&ca);
    DONE();
}
