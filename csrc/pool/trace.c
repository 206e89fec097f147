/* trace: what the pool tells of its connections. A connection's net.trace says
 * to whom: to the traced want that has it, dials included, else to the pool's
 * own list. It changes hands with the connection. Nothing is told under the
 * pool lock. */
#include "pool/host.h"

void
hp_pool_trace(hp_pool *p, bool on)
{
    hp_events_switch(&p->events, on);
}

hp_events *
hp_pool_events(hp_pool *p)
{
    return &p->events;
}

static hp_span
reason(hp_close_reason why)
{
    return hp_span_or_none(why == HP_KEEP ? NULL : hp_close_reason_name(why));
}

/* One that never was connected was not closed either. */
void
hp_pconn_tell_closed(const hp_pconn *c)
{
    if (c->net.times.connected == 0)
        return;
    HP_TELL(
        &c->net.trace, .kind = HP_EVENT_CONN_CLOSED, .conn = c->net.id,
        .n = {(int64_t)c->requests, c->born ? hp_clock_idle() - c->born : 0},
        .text = {reason(c->closed_for)});
}

void
hp_trace_put(const hp_trace *t, uint64_t conn, hp_close_reason asked,
             hp_close_reason outcome)
{
    bool eligible = asked == HP_KEEP || asked == HP_CLOSE_LEFTOVER_BYTES;
    if (eligible && outcome != HP_CLOSE_KEEPALIVES_DISABLED)
        HP_TELL(t, .kind = HP_EVENT_PUT_IDLE_CONN, .conn = conn,
                .text = {reason(outcome)});
}

void
hp_trace_drain_end(const hp_trace *t, uint64_t conn, hp_close_reason why)
{
    HP_TELL(t, .kind = HP_EVENT_DRAIN_END, .conn = conn, .text = {reason(why)});
}
