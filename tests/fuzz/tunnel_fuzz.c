/* What a proxy answers to CONNECT and to SOCKS5: whole against cut, with writes
 * cut short, and how it ends. The last byte chooses the proxy, the one before
 * it how the connection goes on behind the last byte. */
#include "fuzz.h"
#include "net/answer.h"
#include "net/tunnel.h"
#include "proxy_kit.h"
#include "script_stream.h"
#include "wire/head.h"

enum {
    MAX_HEAD = 1024,
    EVENTS_MAX = 512,
    ROUNDS = 3,
    STEPS_MAX = 2 * EVENTS_MAX
};

static const struct {
    const char *proxy, *host;
    bool by_address;
    const char *authorization;
} asks[] = {
    {"http://p:3128", "h.test", false, NULL},
    {"http://Basic eDp5@p:3128", "fe80::1%eth0", false, "Digest secret"},
    {"socks5h://p:1080", "h.test", false, NULL},
    {"socks5h://me:secret@p:1080", "::1", false, NULL},
    {"socks5://me:secret@p:1080", "h.test", true, NULL}};

typedef struct end {
    int result, status;
    bool address_refused;
    size_t unread;
    hp_err err;
    size_t n_written;
    char written[1024];
} end;

/* Bytes that nobody has read. */
static size_t
unread(const script *s)
{
    size_t n = 0;
    for (size_t i = s->reading; i < s->n; i++)
        n += s->events[i].op == SCRIPT_DATA ? s->events[i].len : 0;
    return n - s->given;
}

static int
check_answer(const hp_answer *a)
{
    hp_span rest = hp_answer_lines(a);
    hp_field f;
    while (hp_field_next(&rest, &f))
        CHECK(fuzz_is_token(f.name));
    CHECK(hp_answer_status(a) >= 100 && hp_answer_status(a) <= 999);
    return hp_answer_status(a);
}

static end
play(unsigned which, const script_event *events, size_t n)
{
    end e = {0};
    script s;
    script_init(&s, events, n);
    hp_stream *stream = script_open(&s, NULL);
    hp_proxy *p = kit_proxy(asks[which].proxy);
    hp_addr addr;
    CHECK_INT(hp_addr_from_literal("192.0.2.1", &addr), 1);
    hp_tunnel *t = hp_tunnel_new(
        p, asks[which].host, 443, asks[which].by_address ? &addr : NULL,
        hp_span_or_none(asks[which].authorization), MAX_HEAD, &e.err);
    CHECK(t);
    int steps = 0;
    do {
        CHECK(steps++ < STEPS_MAX);
        e.result = hp_tunnel_step(t, stream, &e.err);
    } while ((e.result == HP_IO_WANT_READ || e.result == HP_IO_WANT_WRITE) &&
             !(script_all_read(&s) && e.result == HP_IO_WANT_READ));
    fuzz_check_err(&e.err, e.result == HP_IO_ERROR);
    CHECK(e.result == 0 || e.result == HP_IO_ERROR ||
          e.result == HP_IO_WANT_READ);
    if (hp_tunnel_answer(t))
        e.status = check_answer(hp_tunnel_answer(t));
    e.address_refused = hp_tunnel_address_refused(t);
    CHECK(!e.address_refused || e.result == HP_IO_ERROR);
    CHECK(s.written.len <= sizeof e.written);
    e.n_written = s.written.len;
    if (s.written.len)
        memcpy(e.written, s.written.ptr, s.written.len);
    e.unread = unread(&s);
    hp_tunnel_free(t);
    hp_proxy_unref(p);
    script_free(&s);
    return e;
}

static const script_op ends[] = {SCRIPT_AGAIN, SCRIPT_EOF, SCRIPT_ERROR,
                                 SCRIPT_TRUNCATED};

static end
play_cut(unsigned which, const char *say, size_t n, unsigned then,
         fuzz_cuts *cuts)
{
    static script_event events[2 * EVENTS_MAX];
    size_t k = 0;
    for (size_t at = 0; at < n;) {
        bool last = k > EVENTS_MAX - 4;
        size_t piece = cuts && !last ? fuzz_piece(cuts, n - at) : n - at;
        if (cuts && k < EVENTS_MAX / 2) {
            events[k++] = (script_event){.op = SCRIPT_AGAIN};
            events[k++] = (script_event){.op = SCRIPT_WANT_WRITE};
            events[k++] = (script_event){.op = SCRIPT_ACCEPT, .len = piece};
        }
        events[k++] = (script_event){SCRIPT_DATA, say + at, piece, 0};
        at += piece;
    }
    events[k++] = (script_event){.op = ends[then % 4], .err = 104};
    return play(which, events, k);
}

/* With bytes behind a head it depends on the cut whether they are seen. */
static bool
has_more_behind(const end *e)
{
    return (e->result == 0 && e->unread) ||
           strstr(e->err.text, " bytes behind its answer");
}

/* A head that is refused, or too long, may be called so later, or not before
 * the connection ends, when it comes bit by bit. */
static bool
may_be_late(const end *e)
{
    return e->result == HP_IO_ERROR && e->status == 0;
}

/* Unless the proxy has said it itself. */
static void
check_secrets(const end *e, const char *say, size_t n)
{
    static const char *const secrets[] = {"secret", "eDp5"};
    for (int i = 0; i < 2; i++)
        CHECK(!strstr(e->err.text, secrets[i]) ||
              memmem(say, n, secrets[i], strlen(secrets[i])));
}

/* How long RFC 1928 and 1929 say that a yes is, however it is put. */
static size_t
socks_yes(const uint8_t *p, size_t n)
{
    size_t reply = p[1] == 2 ? 4 : 2;
    CHECK(n >= reply + 5);
    switch (p[reply + 3]) {
    case 1:
        return reply + 4 + 4 + 2;
    case 3:
        return reply + 4 + 1 + p[reply + 4] + 2;
    default:
        CHECK_INT(p[reply + 3], 4);
        return reply + 4 + 16 + 2;
    }
}

static void
check_same(unsigned which, const end *a, const end *b)
{
    bool connect = which < 2;
    if (connect && may_be_late(a)) {
        CHECK(b->result != 0 && b->status == 0);
        return;
    }
    if (connect && (has_more_behind(a) || has_more_behind(b))) {
        CHECK_INT(a->status, b->status);
        return;
    }
    CHECK_INT(a->result, b->result);
    CHECK_INT(a->status, b->status);
    CHECK_INT(a->address_refused, b->address_refused);
    CHECK(a->result != 0 || a->unread == b->unread);
    CHECK_INT(a->n_written, b->n_written);
    CHECK(memcmp(a->written, b->written, a->n_written) == 0);
    CHECK_STR(a->err.text, b->err.text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > FUZZ_MAX)
        return 0;
    size -= 2;
    unsigned which = data[size + 1] % (sizeof asks / sizeof *asks);
    unsigned then = data[size];
    const char *say = (const char *)data;
    end whole = play_cut(which, say, size, then, NULL);
    check_secrets(&whole, say, size);
    if (which >= 2 && whole.result == 0)
        CHECK_INT(size - whole.unread, socks_yes(data, size));
    for (unsigned i = 0; i < ROUNDS; i++) {
        fuzz_cuts cuts = fuzz_cuts_of(data, size, i);
        end cut = play_cut(which, say, size, then, &cuts);
        check_same(which, &whole, &cut);
    }
    return 0;
}
