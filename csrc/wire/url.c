#include "wire/url.h"

#include <stdio.h>

/* No texts here quote the URL: a misplaced slash or colon makes a password
 * look like a port or a path. */
static int
refuse(hp_err *err, const char *what)
{
    return hp_err_set(err, HP_E_INVALID_URL, "invalid URL: %s", what);
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_unreserved(char c)
{
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

/* pchar and the delimiters of path and query, RFC 3986 3.3 and 3.4; without
 * '%', which depends on what follows. */
static bool
is_target_char(char c)
{
    static const char others[] = "/?:@!$&'()*+,;=";
    return is_unreserved(c) || memchr(others, c, sizeof others - 1) != NULL;
}

static hp_span
tail(hp_span s, size_t from)
{
    return hp_span_of(s.ptr + from, s.len - from);
}

/* Where c first stands in s, or s.len. */
static size_t
find(hp_span s, char c)
{
    const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return p ? (size_t)(p - s.ptr) : s.len;
}

/* A LF in the fragment never gets near the wire either, but a URL that holds
 * one was glued together from something that should not be trusted. */
static bool
has_control(hp_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
            return true;
    }
    return false;
}

/* Length of the scheme before ':', 0 when there is none. RFC 3986 3.1. */
static size_t
scheme_len(hp_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == ':')
            return i;
        bool inner = is_digit(c) || c == '+' || c == '-' || c == '.';
        if (!is_alpha(c) && !(i > 0 && inner))
            return 0;
    }
    return 0;
}

static bool
starts_with_slashes(hp_span s)
{
    return s.len >= 2 && s.ptr[0] == '/' && s.ptr[1] == '/';
}

/* Takes "scheme://" off *rest. */
static int
take_scheme(hp_span *rest, hp_url *out, hp_err *err)
{
    size_t n = scheme_len(*rest);
    if (n == 0)
        return hp_err_set(err, HP_E_MISSING_SCHEME,
                          "the URL does not start with http:// or https://");
    hp_span scheme = hp_span_of(rest->ptr, n);
    *rest = tail(*rest, n + 1);
    out->https = hp_span_eq_nocase(scheme, HP_SPAN_LIT("https"));
    if (!out->https && !hp_span_eq_nocase(scheme, HP_SPAN_LIT("http"))) {
        /* Without slashes this may be the user of "user:password@host". */
        if (n > 20 || !starts_with_slashes(*rest))
            scheme.len = 0;
        return hp_err_set(err, HP_E_UNSUPPORTED_SCHEME,
                          "only http and https URLs are supported%s%.*s",
                          scheme.len ? ", not " : "", (int)scheme.len,
                          scheme.ptr);
    }
    if (!starts_with_slashes(*rest))
        return refuse(err, "no // after the scheme");
    *rest = tail(*rest, 2);
    return 0;
}

/* Takes the authority off *rest, RFC 3986 3.2; what stays is path, query and
 * fragment. */
static int
take_authority(hp_span *rest, hp_span *authority, hp_err *err)
{
    size_t n = 0;
    for (; n < rest->len; n++) {
        char c = rest->ptr[n];
        if (c == '/' || c == '?' || c == '#')
            break;
        if (c == ' ')
            return refuse(err, "space in the authority");
        /* Browsers take it for a slash, others for a part of the name. */
        if (c == '\\')
            return refuse(err, "backslash in the authority");
    }
    *authority = hp_span_of(rest->ptr, n);
    *rest = tail(*rest, n);
    return 0;
}

/* The last '@' divides: passwords hold raw ones, hosts never do. */
static hp_span
take_userinfo(hp_span *authority)
{
    for (size_t n = authority->len; n-- > 0;) {
        if (authority->ptr[n] == '@') {
            hp_span userinfo = hp_span_of(authority->ptr, n);
            *authority = tail(*authority, n + 1);
            return userinfo;
        }
    }
    return hp_span_of(authority->ptr, 0);
}

/* Empty means the default (RFC 3986 6.2.3). Leading zeros are harmless: only
 * the number is ever written out. */
static int
parse_port(hp_span s, hp_url *out, hp_err *err)
{
    uint16_t usual = out->https ? 443 : 80;
    uint32_t port = 0;
    if (s.len > 5)
        return refuse(err, "the port has more than five digits");
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return refuse(err, "the port is not a number");
        port = port * 10 + (uint32_t)(s.ptr[i] - '0');
    }
    if (port > 65535)
        return refuse(err, "the port is above 65535");
    out->port = s.len ? (uint16_t)port : usual;
    out->default_port = out->port == usual;
    return 0;
}

/* Splits "host[:port]" and parses the port; the host keeps no brackets. */
static int
split_port(hp_span authority, hp_span *host, hp_url *out, hp_err *err)
{
    out->host_is_ipv6 = authority.len > 0 && authority.ptr[0] == '[';
    size_t n;
    if (out->host_is_ipv6) {
        n = find(authority, ']');
        if (n == authority.len)
            return refuse(err, "[ without ]");
        *host = hp_span_of(authority.ptr + 1, n - 1);
        n++;
    } else {
        n = find(authority, ':');
        *host = hp_span_of(authority.ptr, n);
    }
    hp_span port = tail(authority, n);
    if (port.len > 0 && port.ptr[0] != ':')
        return refuse(err, "bytes between ] and the port");
    return parse_port(port.len ? tail(port, 1) : port, out, err);
}

/* One number of a dotted quad: 0 to 255, no leading zero (some read octal).
 * Its length, or 0. */
static size_t
quad_part(hp_span s)
{
    size_t n = 0;
    int value = 0;
    while (n < s.len && n < 4 && is_digit(s.ptr[n]))
        value = value * 10 + (s.ptr[n++] - '0');
    bool leading_zero = n > 1 && s.ptr[0] == '0';
    return n > 3 || value > 255 || leading_zero ? 0 : n;
}

static bool
is_quad(hp_span s)
{
    for (int part = 0; part < 4; part++) {
        size_t n = quad_part(s);
        if (n == 0)
            return false;
        s = tail(s, n);
        if (part == 3)
            break;
        if (s.len == 0 || s.ptr[0] != '.')
            return false;
        s = tail(s, 1);
    }
    return s.len == 0;
}

/* Takes "::" off *s. */
static bool
take_gap(hp_span *s)
{
    if (s->len < 2 || s->ptr[0] != ':' || s->ptr[1] != ':')
        return false;
    *s = tail(*s, 2);
    return true;
}

/* IPv6address of RFC 3986 3.2.2, without zone. */
static bool
is_ipv6(hp_span s)
{
    int groups = 0;
    bool gap = take_gap(&s);
    bool expect = !gap; /* another group has to follow */
    while (s.len > 0) {
        size_t n = 0;
        while (n < s.len && n < 5 && is_hex(s.ptr[n]))
            n++;
        if (n < s.len && s.ptr[n] == '.') {
            groups += 2;
            return is_quad(s) && (gap ? groups <= 7 : groups == 8);
        }
        if (n == 0 || n > 4)
            return false;
        groups++;
        s = tail(s, n);
        expect = false;
        if (!gap && take_gap(&s)) {
            gap = true;
        } else if (s.len > 0) {
            if (s.ptr[0] != ':')
                return false;
            s = tail(s, 1);
            expect = true;
        }
    }
    return !expect && (gap ? groups <= 7 : groups == 8);
}

/* Divides "address%zone". "%25" is what RFC 6874 wants, a bare '%' is what
 * people paste. */
static bool
split_zone(hp_span literal, hp_span *address, hp_span *zone)
{
    size_t n = find(literal, '%');
    *address = hp_span_of(literal.ptr, n);
    *zone = tail(literal, n);
    if (zone->len == 0)
        return true;
    bool encoded = zone->len >= 3 && memcmp(zone->ptr, "%25", 3) == 0;
    *zone = tail(*zone, encoded ? 3 : 1);
    for (size_t i = 0; i < zone->len; i++) {
        if (!is_unreserved(zone->ptr[i]))
            return false;
    }
    return zone->len > 0;
}

/* Some resolvers read 0x7f.1 or 127.1 as 127.0.0.1, others ask the DNS; so
 * whatever could be taken for a number must be an unmistakable address. */
static bool
is_numeric(hp_span label)
{
    bool hex = label.len >= 2 && label.ptr[0] == '0' &&
               hp_ascii_lower(label.ptr[1]) == 'x';
    for (size_t i = hex ? 2 : 0; i < label.len; i++) {
        if (!(hex ? is_hex(label.ptr[i]) : is_digit(label.ptr[i])))
            return false;
    }
    return true;
}

/* NULL, or what is wrong with a label. Letters, digits and hyphens of RFC
 * 1123 2.1, and '_', which private zones use. */
static const char *
label_fault(hp_span label)
{
    if (label.len == 0)
        return "empty label in the host";
    if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return "a label of the host starts or ends with '-'";
    for (size_t i = 0; i < label.len; i++) {
        char c = label.ptr[i];
        if (c == '%')
            return "percent-encoding in the host";
        if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '_')
            return "a character that no host name has";
    }
    return NULL;
}

static int
check_name(hp_span host, hp_url *out, hp_err *err)
{
    if (host.len == 0)
        return refuse(err, "no host");
    out->host_is_ip = is_quad(host);
    if (out->host_is_ip)
        return 0;
    /* One trailing dot marks a fully qualified name, and stays. */
    hp_span rest = host;
    if (rest.len > 1 && rest.ptr[rest.len - 1] == '.')
        rest.len--;
    for (;;) {
        hp_span label = hp_span_of(rest.ptr, find(rest, '.'));
        const char *fault = label_fault(label);
        if (fault)
            return refuse(err, fault);
        if (label.len < rest.len) {
            rest = tail(rest, label.len + 1);
            continue;
        }
        if (is_numeric(label))
            return refuse(err, "the host is neither a name nor an address");
        return 0;
    }
}

static bool
is_ascii(hp_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    }
    return true;
}

static char *
put(char *at, hp_span s)
{
    if (s.len)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}

static char *
put_lower(char *at, hp_span s)
{
    for (size_t i = 0; i < s.len; i++)
        *at++ = hp_ascii_lower(s.ptr[i]);
    return at;
}

static char *
put_port(char *at, uint16_t port)
{
    char digits[5];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + port % 10);
        port /= 10;
    } while (port > 0);
    *at++ = ':';
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

static char *
put_escaped(char *at, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    *at++ = '%';
    *at++ = hex[c >> 4];
    *at++ = hex[c & 15];
    return at;
}

/* Escapes that are there stay untouched: decoding and encoding them again
 * would change what the URL means (RFC 3986 2.4). */
static char *
put_target(char *at, hp_span s)
{
    /* RFC 9112 3.2.1: an empty path is sent as "/" */
    if (s.len == 0 || s.ptr[0] != '/')
        *at++ = '/';
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool escape = c == '%' && s.len - i > 2 && is_hex(s.ptr[i + 1]) &&
                      is_hex(s.ptr[i + 2]);
        if (escape || is_target_char(c))
            *at++ = c;
        else
            at = put_escaped(at, (unsigned char)c);
    }
    return at;
}

/* The zone names an interface of this machine: its case counts, and it does
 * not concern the server (RFC 6874 4). */
static int
put_ipv6(char **at, hp_span literal, hp_url *out, hp_err *err)
{
    hp_span address, zone;
    if (!split_zone(literal, &address, &zone))
        return refuse(err, "malformed zone of an IPv6 address");
    if (!is_ipv6(address))
        return refuse(err, "malformed IPv6 address");
    out->host_is_ip = true;
    char *start = *at;
    *at = put_lower(start, address);
    if (zone.len) {
        *(*at)++ = '%';
        *at = put(*at, zone);
    }
    out->host = hp_span_of(start, (size_t)(*at - start));
    start = *at;
    *(*at)++ = '[';
    *at = put_lower(*at, address);
    *(*at)++ = ']';
    out->authority = hp_span_of(start, (size_t)(*at - start));
    return 0;
}

static int
put_name(char **at, hp_span host, hp_url *out, hp_err *err)
{
    if (!is_ascii(host)) {
        out->host = host;
        return hp_err_set(err, HP_E_NEEDS_IDNA, "the host is not ASCII");
    }
    if (check_name(host, out, err) != 0)
        return -1;
    char *start = *at;
    *at = put_lower(start, host);
    out->host = out->authority = hp_span_of(start, host.len);
    /* A second copy only where a port has to stand behind it. */
    if (!out->default_port) {
        start = *at;
        *at = put(start, out->host);
        out->authority = hp_span_of(start, host.len);
    }
    return 0;
}

int
hp_url_parse(hp_span text, hp_url *out, char *store, hp_err *err)
{
    *out = (hp_url){0};
    if (has_control(text))
        return refuse(err, "control byte");
    hp_span rest = text, authority = {0}, host = {0};
    if (take_scheme(&rest, out, err) != 0 ||
        take_authority(&rest, &authority, err) != 0)
        return -1;
    out->userinfo = take_userinfo(&authority);
    if (split_port(authority, &host, out, err) != 0)
        return -1;
    char *at = store;
    if ((out->host_is_ipv6 ? put_ipv6 : put_name)(&at, host, out, err) != 0)
        return -1;
    if (!out->default_port) {
        char *end = put_port(at, out->port);
        out->authority.len += (size_t)(end - at);
        at = end;
    }
    rest.len = find(rest, '#'); /* RFC 9110 7.1: never sent */
    out->target = hp_span_of(at, (size_t)(put_target(at, rest) - at));
    return 0;
}

/* ---- showing ---- */

int
hp_url_add_address(const hp_url *url, hp_buf *out)
{
    char port[8];
    snprintf(port, sizeof port, ":%u", (unsigned)url->port);
    return hp_buf_add_cstr(out, url->host_is_ipv6 ? "[" : "") |
           hp_buf_add_span(out, url->host) |
           hp_buf_add_cstr(out, url->host_is_ipv6 ? "]" : "") |
           hp_buf_add_cstr(out, port);
}

int
hp_url_public(hp_span text, hp_buf *out)
{
    hp_url url;
    hp_err err = {0};
    hp_span rest = text, authority = {0};
    if (take_scheme(&rest, &url, &err) != 0 ||
        take_authority(&rest, &authority, &err) != 0)
        return 0;
    take_userinfo(&authority);
    rest.len = find(rest, '#');
    rest.len = find(rest, '?');
    if (hp_buf_add_cstr(out, url.https ? "https://" : "http://") != 0 ||
        hp_buf_add_span(out, authority) != 0)
        return -1;
    return hp_buf_add_span(out, rest);
}
