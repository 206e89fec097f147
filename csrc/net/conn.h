/* conn: one connection from nothing to ready to closed. Knows bytes, not HTTP,
 * and no pool.
 *
 *   NEW -> RESOLVING -> CONNECTING -+-> [through a proxy] -> [HANDSHAKE] ->
 * READY |                              |
 *    +-----> AWAITING_SOCKET -------+        any state -> CLOSED
 *
 *   through a proxy:
 *     [PROXY_HANDSHAKE] -> [TARGET_RESOLVING] -> [TUNNEL]
 *                                                  |
 *     RESOLVING, CONNECTING, AWAITING_SOCKET <-----+ the proxy cannot reach one
 *                                                    address: on to the next
 */
#ifndef HP_NET_CONN_H
#define HP_NET_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/events.h"
#include "base/waker.h"
#include "net/proxy.h"
#include "net/resolve.h"
#include "net/sock.h"
#include "net/stream.h"
#include "net/tls.h"
#include "net/tls_session.h"
#include "net/tunnel.h"
#include "net/wait.h"

/* Whom to dial and how. Immutable; outlives every conn made from it. Through a
 * proxy it is the proxy that is dialled. */
typedef struct hp_dial_spec {
    const char *host; /* name or literal for resolver; lower case */
    uint16_t port;
    int family;              /* AF_UNSPEC, AF_INET, AF_INET6 */
    const char *uds;         /* Unix socket path instead of host, or NULL */
    const hp_addrs *resolve; /* override: these addresses, no look-up */
    const hp_addr *local_address; /* NULL: any */
    const hp_sockopt *sockopts;
    int n_sockopts;
    hp_ns dns_ttl;
    bool custom_dial;        /* instead of all the above: hp_conn_give_socket */
    hp_proxy *proxy;         /* NULL: host is the target */
    const char *target_host; /* what a tunnel leads to, as host; NULL: none, the
                                proxy forwards what it is sent */
    uint16_t target_port;
    const hp_addrs *target_resolve; /* SOCKS5: override for target_host */
    size_t max_connect_head;        /* of the answers to CONNECT, in bytes */
    hp_sessions *proxy_sessions;    /* as sessions, for TLS with the proxy */
    hp_tls *tls;                    /* NULL: plain */
    const char *server_name; /* for TLS: what the certificate must name */
    hp_sessions *sessions;   /* of this spec alone; NULL: never resume */
    /* Instead of all the above but tls: makes the stream (tests).
     * Must not block. NULL with *err on failure. */
    hp_stream *(*open_stream)(void *arg, hp_err *err);
    void *open_arg;
} hp_dial_spec;

typedef enum hp_conn_state {
    HP_CONN_NEW,
    HP_CONN_RESOLVING,
    HP_CONN_CONNECTING,
    HP_CONN_AWAITING_SOCKET,
    HP_CONN_PROXY_HANDSHAKE,
    HP_CONN_TARGET_RESOLVING,
    HP_CONN_TUNNEL,
    HP_CONN_HANDSHAKE,
    HP_CONN_READY,
    HP_CONN_CLOSED
} hp_conn_state;

typedef struct hp_conn_times { /* hp_clock_now() readings, 0 = did not happen */
    hp_ns dial_start, resolved;
    hp_ns connected; /* to the target, so with a tunnel when it was open */
    hp_ns secured;   /* TLS with the target */
} hp_conn_times;

typedef struct hp_dial hp_dial; /* happy eyeballs, see dial.h */

typedef struct hp_conn {
    uint64_t id; /* process-wide, from 1, never reused */
    hp_conn_state state;
    const hp_dial_spec *spec;
    hp_stream *stream; /* READY: what the exchange reads and writes */
    hp_resolve *resolve;
    hp_resolve_source resolved_by;
    hp_dial *dial;
    hp_tunnel *tunnel;   /* TUNNEL */
    char *authorization; /* for CONNECT, in place of the proxy setting's */
    hp_answer *answer;   /* to CONNECT; kept when the conn fails, until close */
    hp_addrs *targets;   /* SOCKS5: the target's, if they are looked up here */
    int next_target;     /* place in their order */
    int given_fd;        /* AWAITING_SOCKET: what the custom dial made, or -1 */
    bool not_given;      /* it failed, with this: */
    int given_errno;     /* 0: not known */
    hp_ns connect_timeout;  /* duration; becomes a deadline on leaving NEW */
    hp_ns connect_deadline; /* look-ups, dials and tunnel; not TLS */
    hp_ns tunnel_deadline;  /* TUNNEL: not later than that */
    hp_ns tls_timeout;      /* duration; becomes a deadline in a HANDSHAKE */
    hp_ns tls_deadline;
    hp_conn_times times;
    hp_trace trace; /* whom to tell of look-up, dial and handshake; the owner
                       sets it after init */
    char remote[HP_ADDR_TEXT_MAX], local[HP_ADDR_TEXT_MAX];
} hp_conn;

/* NEW. Timeouts are durations (negative: none, but for a tunnel, which has a
 * minute at most). No allocation, no I/O. */
void hp_conn_init(hp_conn *c, const hp_dial_spec *spec, hp_ns connect_timeout,
                  hp_ns tls_timeout);

/* What CONNECT is to say in Proxy-Authorization, copied. 0, or -1: no memory.
 */
int hp_conn_authorize(hp_conn *c, hp_span value);

/* Goes as far as it can without blocking. DONE: READY. WAIT: *w has the
 * descriptors and deadline; `waker` (borrowed; remembered until another is
 * given or the conn is closed) will be woken by the resolver. DIAL, with
 * custom_dial: step again after hp_conn_give_socket or hp_conn_fail_dial; a
 * driver that can do neither closes the conn. ERROR: *err with
 * code, phase and words that name host and every address tried; conn is
 * CLOSED. Decides by the clock: HP_E_CONNECT_TIMEOUT, HP_E_TLS_TIMEOUT. What
 * fails on the way to a proxy is HP_E_PROXY, but for timeouts and HP_E_DIAL. */
hp_step hp_conn_step(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err);

/* The answers to HP_STEP_DIAL. Takes the descriptor; the next step makes it
 * ours, or fails with HP_E_INVALID_ARGUMENT or HP_E_CONNECT if that is no
 * connected stream socket. */
void hp_conn_give_socket(hp_conn *c, int fd);
/* The next step fails with HP_E_DIAL and this sys_errno (0: none). */
void hp_conn_fail_dial(hp_conn *c, int sys_errno);

/* A dial under way is given these timeouts anew, from now. */
void hp_conn_extend(hp_conn *c, hp_ns connect_timeout, hp_ns tls_timeout);

/* Which phase a timeout or cancellation would name now. */
hp_phase hp_conn_phase(const hp_conn *c);

/* Any state -> CLOSED, and forgets the answer. Idempotent. `polite`: TLS says
 * close_notify if that needs no waiting. Never blocks. */
void hp_conn_close(hp_conn *c, bool polite);

/* In a forked child: closes descriptors only; frees and writes nothing. */
void hp_conn_abandon(hp_conn *c);

#endif
