/* err: what went wrong, where in the request, in words for a person.
 *
 * One hp_err travels with each operation. The first, most specific text wins:
 * setting an error that is already set changes nothing. Texts never hold a
 * password, a query's value, a header's value or more than a few bytes that
 * the peer sent.
 */
#ifndef HP_BASE_ERR_H
#define HP_BASE_ERR_H

#include <stdbool.h>

typedef enum hp_errc {
    HP_OK = 0,
    HP_E_NOMEM,
    /* what the caller gave us */
    HP_E_INVALID_URL,
    HP_E_MISSING_SCHEME,
    HP_E_UNSUPPORTED_SCHEME,
    HP_E_NEEDS_IDNA, /* host is not ASCII: encode it, then call again */
    HP_E_INVALID_METHOD,
    HP_E_INVALID_HEADER,
    HP_E_INVALID_ARGUMENT,
    HP_E_LOCAL_PROTOCOL, /* e.g. a body that belies its Content-Length */
    HP_E_BODY_SOURCE,    /* the caller's body producer failed; it knows why */
    /* before there is a connection */
    HP_E_QUEUE_FULL,
    HP_E_RESOLVE,
    HP_E_CONNECT,
    HP_E_DIAL, /* the caller's dial= failed; it knows why */
    HP_E_PROXY, /* not reached, or it refused; the text names it */
    HP_E_TLS,
    HP_E_TLS_CONFIG, /* unreadable CA file, key without certificate, ... */
    /* on the connection */
    HP_E_WRITE,
    HP_E_READ,
    HP_E_SERVER_DISCONNECTED, /* closed before the first byte; not replayed */
    HP_E_REMOTE_PROTOCOL,     /* malformed head */
    HP_E_HEADERS_TOO_LARGE,
    HP_E_CHUNKED,         /* malformed chunked framing or trailers */
    HP_E_INCOMPLETE_BODY, /* the body ended before its framing said so */
    HP_E_DECODING,        /* malformed gzip, deflate, br or zstd */
    HP_E_BODY_TOO_LARGE,  /* max_size or max_decoded_size exceeded */
    /* time */
    HP_E_POOL_TIMEOUT,
    HP_E_CONNECT_TIMEOUT,
    HP_E_TLS_TIMEOUT,
    HP_E_WRITE_TIMEOUT,
    HP_E_HEADER_TIMEOUT,
    HP_E_READ_TIMEOUT,
    HP_E_MIN_RATE,
    HP_E_TOTAL_TIMEOUT,
    /* will */
    HP_E_CANCELLED,
    HP_E_CLOSED,      /* client or response was closed */
    HP_E_INTERRUPTED, /* the driver's on_interrupt said stop */
    HP_E_BUSY,        /* another thread is inside this exchange */
    HP_E_FORKED,      /* the exchange belongs to the parent process */
    HP_ERRC_COUNT
} hp_errc;

typedef enum hp_phase {
    HP_PHASE_NONE = 0,
    HP_PHASE_POOL,    /* waiting for a connection */
    HP_PHASE_RESOLVE, /* looking up the host */
    HP_PHASE_CONNECT,
    HP_PHASE_PROXY, /* TLS with the proxy, and the tunnel through it */
    HP_PHASE_TLS,
    HP_PHASE_SEND,
    HP_PHASE_HEAD,
    HP_PHASE_BODY,
    HP_PHASE_COUNT
} hp_phase;

enum {
    HP_ERR_TEXT_MAX = 512
};

typedef struct hp_err {
    hp_errc code;
    hp_phase phase;
    int sys_errno; /* 0 when no system call was to blame */
    int status;    /* HP_E_PROXY: of the answer to CONNECT; 0: none came */
    char text[HP_ERR_TEXT_MAX];
} hp_err;

static inline void
hp_err_clear(hp_err *e)
{
    e->code = HP_OK;
    e->phase = HP_PHASE_NONE;
    e->sys_errno = e->status = 0;
    e->text[0] = '\0';
}

/* Sets code and text unless an error is set already. Always returns -1, so
 * that `return hp_err_set(...)` reads well. `e` may be NULL. */
int hp_err_set(hp_err *e, hp_errc code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, appending ": <text of sys_errno>". */
int hp_err_set_sys(hp_err *e, hp_errc code, int sys_errno, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Short lower-case names: "pool_timeout", "head". Static storage. */
const char *hp_errc_name(hp_errc code);
const char *hp_phase_name(hp_phase phase);

#endif
