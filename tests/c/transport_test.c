/* Transport and drives over real sockets and threads: many requests at once,
 * the pool timeout, cancelling and closing from another thread in each phase.
 */
#include "calls.h"

/* ---- many at once ---- */

enum {
    THREADS = 8,
    REQUESTS = 500
};

/* S42: everyone gets his own answer. */
static void *
many(void *arg)
{
    char path[32];
    for (int i = 0; i < REQUESTS; i++) {
        snprintf(path, sizeof path, "/echo/%d-%d", *(int *)arg, i);
        get(path, path + 6);
    }
    return NULL;
}

/* S25: a server that hangs up after each answer without a word. */
static void *
many_byes(void *arg)
{
    for (int i = 0; i < REQUESTS / 5; i++)
        get("/bye", "bye");
    return NULL;
}

static void
run_threads(void *(*fn)(void *), int64_t limit)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    server_start(&srv);
    hp_transport_config_default(&config);
    config.limits.max_conns_per_host = limit;
    open_transport();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, fn, &numbers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK_INT(now().in_use, 0);
    CHECK_INT(now().waiting, 0);
}

static void
test_many(void)
{
    run_threads(many, HP_NO_LIMIT);
    CHECK_INT(atomic_load(&srv.requests), THREADS * REQUESTS);
    teardown();
}

static void
test_many_under_a_limit(void)
{
    run_threads(many, 3);
    CHECK_INT(atomic_load(&srv.requests), THREADS * REQUESTS);
    CHECK(counts().dials <= 3);
    teardown();
}

static void
test_many_surprises(void)
{
    run_threads(many_byes, HP_NO_LIMIT);
    teardown();
    run_threads(many_byes, 3);
    teardown();
}

/* ---- limits ---- */

/* Holds the only slot, its body half read. */
static void
hold_slot(call *c)
{
    server_start(&srv);
    hp_transport_config_default(&config);
    config.limits.max_conns_per_host = 1;
    open_transport();
    prepare(c, "/half");
    make(c);
    CHECK(read_head(c));
}

static void
test_pool_timeout(void)
{
    call first, c;
    hold_slot(&first);
    prepare(&c, "/conn");
    c.r.timeouts.pool = 50 * HP_NS_PER_MS;
    make(&c);
    hp_ns began = hp_clock_now();
    CHECK(!read_head(&c));
    CHECK(hp_clock_now() - began >= 50 * HP_NS_PER_MS);
    CHECK_INT(c.err.code, HP_E_POOL_TIMEOUT);
    CHECK_INT(c.err.phase, HP_PHASE_POOL);
    CHECK(strstr(c.err.text, "1 of 1 in use"));
    hp_exchange_free(c.ex);
    hp_exchange_free(first.ex);
    teardown();
}

/* Who waits gets the very connection that comes back. */
static void
test_handed_over(void)
{
    call first, c;
    hold_slot(&first);
    start(&c, "/conn");
    SOON(now().waiting == 1);
    server_go(&srv);
    read_body(&first);
    CHECK_SPAN(hp_span_of(first.body, first.len), "helloworld");
    finish(&c, HP_OK);
    CHECK_SPAN(hp_span_of(c.body, c.len), "1");
    CHECK_INT(counts().dials, 1);
    hp_exchange_free(first.ex);
    teardown();
}

/* S9, S10 e: closed in the middle, drained by the keeper, used again. S13: all
 * of the response is gone while its body is drained; nobody looks at it. */
static void
test_drained(void)
{
    call first;
    setup();
    hp_transport_unref(t);
    config.limits.drain_timeout = 20 * HP_NS_PER_S;
    open_transport();
    prepare(&first, "/half");
    make(&first);
    CHECK(read_head(&first));
    hp_exchange_close(first.ex);
    hp_exchange_free(first.ex);
    CHECK_INT(now().draining, 1);
    server_go(&srv);
    SOON(counts().drains == 1);
    get("/conn", "1");
    teardown();
}

/* ---- who holds what ---- */

static void
check_holder(const hp_holder *h, const char *path, hp_holding phase)
{
    CHECK_SPAN(h->method, "GET");
    CHECK_SPAN(h->path, path);
    CHECK_STR(hp_holding_name(h->phase), hp_holding_name(phase));
}

/* From the request to the end of the body; the line is the exchange's own
 * copy. */
static void
test_holders(void)
{
    char site[] = "app.py:1 in f";
    call half, hung;
    hp_holder one;
    setup();
    prepare(&half, "/half");
    half.r.site = hp_span_cstr(site);
    make(&half);
    CHECK(!hp_exchange_holder(half.ex, &one));
    memset(site, 'x', sizeof site);
    CHECK(read_head(&half));
    CHECK(hp_exchange_holder(half.ex, &one));
    check_holder(&one, "/half", HP_HOLDING_BODY_UNREAD);
    CHECK_SPAN(one.site, "app.py:1 in f");
    read_some(&half);
    start(&hung, "/hang");
    SOON(atomic_load(&srv.requests) == 2);
    hp_holders *all;
    for (int ms = 0;; ms++) {
        all = hp_transport_holders(t);
        CHECK(all && ms < LO_PATIENCE_MS);
        if (all->n == 2 && all->at[1].phase == HP_HOLDING_AWAITING_HEAD)
            break;
        hp_holders_free(all);
        poll(NULL, 0, 1);
    }
    check_holder(&all->at[0], "/half", HP_HOLDING_BODY_HALF_READ);
    check_holder(&all->at[1], "/hang", HP_HOLDING_AWAITING_HEAD);
    CHECK_SPAN(all->at[0].site, "app.py:1 in f");
    hp_holders_free(all);
    server_go(&srv);
    read_body(&half);
    CHECK(!hp_exchange_holder(half.ex, &one));
    hp_exchange_close(hung.ex);
    finish(&hung, HP_E_CLOSED);
    all = hp_transport_holders(t);
    CHECK_INT(all->n, 0);
    hp_holders_free(all);
    hp_exchange_free(half.ex);
    teardown();
}

/* Over all transports, the longest first. */
static void
test_holders_of_the_process(void)
{
    call first, second;
    setup();
    hp_transport *other = t;
    prepare(&first, "/half");
    make(&first);
    CHECK(read_head(&first));
    open_transport();
    prepare(&second, "/half");
    second.r.whole = true;
    make(&second);
    CHECK(read_head(&second));
    hp_holders *all = hp_process_holders();
    CHECK_INT(all->n, 2);
    CHECK(all->at[0].conn_id < all->at[1].conn_id);
    CHECK(!all->at[0].whole && all->at[1].whole);
    hp_holders_free(all);
    hp_exchange_free(first.ex);
    hp_exchange_free(second.ex);
    hp_transport_unref(other);
    all = hp_process_holders();
    CHECK_INT(all->n, 0);
    hp_holders_free(all);
    teardown();
}

/* ---- ending from another thread ---- */

typedef void end_fn(call *c);

static void
cancel(call *c)
{
    hp_cancel_trigger(c->r.cancel);
}

static void
close_exchange(call *c)
{
    hp_exchange_close(c->ex);
}

static void
close_transport(call *c)
{
    hp_transport_close(t);
}

static const struct {
    end_fn *fn;
    hp_errc code;
} ends[] = {{cancel, HP_E_CANCELLED},
            {close_exchange, HP_E_CLOSED},
            {close_transport, HP_E_CLOSED}};

static void
start_with_token(call *c, const hp_addr *addr, const char *path)
{
    prepare_at(c, addr, path);
    c->r.cancel = hp_cancel_new();
    make(c);
    CHECK(pthread_create(&c->thread, NULL, run, c) == 0);
}

/* Nothing but `end` can end it: the server says no more. */
static void
ends_with(call *c, int i, hp_phase phase)
{
    ends[i].fn(c);
    CHECK(pthread_join(c->thread, NULL) == 0);
    CHECK_STR(hp_errc_name(c->err.code), hp_errc_name(ends[i].code));
    CHECK_STR(hp_phase_name(c->err.phase), hp_phase_name(phase));
    hp_exchange_free(c->ex);
    hp_cancel_unref(c->r.cancel);
}

/* S37 */
static void
test_end_in_queue(void)
{
    for (int i = 0; i < 3; i++) {
        call first, c;
        hold_slot(&first);
        start_with_token(&c, &srv.addr, "/conn");
        SOON(now().waiting == 1);
        ends_with(&c, i, HP_PHASE_POOL);
        CHECK_INT(now().waiting, 0);
        hp_exchange_free(first.ex);
        teardown();
    }
}

/* S69 */
static void
test_end_in_connect(void)
{
    hp_addr addr;
    int filler, hole = lo_black_hole(AF_INET, &addr, &filler);
    for (int i = 0; i < 3; i++) {
        call c;
        setup();
        start_with_token(&c, &addr, "/");
        SOON(now().dialing == 1);
        SOON(atomic_load(&c.ex->busy));
        ends_with(&c, i, HP_PHASE_CONNECT);
        teardown();
    }
    close(filler);
    close(hole);
}

/* S68, S73: the server sees the connection go. */
static void
test_end_in_head(void)
{
    for (int i = 0; i < 3; i++) {
        call c;
        setup();
        start_with_token(&c, &srv.addr, "/hang");
        SOON(atomic_load(&srv.requests) == 1);
        ends_with(&c, i, HP_PHASE_HEAD);
        SOON(atomic_load(&srv.gone) == 1);
        teardown();
    }
}

/* S67, S73; a body outlives the closing of its client. */
static void
test_end_in_body(void)
{
    for (int i = 0; i < 2; i++) {
        call c;
        setup();
        start_with_token(&c, &srv.addr, "/half");
        SOON(atomic_load(&c.in_body));
        ends_with(&c, i, HP_PHASE_BODY);
        CHECK_SPAN(hp_span_of(c.body, c.len), "hello");
        teardown();
    }
}

/* Waiter, head and body at once; later requests are refused. */
static void
test_close_transport(void)
{
    call body, head, waiter, late;
    server_start(&srv);
    hp_transport_config_default(&config);
    config.limits.max_conns_per_host = 2;
    open_transport();
    start(&body, "/half");
    SOON(atomic_load(&body.in_body));
    start(&head, "/hang");
    SOON(atomic_load(&srv.requests) == 2);
    start(&waiter, "/conn");
    SOON(now().waiting == 1);
    prepare(&late, "/conn");
    make(&late);
    hp_transport_close(t);
    hp_transport_close(t);
    finish(&head, HP_E_CLOSED);
    finish(&waiter, HP_E_CLOSED);
    server_go(&srv);
    finish(&body, HP_OK);
    CHECK_SPAN(hp_span_of(body.body, body.len), "helloworld");
    CHECK(!read_head(&late));
    CHECK_INT(late.err.code, HP_E_CLOSED);
    hp_exchange_free(late.ex);
    SOON(atomic_load(&srv.gone) == 2);
    CHECK(hp_transport_is_closed(t));
    teardown();
}

/* At every moment of a request, however short. */
static void
test_end_at_any_time(void)
{
    setup();
    for (int i = 0; i < 200; i++) {
        call c;
        start_with_token(&c, &srv.addr, i % 4 < 2 ? "/half" : "/echo/x");
        for (volatile int spin = 0; spin < i % 50 * 1000; spin++)
            ;
        ends[i % 2].fn(&c);
        CHECK(pthread_join(c.thread, NULL) == 0);
        CHECK(c.err.code == ends[i % 2].code || i % 4 >= 2);
        hp_exchange_free(c.ex);
        hp_cancel_unref(c.r.cancel);
    }
    SOON(now().in_use == 0);
    get("/echo/fine", "fine");
    teardown();
}

/* ---- one user at a time ---- */

static void
test_busy(void)
{
    call c;
    hp_err err = {0};
    size_t got;
    char buf[8];
    setup();
    start(&c, "/half");
    SOON(atomic_load(&c.in_body) && atomic_load(&c.ex->busy));
    CHECK_INT(
        hp_drive_read(c.ex, &c.driver, buf, 8, HP_READ_SOME, false, &got, &err),
        HP_DRIVE_ERROR);
    CHECK_INT(err.code, HP_E_BUSY);
    server_go(&srv);
    finish(&c, HP_OK); /* and nobody was disturbed */
    CHECK_SPAN(hp_span_of(c.body, c.len), "helloworld");
    teardown();
}

/* ---- upgraded ---- */

static void
test_upgraded(void)
{
    static const hp_field fields[] = {
        {HP_SPAN_LIT("Connection"), HP_SPAN_LIT("upgrade")},
        {HP_SPAN_LIT("Upgrade"), HP_SPAN_LIT("x")}};
    call c;
    size_t got;
    setup();
    prepare(&c, "/up");
    c.r.fields = fields;
    c.r.n_fields = 2;
    make(&c);
    CHECK(read_head(&c));
    CHECK_INT(now().in_use, 0);
    hp_upgraded *u = hp_exchange_take_upgraded(c.ex, &c.err);
    hp_exchange_free(c.ex);
    CHECK_INT(hp_upgraded_recv(u, &c.driver, 20 * HP_NS_PER_MS, c.body, 9, &got,
                               &c.err),
              HP_DRIVE_ERROR);
    CHECK_INT(c.err.code, HP_E_READ_TIMEOUT);
    CHECK_INT(hp_upgraded_sendall(u, &c.driver, -1, "hi", 2, &c.err),
              HP_DRIVE_DONE);
    CHECK_INT(hp_upgraded_recv(u, &c.driver, -1, c.body, 9, &got, &c.err),
              HP_DRIVE_DONE);
    CHECK_SPAN(hp_span_of(c.body, got), "hi");
    CHECK(hp_upgraded_fileno(u) >= 0);
    hp_upgraded_free(u);
    SOON(atomic_load(&srv.gone) == 1);
    teardown();
}

int
main(void)
{
    RUN(test_many);
    RUN(test_many_under_a_limit);
    RUN(test_many_surprises);
    RUN(test_pool_timeout);
    RUN(test_handed_over);
    RUN(test_drained);
    RUN(test_holders);
    RUN(test_holders_of_the_process);
    RUN(test_end_in_queue);
    RUN(test_end_in_connect);
    RUN(test_end_in_head);
    RUN(test_end_in_body);
    RUN(test_close_transport);
    RUN(test_end_at_any_time);
    RUN(test_busy);
    RUN(test_upgraded);
    DONE();
}
