/* drive_block: the calling thread turns the exchange and waits in poll(). */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/fork.h"
#include "base/waker.h"
#include "run/drive.h"
#include "run/exchange.h"

#define SLICE (50 * HP_NS_PER_MS)

static hp_woke
ask(const hp_driver *driver)
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
    bool due = *look_at && now >= *look_at;
    if (due || *look_at == 0)
        *look_at = now + SLICE;
    return due ? ask(driver) : HP_WOKE;
}

hp_woke
hp_drive_wait(const hp_driver *driver, const hp_waker *waker, hp_wait *w,
              int *readable, hp_ns *look_at)
{
    struct pollfd fds[HP_WAIT_MAX + 1];
    fds[0] = (struct pollfd){.fd = hp_waker_fd(waker), .events = POLLIN};
    memcpy(fds + 1, w->fds, (size_t)w->n * sizeof *fds);
    for (;;) {
        hp_ns now = hp_clock_now();
        hp_ns until = w->deadline;
        if (driver->slices)
            until = hp_ns_min(until, now + SLICE);
        int n = poll(fds, (nfds_t)w->n + 1, hp_poll_timeout(now, until));
        *readable = n > 0 && fds[0].revents != 0;
        if (n > 0)
            return hp_drive_look(driver, look_at);
        if (n < 0 && errno != EINTR)
            return HP_WOKE_FAILED;
        hp_woke woke = n < 0 || driver->slices ? ask(driver) : HP_WOKE;
        if (woke != HP_WOKE)
            return woke;
        if (n == 0 && hp_clock_now() >= w->deadline)
            return HP_WOKE;
    }
}

/* ---- entering and leaving ---- */

typedef struct visit {
    hp_exchange *ex;
    const hp_driver *driver;
    hp_waker *waker;
    hp_wait wait;
    int readable;
    hp_ns look_at; /* for signals, see hp_drive_look */
} visit;

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
    return hp_err_set_sys(err, HP_E_CONNECT, e,
                          "cannot make a wake-up descriptor (raise the limit "
                          "with ulimit -n)");
}

static int
enter(visit *v, hp_err *err)
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

static void
leave(visit *v)
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

static hp_go
woken(visit *v, hp_woke how)
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

static hp_go
wait_untold(visit *v)
{
    return woken(v, hp_drive_wait(v->driver, v->waker, &v->wait, &v->readable,
                                  &v->look_at));
}

/* GO_ON: step again. Anything else ends the drive. */
static hp_go
wait_for(visit *v)
{
    hp_exchange *ex = v->ex;
    return ex->trace && hp_ex_has_news(ex) ? HP_GO_EVENTS : wait_untold(v);
}

static hp_drive
outcome(visit *v, hp_go go, hp_err *err)
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

/* ---- the two drives ---- */

/* Only on a kept connection: a fresh one may be its only request, and making
 * its socket patient costs more than a poll(). */
static bool
answer_is_near(const hp_exchange *ex)
{
    return ex->state == HP_EX_HEAD && ex->conn_facts.reused &&
           !ex->send.failed && ex->trace == NULL;
}

/* Nothing after all that time: a slice has passed, or a signal came. */
static hp_go
be_patient(visit *v)
{
    hp_go go = hp_ex_read_head_patiently(v->ex, &v->wait);
    if (go == HP_GO_ON && v->driver->slices)
        go = woken(v, ask(v->driver));
    return go;
}

hp_drive
hp_drive_head(hp_exchange *ex, const hp_driver *driver, hp_err *err)
{
    visit v = {.ex = ex, .driver = driver};
    if (enter(&v, err) != 0)
        return HP_DRIVE_ERROR;
    hp_go go;
    do {
        hp_waker_clear(v.waker, v.readable);
        bool sending = ex->state < HP_EX_HEAD;
        go = hp_ex_step_head(ex, v.waker, &v.wait);
        if (go == HP_GO_WAIT && sending && answer_is_near(ex))
            go = be_patient(&v);
        if (go == HP_GO_WAIT)
            go = wait_for(&v);
    } while (go == HP_GO_ON);
    /* Said while the head was under way, so it holds. */
    if (go == HP_GO_DONE && hp_interest_get(&ex->interest) &&
        hp_ex_signalled(ex))
        go = HP_GO_ERROR;
    hp_drive r = outcome(&v, go, err);
    leave(&v);
    return r;
}

static hp_go
read_once(visit *v, char *buf, size_t cap, bool raw, size_t *got)
{
    hp_exchange *ex = v->ex;
    hp_go go;
    *got = 0;
    do {
        hp_waker_clear(v->waker, v->readable);
        go = hp_ex_step_read(ex, &v->wait, buf, cap, raw, got);
        if (go == HP_GO_WAIT)
            go = wait_for(v);
    } while (go == HP_GO_ON);
    return go;
}

/* The end of the message is reported when the connection is given back. Asking
 * for a piece would hold back bytes that are there: then the upload ends. */
static hp_go
settle_grace(visit *v, bool have_bytes)
{
    hp_go go = HP_GO_DONE;
    while (v->ex->state == HP_EX_GRACE && go != HP_GO_ERROR) {
        hp_waker_clear(v->waker, v->readable);
        go = hp_ex_step_grace(v->ex, &v->wait);
        if (go == HP_GO_WAIT)
            go = wait_untold(v); /* not for long */
        if (go == HP_GO_PIECE && !have_bytes)
            break;
        if (go == HP_GO_PIECE)
            hp_ex_give_up_upload(v->ex);
    }
    return go == HP_GO_PIECE && have_bytes ? HP_GO_DONE : go;
}

/* Bytes may come so fast that nothing is ever waited for. */
static hp_go
read_many(visit *v, char *buf, size_t cap, hp_read_how how, bool raw,
          size_t *total)
{
    hp_go go = HP_GO_ON;
    do {
        size_t got;
        go = read_once(v, buf + *total, cap - *total, raw, &got);
        *total += got;
        if (go != HP_GO_DONE || got == 0 || *total == cap ||
            how != HP_READ_FULL)
            break;
        go = woken(v, hp_drive_look(v->driver, &v->look_at));
    } while (go == HP_GO_ON);
    if (go == HP_GO_DONE)
        go = settle_grace(v, *total > 0);
    return go;
}

static int
check_read(hp_exchange *ex, bool raw, hp_err *err)
{
    int mode = raw || !ex->coding ? 2 : 1;
    if (!ex->head_ok && ex->state != HP_EX_FAILED)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "the response head has not been read yet");
    if (ex->coding == NULL || ex->read_mode == 0)
        ex->read_mode = mode;
    if (ex->read_mode != mode)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "this response was partly read %s; the rest cannot "
                          "be read %s",
                          raw ? "decoded" : "raw", raw ? "raw" : "decoded");
    return 0;
}

/* Small answers are all there with their head: reading them needs no waker. */
static bool
read_at_hand(hp_exchange *ex, void *buf, size_t cap, size_t *got)
{
    if (ex->generation != hp_fork_generation() ||
        hp_ex_take(ex, HP_EX_USED) != HP_EX_FREE)
        return false;
    bool done = hp_ex_read_at_hand(ex, buf, cap, got);
    hp_ex_release(ex);
    return done;
}

hp_drive
hp_drive_read(hp_exchange *ex, const hp_driver *driver, void *buf, size_t cap,
              hp_read_how how, bool raw, size_t *got, hp_err *err)
{
    visit v = {.ex = ex, .driver = driver};
    *got = 0;
    if (read_at_hand(ex, buf, cap, got))
        return HP_DRIVE_DONE;
    if (enter(&v, err) != 0)
        return HP_DRIVE_ERROR;
    hp_drive r = HP_DRIVE_ERROR;
    if (check_read(ex, raw, err) == 0) {
        hp_ex_drive_begins(ex);
        hp_go go = read_many(&v, buf, cap, how, raw, got);
        hp_ex_drive_ends(ex);
        /* Bytes first: an error is sticky, and a piece is asked for again. */
        if (*got)
            go = HP_GO_DONE;
        r = outcome(&v, go, err);
    }
    leave(&v);
    return r;
}
