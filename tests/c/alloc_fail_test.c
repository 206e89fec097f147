/* The n-th allocation fails, for every n of hpool's own and for many of
 * OpenSSL's: each request ends as it would or with HP_E_NOMEM, nothing leaks,
 * and the next one works. Over sockets, by hp.h alone; oom_test does the same
 * over scripts, deeper inside.
 *
 * OpenSSL (3.0) does not always say that memory ran out, and goes on without
 * what it could not have. So for its allocations alone HP_E_TLS is an answer,
 * too; and a context that it has built without some algorithm, or with a flag
 * of a certificate missing, stays so: then the same request with a setting of
 * its own has to work. How often either happens is counted and bounded.
 *
 * With an argument STEP, every STEP-th of OpenSSL's allocations: 1 is all. */
#include <stdatomic.h>

#include <openssl/crypto.h>

#include "base/mem.h"
#include "fault_kit.h"

/* ---- OpenSSL's allocator ---- */

static atomic_long crypto_left = -1; /* < 0: none fails */
static atomic_long crypto_made;

static bool
crypto_fails(void)
{
    atomic_fetch_add(&crypto_made, 1);
    return atomic_load(&crypto_left) >= 0 &&
           atomic_fetch_sub(&crypto_left, 1) == 0;
}

static void *
crypto_malloc(size_t n, const char *file, int line)
{
    return crypto_fails() ? NULL : malloc(n);
}

static void *
crypto_realloc(void *p, size_t n, const char *file, int line)
{
    return crypto_fails() ? NULL : realloc(p, n);
}

static void
crypto_free(void *p, const char *file, int line)
{
    free(p);
}

/* ---- one try ---- */

/* The n-th fails, and how many were made. */
typedef struct fault {
    bool crypto;
    long n, made;
} fault;

static void
arm(void *arg)
{
    fault *f = arg;
    if (f->crypto) {
        atomic_store(&crypto_made, 0);
        atomic_store(&crypto_left, f->n);
    } else {
        hp_mem_fail_after(f->n);
    }
}

/* How many may still be made. */
static long
ours_left(void)
{
    long left = 0;
    void *p;
    while ((p = hp_malloc(1)) != NULL) {
        hp_free(p);
        left++;
    }
    return left;
}

static void
disarm(void *arg)
{
    fault *f = arg;
    if (f->crypto) {
        atomic_store(&crypto_left, -1);
        f->made = atomic_load(&crypto_made);
        return;
    }
    if (f->n == FAULT_MANY)
        f->made = f->n - ours_left();
    hp_mem_fail_after(-1);
}

static unsigned settings; /* so that each try has its own */

static fault_try
try(const fault_scene *s, fault *what)
{
    fault_try f = {.scene = s,
                   .arm = arm,
                   .disarm = disarm,
                   .arg = what,
                   .ca = ++settings};
    snprintf(fault_doing, sizeof fault_doing, "%s, %s allocation %ld\n",
             s->name, what->crypto ? "OpenSSL's" : "our", what->n);
    fault_make(&f);
    return f;
}

static void
check_ended(const fault_try *f, hp_errc code, hp_errc want)
{
    if (code != want)
        fprintf(stderr, "%s%s\nthen: %s\n", fault_doing, f->err.text,
                f->next.text);
    CHECK_STR(hp_errc_name(code), hp_errc_name(want));
}

/* How many are made, when none fails. */
static long
count(const fault_scene *s, bool crypto)
{
    fault what = {.crypto = crypto, .n = FAULT_MANY};
    fault_try f = try(s, &what);
    check_ended(&f, f.err.code, s->ends);
    CHECK(what.made > 0 && what.made < FAULT_MANY);
    return what.made;
}

/* ---- ours ---- */

static void
each_of_ours(const fault_scene *s)
{
    long made = count(s, false), failed = 0;
    for (long n = 0; n < made; n++) {
        fault what = {.n = n};
        fault_try f = try(s, &what);
        if (f.err.code != s->ends)
            check_ended(&f, f.err.code, HP_E_NOMEM);
        failed += f.err.code == HP_E_NOMEM;
        check_ended(&f, f.next.code, HP_OK);
    }
    CHECK(failed > 0);
    printf("   %s: %ld of %ld end it\n", s->name, failed, made);
}

static void
test_ours(void)
{
    int fds = fault_open_fds();
    for (int i = 0; i < FAULT_SCENES; i++)
        each_of_ours(&fault_scenes[i]);
    FAULT_SOON(fault_open_fds() == fds);
    CHECK_INT(__lsan_do_recoverable_leak_check(), 0);
}

/* ---- OpenSSL's ---- */

static long step = 307, tried, misnamed, spoilt;

static void
check_spoilt(const fault_try *f)
{
    check_ended(f, f->next.code, HP_E_TLS);
    spoilt++;
    fault_try again = {.scene = f->scene, .ca = ++settings};
    fault_make(&again);
    check_ended(&again, again.err.code, HP_OK);
}

static void
some_of_openssls(const fault_scene *s)
{
    long made = count(s, true);
    for (long n = 0; n < made; n += step) {
        fault what = {.crypto = true, .n = n};
        fault_try f = try(s, &what);
        hp_errc code = f.err.code;
        tried++;
        if (code != s->ends && code != HP_E_NOMEM) {
            check_ended(&f, code, HP_E_TLS);
            misnamed++;
        }
        if (f.next.code != HP_OK)
            check_spoilt(&f);
    }
}

static void
test_openssls(void)
{
    int fds = fault_open_fds();
    for (int i = 0; i < FAULT_SCENES; i++) {
        if (strncmp(fault_scenes[i].base, "https", 5) == 0)
            some_of_openssls(&fault_scenes[i]);
    }
    FAULT_SOON(fault_open_fds() == fds);
    CHECK_INT(__lsan_do_recoverable_leak_check(), 0);
    printf("   %ld tried, %ld misnamed, %ld spoilt\n", tried, misnamed, spoilt);
    CHECK(misnamed * 2 < tried);
    CHECK(spoilt * 10 < tried);
}

/* ---- the first request of a process ---- */

/* In a child, where nothing was ever made. */
static void
first_of_all(const fault_scene *s, long n)
{
    fault what = {.n = n};
    fault_try f = try(s, &what);
    if (f.err.code != s->ends)
        check_ended(&f, f.err.code, HP_E_NOMEM);
    check_ended(&f, f.next.code, HP_OK);
    CHECK_INT(__lsan_do_recoverable_leak_check(), 0);
    _exit(f.err.code == HP_OK ? 2 : 0);
}

/* False: it needs no more than n. */
static bool
first_fails(const fault_scene *s, long n)
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        first_of_all(s, n);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2);
    return WEXITSTATUS(status) == 0;
}

static void
test_first(void)
{
    const fault_scene *tls = &fault_scenes[FAULT_SCENES - 3];
    long n = 0;
    CHECK_STR(tls->name, "TLS");
    while (first_fails(tls, n))
        n++;
    CHECK(n > 10);
}

/* What is made once, and is there from then on. */
static void
warm_up(void)
{
    for (int i = 0; i < FAULT_SCENES; i++) {
        fault_try f = {.scene = &fault_scenes[i]};
        fault_make(&f);
    }
}

int
main(int argc, char **argv)
{
    CHECK(CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free));
    if (argc > 1)
        step = atol(argv[1]);
    fault_watchdog();
    fault_server_start();
    RUN(test_first);
    warm_up();
    RUN(test_ours);
    RUN(test_openssls);
    fault_server_stop();
    DONE();
}
