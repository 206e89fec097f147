/* answer: what a proxy said to CONNECT, kept for whoever asks later: the caller
 * who is refused, and those whose requests go through the tunnel. Immutable,
 * reference-counted. */
#ifndef HP_NET_ANSWER_H
#define HP_NET_ANSWER_H

#include "base/span.h"

typedef struct hp_answer hp_answer;

/* `lines` are copied: header fields as hp_field_next takes them. NULL: no
 * memory. */
hp_answer *hp_answer_new(int status, hp_span lines);
hp_answer *hp_answer_ref(hp_answer *a);
void hp_answer_unref(hp_answer *a); /* NULL is fine */

int hp_answer_status(const hp_answer *a);
hp_span hp_answer_lines(const hp_answer *a);

#endif
