#include "net/conn_tell.h"

#include "net/conn_impl.h"

static hp_span
looked_up(const hp_conn *c)
{
    return hp_span_cstr(c->state == HP_CONN_TARGET_RESOLVING
                            ? c->spec->target_host
                            : c->spec->host);
}

void
hp_conn_tell_dns_start(const hp_conn *c)
{
    if (hp_resolve_how(c->resolve) >= HP_RESOLVED_SHARED)
        HP_TELL(&c->trace, .kind = HP_EVENT_DNS_START, .conn = c->id,
                .text = {looked_up(c)});
}

/* Of a literal there is nothing to tell. */
static void
tell_dns_done(const hp_conn *c, hp_span addresses, const char *error)
{
    hp_resolve_source how = hp_resolve_how(c->resolve);
    hp_span name = looked_up(c);
    if (how == HP_RESOLVED_CACHE)
        HP_TELL(&c->trace, .kind = HP_EVENT_DNS_CACHE_HIT, .conn = c->id,
                .text = {name, addresses});
    else if (how != HP_RESOLVED_LITERAL)
        HP_TELL(&c->trace, .kind = HP_EVENT_DNS_DONE, .conn = c->id,
                .n = {how == HP_RESOLVED_SHARED},
                .text = {name, addresses, hp_span_or_none(error)});
}

void
hp_conn_tell_resolved(const hp_conn *c, const hp_addrs *addrs)
{
    char store[256];
    hp_buf text;
    if (!hp_trace_on(&c->trace))
        return;
    hp_buf_init(&text, store, sizeof store, 1 << 16);
    hp_addrs_format(addrs, &text); /* as many as there is memory for */
    tell_dns_done(c, hp_span_of(text.ptr, text.len), NULL);
    hp_buf_free(&text);
}

void
hp_conn_tell_tunnel_start(const hp_conn *c)
{
    char target[HP_CONN_TARGET_MAX];
    if (!hp_trace_on(&c->trace))
        return;
    hp_conn_target(c, target);
    HP_TELL(&c->trace, .kind = HP_EVENT_PROXY_CONNECT_START, .conn = c->id,
            .text = {hp_span_cstr(hp_proxy_name(c->spec->proxy)),
                     hp_span_cstr(target)});
}

void
hp_conn_tell_tunnel_done(const hp_conn *c, const char *error)
{
    char target[HP_CONN_TARGET_MAX];
    hp_answer *a = hp_tunnel_answer(c->tunnel);
    if (!hp_trace_on(&c->trace))
        return;
    hp_conn_target(c, target);
    HP_TELL(&c->trace, .kind = HP_EVENT_PROXY_CONNECT_DONE, .conn = c->id,
            .n = {a ? hp_answer_status(a) : 0},
            .text = {hp_span_cstr(hp_proxy_name(c->spec->proxy)),
                     hp_span_cstr(target), hp_span_or_none(error),
                     a ? hp_answer_lines(a) : hp_span_or_none(NULL)});
}

void
hp_conn_tell_handshake_start(const hp_conn *c, const char *server_name)
{
    HP_TELL(&c->trace, .kind = HP_EVENT_TLS_HANDSHAKE_START, .conn = c->id,
            .text = {hp_span_cstr(server_name)});
}

void
hp_conn_tell_handshake_done(const hp_conn *c, const char *error)
{
    hp_tls_info info = {.version = "", .cipher = ""};
    if (!hp_trace_on(&c->trace))
        return;
    if (error == NULL)
        hp_tls_stream_info(c->stream, &info);
    HP_TELL(&c->trace, .kind = HP_EVENT_TLS_HANDSHAKE_DONE, .conn = c->id,
            .n = {info.resumed},
            .text = {hp_span_cstr(info.version), hp_span_cstr(info.cipher),
                     hp_span_or_none(error)});
}

/* Whom a custom dial reaches is its own affair: it was asked for the host. */
void
hp_conn_tell_custom_start(const hp_conn *c)
{
    char target[HP_DIAL_TARGET_MAX];
    if (!hp_trace_on(&c->trace))
        return;
    hp_dial_target(c->spec, target);
    HP_TELL(&c->trace, .kind = HP_EVENT_CONNECT_START, .conn = c->id,
            .text = {hp_span_cstr(target)});
}

void
hp_conn_tell_custom_done(const hp_conn *c, const char *error)
{
    char target[HP_DIAL_TARGET_MAX];
    if (!hp_trace_on(&c->trace))
        return;
    hp_dial_target(c->spec, target);
    HP_TELL(&c->trace, .kind = HP_EVENT_CONNECT_DONE, .conn = c->id,
            .text = {hp_span_cstr(target), hp_span_or_none(error)});
}

/* What was begun ends now, and badly. */
void
hp_conn_tell_end(hp_conn *c, const char *error)
{
    if (!hp_trace_on(&c->trace))
        return;
    if (c->resolve)
        tell_dns_done(c, hp_span_of("", 0), error);
    if (c->dial)
        hp_dial_give_up(c->dial, error);
    if (c->state == HP_CONN_AWAITING_SOCKET && !c->stream)
        hp_conn_tell_custom_done(c, error);
    if (c->tunnel)
        hp_conn_tell_tunnel_done(c, error);
    if (c->state == HP_CONN_HANDSHAKE || c->state == HP_CONN_PROXY_HANDSHAKE)
        hp_conn_tell_handshake_done(c, error);
}
