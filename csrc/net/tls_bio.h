/* tls_bio: how OpenSSL reads and writes a stream: a BIO over it.
 *
 * What the stream answers is passed on as OpenSSL wants it, and noted for who
 * has to say afterwards what happened: OpenSSL itself does not tell a FIN from
 * an error, nor who failed. One user at a time, as of the SSL object above.
 */
#ifndef HP_NET_TLS_BIO_H
#define HP_NET_TLS_BIO_H

#include <stdbool.h>

#include <openssl/bio.h>

#include "base/err.h"
#include "net/stream.h"
#include "net/tls_impl.h" /* hp_tls_first */

typedef struct hp_tls_bio {
    hp_stream *lower; /* outlives it */
    /* what it may do in this call */
    hp_err *low;  /* where the lower stream may complain */
    int looks;    /* reads of the lower stream that are left */
    bool corked;  /* only what the lower stream has in memory */
    bool patient; /* the next read waits for bytes, outside the gate */
    /* what it has seen */
    bool failed;   /* in this call */
    bool eof;      /* the lower stream has ended, or was cut off */
    int sys_errno; /* of the lower stream when it failed, or 0 */
    hp_tls_first first;
} hp_tls_bio;

/* Over b->lower; all else of *b begins as zeroes, and *b outlives the BIO,
 * whose reference is the caller's. NULL: no memory. */
BIO *hp_tls_bio_new(hp_tls_bio *b);

/* Before each call into OpenSSL. *low is cleared, and valid until it returns.
 */
void hp_tls_bio_begin(hp_tls_bio *b, hp_err *low);

#endif
