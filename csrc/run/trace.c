#include "run/trace.h"

#include <stdatomic.h>

#include "base/buf.h"
#include "base/fork.h"
#include "base/mem.h"
#include "run/exchange.h"

static atomic_uint_fast64_t last_request;

/* A want with this trace is heard by nobody. */
static const hp_trace silent;

#define TELL(ex, KIND, ...)                                                    \
    HP_TELL(&(ex)->trace->to, .kind = HP_EVENT_##KIND,                         \
            .conn = (ex)->trace->conn, __VA_ARGS__)

/* ---- life ---- */

static void
tell_start(hp_exchange *ex, hp_span url)
{
    char store[512];
    hp_buf shown;
    hp_buf_init(&shown, store, sizeof store, 1 << 20);
    hp_url_public(url, &shown); /* as much as there is memory for */
    TELL(ex, REQUEST_START, .at = ex->timings.started,
         .text = {ex->prepared->method, hp_span_of(shown.ptr, shown.len)});
    hp_buf_free(&shown);
}

int
hp_ex_trace_begin(hp_exchange *ex, const hp_request *r, hp_err *err)
{
    if (r->trace == HP_TRACE_SILENT) {
        ex->want.trace = &silent;
        return 0;
    }
    return hp_exchange_listen(ex, r->url, err);
}

int
hp_exchange_listen(hp_exchange *ex, hp_span url, hp_err *err)
{
    if (ex->trace)
        return 0;
    struct hp_ex_trace *t = hp_calloc(sizeof *t);
    if (t == NULL)
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    hp_events_init(&t->events, true);
    t->to.events = &t->events;
    t->to.request = atomic_fetch_add(&last_request, 1) + 1;
    t->to.host = ex->prepared->address;
    ex->trace = t;
    ex->want.trace = &t->to;
    tell_start(ex, url);
    return 0;
}

void
hp_ex_trace_end(hp_exchange *ex)
{
    struct hp_ex_trace *t = ex->trace;
    if (ex->generation == hp_fork_generation())
        hp_events_destroy(&t->events);
    else
        hp_events_abandon(&t->events);
    hp_free(t);
}

/* ---- for the binding ---- */

bool
hp_ex_has_news(const hp_exchange *ex)
{
    return hp_events_any(&ex->trace->events);
}

hp_event *
hp_exchange_take_events(hp_exchange *ex, uint64_t *dropped)
{
    *dropped = 0;
    if (ex->trace == NULL || ex->generation != hp_fork_generation())
        return NULL;
    return hp_events_take(&ex->trace->events, dropped);
}

void
hp_exchange_traced_as(const hp_exchange *ex, uint64_t *request, uint64_t *conn)
{
    *request = ex->trace ? ex->trace->to.request : 0;
    *conn = ex->trace ? ex->trace->conn : 0;
}

/* ---- a connection ---- */

/* A dead one that is put away and the next one asked for are one attempt. */
void
hp_tell_get_conn(hp_exchange *ex)
{
    struct hp_ex_trace *t = ex->trace;
    if (t->attempt == ex->conn_facts.attempts)
        return;
    t->attempt = ex->conn_facts.attempts;
    t->conn = 0;
    TELL(ex, GET_CONN, .n = {t->attempt});
}

void
hp_tell_queue_entered(hp_exchange *ex)
{
    TELL(ex, QUEUE_ENTERED, .at = ex->want.queued_at,
         .n = {ex->want.position, ex->want.waiting});
}

void
hp_tell_queue_left(hp_exchange *ex, const char *outcome)
{
    hp_ns now = hp_clock_now();
    TELL(ex, QUEUE_LEFT, .at = now, .n = {now - ex->want.queued_at},
         .text = {hp_span_cstr(outcome)});
}

void
hp_tell_got_conn(hp_exchange *ex)
{
    const hp_conn_facts *f = &ex->conn_facts;
    ex->trace->conn = f->conn_id;
    ex->trace->wrote_headers = ex->trace->wrote_request = false;
    TELL(ex, GOT_CONN, .at = ex->timings.acquired,
         .n = {f->reused, f->was_idle, f->idle_time, f->age,
               (int64_t)f->requests},
         .text = {hp_span_cstr(ex->remote)});
}

/* ---- the request ---- */

static bool
is_secret(hp_span name)
{
    static const hp_span secrets[] = {
        HP_SPAN_LIT("Authorization"),
        HP_SPAN_LIT("Proxy-Authorization"),
        HP_SPAN_LIT("Cookie"),
    };
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        if (hp_span_eq_nocase(name, secrets[i]))
            return true;
    }
    return false;
}

/* The field lines of a written head, without the empty one at its end. */
static hp_span
field_lines(hp_span head)
{
    const char *end = memchr(head.ptr, '\n', head.len);
    size_t line = (size_t)(end - head.ptr) + 1;
    return hp_span_of(head.ptr + line, head.len - line - 2);
}

void
hp_tell_progress(hp_exchange *ex)
{
    if (ex->trace->wrote_headers || ex->send.written < ex->send.head.len)
        return;
    hp_span rest = field_lines(ex->send.head);
    hp_field f;
    while (hp_field_next(&rest, &f))
        TELL(
            ex, WROTE_HEADER_FIELD,
            .text = {f.name, is_secret(f.name) ? HP_SPAN_LIT("***") : f.value});
    TELL(ex, WROTE_HEADERS, .at = 0);
    ex->trace->wrote_headers = true;
}

void
hp_tell_wait_100_continue(hp_exchange *ex)
{
    TELL(ex, WAIT_100_CONTINUE, .at = 0);
}

void
hp_tell_wrote_request(hp_exchange *ex, const char *error)
{
    if (ex->trace->wrote_request)
        return;
    ex->trace->wrote_request = true;
    TELL(ex, WROTE_REQUEST, .text = {hp_span_or_none(error)});
}

/* ---- the answer ---- */

void
hp_tell_first_byte(hp_exchange *ex)
{
    TELL(ex, GOT_FIRST_RESPONSE_BYTE, .at = ex->timings.first_byte);
}

void
hp_tell_interim(hp_exchange *ex)
{
    if (ex->head.status == 100)
        TELL(ex, GOT_100_CONTINUE, .at = 0);
    TELL(ex, GOT_1XX_RESPONSE, .n = {ex->head.status},
         .text = {hp_exchange_fields(ex)});
}

void
hp_tell_response(hp_exchange *ex)
{
    TELL(ex, GOT_RESPONSE, .at = ex->timings.head, .n = {ex->head.status});
}

/* ---- the end ---- */

void
hp_tell_retry(hp_exchange *ex, hp_replay_reason why)
{
    TELL(ex, RETRY, .n = {ex->conn_facts.attempts},
         .text = {hp_span_cstr(hp_replay_reason_name(why))});
}

static const char *
left_by(hp_errc code)
{
    switch (code) {
    case HP_E_POOL_TIMEOUT:
        return "timeout";
    case HP_E_TOTAL_TIMEOUT:
        return "deadline";
    case HP_E_CLOSED:
        return "closed";
    default:
        return "cancelled";
    }
}

void
hp_tell_failing(hp_exchange *ex)
{
    if (ex->state == HP_EX_QUEUED)
        hp_tell_queue_left(ex, left_by(ex->err.code));
}

void
hp_tell_done(hp_exchange *ex)
{
    if (ex->trace->done)
        return;
    ex->trace->done = true;
    hp_ns now = hp_clock_now();
    TELL(ex, REQUEST_DONE, .at = now,
         .n = {ex->head_ok ? ex->head.status : 0,
               ex->state == HP_EX_FAILED ? (int64_t)ex->err.code : HP_OK,
               now - ex->timings.started});
}
