/* connect: a new connection for each request, closed after its answer.
 *
 *   resume=1    TLS sessions are taken up again
 */
#include "limit.h"

static uint64_t size;
static bool resumes;
static SSL_SESSION *session; /* of the connection before */

/* The ticket came with the answer, or before it. */
static void
keep_session(SSL *ssl)
{
    SSL_SESSION_free(session);
    session = SSL_get1_session(ssl);
    /* Else it would not be taken up again: nobody has said goodbye. */
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN);
}

static uint64_t
get_once(void)
{
    char buffer[HEAD_MAX], *body;
    channel c = {.fd = dial()};
    if (tls)
        c.ssl = shake_hands(c.fd, session);
    send_all(&c, request, request_len);
    size_t got = receive_head(&c, buffer, &body);
    while (got < size)
        got += receive(&c, body + got, sizeof buffer - got);
    if (resumes)
        keep_session(c.ssl);
    close_channel(&c);
    return got;
}

static uint64_t
get(long n)
{
    uint64_t bytes = 0;
    for (long i = 0; i < n; i++)
        bytes += get_once();
    return bytes;
}

int
main(int argc, char **argv)
{
    (void)argc;
    begin(argv);
    size = number("size");
    resumes = number("resume");
    serve(get);
    return 0;
}
