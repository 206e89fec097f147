/* tls_gate: one word that counts the threads inside and says whether a fork
 * has closed the gate.
 *
 *   OPEN    --fork_prepare--> CLOSING: who comes waits for `closer`
 *   CLOSING --the last one inside leaves, or two seconds--> CLOSED, and the
 *                                                           fork goes on
 *   CLOSED  --fork_parent, fork_child--> OPEN
 *
 * Who comes while it is closed has counted himself before he sees it: he takes
 * that back as if he left, so a word that reads "closed, nobody" holds only for
 * those who are really inside, which is all that a fork needs.
 */
#include "net/tls_gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <openssl/crypto.h>

#include "base/fork.h"
#include "base/lock.h"

#define CLOSED 0x80000000u

enum {
    PATIENCE_S = 2 /* of a fork */
};

static atomic_uint gate;
static pthread_mutex_t closer = PTHREAD_MUTEX_INITIALIZER; /* held by a fork */
static pthread_mutex_t leaving = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;

static _Thread_local struct {
    unsigned depth; /* of visits */
    bool known;     /* OpenSSL will forget the thread inside the gate */
} self;

/* ---- the end of a thread ---- */

/* OpenSSL locks its register of threads when one ends, wherever that happens.
 * It is made to forget the thread before that, inside the gate. */
static void
thread_ends(void *arg)
{
    hp_tls_enter();
    OPENSSL_thread_stop();
    hp_tls_leave();
}

static pthread_key_t key;
static bool have_key;

/* Destructors of keys run in the order in which the keys were made, and others
 * may have used OpenSSL before we did. glibc has something that comes before
 * all keys: what destructors of C++ are made of. */
#ifdef __GLIBC__
extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern void *__dso_handle;

static bool
at_thread_end(void)
{
    return __cxa_thread_atexit_impl(thread_ends, NULL, &__dso_handle) == 0;
}
#else
static bool
at_thread_end(void)
{
    return false;
}
#endif

static void
know_thread(void)
{
    self.known = true;
    if (!at_thread_end() && have_key)
        pthread_setspecific(key, &key); /* any value but NULL */
}

/* ---- visits ---- */

static void
count_out(void)
{
    unsigned before = atomic_fetch_sub_explicit(&gate, 1, memory_order_release);
    if (before != (CLOSED | 1))
        return;
    pthread_mutex_lock(&leaving);
    pthread_cond_signal(&left);
    pthread_mutex_unlock(&leaving);
}

static void
wait_for_fork(void)
{
    pthread_mutex_lock(&closer);
    pthread_mutex_unlock(&closer);
}

void
hp_tls_enter(void)
{
    if (self.depth++ > 0)
        return;
    HP_ASSERT_NONE_HELD();
    while (atomic_fetch_add_explicit(&gate, 1, memory_order_acquire) & CLOSED) {
        count_out();
        wait_for_fork();
    }
    if (!self.known)
        know_thread();
}

void
hp_tls_leave(void)
{
    if (--self.depth == 0)
        count_out();
}

bool
hp_tls_gate_is_closed(void)
{
    return atomic_load(&gate) & CLOSED;
}

unsigned
hp_tls_gate_inside(void)
{
    return atomic_load(&gate) & ~CLOSED;
}

/* ---- fork ---- */

/* A handler of signals in C may fork while its own thread is inside: it does
 * not wait for itself. */
static unsigned
own_visit(void)
{
    return self.depth > 0;
}

static void
fork_prepare(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&closer);
    atomic_fetch_or(&gate, CLOSED);
    pthread_mutex_lock(&leaving);
    int timeout = 0;
    while (atomic_load(&gate) != (CLOSED | own_visit()) && timeout == 0)
        timeout = pthread_cond_timedwait(&left, &leaving, &until);
    pthread_mutex_unlock(&leaving);
}

static void
fork_parent(void)
{
    atomic_fetch_and(&gate, ~CLOSED);
    pthread_mutex_unlock(&closer);
}

static void
fork_child(void)
{
    atomic_store(&gate, own_visit());
    pthread_mutex_init(&closer, NULL);
    pthread_mutex_init(&leaving, NULL);
    pthread_cond_init(&left, NULL);
}

static const hp_fork_hooks hooks = {.order = HP_FORK_ORDER_TLS_GATE,
                                    .prepare = fork_prepare,
                                    .parent = fork_parent,
                                    .child = fork_child};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int failed;

static void
init(void)
{
    have_key = pthread_key_create(&key, thread_ends) == 0;
    failed = hp_fork_register(&hooks);
}

int
hp_tls_gate_init(void)
{
    pthread_once(&once, init);
    return failed;
}
