/* url: an absolute http(s) URL to the parts a transport needs. Pure; reads no
 * byte beyond text.len; allocates nothing.
 *
 * One parse decides: resolver, Host, SNI and pool key all use these fields.
 */
#ifndef HP_WIRE_URL_H
#define HP_WIRE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

typedef struct hp_url {
    bool https;
    bool host_is_ipv6;
    bool host_is_ip;   /* v4 dotted quad or v6 */
    bool default_port; /* port is 80 for http, 443 for https */
    uint16_t port;
    hp_span userinfo;  /* between // and @, as given (not decoded), or empty */
    hp_span host;      /* lower case; v6 without brackets, with its zone */
    hp_span authority; /* for Host: host[:port unless default], v6 in brackets
                          and without zone */
    hp_span target;    /* origin-form: path[?query], starts with '/', percent-
                          encoded where RFC 3986 wants it; no fragment */
} hp_url;

/* Bytes of `store` that any URL of n bytes fits in. */
#define HP_URL_STORE_SIZE(n) (4 * (n) + 64)

/* Fills *out with spans into `store` (borrowed; at least
 * HP_URL_STORE_SIZE(text.len) bytes), except userinfo, which points into text.
 * 0, or -1 with *err:
 *   HP_E_MISSING_SCHEME      no "scheme:" at all ("example.com/x")
 *   HP_E_UNSUPPORTED_SCHEME  not http or https
 *   HP_E_NEEDS_IDNA          the host has bytes >= 0x80; *out->host is then
 *                            the raw host within text, for the caller to
 *                            encode
 *   HP_E_INVALID_URL         anything else; the text names what is wrong and
 *                            never shows userinfo or query
 *
 * Refused: control bytes and spaces in the authority, empty host, empty label
 * (a..b), labels starting or ending with '-', percent-encoding in the host, a
 * backslash before the path, hosts whose last label is numeric without being a
 * dotted quad (0x7f.1), port not 1-5 digits up to 65535 (an empty port means
 * the default), bad IPv6 literals, control bytes and DEL anywhere.
 * Encoded: space, bytes >= 0x80 and the other bytes RFC 3986 does not allow in
 * path and query; valid %XX stay as they are, a stray % becomes %25. */
int hp_url_parse(hp_span text, hp_url *out, char *store, hp_err *err);

/* Appends "host:port", v6 in brackets and with its zone. 0, or -1 as
 * hp_buf_add. */
int hp_url_add_address(const hp_url *url, hp_buf *out);

/* Appends what may be shown of a URL that hp_url_parse takes: all but userinfo,
 * query and fragment. 0, or -1 as hp_buf_add. */
int hp_url_public(hp_span text, hp_buf *out);

#endif
