#include "base/events.h"

#include <assert.h>

#include "base/mem.h"

static const char *const names[] = {
#define X(id, name) [HP_EVENT_##id] = name,
    HP_EVENTS(X)
#undef X
};

static atomic_uint_fast64_t made;

const char *
hp_event_name(hp_event_kind k)
{
    return names[k];
}

uint64_t
hp_events_made(void)
{
    return atomic_load(&made);
}

/* ---- records ---- */

static size_t
text_size(const hp_event *e)
{
    size_t n = e->host.len;
    for (int i = 0; i < HP_EVENT_TEXTS; i++)
        n += e->text[i].len;
    return n;
}

static hp_span
put(char **at, hp_span s)
{
    if (s.ptr == NULL)
        return s;
    hp_span copy = {*at, s.len};
    if (s.len)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

static hp_event *
copy(const hp_event *e)
{
    hp_event *c = hp_malloc(sizeof *c + text_size(e));
    if (c == NULL)
        return NULL;
    char *at = (char *)(c + 1);
    *c = *e;
    c->next = NULL;
    c->host = put(&at, e->host);
    for (int i = 0; i < HP_EVENT_TEXTS; i++)
        c->text[i] = put(&at, e->text[i]);
    if (c->at == 0)
        c->at = hp_clock_now();
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    return c;
}

void
hp_event_free_all(hp_event *first)
{
    while (first) {
        hp_event *e = first;
        first = e->next;
        hp_free(e);
    }
}

/* ---- the list ---- */

void
hp_events_init(hp_events *l, bool on)
{
    *l = (hp_events){.first = NULL};
    hp_mutex_init(&l->mu);
    atomic_init(&l->on, on);
}

static void
clear(hp_events *l)
{
    l->first = l->last = NULL;
    l->count = l->text = 0;
    l->dropped = 0;
}

void
hp_events_abandon(hp_events *l)
{
    hp_event_free_all(l->first);
    clear(l);
}

void
hp_events_destroy(hp_events *l)
{
    hp_events_abandon(l);
    hp_mutex_destroy(&l->mu);
}

void
hp_events_switch(hp_events *l, bool on)
{
    uint64_t dropped;
    atomic_store(&l->on, on);
    if (!on)
        hp_event_free_all(hp_events_take(l, &dropped));
}

static bool
link_in(hp_events *l, hp_event *e, size_t text)
{
    HP_ASSERT_HELD(&l->mu);
    if (!atomic_load_explicit(&l->on, memory_order_relaxed))
        return false;
    if (e == NULL || l->count == HP_EVENTS_MAX ||
        text > HP_EVENTS_MAX_TEXT - l->text) {
        l->dropped++;
        return false;
    }
    if (l->last)
        l->last->next = e;
    else
        l->first = e;
    l->last = e;
    l->count++;
    l->text += text;
    return true;
}

void
hp_events_add(hp_events *l, const hp_event *e)
{
    hp_event *c = copy(e);
    hp_lock(&l->mu);
    bool kept = link_in(l, c, text_size(e));
    hp_unlock(&l->mu);
    if (!kept)
        hp_free(c);
}

bool
hp_events_any(hp_events *l)
{
    hp_lock(&l->mu);
    bool any = l->first || l->dropped;
    hp_unlock(&l->mu);
    return any;
}

hp_event *
hp_events_take(hp_events *l, uint64_t *dropped)
{
    hp_lock(&l->mu);
    hp_event *first = l->first;
    *dropped = l->dropped;
    clear(l);
    hp_unlock(&l->mu);
    return first;
}

void
hp_trace_add(const hp_trace *t, hp_event e)
{
    e.request = t->request;
    e.host = t->host;
    hp_events_add(t->events, &e);
}
