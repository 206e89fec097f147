/* conn_proxy: what lies between a stream to the proxy and one to the target.
 *
 *   from              to                by
 *   ----------------  ----------------  -------------------------------------
 *   connected         PROXY_HANDSHAKE   hp_conn_at_proxy (https proxy)
 *   connected, PROXY_HANDSHAKE
 *                     READY             reached (it forwards)
 *                     TARGET_RESOLVING  reached (socks5 and a name)
 *                     TUNNEL            reached -> begin_tunnel
 *   TARGET_RESOLVING  TUNNEL            hp_conn_step_target_resolving
 *   TUNNEL            HANDSHAKE, READY  hp_conn_step_tunnel, it is open
 *   TUNNEL            RESOLVING, CONNECTING, AWAITING_SOCKET
 *                                       try_next_address (socks5)
 *
 * With socks5 names are looked up here, and the proxy is asked for one address
 * after the other: after a refusal it closes, so each gets a connection of its
 * own.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/conn_impl.h"
#include "net/conn_tell.h"

/* Also where connecting has no limit (Go contract 11). */
#define TUNNEL_PATIENCE (60 * HP_NS_PER_S)

static_assert((int)HP_CONN_TARGET_MAX >= (int)HP_TUNNEL_TARGET_MAX,
              "either target fits");

/* ---- words ---- */

void
hp_conn_target(const hp_conn *c, char out[HP_CONN_TARGET_MAX])
{
    if (c->spec->target_host)
        hp_tunnel_target(c->spec->target_host, c->spec->target_port, out);
    else
        hp_dial_target(c->spec, out);
}

static bool
on_the_way_to_proxy(const hp_conn *c)
{
    return c->state <= HP_CONN_PROXY_HANDSHAKE;
}

void
hp_conn_blame_proxy(const hp_conn *c, hp_err *err)
{
    hp_err why = *err;
    hp_errc e = why.code;
    if (!on_the_way_to_proxy(c) || e == HP_E_NOMEM)
        return;
    if (e == HP_E_RESOLVE || e == HP_E_CONNECT || e == HP_E_TLS)
        e = HP_E_PROXY;
    hp_err_clear(err);
    hp_err_set(err, e, "cannot use the proxy %s: %s",
               hp_proxy_name(c->spec->proxy), why.text);
    err->phase = why.phase;
    err->sys_errno = why.sys_errno;
}

/* ---- TUNNEL ---- */

int
hp_conn_authorize(hp_conn *c, hp_span value)
{
    char *copy = hp_malloc(value.len + 1);
    if (copy == NULL)
        return -1;
    memcpy(copy, value.ptr, value.len);
    copy[value.len] = '\0';
    hp_conn_forget_authorization(c);
    c->authorization = copy;
    return 0;
}

void
hp_conn_forget_authorization(hp_conn *c)
{
    for (volatile char *p = c->authorization; p && *p; p++)
        *p = '\0';
    hp_free(c->authorization);
    c->authorization = NULL;
}

hp_ns
hp_conn_tunnel_deadline(const hp_conn *c)
{
    return hp_ns_min(c->connect_deadline, hp_clock_now() + TUNNEL_PATIENCE);
}

static hp_step
begin_tunnel(hp_conn *c, hp_err *err)
{
    const hp_dial_spec *spec = c->spec;
    const hp_addr *addr = NULL;
    uint16_t port = spec->target_port;
    if (c->targets) {
        addr = &c->targets->list[c->next_target++];
        if (addr->u.in.sin_port)
            port = ntohs(addr->u.in.sin_port);
    }
    c->tunnel = hp_tunnel_new(spec->proxy, spec->target_host, port, addr,
                              hp_span_or_none(c->authorization),
                              spec->max_connect_head, err);
    if (c->tunnel == NULL)
        return hp_conn_failed(c, HP_PHASE_PROXY, err);
    c->tunnel_deadline = hp_conn_tunnel_deadline(c);
    c->state = HP_CONN_TUNNEL;
    hp_conn_tell_tunnel_start(c);
    return HP_STEP_DONE;
}

/* The last one, should there be several. */
static void
keep_answer(hp_conn *c)
{
    hp_answer *a = hp_tunnel_answer(c->tunnel);
    hp_answer_unref(c->answer);
    c->answer = a ? hp_answer_ref(a) : NULL;
}

static hp_step
tunnel_open(hp_conn *c, hp_err *err)
{
    hp_conn_tell_tunnel_done(c, NULL);
    hp_conn_forget_authorization(c);
    hp_tunnel_free(c->tunnel);
    c->tunnel = NULL;
    return hp_conn_at_target(c, err);
}

static hp_step
tunnel_timed_out(hp_conn *c, hp_err *err)
{
    char target[HP_CONN_TARGET_MAX];
    bool by_connect = c->tunnel_deadline == c->connect_deadline;
    hp_conn_target(c, target);
    hp_err_set(
        err, HP_E_CONNECT_TIMEOUT,
        "the proxy %s did not open a tunnel to %s in time: timed out after "
        "%.1f s",
        hp_proxy_name(c->spec->proxy), target,
        hp_conn_seconds(by_connect ? c->connect_timeout : TUNNEL_PATIENCE));
    return hp_conn_failed(c, HP_PHASE_PROXY, err);
}

static bool
has_next_address(const hp_conn *c)
{
    return c->targets && c->next_target < c->targets->n &&
           hp_tunnel_address_refused(c->tunnel);
}

static hp_step
try_next_address(hp_conn *c, hp_waker *waker, hp_err *err)
{
    hp_conn_tell_tunnel_done(c, err->text);
    hp_err_clear(err);
    hp_conn_drop(c, false);
    c->not_given = false;
    c->state = HP_CONN_NEW;
    return hp_conn_begin(c, waker, err);
}

hp_step
hp_conn_step_tunnel(hp_conn *c, hp_waker *waker, hp_wait *w, hp_err *err)
{
    int r = hp_tunnel_step(c->tunnel, c->stream, err);
    if (r == 0 || r == HP_IO_ERROR)
        keep_answer(c);
    if (r == 0)
        return tunnel_open(c, err);
    if (r == HP_IO_ERROR)
        return has_next_address(c) ? try_next_address(c, waker, err)
                                   : hp_conn_failed(c, HP_PHASE_PROXY, err);
    if (hp_clock_now() >= c->tunnel_deadline)
        return tunnel_timed_out(c, err);
    hp_conn_wait_io(c, r, w);
    hp_wait_until(w, c->tunnel_deadline);
    return HP_STEP_WAIT;
}

/* ---- TARGET_RESOLVING ---- */

/* A copy in the order in which they are to be tried. */
static hp_addrs *
in_order(const hp_addrs *addrs)
{
    hp_addrs *copy = hp_addrs_new(addrs->n);
    int *order = hp_malloc((size_t)addrs->n * sizeof *order);
    if (copy && order) {
        copy->n = hp_addrs_order(addrs, AF_UNSPEC, order);
        for (int i = 0; i < copy->n; i++)
            copy->list[i] = addrs->list[order[i]];
    } else {
        hp_addrs_unref(copy);
        copy = NULL;
    }
    hp_free(order);
    return copy;
}

static hp_step
ask_for_addresses(hp_conn *c, const hp_addrs *addrs, hp_err *err)
{
    c->targets = in_order(addrs);
    c->next_target = 0;
    return c->targets ? begin_tunnel(c, err)
                      : hp_conn_no_memory(c, HP_PHASE_PROXY, err);
}

hp_step
hp_conn_step_target_resolving(hp_conn *c, hp_waker *waker, hp_wait *w,
                              hp_err *err)
{
    hp_addrs *addrs;
    hp_step s = hp_conn_look_up(c, waker, w, &addrs, err);
    if (s != HP_STEP_DONE)
        return s;
    s = ask_for_addresses(c, addrs, err);
    hp_addrs_unref(addrs);
    return s;
}

/* The proxy's family says nothing about the target's. */
static hp_step
begin_target_look_up(hp_conn *c, hp_waker *waker, hp_err *err)
{
    c->state = HP_CONN_TARGET_RESOLVING;
    return hp_conn_begin_look_up(c, c->spec->target_host, AF_UNSPEC, waker,
                                 err);
}

/* ---- at the proxy ---- */

/* In clear text or TLS, the proxy listens. */
static hp_step
reached(hp_conn *c, hp_waker *waker, hp_err *err)
{
    const hp_dial_spec *spec = c->spec;
    bool here = hp_proxy_settings(spec->proxy)->scheme == HP_PROXY_SOCKS5;
    if (spec->target_host == NULL)
        return hp_conn_at_target(c, err);
    if (!here || c->targets)
        return begin_tunnel(c, err);
    if (spec->target_resolve)
        return ask_for_addresses(c, spec->target_resolve, err);
    return begin_target_look_up(c, waker, err);
}

/* TLS has its own time. */
hp_step
hp_conn_step_proxy_handshake(hp_conn *c, hp_waker *waker, hp_wait *w,
                             hp_err *err)
{
    hp_step s = hp_conn_shake_hands(c, w, err);
    if (s != HP_STEP_DONE)
        return s;
    if (c->connect_deadline != HP_NEVER)
        c->connect_deadline += hp_clock_now() - c->times.connected;
    return reached(c, waker, err);
}

hp_step
hp_conn_at_proxy(hp_conn *c, hp_waker *waker, hp_err *err)
{
    const hp_proxy_config *p = hp_proxy_settings(c->spec->proxy);
    if (p->tls == NULL)
        return reached(c, waker, err);
    c->state = HP_CONN_PROXY_HANDSHAKE;
    return hp_conn_begin_tls(
        c, p->tls, p->server_name.len ? p->server_name.ptr : p->host.ptr,
        c->spec->proxy_sessions, err);
}
