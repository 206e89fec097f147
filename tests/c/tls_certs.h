/* tls_certs: certificates for tests, made when asked for. EC P-256 throughout;
 * any failure ends the test. */
#ifndef HP_TEST_TLS_CERTS_H
#define HP_TEST_TLS_CERTS_H

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "test.h"

typedef struct cert {
    X509 *x;
    EVP_PKEY *key;
} cert;

typedef struct cert_spec {
    const char *cn;
    const char *san;    /* OpenSSL's syntax, e.g. "DNS:a.test,IP:::1" */
    const cert *issuer; /* NULL: self-signed */
    bool ca;
    long from, to; /* seconds from now; 0, 0: an hour ago to a day ahead */
} cert_spec;

static inline void
cert_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    CHECK(e && X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
}

static inline cert
cert_make(cert_spec spec)
{
    static long serial;
    cert c = {X509_new(), EVP_EC_gen("P-256")};
    CHECK(c.x && c.key);
    X509_set_version(c.x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c.x), spec.from ? spec.from : -3600);
    X509_gmtime_adj(X509_getm_notAfter(c.x), spec.to ? spec.to : 86400);
    X509_set_pubkey(c.x, c.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x), "CN", MBSTRING_ASC,
                               (const unsigned char *)spec.cn, -1, -1, 0);
    X509_set_issuer_name(
        c.x, X509_get_subject_name(spec.issuer ? spec.issuer->x : c.x));
    if (spec.ca)
        cert_extension(c.x, NID_basic_constraints, "critical,CA:TRUE");
    if (spec.san)
        cert_extension(c.x, NID_subject_alt_name, spec.san);
    CHECK(X509_sign(c.x, spec.issuer ? spec.issuer->key : c.key, EVP_sha256()) >
          0);
    return c;
}

static inline void
cert_free(cert *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->key);
}

/* Writes certificate and key (each may be NULL), the key encrypted when there
 * is a password. */
static inline void
cert_write(const char *path, X509 *x, EVP_PKEY *key, const char *password)
{
    FILE *f = fopen(path, "w");
    CHECK(f);
    if (x)
        CHECK(PEM_write_X509(f, x));
    if (key)
        CHECK(PEM_write_PrivateKey(f, key, password ? EVP_aes_128_cbc() : NULL,
                                   NULL, 0, NULL, (void *)password));
    CHECK(fclose(f) == 0);
}

static inline void
file_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0);
    CHECK(fclose(f) == 0);
}

/* A directory for this process's files, gone when it ends. */
static char cert_dir[64] = "/tmp/hpool-tls-XXXXXX";

static inline void
cert_dir_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", cert_dir);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", cert_dir);
}

static inline void
cert_dir_make(void)
{
    CHECK(mkdtemp(cert_dir));
    atexit(cert_dir_remove);
}

/* A path in it, in one of a few rotating buffers. */
static inline const char *
in_dir(const char *name)
{
    static char paths[8][128];
    static int next;
    char *p = paths[next++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", cert_dir, name);
    return p;
}

#endif
