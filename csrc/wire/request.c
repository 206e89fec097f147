#include "wire/request.h"

#include <inttypes.h>
#include <stdio.h>

/* One pass writes and checks; a refusal takes everything back. */
typedef struct writer {
    hp_buf *out;
    const hp_request_head *head;
    hp_request_facts *facts;
    int64_t *promised;
    hp_err *err;
    enum {
        ROOM,
        NO_MEMORY,
        OVER_MAX
    } state; /* sticky, looked at once at the end */
    bool has_host, has_length, has_coding, has_upgrade;
    bool names_upgrade; /* "Connection: upgrade" */
} writer;

/* RFC 9110 5.6.2: letters, digits and !#$%&'*+-.^_`|~ */
static const unsigned char token_bits[16] = {
    0x00, 0x00, 0x00, 0x00, 0xfa, 0x6c, 0xff, 0x03,
    0xfe, 0xff, 0xff, 0xc7, 0xff, 0xff, 0xff, 0x57,
};

static size_t
token_len(hp_span s)
{
    size_t n = 0;
    for (; n < s.len; n++) {
        unsigned char c = (unsigned char)s.ptr[n];
        if (c >= 0x80 || !(token_bits[c >> 3] & 1u << (c & 7)))
            break;
    }
    return n;
}

bool
hp_is_token(hp_span s)
{
    return s.len > 0 && token_len(s) == s.len;
}

static void
put(writer *w, hp_span s)
{
    if (w->state != ROOM)
        return;
    bool over = hp_buf_full(w->out, s.len);
    if (hp_buf_add_span(w->out, s) != 0)
        w->state = over ? OVER_MAX : NO_MEMORY;
}

static void
put_field(writer *w, hp_span name, hp_span value)
{
    put(w, name);
    put(w, HP_SPAN_LIT(": "));
    put(w, value);
    put(w, HP_SPAN_LIT("\r\n"));
}

/* `name` is a token; a person recognises it by its beginning. */
static int
refuse(writer *w, hp_span name, const char *what)
{
    return hp_err_set(w->err, HP_E_INVALID_HEADER, "header \"%.*s\": %s",
                      (int)(name.len < 64 ? name.len : 64), name.ptr, what);
}

/* The token it starts with, since a value may have slipped in behind it. */
static int
refuse_name(writer *w, hp_span name)
{
    size_t n = token_len(name);
    if (n == 0)
        return hp_err_set(w->err, HP_E_INVALID_HEADER,
                          "a header's name is empty or not a token");
    return refuse(w, hp_span_of(name.ptr, n),
                  "the name goes on with a byte that none may hold");
}

/* ---- method and target ------------------------------------------------ */

static bool
is_one_of(hp_span s, const char *const *names)
{
    for (; *names; names++) {
        if (hp_span_eq(s, hp_span_cstr(*names)))
            return true;
    }
    return false;
}

/* Methods are case-sensitive (RFC 9110 9.1). */
static int
write_method(writer *w)
{
    static const char *const replayable[] = {"GET", "HEAD", "OPTIONS", "TRACE",
                                             NULL};
    hp_span method = w->head->method;
    if (method.len == 0)
        method = HP_SPAN_LIT("GET");
    if (!hp_is_token(method))
        return hp_err_set(w->err, HP_E_INVALID_METHOD,
                          "the method is not a token");
    w->facts->is_head = hp_span_eq(method, HP_SPAN_LIT("HEAD"));
    w->facts->is_connect = hp_span_eq(method, HP_SPAN_LIT("CONNECT"));
    w->facts->replayable_method = is_one_of(method, replayable);
    put(w, method);
    put(w, HP_SPAN_LIT(" "));
    return 0;
}

/* Only visible ASCII: anything else ends the target, the line or the head for
 * some reader (RFC 9112 3.2). A fragment is never sent (RFC 9110 7.1). */
static int
write_target(writer *w)
{
    hp_span target = w->head->target;
    for (size_t i = 0; i < target.len; i++) {
        char c = target.ptr[i];
        if (c <= ' ' || c > '~' || c == '#')
            return hp_err_set(w->err, HP_E_INVALID_URL,
                              "the request target has a byte that must be "
                              "percent-encoded");
    }
    if (target.len == 0) {
        if (w->facts->is_connect)
            return hp_err_set(w->err, HP_E_INVALID_URL,
                              "CONNECT needs a host and port as its target");
        target = HP_SPAN_LIT("/"); /* RFC 9112 3.2.1 */
    }
    put(w, target);
    put(w, HP_SPAN_LIT(" HTTP/1.1\r\n"));
    return 0;
}

/* ---- Host -------------------------------------------------------------- */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_host_char(char c, bool bracketed)
{
    char low = hp_ascii_lower(c);
    if (bracketed)
        return is_digit(c) || (low >= 'a' && low <= 'f') || c == ':' ||
               c == '.';
    return is_digit(c) || (low >= 'a' && low <= 'z') || c == '-' || c == '.' ||
           c == '_';
}

/* uri-host [":" port] of RFC 9110 7.2, as far as it can do harm. */
static bool
is_host(hp_span s)
{
    bool bracketed = s.len > 0 && s.ptr[0] == '[';
    size_t i = bracketed, start = i;
    while (i < s.len && is_host_char(s.ptr[i], bracketed))
        i++;
    if (i == start)
        return false;
    if (bracketed && (i == s.len || s.ptr[i++] != ']'))
        return false;
    if (i < s.len && s.ptr[i++] != ':')
        return false;
    if (s.len - i > 5)
        return false;
    while (i < s.len && is_digit(s.ptr[i]))
        i++;
    return i == s.len;
}

/* First of the fields, as RFC 9110 7.2 asks, also when the caller gave it. */
static int
write_host(writer *w)
{
    hp_span host = w->head->authority;
    for (size_t i = 0; i < w->head->n_fields; i++) {
        const hp_field *f = &w->head->fields[i];
        if (!hp_span_eq_nocase(f->name, HP_SPAN_LIT("Host")))
            continue;
        if (w->has_host)
            return refuse(w, HP_SPAN_LIT("Host"), "given twice");
        w->has_host = true;
        host = hp_span_trim(f->value);
    }
    if (!is_host(host))
        return refuse(w, HP_SPAN_LIT("Host"), "not a host");
    put_field(w, HP_SPAN_LIT("Host"), host);
    return 0;
}

/* ---- fields with a meaning to us --------------------------------------- */

/* Takes the next member off a list (RFC 9110 5.6.1), false at the end. Empty
 * members are skipped. */
static bool
next_member(hp_span *list, hp_span *member)
{
    while (list->len > 0) {
        const char *comma = memchr(list->ptr, ',', list->len);
        size_t n = comma ? (size_t)(comma - list->ptr) : list->len;
        *member = hp_span_trim(hp_span_of(list->ptr, n));
        n += comma != NULL;
        *list = hp_span_of(list->ptr + n, list->len - n);
        if (member->len > 0)
            return true;
    }
    return false;
}

/* Starts the line with its first member. */
static void
put_member(writer *w, hp_span name, hp_span member, bool *started)
{
    put(w, *started ? HP_SPAN_LIT(", ") : name);
    if (!*started)
        put(w, HP_SPAN_LIT(": "));
    put(w, member);
    *started = true;
}

/* "close" goes to the end of the first line that asks for it, and nowhere
 * else; a line without members left is not written. RFC 9110 7.6.1. */
static int
write_connection(writer *w, hp_span name, hp_span value)
{
    bool started = false, close = w->head->close;
    hp_span member;
    while (next_member(&value, &member)) {
        if (!hp_is_token(member))
            return refuse(w, name, "not a list of tokens");
        if (hp_span_eq_nocase(member, HP_SPAN_LIT("close"))) {
            close = true;
            continue;
        }
        if (hp_span_eq_nocase(member, HP_SPAN_LIT("upgrade")))
            w->names_upgrade = true;
        put_member(w, name, member, &started);
    }
    if (close && !w->facts->says_close) {
        put_member(w, name, HP_SPAN_LIT("close"), &started);
        w->facts->says_close = true;
    }
    if (started)
        put(w, HP_SPAN_LIT("\r\n"));
    return 0;
}

/* RFC 9110 8.6: 1*DIGIT, no sign, no list. */
static bool
parse_length(hp_span s, int64_t *out)
{
    int64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return false;
        int digit = s.ptr[i] - '0';
        if (n > (INT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return s.len > 0;
}

static int
write_length(writer *w, hp_span name, hp_span value)
{
    int64_t body = w->head->body_length, n;
    if (w->has_length)
        return refuse(w, name, "given twice");
    if (w->has_coding)
        return refuse(w, name, "given beside Transfer-Encoding");
    if (!parse_length(value, &n))
        return refuse(w, name, "not a number");
    if (body == HP_BODY_ABSENT ? n != 0 : body >= 0 && n != body)
        return refuse(w, name, "differs from the length of the body");
    if (body == HP_BODY_LENGTH_UNKNOWN)
        *w->promised = n;
    w->has_length = true;
    put_field(w, name, value);
    return 0;
}

/* Content is chunked by us or not at all (RFC 9112 6.1). */
static int
write_coding(writer *w, hp_span name, hp_span value)
{
    if (w->has_coding)
        return refuse(w, name, "given twice");
    if (w->has_length)
        return refuse(w, name, "given beside Content-Length");
    if (!hp_span_eq_nocase(value, HP_SPAN_LIT("chunked")))
        return refuse(w, name, "only \"chunked\" can be sent");
    if (w->head->body_length != HP_BODY_LENGTH_UNKNOWN)
        return refuse(w, name, "the length of the body is known");
    w->has_coding = true;
    put_field(w, name, value);
    return 0;
}

static int
skip_host(writer *w, hp_span name, hp_span value)
{
    return 0;
}

/* An empty one is how the caller switches the default off. */
static int
write_agent(writer *w, hp_span name, hp_span value)
{
    if (value.len > 0)
        put_field(w, name, value);
    return 0;
}

static int
write_expect(writer *w, hp_span name, hp_span value)
{
    if (hp_span_eq_nocase(value, HP_SPAN_LIT("100-continue")))
        w->facts->expects_continue = true;
    put_field(w, name, value);
    return 0;
}

static int
write_upgrade(writer *w, hp_span name, hp_span value)
{
    w->has_upgrade = true;
    put_field(w, name, value);
    return 0;
}

static int
write_key(writer *w, hp_span name, hp_span value)
{
    w->facts->idempotency_key = true;
    put_field(w, name, value);
    return 0;
}

typedef int (*write_fn)(writer *w, hp_span name, hp_span value);

static const struct {
    const char *name;
    write_fn write;
} known_fields[] = {
    {"Host", skip_host},
    {"Connection", write_connection},
    {"Content-Length", write_length},
    {"Transfer-Encoding", write_coding},
    {"User-Agent", write_agent},
    {"Expect", write_expect},
    {"Upgrade", write_upgrade},
    {"Idempotency-Key", write_key},
    {"X-Idempotency-Key", write_key},
};

static write_fn
find_known(hp_span name)
{
    for (size_t i = 0; i < sizeof known_fields / sizeof *known_fields; i++) {
        if (hp_span_eq_nocase(name, hp_span_cstr(known_fields[i].name)))
            return known_fields[i].write;
    }
    return NULL;
}

/* RFC 9110 5.5: bytes of other alphabets are nobody's business, control bytes
 * end lines or worse. */
static bool
has_control(hp_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static int
write_one_field(writer *w, const hp_field *f)
{
    hp_span value = hp_span_trim(f->value);
    if (!hp_is_token(f->name))
        return refuse_name(w, f->name);
    if (has_control(value))
        return refuse(w, f->name, "control byte in the value");
    write_fn known = find_known(f->name);
    if (known)
        return known(w, f->name, value);
    put_field(w, f->name, value);
    return 0;
}

/* ---- what we add ------------------------------------------------------- */

static void
write_own_length(writer *w, int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRId64, n);
    put_field(w, HP_SPAN_LIT("Content-Length"),
              hp_span_of(digits, (size_t)len));
}

/* RFC 9110 8.6: methods that mean to send something say so even when it is
 * nothing; for the others silence is the usual form. */
static void
write_framing(writer *w)
{
    static const char *const sending[] = {"POST", "PUT", "PATCH", NULL};
    int64_t body = w->head->body_length;
    w->facts->chunked = body == HP_BODY_LENGTH_UNKNOWN && !w->has_length;
    if (w->facts->chunked && !w->has_coding)
        put_field(w, HP_SPAN_LIT("Transfer-Encoding"), HP_SPAN_LIT("chunked"));
    if (body >= 0)
        *w->promised = body;
    if (body == HP_BODY_ABSENT && is_one_of(w->head->method, sending))
        body = 0;
    if (body >= 0 && !w->has_length)
        write_own_length(w, body);
}

static int
write_head(writer *w)
{
    hp_request_facts *facts = w->facts;
    if (write_method(w) != 0 || write_target(w) != 0 || write_host(w) != 0)
        return -1;
    for (size_t i = 0; i < w->head->n_fields; i++) {
        if (write_one_field(w, &w->head->fields[i]) != 0)
            return -1;
    }
    if (w->head->close && !facts->says_close)
        write_connection(w, HP_SPAN_LIT("Connection"), HP_SPAN_LIT(""));
    write_framing(w);
    put(w, HP_SPAN_LIT("\r\n"));
    /* RFC 9110 10.1.1: without content there is nothing to wait for. */
    if (!facts->chunked && *w->promised <= 0)
        facts->expects_continue = false;
    facts->wants_upgrade = w->names_upgrade && w->has_upgrade;
    return 0;
}

int
hp_request_write(hp_buf *out, const hp_request_head *head,
                 hp_request_facts *facts, int64_t *promised, hp_err *err)
{
    size_t start = out->len;
    writer w = {.out = out,
                .head = head,
                .facts = facts,
                .promised = promised,
                .err = err};
    *facts = (hp_request_facts){0};
    *promised = -1;
    int result = write_head(&w);
    if (result == 0 && w.state == NO_MEMORY)
        result = hp_err_set(err, HP_E_NOMEM, "no memory for the request head");
    if (result == 0 && w.state == OVER_MAX)
        result = hp_err_set(err, HP_E_INVALID_HEADER,
                            "the request head exceeds %zu bytes", out->max);
    if (result != 0)
        out->len = start;
    return result;
}
