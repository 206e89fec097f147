/* short_lived: which transports count as short-lived, and the bounded table of
 * their hosts. */
#include "exchange_kit.h"
#include "proxy_kit.h"
#include "run/short_lived.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define S HP_NS_PER_S
#define OK_EMPTY SCRIPT_BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

static hp_short_lived list[HP_SHORT_LIVED_HOSTS];

static const hp_short_lived *
row_of(const char *host)
{
    size_t n = hp_process_short_lived(list);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].host, host) == 0)
            return &list[i];
    }
    return NULL;
}

/* ---- transports ---- */

static void
request(kit *k)
{
    hp_exchange *ex = kit_new(k);
    CHECK_INT(kit_head(k, ex), HP_GO_DONE);
    hp_exchange_free(ex);
}

/* One that makes n requests. Closed, and then freed, it counts once. */
static void
transport_of(int n, bool close)
{
    kit k;
    kit_init(&k);
    PLAY(&k, OK_EMPTY, OK_EMPTY, OK_EMPTY, OK_EMPTY);
    for (int i = 0; i < n; i++)
        request(&k);
    if (close)
        hp_transport_close(k.t);
    kit_free(&k);
}

static void
test_few_requests_each(void)
{
    hp_short_lived_forget();
    for (int i = 0; i < 10; i++) {
        transport_of(1 + i % HP_SHORT_LIVED_REQUESTS, i % 2);
        hp_clock_advance(80 * S);
    }
    const hp_short_lived *r = row_of("|http|h:80");
    CHECK(r);
    CHECK_INT(r->transports, 10);
    CHECK_INT(r->requests, 1 + 2 + 3 + 1 + 2 + 3 + 1 + 2 + 3 + 1);
}

/* The number of a proxy's settings is another one each time. */
static void
test_through_a_proxy(void)
{
    hp_short_lived_forget();
    for (int i = 0; i < 3; i++) {
        kit k;
        kit_init(&k);
        k.r.proxy = kit_proxy("http://p:3128");
        PLAY(&k, OK_EMPTY);
        request(&k);
        hp_proxy_unref(k.r.proxy);
        kit_free(&k);
    }
    CHECK_INT(hp_process_short_lived(list), 1);
    const hp_short_lived *r = row_of("http://p:3128|http|");
    CHECK(r);
    CHECK_INT(r->transports, 3);
}

static void
test_more_requests(void)
{
    hp_short_lived_forget();
    transport_of(HP_SHORT_LIVED_REQUESTS + 1, true);
    CHECK_INT(hp_process_short_lived(list), 0);
}

/* Unused, it has no connection to lose. */
static void
test_no_requests(void)
{
    hp_err err = {0};
    hp_transport_config config;
    hp_short_lived_forget();
    hp_transport_config_default(&config);
    hp_transport_unref(hp_transport_new(&config, &err));
    CHECK_INT(hp_process_short_lived(list), 0);
}

/* One an hour: the connection would have been closed meanwhile. */
static void
test_far_between(void)
{
    hp_short_lived_forget();
    for (int i = 0; i < 5; i++) {
        transport_of(1, true);
        hp_clock_advance(100 * S);
    }
    CHECK_INT(row_of("|http|h:80")->transports, 1);
}

/* What has stopped is no news, and what begins again begins at one. */
static void
test_long_ago(void)
{
    hp_short_lived_forget();
    transport_of(1, true);
    transport_of(1, true);
    hp_clock_advance(599 * S);
    CHECK_INT(row_of("|http|h:80")->transports, 2);
    hp_clock_advance(2 * S);
    CHECK(row_of("|http|h:80") == NULL);
    transport_of(1, true);
    CHECK_INT(row_of("|http|h:80")->transports, 1);
    CHECK_INT(row_of("|http|h:80")->requests, 1);
}

static void
test_a_child_begins_anew(void)
{
    hp_short_lived_forget();
    transport_of(1, true);
    pid_t pid = fork();
    if (pid == 0)
        _exit((int)hp_process_short_lived(list));
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    CHECK_INT(hp_process_short_lived(list), 1);
}

/* ---- the table ---- */

/* A transport with one request to this host, at the given second. */
static void
note(const char *key, int second)
{
    static hp_ns start;
    if (second == 0)
        start = hp_clock_idle();
    hp_ns now = start + second * S;
    hp_host_stats h = {.key = key, .count.requests = 1};
    hp_stats s = {.total = h, .n_hosts = 1, .hosts = &h};
    hp_short_lived_note(&s, now, now);
}

/* Made alike, clients may still differ in the id of their TLS setting. */
static void
test_the_tls_setting_does_not_count(void)
{
    hp_short_lived_forget();
    note("|https|h:443|tls=1", 0);
    note("|https|h:443|tls=2|name=x", 1);
    note("|http|h:443", 1);
    note("http://p:1|https|h:443|tls=2", 1);
    CHECK_INT(hp_process_short_lived(list), 3);
    CHECK_INT(row_of("|https|h:443")->transports, 2);
    CHECK_INT(row_of("http://p:1|https|h:443")->transports, 1);
}

static void
test_the_oldest_is_forgotten(void)
{
    char key[32];
    hp_short_lived_forget();
    for (int i = 0; i < HP_SHORT_LIVED_HOSTS; i++) {
        snprintf(key, sizeof key, "|http|h%d:80", i);
        note(key, i);
    }
    note("|http|h0:80", 70);
    note("|http|new:80", 71);
    CHECK_INT(hp_process_short_lived(list), HP_SHORT_LIVED_HOSTS);
    CHECK(row_of("|http|h1:80") == NULL);
    CHECK_INT(row_of("|http|h0:80")->transports, 2);
    CHECK_INT(row_of("|http|new:80")->transports, 1);
}

static void
test_too_long_a_name(void)
{
    char key[sizeof list[0].host + 8];
    hp_short_lived_forget();
    snprintf(key, sizeof key, "|http|%0*d", (int)sizeof list[0].host, 7);
    note(key, 0);
    CHECK_INT(hp_process_short_lived(list), 0);
}

/* ---- threads ---- */

enum {
    THREADS = 8,
    EACH = 50
};

static void *
make_and_drop(void *arg)
{
    hp_short_lived out[HP_SHORT_LIVED_HOSTS];
    for (int i = 0; i < EACH; i++) {
        transport_of(1, i % 2);
        hp_process_short_lived(out);
    }
    return NULL;
}

static void
test_threads(void)
{
    pthread_t threads[THREADS];
    hp_short_lived_forget();
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, make_and_drop, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK_INT(row_of("|http|h:80")->transports, THREADS * EACH);
}

int
main(void)
{
    RUN(test_few_requests_each);
    RUN(test_through_a_proxy);
    RUN(test_more_requests);
    RUN(test_no_requests);
    RUN(test_far_between);
    RUN(test_long_ago);
    RUN(test_a_child_begins_anew);
    RUN(test_the_tls_setting_does_not_count);
    RUN(test_the_oldest_is_forgotten);
    RUN(test_too_long_a_name);
    RUN(test_threads);
    DONE();
}
