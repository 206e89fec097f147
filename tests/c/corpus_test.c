/* Holds head -> framing -> body against the response corpus, whole, byte by
 * byte and cut in two, with what was fed so far ending at a guard page.
 *
 *     corpus_test [CORPUS.bin]     (made by gen_corpus.py; else $HP_CORPUS)
 *
 * tests/corpus/README.md says what a row asks for. */
#include <stdint.h>

#include "base/err.h"
#include "corpus_rows.h"
#include "guard.h"
#include "wire/body.h"
#include "wire/framing.h"
#include "wire/head.h"

enum {
    ARENA = ROW_MAX,
    CUT_EVERYWHERE = 32768,
    CUTS_ELSE = 64,
    HEADS_MAX = 1 << 20, /* the exchange's budgets for all heads of a call */
    INTERIM_MAX = 100
};

typedef struct run {
    enum {
        HEAD,
        BODY,
        ENDED,
        FAILED
    } state;
    const row *row;
    char *head; /* bytes of heads not parsed yet, within the arena */
    size_t head_len, head_seen, heads_total;
    int interims;
    hp_framing framing;
    hp_body body;
    bool leftover;
    outcome *out;
} run;

static char *arena_end; /* the byte at it is forbidden */

/* ---- one exchange, as the exchange will drive it ---- */

static hp_request_facts
facts_of(const row *r)
{
    return (hp_request_facts){
        .is_head = hp_span_eq(r->method, HP_SPAN_LIT("HEAD")),
        .is_connect = hp_span_eq(r->method, HP_SPAN_LIT("CONNECT"))};
}

static void
feed_body(run *x, char *p, size_t n)
{
    size_t len = n, used = 0;
    hp_err err = {0};
    if (n && !x->body.ended) {
        if (hp_body_feed(&x->body, p, &len, &used, &err) != 0) {
            CHECK(err.code == HP_E_CHUNKED);
            x->state = FAILED;
            return;
        }
        CHECK(len <= used && used <= n);
        CHECK(used == n || x->body.ended);
        CHECK(hp_buf_add(&x->out->body, p, len) == 0);
    }
    x->leftover |= used < n;
    if (x->body.ended)
        x->state = ENDED;
}

static void
accept_head(run *x, const hp_head *head, const char *at)
{
    hp_request_facts facts = facts_of(x->row);
    hp_err err = {0};
    if (hp_framing_decide(head, &facts, &x->framing, &err) != 0) {
        CHECK(err.code == HP_E_REMOTE_PROTOCOL);
        x->state = FAILED;
        return;
    }
    x->out->status = head->status;
    x->out->in_body = true;
    x->state = BODY;
    hp_body_init(&x->body, &x->framing);
    hp_span rest = hp_span_of(at + head->fields_at, head->fields_len);
    hp_field f;
    int n = 0;
    for (; hp_field_next(&rest, &f); n++)
        add_header(&x->out->headers, f);
    CHECK_INT(n, head->n_fields);
}

static void
parse_heads(run *x)
{
    while (x->state == HEAD) {
        hp_head head;
        hp_err err = {0};
        char *at = x->head;
        ssize_t n = hp_head_parse(at, x->head_len, x->head_seen, &head, &err);
        CHECK((n < 0) == (err.code == HP_E_REMOTE_PROTOCOL));
        CHECK((n < 0) == (head.fault != HP_HEAD_OK));
        x->head_seen = n > 0 ? 0 : x->head_len;
        if (n <= 0 && x->heads_total + x->head_len > HEADS_MAX)
            n = -1;
        if (n < 0)
            x->state = FAILED;
        if (n <= 0)
            return;
        x->head += n;
        x->head_len -= (size_t)n;
        x->heads_total += (size_t)n;
        if (!hp_head_is_interim(&head))
            accept_head(x, &head, at);
        else if (++x->interims > INTERIM_MAX)
            x->state = FAILED;
    }
    if (x->state == BODY)
        feed_body(x, x->head, x->head_len);
}

/* Makes room behind the head bytes at the arena's end. Long rows are laid out
 * once instead, whole row at the end: moving them byte by byte takes hours. */
static void
feed_head(run *x, const char *p, size_t n)
{
    if (x->row->bytes.len <= CUT_EVERYWHERE) {
        memmove(x->head - n, x->head, x->head_len);
        x->head -= n;
    }
    memcpy(x->head + x->head_len, p, n);
    x->head_len += n;
    parse_heads(x);
}

static void
feed(run *x, const char *p, size_t n)
{
    if (n == 0)
        return;
    if (x->state == HEAD) {
        feed_head(x, p, n);
    } else if (x->state == BODY) {
        memcpy(arena_end - n, p, n);
        feed_body(x, arena_end - n, n);
    } else {
        x->leftover = true;
    }
}

static void
finish(run *x)
{
    hp_err err = {0};
    if (x->state == BODY && x->row->then_close) {
        x->state = hp_body_eof(&x->body, &err) == 0 ? ENDED : FAILED;
        CHECK((x->state == FAILED) == (err.code == HP_E_INCOMPLETE_BODY));
    }
    x->out->ok = x->state == ENDED; /* else refused, cut off or timed out */
    x->out->reusable = x->out->ok && !x->leftover && !x->row->then_close &&
                       x->framing.verdict == HP_KEEP;
    if (x->out->in_body) {
        CHECK(hp_buf_add_span(&x->out->trailers, held(&x->body.trailers)) == 0);
        hp_body_free(&x->body);
    }
}

/* Feeds the row in pieces: the first of `first` bytes, the others of `step`. */
static void
play(const row *r, size_t first, size_t step, outcome *out)
{
    run x = {.row = r, .out = out, .head = arena_end};
    if (r->bytes.len > CUT_EVERYWHERE)
        x.head -= r->bytes.len;
    outcome_init(out);
    feed(&x, r->bytes.ptr, first);
    for (size_t at = first; at < r->bytes.len; at += step) {
        size_t left = r->bytes.len - at;
        feed(&x, r->bytes.ptr + at, step < left ? step : left);
    }
    finish(&x);
}

static void
play_split(const row *r, const outcome *whole, size_t first, size_t step)
{
    outcome o;
    play(r, first, step, &o);
    if (!same(whole, &o)) {
        score.splits++;
        complain(r, step == 1 ? "differs byte by byte" : "differs", first);
    }
    outcome_free(&o);
}

static void
hold(const row *r)
{
    size_t n = r->bytes.len;
    outcome whole;
    play(r, n, 1, &whole);
    judge(r, &whole);
    play_split(r, &whole, 0, 1);
    size_t cuts = n <= CUT_EVERYWHERE ? n : CUTS_ELSE;
    for (size_t i = 1; i < cuts; i++)
        play_split(r, &whole, n <= CUT_EVERYWHERE ? i : n / cuts * i, n);
    outcome_free(&whole);
}

static const char *path;

static void
hold_corpus(void)
{
    char *zeros = calloc(1, ARENA);
    char *arena = guard_copy(zeros, ARENA);
    CHECK(arena);
    arena_end = arena + ARENA;
    corpus_each(path, hold);
    guard_free(arena, ARENA);
    free(zeros);
}

int
main(int argc, char **argv)
{
    path = corpus_path(argc, argv);
    RUN(hold_corpus);
    corpus_verdict();
    DONE();
}
