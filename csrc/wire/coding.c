#include "wire/coding.h"

#include "base/mem.h"
#include "wire/coding_impl.h"

/* Between two codecs. Small and fixed: the memory a chain can make us hold
 * does not depend on what the peer sends. */
enum {
    BETWEEN_SIZE = 16384,
    ROUNDS_PER_CALL = 32
};

typedef struct stage {
    const hp_codec *codec;
    void *state;
    bool ended;
    /* input of this stage and output of the one before; the first stage has
     * none, it reads what the caller gives */
    char *buf;
    size_t pos, len;
} stage;

struct hp_coding {
    int n_stages; /* opened; in the order of undoing */
    bool failed;
    stage stages[HP_CODING_CHAIN_MAX];
    char bufs[]; /* BETWEEN_SIZE for each stage but the first */
};

static const struct {
    const char *name;
    const hp_codec *codec;
} codecs[] = {
    {"gzip", &hp_codec_gzip},
    {"x-gzip", &hp_codec_gzip}, /* RFC 9110 8.4.1.3 */
    {"deflate", &hp_codec_deflate},
#ifdef HP_HAVE_BROTLI
    {"br", &hp_codec_br},
#endif
#ifdef HP_HAVE_ZSTD
    {"zstd", &hp_codec_zstd},
#endif
};

const char *
hp_coding_accept(void)
{
    return "gzip, deflate"
#ifdef HP_HAVE_BROTLI
           ", br"
#endif
#ifdef HP_HAVE_ZSTD
           ", zstd"
#endif
        ;
}

static const hp_codec *
find_codec(hp_span name)
{
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        if (hp_span_eq_nocase(name, hp_span_cstr(codecs[i].name)))
            return codecs[i].codec;
    }
    return NULL;
}

/* Takes the next member off a list, false at the end. RFC 9110 5.6.1: empty
 * members do not count; neither does identity. */
static bool
next_member(hp_span *list, hp_span *member)
{
    while (list->len > 0) {
        const char *comma = memchr(list->ptr, ',', list->len);
        size_t n = comma ? (size_t)(comma - list->ptr) : list->len;
        *member = hp_span_trim(hp_span_of(list->ptr, n));
        n += comma != NULL;
        *list = hp_span_of(list->ptr + n, list->len - n);
        if (member->len > 0 &&
            !hp_span_eq_nocase(*member, HP_SPAN_LIT("identity")))
            return true;
    }
    return false;
}

/* The codecs in the order they were applied. Their number, 0 when one of them
 * is unknown: half-decoded bytes are of no use to anyone. May exceed the
 * maximum; `chain` then holds the first ones. */
static size_t
parse_list(hp_span list, const hp_codec *chain[HP_CODING_CHAIN_MAX])
{
    size_t n = 0;
    hp_span member;
    while (next_member(&list, &member)) {
        const hp_codec *codec = find_codec(member);
        if (codec == NULL)
            return 0;
        if (n < HP_CODING_CHAIN_MAX)
            chain[n] = codec;
        n++;
    }
    return n;
}

/* The last coding applied is the first to undo. */
static int
open_stages(hp_coding *c, const hp_codec *const *chain, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        stage *s = &c->stages[i];
        *s = (stage){.codec = chain[n - 1 - i]};
        if (i > 0)
            s->buf = c->bufs + (i - 1) * BETWEEN_SIZE;
        s->state = s->codec->open();
        if (s->state == NULL)
            return -1;
        c->n_stages++;
    }
    return 0;
}

int
hp_coding_new(hp_span content_encoding, hp_coding **out, hp_err *err)
{
    const hp_codec *chain[HP_CODING_CHAIN_MAX];
    size_t n = parse_list(content_encoding, chain);
    *out = NULL;
    if (n == 0)
        return 0;
    if (n > HP_CODING_CHAIN_MAX)
        return hp_err_set(err, HP_E_DECODING, "more than %d content codings",
                          HP_CODING_CHAIN_MAX);
    hp_coding *c = hp_malloc(sizeof *c + (n - 1) * BETWEEN_SIZE);
    if (c) {
        c->n_stages = 0;
        c->failed = false;
        if (open_stages(c, chain, n) == 0) {
            *out = c;
            return 0;
        }
    }
    hp_coding_free(c);
    return hp_err_set(err, HP_E_NOMEM, "no memory for content decoding");
}

void
hp_coding_free(hp_coding *c)
{
    if (c == NULL)
        return;
    for (int i = 0; i < c->n_stages; i++)
        c->stages[i].codec->close(c->stages[i].state);
    hp_free(c);
}

/* One step of stage i between its neighbours; `io` is the caller's side. 1
 * when anything moved, 0 when not, -1 on error. */
static int
run_stage(hp_coding *c, int i, hp_codec_io *io, hp_err *err)
{
    stage *s = &c->stages[i];
    stage *next = i + 1 < c->n_stages ? s + 1 : NULL;
    hp_codec_io step = *io;
    if (s->ended)
        return 0;
    if (i > 0) {
        step.in = s->buf + s->pos;
        step.in_len = s->len - s->pos;
        step.end = s[-1].ended;
    }
    if (next) {
        if (next->pos < next->len)
            return 0; /* what is there goes first */
        next->pos = next->len = 0;
        step.out = next->buf;
        step.out_len = BETWEEN_SIZE;
    }
    size_t in_len = step.in_len, out_len = step.out_len;
    int result = s->codec->step(s->state, &step, err);
    s->ended = result == 1;
    if (i > 0)
        s->pos = s->len - step.in_len;
    else
        io->in = step.in, io->in_len = step.in_len;
    if (next)
        next->len = out_len - step.out_len;
    else
        io->out = step.out, io->out_len = step.out_len;
    if (result < 0)
        return -1;
    return s->ended || step.in_len < in_len || step.out_len < out_len;
}

static int
run_round(hp_coding *c, hp_codec_io *io, bool *moved, hp_err *err)
{
    *moved = false;
    for (int i = 0; i < c->n_stages; i++) {
        int result = run_stage(c, i, io, err);
        if (result < 0)
            return -1;
        *moved |= result == 1;
    }
    return 0;
}

/* Until the output is full or nothing moves any more, or for that long. */
static int
run_chain(hp_coding *c, hp_codec_io *io, hp_err *err)
{
    const stage *last = &c->stages[c->n_stages - 1];
    bool moved = true;
    for (int n = 0; moved && !last->ended; n++) {
        if (n == ROUNDS_PER_CALL)
            return HP_CODING_BUSY;
        if (run_round(c, io, &moved, err) != 0)
            return -1;
        if (io->out_len == 0)
            break;
    }
    return last->ended ? HP_CODING_ENDED : HP_CODING_GOES_ON;
}

int
hp_coding_decode(hp_coding *c, const char *in, size_t *in_len, bool end,
                 char *out, size_t *out_len, hp_err *err)
{
    char nowhere; /* codecs mind NULL even where there is nothing to do */
    hp_codec_io io = {in ? in : "", *in_len, end, out ? out : &nowhere,
                      *out_len};
    int result;
    if (c->failed)
        result = hp_err_set(err, HP_E_DECODING, "decoding failed before");
    else if (c->stages[0].ended && io.in_len > 0)
        result = hp_codec_junk(err, c->stages[0].codec->name);
    else
        result = run_chain(c, &io, err);
    c->failed = result < 0;
    *in_len -= io.in_len;
    *out_len -= io.out_len;
    return result;
}
