/* reason: why a connection was closed instead of kept, and why a request was
 * sent again. Every refusal has a name; stats, traces, errors and tests use
 * these very values. HP_KEEP means "nothing speaks against reuse". */
#ifndef HP_BASE_REASON_H
#define HP_BASE_REASON_H

typedef enum hp_close_reason {
    HP_KEEP = 0,
    /* the message says so (RFC 9112 9.3, 9.6; Go contract 4.2) */
    HP_CLOSE_RESPONSE_SAYS_CLOSE,
    HP_CLOSE_REQUEST_SAYS_CLOSE,
    HP_CLOSE_HTTP10,           /* 1.0 without keep-alive */
    HP_CLOSE_UNTIL_CLOSE_BODY, /* the close is the end of the body */
    HP_CLOSE_LENGTH_AND_CHUNKED,
    HP_CLOSE_TE_ON_HTTP10,
    HP_CLOSE_FINAL_1XX,
    HP_CLOSE_UPGRADED,       /* 101 or CONNECT: the caller has the socket */
    HP_CLOSE_LEFTOVER_BYTES, /* bytes beyond the end of the message */
    HP_CLOSE_UPLOAD_UNFINISHED,
    HP_CLOSE_BODY_NOT_SENT, /* Expect: 100-continue was never granted */
    /* the exchange failed */
    HP_CLOSE_PROTOCOL_ERROR,
    HP_CLOSE_IO_ERROR,
    HP_CLOSE_TIMEOUT,
    HP_CLOSE_CANCELLED,
    HP_CLOSE_DIAL_FAILED,
    HP_CLOSE_BODY_UNREAD, /* closed early and not worth draining */
    HP_CLOSE_DRAIN_TOO_LONG,
    HP_CLOSE_DRAIN_TIMEOUT,
    HP_CLOSE_DRAIN_FAILED,
    /* the pool's own will */
    HP_CLOSE_KEEPALIVES_DISABLED,
    HP_CLOSE_IDLE_CAP_HOST,  /* max_idle_conns_per_host: the newcomer goes */
    HP_CLOSE_IDLE_CAP_TOTAL, /* max_idle_conns: the oldest of any host goes */
    HP_CLOSE_MADE_ROOM,      /* max_conns: idle, closed for another host */
    HP_CLOSE_IDLE_TIMEOUT,
    HP_CLOSE_MAX_AGE,
    HP_CLOSE_MAX_REQUESTS,
    HP_CLOSE_CLOSE_IDLE_CALLED,
    HP_CLOSE_POOL_CLOSED,
    HP_CLOSE_SURPLUS_DIAL,   /* an orphaned dial nobody has room for */
    HP_CLOSE_NO_DESCRIPTORS, /* evicted so that a dial could have one */
    /* the server's will, seen while idle */
    HP_CLOSE_SERVER_CLOSED_IDLE,
    HP_CLOSE_UNSOLICITED_BYTES,
    HP_CLOSE_REASON_COUNT
} hp_close_reason;

typedef enum hp_replay_reason {
    HP_NO_REPLAY = 0,
    HP_REPLAY_NOTHING_WRITTEN, /* any method: the server saw no byte */
    HP_REPLAY_LOST_BEFORE_FIRST_BYTE,
    HP_REPLAY_REASON_COUNT
} hp_replay_reason;

/* Why a request that was lost with its connection was not sent again. */
typedef enum hp_replay_refusal {
    HP_REFUSAL_NONE = 0,
    HP_REFUSAL_FRESH_CONNECTION, /* which never served: that is an answer */
    HP_REFUSAL_ANSWER_BEGUN,
    HP_REFUSAL_SWITCHED_OFF,
    HP_REFUSAL_BODY_GONE, /* it could be read only once, and was */
    HP_REFUSAL_NOT_IDEMPOTENT,
    HP_REFUSAL_COUNT
} hp_replay_refusal;

/* Lower-case words with underscores: "leftover_bytes". Static storage. */
const char *hp_close_reason_name(hp_close_reason r);
const char *hp_replay_reason_name(hp_replay_reason r);
const char *hp_replay_refusal_name(hp_replay_refusal r);

#endif
