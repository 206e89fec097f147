#include "net/answer.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"

struct hp_answer {
    atomic_int refs;
    int status;
    size_t len;
    char lines[];
};

hp_answer *
hp_answer_new(int status, hp_span lines)
{
    hp_answer *a = hp_malloc(sizeof *a + lines.len);
    if (a == NULL)
        return NULL;
    atomic_init(&a->refs, 1);
    a->status = status;
    a->len = lines.len;
    if (lines.len)
        memcpy(a->lines, lines.ptr, lines.len);
    return a;
}

hp_answer *
hp_answer_ref(hp_answer *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void
hp_answer_unref(hp_answer *a)
{
    if (a && atomic_fetch_sub(&a->refs, 1) == 1)
        hp_free(a);
}

int
hp_answer_status(const hp_answer *a)
{
    return a->status;
}

hp_span
hp_answer_lines(const hp_answer *a)
{
    return hp_span_of(a->lines, a->len);
}
