/* cserver: an HTTP/1.1 server that answers from memory, for benchmarks and
 * stress tests. One thread, one epoll; so its own part of a measurement is
 * small and steady.
 *
 *   cserver [--port N] [--accept-close-every N] [--everywhere 1]
 *
 * prints its port and quits when its stdin closes. It listens on 127.0.0.1, or
 * everywhere in 127.0.0.0/8.
 *
 *   GET  /small      13 bytes
 *   GET  /bytes/N    N bytes with Content-Length; byte i is i % 251
 *   GET  /chunked/N  the same bytes in chunks of at most 16 KiB
 *   GET  /id         the request's X-Id as header and body
 *   GET  /delay/MS   13 bytes after that many milliseconds
 *   POST anything    reads the body and answers its length in digits
 *   HEAD as GET, without the body
 *
 * --accept-close-every N closes every N-th connection as soon as it is made.
 * The head of a request must fit HEAD_MAX; pipelined requests are answered in
 * order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    HEAD_MAX = 16384,
    PERIOD = 251,          /* byte i of a body is i % PERIOD */
    BLOCK = PERIOD * 4096, /* what is kept of the endless body */
    CHUNK = 16384,
    ID_MAX = 256,
    EVENTS = 256
};

typedef enum framing {
    FRAMED_BY_LENGTH,
    FRAMED_BY_CHUNKS
} framing;

typedef enum upload {
    UPLOAD_NONE,
    UPLOAD_LENGTH,
    UPLOAD_CHUNK_SIZE,
    UPLOAD_CHUNK_DATA,
    UPLOAD_CHUNK_END,
    UPLOAD_TRAILER
} upload;

typedef struct conn {
    int fd;
    bool dead;
    bool close_after; /* the response under way is the last one */
    uint32_t watched; /* the events that epoll knows of */

    char in[HEAD_MAX]; /* received and not yet used */
    size_t in_len;

    upload state; /* the request body under way */
    uint64_t upload_left, upload_total;

    bool answering;
    char out[1024]; /* head, small body, chunk size line */
    size_t out_len, out_sent;
    framing how;
    uint64_t body_left, body_pos; /* of the endless body */
    uint64_t piece_left;          /* of the chunk under way */
    bool last_chunk_sent;

    int64_t due; /* ms; the answer waits until then. 0: it does not */
    struct conn *next_due;
    struct conn *next_dead;
} conn;

/* What a request asks for, as far as this server cares. */
typedef struct request {
    const char *method, *target;
    size_t method_len, target_len;
    uint64_t content_length;
    bool chunked, close, expects;
    char id[ID_MAX];
} request;

static char block[BLOCK];
static int epoll_fd;
static conn *delayed;
static conn *dead; /* freed after the round: its events may still come */
static long close_every, accepted;
static char listener_mark, stdin_mark;

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t
now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- connections --------------------------------------------------------- */

static void
watch(conn *c, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};
    if (c->watched == events)
        return;
    c->watched = events;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) != 0)
        die("epoll_ctl");
}

static void
undelay(conn *c)
{
    conn **at = &delayed;
    while (*at && *at != c)
        at = &(*at)->next_due;
    if (*at)
        *at = c->next_due;
    c->due = 0;
}

static void
hang_up(conn *c)
{
    if (c->dead)
        return;
    if (c->due)
        undelay(c);
    c->dead = true;
    close(c->fd);
    c->next_dead = dead;
    dead = c;
}

static void
bury(void)
{
    while (dead) {
        conn *c = dead;
        dead = c->next_dead;
        free(c);
    }
}

static void
take_in(conn *c, size_t n)
{
    c->in_len -= n;
    memmove(c->in, c->in + n, c->in_len);
}

/* ---- answers ------------------------------------------------------------- */

static void
begin(conn *c, int status, const char *headers, uint64_t length)
{
    int n = snprintf(c->out, sizeof c->out,
                     "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\n"
                     "%sContent-Length: %llu\r\n\r\n",
                     status, status == 200 ? "OK" : "Not Found", headers,
                     (unsigned long long)length);
    c->out_len = (size_t)n;
    c->how = FRAMED_BY_LENGTH;
    c->answering = true;
}

static void
answer_text(conn *c, bool head_only, int status, const char *headers,
            const char *text)
{
    size_t n = strlen(text);
    begin(c, status, headers, n);
    if (head_only)
        return;
    memcpy(c->out + c->out_len, text, n);
    c->out_len += n;
}

static void
answer_bytes(conn *c, bool head_only, uint64_t n)
{
    begin(c, 200, "", n);
    c->body_left = head_only ? 0 : n;
}

static void
answer_chunked(conn *c, bool head_only, uint64_t n)
{
    int len = snprintf(c->out, sizeof c->out,
                       "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n");
    c->out_len = (size_t)len;
    c->how = FRAMED_BY_CHUNKS;
    c->body_left = head_only ? 0 : n;
    c->last_chunk_sent = head_only;
    c->answering = true;
}

static void
answer_id(conn *c, bool head_only, const char *id)
{
    char header[ID_MAX + 16];
    snprintf(header, sizeof header, "X-Id: %s\r\n", id);
    answer_text(c, head_only, 200, header, id);
}

static void
delay(conn *c, int64_t ms)
{
    c->due = now_ms() + ms;
    watch(c, 0); /* only a reset can end it now */
    c->next_due = delayed;
    delayed = c;
}

/* The number after `prefix` in the target; false if the target is another. */
static bool
numbered(const request *r, const char *prefix, uint64_t *number)
{
    size_t n = strlen(prefix);
    if (r->target_len <= n || memcmp(r->target, prefix, n) != 0)
        return false;
    *number = strtoull(r->target + n, NULL, 10);
    return true;
}

static bool
is(const char *text, size_t len, const char *want)
{
    return len == strlen(want) && memcmp(text, want, len) == 0;
}

static void
answer(conn *c, const request *r)
{
    bool head_only = is(r->method, r->method_len, "HEAD");
    uint64_t n;
    if (is(r->target, r->target_len, "/small")) {
        answer_text(c, head_only, 200, "", "Hello, world!");
    } else if (is(r->target, r->target_len, "/id")) {
        answer_id(c, head_only, r->id);
    } else if (numbered(r, "/bytes/", &n)) {
        answer_bytes(c, head_only, n);
    } else if (numbered(r, "/chunked/", &n)) {
        answer_chunked(c, head_only, n);
    } else if (numbered(r, "/delay/", &n)) {
        answer_text(c, head_only, 200, "", "Hello, world!");
        delay(c, (int64_t)n);
    } else {
        answer_text(c, head_only, 404, "", "no such thing");
    }
}

static void
answer_upload(conn *c)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu",
             (unsigned long long)c->upload_total);
    answer_text(c, false, 200, "", digits);
}

/* ---- sending ------------------------------------------------------------- */

/* The next stretch of the endless body: at most `max`, unbroken in memory. */
static size_t
stretch(const conn *c, uint64_t max, char **at)
{
    size_t start = c->body_pos % BLOCK;
    uint64_t n = BLOCK - start;
    *at = block + start;
    return (size_t)(n < max ? n : max);
}

/* Puts the next chunk's size line, or the last chunk, into the empty out. */
static void
begin_chunk(conn *c)
{
    const char *end_of_last = c->body_pos > 0 ? "\r\n" : "";
    uint64_t n = c->body_left < CHUNK ? c->body_left : CHUNK;
    int len;
    if (n == 0) {
        len = snprintf(c->out, sizeof c->out, "%s0\r\n\r\n", end_of_last);
        c->last_chunk_sent = true;
    } else {
        len = snprintf(c->out, sizeof c->out, "%s%x\r\n", end_of_last,
                       (unsigned)n);
    }
    c->out_len = (size_t)len;
    c->out_sent = 0;
    c->piece_left = n;
}

/* Fills in what goes out next; 0 entries when the answer is complete. */
static int
gather(conn *c, struct iovec *iov)
{
    int n = 0;
    uint64_t body = c->body_left;
    if (c->how == FRAMED_BY_CHUNKS) {
        if (c->out_sent == c->out_len && c->piece_left == 0 &&
            !c->last_chunk_sent)
            begin_chunk(c);
        body = c->piece_left;
    }
    if (c->out_sent < c->out_len) {
        iov[n].iov_base = c->out + c->out_sent;
        iov[n++].iov_len = c->out_len - c->out_sent;
    }
    if (body > 0) {
        char *at;
        iov[n].iov_len = stretch(c, body, &at);
        iov[n++].iov_base = at;
    }
    return n;
}

static void
account(conn *c, size_t sent)
{
    size_t of_out = c->out_len - c->out_sent;
    if (of_out > sent)
        of_out = sent;
    c->out_sent += of_out;
    sent -= of_out;
    c->body_left -= sent;
    c->body_pos += sent;
    if (c->how == FRAMED_BY_CHUNKS)
        c->piece_left -= sent;
}

static void
end_answer(conn *c)
{
    c->answering = false;
    c->out_len = c->out_sent = 0;
    c->body_left = c->body_pos = c->piece_left = 0;
    c->state = UPLOAD_NONE;
    if (c->close_after)
        hang_up(c);
}

/* Sends until the answer is complete or the kernel takes no more. */
static void
push(conn *c)
{
    struct iovec iov[2];
    int n;
    while ((n = gather(c, iov)) > 0) {
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};
        ssize_t sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            watch(c, EPOLLOUT);
            return;
        }
        if (sent < 0) {
            hang_up(c);
            return;
        }
        account(c, (size_t)sent);
    }
    end_answer(c);
}

/* ---- request heads ------------------------------------------------------- */

static bool
field_is(const char *line, size_t name_len, const char *name)
{
    return name_len == strlen(name) && strncasecmp(line, name, name_len) == 0;
}

static void
read_field(request *r, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (!colon)
        return;
    size_t name_len = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    size_t n = (size_t)(end - value);
    if (field_is(line, name_len, "Content-Length"))
        r->content_length = strtoull(value, NULL, 10);
    else if (field_is(line, name_len, "Transfer-Encoding"))
        r->chunked = n == 7 && strncasecmp(value, "chunked", 7) == 0;
    else if (field_is(line, name_len, "Connection"))
        r->close = n == 5 && strncasecmp(value, "close", 5) == 0;
    else if (field_is(line, name_len, "Expect"))
        r->expects = true;
    else if (field_is(line, name_len, "X-Id") && n < ID_MAX)
        memcpy(r->id, value, n); /* zeroed before */
}

static bool
read_request_line(request *r, const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    if (!space)
        return false;
    r->method = line;
    r->method_len = (size_t)(space - line);
    r->target = space + 1;
    size_t rest = len - r->method_len - 1;
    const char *second = memchr(r->target, ' ', rest);
    if (!second)
        return false;
    r->target_len = (size_t)(second - r->target);
    return true;
}

/* Reads the head at the start of `in`. Its length, 0 if it is not all there,
 * or -1 if it makes no sense. */
static long
read_head(const conn *c, request *r)
{
    const char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end)
        return c->in_len == HEAD_MAX ? -1 : 0;
    memset(r, 0, sizeof *r);
    const char *line = c->in;
    bool first = true;
    while (line < end) {
        const char *eol = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        size_t len = (size_t)(eol - line);
        if (first && !read_request_line(r, line, len))
            return -1;
        if (!first)
            read_field(r, line, len);
        first = false;
        line = eol + 2;
    }
    return first ? -1 : end + 4 - c->in;
}

/* ---- request bodies ------------------------------------------------------ */

static void
begin_upload(conn *c, const request *r)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    c->upload_total = 0;
    c->upload_left = r->content_length;
    c->state = r->chunked ? UPLOAD_CHUNK_SIZE : UPLOAD_LENGTH;
    if (r->expects && send(c->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL) < 0)
        hang_up(c);
}

/* Uses up to upload_left bytes; true when they have all come. */
static bool
swallow(conn *c)
{
    uint64_t n = c->in_len < c->upload_left ? c->in_len : c->upload_left;
    c->upload_left -= n;
    c->upload_total += n;
    take_in(c, (size_t)n);
    return c->upload_left == 0;
}

/* The next line, its end zeroed, into *line; false if it is not all there.
 * The caller takes *used bytes when it is done with the line. */
static bool
next_line(conn *c, char **line, size_t *used)
{
    char *eol = memmem(c->in, c->in_len, "\r\n", 2);
    if (!eol) {
        if (c->in_len == HEAD_MAX)
            hang_up(c);
        return false;
    }
    *eol = 0;
    *line = c->in;
    *used = (size_t)(eol + 2 - c->in);
    return true;
}

static bool
upload_line(conn *c)
{
    char *line;
    size_t used;
    if (!next_line(c, &line, &used))
        return false;
    if (c->state == UPLOAD_CHUNK_SIZE) {
        c->upload_left = strtoull(line, NULL, 16);
        c->state = c->upload_left ? UPLOAD_CHUNK_DATA : UPLOAD_TRAILER;
    } else if (c->state == UPLOAD_CHUNK_END) {
        c->state = UPLOAD_CHUNK_SIZE;
    } else if (*line == 0) { /* UPLOAD_TRAILER, the empty line */
        answer_upload(c);
    }
    take_in(c, used);
    return true;
}

/* One step of the request body; false when more bytes are needed. */
static bool
upload_step(conn *c)
{
    switch (c->state) {
    case UPLOAD_LENGTH:
        if (!swallow(c))
            return false;
        answer_upload(c);
        return true;
    case UPLOAD_CHUNK_DATA:
        if (!swallow(c))
            return false;
        c->state = UPLOAD_CHUNK_END;
        return true;
    default:
        return upload_line(c);
    }
}

/* ---- the loop ------------------------------------------------------------ */

/* Starts on the next request; false when its head is not all there. */
static bool
begin_request(conn *c)
{
    request r;
    long n = read_head(c, &r);
    if (n < 0)
        hang_up(c);
    if (n <= 0)
        return false;
    c->close_after = r.close;
    bool has_body =
        r.chunked || r.content_length > 0 || is(r.method, r.method_len, "POST");
    if (!has_body)
        answer(c, &r);
    take_in(c, (size_t)n);
    if (has_body)
        begin_upload(c, &r);
    return true;
}

/* Goes as far as the bytes received and the kernel's buffers allow. */
static void
work(conn *c)
{
    bool more = true;
    while (more && !c->dead && !c->due) {
        if (c->answering) {
            push(c);
            more = !c->answering;
        } else if (c->state != UPLOAD_NONE) {
            more = upload_step(c);
        } else {
            more = begin_request(c);
        }
    }
    if (!c->dead && !c->answering)
        watch(c, EPOLLIN);
}

static void
receive(conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, HEAD_MAX - c->in_len, 0);
    if (n > 0)
        c->in_len += (size_t)n;
    else if (n == 0 || errno != EAGAIN)
        hang_up(c);
}

static void
on_event(conn *c, uint32_t events)
{
    if (c->dead)
        return;
    /* While an answer is under way nothing is read: a full `in` would look
     * like the end. Level-triggered, so nothing is lost. */
    if (!c->answering)
        receive(c);
    else if (events & (EPOLLERR | EPOLLHUP))
        hang_up(c);
    if (!c->dead)
        work(c);
}

static void
greet(int fd)
{
    int one = 1;
    conn *c = calloc(1, sizeof *c);
    if (!c)
        die("calloc");
    c->fd = fd;
    c->watched = EPOLLIN;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
        die("epoll_ctl");
}

static void
accept_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return; /* EAGAIN, or the client is gone already */
        accepted++;
        if (close_every > 0 && accepted % close_every == 0)
            close(fd);
        else
            greet(fd);
    }
}

/* Answers those that have waited long enough. Milliseconds until the next is
 * due, -1 if there is none. */
static int
serve_delayed(void)
{
    int64_t now = now_ms(), next = INT64_MAX;
    conn *c = delayed;
    while (c) {
        conn *following = c->next_due;
        if (c->due <= now) {
            undelay(c);
            work(c);
        } else if (c->due < next) {
            next = c->due;
        }
        c = following;
    }
    return next == INT64_MAX ? -1 : (int)(next - now);
}

static void
check_stdin(void)
{
    char junk[256];
    if (read(STDIN_FILENO, junk, sizeof junk) <= 0)
        exit(0);
}

static void
loop(int listener)
{
    struct epoll_event events[EVENTS];
    int timeout = -1;
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, timeout);
        for (int i = 0; i < n; i++) {
            void *who = events[i].data.ptr;
            if (who == &listener_mark)
                accept_all(listener);
            else if (who == &stdin_mark)
                check_stdin();
            else
                on_event(who, events[i].events);
        }
        timeout = serve_delayed();
        bury();
    }
}

/* ---- start --------------------------------------------------------------- */

/* On all addresses, but not for those from outside. */
static void
stay_on_loopback(int fd)
{
#ifdef SO_BINDTODEVICE
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0)
        return;
#endif
    die("--everywhere");
}

static int
listen_on(uint16_t port, bool everywhere, uint16_t *got)
{
    int one = 1;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    addr.sin_addr.s_addr = htonl(everywhere ? INADDR_ANY : INADDR_LOOPBACK);
    if (everywhere)
        stay_on_loopback(fd);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 ||
        listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        die("listen");
    *got = ntohs(addr.sin_port);
    return fd;
}

static void
register_mark(int fd, char *mark)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = mark};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
        die("stdin must be a pipe; epoll_ctl");
}

/* As many descriptors as we may have. */
static void
raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static long
option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0)
            return atol(argv[i + 1]);
    return 0;
}

int
main(int argc, char **argv)
{
    uint16_t port;
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (char)(i % PERIOD);
    raise_limit();
    close_every = option(argc, argv, "--accept-close-every");
    bool everywhere = option(argc, argv, "--everywhere");
    int listener =
        listen_on((uint16_t)option(argc, argv, "--port"), everywhere, &port);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    register_mark(listener, &listener_mark);
    register_mark(STDIN_FILENO, &stdin_mark);
    printf("%u\n", port);
    fflush(stdout);
    loop(listener);
}
