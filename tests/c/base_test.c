#include <limits.h>
#include <pthread.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/reason.h"
#include "base/span.h"
#include "test.h"

/* ---- list ---- */

typedef struct item {
    int value;
    hp_node node;
} item;

static int
value_of(const hp_node *n)
{
    return HP_CONTAINER(n, item, node)->value;
}

static void
test_list(void)
{
    hp_list l;
    item x[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    hp_list_init(&l);
    CHECK(hp_list_empty(&l));
    CHECK(!hp_list_first(&l) && !hp_list_last(&l) && !hp_list_pop_front(&l));
    hp_list_push_back(&l, &x[1].node);
    hp_list_push_back(&l, &x[3].node);
    hp_list_push_front(&l, &x[0].node);
    hp_list_insert_before(&x[3].node, &x[2].node);
    int i = 0;
    for (hp_node *n = hp_list_first(&l); n; n = hp_list_next(&l, n))
        CHECK_INT(value_of(n), i++);
    CHECK_INT(i, 4);
    CHECK_INT(value_of(hp_list_last(&l)), 3);
    hp_list_remove(&x[1].node);
    CHECK(!hp_node_linked(&x[1].node));
    CHECK(hp_node_linked(&x[2].node));
    CHECK_INT(value_of(hp_list_pop_front(&l)), 0);
    CHECK_INT(value_of(hp_list_pop_front(&l)), 2);
    hp_list_push_front(&l, &x[0].node); /* a popped node can go back */
    CHECK_INT(value_of(hp_list_first(&l)), 0);
}

/* ---- map ---- */

enum {
    N_KEYS = 10000
};

typedef struct entry {
    hp_map_node node;
    char key[16];
    bool seen;
} entry;

static entry entries[N_KEYS];

static void
set_key(entry *e, int i)
{
    snprintf(e->key, sizeof e->key, "key-%d", i);
    e->node.key = hp_span_cstr(e->key);
    e->node.hash = hp_hash(e->node.key);
    e->seen = false;
}

static hp_map_node *
find(const hp_map *m, const char *key)
{
    hp_span s = hp_span_cstr(key);
    return hp_map_find(m, s, hp_hash(s));
}

static int
count_by_walking(const hp_map *m)
{
    int n = 0;
    for (hp_map_node *e = hp_map_next(m, NULL); e; e = hp_map_next(m, e)) {
        entry *x = HP_CONTAINER(e, entry, node);
        CHECK(!x->seen);
        x->seen = true;
        n++;
    }
    return n;
}

static void
test_map(void)
{
    hp_map m;
    hp_map_init(&m);
    CHECK(!find(&m, "key-1") && !hp_map_next(&m, NULL));
    for (int i = 0; i < N_KEYS; i++) {
        set_key(&entries[i], i);
        CHECK_INT(hp_map_insert(&m, &entries[i].node), 0);
    }
    CHECK_INT(m.count, N_KEYS);
    CHECK_INT(count_by_walking(&m), N_KEYS);
    for (int i = 0; i < N_KEYS; i++)
        CHECK(find(&m, entries[i].key) == &entries[i].node);
    CHECK(!find(&m, "key-10000") && !find(&m, ""));
    for (int i = 0; i < N_KEYS; i += 2)
        hp_map_remove(&m, &entries[i].node);
    CHECK_INT(m.count, N_KEYS / 2);
    for (int i = 0; i < N_KEYS; i++)
        CHECK((find(&m, entries[i].key) != NULL) == (i % 2 == 1));
    for (int i = 1; i < N_KEYS; i += 2)
        hp_map_remove(&m, &entries[i].node);
    CHECK(m.count == 0 && !hp_map_next(&m, NULL));
    hp_map_free(&m);
    CHECK(!find(&m, "key-1"));
}

/* Keys whose hashes collide completely are told apart. */
static void
test_map_collisions(void)
{
    hp_map m;
    hp_map_init(&m);
    for (int i = 0; i < 20; i++) {
        set_key(&entries[i], i);
        entries[i].node.hash = 5;
        CHECK_INT(hp_map_insert(&m, &entries[i].node), 0);
    }
    for (int i = 0; i < 20; i++)
        CHECK(hp_map_find(&m, entries[i].node.key, 5) == &entries[i].node);
    hp_map_remove(&m, &entries[7].node);
    CHECK(!hp_map_find(&m, entries[7].node.key, 5));
    CHECK(hp_map_find(&m, entries[6].node.key, 5));
    hp_map_free(&m);
}

/* Only the first table is needed; growing is best effort. */
static void
test_map_no_memory(void)
{
    hp_map m;
    hp_map_init(&m);
    set_key(&entries[0], 0);
    hp_mem_fail_after(0);
    CHECK_INT(hp_map_insert(&m, &entries[0].node), -1);
    hp_mem_fail_after(-1);
    CHECK_INT(m.count, 0);
    for (int i = 0; i < 100; i++) {
        set_key(&entries[i], i);
        hp_mem_fail_after(i ? 0 : -1);
        CHECK_INT(hp_map_insert(&m, &entries[i].node), 0);
    }
    hp_mem_fail_after(-1);
    for (int i = 0; i < 100; i++)
        CHECK(find(&m, entries[i].key) == &entries[i].node);
    hp_map_free(&m);
}

/* ---- buf ---- */

static void
test_buf(void)
{
    char store[8];
    hp_buf b;
    hp_buf_init(&b, store, sizeof store, 1000);
    CHECK_INT(hp_buf_add_cstr(&b, "12345678"), 0);
    CHECK(b.ptr == store);
    CHECK_INT(hp_buf_add_span(&b, HP_SPAN_LIT("9")), 0);
    CHECK(b.ptr != store); /* moved, and took the content along */
    CHECK_SPAN(hp_span_of(b.ptr, b.len), "123456789");
    b.pos = 4;
    CHECK_INT(hp_buf_unread(&b), 5);
    CHECK(*hp_buf_read_ptr(&b) == '5');
    CHECK_INT(hp_buf_add(&b, NULL, 0), 0);
    hp_buf_free(&b);
    CHECK(b.len == 0 && b.pos == 0 && hp_buf_unread(&b) == 0);
    CHECK_INT(hp_buf_add_cstr(&b, "again"), 0);
    CHECK_SPAN(hp_span_of(b.ptr, b.len), "again");
    hp_buf_free(&b);
}

static void
test_buf_limits(void)
{
    static char big[1000];
    hp_buf b;
    hp_buf_init(&b, NULL, 0, 1000);
    CHECK_INT(hp_buf_add(&b, big, 999), 0);
    CHECK(!hp_buf_full(&b, 1) && hp_buf_full(&b, 2));
    CHECK(hp_buf_full(&b, SIZE_MAX)); /* no wrap-around */
    CHECK_INT(hp_buf_add(&b, big, 2), -1);
    CHECK_INT(hp_buf_reserve(&b, SIZE_MAX), -1);
    CHECK_INT(b.len, 999);
    CHECK_INT(hp_buf_add(&b, big, 1), 0);
    CHECK(b.cap <= b.max);
    CHECK_INT(hp_buf_add(&b, big, 1), -1);
    hp_buf_free(&b);
    /* A store bigger than max is used up to max only. */
    hp_buf_init(&b, big, sizeof big, 10);
    CHECK_INT(hp_buf_add_cstr(&b, "12345678901"), -1);
    CHECK_INT(hp_buf_add_cstr(&b, "1234567890"), 0);
    hp_buf_free(&b);
}

static void
test_buf_no_memory(void)
{
    char store[4];
    hp_buf b;
    hp_buf_init(&b, store, sizeof store, 1000);
    CHECK_INT(hp_buf_add_cstr(&b, "abc"), 0);
    hp_mem_fail_after(0);
    CHECK_INT(hp_buf_add_cstr(&b, "def"), -1);
    hp_mem_fail_after(-1);
    CHECK(!hp_buf_full(&b, 3)); /* so it was memory */
    CHECK_SPAN(hp_span_of(b.ptr, b.len), "abc");
    hp_buf_free(&b);
}

/* ---- err ---- */

static void
test_err_first_wins(void)
{
    hp_err e;
    hp_err_clear(&e);
    CHECK_INT(hp_err_set(&e, HP_E_TLS, "bad %s %d", "thing", 7), -1);
    CHECK_INT(hp_err_set(&e, HP_E_READ, "generic"), -1);
    CHECK_INT(hp_err_set_sys(&e, HP_E_WRITE, 5, "generic"), -1);
    CHECK_INT(e.code, HP_E_TLS);
    CHECK_INT(e.sys_errno, 0);
    CHECK_STR(e.text, "bad thing 7");
    CHECK_INT(hp_err_set(NULL, HP_E_READ, "nobody listens"), -1);
    hp_err_clear(&e);
    CHECK(e.code == HP_OK && e.text[0] == '\0');
}

static void
test_err_sys(void)
{
    hp_err e;
    char want[100], long_text[2 * HP_ERR_TEXT_MAX];
    hp_err_clear(&e);
    CHECK_INT(hp_err_set_sys(&e, HP_E_CONNECT, 2, "opening %s", "x"), -1);
    snprintf(want, sizeof want, "opening x: %s", strerror(2));
    CHECK_STR(e.text, want);
    CHECK_INT(e.sys_errno, 2);
    memset(long_text, 'y', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    hp_err_clear(&e);
    hp_err_set_sys(&e, HP_E_CONNECT, 2, "%s", long_text);
    CHECK_INT(strlen(e.text), HP_ERR_TEXT_MAX - 1);
}

static void
check_name(const char *name)
{
    CHECK(name && name[0]);
    CHECK_INT(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
              strlen(name));
}

static void
test_every_value_has_a_name(void)
{
    for (int i = 0; i < HP_ERRC_COUNT; i++)
        check_name(hp_errc_name((hp_errc)i));
    for (int i = 0; i < HP_PHASE_COUNT; i++)
        check_name(hp_phase_name((hp_phase)i));
    for (int i = 0; i < HP_CLOSE_REASON_COUNT; i++)
        check_name(hp_close_reason_name((hp_close_reason)i));
    for (int i = 0; i < HP_REPLAY_REASON_COUNT; i++)
        check_name(hp_replay_reason_name((hp_replay_reason)i));
    CHECK_STR(hp_close_reason_name(HP_CLOSE_LEFTOVER_BYTES), "leftover_bytes");
    CHECK_STR(hp_errc_name(HP_E_POOL_TIMEOUT), "pool_timeout");
}

/* ---- span ---- */

static void
test_span(void)
{
    hp_span empty = hp_span_of(NULL, 0);
    CHECK(hp_span_eq(empty, HP_SPAN_LIT("")));
    CHECK(hp_span_eq(HP_SPAN_LIT("abc"), hp_span_cstr("abc")));
    CHECK(!hp_span_eq(HP_SPAN_LIT("abc"), HP_SPAN_LIT("abC")));
    CHECK(!hp_span_eq(HP_SPAN_LIT("abc"), HP_SPAN_LIT("ab")));
    CHECK(hp_span_eq_nocase(HP_SPAN_LIT("aBz"), HP_SPAN_LIT("AbZ")));
    CHECK(!hp_span_eq_nocase(HP_SPAN_LIT("["), HP_SPAN_LIT("{")));
    CHECK(!hp_span_eq_nocase(HP_SPAN_LIT("\xc4"), HP_SPAN_LIT("\xe4")));
    CHECK_SPAN(hp_span_trim(HP_SPAN_LIT(" \t a b\t ")), "a b");
    CHECK_SPAN(hp_span_trim(HP_SPAN_LIT(" \t ")), "");
    CHECK_SPAN(hp_span_trim(HP_SPAN_LIT("\r\n")), "\r\n");
    CHECK_INT(hp_span_trim(empty).len, 0);
}

/* ---- clock ---- */

static void
test_deadlines(void)
{
    CHECK(hp_deadline_after(5, HP_NO_LIMIT) == HP_NEVER);
    CHECK(hp_deadline_after(5, HP_NEVER) == HP_NEVER);
    CHECK(hp_deadline_after(5, HP_NEVER - 5) == HP_NEVER);
    CHECK_INT(hp_deadline_after(5, 7), 12);
    CHECK_INT(hp_deadline_after(5, 0), 5);
    CHECK_INT(hp_ns_min(3, HP_NEVER), 3);
}

static void
test_poll_timeout(void)
{
    hp_ns ms = HP_NS_PER_MS;
    CHECK_INT(hp_poll_timeout(5, HP_NEVER), -1);
    CHECK_INT(hp_poll_timeout(5, 5), 0);
    CHECK_INT(hp_poll_timeout(5, 4), 0);
    CHECK_INT(hp_poll_timeout(5, 6), 1); /* never too early */
    CHECK_INT(hp_poll_timeout(0, ms), 1);
    CHECK_INT(hp_poll_timeout(0, ms + 1), 2);
    CHECK_INT(hp_poll_timeout(0, HP_NEVER - 1), INT_MAX);
}

static void
test_clocks(void)
{
    hp_ns now = hp_clock_now(), idle = hp_clock_idle();
    CHECK(hp_clock_now() >= now && hp_clock_idle() >= idle);
    hp_clock_advance(3600 * HP_NS_PER_S);
    CHECK(hp_clock_now() >= now + 3600 * HP_NS_PER_S);
    CHECK(hp_clock_idle() >= idle + 3600 * HP_NS_PER_S);
}

/* ---- mem ---- */

static void
test_mem(void)
{
    char *p = hp_memdup("abc", 2);
    CHECK_STR(p, "ab");
    hp_free(p);
    p = hp_memdup(NULL, 0);
    CHECK_STR(p, "");
    hp_free(p);
    hp_free(NULL);
    hp_mem_fail_after(1);
    CHECK((p = hp_malloc(1)) != NULL);
    CHECK(hp_calloc(1) == NULL); /* this one, and only this one */
    hp_free(p);
    CHECK((p = hp_calloc(4)) != NULL);
    CHECK_INT(p[3], 0);
    hp_mem_fail_after(0);
    CHECK(hp_realloc(p, 100) == NULL);
    hp_mem_fail_after(-1);
    hp_free(p);
}

/* ---- lock ---- */

static hp_mutex mutex = HP_MUTEX_INIT;
static int guarded;

static void *
count(void *unused)
{
    for (int i = 0; i < 10000; i++) {
        hp_lock(&mutex);
        HP_ASSERT_HELD(&mutex);
        guarded++;
        hp_unlock(&mutex);
    }
    return NULL;
}

static void
test_lock(void)
{
    pthread_t t;
    CHECK(pthread_create(&t, NULL, count, NULL) == 0);
    count(NULL);
    CHECK(pthread_join(t, NULL) == 0);
    CHECK_INT(guarded, 20000);
    hp_mutex local;
    hp_mutex_init(&local);
    hp_lock(&local);
    hp_unlock(&local);
    hp_mutex_destroy(&local);
}

int
main(void)
{
    RUN(test_list);
    RUN(test_map);
    RUN(test_map_collisions);
    RUN(test_map_no_memory);
    RUN(test_buf);
    RUN(test_buf_limits);
    RUN(test_buf_no_memory);
    RUN(test_err_first_wins);
    RUN(test_err_sys);
    RUN(test_every_value_has_a_name);
    RUN(test_span);
    RUN(test_deadlines);
    RUN(test_poll_timeout);
    RUN(test_clocks);
    RUN(test_mem);
    RUN(test_lock);
    DONE();
}
