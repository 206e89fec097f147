/* trace: what an exchange tells those who listen to it. All of it needs
 * ex->trace; the callers look, which is all that an exchange without a trace
 * pays. Telling never fails: what there is no room for is counted. */
#ifndef HP_RUN_TRACE_H
#define HP_RUN_TRACE_H

#include "base/events.h"
#include "hp.h"

struct hp_ex_trace {
    hp_trace to;
    hp_events events;
    uint64_t conn;                     /* of this attempt; 0: none yet */
    unsigned attempt;                  /* that get_conn was told of */
    bool wrote_headers, wrote_request; /* of this attempt */
    bool done;
};

/* For a request that asks for something else than HP_TRACE_NONE: ex->trace, if
 * it is to be traced, and request_start. -1: no memory. */
int hp_ex_trace_begin(hp_exchange *ex, const hp_request *r, hp_err *err);
void hp_ex_trace_end(hp_exchange *ex);

bool hp_ex_has_news(const hp_exchange *ex); /* something to take */

void hp_tell_get_conn(hp_exchange *ex);
void hp_tell_queue_entered(hp_exchange *ex);
void hp_tell_queue_left(hp_exchange *ex, const char *outcome);
void hp_tell_got_conn(hp_exchange *ex);
/* Some bytes of the request were taken. */
void hp_tell_progress(hp_exchange *ex);
void hp_tell_wait_100_continue(hp_exchange *ex);
/* Once per attempt; error may be NULL. */
void hp_tell_wrote_request(hp_exchange *ex, const char *error);
void hp_tell_first_byte(hp_exchange *ex);
void hp_tell_interim(hp_exchange *ex); /* ex->head is one */
void hp_tell_response(hp_exchange *ex);
void hp_tell_retry(hp_exchange *ex, hp_replay_reason why);
/* ex->err is set, and the state is still that in which it failed. */
void hp_tell_failing(hp_exchange *ex);
/* DONE or FAILED; once. */
void hp_tell_done(hp_exchange *ex);

#endif
