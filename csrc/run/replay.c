/* replay: may a request that was lost with its connection be sent again? Go
 * contract section 6, one flat list, ending in "no".
 *
 * There is no limit on attempts and none is needed: each replay uses up a
 * connection that had been kept, and a fresh one is never replayed. */
#include "run/exchange.h"

static bool
body_can_be_sent_again(const hp_exchange *ex)
{
    return ex->source.kind != HP_SOURCE_PRODUCED || ex->source.rewindable ||
           !ex->send.asked;
}

static bool
is_idempotent(const hp_exchange *ex)
{
    switch (ex->idempotent) {
    case HP_IDEMPOTENT_YES:
        return true;
    case HP_IDEMPOTENT_NO:
        return false;
    case HP_IDEMPOTENT_BY_METHOD:
        break;
    }
    return ex->facts.replayable_method || ex->facts.idempotency_key;
}

hp_replay_reason
hp_ex_replay_verdict(const hp_exchange *ex, hp_replay_refusal *refusal)
{
    *refusal = HP_REFUSAL_NONE;
    if (!ex->want.conn->reused || !ex->conn_facts.reused)
        *refusal = HP_REFUSAL_FRESH_CONNECTION;
    else if (ex->answered)
        *refusal = HP_REFUSAL_ANSWER_BEGUN;
    else if (ex->no_stale_replay)
        *refusal = HP_REFUSAL_SWITCHED_OFF;
    else if (!body_can_be_sent_again(ex))
        *refusal = HP_REFUSAL_BODY_GONE;
    else if (ex->send.written == 0)
        return HP_REPLAY_NOTHING_WRITTEN;
    else if (is_idempotent(ex))
        return HP_REPLAY_LOST_BEFORE_FIRST_BYTE;
    else
        *refusal = HP_REFUSAL_NOT_IDEMPOTENT;
    return HP_NO_REPLAY;
}
