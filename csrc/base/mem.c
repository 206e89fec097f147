#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The counter is compiled in everywhere: one relaxed load per allocation buys
 * fault tests on the very object code that ships. */
static atomic_long fail_after = -1;

void
hp_mem_fail_after(long n)
{
    atomic_store(&fail_after, n);
}

static bool
must_fail(void)
{
    if (atomic_load_explicit(&fail_after, memory_order_relaxed) < 0)
        return false;
    return atomic_fetch_sub(&fail_after, 1) == 0;
}

void *
hp_malloc(size_t n)
{
    return must_fail() ? NULL : malloc(n);
}

void *
hp_calloc(size_t n)
{
    return must_fail() ? NULL : calloc(1, n);
}

void *
hp_realloc(void *p, size_t n)
{
    return must_fail() ? NULL : realloc(p, n);
}

void
hp_free(void *p)
{
    free(p);
}

char *
hp_memdup(const char *p, size_t n)
{
    char *copy = hp_malloc(n + 1);
    if (copy == NULL)
        return NULL;
    if (n)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}
