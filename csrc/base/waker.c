#include "base/waker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#include "base/fork.h"
#include "base/mem.h"

struct hp_waker {
    atomic_int refs;
    atomic_int signaled; /* a token is there or on its way */
    unsigned fork_generation;
    int read_fd, write_fd; /* the same eventfd, or a pipe's two ends */
};

#ifdef __linux__
static int
open_fds(hp_waker *w)
{
    w->read_fd = w->write_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return w->read_fd < 0 ? -1 : 0;
}
#else
static int
open_fds(hp_waker *w)
{
    int p[2];
    if (pipe(p) != 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        fcntl(p[i], F_SETFL, O_NONBLOCK);
        fcntl(p[i], F_SETFD, FD_CLOEXEC);
    }
    w->read_fd = p[0];
    w->write_fd = p[1];
    return 0;
}
#endif

hp_waker *
hp_waker_new(void)
{
    hp_waker *w = hp_calloc(sizeof *w);
    if (w == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    if (open_fds(w) != 0) {
        int saved = errno;
        hp_free(w);
        errno = saved;
        return NULL;
    }
    atomic_init(&w->refs, 1);
    w->fork_generation = hp_fork_generation();
    return w;
}

hp_waker *
hp_waker_ref(hp_waker *w)
{
    atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    return w;
}

void
hp_waker_unref(hp_waker *w)
{
    if (w == NULL || atomic_fetch_sub(&w->refs, 1) != 1)
        return;
    close(w->read_fd);
    if (w->write_fd != w->read_fd)
        close(w->write_fd);
    hp_free(w);
}

int
hp_waker_fd(const hp_waker *w)
{
    return w->read_fd;
}

void
hp_waker_wake(hp_waker *w)
{
    if (w->fork_generation != hp_fork_generation())
        return; /* the parent polls the same open file */
    if (atomic_exchange(&w->signaled, 1))
        return;
    int saved = errno;
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write(w->write_fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
    errno = saved;
}

void
hp_waker_clear(hp_waker *w, int readable)
{
    if (!readable && !atomic_load(&w->signaled))
        return;
    char sink[64];
    ssize_t n;
    do {
        n = read(w->read_fd, sink, sizeof sink);
    } while (n == (ssize_t)sizeof sink || (n < 0 && errno == EINTR));
    atomic_store(&w->signaled, 0);
}

/* ---- the thread's own ---- */

static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;
static int thread_key_error;

static void
drop(void *w)
{
    hp_waker_unref(w);
}

static void
make_key(void)
{
    thread_key_error = pthread_key_create(&thread_key, drop);
}

hp_waker *
hp_waker_for_thread(void)
{
    pthread_once(&thread_once, make_key);
    if (thread_key_error) {
        errno = thread_key_error;
        return NULL;
    }
    hp_waker *w = pthread_getspecific(thread_key);
    if (w && w->fork_generation == hp_fork_generation())
        return w;
    hp_waker *fresh = hp_waker_new();
    if (fresh == NULL)
        return NULL;
    int e = pthread_setspecific(thread_key, fresh);
    if (e) {
        hp_waker_unref(fresh);
        errno = e;
        return NULL;
    }
    hp_waker_unref(w); /* inherited: closes our copy of the descriptor only */
    return fresh;
}
