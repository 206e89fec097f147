/* The n-th system call fails, for every n of a request and with each of its
 * likely errors, once or from then on: the request ends as it would or with an
 * error that names the cause, nothing hangs or leaks, and the next one works.
 *
 * The linker puts our functions before the system's (WRAPPED in the Makefile),
 * so the core is as it ships. All threads count: the keeper's and the
 * resolver's calls come in between, so the n-th is not always the same. */
#include "fault_kit.h"

#ifdef __linux__

#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "pool/keeper.h"

/* ---- what fails ---- */

typedef enum sys {
    SYS_socket,
    SYS_connect,
    SYS_bind,
    SYS_send,
    SYS_sendmsg,
    SYS_recv,
    SYS_poll,
    SYS_read,
    SYS_write,
    SYS_close,
    SYS_shutdown,
    SYS_fcntl,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_getsockname,
    SYS_getpeername,
    SYS_eventfd,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_wait,
    SYS_pthread_create,
    SYS_getaddrinfo,
    SYS_COUNT
} sys;

enum {
    ERRORS_MAX = 9
};

/* Those that pass come first: they must not be seen at all. read and write are
 * the waker's alone. */
static const struct {
    const char *name;
    int passing;
    int errors[ERRORS_MAX];
} calls[SYS_COUNT] = {
    [SYS_socket] = {"socket",
                    0,
                    {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT}},
    [SYS_connect] = {"connect",
                     1,
                     {EINTR, ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EHOSTUNREACH,
                      EADDRNOTAVAIL, EPERM, ENOBUFS}},
    [SYS_bind] = {"bind", 0, {EADDRINUSE, EADDRNOTAVAIL, EACCES}},
    [SYS_send] = {"send",
                  2,
                  {EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM,
                   ETIMEDOUT}},
    [SYS_sendmsg] = {"sendmsg",
                     2,
                     {EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM}},
    [SYS_recv] = {"recv",
                  2,
                  {EINTR, EAGAIN, ECONNRESET, ETIMEDOUT, ENOMEM, EHOSTUNREACH}},
    [SYS_poll] = {"poll", 1, {EINTR, ENOMEM, EINVAL}},
    [SYS_read] = {"read", 2, {EINTR, EAGAIN}},
    [SYS_write] = {"write", 1, {EINTR}},
    [SYS_close] = {"close", 2, {EINTR, EIO}},
    [SYS_shutdown] = {"shutdown", 1, {ENOTCONN}},
    [SYS_fcntl] = {"fcntl", 0, {EINTR, EINVAL, EPERM}},
    [SYS_getsockopt] = {"getsockopt", 0, {ENOBUFS, ENOMEM}},
    [SYS_setsockopt] = {"setsockopt", 3, {ENOPROTOOPT, ENOMEM, EINVAL}},
    [SYS_getsockname] = {"getsockname", 0, {ENOBUFS, EINVAL}},
    [SYS_getpeername] = {"getpeername", 0, {ENOTCONN, ENOBUFS}},
    [SYS_eventfd] = {"eventfd", 0, {EMFILE, ENFILE, ENOMEM}},
    [SYS_epoll_create1] = {"epoll_create1", 3, {EMFILE, ENFILE, ENOMEM}},
    [SYS_epoll_ctl] = {"epoll_ctl", 2, {ENOMEM, ENOSPC}},
    [SYS_epoll_wait] = {"epoll_wait", 1, {EINTR}},
    [SYS_pthread_create] = {"pthread_create", 0, {EAGAIN, ENOMEM}},
    [SYS_getaddrinfo] = {"getaddrinfo", 0, {EAI_MEMORY, EAI_AGAIN, EAI_SYSTEM}},
};

/* One try: the n-th call fails, with the which-th error of what it is. */
typedef struct fault {
    long n;
    int which;
    bool on; /* and all of its kind after it */
    long made;
    sys what;
    int error; /* 0: it has no such error */
} fault;

/* Every call of this kind fails, whatever else does; SYS_COUNT: none. */
static atomic_int always = SYS_COUNT;

static struct {
    atomic_bool armed;
    atomic_long calls;
    atomic_int what; /* -1: the n-th has not come yet */
    fault *f;
} gate = {.what = -1};

/* What call `s` is to fail with, or 0. */
static int
fails(sys s)
{
    if (atomic_load(&always) == (int)s)
        return calls[s].errors[0];
    if (!atomic_load(&gate.armed))
        return 0;
    fault *f = gate.f;
    int error = calls[s].errors[f->which];
    if (atomic_fetch_add(&gate.calls, 1) == f->n) {
        f->error = error;
        f->what = s;
        atomic_store(&gate.what, (int)s);
        return error;
    }
    bool again = f->on && f->which >= calls[s].passing;
    return again && atomic_load(&gate.what) == (int)s ? error : 0;
}

#define WRAP(ret, name, params, args)                                          \
    ret __real_##name params;                                                  \
    ret __wrap_##name params;                                                  \
    ret __wrap_##name params                                                   \
    {                                                                          \
        int error = fails(SYS_##name);                                         \
        if (error == 0)                                                        \
            return __real_##name args;                                         \
        errno = error;                                                         \
        return -1;                                                             \
    }

WRAP(int, socket, (int family, int type, int protocol),
     (family, type, protocol))
WRAP(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(ssize_t, send, (int fd, const void *p, size_t n, int flags),
     (fd, p, n, flags))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags),
     (fd, m, flags))
WRAP(ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
WRAP(int, poll, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))
WRAP(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
WRAP(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP(int, shutdown, (int fd, int how), (fd, how))
WRAP(int, getsockopt, (int fd, int level, int name, void *p, socklen_t *n),
     (fd, level, name, p, n))
WRAP(int, setsockopt, (int fd, int level, int name, const void *p, socklen_t n),
     (fd, level, name, p, n))
WRAP(int, getsockname, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
WRAP(int, getpeername, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
WRAP(int, eventfd, (unsigned first, int flags), (first, flags))
WRAP(int, epoll_create1, (int flags), (flags))
WRAP(int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *e),
     (ep, op, fd, e))
WRAP(int, epoll_wait, (int ep, struct epoll_event *e, int n, int ms),
     (ep, e, n, ms))

/* Broken off by a signal it goes on all the same. */
int __real_connect(int fd, const struct sockaddr *a, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t n);
int
__wrap_connect(int fd, const struct sockaddr *a, socklen_t n)
{
    int e = fails(SYS_connect);
    if (e == 0)
        return __real_connect(fd, a, n);
    if (e == EINTR)
        __real_connect(fd, a, n);
    errno = e;
    return -1;
}

/* Linux has closed it, whatever it says. */
int __real_close(int fd);
int __wrap_close(int fd);
int
__wrap_close(int fd)
{
    int e = fails(SYS_close), r = __real_close(fd);
    if (e == 0)
        return r;
    errno = e;
    return -1;
}

int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, long arg);
int
__wrap_fcntl(int fd, int what, long arg)
{
    int e = fails(SYS_fcntl);
    if (e == 0)
        return __real_fcntl(fd, what, arg);
    errno = e;
    return -1;
}

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a,
                          void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a,
                          void *(*fn)(void *), void *arg);
int
__wrap_pthread_create(pthread_t *t, const pthread_attr_t *a,
                      void *(*fn)(void *), void *arg)
{
    int e = fails(SYS_pthread_create);
    return e ? e : __real_pthread_create(t, a, fn, arg);
}

int __real_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out);
int
__wrap_getaddrinfo(const char *host, const char *service,
                   const struct addrinfo *hints, struct addrinfo **out)
{
    int e = fails(SYS_getaddrinfo);
    errno = EMFILE;
    return e ? e : __real_getaddrinfo(host, service, hints, out);
}

/* ---- one try ---- */

static void
arm(void *arg)
{
    gate.f = arg;
    atomic_store(&gate.calls, 0);
    atomic_store(&gate.what, -1);
    atomic_store(&gate.armed, true);
}

static void
disarm(void *arg)
{
    fault *f = arg;
    atomic_store(&gate.armed, false);
    f->made = atomic_load(&gate.calls);
}

static hp_addr local;

static fault_try
try(const fault_scene *s, fault *what)
{
    fault_try f = {.scene = s,
                   .arm = arm,
                   .disarm = disarm,
                   .arg = what,
                   .local = s->before ? NULL : &local};
    snprintf(fault_doing, sizeof fault_doing, "%s, call %ld, error %d%s\n",
             s->name, what->n, what->which, what->on ? " from then on" : "");
    fault_make(&f);
    return f;
}

static bool
passes(const fault *f)
{
    return f->error == 0 || (int)f->which < calls[f->what].passing;
}

/* The error tells of the system's, in words and as a number. */
static bool
names(const hp_err *e, const fault *f)
{
    if (f->what == SYS_getaddrinfo)
        return e->code == HP_E_RESOLVE || e->code == HP_E_NOMEM;
    if (f->error == ENOMEM && e->code == HP_E_NOMEM)
        return true;
    return e->sys_errno == f->error && (strstr(e->text, strerror(f->error)) ||
                                        strstr(e->text, "file descriptors"));
}

static void
check(const fault_try *t, const fault *f)
{
    const hp_err *e = &t->err;
    bool ok = e->code == t->scene->ends || (!passes(f) && names(e, f));
    if (ok && t->next.code == HP_OK)
        return;
    fprintf(stderr, "%s%s: %s\n%s (%s)\nthen: %s\n", fault_doing,
            calls[f->what].name, strerror(f->error), e->text,
            hp_errc_name(e->code), t->next.text);
    if (!getenv("X"))
        exit(1);
}

/* ---- all of them ---- */

static long tried, ended;

/* Every error of the n-th call. False: there is none. */
static bool
each_error(const fault_scene *s, long n, bool on)
{
    for (int which = 0; which < ERRORS_MAX; which++) {
        fault what = {.n = n, .which = which, .on = on};
        fault_try f = try(s, &what);
        check(&f, &what);
        if (what.made <= n)
            return false;
        if (what.error == 0)
            break;
        tried++;
        ended += f.err.code != s->ends;
    }
    return true;
}

static void
hold(const fault_scene *s)
{
    int fds = fault_open_fds();
    long n = 0, before = tried, ended_before = ended;
    while (each_error(s, n, false) && each_error(s, n, true))
        n++;
    CHECK(n > 1);
    FAULT_SOON(fault_open_fds() == fds);
    printf("   %s: %ld calls, %ld faults, %ld end it\n", s->name, n,
           tried - before, ended - ended_before);
}

static void
test_each_call(void)
{
    for (int i = 0; i < FAULT_SCENES; i++)
        hold(&fault_scenes[i]);
    CHECK(ended > 100);
    CHECK_INT(__lsan_do_recoverable_leak_check(), 0);
}

/* ---- the keeper's calls ---- */

static hp_transport *
open_transport(void)
{
    hp_transport_config config;
    hp_err err = {0};
    hp_transport_config_default(&config);
    config.limits.idle_conn_timeout = 20 * HP_NS_PER_MS;
    hp_transport *t = hp_transport_new(&config, &err);
    CHECK(t);
    return t;
}

static int64_t
idle(hp_transport *t)
{
    hp_stats *s = hp_transport_stats(t);
    int64_t n = s->total.now.idle;
    hp_stats_free(s);
    return n;
}

/* It has nothing to come for; or it comes all the same. */
static void
keeper_rests(void)
{
    uint64_t before = 0;
    for (int i = 0; i < 4 && before != hp_keeper_rounds(); i++) {
        before = hp_keeper_rounds();
        poll(NULL, 0, (int)(2 * HP_KEEPER_PACE / HP_NS_PER_MS));
    }
}

/* Its poller takes nothing, not even its waker: it comes by itself. */
static void
test_keeper_cannot_watch(void)
{
    hp_transport *t = open_transport();
    alarm(FAULT_PATIENCE_S);
    atomic_store(&always, SYS_epoll_ctl);
    for (int i = 0; i < 3; i++) {
        fault_try f = {.scene = &fault_scenes[0], .t = t};
        fault_in_thread(&f);
        fault_check_body(&f);
        FAULT_SOON(idle(t) == 0);
        keeper_rests();
    }
    atomic_store(&always, SYS_COUNT);
    hp_transport_unref(t);
    alarm(0);
}

static void
always_arm(void *arg)
{
    atomic_store(&always, *(sys *)arg);
}

static void
always_disarm(void *arg)
{
    atomic_store(&always, SYS_COUNT);
}

/* Then there is none; after a second it is tried again. */
static void
without_keeper(sys what)
{
    hp_transport *t = open_transport();
    fault_try f = {.scene = &fault_scenes[0],
                   .t = t,
                   .arm = always_arm,
                   .disarm = always_disarm,
                   .arg = &what};
    alarm(FAULT_PATIENCE_S);
    fault_in_thread(&f);
    fault_check_body(&f);
    CHECK_INT(idle(t), 1); /* with nobody to close it */
    hp_clock_advance(2 * HP_NS_PER_S);
    fault_try next = {.scene = &fault_scenes[0], .t = t};
    fault_in_thread(&next);
    fault_check_body(&next);
    FAULT_SOON(idle(t) == 0);
    hp_transport_unref(t);
    _exit(0);
}

static void
test_keeper_cannot_be_made(void)
{
    static const sys whats[] = {SYS_epoll_create1, SYS_pthread_create};
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            without_keeper(whats[i]);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_INT(status, 0);
    }
}

static void
warm_up(void)
{
    for (int i = 0; i < FAULT_SCENES; i++) {
        fault_try f = {.scene = &fault_scenes[i]};
        fault_make(&f);
    }
}

int
main(void)
{
    fault_watchdog();
    local = lo_addr(AF_INET);
    fault_server_start();
    RUN(test_keeper_cannot_be_made);
    warm_up();
    RUN(test_keeper_cannot_watch);
    RUN(test_each_call);
    fault_server_stop();
    DONE();
}

#else

int
main(void)
{
    puts("no --wrap here");
    DONE();
}

#endif
