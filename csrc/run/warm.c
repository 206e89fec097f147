#include "run/warm.h"

#include <errno.h>

#include "base/mem.h"
#include "run/drive.h"
#include "run/exchange.h"

/* ---- life ---- */

static hp_ns
patience(const hp_timeouts *t)
{
    if (t->connect < 0 || t->tls < 0)
        return HP_NEVER;
    return hp_deadline_after(hp_clock_now(), t->connect + t->tls);
}

static int
begin(hp_exchange *ex, hp_waker *waker, int64_t n)
{
    hp_warm *w = hp_calloc(sizeof *w);
    if (w == NULL) {
        hp_ex_fail(ex, HP_E_NOMEM, "out of memory");
        return -1;
    }
    w->n = w->may = n;
    w->patience = patience(&ex->timeouts);
    w->warmer = (hp_warmer){.key = &ex->key,
                            .interest = &ex->interest,
                            .waker = waker,
                            .trace = ex->want.trace};
    ex->warm = w;
    ex->state = HP_EX_WARM;
    if (hp_pool_warm_begin(ex->pool, &w->warmer, &ex->err) == 0)
        return 0;
    hp_ex_failed(ex);
    return -1;
}

static hp_pconn *
take_dial(hp_warm *w, size_t i)
{
    hp_pconn *c = w->dials[i].conn;
    w->dials[i] = w->dials[--w->n_dials];
    return c;
}

/* What a custom dial was asked for has been answered, or is given up. */
static void
take_back_asked(hp_exchange *ex)
{
    ex->warm->asks = NULL;
    ex->dial = NULL;
}

void
hp_ex_warm_give_up(hp_exchange *ex, hp_close_reason why)
{
    hp_warm *w = ex->warm;
    take_back_asked(ex);
    while (w->n_dials)
        hp_pool_warm_failed(ex->pool, take_dial(w, 0), why);
    hp_pool_warm_end(ex->pool, &w->warmer);
}

/* In the child of a fork the pool has let go of the dials already. */
void
hp_ex_warm_free(hp_exchange *ex)
{
    hp_free(ex->warm->dials);
    hp_free(ex->warm->fds);
    hp_free(ex->warm);
    ex->warm = NULL;
}

hp_phase
hp_ex_warm_phase(const hp_exchange *ex)
{
    const hp_warm *w = ex->warm;
    return w->n_dials ? hp_conn_phase(&w->dials[0].conn->net)
                      : HP_PHASE_CONNECT;
}

/* ---- the dials ---- */

static void
dial_failed(hp_exchange *ex, size_t i, const hp_err *err)
{
    hp_warm *w = ex->warm;
    if (w->failed.code == HP_OK)
        w->failed = *err;
    hp_pool_warm_failed(ex->pool, take_dial(w, i), HP_CLOSE_DIAL_FAILED);
}

static void
step_dial(hp_exchange *ex, hp_waker *waker, size_t i)
{
    hp_warm_dial *d = &ex->warm->dials[i];
    hp_err err = {0};
    hp_wait_reset(&d->wait);
    switch (hp_conn_step(&d->conn->net, waker, &d->wait, &err)) {
    case HP_STEP_WAIT:
        break;
    case HP_STEP_DIAL:
        ex->warm->asks = d->conn;
        break;
    case HP_STEP_DONE:
        hp_pool_warmed(ex->pool, take_dial(ex->warm, i));
        break;
    case HP_STEP_ERROR:
        dial_failed(ex, i, &err);
        break;
    }
}

/* What it waited for has come, or may have. */
static bool
is_due(const hp_warm *w, const hp_warm_dial *d, size_t first_fd, hp_ns now)
{
    if (d->conn->net.state == HP_CONN_RESOLVING || now >= d->wait.deadline)
        return true; /* a look-up has no descriptor of its own */
    for (size_t i = first_fd; i < first_fd + (size_t)d->wait.n; i++) {
        if (i >= w->n_fds || w->fds[i].revents)
            return true;
    }
    return d->wait.n == 0;
}

/* From the last to the first: the last one takes the place of one that leaves.
 * The descriptors lie in the order of the dials of the last wait. */
static void
step_dials(hp_exchange *ex, hp_waker *waker)
{
    hp_warm *w = ex->warm;
    hp_ns now = hp_clock_now();
    size_t fd = w->n_fds;
    for (size_t i = w->n_dials; i-- > 0;) {
        fd -= fd ? (size_t)w->dials[i].wait.n : 0;
        if (is_due(w, &w->dials[i], fd, now))
            step_dial(ex, waker, i);
    }
    w->n_fds = 0;
}

static int
make_room(hp_warm *w)
{
    if (w->n_dials < w->cap)
        return 0;
    size_t cap = w->cap ? 2 * w->cap : 16;
    hp_warm_dial *more = hp_realloc(w->dials, cap * sizeof *more);
    if (more == NULL)
        return -1;
    w->dials = more;
    w->cap = cap;
    return 0;
}

/* As many as are wanted and the limits allow. Custom dials one by one: the next
 * would lose time while the one before is made. */
static int
begin_dials(hp_exchange *ex, hp_waker *waker)
{
    hp_warm *w = ex->warm;
    while (w->may > 0 && w->failed.code == HP_OK && w->asks == NULL) {
        hp_pconn *c = NULL;
        if (make_room(w) != 0 ||
            hp_pool_warm_dial(ex->pool, &w->warmer, w->n, ex->timeouts.connect,
                              ex->timeouts.tls, &c) != 0)
            return -1;
        if (c == NULL)
            break;
        w->may--;
        w->dials[w->n_dials++] = (hp_warm_dial){.conn = c};
        step_dial(ex, waker, w->n_dials - 1);
    }
    return 0;
}

/* ---- the state ---- */

static hp_go
settle(hp_exchange *ex, int64_t *ready)
{
    hp_warm *w = ex->warm;
    hp_warmth now = hp_pool_warmth(ex->pool, &w->warmer);
    *ready = now.ready;
    if (now.ready < w->n && w->n_dials)
        return HP_GO_WAIT;
    if (now.ready < w->n && w->failed.code != HP_OK) {
        ex->err = w->failed;
        hp_ex_failed(ex);
        return HP_GO_ERROR;
    }
    if (now.ready < w->n && now.coming && hp_clock_now() < w->patience)
        return HP_GO_WAIT;
    while (w->n_dials) /* somebody else's was quicker */
        hp_pool_orphan_dial(ex->pool, take_dial(w, 0));
    hp_pool_warm_end(ex->pool, &w->warmer);
    ex->state = HP_EX_DONE;
    return HP_GO_DONE;
}

static hp_go
step(hp_exchange *ex, hp_waker *waker, int64_t *ready)
{
    hp_warm *w = ex->warm;
    if (hp_ex_signalled(ex))
        return HP_GO_ERROR;
    take_back_asked(ex);
    step_dials(ex, waker);
    if (begin_dials(ex, waker) != 0)
        return hp_ex_fail(ex, HP_E_NOMEM, "out of memory");
    ex->dial = w->asks;
    if (w->asks)
        return HP_GO_DIAL;
    return settle(ex, ready);
}

/* ---- waiting ---- */

/* The waker and all that the dials wait for. */
static int
gather_fds(hp_exchange *ex, const hp_waker *waker)
{
    hp_warm *w = ex->warm;
    size_t need = 1;
    for (size_t i = 0; i < w->n_dials; i++)
        need += (size_t)w->dials[i].wait.n;
    if (need > w->fds_cap) {
        struct pollfd *more = hp_realloc(w->fds, need * sizeof *more);
        if (more == NULL)
            return -1;
        w->fds = more;
        w->fds_cap = need;
    }
    w->fds[0] = (struct pollfd){.fd = hp_waker_fd(waker), .events = POLLIN};
    w->n_fds = 1;
    w->deadline = ex->total_deadline;
    if (w->n_dials == 0)
        w->deadline = hp_ns_min(w->deadline, w->patience);
    for (size_t i = 0; i < w->n_dials; i++) {
        const hp_wait *one = &w->dials[i].wait;
        w->deadline = hp_ns_min(w->deadline, one->deadline);
        for (int k = 0; k < one->n; k++)
            w->fds[w->n_fds++] = one->fds[k];
    }
    return 0;
}

static hp_go
wait_for_some(hp_visit *v)
{
    hp_warm *w = v->ex->warm;
    if (gather_fds(v->ex, v->waker) != 0)
        return hp_ex_fail(v->ex, HP_E_NOMEM, "out of memory");
    return hp_visit_woken(v, hp_drive_poll(v->driver, w->fds, w->n_fds,
                                           w->deadline, &v->readable,
                                           &v->look_at));
}

hp_drive
hp_drive_warm(hp_exchange *ex, const hp_driver *driver, int64_t n,
              int64_t *ready, hp_err *err)
{
    hp_visit v = {.ex = ex, .driver = driver};
    *ready = 0;
    if (hp_visit_enter(&v, err) != 0)
        return HP_DRIVE_ERROR;
    hp_go go = HP_GO_ON;
    if (ex->state == HP_EX_START && !hp_ex_signalled(ex))
        begin(ex, v.waker, n);
    if (ex->state != HP_EX_WARM) {
        hp_err_set(
            &ex->err, HP_E_INVALID_ARGUMENT,
            "this exchange has been driven already"); /* if none is set */
        go = HP_GO_ERROR;
    }
    while (go == HP_GO_ON) {
        hp_waker_clear(v.waker, v.readable);
        go = step(ex, v.waker, ready);
        if (go == HP_GO_WAIT)
            go = wait_for_some(&v);
    }
    hp_drive r = hp_visit_outcome(&v, go, err);
    hp_visit_leave(&v);
    return r;
}
