/* tls_gate: no fork while a thread is inside OpenSSL.
 *
 * OpenSSL has locks of its own, for tables of algorithms, certificate stores
 * and the like, and no way to have them taken around a fork: a child born while
 * another thread held one would wait for it for ever. So every call into
 * OpenSSL that may lock stands between enter and leave, and a fork waits until
 * nobody is inside. That is a matter of a handshake's arithmetic, or of an
 * SSL_CTX being built: nothing inside waits for the network. Only files may
 * keep somebody there, on a disk that hangs; so a fork waits two seconds at
 * most, and then takes its chance.
 *
 * Visits may be nested. The outermost one may wait until a fork is over, so it
 * begins under no lock of ours; inside, leaves may be taken. It costs two
 * atomic operations.
 */
#ifndef HP_NET_TLS_GATE_H
#define HP_NET_TLS_GATE_H

#include <stdbool.h>

void hp_tls_enter(void);
void hp_tls_leave(void);

/* Registers the fork hooks. Idempotent, any thread; before the first visit. 0,
 * or -1: out of memory. */
int hp_tls_gate_init(void);

/* Tests: a fork waits, or is under way. */
bool hp_tls_gate_is_closed(void);

/* Tests: threads inside. */
unsigned hp_tls_gate_inside(void);

#endif
