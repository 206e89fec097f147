/* small_server: a server of a few words on loopback, a thread for each
 * connection. What it answers is in the path:
 *
 *   /echo/WORD   200 and WORD
 *   /conn        200 and the number of the connection, from 1
 *   /hang        nothing, until the client goes
 *   /half        200, "hello" of ten bytes; "world" after server_go()
 *   /up          101, then every byte back
 *   /bye         200 and "bye", as if it would stay, and then it hangs up
 */
#ifndef HP_TEST_SMALL_SERVER_H
#define HP_TEST_SMALL_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "loopback.h"

enum {
    SERVER_CONNS = 1024
};

typedef struct server server;

typedef struct server_conn {
    server *s;
    int fd, number;
    pthread_t thread;
} server_conn;

struct server {
    int listener, n;
    hp_addr addr;
    pthread_t thread;
    server_conn conns[SERVER_CONNS];
    atomic_int requests; /* heads read */
    atomic_int gone;     /* connections the client has closed */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool go, stop;
};

/* Waits for a fact another thread brings about. */
#define SOON(fact)                                                             \
    do {                                                                       \
        int ms_ = 0;                                                           \
        while (!(fact) && ms_++ < LO_PATIENCE_MS)                              \
            poll(NULL, 0, 1);                                                  \
        CHECK(fact);                                                           \
    } while (0)

static inline void
server_say(const server_conn *c, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t put = send(c->fd, text, n, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        text += put;
        n -= (size_t)put;
    }
}

static inline void
server_answer(const server_conn *c, const char *body)
{
    char text[256];
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(body), body);
    server_say(c, text, (size_t)n);
}

static inline void
server_half(const server_conn *c)
{
    static const char half[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    server *s = c->s;
    server_say(c, half, sizeof half - 1);
    pthread_mutex_lock(&s->mu);
    while (!s->go && !s->stop)
        pthread_cond_wait(&s->changed, &s->mu);
    bool go = s->go;
    pthread_mutex_unlock(&s->mu);
    if (go)
        server_say(c, "world", 5);
}

static inline void
server_echo_bytes(const server_conn *c)
{
    static const char up[] =
        "HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    char buf[256];
    ssize_t n;
    server_say(c, up, sizeof up - 1);
    while ((n = recv(c->fd, buf, sizeof buf, 0)) > 0)
        server_say(c, buf, (size_t)n);
}

static inline void
server_respond(const server_conn *c, const char *path, size_t n)
{
    char text[128];
    if (n > 6 && memcmp(path, "/echo/", 6) == 0) {
        snprintf(text, sizeof text, "%.*s", (int)(n - 6), path + 6);
        server_answer(c, text);
    } else if (n == 5 && memcmp(path, "/conn", 5) == 0) {
        snprintf(text, sizeof text, "%d", c->number);
        server_answer(c, text);
    } else if (n == 5 && memcmp(path, "/half", 5) == 0) {
        server_half(c);
    } else if (n == 4 && memcmp(path, "/bye", 4) == 0) {
        server_answer(c, "bye");
        shutdown(c->fd, SHUT_RDWR);
    } else if (n == 3 && memcmp(path, "/up", 3) == 0) {
        server_echo_bytes(c);
    } /* else /hang */
}

/* Requests have no body and come one at a time. */
static inline void *
server_talk(void *arg)
{
    server_conn *c = arg;
    char buf[2048];
    size_t len = 0;
    ssize_t n;
    while ((n = recv(c->fd, buf + len, sizeof buf - len - 1, 0)) > 0) {
        len += (size_t)n;
        buf[len] = '\0';
        if (strstr(buf, "\r\n\r\n") == NULL)
            continue;
        char *path = strchr(buf, ' ') + 1;
        atomic_fetch_add(&c->s->requests, 1);
        server_respond(c, path, strcspn(path, " "));
        len = 0;
    }
    atomic_fetch_add(&c->s->gone, 1);
    return NULL;
}

static inline void *
server_accept(void *arg)
{
    server *s = arg;
    int fd;
    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&s->mu);
        CHECK(s->n < SERVER_CONNS);
        server_conn *c = &s->conns[s->n++];
        *c = (server_conn){.s = s, .fd = fd, .number = s->n};
        CHECK(pthread_create(&c->thread, NULL, server_talk, c) == 0);
        pthread_mutex_unlock(&s->mu);
    }
    return NULL;
}

static inline void
server_start(server *s)
{
    *s = (server){.listener = -1};
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->listener = lo_listen(AF_INET, 100, &s->addr);
    CHECK(pthread_create(&s->thread, NULL, server_accept, s) == 0);
}

/* Those at /half may send the rest, now and later. */
static inline void
server_go(server *s)
{
    pthread_mutex_lock(&s->mu);
    s->go = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
}

static inline void
server_stop(server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    CHECK(pthread_join(s->thread, NULL) == 0);
    close(s->listener);
    pthread_mutex_lock(&s->mu);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
    for (int i = 0; i < s->n; i++) {
        shutdown(s->conns[i].fd, SHUT_RDWR);
        CHECK(pthread_join(s->conns[i].thread, NULL) == 0);
        close(s->conns[i].fd);
    }
    pthread_mutex_destroy(&s->mu);
    pthread_cond_destroy(&s->changed);
}

#endif
