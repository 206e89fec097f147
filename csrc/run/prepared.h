/* prepared: all that depends on method, URL, fields, proxy, TLS setting and
 * body length alone: the written head, the pool key, the label. Immutable and
 * reference-counted. A transport remembers the last few, so that a URL asked
 * for again is neither parsed nor written again.
 */
#ifndef HP_RUN_PREPARED_H
#define HP_RUN_PREPARED_H

#include <stdatomic.h>

#include "base/lock.h"
#include "hp.h"
#include "pool/key.h"

typedef struct hp_prepared {
    atomic_int refs;
    hp_request_facts facts;
    int64_t promised; /* see hp_request_write */
    hp_span head;
    hp_key key;      /* its text ends in NUL; holds references to key.tls and
                        key.proxy */
    hp_span address; /* "example.com:80", of the URL */
    hp_span method, path; /* within head; path without query */
    /* what it was made from */
    hp_proxy *proxy_given;         /* a reference */
    hp_span connect_authorization; /* for CONNECT alone; NULL: the setting's */
    hp_span url, server_name, method_given;
    uint64_t fields_id;
    bool has_proxies, close;
} hp_prepared; /* the bytes follow */

enum {
    HP_PREPARED_SLOTS = 32
};

typedef struct hp_prepared_cache {
    hp_mutex mu;                           /* a leaf */
    hp_prepared *slots[HP_PREPARED_SLOTS]; /* references */
} hp_prepared_cache;

void hp_prepared_cache_init(hp_prepared_cache *c);
void hp_prepared_cache_free(hp_prepared_cache *c);

/* A new reference, remembered or made; NULL with *err as hp_exchange_new. */
hp_prepared *hp_prepared_get(hp_prepared_cache *c, const hp_request *r,
                             bool close, hp_err *err);
void hp_prepared_unref(hp_prepared *p); /* NULL is fine */

#endif
