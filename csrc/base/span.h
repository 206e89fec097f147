/* span: a borrowed run of bytes. Never NUL-terminated; owns nothing. */
#ifndef HP_BASE_SPAN_H
#define HP_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct hp_span {
    const char *ptr;
    size_t len;
} hp_span;

#define HP_SPAN_LIT(s) ((hp_span){(s), sizeof(s) - 1})

static inline hp_span
hp_span_of(const char *ptr, size_t len)
{
    return (hp_span){ptr, len};
}

static inline hp_span
hp_span_cstr(const char *s)
{
    return (hp_span){s, strlen(s)};
}

static inline bool
hp_span_eq(hp_span a, hp_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline char
hp_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* {NULL, 0} for NULL. */
static inline hp_span
hp_span_or_none(const char *s)
{
    return s ? hp_span_cstr(s) : (hp_span){NULL, 0};
}

/* Equal but for ASCII case. The locale has no say. */
static inline bool
hp_span_eq_nocase(hp_span a, hp_span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (hp_ascii_lower(a.ptr[i]) != hp_ascii_lower(b.ptr[i]))
            return false;
    }
    return true;
}

/* Without leading and trailing SP and HTAB (OWS, RFC 9110 5.6.3). */
static inline hp_span
hp_span_trim(hp_span s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s.ptr++, s.len--;
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

#endif
