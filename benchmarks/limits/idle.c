/* idle: how much the memory of this process grows by count connections that
 * have served a request and are kept. Answers with that instead of body bytes.
 */
#include "limit.h"

static channel *channels;
static long n_channels;

static uint64_t
resident(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %lu", &pages) != 1)
        die("/proc/self/statm");
    fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
open_idle(channel *c)
{
    char answer[HEAD_MAX], *body;
    size_t size = (size_t)number("size");
    *c = open_channel();
    send_all(c, request, request_len);
    size_t got = receive_head(c, answer, &body);
    while (got < size)
        got += receive(c, body + got, sizeof answer - got);
}

static uint64_t
open_many(long n)
{
    uint64_t before = resident();
    channels = realloc(channels, (size_t)(n_channels + n) * sizeof *channels);
    if (!channels)
        die("realloc");
    for (long i = 0; i < n; i++)
        open_idle(&channels[n_channels++]);
    return resident() - before;
}

int
main(int argc, char **argv)
{
    (void)argc;
    begin(argv);
    if (tls)
        SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    serve(open_many);
    return 0;
}
