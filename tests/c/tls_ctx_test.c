/* Settings: equal ones are one, a changed one is another, the registry stays
 * small; contexts: built once, by one thread, from files that may be wrong. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>

#include <openssl/ssl.h>

#include "base/mem.h"
#include "net/tls_impl.h"
#include "test.h"
#include "tls_certs.h"

static cert ca, leaf;

static hp_tls *
get(const hp_tls_config *c)
{
    hp_err err;
    hp_err_clear(&err);
    hp_tls *t = hp_tls_get(c, &err);
    if (t == NULL)
        fprintf(stderr, "hp_tls_get: %s\n", err.text);
    CHECK(t);
    CHECK_INT(err.code, HP_OK);
    return t;
}

/* hp_tls_get refuses with these words somewhere in the text. */
static void
refused(const hp_tls_config *c, const char *words)
{
    hp_err err;
    hp_err_clear(&err);
    CHECK(hp_tls_get(c, &err) == NULL);
    CHECK_INT(err.code, HP_E_TLS_CONFIG);
    if (!strstr(err.text, words))
        fprintf(stderr, "text: %s\n", err.text);
    CHECK(strstr(err.text, words));
}

/* The setting is taken, building its context gives `code`, and the text has
 * both words (NULL: any). */
static void
build(const hp_tls_config *c, hp_errc code, const char *a, const char *b)
{
    hp_err err;
    hp_err_clear(&err);
    hp_tls *t = get(c);
    SSL_CTX *ctx = hp_tls_context(t, &err);
    if (err.code != code || (a && !strstr(err.text, a)) ||
        (b && !strstr(err.text, b)))
        fprintf(stderr, "text: %s\n", err.text);
    CHECK_INT(err.code, code);
    CHECK((ctx != NULL) == (code == HP_OK));
    CHECK(a == NULL || strstr(err.text, a));
    CHECK(b == NULL || strstr(err.text, b));
    hp_tls_unref(t);
}

static void
equal_settings_are_one(void)
{
    char ca_a[128], ca_b[128];
    strcpy(ca_a, in_dir("ca.pem"));
    strcpy(ca_b, ca_a);
    hp_tls_config a = {.verify = true, .ca_file = ca_a, .ciphers = "DEFAULT"};
    hp_tls_config b = a;
    b.ca_file = ca_b;
    hp_tls *x = get(&a), *y = get(&b);
    CHECK(x == y);
    CHECK(hp_tls_id(x) > 0);
    memset(ca_a, 'x', 3); /* borrowed for the call only */
    CHECK_STR(hp_tls_settings(x)->ca_file, ca_b);
    hp_tls_unref(x);
    CHECK_INT(hp_tls_id(get(&b)), hp_tls_id(y));
    hp_tls_unref(y);
    hp_tls_unref(y);
    hp_tls_unref(NULL);
}

/* One row per field: the configuration with only that field changed. */
static int
each_field(hp_tls_config base, hp_tls_config *out)
{
    int n = 0;
    for (int i = 0; i < 19; i++)
        out[i] = base;
    out[n++].verify = false;
    out[n++].ca_file = in_dir("Ca.pem"); /* case counts */
    out[n++].ca_dir = in_dir("dir");
    out[n++].ca_pem = HP_SPAN_LIT("pem");
    out[n++].ca_pem = HP_SPAN_LIT(""); /* given, though empty */
    out[n++].fallback_ca_file = "/nowhere";
    out[n++].cert_file = in_dir("leaf.pem");
    out[n].cert_file = in_dir("leaf.pem");
    out[n++].key_file = in_dir("leaf.key");
    out[n++].key_password = "secret";
    out[n++].key_password = "Secret";
    out[n++].min_version = 0x0304;
    out[n++].max_version = 0x0303;
    out[n++].ciphers = "DEFAULT";
    out[n++].ciphersuites = "DEFAULT"; /* the same words elsewhere */
    out[n++].groups = "DEFAULT";
    out[n++].alpn = "\x07"
                    "DEFAULT";
    out[n++].alpn = "";
    out[n++].keylog_file = "DEFAULT";
    out[n++].has_fingerprint = true;
    return n;
}

#ifdef __LP64__
static_assert(sizeof(hp_tls_config) == 160,
              "a new option needs a row in each_field()");
#endif

static void
every_field_counts(void)
{
    hp_tls_config base = {.verify = true, .ca_file = in_dir("ca.pem")};
    hp_tls_config rows[20];
    int n = each_field(base, rows);
    rows[n] = rows[n - 1];
    rows[n++].fingerprint[31] = 1;
    hp_tls *got[20], *plain = get(&base);
    for (int i = 0; i < n; i++) {
        got[i] = get(&rows[i]);
        CHECK(got[i] != plain);
        for (int j = 0; j < i; j++)
            CHECK(got[i] != got[j] && hp_tls_id(got[i]) != hp_tls_id(got[j]));
    }
    for (int i = 0; i < n; i++)
        hp_tls_unref(got[i]);
    hp_tls_unref(plain);
}

static void
what_is_refused_at_once(void)
{
    hp_tls_config c = {.verify = true, .ca_file = "/nowhere/ca.pem"};
    refused(&c, "CA file '/nowhere/ca.pem': No such file");
    c.ca_file = cert_dir;
    refused(&c, "is a directory");
    c = (hp_tls_config){.verify = true, .ca_dir = in_dir("ca.pem")};
    refused(&c, "is not a directory");
    c = (hp_tls_config){.cert_file = "/nowhere/me.pem"};
    refused(&c, "certificate file '/nowhere/me.pem'");
    c = (hp_tls_config){.cert_file = in_dir("leaf.pem"),
                        .key_file = "/nowhere/me.key"};
    refused(&c, "key file '/nowhere/me.key'");
    c = (hp_tls_config){.key_file = in_dir("leaf.key")};
    refused(&c, "without a certificate");
    c = (hp_tls_config){.min_version = 3};
    refused(&c, "no TLS version");
    c = (hp_tls_config){.max_version = 0x0302};
    refused(&c, "below the minimum");
}

static void
a_replaced_file_is_another_setting(void)
{
    char path[128], fresh[128];
    strcpy(path, in_dir("turn.pem"));
    strcpy(fresh, in_dir("turn.new"));
    hp_tls_config c = {.verify = true, .ca_file = path};
    cert_write(path, ca.x, NULL, NULL);
    struct timespec times[2] = {{1000, 1}, {1000, 1}};
    CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
    hp_tls *a = get(&c), *same = get(&c);
    CHECK(a == same);
    times[1].tv_nsec = 2;
    CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
    hp_tls *touched = get(&c);
    cert_write(fresh, ca.x, NULL, NULL);
    CHECK(utimensat(AT_FDCWD, fresh, times, 0) == 0);
    CHECK(rename(fresh, path) == 0);
    hp_tls *renamed = get(&c);
    CHECK(a != touched && touched != renamed && renamed != a);
    hp_tls_unref(a);
    hp_tls_unref(same);
    hp_tls_unref(touched);
    hp_tls_unref(renamed);
}

static hp_tls *
numbered(int i)
{
    hp_tls_config c = {.has_fingerprint = true};
    c.fingerprint[0] = (unsigned char)i;
    c.fingerprint[1] = (unsigned char)(i >> 8);
    return get(&c);
}

static void
the_registry_is_bounded(void)
{
    hp_tls *held = numbered(999);
    hp_tls *first = numbered(0);
    uint64_t first_id = hp_tls_id(first), last_id = 0;
    hp_tls_unref(first);
    for (int i = 1; i < 200; i++) {
        hp_tls *t = numbered(i);
        last_id = hp_tls_id(t);
        hp_tls_unref(t);
        CHECK(hp_tls_known() <= HP_TLS_KEPT + 1);
    }
    CHECK_INT(hp_tls_known(), HP_TLS_KEPT + 1);
    hp_tls *again = numbered(199);
    CHECK_INT(hp_tls_id(again), last_id);
    hp_tls *held_again = numbered(999);
    CHECK(held == held_again);
    first = numbered(0);
    CHECK(hp_tls_id(first) > last_id && hp_tls_id(first) != first_id);
    hp_tls_unref(first);
    hp_tls_unref(again);
    hp_tls_unref(held);
    hp_tls_unref(held_again);
}

static void
contexts_are_built_when_needed(void)
{
    hp_err err;
    hp_err_clear(&err);
    unsigned before = hp_tls_contexts_built();
    hp_tls_config c = {.verify = true,
                       .ca_file = in_dir("ca.pem"),
                       .ciphersuites = "TLS_AES_128_GCM_SHA256"};
    hp_tls *t = get(&c);
    CHECK_INT(hp_tls_contexts_built(), before);
    SSL_CTX *ctx = hp_tls_context(t, &err);
    CHECK(ctx && hp_tls_context(t, &err) == ctx);
    CHECK_INT(hp_tls_contexts_built(), before + 1);
    CHECK_INT(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
    CHECK_INT(SSL_CTX_get_max_proto_version(ctx), 0);
    CHECK_INT(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_PEER);
    CHECK(SSL_CTX_get_options(ctx) & SSL_OP_NO_RENEGOTIATION);
    CHECK(SSL_CTX_get_options(ctx) & SSL_OP_NO_COMPRESSION);
    CHECK(!(SSL_CTX_get_options(ctx) & SSL_OP_IGNORE_UNEXPECTED_EOF));
    CHECK_INT(SSL_CTX_get_session_cache_mode(ctx),
              SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL |
                  SSL_SESS_CACHE_NO_AUTO_CLEAR);
    hp_tls_unref(t);
}

static void
authorities_that_are_none(void)
{
    char path[128];
    strcpy(path, in_dir("bad.pem"));
    hp_tls_config c = {.verify = true, .ca_file = path};
    file_write(path, "");
    build(&c, HP_E_TLS_CONFIG, path, "holds no certificate");
    file_write(path, "words, nothing else\n");
    build(&c, HP_E_TLS_CONFIG, path, "holds no certificate");
    file_write(path, "-----BEGIN CERTIFICATE-----\nAAAA\n"
                     "-----END CERTIFICATE-----\n");
    build(&c, HP_E_TLS_CONFIG, path, NULL);
    c = (hp_tls_config){.verify = true, .ca_dir = in_dir("dir")};
    build(&c, HP_E_TLS_CONFIG, "CA directory", "rehash");
    c = (hp_tls_config){.verify = true, .ca_pem = HP_SPAN_LIT("")};
    build(&c, HP_E_TLS_CONFIG, "holds no certificate", NULL);
    c.ca_pem = HP_SPAN_LIT("-----BEGIN CERTIFICATE-----\nAAAA\n"
                           "-----END CERTIFICATE-----\n");
    build(&c, HP_E_TLS_CONFIG, "certificate 1 of the PEM data", NULL);
}

static void
authorities_of_each_kind(void)
{
    char pem[8192], hashed[128], name[32];
    FILE *f = fopen(in_dir("ca.pem"), "r");
    size_t n = fread(pem, 1, sizeof pem / 2, f);
    fclose(f);
    memcpy(pem + n, pem, n); /* the same twice does no harm */
    hp_tls_config c = {.verify = true, .ca_pem = {pem, 2 * n}};
    build(&c, HP_OK, NULL, NULL);
    snprintf(name, sizeof name, "hash/%08lx.0", X509_subject_name_hash(ca.x));
    CHECK(mkdir(in_dir("hash"), 0700) == 0);
    strcpy(hashed, in_dir(name));
    cert_write(hashed, ca.x, NULL, NULL);
    c = (hp_tls_config){.verify = true, .ca_dir = in_dir("hash")};
    build(&c, HP_OK, NULL, NULL);
}

static void
own_certificates(void)
{
    hp_tls_config c = {.cert_file = in_dir("leaf.pem"),
                       .key_file = in_dir("leaf.key")};
    build(&c, HP_OK, NULL, NULL);
    c.key_file = NULL;
    build(&c, HP_E_TLS_CONFIG, "key file", "leaf.pem");
    c.cert_file = in_dir("both.pem");
    build(&c, HP_OK, NULL, NULL);
    c.key_file = in_dir("other.key");
    build(&c, HP_E_TLS_CONFIG, "other.key", "mismatch");
    c.key_file = in_dir("locked.key");
    build(&c, HP_E_TLS_CONFIG, "locked.key", "no password was given");
    c.key_password = "wrong";
    build(&c, HP_E_TLS_CONFIG, "locked.key", "password given");
    c.key_password = "open sesame";
    build(&c, HP_OK, NULL, NULL);
    c.key_file = in_dir("locked-old.key");
    build(&c, HP_OK, NULL, NULL);
    c.key_password = NULL;
    build(&c, HP_E_TLS_CONFIG, "locked-old.key", "no password was given");
    c = (hp_tls_config){.cert_file = in_dir("leaf.key")};
    build(&c, HP_E_TLS_CONFIG, "certificate file", "leaf.key");
}

static void
options_that_openssl_refuses(void)
{
    hp_tls_config c = {.ciphers = "no-such-cipher"};
    build(&c, HP_E_TLS_CONFIG, "ciphers 'no-such-cipher'", NULL);
    c = (hp_tls_config){.ciphersuites = "no-such-suite"};
    build(&c, HP_E_TLS_CONFIG, "ciphersuites 'no-such-suite'", NULL);
    static const char *const malformed[] = {"\x09http/1.1", "h2", "\x02h2\x01"};
    for (int i = 0; i < 3; i++) {
        c = (hp_tls_config){.alpn = malformed[i]};
        build(&c, HP_E_TLS_CONFIG, "alpn is malformed", NULL);
    }
    c = (hp_tls_config){.groups = "no-such-group"};
    build(&c, HP_E_TLS_CONFIG, "groups 'no-such-group'", NULL);
    c = (hp_tls_config){.keylog_file = "/nowhere/keys"};
    build(&c, HP_E_TLS_CONFIG, "key log file '/nowhere/keys'", NULL);
    c = (hp_tls_config){.min_version = 0x0301, .max_version = 0x0304};
    build(&c, HP_OK, NULL, NULL);
}

static void
the_system_store(void)
{
    char one[128], two[128];
    strcpy(one, in_dir("one.pem"));
    strcpy(two, in_dir("two.pem"));
    const char *const places[] = {"/nowhere/ca.pem", one, two, NULL};
    hp_tls_use_places(places, "/nowhere");
    hp_tls_config c = {.verify = true};
    build(&c, HP_E_TLS_CONFIG, "no certificate authorities", "verify=");
    file_write(one, ""); /* empty: passed over */
    cert_write(two, ca.x, NULL, NULL);
    build(&c, HP_OK, NULL, NULL);
    hp_tls *a = get(&c), *b = get(&c);
    CHECK(a == b);
    cert_write(one, ca.x, NULL, NULL); /* the place that served stays */
    hp_tls *still = get(&c);
    CHECK(a == still);
    CHECK(unlink(two) == 0);
    hp_tls *moved = get(&c);
    CHECK(a != moved);
    hp_err err;
    hp_err_clear(&err);
    CHECK(hp_tls_context(moved, &err));
    hp_tls_unref(a);
    hp_tls_unref(b);
    hp_tls_unref(still);
    hp_tls_unref(moved);
    CHECK(unlink(one) == 0);
    hp_tls_use_places(places, in_dir("hash"));
    build(&c, HP_OK, NULL, NULL); /* a directory alone will do */
    hp_tls_use_places(places, in_dir("dir"));
    build(&c, HP_E_TLS_CONFIG, "no certificate authorities", NULL);
    hp_tls_use_places(NULL, NULL);
}

static void
the_fallback(void)
{
    char empty[128];
    strcpy(empty, in_dir("empty.pem"));
    file_write(empty, "# no certificate\n");
    const char *const places[] = {empty, NULL};
    hp_tls_use_places(places, NULL);
    hp_tls_config c = {.verify = true, .fallback_ca_file = "/nowhere/c.pem"};
    build(&c, HP_E_TLS_CONFIG, "no certificate authorities", NULL);
    c.fallback_ca_file = in_dir("ca.pem");
    build(&c, HP_OK, NULL, NULL);
    c.verify = false; /* then nobody needs a store */
    c.fallback_ca_file = NULL;
    build(&c, HP_OK, NULL, NULL);
    hp_tls_use_places(NULL, NULL);
}

static atomic_int at_gate;
static const char *shared_path;

static void *
get_and_build(void *out)
{
    hp_err err;
    hp_err_clear(&err);
    hp_tls_config c = {.verify = true, .ca_file = shared_path};
    atomic_fetch_add(&at_gate, 1);
    while (atomic_load(&at_gate) < 8)
        sched_yield();
    hp_tls *t = hp_tls_get(&c, &err);
    CHECK(t && hp_tls_context(t, &err));
    hp_tls_unref(hp_tls_ref(t));
    *(hp_tls **)out = t;
    return NULL;
}

static void
eight_threads_share_one(void)
{
    pthread_t th[8];
    hp_tls *got[8];
    unsigned before = hp_tls_contexts_built();
    shared_path = in_dir("shared.pem");
    for (int i = 0; i < 8; i++)
        CHECK(pthread_create(&th[i], NULL, get_and_build, &got[i]) == 0);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_join(th[i], NULL) == 0);
    for (int i = 0; i < 8; i++) {
        CHECK(got[i] == got[0]);
        hp_tls_unref(got[i]);
    }
    CHECK_INT(hp_tls_contexts_built(), before + 1);
}

static void *
churn(void *arg)
{
    int from = *(int *)arg;
    for (int i = 0; i < 300; i++)
        hp_tls_unref(numbered(2000 + (from + i) % 100));
    return NULL;
}

static void
threads_that_come_and_go(void)
{
    pthread_t th[4];
    int from[4] = {0, 25, 50, 75};
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&th[i], NULL, churn, &from[i]) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(th[i], NULL) == 0);
    CHECK(hp_tls_known() <= HP_TLS_KEPT);
}

static void *
build_slowly(void *t)
{
    hp_err err;
    hp_err_clear(&err);
    CHECK(hp_tls_context(t, &err));
    return NULL;
}

/* What the child of a fork can still do; its exit status. */
static int
life_after_fork(hp_tls *unfinished, hp_tls *finished)
{
    hp_err err;
    hp_err_clear(&err);
    alarm(60); /* a dead-lock must not hang the tests */
    if (!hp_tls_context(finished, &err) || !hp_tls_context(unfinished, &err))
        return 1;
    hp_tls *t = numbered(1);
    hp_tls_unref(t);
    hp_tls_unref(finished);
    return 0;
}

/* The builder has its mutex and sits in the middle of a FIFO when the process
 * forks, which does not wait for it for ever; the child finds a plain file in
 * its place. */
static void
fork_while_building(void)
{
    char path[128];
    int status;
    pthread_t builder;
    hp_err err;
    hp_err_clear(&err);
    strcpy(path, in_dir("fifo.pem"));
    hp_tls_config done = {.verify = true, .ca_file = in_dir("ca.pem")};
    hp_tls_config half = {.verify = true, .ca_file = path};
    hp_tls *finished = get(&done);
    CHECK(hp_tls_context(finished, &err));
    CHECK(mkfifo(path, 0600) == 0);
    hp_tls *unfinished = get(&half);
    CHECK(pthread_create(&builder, NULL, build_slowly, unfinished) == 0);
    FILE *f = fopen(path, "w"); /* returns when the builder has opened it */
    CHECK(f && unlink(path) == 0);
    cert_write(path, ca.x, NULL, NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(life_after_fork(unfinished, finished));
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
    CHECK(PEM_write_X509(f, ca.x) && fclose(f) == 0);
    CHECK(pthread_join(builder, NULL) == 0);
    hp_tls_unref(unfinished);
    hp_tls_unref(finished);
}

static void
memory_runs_out(void)
{
    hp_err err;
    hp_tls *t = NULL;
    int n = 0;
    hp_tls_config c = {
        .verify = true, .ca_file = in_dir("ca.pem"), .groups = "P-256"};
    for (; t == NULL; n++) {
        hp_err_clear(&err);
        hp_mem_fail_after(n);
        t = hp_tls_get(&c, &err);
        hp_mem_fail_after(-1);
        CHECK(t || err.code == HP_E_NOMEM);
    }
    CHECK(n > 2);
    hp_tls_unref(t);
}

static void
write_files(void)
{
    cert_dir_make();
    cert other = cert_make((cert_spec){.cn = "other"});
    ca = cert_make((cert_spec){.cn = "test CA", .ca = true});
    leaf = cert_make((cert_spec){.cn = "leaf", .issuer = &ca});
    const char *names[] = {"ca.pem", "Ca.pem", "shared.pem"};
    for (int i = 0; i < 3; i++)
        cert_write(in_dir(names[i]), ca.x, NULL, NULL);
    cert_write(in_dir("leaf.pem"), leaf.x, NULL, NULL);
    cert_write(in_dir("leaf.key"), NULL, leaf.key, NULL);
    cert_write(in_dir("both.pem"), leaf.x, leaf.key, NULL);
    cert_write(in_dir("other.key"), NULL, other.key, NULL);
    cert_write(in_dir("locked.key"), NULL, leaf.key, "open sesame");
    BIO *b = BIO_new_file(in_dir("locked-old.key"), "w");
    CHECK(b && PEM_write_bio_PrivateKey_traditional(
                   b, leaf.key, EVP_aes_128_cbc(), NULL, 0, NULL,
                   (void *)"open sesame"));
    BIO_free(b);
    CHECK(mkdir(in_dir("dir"), 0700) == 0);
    cert_free(&other);
}

int
main(void)
{
    write_files();
    RUN(memory_runs_out);
    RUN(equal_settings_are_one);
    RUN(every_field_counts);
    RUN(what_is_refused_at_once);
    RUN(a_replaced_file_is_another_setting);
    RUN(the_registry_is_bounded);
    RUN(contexts_are_built_when_needed);
    RUN(authorities_that_are_none);
    RUN(authorities_of_each_kind);
    RUN(own_certificates);
    RUN(options_that_openssl_refuses);
    RUN(the_system_store);
    RUN(the_fallback);
    RUN(eight_threads_share_one);
    RUN(threads_that_come_and_go);
    RUN(fork_while_building);
    cert_free(&ca);
    cert_free(&leaf);
    DONE();
}
