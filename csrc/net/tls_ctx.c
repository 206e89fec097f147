/* tls_ctx: which TLS settings exist, and the SSL_CTX behind each.
 *
 * A setting is found by its key: every field of the configuration written out
 * byte for byte, with the identity (device, inode, modification time) of each
 * file it names. The strings of the setting point into its key, so there is
 * one copy of the password to wipe.
 *
 * A setting's own mutex guards ctx and is held while files are read and parsed,
 * which may take tens of milliseconds, inside OpenSSL's gate, and never
 * together with the registry's.
 */
#include "net/tls_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/x509.h>

#include "base/lock.h"
#include "base/mem.h"
#include "base/registry.h"
#include "net/tls_gate.h"

struct hp_tls {
    hp_entry entry;
    hp_tls_setting set; /* immutable; strings point into the entry's key */

    /* under build */
    hp_mutex build;
    SSL_CTX *ctx; /* NULL until it is complete */
    int keylog_fd;
};

static atomic_uint contexts_built;

/* ---- fork ---- */

/* A thread that the fork did not wait for may have held a setting's mutex. It
 * had not published its context, so that one counts as never begun (what it had
 * allocated is lost, once). Finished contexts are memory like any other and
 * stay good. */
static void
in_child(hp_entry *e)
{
    hp_mutex_init(&HP_CONTAINER(e, hp_tls, entry)->build);
}

static hp_registry registry = HP_REGISTRY_INIT(HP_TLS_KEPT, in_child);
static pthread_once_t start_once = PTHREAD_ONCE_INIT;
static int start_failed;

static void
start(void)
{
    start_failed = hp_tls_gate_init() != 0 || hp_registry_open(&registry) != 0;
}

/* ---- the system's store ---- */

/* OpenSSL's built-in place comes before these. A wheel carries an OpenSSL
 * whose built-in place is its builder's, hence the list. */
static const char *const usual_files[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem", /* macOS, Alpine */
    "/usr/local/etc/openssl/cert.pem",
    "/opt/homebrew/etc/openssl@3/cert.pem",
    NULL,
};

static const char *const *test_files;
static const char *test_dir;
static atomic_int last_place; /* index of the file found last */

void
hp_tls_use_places(const char *const *files, const char *dir)
{
    test_files = files;
    test_dir = dir;
    atomic_store(&last_place, 0);
}

static const char *
system_place(int i)
{
    if (test_files)
        return test_files[i];
    return i == 0 ? X509_get_default_cert_file() : usual_files[i - 1];
}

static const char *
system_dir(void)
{
    return test_files ? test_dir : X509_get_default_cert_dir();
}

static hp_tls_file_id
identity(const struct stat *st)
{
#ifdef __APPLE__
    const struct timespec *m = &st->st_mtimespec;
#else
    const struct timespec *m = &st->st_mtim;
#endif
    return (hp_tls_file_id){(uint64_t)st->st_dev, (uint64_t)st->st_ino,
                            (uint64_t)m->tv_sec, (uint64_t)m->tv_nsec};
}

/* True if there is a file (or directory) that may hold something. */
static bool
look(const char *path, bool dir, hp_tls_file_id *id)
{
    struct stat st;
    if (path == NULL || stat(path, &st) < 0)
        return false;
    if (dir ? !S_ISDIR(st.st_mode) : S_ISDIR(st.st_mode) || st.st_size == 0)
        return false;
    *id = identity(&st);
    return true;
}

/* One stat() once the place is known. */
static const char *
find_system_file(hp_tls_file_id *id)
{
    const char *path = system_place(atomic_load(&last_place));
    if (look(path, false, id))
        return path;
    for (int i = 0; (path = system_place(i)) != NULL; i++) {
        if (look(path, false, id)) {
            atomic_store(&last_place, i);
            return path;
        }
    }
    return NULL;
}

static void
look_at_system(hp_tls_setting *s)
{
    s->system_file = find_system_file(&s->ids[HP_TLS_ID_SYSTEM_FILE]);
    if (look(system_dir(), true, &s->ids[HP_TLS_ID_SYSTEM_DIR]))
        s->system_dir = system_dir();
    if (s->system_file == NULL)
        look(s->config.fallback_ca_file, false,
             &s->ids[HP_TLS_ID_FALLBACK_FILE]);
}

/* ---- configuration to key ---- */

static int
look_at_named(const char *what, const char *path, bool dir, hp_tls_file_id *id,
              hp_err *err)
{
    struct stat st;
    if (path == NULL)
        return 0;
    if (stat(path, &st) < 0 || access(path, R_OK) < 0)
        return hp_err_set_sys(err, HP_E_TLS_CONFIG, errno, "%s '%s'", what,
                              path);
    if (dir != S_ISDIR(st.st_mode))
        return hp_err_set(err, HP_E_TLS_CONFIG, "%s '%s' is %s directory", what,
                          path, dir ? "not a" : "a");
    *id = identity(&st);
    return 0;
}

static int
look_at_files(hp_tls_setting *s, hp_err *err)
{
    const hp_tls_config *c = &s->config;
    hp_tls_file_id *ids = s->ids;
    if (c->key_file && c->cert_file == NULL)
        return hp_err_set(err, HP_E_TLS_CONFIG,
                          "key file '%s' without a certificate file",
                          c->key_file);
    if (look_at_named("CA file", c->ca_file, false, &ids[HP_TLS_ID_CA_FILE],
                      err) ||
        look_at_named("CA directory", c->ca_dir, true, &ids[HP_TLS_ID_CA_DIR],
                      err) ||
        look_at_named("certificate file", c->cert_file, false,
                      &ids[HP_TLS_ID_CERT_FILE], err) ||
        look_at_named("key file", c->key_file, false, &ids[HP_TLS_ID_KEY_FILE],
                      err))
        return -1;
    if (c->verify && !hp_tls_own_authorities(c))
        look_at_system(s);
    return 0;
}

static int
check_versions(const hp_tls_config *c, hp_err *err)
{
    int given[] = {c->min_version, c->max_version};
    for (int i = 0; i < 2; i++) {
        if (given[i] && (given[i] < TLS1_VERSION || given[i] > TLS1_3_VERSION))
            return hp_err_set(err, HP_E_TLS_CONFIG,
                              "0x%04x is no TLS version (0x0303 is 1.2)",
                              (unsigned)given[i]);
    }
    if (c->max_version && c->max_version < hp_tls_min_version(c))
        return hp_err_set(err, HP_E_TLS_CONFIG,
                          "maximum TLS version is below the minimum");
    return 0;
}

/* Every string of a setting. Numbers stand in fill_numbers(). */
static const size_t strings[] = {
    offsetof(hp_tls_setting, config.ca_file),
    offsetof(hp_tls_setting, config.ca_dir),
    offsetof(hp_tls_setting, config.fallback_ca_file),
    offsetof(hp_tls_setting, config.cert_file),
    offsetof(hp_tls_setting, config.key_file),
    offsetof(hp_tls_setting, config.key_password),
    offsetof(hp_tls_setting, config.ciphers),
    offsetof(hp_tls_setting, config.ciphersuites),
    offsetof(hp_tls_setting, config.groups),
    offsetof(hp_tls_setting, config.alpn),
    offsetof(hp_tls_setting, config.keylog_file),
    offsetof(hp_tls_setting, system_file),
    offsetof(hp_tls_setting, system_dir),
};
enum {
    N_STRINGS = sizeof strings / sizeof *strings
};

static const char **
string_at(hp_tls_setting *s, int i)
{
    return (const char **)((char *)s + strings[i]);
}

typedef struct numbers {
    uint64_t verify, min, max, has_fingerprint, has_pem, pem_len;
    hp_tls_file_id ids[HP_TLS_ID_COUNT];
    unsigned char fingerprint[32];
} numbers;
static_assert(sizeof(numbers) ==
                  6 * 8 + HP_TLS_ID_COUNT * sizeof(hp_tls_file_id) + 32,
              "no padding: keys are compared byte by byte");

static void
fill_numbers(numbers *n, const hp_tls_setting *s)
{
    const hp_tls_config *c = &s->config;
    memset(n, 0, sizeof *n);
    n->verify = c->verify;
    n->min = (uint64_t)c->min_version;
    n->max = (uint64_t)c->max_version;
    n->has_fingerprint = c->has_fingerprint;
    n->has_pem = c->ca_pem.ptr != NULL;
    n->pem_len = c->ca_pem.len;
    memcpy(n->ids, s->ids, sizeof n->ids);
    if (c->has_fingerprint)
        memcpy(n->fingerprint, c->fingerprint, sizeof n->fingerprint);
}

static char *
put(char *at, const void *p, size_t n)
{
    if (n)
        memcpy(at, p, n);
    return at + n;
}

/* numbers, then per string one byte telling whether it is there and the
 * string with its NUL, then the PEM bytes. Self-delimiting, so no two settings
 * write the same key. The setting's strings are moved into it. */
static int
own_key(hp_tls *t)
{
    hp_tls_setting *s = &t->set;
    size_t n = sizeof(numbers) + N_STRINGS + s->config.ca_pem.len;
    for (int i = 0; i < N_STRINGS; i++) {
        const char *p = *string_at(s, i);
        n += p ? strlen(p) + 1 : 0;
    }
    char *key = hp_malloc(n), *at = key;
    if (key == NULL)
        return -1;
    numbers nums;
    fill_numbers(&nums, s);
    at = put(at, &nums, sizeof nums);
    for (int i = 0; i < N_STRINGS; i++) {
        const char **p = string_at(s, i);
        *at++ = *p != NULL;
        if (*p) {
            char *copy = at;
            at = put(at, *p, strlen(*p) + 1);
            *p = copy;
        }
    }
    char *pem = at;
    at = put(at, s->config.ca_pem.ptr, s->config.ca_pem.len);
    if (s->config.ca_pem.ptr)
        s->config.ca_pem.ptr = pem;
    t->entry.node.key = hp_span_of(key, n);
    t->entry.node.hash = hp_hash(t->entry.node.key);
    return 0;
}

/* ---- registry ---- */

static void
setting_free(hp_tls *t)
{
    if (t == NULL)
        return;
    if (t->ctx) {
        hp_tls_enter();
        SSL_CTX_free(t->ctx);
        hp_tls_leave();
    }
    if (t->keylog_fd >= 0)
        close(t->keylog_fd);
    hp_mutex_destroy(&t->build);
    if (t->entry.node.key.ptr) { /* holds the key's password */
        OPENSSL_cleanse((char *)t->entry.node.key.ptr, t->entry.node.key.len);
        hp_free((char *)t->entry.node.key.ptr);
    }
    hp_free(t);
}

static hp_tls *
setting_new(const hp_tls_config *config, hp_err *err)
{
    hp_tls *t = hp_calloc(sizeof *t);
    if (t == NULL) {
        hp_err_set(err, HP_E_NOMEM, "out of memory");
        return NULL;
    }
    hp_mutex_init(&t->build);
    t->keylog_fd = -1;
    t->set.config = *config;
    if (check_versions(config, err) != 0 || look_at_files(&t->set, err) != 0)
        goto fail;
    if (own_key(t) == 0)
        return t;
    hp_err_set(err, HP_E_NOMEM, "out of memory");
fail:
    setting_free(t);
    return NULL;
}

static hp_tls *
tls_of(hp_entry *e)
{
    return e ? HP_CONTAINER(e, hp_tls, entry) : NULL;
}

hp_tls *
hp_tls_get(const hp_tls_config *config, hp_err *err)
{
    pthread_once(&start_once, start);
    if (start_failed) {
        hp_err_set(err, HP_E_NOMEM, "out of memory");
        return NULL;
    }
    hp_tls *fresh = setting_new(config, err);
    if (fresh == NULL)
        return NULL;
    hp_tls *t = tls_of(hp_registry_get(&registry, &fresh->entry));
    if (t == NULL)
        hp_err_set(err, HP_E_NOMEM, "out of memory");
    if (t != fresh)
        setting_free(fresh);
    return t;
}

hp_tls *
hp_tls_ref(hp_tls *t)
{
    hp_registry_ref(&registry, &t->entry);
    return t;
}

void
hp_tls_unref(hp_tls *t)
{
    if (t)
        setting_free(tls_of(hp_registry_unref(&registry, &t->entry)));
}

uint64_t
hp_tls_id(const hp_tls *t)
{
    return t->entry.id;
}

const hp_tls_config *
hp_tls_settings(const hp_tls *t)
{
    return &t->set.config;
}

size_t
hp_tls_known(void)
{
    return hp_registry_known(&registry);
}

unsigned
hp_tls_contexts_built(void)
{
    return atomic_load(&contexts_built);
}

SSL_CTX *
hp_tls_context(hp_tls *t, hp_err *err)
{
    hp_tls_enter();
    hp_lock(&t->build);
    if (t->ctx == NULL) {
        t->ctx = hp_tls_build(&t->set, &t->keylog_fd, err);
        if (t->ctx)
            atomic_fetch_add(&contexts_built, 1);
    }
    SSL_CTX *ctx = t->ctx;
    hp_unlock(&t->build);
    hp_tls_leave();
    return ctx;
}
