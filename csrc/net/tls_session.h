/* tls_session: TLS sessions to resume, those of one pool key.
 *
 * A store must never serve two keys: who is checked, how, and as whom we
 * present ourselves are all settled by the key, and a resumed handshake checks
 * none of it again. A connection holds a reference of its own, because tickets
 * come while it is read, by whichever thread reads, perhaps after the pool's
 * record of its host is gone.
 */
#ifndef HP_NET_TLS_SESSION_H
#define HP_NET_TLS_SESSION_H

#include "net/stream.h"

typedef struct hp_sessions hp_sessions; /* reference-counted */

hp_sessions *hp_sessions_new(void); /* NULL: out of memory */
hp_sessions *hp_sessions_ref(hp_sessions *s);
void hp_sessions_unref(hp_sessions *s); /* NULL is fine */

/* Before the handshake of a TLS stream: offers the newest session of the store,
 * which takes it out, and puts there what the server hands out in return. */
void hp_tls_stream_resume(hp_stream *st, hp_sessions *s);

#endif
