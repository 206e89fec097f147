/* proxy: a setting is found by its key: every part of it written out byte for
 * byte. Spans and fields of the setting point into that block, so there is one
 * copy of the password to wipe. */
#include "net/proxy.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/registry.h"

enum {
    NAME_MAX_LEN = 300,
    OWN_FIELDS = 2, /* User-Agent, Proxy-Authorization */
    LOGIN_MAX = 255 /* RFC 1929 2 */
};

struct hp_proxy {
    hp_entry entry;         /* its key is the block */
    hp_proxy_config config; /* in the block */
    hp_field *connect;      /* own fields, then config.fields */
    size_t n_connect;
    bool has_agent; /* connect[0] */
    char name[NAME_MAX_LEN];
};

static hp_proxy *
proxy_of(hp_entry *e)
{
    return e ? HP_CONTAINER(e, hp_proxy, entry) : NULL;
}

static hp_registry registry = HP_REGISTRY_INIT(0, NULL);
static pthread_once_t start_once = PTHREAD_ONCE_INIT;
static int start_failed;

static void
start(void)
{
    start_failed = hp_registry_open(&registry);
}

/* ---- checks ---- */

static int
no_memory(hp_err *err)
{
    return hp_err_set(err, HP_E_NOMEM, "out of memory");
}

static int
check_login(const hp_proxy_config *c, hp_err *err)
{
    const hp_span both[] = {c->user, c->password};
    for (int i = 0; i < 2; i++) {
        if (both[i].len < 1 || both[i].len > LOGIN_MAX)
            return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                              "SOCKS5 takes a user and a password of 1 to %d "
                              "bytes each",
                              LOGIN_MAX);
    }
    return 0;
}

static int
check_fields(const hp_proxy_config *c, hp_err *err)
{
    static const hp_span ours[] = {
        HP_SPAN_LIT("Host"), HP_SPAN_LIT("Proxy-Authorization"),
        HP_SPAN_LIT("Content-Length"), HP_SPAN_LIT("Transfer-Encoding")};
    for (size_t i = 0; i < c->n_fields; i++) {
        for (size_t k = 0; k < sizeof ours / sizeof *ours; k++) {
            if (hp_span_eq_nocase(c->fields[i].name, ours[k]))
                return hp_err_set(err, HP_E_INVALID_HEADER,
                                  "header \"%s\": not to be set for a proxy",
                                  ours[k].ptr);
        }
    }
    return 0;
}

static int
check(const hp_proxy_config *c, hp_err *err)
{
    if (c->host.len == 0 || c->host.len > 255 || c->port == 0)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "a proxy needs a host and a port");
    if (c->scheme == HP_PROXY_HTTPS && c->tls == NULL)
        return hp_err_set(err, HP_E_INVALID_ARGUMENT,
                          "an https proxy needs a TLS setting");
    if (c->scheme >= HP_PROXY_SOCKS5 && c->user.ptr && check_login(c, err))
        return -1;
    return check_fields(c, err);
}

/* The writer of requests knows what a header may hold. */
static int
check_head(const hp_proxy *p, hp_err *err)
{
    hp_buf head;
    hp_buf_init(&head, NULL, 0, 1 << 20);
    int rc = hp_proxy_write_connect(p, HP_SPAN_LIT("h:1"), (hp_span){NULL, 0},
                                    &head, err);
    hp_buf_free(&head);
    return rc;
}

/* ---- the block ---- */

/* Lengths stand before the bytes, so no two settings write the same. */
typedef struct packed_numbers {
    uint64_t scheme, port, tls, n_fields;
} packed_numbers;

static size_t
room(hp_span s)
{
    return sizeof(uint64_t) + s.len + 1;
}

/* Copies *s to *at and makes it point there. */
static void
pack(char **at, hp_span *s)
{
    uint64_t n = s->ptr ? s->len + 1 : 0;
    memcpy(*at, &n, sizeof n);
    *at += sizeof n;
    if (s->ptr) {
        char *copy = *at;
        if (s->len)
            memcpy(copy, s->ptr, s->len);
        s->ptr = copy;
        *at += s->len;
    }
    *(*at)++ = '\0';
}

typedef struct spans {
    hp_span *all[6];
} spans;

static spans
spans_of(hp_proxy_config *c)
{
    return (spans){{&c->host, &c->user, &c->password, &c->authorization,
                    &c->user_agent, &c->server_name}};
}

static size_t
block_size(hp_proxy_config *c)
{
    size_t n = sizeof(packed_numbers);
    spans s = spans_of(c);
    for (int i = 0; i < 6; i++)
        n += room(*s.all[i]);
    for (size_t i = 0; i < c->n_fields; i++)
        n += room(c->fields[i].name) + room(c->fields[i].value);
    return n;
}

static void
fill_block(hp_proxy *p, char *block, hp_field *own)
{
    hp_proxy_config *c = &p->config;
    packed_numbers n = {(uint64_t)c->scheme, c->port,
                        c->tls ? hp_tls_id(c->tls) : 0, c->n_fields};
    char *at = block;
    memcpy(at, &n, sizeof n);
    at += sizeof n;
    spans s = spans_of(c);
    for (int i = 0; i < 6; i++)
        pack(&at, s.all[i]);
    for (size_t i = 0; i < c->n_fields; i++) {
        own[i] = c->fields[i];
        pack(&at, &own[i].name);
        pack(&at, &own[i].value);
    }
    c->fields = own;
    p->entry.node.key = hp_span_of(block, (size_t)(at - block));
    p->entry.node.hash = hp_hash(p->entry.node.key);
}

static bool
names_agent(const hp_proxy_config *c)
{
    for (size_t i = 0; i < c->n_fields; i++) {
        if (hp_span_eq_nocase(c->fields[i].name, HP_SPAN_LIT("User-Agent")))
            return true;
    }
    return false;
}

/* `all` has room for OWN_FIELDS before config.fields. */
static void
put_own_fields(hp_proxy *p, hp_field *all)
{
    const hp_proxy_config *c = &p->config;
    hp_field *first = all + OWN_FIELDS;
    if (c->authorization.ptr)
        *--first =
            (hp_field){HP_SPAN_LIT("Proxy-Authorization"), c->authorization};
    p->has_agent = c->user_agent.len && !names_agent(c);
    if (p->has_agent)
        *--first = (hp_field){HP_SPAN_LIT("User-Agent"), c->user_agent};
    p->connect = first;
    p->n_connect = c->n_fields + (size_t)(all + OWN_FIELDS - first);
}

static void
put_name(hp_proxy *p)
{
    static const char *const schemes[] = {"http", "https", "socks5", "socks5h"};
    const hp_proxy_config *c = &p->config;
    bool v6 = memchr(c->host.ptr, ':', c->host.len) != NULL;
    snprintf(p->name, sizeof p->name, "%s://%s%s%s:%u", schemes[c->scheme],
             v6 ? "[" : "", c->host.ptr, v6 ? "]" : "", (unsigned)c->port);
}

/* ---- life ---- */

static void
proxy_free(hp_proxy *p)
{
    volatile char *secret = (volatile char *)p->entry.node.key.ptr;
    for (size_t i = 0; i < p->entry.node.key.len; i++)
        secret[i] = 0;
    hp_tls_unref(p->config.tls);
    hp_free(p);
}

static hp_proxy *
proxy_new(const hp_proxy_config *config, hp_err *err)
{
    hp_proxy_config c = *config;
    if (check(&c, err) != 0)
        return NULL;
    size_t fields = (c.n_fields + OWN_FIELDS) * sizeof(hp_field);
    char *block = hp_calloc(sizeof(hp_proxy) + fields + block_size(&c));
    hp_proxy *p = (hp_proxy *)block;
    if (p == NULL) {
        no_memory(err);
        return NULL;
    }
    hp_field *all = (hp_field *)(block + sizeof *p);
    p->config = c;
    if (c.tls)
        hp_tls_ref(c.tls);
    fill_block(p, block + sizeof *p + fields, all + OWN_FIELDS);
    put_own_fields(p, all);
    put_name(p);
    if (hp_proxy_is_socks(p) || check_head(p, err) == 0)
        return p;
    proxy_free(p);
    return NULL;
}

hp_proxy *
hp_proxy_get(const hp_proxy_config *config, hp_err *err)
{
    pthread_once(&start_once, start);
    if (start_failed) {
        no_memory(err);
        return NULL;
    }
    hp_proxy *fresh = proxy_new(config, err);
    if (fresh == NULL)
        return NULL;
    hp_proxy *p = proxy_of(hp_registry_get(&registry, &fresh->entry));
    if (p != fresh)
        proxy_free(fresh);
    if (p == NULL)
        no_memory(err);
    return p;
}

hp_proxy *
hp_proxy_ref(hp_proxy *p)
{
    hp_registry_ref(&registry, &p->entry);
    return p;
}

void
hp_proxy_unref(hp_proxy *p)
{
    if (p == NULL)
        return;
    hp_proxy *last = proxy_of(hp_registry_unref(&registry, &p->entry));
    if (last)
        proxy_free(last);
}

hp_proxy *
hp_proxy_with_authorization(const hp_proxy *p, hp_span value, hp_err *err)
{
    hp_proxy_config c = p->config;
    c.authorization = value;
    return hp_proxy_get(&c, err);
}

/* ---- asking ---- */

uint64_t
hp_proxy_id(const hp_proxy *p)
{
    return p->entry.id;
}

const char *
hp_proxy_name(const hp_proxy *p)
{
    return p->name;
}

const hp_proxy_config *
hp_proxy_settings(const hp_proxy *p)
{
    return &p->config;
}

const hp_field *
hp_proxy_fields(const hp_proxy *p, size_t *n)
{
    *n = p->n_connect - p->has_agent;
    return p->connect + p->has_agent;
}

static int
write_connect(const hp_field *fields, size_t n, hp_span target, hp_buf *out,
              hp_err *err)
{
    hp_request_head head = {
        .method = HP_SPAN_LIT("CONNECT"),
        .target = target,
        .authority = target,
        .fields = fields,
        .n_fields = n,
        .body_length = HP_BODY_ABSENT,
    };
    hp_request_facts facts;
    int64_t promised;
    return hp_request_write(out, &head, &facts, &promised, err);
}

int
hp_proxy_write_connect(const hp_proxy *p, hp_span target, hp_span authorization,
                       hp_buf *out, hp_err *err)
{
    if (authorization.ptr == NULL)
        return write_connect(p->connect, p->n_connect, target, out, err);
    hp_field *all = hp_malloc((p->n_connect + 1) * sizeof *all);
    size_t n = 0;
    if (all == NULL)
        return no_memory(err);
    all[n++] = (hp_field){HP_SPAN_LIT("Proxy-Authorization"), authorization};
    for (size_t i = 0; i < p->n_connect; i++) {
        if (p->connect[i].value.ptr != p->config.authorization.ptr)
            all[n++] = p->connect[i];
    }
    int rc = write_connect(all, n, target, out, err);
    hp_free(all);
    return rc;
}

size_t
hp_proxy_known(void)
{
    return hp_registry_known(&registry);
}
