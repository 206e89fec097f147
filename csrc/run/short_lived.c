#include "run/short_lived.h"

#include <string.h>

/* Who comes later than this would have found the connection closed for having
 * been idle (idle_conn_timeout's default): sharing gains nothing. */
#define SOON (90 * HP_NS_PER_S)

/* Who made no such client for so long does so no more. */
#define LATELY (600 * HP_NS_PER_S)

typedef struct row {
    hp_short_lived seen; /* host[0] == '\0': free */
    hp_ns last;          /* hp_clock_idle() */
} row;

static row table[HP_SHORT_LIVED_HOSTS];

/* "http://p:1|http|example.com:80" of "http://p:1#2|http|example.com:80|tls=3":
 * another client, made alike, may have other settings of a proxy and of TLS.
 * Empty when it does not fit. */
static hp_span
host_of(const char *key, char out[sizeof table[0].seen.host])
{
    size_t n = 0;
    bool skip = false;
    for (int bars = 0; *key; key++) {
        if (*key == '|' && ++bars == 3)
            break;
        skip = bars == 0 && (skip || *key == '#');
        if (skip)
            continue;
        if (n + 1 == sizeof table[0].seen.host)
            return (hp_span){0};
        out[n++] = *key;
    }
    return hp_span_of(out, n);
}

/* Its row, else a free one, else the one that is oldest. */
static row *
row_for(hp_span host)
{
    row *best = NULL;
    for (int i = 0; i < HP_SHORT_LIVED_HOSTS; i++) {
        row *r = &table[i];
        if (hp_span_eq(hp_span_cstr(r->seen.host), host))
            return r;
        if (best == NULL || (best->seen.host[0] && !r->seen.host[0]) ||
            (best->seen.host[0] && r->last < best->last))
            best = r;
    }
    *best = (row){0};
    memcpy(best->seen.host, host.ptr, host.len);
    return best;
}

static void
note_host(const hp_host_stats *h, hp_ns born, hp_ns now)
{
    char text[sizeof table[0].seen.host];
    hp_span host = host_of(h->key, text);
    if (host.len == 0)
        return;
    row *r = row_for(host);
    if (now - r->last > LATELY)
        r->seen.transports = r->seen.requests = 0;
    if (r->seen.transports == 0 || born - r->last <= SOON) {
        r->seen.transports++;
        r->seen.requests += h->count.requests;
    }
    r->last = now;
}

void
hp_short_lived_note(const hp_stats *s, hp_ns born, hp_ns now)
{
    if (s->total.count.requests > HP_SHORT_LIVED_REQUESTS)
        return;
    for (size_t i = 0; i < s->n_hosts; i++)
        note_host(&s->hosts[i], born, now);
}

size_t
hp_short_lived_list(hp_short_lived *out, hp_ns now)
{
    size_t n = 0;
    for (int i = 0; i < HP_SHORT_LIVED_HOSTS; i++) {
        if (table[i].seen.host[0] && now - table[i].last <= LATELY)
            out[n++] = table[i].seen;
    }
    return n;
}

void
hp_short_lived_forget(void)
{
    memset(table, 0, sizeof table);
}
