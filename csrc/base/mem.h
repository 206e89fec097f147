/* mem: the core's only way to the allocator, so that tests can make the n-th
 * allocation fail. All functions are thread-safe; hp_free(NULL) is fine. */
#ifndef HP_BASE_MEM_H
#define HP_BASE_MEM_H

#include <stddef.h>

void *hp_malloc(size_t n);
void *hp_calloc(size_t n); /* zeroed */
void *hp_realloc(void *p, size_t n);
void hp_free(void *p);

/* A NUL-terminated copy of n bytes, or NULL. The caller frees. */
char *hp_memdup(const char *p, size_t n);

/* Tests only: let `n` more allocations succeed and fail the one after; a
 * negative n switches it off. Process-wide. */
void hp_mem_fail_after(long n);

#endif
