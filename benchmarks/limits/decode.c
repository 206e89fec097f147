/* decode: a compressed body on a kept connection into fresh memory, and from
 * there, decompressed in one go, into fresh memory.
 *
 *   coding=      gzip, br or zstd
 *   coded=       bytes of the compressed body
 */
#include "limit.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

enum {
    GZIP = 16 + MAX_WBITS /* zlib's way to say that there is a gzip header */
};

typedef size_t decoder(void *out, size_t cap, const void *in, size_t n);

static uint64_t size, coded;
static decoder *decode;
static channel kept;

static size_t
gunzip(void *out, size_t cap, const void *in, size_t n)
{
    z_stream z = {.next_in = (void *)in,
                  .avail_in = (uInt)n,
                  .next_out = out,
                  .avail_out = (uInt)cap};
    if (inflateInit2(&z, GZIP) != Z_OK || inflate(&z, Z_FINISH) != Z_STREAM_END)
        wrong("not gzip");
    inflateEnd(&z);
    return cap - z.avail_out;
}

static size_t
unbrotli(void *out, size_t cap, const void *in, size_t n)
{
    if (BrotliDecoderDecompress(n, in, &cap, out) !=
        BROTLI_DECODER_RESULT_SUCCESS)
        wrong("not brotli");
    return cap;
}

static size_t
unzstd(void *out, size_t cap, const void *in, size_t n)
{
    size_t got = ZSTD_decompress(out, cap, in, n);
    if (ZSTD_isError(got))
        wrong("not zstd");
    return got;
}

static uint64_t
get_once(channel *c)
{
    char head[HEAD_MAX], *start;
    send_all(c, request, request_len);
    size_t got = receive_head(c, head, &start);
    char *body = malloc(coded), *text = malloc(size);
    if (!body || !text)
        die("malloc");
    memcpy(body, start, got);
    while (got < coded)
        got += receive(c, body + got, coded - got);
    size_t n = decode(text, size, body, coded);
    free(text);
    free(body);
    return n;
}

static uint64_t
get(long n)
{
    uint64_t bytes = 0;
    for (long i = 0; i < n; i++)
        bytes += get_once(&kept);
    return bytes;
}

static decoder *
decoder_of(const char *coding)
{
    if (strcmp(coding, "gzip") == 0)
        return gunzip;
    if (strcmp(coding, "br") == 0)
        return unbrotli;
    if (strcmp(coding, "zstd") == 0)
        return unzstd;
    wrong("see the top of decode.c");
    return NULL;
}

int
main(int argc, char **argv)
{
    (void)argc;
    begin(argv);
    size = number("size");
    coded = number("coded");
    decode = decoder_of(argument("coding"));
    kept = open_channel();
    serve(get);
    return 0;
}
