/* pool_random: 100,000 random steps per set of limits, against a model that is
 * too simple to be wrong: arrays, and a walk over all wants for every question.
 * After each step every want's state and connection, the idle lists and the
 * gauges must be the same, and the pool's own invariants hold. */
#include "pool_kit.h"

enum {
    HOSTS = 4,
    WANTS = 24,
    IDLE_MAX = 64,
    STEPS = 100000
};

typedef enum fate {
    M_NEW,
    M_QUEUED,
    M_SLOT,
    M_HANDED, /* a dial that was another's, not yet taken up */
    M_DIAL,
    M_LISTENING,
    M_SERVED,
    M_LEASED
} fate;

typedef struct model_want {
    fate fate;
    bool dial;        /* SERVED: its own dial still goes on */
    bool keeps_place; /* NEW */
    int host;
    uint64_t seq, conn, dial_conn;
} model_want;

typedef struct model_conn {
    uint64_t id;
    int host;
} model_conn;

static struct {
    hp_limits l;
    hp_pool *p;
    kit_host hosts[HOSTS];
    kit_want wants[WANTS];
    /* the model */
    model_want w[WANTS];
    model_conn idle[IDLE_MAX], draining[IDLE_MAX]; /* oldest first */
    int n_idle, n_draining;
    int in_hand[HOSTS]; /* on their way from one place to another */
    bool closing_idle;
    uint64_t seq;
    long granted, handed, served, idled, closed, full, made_room, listened,
        replaced, redialed; /* all happen */
} t;

static uint64_t seed = 88172645463325252u;

static int
pick(int n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (int)(seed % (uint64_t)n);
}

/* ---- the model's questions ---- */

static bool
is_waiting(const model_want *w)
{
    return w->fate > M_NEW && w->fate < M_SERVED;
}

static int
count_conns(const model_conn *list, int n, int host)
{
    int found = 0;
    for (int i = 0; i < n; i++)
        found += host < 0 || list[i].host == host;
    return found;
}

/* Connections of one host, or of all (-1), slots included. */
static int
conns(int host)
{
    int n = count_conns(t.idle, t.n_idle, host) +
            count_conns(t.draining, t.n_draining, host);
    for (int h = 0; h < HOSTS; h++)
        n += host < 0 || host == h ? t.in_hand[h] : 0;
    for (int i = 0; i < WANTS; i++) {
        const model_want *w = &t.w[i];
        if (w->fate != M_NEW && (host < 0 || w->host == host))
            n += (w->fate != M_QUEUED && w->fate != M_LISTENING) +
                 (w->fate == M_SERVED && w->dial);
    }
    return n;
}

static bool
host_room(int host)
{
    return hp_below(conns(host), t.l.max_conns_per_host);
}

static bool
total_room(void)
{
    return hp_below(conns(-1), t.l.max_conns);
}

static int
with_fate(fate f)
{
    int n = 0;
    for (int i = 0; i < WANTS; i++)
        n += t.w[i].fate == f;
    return n;
}

static model_want *
oldest_waiter(int host)
{
    model_want *best = NULL;
    for (int i = 0; i < WANTS; i++) {
        model_want *w = &t.w[i];
        if (is_waiting(w) && w->host == host && (!best || w->seq < best->seq))
            best = w;
    }
    return best;
}

/* Who could use a slot that `freed` gives back; -1: one that is free. */
static model_want *
oldest_queued(int freed)
{
    model_want *best = NULL;
    for (int i = 0; i < WANTS; i++) {
        model_want *w = &t.w[i];
        if (w->fate == M_QUEUED && (w->host == freed || host_room(w->host)) &&
            (!best || w->seq < best->seq))
            best = w;
    }
    return best;
}

/* ---- the model's moves ---- */

static model_conn
take(model_conn *list, int *n, int at)
{
    model_conn c = list[at];
    memmove(list + at, list + at + 1, (size_t)(*n - at - 1) * sizeof *list);
    --*n;
    return c;
}

static void
slot_freed(void)
{
    model_want *w;
    while (total_room() && (w = oldest_queued(-1)) != NULL) {
        w->fate = M_SLOT;
        t.granted++;
    }
}

static void
close_in_hand(int host)
{
    t.in_hand[host]--;
    t.closed++;
    slot_freed();
}

static void
close_idle_at(int at)
{
    int host = take(t.idle, &t.n_idle, at).host;
    t.in_hand[host]++;
    close_in_hand(host);
}

static bool
may_idle(int host)
{
    return !t.closing_idle && t.l.max_idle_conns != 0 &&
           hp_below(count_conns(t.idle, t.n_idle, host),
                    t.l.max_idle_conns_per_host);
}

/* A dial in hand: to the next in line, if that is one of its host. */
static void
pass_on(model_conn dial)
{
    model_want *next = oldest_queued(dial.host);
    if (next && next->host == dial.host) {
        next->fate = M_HANDED;
        next->dial_conn = dial.id;
        t.in_hand[dial.host]--;
        t.handed++;
    } else {
        close_in_hand(dial.host);
    }
}

/* A connection in hand. */
static void
release(model_conn c)
{
    model_want *own = oldest_waiter(c.host);
    model_want *other =
        t.l.max_conns == HP_NO_LIMIT ? NULL : oldest_queued(c.host);
    if (own && (!other || own->seq <= other->seq)) {
        fate had = own->fate;
        own->dial = had == M_DIAL;
        own->fate = M_SERVED;
        own->conn = c.id;
        t.in_hand[c.host] += (had == M_HANDED) - 1;
        t.served++;
        if (had == M_HANDED)
            pass_on((model_conn){own->dial_conn, c.host});
        slot_freed(); /* it may have had one */
    } else if (other || !may_idle(c.host)) {
        t.made_room += other != NULL;
        close_in_hand(c.host);
    } else {
        t.idle[t.n_idle++] = c;
        t.in_hand[c.host]--;
        t.idled++;
        if (!hp_below(t.n_idle - 1, t.l.max_idle_conns))
            close_idle_at(0);
    }
}

/* A dial in hand; those that may go on end in the keeper's next round. */
static void
orphaned(model_conn dial)
{
    bool limited =
        t.l.max_conns != HP_NO_LIMIT || t.l.max_conns_per_host != HP_NO_LIMIT;
    if ((limited && oldest_waiter(dial.host) == NULL) ||
        oldest_queued(dial.host))
        pass_on(dial);
    else
        release(dial);
}

/* ---- the same on both sides ---- */

static int
idle_for(int host)
{
    int at = -1;
    for (int i = 0; i < t.n_idle; i++) {
        if (t.idle[i].host == host && !(t.l.idle_fifo && at >= 0))
            at = i;
    }
    return at;
}

static void
do_acquire(int i)
{
    hp_err err = {0};
    int host = pick(HOSTS), at = idle_for(host);
    bool keeps_place = t.w[i].keeps_place;
    model_want w = {.host = host, .seq = keeps_place ? t.w[i].seq : ++t.seq};
    t.closing_idle = false;
    if (at >= 0) {
        w.fate = M_LEASED;
        w.conn = take(t.idle, &t.n_idle, at).id;
    } else if (host_room(host) && (total_room() || t.n_idle)) {
        if (!total_room())
            take(t.idle, &t.n_idle, 0);
        w.fate = M_SLOT;
    } else if (hp_below(with_fate(M_QUEUED), t.l.max_waiting)) {
        w.fate = M_QUEUED;
    }
    t.w[i] = w;
    t.full += w.fate == M_NEW;
    t.wants[i].want.key = &t.hosts[host].key;
    int r = hp_pool_acquire(t.p, &t.wants[i].want, &err);
    CHECK_INT(r, w.fate == M_NEW ? -1 : 0);
    CHECK_INT(err.code, r ? HP_E_QUEUE_FULL : HP_OK);
}

static void
do_begin_dial(int i)
{
    kit_begin_dial(t.p, &t.wants[i]);
    t.w[i].fate = M_DIAL;
    t.w[i].dial_conn = t.wants[i].dial->net.id;
}

static int
in_use(int host)
{
    int n = 0;
    for (int i = 0; i < WANTS; i++)
        n += t.w[i].fate >= M_SERVED && t.w[i].host == host;
    return n;
}

static void
do_fail_dial(int i)
{
    model_want *w = &t.w[i];
    bool listen = pick(2);
    bool redial = pick(2);
    if (redial)
        CHECK_INT(kit_redial(t.p, &t.wants[i]), t.n_idle > 0);
    if (redial && t.n_idle) {
        w->fate = M_SLOT;
        t.redialed++;
        close_idle_at(0);
        return;
    }
    w->fate = listen && in_use(w->host) ? M_LISTENING : M_NEW;
    CHECK_INT(kit_fail_dial(t.p, &t.wants[i], listen),
              w->fate == M_NEW ? HP_WANT_NEW : HP_WANT_LISTENING);
    t.listened += w->fate == M_LISTENING;
    t.in_hand[w->host]++;
    close_in_hand(w->host);
}

static void
do_end_dial(int i)
{
    model_want *w = &t.w[i];
    if (pick(4) == 0) {
        do_fail_dial(i);
        return;
    }
    CHECK(kit_finish_dial(t.p, &t.wants[i]));
    w->fate = M_LEASED;
    w->conn = w->dial_conn;
}

/* The connection is dead, and another takes its place at once. */
static void
do_acquire_again(int i)
{
    hp_err err = {0};
    model_want *w = &t.w[i];
    int at = idle_for(w->host);
    t.closing_idle = false;
    CHECK_INT(hp_pool_acquire_again(t.p, &t.wants[i].want,
                                    HP_CLOSE_UNSOLICITED_BYTES, &err),
              0);
    t.replaced++;
    if (at < 0) {
        w->fate = M_SLOT;
        return;
    }
    w->conn = take(t.idle, &t.n_idle, at).id;
    t.in_hand[w->host]++;
    close_in_hand(w->host);
}

static void
do_put(int i)
{
    model_want *w = &t.w[i];
    w->fate = M_NEW;
    t.in_hand[w->host]++;
    if (pick(4)) {
        kit_put(t.p, &t.wants[i]);
        release((model_conn){w->conn, w->host});
    } else {
        w->keeps_place = pick(2);
        hp_pool_put(t.p, &t.wants[i].want,
                    w->keeps_place ? HP_CLOSE_SERVER_CLOSED_IDLE
                                   : HP_CLOSE_IO_ERROR);
        close_in_hand(w->host);
    }
}

static void
do_put_undrained(int i)
{
    model_want *w = &t.w[i];
    hp_framing f = {.kind = HP_BODY_LENGTH, .length = 5};
    hp_body body;
    hp_body_init(&body, &f);
    w->fate = M_NEW;
    CHECK_INT(hp_pool_put_undrained(t.p, &t.wants[i].want, &body), HP_KEEP);
    t.draining[t.n_draining++] = (model_conn){w->conn, w->host};
}

/* Whatever state it is in, but NEW and LEASED. */
static void
do_cancel(int i)
{
    model_want w = t.w[i];
    kit_want *k = &t.wants[i];
    bool dial = w.fate == M_DIAL || (w.fate == M_SERVED && w.dial);
    t.w[i].fate = M_NEW;
    t.w[i].keeps_place = false;
    t.in_hand[w.host] += dial + (w.fate == M_SERVED) + (w.fate == M_HANDED);
    hp_pool_cancel(t.p, &k->want, dial ? k->dial : NULL);
    k->dial = NULL;
    if (w.fate == M_SERVED)
        release((model_conn){w.conn, w.host});
    else if (w.fate == M_HANDED)
        pass_on((model_conn){w.dial_conn, w.host});
    else if (w.fate == M_SLOT)
        slot_freed();
    if (dial)
        orphaned((model_conn){w.dial_conn, w.host});
    hp_pool_keep(t.p, hp_clock_now());
}

/* It looks, or its own dial ends first. */
static void
do_take(int i)
{
    model_want *w = &t.w[i];
    kit_want *k = &t.wants[i];
    model_conn dial = {w->dial_conn, w->host};
    int how = w->dial ? pick(3) : 0;
    w->fate = M_LEASED;
    t.in_hand[w->host] += w->dial;
    if (how == 0) {
        CHECK_INT(hp_pool_look(t.p, &k->want), HP_WANT_LEASED);
        hp_pool_orphan_dial(t.p, w->dial ? k->dial : NULL);
        k->dial = NULL;
        if (w->dial)
            orphaned(dial);
        hp_pool_keep(t.p, hp_clock_now());
    } else if (how == 1) {
        CHECK(kit_finish_dial(t.p, k));
        release(dial);
    } else {
        CHECK_INT(kit_fail_dial(t.p, k, true), HP_WANT_LEASED);
        close_in_hand(w->host);
    }
    w->dial = false;
}

/* ---- what happens to the pool as a whole ---- */

static void
do_time_out_drains(void)
{
    hp_clock_advance(2000 * KIT_S);
    hp_pool_keep(t.p, hp_clock_now());
    while (t.n_draining) {
        int host = take(t.draining, &t.n_draining, 0).host;
        t.in_hand[host]++;
        close_in_hand(host);
    }
}

static void
do_close_idle(void)
{
    hp_pool_close_idle(t.p, (hp_span){0});
    t.closing_idle = true;
    while (t.n_idle)
        close_idle_at(0);
}

/* Busy and quiet times take turns: `busy` of the wants begin something new. */
static void
do_something(int busy)
{
    int i = pick(WANTS);
    fate f = t.w[i].fate;
    if (pick(200) == 0)
        do_close_idle();
    else if (pick(100) == 0)
        do_time_out_drains();
    else if (f == M_NEW && i < busy)
        do_acquire(i);
    else if (f == M_LEASED && t.n_draining < 3 && pick(8) == 0)
        do_put_undrained(i);
    else if (f == M_LEASED && pick(8) == 0)
        do_acquire_again(i);
    else if (f == M_LEASED)
        do_put(i);
    else if (pick(6) == 0)
        do_cancel(i);
    else if (f == M_SLOT || f == M_HANDED)
        do_begin_dial(i);
    else if (f == M_DIAL)
        do_end_dial(i);
    else if (f == M_SERVED)
        do_take(i);
}

/* ---- are they the same? ---- */

static void
compare_want(int i)
{
    static const hp_want_state states[] = {
        [M_NEW] = HP_WANT_NEW,       [M_QUEUED] = HP_WANT_QUEUED,
        [M_SLOT] = HP_WANT_DIALING,  [M_HANDED] = HP_WANT_DIALING,
        [M_DIAL] = HP_WANT_DIALING,  [M_LISTENING] = HP_WANT_LISTENING,
        [M_SERVED] = HP_WANT_SERVED, [M_LEASED] = HP_WANT_LEASED};
    const hp_want *w = &t.wants[i].want;
    const model_want *m = &t.w[i];
    CHECK_INT(w->state, states[m->fate]);
    CHECK_INT(w->slot, m->fate == M_SLOT);
    CHECK_INT(w->handed ? w->handed->net.id : 0,
              m->fate == M_HANDED ? m->dial_conn : 0);
    if (m->fate == M_SERVED || m->fate == M_LEASED)
        CHECK_INT(w->conn->net.id, m->conn);
}

static void
compare(void)
{
    int dials = with_fate(M_SLOT) + with_fate(M_HANDED) + with_fate(M_DIAL);
    for (int i = 0; i < WANTS; i++) {
        compare_want(i);
        dials += t.w[i].fate == M_SERVED && t.w[i].dial;
    }
    CHECK_GAUGES(t.p, t.n_idle, with_fate(M_SERVED) + with_fate(M_LEASED),
                 dials, t.n_draining, with_fate(M_QUEUED));
    int at = 0;
    for (hp_node *n = hp_list_first(&t.p->lru); n;
         n = hp_list_next(&t.p->lru, n))
        CHECK_INT(HP_CONTAINER(n, hp_pconn, lru_node)->net.id, t.idle[at++].id);
    CHECK_INT(kit_open_now(), t.n_idle + t.n_draining + with_fate(M_SERVED) +
                                  with_fate(M_LEASED));
}

static void
settle(void)
{
    for (int i = 0; i < WANTS; i++) {
        if (t.w[i].fate == M_LEASED)
            hp_pool_put(t.p, &t.wants[i].want, HP_CLOSE_IO_ERROR);
        else
            hp_pool_cancel(t.p, &t.wants[i].want, t.wants[i].dial);
    }
    hp_pool_keep(t.p, hp_clock_now());
    kit_done(t.p);
}

static void
play(int64_t max_conns, int64_t per_host, int64_t max_idle,
     int64_t idle_per_host, int64_t max_waiting, bool fifo)
{
    static const char *const names[HOSTS] = {"0", "1", "2", "3"};
    memset(&t, 0, sizeof t);
    t.l = kit_limits();
    t.l.max_conns = max_conns;
    t.l.max_conns_per_host = per_host;
    t.l.max_idle_conns = max_idle;
    t.l.max_idle_conns_per_host = idle_per_host;
    t.l.max_waiting = max_waiting;
    t.l.idle_fifo = fifo;
    t.l.idle_conn_timeout = HP_NO_LIMIT;
    t.l.drain_timeout = 1000 * KIT_S;
    t.p = kit_pool(&t.l);
    for (int i = 0; i < HOSTS; i++)
        kit_host_init(&t.hosts[i], names[i]);
    for (int i = 0; i < WANTS; i++)
        kit_want_init(&t.wants[i], &t.hosts[0]);
    for (int n = 0; n < STEPS; n++) {
        do_something(1 + n / 1000 % WANTS);
        compare();
    }
    printf("   granted %ld, handed %ld, served %ld, idle %ld, closed %ld (%ld "
           "for others), full %ld, listened %ld, replaced %ld, redialed %ld\n",
           t.granted, t.handed, t.served, t.idled, t.closed, t.made_room,
           t.full, t.listened, t.replaced, t.redialed);
    settle();
}

#define NONE HP_NO_LIMIT

static void
test_no_limits(void)
{
    play(NONE, NONE, 5, 3, NONE, false);
    CHECK(t.listened > 100 && t.replaced > 100 && t.redialed > 100);
}

static void
test_per_host(void)
{
    play(NONE, 2, NONE, NONE, NONE, false);
    CHECK(t.granted > 100 && t.served > 100 && t.handed > 100);
    CHECK(t.listened > 50 && t.replaced > 100);
}

static void
test_total(void)
{
    play(4, NONE, NONE, NONE, NONE, true);
    CHECK(t.granted > 100 && t.served > 100 && t.made_room > 100);
    CHECK(t.handed > 50 && t.replaced > 100);
}

static void
test_both(void)
{
    play(5, 2, 3, 1, 6, false);
    CHECK(t.granted > 100 && t.served > 100 && t.full > 100);
}

static void
test_tight(void)
{
    play(3, 1, 1, NONE, NONE, true);
    CHECK(t.granted > 100 && t.served > 100 && t.idled > 100);
}

int
main(void)
{
    hp_keeper_by_hand();
    RUN(test_no_limits);
    RUN(test_per_host);
    RUN(test_total);
    RUN(test_both);
    RUN(test_tight);
    DONE();
}
