/* holders: gathering the snapshot. One block: itself, its rows, their text. */
#include "pool/holders.h"

#include <stdlib.h>

#include "base/mem.h"
#include "pool/host.h"

const char *
hp_holding_name(hp_holding phase)
{
    static const char *const names[] = {
        [HP_HOLDING_SENDING] = "sending",
        [HP_HOLDING_AWAITING_HEAD] = "awaiting head",
        [HP_HOLDING_BODY_UNREAD] = "body unread",
        [HP_HOLDING_BODY_HALF_READ] = "body half read",
    };
    return names[phase];
}

void
hp_holders_free(hp_holders *h)
{
    hp_free(h);
}

/* ---- rows ---- */

static hp_span
copy(char **to, hp_span s)
{
    hp_span there = hp_span_of(*to, s.len);
    if (s.len)
        memcpy(*to, s.ptr, s.len);
    *to += s.len;
    return there;
}

void
hp_gather_one(hp_gathering *g, const hp_holder *h)
{
    size_t at = g->need_text;
    g->need_rows++;
    g->need_text +=
        h->key.len + h->address.len + h->method.len + h->path.len + h->site.len;
    if (g->need_rows > g->rows || g->need_text > g->text)
        return;
    char *to = (char *)(g->out->at + g->rows) + at;
    hp_holder *row = &g->out->at[g->out->n++];
    *row = *h;
    row->key = copy(&to, h->key);
    row->address = copy(&to, h->address);
    row->method = copy(&to, h->method);
    row->path = copy(&to, h->path);
    row->site = copy(&to, h->site);
}

static int
longest_first(const void *left, const void *right)
{
    const hp_holder *a = left, *b = right;
    if (a->since != b->since)
        return a->since < b->since ? -1 : 1;
    return a->conn_id < b->conn_id ? -1 : a->conn_id > b->conn_id;
}

hp_holders *
hp_gather(void (*visit)(void *arg, hp_gathering *g), void *arg)
{
    hp_gathering g = {.rows = 8, .text = 512};
    for (;;) {
        hp_holders *out =
            hp_malloc(sizeof *out + g.rows * sizeof(hp_holder) + g.text);
        if (out == NULL)
            return NULL;
        *out = (hp_holders){.at = (hp_holder *)(out + 1)};
        g.out = out;
        g.need_rows = g.need_text = 0;
        visit(arg, &g);
        if (g.need_rows <= g.rows && g.need_text <= g.text) {
            qsort(out->at, out->n, sizeof *out->at, longest_first);
            return out;
        }
        hp_free(out);
        g.rows = g.need_rows + 8; /* others may come meanwhile */
        g.text = g.need_text + 512;
    }
}

/* ---- of a pool ---- */

void
hp_want_holder(const hp_want *w, hp_holder *out)
{
    bool begun = w->state == HP_WANT_LEASED;
    *out = (hp_holder){
        .key = w->key->text,
        .address = w->address,
        .method = w->method,
        .path = w->path,
        .site = w->site,
        .since = w->leased_at,
        .phase = begun ? (hp_holding)atomic_load_explicit(&w->holding,
                                                          memory_order_relaxed)
                       : HP_HOLDING_SENDING,
        .whole = w->whole,
        .conn_id = w->conn->net.id,
    };
}

void
hp_pool_gather(hp_pool *p, hp_gathering *g)
{
    hp_lock(&p->mu);
    for (hp_map_node *m = NULL; (m = hp_map_next(&p->hosts, m));) {
        hp_list *leased = &HP_CONTAINER(m, hp_host, node)->leased;
        for (hp_node *n = hp_list_first(leased); n;
             n = hp_list_next(leased, n)) {
            hp_holder row;
            hp_want_holder(HP_CONTAINER(n, hp_want, wait_node), &row);
            hp_gather_one(g, &row);
        }
    }
    hp_unlock(&p->mu);
}
