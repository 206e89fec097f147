/* core_get: kept GETs of the core alone, over a scripted stream.
 *
 *   core_get_test [N]
 *
 * makes N of them, 3 unless told. As a test it checks what they give; run
 * under callgrind it shows what one costs (tests/test_instructions.py).
 */
#include "exchange_kit.h"

enum {
    WARM = 10 /* what is made at first and then kept */
};

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                             "Content-Length: 13\r\n\r\nHello, world!";

/* As hpool's client asks, with fields that are the same each time. */
static void
set_request(kit *k)
{
    k->r.url = HP_SPAN_LIT("http://127.0.0.1:8080/small");
    kit_field(k, "User-Agent", "hpool/0");
    kit_field(k, "Accept-Encoding", "gzip, deflate, br, zstd");
    kit_field(k, "Accept", "*/*");
    k->r.fields_id = 1;
    k->r.decode = true;
}

static script_event *
answers(long n)
{
    script_event *events = calloc((size_t)n, sizeof *events);
    CHECK(events);
    for (long i = 0; i < n; i++)
        events[i] = (script_event)SCRIPT_BYTES(answer);
    return events;
}

static void
get(kit *k, bool first)
{
    char body[64];
    size_t got;
    hp_exchange *ex = kit_new(k);
    CHECK_INT(kit_head(k, ex), HP_GO_DONE);
    CHECK_INT(hp_exchange_head(ex)->status, 200);
    CHECK_INT(hp_ex_step_read(ex, &k->w, body, sizeof body, false, &got),
              HP_GO_DONE);
    CHECK_SPAN(hp_span_of(body, got), "Hello, world!");
    CHECK(hp_exchange_ended(ex));
    if (first)
        CHECK(!kit_facts(ex).reused);
    hp_exchange_free(ex);
}

static void
get_many(long n)
{
    kit k;
    kit_init(&k);
    set_request(&k);
    script_event *events = answers(WARM + n);
    kit_play(&k, events, (size_t)(WARM + n));
    for (long i = 0; i < WARM + n; i++)
        get(&k, i == 0);
    CHECK_INT(k.scripts[0].opened, 1);
    CHECK(script_all_read(&k.scripts[0]));
    kit_free(&k);
    free(events);
}

int
main(int argc, char **argv)
{
    get_many(argc > 1 ? atol(argv[1]) : 3);
    printf("1 passed, 0 failed\n");
    return 0;
}
