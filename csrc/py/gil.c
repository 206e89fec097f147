#include "gil.h"

#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#else
#include <pthread.h>
#endif

enum {
    ATTACHED_COPY_MAX = 64 * 1024
};

typedef struct detached {
    PyThreadState *thread;
    hp_driver driver;
    bool after_exit; /* begun when the exit hook was done */
} detached;

/* The interpreter's exit hook has begun to end what threads are waiting for; it
 * has done so. */
static atomic_bool exiting, exited;

/* Signal handlers run in the main thread only; asking the system each time
 * would cost two calls a request. */
static _Thread_local enum {
    UNKNOWN,
    MAIN,
    OTHER
} this_thread;

static bool
is_main_thread(void)
{
    if (this_thread == UNKNOWN) {
#ifdef __linux__
        bool main = syscall(SYS_gettid) == (long)getpid();
#else
        bool main = pthread_main_np() != 0;
#endif
        this_thread = main ? MAIN : OTHER;
    }
    return this_thread == MAIN;
}

void
hpy_forget_thread(void)
{
    this_thread = UNKNOWN;
}

static int
resume(void *unused)
{
    hp_process_resume();
    return 0;
}

/* os.fork() counts the threads there are when it returns, and warns if there is
 * one more than the caller's: ours is not to be it. What is pending is done by
 * the main thread, which is just returning to Python; another thread's fork is
 * warned of in any case. */
bool
hpy_resume_later(void)
{
    return is_main_thread() && PyGILState_Check() &&
           Py_AddPendingCall(resume, NULL) == 0;
}

static bool
on_interrupt(void *arg)
{
    detached *d = arg;
    PyEval_RestoreThread(d->thread);
    bool stop = PyErr_CheckSignals() != 0;
    d->thread = PyEval_SaveThread();
    return stop;
}

static void
detach(detached *d, hpy_state *st)
{
    d->driver.on_interrupt = on_interrupt;
    d->driver.arg = d;
    d->driver.slices = st->main_interpreter && is_main_thread();
    d->after_exit = atomic_load_explicit(&exited, memory_order_relaxed);
    d->thread = PyEval_SaveThread();
}

/* The exit hook ends what daemon threads are waiting for, and what they will
 * wait for with a response they have. Attached at once, such a thread would
 * print a traceback into a process that is all but gone; a moment later the
 * interpreter lets no thread attach. The moment is short, since another exit
 * hook may be joining the thread. */
static void
linger(void)
{
    struct timespec second = {.tv_sec = 1};
    nanosleep(&second, NULL);
}

static hp_drive
attach(detached *d, hp_drive out, const hp_err *err)
{
    bool closed = out == HP_DRIVE_ERROR && err->code == HP_E_CLOSED;
    if (atomic_load_explicit(&exiting, memory_order_relaxed) &&
        (!d->after_exit || (closed && !is_main_thread())))
        linger();
    PyEval_RestoreThread(d->thread);
    return out;
}

hp_drive
hpy_drive_head(hpy_state *st, hp_exchange *ex, hp_err *err)
{
    detached d;
    detach(&d, st);
    hp_drive out = hp_drive_head(ex, &d.driver, err);
    return attach(&d, out, err);
}

hp_drive
hpy_drive_warm(hpy_state *st, hp_exchange *ex, int64_t n, int64_t *ready,
               hp_err *err)
{
    detached d;
    detach(&d, st);
    hp_drive out = hp_drive_warm(ex, &d.driver, n, ready, err);
    return attach(&d, out, err);
}

hp_drive
hpy_drive_pause(hpy_state *st, hp_exchange *ex, hp_ns until, hp_err *err)
{
    detached d;
    detach(&d, st);
    hp_drive out = hp_drive_pause(ex, &d.driver, until, err);
    return attach(&d, out, err);
}

/* The connection is given back: the rest of the body is here. */
static bool
is_at_hand(hp_exchange *ex, bool raw)
{
    hp_conn_facts facts;
    if (!raw && hp_exchange_decodes(ex))
        return false;
    hp_exchange_facts(ex, &facts);
    return facts.released;
}

hp_drive
hpy_drive_read(hpy_state *st, hp_exchange *ex, void *buf, size_t cap,
               hp_read_how how, bool raw, size_t *got, hp_err *err)
{
    detached d = {NULL};
    if (cap <= ATTACHED_COPY_MAX && is_at_hand(ex, raw)) /* never waits */
        return hp_drive_read(ex, &d.driver, buf, cap, how, raw, got, err);
    detach(&d, st);
    hp_drive out = hp_drive_read(ex, &d.driver, buf, cap, how, raw, got, err);
    return attach(&d, out, err);
}

hp_drive
hpy_drive_recv(hpy_state *st, hp_upgraded *u, hp_ns timeout, void *buf,
               size_t cap, size_t *got, hp_err *err)
{
    detached d;
    detach(&d, st);
    hp_drive out = hp_upgraded_recv(u, &d.driver, timeout, buf, cap, got, err);
    return attach(&d, out, err);
}

hp_drive
hpy_drive_sendall(hpy_state *st, hp_upgraded *u, hp_ns timeout, const void *buf,
                  size_t n, hp_err *err)
{
    detached d;
    detach(&d, st);
    hp_drive out = hp_upgraded_sendall(u, &d.driver, timeout, buf, n, err);
    return attach(&d, out, err);
}

void
hpy_begin(void)
{
    atomic_store(&exiting, false);
    atomic_store(&exited, false);
    hp_process_begin();
}

/* An interpreter that is ended by the end of the process must stay attached:
 * the main thread is the one thread that may attach then, but only to the main
 * interpreter. It would end here, and take the exit code with it. */
void
hpy_end(void)
{
    if (atomic_exchange(&exiting, true))
        return;
    PyThreadState *thread = Py_IsFinalizing() ? NULL : PyEval_SaveThread();
    hp_process_shutdown();
    atomic_store(&exited, true);
    if (thread != NULL)
        PyEval_RestoreThread(thread);
}
