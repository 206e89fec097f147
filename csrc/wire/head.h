/* head: response-head and trailer parser. RFC 9112 2.2, 4, 5.
 *
 * Takes any split of the input, allocates nothing, reads no byte beyond len.
 * The whole head is kept by the caller; fields are looked at again lazily with
 * hp_field_next().
 */
#ifndef HP_WIRE_HEAD_H
#define HP_WIRE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/span.h"
#include "wire/request.h" /* hp_field */

/* Why a head was refused. */
typedef enum hp_head_fault {
    HP_HEAD_OK = 0,
    HP_HEAD_NOT_HTTP,    /* does not start with HTTP/ */
    HP_HEAD_BAD_VERSION, /* not HTTP/1.<digit> */
    HP_HEAD_BAD_STATUS,  /* not three digits, or below 100 */
    HP_HEAD_BAD_REASON,  /* control bytes in the reason phrase */
    HP_HEAD_BARE_CR,
    HP_HEAD_BARE_LF,
    HP_HEAD_NUL,
    HP_HEAD_BAD_NAME, /* empty, not a token, or space before the colon */
    HP_HEAD_NO_COLON,
    HP_HEAD_BAD_VALUE,      /* control byte in a value */
    HP_HEAD_LEADING_FOLD,   /* first field line starts with white space */
    HP_HEAD_BAD_LENGTH,     /* Content-Length not digits, empty, too big */
    HP_HEAD_LENGTHS_DIFFER, /* also one number spelled in two ways */
    HP_HEAD_BAD_TRANSFER_ENCODING, /* not exactly one "chunked"; or empty
                                      members beside a Content-Length */
    HP_HEAD_TOO_MANY_FIELDS,
    HP_HEAD_FAULT_COUNT
} hp_head_fault;

/* Lower-case words with underscores: "bad_name". Static storage. */
const char *hp_head_fault_name(hp_head_fault f);

enum {
    HP_MAX_FIELDS = 5000
};

typedef struct hp_head {
    int status;                   /* 100 to 999 */
    int minor;                    /* the x of HTTP/1.x */
    size_t reason_at, reason_len; /* within the buffer that was parsed */
    size_t fields_at, fields_len; /* the field lines, for hp_field_next */
    int n_fields;
    /* what framing and reuse need, gathered while scanning */
    int64_t content_length; /* -1 when absent */
    bool has_transfer_encoding;
    bool chunked; /* "chunked" is among its codings; HTTP/1.1: the only one */
    bool connection_close, connection_keep_alive, connection_upgrade;
    bool has_upgrade;
    bool has_content_encoding;
    bool has_set_cookie, has_location; /* policy is entered only when needed */
    int32_t keep_alive_timeout_s; /* Keep-Alive: timeout=, -1 when absent */
    int32_t keep_alive_max;       /* Keep-Alive: max=, -1 when absent */
    hp_head_fault fault;          /* set when the result is -1 */
} hp_head;

/* Parses buf[0..len), of which buf[0..last_len) was seen by an earlier call
 * that returned 0: a slow sender costs a look at the new bytes, not a full
 * parse. (A fault in bytes that came bit by bit may thus be told only with the
 * end of the head; that it is not HTTP is told at once.) Every line must end
 * in CR LF. Folded lines are unfolded in place (CR LF WSP become three SP)
 * before anything is interpreted; nothing else is changed and no byte moves.
 * >0 bytes of the head with its empty line; 0 needs more; -1 refused: *err is
 * HP_E_REMOTE_PROTOCOL with words on what and where (byte offset or field
 * name), out->fault says which.
 * One or two empty lines before the status line are skipped (RFC 9112 2.2). */
ssize_t hp_head_parse(char *buf, size_t len, size_t last_len, hp_head *out,
                      hp_err *err);

/* The same for a trailer block (field lines and the empty line). Nothing in it
 * is interpreted. -1 is HP_E_CHUNKED. */
ssize_t hp_trailers_parse(char *buf, size_t len, size_t last_len, hp_err *err);

/* False for fields that frame, route or say how to read the content: in a
 * trailer they come too late to be obeyed, so they are left out. RFC 9110
 * 6.5.1. */
bool hp_trailer_allowed(hp_span name);

/* Iterates a block that the parser accepted: takes the next field off *rest,
 * false at the end. Values are trimmed. */
bool hp_field_next(hp_span *rest, hp_field *out);

#endif
