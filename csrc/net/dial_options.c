#include "net/dial_options.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- checks ---- */

static int
check_uds(const char *path, hp_err *err)
{
    hp_addr a;
    if (path == NULL || hp_addr_from_path(path, &a) == 0)
        return 0;
    return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                      "uds takes the path of a Unix socket, of 1 to %zu bytes",
                      sizeof a.u.un.sun_path - 1);
}

int
hp_dial_options_check(const hp_dial_options *o, hp_err *err)
{
    if (o->dns_ttl < 0)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "dns_ttl must not be negative; 0 switches the "
                          "cache off");
    if (o->family != AF_UNSPEC && o->family != AF_INET && o->family != AF_INET6)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "family must be AF_INET, AF_INET6 or none");
    return check_uds(o->uds, err);
}

/* ---- copying ---- */

/* One allocation: the options, the arrays, one address, then bytes, which need
 * no alignment. */
typedef struct packed {
    hp_dial_options options;
    hp_addr local_address;
    hp_sockopt *sockopts;
    hp_override *overrides;
    char *bytes;
} packed;

static size_t
text_size(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}

static size_t
sockopt_size(const hp_sockopt *s)
{
    return text_size(s->label) + (s->data ? s->len : 0);
}

static packed *
packed_new(const hp_dial_options *o)
{
    size_t sockopts = (size_t)o->n_sockopts * sizeof(hp_sockopt);
    size_t overrides = (size_t)o->n_overrides * sizeof(hp_override);
    size_t bytes = text_size(o->uds);
    for (int i = 0; i < o->n_sockopts; i++)
        bytes += sockopt_size(&o->sockopts[i]);
    for (int i = 0; i < o->n_overrides; i++)
        bytes += text_size(o->overrides[i].host);
    char *block = hp_calloc(sizeof(packed) + sockopts + overrides + bytes);
    packed *p = (packed *)block;
    if (p == NULL)
        return NULL;
    p->sockopts = (hp_sockopt *)(block + sizeof *p);
    p->overrides = (hp_override *)(block + sizeof *p + sockopts);
    p->bytes = block + sizeof *p + sockopts + overrides;
    return p;
}

/* The copy of n bytes; NULL for NULL. */
static void *
pack(packed *p, const void *from, size_t n)
{
    char *to = p->bytes;
    if (from == NULL)
        return NULL;
    memcpy(to, from, n);
    p->bytes += n;
    return to;
}

static void
pack_sockopt(packed *p, hp_sockopt *to, const hp_sockopt *from)
{
    *to = *from;
    to->label = pack(p, from->label, text_size(from->label));
    to->data = pack(p, from->data, from->len);
}

static void
pack_override(packed *p, hp_override *to, const hp_override *from)
{
    *to = *from;
    to->host = pack(p, from->host, text_size(from->host));
    hp_addrs_ref(to->addrs);
}

static int
compare(const void *a, const void *b)
{
    const hp_override *x = a, *y = b;
    int by_host = strcmp(x->host, y->host);
    return by_host ? by_host : (int)x->port - (int)y->port;
}

hp_dial_options *
hp_dial_options_copy(const hp_dial_options *o)
{
    packed *p = packed_new(o);
    if (p == NULL)
        return NULL;
    p->options = *o;
    p->options.uds = pack(p, o->uds, text_size(o->uds));
    if (o->local_address) {
        p->local_address = *o->local_address;
        p->options.local_address = &p->local_address;
    }
    for (int i = 0; i < o->n_sockopts; i++)
        pack_sockopt(p, &p->sockopts[i], &o->sockopts[i]);
    for (int i = 0; i < o->n_overrides; i++)
        pack_override(p, &p->overrides[i], &o->overrides[i]);
    if (o->n_overrides)
        qsort(p->overrides, (size_t)o->n_overrides, sizeof(hp_override),
              compare);
    p->options.sockopts = p->sockopts;
    p->options.overrides = p->overrides;
    return &p->options;
}

void
hp_dial_options_free(hp_dial_options *copy)
{
    if (copy == NULL)
        return;
    for (int i = 0; i < copy->n_overrides; i++)
        hp_addrs_unref(copy->overrides[i].addrs);
    hp_free(copy); /* the packed it is the first member of */
}

/* ---- looking up ---- */

static const hp_addrs *
find(const hp_dial_options *copy, const char *host, uint16_t port)
{
    hp_override key = {.host = host, .port = port};
    const hp_override *o =
        bsearch(&key, copy->overrides, (size_t)copy->n_overrides,
                sizeof(hp_override), compare);
    return o ? o->addrs : NULL;
}

enum {
    V6_HOST_MAX = INET6_ADDRSTRLEN + IF_NAMESIZE + 1
};

/* A v6 literal as inet_ntop() spells it; anything else as it is. */
static const char *
plain_spelling(const char *host, char out[V6_HOST_MAX])
{
    struct in6_addr a;
    size_t n = strcspn(host, "%"); /* the zone, if any */
    if (strchr(host, ':') == NULL || n >= INET6_ADDRSTRLEN ||
        strlen(host + n) > IF_NAMESIZE)
        return host;
    memcpy(out, host, n);
    out[n] = '\0';
    if (inet_pton(AF_INET6, out, &a) != 1 ||
        inet_ntop(AF_INET6, &a, out, INET6_ADDRSTRLEN) == NULL)
        return host;
    return strcat(out, host + n);
}

const hp_addrs *
hp_dial_options_override(const hp_dial_options *copy, const char *host,
                         uint16_t port)
{
    if (copy->n_overrides == 0)
        return NULL;
    char plain[V6_HOST_MAX];
    host = plain_spelling(host, plain);
    const hp_addrs *addrs = find(copy, host, port);
    return addrs ? addrs : find(copy, host, 0);
}
