/* framing: how long is the body, and may the connection live on after it?
 * RFC 9112 6.3 and 9.3; Go contract 4.2 and 7.3. Pure. */
#ifndef HP_WIRE_FRAMING_H
#define HP_WIRE_FRAMING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/reason.h"
#include "wire/head.h"
#include "wire/request.h"

typedef enum hp_body_kind {
    HP_BODY_NONE,
    HP_BODY_LENGTH,
    HP_BODY_CHUNKED,
    HP_BODY_UNTIL_CLOSE,
    HP_BODY_TUNNEL /* 101 granted or CONNECT 2xx: the socket is the caller's */
} hp_body_kind;

typedef struct hp_framing {
    hp_body_kind kind;
    int64_t length;          /* for HP_BODY_LENGTH, else -1 */
    hp_close_reason verdict; /* HP_KEEP, or why not to keep the connection as
                                far as the two heads tell */
} hp_framing;

/* The verdict for a final response head. 0, or -1 with *err
 * (HP_E_REMOTE_PROTOCOL): a 101 to a request that asked for no upgrade, or a
 * chunked body in HTTP/1.0. A 101 that was asked for but lacks Upgrade or
 * "Connection: upgrade" is a final response without a body. */
int hp_framing_decide(const hp_head *head, const hp_request_facts *request,
                      hp_framing *out, hp_err *err);

/* True for a 1xx that is passed over (all but 101). */
static inline bool
hp_head_is_interim(const hp_head *head)
{
    return head->status < 200 && head->status != 101;
}

#endif
