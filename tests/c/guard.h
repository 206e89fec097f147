/* guard: bytes whose end touches a page nobody may read, so that a parser that
 * looks one byte too far dies on the spot, sanitizer or not. */
#ifndef HP_TEST_GUARD_H
#define HP_TEST_GUARD_H

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline size_t
guard_room(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (n + page - 1) / page * page;
}

/* A writable copy of n bytes ending at a guard page; NULL when out of memory.
 * For n == 0 the pointer itself must not be read. */
static inline char *
guard_copy(const void *p, size_t n)
{
    size_t room = guard_room(n), page = (size_t)sysconf(_SC_PAGESIZE);
    char *base = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (mprotect(base + room, page, PROT_NONE) < 0) {
        munmap(base, room + page);
        return NULL;
    }
    if (n)
        memcpy(base + room - n, p, n);
    return base + room - n;
}

/* Takes what guard_copy gave, with the same n. NULL is fine. */
static inline void
guard_free(char *p, size_t n)
{
    if (p)
        munmap(p + n - guard_room(n), guard_room(n) + guard_room(1));
}

#endif
