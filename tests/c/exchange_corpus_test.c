/* Plays the response corpus to whole exchanges over scripted streams: in one
 * piece, byte by byte, and cut in two everywhere. A second request on the same
 * transport follows each row and must get its own answer.
 *
 *     exchange_corpus_test [CORPUS.bin]   (made by gen_corpus.py) */
#include "corpus_rows.h"
#include "exchange_kit.h"

enum {
    CUT_EVERYWHERE = 32768,
    CUTS_ELSE = 64
};

#define SECOND                                                                 \
    SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")

typedef struct play {
    kit k;
    script_event *events;
    size_t n, row_events; /* the row's own come first */
    size_t cap;           /* of each read */
    outcome *out;
} play;

/* ---- the server's side ---- */

static void
add(play *p, script_op op, const char *data, size_t len)
{
    p->events[p->n++] = (script_event){op, data, len, 0};
}

/* The first piece of `first` bytes, the others of `step`, each found missing
 * once; then the end, or the next request's answer. */
static void
write_script(play *p, const row *r, size_t first, size_t step)
{
    size_t pieces = 2 + (r->bytes.len - first) / step;
    p->events = malloc((2 * pieces + 4) * sizeof *p->events);
    CHECK(p->events);
    if (first)
        add(p, SCRIPT_DATA, r->bytes.ptr, first);
    for (size_t at = first; at < r->bytes.len; at += step) {
        size_t left = r->bytes.len - at;
        if (at)
            add(p, SCRIPT_AGAIN, NULL, 0);
        add(p, SCRIPT_DATA, r->bytes.ptr + at, step < left ? step : left);
    }
    if (r->then_close)
        add(p, SCRIPT_EOF, NULL, 0);
    p->row_events = p->n;
    add(p, SCRIPT_AGAIN, NULL, 0);
    p->events[p->n++] = (script_event)SECOND;
}

/* ---- the client's side ---- */

/* The server has nothing more to say: a timeout would be next. */
static bool
exhausted(const play *p)
{
    return p->k.scripts[0].reading >= p->row_events;
}

static hp_go
read_head(play *p, hp_exchange *ex)
{
    hp_go go;
    do
        go = hp_ex_step_head(ex, NULL, &p->k.w);
    while (go == HP_GO_WAIT && !exhausted(p));
    /* What was read last may have been the row's end. */
    return go == HP_GO_WAIT ? hp_ex_step_head(ex, NULL, &p->k.w) : go;
}

static hp_go
read_body(play *p, hp_exchange *ex)
{
    hp_buf *b = &p->out->body;
    hp_go go;
    size_t got;
    do {
        CHECK(hp_buf_reserve(b, p->cap) == 0);
        bool last = exhausted(p);
        go = hp_ex_step_read(ex, &p->k.w, b->ptr + b->len, p->cap, true, &got);
        b->len += got;
        if (go == HP_GO_WAIT && last)
            break;
    } while (go == HP_GO_WAIT || (go == HP_GO_DONE && got));
    return go;
}

static void
note_head(outcome *out, const hp_exchange *ex)
{
    hp_span rest = hp_exchange_fields(ex);
    hp_field f;
    out->in_body = true;
    out->status = hp_exchange_head(ex)->status;
    while (hp_field_next(&rest, &f))
        add_header(&out->headers, f);
}

static void
first_request(play *p)
{
    hp_exchange *ex = kit_new(&p->k);
    outcome *out = p->out;
    if (read_head(p, ex) == HP_GO_DONE) {
        note_head(out, ex);
        out->ok = read_body(p, ex) == HP_GO_DONE;
    }
    CHECK(!out->ok || (hp_exchange_ended(ex) && kit_facts(ex).released));
    if (out->ok) {
        hp_span t = hp_exchange_trailers(ex);
        CHECK(hp_buf_add_span(&out->trailers, t) == 0);
        out->reusable = kit_facts(ex).release == HP_KEEP;
    }
    CHECK(!hp_exchange_ended(ex) || out->ok);
    hp_exchange_free(ex);
}

/* What a look at the socket would tell. */
static hp_liveness
liveness(const play *p)
{
    const script *s = &p->k.scripts[0];
    for (size_t i = s->reading; i < p->row_events; i++) {
        if (p->events[i].op == SCRIPT_DATA)
            return HP_DEAD_BYTES;
        if (p->events[i].op == SCRIPT_EOF)
            return HP_DEAD_CLOSED;
    }
    return HP_ALIVE;
}

static void
second_request(play *p)
{
    bool kept = p->out->reusable;
    p->k.scripts[0].liveness = liveness(p);
    p->k.r.method = HP_SPAN_LIT("GET");
    hp_exchange *ex = kit_new(&p->k);
    CHECK_INT(kit_head(&p->k, ex), HP_GO_DONE);
    CHECK_INT(hp_exchange_head(ex)->status, 200);
    CHECK_INT(kit_body(&p->k, ex, 100, true), HP_GO_DONE);
    CHECK_SPAN(kit_text(&p->k), "second");
    p->out->reusable = p->k.queue.next == 1;
    CHECK(kept || !p->out->reusable);
    CHECK_INT(kit_facts(ex).reused, p->out->reusable);
    hp_exchange_free(ex);
}

static void
play_row(const row *r, size_t first, size_t step, outcome *out)
{
    static const script_event second = SECOND;
    play p = {.out = out, .cap = step == 1 ? 7 : 65536};
    outcome_init(out);
    kit_init(&p.k);
    p.k.queue.scripts = p.k.scripts;
    p.k.r.method = r->method;
    write_script(&p, r, first, step);
    kit_play(&p.k, p.events, p.n);
    kit_play(&p.k, &second, 1);
    first_request(&p);
    second_request(&p);
    kit_free(&p.k);
    free(p.events);
}

/* ---- holding ---- */

/* Also when refused, the bytes given out are the same. */
static bool
same_bytes(const outcome *a, const outcome *b)
{
    return same(a, b) && hp_span_eq(held(&a->body), held(&b->body));
}

static void
play_split(const row *r, const outcome *whole, size_t first, size_t step)
{
    outcome o;
    play_row(r, first, step, &o);
    if (!same_bytes(whole, &o)) {
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
    play_row(r, n, 1, &whole);
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
    corpus_each(path, hold);
}

int
main(int argc, char **argv)
{
    path = corpus_path(argc, argv);
    RUN(hold_corpus);
    corpus_verdict();
    DONE();
}
