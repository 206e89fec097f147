/* list: intrusive doubly linked circular list. A zeroed node is unlinked.
 * No locking of its own: whoever guards the list guards the nodes. */
#ifndef HP_BASE_LIST_H
#define HP_BASE_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct hp_node {
    struct hp_node *next, *prev;
} hp_node;

typedef struct hp_list {
    hp_node head;
} hp_list;

#define HP_CONTAINER(ptr, type, member)                                        \
    ((type *)((char *)(ptr) - offsetof(type, member)))

static inline void
hp_list_init(hp_list *l)
{
    l->head.next = l->head.prev = &l->head;
}

static inline bool
hp_list_empty(const hp_list *l)
{
    return l->head.next == &l->head;
}

static inline bool
hp_node_linked(const hp_node *n)
{
    return n->next != NULL;
}

static inline void
hp_list_insert_before(hp_node *at, hp_node *n)
{
    assert(!hp_node_linked(n));
    n->prev = at->prev;
    n->next = at;
    at->prev->next = n;
    at->prev = n;
}

static inline void
hp_list_push_back(hp_list *l, hp_node *n)
{
    hp_list_insert_before(&l->head, n);
}

static inline void
hp_list_push_front(hp_list *l, hp_node *n)
{
    hp_list_insert_before(l->head.next, n);
}

static inline void
hp_list_remove(hp_node *n)
{
    assert(hp_node_linked(n));
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = NULL;
}

/* First or last node, NULL when empty. */
static inline hp_node *
hp_list_first(const hp_list *l)
{
    return hp_list_empty(l) ? NULL : l->head.next;
}

static inline hp_node *
hp_list_last(const hp_list *l)
{
    return hp_list_empty(l) ? NULL : l->head.prev;
}

/* The node after n, NULL at the end. */
static inline hp_node *
hp_list_next(const hp_list *l, const hp_node *n)
{
    return n->next == &l->head ? NULL : n->next;
}

static inline hp_node *
hp_list_pop_front(hp_list *l)
{
    hp_node *n = hp_list_first(l);
    if (n)
        hp_list_remove(n);
    return n;
}

#endif
