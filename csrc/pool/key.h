/* key: what makes two requests share a connection.
 *
 * The key is text, so that statistics, errors and tests can show it:
 *
 *   [proxy#ID]|scheme|[host:port][|tls=ID][|name=SERVER_NAME]
 *
 * Every option has its place here or a reason not to have one: each field of
 * hp_transport_config, hp_dial_options, hp_request and hp_dial_spec, and each
 * keyword of Client() and its verbs. tests/test_key_table.py holds this table
 * against them; an option that is missing here would let requests share a
 * connection that they must not share.
 *
 *   url, base_url             scheme, host and port are in the key, in lower
 *   host, port,               case and with the default port; the rest of it
 *   target_host, target_port  is said on the connection. Without host and port
 *                             if a proxy forwards the requests: its connections
 *                             serve every host
 *   proxy, proxies,           scheme, host and port of the proxy and the id of
 *   trust_env                 the immutable setting: who we are for it, what
 *                             headers it is sent, how TLS is spoken to it
 *   tls, verify, cert,        tls=ID, the id of the immutable setting; its
 *   sessions, proxy_sessions  sessions are of one key
 *   server_name               name=, when it differs from the host
 *   dial                      per transport, and a pool is of one transport,
 *   family, uds,              so no two connections of a pool differ in these;
 *   local_address, dns_ttl,   the addresses of resolve= go by host and port,
 *   sockopts, overrides,      which are in the key. In the key as soon as they
 *   resolve, socket_options,  can differ within a transport
 *   custom_dial,
 *   target_resolve
 *   limits, max_header_bytes, per transport
 *   max_connect_head
 *   open_stream, open_arg     tests only
 *   method, target, params,   not in the key: they end with the request
 *   fields, fields_id,
 *   headers, has_proxies,
 *   source, data, content,
 *   json, timeouts, timeout,
 *   deadline, since, cancel,
 *   close,
 *   idempotent, decode,
 *   decompress, max_size,
 *   max_decoded_size, site,
 *   whole, trace, retries,
 *   no_stale_replay,
 *   announce_connect
 *   default_encoding, stream, not in the key: the core does not know them. What
 *   raise_for_status,         auth and cookies come to are headers, which are
 *   leak_warnings, auth,      said on the connection
 *   cookies, files, hooks,
 *   event_hooks, extensions,
 *   follow_redirects,
 *   allow_redirects,
 *   max_redirects,
 *   check_redirect,
 *   mounts, transport
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
    hp_span host; /* the target's; "": a proxy forwards to any */
    uint16_t port;
    hp_proxy *proxy; /* borrowed; NULL: direct */
    hp_tls *tls;     /* borrowed; NULL for http */
    hp_span server_name;
    /* Tests only: the connection comes from here. */
    hp_stream *(*open_stream)(void *arg, hp_err *err);
    void *open_arg;
} hp_key;

/* Writes the text into `store` and fills *out; spans point into url, store and
 * server_name. 0, or -1 out of memory. */
int hp_key_make(hp_key *out, const hp_url *url, hp_proxy *proxy, hp_tls *tls,
                hp_span server_name, hp_buf *store);

/* "example.com:80" out of "|http|example.com:80|tls=3", for texts; the proxy's
 * address if there is no other. */
hp_span hp_key_address(hp_span key_text);

#endif
