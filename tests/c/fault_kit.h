/* fault_kit: whole requests of each kind by hp.h alone, to a server in a
 * process of its own, for tests that make what lies below them fail. A try is
 * one request, in a thread of its own so that nothing is ready for it, with
 * something failing; whatever came of it, the next one has to work, the
 * statistics have to add up, and every descriptor has to be back.
 *
 * What the server answers is in the path:
 *
 *   /hello    200, "hello"
 *   /packed   the same, gzip-coded and in chunks
 *   /last     the same as /hello; on the next request it hangs up
 *   /hang     nothing
 *   /stuck    200, "he", and no more
 *
 * It speaks TLS to who says hello, and is its own proxy: CONNECT and SOCKS5
 * lead to itself. */
#ifndef HP_TEST_FAULT_KIT_H
#define HP_TEST_FAULT_KIT_H

#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <zlib.h>

#include "hp.h"
#include "loopback.h"
#include "proxy_kit.h"
#include "tls_certs.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_do_recoverable_leak_check() 0
#endif

enum {
    FAULT_MANY = 100000,   /* more of anything than any request makes */
    FAULT_FDS = 1024,      /* none above */
    FAULT_PATIENCE_S = 60, /* a try that takes longer hangs */
    FAULT_SHORT_MS = 15    /* what a timed out request waits */
};

/* ---- the server ---- */

typedef struct fault_peer {
    int fd;
    SSL *ssl;
    bool last; /* hangs up on the next request */
} fault_peer;

static SSL_CTX *fault_ctx;
static hp_addr fault_addr;
static pid_t fault_pid;
static int fault_lifeline;
static char fault_ca[4096];
static unsigned char fault_gzip[64];
static size_t fault_gzip_len;

static inline ssize_t
fault_recv(fault_peer *p, char *buf, size_t n)
{
    return p->ssl ? SSL_read(p->ssl, buf, (int)n) : recv(p->fd, buf, n, 0);
}

static inline void
fault_say(fault_peer *p, const void *text, size_t n)
{
    ssize_t put = p->ssl ? SSL_write(p->ssl, text, (int)n)
                         : send(p->fd, text, n, MSG_NOSIGNAL);
    (void)put; /* who has gone will not be missed */
}

static inline void
fault_say_text(fault_peer *p, const char *text)
{
    fault_say(p, text, strlen(text));
}

static inline void
fault_say_packed(fault_peer *p)
{
    char size[16];
    fault_say_text(p, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0, n; at < fault_gzip_len; at += n) {
        n = fault_gzip_len - at < 10 ? fault_gzip_len - at : 10;
        snprintf(size, sizeof size, "%zx\r\n", n);
        fault_say_text(p, size);
        fault_say(p, fault_gzip + at, n);
        fault_say_text(p, "\r\n");
    }
    fault_say_text(p, "0\r\nTrailer: t\r\n\r\n");
}

static inline bool
fault_asks(const char *head, const char *path)
{
    const char *at = strchr(head, '/');
    return at && strncmp(at, path, strlen(path)) == 0;
}

static inline void
fault_answer(fault_peer *p, const char *head)
{
    const char *hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    if (fault_asks(head, "/hello") || fault_asks(head, "/last"))
        fault_say_text(p, hello);
    else if (fault_asks(head, "/stuck"))
        fault_say(p, hello, strlen(hello) - 3);
    else if (fault_asks(head, "/packed"))
        fault_say_packed(p);
    p->last = fault_asks(head, "/last");
}

/* False: the connection is over. */
static inline bool
fault_read_head(fault_peer *p, char *head, size_t room)
{
    size_t len = 0;
    ssize_t n;
    head[0] = '\0';
    while (strstr(head, "\r\n\r\n") == NULL) {
        n = fault_recv(p, head + len, room - len - 1);
        if (n <= 0 || p->last)
            return false;
        head[len += (size_t)n] = '\0';
    }
    return true;
}

/* Until it is over or, with CONNECT, about something else. */
static inline bool
fault_talk(fault_peer *p)
{
    char head[4096];
    while (fault_read_head(p, head, sizeof head)) {
        if (strncmp(head, "CONNECT ", 8) == 0) {
            fault_say_text(p, "HTTP/1.1 200 Go\r\nVia: here\r\n\r\n");
            return true;
        }
        fault_answer(p, head);
    }
    return false;
}

static inline bool
fault_socks(fault_peer *p)
{
    char buf[512];
    if (recv(p->fd, buf, sizeof buf, 0) <= 0)
        return false;
    fault_say(p, "\5\0", 2);
    if (recv(p->fd, buf, sizeof buf, 0) <= 0)
        return false;
    fault_say(p, "\5\0\0\1\0\0\0\0\0\0", 10);
    return true;
}

static inline bool
fault_tls(fault_peer *p)
{
    p->ssl = SSL_new(fault_ctx);
    SSL_set_fd(p->ssl, p->fd);
    return SSL_accept(p->ssl) == 1 && fault_talk(p);
}

static inline void *
fault_serve(void *arg)
{
    fault_peer p = {.fd = (int)(intptr_t)arg};
    int yes = 1;
    char first;
    setsockopt(p.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    bool on = true;
    while (on && recv(p.fd, &first, 1, MSG_PEEK) == 1) {
        if (first == 5)
            on = fault_socks(&p);
        else if (first == 0x16)
            on = fault_tls(&p);
        else
            on = fault_talk(&p);
    }
    if (p.ssl)
        SSL_free(p.ssl);
    close(p.fd);
    return NULL;
}

static inline void *
fault_accept(void *arg)
{
    const int *listener = arg;
    pthread_t thread;
    for (;;) {
        int fd = accept(*listener, NULL, NULL);
        CHECK(fd >= 0);
        CHECK(pthread_create(&thread, NULL, fault_serve,
                             (void *)(intptr_t)fd) == 0);
        pthread_detach(thread);
    }
}

/* Until its parent has gone. */
static inline void
fault_child(int listener, int lifeline, const cert *leaf)
{
    char byte;
    pthread_t thread;
    signal(SIGPIPE, SIG_IGN);
    fault_ctx = SSL_CTX_new(TLS_server_method());
    CHECK(SSL_CTX_use_certificate(fault_ctx, leaf->x) == 1);
    CHECK(SSL_CTX_use_PrivateKey(fault_ctx, leaf->key) == 1);
    CHECK(pthread_create(&thread, NULL, fault_accept, &listener) == 0);
    while (read(lifeline, &byte, 1) > 0)
        ;
    _exit(0);
}

static inline void
fault_make_gzip(void)
{
    z_stream z = {.next_in = (Bytef *)"hello",
                  .avail_in = 5,
                  .next_out = fault_gzip,
                  .avail_out = sizeof fault_gzip};
    CHECK(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    fault_gzip_len = z.total_out;
    CHECK(deflateEnd(&z) == Z_OK);
}

static inline void
fault_keep_ca(const cert *ca)
{
    BIO *bio = BIO_new(BIO_s_mem());
    CHECK(PEM_write_bio_X509(bio, ca->x) == 1);
    int n = BIO_read(bio, fault_ca, sizeof fault_ca - 64);
    CHECK(n > 0);
    fault_ca[n] = '\0';
    BIO_free(bio);
}

static inline void
fault_server_start(void)
{
    int lifeline[2];
    cert ca = cert_make((cert_spec){.cn = "CA", .ca = true});
    cert leaf = cert_make((cert_spec){
        .cn = "leaf", .san = "IP:127.0.0.1,DNS:localhost", .issuer = &ca});
    int listener = lo_listen(AF_INET, 100, &fault_addr);
    fault_make_gzip();
    fault_keep_ca(&ca);
    fflush(NULL);
    CHECK(pipe(lifeline) == 0);
    fault_pid = fork();
    CHECK(fault_pid >= 0);
    if (fault_pid == 0) {
        close(lifeline[1]);
        fault_child(listener, lifeline[0], &leaf);
    }
    close(lifeline[0]);
    close(listener);
    fault_lifeline = lifeline[1];
    cert_free(&leaf);
    cert_free(&ca);
}

static inline void
fault_server_stop(void)
{
    int status;
    close(fault_lifeline);
    CHECK(waitpid(fault_pid, &status, 0) == fault_pid);
    CHECK_INT(status, 0);
}

/* ---- the requests ---- */

typedef struct fault_scene {
    const char *name;
    const char *base; /* "https://127.0.0.1" */
    const char *path;
    const char *proxy;  /* "socks5" or NULL */
    const char *before; /* path of a request that goes before, and works */
    hp_errc ends;       /* when nothing fails */
    const char *upload; /* the body of a POST, or NULL */
} fault_scene;

#define FAULT_HTTP "http://127.0.0.1"
#define FAULT_HTTPS "https://127.0.0.1"

static const fault_scene fault_scenes[] = {
    {.name = "plain", .base = FAULT_HTTP, .path = "/hello"},
    {.name = "looked up", .base = "http://localhost", .path = "/hello"},
    {.name = "chunked", .base = FAULT_HTTP, .path = "/packed"},
    {.name = "kept", .base = FAULT_HTTP, .path = "/hello", .before = "/hello"},
    {.name = "replayed",
     .base = FAULT_HTTP,
     .path = "/hello",
     .before = "/last"},
    {.name = "upload",
     .base = FAULT_HTTP,
     .path = "/hello",
     .upload = "one two"},
    {.name = "timed out",
     .base = FAULT_HTTP,
     .path = "/hang",
     .ends = HP_E_HEADER_TIMEOUT},
    {.name = "stuck",
     .base = FAULT_HTTP,
     .path = "/stuck",
     .before = "/hello",
     .ends = HP_E_READ_TIMEOUT},
    {.name = "SOCKS5", .base = FAULT_HTTP, .path = "/hello", .proxy = "socks5"},
    {.name = "TLS", .base = FAULT_HTTPS, .path = "/hello"},
    {.name = "TLS kept",
     .base = FAULT_HTTPS,
     .path = "/packed",
     .before = "/hello"},
    {.name = "CONNECT", .base = FAULT_HTTPS, .path = "/hello", .proxy = "http"},
};

enum {
    FAULT_SCENES = sizeof fault_scenes / sizeof *fault_scenes
};

typedef struct fault_try {
    const fault_scene *scene;
    hp_transport *t;
    void (*arm)(void *arg); /* in the request's thread; NULL: nothing fails */
    void (*disarm)(void *arg);
    void *arg;
    bool quick;           /* the server may be waited for in vain */
    const hp_addr *local; /* connects from there; NULL: anywhere */
    unsigned ca; /* equal settings share what was built of them; see below */
    hp_err err, next; /* of it, and of the one after it */
    char body[64];
    size_t len;
} fault_try;

/* What the watchdog says. */
static char fault_doing[256];

static inline void
fault_hangs(int sig)
{
    ssize_t n = write(2, fault_doing, strlen(fault_doing));
    (void)n;
    _exit(1);
}

static inline void
fault_watchdog(void)
{
    struct sigaction a = {.sa_handler = fault_hangs};
    sigaction(SIGALRM, &a, NULL);
}

static inline hp_tls *
fault_tls_setting(fault_try *f)
{
    char pem[sizeof fault_ca];
    int n = snprintf(pem, sizeof pem, "# %u\n%s", f->ca, fault_ca);
    hp_tls_config c = {.verify = true, .ca_pem = hp_span_of(pem, (size_t)n)};
    return hp_tls_get(&c, &f->err);
}

static inline hp_proxy *
fault_proxy(fault_try *f)
{
    static const hp_field field = {HP_SPAN_LIT("X-To-Proxy"),
                                   HP_SPAN_LIT("yes")};
    bool socks = strcmp(f->scene->proxy, "socks5") == 0;
    hp_proxy_config c = {.scheme = socks ? HP_PROXY_SOCKS5 : HP_PROXY_HTTP,
                         .host = HP_SPAN_LIT("127.0.0.1"),
                         .port = lo_port(&fault_addr)};
    if (!socks) {
        c.fields = &field;
        c.n_fields = 1;
    }
    return hp_proxy_get(&c, &f->err);
}

static inline void
fault_read(fault_try *f, hp_exchange *ex, const hp_driver *driver)
{
    size_t got = 1;
    hp_drive d = HP_DRIVE_DONE;
    while (d == HP_DRIVE_DONE && got > 0) {
        d = hp_drive_read(ex, driver, f->body + f->len, sizeof f->body - f->len,
                          HP_READ_SOME, false, &got, &f->err);
        f->len += got;
    }
    CHECK((d == HP_DRIVE_DONE) == (f->err.code == HP_OK));
}

static inline void
fault_drive(fault_try *f, const hp_request *r)
{
    static const hp_driver driver;
    hp_exchange *ex = hp_exchange_new(f->t, r, &f->err);
    CHECK((ex == NULL) == (f->err.code != HP_OK));
    if (ex == NULL)
        return;
    hp_drive d = hp_drive_head(ex, &driver, &f->err);
    CHECK(d == HP_DRIVE_DONE || d == HP_DRIVE_ERROR);
    CHECK((d == HP_DRIVE_DONE) == (f->err.code == HP_OK));
    if (d == HP_DRIVE_DONE)
        fault_read(f, ex, &driver);
    hp_exchange_free(ex);
}

static inline void
fault_request(fault_try *f, const char *path)
{
    char url[128];
    hp_request r;
    snprintf(url, sizeof url, "%s:%u%s", f->scene->base,
             (unsigned)lo_port(&fault_addr), path);
    hp_request_init(&r);
    r.url = hp_span_cstr(url);
    r.decode = true;
    if (f->scene->upload) {
        r.method = HP_SPAN_LIT("POST");
        r.source = (hp_source){.kind = HP_SOURCE_BYTES,
                               .ptr = f->scene->upload,
                               .len = strlen(f->scene->upload)};
    }
    if (f->quick)
        r.timeouts.read = r.timeouts.response_header =
            FAULT_SHORT_MS * HP_NS_PER_MS;
    if (strncmp(url, "https", 5) == 0)
        r.tls = fault_tls_setting(f);
    if (f->scene->proxy && f->err.code == HP_OK)
        r.proxy = fault_proxy(f);
    f->len = 0;
    if (f->err.code == HP_OK)
        fault_drive(f, &r);
    hp_tls_unref(r.tls);
    hp_proxy_unref(r.proxy);
}

static inline void
fault_check_body(const fault_try *f)
{
    CHECK_STR(hp_errc_name(f->err.code), hp_errc_name(HP_OK));
    CHECK_SPAN(hp_span_of(f->body, f->len), "hello");
}

static inline void *
fault_run(void *arg)
{
    fault_try *f = arg;
    if (f->scene->before) {
        fault_request(f, f->scene->before);
        fault_check_body(f);
    }
    if (f->arm)
        f->arm(f->arg);
    f->quick = f->scene->ends != HP_OK;
    fault_request(f, f->scene->path);
    f->quick = false;
    if (f->arm)
        f->disarm(f->arg);
    return NULL;
}

static inline void
fault_in_thread(fault_try *f)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fault_run, f) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- what has to be true afterwards ---- */

static inline int
fault_open_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < FAULT_FDS; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* I17, and nobody in the pool. A dial may be with the keeper for a moment. */
static inline bool
fault_adds_up(hp_transport *t)
{
    hp_stats *s = hp_transport_stats(t);
    CHECK(s);
    hp_gauges g = s->total.now;
    hp_counters c = s->total.count;
    hp_stats_free(s);
    uint64_t closes = 0;
    for (int i = 0; i < HP_CLOSE_REASON_COUNT; i++)
        closes += c.closes[i];
    CHECK_INT(c.requests + c.asked_again, c.fresh + c.reuses + c.unserved);
    CHECK_INT(g.in_use + g.waiting + g.asking, 0);
    return g.dialing + g.draining == 0 && c.dials == (uint64_t)g.idle + closes;
}

#define FAULT_SOON(fact)                                                       \
    do {                                                                       \
        for (int ms_ = 0; !(fact) && ms_ < LO_PATIENCE_MS; ms_++)              \
            poll(NULL, 0, 1);                                                  \
        CHECK(fact);                                                           \
    } while (0)

static inline void
fault_settles(hp_transport *t)
{
    for (int ms = 0; !fault_adds_up(t) && ms < LO_PATIENCE_MS; ms++)
        poll(NULL, 0, 1);
    if (fault_adds_up(t))
        return;
    hp_stats *s = hp_transport_stats(t);
    fprintf(stderr, "%sdialing %lld, draining %lld, idle %lld, dials %llu\n",
            fault_doing, (long long)s->total.now.dialing,
            (long long)s->total.now.draining, (long long)s->total.now.idle,
            (unsigned long long)s->total.count.dials);
    exit(1);
}

/* The same request with nothing failing, or a plain one where the same would
 * not get an answer. */
static inline void
fault_next(fault_try *f)
{
    static const fault_scene plain = {.base = FAULT_HTTP, .path = "/hello"};
    fault_scene scene = f->scene->ends == HP_OK ? *f->scene : plain;
    scene.before = NULL;
    fault_try next = {.scene = &scene, .t = f->t, .ca = f->ca};
    fault_in_thread(&next);
    f->next = next.err;
    if (next.err.code == HP_OK)
        fault_check_body(&next);
}

/* On a transport of its own. */
static inline void
fault_make(fault_try *f)
{
    hp_transport_config config;
    hp_err err = {0};
    alarm(FAULT_PATIENCE_S);
    hp_transport_config_default(&config);
    config.dial.family = AF_INET;
    config.dial.local_address = f->local;
    CHECK((f->t = hp_transport_new(&config, &err)) != NULL);
    fault_in_thread(f);
    if (f->err.code == HP_OK)
        fault_check_body(f);
    fault_settles(f->t);
    fault_next(f);
    fault_settles(f->t);
    hp_transport_unref(f->t);
    alarm(0);
}

#endif
