/* buf: a growable run of bytes, born with a maximum. Not thread-safe.
 * Invariant: pos <= len <= cap <= max (cap may be the caller's inline store).
 */
#ifndef HP_BASE_BUF_H
#define HP_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

typedef struct hp_buf {
    char *ptr;
    size_t pos; /* first byte not yet consumed */
    size_t len; /* end of the bytes held */
    size_t cap;
    size_t max;
    char *inline_store; /* borrowed first storage, or NULL */
} hp_buf;

/* Starts empty in `store` (borrowed, `cap` bytes, may be NULL/0) and moves to
 * the heap when that is full. Allocates nothing yet. */
void hp_buf_init(hp_buf *b, char *store, size_t cap, size_t max);

/* Frees heap storage; the buffer is then empty and usable again. */
void hp_buf_free(hp_buf *b);

/* Makes room for n more bytes behind len. -1: out of memory or over max
 * (hp_buf_full() tells which); the content is untouched then. */
int hp_buf_reserve(hp_buf *b, size_t n);

/* True if n more bytes would exceed max. */
static inline bool
hp_buf_full(const hp_buf *b, size_t n)
{
    return n > b->max - b->len;
}

/* Appends. 0, or -1 as hp_buf_reserve. */
int hp_buf_add(hp_buf *b, const char *p, size_t n);
int hp_buf_add_span(hp_buf *b, hp_span s);
int hp_buf_add_cstr(hp_buf *b, const char *s);

static inline size_t
hp_buf_unread(const hp_buf *b)
{
    return b->len - b->pos;
}

static inline char *
hp_buf_read_ptr(const hp_buf *b)
{
    return b->ptr + b->pos;
}

#endif
