/* dialing: the way of a new connection: own dials of wants, and dials whose
 * want was served or gave up (orphans). */
#include <assert.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "pool/host.h"
#include "pool/keeper.h"

#define ORPHAN_PATIENCE (10 * HP_NS_PER_S)

/* Jitter shortens only: 0.9 to 1.0 of the age, by the connection's id, so that
 * connections made together do not retire together. */
static hp_ns
retire_time(const hp_pool *p, hp_ns born, uint64_t id)
{
    hp_ns age = p->limits.max_conn_age;
    if (age < 0)
        return HP_NEVER;
    uint64_t h = hp_hash(hp_span_of((const char *)&id, sizeof id));
    hp_ns cut = age / 10 / 1024 * (hp_ns)(h & 1023);
    return hp_deadline_after(born, age - cut);
}

hp_pconn *
hp_pconn_new(const hp_key *key)
{
    hp_span address = hp_key_address(key->text);
    hp_pconn *c = hp_calloc(sizeof *c + address.len + 1);
    if (c)
        memcpy(c->address, address.ptr, address.len);
    return c;
}

void
hp_dial_begin(hp_pool *p, hp_host *h, hp_pconn *c, hp_ns connect_timeout,
              hp_ns tls_timeout)
{
    c->host = h;
    c->idle_limit = HP_NO_LIMIT;
    c->met = h->stash && h->stash->met;
    h->count.dials++;
    hp_evicted_dial(p, h);
    hp_conn_init(&c->net, &h->spec, connect_timeout, tls_timeout);
    hp_list_push_back(&p->all, &c->all_node);
}

int
hp_pool_new_conn(hp_pool *p, hp_want *w, hp_ns connect_timeout,
                 hp_ns tls_timeout, hp_pconn **out)
{
    hp_pconn *c = hp_pconn_new(w->key);
    *out = NULL;
    if (c == NULL)
        return -1;
    hp_lock(&p->mu);
    if (w->handed) {
        *out = w->handed;
        w->handed = NULL;
        /* The time it has had was another request's. */
        hp_conn_extend(&(*out)->net, connect_timeout, tls_timeout);
    } else if (w->state == HP_WANT_DIALING) {
        assert(w->slot);
        w->slot = false; /* counted as a dial already: now it is c's */
        hp_dial_begin(p, w->host, c, connect_timeout, tls_timeout);
        c->room = HP_ROOM_DIALING;
        *out = c;
    }
    if (*out)
        hp_pconn_tell(p, *out, w->trace);
    hp_pool_unlock(p);
    if (*out != c)
        hp_free(c);
    return 0;
}

void
hp_pconn_count_dial(hp_pool *p, hp_pconn *c)
{
    HP_ASSERT_HELD(&p->mu);
    hp_counters *n = &c->host->count;
    n->lookups += c->net.resolved_by == HP_RESOLVED_LOOKUP;
    if (c->net.state != HP_CONN_READY)
        return;
    c->born = hp_clock_idle();
    c->retire_at = retire_time(p, c->born, c->net.id);
    if (c->net.times.secured) {
        hp_tls_info info;
        hp_tls_stream_info(c->net.stream, &info);
        n->handshakes++;
        n->resumed += info.resumed;
        n->unresumed += c->met && !info.resumed;
        c->host->stash->met = true;
    }
}

bool
hp_pool_dialed(hp_pool *p, hp_want *w, hp_pconn *dialed)
{
    hp_trash t = {0};
    bool leased = true;
    hp_lock(&p->mu);
    hp_pconn_count_dial(p, dialed);
    if (w->state == HP_WANT_SERVED) {
        hp_want_lease(p, w);
        hp_pconn_offer(p, dialed, hp_clock_idle(), &t); /* surplus */
    } else if (w->state == HP_WANT_DIALING) {
        hp_want_unlink(p, w, &t);
        hp_room_enter(p, dialed, HP_ROOM_LEASED);
        hp_want_give(p, w, dialed);
        hp_want_lease(p, w);
    } else {
        assert(w->state == HP_WANT_REFUSED);
        hp_want_reset(w);
        leased = false;
        hp_pconn_discard(p, dialed, HP_CLOSE_POOL_CLOSED, &t);
    }
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
    return leased;
}

static bool
may_be_served(const hp_pool *p, const hp_host *h)
{
    return h->now.in_use > 0 && !p->limits.disable_keepalives;
}

hp_want_state
hp_pool_dial_failed(hp_pool *p, hp_want *w, hp_pconn *dialed, bool listen)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    hp_pconn_count_dial(p, dialed);
    if (w->state == HP_WANT_SERVED) {
        hp_want_lease(p, w);
    } else if (w->state == HP_WANT_DIALING && listen &&
               may_be_served(p, w->host)) {
        w->state = HP_WANT_LISTENING;
    } else {
        if (w->state == HP_WANT_DIALING) {
            hp_want_unserved(p, w);
            hp_want_unlink(p, w, &t);
        }
        hp_want_reset(w);
    }
    hp_want_state s = w->state;
    hp_pconn_discard(p, dialed, HP_CLOSE_DIAL_FAILED, &t);
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
    return s;
}

bool
hp_pool_redial(hp_pool *p, hp_want *w, hp_pconn *dialed)
{
    hp_trash t = {0};
    hp_lock(&p->mu);
    hp_node *oldest = hp_list_first(&p->lru);
    bool again = oldest && w->state == HP_WANT_DIALING;
    if (again) {
        hp_pconn_count_dial(p, dialed);
        hp_pconn_drop(p, dialed, HP_CLOSE_DIAL_FAILED, &t);
        hp_slot_take(p, w);
        hp_pconn_discard(p, HP_CONTAINER(oldest, hp_pconn, lru_node),
                         HP_CLOSE_NO_DESCRIPTORS, &t);
    }
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
    return again;
}

/* ---- orphans ---- */

/* An orphan is a dial whose want was served or gave up. Who is in line for its
 * slot gets it along with the dial if he is of its host, else without. So while
 * a limit has people in line no orphan goes on, but for one that the keeper is
 * stepping at the moment: it is seen to as soon as the keeper lets go of it. */

/* How many somebody may yet profit from. A slot is not for a maybe. */
int64_t
hp_orphans_allowed(const hp_pool *p, const hp_host *h)
{
    if (hp_pool_is_closed(p) || p->limits.disable_keepalives)
        return 0;
    bool limited = p->limits.max_conns != HP_NO_LIMIT ||
                   p->limits.max_conns_per_host != HP_NO_LIMIT;
    if (limited && h->n_waiters == 0)
        return 0;
    return h->n_waiters + 2;
}

void
hp_orphan_unlink(hp_pool *p, hp_pconn *c)
{
    if (!hp_node_linked(&c->orphan_node))
        return;
    hp_list_remove(&c->orphan_node);
    c->host->n_orphans--;
    p->n_orphans--;
}

/* The keeper may be at work on it, so it is the keeper who closes it. */
static void
give_up(hp_pool *p, hp_pconn *c, hp_trash *t)
{
    hp_orphan_unlink(p, c);
    c->unwanted = true;
    p->keep_at = hp_clock_now();
    t->call_keeper = true;
}

static hp_pconn *
oldest_orphan(const hp_host *h)
{
    return HP_CONTAINER(hp_list_first(&h->orphans), hp_pconn, orphan_node);
}

void
hp_orphans_trim(hp_pool *p, hp_host *h, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    while (h->n_orphans > 0 && h->n_orphans > hp_orphans_allowed(p, h))
        give_up(p, oldest_orphan(h), t);
}

void
hp_orphans_abort(hp_pool *p, hp_host *h, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    while (h->n_orphans > 0)
        give_up(p, oldest_orphan(h), t);
}

/* Without this a burst over few connections would dial for every request and
 * abort each dial as soon as another request's connection comes back. Nobody is
 * overtaken (I8): while somebody is in line for an orphan's slot the keeper is
 * at work on it (I12). */
bool
hp_orphan_adopt(hp_pool *p, hp_want *w)
{
    HP_ASSERT_HELD(&p->mu);
    hp_host *h = w->host;
    for (hp_node *n = hp_list_first(&h->orphans); n;
         n = hp_list_next(&h->orphans, n)) {
        hp_pconn *c = HP_CONTAINER(n, hp_pconn, orphan_node);
        if (c->at_work)
            continue;
        assert(hp_queue_next(p, h) == NULL);
        hp_orphan_unlink(p, c);
        hp_list_remove(&c->chore_node);
        w->state = HP_WANT_DIALING;
        w->handed = c;
        hp_want_listen(w);
        return true;
    }
    return false;
}

void
hp_dial_pass_on(hp_pool *p, hp_pconn *dial, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    hp_want *next = hp_queue_next(p, dial->host);
    if (next && next->host == dial->host) {
        hp_want_hand(p, next, dial, t);
        return;
    }
    hp_pconn_count_dial(p, dial);
    hp_pconn_discard(p, dial, HP_CLOSE_SURPLUS_DIAL, t);
}

/* Whose own host is full waits for a slot of that host, and gets it: so only
 * who is new in line need be looked at. */
void
hp_orphans_make_way(hp_pool *p, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    if (p->n_orphans == 0 || p->limits.max_conns == HP_NO_LIMIT)
        return;
    for (hp_node *n = hp_list_first(&p->chores); n;
         n = hp_list_next(&p->chores, n)) {
        hp_pconn *c = HP_CONTAINER(n, hp_pconn, chore_node);
        if (!hp_node_linked(&c->orphan_node))
            continue;
        hp_want *next = hp_queue_next(p, c->host);
        if (next && next->host != c->host)
            give_up(p, c, t);
    }
}

void
hp_orphan_rested(hp_pool *p, hp_pconn *c, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    if (!hp_node_linked(&c->orphan_node))
        return;
    hp_want *next = hp_queue_next(p, c->host);
    if (next == NULL)
        return;
    if (next->host != c->host) {
        give_up(p, c, t);
        return;
    }
    hp_orphan_unlink(p, c);
    hp_list_remove(&c->chore_node);
    hp_want_hand(p, next, c, t);
}

/* Nobody is left whose timeouts it goes by: without any it might hang for ever.
 */
static void
bound_in_time(hp_conn *c)
{
    if (c->connect_timeout < 0 || c->tls_timeout < 0)
        hp_conn_extend(
            c, c->connect_timeout < 0 ? ORPHAN_PATIENCE : c->connect_timeout,
            c->tls_timeout < 0 ? ORPHAN_PATIENCE : c->tls_timeout);
}

static void
orphan_locked(hp_pool *p, hp_pconn *dial, bool keeper, hp_trash *t)
{
    hp_host *h = dial->host;
    if (!keeper || hp_orphans_allowed(p, h) == 0 ||
        hp_queue_next(p, h) != NULL) {
        hp_dial_pass_on(p, dial, t);
        return;
    }
    hp_pconn_tell_pool(p, dial);
    bound_in_time(&dial->net);
    hp_list_push_back(&p->chores, &dial->chore_node);
    hp_list_push_back(&h->orphans, &dial->orphan_node);
    h->n_orphans++;
    p->n_orphans++;
    hp_orphans_trim(p, h, t);
    p->keep_at = hp_clock_now();
    t->call_keeper = true;
}

void
hp_pool_orphan_dial(hp_pool *p, hp_pconn *dial)
{
    hp_trash t = {0};
    if (dial == NULL)
        return;
    bool keeper = hp_keeper_available();
    hp_lock(&p->mu);
    orphan_locked(p, dial, keeper, &t);
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
}

/* ---- giving up a want ---- */

static void
cancel_locked(hp_pool *p, hp_want *w, hp_trash *t)
{
    hp_host *h = w->host;
    hp_pconn *served = NULL;
    w->keeps_place = false;
    assert(w->state != HP_WANT_LEASED);
    if (w->state != HP_WANT_NEW && w->state != HP_WANT_REFUSED)
        hp_want_unserved(p, w);
    if (w->state == HP_WANT_SERVED) {
        hp_want_give_up(w);
        served = w->conn;
    } else if (w->state != HP_WANT_NEW && w->state != HP_WANT_REFUSED) {
        h->pins++;
        hp_want_unlink(p, w, t);
        hp_slot_return(p, w, t);
        h->pins--;
        hp_host_maybe_gone(p, h, t);
    }
    hp_want_reset(w);
    if (served)
        hp_pconn_offer(p, served, hp_clock_idle(), t);
}

void
hp_pool_cancel(hp_pool *p, hp_want *w, hp_pconn *dial)
{
    hp_trash t = {0};
    bool keeper = dial && hp_keeper_available();
    hp_lock(&p->mu);
    cancel_locked(p, w, &t);
    if (dial)
        orphan_locked(p, dial, keeper, &t);
    hp_pool_unlock(p);
    hp_trash_empty(p, &t);
}
