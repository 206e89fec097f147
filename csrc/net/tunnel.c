/* tunnel: the two machines.
 *
 *   from            to              by
 *   --------------  --------------  ---------------------------------------
 *   SEND_CONNECT    READ_HEAD       send_connect, all of it is out
 *   READ_HEAD       OPEN            read_head -> judge, any 2xx
 *   SEND_GREETING   READ_METHOD     send_greeting
 *   READ_METHOD     SEND_LOGIN      read_method, user and password wanted
 *   READ_METHOD     SEND_TARGET     read_method, nothing wanted
 *   SEND_LOGIN      READ_LOGIN      send_login
 *   READ_LOGIN      SEND_TARGET     read_login
 *   SEND_TARGET     READ_REPLY      send_target
 *   READ_REPLY      READ_BOUND      read_reply, it says yes
 *   READ_BOUND      OPEN            read_bound, its address is complete
 *   any             FAILED          hp_tunnel_fail, and its callers
 *
 * hp_tunnel_step goes round until a state's function answers HP_IO_*. Those of
 * SOCKS5 are in tunnel_socks.c.
 */
#include "net/tunnel.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/tunnel_impl.h"
#include "wire/framing.h"

enum {
    READ_AT_LEAST = 2048,
    REASON_SHOWN = 60
};

/* ---- words ---- */

void
hp_tunnel_target(const char *host, uint16_t port,
                 char out[HP_TUNNEL_TARGET_MAX])
{
    int n = (int)strcspn(host, "%");
    const char *form = strchr(host, ':') ? "[%.*s]:%u" : "%.*s:%u";
    snprintf(out, HP_TUNNEL_TARGET_MAX, form, n, host, (unsigned)port);
}

int
hp_tunnel_fail(hp_tunnel *t, hp_err *err)
{
    if (err->code == HP_E_PROXY)
        err->status = t->answer ? hp_answer_status(t->answer) : 0;
    t->state = FAILED;
    return HP_IO_ERROR;
}

static int
no_memory(hp_tunnel *t, hp_err *err)
{
    hp_err_set(err, HP_E_NOMEM, "out of memory");
    return hp_tunnel_fail(t, err);
}

static int
lost(hp_tunnel *t, const hp_err *why, hp_err *err)
{
    if (why->code == HP_E_NOMEM)
        return no_memory(t, err);
    hp_err_set(err, HP_E_PROXY,
               "the proxy %s closed the connection before it had opened a "
               "tunnel to %s%s%s",
               t->name, t->target, why->code ? ": " : "", why->text);
    err->sys_errno = why->sys_errno;
    return hp_tunnel_fail(t, err);
}

/* ---- bytes ---- */

/* 0 when all of `out` is with the stream; the answer can begin then. */
int
hp_tunnel_send(hp_tunnel *t, hp_stream *s, hp_tunnel_state next, hp_err *err)
{
    hp_err why;
    hp_err_clear(&why);
    while (hp_buf_unread(&t->out)) {
        struct iovec v = {hp_buf_read_ptr(&t->out), hp_buf_unread(&t->out)};
        ssize_t n = s->ops->writev(s, &v, 1, &why);
        if (n == HP_IO_WANT_READ || n == HP_IO_WANT_WRITE)
            return (int)n;
        if (n < 0)
            return lost(t, &why, err);
        t->out.pos += (size_t)n;
    }
    t->out.pos = t->out.len = 0;
    t->in.pos = t->in.len = 0;
    t->state = next;
    return 0;
}

/* Once more into `in`, at most `most` bytes. */
static int
read_in(hp_tunnel *t, hp_stream *s, size_t most, hp_err *err)
{
    hp_err why;
    hp_err_clear(&why);
    if (hp_buf_reserve(&t->in, most) != 0)
        return no_memory(t, err);
    ssize_t n = s->ops->read(s, t->in.ptr + t->in.len, most, &why);
    if (n == HP_IO_WANT_READ || n == HP_IO_WANT_WRITE)
        return (int)n;
    if (n <= 0)
        return lost(t, &why, err);
    t->in.len += (size_t)n;
    return 0;
}

/* Until `in` holds exactly so many. */
int
hp_tunnel_read_exactly(hp_tunnel *t, hp_stream *s, size_t n, hp_err *err)
{
    int r = 0;
    while (r == 0 && t->in.len < n)
        r = read_in(t, s, n - t->in.len, err);
    return r;
}

/* ---- CONNECT ---- */

static int
send_connect(hp_tunnel *t, hp_stream *s, hp_err *err)
{
    return hp_tunnel_send(t, s, READ_HEAD, err);
}

static hp_span
head_lines(const hp_tunnel *t)
{
    const char *head = t->in.ptr + t->head_at;
    return hp_span_of(head + t->head.fields_at, t->head.fields_len);
}

/* A stranger wrote it. */
static void
shown(hp_span text, char *out, size_t size)
{
    size_t n = 0;
    for (; n < text.len && n + 1 < size; n++)
        out[n] = text.ptr[n] >= ' ' && text.ptr[n] < 0x7f ? text.ptr[n] : '?';
    out[n] = '\0';
}

/* What a 407 asks for. */
typedef struct wanted {
    bool basic, digest;
    char other[20]; /* the first scheme that is neither, "": none */
} wanted;

static wanted
what_is_wanted(const hp_tunnel *t)
{
    wanted w = {false, false, ""};
    hp_span rest = head_lines(t);
    hp_field f;
    while (hp_field_next(&rest, &f)) {
        if (!hp_span_eq_nocase(f.name, HP_SPAN_LIT("Proxy-Authenticate")))
            continue;
        hp_span scheme = f.value;
        for (size_t i = 0; i < scheme.len; i++) {
            if (scheme.ptr[i] == ' ' || scheme.ptr[i] == ',')
                scheme.len = i;
        }
        if (hp_span_eq_nocase(scheme, HP_SPAN_LIT("Basic")))
            w.basic = true;
        else if (hp_span_eq_nocase(scheme, HP_SPAN_LIT("Digest")))
            w.digest = true;
        else if (w.other[0] == '\0')
            shown(scheme, w.other, sizeof w.other);
    }
    return w;
}

/* What to do about a 407. */
static void
advise(const hp_tunnel *t, char *out, size_t size)
{
    wanted w = what_is_wanted(t);
    bool answers = hp_proxy_is_challenging(t->proxy);
    if (w.digest && !w.basic && !answers)
        snprintf(out, size,
                 "; it asks for Digest: give its Proxy auth=DigestAuth(user, "
                 "password)");
    else if (w.other[0] && !w.basic && !w.digest)
        snprintf(out, size,
                 "; it asks for %s, which is not spoken here (Basic and Digest "
                 "are)",
                 w.other);
    else if (t->authorized)
        snprintf(out, size, "; it does not accept the credentials given");
    else if (answers)
        snprintf(out, size, "; it asks who is there%s",
                 w.digest ? "" : " without a Digest to answer");
    else
        snprintf(out, size,
                 "; it wants credentials: put them into the proxy's URL, "
                 "http://user:password@host:port");
}

static int
refused(hp_tunnel *t, hp_err *err)
{
    char reason[REASON_SHOWN + 1], advice[200] = "";
    const char *head = t->in.ptr + t->head_at;
    hp_span said = hp_span_of(head + t->head.reason_at, t->head.reason_len);
    shown(said, reason, sizeof reason);
    if (t->head.status == 407)
        advise(t, advice, sizeof advice);
    return HP_TUNNEL_FAIL(
        t, err, "the proxy %s refused a tunnel to %s: %d %s%s", t->name,
        t->target, t->head.status, reason[0] ? reason : "(no reason)", advice);
}

/* A final head of n bytes. Its length and coding mean nothing in a 2xx (RFC
 * 9110 9.3.6). */
static int
judge(hp_tunnel *t, size_t n, hp_err *err)
{
    t->answer = hp_answer_new(t->head.status, head_lines(t));
    if (t->answer == NULL)
        return no_memory(t, err);
    if (t->head.status < 200 || t->head.status > 299)
        return refused(t, err);
    if (t->in.len > t->head_at + n)
        return HP_TUNNEL_FAIL(
            t, err,
            "the proxy %s sent %zu bytes behind its answer to CONNECT "
            "%s, before anything was said in the tunnel",
            t->name, t->in.len - t->head_at - n, t->target);
    t->state = OPEN;
    return 0;
}

/* Something that is TLS begins with an alert or a handshake record. */
static int
not_http(hp_tunnel *t, const hp_err *why, hp_err *err)
{
    bool tls = hp_tunnel_byte(t, t->head_at) == 0x15 ||
               hp_tunnel_byte(t, t->head_at) == 0x16;
    return HP_TUNNEL_FAIL(
        t, err, "the proxy %s did not answer CONNECT %s in HTTP: %s%s", t->name,
        t->target, why->text,
        tls ? " (is this the port of an https:// proxy?)" : "");
}

/* 0: the head is there, or was refused; WANT_READ: more bytes are needed. */
static int
parse_head(hp_tunnel *t, hp_err *err)
{
    hp_err why;
    hp_err_clear(&why);
    for (;;) {
        size_t have = t->in.len - t->head_at;
        ssize_t n = hp_head_parse(t->in.ptr + t->head_at, have, t->seen,
                                  &t->head, &why);
        if (n < 0)
            return not_http(t, &why, err);
        if (t->head_at + (n ? (size_t)n : have) > t->max_head)
            return HP_TUNNEL_FAIL(
                t, err,
                "the proxy %s answered CONNECT %s with more than %zu "
                "bytes of header (max_header_bytes)",
                t->name, t->target, t->max_head);
        if (n == 0) {
            t->seen = have;
            return HP_IO_WANT_READ;
        }
        if (!hp_head_is_interim(&t->head))
            return judge(t, (size_t)n, err);
        t->head_at += (size_t)n;
        t->seen = 0;
    }
}

static int
read_head(hp_tunnel *t, hp_stream *s, hp_err *err)
{
    int r;
    do {
        r = read_in(t, s, READ_AT_LEAST, err);
        if (r != 0)
            return r;
        r = parse_head(t, err);
    } while (r == HP_IO_WANT_READ);
    return r;
}

/* ---- the runner ---- */

static hp_tunnel_fn *const states[] = {
    [SEND_CONNECT] = send_connect,
    [READ_HEAD] = read_head,
    [SEND_GREETING] = hp_tunnel_send_greeting,
    [READ_METHOD] = hp_tunnel_read_method,
    [SEND_LOGIN] = hp_tunnel_send_login,
    [READ_LOGIN] = hp_tunnel_read_login,
    [SEND_TARGET] = hp_tunnel_send_target,
    [READ_REPLY] = hp_tunnel_read_reply,
    [READ_BOUND] = hp_tunnel_read_bound,
};

int
hp_tunnel_step(hp_tunnel *t, hp_stream *s, hp_err *err)
{
    int r = 0;
    assert(t->state != FAILED);
    while (r == 0 && t->state != OPEN)
        r = states[t->state](t, s, err);
    return r;
}

bool
hp_tunnel_address_refused(const hp_tunnel *t)
{
    return t->address_refused;
}

hp_answer *
hp_tunnel_answer(const hp_tunnel *t)
{
    return t->answer;
}

/* ---- life ---- */

static int
begin_connect(hp_tunnel *t, hp_span authorization, hp_err *err)
{
    t->state = SEND_CONNECT;
    t->authorized =
        authorization.ptr || hp_proxy_settings(t->proxy)->authorization.ptr;
    return hp_proxy_write_connect(t->proxy, hp_span_cstr(t->target),
                                  authorization, &t->out, err);
}

hp_tunnel *
hp_tunnel_new(hp_proxy *p, const char *host, uint16_t port, const hp_addr *addr,
              hp_span authorization, size_t max_head, hp_err *err)
{
    size_t n = strcspn(host, "%");
    if (n > HP_TUNNEL_NAME_MAX) {
        hp_err_set(err, HP_E_PROXY,
                   "the proxy %s cannot be asked for a host "
                   "name of more than %d bytes",
                   hp_proxy_name(p), HP_TUNNEL_NAME_MAX);
        return NULL;
    }
    hp_tunnel *t = hp_calloc(sizeof *t);
    if (t == NULL) {
        hp_err_set(err, HP_E_NOMEM, "out of memory");
        return NULL;
    }
    t->proxy = hp_proxy_ref(p);
    t->name = hp_proxy_name(p);
    t->max_head = max_head;
    t->port = port;
    memcpy(t->host, host, n);
    hp_tunnel_target(host, port, t->target);
    hp_buf_init(&t->out, NULL, 0, SIZE_MAX / 2);
    hp_buf_init(&t->in, t->in_store, sizeof t->in_store,
                max_head + READ_AT_LEAST);
    int rc = hp_proxy_is_socks(p) ? hp_tunnel_begin_socks(t, addr, err)
                                  : begin_connect(t, authorization, err);
    if (rc == 0)
        return t;
    hp_tunnel_free(t);
    return NULL;
}

/* A password was in there. */
static void
wipe(hp_buf *b)
{
    volatile char *p = b->ptr;
    for (size_t i = 0; i < b->cap; i++)
        p[i] = 0;
}

void
hp_tunnel_free(hp_tunnel *t)
{
    if (t == NULL)
        return;
    wipe(&t->out);
    hp_buf_free(&t->out);
    hp_buf_free(&t->in);
    hp_answer_unref(t->answer);
    hp_proxy_unref(t->proxy);
    hp_free(t);
}
