/* drive: what drivers share. */
#ifndef HP_RUN_DRIVE_H
#define HP_RUN_DRIVE_H

#include "base/waker.h"
#include "hp.h"
#include "net/wait.h"
#include "run/exchange.h"

typedef enum hp_woke {
    HP_WOKE,        /* something is ready, or the wait's deadline has passed */
    HP_WOKE_STOP,   /* on_interrupt said stop */
    HP_WOKE_FORKED, /* on_interrupt forked, and this is the child */
    HP_WOKE_FAILED  /* poll() itself failed: errno */
} hp_woke;

/* Polls these, the first of which is the waker's, with signals and slices as
 * the driver says. *readable: the waker's was. *look_at: 0 when a drive begins.
 * HP_WOKE at the deadline at the latest. Blocks. */
hp_woke hp_drive_poll(const hp_driver *driver, struct pollfd *fds, size_t n_fds,
                      hp_ns deadline, int *readable, hp_ns *look_at);

/* Polls what `w` wants together with the waker, with signals and slices as the
 * driver says. *readable: the waker's descriptor was. *look_at: 0 when a drive
 * begins. Blocks. */
hp_woke hp_drive_wait(const hp_driver *driver, const hp_waker *waker,
                      hp_wait *w, int *readable, hp_ns *look_at);

/* Asks on_interrupt, if there is one. HP_WOKE: go on. */
hp_woke hp_drive_ask(const hp_driver *driver);

/* With slices: asks on_interrupt when it was not asked for 10 ms, since a drive
 * may be too busy to wait. HP_WOKE: go on. */
hp_woke hp_drive_look(const hp_driver *driver, hp_ns *look_at);

/* A thread inside an exchange. */
typedef struct hp_visit {
    hp_exchange *ex;
    const hp_driver *driver;
    hp_waker *waker; /* the thread's */
    hp_wait wait;
    int readable;
    hp_ns look_at; /* for signals, see hp_drive_look */
} hp_visit;

/* 0, or -1 with *err: the exchange is another's, or there is no waker. */
int hp_visit_enter(hp_visit *v, hp_err *err);
void hp_visit_leave(hp_visit *v);
/* After a wait. GO_ON: step again; GO_ERROR: the exchange has failed. */
hp_go hp_visit_woken(hp_visit *v, hp_woke how);
/* What the drive answers; *err with an error. */
hp_drive hp_visit_outcome(hp_visit *v, hp_go go, hp_err *err);

#endif
