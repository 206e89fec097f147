/* pause: a wait that sends nothing, and all that ends it. */
#include "base/clock.h"
#include "calls.h"

typedef struct pausing {
    call c;
    hp_ns until;
    hp_drive r;
} pausing;

static void *
drive(void *arg)
{
    pausing *p = arg;
    p->r = hp_drive_pause(p->c.ex, &p->c.driver, p->until, &p->c.err);
    return NULL;
}

static void
prepare_pause(pausing *p, hp_ns how_long)
{
    prepare(&p->c, "/");
    p->until = hp_clock_now() + how_long;
}

static void
test_passes(void)
{
    pausing p;
    setup();
    prepare_pause(&p, 20 * HP_NS_PER_MS);
    make(&p.c);
    drive(&p);
    CHECK_INT(p.r, HP_DRIVE_DONE);
    CHECK(hp_clock_now() >= p.until);
    CHECK_INT(counts().requests, 0);
    CHECK_INT(counts().dials, 0);
    drive(&p); /* it has passed already */
    CHECK_INT(p.r, HP_DRIVE_DONE);
    hp_exchange_free(p.c.ex);
    get("/echo/x", "x");
    teardown();
}

typedef enum end {
    TOTAL,
    CANCELLED,
    CLIENT_CLOSED,
    RESPONSE_CLOSED,
    INTERRUPTED,
    N_ENDS
} end;

static bool
stop(void *unused)
{
    return true;
}

/* The thread is inside, so that only a wake ends it. */
static bool
is_inside(hp_exchange *ex)
{
    hp_lock(&ex->interest.mu);
    bool inside = ex->interest.waker != NULL;
    hp_unlock(&ex->interest.mu);
    return inside;
}

static void
end_it(end how)
{
    static const hp_errc codes[] = {HP_E_TOTAL_TIMEOUT, HP_E_CANCELLED,
                                    HP_E_CLOSED, HP_E_CLOSED, HP_E_INTERRUPTED};
    pausing p;
    setup();
    hp_cancel *cancel = hp_cancel_new();
    prepare_pause(&p, 3600 * HP_NS_PER_S);
    p.c.r.cancel = cancel;
    if (how == TOTAL)
        p.c.r.timeouts.total = 30 * HP_NS_PER_MS;
    if (how == INTERRUPTED)
        p.c.driver = (hp_driver){.on_interrupt = stop, .slices = true};
    make(&p.c);
    CHECK(pthread_create(&p.c.thread, NULL, drive, &p) == 0);
    if (how > TOTAL && how < INTERRUPTED)
        SOON(is_inside(p.c.ex));
    if (how == CANCELLED)
        hp_cancel_trigger(cancel);
    if (how == CLIENT_CLOSED)
        hp_transport_close(t);
    if (how == RESPONSE_CLOSED)
        hp_exchange_close(p.c.ex);
    CHECK(pthread_join(p.c.thread, NULL) == 0);
    CHECK_INT(p.r, HP_DRIVE_ERROR);
    CHECK_STR(hp_errc_name(p.c.err.code), hp_errc_name(codes[how]));
    hp_exchange_free(p.c.ex);
    hp_cancel_unref(cancel);
    teardown();
}

static void
test_ends(void)
{
    for (int how = 0; how < N_ENDS; how++)
        end_it((end)how);
}

/* What has ended already is not waited for at all. */
static void
test_over_before(void)
{
    pausing p;
    setup();
    prepare_pause(&p, 3600 * HP_NS_PER_S);
    make(&p.c);
    hp_transport_close(t);
    drive(&p);
    CHECK_INT(p.r, HP_DRIVE_ERROR);
    CHECK_INT(p.c.err.code, HP_E_CLOSED);
    drive(&p);
    CHECK_INT(p.r, HP_DRIVE_ERROR);
    hp_exchange_free(p.c.ex);
    teardown();
}

static void
test_in_the_middle_of_a_request(void)
{
    pausing p;
    setup();
    prepare(&p.c, "/half");
    p.until = 0;
    make(&p.c);
    CHECK(read_head(&p.c));
    drive(&p);
    CHECK_INT(p.r, HP_DRIVE_ERROR);
    CHECK_INT(p.c.err.code, HP_E_INVALID_ARGUMENT);
    hp_exchange_free(p.c.ex);
    teardown();
}

int
main(void)
{
    RUN(test_passes);
    RUN(test_ends);
    RUN(test_over_before);
    RUN(test_in_the_middle_of_a_request);
    DONE();
}
