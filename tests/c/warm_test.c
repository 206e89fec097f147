/* warm, the drive: many dials in one poll loop, over real sockets, and all that
 * ends them. */
#include "calls.h"

typedef struct warming {
    call c;
    int64_t n, ready;
    hp_drive r;
} warming;

static void *
drive(void *arg)
{
    warming *w = arg;
    w->r = hp_drive_warm(w->c.ex, &w->c.driver, w->n, &w->ready, &w->c.err);
    return NULL;
}

static void
prepare_warm(warming *w, const hp_addr *at, int64_t n)
{
    prepare_at(&w->c, at, "/");
    w->n = n;
}

static void
warm_now(warming *w)
{
    make(&w->c);
    drive(w);
    hp_exchange_free(w->c.ex);
}

static void
check_warmed(int64_t n, int64_t ready)
{
    warming w;
    prepare_warm(&w, &srv.addr, n);
    warm_now(&w);
    CHECK_INT(w.r, HP_DRIVE_DONE);
    CHECK_INT(w.ready, ready);
}

static void
check_failed(const warming *w, hp_errc code, hp_phase phase)
{
    CHECK_INT(w->r, HP_DRIVE_ERROR);
    CHECK_STR(hp_errc_name(w->c.err.code), hp_errc_name(code));
    CHECK_STR(hp_phase_name(w->c.err.phase), hp_phase_name(phase));
}

static void
start_warm(warming *w, const hp_addr *at, int64_t n)
{
    prepare_warm(w, at, n);
    make(&w->c);
    CHECK(pthread_create(&w->c.thread, NULL, drive, w) == 0);
}

static void
finish_warm(warming *w)
{
    CHECK(pthread_join(w->c.thread, NULL) == 0);
    hp_exchange_free(w->c.ex);
}

/* ---- what it makes ---- */

static void
test_many(void)
{
    setup();
    check_warmed(40, 40);
    CHECK_INT(now().idle, 40);
    CHECK_INT(counts().dials, 40);
    get("/echo/x", "x");
    CHECK_INT(counts().dials, 40);
    CHECK_INT(counts().reuses, 1);
    check_warmed(40, 40);
    check_warmed(1, 40);
    CHECK_INT(counts().dials, 40);
    teardown();
}

/* Of what the limits do not allow it makes nothing, and it does not wait. */
static void
test_capped(void)
{
    call holder;
    server_start(&srv);
    hp_transport_config_default(&config);
    config.limits.max_conns_per_host = 3;
    open_transport();
    prepare(&holder, "/half");
    make(&holder);
    CHECK(read_head(&holder));
    check_warmed(10, 3);
    CHECK_INT(now().idle, 2);
    hp_exchange_free(holder.ex);
    teardown();
}

/* Two who want the same share it. */
static void
test_together(void)
{
    warming w[4];
    setup();
    for (int i = 0; i < 4; i++)
        start_warm(&w[i], &srv.addr, 16);
    for (int i = 0; i < 4; i++) {
        finish_warm(&w[i]);
        CHECK_INT(w[i].r, HP_DRIVE_DONE);
        CHECK_INT(w[i].ready, 16);
    }
    CHECK_INT(counts().dials, 16);
    CHECK_INT(now().idle, 16);
    teardown();
}

/* Requests take what is there while more is made. */
static void *
ask(void *arg)
{
    for (int i = 0; i < 100; i++)
        get("/echo/x", "x");
    return NULL;
}

static void
test_beside_requests(void)
{
    warming w[2];
    pthread_t threads[4];
    setup();
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, ask, NULL) == 0);
    for (int i = 0; i < 2; i++)
        start_warm(&w[i], &srv.addr, 20);
    for (int i = 0; i < 2; i++) {
        finish_warm(&w[i]);
        CHECK_INT(w[i].r, HP_DRIVE_DONE);
        CHECK(w[i].ready >= 20);
    }
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    SOON(now().dialing == 0);
    CHECK(now().idle >= 20 && now().in_use == 0);
    teardown();
}

/* ---- what ends it ---- */

static void
test_refused(void)
{
    hp_addr at;
    int bound = lo_bind(AF_INET, &at);
    warming w;
    setup();
    prepare_warm(&w, &at, 5);
    warm_now(&w);
    check_failed(&w, HP_E_CONNECT, HP_PHASE_CONNECT);
    CHECK_INT(w.c.err.sys_errno, ECONNREFUSED);
    CHECK(counts().dials >= 1 && counts().dials <= 5);
    CHECK_INT(now().dialing, 0);
    close(bound);
    teardown();
}

static hp_stream *
refuse(void *arg, hp_err *err)
{
    hp_err_set(err, HP_E_CONNECT, "no way in");
    return NULL;
}

/* Where one has failed no more are tried. */
static void
test_no_more_after_a_failure(void)
{
    warming w;
    setup();
    prepare_warm(&w, &srv.addr, 5);
    make(&w.c);
    w.c.ex->key.open_stream = refuse;
    drive(&w);
    check_failed(&w, HP_E_CONNECT, HP_PHASE_CONNECT);
    CHECK_INT(counts().dials, 1);
    hp_exchange_free(w.c.ex);
    teardown();
}

/* All of them hang: connect timeout, the whole deadline, cancelled, closed. */
typedef enum end {
    CONNECT_TIMEOUT,
    TOTAL,
    CANCELLED,
    CLIENT_CLOSED,
    INTERRUPTED,
    N_ENDS
} end;

static bool
stop(void *arg)
{
    return true;
}

static void
end_it(end how, int filler)
{
    static const hp_errc codes[] = {HP_E_CONNECT_TIMEOUT, HP_E_TOTAL_TIMEOUT,
                                    HP_E_CANCELLED, HP_E_CLOSED,
                                    HP_E_INTERRUPTED};
    hp_addr at;
    int hole = lo_black_hole(AF_INET, &at, &filler);
    warming w;
    setup();
    hp_cancel *cancel = hp_cancel_new();
    prepare_warm(&w, &at, 6);
    w.c.r.cancel = cancel;
    if (how == CONNECT_TIMEOUT)
        w.c.r.timeouts.connect = 50 * HP_NS_PER_MS;
    if (how == TOTAL)
        w.c.r.timeouts.total = 50 * HP_NS_PER_MS;
    if (how == INTERRUPTED)
        w.c.driver = (hp_driver){.on_interrupt = stop, .slices = true};
    make(&w.c);
    CHECK(pthread_create(&w.c.thread, NULL, drive, &w) == 0);
    if (how >= CANCELLED && how < INTERRUPTED)
        SOON(now().dialing == 6);
    if (how == CANCELLED)
        hp_cancel_trigger(cancel);
    if (how == CLIENT_CLOSED)
        hp_transport_close(t);
    finish_warm(&w);
    check_failed(&w, codes[how], HP_PHASE_CONNECT);
    CHECK_INT(now().dialing, 0);
    CHECK_INT(counts().dials, 6);
    hp_cancel_unref(cancel);
    close(filler);
    close(hole);
    teardown();
}

static void
test_ends(void)
{
    for (int how = 0; how < N_ENDS; how++)
        end_it((end)how, -1);
}

/* Somebody else dials, and that hangs: it is waited for no longer than a dial
 * of one's own would be; fewer is no error then. */
static void
test_dial_of_another_hangs(void)
{
    hp_addr at;
    int filler, hole = lo_black_hole(AF_INET, &at, &filler);
    call c;
    warming w;
    server_start(&srv);
    hp_transport_config_default(&config);
    config.limits.max_conns_per_host = 1;
    open_transport();
    prepare_at(&c, &at, "/");
    c.r.cancel = hp_cancel_new();
    make(&c);
    CHECK(pthread_create(&c.thread, NULL, run, &c) == 0);
    SOON(now().dialing == 1);
    prepare_warm(&w, &at, 1);
    w.c.r.timeouts.connect = w.c.r.timeouts.tls = 20 * HP_NS_PER_MS;
    warm_now(&w);
    CHECK_INT(w.r, HP_DRIVE_DONE);
    CHECK_INT(w.ready, 0);
    hp_cancel_trigger(c.r.cancel);
    finish(&c, HP_E_CANCELLED);
    hp_cancel_unref(c.r.cancel);
    close(filler);
    close(hole);
    teardown();
}

/* Some are made before the address stops answering: they stay. */
static void
test_kept_with_an_error(void)
{
    hp_addr at;
    int listener = lo_listen(AF_INET, 1, &at); /* a queue of two */
    warming w;
    setup();
    prepare_warm(&w, &at, 6);
    w.c.r.timeouts.connect = 60 * HP_NS_PER_MS;
    warm_now(&w);
    check_failed(&w, HP_E_CONNECT_TIMEOUT, HP_PHASE_CONNECT);
    CHECK(now().idle >= 1 && now().idle < 6);
    CHECK_INT(now().dialing, 0);
    close(listener);
    teardown();
}

/* It sends nothing, so there is nothing to read; and it is over. */
static void
test_is_no_request(void)
{
    warming w;
    setup();
    prepare_warm(&w, &srv.addr, 2);
    make(&w.c);
    drive(&w);
    CHECK_INT(w.r, HP_DRIVE_DONE);
    CHECK_INT(counts().requests, 0);
    drive(&w);
    CHECK_INT(w.r, HP_DRIVE_ERROR);
    CHECK_INT(w.c.err.code, HP_E_INVALID_ARGUMENT);
    hp_exchange_free(w.c.ex);
    prepare_warm(&w, &srv.addr, 2);
    make(&w.c);
    hp_exchange_close(w.c.ex);
    drive(&w);
    CHECK_INT(w.r, HP_DRIVE_ERROR);
    CHECK_INT(w.c.err.code, HP_E_CLOSED);
    hp_exchange_free(w.c.ex);
    teardown();
}

int
main(void)
{
    RUN(test_many);
    RUN(test_capped);
    RUN(test_together);
    RUN(test_beside_requests);
    RUN(test_refused);
    RUN(test_no_more_after_a_failure);
    RUN(test_ends);
    RUN(test_dial_of_another_hangs);
    RUN(test_kept_with_an_error);
    RUN(test_is_no_request);
    DONE();
}
