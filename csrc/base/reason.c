#include "base/reason.h"

#include <assert.h>

static const char *const close_names[] = {
    [HP_KEEP] = "keep",
    [HP_CLOSE_RESPONSE_SAYS_CLOSE] = "response_says_close",
    [HP_CLOSE_REQUEST_SAYS_CLOSE] = "request_says_close",
    [HP_CLOSE_HTTP10] = "http_1_0",
    [HP_CLOSE_UNTIL_CLOSE_BODY] = "until_close_body",
    [HP_CLOSE_LENGTH_AND_CHUNKED] = "length_and_chunked",
    [HP_CLOSE_TE_ON_HTTP10] = "transfer_encoding_on_http_1_0",
    [HP_CLOSE_FINAL_1XX] = "final_1xx",
    [HP_CLOSE_UPGRADED] = "upgraded",
    [HP_CLOSE_LEFTOVER_BYTES] = "leftover_bytes",
    [HP_CLOSE_UPLOAD_UNFINISHED] = "upload_unfinished",
    [HP_CLOSE_BODY_NOT_SENT] = "body_not_sent",
    [HP_CLOSE_PROTOCOL_ERROR] = "protocol_error",
    [HP_CLOSE_IO_ERROR] = "io_error",
    [HP_CLOSE_TIMEOUT] = "timeout",
    [HP_CLOSE_CANCELLED] = "cancelled",
    [HP_CLOSE_DIAL_FAILED] = "dial_failed",
    [HP_CLOSE_BODY_UNREAD] = "body_unread",
    [HP_CLOSE_DRAIN_TOO_LONG] = "drain_too_long",
    [HP_CLOSE_DRAIN_TIMEOUT] = "drain_timeout",
    [HP_CLOSE_DRAIN_FAILED] = "drain_failed",
    [HP_CLOSE_KEEPALIVES_DISABLED] = "keepalives_disabled",
    [HP_CLOSE_IDLE_CAP_HOST] = "idle_cap_host",
    [HP_CLOSE_IDLE_CAP_TOTAL] = "idle_cap_total",
    [HP_CLOSE_MADE_ROOM] = "made_room",
    [HP_CLOSE_IDLE_TIMEOUT] = "idle_timeout",
    [HP_CLOSE_MAX_AGE] = "max_age",
    [HP_CLOSE_MAX_REQUESTS] = "max_requests",
    [HP_CLOSE_CLOSE_IDLE_CALLED] = "close_idle_called",
    [HP_CLOSE_POOL_CLOSED] = "pool_closed",
    [HP_CLOSE_SURPLUS_DIAL] = "surplus_dial",
    [HP_CLOSE_NO_DESCRIPTORS] = "no_descriptors",
    [HP_CLOSE_SERVER_CLOSED_IDLE] = "server_closed_idle",
    [HP_CLOSE_UNSOLICITED_BYTES] = "unsolicited_bytes",
};
static_assert(sizeof(close_names) / sizeof(*close_names) ==
                  HP_CLOSE_REASON_COUNT,
              "every reason has a name");

static const char *const replay_names[] = {
    [HP_NO_REPLAY] = "no_replay",
    [HP_REPLAY_NOTHING_WRITTEN] = "nothing_written",
    [HP_REPLAY_LOST_BEFORE_FIRST_BYTE] = "lost_before_first_byte",
};
static_assert(sizeof(replay_names) / sizeof(*replay_names) ==
                  HP_REPLAY_REASON_COUNT,
              "every reason has a name");

static const char *const refusal_names[] = {
    [HP_REFUSAL_NONE] = "none",
    [HP_REFUSAL_FRESH_CONNECTION] = "fresh_connection",
    [HP_REFUSAL_ANSWER_BEGUN] = "answer_begun",
    [HP_REFUSAL_SWITCHED_OFF] = "stale_retries_off",
    [HP_REFUSAL_BODY_GONE] = "body_cannot_be_sent_again",
    [HP_REFUSAL_NOT_IDEMPOTENT] = "not_idempotent",
};
static_assert(sizeof(refusal_names) / sizeof(*refusal_names) ==
                  HP_REFUSAL_COUNT,
              "every refusal has a name");

const char *
hp_close_reason_name(hp_close_reason r)
{
    return close_names[r];
}

const char *
hp_replay_reason_name(hp_replay_reason r)
{
    return replay_names[r];
}

const char *
hp_replay_refusal_name(hp_replay_refusal r)
{
    return refusal_names[r];
}
