/* gzip (RFC 1952) and deflate (RFC 1950, and RFC 1951 as some servers read
 * "deflate") on zlib. */
#include "wire/coding_impl.h"

#include <limits.h>
#include <stdint.h>
#define ZLIB_CONST /* next_in points to const */
#include <zlib.h>

#include "base/mem.h"

typedef struct inflater {
    z_stream z;
    const char *name;
    enum {
        FRESH,   /* no byte seen yet */
        INSIDE,  /* a member or the stream */
        BETWEEN, /* gzip: after a member */
        PADDING, /* gzip: zeros after a member */
        ENDED    /* deflate: after the stream */
    } where;
    char head[2]; /* deflate: held back until its kind is known */
    size_t head_len, head_used;
} inflater;

static void *
zlib_alloc(void *opaque, uInt items, uInt size)
{
    if (size != 0 && items > SIZE_MAX / size)
        return NULL;
    return hp_malloc((size_t)items * size);
}

static void
zlib_free(void *opaque, void *p)
{
    hp_free(p);
}

static void *
inflater_open(const char *name, int window_bits)
{
    inflater *s = hp_calloc(sizeof *s);
    if (s == NULL)
        return NULL;
    s->name = name;
    s->z.zalloc = zlib_alloc;
    s->z.zfree = zlib_free;
    if (inflateInit2(&s->z, window_bits) != Z_OK) {
        hp_free(s);
        return NULL;
    }
    return s;
}

static void
inflater_close(void *state)
{
    inflater *s = state;
    inflateEnd(&s->z);
    hp_free(s);
}

static int
inflate_failed(inflater *s, int code, hp_err *err)
{
    if (code == Z_MEM_ERROR)
        return hp_err_set(err, HP_E_NOMEM, "%s: no memory", s->name);
    const char *why = s->z.msg ? s->z.msg : "malformed data";
    if (code == Z_NEED_DICT)
        why = "asks for a preset dictionary";
    return hp_err_set(err, HP_E_DECODING, "%s: %s", s->name, why);
}

/* One inflate() call; zlib counts in unsigned int. */
static int
inflate_piece(inflater *s, hp_codec_io *io)
{
    uInt in = io->in_len < UINT_MAX ? (uInt)io->in_len : UINT_MAX;
    uInt out = io->out_len < UINT_MAX ? (uInt)io->out_len : UINT_MAX;
    s->z.next_in = (const Bytef *)io->in;
    s->z.avail_in = in;
    s->z.next_out = (Bytef *)io->out;
    s->z.avail_out = out;
    int code = inflate(&s->z, Z_NO_FLUSH);
    io->in += in - s->z.avail_in;
    io->in_len -= in - s->z.avail_in;
    io->out += out - s->z.avail_out;
    io->out_len -= out - s->z.avail_out;
    return code;
}

/* 1 at the end of the member or stream, else as hp_codec.step. */
static int
inflate_all(inflater *s, hp_codec_io *io, hp_err *err)
{
    int code;
    do
        code = inflate_piece(s, io);
    while (code == Z_OK && io->in_len > 0 && io->out_len > 0);
    if (code == Z_STREAM_END)
        return 1;
    if (code != Z_OK && code != Z_BUF_ERROR)
        return inflate_failed(s, code, err);
    /* With room left, zlib has no output it holds back. */
    if (io->end && io->in_len == 0 && io->out_len > 0)
        return hp_codec_cut(err, s->name);
    return 0;
}

static void *
gzip_open(void)
{
    return inflater_open("gzip", 15 + 16); /* zlib parses the gzip header */
}

/* A further member (RFC 1952 2.2), or the zeros that tape blocks and some
 * servers leave behind; anything else is refused. */
static int
gzip_after_member(inflater *s, hp_codec_io *io, hp_err *err)
{
    while (io->in_len > 0 && *io->in == '\0') {
        s->where = PADDING;
        io->in++, io->in_len--;
    }
    if (io->in_len == 0)
        return io->end;
    if (s->where == PADDING || *io->in != '\x1f')
        return hp_codec_junk(err, s->name);
    inflateReset(&s->z);
    s->where = INSIDE;
    return 0;
}

static int
gzip_step(void *state, hp_codec_io *io, hp_err *err)
{
    inflater *s = state;
    if (s->where == FRESH) {
        if (io->in_len == 0)
            return io->end;
        s->where = INSIDE;
    }
    for (;;) {
        if (s->where == INSIDE) {
            int result = inflate_all(s, io, err);
            if (result != 1)
                return result;
            s->where = BETWEEN;
        }
        int result = gzip_after_member(s, io, err);
        if (s->where != INSIDE)
            return result;
    }
}

static void *
deflate_open(void)
{
    return inflater_open("deflate", 15);
}

/* RFC 1950 2.2: method 8, window up to 32 KiB, check bits. */
static bool
is_zlib_header(const char head[2])
{
    unsigned cmf = (unsigned char)head[0], flg = (unsigned char)head[1];
    return (cmf & 15) == 8 && cmf >> 4 <= 7 && (cmf * 256 + flg) % 31 == 0;
}

/* Collects the two bytes that tell zlib-wrapped from raw. 1 when it knows. */
static int
deflate_start(inflater *s, hp_codec_io *io, hp_err *err)
{
    while (io->in_len > 0 && s->head_len < sizeof s->head) {
        s->head[s->head_len++] = *io->in++;
        io->in_len--;
    }
    if (s->head_len < sizeof s->head) {
        /* no deflate stream is shorter than the ten bits of an empty block */
        return io->end ? hp_codec_cut(err, s->name) : 0;
    }
    if (!is_zlib_header(s->head))
        inflateReset2(&s->z, -15);
    s->where = INSIDE;
    return 1;
}

/* Hands the held-back bytes on. */
static int
deflate_head(inflater *s, hp_codec_io *io, hp_err *err)
{
    hp_codec_io first = *io;
    first.in = s->head + s->head_used;
    first.in_len = s->head_len - s->head_used;
    first.end = false;
    int result = inflate_all(s, &first, err);
    s->head_used = s->head_len - first.in_len;
    io->out = first.out;
    io->out_len = first.out_len;
    return result;
}

static int
deflate_inside(inflater *s, hp_codec_io *io, hp_err *err)
{
    int result = 0;
    if (s->head_used < s->head_len) {
        result = deflate_head(s, io, err);
        if (result == 0 && s->head_used < s->head_len)
            return 0;
    }
    if (result == 0)
        result = inflate_all(s, io, err);
    if (result == 1)
        s->where = ENDED;
    return result;
}

static int
deflate_step(void *state, hp_codec_io *io, hp_err *err)
{
    inflater *s = state;
    int result = 1;
    if (s->where == FRESH) {
        if (io->in_len == 0 && s->head_len == 0)
            return io->end;
        result = deflate_start(s, io, err);
    }
    if (result == 1 && s->where == INSIDE)
        result = deflate_inside(s, io, err);
    if (result != 1)
        return result;
    return io->in_len > 0 ? hp_codec_junk(err, s->name) : io->end;
}

const hp_codec hp_codec_gzip = {"gzip", gzip_open, gzip_step, inflater_close};
const hp_codec hp_codec_deflate = {"deflate", deflate_open, deflate_step,
                                   inflater_close};
