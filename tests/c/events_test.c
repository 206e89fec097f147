#include <pthread.h>

#include "base/events.h"
#include "base/mem.h"
#include "test.h"

static void
add(hp_events *l, int64_t n, const char *text)
{
    hp_events_add(l, &(hp_event){.kind = HP_EVENT_GET_CONN,
                                 .n = {n},
                                 .text = {hp_span_or_none(text)}});
}

static void
test_names(void)
{
    CHECK_STR(hp_event_name(HP_EVENT_REQUEST_START), "request_start");
    CHECK_STR(hp_event_name(HP_EVENT_REQUEST_DONE), "request_done");
    for (int k = 0; k < HP_EVENT_KIND_COUNT; k++)
        CHECK(hp_event_name((hp_event_kind)k)[0]);
}

static void
test_order_and_copies(void)
{
    hp_events l;
    uint64_t dropped;
    char name[] = "first";
    hp_events_init(&l, true);
    CHECK(!hp_events_any(&l));
    hp_ns before = hp_clock_now();
    hp_events_add(
        &l,
        &(hp_event){.kind = HP_EVENT_DNS_DONE,
                    .request = 7,
                    .conn = 8,
                    .host = HP_SPAN_LIT("h:80"),
                    .n = {1, -2},
                    .text = {hp_span_cstr(name), HP_SPAN_LIT(""), {NULL, 0}}});
    add(&l, 2, "second");
    name[0] = 'X';
    CHECK(hp_events_any(&l));
    hp_event *first = hp_events_take(&l, &dropped);
    CHECK(!hp_events_any(&l));
    CHECK_INT(dropped, 0);
    CHECK_INT(first->kind, HP_EVENT_DNS_DONE);
    CHECK_INT(first->request, 7);
    CHECK_INT(first->conn, 8);
    CHECK_SPAN(first->host, "h:80");
    CHECK_INT(first->n[1], -2);
    CHECK_SPAN(first->text[0], "first");
    CHECK(first->text[1].ptr &&
          first->text[1].len == 0); /* empty is not none */
    CHECK(first->text[2].ptr == NULL);
    CHECK(first->at >= before && first->next->at >= first->at);
    CHECK_SPAN(first->next->text[0], "second");
    CHECK(first->next->next == NULL);
    hp_event_free_all(first);
    CHECK(hp_events_take(&l, &dropped) == NULL);
    hp_events_destroy(&l);
}

static void
test_a_given_time_stays(void)
{
    hp_events l;
    uint64_t dropped;
    hp_events_init(&l, true);
    hp_events_add(&l, &(hp_event){.at = 42});
    hp_event *e = hp_events_take(&l, &dropped);
    CHECK_INT(e->at, 42);
    hp_event_free_all(e);
    hp_events_destroy(&l);
}

static int
count(const hp_event *e)
{
    int n = 0;
    for (; e; e = e->next)
        n++;
    return n;
}

/* The oldest stay: they tell how it came to this. */
static void
test_bounded_in_number(void)
{
    hp_events l;
    uint64_t dropped;
    hp_events_init(&l, true);
    for (int i = 0; i < HP_EVENTS_MAX + 3; i++)
        add(&l, i, "x");
    hp_event *first = hp_events_take(&l, &dropped);
    CHECK_INT(count(first), HP_EVENTS_MAX);
    CHECK_INT(first->n[0], 0);
    CHECK_INT(dropped, 3);
    hp_event_free_all(first);
    add(&l, 0, "x"); /* there is room again, and nothing to report */
    first = hp_events_take(&l, &dropped);
    CHECK_INT(count(first), 1);
    CHECK_INT(dropped, 0);
    hp_event_free_all(first);
    hp_events_destroy(&l);
}

static void
test_bounded_in_text(void)
{
    enum {
        BIG = HP_EVENTS_MAX_TEXT / 2
    };
    hp_events l;
    uint64_t dropped;
    char *big = calloc(1, BIG);
    CHECK(big);
    hp_events_init(&l, true);
    for (int i = 0; i < 3; i++)
        hp_events_add(&l, &(hp_event){.text = {{big, BIG}}});
    add(&l, 0, NULL); /* no text, but the order counts: it comes after */
    hp_event *first = hp_events_take(&l, &dropped);
    CHECK_INT(count(first), 3);
    CHECK_INT(dropped, 1);
    hp_event_free_all(first);
    free(big);
    hp_events_destroy(&l);
}

static void
test_no_memory_is_counted(void)
{
    hp_events l;
    uint64_t dropped;
    hp_events_init(&l, true);
    hp_mem_fail_after(0);
    add(&l, 1, "x");
    hp_mem_fail_after(-1);
    CHECK(hp_events_any(&l));
    CHECK(hp_events_take(&l, &dropped) == NULL);
    CHECK_INT(dropped, 1);
    hp_events_destroy(&l);
}

static void
test_switch(void)
{
    hp_events l;
    uint64_t dropped;
    hp_events_init(&l, false);
    hp_trace t = {.events = &l, .request = 5, .host = HP_SPAN_LIT("h")};
    uint64_t made = hp_events_made();
    HP_TELL(&t, .kind = HP_EVENT_RETRY);
    CHECK_INT(hp_events_made(), made); /* not even made */
    hp_events_switch(&l, true);
    HP_TELL(&t, .kind = HP_EVENT_RETRY, .n = {1, 2});
    hp_events_switch(&l, true);
    hp_event *e = hp_events_take(&l, &dropped);
    CHECK_INT(count(e), 1);
    CHECK_INT(e->request, 5);
    CHECK_INT(e->n[1], 2);
    hp_event_free_all(e);
    HP_TELL(&t, .kind = HP_EVENT_RETRY);
    hp_events_switch(&l, false);
    CHECK(!hp_events_any(&l));
    hp_events_destroy(&l);
}

static void
test_nobody(void)
{
    static const hp_trace nobody;
    uint64_t made = hp_events_made();
    CHECK(!hp_trace_on(&nobody));
    HP_TELL(&nobody, .kind = HP_EVENT_RETRY);
    CHECK_INT(hp_events_made(), made);
}

/* ---- threads ---- */

enum {
    THREADS = 4,
    EACH = 2000
};

static void *
add_many(void *arg)
{
    for (int i = 0; i < EACH; i++)
        add(arg, i, "x");
    return NULL;
}

static void
test_threads(void)
{
    hp_events l;
    pthread_t threads[THREADS];
    uint64_t total = 0;
    hp_events_init(&l, true);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, add_many, &l), 0);
    for (int i = 0; i < THREADS; i++) {
        uint64_t dropped;
        hp_event *e = hp_events_take(&l, &dropped);
        total += (uint64_t)count(e) + dropped;
        hp_event_free_all(e);
        pthread_join(threads[i], NULL);
    }
    uint64_t dropped;
    hp_event *e = hp_events_take(&l, &dropped);
    total += (uint64_t)count(e) + dropped;
    hp_event_free_all(e);
    CHECK_INT(total, THREADS * EACH);
    hp_events_destroy(&l);
}

int
main(void)
{
    RUN(test_names);
    RUN(test_order_and_copies);
    RUN(test_a_given_time_stays);
    RUN(test_bounded_in_number);
    RUN(test_bounded_in_text);
    RUN(test_no_memory_is_counted);
    RUN(test_switch);
    RUN(test_nobody);
    RUN(test_threads);
    DONE();
}
