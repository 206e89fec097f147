/* stash: the TLS sessions of keys, with and without a record. Pool lock held
 * unless a function says otherwise. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "pool/host.h"

static bool
proxy_has_tls(const hp_key *key)
{
    return key->proxy && hp_proxy_settings(key->proxy)->tls;
}

bool
hp_stash_wanted(const hp_key *key)
{
    return key->tls || proxy_has_tls(key);
}

static int
add_stores(hp_stash *s, const hp_key *key)
{
    if (key->tls && (s->sessions = hp_sessions_new()) == NULL)
        return -1;
    if (proxy_has_tls(key) && (s->proxy_sessions = hp_sessions_new()) == NULL)
        return -1;
    return 0;
}

static hp_stash *
stash_new(hp_pool *p, const hp_key *key)
{
    hp_stash *s = hp_calloc(sizeof *s + key->text.len + 1);
    if (s == NULL)
        return NULL;
    memcpy(s->key, key->text.ptr, key->text.len);
    s->node.key = hp_span_of(s->key, key->text.len);
    s->node.hash = key->hash;
    if (add_stores(s, key) != 0 || hp_map_insert(&p->stashes, &s->node) != 0) {
        hp_stash_free(s); /* empty: nothing of OpenSSL in it */
        return NULL;
    }
    return s;
}

static void
unspare(hp_pool *p, hp_stash *s)
{
    hp_list_remove(&s->spare);
    p->n_spare_stashes--;
}

hp_stash *
hp_stash_get(hp_pool *p, const hp_key *key)
{
    HP_ASSERT_HELD(&p->mu);
    hp_map_node *n = hp_map_find(&p->stashes, key->text, key->hash);
    if (n == NULL)
        return stash_new(p, key);
    hp_stash *s = HP_CONTAINER(n, hp_stash, node);
    unspare(p, s);
    return s;
}

static void
drop_oldest(hp_pool *p, hp_trash *t)
{
    hp_node *n = hp_list_first(&p->spare_stashes);
    hp_stash *s = HP_CONTAINER(n, hp_stash, spare);
    unspare(p, s);
    hp_map_remove(&p->stashes, &s->node);
    s->trash_next = t->stashes;
    t->stashes = s;
}

void
hp_stash_spare(hp_pool *p, hp_stash *s, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    hp_list_push_back(&p->spare_stashes, &s->spare);
    p->n_spare_stashes++;
    if (hp_pool_is_closed(p))
        hp_stash_drop_spare(p, t);
    else if (p->n_spare_stashes > HP_SPARE_STASHES)
        drop_oldest(p, t);
}

void
hp_stash_drop_spare(hp_pool *p, hp_trash *t)
{
    HP_ASSERT_HELD(&p->mu);
    while (p->n_spare_stashes > 0)
        drop_oldest(p, t);
    assert(hp_list_empty(&p->spare_stashes));
}

/* A ticket serves once, and the parent will use those there are. The stores are
 * left to their fate: a thread that is gone may have been at work on one, and
 * connections that were abandoned still point at them. */
void
hp_stash_fork_child(hp_pool *p)
{
    hp_map_node *next = hp_map_next(&p->stashes, NULL);
    while (next) {
        hp_stash *s = HP_CONTAINER(next, hp_stash, node);
        next = hp_map_next(&p->stashes, next);
        hp_free(s);
    }
    hp_map_free(&p->stashes);
    hp_list_init(&p->spare_stashes);
    p->n_spare_stashes = 0;
}

void
hp_stash_free(hp_stash *s)
{
    hp_sessions_unref(s->sessions);
    hp_sessions_unref(s->proxy_sessions);
    hp_free(s);
}
