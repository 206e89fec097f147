/* fuzz: what the fuzz targets share. A target is one file x_fuzz.c with a
 * LLVMFuzzerTestOneInput; linked with libFuzzer it searches, linked with
 * replay.c it plays files. A failed CHECK ends the process, which libFuzzer
 * takes for the finding it is.
 *
 * What is parsed ends at a page nobody may read, so that a byte too many is
 * found without ASan, too. */
#ifndef HP_TEST_FUZZ_H
#define HP_TEST_FUZZ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "guard.h"
#include "test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FUZZ_MAX = 1 << 16 /* longer inputs are not looked at */
};

/* The end of FUZZ_MAX bytes of room; what lies there is nobody's. */
static inline char *
fuzz_edge(void)
{
    static char *edge;
    static char zeros[FUZZ_MAX];
    if (edge == NULL) {
        char *room = guard_copy(zeros, FUZZ_MAX);
        CHECK(room);
        edge = room + FUZZ_MAX;
    }
    return edge;
}

/* A copy that ends at the edge; the next one overwrites it. */
static inline char *
fuzz_place(const void *p, size_t n)
{
    char *at = fuzz_edge() - n;
    CHECK(n <= FUZZ_MAX);
    if (n)
        memcpy(at, p, n);
    return at;
}

/* ---- cuts: where an input is cut, decided by the input alone ---- */

typedef struct fuzz_cuts {
    uint64_t state;
    size_t longest; /* piece; 1: byte by byte */
} fuzz_cuts;

static inline uint64_t
fuzz_next(fuzz_cuts *c)
{
    c->state ^= c->state << 13;
    c->state ^= c->state >> 7;
    c->state ^= c->state << 17;
    return c->state;
}

/* Round 0 cuts after each byte, every other round somewhere else. */
static inline fuzz_cuts
fuzz_cuts_of(const void *p, size_t n, unsigned round)
{
    const unsigned char *bytes = p;
    uint64_t h = UINT64_C(0xcbf29ce484222325) + round;
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    fuzz_cuts c = {h | 1, 1};
    if (round)
        c.longest = 1 + fuzz_next(&c) % (n + 1);
    return c;
}

/* The next piece of the `left` bytes that remain, at least one. */
static inline size_t
fuzz_piece(fuzz_cuts *c, size_t left)
{
    size_t n = 1 + fuzz_next(c) % c->longest;
    return n < left ? n : left;
}

/* ---- what holds everywhere ---- */

/* The text is for a person: it ends, and no byte of it steers a terminal. */
static inline void
fuzz_check_err(const hp_err *err, bool set)
{
    CHECK_INT(err->code != HP_OK, set);
    CHECK(memchr(err->text, '\0', sizeof err->text));
    CHECK((*err->text != '\0') == set);
    for (const char *p = err->text; *p; p++)
        CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static inline bool
fuzz_is_ctl(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* RFC 9110 5.6.2, as it is written there. */
static inline bool
fuzz_is_token(hp_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = hp_ascii_lower(s.ptr[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              (c && strchr("!#$%&'*+-.^_`|~", c))))
            return false;
    }
    return s.len > 0;
}

#endif
