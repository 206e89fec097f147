/* tls_impl: what the tls_*.c files share. Nobody else includes it but
 * their tests. */
#ifndef HP_NET_TLS_IMPL_H
#define HP_NET_TLS_IMPL_H

#include <stddef.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/tls.h"
#include "net/tls_session.h"

/* What a file was when it was looked at. All zero: it was not there. */
typedef struct hp_tls_file_id {
    uint64_t dev, ino, sec, nsec;
} hp_tls_file_id;

enum {
    HP_TLS_ID_CA_FILE,
    HP_TLS_ID_CA_DIR,
    HP_TLS_ID_CERT_FILE,
    HP_TLS_ID_KEY_FILE,
    HP_TLS_ID_SYSTEM_FILE,
    HP_TLS_ID_SYSTEM_DIR,
    HP_TLS_ID_FALLBACK_FILE,
    HP_TLS_ID_COUNT
};

typedef struct hp_tls_setting {
    hp_tls_config config;
    const char *system_file, *system_dir; /* the default store, if found */
    hp_tls_file_id ids[HP_TLS_ID_COUNT];
} hp_tls_setting;

static inline bool
hp_tls_own_authorities(const hp_tls_config *c)
{
    return c->ca_file || c->ca_dir || c->ca_pem.ptr;
}

static inline int
hp_tls_min_version(const hp_tls_config *c)
{
    return c->min_version ? c->min_version : TLS1_2_VERSION;
}

/* A new context, the caller's, or NULL with *err. Opens the key log, if there
 * is to be one, into *keylog_fd (-1 before); the context points to that. */
SSL_CTX *hp_tls_build(const hp_tls_setting *s, int *keylog_fd, hp_err *err);

/* The name to check and to send: `name` without trailing dot and zone,
 * borrowed from it. Empty if it must not be used. */
hp_span hp_tls_bare_name(const char *name);

/* Has the certificate checked for a bare name or IP literal, and sets SNI. 0,
 * or -1: out of memory. */
int hp_tls_set_name(SSL *ssl, const char *name);

/* The context of a setting, built now if nobody has done so yet; waits for
 * another thread that is at it. Borrowed: valid while `t` is referenced. NULL
 * with *err (HP_E_TLS_CONFIG, HP_E_NOMEM); the next call tries again. */
SSL_CTX *hp_tls_context(hp_tls *t, hp_err *err);

/* The setting's own copy. Immutable. */
const hp_tls_config *hp_tls_settings(const hp_tls *t);

/* How many sessions a store holds; the oldest makes room. */
enum {
    HP_SESSIONS_MAX = 8
};

/* Keeps a copy, unless the session cannot be resumed. To be called only once
 * the connection has passed every check. Any thread. */
void hp_sessions_put(hp_sessions *s, const SSL_SESSION *session);

/* The newest that is still good, out of the store and the caller's to free, or
 * NULL. What is no longer good is dropped on the way. */
SSL_SESSION *hp_sessions_take(hp_sessions *s);

void hp_sessions_clear(hp_sessions *s);
void hp_sessions_stop(hp_sessions *s); /* and keeps none from now on */
int hp_sessions_count(hp_sessions *s);

/* OpenSSL's new_session_cb for SSLs whose app data is a TLS stream. */
int hp_tls_new_session(SSL *ssl, SSL_SESSION *session);

/* Reasons are numbered per library. */
static inline bool
hp_tls_code_is(unsigned long code, int ssl_reason)
{
    return ERR_GET_LIB(code) == ERR_LIB_SSL &&
           ERR_GET_REASON(code) == ssl_reason;
}

static inline bool
hp_tls_is_no_memory(unsigned long code)
{
    return code && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
}

/* Takes the error queue, and of it what tells most: that memory ran out, which
 * makes the others say anything; the word of a library; else the oldest, which
 * is the nearest to the cause. 0 when it is empty. */
unsigned long hp_tls_take_code(int lib);

/* Words for an OpenSSL error code. Static storage. */
const char *hp_tls_reason(unsigned long code);

/* The same for what may be a server's alert, with advice where there is any. */
const char *hp_tls_alert_words(unsigned long code);

/* The first bytes a peer sent: they tell HTTP from TLS. */
typedef struct hp_tls_first {
    unsigned len;
    char bytes[5];
} hp_tls_first;

/* All that is known about a handshake that failed. */
typedef struct hp_tls_failure {
    SSL *ssl;
    const char *name;    /* of the server */
    unsigned long code;  /* OpenSSL's, 0: the lower stream failed */
    bool eof;            /* the peer closed */
    int sys_errno;       /* the lower stream's */
    const hp_err *lower; /* what the lower stream said */
    const hp_tls_first *first;
} hp_tls_failure;

/* Sets *err: HP_E_TLS (or HP_E_NOMEM) with name, reason and what to do. */
void hp_tls_explain(const hp_tls_failure *f, hp_err *err);

/* 0 if the leaf certificate's SHA-256 is `want`, else -1 with *err. */
int hp_tls_check_fingerprint(SSL *ssl, const char *name,
                             const unsigned char want[32], hp_err *err);

/* Tests: the file names (NULL-terminated) and the directory that stand for the
 * system's store from now on; NULL, NULL: the real ones again. Not while other
 * threads are in here. */
void hp_tls_use_places(const char *const *files, const char *dir);

/* Tests: settings in the registry, held or not. */
size_t hp_tls_known(void);

/* How many settings that nobody holds are remembered. */
enum {
    HP_TLS_KEPT = 64
};

#endif
