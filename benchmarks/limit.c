/* limit: what the machine allows. A blocking socket and only the system calls
 * that have to be; what a client costs is what it takes beyond this.
 *
 *   limit ping PORT REQUEST BODY         REQUEST is a file with the bytes to
 *   limit recv PORT REQUEST SIZE BUFFER  send; SIZE and BUFFER are in bytes
 *
 * reads counts from stdin, one a line, does its thing as many times, and prints
 * the nanoseconds that each took.
 *
 * ping: one send and one recv on a kept connection; each answer has to end with
 * BODY. recv: a fresh connection each time, and a body of SIZE bytes through a
 * buffer of BUFFER bytes; in a first, unmeasured pass every byte is checked
 * (byte i is i % 251, see tests/server/cserver.c).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PERIOD = 251,
    REQUEST_MAX = 4096,
    ANSWER_MAX = 4096
};

static uint16_t port;
static char request[REQUEST_MAX];
static size_t request_len;

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static void
wrong(const char *what)
{
    fprintf(stderr, "limit: %s\n", what);
    exit(1);
}

static int64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
read_request(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        die(path);
    request_len = fread(request, 1, sizeof request, f);
    fclose(f);
}

static int
open_connection(void)
{
    int one = 1;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void
send_request(int fd)
{
    if (send(fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len)
        die("send");
}

static size_t
receive(int fd, char *into, size_t cap)
{
    ssize_t n = recv(fd, into, cap, 0);
    if (n <= 0)
        die("recv");
    return (size_t)n;
}

/* ---- ping ---------------------------------------------------------------- */

static char expected[ANSWER_MAX]; /* every answer is the same */
static size_t expected_len;

/* The first answer, from which the length of all is learnt. It is small and
 * sent with one call, so it comes with one. */
static void
learn(int fd, const char *body)
{
    size_t n = strlen(body);
    send_request(fd);
    expected_len = receive(fd, expected, sizeof expected);
    if (expected_len < n || memcmp(expected + expected_len - n, body, n) != 0 ||
        memcmp(expected, "HTTP/1.1 200 ", 13) != 0)
        wrong("not the answer that was to come");
}

static void
ping_once(int fd)
{
    char answer[ANSWER_MAX];
    size_t got = 0;
    send_request(fd);
    while (got < expected_len)
        got += receive(fd, answer + got, sizeof answer - got);
    if (got != expected_len || memcmp(answer, expected, got) != 0)
        wrong("another answer than before");
}

static void
ping(const char *body)
{
    long rounds;
    int fd = open_connection();
    learn(fd, body);
    while (scanf("%ld", &rounds) == 1) {
        int64_t begin = now_ns();
        for (long i = 0; i < rounds; i++)
            ping_once(fd);
        printf("%.1f\n", (double)(now_ns() - begin) / (double)rounds);
        fflush(stdout);
    }
    close(fd);
}

/* ---- recv ---------------------------------------------------------------- */

static void
check_pattern(const char *bytes, size_t n, uint64_t at)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)bytes[i] != (at + i) % PERIOD)
            wrong("a wrong byte in the body");
}

/* Takes the head; what came of the body with it is at the buffer's start. */
static size_t
skip_head(int fd, char *buffer, size_t cap)
{
    size_t got = 0;
    char *end;
    do {
        got += receive(fd, buffer + got, cap - got);
        end = memmem(buffer, got, "\r\n\r\n", 4);
    } while (!end);
    size_t body = got - (size_t)(end + 4 - buffer);
    memmove(buffer, end + 4, body);
    return body;
}

static void
take_body(char *buffer, size_t cap, uint64_t size, bool check)
{
    int fd = open_connection();
    send_request(fd);
    size_t n = skip_head(fd, buffer, cap);
    uint64_t total = n;
    if (check)
        check_pattern(buffer, n, 0);
    while (total < size) {
        n = receive(fd, buffer, cap);
        if (check)
            check_pattern(buffer, n, total);
        total += n;
    }
    if (total != size)
        wrong("a body of another size");
    close(fd);
}

static void
recv_bodies(uint64_t size, size_t cap)
{
    long rounds;
    char *buffer = malloc(cap);
    if (!buffer)
        die("malloc");
    take_body(buffer, cap, size, true);
    while (scanf("%ld", &rounds) == 1) {
        int64_t begin = now_ns();
        for (long i = 0; i < rounds; i++)
            take_body(buffer, cap, size, false);
        printf("%.1f\n", (double)(now_ns() - begin) / (double)rounds);
        fflush(stdout);
    }
    free(buffer);
}

int
main(int argc, char **argv)
{
    if (argc < 5)
        wrong("see the top of limit.c for the arguments");
    port = (uint16_t)atoi(argv[2]);
    read_request(argv[3]);
    if (strcmp(argv[1], "ping") == 0)
        ping(argv[4]);
    else if (strcmp(argv[1], "recv") == 0 && argc == 6)
        recv_bodies(strtoull(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
    else
        wrong("see the top of limit.c for the arguments");
    return 0;
}
