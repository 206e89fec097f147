/* Request heads from whatever a caller may give: refused, or exactly one
 * request on the wire, with no line that he did not ask for.
 *
 * The input: method, target, authority and then names and values, divided by
 * 0xff; its last byte says what kind of body there is. */
#include "fuzz.h"
#include "wire/head.h"
#include "wire/request.h"

enum {
    FIELDS_MAX = 64,
    KINDS = 4, /* of bodies */
    SAYS_CLOSE = 4
};

typedef struct ask {
    hp_request_head head;
    hp_field fields[FIELDS_MAX];
} ask;

static hp_span
take_part(hp_span *rest)
{
    const char *end = rest->len ? memchr(rest->ptr, '\xff', rest->len) : NULL;
    size_t n = end ? (size_t)(end - rest->ptr) : rest->len;
    hp_span part = hp_span_of(rest->ptr, n);
    n += end != NULL;
    *rest = hp_span_of(rest->ptr + n, rest->len - n);
    return part;
}

static void
ask_of(ask *a, hp_span rest, uint8_t flags)
{
    static const int64_t lengths[KINDS] = {HP_BODY_ABSENT,
                                           HP_BODY_LENGTH_UNKNOWN, 0, 12};
    *a = (ask){.head = {.method = take_part(&rest),
                        .target = take_part(&rest),
                        .authority = take_part(&rest),
                        .fields = a->fields,
                        .body_length = lengths[flags % KINDS],
                        .close = flags & SAYS_CLOSE}};
    while (rest.len && a->head.n_fields < FIELDS_MAX) {
        hp_field *f = &a->fields[a->head.n_fields++];
        f->name = take_part(&rest);
        f->value = take_part(&rest);
    }
}

static hp_span
take_line(hp_span *rest)
{
    const char *cr = memchr(rest->ptr, '\r', rest->len);
    CHECK(cr && cr + 1 < rest->ptr + rest->len && cr[1] == '\n');
    hp_span line = hp_span_of(rest->ptr, (size_t)(cr - rest->ptr));
    for (size_t i = 0; i < line.len; i++)
        CHECK(!fuzz_is_ctl(line.ptr[i]) || line.ptr[i] == '\t');
    *rest = hp_span_of(cr + 2, rest->len - line.len - 2);
    return line;
}

/* method SP target SP HTTP/1.1 */
static void
check_request_line(hp_span line)
{
    static const char version[] = " HTTP/1.1";
    const size_t n = sizeof version - 1;
    const char *space = memchr(line.ptr, ' ', line.len);
    CHECK(space && line.len > n);
    CHECK(fuzz_is_token(hp_span_of(line.ptr, (size_t)(space - line.ptr))));
    const char *end = line.ptr + line.len - n;
    CHECK(memcmp(end, version, n) == 0);
    CHECK(end > space + 1);
    for (const char *p = space + 1; p < end; p++)
        CHECK(*p > ' ' && *p < 0x7f && *p != '#');
}

typedef struct counts {
    int fields, host, length, coding;
} counts;

static void
check_fields(hp_span *rest, counts *n)
{
    hp_field f;
    while (rest->len > 2) {
        hp_span line = take_line(rest),
                one = hp_span_of(line.ptr, line.len + 2);
        CHECK(line.len > 0 && line.ptr[0] != ' ' && line.ptr[0] != '\t');
        CHECK(memchr(line.ptr, ':', line.len));
        CHECK(hp_field_next(&one, &f) && fuzz_is_token(f.name));
        n->fields++;
        n->host += hp_span_eq_nocase(f.name, HP_SPAN_LIT("host"));
        n->length += hp_span_eq_nocase(f.name, HP_SPAN_LIT("content-length"));
        n->coding +=
            hp_span_eq_nocase(f.name, HP_SPAN_LIT("transfer-encoding"));
    }
    CHECK_INT(take_line(rest).len, 0);
    CHECK_INT(rest->len, 0);
}

static void
check_written(const ask *a, hp_span written, const hp_request_facts *facts,
              int64_t promised)
{
    counts n = {0};
    check_request_line(take_line(&written));
    check_fields(&written, &n);
    CHECK_INT(n.host, 1);
    CHECK(n.length + n.coding <= 1);
    CHECK_INT(n.coding, facts->chunked);
    CHECK(promised < 0 || n.length == 1 || promised == 0);
    CHECK(!facts->chunked || a->head.body_length == HP_BODY_LENGTH_UNKNOWN);
    /* Host, framing and Connection are the writer's own. */
    CHECK(n.fields <= (int)a->head.n_fields + 3);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ask a;
    if (size == 0 || size > FUZZ_MAX)
        return 0;
    uint8_t flags = data[--size];
    ask_of(&a, hp_span_of(fuzz_place(data, size), size), flags);
    hp_buf out;
    hp_buf_init(&out, NULL, 0, 2 * FUZZ_MAX);
    CHECK(hp_buf_add(&out, "before", 6) == 0);
    hp_request_facts facts;
    int64_t promised = 0;
    hp_err err = {0};
    int r = hp_request_write(&out, &a.head, &facts, &promised, &err);
    fuzz_check_err(&err, r != 0);
    CHECK(out.len >= 6 && memcmp(out.ptr, "before", 6) == 0);
    if (r == 0)
        check_written(&a, hp_span_of(out.ptr + 6, out.len - 6), &facts,
                      promised);
    else
        CHECK_INT(out.len, 6);
    hp_buf_free(&out);
    return 0;
}
