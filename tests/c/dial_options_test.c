/* dial_options: the checks, a copy that owns what it has, and what a pool makes
 * of it for one host. */
#include "net/dial_options.h"

#include <netinet/tcp.h>

#include "pool_kit.h"

static hp_addrs *
one_address(const char *literal)
{
    hp_addrs *a = hp_addrs_new(1);
    CHECK(a && hp_addr_from_literal(literal, &a->list[0]) == 1);
    return a;
}

static const char *
text_of(const hp_addrs *a)
{
    static char text[HP_ADDR_TEXT_MAX];
    if (a == NULL)
        return "none";
    hp_addr_format(&a->list[0], text);
    return text;
}

/* ---- checks ---- */

static void
refused(const hp_dial_options *o, const char *text)
{
    hp_err err = {0};
    CHECK_INT(hp_dial_options_check(o, &err), -1);
    CHECK_INT(err.code, HP_E_INVALID_ARGUMENT);
    CHECK_STR(err.text, text);
}

static void
test_check(void)
{
    char path[200];
    hp_err err = {0};
    hp_dial_options o = {.dns_ttl = -1};
    refused(&o, "dns_ttl must not be negative; 0 switches the cache off");
    o = (hp_dial_options){.family = AF_UNIX};
    refused(&o, "family must be AF_INET, AF_INET6 or none");
    hp_addr room;
    snprintf(path, sizeof path,
             "uds takes the path of a Unix socket, of 1 to %zu bytes",
             sizeof room.u.un.sun_path - 1);
    o = (hp_dial_options){.uds = ""};
    refused(&o, path);
    char want[200];
    strcpy(want, path);
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    o.uds = path;
    refused(&o, want);
    path[sizeof room.u.un.sun_path - 1] = '\0';
    CHECK_INT(hp_dial_options_check(&o, &err), 0);
}

/* ---- copies ---- */

/* Everything there is, out of memory that ends with the call. */
static hp_dial_options *
copy_of_all(void)
{
    char uds[] = "/run/s", label[] = "SOL_SOCKET, SO_LINGER";
    char data[] = {1, 0, 2}, host[] = "h";
    hp_addr local;
    CHECK(hp_addr_from_literal("127.0.0.2", &local) == 1);
    hp_sockopt opts[] = {{.level = 1, .name = 2, .value = 3},
                         {.name = 4, .data = data, .len = 3, .label = label},
                         {.name = 5, .len = 9}};
    hp_override list[] = {{.host = host, .addrs = one_address("10.0.0.1")}};
    hp_dial_options o = {.dns_ttl = 7,
                         .family = AF_INET6,
                         .uds = uds,
                         .local_address = &local,
                         .sockopts = opts,
                         .n_sockopts = 3,
                         .overrides = list,
                         .n_overrides = 1};
    hp_dial_options *c = hp_dial_options_copy(&o);
    hp_addrs_unref(list[0].addrs); /* the copy has its own reference */
    return c;
}

static void
test_copy_owns_everything(void)
{
    hp_dial_options *c = copy_of_all();
    char text[HP_ADDR_TEXT_MAX];
    CHECK(c);
    CHECK_INT(c->dns_ttl, 7);
    CHECK_INT(c->family, AF_INET6);
    CHECK_STR(c->uds, "/run/s");
    hp_addr_format(c->local_address, text);
    CHECK_STR(text, "127.0.0.2:0");
    CHECK_INT(c->n_sockopts, 3);
    CHECK_INT(c->sockopts[0].value, 3);
    CHECK(c->sockopts[0].data == NULL && c->sockopts[0].label == NULL);
    CHECK_INT(memcmp(c->sockopts[1].data, "\1\0\2", 3), 0);
    CHECK_STR(c->sockopts[1].label, "SOL_SOCKET, SO_LINGER");
    CHECK(c->sockopts[2].data == NULL && c->sockopts[2].len == 9);
    CHECK_STR(text_of(hp_dial_options_override(c, "h", 80)), "10.0.0.1:0");
    hp_dial_options_free(c);
}

static void
test_no_memory(void)
{
    hp_addrs *a = one_address("10.0.0.1");
    hp_override list[] = {{.host = "h", .addrs = a}};
    hp_dial_options o = {.overrides = list, .n_overrides = 1};
    hp_mem_fail_after(0);
    CHECK(hp_dial_options_copy(&o) == NULL);
    hp_mem_fail_after(-1);
    hp_addrs_unref(a);
    hp_dial_options_free(NULL);
}

/* The port beats every port; names are whole names. */
static void
test_override(void)
{
    hp_override list[] = {
        {.host = "b.test", .port = 443, .addrs = one_address("10.0.0.1")},
        {.host = "b.test", .addrs = one_address("10.0.0.2")},
        {.host = "a.test", .port = 80, .addrs = one_address("10.0.0.3")},
        {.host = "::1", .port = 80, .addrs = one_address("10.0.0.4")},
        {.host = "b.test", .port = 80, .addrs = one_address("10.0.0.5")},
    };
    hp_dial_options o = {.overrides = list, .n_overrides = 5};
    hp_dial_options *c = hp_dial_options_copy(&o);
    CHECK(c);
    static const struct {
        const char *host;
        uint16_t port;
        const char *want;
    } rows[] = {
        {"b.test", 443, "10.0.0.1:0"},
        {"b.test", 80, "10.0.0.5:0"},
        {"b.test", 81, "10.0.0.2:0"},
        {"a.test", 80, "10.0.0.3:0"},
        {"a.test", 81, "none"},
        {"a.tes", 80, "none"},
        {"a.test.", 80, "none"},
        {"::1", 80, "10.0.0.4:0"},
        {"c.test", 80, "none"},
        {"0:0::0001", 80, "10.0.0.4:0"},
        {"::1%lo", 80, "none"},
        {"::2", 80, "none"},
        {":", 80, "none"},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0001", 80, "none"},
        {"::1%a-zone-that-is-longer-than-any", 80, "none"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const hp_addrs *got =
            hp_dial_options_override(c, rows[i].host, rows[i].port);
        CHECK_STR(text_of(got), rows[i].want);
    }
    hp_dial_options_free(c);
    for (int i = 0; i < 5; i++)
        hp_addrs_unref(list[i].addrs);
}

/* ---- a host of a pool ---- */

static void
test_spec_of_a_host(void)
{
    hp_addr local;
    kit_host a, b;
    kit_want v, w;
    CHECK(hp_addr_from_literal("::1", &local) == 1);
    hp_sockopt opt = {.level = IPPROTO_TCP, .name = TCP_NODELAY};
    hp_override list[] = {
        {.host = "a", .port = 80, .addrs = one_address("10.0.0.1")}};
    hp_dial_options o = {.dns_ttl = 7,
                         .family = AF_INET6,
                         .uds = "/s",
                         .local_address = &local,
                         .sockopts = &opt,
                         .n_sockopts = 1,
                         .overrides = list,
                         .n_overrides = 1};
    hp_limits l = kit_limits();
    hp_pool *p = hp_pool_new(&l, &o);
    CHECK(p);
    kit_host_init(&a, "a");
    kit_host_init(&b, "b");
    kit_want_init(&v, &a);
    kit_want_init(&w, &b);
    kit_get(p, &v);
    kit_get(p, &w);
    const hp_dial_spec *s = v.want.conn->net.spec;
    CHECK_INT(s->dns_ttl, 7);
    CHECK_INT(s->family, AF_INET6);
    CHECK_STR(s->uds, "/s");
    CHECK(s->uds != o.uds && s->local_address != &local);
    CHECK_INT(s->local_address->u.sa.sa_family, AF_INET6);
    CHECK_INT(s->n_sockopts, 1);
    CHECK_INT(s->sockopts[0].level, IPPROTO_TCP);
    CHECK_STR(text_of(s->resolve), "10.0.0.1:0");
    CHECK(w.want.conn->net.spec->resolve == NULL);
    kit_put(p, &v);
    kit_put(p, &w);
    kit_done(p);
    hp_addrs_unref(list[0].addrs);
}

int
main(void)
{
    hp_keeper_by_hand();
    RUN(test_check);
    RUN(test_copy_owns_everything);
    RUN(test_no_memory);
    RUN(test_override);
    RUN(test_spec_of_a_host);
    DONE();
}
