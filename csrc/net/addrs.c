#include "net/addrs.h"

#include <netdb.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

enum {
    MAX_ADDRS = 128
}; /* nobody tries more */

hp_addrs *
hp_addrs_new(int n)
{
    hp_addrs *a = hp_calloc(sizeof *a + (size_t)n * sizeof a->list[0]);
    if (a == NULL)
        return NULL;
    a->refs = 1;
    a->n = n;
    return a;
}

hp_addrs *
hp_addrs_ref(hp_addrs *a)
{
    __atomic_fetch_add(&a->refs, 1, __ATOMIC_RELAXED);
    return a;
}

void
hp_addrs_unref(hp_addrs *a)
{
    if (a && __atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL) == 0)
        hp_free(a);
}

int
hp_addrs_format(const hp_addrs *a, hp_buf *out)
{
    char text[HP_ADDR_TEXT_MAX];
    for (int i = 0; i < a->n; i++) {
        hp_addr_format_host(&a->list[i], text);
        if (hp_buf_add_cstr(out, i ? " " : "") || hp_buf_add_cstr(out, text))
            return -1;
    }
    return 0;
}

static bool
usable(const struct addrinfo *ai)
{
    return (ai->ai_family == AF_INET || ai->ai_family == AF_INET6) &&
           ai->ai_addrlen <= sizeof(struct sockaddr_in6);
}

/* Appends unless it is there already: /etc/hosts likes to say things twice. */
static void
add_addr(hp_addrs *a, const struct addrinfo *ai)
{
    hp_addr fresh = {.len = (socklen_t)ai->ai_addrlen};
    memcpy(&fresh.u, ai->ai_addr, ai->ai_addrlen);
    for (int i = 0; i < a->n; i++) {
        if (a->list[i].len == fresh.len &&
            memcmp(&a->list[i].u, &fresh.u, fresh.len) == 0)
            return;
    }
    a->list[a->n++] = fresh;
}

hp_addrs *
hp_addrs_from_addrinfo(const struct addrinfo *list, int *n_usable)
{
    int n = 0;
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
        n += usable(ai);
    *n_usable = n;
    n = n < MAX_ADDRS ? n : MAX_ADDRS;
    hp_addrs *a = n ? hp_addrs_new(n) : NULL;
    if (a == NULL)
        return NULL;
    a->n = 0;
    for (const struct addrinfo *ai = list; ai && a->n < n; ai = ai->ai_next) {
        if (usable(ai))
            add_addr(a, ai);
    }
    return a;
}

/* ---- order ---- */

static bool
wanted(const hp_addr *a, int family)
{
    int its = a->u.sa.sa_family;
    return family == AF_UNSPEC || its == AF_UNIX || its == family;
}

/* The next wanted address from i on whose being of family `first` is `same`;
 * n when there is none. */
static int
seek(const hp_addrs *a, int i, int family, int first, bool same)
{
    while (i < a->n && !(wanted(&a->list[i], family) &&
                         (a->list[i].u.sa.sa_family == first) == same))
        i++;
    return i;
}

int
hp_addrs_order(const hp_addrs *a, int family, int *order)
{
    int i = 0, n = 0;
    while (i < a->n && !wanted(&a->list[i], family))
        i++;
    if (i == a->n)
        return 0;
    int first = a->list[i].u.sa.sa_family;
    int other = seek(a, 0, family, first, false);
    while (i < a->n || other < a->n) {
        if (i < a->n) {
            order[n++] = i;
            i = seek(a, i + 1, family, first, true);
        }
        if (other < a->n) {
            order[n++] = other;
            other = seek(a, other + 1, family, first, false);
        }
    }
    return n;
}
