/* request: writes a request head, refusing what must never reach the wire.
 * Pure but for the growth of the output buffer. RFC 9112 3, 5, 6.
 */
#ifndef HP_WIRE_REQUEST_H
#define HP_WIRE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

typedef struct hp_field {
    hp_span name, value;
} hp_field;

enum {
    HP_BODY_ABSENT = -1,        /* no body at all */
    HP_BODY_LENGTH_UNKNOWN = -2 /* chunked */
};

typedef struct hp_request_head {
    hp_span method;    /* "" means GET */
    hp_span target;    /* origin-form, or authority-form for CONNECT */
    hp_span authority; /* Host, unless fields hold one */
    const hp_field *fields;
    size_t n_fields;
    int64_t body_length; /* >= 0, HP_BODY_ABSENT or HP_BODY_LENGTH_UNKNOWN */
    bool close;          /* add "Connection: close" */
} hp_request_head;

/* What the written head says; decided in the same pass. */
typedef struct hp_request_facts {
    bool is_head, is_connect;
    bool replayable_method; /* GET HEAD OPTIONS TRACE */
    bool idempotency_key;   /* (X-)Idempotency-Key present */
    bool says_close;        /* Connection: close was written */
    bool wants_upgrade;     /* Connection: upgrade and Upgrade present */
    bool expects_continue;  /* Expect: 100-continue present and a body */
    bool chunked;           /* the body goes out chunked */
} hp_request_facts;

/* Appends the head to `out`: request line, Host (also when it came with the
 * fields), the fields in the order given (Connection: close merged, never
 * twice), Content-Length or Transfer-Encoding, empty line. POST, PUT and PATCH
 * without body get "Content-Length: 0". A present field named User-Agent with
 * an empty value is left out; an empty target is written as "/". 0, or -1 with
 * *err and nothing appended:
 *   HP_E_INVALID_METHOD  not a token
 *   HP_E_INVALID_HEADER  name not a token, control byte (all but HTAB) in a
 *                        value, Host missing, twice or not a host, Connection
 *                        not a list of tokens, framing fields that belie the
 *                        body, head longer than out->max. Names the field,
 *                        never the value.
 *   HP_E_INVALID_URL     anything but visible ASCII, or '#', in the target; no
 *                        target for CONNECT
 *   HP_E_NOMEM
 * Framing fields given by the caller: one Content-Length of digits equal to
 * body_length (0 when absent), or (with an unknown length) a Content-Length,
 * which then is the promise the body is held to; one Transfer-Encoding of
 * exactly "chunked" when the length is unknown. *promised is the length the
 * body must have: body_length, or the caller's promise, or -1 when chunked or
 * absent. Values are written trimmed. */
int hp_request_write(hp_buf *out, const hp_request_head *head,
                     hp_request_facts *facts, int64_t *promised, hp_err *err);

bool hp_is_token(hp_span s); /* RFC 9110 5.6.2 */

#endif
