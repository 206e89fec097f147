/* tls_explain: why a handshake failed, in words that say what to do. */
#include "net/tls_impl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

enum {
    NAMES_SHOWN = 3, /* of the certificate; a stranger wrote them */
    NAME_SHOWN_MAX = 64
};

typedef struct words {
    char text[NAMES_SHOWN * (NAME_SHOWN_MAX + 2) + 32];
    size_t len;
} words;

static void
say(words *w, const char *s, size_t n)
{
    for (; n && w->len + 1 < sizeof w->text; s++, n--)
        w->text[w->len++] = *s > ' ' && *s < 0x7f ? *s : '?';
    w->text[w->len] = '\0';
}

/* Appends a name of the certificate; false when it is of another kind. */
static bool
say_name(words *w, const GENERAL_NAME *g)
{
    char ip[INET6_ADDRSTRLEN];
    if (g->type != GEN_DNS && g->type != GEN_IPADD)
        return false;
    const ASN1_STRING *v = g->type == GEN_DNS ? g->d.dNSName : g->d.iPAddress;
    const char *p = (const char *)ASN1_STRING_get0_data(v);
    size_t n = (size_t)ASN1_STRING_length(v);
    if (g->type == GEN_IPADD) {
        if ((n != 4 && n != 16) ||
            !inet_ntop(n == 4 ? AF_INET : AF_INET6, p, ip, sizeof ip))
            return false;
        p = ip;
        n = strlen(ip);
    }
    say(w, p, n < NAME_SHOWN_MAX ? n : NAME_SHOWN_MAX);
    return true;
}

/* "a.example, b.example and 7 more"; empty when it names no host. */
static void
say_names(words *w, const X509 *leaf)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    int n = sk_GENERAL_NAME_num(names), shown = 0, i;
    for (i = 0; i < n && shown < NAMES_SHOWN; i++) {
        size_t mark = w->len;
        if (shown)
            w->len += (size_t)sprintf(w->text + w->len, ", ");
        if (say_name(w, sk_GENERAL_NAME_value(names, i)))
            shown++;
        else
            w->text[w->len = mark] = '\0';
    }
    if (i < n)
        snprintf(w->text + w->len, sizeof w->text - w->len, " and %d more",
                 n - i);
    GENERAL_NAMES_free(names);
}

static void
explain_mismatch(const hp_tls_failure *f, hp_err *err)
{
    words w = {.len = 0};
    STACK_OF(X509) *chain = SSL_get0_verified_chain(f->ssl);
    if (chain && sk_X509_num(chain) > 0)
        say_names(&w, sk_X509_value(chain, 0));
    if (w.len)
        hp_err_set(err, HP_E_TLS,
                   "certificate verify failed for %s: the certificate is for "
                   "%s",
                   f->name, w.text);
    else
        hp_err_set(err, HP_E_TLS,
                   "certificate verify failed for %s: the certificate has no "
                   "subject alternative name for any host",
                   f->name);
}

/* The chain ends in somebody we do not know, rather than being bad. */
static bool
is_distrust(long v)
{
    return v == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
           v == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
           v == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
           v == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
           v == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

static void
explain_verify(const hp_tls_failure *f, hp_err *err)
{
    long v = SSL_get_verify_result(f->ssl);
    if (v == X509_V_ERR_HOSTNAME_MISMATCH ||
        v == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        explain_mismatch(f, err);
        return;
    }
    hp_err_set(err, HP_E_TLS, "certificate verify failed for %s: %s%s", f->name,
               X509_verify_cert_error_string(v),
               is_distrust(v) ? " (pass verify='/path/to/ca.pem' to trust it)"
                              : "");
}

static bool
is_no_tls(const hp_tls_failure *f)
{
    return hp_tls_code_is(f->code, SSL_R_WRONG_VERSION_NUMBER) ||
           hp_tls_code_is(f->code, SSL_R_HTTP_REQUEST) ||
           hp_tls_code_is(f->code, SSL_R_HTTPS_PROXY_REQUEST);
}

static void
explain_no_tls(const hp_tls_failure *f, hp_err *err)
{
    bool http = f->first->len >= 5 && memcmp(f->first->bytes, "HTTP/", 5) == 0;
    hp_err_set(err, HP_E_TLS, "TLS handshake with %s failed: %s", f->name,
               http ? "the server answered in plain HTTP (is this an http:// "
                      "port?)"
                    : "the server's answer is not TLS (is this an https:// "
                      "port?)");
}

const char *
hp_tls_alert_words(unsigned long code)
{
    if (hp_tls_code_is(code, SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED))
        return "the server requires a client certificate (pass cert=)";
    return hp_tls_reason(code);
}

static void
explain_lower(const hp_tls_failure *f, hp_err *err)
{
    if (f->sys_errno)
        hp_err_set_sys(err, HP_E_TLS, f->sys_errno,
                       "TLS handshake with %s failed", f->name);
    else
        hp_err_set(err, HP_E_TLS, "TLS handshake with %s failed: %s", f->name,
                   f->lower->code ? f->lower->text : "connection lost");
}

void
hp_tls_explain(const hp_tls_failure *f, hp_err *err)
{
    if (f->eof)
        hp_err_set(err, HP_E_TLS,
                   "TLS handshake with %s failed: the server closed the "
                   "connection",
                   f->name);
    else if (f->code == 0)
        explain_lower(f, err);
    else if (hp_tls_is_no_memory(f->code))
        hp_err_set(err, HP_E_NOMEM, "out of memory");
    else if (hp_tls_code_is(f->code, SSL_R_CERTIFICATE_VERIFY_FAILED))
        explain_verify(f, err);
    else if (is_no_tls(f))
        explain_no_tls(f, err);
    else
        hp_err_set(err, HP_E_TLS, "TLS handshake with %s failed: %s", f->name,
                   hp_tls_alert_words(f->code));
}

int
hp_tls_check_fingerprint(SSL *ssl, const char *name,
                         const unsigned char want[32], hp_err *err)
{
    unsigned char got[EVP_MAX_MD_SIZE] = {0};
    char hex[65] = "";
    unsigned n = 0;
    X509 *leaf = SSL_get1_peer_certificate(ssl);
    int ok = leaf && X509_digest(leaf, EVP_sha256(), got, &n) == 1 && n == 32;
    X509_free(leaf);
    if (ok && memcmp(got, want, 32) == 0)
        return 0;
    for (unsigned i = 0; i < n && i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", got[i]);
    return hp_err_set(err, HP_E_TLS,
                      "the certificate of %s has SHA-256 fingerprint %s, not "
                      "the one given",
                      name, hex);
}
