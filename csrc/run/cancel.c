/* cancel: one flag for many exchanges. One lock for all tokens: it is taken
 * only by requests that carry one, and a fork has just this one to mind. */
#include <stdatomic.h>

#include "base/fork.h"
#include "base/lock.h"
#include "base/mem.h"
#include "run/exchange.h"

struct hp_cancel {
    atomic_int refs;
    atomic_bool set;
    hp_list exchanges; /* under mu */
};

static hp_mutex mu = HP_MUTEX_INIT;

static void
prepare(void)
{
    hp_lock(&mu);
}

static void
release(void)
{
    hp_unlock(&mu);
}

static void
renew(void)
{
    hp_mutex_init(&mu);
}

const hp_fork_hooks hp_cancel_fork_hooks = {
    .order = HP_FORK_ORDER_CANCEL,
    .prepare = prepare,
    .parent = release,
    .child = renew,
};

hp_cancel *
hp_cancel_new(void)
{
    hp_cancel *c = hp_calloc(sizeof *c);
    if (c == NULL)
        return NULL;
    atomic_init(&c->refs, 1);
    hp_list_init(&c->exchanges);
    return c;
}

hp_cancel *
hp_cancel_ref(hp_cancel *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void
hp_cancel_unref(hp_cancel *c)
{
    if (c && atomic_fetch_sub(&c->refs, 1) == 1)
        hp_free(c);
}

bool
hp_cancel_is_set(const hp_cancel *c)
{
    return atomic_load(&((hp_cancel *)c)->set);
}

void
hp_cancel_trigger(hp_cancel *c)
{
    hp_lock(&mu);
    atomic_store(&c->set, true);
    for (hp_node *n = hp_list_first(&c->exchanges); n;
         n = hp_list_next(&c->exchanges, n)) {
        hp_exchange *ex = HP_CONTAINER(n, hp_exchange, cancel_node);
        /* The lock of one of the parent's may be held for ever. */
        if (ex->generation == hp_fork_generation())
            hp_interest_signal(&ex->interest, HP_E_CANCELLED);
    }
    hp_unlock(&mu);
}

void
hp_cancel_attach(hp_cancel *c, hp_exchange *ex)
{
    ex->cancel = hp_cancel_ref(c);
    hp_lock(&mu);
    hp_list_push_back(&c->exchanges, &ex->cancel_node);
    bool already = atomic_load(&c->set);
    hp_unlock(&mu);
    if (already)
        hp_interest_signal(&ex->interest, HP_E_CANCELLED);
}

void
hp_cancel_detach(hp_exchange *ex)
{
    if (ex->cancel == NULL)
        return;
    hp_lock(&mu);
    hp_list_remove(&ex->cancel_node);
    hp_unlock(&mu);
    hp_cancel_unref(ex->cancel);
    ex->cancel = NULL;
}
