#include "base/clock.h"

#include <limits.h>
#include <stdatomic.h>
#include <time.h>

static _Atomic hp_ns advanced, slept;

static hp_ns
read_clock(clockid_t id, const _Atomic hp_ns *more)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (hp_ns)ts.tv_sec * HP_NS_PER_S + ts.tv_nsec +
           atomic_load_explicit(more, memory_order_relaxed);
}

hp_ns
hp_clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC, &advanced);
}

hp_ns
hp_clock_idle(void)
{
#ifdef CLOCK_BOOTTIME
    return read_clock(CLOCK_BOOTTIME, &slept);
#else
    return read_clock(CLOCK_MONOTONIC,
                      &slept); /* macOS: counts sleep already */
#endif
}

hp_ns
hp_deadline_after(hp_ns now, hp_ns duration)
{
    if (duration < 0 || duration > HP_NEVER - now)
        return HP_NEVER;
    return now + duration;
}

int
hp_poll_timeout(hp_ns now, hp_ns deadline)
{
    if (deadline == HP_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    hp_ns ms = (deadline - now - 1) / HP_NS_PER_MS + 1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

void
hp_clock_advance(hp_ns by)
{
    atomic_fetch_add(&advanced, by);
    atomic_fetch_add(&slept, by);
}

void
hp_clock_suspend(hp_ns by)
{
    atomic_fetch_add(&slept, by);
}
