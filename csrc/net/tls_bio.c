#include "net/tls_bio.h"

#include <stdatomic.h>

#include <openssl/err.h>

#include "net/tls_gate.h"

enum {
    LOOKS_PER_CALL = 64, /* a peer that sends only tickets must end, too */
    ERRORS_KEPT = 16     /* as many as OpenSSL keeps */
};

static void
keep_first(hp_tls_first *f, const char *p, size_t n)
{
    for (; n && f->len < sizeof f->bytes; n--)
        f->bytes[f->len++] = *p++;
}

/* The result of a lower call that moved nothing, in BIO's language. */
static int
stalled(hp_tls_bio *b, BIO *bio, ssize_t r)
{
    if (r == HP_IO_WANT_READ)
        BIO_set_retry_read(bio);
    else if (r == HP_IO_WANT_WRITE)
        BIO_set_retry_write(bio);
    else if (r == 0 || r == HP_IO_TRUNCATED)
        b->eof = true;
    else
        b->failed = true;
    if (b->failed)
        b->sys_errno = b->low->sys_errno;
    return r == 0 ? 0 : -1;
}

/* The lower stream may be TLS, which uses OpenSSL's list of errors for itself,
 * while those of the call that we are in wait there to be read: of a bad
 * certificate, say, about which an alert is sent. Set aside for so long. */
typedef struct errors {
    unsigned long codes[ERRORS_KEPT];
    int n;
} errors;

static void
set_aside(errors *e)
{
    unsigned long code;
    e->n = 0;
    while ((code = ERR_get_error()) != 0) {
        if (e->n < ERRORS_KEPT)
            e->codes[e->n++] = code;
    }
}

static void
put_back(const errors *e)
{
    for (int i = 0; i < e->n; i++)
        ERR_raise(ERR_GET_LIB(e->codes[i]), ERR_GET_REASON(e->codes[i]));
}

static bool
may_look(const hp_tls_bio *b)
{
    return b->looks > 0 && (!b->corked || b->lower->ops->pending(b->lower));
}

/* The wait is the network's and may be long, so no fork is to wait for it. The
 * SSL object is ours alone, and OpenSSL holds no lock while it reads. */
static ssize_t
read_patiently(hp_tls_bio *b, char *buf, size_t n)
{
    b->patient = false;
    hp_tls_leave();
    ssize_t r = b->lower->ops->read_patiently(b->lower, buf, n, b->low);
    hp_tls_enter();
    return r;
}

static ssize_t
read_now(hp_tls_bio *b, char *buf, size_t n)
{
    if (b->patient)
        return read_patiently(b, buf, n);
    return b->lower->ops->read(b->lower, buf, n, b->low);
}

static int
read_lower(BIO *bio, char *buf, int n)
{
    hp_tls_bio *b = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (!may_look(b))
        return stalled(b, bio, HP_IO_WANT_READ);
    errors mine;
    b->looks--;
    set_aside(&mine);
    ssize_t r = read_now(b, buf, (size_t)n);
    put_back(&mine);
    if (r <= 0)
        return stalled(b, bio, r);
    keep_first(&b->first, buf, (size_t)r);
    return (int)r;
}

static int
write_lower(BIO *bio, const char *buf, int n)
{
    hp_tls_bio *b = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    errors mine;
    struct iovec v = {(char *)buf, (size_t)n};
    set_aside(&mine);
    ssize_t r = b->lower->ops->writev(b->lower, &v, 1, b->low);
    put_back(&mine);
    return r > 0 ? (int)r : stalled(b, bio, r);
}

static long
control(BIO *bio, int cmd, long num, void *ptr)
{
    hp_tls_bio *b = BIO_get_data(bio);
    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF: /* how OpenSSL tells a FIN from an error */
        return b->eof;
    default:
        return 0;
    }
}

static BIO_METHOD *
make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
                                 "hpool stream");
    if (m && BIO_meth_set_read(m, read_lower) &&
        BIO_meth_set_write(m, write_lower) && BIO_meth_set_ctrl(m, control))
        return m;
    BIO_meth_free(m);
    return NULL;
}

static _Atomic(BIO_METHOD *) method; /* lives as long as the process */

/* Made at first use; without memory for it the next use tries again. */
static BIO_METHOD *
get_method(void)
{
    BIO_METHOD *m = atomic_load(&method), *none = NULL;
    if (m || (m = make_method()) == NULL)
        return m;
    if (atomic_compare_exchange_strong(&method, &none, m))
        return m;
    BIO_meth_free(m); /* another thread was faster */
    return none;
}

BIO *
hp_tls_bio_new(hp_tls_bio *b)
{
    BIO_METHOD *m = get_method();
    BIO *bio = m ? BIO_new(m) : NULL;
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, b);
    BIO_set_init(bio, 1);
    return bio;
}

void
hp_tls_bio_begin(hp_tls_bio *b, hp_err *low)
{
    hp_err_clear(low);
    b->low = low;
    b->looks = LOOKS_PER_CALL;
    b->corked = false;
    b->patient = false;
    b->failed = false;
}
