#include "wire/coding.h"

#include <stdbool.h>
#include <zlib.h>

#include "base/mem.h"
#include "guard.h"
#include "test.h"

enum {
    ROOM = 1 << 16,
    WHOLE = 1 << 30,
    GZIP = 15 + 16,
    ZLIB = 15,
    RAW = -15
};

/* ---- payloads ----------------------------------------------------------- */

/* A payload is made with zlib, or is the hex dump of another encoder's
 * output for the same text. */
typedef struct payload {
    char bytes[ROOM];
    size_t n;
} payload;

static char text[4096];
static size_t text_len;

static void
make_text(void)
{
    for (int i = 0; i < 100; i++)
        text_len +=
            (size_t)sprintf(text + text_len, "line %d of the text\n", i);
}

static void
pack(payload *p, int window_bits, const char *in, size_t n)
{
    z_stream z = {0};
    CHECK_INT(
        deflateInit2(&z, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY),
        Z_OK);
    z.next_in = (Bytef *)(size_t)in;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)p->bytes + p->n;
    z.avail_out = (uInt)(sizeof p->bytes - p->n);
    CHECK_INT(deflate(&z, Z_FINISH), Z_STREAM_END);
    p->n = sizeof p->bytes - z.avail_out;
    deflateEnd(&z);
}

static void
append(payload *p, const char *bytes, size_t n)
{
    CHECK(n <= sizeof p->bytes - p->n);
    memcpy(p->bytes + p->n, bytes, n);
    p->n += n;
}

/* Packs what is there once more. */
static void
pack_again(payload *p, int window_bits)
{
    payload inner = *p;
    p->n = 0;
    pack(p, window_bits, inner.bytes, inner.n);
}

/* ---- driving ------------------------------------------------------------ */

typedef struct outcome {
    int result;
    hp_errc code;
    char bytes[ROOM];
    size_t n;
} outcome;

/* Feeds in[0..n) in pieces that end at each multiple of in_step, or in two at
 * `cut`, offering out_step bytes of room at a time. */
static void
feed(hp_coding *c, const char *in, size_t n, size_t cut, size_t in_step,
     size_t out_step, outcome *o, hp_err *err)
{
    size_t at = 0;
    o->n = 0, o->result = HP_CODING_GOES_ON;
    while (o->result == HP_CODING_GOES_ON || o->result == HP_CODING_BUSY) {
        size_t stop = at + in_step < n ? at + in_step : n;
        if (at < cut && cut < stop)
            stop = cut;
        size_t used = stop - at, room = sizeof o->bytes - o->n;
        if (room > out_step)
            room = out_step;
        CHECK(room > 0);
        size_t offered_in = used, offered_out = room;
        o->result = hp_coding_decode(c, in + at, &used, stop == n,
                                     o->bytes + o->n, &room, err);
        CHECK(used <= offered_in && room <= offered_out);
        at += used;
        o->n += room;
        /* never a call for nothing, or a driver would spin */
        CHECK(o->result != HP_CODING_GOES_ON || used > 0 || room > 0 ||
              stop < n);
    }
    CHECK(o->result < 0 || at == n);
}

static void
decode_cut(const char *coding, const char *in, size_t n, size_t cut,
           size_t in_step, size_t out_step, outcome *o)
{
    hp_coding *c;
    hp_err err;
    hp_err_clear(&err);
    CHECK_INT(hp_coding_new(hp_span_cstr(coding), &c, &err), 0);
    CHECK(c != NULL);
    feed(c, in, n, cut, in_step, out_step, o, &err);
    o->code = err.code;
    CHECK_INT(o->result, err.code == HP_OK ? 1 : -1);
    CHECK(err.code == HP_OK || err.text[0] != '\0');
    hp_coding_free(c);
}

static void
decode(const char *coding, const payload *p, outcome *o)
{
    decode_cut(coding, p->bytes, p->n, 0, WHOLE, WHOLE, o);
}

static void
expect(const char *coding, const payload *p, const char *want, size_t n)
{
    static outcome o;
    char *in = guard_copy(p->bytes, p->n);
    CHECK(in != NULL);
    static const size_t steps[][2] = {
        {WHOLE, WHOLE}, {1, WHOLE}, {WHOLE, 1}, {1, 1}, {7, 3}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        decode_cut(coding, in, p->n, 0, steps[i][0], steps[i][1], &o);
        CHECK_INT(o.code, HP_OK);
        CHECK_INT(o.n, n);
        CHECK(memcmp(o.bytes, want, n) == 0);
    }
    for (size_t cut = 1; cut < p->n && p->n < 2000; cut++) {
        decode_cut(coding, in, p->n, cut, WHOLE, WHOLE, &o);
        CHECK_INT(o.code, HP_OK);
        CHECK_INT(o.n, n);
        CHECK(memcmp(o.bytes, want, n) == 0);
    }
    guard_free(in, p->n);
}

static void
expect_text(const char *coding, const payload *p)
{
    expect(coding, p, text, text_len);
}

/* Refused however it arrives. */
static void
refuse(const char *coding, const payload *p)
{
    static outcome o;
    static const size_t steps[] = {WHOLE, 1};
    for (size_t i = 0; i < 4; i++) {
        decode_cut(coding, p->bytes, p->n, 0, steps[i % 2], steps[i / 2], &o);
        CHECK_INT(o.code, HP_E_DECODING);
    }
}

/* Every proper part but the empty one is an error. */
static void
refuse_cuts(const char *coding, const payload *p)
{
    payload part = *p;
    for (part.n = 1; part.n < p->n; part.n++)
        refuse(coding, &part);
}

/* ---- gzip --------------------------------------------------------------- */

static void
test_gzip(void)
{
    payload p = {.n = 0};
    pack(&p, GZIP, text, text_len);
    expect_text("gzip", &p);
    expect_text("X-GZip", &p);
    expect_text(", gzip,", &p);
    expect_text("identity ,\tGZIP , identity", &p);
    refuse_cuts("gzip", &p);
    payload empty = {.n = 0};
    pack(&empty, GZIP, "", 0);
    expect("gzip", &empty, "", 0);
    refuse_cuts("gzip", &empty);
}

/* Extra field, name, comment and header CRC, RFC 1952 2.3. */
static void
test_gzip_all_flags(void)
{
    payload p = {.n = 0};
    static unsigned char extra[300];
    gz_header header = {.hcrc = 1,
                        .extra = extra,
                        .extra_len = sizeof extra,
                        .name = (Bytef *)(size_t)"name",
                        .comment = (Bytef *)(size_t)"comment"};
    z_stream z = {0};
    deflateInit2(&z, 9, Z_DEFLATED, GZIP, 9, Z_DEFAULT_STRATEGY);
    CHECK_INT(deflateSetHeader(&z, &header), Z_OK);
    z.next_in = (Bytef *)text;
    z.avail_in = (uInt)text_len;
    z.next_out = (Bytef *)p.bytes;
    z.avail_out = sizeof p.bytes;
    CHECK_INT(deflate(&z, Z_FINISH), Z_STREAM_END);
    p.n = sizeof p.bytes - z.avail_out;
    deflateEnd(&z);
    CHECK_INT(p.bytes[3], 0x1e);
    expect_text("gzip", &p);
    refuse_cuts("gzip", &p);
    p.bytes[20] ^= 1; /* within the extra field: only the header CRC sees it */
    refuse("gzip", &p);
}

static void
test_gzip_members(void)
{
    payload p = {.n = 0};
    pack(&p, GZIP, text, 700);
    size_t first = p.n;
    pack(&p, GZIP, "", 0);
    size_t second = p.n;
    pack(&p, GZIP, text + 700, text_len - 700);
    expect_text("gzip", &p);
    payload part = p;
    for (part.n = 1; part.n < p.n; part.n++) {
        if (part.n == first || part.n == second)
            expect("gzip", &part, text, 700);
        else
            refuse("gzip", &part);
    }
}

static void
test_gzip_padding(void)
{
    payload p = {.n = 0};
    static const char zeros[600];
    pack(&p, GZIP, text, text_len);
    append(&p, zeros, 1);
    expect_text("gzip", &p);
    append(&p, zeros, sizeof zeros);
    expect_text("gzip", &p);
    append(&p, "\x1f", 1); /* no member starts behind padding */
    refuse("gzip", &p);
    payload only = {.n = 0};
    append(&only, zeros, 1);
    refuse("gzip", &only);
}

static void
test_gzip_junk(void)
{
    static const char *const junk[] = {"junk", "\x1f", "\x1f\x8b", "\x1fx",
                                       "\n"};
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
        payload p = {.n = 0};
        pack(&p, GZIP, text, text_len);
        append(&p, junk[i], strlen(junk[i]));
        refuse("gzip", &p);
    }
}

static void
test_gzip_broken(void)
{
    payload good = {.n = 0}, p;
    pack(&good, GZIP, text, text_len);
    for (size_t i = 1; i <= 8; i++) { /* CRC32 and ISIZE */
        p = good;
        p.bytes[p.n - i] ^= 1;
        refuse("gzip", &p);
    }
    static const int at[] = {0, 1, 2}; /* magic and method */
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        p = good;
        p.bytes[at[i]] ^= 1;
        refuse("gzip", &p);
    }
    p = good;
    p.bytes[3] = (char)0x80; /* reserved flag */
    refuse("gzip", &p);
    p.n = 0;
    append(&p, "this is not gzip", 16);
    refuse("gzip", &p);
    p.n = 0;
    pack(&p, ZLIB, text, text_len);
    refuse("gzip", &p);
}

/* ---- deflate ------------------------------------------------------------ */

static void
test_deflate(void)
{
    static const int kinds[] = {ZLIB, RAW};
    for (int i = 0; i < 2; i++) {
        payload p = {.n = 0};
        pack(&p, kinds[i], text, text_len);
        expect_text("deflate", &p);
        refuse_cuts("deflate", &p);
        append(&p, "", 1); /* padding is a gzip habit */
        refuse("deflate", &p);
        payload empty = {.n = 0};
        pack(&empty, kinds[i], "", 0);
        expect("deflate", &empty, "", 0);
        refuse_cuts("deflate", &empty);
    }
}

/* A raw stream whose first two bytes make output at once. */
static void
test_deflate_raw_short(void)
{
    payload p = {.n = 0};
    pack(&p, RAW, "ab", 2);
    expect("deflate", &p, "ab", 2);
    p.n = 0;
    append(&p, "\x03", 1);
    refuse("deflate", &p);
    append(&p, "", 1); /* 03 00: a final block without anything in it */
    expect("deflate", &p, "", 0);
    append(&p, "x", 1);
    refuse("deflate", &p);
}

static void
test_deflate_small_windows(void)
{
    for (int bits = 9; bits <= 15; bits++) {
        payload p = {.n = 0};
        pack(&p, bits, text, text_len);
        expect_text("deflate", &p);
    }
}

static void
test_deflate_broken(void)
{
    payload good = {.n = 0}, p;
    pack(&good, ZLIB, text, text_len);
    for (size_t i = 1; i <= 4; i++) { /* Adler-32 */
        p = good;
        p.bytes[p.n - i] ^= 1;
        refuse("deflate", &p);
    }
    p = good;
    p.bytes[0] = 0x58; /* check bits wrong; not raw deflate either */
    p.bytes[1] = (char)0x9c;
    refuse("deflate", &p);
    p.n = 0;
    append(&p, "\x78\xbb\0\0\0\x01", 6); /* FDICT, RFC 1950 2.2 */
    append(&p, good.bytes + 2, good.n - 2);
    refuse("deflate", &p);
    p.n = 0;
    pack(&p, GZIP, text, text_len);
    refuse("deflate", &p);
}

/* ---- br and zstd -------------------------------------------------------- */

#if defined(HP_HAVE_BROTLI) || defined(HP_HAVE_ZSTD)
static int
hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static payload
unhex(const char *hex)
{
    payload p = {.n = 0};
    for (; *hex; hex += 2)
        p.bytes[p.n++] = (char)(hex_digit(hex[0]) * 16 + hex_digit(hex[1]));
    return p;
}

/* Fills with zeros in little pieces; the input is only taken as needed. */
static void
expect_zeros(const char *coding, const payload *p, size_t total)
{
    hp_coding *c;
    CHECK_INT(hp_coding_new(hp_span_cstr(coding), &c, NULL), 0);
    size_t at = 0, sum = 0;
    int result = 0;
    while (result == 0) {
        char out[1000];
        size_t used = p->n - at, made = sizeof out;
        result =
            hp_coding_decode(c, p->bytes + at, &used, true, out, &made, NULL);
        CHECK(made > 0 || result == 1);
        at += used;
        sum += made;
    }
    CHECK_INT(result, 1);
    CHECK_INT(sum, total);
    hp_coding_free(c);
}
#endif

#ifdef HP_HAVE_BROTLI
static const char br_text[] =
    "1bc507208c54b53f1d1c9206d85e271428d4736e0e1fad3ae021153c64ebcfa72836fc"
    "d5f54cdb7816002118c16071f8130b2e204ab2a2d1eaf0c516444956345a1dbed48228"
    "c98a46abc3975b102559d16875f84a0ba2242b1aad0e5fd38228c98a46abc3d7b6204a"
    "b2a2d1eaf0752d8892ac68b43a7c7d0ba2242b1aad6e3e";
static const char br_empty[] = "06";
static const char br_zeros[] = "5bffff8f7f02201e0b0472ef1f00";

static void
test_br(void)
{
    payload p = unhex(br_text);
    expect_text("br", &p);
    expect_text("BR", &p);
    refuse_cuts("br", &p);
    append(&p, "x", 1);
    refuse("br", &p);
    p = unhex(br_empty);
    expect("br", &p, "", 0);
    append(&p, "", 1);
    refuse("br", &p);
    p.n = 0;
    append(&p, "this is not brotli", 18);
    refuse("br", &p);
    p = unhex(br_zeros);
    expect_zeros("br", &p, 1 << 20);
}

static void
test_br_in_chain(void)
{
    payload p = unhex(br_text);
    pack_again(&p, GZIP);
    expect_text("br, gzip", &p);
    refuse_cuts("br, gzip", &p);
}
#endif

#ifdef HP_HAVE_ZSTD
static const char zstd_text[] =
    "28b52ffd64c606cd0400024d1e12c01b0e706852f700e14829a54c29fde29c1b777675"
    "74733f5f8f27dc995919d9d8cd56a3097665554535f572b558421d1915110d9d4c2592"
    "4037363534331f4f8723ccdd5ea7cf7fbfe7859fcd65f2f8b66b5af0d55aa54e5fb765"
    "851e8d45e2f0344b52e059d1dc25a02c83120c85121049200403621c0164a81170f8fd"
    "37e0e71012e111613e118420083a84175ef0166b03a90aa4458229";
static const char zstd_empty[] = "28b52ffd240001000099e9d851";
static const char zstd_zeros[] =
    "28b52ffda4000010004c000008000100fcff3910020200100002001000020010000200"
    "1000020010000200100003001000f13e16e1";

static void
test_zstd(void)
{
    payload p = unhex(zstd_text), empty = unhex(zstd_empty);
    expect_text("zstd", &p);
    expect_text("Zstd", &p);
    refuse_cuts("zstd", &p);
    expect("zstd", &empty, "", 0);
    refuse_cuts("zstd", &empty);
    payload bad = p;
    bad.bytes[bad.n - 1] ^= 1; /* content checksum */
    refuse("zstd", &bad);
    bad = p;
    append(&bad, "junk!", 5);
    refuse("zstd", &bad);
    bad.n = 0;
    append(&bad, "this is not zstd", 16);
    refuse("zstd", &bad);
    p = unhex(zstd_zeros);
    expect_zeros("zstd", &p, 1 << 20);
}

/* Frames follow one another, skippable ones too (RFC 8878 3). */
static void
test_zstd_frames(void)
{
    payload p = unhex(zstd_empty), t = unhex(zstd_text);
    append(&p, "\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
    append(&p, t.bytes, t.n);
    append(&p, "\x5f\x2a\x4d\x18\0\0\0\0", 8);
    expect_text("zstd", &p);
    p.n--;
    refuse("zstd", &p);
}

/* A context serves one after the other, also after half a frame, and never two
 * at once. */
static void
test_zstd_contexts(void)
{
    payload p = unhex(zstd_text);
    hp_coding *c;
    hp_err err;
    hp_err_clear(&err);
    char out[100];
    size_t used = p.n / 2, got = sizeof out;
    CHECK_INT(hp_coding_new(HP_SPAN_LIT("zstd"), &c, &err), 0);
    CHECK_INT(hp_coding_decode(c, p.bytes, &used, false, out, &got, &err),
              HP_CODING_GOES_ON);
    CHECK_INT(used, p.n / 2);
    expect_text("zstd", &p);
    hp_coding_free(c);
    expect_text("zstd", &p);
}

/* The formats before the RFC, which some libzstd can still read. */
static void
test_zstd_legacy(void)
{
    payload good = unhex(zstd_empty);
    for (char first = 0x1e; first < 0x28; first++) {
        payload p = {.n = 0};
        append(&p, &first, 1);
        append(&p, "\xb5\x2f\xfd\0\0\0\0\0", 8);
        refuse("zstd", &p);
        p.n = 0;
        append(&p, good.bytes, good.n);
        append(&p, &first, 1);
        append(&p, "\xb5\x2f\xfd\0\0\0\0\0", 8);
        refuse("zstd", &p);
    }
}

/* 8 MiB is the most that RFC 9659 3 allows. */
static void
test_zstd_window(void)
{
    payload p = unhex("28b52ffd0068010000");
    expect("zstd", &p, "", 0);
    p = unhex("28b52ffd0070010000");
    refuse("zstd", &p);
    p = unhex("28b52ffd80800000000001000000"); /* with its size of zero */
    p.n--;
    refuse("zstd", &p);
}

static void
test_zstd_in_chain(void)
{
    payload p = unhex(zstd_text);
    pack_again(&p, ZLIB);
    expect_text("zstd, deflate", &p);
    refuse_cuts("zstd, deflate", &p);
}
#endif

/* ---- chains ------------------------------------------------------------- */

static void
test_chain(void)
{
    payload p = {.n = 0};
    pack(&p, GZIP, text, text_len);
    pack_again(&p, ZLIB);
    expect_text("gzip, deflate", &p);
    refuse_cuts("gzip, deflate", &p);
    refuse("deflate, gzip", &p);
    pack_again(&p, RAW);
    pack_again(&p, GZIP);
    pack_again(&p, GZIP);
    expect_text("gzip,deflate,,deflate,x-gzip,gzip", &p);
    expect_text("gzip, deflate, identity, deflate, x-gzip, gzip", &p);
    refuse_cuts("gzip, deflate, deflate, gzip, gzip", &p);
}

/* A sound outer coding around something cut or with junk behind. */
static void
test_chain_with_broken_inside(void)
{
    payload whole = {.n = 0};
    pack(&whole, GZIP, text, text_len);
    payload p = whole;
    p.n--;
    pack_again(&p, ZLIB);
    refuse("gzip, deflate", &p);
    p = whole;
    append(&p, "x", 1);
    pack_again(&p, ZLIB);
    refuse("gzip, deflate", &p);
    p = whole;
    append(&p, "", 1);
    pack_again(&p, ZLIB);
    expect_text("gzip, deflate", &p);
}

static void
check_new(const char *coding, int result, bool chain)
{
    hp_coding *c = (hp_coding *)(void *)text; /* must be overwritten */
    hp_err err;
    hp_err_clear(&err);
    CHECK_INT(hp_coding_new(hp_span_cstr(coding), &c, &err), result);
    CHECK_INT(err.code, result < 0 ? HP_E_DECODING : HP_OK);
    CHECK_INT(c != NULL, chain);
    hp_coding_free(c);
}

static void
test_new(void)
{
    static const char *const as_they_are[] = {
        "",          " ",           ",",
        " , ,",      "identity",    "Identity, identity",
        "none",      "zz9",         "gzip, zz9",
        "zz9, gzip", "gzip;q=1",    "gzip deflate",
        "gzi",       "gzipp",       "*",
        "compress",  "aws-chunked", "gzip, gzip, gzip, gzip, gzip, gzip, zz9",
    };
    for (size_t i = 0; i < sizeof as_they_are / sizeof *as_they_are; i++)
        check_new(as_they_are[i], 0, false);
    check_new("gzip", 0, true);
    check_new("deflate", 0, true);
    check_new("gzip, gzip, gzip, gzip, gzip", 0, true);
    check_new("gzip, gzip, gzip, gzip, gzip, gzip", -1, false);
    check_new("gzip,deflate,gzip,deflate,gzip,deflate,gzip,gzip", -1, false);
    hp_coding *c;
    CHECK_INT(hp_coding_new(hp_span_of(NULL, 0), &c, NULL), 0);
    CHECK(c == NULL);
}

/* The list ends where the span does. */
static void
test_new_at_guard_page(void)
{
    static const char *const lists[] = {"gzip", "gzip,", "gzip, ", "x", ",,"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        size_t n = strlen(lists[i]);
        char *list = guard_copy(lists[i], n);
        hp_coding *c;
        CHECK_INT(hp_coding_new(hp_span_of(list, n), &c, NULL), 0);
        CHECK_INT(c != NULL, n > 3);
        hp_coding_free(c);
        guard_free(list, n);
    }
}

static void
test_accept(void)
{
    char want[64] = "gzip, deflate";
#ifdef HP_HAVE_BROTLI
    strcat(want, ", br");
#endif
#ifdef HP_HAVE_ZSTD
    strcat(want, ", zstd");
#endif
    CHECK_STR(hp_coding_accept(), want);
    hp_coding *c;
    CHECK_INT(hp_coding_new(hp_span_cstr(want), &c, NULL), 0);
    CHECK(c != NULL); /* what we ask for we can undo */
    hp_coding_free(c);
}

/* HEAD, 204, 304 and servers that label nothing at all. */
static void
test_empty_input(void)
{
    static const char *const codings[] = {"gzip", "deflate", "gzip, deflate",
                                          "gzip,gzip,gzip,gzip,gzip"};
    payload none = {.n = 0};
    static outcome o;
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        decode(codings[i], &none, &o);
        CHECK_INT(o.result, 1);
        CHECK_INT(o.n, 0);
    }
    char accepted[64];
    snprintf(accepted, sizeof accepted, "%s", hp_coding_accept());
    decode(accepted, &none, &o);
    CHECK_INT(o.result, 1);
    /* also without any memory to point at, and when the end comes late */
    hp_coding *c;
    size_t in_len = 0, out_len = 0;
    CHECK_INT(hp_coding_new(HP_SPAN_LIT("gzip, deflate"), &c, NULL), 0);
    CHECK_INT(hp_coding_decode(c, NULL, &in_len, false, NULL, &out_len, NULL),
              0);
    CHECK_INT(hp_coding_decode(c, NULL, &in_len, true, NULL, &out_len, NULL),
              1);
    CHECK_INT(in_len, 0);
    CHECK_INT(out_len, 0);
    hp_coding_free(c);
    hp_coding_free(NULL);
}

/* ---- after the end ------------------------------------------------------ */

static void
test_end_comes_late(void)
{
    payload p = {.n = 0};
    pack(&p, ZLIB, text, text_len);
    hp_coding *c;
    CHECK_INT(hp_coding_new(HP_SPAN_LIT("deflate"), &c, NULL), 0);
    char out[4096];
    size_t used = p.n, made = sizeof out;
    CHECK_INT(hp_coding_decode(c, p.bytes, &used, false, out, &made, NULL), 0);
    CHECK_INT(used, p.n);
    CHECK_INT(made, text_len);
    used = 0, made = sizeof out;
    CHECK_INT(hp_coding_decode(c, "", &used, true, out, &made, NULL), 1);
    CHECK_INT(made, 0);
    /* asked again it says the same; bytes are refused */
    used = 0, made = sizeof out;
    CHECK_INT(hp_coding_decode(c, "", &used, true, out, &made, NULL), 1);
    used = 1, made = sizeof out;
    CHECK_INT(hp_coding_decode(c, "x", &used, true, out, &made, NULL), -1);
    hp_coding_free(c);
}

static void
test_error_stays(void)
{
    hp_coding *c;
    hp_err err;
    hp_err_clear(&err);
    CHECK_INT(hp_coding_new(HP_SPAN_LIT("gzip"), &c, NULL), 0);
    char out[16];
    for (int i = 0; i < 3; i++) {
        size_t used = 4, made = sizeof out;
        CHECK_INT(hp_coding_decode(c, "junk", &used, false, out, &made, &err),
                  -1);
        CHECK_INT(err.code, HP_E_DECODING);
        CHECK_INT(made, 0);
        hp_err_clear(&err);
    }
    hp_coding_free(c);
}

/* What came before the fault is handed over with it. */
static void
test_bytes_before_the_fault(void)
{
    payload p = {.n = 0};
    pack(&p, GZIP, text, text_len);
    p.bytes[p.n - 1] ^= 1;
    static outcome o;
    decode("gzip", &p, &o);
    CHECK_INT(o.result, -1);
    CHECK_INT(o.n, text_len);
    CHECK(memcmp(o.bytes, text, text_len) == 0);
}

/* ---- bombs -------------------------------------------------------------- */

enum {
    BOMB = 16 << 20
};

static payload
make_bomb(int layers)
{
    payload p = {.n = 0};
    char *zeros = calloc(1, BOMB);
    CHECK(zeros != NULL);
    pack(&p, GZIP, zeros, BOMB);
    free(zeros);
    for (int i = 1; i < layers; i++)
        pack_again(&p, GZIP);
    return p;
}

/* Never more than asked for, and it all comes out if one goes on asking. */
static void
defuse(const char *coding, const payload *p, size_t room)
{
    hp_coding *c;
    CHECK_INT(hp_coding_new(hp_span_cstr(coding), &c, NULL), 0);
    static const char blank[65536];
    char *out = guard_copy(blank, room);
    CHECK(out != NULL);
    size_t at = 0, sum = 0;
    int result = 0;
    while (result == 0) {
        size_t used = p->n - at, made = room;
        result =
            hp_coding_decode(c, p->bytes + at, &used, true, out, &made, NULL);
        CHECK(made <= room);
        CHECK(made == room || result == 1);
        at += used;
        sum += made;
    }
    CHECK_INT(result, 1);
    CHECK_INT(sum, BOMB);
    guard_free(out, room);
    hp_coding_free(c);
}

static void
test_bomb(void)
{
    payload one = make_bomb(1), two = make_bomb(2), five = make_bomb(5);
    CHECK(one.n < 20000 && two.n < 1000);
    defuse("gzip", &one, 65536);
    defuse("gzip", &one, 1000);
    defuse("gzip, gzip", &two, 4096);
    defuse("gzip, gzip, gzip, gzip, gzip", &five, 4096);
}

/* A small question takes a small part of the input. */
static void
test_bomb_takes_input_as_needed(void)
{
    payload p = make_bomb(1);
    hp_coding *c;
    CHECK_INT(hp_coding_new(HP_SPAN_LIT("gzip"), &c, NULL), 0);
    char out[100];
    size_t used = p.n, made = sizeof out;
    CHECK_INT(hp_coding_decode(c, p.bytes, &used, true, out, &made, NULL), 0);
    CHECK_INT(made, sizeof out);
    CHECK(used < p.n / 2);
    /* no room: nothing lost */
    made = 0;
    size_t none = 0;
    CHECK_INT(hp_coding_decode(c, "", &none, false, NULL, &made, NULL), 0);
    CHECK_INT(made, 0);
    hp_coding_free(c);
}

/* ---- memory ------------------------------------------------------------- */

/* The n-th allocation fails, for every n; the whole course of one response. */
static void
run_out_of_memory(const char *coding, const payload *p)
{
    static outcome o;
    int failures = 0;
    for (long n = 0;; n++, failures++) {
        hp_coding *c;
        hp_err err;
        hp_err_clear(&err);
        hp_mem_fail_after(n);
        int result = hp_coding_new(hp_span_cstr(coding), &c, &err);
        if (result == 0)
            feed(c, p->bytes, p->n, 0, 100, 100, &o, &err);
        else
            CHECK(c == NULL);
        hp_mem_fail_after(-1);
        hp_coding_free(c);
        if (err.code == HP_OK)
            break;
        CHECK_INT(err.code, HP_E_NOMEM);
    }
    CHECK(failures >= 2);
    CHECK_INT(o.n, text_len);
}

static void
test_no_memory(void)
{
    payload p = {.n = 0};
    pack(&p, GZIP, text, text_len);
    run_out_of_memory("gzip", &p);
    pack_again(&p, RAW);
    pack_again(&p, GZIP);
    pack_again(&p, ZLIB);
    pack_again(&p, GZIP);
    run_out_of_memory("gzip, deflate, gzip, deflate, gzip", &p);
#ifdef HP_HAVE_BROTLI
    p = unhex(br_text);
    run_out_of_memory("br", &p);
#endif
#ifdef HP_HAVE_ZSTD
    p = unhex(zstd_text);
    pack_again(&p, GZIP);
    run_out_of_memory("zstd, gzip", &p);
#endif
}

int
main(void)
{
    make_text();
    RUN(test_gzip);
    RUN(test_gzip_all_flags);
    RUN(test_gzip_members);
    RUN(test_gzip_padding);
    RUN(test_gzip_junk);
    RUN(test_gzip_broken);
    RUN(test_deflate);
    RUN(test_deflate_raw_short);
    RUN(test_deflate_small_windows);
    RUN(test_deflate_broken);
#ifdef HP_HAVE_BROTLI
    RUN(test_br);
    RUN(test_br_in_chain);
#endif
#ifdef HP_HAVE_ZSTD
    RUN(test_zstd);
    RUN(test_zstd_frames);
    RUN(test_zstd_contexts);
    RUN(test_zstd_legacy);
    RUN(test_zstd_window);
    RUN(test_zstd_in_chain);
#endif
    RUN(test_chain);
    RUN(test_chain_with_broken_inside);
    RUN(test_new);
    RUN(test_new_at_guard_page);
    RUN(test_accept);
    RUN(test_empty_input);
    RUN(test_end_comes_late);
    RUN(test_error_stays);
    RUN(test_bytes_before_the_fault);
    RUN(test_bomb);
    RUN(test_bomb_takes_input_as_needed);
    RUN(test_no_memory);
    DONE();
}
