/* registry: equal settings are one, those that nobody holds stay known for a
 * while, and a fork. Threads are in proxy_test and tls_ctx_test. */
#include "base/registry.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "test.h"

typedef struct setting {
    hp_entry entry;
    char name[8];
    bool told; /* of a fork */
} setting;

static void
note_fork(hp_entry *e)
{
    HP_CONTAINER(e, setting, entry)->told = true;
}

static hp_registry forgets = HP_REGISTRY_INIT(0, NULL);
static hp_registry keeps_two = HP_REGISTRY_INIT(2, note_fork);

static setting *
fresh(const char *name)
{
    setting *s = hp_calloc(sizeof *s);
    CHECK(s);
    snprintf(s->name, sizeof s->name, "%s", name);
    s->entry.node.key = hp_span_cstr(s->name);
    s->entry.node.hash = hp_hash(s->entry.node.key);
    return s;
}

static setting *
get(hp_registry *r, const char *name)
{
    setting *s = fresh(name);
    hp_entry *e = hp_registry_get(r, &s->entry);
    CHECK(e);
    if (e != &s->entry)
        hp_free(s);
    s = HP_CONTAINER(e, setting, entry);
    CHECK_STR(s->name, name);
    return s;
}

/* Which one is forgotten, "" for none. */
static const char *
put(hp_registry *r, setting *s)
{
    static char name[8];
    hp_entry *e = hp_registry_unref(r, &s->entry);
    name[0] = '\0';
    if (e) {
        setting *gone = HP_CONTAINER(e, setting, entry);
        memcpy(name, gone->name, sizeof name);
        hp_free(gone);
    }
    return name;
}

static void
test_equal_ones_are_one(void)
{
    setting *a = get(&forgets, "a"), *b = get(&forgets, "b");
    CHECK(get(&forgets, "a") == a && a != b);
    CHECK(a->entry.id > 0 && b->entry.id > a->entry.id);
    CHECK_INT(hp_registry_known(&forgets), 2);
    hp_registry_ref(&forgets, &a->entry);
    CHECK_STR(put(&forgets, a), "");
    CHECK_STR(put(&forgets, a), "");
    CHECK_STR(put(&forgets, b), "b");
    CHECK_STR(put(&forgets, a), "a");
    CHECK_INT(hp_registry_known(&forgets), 0);
}

static void
test_ids_are_not_used_again(void)
{
    setting *a = get(&forgets, "a");
    uint64_t id = a->entry.id;
    CHECK_STR(put(&forgets, a), "a");
    a = get(&forgets, "a");
    CHECK(a->entry.id > id);
    CHECK_STR(put(&forgets, a), "a");
}

/* The one that nobody has held for longest goes first; one that is held again
 * is as good as new. */
static void
test_the_last_few_stay(void)
{
    setting *a = get(&keeps_two, "a"), *b = get(&keeps_two, "b");
    setting *c = get(&keeps_two, "c"), *d = get(&keeps_two, "d");
    uint64_t id = a->entry.id;
    CHECK_STR(put(&keeps_two, a), "");
    CHECK_STR(put(&keeps_two, b), "");
    CHECK(get(&keeps_two, "a") == a && a->entry.id == id);
    CHECK_STR(put(&keeps_two, a), "");
    CHECK_STR(put(&keeps_two, c), "b");
    CHECK_STR(put(&keeps_two, d), "a");
    CHECK_INT(hp_registry_known(&keeps_two), 2);
    c = get(&keeps_two, "c");
    d = get(&keeps_two, "d");
    CHECK_STR(put(&keeps_two, get(&keeps_two, "e")), "");
    CHECK_STR(put(&keeps_two, get(&keeps_two, "f")), "");
    CHECK_STR(put(&keeps_two, c), "e");
    CHECK_STR(put(&keeps_two, d), "f");
}

static void
test_no_memory(void)
{
    static hp_registry own = HP_REGISTRY_INIT(0, NULL);
    CHECK_INT(hp_registry_open(&own), 0);
    setting *a = fresh("a");
    hp_mem_fail_after(0); /* the first table */
    CHECK(hp_registry_get(&own, &a->entry) == NULL);
    hp_mem_fail_after(-1);
    CHECK_INT(hp_registry_known(&own), 0);
    CHECK(hp_registry_get(&own, &a->entry) == &a->entry);
    CHECK_STR(put(&own, a), "a");
    hp_map_free(&own.map);
}

/* The child may use both at once, and was told of each setting of the second.
 */
static void
test_fork(void)
{
    int status;
    setting *a = get(&forgets, "a"), *b = get(&keeps_two, "b");
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(!a->told && b->told);
        CHECK(get(&forgets, "a") == a && get(&keeps_two, "b") == b);
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    CHECK(!b->told);
    CHECK_STR(put(&forgets, a), "a"); /* and nothing is locked here */
    put(&keeps_two, b);
}

int
main(void)
{
    CHECK_INT(hp_registry_open(&forgets), 0);
    CHECK_INT(hp_registry_open(&keeps_two), 0);
    RUN(test_equal_ones_are_one);
    RUN(test_ids_are_not_used_again);
    RUN(test_the_last_few_stay);
    RUN(test_no_memory);
    RUN(test_fork);
    DONE();
}
