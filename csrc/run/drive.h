/* drive: what drivers share. */
#ifndef HP_RUN_DRIVE_H
#define HP_RUN_DRIVE_H

#include "base/waker.h"
#include "hp.h"
#include "net/wait.h"

typedef enum hp_woke {
    HP_WOKE,        /* something is ready, or the wait's deadline has passed */
    HP_WOKE_STOP,   /* on_interrupt said stop */
    HP_WOKE_FORKED, /* on_interrupt forked, and this is the child */
    HP_WOKE_FAILED  /* poll() itself failed: errno */
} hp_woke;

/* Polls what `w` wants together with the waker, with signals and slices as the
 * driver says. *readable: the waker's descriptor was. *look_at: 0 when a drive
 * begins. Blocks. */
hp_woke hp_drive_wait(const hp_driver *driver, const hp_waker *waker,
                      hp_wait *w, int *readable, hp_ns *look_at);

/* With slices: asks on_interrupt when it was not asked for that long, since a
 * drive may be too busy to wait. HP_WOKE: go on. */
hp_woke hp_drive_look(const hp_driver *driver, hp_ns *look_at);

#endif
