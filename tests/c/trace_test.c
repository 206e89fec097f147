/* What an exchange and its pool tell those who listen. */
#include "base/mem.h"
#include "exchange_kit.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define BYE                                                                    \
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"

/* "get_conn got_conn ...": the kinds, in order; wrote_header_field left out. */
static const char *
kinds(const hp_event *e)
{
    static char text[2048];
    size_t n = 0;
    text[0] = '\0';
    for (; e; e = e->next) {
        if (e->kind != HP_EVENT_WROTE_HEADER_FIELD)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s",
                                  n ? " " : "", hp_event_name(e->kind));
        CHECK(n < sizeof text);
    }
    return text;
}

static const hp_event *
find(const hp_event *e, hp_event_kind kind)
{
    while (e && e->kind != kind)
        e = e->next;
    CHECK(e);
    return e;
}

static hp_event *
take(hp_exchange *ex)
{
    uint64_t dropped;
    hp_event *e = hp_exchange_take_events(ex, &dropped);
    CHECK_INT(dropped, 0);
    return e;
}

static hp_event *
take_pool(kit *k)
{
    uint64_t dropped;
    hp_event *e = hp_transport_take_events(k->t, &dropped);
    CHECK_INT(dropped, 0);
    return e;
}

static hp_event *
get(kit *k)
{
    hp_exchange *ex = kit_new(k);
    CHECK_INT(kit_head(k, ex), HP_GO_DONE);
    k->body.len = 0;
    CHECK_INT(kit_body(k, ex, 8192, true), HP_GO_DONE);
    hp_event *e = take(ex);
    hp_exchange_free(ex);
    return e;
}

static void
test_untraced_makes_no_event(void)
{
    kit k;
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES(OK), SCRIPT_BYTES(BYE));
    uint64_t made = hp_events_made();
    for (int i = 0; i < 2; i++) {
        hp_exchange *ex = kit_new(&k);
        CHECK(ex->trace == NULL);
        CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
        CHECK_INT(kit_body(&k, ex, 8192, true), HP_GO_DONE);
        CHECK(take(ex) == NULL);
        hp_exchange_free(ex);
    }
    kit_free(&k);
    CHECK_INT(hp_events_made(), made);
}

static void
test_fresh_and_kept(void)
{
    kit k;
    kit_init(&k);
    k.r.trace = HP_TRACE_EVENTS;
    k.r.url = HP_SPAN_LIT("http://u:pw@h:8080/p?q#f");
    kit_field(&k, "Authorization", "secret");
    kit_field(&k, "proxy-authorization", "secret");
    kit_field(&k, "Cookie", "a=secret");
    kit_field(&k, "X", "shown");
    PLAY(&k, SCRIPT_BYTES(OK), SCRIPT_BYTES(OK));
    hp_event *e = get(&k);
    CHECK_STR(kinds(e), "request_start get_conn got_conn wrote_headers "
                        "wrote_request got_first_response_byte got_response "
                        "put_idle_conn request_done");
    CHECK_SPAN(e->text[0], "GET");
    CHECK_SPAN(e->text[1], "http://h:8080/p");
    CHECK_SPAN(e->host, "h:8080");
    uint64_t request = e->request, conn = find(e, HP_EVENT_GOT_CONN)->conn;
    CHECK(request > 0 && conn > 0 && e->conn == 0);
    for (const hp_event *at = e; at; at = at->next) {
        CHECK_INT(at->request, request);
        CHECK(at->next == NULL || at->next->at >= at->at);
        if (at->kind == HP_EVENT_WROTE_HEADER_FIELD)
            CHECK(memmem(at->text[1].ptr, at->text[1].len, "secret", 6) ==
                  NULL);
    }
    CHECK_INT(find(e, HP_EVENT_REQUEST_DONE)->n[0], 200);
    CHECK(find(e, HP_EVENT_PUT_IDLE_CONN)->text[0].ptr == NULL);
    hp_event_free_all(e);
    e = get(&k);
    const hp_event *got = find(e, HP_EVENT_GOT_CONN);
    CHECK_INT(got->conn, conn);
    CHECK_INT(got->n[0], 1); /* reused */
    CHECK_INT(got->n[1], 1); /* was idle */
    CHECK_INT(got->n[4], 2); /* requests */
    CHECK(e->request > request);
    hp_event_free_all(e);
    kit_free(&k);
}

static void
test_not_kept(void)
{
    kit k;
    kit_init(&k);
    k.r.trace = HP_TRACE_EVENTS;
    PLAY(&k, SCRIPT_BYTES(BYE));
    hp_event *e = get(&k);
    CHECK_STR(kinds(e), "request_start get_conn got_conn wrote_headers "
                        "wrote_request got_first_response_byte got_response "
                        "conn_closed request_done");
    const hp_event *closed = find(e, HP_EVENT_CONN_CLOSED);
    CHECK_SPAN(closed->text[0], "response_says_close");
    CHECK_INT(closed->n[0], 1);
    hp_event_free_all(e);
    kit_free(&k);
}

/* Eligible, but the pool does not want it. */
static void
test_refused_by_the_pool(void)
{
    kit k;
    kit_init(&k);
    k.config.limits.max_idle_conns = 0;
    k.r.trace = HP_TRACE_EVENTS;
    PLAY(&k, SCRIPT_BYTES(OK));
    hp_event *e = get(&k);
    const hp_event *put = find(e, HP_EVENT_PUT_IDLE_CONN);
    CHECK_SPAN(put->text[0], "idle_cap_total");
    CHECK_INT(put->next->kind, HP_EVENT_CONN_CLOSED);
    CHECK_SPAN(put->next->text[0], "idle_cap_total");
    hp_event_free_all(e);
    kit_free(&k);
}

static void
test_keepalives_disabled(void)
{
    kit k;
    kit_init(&k);
    k.config.limits.disable_keepalives = true;
    k.r.trace = HP_TRACE_EVENTS;
    PLAY(&k, SCRIPT_BYTES(OK));
    hp_event *e = get(&k);
    CHECK(strstr(kinds(e), "put_idle_conn") == NULL);
    CHECK(strstr(kinds(e), "conn_closed"));
    hp_event_free_all(e);
    kit_free(&k);
}

static void
test_retry(void)
{
    kit k;
    kit_init(&k);
    k.r.trace = HP_TRACE_EVENTS;
    PLAY(&k, SCRIPT_BYTES(OK), {.op = SCRIPT_EOF});
    PLAY(&k, SCRIPT_BYTES(OK));
    hp_event_free_all(get(&k));
    hp_event *e = get(&k);
    CHECK_STR(kinds(e), "request_start get_conn got_conn wrote_headers "
                        "wrote_request conn_closed retry "
                        "get_conn got_conn wrote_headers wrote_request "
                        "got_first_response_byte got_response put_idle_conn "
                        "request_done");
    const hp_event *retry = find(e, HP_EVENT_RETRY);
    CHECK_SPAN(retry->text[0], "lost_before_first_byte");
    CHECK_INT(retry->n[0], 2);
    CHECK_INT(find(retry, HP_EVENT_GET_CONN)->n[0], 2);
    CHECK_INT(find(retry, HP_EVENT_GET_CONN)->conn, 0);
    hp_event_free_all(e);
    kit_free(&k);
}

static void
test_failure(void)
{
    kit k;
    kit_init(&k);
    k.r.trace = HP_TRACE_EVENTS;
    PLAY(&k, SCRIPT_BYTES("garbage\r\n\r\n"));
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    hp_event *e = take(ex);
    const hp_event *done = find(e, HP_EVENT_REQUEST_DONE);
    CHECK_INT(done->n[0], 0);
    CHECK_INT(done->n[1], HP_E_REMOTE_PROTOCOL);
    CHECK(done->next == NULL);
    CHECK(strstr(kinds(e), "conn_closed"));
    hp_event_free_all(e);
    hp_exchange_close(ex); /* nothing more to tell */
    CHECK(take(ex) == NULL);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* By who is told, between two drives. */
static void
test_interrupted(void)
{
    kit k;
    kit_init(&k);
    k.r.trace = HP_TRACE_EVENTS;
    PLAY(&k, SCRIPT_BYTES(OK));
    hp_exchange *ex = kit_new(&k);
    hp_exchange_interrupt(ex);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_INTERRUPTED);
    hp_event *e = take(ex);
    CHECK_INT(find(e, HP_EVENT_REQUEST_DONE)->n[1], HP_E_INTERRUPTED);
    hp_event_free_all(e);
    hp_exchange_free(ex);
    ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    hp_exchange_interrupt(ex); /* it is over already */
    CHECK_INT(kit_body(&k, ex, 8192, true), HP_GO_DONE);
    CHECK_SPAN(kit_text(&k), "hi");
    hp_exchange_free(ex);
    kit_free(&k);
}

/* A closed exchange that never was driven has begun and is done. */
static void
test_never_driven(void)
{
    kit k;
    kit_init(&k);
    k.r.trace = HP_TRACE_EVENTS;
    hp_exchange *ex = kit_new(&k);
    hp_exchange_close(ex);
    hp_event *e = take(ex);
    CHECK_STR(kinds(e), "request_start request_done");
    CHECK_INT(e->next->n[1], HP_E_CLOSED);
    hp_event_free_all(e);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- the pool's own ---- */

static void
test_pool_tells_of_untraced_requests(void)
{
    kit k;
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES(OK), SCRIPT_BYTES(OK), SCRIPT_BYTES(BYE));
    kit_get_ok(&k, "hi"); /* makes the transport */
    hp_transport_trace(k.t, true);
    kit_get_ok(&k, "hi");
    CHECK(take_pool(&k) == NULL);
    kit_get_ok(&k, "hi");
    hp_event *e = take_pool(&k);
    CHECK_STR(kinds(e), "conn_closed");
    CHECK_INT(e->request, 0);
    CHECK_SPAN(e->host, "h:80");
    CHECK_INT(e->n[0], 3);
    hp_event_free_all(e);
    kit_free(&k);
}

static void
test_a_close_is_told_once(void)
{
    kit k;
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES(OK), SCRIPT_BYTES(BYE));
    kit_get_ok(&k, "hi");
    hp_transport_trace(k.t, true);
    k.r.trace = HP_TRACE_EVENTS;
    hp_event *e = get(&k);
    CHECK(strstr(kinds(e), "conn_closed"));
    hp_event_free_all(e);
    CHECK(take_pool(&k) == NULL);
    kit_free(&k);
}

/* A kept one is the pool's again. */
static void
test_close_idle(void)
{
    kit k;
    kit_init(&k);
    k.r.trace = HP_TRACE_EVENTS;
    PLAY(&k, SCRIPT_BYTES(OK));
    hp_event_free_all(get(&k));
    hp_transport_trace(k.t, true);
    CHECK_INT(hp_transport_close_idle(k.t, (hp_span){0}), 1);
    hp_event *e = take_pool(&k);
    CHECK_STR(kinds(e), "conn_closed");
    CHECK_SPAN(e->text[0], "close_idle_called");
    CHECK_INT(e->request, 0);
    hp_event_free_all(e);
    kit_free(&k);
}

static void
test_silent(void)
{
    kit k;
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES(OK), SCRIPT_BYTES(BYE));
    kit_get_ok(&k, "hi");
    hp_transport_trace(k.t, true);
    k.r.trace = HP_TRACE_SILENT;
    CHECK(get(&k) == NULL);
    CHECK(take_pool(&k) == NULL);
    kit_free(&k);
}

/* Who asks for it learns of the first dial before it begins, and may listen
 * from there on. */
static void
test_listen_before_the_dial(void)
{
    kit k;
    kit_init(&k);
    k.r.announce_connect = true;
    PLAY(&k, SCRIPT_BYTES(OK), SCRIPT_BYTES(OK));
    hp_err err;
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_CONNECTS);
    CHECK(take(ex) == NULL);
    hp_stats *s = hp_transport_stats(k.t);
    CHECK_INT(s->total.count.dials, 0);
    hp_stats_free(s);
    for (int i = 0; i < 2; i++) /* once is enough */
        CHECK_INT(hp_exchange_listen(ex, HP_SPAN_LIT("http://u:pw@h/?q"), &err),
                  0);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    CHECK_INT(kit_body(&k, ex, 8192, true), HP_GO_DONE);
    hp_event *e = take(ex);
    CHECK_STR(kinds(e), "request_start got_conn wrote_headers wrote_request "
                        "got_first_response_byte got_response put_idle_conn "
                        "request_done");
    CHECK_SPAN(e->text[1], "http://h/");
    hp_event_free_all(e);
    hp_exchange_free(ex);
    CHECK(get(&k) == NULL); /* on a connection that is there: no word of it */
    kit_free(&k);
}

/* One that is made for a second attempt is as good as any. */
static void
test_announced_when_it_comes_to_that(void)
{
    kit k;
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES(OK), {.op = SCRIPT_EOF});
    PLAY(&k, SCRIPT_BYTES(OK));
    kit_get_ok(&k, "hi");
    k.r.announce_connect = true;
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_CONNECTS);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- memory ---- */

/* Whichever allocation fails, the request ends, and nothing leaks. */
static void
test_no_memory(void)
{
    for (long n = 0;; n++) {
        kit k;
        kit_init(&k);
        k.r.trace = HP_TRACE_EVENTS;
        PLAY(&k, SCRIPT_BYTES(OK));
        hp_mem_fail_after(n);
        hp_exchange *ex = kit_try(&k);
        hp_go go = ex ? kit_head(&k, ex) : HP_GO_ERROR;
        hp_mem_fail_after(-1);
        uint64_t dropped = 0;
        if (ex)
            hp_event_free_all(hp_exchange_take_events(ex, &dropped));
        hp_exchange_free(ex);
        kit_free(&k);
        if (go == HP_GO_DONE && dropped == 0)
            break;
    }
}

int
main(void)
{
    RUN(test_untraced_makes_no_event);
    RUN(test_fresh_and_kept);
    RUN(test_not_kept);
    RUN(test_refused_by_the_pool);
    RUN(test_keepalives_disabled);
    RUN(test_retry);
    RUN(test_failure);
    RUN(test_interrupted);
    RUN(test_never_driven);
    RUN(test_pool_tells_of_untraced_requests);
    RUN(test_a_close_is_told_once);
    RUN(test_close_idle);
    RUN(test_silent);
    RUN(test_listen_before_the_dial);
    RUN(test_announced_when_it_comes_to_that);
    RUN(test_no_memory);
    DONE();
}
