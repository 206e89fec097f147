#include "wire/framing.h"

#include "test.h"

static const hp_request_facts get;
static const hp_request_facts head_request = {.is_head = true};
static const hp_request_facts connect_request = {.is_connect = true};
static const hp_request_facts closing = {.says_close = true};
static const hp_request_facts upgrading = {.wants_upgrade = true};

/* "status line less HTTP/", then field lines. */
static hp_head
head_of(const char *text)
{
    char buf[512];
    int n = snprintf(buf, sizeof buf, "HTTP/%s\r\n\r\n", text);
    hp_head head;
    hp_err err = {0};
    CHECK_INT(hp_head_parse(buf, (size_t)n, 0, &head, &err), n);
    return head;
}

static hp_framing
decided(const hp_request_facts *request, const char *text)
{
    hp_head head = head_of(text);
    hp_framing f;
    hp_err err = {0};
    CHECK_INT(hp_framing_decide(&head, request, &f, &err), 0);
    CHECK_INT(err.code, HP_OK);
    CHECK((f.kind == HP_BODY_LENGTH) == (f.length >= 0));
    return f;
}

static void
refused(const hp_request_facts *request, const char *text)
{
    hp_head head = head_of(text);
    hp_framing f;
    hp_err err = {0};
    CHECK_INT(hp_framing_decide(&head, request, &f, &err), -1);
    CHECK_INT(err.code, HP_E_REMOTE_PROTOCOL);
}

static void
check(const hp_request_facts *request, const char *text, hp_body_kind kind,
      hp_close_reason verdict)
{
    hp_framing f = decided(request, text);
    CHECK_INT(f.kind, kind);
    CHECK_STR(hp_close_reason_name(f.verdict), hp_close_reason_name(verdict));
}

static void
body_kinds(void)
{
    hp_framing f = decided(&get, "1.1 200 OK\r\nContent-Length: 42");
    CHECK_INT(f.kind, HP_BODY_LENGTH);
    CHECK_INT(f.length, 42);
    check(&get, "1.1 200 OK\r\nContent-Length: 0", HP_BODY_LENGTH, HP_KEEP);
    check(&get, "1.1 200 OK\r\nTransfer-Encoding: chunked", HP_BODY_CHUNKED,
          HP_KEEP);
    check(&get, "1.1 200 OK", HP_BODY_UNTIL_CLOSE, HP_CLOSE_UNTIL_CLOSE_BODY);
    check(&get, "1.1 204 No Content\r\nContent-Length: 3", HP_BODY_NONE,
          HP_KEEP);
    check(&get, "1.1 304 Not Modified\r\nTransfer-Encoding: chunked",
          HP_BODY_NONE, HP_KEEP);
    check(&get, "1.1 304 Not Modified", HP_BODY_NONE, HP_KEEP);
    check(&head_request, "1.1 200 OK", HP_BODY_NONE, HP_KEEP);
    check(&head_request, "1.1 200 OK\r\nContent-Length: 42", HP_BODY_NONE,
          HP_KEEP);
    check(&get, "1.1 599 Odd\r\nContent-Length: 1", HP_BODY_LENGTH, HP_KEEP);
}

static void
length_and_chunked(void)
{
    const char *both =
        "1.1 200 OK\r\nContent-Length: 42\r\nTransfer-Encoding: chunked";
    check(&get, both, HP_BODY_CHUNKED, HP_CLOSE_LENGTH_AND_CHUNKED);
    check(&head_request, both, HP_BODY_NONE, HP_KEEP);
}

static void
who_says_close(void)
{
    check(&get, "1.1 200 OK\r\nContent-Length: 1\r\nConnection: close",
          HP_BODY_LENGTH, HP_CLOSE_RESPONSE_SAYS_CLOSE);
    check(&get, "1.1 204 x\r\nConnection: keep-alive, close", HP_BODY_NONE,
          HP_CLOSE_RESPONSE_SAYS_CLOSE);
    check(&closing, "1.1 204 No Content", HP_BODY_NONE,
          HP_CLOSE_REQUEST_SAYS_CLOSE);
}

static void
http10(void)
{
    check(&get, "1.0 200 OK\r\nContent-Length: 1", HP_BODY_LENGTH,
          HP_CLOSE_HTTP10);
    check(&get, "1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive",
          HP_BODY_LENGTH, HP_KEEP);
    check(&get, "1.0 200 OK\r\nConnection: keep-alive", HP_BODY_UNTIL_CLOSE,
          HP_CLOSE_UNTIL_CLOSE_BODY);
    check(&get, "1.0 200 OK", HP_BODY_UNTIL_CLOSE, HP_CLOSE_HTTP10);
    check(&get, "1.2 200 OK\r\nContent-Length: 1", HP_BODY_LENGTH, HP_KEEP);
}

static void
transfer_encoding_on_http10(void)
{
    check(&get,
          "1.0 200 OK\r\nTransfer-Encoding: bogus\r\nConnection: keep-alive\r\n"
          "Content-Length: 10",
          HP_BODY_LENGTH, HP_CLOSE_TE_ON_HTTP10);
    check(&get, "1.0 200 OK\r\nTransfer-Encoding: bogus", HP_BODY_UNTIL_CLOSE,
          HP_CLOSE_TE_ON_HTTP10);
    check(&head_request, "1.0 200 OK\r\nTransfer-Encoding: chunked",
          HP_BODY_NONE, HP_CLOSE_TE_ON_HTTP10);
    refused(&get, "1.0 200 OK\r\nTransfer-Encoding: chunked");
}

static void
switching_protocols(void)
{
    const char *full = "1.1 101 Switching Protocols\r\n"
                       "Connection: upgrade\r\nUpgrade: websocket";
    check(&upgrading, full, HP_BODY_TUNNEL, HP_CLOSE_UPGRADED);
    check(&upgrading, "1.1 101 Switching Protocols", HP_BODY_NONE,
          HP_CLOSE_FINAL_1XX);
    check(&upgrading, "1.1 101 Switching Protocols\r\nUpgrade: websocket",
          HP_BODY_NONE, HP_CLOSE_FINAL_1XX);
    check(&upgrading, "1.1 200 OK\r\nContent-Length: 0", HP_BODY_LENGTH,
          HP_KEEP);
    refused(&get, full);
    refused(&get, "1.1 101 Switching Protocols");
}

static void
connect_tunnels(void)
{
    check(&connect_request, "1.1 200 Connection established", HP_BODY_TUNNEL,
          HP_CLOSE_UPGRADED);
    check(&connect_request, "1.1 204 x\r\nContent-Length: 5", HP_BODY_TUNNEL,
          HP_CLOSE_UPGRADED);
    check(&connect_request, "1.1 407 x\r\nContent-Length: 5", HP_BODY_LENGTH,
          HP_KEEP);
}

static void
interim_heads(void)
{
    hp_head head = head_of("1.1 103 Early Hints");
    CHECK(hp_head_is_interim(&head));
    head = head_of("1.1 101 Switching Protocols");
    CHECK(!hp_head_is_interim(&head));
    head = head_of("1.1 200 OK");
    CHECK(!hp_head_is_interim(&head));
    /* should the exchange ever hand one over: never a body, never reused */
    check(&get, "1.1 103 x\r\nContent-Length: 3", HP_BODY_NONE,
          HP_CLOSE_FINAL_1XX);
}

int
main(void)
{
    RUN(body_kinds);
    RUN(length_and_chunked);
    RUN(who_says_close);
    RUN(http10);
    RUN(transfer_encoding_on_http10);
    RUN(switching_protocols);
    RUN(connect_tunnels);
    RUN(interim_heads);
    DONE();
}
