/* pause: a wait between two requests that ends as a request would. */
#include <poll.h>

#include "base/fork.h"
#include "pool/pool.h"
#include "run/drive.h"
#include "run/exchange.h"

/* Listed with the pool as one that warms, which close() ends. */
static int
enlist(hp_exchange *ex, hp_warmer *w)
{
    *w = (hp_warmer){.key = &ex->key, .interest = &ex->interest};
    if (hp_pool_warm_begin(ex->pool, w, &ex->err) == 0)
        return 0;
    hp_ex_failed(ex);
    return -1;
}

/* In the child of a fork the pool has forgotten it. */
static void
delist(hp_exchange *ex, hp_warmer *w)
{
    if (ex->generation == hp_fork_generation())
        hp_pool_warm_end(ex->pool, w);
}

static hp_go
rest(hp_visit *v, hp_ns until)
{
    struct pollfd waker = {.fd = hp_waker_fd(v->waker), .events = POLLIN};
    hp_waker_clear(v->waker, v->readable);
    if (hp_ex_signalled(v->ex))
        return HP_GO_ERROR;
    if (hp_clock_now() >= until)
        return HP_GO_DONE;
    hp_ns deadline = hp_ns_min(until, v->ex->total_deadline);
    return hp_visit_woken(v, hp_drive_poll(v->driver, &waker, 1, deadline,
                                           &v->readable, &v->look_at));
}

hp_drive
hp_drive_pause(hp_exchange *ex, const hp_driver *driver, hp_ns until,
               hp_err *err)
{
    hp_visit v = {.ex = ex, .driver = driver};
    hp_warmer w;
    if (hp_visit_enter(&v, err) != 0)
        return HP_DRIVE_ERROR;
    hp_go go = HP_GO_ERROR;
    if (ex->state != HP_EX_START)
        hp_err_set(&ex->err, HP_E_INVALID_ARGUMENT,
                   "this exchange has been driven already");
    else if (enlist(ex, &w) == 0) {
        do {
            go = rest(&v, until);
        } while (go == HP_GO_ON);
        delist(ex, &w);
    }
    hp_drive r = hp_visit_outcome(&v, go, err);
    hp_visit_leave(&v);
    return r;
}
