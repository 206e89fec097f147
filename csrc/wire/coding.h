/* coding: content decoders (gzip, deflate, br, zstd), at most five in a chain.
 * Pull-based: produces no more than asked for, so a bomb fills no memory.
 * RFC 9110 8.4. */
#ifndef HP_WIRE_CODING_H
#define HP_WIRE_CODING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

enum {
    HP_CODING_CHAIN_MAX = 5
};

/* How a call went, if not badly (-1). */
enum {
    HP_CODING_GOES_ON, /* the output is full, or more input is needed */
    HP_CODING_ENDED,   /* `end` was given, the coding's own end came with it and
                          all output is delivered */
    HP_CODING_BUSY     /* neither, but it was at it for long: call again */
};

typedef struct hp_coding hp_coding;

/* Builds the chain for the (comma-joined) value of all Content-Encoding
 * fields. 0 with *out NULL when there is nothing to undo: empty, identity, or
 * any coding that is not built in (then nothing at all is decoded and the
 * bytes are handed on as they are). -1: HP_E_DECODING (over five codings),
 * HP_E_NOMEM. Case-insensitive; x-gzip is gzip; empty members are skipped. */
int hp_coding_new(hp_span content_encoding, hp_coding **out, hp_err *err);
void hp_coding_free(hp_coding *c); /* NULL is fine */

/* Takes up to *in_len bytes from `in`, writes up to *out_len to `out`; both
 * are set to what was used and made, also on error. `end` says that no input
 * will follow those bytes; bytes not used are passed again, with `end`.
 * HP_CODING_*, or -1: HP_E_DECODING (also when the input ends too early, or
 * junk follows the end) or HP_E_NOMEM; so will be every later call. A call
 * costs about as much as *in_len and *out_len say, although each coding of a
 * chain may make a thousand times as much of the one before. Zero padding after
 * a gzip member is accepted, a further member is decoded too, as is a further
 * zstd frame. An entirely empty input is an empty body, not an error. Not
 * thread-safe. */
int hp_coding_decode(hp_coding *c, const char *in, size_t *in_len, bool end,
                     char *out, size_t *out_len, hp_err *err);

/* "gzip, deflate[, br][, zstd]": what this build can undo. Static storage. */
const char *hp_coding_accept(void);

#endif
