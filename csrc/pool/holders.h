/* holders: a snapshot of who has which connection, and what they do with it. */
#ifndef HP_POOL_HOLDERS_H
#define HP_POOL_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/span.h"

typedef enum hp_holding {
    HP_HOLDING_SENDING,
    HP_HOLDING_AWAITING_HEAD,
    HP_HOLDING_BODY_UNREAD,
    HP_HOLDING_BODY_HALF_READ
} hp_holding;

/* "body unread"; static storage. */
const char *hp_holding_name(hp_holding phase);

typedef struct hp_holder {
    hp_span key;          /* "|http|example.com:80" */
    hp_span address;      /* "example.com:80", also where the key has none */
    hp_span method, path; /* path without query */
    hp_span site;         /* hp_request.site */
    hp_ns since;          /* hp_clock_now(): when it got the connection */
    hp_holding phase;
    bool whole; /* hp_request.whole: no response is out yet */
    uint64_t conn_id;
} hp_holder;

typedef struct hp_holders {
    size_t n;
    hp_holder *at; /* longest first; their text lives as long as this */
} hp_holders;

void hp_holders_free(hp_holders *h); /* NULL is fine */

/* A snapshot while it is taken. Rows and text are measured and allocated
 * outside all locks, so that what does not fit is only counted, and all of it
 * gathered again with more room. */
typedef struct hp_gathering {
    hp_holders *out;
    size_t rows, text;           /* room */
    size_t need_rows, need_text; /* of all that was there */
} hp_gathering;

/* `visit` adds to the gathering whatever is wanted, and may have to do so
 * several times. NULL: out of memory. */
hp_holders *hp_gather(void (*visit)(void *arg, hp_gathering *g), void *arg);

void hp_gather_one(hp_gathering *g, const hp_holder *h); /* copies its text */

#endif
