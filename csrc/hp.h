/* hp.h: the public face of the core. The binding, tests and benchmarks in C
 * use this and nothing deeper.
 *
 * Life of a request:
 *
 *   hp_exchange_new      checks and writes the request head; nothing sent yet
 *   hp_drive_head        acquires a connection, sends, reads the final head
 *   hp_drive_read        body bytes, until *got == 0
 *   hp_exchange_close    gives the connection back (if it is not back already)
 *   hp_exchange_free
 *
 * Ownership words: "takes" = the callee owns it afterwards; "borrows until
 * ..." = it must stay as it is until then; "new reference" = give it back with
 * the matching unref.
 *
 * Threads: a transport is shared freely. An exchange has one user at a time
 * (HP_E_BUSY for the second); hp_exchange_close and hp_cancel_trigger may be
 * called from any thread at any time.
 */
#ifndef HP_H
#define HP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/events.h"
#include "base/reason.h"
#include "base/span.h"
#include "net/dial_options.h"
#include "net/proxy.h"
#include "net/tls.h"
#include "pool/holders.h"
#include "pool/limits.h"
#include "pool/shortage.h"
#include "pool/stats.h"
#include "wire/coding.h"
#include "wire/head.h"
#include "wire/request.h"
#include "wire/url.h"

/* ---- process ---------------------------------------------------------- */

/* Registers the fork hooks. Idempotent, any thread. 0, or -1 with *err. */
int hp_process_init(hp_err *err);

/* A fork stops the background thread, which goes on in the parent before
 * fork() returns. Who does not want a thread there (CPython warns of forks with
 * threads about) gives a function that is called instead, in the thread that
 * forks, with locks held: true when hp_process_resume will be called soon,
 * false to go on at once. Any thread. */
void hp_process_after_fork(bool (*later)(void));
/* Starts the background thread if a fork has stopped it in the middle of
 * something. Any thread; never blocks for long. */
void hp_process_resume(void);

/* For an interpreter that begins after one has ended: takes the shutdown back.
 * Any thread. */
void hp_process_begin(void);

/* For the interpreter's exit hook: fails all exchanges with HP_E_CLOSED, waits
 * up to one second until no thread is inside the core, stops the keeper. Calls
 * made afterwards work without a keeper (nothing is kept idle). Blocks. */
void hp_process_shutdown(void);

/* ---- cancel ------------------------------------------------------------ */

typedef struct hp_cancel hp_cancel; /* reference-counted */

hp_cancel *hp_cancel_new(void); /* NULL: out of memory */
hp_cancel *hp_cancel_ref(hp_cancel *c);
void hp_cancel_unref(hp_cancel *c);
/* Ends every exchange made with it, now and later, with HP_E_CANCELLED. Any
 * thread; never blocks; stays cancelled. */
void hp_cancel_trigger(hp_cancel *c);
bool hp_cancel_is_set(const hp_cancel *c);

/* ---- transport --------------------------------------------------------- */

typedef struct hp_transport hp_transport; /* reference-counted */

typedef struct hp_transport_config {
    hp_limits limits;
    hp_dial_options dial;    /* how connections are made */
    size_t max_header_bytes; /* response head incl. interim ones and trailers */
} hp_transport_config;

void hp_transport_config_default(hp_transport_config *c);

/* Copies the config. Opens nothing, starts no thread. NULL with *err. */
hp_transport *hp_transport_new(const hp_transport_config *config, hp_err *err);
hp_transport *hp_transport_ref(hp_transport *t);
void hp_transport_unref(hp_transport *t); /* the last one closes it */

/* Waiters, dials and heads under way get HP_E_CLOSED; idle connections close;
 * bodies under way stay readable and their connections close after them.
 * Later exchanges get HP_E_CLOSED. Idempotent; never blocks. */
void hp_transport_close(hp_transport *t);
bool hp_transport_is_closed(const hp_transport *t);

/* Closes idle connections, of one host only if host.len > 0 (name,
 * host:port), and those that become idle until the next request. Returns how
 * many were closed now. Never blocks. */
size_t hp_transport_close_idle(hp_transport *t, hp_span host);

/* Traces what happens to connections that no traced request has: closes,
 * drains, orphaned dials. Off, which is the start, forgets what was not taken.
 */
void hp_transport_trace(hp_transport *t, bool on);
/* See hp_events_take. Any thread; never blocks. */
hp_event *hp_transport_take_events(hp_transport *t, uint64_t *dropped);

/* A snapshot; free with hp_stats_free. NULL: out of memory. */
hp_stats *hp_transport_stats(hp_transport *t);
hp_ns hp_transport_dns_ttl(const hp_transport *t);

/* Who has a connection now, longest first; of every transport of the process.
 * Free with hp_holders_free. NULL: out of memory. Never blocks. */
hp_holders *hp_transport_holders(hp_transport *t);
hp_holders *hp_process_holders(void);

enum {
    HP_SHORT_LIVED_REQUESTS = 3, /* at most so many in all its life */
    HP_SHORT_LIVED_HOSTS = 64
};

typedef struct hp_short_lived {
    char host[320];      /* "|http|example.com:80" */
    uint64_t transports; /* short-lived, each at most 90 s after the last */
    uint64_t requests;   /* of them all */
} hp_short_lived;

/* The hosts of this process whose connections ended with transports that were
 * closed, or freed, after a few requests, and which had one of them within the
 * last ten minutes. Fills out[HP_SHORT_LIVED_HOSTS] and
 * returns how many there are. Never blocks. */
size_t hp_process_short_lived(hp_short_lived *out);

/* ---- request ----------------------------------------------------------- */

typedef struct hp_timeouts { /* durations; negative = no limit, never 0 */
    hp_ns total;             /* the whole exchange including the body */
    hp_ns pool;              /* waiting for a slot */
    hp_ns connect;           /* look-up and dial */
    hp_ns tls;               /* handshake */
    hp_ns write;             /* longest time without progress in sending */
    hp_ns response_header;   /* request sent -> final head */
    hp_ns read;              /* longest silence, in head and body */
    hp_ns expect_continue;   /* then the body goes out unasked */
    int64_t min_rate_bytes;  /* body bytes per min_rate_window; < 0: off */
    hp_ns min_rate_window;
} hp_timeouts;

/* connect 10 s, tls 10, pool 30, write 60, response_header 60, read 60,
 * expect_continue 1, total and min_rate none. */
void hp_timeouts_default(hp_timeouts *t);

typedef enum hp_source_kind {
    HP_SOURCE_NONE,
    HP_SOURCE_BYTES,   /* ptr, len */
    HP_SOURCE_PRODUCED /* HP_DRIVE_BODY asks for each piece */
} hp_source_kind;

typedef struct hp_source {
    hp_source_kind kind;
    const void *ptr; /* BYTES: borrowed until the exchange is freed */
    size_t len;
    int64_t length;  /* PRODUCED: bytes in all, HP_BODY_LENGTH_UNKNOWN (-2) =
                        chunked. A produced body that ends short of it or goes
                        beyond it is HP_E_LOCAL_PROTOCOL. */
    bool rewindable; /* PRODUCED: HP_DRIVE_REWIND may be answered */
} hp_source;

typedef enum hp_idempotent {
    HP_IDEMPOTENT_BY_METHOD, /* GET HEAD OPTIONS TRACE or Idempotency-Key */
    HP_IDEMPOTENT_YES,
    HP_IDEMPOTENT_NO
} hp_idempotent;

typedef enum hp_request_trace {
    HP_TRACE_NONE,   /* the connections it has are the transport's to tell of */
    HP_TRACE_EVENTS, /* for hp_exchange_take_events */
    HP_TRACE_SILENT  /* nobody is told, not even by the transport */
} hp_request_trace;

typedef struct hp_request {
    hp_span method;         /* "" = GET */
    hp_span url;            /* absolute, http or https */
    hp_span target;         /* what stands in the request line in place of the
                               URL's path and query, as it is (RFC 9112 3.2);
                               empty = those */
    const hp_field *fields; /* everything but Host and framing, which the
                               writer adds unless they are here */
    size_t n_fields;
    uint64_t fields_id; /* > 0: a number that stands for these very fields,
                           now and later; lets the transport remember what a
                           request without body comes to. 0: not */
    hp_source source;
    hp_timeouts timeouts;
    hp_ns deadline;      /* absolute hp_clock_now() reading; HP_NEVER = none */
    hp_ns since;         /* timeouts.total counts from then, for a request that
                            continues another; 0 = from now */
    hp_tls *tls;         /* needed for https; a reference is taken */
    hp_span server_name; /* TLS name instead of the host; empty = the host */
    hp_proxy *proxy;   /* NULL = direct; a reference is taken. What is asked of
                          dial_options holds for the way to the proxy */
    bool has_proxies;  /* other requests of this caller use one: a field named
                          Proxy-Authorization is not for the target, either */
    hp_cancel *cancel; /* NULL = none; a reference is taken */
    bool close;        /* send Connection: close, do not keep */
    hp_idempotent idempotent;
    bool no_stale_replay; /* what is lost on a kept connection stays lost */
    hp_request_trace trace;
    bool announce_connect;    /* HP_DRIVE_CONNECTS, once */
    bool decode;              /* undo Content-Encoding in hp_drive_read */
    int64_t max_size;         /* raw body bytes; < 0: no limit */
    int64_t max_decoded_size; /* decoded bytes; < 0: no limit */
    hp_span site; /* the line of the caller's program, for hp_holder; copied */
    bool whole;   /* nobody gets the response before its body is read */
} hp_request;

/* Zeroes and fills in the defaults: GET, default timeouts, no limits. */
void hp_request_init(hp_request *r);

typedef struct hp_exchange hp_exchange;

/* Checks everything and writes the head; no connection is touched. Borrows
 * only source.ptr (until free); everything else is copied. NULL with *err:
 * HP_E_INVALID_URL, HP_E_MISSING_SCHEME, HP_E_UNSUPPORTED_SCHEME,
 * HP_E_NEEDS_IDNA, HP_E_INVALID_METHOD, HP_E_INVALID_HEADER,
 * HP_E_INVALID_ARGUMENT (also a proxy where a Unix socket is where all
 * connections go), HP_E_CLOSED, HP_E_NOMEM. Never blocks. */
hp_exchange *hp_exchange_new(hp_transport *t, const hp_request *request,
                             hp_err *err);

/* ---- driving ----------------------------------------------------------- */

/* Called by a drive, in the driving thread, when poll() was interrupted and,
 * if `slices` is set, every 50 ms of a wait and every 10 ms of work without
 * one: true = stop (HP_E_INTERRUPTED). It may fork: in the child the drive then
 * ends with HP_E_FORKED. */
typedef struct hp_driver {
    bool (*on_interrupt)(void *arg);
    void *arg;
    bool slices; /* this is the main thread: a signal may land just before
                    the poll and give no EINTR */
} hp_driver;

typedef enum hp_drive {
    HP_DRIVE_DONE,
    HP_DRIVE_BODY,     /* give the next piece with hp_exchange_feed, or
                          hp_exchange_fail_source, then drive again */
    HP_DRIVE_REWIND,   /* put the source back to its start, then
                         hp_exchange_rewound or hp_exchange_fail_source */
    HP_DRIVE_DIAL,     /* hp_drive_head only, with custom_dial: make a socket,
                          then hp_exchange_give_socket or
                          hp_exchange_fail_dial */
    HP_DRIVE_CONNECTS, /* hp_drive_head only, with announce_connect: it is about
                          to make its first connection. Drive again */
    HP_DRIVE_EVENTS, /* of a traced exchange: it is about to wait and has events
                       that were not taken. Take them, then drive again, in the
                       same thread */
    HP_DRIVE_ERROR   /* *err; the connection is closed or given back already */
} hp_drive;

/* Until the final response head has arrived. Blocks. */
hp_drive hp_drive_head(hp_exchange *ex, const hp_driver *driver, hp_err *err);

typedef enum hp_read_how {
    HP_READ_SOME, /* what there is, at least one byte */
    HP_READ_FULL  /* fill `cap` unless the body ends first, or something else
                     has to be said: see below */
} hp_read_how;

/* Instead of hp_drive_head, for an exchange that sends nothing: makes
 * connections to its host, all that are missing at once, until n are there,
 * those in use included. DONE with how many are there in *ready: fewer where
 * the limits allow no more, connections of other hosts untouched, or where
 * dials of others that were waited for have come to nothing. ERROR: *err of the
 * first dial that failed, when the others have ended; whatever got ready is
 * kept. The exchange's timeouts (pool aside), deadline and cancel hold. Answer
 * HP_DRIVE_DIAL, and drive again with the same n. Blocks. */
hp_drive hp_drive_warm(hp_exchange *ex, const hp_driver *driver, int64_t n,
                       int64_t *ready, hp_err *err);

/* Instead of hp_drive_head, for an exchange that sends nothing: waits until
 * hp_clock_now() is `until`. DONE then; ERROR when its cancel, its deadline, a
 * signal or the close of the transport ends the wait. Blocks. */
hp_drive hp_drive_pause(hp_exchange *ex, const hp_driver *driver, hp_ns until,
                        hp_err *err);

/* Body bytes after transfer decoding, and content decoding if the request
 * asked for it and `raw` is false (do not mix raw and decoded reads on one
 * exchange that decodes: HP_E_INVALID_ARGUMENT). DONE with *got == 0 is the
 * end (cap > 0); fewer than `cap` are not. Bytes come first: whatever else
 * there is to say after some bytes (HP_DRIVE_BODY, an error) is said by the
 * next call, so *got is 0 unless DONE. Errors are sticky. Blocks. */
hp_drive hp_drive_read(hp_exchange *ex, const hp_driver *driver, void *buf,
                       size_t cap, hp_read_how how, bool raw, size_t *got,
                       hp_err *err);

/* The answer to HP_DRIVE_BODY: the next piece, borrowed until the next
 * HP_DRIVE_BODY, HP_DRIVE_REWIND or the free; n == 0 ends the body. 0, or -1
 * with *err HP_E_LOCAL_PROTOCOL (the exchange has failed then). */
int hp_exchange_feed(hp_exchange *ex, const void *ptr, size_t n, hp_err *err);
void hp_exchange_rewound(hp_exchange *ex);
/* The producer raised: the connection is closed, no terminating chunk sent. */
void hp_exchange_fail_source(hp_exchange *ex);
/* Somebody who was called between two drives says stop: as if on_interrupt had,
 * in a drive. */
void hp_exchange_interrupt(hp_exchange *ex);

/* What HP_DRIVE_DIAL asks for. */
typedef struct hp_dial_wanted {
    hp_span host; /* the proxy's, if there is one; lower case, v6 without
                     brackets; the exchange's */
    uint16_t port;
    hp_ns timeout; /* of what is left of connect and total, the shorter; above
                      0; HP_NO_LIMIT: none */
} hp_dial_wanted;

/* False: nothing is asked for any more; the next drive says why. */
bool hp_exchange_dial_wanted(hp_exchange *ex, hp_dial_wanted *out);

/* Takes a connected stream socket; it is made non-blocking, and TLS, if any, is
 * up to the exchange. When another connection came back meanwhile, that one is
 * used and this one is kept for others. */
void hp_exchange_give_socket(hp_exchange *ex, int fd);

/* There is none. Unless a connection came back meanwhile the next drive ends
 * with HP_E_DIAL; `at_once`: in any case. With EMFILE or ENFILE an idle
 * connection is closed, and HP_DRIVE_DIAL comes once more. */
void hp_exchange_fail_dial(hp_exchange *ex, int sys_errno, bool at_once);

/* From now on as with HP_TRACE_EVENTS, for an exchange that has answered
 * HP_DRIVE_CONNECTS: request_start is told with its time. `url` is the
 * request's. No-op for one that is traced. 0, or -1 with *err HP_E_NOMEM. */
int hp_exchange_listen(hp_exchange *ex, hp_span url, hp_err *err);

/* What happened since they were last taken, see hp_events_take; only an
 * exchange with HP_TRACE_EVENTS has any. Whatever a drive or a close answers,
 * there may be some. Any thread; never blocks. */
hp_event *hp_exchange_take_events(hp_exchange *ex, uint64_t *dropped);

/* What its events call it, and the connection of its last attempt: 0 for one
 * that is not traced, or has had none. */
void hp_exchange_traced_as(const hp_exchange *ex, uint64_t *request,
                           uint64_t *conn);

/* ---- the answer -------------------------------------------------------- */

/* Valid after HP_DRIVE_DONE of hp_drive_head, until the exchange is freed. */
const hp_head *hp_exchange_head(const hp_exchange *ex);
hp_span hp_exchange_reason(const hp_exchange *ex);
hp_span hp_exchange_fields(const hp_exchange *ex);   /* for hp_field_next */
hp_span hp_exchange_trailers(const hp_exchange *ex); /* after the end */
/* Bytes still to come before decoding; -1 = unknown; 0 = ended. */
int64_t hp_exchange_left(const hp_exchange *ex);
/* Bytes that reads have taken, counted before decoding. */
int64_t hp_exchange_taken(const hp_exchange *ex);
/* Content decoding is in effect: sizes of reads cannot be known. */
bool hp_exchange_decodes(const hp_exchange *ex);
bool hp_exchange_ended(const hp_exchange *ex); /* end of body seen */
bool hp_exchange_is_upgraded(const hp_exchange *ex);

typedef struct hp_timings { /* hp_clock_now() readings; 0 = did not happen */
    hp_ns started;          /* hp_exchange_new */
    hp_ns queued;           /* began to wait for a slot */
    hp_ns acquired;         /* has a connection, ready to send */
    hp_ns resolved, connected, secured; /* of the dial it waited for */
    hp_ns sent; /* last byte of the request taken by the kernel */
    hp_ns first_byte;
    hp_ns head;  /* final head complete */
    hp_ns ended; /* end of body */
} hp_timings;

typedef struct hp_conn_facts {
    uint64_t conn_id; /* 0: never had one */
    bool reused;      /* served a request before, or was handed over */
    bool was_idle;
    hp_ns idle_time;            /* how long, when was_idle */
    hp_ns age;                  /* since it was connected, when acquired */
    uint64_t requests;          /* on this connection, including this one */
    const char *remote, *local; /* "127.0.0.1:80" */
    const char *tls_version, *tls_cipher, *alpn; /* "" for plain */
    bool tls_resumed;
    unsigned attempts;       /* 1 + replays */
    const char *key;         /* pool key: "|http|example.com:80" */
    const char *proxy;       /* "http://proxy:3128"; "" for none */
    hp_span proxy_lines;     /* header fields of its answer to CONNECT, to the
                                one that failed last or is used; NULL: none */
    hp_close_reason release; /* HP_KEEP: kept; else why not; valid when the
                                connection was given up */
    bool released;
    hp_replay_refusal refusal; /* the request was lost and not sent again */
} hp_conn_facts;

/* Of one that failed with HP_E_POOL_TIMEOUT or HP_E_QUEUE_FULL; else NULL.
 * Lives as long as the exchange. */
const hp_shortage *hp_exchange_shortage(const hp_exchange *ex);

void hp_exchange_timings(const hp_exchange *ex, hp_timings *out);
/* Strings live as long as the exchange. */
void hp_exchange_facts(const hp_exchange *ex, hp_conn_facts *out);

/* ---- the end ----------------------------------------------------------- */

/* What is still to come has to come within `limit` from now, whatever the
 * timeouts say: HP_E_TOTAL_TIMEOUT. No drive may be under way. */
void hp_exchange_hurry(hp_exchange *ex, hp_ns limit);

/* Gives the connection back: at the end of the body already done; before it,
 * by taking what the kernel holds (at most 64 KiB), then by the keeper's drain
 * if the rest fits the budget, else by closing. Never blocks. From another
 * thread, while a drive is under way, it ends that drive with HP_E_CLOSED at
 * once. Later reads are HP_E_CLOSED. Idempotent. */
void hp_exchange_close(hp_exchange *ex);

/* The response object was collected without end or close: counts a leak.
 * False: the connection is that of the parent of a fork, and nothing is lost.
 */
bool hp_exchange_mark_leaked(hp_exchange *ex);

/* What a snapshot says of this exchange; the text lives as long as it does.
 * False: it holds no connection. No drive may be under way. */
bool hp_exchange_holder(const hp_exchange *ex, hp_holder *out);

/* Closes if need be. No drive may be under way. Never blocks. NULL is fine. */
void hp_exchange_free(hp_exchange *ex);

/* ---- upgraded connections (101, CONNECT) ------------------------------- */

typedef struct hp_upgraded hp_upgraded;

/* Hands the connection out, once; bytes that came with the head are read
 * first. It counts for no limit any more. One thread may receive while another
 * sends. NULL with *err HP_E_INVALID_ARGUMENT
 * (not upgraded, or taken before). */
hp_upgraded *hp_exchange_take_upgraded(hp_exchange *ex, hp_err *err);
/* timeout: longest silence, negative = none. DONE with *got == 0 is EOF. */
hp_drive hp_upgraded_recv(hp_upgraded *u, const hp_driver *driver,
                          hp_ns timeout, void *buf, size_t cap, size_t *got,
                          hp_err *err);
hp_drive hp_upgraded_sendall(hp_upgraded *u, const hp_driver *driver,
                             hp_ns timeout, const void *buf, size_t n,
                             hp_err *err);
/* No more will be sent: FIN (plain) or close_notify (TLS). */
void hp_upgraded_shutdown(hp_upgraded *u);
int hp_upgraded_fileno(const hp_upgraded *u);
void hp_upgraded_free(hp_upgraded *u); /* closes; never blocks */

/* ---- for tests --------------------------------------------------------- */

uint64_t hp_resolve_lookups(void);

#endif
