/* tunnel_impl: what the tunnel*.c files share. Nobody else includes it. */
#ifndef HP_NET_TUNNEL_IMPL_H
#define HP_NET_TUNNEL_IMPL_H

#include "base/buf.h"
#include "net/tunnel.h"
#include "wire/head.h"

enum {
    HP_TUNNEL_NAME_MAX = 255, /* RFC 1928 5: a name's length is one byte */
    HP_TUNNEL_IN_STORE = 1024
};

typedef enum hp_tunnel_state {
    SEND_CONNECT,
    READ_HEAD,
    SEND_GREETING,
    READ_METHOD,
    SEND_LOGIN,
    READ_LOGIN,
    SEND_TARGET,
    READ_REPLY,
    READ_BOUND,
    OPEN,
    FAILED
} hp_tunnel_state;

struct hp_tunnel {
    hp_tunnel_state state;
    hp_proxy *proxy; /* a reference */
    const char *name;
    size_t max_head;
    hp_buf out; /* the message being sent */
    hp_buf in;  /* the answer being read */
    /* CONNECT */
    bool authorized; /* says who is asking */
    size_t head_at;  /* where the head being parsed begins */
    size_t seen;     /* bytes of it looked at */
    hp_head head;
    hp_answer *answer; /* once it is a final one */
    /* SOCKS5 */
    hp_addr addr; /* of the target; len 0: by name */
    size_t bound_len;
    bool address_refused;
    uint16_t port;
    char host[HP_TUNNEL_NAME_MAX + 1]; /* without zone */
    char target[HP_TUNNEL_TARGET_MAX]; /* for people, and CONNECT */
    char in_store[HP_TUNNEL_IN_STORE];
};

/* A state's function: 0 when it has changed the state, else HP_IO_*. */
typedef int hp_tunnel_fn(hp_tunnel *t, hp_stream *s, hp_err *err);

/* tunnel.c */
/* *err is set. */
int hp_tunnel_fail(hp_tunnel *t, hp_err *err);
#define HP_TUNNEL_FAIL(t, err, ...)                                            \
    (hp_err_set((err), HP_E_PROXY, __VA_ARGS__), hp_tunnel_fail((t), (err)))
/* 0 when all of `out` is with the stream, and in state `next`. */
int hp_tunnel_send(hp_tunnel *t, hp_stream *s, hp_tunnel_state next,
                   hp_err *err);
/* 0 when `in` holds exactly so many. */
int hp_tunnel_read_exactly(hp_tunnel *t, hp_stream *s, size_t n, hp_err *err);

static inline unsigned char
hp_tunnel_byte(const hp_tunnel *t, size_t i)
{
    return (unsigned char)t->in.ptr[i];
}

/* tunnel_socks.c */
/* To SEND_GREETING. 0, or -1 with *err. */
int hp_tunnel_begin_socks(hp_tunnel *t, const hp_addr *addr, hp_err *err);
hp_tunnel_fn hp_tunnel_send_greeting, hp_tunnel_read_method,
    hp_tunnel_send_login, hp_tunnel_read_login, hp_tunnel_send_target,
    hp_tunnel_read_reply, hp_tunnel_read_bound;

#endif
