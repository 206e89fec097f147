/* get: bodies on a kept connection, or on one that is made for each batch.
 *
 *   do=ping     the answer comes whole with one recv; threads= of them, each
 *               with a connection of its own, share the turns
 *   do=fresh    into memory that is allocated for each body; huge=1: and of
 * which huge pages are asked for do=into     through one buffer of buffer=
 * bytes do=lines    the same, and counts the lines; size= is how many there are
 *   anew=1      a new connection for each count read from stdin: how TCP cuts a
 *               big body into segments settles once for each connection
 */
#include "limit.h"

#include <pthread.h>
#include <sys/mman.h>

enum {
    THREADS_MAX = 256
};

static uint64_t size;
static channel kept;
static bool anew, huge;

/* ---- ping ---------------------------------------------------------------- */

typedef struct pinger {
    channel c;
    long n;
    char *expected; /* every answer is the same */
    size_t expected_len;
} pinger;

static pinger pingers[THREADS_MAX];
static long n_pingers;

/* The length of all answers is learnt from the first. */
static void
learn(pinger *p)
{
    char buffer[HEAD_MAX], *body;
    p->c = open_channel();
    send_all(&p->c, request, request_len);
    size_t got = receive_head(&p->c, buffer, &body);
    while (got < size)
        got += receive(&p->c, body + got, sizeof buffer - got);
    p->expected_len = (size_t)(body - buffer) + got;
    p->expected = malloc(p->expected_len);
    if (got != size || !p->expected)
        wrong("a body of another size");
    memcpy(p->expected, buffer, p->expected_len);
}

/* Answers differ in their Date at most: the body is what is compared. */
static void
ping_once(pinger *p)
{
    char answer[HEAD_MAX];
    size_t got = 0, n = p->expected_len;
    send_all(&p->c, request, request_len);
    while (got < n)
        got += receive(&p->c, answer + got, sizeof answer - got);
    if (got != n ||
        memcmp(answer + n - size, p->expected + n - size, size) != 0)
        wrong("another answer than before");
}

static void
ping_many(pinger *p)
{
    for (long i = 0; i < p->n; i++)
        ping_once(p);
}

/* The threads live as long as the process. */
static pthread_barrier_t start, end;

static void *
ping_when_told(void *arg)
{
    for (;;) {
        pthread_barrier_wait(&start);
        ping_many(arg);
        pthread_barrier_wait(&end);
    }
    return NULL;
}

static uint64_t
ping(long n)
{
    for (long i = 0; i < n_pingers; i++)
        pingers[i].n = n / n_pingers + (i < n % n_pingers);
    if (n_pingers == 1) {
        ping_many(&pingers[0]);
        return size * (uint64_t)n;
    }
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&end);
    return size * (uint64_t)n;
}

static void
start_threads(void)
{
    unsigned all = (unsigned)n_pingers + 1;
    pthread_t thread;
    if (pthread_barrier_init(&start, NULL, all) != 0 ||
        pthread_barrier_init(&end, NULL, all) != 0)
        wrong("no barrier");
    for (long i = 0; i < n_pingers; i++)
        if (pthread_create(&thread, NULL, ping_when_told, &pingers[i]) != 0)
            wrong("no thread");
}

static void
serve_pings(void)
{
    n_pingers = number("threads") ? (long)number("threads") : 1;
    if (n_pingers > THREADS_MAX)
        wrong("too many threads");
    for (long i = 0; i < n_pingers; i++)
        learn(&pingers[i]);
    if (n_pingers > 1)
        start_threads();
    serve(ping);
}

/* ---- bodies -------------------------------------------------------------- */

/* `turn` for each of n bodies, on a connection as it is wanted. */
static uint64_t
bodies(long n, uint64_t (*turn)(channel *c))
{
    uint64_t bytes = 0;
    if (anew || kept.fd == 0)
        kept = open_channel();
    for (long i = 0; i < n; i++)
        bytes += turn(&kept);
    if (anew)
        close_channel(&kept);
    return bytes;
}

static char *
new_memory(void)
{
    char *at = malloc(size);
    const uintptr_t page = 4096;
    if (!at)
        die("malloc");
    if (huge) {
        uintptr_t from = ((uintptr_t)at + page - 1) & ~(page - 1);
        madvise((void *)from, size - page, MADV_HUGEPAGE);
    }
    return at;
}

static uint64_t
fresh_once(channel *c)
{
    char head[HEAD_MAX], *start;
    send_all(c, request, request_len);
    size_t got = receive_head(c, head, &start);
    char *body = new_memory();
    memcpy(body, start, got);
    while (got < size)
        got += receive(c, body + got, size - got);
    if (got != size)
        wrong("a body of another size");
    free(body);
    return got;
}

static uint64_t
fresh(long n)
{
    return bodies(n, fresh_once);
}

static uint64_t
into_once(channel *c)
{
    static char *buffer;
    static size_t cap;
    char head[HEAD_MAX], *start;
    if (!buffer) {
        cap = number("buffer");
        buffer = malloc(cap);
    }
    send_all(c, request, request_len);
    uint64_t got = receive_head(c, head, &start);
    while (got < size)
        got += receive(c, buffer, size - got < cap ? size - got : cap);
    if (got != size)
        wrong("a body of another size");
    return got;
}

static uint64_t
into(long n)
{
    return bodies(n, into_once);
}

/* ---- lines --------------------------------------------------------------- */

static uint64_t
count_lines(const char *at, size_t n)
{
    uint64_t found = 0;
    const char *end = at + n, *eol;
    while ((eol = memchr(at, '\n', (size_t)(end - at)))) {
        at = eol + 1;
        found++;
    }
    return found;
}

static uint64_t
lines_once(channel *c)
{
    static char buffer[1 << 16];
    char head[HEAD_MAX], *start;
    send_all(c, request, request_len);
    size_t n = receive_head(c, head, &start);
    uint64_t found = count_lines(start, n);
    while (found < size) {
        n = receive(c, buffer, sizeof buffer);
        found += count_lines(buffer, n);
    }
    return found;
}

static uint64_t
lines(long n)
{
    return bodies(n, lines_once);
}

int
main(int argc, char **argv)
{
    (void)argc;
    begin(argv);
    size = number("size");
    anew = number("anew");
    huge = number("huge");
    if (does("ping"))
        serve_pings();
    else if (does("fresh"))
        serve(fresh);
    else if (does("into"))
        serve(into);
    else if (does("lines"))
        serve(lines);
    else
        wrong("see the top of get.c");
    return 0;
}
