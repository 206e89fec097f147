/* holders: what the snapshot says of those who have a connection, in what
 * order, with how many of them; and while they come and go in other threads. */
#include <pthread.h>

#include "hp.h"
#include "pool_kit.h"

/* ---- gathering ---- */

/* Everyone in the pool. */
static void
visit_pool(void *p, hp_gathering *g)
{
    hp_pool_gather(p, g);
}

static hp_holders *
look(hp_pool *p)
{
    hp_holders *h = hp_gather(visit_pool, p);
    CHECK(h);
    return h;
}

static void
want_site(kit_want *w, const kit_host *h, const char *path, const char *site)
{
    kit_want_init(w, h);
    w->want.path = hp_span_cstr(path);
    w->want.site = hp_span_cstr(site);
}

static void
test_nobody(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    hp_holders *h = look(p);
    CHECK_INT(h->n, 0);
    hp_holders_free(h);
    hp_holders_free(NULL);
    kit_done(p);
}

/* All that there is to say; idle connections, dials and waiters have no holder.
 */
static void
test_rows(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 2;
    hp_pool *p = kit_pool(&l);
    kit_host a;
    kit_host_init(&a, "a");
    kit_want held, idle, dialing, waiting;
    want_site(&held, &a, "/held", "app.py:7 in f");
    held.want.method = hp_span_cstr("PUT");
    held.want.whole = true;
    kit_want_init(&idle, &a);
    hp_ns before = hp_clock_now();
    uint64_t id = kit_get(p, &held);
    atomic_store(&held.want.holding, HP_HOLDING_BODY_HALF_READ);
    kit_get(p, &idle);
    kit_put(p, &idle);
    hp_holders *h = look(p);
    CHECK_INT(h->n, 1);
    CHECK_SPAN(h->at->key, "|http|a:80");
    CHECK_SPAN(h->at->method, "PUT");
    CHECK_SPAN(h->at->path, "/held");
    CHECK_SPAN(h->at->site, "app.py:7 in f");
    CHECK(h->at->since >= before && h->at->since <= hp_clock_now());
    CHECK_INT(h->at->phase, HP_HOLDING_BODY_HALF_READ);
    CHECK(h->at->whole);
    CHECK_INT(h->at->conn_id, id);
    kit_want_init(&dialing, &a);
    kit_want_init(&waiting, &a);
    hp_pool_close_idle(p, (hp_span){0});
    CHECK_INT(kit_acquire(p, &dialing), HP_WANT_DIALING);
    CHECK_INT(kit_acquire(p, &waiting), HP_WANT_QUEUED);
    hp_holders *later = look(p);
    CHECK_INT(later->n, 1);
    kit_put(p, &held);
    CHECK_SPAN(h->at->site, "app.py:7 in f"); /* its own copy */
    hp_holders_free(h);
    hp_holders_free(later);
    hp_pool_cancel(p, &waiting.want, NULL);
    hp_pool_cancel(p, &dialing.want, NULL);
    kit_done(p);
}

/* Given a connection and not aware of it yet: whatever an earlier attempt was
 * at is over. */
static void
test_served(void)
{
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    hp_pool *p = kit_pool(&l);
    kit_host a;
    kit_host_init(&a, "a");
    kit_want first, second;
    kit_want_init(&first, &a);
    want_site(&second, &a, "/second", "");
    atomic_store(&second.want.holding, HP_HOLDING_AWAITING_HEAD);
    kit_get(p, &first);
    CHECK_INT(kit_acquire(p, &second), HP_WANT_QUEUED);
    kit_put(p, &first);
    hp_holders *h = look(p);
    CHECK_INT(h->n, 1);
    CHECK_SPAN(h->at->path, "/second");
    CHECK_INT(h->at->phase, HP_HOLDING_SENDING);
    CHECK_INT(h->at->site.len, 0);
    hp_holders_free(h);
    CHECK_INT(hp_pool_look(p, &second.want), HP_WANT_LEASED);
    kit_put(p, &second);
    kit_done(p);
}

/* Longest first over all hosts, and more than the first guess has room for. */
static void
test_order(void)
{
    enum {
        HOSTS = 5,
        EACH = 20
    };
    static const char *const names[HOSTS] = {"a", "b", "c", "d", "e"};
    static char paths[HOSTS * EACH][16];
    static kit_want w[HOSTS * EACH];
    kit_host hosts[HOSTS];
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    for (int i = 0; i < HOSTS; i++)
        kit_host_init(&hosts[i], names[i]);
    for (int i = 0; i < HOSTS * EACH; i++) {
        snprintf(paths[i], sizeof paths[i], "/%d", i);
        want_site(&w[i], &hosts[i % HOSTS], paths[i], paths[i] + 1);
        kit_get(p, &w[i]);
        hp_clock_advance(1);
    }
    hp_holders *h = look(p);
    CHECK_INT(h->n, HOSTS * EACH);
    for (int i = 0; i < HOSTS * EACH; i++) {
        CHECK_SPAN(h->at[i].path, paths[i]);
        CHECK_SPAN(h->at[i].site, paths[i] + 1);
        CHECK_SPAN(h->at[i].key, hosts[i % HOSTS].text);
    }
    hp_holders_free(h);
    for (int i = 0; i < HOSTS * EACH; i++)
        kit_put(p, &w[i]);
    kit_done(p);
}

static void
test_no_memory(void)
{
    hp_limits l = kit_limits();
    hp_pool *p = kit_pool(&l);
    hp_mem_fail_after(0);
    hp_holders *h = hp_gather(visit_pool, p);
    hp_mem_fail_after(-1);
    CHECK(h == NULL);
    kit_done(p);
}

static void
test_names(void)
{
    CHECK_STR(hp_holding_name(HP_HOLDING_SENDING), "sending");
    CHECK_STR(hp_holding_name(HP_HOLDING_AWAITING_HEAD), "awaiting head");
    CHECK_STR(hp_holding_name(HP_HOLDING_BODY_UNREAD), "body unread");
    CHECK_STR(hp_holding_name(HP_HOLDING_BODY_HALF_READ), "body half read");
}

/* Who waits for the longest holder is told his line, its end if it is long. */
static void
test_line_in_the_diagnosis(void)
{
    char long_site[300];
    memset(long_site, '/', sizeof long_site);
    strcpy(long_site + 250, "app.py:12 in fetch");
    const char *const sites[] = {"app.py:12 in fetch", long_site};
    hp_limits l = kit_limits();
    l.max_conns_per_host = 1;
    for (int i = 0; i < 2; i++) {
        hp_pool *p = kit_pool(&l);
        kit_host a;
        kit_host_init(&a, "a");
        kit_want held, waiting;
        want_site(&held, &a, "/x", sites[i]);
        kit_want_init(&waiting, &a);
        kit_get(p, &held);
        CHECK_INT(kit_acquire(p, &waiting), HP_WANT_QUEUED);
        hp_err err = {0};
        CHECK(hp_pool_wait_timed_out(p, &waiting.want, KIT_S, &err));
        CHECK(strstr(err.text,
                     i == 0 ? "by GET /x still being sent, made at app"
                            : "by GET /x still being sent, made at ...//"));
        const char *end = strstr(err.text, "app.py:12 in fetch");
        CHECK(end && strlen(end) == strlen("app.py:12 in fetch"));
        CHECK(strlen(err.text) < HP_ERR_TEXT_MAX - 1);
        hp_pool_cancel(p, &waiting.want, NULL);
        kit_put(p, &held);
        kit_done(p);
    }
}

/* ---- while they come and go ---- */

enum {
    THREADS = 4,
    LOOKS = 300
};

static hp_pool *pool;
static kit_host shared;
static atomic_bool stop;
static atomic_long leases;

/* Others may serve it between any two calls. */
static void
get_among_others(kit_want *w)
{
    if (kit_acquire(pool, w) == HP_WANT_LEASED)
        return;
    CHECK_INT(hp_pool_new_conn(pool, &w->want, KIT_S, KIT_S, &w->dial), 0);
    if (w->dial)
        CHECK(kit_finish_dial(pool, w));
    else
        CHECK_INT(hp_pool_look(pool, &w->want), HP_WANT_LEASED);
}

/* Each thread's path, line and host say the same number. */
static void *
lease(void *arg)
{
    char path[16], site[16], name[16];
    int number = (int)(intptr_t)arg;
    kit_host own;
    snprintf(path, sizeof path, "/%d", number);
    snprintf(site, sizeof site, "%d.py", number);
    snprintf(name, sizeof name, "h%d", number);
    kit_host_init(&own, name);
    for (int i = 0; !atomic_load(&stop); i++) {
        kit_want w;
        want_site(&w, i % 2 ? &own : &shared, path, site);
        get_among_others(&w);
        atomic_store_explicit(&w.want.holding, HP_HOLDING_BODY_UNREAD,
                              memory_order_relaxed);
        atomic_fetch_add(&leases, 1);
        sched_yield();
        if (i % 3)
            kit_put(pool, &w);
        else
            hp_pool_put(pool, &w.want, HP_CLOSE_IO_ERROR);
        memset(path + 1, '0' + number, 1); /* the owner's again */
    }
    return NULL;
}

static void
check_row(const hp_holder *row)
{
    CHECK_INT(row->path.len, 2);
    char digit = row->path.ptr[1];
    CHECK(row->site.len == 4 && row->site.ptr[0] == digit);
    bool own = !hp_span_eq(row->key, shared.key.text);
    CHECK(!own || row->key.ptr[strlen("|http|h")] == digit);
    CHECK(row->conn_id > 0 && row->since > 0);
}

static void
test_while_they_come_and_go(void)
{
    pthread_t threads[THREADS];
    hp_limits l = kit_limits();
    pool = kit_pool(&l);
    kit_host_init(&shared, "shared");
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, lease, (void *)(intptr_t)i) ==
              0);
    long seen = 0;
    for (int i = 0; i < LOOKS || seen < LOOKS; i++) {
        hp_holders *h = look(pool);
        CHECK(h->n <= THREADS);
        for (size_t k = 0; k < h->n; k++) {
            check_row(&h->at[k]);
            CHECK(k == 0 || h->at[k - 1].since <= h->at[k].since);
        }
        seen += (long)h->n;
        hp_holders_free(h);
        sched_yield();
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(leases > 0);
    hp_holders *h = look(pool);
    CHECK_INT(h->n, 0);
    hp_holders_free(h);
    kit_done(pool);
}

int
main(void)
{
    RUN(test_nobody);
    RUN(test_rows);
    RUN(test_served);
    RUN(test_order);
    RUN(test_no_memory);
    RUN(test_names);
    RUN(test_line_in_the_diagnosis);
    RUN(test_while_they_come_and_go);
    hp_keeper_stop_for_good();
    DONE();
}
