/* key: what makes two requests share a connection.
 *
 * The key is text, so that statistics, errors and tests can show it:
 *
 *   proxy|scheme|host:port[|tls=ID][|name=SERVER_NAME]
 *
 * Every option of client and request has its place here or a reason not to; a
 * test compares this list with the structs.
 *
 *   option                      place
 *   url scheme, host, port      in the key, case-folded, default port filled in
 *   tls (every field of it)     tls=ID, the id of the immutable setting
 *   server_name                 name=, when it differs from the host
 *   dns_ttl                     per transport, and a pool is of one transport
 *   max_header_bytes, limits    per transport
 *   proxy                       the first field; empty until proxies exist
 *   family, local_address, uds, resolve, sockopts
 *                               per transport (see hp_dial_spec); in the key
 *                               as soon as they can differ within one
 *   method, fields, source, timeouts, deadline, cancel, close, idempotent,
 *   decode, max_size, max_decoded_size
 *                               not in the key: they end with the request
 */
#ifndef HP_POOL_KEY_H
#define HP_POOL_KEY_H

#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "net/conn.h"
#include "wire/url.h"

typedef struct hp_key {
    hp_span text;
    uint64_t hash;
    /* What a new host record needs. Spans borrowed from the request. */
    hp_span host;
    uint16_t port;
    hp_tls *tls; /* borrowed; NULL for http */
    hp_span server_name;
    /* Tests only: the connection comes from here. */
    hp_stream *(*open_stream)(void *arg, hp_err *err);
    void *open_arg;
} hp_key;

/* Writes the text into `store` and fills *out; spans point into url, store and
 * server_name. 0, or -1 out of memory. */
int hp_key_make(hp_key *out, const hp_url *url, hp_tls *tls,
                hp_span server_name, hp_buf *store);

/* "example.com:80" out of "|http|example.com:80|tls=3", for texts. */
hp_span hp_key_address(hp_span key_text);

#endif
