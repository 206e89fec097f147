/* body: the framing machine. Raw bytes of the connection in, body bytes out,
 * in place; says when the message ends.
 *
 *   kind           ends
 *   NONE           at once
 *   LENGTH n       with the n-th byte
 *   CHUNKED        with the empty line after the trailers
 *   UNTIL_CLOSE    with EOF (hp_body_eof)
 *   TUNNEL         at once: what follows is not HTTP and not ours
 */
#ifndef HP_WIRE_BODY_H
#define HP_WIRE_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/chunked.h"
#include "wire/framing.h"

enum {
    HP_TRAILERS_MAX = 16384
};

typedef struct hp_body {
    hp_body_kind kind;
    bool ended;
    int64_t left; /* LENGTH: bytes still to come; else -1 */
    hp_chunked chunked;
    bool in_trailers;
    size_t trailers_seen; /* last_len for the trailer parser */
    hp_buf trailers;      /* once ended: the field lines, for hp_field_next,
                             less those hp_trailer_allowed() rules out; empty
                             if none. Allocates only when a trailer field
                             arrives. */
} hp_body;

void hp_body_init(hp_body *b, const hp_framing *f);
void hp_body_free(hp_body *b);

/* Feeds buf[0..*len): afterwards the first *len bytes of buf are body bytes
 * and *used says how many input bytes belonged to this message. Bytes beyond
 * the end stay unused: input length minus *used of them are left over, and
 * spoil the connection. b->ended tells the end. 0, or -1 with *err
 * (HP_E_CHUNKED, HP_E_NOMEM); the first *len bytes are body even then: they
 * came before the fault. Never called after the end or an error. */
int hp_body_feed(hp_body *b, char *buf, size_t *len, size_t *used, hp_err *err);

/* The peer sent EOF. 0: that was the end (UNTIL_CLOSE); -1 with *err
 * HP_E_INCOMPLETE_BODY, the text saying how much was missing. */
int hp_body_eof(hp_body *b, hp_err *err);

/* How many bytes a read may take without going past this message: exact for
 * LENGTH, 0 after the end, SIZE_MAX else. */
size_t hp_body_want(const hp_body *b);

#endif
