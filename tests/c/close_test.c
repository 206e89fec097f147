/* The ends of an exchange that are not the end of its body: closing early, a
 * request that is refused, a connection that cannot be made. */
#include <errno.h>

#include "exchange_kit.h"

#define OK_HELLO                                                               \
    SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
#define OK_EMPTY SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static kit k;

/* The head of a response, which must come. */
static hp_exchange *
head(void)
{
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    return ex;
}

/* ---- closing ---- */

/* A head has been read; closing the exchange leaves this verdict. */
static void
close_verdict(hp_close_reason why)
{
    hp_exchange *ex = head();
    hp_exchange_close(ex);
    CHECK_RELEASED(ex, why);
    CHECK(!hp_exchange_ended(ex) || why == HP_KEEP);
    size_t got;
    CHECK_INT(kit_read(&k, ex, 10, true, &got), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CLOSED);
    CHECK_INT(kit_read(&k, ex, 0, true, &got), HP_GO_ERROR);
    hp_exchange_close(ex);
    CHECK_RELEASED(ex, why);
    hp_exchange_free(ex);
}

#define TEN "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"

/* S1, S85: what the kernel holds is taken along. */
static void
test_close_takes_the_rest(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES(TEN), SCRIPT_BYTES("defg"), SCRIPT_BYTES("hij"),
         SCRIPT_BYTES(CHUNKED "1\r\nx"), SCRIPT_BYTES("\r\n0\r\nA: b\r\n\r\n"),
         OK_HELLO);
    close_verdict(HP_KEEP);
    close_verdict(HP_KEEP);
    kit_get_ok(&k, "hello");
    CHECK_INT(k.queue.next, 1);
    kit_free(&k);
}

/* S10 d, S12, S14 */
static void
test_close_refusals(void)
{
    kit_init(&k);
    PLAY(&k, SCRIPT_BYTES(TEN), {.op = SCRIPT_AGAIN}, SCRIPT_BYTES("defghij"));
    close_verdict(HP_CLOSE_BODY_UNREAD);
    PLAY(&k, SCRIPT_BYTES(TEN), SCRIPT_BYTES("def"), {.op = SCRIPT_EOF});
    close_verdict(HP_CLOSE_DRAIN_FAILED);
    PLAY(&k, SCRIPT_BYTES(CHUNKED "1\r\nx"), SCRIPT_BYTES("\r\nrubbish"));
    close_verdict(HP_CLOSE_PROTOCOL_ERROR);
    PLAY(&k, SCRIPT_BYTES(CHUNKED "1\r\nx"), SCRIPT_BYTES("\r\n0\r\n\r\nmore"));
    close_verdict(HP_CLOSE_LEFTOVER_BYTES);
    PLAY(&k, SCRIPT_BYTES("HTTP/1.1 200 OK\r\n\r\nabc"), {.op = SCRIPT_EOF});
    close_verdict(HP_CLOSE_UNTIL_CLOSE_BODY);
    PLAY(&k,
         SCRIPT_BYTES("HTTP/1.1 200 OK\r\nConnection: close\r\n"
                      "Content-Length: 9\r\n\r\nabc"),
         SCRIPT_BYTES("defghi"));
    close_verdict(HP_CLOSE_RESPONSE_SAYS_CLOSE);
    CHECK(!script_all_read(&k.scripts[5])); /* not worth a read */
    kit_free(&k);
}

/* S9 c: too much to drain. */
static void
test_close_large_body(void)
{
    kit_init(&k);
    k.config.limits.drain_bytes = 262144;
    PLAY(&k,
         SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 512000\r\n\r\na"));
    close_verdict(HP_CLOSE_DRAIN_TOO_LONG);
    kit_free(&k);
}

/* Closing takes at most 64 KiB, whatever comes. */
static void
test_close_takes_no_more(void)
{
    enum {
        N = 10,
        SIZE = 16384
    };
    static char zeros[SIZE];
    static script_event events[N + 1] = {
        SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 163840\r\n\r\n")};
    for (int i = 1; i <= N; i++)
        events[i] = (script_event){SCRIPT_DATA, zeros, SIZE, 0};
    kit_init(&k);
    kit_play(&k, events, N + 1);
    close_verdict(HP_CLOSE_BODY_UNREAD);
    CHECK_INT(k.scripts[0].reading, 5);
    kit_free(&k);
}

static void
test_close_before_anything(void)
{
    kit_init(&k);
    hp_exchange *ex = kit_new(&k);
    hp_exchange_close(ex);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CLOSED);
    CHECK(!hp_exchange_ended(ex));
    hp_exchange_free(ex);
    ex = kit_new(&k);
    hp_exchange_free(ex);
    hp_exchange_free(NULL);
    PLAY(&k, {.op = SCRIPT_AGAIN});
    ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_WAIT);
    hp_exchange_close(ex);
    CHECK_RELEASED(ex, HP_CLOSE_CANCELLED);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* Complete and released: what was not read is gone with the close. */
static void
test_close_after_the_end(void)
{
    kit_init(&k);
    PLAY(&k, OK_HELLO);
    hp_exchange *ex = head();
    hp_exchange_close(ex);
    size_t got;
    CHECK_INT(kit_read(&k, ex, 10, true, &got), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CLOSED);
    CHECK_RELEASED(ex, HP_KEEP);
    hp_exchange_mark_leaked(ex);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- before anything is sent ---- */

static void
new_fails(hp_errc code)
{
    CHECK(kit_try(&k) == NULL);
    CHECK_STR(hp_errc_name(k.err.code), hp_errc_name(code));
}

/* S110, S111: found out without a connection. */
static void
test_refused_requests(void)
{
    kit_init(&k);
    k.r.url = HP_SPAN_LIT("http://h:x/");
    new_fails(HP_E_INVALID_URL);
    k.r.url = HP_SPAN_LIT("h/p");
    new_fails(HP_E_MISSING_SCHEME);
    k.r.url = HP_SPAN_LIT("ftp://h/");
    new_fails(HP_E_UNSUPPORTED_SCHEME);
    k.r.url = HP_SPAN_LIT("https://h/");
    new_fails(HP_E_INVALID_ARGUMENT);
    k.r.url = HP_SPAN_LIT("http://h/");
    k.r.method = HP_SPAN_LIT("G T");
    new_fails(HP_E_INVALID_METHOD);
    k.r.method = HP_SPAN_LIT("");
    kit_field(&k, "A", "b\nc");
    new_fails(HP_E_INVALID_HEADER);
    k.r.n_fields = 0;
    static const char *const none[] = {NULL};
    kit_produce(&k, none, -1);
    k.r.idempotent = HP_IDEMPOTENT_YES;
    new_fails(HP_E_INVALID_ARGUMENT);
    hp_transport_close(k.t);
    hp_request_init(&k.r);
    k.r.url = HP_SPAN_LIT("http://h/");
    new_fails(HP_E_CLOSED);
    CHECK_INT(k.queue.next, 0);
    kit_free(&k);
}

static void
test_long_names(void)
{
    static char url[3000] = "http://", name[250];
    memset(url + 7, 'a', 63);
    memset(url + 70, '/', 2900);
    memset(name, 'n', sizeof name);
    kit_init(&k);
    PLAY(&k, OK_HELLO);
    k.r.url = hp_span_of(url, 2970);
    k.r.server_name = hp_span_of(name, sizeof name);
    hp_exchange *ex = head();
    CHECK_INT(strlen(kit_facts(ex).key), 7 + 63 + 3 - 1 + 0);
    CHECK_INT(ex->want.path.len, 2900);
    CHECK_INT(ex->key.server_name.len, sizeof name);
    hp_exchange_free(ex);
    kit_free(&k);
}

static void
test_no_connection(void)
{
    kit_init(&k);
    hp_exchange *ex = kit_new(&k);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CONNECT);
    CHECK_INT(ex->err.phase, HP_PHASE_CONNECT);
    CHECK_INT(kit_facts(ex).conn_id, 0);
    CHECK_INT(kit_head(&k, ex), HP_GO_ERROR);
    hp_exchange_mark_leaked(ex);
    hp_exchange_close(ex);
    CHECK_ERR(ex, HP_E_CONNECT);
    hp_exchange_free(ex);
    kit_free(&k);
}

/* ---- no descriptors ---- */

static int open_errno, refusals;

static hp_stream *
open_or_refuse(void *arg, hp_err *err)
{
    if (refusals == 0)
        return script_open_next(arg, err);
    refusals--;
    hp_err_set_sys(err, HP_E_CONNECT, open_errno, "opening a script");
    return NULL;
}

static hp_exchange *
at_other_host(void)
{
    k.r.url = HP_SPAN_LIT("http://other/");
    hp_exchange *ex = kit_new(&k);
    ex->key.open_stream = open_or_refuse;
    return ex;
}

static uint64_t
no_descriptors(void)
{
    hp_stats *s = hp_transport_stats(k.t);
    uint64_t n = s->total.count.no_descriptors;
    hp_stats_free(s);
    return n;
}

/* An idle connection of any host gives its descriptor up, once. */
static void
test_no_descriptors(void)
{
    static const struct {
        int error, refusals;
        hp_go want;
    } cases[] = {{EMFILE, 1, HP_GO_DONE},
                 {ENFILE, 1, HP_GO_DONE},
                 {EMFILE, 2, HP_GO_ERROR},
                 {EACCES, 1, HP_GO_ERROR}};
    for (int i = 0; i < 4; i++) {
        kit_init(&k);
        PLAY(&k, OK_EMPTY);
        PLAY(&k, OK_EMPTY);
        kit_get_ok(&k, "");
        open_errno = cases[i].error;
        refusals = cases[i].refusals;
        hp_exchange *ex = at_other_host();
        CHECK_INT(kit_head(&k, ex), cases[i].want);
        CHECK_INT(refusals, 0);
        CHECK_INT(k.scripts[0].closed, cases[i].error != EACCES);
        CHECK_INT(no_descriptors(),
                  cases[i].error == EACCES ? 0 : cases[i].refusals);
        if (cases[i].want == HP_GO_ERROR)
            CHECK_INT(ex->err.sys_errno, cases[i].error);
        hp_exchange_free(ex);
        kit_free(&k);
    }
}

int
main(void)
{
    RUN(test_close_takes_the_rest);
    RUN(test_close_refusals);
    RUN(test_close_large_body);
    RUN(test_close_takes_no_more);
    RUN(test_close_before_anything);
    RUN(test_close_after_the_end);
    RUN(test_refused_requests);
    RUN(test_long_names);
    RUN(test_no_connection);
    RUN(test_no_descriptors);
    DONE();
}
