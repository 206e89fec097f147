/* tls_session: the store. Its lock is a leaf: under it pointers move and
 * nothing of OpenSSL is called. */
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/lock.h"
#include "base/mem.h"
#include "net/tls_gate.h"
#include "net/tls_impl.h"

struct hp_sessions {
    atomic_int refs;
    hp_mutex mu;
    SSL_SESSION *list[HP_SESSIONS_MAX]; /* oldest first */
    int n;
    bool off; /* nothing is kept any more */
};

hp_sessions *
hp_sessions_new(void)
{
    hp_sessions *s = hp_calloc(sizeof *s);
    if (s == NULL)
        return NULL;
    atomic_init(&s->refs, 1);
    hp_mutex_init(&s->mu);
    return s;
}

hp_sessions *
hp_sessions_ref(hp_sessions *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void
hp_sessions_unref(hp_sessions *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    hp_sessions_clear(s);
    hp_mutex_destroy(&s->mu);
    hp_free(s);
}

void
hp_sessions_clear(hp_sessions *s)
{
    SSL_SESSION *gone[HP_SESSIONS_MAX];
    hp_lock(&s->mu);
    int n = s->n;
    memcpy(gone, s->list, sizeof gone);
    s->n = 0;
    hp_unlock(&s->mu);
    if (n == 0)
        return;
    hp_tls_enter();
    while (n > 0)
        SSL_SESSION_free(gone[--n]);
    hp_tls_leave();
}

void
hp_sessions_stop(hp_sessions *s)
{
    hp_lock(&s->mu);
    s->off = true;
    hp_unlock(&s->mu);
    hp_sessions_clear(s);
}

int
hp_sessions_count(hp_sessions *s)
{
    hp_lock(&s->mu);
    int n = s->n;
    hp_unlock(&s->mu);
    return n;
}

/* May be called inside an OpenSSL call, whose errors are not to be mixed with
 * those of the copy. */
static SSL_SESSION *
copy_of(const SSL_SESSION *session)
{
    ERR_set_mark();
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    ERR_pop_to_mark();
    return copy;
}

/* Returns the one that had to make room, if any. */
static SSL_SESSION *
insert(hp_sessions *s, SSL_SESSION *fresh)
{
    SSL_SESSION *victim = NULL;
    if (s->n == HP_SESSIONS_MAX) {
        victim = s->list[0];
        memmove(s->list, s->list + 1, sizeof s->list - sizeof s->list[0]);
        s->n--;
    }
    s->list[s->n++] = fresh;
    return victim;
}

/* A copy, because OpenSSL writes into the session of a connection as long as
 * that lives; it calls it not resumable when the connection ends without
 * close_notify, which is no reason today (RFC 8446 6.1). */
void
hp_sessions_put(hp_sessions *s, const SSL_SESSION *session)
{
    if (session == NULL || !SSL_SESSION_is_resumable(session))
        return;
    hp_tls_enter();
    SSL_SESSION *fresh = copy_of(session);
    if (fresh) {
        hp_lock(&s->mu);
        SSL_SESSION *victim = s->off ? fresh : insert(s, fresh);
        hp_unlock(&s->mu);
        SSL_SESSION_free(victim);
    }
    hp_tls_leave();
}

/* What the server promised, at most what OpenSSL allows. Nothing promised:
 * in TLS 1.3 a ticket to throw away (RFC 8446 4.6.1), in 1.2 no promise. */
static bool
is_stale(const SSL_SESSION *session)
{
    long long age = (long long)time(NULL) - SSL_SESSION_get_time(session);
    long long life = SSL_SESSION_get_timeout(session);
    long long hint = (long long)SSL_SESSION_get_ticket_lifetime_hint(session);
    bool binding = SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;
    if ((binding || hint > 0) && hint < life)
        life = hint;
    return age < 0 || age >= life;
}

/* A resumed handshake shows no certificate and so would never expire. */
static bool
certificate_expired(SSL_SESSION *session)
{
    const X509 *leaf = SSL_SESSION_get0_peer(session);
    return leaf && X509_cmp_current_time(X509_get0_notAfter(leaf)) <= 0;
}

static SSL_SESSION *
pop_newest(hp_sessions *s)
{
    hp_lock(&s->mu);
    SSL_SESSION *session = s->n ? s->list[--s->n] : NULL;
    hp_unlock(&s->mu);
    return session;
}

SSL_SESSION *
hp_sessions_take(hp_sessions *s)
{
    SSL_SESSION *session;
    hp_tls_enter();
    while ((session = pop_newest(s)) != NULL) {
        if (!is_stale(session) && !certificate_expired(session))
            break;
        SSL_SESSION_free(session);
    }
    hp_tls_leave();
    return session;
}
