#include "net/dial.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/addr_trouble.h"

enum {
    MAX_IN_FLIGHT = 8, /* fits in hp_wait beside a waker */
    FAILURES_MAX = 384 /* leaves room in hp_err.text for the target */
};

static const hp_ns STAGGER = 250 * HP_NS_PER_MS;

/* What a silent address has before it makes room for one that is yet to be
 * tried: what Go gives each of a list at least, and one SYN sent again. */
static const hp_ns PATIENCE = 2 * HP_NS_PER_S;

/* A full queue of a Unix socket gives no sign when it has room again. */
static const hp_ns QUEUE_FULL_PAUSE = 10 * HP_NS_PER_MS;

typedef struct attempt {
    int fd;
    hp_addr addr;
    hp_ns started;
} attempt;

struct hp_dial {
    const hp_dial_spec *spec;
    const hp_trace *trace;
    uint64_t conn; /* for the trace */
    hp_addrs *addrs;
    attempt in_flight[MAX_IN_FLIGHT];
    int n_in_flight;
    hp_ns next_start;      /* not before this, unless something fails */
    bool waiting_for_room; /* out of descriptors until an attempt ends */
    int last_errno;
    char failures[FAILURES_MAX]; /* "address: reason; address: reason" */
    int n_unnamed;               /* failures that did not fit */
    int next;                    /* place in order[] */
    int n_order;
    int order[]; /* indices into addrs->list */
};

/* ---- trace ---- */

static const hp_trace nobody;

void
hp_dial_trace(hp_dial *d, const hp_trace *t, uint64_t conn)
{
    d->trace = t;
    d->conn = conn;
}

static void
tell_start(const hp_dial *d, const hp_addr *addr, hp_ns at)
{
    char text[HP_ADDR_TEXT_MAX];
    if (!hp_trace_on(d->trace))
        return;
    hp_addr_format(addr, text);
    HP_TELL(d->trace, .kind = HP_EVENT_CONNECT_START, .at = at, .conn = d->conn,
            .text = {hp_span_cstr(text)});
}

/* `error` may begin with the address, which need not be said twice. */
static void
tell_done(const hp_dial *d, const hp_addr *addr, const char *error)
{
    char text[HP_ADDR_TEXT_MAX];
    if (!hp_trace_on(d->trace))
        return;
    hp_addr_format(addr, text);
    size_t n = strlen(text);
    if (error && strncmp(error, text, n) == 0 && error[n] == ':')
        error += n + strspn(error + n, ": ");
    HP_TELL(d->trace, .kind = HP_EVENT_CONNECT_DONE, .conn = d->conn,
            .text = {hp_span_of(text, n), hp_span_or_none(error)});
}

/* ---- making one ---- */

/* The address that is dialled, with its port. */
static hp_addr
target(const hp_dial *d, int place)
{
    hp_addr a = d->addrs->list[d->order[place]];
    if (a.u.sa.sa_family != AF_UNIX && a.u.in.sin_port == 0)
        hp_addr_set_port(&a, d->spec->port);
    return a;
}

/* Moves to the end, in the same order, those in trouble. `spare` has room for
 * all. */
static void
demote(hp_dial *d, int *spare)
{
    int kept = 0, moved = 0;
    for (int i = 0; i < d->n_order; i++) {
        hp_addr a = target(d, i);
        if (hp_addr_in_trouble(&a))
            spare[moved++] = d->order[i];
        else
            d->order[kept++] = d->order[i];
    }
    memcpy(d->order + kept, spare, (size_t)moved * sizeof *spare);
}

hp_dial *
hp_dial_new(hp_addrs *addrs, const hp_dial_spec *spec, hp_err *err)
{
    size_t order = (size_t)addrs->n * sizeof(int);
    hp_dial *d = hp_calloc(sizeof *d + 2 * order); /* the second is spare */
    if (d == NULL) {
        hp_err_set(err, HP_E_NOMEM, "out of memory");
        return NULL;
    }
    d->spec = spec;
    d->trace = &nobody;
    d->addrs = hp_addrs_ref(addrs);
    d->next_start = hp_clock_now();
    d->n_order = hp_addrs_order(addrs, spec->family, d->order);
    demote(d, d->order + addrs->n);
    return d;
}

void
hp_dial_free(hp_dial *d)
{
    if (d == NULL)
        return;
    hp_dial_give_up(d, "abandoned");
    hp_addrs_unref(d->addrs);
    hp_free(d);
}

void
hp_dial_give_up(hp_dial *d, const char *why)
{
    for (int i = 0; i < d->n_in_flight; i++)
        tell_done(d, &d->in_flight[i].addr, why);
    hp_dial_abandon(d);
}

void
hp_dial_abandon(hp_dial *d)
{
    for (int i = 0; i < d->n_in_flight; i++)
        close(d->in_flight[i].fd);
    d->n_in_flight = 0;
}

/* ---- words ---- */

void
hp_dial_target(const hp_dial_spec *spec, char out[HP_DIAL_TARGET_MAX])
{
    const char *form = "%s:%u";
    if (spec->uds) {
        snprintf(out, HP_DIAL_TARGET_MAX, "unix:%s", spec->uds);
        return;
    }
    if (spec->host && strchr(spec->host, ':'))
        form = "[%s]:%u";
    snprintf(out, HP_DIAL_TARGET_MAX, form, spec->host ? spec->host : "?",
             spec->port);
}

/* Appends "; text" if all of it fits. */
static bool
add_text(char *out, size_t size, const char *text)
{
    size_t have = strlen(out);
    hp_span parts[] = {hp_span_cstr(have ? "; " : ""), hp_span_cstr(text)};
    if (have + parts[0].len + parts[1].len >= size)
        return false;
    for (int i = 0; i < 2; i++) {
        memcpy(out + have, parts[i].ptr, parts[i].len);
        have += parts[i].len;
    }
    out[have] = '\0';
    return true;
}

static void
note_failure(hp_dial *d, const char *text, int sys_errno)
{
    d->last_errno = sys_errno;
    if (d->n_unnamed || !add_text(d->failures, sizeof d->failures, text))
        d->n_unnamed++;
}

void
hp_dial_tried(const hp_dial *d, char *out, size_t n)
{
    char addr[HP_ADDR_TEXT_MAX];
    out[0] = '\0';
    add_text(out, n, d->failures);
    for (int i = 0; i < d->n_in_flight; i++) {
        hp_addr_format(&d->in_flight[i].addr, addr);
        add_text(out, n, addr);
    }
}

static hp_step
out_of_descriptors(const hp_dial *d, int sys_errno, hp_err *err)
{
    char target[HP_DIAL_TARGET_MAX];
    hp_dial_target(d->spec, target);
    hp_err_set(err, HP_E_CONNECT,
               sys_errno == EMFILE
                   ? "cannot connect to %s: the process is out of file "
                     "descriptors; raise the limit (ulimit -n) or lower "
                     "max_idle_conns"
                   : "cannot connect to %s: the system is out of file "
                     "descriptors; raise its limit (fs.file-max) or lower "
                     "max_idle_conns",
               target);
    err->sys_errno = sys_errno;
    return HP_STEP_ERROR;
}

static hp_step
all_failed(const hp_dial *d, hp_err *err)
{
    char target[HP_DIAL_TARGET_MAX], more[32] = "";
    const char *reasons = d->n_order ? d->failures : "no address to try";
    hp_dial_target(d->spec, target);
    if (d->n_unnamed)
        snprintf(more, sizeof more, "; and %d more", d->n_unnamed);
    /* A literal need not be said twice. */
    size_t n = strlen(target);
    bool says_it = d->n_order == 1 && strncmp(reasons, target, n) == 0 &&
                   reasons[n] == ':';
    hp_err_set(err, HP_E_CONNECT, "cannot connect to %s%s%s%s",
               says_it ? "" : target, says_it ? "" : ": ", reasons, more);
    err->sys_errno = d->last_errno;
    return HP_STEP_ERROR;
}

/* ---- attempts ---- */

/* Refused, or nobody there. Without a network no address is to blame. */
static bool
is_to_blame(int sys_errno)
{
    return sys_errno == ECONNREFUSED || sys_errno == ECONNRESET ||
           sys_errno == ETIMEDOUT || sys_errno == EHOSTUNREACH;
}

/* Has had its time, and the next one its chance. */
static bool
is_silent(const attempt *a, hp_ns now)
{
    return now - a->started >= STAGGER;
}

/* Ends attempt i; the next one may start at once. `e` says why, beginning with
 * the address. */
static void
end_attempt(hp_dial *d, int i, const hp_err *e)
{
    note_failure(d, e->text, e->sys_errno);
    tell_done(d, &d->in_flight[i].addr, e->text);
    if (is_to_blame(e->sys_errno))
        hp_addr_failed(&d->in_flight[i].addr);
    close(d->in_flight[i].fd);
    d->n_in_flight--;
    memmove(&d->in_flight[i], &d->in_flight[i + 1],
            (size_t)(d->n_in_flight - i) * sizeof(attempt));
    d->next_start = hp_clock_now();
    d->waiting_for_room = false;
}

static void
attempt_failed(hp_dial *d, int i, int sys_errno)
{
    char addr[HP_ADDR_TEXT_MAX];
    hp_err e;
    hp_err_clear(&e);
    hp_addr_format(&d->in_flight[i].addr, addr);
    hp_err_set_sys(&e, HP_E_CONNECT, sys_errno, "%s", addr);
    end_attempt(d, i, &e);
}

/* The oldest makes room. The last ones of a list never have to. */
static void
make_room(hp_dial *d)
{
    char addr[HP_ADDR_TEXT_MAX];
    hp_ns waited = hp_clock_now() - d->in_flight[0].started;
    hp_err e;
    hp_err_clear(&e);
    hp_addr_format(&d->in_flight[0].addr, addr);
    hp_err_set(&e, HP_E_CONNECT, "%s: no answer for %.1f s", addr,
               (double)waited / (double)HP_NS_PER_S);
    e.sys_errno = ETIMEDOUT;
    end_attempt(d, 0, &e);
}

/* Which attempts have an answer: poll's revents in the order of in_flight. */
static int
look(const hp_dial *d, struct pollfd fds[MAX_IN_FLIGHT])
{
    int n;
    for (int i = 0; i < d->n_in_flight; i++)
        fds[i] = (struct pollfd){.fd = d->in_flight[i].fd, .events = POLLOUT};
    do {
        n = poll(fds, (nfds_t)d->n_in_flight, 0);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* Collects what has been decided. The index of a connected attempt, or -1. */
static int
harvest(hp_dial *d)
{
    struct pollfd fds[MAX_IN_FLIGHT];
    if (d->n_in_flight == 0 || look(d, fds) <= 0)
        return -1;
    for (int i = d->n_in_flight - 1; i >= 0; i--) {
        if (fds[i].revents == 0)
            continue;
        int e = hp_sock_connect_result(d->in_flight[i].fd);
        if (e == 0)
            return i;
        attempt_failed(d, i, e);
    }
    return -1;
}

/* When the next attempt may start; HP_NEVER: not of its own accord. */
static hp_ns
start_time(const hp_dial *d)
{
    if (d->next == d->n_order || d->waiting_for_room)
        return HP_NEVER;
    if (d->n_in_flight < MAX_IN_FLIGHT)
        return d->next_start;
    hp_ns its_time = d->in_flight[0].started + PATIENCE;
    return d->next_start > its_time ? d->next_start : its_time;
}

/* The one after those in flight, which never came to be one of them. */
static void
tell_failed_at_once(const hp_dial *d, hp_ns at, const hp_err *e)
{
    const hp_addr *addr = &d->in_flight[d->n_in_flight].addr;
    tell_start(d, addr, at);
    tell_done(d, addr, e->text);
}

/* What a connect() that failed on the spot means. Anything but a lack of room
 * (a refusal, a family the kernel lacks, no route) is one address less. */
static hp_step
start_failed(hp_dial *d, hp_ns at, const hp_err *e, hp_err *err)
{
    bool no_room = e->sys_errno == EMFILE || e->sys_errno == ENFILE;
    if (no_room && d->n_in_flight == 0) {
        tell_failed_at_once(d, at, e);
        return out_of_descriptors(d, e->sys_errno, err);
    }
    if (no_room) {
        d->waiting_for_room = true;
    } else if (d->spec->uds && e->sys_errno == EAGAIN) {
        d->next_start = hp_clock_now() + QUEUE_FULL_PAUSE;
    } else {
        tell_failed_at_once(d, at, e);
        note_failure(d, e->text, e->sys_errno);
        if (is_to_blame(e->sys_errno))
            hp_addr_failed(&d->in_flight[d->n_in_flight].addr);
        d->next++;
    }
    return HP_STEP_WAIT;
}

/* Starts the next attempt. DONE: *connected is its index. */
static hp_step
start_next(hp_dial *d, int *connected, hp_err *err)
{
    const hp_dial_spec *spec = d->spec;
    attempt *a = &d->in_flight[d->n_in_flight];
    hp_ns at = hp_clock_now();
    int in_progress;
    hp_err e;
    hp_err_clear(&e);
    a->addr = target(d, d->next);
    a->started = at;
    a->fd = hp_sock_connect(&a->addr, spec->local_address, spec->sockopts,
                            spec->n_sockopts, &in_progress, &e);
    if (a->fd < 0)
        return start_failed(d, at, &e, err);
    tell_start(d, &a->addr, at);
    d->next++;
    d->next_start = hp_clock_now() + STAGGER;
    *connected = d->n_in_flight++;
    return in_progress ? HP_STEP_WAIT : HP_STEP_DONE;
}

/* Those that had a start over attempt i, and were overtaken. */
static void
blame_overtaken(const hp_dial *d, int i)
{
    struct pollfd fds[MAX_IN_FLIGHT];
    hp_ns now = hp_clock_now();
    if (i == 0 || look(d, fds) < 0)
        return;
    for (int k = 0; k < i; k++) {
        if (fds[k].revents == 0 && is_silent(&d->in_flight[k], now))
            hp_addr_failed(&d->in_flight[k].addr);
    }
}

void
hp_dial_timed_out(hp_dial *d)
{
    hp_ns now = hp_clock_now();
    for (int i = 0; i < d->n_in_flight; i++) {
        if (is_silent(&d->in_flight[i], now))
            hp_addr_failed(&d->in_flight[i].addr);
    }
}

static hp_step
won(hp_dial *d, int i, int *fd, hp_addr *addr)
{
    hp_addr_succeeded(&d->in_flight[i].addr);
    blame_overtaken(d, i);
    *fd = d->in_flight[i].fd;
    *addr = d->in_flight[i].addr;
    tell_done(d, addr, NULL);
    d->n_in_flight--;
    d->in_flight[i] = d->in_flight[d->n_in_flight];
    hp_dial_give_up(d, "abandoned");
    return HP_STEP_DONE;
}

static hp_step
wait_for(const hp_dial *d, hp_wait *w)
{
    for (int i = 0; i < d->n_in_flight; i++)
        hp_wait_fd(w, d->in_flight[i].fd, POLLOUT);
    hp_wait_until(w, start_time(d));
    return HP_STEP_WAIT;
}

hp_step
hp_dial_step(hp_dial *d, hp_wait *w, int *fd, hp_addr *addr, hp_err *err)
{
    for (;;) {
        /* After each start too: on loopback the answer is there already. */
        int i = harvest(d);
        if (i >= 0)
            return won(d, i, fd, addr);
        if (d->next == d->n_order && d->n_in_flight == 0)
            return all_failed(d, err);
        if (hp_clock_now() < start_time(d))
            return wait_for(d, w);
        if (d->n_in_flight == MAX_IN_FLIGHT)
            make_room(d);
        hp_step s = start_next(d, &i, err);
        if (s == HP_STEP_DONE)
            return won(d, i, fd, addr);
        if (s == HP_STEP_ERROR)
            return s;
    }
}
