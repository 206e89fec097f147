/* exchange: one request from beginning to end. Knows HTTP, no sockets and no
 * threads: a driver turns it.
 *
 *                +------------------ replay ------------------+
 *                v                                            |
 *  START -> ACQUIRE -> QUEUED -> CONNECT ----> SEND -> HEAD --+-> BODY -> DONE
 *              |          |         |   \       ^ |      |          |      ^
 *              |          |         |  LINGER --+ |      |          |      |
 *              |          |         |     |       |      |          |      |
 *              +----------+---------+-----+-------+------+-> FAILED |      |
 *                                                                   +-> GRACE
 *
 *  from      to        by
 *  START     ACQUIRE   one_step             nothing cancelled yet
 *  ACQUIRE   SEND      begin_attempt        an idle connection, looked at
 *  ACQUIRE   CONNECT   hp_ex_state_acquire  a slot
 *  ACQUIRE   QUEUED    begin_queueing       a limit
 *  QUEUED    CONNECT   hp_ex_state_queued   a slot was handed over
 *  QUEUED    SEND      begin_attempt        a connection was handed over
 *  CONNECT   SEND      begin_attempt        own dial, or handed over meanwhile
 *  ACQUIRE,QUEUED,CONNECT,LINGER
 *            CONNECT,QUEUED  use_if_alive   what was got is dead: another
 *  CONNECT   LINGER    dial_failed          others' connections may come back
 *  LINGER    SEND      begin_attempt        one did
 *  LINGER    FAILED    linger_over          none did: the dial's error
 *  SEND      HEAD      request_sent         the request is with the kernel
 *  SEND      HEAD      upload_failed        a write failed: last words?
 *  SEND,HEAD BODY      head_complete        final head
 *  SEND,HEAD DONE      begin_tunnel         101, CONNECT: detached
 *  SEND,HEAD REWIND    replay               the body must be put back first
 *  SEND,HEAD ACQUIRE   replay
 *  REWIND    ACQUIRE   hp_exchange_rewound
 *  BODY      GRACE     hp_ex_message_ended  the upload is not finished
 *  BODY,GRACE DONE     hp_ex_give_back      connection given back
 *  START     WARM      hp_drive_warm        no request at all, see warm.h
 *  WARM      DONE      settle               as many connections as can be
 *  any       FAILED    hp_ex_failed         connection closed or given back
 *
 *  Truths (assert_state): want LEASED exactly in SEND, HEAD, BODY, GRACE;
 *  QUEUED, DIALING or LISTENING only in QUEUED, CONNECT and LINGER (where
 * others may change it at any time, so that it is read with hp_pool_look only);
 * no dial outside CONNECT and WARM; in DONE and FAILED nothing of the pool is
 * held.
 *
 *  A body that breaks off leaves the exchange FAILED at once, its connection
 *  closed; with bytes_first the bytes that came before are still given out,
 *  whatever way the network cut them, and only then the error.
 */
#ifndef HP_RUN_EXCHANGE_H
#define HP_RUN_EXCHANGE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "hp.h"
#include "net/wait.h"
#include "pool/pool.h"
#include "run/prepared.h"
#include "run/trace.h"
#include "run/warm.h"
#include "wire/body.h"
#include "wire/framing.h"

typedef enum hp_ex_state {
    HP_EX_START,
    HP_EX_WARM,
    HP_EX_ACQUIRE,
    HP_EX_QUEUED,
    HP_EX_CONNECT,
    HP_EX_LINGER,
    HP_EX_SEND,
    HP_EX_HEAD,
    HP_EX_REWIND,
    HP_EX_BODY,
    HP_EX_GRACE,
    HP_EX_DONE,
    HP_EX_FAILED
} hp_ex_state;

/* Who is inside. */
typedef enum hp_ex_user {
    HP_EX_FREE,
    HP_EX_USED,
    HP_EX_CLOSING /* a close, not for long */
} hp_ex_user;

/* What a step answers. */
typedef enum hp_go {
    HP_GO_ON,    /* progress was made: step again */
    HP_GO_DONE,  /* what was asked for is there */
    HP_GO_WAIT,  /* the wait says for what */
    HP_GO_BUSY,  /* no wait, but long at it: look up, then step again */
    HP_GO_PIECE, /* the next piece of a produced body */
    HP_GO_REWIND,
    HP_GO_DIAL,     /* the socket of a custom dial */
    HP_GO_CONNECTS, /* the first connection is about to be made */
    HP_GO_EVENTS,   /* somebody is to be told before there is a wait */
    HP_GO_ERROR     /* ex->err */
} hp_go;

/* The request on its way out: a frame of up to four parts at a time. */
typedef struct hp_send {
    hp_span head; /* the prepared one */
    bool head_in_frame;
    char prefix[24]; /* chunk size line */
    size_t prefix_len;
    const char *piece; /* borrowed */
    size_t piece_len;
    const char *suffix; /* static */
    size_t suffix_len;
    size_t frame_sent;  /* of the parts together */
    int64_t body_bytes; /* taken from the source in this attempt */
    bool asked;         /* the source has been asked for a piece */
    bool source_ended;
    bool awaiting_continue; /* Expect: head is out, body held back */
    bool continue_skipped;  /* final answer came first: body stays here */
    bool finished;
    bool failed; /* a write failed: an answer may be there nevertheless */
    int failed_errno;
    uint64_t written; /* bytes the stream took in this attempt */
    hp_ns progress_at;
} hp_send;

enum {
    HP_EX_IN_STORE = 4096
};

struct hp_exchange {
    hp_transport *t;
    hp_pool *pool; /* the transport's */
    unsigned generation;
    hp_ex_state state;
    atomic_int busy;
    hp_interest interest;
    hp_cancel *cancel;
    hp_node cancel_node;
    hp_prepared *prepared; /* a reference */
    char *site;            /* NULL: not given */
    hp_key key;            /* its copy */
    hp_want want;
    hp_pconn *dial;        /* CONNECT: our own; WARM: the one asked for */
    hp_warm *warm;         /* from WARM on; else NULL */
    bool announce_connect; /* HP_GO_CONNECTS is yet to be said */
    bool redialed;         /* once after EMFILE */
    hp_timeouts timeouts;
    hp_ns total_since, total_deadline;
    hp_ns phase_deadline; /* QUEUED, LINGER, HEAD, GRACE, awaiting_continue */
    hp_ns silence_since;
    /* The min_rate window is of time spent in reading drives. */
    hp_ns rate_since; /* when it would have begun without breaks; 0: paused */
    hp_ns rate_spent; /* of it, in earlier drives */
    int64_t rate_bytes;
    /* request */
    hp_request_facts facts;
    hp_source source;
    hp_idempotent idempotent;
    bool no_stale_replay;
    hp_send send;
    bool decode;
    int64_t max_size, max_decoded_size;
    /* response */
    hp_buf in;      /* heads, and body bytes that came with the last one */
    size_t head_at; /* where the head being parsed begins */
    size_t seen;    /* bytes of it looked at */
    unsigned interims;
    bool may_block; /* the next read for the head may wait in recv() */
    bool answered;  /* a byte of this attempt's response was seen */
    hp_head head;
    bool head_ok;
    hp_framing framing;
    hp_body body;
    size_t early_end; /* body bytes in `in`: [in.pos, early_end) */
    bool leftover;
    hp_buf stage; /* body bytes read ahead for small or decoded reads */
    int64_t raw_bytes, decoded_bytes;
    hp_coding *coding;
    bool coding_ended;
    bool coding_holds; /* filled all the room: may have more without input */
    bool bytes_first;  /* FAILED: after what is in `in`, stage and coding */
    int read_mode;     /* 0 unknown, 1 decoded, 2 raw */
    /* what users see */
    hp_err err; /* sticky */
    hp_timings timings;
    struct hp_ex_trace *trace; /* NULL: nobody listens */
    hp_answer *answer;         /* a reference: of the proxy, to CONNECT */
    hp_conn_facts conn_facts;
    char remote[HP_ADDR_TEXT_MAX], local[HP_ADDR_TEXT_MAX];
    hp_pconn *upgraded;
    bool is_upgraded;
    /* from here on not zeroed */
    hp_err dial_err; /* LINGER */
    hp_shortage shortage;
    char in_store[HP_EX_IN_STORE];
};

/* ---- steps: never block ----
 * Nor do they work for much longer than a millisecond, however fast the peer
 * is: then they answer GO_BUSY. */

/* Until the final head is there (GO_DONE). */
hp_go hp_ex_step_head(hp_exchange *ex, hp_waker *waker, hp_wait *w);
/* Until *got > 0 or the end (GO_DONE, *got == 0). */
hp_go hp_ex_step_read(hp_exchange *ex, hp_wait *w, void *buf, size_t cap,
                      bool raw, size_t *got);
/* True when the connection is given back and nothing is to be decoded: the
 * rest of the body lies here, and *got bytes of it (0 at the end) were moved.
 */
bool hp_ex_read_at_hand(hp_exchange *ex, char *buf, size_t cap, size_t *got);
/* GRACE only: until DONE. */
hp_go hp_ex_step_grace(hp_exchange *ex, hp_wait *w);
/* Around a reading drive: the caller's own time between two of them is not
 * the server's silence. */
void hp_ex_drive_begins(hp_exchange *ex);
void hp_ex_drive_ends(hp_exchange *ex);

/* ---- parts ---- */

/* exchange.c */
hp_go hp_ex_fail(hp_exchange *ex, hp_errc code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
hp_go hp_ex_failed(hp_exchange *ex);         /* ex->err is set: clean up */
bool hp_ex_is_leased(const hp_exchange *ex); /* has a connection in use */
hp_stream *hp_ex_stream(const hp_exchange *ex);
/* WANT_READ or WANT_WRITE to the wait. */
void hp_ex_wait_io(const hp_exchange *ex, hp_wait *w, ssize_t want);
bool hp_ex_signalled(hp_exchange *ex); /* cancelled, closed, total deadline */
hp_phase hp_ex_phase(const hp_exchange *ex);
void hp_ex_tally_timeout(hp_exchange *ex); /* if ex->err is one */
/* One user at a time. HP_EX_FREE: it is ours now; else whose it is. Not in a
 * forked child. */
hp_ex_user hp_ex_take(hp_exchange *ex, hp_ex_user as);
/* For what the caller answers between drives. False while somebody closes, and
 * in a forked child: the next drive says what is the matter. */
bool hp_ex_take_to_answer(hp_exchange *ex);
/* A close that came meanwhile and found us inside is done now. */
void hp_ex_release(hp_exchange *ex);

/* acquire.c */
/* What the proxy of this connection said, or of none, is ours to tell. */
void hp_ex_note_answer(hp_exchange *ex, const hp_conn *c);
hp_go hp_ex_state_acquire(hp_exchange *ex);
hp_go hp_ex_state_queued(hp_exchange *ex, hp_wait *w);
hp_go hp_ex_state_connect(hp_exchange *ex, hp_waker *waker, hp_wait *w);
hp_go hp_ex_state_linger(hp_exchange *ex, hp_wait *w);

/* send.c */
typedef enum hp_sent {
    HP_SENT_ALL,
    HP_SENT_BLOCKED, /* *want is HP_IO_WANT_* */
    HP_SENT_MORE,    /* not blocked, but much was sent: look up first */
    HP_SENT_PIECE,   /* the source must be asked */
    HP_SENT_HELD,    /* awaiting 100 Continue */
    HP_SENT_FAILED   /* send.failed */
} hp_sent;
void hp_send_reset(hp_exchange *ex);
hp_sent hp_send_pump(hp_exchange *ex, ssize_t *want, hp_ns now);
hp_go hp_ex_state_send(hp_exchange *ex, hp_wait *w);

/* head.c */
hp_go hp_ex_read_head(hp_exchange *ex, hp_wait *w);
/* Right after the request is sent on a kept connection: waits for the answer in
 * recv(), at most HP_PATIENCE_MS, which saves a poll() for each request that is
 * answered in that time. GO_ON: step again. Blocks; for blocking drivers. */
hp_go hp_ex_read_head_patiently(hp_exchange *ex, hp_wait *w);
hp_go hp_ex_state_head(hp_exchange *ex, hp_wait *w);
/* The connection was lost (n is the read's result) before the head. */
hp_go hp_ex_lost(hp_exchange *ex, ssize_t n, const hp_err *cause);

/* read.c: buf[0..*len) was received: as hp_body_feed, and counts the body
 * bytes. GO_ERROR: malformed, or beyond max_size, and the exchange has failed;
 * the first *len bytes are body, and are given out before the error. */
hp_go hp_ex_unframe(hp_exchange *ex, char *buf, size_t *len, size_t *used);

/* replay.c */
/* HP_NO_REPLAY: *refusal says why. */
hp_replay_reason hp_ex_replay_verdict(const hp_exchange *ex,
                                      hp_replay_refusal *refusal);

/* finish.c */
hp_go hp_ex_message_ended(hp_exchange *ex);
void hp_ex_give_back(hp_exchange *ex, hp_close_reason verdict);
void hp_ex_close_early(hp_exchange *ex);
void hp_ex_give_up_upload(hp_exchange *ex); /* GRACE -> DONE at once */
void hp_ex_note_conn(hp_exchange *ex); /* facts, when a connection is got */

/* upgraded.c: closes; in a forked child without a word to the peer. */
void hp_ex_drop_upgraded(hp_pconn *c, unsigned generation);

/* transport.c */
hp_pool *hp_transport_pool(hp_transport *t);
const hp_transport_config *hp_transport_settings(const hp_transport *t);
bool hp_transport_uses_unix(const hp_transport *t);
hp_prepared_cache *hp_transport_prepared(hp_transport *t);
void hp_inside_enter(void); /* a thread is inside the core */
void hp_inside_leave(void);

/* cancel.c */
void hp_cancel_attach(hp_cancel *c, hp_exchange *ex);
void hp_cancel_detach(hp_exchange *ex);
extern const struct hp_fork_hooks hp_cancel_fork_hooks;

/* To DONE (GO_ON) or FAILED (GO_ERROR), with nothing of the pool left. */
static inline hp_go
hp_ex_over(hp_exchange *ex, hp_ex_state end)
{
    ex->state = end;
    if (ex->trace)
        hp_tell_done(ex);
    return end == HP_EX_FAILED ? HP_GO_ERROR : HP_GO_ON;
}

static inline void
hp_ex_deadline(const hp_exchange *ex, hp_wait *w)
{
    hp_wait_until(w, ex->total_deadline);
}

#endif
