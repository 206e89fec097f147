/* tls_build: from a setting to an SSL_CTX, and from a server's name to what is
 * checked. hp_tls_build reads files; it is called with the setting's mutex
 * held and no other. */
#include "net/tls_impl.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

const char *
hp_tls_reason(unsigned long code)
{
    const char *words = ERR_reason_error_string(code);
    return words ? words : "unknown TLS error";
}

static int
weight(unsigned long code, int lib)
{
    if (hp_tls_is_no_memory(code))
        return 2;
    return ERR_GET_LIB(code) == lib;
}

unsigned long
hp_tls_take_code(int lib)
{
    unsigned long best = ERR_peek_error(), e;
    while ((e = ERR_get_error()) != 0) {
        if (weight(e, lib) > weight(best, lib))
            best = e;
    }
    return best;
}

/* OpenSSL fails without a word where it has no memory for one. */
static bool
is_for_want_of_memory(unsigned long code)
{
    return code == 0 || hp_tls_is_no_memory(code);
}

/* "<what> '<name>': <OpenSSL's reason>". */
static int
refuse(hp_err *err, const char *what, const char *name)
{
    unsigned long code = hp_tls_take_code(ERR_LIB_NONE);
    if (is_for_want_of_memory(code))
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    return hp_err_set(err, HP_E_TLS_CONFIG, "%s '%s': %s", what, name,
                      hp_tls_reason(code));
}

static int
load_file(SSL_CTX *ctx, const char *what, const char *path, hp_err *err)
{
    ERR_clear_error();
    if (SSL_CTX_load_verify_file(ctx, path) == 1)
        return 0;
    unsigned long code = ERR_peek_error();
    if (ERR_GET_LIB(code) == ERR_LIB_X509 &&
        ERR_GET_REASON(code) == X509_R_NO_CERTIFICATE_OR_CRL_FOUND)
        return hp_err_set(err, HP_E_TLS_CONFIG, "%s '%s' holds no certificate",
                          what, path);
    return refuse(err, what, path);
}

/* OpenSSL finds certificates in a directory by names like 1b7d4b2c.0 only. */
static bool
is_hashed_name(const char *name)
{
    for (int i = 0; i < 8; i++) {
        if (!isxdigit((unsigned char)name[i]))
            return false;
    }
    return name[8] == '.' && isdigit((unsigned char)name[9]);
}

static bool
holds_hashed(const char *path)
{
    DIR *d = opendir(path);
    if (d == NULL)
        return false;
    struct dirent *e;
    do
        e = readdir(d);
    while (e && !is_hashed_name(e->d_name));
    closedir(d);
    return e != NULL;
}

static int
load_dir(SSL_CTX *ctx, const char *path, hp_err *err)
{
    if (!holds_hashed(path))
        return hp_err_set(err, HP_E_TLS_CONFIG,
                          "CA directory '%s' holds no certificate under its "
                          "hash (run: openssl rehash)",
                          path);
    ERR_clear_error();
    if (SSL_CTX_load_verify_dir(ctx, path) == 1)
        return 0;
    return refuse(err, "CA directory", path);
}

/* The password for a key, and whether anybody asked for it. Without a callback
 * of ours OpenSSL would ask on the terminal. */
typedef struct password {
    const char *text;
    bool asked;
} password;

static int
give_password(char *buf, int size, int writing, void *arg)
{
    password *p = arg;
    if (p == NULL)
        return -1;
    p->asked = true;
    size_t n = p->text ? strlen(p->text) : 0;
    if (p->text == NULL || n > (size_t)size)
        return -1;
    memcpy(buf, p->text, n);
    return (int)n;
}

static int
refuse_pem(hp_err *err, int nth)
{
    unsigned long code = hp_tls_take_code(ERR_LIB_NONE);
    if (is_for_want_of_memory(code))
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    return hp_err_set(err, HP_E_TLS_CONFIG,
                      "certificate %d of the PEM data given: %s", nth,
                      hp_tls_reason(code));
}

/* The number of certificates put into the store, or -1. */
static int
add_pem(SSL_CTX *ctx, BIO *bio, hp_err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    ERR_clear_error();
    for (int n = 0;; n++) {
        X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, give_password, NULL);
        int ok = cert && X509_STORE_add_cert(store, cert);
        X509_free(cert);
        if (ok)
            continue;
        if (cert == NULL &&
            ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
            ERR_clear_error(); /* nothing more to read: the normal end */
            return n;
        }
        return refuse_pem(err, n + 1);
    }
}

static int
load_pem(SSL_CTX *ctx, hp_span pem, hp_err *err)
{
    if (pem.len > INT32_MAX)
        return hp_err_set(err, HP_E_TLS_CONFIG, "PEM data over 2 GiB");
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    if (bio == NULL)
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    int n = add_pem(ctx, bio, err);
    BIO_free(bio);
    if (n == 0)
        return hp_err_set(err, HP_E_TLS_CONFIG,
                          "the PEM data given holds no certificate");
    return n < 0 ? -1 : 0;
}

/* An empty or broken system store counts as none: the fallback has its turn. */
static int
load_system(SSL_CTX *ctx, const hp_tls_setting *s, hp_err *err)
{
    const char *fallback = s->config.fallback_ca_file;
    hp_err why;
    hp_err_clear(&why);
    bool any =
        s->system_file && load_file(ctx, "CA file", s->system_file, &why) == 0;
    if (s->system_dir && holds_hashed(s->system_dir))
        any = load_dir(ctx, s->system_dir, &why) == 0 || any;
    if (!any && fallback)
        any = load_file(ctx, "CA file", fallback, &why) == 0;
    if (any)
        return 0;
    return hp_err_set(err, HP_E_TLS_CONFIG,
                      "no certificate authorities found on this system%s%s%s "
                      "(install ca-certificates, or pass "
                      "verify='/path/to/ca.pem')",
                      why.code ? " (" : "", why.text, why.code ? ")" : "");
}

static int
load_files(SSL_CTX *ctx, const hp_tls_setting *s, hp_err *err)
{
    const hp_tls_config *c = &s->config;
    if (!hp_tls_own_authorities(c))
        return load_system(ctx, s, err);
    if (c->ca_file && load_file(ctx, "CA file", c->ca_file, err) != 0)
        return -1;
    if (c->ca_dir && load_dir(ctx, c->ca_dir, err) != 0)
        return -1;
    return c->ca_pem.ptr ? load_pem(ctx, c->ca_pem, err) : 0;
}

static bool
is_sound(X509 *x)
{
    return x && X509_check_purpose(x, -1, 0) == 1 && X509_get0_pubkey(x);
}

/* OpenSSL looks into a certificate once, and one that it had no memory for then
 * is no authority ever after. Not sound, but its copy is: that was it. */
static int
look_into_all(SSL_CTX *ctx, hp_err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
    bool lost = false;
    for (int i = 0; i < sk_X509_OBJECT_num(all) && !lost; i++) {
        X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (x == NULL || is_sound(x))
            continue;
        X509 *copy = X509_dup(x);
        lost = copy == NULL || is_sound(copy);
        X509_free(copy);
    }
    return lost ? hp_err_set(err, HP_E_NOMEM, "out of memory") : 0;
}

static int
load_authorities(SSL_CTX *ctx, const hp_tls_setting *s, hp_err *err)
{
    if (!s->config.verify)
        return 0;
    if (load_files(ctx, s, err) != 0)
        return -1;
    return look_into_all(ctx, err);
}

static int
refuse_key(const password *pw, const char *path, hp_err *err)
{
    if (pw->asked)
        return hp_err_set(err, HP_E_TLS_CONFIG, "key file '%s' %s", path,
                          pw->text ? "cannot be read with the password given"
                                   : "is encrypted and no password was given");
    return refuse(err, "key file", path);
}

static int
load_own_certificate(SSL_CTX *ctx, const hp_tls_config *c, hp_err *err)
{
    if (c->cert_file == NULL)
        return 0;
    const char *key = c->key_file ? c->key_file : c->cert_file;
    password pw = {.text = c->key_password};
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &pw);
    ERR_clear_error();
    int rc = 0;
    if (SSL_CTX_use_certificate_chain_file(ctx, c->cert_file) != 1)
        rc = refuse(err, "certificate file", c->cert_file);
    else if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        rc = refuse_key(&pw, key, err);
    else if (SSL_CTX_check_private_key(ctx) != 1)
        rc = refuse(err, "key file", key);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    return rc;
}

static int
set_algorithms(SSL_CTX *ctx, const hp_tls_config *c, hp_err *err)
{
    ERR_clear_error();
    if (SSL_CTX_set_min_proto_version(ctx, hp_tls_min_version(c)) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, c->max_version) != 1)
        return refuse(err, "TLS version", "range");
    if (c->ciphers && SSL_CTX_set_cipher_list(ctx, c->ciphers) != 1)
        return refuse(err, "ciphers", c->ciphers);
    if (c->ciphersuites && SSL_CTX_set_ciphersuites(ctx, c->ciphersuites) != 1)
        return refuse(err, "ciphersuites", c->ciphersuites);
    if (c->groups && SSL_CTX_set1_groups_list(ctx, c->groups) != 1)
        return refuse(err, "groups", c->groups);
    return 0;
}

/* An empty name, or one that is longer than what is left. */
static bool
is_malformed(const char *alpn)
{
    size_t left = strlen(alpn);
    while (left) {
        size_t n = (size_t)(unsigned char)*alpn;
        if (n >= left)
            return true;
        alpn += n + 1;
        left -= n + 1;
    }
    return false;
}

static int
set_alpn(SSL_CTX *ctx, const hp_tls_config *c, hp_err *err)
{
    const char *alpn = c->alpn ? c->alpn : "\x08http/1.1";
    if (is_malformed(alpn))
        return hp_err_set(err, HP_E_TLS_CONFIG, "alpn is malformed");
    if (*alpn && SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)alpn,
                                         (unsigned)strlen(alpn)) != 0)
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    return 0;
}

/* O_APPEND and one call per line: lines of several threads do not mix. */
static void
keylog_line(const SSL *ssl, const char *line)
{
    const int *fd = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct iovec v[2] = {{(char *)line, strlen(line)}, {"\n", 1}};
    ssize_t ignored = writev(*fd, v, 2);
    (void)ignored;
}

static int
open_keylog(SSL_CTX *ctx, const char *path, int *fd, hp_err *err)
{
    if (path == NULL)
        return 0;
    if (*fd < 0)
        *fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (*fd < 0)
        return hp_err_set_sys(err, HP_E_TLS_CONFIG, errno, "key log file '%s'",
                              path);
    if (SSL_CTX_set_app_data(ctx, fd) != 1)
        return hp_err_set(err, HP_E_NOMEM, "out of memory");
    SSL_CTX_set_keylog_callback(ctx, keylog_line);
    return 0;
}

/* What no setting changes. IGNORE_UNEXPECTED_EOF could come from openssl.cnf;
 * without close_notify a body that ends with the connection is truncated (RFC
 * 9112 9.8). Read-ahead takes a record in one recv() instead of two. Keys share
 * a context, so it must not keep sessions: hp_sessions does, per key. */
static void
set_constants(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                            SSL_SESS_CACHE_NO_INTERNAL |
                                            SSL_SESS_CACHE_NO_AUTO_CLEAR);
    SSL_CTX_sess_set_new_cb(ctx, hp_tls_new_session);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_passwd_cb(ctx, give_password);
}

static int
fill(SSL_CTX *ctx, const hp_tls_setting *s, int *keylog_fd, hp_err *err)
{
    const hp_tls_config *c = &s->config;
    set_constants(ctx);
    SSL_CTX_set_verify(ctx, c->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                       NULL);
    if (set_algorithms(ctx, c, err) != 0 || set_alpn(ctx, c, err) != 0 ||
        load_authorities(ctx, s, err) != 0 ||
        load_own_certificate(ctx, c, err) != 0)
        return -1;
    return open_keylog(ctx, c->keylog_file, keylog_fd, err);
}

SSL_CTX *
hp_tls_build(const hp_tls_setting *s, int *keylog_fd, hp_err *err)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        refuse(err, "OpenSSL", "configuration");
    else if (fill(ctx, s, keylog_fd, err) != 0) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    ERR_clear_error();
    return ctx;
}

/* ---- whom a connection must reach ---- */

enum {
    SERVER_NAME_MAX = 253
};

/* OpenSSL takes an empty name for "do not check" and a leading dot for "any
 * name below", so these must never reach it. */
static bool
is_server_name(hp_span s)
{
    if (s.len == 0 || s.len > SERVER_NAME_MAX || s.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.' && (i + 1 == s.len || s.ptr[i + 1] == '.'))
            return false;
    }
    return true;
}

/* A trailing dot is right in DNS and wrong in SNI (RFC 6066 3) and in
 * certificates; a zone means something on this machine only. */
hp_span
hp_tls_bare_name(const char *name)
{
    hp_span s = hp_span_cstr(name);
    const char *zone = memchr(s.ptr, '%', s.len);
    if (zone && memchr(s.ptr, ':', s.len))
        s.len = (size_t)(zone - s.ptr);
    if (s.len && s.ptr[s.len - 1] == '.')
        s.len--;
    return is_server_name(s) ? s : hp_span_of(NULL, 0);
}

int
hp_tls_set_name(SSL *ssl, const char *name)
{
    unsigned char ip[16];
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (inet_pton(AF_INET, name, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip(param, ip, 4) == 1 ? 0 : -1;
    if (inet_pton(AF_INET6, name, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip(param, ip, 16) == 1 ? 0 : -1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(ssl, name) != 1)
        return -1;
    return SSL_set_tlsext_host_name(ssl, name) == 1 ? 0 : -1;
}
