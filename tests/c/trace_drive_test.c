/* Traced requests over real sockets and threads: what a drive says of events,
 * and that each is told once, whoever was at it. */
#include "calls.h"

static atomic_int told[HP_EVENT_KIND_COUNT];
static atomic_int dropped_in_all;

/* Counts and frees. The kind of the last one. */
static hp_event_kind
count(hp_event *first, uint64_t dropped)
{
    hp_event_kind last = HP_EVENT_KIND_COUNT;
    atomic_fetch_add(&dropped_in_all, (int)dropped);
    for (const hp_event *e = first; e; e = e->next) {
        atomic_fetch_add(&told[e->kind], 1);
        last = e->kind;
    }
    hp_event_free_all(first);
    return last;
}

static hp_event_kind
take(hp_exchange *ex)
{
    uint64_t dropped;
    hp_event *first = hp_exchange_take_events(ex, &dropped);
    return count(first, dropped);
}

static void
take_pool(void)
{
    uint64_t dropped;
    hp_event *first = hp_transport_take_events(t, &dropped);
    for (const hp_event *e = first; e; e = e->next)
        CHECK_INT(e->request, 0);
    count(first, dropped);
}

static void
forget(void)
{
    for (int i = 0; i < HP_EVENT_KIND_COUNT; i++)
        atomic_store(&told[i], 0);
    atomic_store(&dropped_in_all, 0);
}

static void
prepare_traced(call *c, const char *path)
{
    prepare(c, path);
    c->r.trace = HP_TRACE_EVENTS;
}

static hp_drive
traced_head(call *c)
{
    hp_drive d;
    while ((d = hp_drive_head(c->ex, &c->driver, &c->err)) == HP_DRIVE_EVENTS)
        CHECK(take(c->ex) != HP_EVENT_KIND_COUNT); /* there are some */
    return d;
}

static hp_drive
traced_read(call *c)
{
    hp_drive d;
    while ((d = read_some(c)) == HP_DRIVE_EVENTS)
        CHECK(take(c->ex) != HP_EVENT_KIND_COUNT);
    return d;
}

static void *
run_traced(void *arg)
{
    call *c = arg;
    hp_drive d = traced_head(c);
    while (d == HP_DRIVE_DONE)
        d = traced_read(c);
    CHECK_STR(hp_event_name(take(c->ex)), "request_done");
    return NULL;
}

/* ---- before a wait ---- */

/* Who hangs in the queue has been told that he does. */
static void
test_told_before_the_wait(void)
{
    call first, c;
    server_start(&srv);
    hp_transport_config_default(&config);
    config.limits.max_conns_per_host = 1;
    open_transport();
    forget();
    prepare(&first, "/half");
    make(&first);
    CHECK(read_head(&first));
    prepare_traced(&c, "/conn");
    make(&c);
    CHECK(pthread_create(&c.thread, NULL, run_traced, &c) == 0);
    SOON(atomic_load(&told[HP_EVENT_QUEUE_ENTERED]) == 1);
    CHECK_INT(atomic_load(&told[HP_EVENT_QUEUE_LEFT]), 0);
    server_go(&srv);
    read_body(&first);
    finish(&c, HP_OK);
    CHECK_INT(atomic_load(&told[HP_EVENT_QUEUE_LEFT]), 1);
    hp_exchange_free(first.ex);
    teardown();
}

/* Also on a kept connection, whose answers one waits for in recv(): this one is
 * there at once. */
static void
test_told_before_the_answer(void)
{
    call c;
    setup();
    get("/echo/x", "x");
    prepare_traced(&c, "/echo/y");
    make(&c);
    CHECK_INT(hp_drive_head(c.ex, &c.driver, &c.err), HP_DRIVE_EVENTS);
    CHECK_STR(hp_event_name(take(c.ex)), "wrote_request");
    CHECK_INT(traced_head(&c), HP_DRIVE_DONE);
    CHECK(c.ex->conn_facts.reused);
    hp_exchange_free(c.ex);
    teardown();
}

/* Bytes come first: what there is to tell besides waits for the next call. */
static void
test_told_while_a_body_is_read(void)
{
    call c;
    size_t got;
    setup();
    forget();
    prepare_traced(&c, "/half");
    make(&c);
    CHECK_INT(traced_head(&c), HP_DRIVE_DONE);
    CHECK_INT(hp_drive_read(c.ex, &c.driver, c.body, 5, HP_READ_FULL, false,
                            &got, &c.err),
              HP_DRIVE_DONE);
    CHECK_INT(got, 5);
    CHECK_INT(hp_drive_read(c.ex, &c.driver, c.body, 5, HP_READ_FULL, false,
                            &got, &c.err),
              HP_DRIVE_EVENTS); /* of the head: nobody has taken them */
    CHECK_INT(got, 0);
    CHECK_STR(hp_event_name(take(c.ex)), "got_response");
    server_go(&srv);
    c.len = 0;
    while (traced_read(&c) == HP_DRIVE_DONE)
        continue;
    CHECK_SPAN(hp_span_of(c.body, c.len), "world");
    CHECK_STR(hp_event_name(take(c.ex)), "request_done");
    hp_exchange_free(c.ex);
    teardown();
}

static atomic_bool handed_over;

static void *
hand_over(void *arg)
{
    SOON(now().waiting == 1);
    server_go(&srv);
    read_body(arg);
    atomic_store(&handed_over, true);
    return NULL;
}

/* Between two drives the want is in others' hands: nothing of it is written
 * without the lock. */
static void
test_served_between_two_drives(void)
{
    call first, c;
    pthread_t other;
    server_start(&srv);
    hp_transport_config_default(&config);
    config.limits.max_conns_per_host = 1;
    open_transport();
    atomic_store(&handed_over, false);
    prepare(&first, "/half");
    make(&first);
    CHECK(read_head(&first));
    prepare_traced(&c, "/conn");
    make(&c);
    CHECK(pthread_create(&other, NULL, hand_over, &first) == 0);
    CHECK_INT(hp_drive_head(c.ex, &c.driver, &c.err), HP_DRIVE_EVENTS);
    SOON(atomic_load(&handed_over));
    take(c.ex);
    while (traced_head(&c) == HP_DRIVE_DONE && c.len == 0)
        traced_read(&c);
    CHECK_SPAN(hp_span_of(c.body, c.len), "1");
    CHECK(pthread_join(other, NULL) == 0);
    hp_exchange_free(c.ex);
    hp_exchange_free(first.ex);
    teardown();
}

/* Between two drives the pool may refuse the want, and a close end it. */
static void
test_ended_between_two_drives(void)
{
    for (int i = 0; i < 2; i++) {
        call first, c;
        server_start(&srv);
        hp_transport_config_default(&config);
        config.limits.max_conns_per_host = 1;
        open_transport();
        prepare(&first, "/half");
        make(&first);
        CHECK(read_head(&first));
        prepare_traced(&c, "/conn");
        make(&c);
        CHECK_INT(hp_drive_head(c.ex, &c.driver, &c.err), HP_DRIVE_EVENTS);
        CHECK_INT(now().waiting, 1);
        if (i == 0)
            hp_transport_close(t);
        else
            hp_exchange_close(c.ex);
        CHECK_INT(now().waiting, 0);
        CHECK_INT(traced_head(&c), HP_DRIVE_ERROR);
        CHECK_INT(c.err.code, HP_E_CLOSED);
        hp_exchange_free(c.ex);
        hp_exchange_free(first.ex);
        teardown();
    }
}

/* ---- many ---- */

enum {
    THREADS = 6,
    REQUESTS = 150
};

/* Kept, closed by the server, and closed early and drained or not. */
static void *
many(void *arg)
{
    static const char *const paths[] = {"/echo/x", "/bye", "/half"};
    for (int i = 0; i < REQUESTS; i++) {
        call c;
        prepare_traced(&c, paths[i % 3]);
        if (*(int *)arg % 2)
            c.r.trace = HP_TRACE_NONE;
        make(&c);
        hp_drive d = traced_head(&c);
        while (i % 3 < 2 && d == HP_DRIVE_DONE)
            d = traced_read(&c);
        hp_exchange_close(c.ex);
        if (c.r.trace == HP_TRACE_EVENTS)
            CHECK_STR(hp_event_name(take(c.ex)), "request_done");
        hp_exchange_free(c.ex);
        take_pool();
    }
    return NULL;
}

static int64_t
open_now(void)
{
    hp_gauges g = now();
    return g.idle + g.in_use + g.dialing + g.draining;
}

static uint64_t
sum_of_closes(void)
{
    hp_counters n = counts();
    uint64_t sum = 0;
    for (int i = 0; i < HP_CLOSE_REASON_COUNT; i++)
        sum += n.closes[i];
    return sum - n.closes[HP_CLOSE_DIAL_FAILED];
}

/* Every close is told, and once: to the request that had the connection, or to
 * the pool's list. */
static void
test_each_close_is_told_once(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    server_start(&srv);
    server_go(&srv);
    hp_transport_config_default(&config);
    config.limits.max_conns_per_host = 4;
    open_transport();
    hp_transport_trace(t, true);
    forget();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, many, &numbers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    hp_transport_close(t);
    SOON(open_now() == 0);
    SOON((take_pool(), (uint64_t)atomic_load(&told[HP_EVENT_CONN_CLOSED]) ==
                           sum_of_closes()));
    CHECK_INT(atomic_load(&told[HP_EVENT_REQUEST_DONE]),
              THREADS / 2 * REQUESTS);
    CHECK_INT(atomic_load(&told[HP_EVENT_REQUEST_START]),
              atomic_load(&told[HP_EVENT_REQUEST_DONE]));
    CHECK_INT(atomic_load(&dropped_in_all), 0);
    teardown();
}

static void *
toggle(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        hp_transport_trace(t, i % 2);
        take_pool();
    }
    return arg;
}

/* On and off while requests are under way. */
static void
test_switched_meanwhile(void)
{
    pthread_t threads[2], toggler;
    int numbers[2] = {0, 1};
    setup();
    server_go(&srv);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, many, &numbers[i]) == 0);
    CHECK(pthread_create(&toggler, NULL, toggle, NULL) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(pthread_join(toggler, NULL) == 0);
    teardown();
}

int
main(void)
{
    RUN(test_told_before_the_wait);
    RUN(test_told_before_the_answer);
    RUN(test_told_while_a_body_is_read);
    RUN(test_served_between_two_drives);
    RUN(test_ended_between_two_drives);
    RUN(test_each_close_is_told_once);
    RUN(test_switched_meanwhile);
    DONE();
}
