/* br (RFC 7932) on libbrotlidec. */
#include "wire/coding_impl.h"

#ifdef HP_HAVE_BROTLI
#include <brotli/decode.h>
#include <stdint.h>

#include "base/mem.h"

typedef struct br_state {
    BrotliDecoderState *d;
    bool fresh, ended;
} br_state;

static void *
br_alloc(void *opaque, size_t n)
{
    return hp_malloc(n);
}

static void
br_free(void *opaque, void *p)
{
    hp_free(p);
}

static void *
br_open(void)
{
    br_state *s = hp_calloc(sizeof *s);
    if (s == NULL)
        return NULL;
    s->fresh = true;
    s->d = BrotliDecoderCreateInstance(br_alloc, br_free, NULL);
    if (s->d == NULL) {
        hp_free(s);
        return NULL;
    }
    return s;
}

static void
br_close(void *state)
{
    br_state *s = state;
    BrotliDecoderDestroyInstance(s->d);
    hp_free(s);
}

static int
br_failed(br_state *s, hp_err *err)
{
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(s->d);
    if (code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
        code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES)
        return hp_err_set(err, HP_E_NOMEM, "br: no memory");
    return hp_err_set(err, HP_E_DECODING, "br: %s",
                      BrotliDecoderErrorString(code));
}

static int
br_step(void *state, hp_codec_io *io, hp_err *err)
{
    br_state *s = state;
    if (s->fresh && io->in_len == 0)
        return io->end;
    s->fresh = false;
    if (!s->ended) {
        const uint8_t *in = (const uint8_t *)io->in;
        uint8_t *out = (uint8_t *)io->out;
        BrotliDecoderResult result = BrotliDecoderDecompressStream(
            s->d, &io->in_len, &in, &io->out_len, &out, NULL);
        io->in = (const char *)in;
        io->out = (char *)out;
        if (result == BROTLI_DECODER_RESULT_ERROR)
            return br_failed(s, err);
        /* With the output full there may be more of it, whatever it says. */
        if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT)
            return io->end && io->out_len > 0 ? hp_codec_cut(err, "br") : 0;
        if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT)
            return 0;
        s->ended = true;
    }
    return io->in_len > 0 ? hp_codec_junk(err, "br") : io->end;
}

const hp_codec hp_codec_br = {"br", br_open, br_step, br_close};
#endif
