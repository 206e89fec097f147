/* zstd (RFC 8878, RFC 9659) on libzstd. */
#include "wire/coding_impl.h"

#ifdef HP_HAVE_ZSTD
#include <stdatomic.h>

#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"

enum {
    WINDOW_LOG_MAX = 23,   /* RFC 9659 3: at most 8 MiB in a content coding */
    FRAME_HEADER_MAX = 18, /* with the magic number, RFC 8878 3.1.1 */
    SPARE_MAX = 4 << 20    /* bytes worth keeping */
};

typedef struct zstd_state {
    ZSTD_DCtx *d;
    bool inside;  /* a frame has begun and not ended */
    bool waiting; /* the last call had room to spare: only input helps */
    /* Header bytes go in one by one. Given more, libzstd may take two side
     * paths: for frames it sees whole (the window limit does not count there)
     * and for the formats before the RFC (old code, not for strangers). And
     * how the bytes were split would matter. */
    size_t header_left;
} zstd_state;

/* One that has served and may serve again: a new one's memory comes page fault
 * by page fault, which takes as long as decoding a megabyte. */
static _Atomic(ZSTD_DCtx *) spare;

static ZSTD_DCtx *
context_get(void)
{
    ZSTD_DCtx *d = atomic_exchange(&spare, NULL);
    return d ? d : ZSTD_createDCtx();
}

static void
context_put(ZSTD_DCtx *d)
{
    size_t r = ZSTD_DCtx_reset(d, ZSTD_reset_session_only);
    if (!ZSTD_isError(r) && ZSTD_sizeof_DCtx(d) <= SPARE_MAX)
        d = atomic_exchange(&spare, d);
    ZSTD_freeDCtx(d);
}

/* libzstd allocates on its own here: custom allocators are behind
 * ZSTD_STATIC_LINKING_ONLY, which promises no stable ABI. */
static void *
zstd_open(void)
{
    zstd_state *s = hp_calloc(sizeof *s);
    if (s == NULL)
        return NULL;
    s->waiting = true;
    s->d = context_get();
    if (s->d == NULL) {
        hp_free(s);
        return NULL;
    }
    ZSTD_DCtx_setParameter(s->d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return s;
}

static void
zstd_close(void *state)
{
    zstd_state *s = state;
    context_put(s->d);
    hp_free(s);
}

static int
zstd_failed(size_t code, hp_err *err)
{
    if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
        return hp_err_set(err, HP_E_NOMEM, "zstd: no memory");
    return hp_err_set(err, HP_E_DECODING, "zstd: %s", ZSTD_getErrorName(code));
}

/* Frames follow one another without a mark (RFC 8878 3), so each of them may
 * be the last. */
static int
zstd_step(void *state, hp_codec_io *io, hp_err *err)
{
    zstd_state *s = state;
    /* libzstd takes calls that cannot achieve anything for a mistake. */
    while (io->in_len > 0 || !s->waiting) {
        if (io->out_len == 0)
            return 0;
        if (!s->inside)
            s->header_left = FRAME_HEADER_MAX;
        bool singly = s->header_left > 0 && io->in_len > 1;
        ZSTD_inBuffer in = {io->in, singly ? 1 : io->in_len, 0};
        ZSTD_outBuffer out = {io->out, io->out_len, 0};
        size_t left = ZSTD_decompressStream(s->d, &out, &in);
        if (ZSTD_isError(left))
            return zstd_failed(left, err);
        s->header_left -= in.pos < s->header_left ? in.pos : s->header_left;
        io->in += in.pos;
        io->in_len -= in.pos;
        io->out += out.pos;
        io->out_len -= out.pos;
        s->inside = left != 0;
        s->waiting = left == 0 || io->out_len > 0;
    }
    if (s->inside && io->end)
        return hp_codec_cut(err, "zstd");
    return !s->inside && io->end;
}

const hp_codec hp_codec_zstd = {"zstd", zstd_open, zstd_step, zstd_close};
#endif
