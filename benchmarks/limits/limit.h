/* limit.h: what the programs in this folder share. Each does one thing with
 * blocking sockets and only the system calls that have to be; what a client
 * costs is what it takes beyond them.
 *
 * Arguments are NAME=VALUE:
 *
 *   do=        what to do, see the program
 *   port=      of the server
 *   request=   a file with the bytes to send: those that hpool sends
 *   size=      bytes of the answer's body
 *   ca=        speak TLS, trust this file
 *   addresses= how many to spread connections over, from 127.0.0.1 on
 *   ...        see the program
 *
 * A program says "ready", reads counts from stdin, one a line, does its thing
 * as many times, and answers with the nanoseconds all took and the body bytes
 * they read.
 */
#ifndef LIMIT_H
#define LIMIT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    HEAD_MAX = 16384
};

static char **arguments;
static char *request;
static size_t request_len;
static SSL_CTX *tls; /* NULL: plain */

static inline void
die(const char *what)
{
    perror(what);
    exit(1);
}

static inline void
wrong(const char *what)
{
    fprintf(stderr, "limit: %s\n", what);
    exit(1);
}

/* ---- arguments ----------------------------------------------------------- */

/* NULL if it was not given. */
static inline const char *
argument(const char *name)
{
    size_t n = strlen(name);
    for (char **a = arguments; *a; a++)
        if (strncmp(*a, name, n) == 0 && (*a)[n] == '=')
            return *a + n + 1;
    return NULL;
}

static inline uint64_t
number(const char *name)
{
    const char *value = argument(name);
    return value ? strtoull(value, NULL, 10) : 0;
}

static inline bool
does(const char *what)
{
    const char *value = argument("do");
    return value && strcmp(value, what) == 0;
}

static inline void
read_request(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        die(path);
    request_len = (size_t)ftell(f);
    rewind(f);
    request = malloc(request_len);
    if (!request || fread(request, 1, request_len, f) != request_len)
        die(path);
    fclose(f);
}

static inline SSL_CTX *
new_tls(const char *ca)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
        wrong("no TLS");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    /* Else each record is two calls: one for its head, one for the rest. */
    SSL_CTX_set_read_ahead(ctx, 1);
    return ctx;
}

/* ---- connections --------------------------------------------------------- */

typedef struct channel {
    int fd;
    SSL *ssl; /* NULL: plain */
} channel;

static struct sockaddr_in server = {.sin_family = AF_INET};

/* Goes on to the next address. */
static inline void
turn_address(void)
{
    static uint32_t turned;
    uint32_t n = (uint32_t)number("addresses");
    server.sin_port = htons((uint16_t)number("port"));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (n ? turned++ % n : 0));
}

/* Where more than one small packet may be under way. */
static inline void
send_at_once(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline int
dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) != 0)
        die("connect");
    return fd;
}

/* `resumed` may be NULL. */
static inline SSL *
shake_hands(int fd, SSL_SESSION *resumed)
{
    SSL *ssl = SSL_new(tls);
    send_at_once(fd);
    X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl),
                              (unsigned char *)&server.sin_addr, 4);
    if (resumed)
        SSL_set_session(ssl, resumed);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1)
        wrong("the handshake failed");
    if (resumed && !SSL_session_reused(ssl))
        wrong("the session was not resumed");
    return ssl;
}

static inline channel
open_channel(void)
{
    channel c = {.fd = dial()};
    if (tls)
        c.ssl = shake_hands(c.fd, NULL);
    return c;
}

static inline void
close_channel(channel *c)
{
    SSL_free(c->ssl);
    close(c->fd);
}

static inline void
send_all(channel *c, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t put = c->ssl ? SSL_write(c->ssl, bytes, (int)n)
                             : send(c->fd, bytes, n, MSG_NOSIGNAL);
        if (put <= 0)
            die("send");
        bytes += put;
        n -= (size_t)put;
    }
}

static inline size_t
receive(channel *c, void *into, size_t cap)
{
    if (cap > INT32_MAX)
        cap = INT32_MAX;
    ssize_t n =
        c->ssl ? SSL_read(c->ssl, into, (int)cap) : recv(c->fd, into, cap, 0);
    if (n <= 0)
        die("recv");
    return (size_t)n;
}

/* Takes the head of an answer; what came of the body with it begins at *body,
 * inside `buffer` of HEAD_MAX bytes. */
static inline size_t
receive_head(channel *c, char *buffer, char **body)
{
    size_t got = 0;
    char *end;
    do {
        got += receive(c, buffer + got, HEAD_MAX - got);
        end = memmem(buffer, got, "\r\n\r\n", 4);
    } while (!end && got < HEAD_MAX);
    if (!end || memcmp(buffer, "HTTP/1.1 200 ", 13) != 0)
        wrong("not the answer that was to come");
    *body = end + 4;
    return got - (size_t)(*body - buffer);
}

static inline void
begin(char **argv)
{
    arguments = argv + 1;
    if (argument("request"))
        read_request(argument("request"));
    if (argument("ca"))
        tls = new_tls(argument("ca"));
    turn_address();
}

/* ---- counts in, times out ------------------------------------------------ */

static inline int64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* turns(n) does its thing n times; the body bytes of them all. */
static inline void
serve(uint64_t (*turns)(long n))
{
    long n;
    turns(1); /* warm */
    printf("ready\n");
    fflush(stdout);
    while (scanf("%ld", &n) == 1) {
        turn_address();
        int64_t start = now_ns();
        uint64_t bytes = turns(n);
        printf("%lld %llu\n", (long long)(now_ns() - start),
               (unsigned long long)bytes);
        fflush(stdout);
    }
}

#endif
