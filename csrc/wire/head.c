/* One pass over the bytes: each step answers DONE, MORE or REFUSED, and notes
 * what framing and reuse will ask for while the line is in the cache.
 *
 * Strict where tolerance would give a message two readings (RFC 9112 11.1,
 * 11.2): CR LF is the only line end, although 2.2 would allow a bare LF;
 * names are tokens; values hold no control byte but HTAB. Tolerant where the
 * reading is clear and servers are known to do it: several SP before the
 * status code, no SP after it, folded values, a repeated equal Content-Length.
 */
#include "wire/head.h"

#include <assert.h>
#include <string.h>

enum {
    REFUSED = -1,
    MORE = 0,
    DONE = 1
};

typedef struct parser {
    char *buf, *p, *end;
    hp_head *head; /* NULL for trailers: nothing is noted then */
    hp_err *err;
    int n_fields;
    size_t length_digits; /* of the first Content-Length */
    int n_chunked;        /* "chunked" seen in Transfer-Encoding */
    bool other_coding, empty_coding;
} parser;

static const struct {
    const char *name, *words;
} faults[] = {
    [HP_HEAD_OK] = {"ok", "nothing wrong"},
    [HP_HEAD_NOT_HTTP] = {"not_http", "it does not start with HTTP/"},
    [HP_HEAD_BAD_VERSION] = {"bad_version", "the version is not HTTP/1.x"},
    [HP_HEAD_BAD_STATUS] = {"bad_status", "the status is not a code from 100"},
    [HP_HEAD_BAD_REASON] = {"bad_reason", "control byte in the reason"},
    [HP_HEAD_BARE_CR] = {"bare_cr", "CR without LF"},
    [HP_HEAD_BARE_LF] = {"bare_lf", "LF without CR"},
    [HP_HEAD_NUL] = {"nul", "NUL byte"},
    [HP_HEAD_BAD_NAME] = {"bad_name", "a field name is not a token"},
    [HP_HEAD_NO_COLON] = {"no_colon", "a field line has no colon"},
    [HP_HEAD_BAD_VALUE] = {"bad_value", "control byte in a field value"},
    [HP_HEAD_LEADING_FOLD] = {"leading_fold",
                              "the first field line starts with white space"},
    [HP_HEAD_BAD_LENGTH] = {"bad_length", "Content-Length is not a length"},
    [HP_HEAD_LENGTHS_DIFFER] = {"lengths_differ", "Content-Lengths differ"},
    [HP_HEAD_BAD_TRANSFER_ENCODING] = {"bad_transfer_encoding",
                                       "Transfer-Encoding is not \"chunked\""},
    [HP_HEAD_TOO_MANY_FIELDS] = {"too_many_fields", "too many fields"},
};
static_assert(sizeof(faults) / sizeof(*faults) == HP_HEAD_FAULT_COUNT,
              "every fault has a name");

const char *
hp_head_fault_name(hp_head_fault f)
{
    return faults[f].name;
}

static int
refuse(parser *ps, hp_head_fault fault, const char *at)
{
    if (ps->head)
        ps->head->fault = fault;
    hp_err_set(ps->err, ps->head ? HP_E_REMOTE_PROTOCOL : HP_E_CHUNKED,
               "malformed %s: %s (byte %zu)",
               ps->head ? "response head" : "trailers", faults[fault].words,
               (size_t)(at - ps->buf));
    return REFUSED;
}

/* ---- bytes ---- */

/* RFC 9110 5.6.2: one bit for each tchar. */
static const uint64_t tchars[2] = {UINT64_C(0x03ff6cfa00000000),
                                   UINT64_C(0x57ffffffc7fffffe)};

static inline bool
is_tchar(char c)
{
    unsigned char u = (unsigned char)c;
    return u < 128 && (tchars[u >> 6] >> (u & 63) & 1);
}

static inline bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool
is_ctl(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* The first control byte (HTAB is one) from p on, or end. Values are most of
 * a head, so eight bytes are tried at once; a word that has a control byte is
 * looked at byte by byte. */
static char *
skip_text(char *p, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    while (end - p >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        uint64_t del = w ^ ones * 0x7f;
        uint64_t found = ((w - ones * 0x20) & ~w) | ((del - ones) & ~del);
        if (found & ones * 0x80)
            break;
        p += 8;
    }
    while (p < end && !is_ctl(*p))
        p++;
    return p;
}

/* From p to the CR of its line's CR LF, which *cr then shows. */
static int
scan_text(parser *ps, char *p, hp_head_fault fault, char **cr)
{
    for (;;) {
        p = skip_text(p, ps->end);
        if (p == ps->end)
            return MORE;
        if (*p == '\t') {
            p++;
            continue;
        }
        if (*p != '\r')
            break;
        if (p + 1 == ps->end)
            return MORE;
        *cr = p;
        return p[1] == '\n' ? DONE : refuse(ps, HP_HEAD_BARE_CR, p);
    }
    if (*p == '\0')
        fault = HP_HEAD_NUL;
    else if (*p == '\n')
        fault = HP_HEAD_BARE_LF;
    return refuse(ps, fault, p);
}

/* The next member of a comma-separated list, trimmed and perhaps empty; an
 * empty value has one. *rest ends as NULL. RFC 9110 5.6.1. */
static bool
next_member(hp_span *rest, hp_span *member)
{
    if (rest->ptr == NULL)
        return false;
    const char *end = rest->ptr + rest->len;
    const char *comma = memchr(rest->ptr, ',', rest->len);
    const char *stop = comma ? comma : end;
    *member = hp_span_trim(hp_span_of(rest->ptr, (size_t)(stop - rest->ptr)));
    *rest = comma ? hp_span_of(comma + 1, (size_t)(end - comma - 1))
                  : hp_span_of(NULL, 0);
    return true;
}

static inline bool
is(hp_span s, const char *lower)
{
    return hp_span_eq_nocase(s, hp_span_cstr(lower));
}

/* Digits only, at least one, at most `max`: no sign, no space, no base, and
 * the overflow is seen before it happens. */
static bool
parse_number(hp_span s, int64_t max, int64_t *out)
{
    int64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return false;
        int digit = s.ptr[i] - '0';
        if (n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return s.len > 0;
}

/* ---- what the fields mean to framing and reuse ---- */

/* RFC 9112 6.3 item 5: a list of equal values is as good as one of them.
 * "030, 30" is refused: a peer that compares text would not agree. */
static int
note_length(parser *ps, hp_span value)
{
    hp_head *head = ps->head;
    const char *at = value.ptr;
    hp_span member;
    while (next_member(&value, &member)) {
        int64_t n;
        if (!parse_number(member, INT64_MAX, &n))
            return refuse(ps, HP_HEAD_BAD_LENGTH, at);
        if (head->content_length < 0) {
            head->content_length = n;
            ps->length_digits = member.len;
        } else if (head->content_length != n ||
                   ps->length_digits != member.len) {
            return refuse(ps, HP_HEAD_LENGTHS_DIFFER, at);
        }
    }
    return DONE;
}

static void
note_transfer_encoding(parser *ps, hp_span value)
{
    hp_span member;
    ps->head->has_transfer_encoding = true;
    while (next_member(&value, &member)) {
        if (member.len == 0)
            ps->empty_coding = true;
        else if (is(member, "chunked"))
            ps->n_chunked++;
        else
            ps->other_coding = true;
    }
}

static void
note_connection(hp_head *head, hp_span value)
{
    hp_span member;
    while (next_member(&value, &member)) {
        if (is(member, "close"))
            head->connection_close = true;
        else if (is(member, "keep-alive"))
            head->connection_keep_alive = true;
        else if (is(member, "upgrade"))
            head->connection_upgrade = true;
    }
}

/* "timeout=5, max=100". A hint only: what cannot be read is passed over. */
static void
note_keep_alive(hp_head *head, hp_span value)
{
    hp_span member;
    while (next_member(&value, &member)) {
        const char *eq = memchr(member.ptr, '=', member.len);
        if (eq == NULL)
            continue;
        size_t at = (size_t)(eq - member.ptr);
        hp_span name = hp_span_trim(hp_span_of(member.ptr, at));
        hp_span text = hp_span_trim(hp_span_of(eq + 1, member.len - at - 1));
        int64_t n;
        if (!parse_number(text, INT32_MAX, &n))
            continue;
        if (is(name, "timeout"))
            head->keep_alive_timeout_s = (int32_t)n;
        else if (is(name, "max"))
            head->keep_alive_max = (int32_t)n;
    }
}

static int
note_field(parser *ps, hp_span name, hp_span value)
{
    hp_head *head = ps->head;
    switch (name.len) {
    case 7:
        head->has_upgrade |= is(name, "upgrade");
        break;
    case 8:
        head->has_location |= is(name, "location");
        break;
    case 10:
        if (is(name, "connection"))
            note_connection(head, value);
        else if (is(name, "keep-alive"))
            note_keep_alive(head, value);
        else
            head->has_set_cookie |= is(name, "set-cookie");
        break;
    case 14:
        if (is(name, "content-length"))
            return note_length(ps, value);
        break;
    case 16:
        head->has_content_encoding |= is(name, "content-encoding");
        break;
    case 17:
        if (is(name, "transfer-encoding"))
            note_transfer_encoding(ps, value);
        break;
    default:
        break;
    }
    return DONE;
}

/* RFC 9112 6.1: a coding that was not asked for would be handed to the caller
 * still encoded, "chunked" before another one ends nowhere, and twice is
 * forbidden. Empty members are nothing (RFC 9110 5.6.1.2), but with a length
 * beside them the peers that refuse such a list fall back to the length and
 * see another body. In HTTP/1.0 the field has no meaning; framing looks at it.
 */
static int
check_transfer_encoding(parser *ps)
{
    hp_head *head = ps->head;
    head->chunked = ps->n_chunked > 0;
    if (!head->has_transfer_encoding || head->minor == 0)
        return DONE;
    if (ps->n_chunked != 1 || ps->other_coding ||
        (ps->empty_coding && head->content_length >= 0))
        return refuse(ps, HP_HEAD_BAD_TRANSFER_ENCODING,
                      ps->buf + head->fields_at);
    return DONE;
}

/* ---- lines ---- */

/* RFC 9112 2.2 asks it of servers; a client that meets the CR LF some servers
 * put behind a body has an unusable connection anyway, so two are enough. */
static int
skip_empty_lines(parser *ps)
{
    for (int i = 0; i < 2; i++) {
        if (ps->p == ps->end)
            return MORE;
        if (*ps->p != '\r')
            break;
        if (ps->p + 1 == ps->end)
            return MORE;
        if (ps->p[1] != '\n')
            return refuse(ps, HP_HEAD_BARE_CR, ps->p);
        ps->p += 2;
    }
    return DONE;
}

/* "HTTP/1." DIGIT SP. The letters are case-sensitive (RFC 9112 2.3). Refuses
 * at the first wrong byte, so that another protocol's greeting is not waited
 * on for an empty line that never comes. */
static int
parse_version(parser *ps)
{
    static const char want[] = "HTTP/1.";
    char *p = ps->p;
    for (int i = 0; want[i]; i++, p++) {
        if (p == ps->end)
            return MORE;
        if (*p != want[i])
            return refuse(ps, i < 5 ? HP_HEAD_NOT_HTTP : HP_HEAD_BAD_VERSION,
                          p);
    }
    if (ps->end - p < 2)
        return MORE;
    if (!is_digit(p[0]) || p[1] != ' ')
        return refuse(ps, HP_HEAD_BAD_VERSION, p);
    ps->head->minor = p[0] - '0';
    ps->p = p + 1;
    return DONE;
}

/* 3DIGIT, then SP or CR. More than one SP before it is out there (Go issue
 * 19989), as is none after it when the reason is empty. */
static int
parse_status(parser *ps)
{
    char *p = ps->p;
    while (p < ps->end && *p == ' ')
        p++;
    if (ps->end - p < 4)
        return MORE;
    if (!is_digit(p[0]) || !is_digit(p[1]) || !is_digit(p[2]) || p[0] == '0' ||
        (p[3] != ' ' && p[3] != '\r'))
        return refuse(ps, HP_HEAD_BAD_STATUS, p);
    ps->head->status = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
    ps->p = p + 3;
    return DONE;
}

/* status-line, RFC 9112 4. */
static int
parse_status_line(parser *ps)
{
    char *cr;
    int r = parse_version(ps);
    if (r == DONE)
        r = parse_status(ps);
    if (r == DONE)
        r = scan_text(ps, ps->p, HP_HEAD_BAD_REASON, &cr);
    if (r != DONE)
        return r;
    hp_span reason = hp_span_trim(hp_span_of(ps->p, (size_t)(cr - ps->p)));
    ps->head->reason_at = (size_t)(reason.ptr - ps->buf);
    ps->head->reason_len = reason.len;
    ps->p = cr + 2;
    return DONE;
}

/* Gives the byte that ended a field name without a colon its right name. */
static int
refuse_name(parser *ps, const char *at)
{
    switch (*at) {
    case '\0':
        return refuse(ps, HP_HEAD_NUL, at);
    case '\n':
        return refuse(ps, HP_HEAD_BARE_LF, at);
    case '\r':
        if (at + 1 == ps->end)
            return MORE;
        return refuse(ps, at[1] == '\n' ? HP_HEAD_NO_COLON : HP_HEAD_BARE_CR,
                      at);
    default:
        return refuse(ps, HP_HEAD_BAD_NAME, at);
    }
}

/* From p, behind the colon, to the CR of the last line of the value. A fold
 * is undone on the way, so that nobody reads its parts on their own: "MUST
 * replace each received obs-fold with one or more SP" (RFC 9112 5.2). */
static int
scan_value(parser *ps, char *p, char **cr)
{
    for (;;) {
        int r = scan_text(ps, p, HP_HEAD_BAD_VALUE, cr);
        if (r != DONE)
            return r;
        p = *cr;
        if (p + 2 == ps->end)
            return MORE;
        if (p[2] != ' ' && p[2] != '\t')
            return DONE;
        memset(p, ' ', 3);
    }
}

static int
parse_field(parser *ps)
{
    char *name = ps->p, *colon = name, *cr;
    while (colon < ps->end && is_tchar(*colon))
        colon++;
    if (colon == ps->end)
        return MORE;
    if (*colon != ':')
        return refuse_name(ps, colon);
    if (colon == name)
        return refuse(ps, HP_HEAD_BAD_NAME, colon);
    int r = scan_value(ps, colon + 1, &cr);
    if (r != DONE)
        return r;
    if (++ps->n_fields > HP_MAX_FIELDS)
        return refuse(ps, HP_HEAD_TOO_MANY_FIELDS, name);
    ps->p = cr + 2;
    if (ps->head == NULL)
        return DONE;
    hp_span value = hp_span_of(colon + 1, (size_t)(cr - colon - 1));
    return note_field(ps, hp_span_of(name, (size_t)(colon - name)),
                      hp_span_trim(value));
}

/* Field lines and the empty line. RFC 9112 5. */
static int
parse_fields(parser *ps)
{
    if (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\t'))
        return refuse(ps, HP_HEAD_LEADING_FOLD, ps->p);
    while (ps->p < ps->end && *ps->p != '\r') {
        int r = parse_field(ps);
        if (r != DONE)
            return r;
    }
    if (ps->end - ps->p < 2)
        return MORE;
    if (ps->p[1] != '\n')
        return refuse(ps, HP_HEAD_BARE_CR, ps->p);
    return DONE;
}

/* ---- whole blocks ---- */

/* May the bytes from last_len on hold the end of the block, or a bare LF that
 * is to be refused now? Only then is the block parsed again. */
static bool
may_end(const char *buf, size_t len, size_t last_len)
{
    const char *p = buf + last_len, *end = buf + len;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        if (p - buf < 2 || p[-1] != '\r' || p[-2] == '\n')
            return true;
        p++;
    }
    return false;
}

/* Enough for a version and a status: what is not HTTP is refused by then. */
enum {
    ALWAYS_PARSED = 16
};

ssize_t
hp_head_parse(char *buf, size_t len, size_t last_len, hp_head *out, hp_err *err)
{
    assert(last_len <= len);
    *out = (hp_head){
        .content_length = -1, .keep_alive_timeout_s = -1, .keep_alive_max = -1};
    if (last_len > ALWAYS_PARSED && !may_end(buf, len, last_len))
        return 0;
    parser ps = {
        .buf = buf, .p = buf, .end = buf + len, .head = out, .err = err};
    int r = skip_empty_lines(&ps);
    if (r == DONE)
        r = parse_status_line(&ps);
    if (r != DONE)
        return r;
    out->fields_at = (size_t)(ps.p - buf);
    r = parse_fields(&ps);
    if (r == DONE)
        r = check_transfer_encoding(&ps);
    if (r != DONE)
        return r;
    out->fields_len = (size_t)(ps.p - buf) - out->fields_at;
    out->n_fields = ps.n_fields;
    return ps.p + 2 - buf;
}

ssize_t
hp_trailers_parse(char *buf, size_t len, size_t last_len, hp_err *err)
{
    assert(last_len <= len);
    if (last_len > 0 && !may_end(buf, len, last_len))
        return 0;
    parser ps = {.buf = buf, .p = buf, .end = buf + len, .err = err};
    int r = parse_fields(&ps);
    return r == DONE ? ps.p + 2 - buf : r;
}

bool
hp_trailer_allowed(hp_span name)
{
    static const char *const left_out[] = {
        "connection",     "content-encoding",
        "content-length", "content-range",
        "content-type",   "host",
        "keep-alive",     "te",
        "trailer",        "transfer-encoding",
        "upgrade"};
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        if (is(name, left_out[i]))
            return false;
    }
    return true;
}

bool
hp_field_next(hp_span *rest, hp_field *out)
{
    if (rest->len == 0)
        return false;
    const char *end = rest->ptr + rest->len;
    const char *colon = memchr(rest->ptr, ':', rest->len);
    assert(colon); /* the parser saw one in every line */
    const char *cr = memchr(colon, '\r', (size_t)(end - colon));
    assert(cr && cr + 2 <= end);
    out->name = hp_span_of(rest->ptr, (size_t)(colon - rest->ptr));
    out->value = hp_span_trim(hp_span_of(colon + 1, (size_t)(cr - colon - 1)));
    *rest = hp_span_of(cr + 2, (size_t)(end - cr - 2));
    return true;
}
