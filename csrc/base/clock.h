/* clock: time in signed nanoseconds. Durations below zero mean "no limit".
 * Deadlines are absolute readings of hp_clock_now(). */
#ifndef HP_BASE_CLOCK_H
#define HP_BASE_CLOCK_H

#include <stdint.h>

typedef int64_t hp_ns;

#define HP_NEVER INT64_MAX /* a deadline that never comes */
#define HP_NO_LIMIT (-1)   /* a duration or count without bound */
#define HP_NS_PER_S INT64_C(1000000000)
#define HP_NS_PER_MS INT64_C(1000000)

/* Monotonic; stands still while the machine sleeps. */
hp_ns hp_clock_now(void);

/* Monotonic and counting sleep where the system can (CLOCK_BOOTTIME), for the
 * age of idle connections: a suspended laptop must wake up with none. */
hp_ns hp_clock_idle(void);

/* now + duration, HP_NEVER for a negative duration or on overflow. */
hp_ns hp_deadline_after(hp_ns now, hp_ns duration);

static inline hp_ns
hp_ns_min(hp_ns a, hp_ns b)
{
    return a < b ? a : b;
}

/* What poll() wants: milliseconds until the deadline, rounded up so that a
 * wait never ends early; -1 for HP_NEVER, 0 when it has passed. */
int hp_poll_timeout(hp_ns now, hp_ns deadline);

/* Tests only: adds `by` to both clocks from now on. Sleepers are not woken. */
void hp_clock_advance(hp_ns by);
/* Tests only: the machine has slept for so long. */
void hp_clock_suspend(hp_ns by);

#endif
