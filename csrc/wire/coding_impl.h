/* coding_impl: what coding.c needs of one codec. For csrc/wire only.
 *
 * A codec never produces more than the output it is offered and never keeps
 * more input than its window needs. */
#ifndef HP_WIRE_CODING_IMPL_H
#define HP_WIRE_CODING_IMPL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Input and room still there; codecs move both on. No pointer is NULL. */
typedef struct hp_codec_io {
    const char *in;
    size_t in_len;
    bool end; /* nothing follows these bytes */
    char *out;
    size_t out_len;
} hp_codec_io;

typedef struct hp_codec {
    const char *name;
    void *(*open)(void); /* NULL: out of memory */
    /* 1: all input is used, no more will follow, and the coding ended with
     * it; or there was no input at all. 0: wants more input (not when io->end)
     * or more room. -1: *err is HP_E_DECODING or HP_E_NOMEM; the state is then
     * only good for close. */
    int (*step)(void *state, hp_codec_io *io, hp_err *err);
    void (*close)(void *state);
} hp_codec;

extern const hp_codec hp_codec_gzip, hp_codec_deflate;
#ifdef HP_HAVE_BROTLI
extern const hp_codec hp_codec_br;
#endif
#ifdef HP_HAVE_ZSTD
extern const hp_codec hp_codec_zstd;
#endif

/* The two faults every codec knows. Both return -1. */
static inline int
hp_codec_cut(hp_err *err, const char *name)
{
    return hp_err_set(err, HP_E_DECODING, "%s: the data ends too early", name);
}

static inline int
hp_codec_junk(hp_err *err, const char *name)
{
    return hp_err_set(err, HP_E_DECODING, "%s: bytes after the end of the data",
                      name);
}

#endif
