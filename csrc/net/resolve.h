/* resolve: host names to addresses, off the calling path.
 *
 * IP literals never use a thread. At most 16 short-lived resolver threads; one
 * flight per (host, family), shared by all who ask meanwhile; answers are
 * kept for `ttl`. A look-up that nobody waits for any more runs to its end in
 * its thread (getaddrinfo cannot be cancelled) and fills the cache. All
 * signals are blocked in the threads. After a fork the child starts afresh.
 */
#ifndef HP_NET_RESOLVE_H
#define HP_NET_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/waker.h"
#include "net/addrs.h"

typedef enum hp_resolve_source {
    HP_RESOLVED_LITERAL,
    HP_RESOLVED_CACHE,
    HP_RESOLVED_SHARED, /* joined a flight under way */
    HP_RESOLVED_LOOKUP  /* this caller started the look-up */
} hp_resolve_source;

typedef struct hp_resolve hp_resolve; /* one caller's interest */

/* Begins. `host` is NUL-terminated, a name or IP literal (v6 without brackets,
 * zone allowed); family AF_UNSPEC, AF_INET or AF_INET6; ttl in ns, 0 = do not
 * use or fill the cache. `waker` (may be NULL: poll by time) gets a reference
 * and is woken when the answer is there. NULL: *err HP_E_NOMEM or HP_E_RESOLVE
 * (no thread could be made). Never blocks. */
hp_resolve *hp_resolve_start(const char *host, int family, hp_ns ttl,
                             hp_waker *waker, hp_err *err);

/* Known from the start: whether it looks up at all. */
hp_resolve_source hp_resolve_how(const hp_resolve *r);

/* Another driver takes over (an orphaned dial goes to the keeper). */
void hp_resolve_set_waker(hp_resolve *r, hp_waker *waker);

/* 0: not yet. 1: *out is the answer, a new reference, *source how it came.
 * -1: *err HP_E_RESOLVE with getaddrinfo's words and the host. */
int hp_resolve_poll(hp_resolve *r, hp_addrs **out, hp_resolve_source *source,
                    hp_err *err);

/* Ends the interest, whatever the state. NULL is fine. */
void hp_resolve_free(hp_resolve *r);

/* Process-wide count of getaddrinfo calls made, for statistics and tests. */
uint64_t hp_resolve_lookups(void);
/* Forgets all cached answers. */
void hp_resolve_flush(void);

#endif
