/* interest: how one thread ends another's drive. */
#include "pool/pool.h"

#include <sys/socket.h>

void
hp_interest_init(hp_interest *i)
{
    hp_mutex_init(&i->mu);
    i->waker = NULL;
    i->blocked_fd = -1;
    atomic_init(&i->signal, 0);
}

void
hp_interest_destroy(hp_interest *i)
{
    hp_mutex_destroy(&i->mu);
}

void
hp_interest_enter(hp_interest *i, hp_waker *w)
{
    hp_lock(&i->mu);
    i->waker = w;
    hp_unlock(&i->mu);
}

void
hp_interest_leave(hp_interest *i)
{
    hp_interest_enter(i, NULL);
}

bool
hp_interest_block(hp_interest *i, int fd)
{
    hp_lock(&i->mu);
    bool may = hp_interest_get(i) == HP_OK;
    if (may)
        i->blocked_fd = fd;
    hp_unlock(&i->mu);
    return may;
}

void
hp_interest_unblock(hp_interest *i)
{
    hp_lock(&i->mu);
    i->blocked_fd = -1;
    hp_unlock(&i->mu);
}

bool
hp_interest_signal(hp_interest *i, hp_errc code)
{
    int none = 0;
    bool first = atomic_compare_exchange_strong(&i->signal, &none, (int)code);
    hp_lock(&i->mu);
    if (i->waker)
        hp_waker_wake(i->waker); /* a leaf lock, and a wake never waits */
    if (i->blocked_fd >= 0)
        shutdown(i->blocked_fd, SHUT_RDWR); /* nor does this */
    hp_unlock(&i->mu);
    return first;
}
