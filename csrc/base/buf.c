#include "base/buf.h"

#include "base/mem.h"

void
hp_buf_init(hp_buf *b, char *store, size_t cap, size_t max)
{
    *b = (hp_buf){.ptr = store,
                  .cap = cap < max ? cap : max,
                  .max = max,
                  .inline_store = store};
}

void
hp_buf_free(hp_buf *b)
{
    if (b->ptr != b->inline_store) {
        hp_free(b->ptr);
        b->ptr = b->inline_store;
        b->cap = 0; /* the store's size is not remembered; see init */
    }
    b->pos = b->len = 0;
}

int
hp_buf_reserve(hp_buf *b, size_t n)
{
    if (n <= b->cap - b->len)
        return 0;
    if (hp_buf_full(b, n))
        return -1;
    size_t want = b->len + n;
    size_t cap = b->cap < 256 ? 256 : b->cap;
    while (cap < want)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max)
        cap = b->max;
    char *p;
    if (b->ptr == b->inline_store) {
        p = hp_malloc(cap);
        if (p && b->len)
            memcpy(p, b->ptr, b->len);
    } else {
        p = hp_realloc(b->ptr, cap);
    }
    if (p == NULL)
        return -1;
    b->ptr = p;
    b->cap = cap;
    return 0;
}

int
hp_buf_add(hp_buf *b, const char *p, size_t n)
{
    if (hp_buf_reserve(b, n) != 0)
        return -1;
    if (n)
        memcpy(b->ptr + b->len, p, n);
    b->len += n;
    return 0;
}

int
hp_buf_add_span(hp_buf *b, hp_span s)
{
    return hp_buf_add(b, s.ptr, s.len);
}

int
hp_buf_add_cstr(hp_buf *b, const char *s)
{
    return hp_buf_add(b, s, strlen(s));
}
