#include "wire/framing.h"

/* RFC 9110 7.8, 15.2.2. Granted: the caller has the socket. Asked for and not
 * granted in full: a final response without a body. Not asked for at all: the
 * server talks to somebody else. */
static int
decide_101(const hp_head *head, const hp_request_facts *request,
           hp_framing *out, hp_err *err)
{
    if (!request->wants_upgrade)
        return hp_err_set(err, HP_E_REMOTE_PROTOCOL,
                          "101 Switching Protocols, but no upgrade was asked "
                          "for");
    bool granted = head->has_upgrade && head->connection_upgrade;
    out->kind = granted ? HP_BODY_TUNNEL : HP_BODY_NONE;
    out->verdict = granted ? HP_CLOSE_UPGRADED : HP_CLOSE_FINAL_1XX;
    return 0;
}

/* RFC 9112 6.3, in its order. */
static int
decide_body(const hp_head *head, const hp_request_facts *request,
            hp_framing *out, hp_err *err)
{
    if (request->is_head || head->status < 200 || head->status == 204 ||
        head->status == 304) {
        out->kind = HP_BODY_NONE;
    } else if (head->chunked && head->minor == 0) {
        /* RFC 9112 6.1: faulty framing. Read raw the caller would get chunk
         * sizes in the body; decoded, a 1.0 peer did not mean it. Any other
         * coding on 1.0 is ignored, as Go does. */
        return hp_err_set(err, HP_E_REMOTE_PROTOCOL,
                          "chunked response in HTTP/1.0");
    } else if (head->chunked) {
        out->kind = HP_BODY_CHUNKED;
    } else if (head->content_length >= 0) {
        out->kind = HP_BODY_LENGTH;
        out->length = head->content_length;
    } else {
        out->kind = HP_BODY_UNTIL_CLOSE;
    }
    return 0;
}

/* The disqualifiers, one line each. RFC 9112 9.3; Go contract 4.2. */
static hp_close_reason
judge(const hp_head *head, const hp_request_facts *request, hp_body_kind kind)
{
    if (head->connection_close)
        return HP_CLOSE_RESPONSE_SAYS_CLOSE;
    if (request->says_close)
        return HP_CLOSE_REQUEST_SAYS_CLOSE;
    if (head->status < 200)
        return HP_CLOSE_FINAL_1XX;
    if (head->minor == 0 && head->has_transfer_encoding)
        return HP_CLOSE_TE_ON_HTTP10;
    if (head->minor == 0 && !head->connection_keep_alive)
        return HP_CLOSE_HTTP10;
    if (kind == HP_BODY_UNTIL_CLOSE)
        return HP_CLOSE_UNTIL_CLOSE_BODY;
    /* RFC 9112 6.1: smells of smuggling, even where chunked is clear. */
    if (kind == HP_BODY_CHUNKED && head->content_length >= 0)
        return HP_CLOSE_LENGTH_AND_CHUNKED;
    return HP_KEEP;
}

int
hp_framing_decide(const hp_head *head, const hp_request_facts *request,
                  hp_framing *out, hp_err *err)
{
    *out = (hp_framing){.kind = HP_BODY_NONE, .length = -1};
    if (head->status == 101)
        return decide_101(head, request, out, err);
    /* RFC 9112 6.3 item 2: before 204 and whatever the fields say. */
    if (request->is_connect && head->status >= 200 && head->status < 300) {
        out->kind = HP_BODY_TUNNEL;
        out->verdict = HP_CLOSE_UPGRADED;
        return 0;
    }
    if (decide_body(head, request, out, err) != 0)
        return -1;
    out->verdict = judge(head, request, out->kind);
    return 0;
}
