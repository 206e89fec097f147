/* drive_block: the calling thread turns the exchange and waits in poll(). */
#include "base/fork.h"
#include "run/drive.h"
#include "run/exchange.h"

static hp_go
wait_untold(hp_visit *v)
{
    return hp_visit_woken(v, hp_drive_wait(v->driver, v->waker, &v->wait,
                                           &v->readable, &v->look_at));
}

static hp_go
look_up(hp_visit *v)
{
    return hp_visit_woken(v, hp_drive_look(v->driver, &v->look_at));
}

/* GO_ON: step again. Anything else ends the drive. */
static hp_go
wait_for(hp_visit *v)
{
    hp_exchange *ex = v->ex;
    return ex->trace && hp_ex_has_news(ex) ? HP_GO_EVENTS : wait_untold(v);
}

/* What a step wanted before there is another. */
static hp_go
before_the_next(hp_visit *v, hp_go go)
{
    if (go == HP_GO_WAIT)
        return wait_for(v);
    if (go == HP_GO_BUSY)
        return look_up(v);
    return go;
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

static hp_go
be_patient(hp_visit *v)
{
    hp_exchange *ex = v->ex;
    hp_go go = hp_ex_read_head_patiently(ex, &v->wait);
    /* Nothing after all that time: a slice has passed, or a signal came. */
    if (go == HP_GO_ON && ex->state == HP_EX_HEAD && v->driver->slices)
        go = hp_visit_woken(v, hp_drive_ask(v->driver));
    return go;
}

hp_drive
hp_drive_head(hp_exchange *ex, const hp_driver *driver, hp_err *err)
{
    hp_visit v = {.ex = ex, .driver = driver};
    if (hp_visit_enter(&v, err) != 0)
        return HP_DRIVE_ERROR;
    hp_go go;
    do {
        hp_waker_clear(v.waker, v.readable);
        bool sending = ex->state < HP_EX_HEAD;
        go = hp_ex_step_head(ex, v.waker, &v.wait);
        if (go == HP_GO_WAIT && sending && answer_is_near(ex))
            go = be_patient(&v);
        go = before_the_next(&v, go);
    } while (go == HP_GO_ON);
    /* Said while the head was under way, so it holds. */
    if (go == HP_GO_DONE && hp_interest_get(&ex->interest) &&
        hp_ex_signalled(ex))
        go = HP_GO_ERROR;
    hp_drive r = hp_visit_outcome(&v, go, err);
    hp_visit_leave(&v);
    return r;
}

static hp_go
read_once(hp_visit *v, char *buf, size_t cap, bool raw, size_t *got)
{
    hp_exchange *ex = v->ex;
    hp_go go;
    *got = 0;
    do {
        hp_waker_clear(v->waker, v->readable);
        go = hp_ex_step_read(ex, &v->wait, buf, cap, raw, got);
        go = before_the_next(v, go);
    } while (go == HP_GO_ON);
    return go;
}

/* The end of the message is reported when the connection is given back. Asking
 * for a piece would hold back bytes that are there: then the upload ends. */
static hp_go
settle_grace(hp_visit *v, bool have_bytes)
{
    hp_go go = HP_GO_DONE;
    while (v->ex->state == HP_EX_GRACE && go != HP_GO_ERROR) {
        hp_waker_clear(v->waker, v->readable);
        go = hp_ex_step_grace(v->ex, &v->wait);
        if (go == HP_GO_WAIT)
            go = wait_untold(v); /* not for long */
        if (go == HP_GO_BUSY)
            go = look_up(v);
        if (go == HP_GO_PIECE && !have_bytes)
            break;
        if (go == HP_GO_PIECE)
            hp_ex_give_up_upload(v->ex);
    }
    return go == HP_GO_PIECE && have_bytes ? HP_GO_DONE : go;
}

/* Bytes may come so fast that nothing is ever waited for. */
static hp_go
read_many(hp_visit *v, char *buf, size_t cap, hp_read_how how, bool raw,
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
        go = look_up(v);
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
    hp_visit v = {.ex = ex, .driver = driver};
    *got = 0;
    if (read_at_hand(ex, buf, cap, got))
        return HP_DRIVE_DONE;
    if (hp_visit_enter(&v, err) != 0)
        return HP_DRIVE_ERROR;
    hp_drive r = HP_DRIVE_ERROR;
    if (check_read(ex, raw, err) == 0) {
        hp_ex_drive_begins(ex);
        hp_go go = read_many(&v, buf, cap, how, raw, got);
        hp_ex_drive_ends(ex);
        /* Bytes first: an error is sticky, and a piece is asked for again. */
        if (*got)
            go = HP_GO_DONE;
        r = hp_visit_outcome(&v, go, err);
    }
    hp_visit_leave(&v);
    return r;
}
