/* short_lived: the client-per-request trap. A client that is made for a request
 * or two takes its connections with it, and the next one dials anew.
 *
 * A table for the whole process: which hosts had transports that were closed
 * after a few requests, soon after one another. Bounded: of the hosts beyond
 * HP_SHORT_LIVED_HOSTS the one longest without such a transport is forgotten.
 *
 * Not locked: transport.c calls all of it under the registry's lock. */
#ifndef HP_RUN_SHORT_LIVED_H
#define HP_RUN_SHORT_LIVED_H

#include "hp.h"

/* A transport that began at `born` ends now (both hp_clock_idle()) and had this
 * to count. It is noted if it is short-lived: no more requests than
 * HP_SHORT_LIVED_REQUESTS. Allocates nothing. */
void hp_short_lived_note(const hp_stats *s, hp_ns born, hp_ns now);

/* See hp_process_short_lived. */
size_t hp_short_lived_list(hp_short_lived *out, hp_ns now);

void hp_short_lived_forget(void); /* in the child of a fork, and for tests */

#endif
