/* Content decoders: the first byte chooses the codings, the rest is what was
 * coded. In one piece and in pieces, into much room and into little, the same
 * bytes come out, never more than there is room for, and every call moves. */
#include "base/buf.h"
#include "fuzz.h"
#include "wire/coding.h"

enum {
    MADE_MAX = 1 << 16, /* a bomb is not decoded to its end */
    ROUNDS = 2,
    WHOLE_ROOM = 4096
};

static const char *const codings[] = {
    "gzip",       "deflate",     "br",         "zstd",
    "gzip, gzip", "deflate, br", "zstd, gzip", "br, zstd, gzip"};

typedef struct reading {
    int result; /* 0: MADE_MAX was reached */
    size_t used;
    size_t n;
    hp_err err;
    char made[MADE_MAX];
} reading;

static void
read_cut(const char *list, const uint8_t *data, size_t size, fuzz_cuts *cuts,
         reading *r)
{
    hp_coding *c = NULL;
    r->result = 0;
    r->used = r->n = 0;
    hp_err_clear(&r->err);
    CHECK_INT(hp_coding_new(hp_span_cstr(list), &c, &r->err), 0);
    CHECK(c);
    size_t given = 0; /* up to here the decoder has been shown the input */
    while (r->result == 0 && r->n < MADE_MAX) {
        size_t room =
            MADE_MAX - r->n < WHOLE_ROOM ? MADE_MAX - r->n : WHOLE_ROOM;
        if (given == r->used && given < size)
            given += cuts ? fuzz_piece(cuts, size - given) : size;
        if (cuts)
            room = fuzz_piece(cuts, room);
        size_t in = given - r->used, out = room;
        size_t shown = in;
        char *to = fuzz_edge() - room;
        const char *from = (const char *)data + r->used;
        r->result =
            hp_coding_decode(c, from, &in, given == size, to, &out, &r->err);
        bool busy = r->result == HP_CODING_BUSY;
        if (busy)
            r->result = 0;
        CHECK(in <= shown && out <= room);
        CHECK(r->result != 1 || given == size);
        CHECK(r->result != 0 || busy || in > 0 || out > 0 ||
              (shown == 0 && given < size));
        CHECK(r->result != 0 || busy || out == room || in == shown);
        memcpy(r->made + r->n, to, out);
        r->used += in;
        r->n += out;
        if (r->result == 0 && !busy && in == 0 && out == 0 && size == 0)
            break;
    }
    fuzz_check_err(&r->err, r->result < 0);
    CHECK(r->result != 1 || r->used == size);
    hp_coding_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static reading whole, cut;
    if (size == 0 || size > FUZZ_MAX)
        return 0;
    const char *list = codings[data[0] % (sizeof codings / sizeof *codings)];
    data++, size--;
    read_cut(list, data, size, NULL, &whole);
    for (unsigned i = 0; i < ROUNDS; i++) {
        fuzz_cuts cuts = fuzz_cuts_of(data, size, i);
        /* Byte by byte into single bytes would take too long. */
        if (i == 0)
            cuts.longest = 1 + size / 64;
        read_cut(list, data, size, &cuts, &cut);
        size_t both = whole.n < cut.n ? whole.n : cut.n;
        CHECK(memcmp(whole.made, cut.made, both) == 0);
        if (whole.n == MADE_MAX || cut.n == MADE_MAX)
            continue;
        CHECK_INT(cut.result, whole.result);
        CHECK(whole.result < 0 || cut.n == whole.n);
    }
    return 0;
}
