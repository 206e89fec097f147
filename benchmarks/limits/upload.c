/* upload: a file in the body of a request, read and sent piece by piece.
 *
 *   file=       what to send
 *   buffer=     bytes of a piece
 */
#include "limit.h"

#include <fcntl.h>

static uint64_t size;
static const char *file;
static char *buffer;
static size_t cap;

static void
send_file(channel *c)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    if (fd < 0)
        die(file);
    while ((n = read(fd, buffer, cap)) > 0)
        send_all(c, buffer, (size_t)n);
    if (n < 0)
        die(file);
    close(fd);
}

static uint64_t
post_once(channel *c)
{
    char answer[HEAD_MAX], *body;
    send_all(c, request, request_len);
    send_file(c);
    size_t got = receive_head(c, answer, &body);
    while (got < size)
        got += receive(c, body + got, sizeof answer - got);
    return got;
}

static uint64_t
post(long n)
{
    uint64_t bytes = 0;
    channel c = open_channel();
    send_at_once(c.fd);
    for (long i = 0; i < n; i++)
        bytes += post_once(&c);
    close_channel(&c);
    return bytes;
}

int
main(int argc, char **argv)
{
    (void)argc;
    begin(argv);
    size = number("size");
    file = argument("file");
    cap = number("buffer");
    buffer = malloc(cap);
    if (!buffer || !file)
        wrong("see the top of upload.c");
    serve(post);
    return 0;
}
