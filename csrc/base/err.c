#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const errc_names[] = {
    [HP_OK] = "ok",
    [HP_E_NOMEM] = "no_memory",
    [HP_E_INVALID_URL] = "invalid_url",
    [HP_E_MISSING_SCHEME] = "missing_scheme",
    [HP_E_UNSUPPORTED_SCHEME] = "unsupported_scheme",
    [HP_E_NEEDS_IDNA] = "needs_idna",
    [HP_E_INVALID_METHOD] = "invalid_method",
    [HP_E_INVALID_HEADER] = "invalid_header",
    [HP_E_INVALID_ARGUMENT] = "invalid_argument",
    [HP_E_LOCAL_PROTOCOL] = "local_protocol",
    [HP_E_BODY_SOURCE] = "body_source",
    [HP_E_QUEUE_FULL] = "queue_full",
    [HP_E_RESOLVE] = "resolve",
    [HP_E_CONNECT] = "connect",
    [HP_E_DIAL] = "dial",
    [HP_E_PROXY] = "proxy",
    [HP_E_TLS] = "tls",
    [HP_E_TLS_CONFIG] = "tls_config",
    [HP_E_WRITE] = "write",
    [HP_E_READ] = "read",
    [HP_E_SERVER_DISCONNECTED] = "server_disconnected",
    [HP_E_REMOTE_PROTOCOL] = "remote_protocol",
    [HP_E_HEADERS_TOO_LARGE] = "headers_too_large",
    [HP_E_CHUNKED] = "chunked",
    [HP_E_INCOMPLETE_BODY] = "incomplete_body",
    [HP_E_DECODING] = "decoding",
    [HP_E_BODY_TOO_LARGE] = "body_too_large",
    [HP_E_POOL_TIMEOUT] = "pool_timeout",
    [HP_E_CONNECT_TIMEOUT] = "connect_timeout",
    [HP_E_TLS_TIMEOUT] = "tls_timeout",
    [HP_E_WRITE_TIMEOUT] = "write_timeout",
    [HP_E_HEADER_TIMEOUT] = "response_header_timeout",
    [HP_E_READ_TIMEOUT] = "read_timeout",
    [HP_E_MIN_RATE] = "min_rate",
    [HP_E_TOTAL_TIMEOUT] = "total_timeout",
    [HP_E_CANCELLED] = "cancelled",
    [HP_E_CLOSED] = "closed",
    [HP_E_INTERRUPTED] = "interrupted",
    [HP_E_BUSY] = "busy",
    [HP_E_FORKED] = "forked",
};
static_assert(sizeof(errc_names) / sizeof(*errc_names) == HP_ERRC_COUNT,
              "every code has a name");

static const char *const phase_names[] = {
    [HP_PHASE_NONE] = "none",       [HP_PHASE_POOL] = "pool",
    [HP_PHASE_RESOLVE] = "resolve", [HP_PHASE_CONNECT] = "connect",
    [HP_PHASE_PROXY] = "proxy",     [HP_PHASE_TLS] = "tls",
    [HP_PHASE_SEND] = "send",       [HP_PHASE_HEAD] = "head",
    [HP_PHASE_BODY] = "body",
};
static_assert(sizeof(phase_names) / sizeof(*phase_names) == HP_PHASE_COUNT,
              "every phase has a name");

const char *
hp_errc_name(hp_errc code)
{
    return errc_names[code];
}

const char *
hp_phase_name(hp_phase phase)
{
    return phase_names[phase];
}

int
hp_err_set(hp_err *e, hp_errc code, const char *fmt, ...)
{
    if (e == NULL || e->code != HP_OK)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    e->code = code;
    return -1;
}

int
hp_err_set_sys(hp_err *e, hp_errc code, int sys_errno, const char *fmt, ...)
{
    if (e == NULL || e->code != HP_OK)
        return -1;
    char reason[128];
    /* GNU and XSI differ in what strerror_r returns; strerrordesc_np and
     * strerrorname_np are newer than our floor. */
#ifdef __GLIBC__
    const char *words = strerror_r(sys_errno, reason, sizeof reason);
#else
    const char *words = reason;
    if (strerror_r(sys_errno, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "error %d", sys_errno);
#endif
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof e->text)
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", words);
    e->code = code;
    e->sys_errno = sys_errno;
    return -1;
}
