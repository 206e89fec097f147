/* visit: a thread inside an exchange that it drives, and its waits. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/fork.h"
#include "run/drive.h"
#include "run/exchange.h"

#define SLICE (50 * HP_NS_PER_MS)
/* Asking may cost as much as five milliseconds, where the interpreter's other
 * threads are busy too. */
#define BUSY_SLICE (10 * HP_NS_PER_MS)

hp_woke
hp_drive_ask(const hp_driver *driver)
{
    unsigned generation = hp_fork_generation();
    bool stop = driver->on_interrupt && driver->on_interrupt(driver->arg);
    if (generation != hp_fork_generation())
        return HP_WOKE_FORKED;
    return stop ? HP_WOKE_STOP : HP_WOKE;
}

hp_woke
hp_drive_look(const hp_driver *driver, hp_ns *look_at)
{
    if (!driver->slices)
        return HP_WOKE;
    hp_ns now = hp_clock_now();
    if (*look_at != 0 && now < *look_at)
        return HP_WOKE;
    hp_woke woke = HP_WOKE;
    if (*look_at != 0) {
        woke = hp_drive_ask(driver);
        now = hp_clock_now();
    }
    *look_at = now + BUSY_SLICE;
    return woke;
}

hp_woke
hp_drive_poll(const hp_driver *driver, struct pollfd *fds, size_t n_fds,
              hp_ns deadline, int *readable, hp_ns *look_at)
{
    for (;;) {
        hp_ns now = hp_clock_now();
        hp_ns until = deadline;
        if (driver->slices)
            until = hp_ns_min(until, now + SLICE);
        int n = poll(fds, (nfds_t)n_fds, hp_poll_timeout(now, until));
        *readable = n > 0 && fds[0].revents != 0;
        if (n > 0)
            return hp_drive_look(driver, look_at);
        if (n < 0 && errno != EINTR)
            return HP_WOKE_FAILED;
        hp_woke woke = n < 0 || driver->slices ? hp_drive_ask(driver) : HP_WOKE;
        if (woke != HP_WOKE)
            return woke;
        if (n == 0 && hp_clock_now() >= deadline)
            return HP_WOKE;
    }
}

hp_woke
hp_drive_wait(const hp_driver *driver, const hp_waker *waker, hp_wait *w,
              int *readable, hp_ns *look_at)
{
    struct pollfd fds[HP_WAIT_MAX + 1];
    fds[0] = (struct pollfd){.fd = hp_waker_fd(waker), .events = POLLIN};
    memcpy(fds + 1, w->fds, (size_t)w->n * sizeof *fds);
    return hp_drive_poll(driver, fds, (size_t)w->n + 1, w->deadline, readable,
                         look_at);
}

/* ---- entering and leaving ---- */

static int
forked(hp_err *err)
{
    return hp_err_set(err, HP_E_FORKED,
                      "this response belongs to the parent process; make "
                      "the request again in this one");
}

static int
occupied(hp_ex_user user, hp_err *err)
{
    if (user == HP_EX_CLOSING)
        return hp_err_set(err, HP_E_CLOSED, "the response was closed");
    return hp_err_set(err, HP_E_BUSY,
                      "another thread is using this response; a response has "
                      "one user at a time");
}

static int
no_waker(hp_exchange *ex, int e, hp_err *err)
{
    if (e == EMFILE || e == ENFILE)
        hp_pool_tally_no_descriptor(ex->pool, &ex->want);
    hp_ex_release(ex);
    if (e == ENOMEM)
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    return hp_err_set_sys(err, HP_E_CONNECT, e,
                          "cannot make a wake-up descriptor (raise the limit "
                          "with ulimit -n)");
}

int
hp_visit_enter(hp_visit *v, hp_err *err)
{
    hp_exchange *ex = v->ex;
    if (ex->generation != hp_fork_generation())
        return forked(err);
    hp_ex_user user = hp_ex_take(ex, HP_EX_USED);
    if (user != HP_EX_FREE)
        return occupied(user, err);
    v->waker = hp_waker_for_thread();
    if (v->waker == NULL)
        return no_waker(ex, errno, err);
    hp_wait_reset(&v->wait);
    v->readable = 0;
    hp_inside_enter();
    hp_interest_enter(&ex->interest, v->waker);
    return 0;
}

void
hp_visit_leave(hp_visit *v)
{
    hp_exchange *ex = v->ex;
    if (ex->generation != hp_fork_generation())
        return; /* on_interrupt forked and this is the child */
    hp_interest_leave(&ex->interest);
    if (ex->state < HP_EX_QUEUED || ex->state > HP_EX_LINGER)
        ex->want.waker = NULL; /* else others may look at it */
    hp_inside_leave();
    hp_ex_release(ex);
}

hp_go
hp_visit_woken(hp_visit *v, hp_woke how)
{
    hp_exchange *ex = v->ex;
    int e = errno;
    switch (how) {
    case HP_WOKE:
        return HP_GO_ON;
    case HP_WOKE_STOP:
        return hp_ex_fail(ex, HP_E_INTERRUPTED, "interrupted by a signal");
    case HP_WOKE_FORKED:
        forked(&ex->err);
        return HP_GO_ERROR;
    case HP_WOKE_FAILED:
        break;
    }
    hp_err_set_sys(&ex->err, HP_E_READ, e, "poll failed");
    return hp_ex_failed(ex);
}

hp_drive
hp_visit_outcome(hp_visit *v, hp_go go, hp_err *err)
{
    switch (go) {
    case HP_GO_PIECE:
        return HP_DRIVE_BODY;
    case HP_GO_REWIND:
        return HP_DRIVE_REWIND;
    case HP_GO_DIAL:
        return HP_DRIVE_DIAL;
    case HP_GO_CONNECTS:
        return HP_DRIVE_CONNECTS;
    case HP_GO_EVENTS:
        return HP_DRIVE_EVENTS;
    case HP_GO_ERROR:
        *err = v->ex->err;
        return HP_DRIVE_ERROR;
    default:
        return HP_DRIVE_DONE;
    }
}
