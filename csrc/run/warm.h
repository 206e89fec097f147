/* warm: connections made before anybody asks for them. One exchange that never
 * sends anything stands for the whole: its key, timeouts, deadline, cancel
 * token and driver. */
#ifndef HP_RUN_WARM_H
#define HP_RUN_WARM_H

#include "hp.h"
#include "net/wait.h"
#include "pool/pool.h"

typedef struct hp_warm_dial {
    hp_pconn *conn;
    hp_wait wait; /* of its last step */
} hp_warm_dial;

typedef struct hp_warm {
    hp_warmer warmer;
    int64_t n;      /* wanted in all */
    int64_t may;    /* so many dials may yet be begun */
    hp_ns patience; /* until then for dials of others */
    hp_err failed;  /* the first dial that failed */
    hp_warm_dial *dials;
    size_t n_dials, cap;
    hp_pconn *asks;     /* one of them, for the socket of a custom dial */
    struct pollfd *fds; /* of the last wait: the waker's first */
    size_t n_fds, fds_cap;
    hp_ns deadline; /* of the last wait */
} hp_warm;

struct hp_exchange;

/* WARM: closes what is not ready. Not in a forked child. */
void hp_ex_warm_give_up(struct hp_exchange *ex, hp_close_reason why);
void hp_ex_warm_free(struct hp_exchange *ex);
hp_phase hp_ex_warm_phase(const struct hp_exchange *ex);

#endif
