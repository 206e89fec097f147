/* script_stream: a stream that plays a list of events. Reads and writes each
 * go through the events meant for them, in order and independently of each
 * other; one list holds both. Never waits, owns nothing; the script and its
 * record of what happened outlive the stream.
 *
 *   static const script_event events[] = {
 *       {.op = SCRIPT_AGAIN},
 *       SCRIPT_BYTES("HTTP/1.1 200 OK\r\n"),
 *       {.op = SCRIPT_EOF},
 *   };
 *   script s;
 *   script_init(&s, events, 3);
 *   ... spec.open_stream = script_open; spec.open_arg = &s; ...
 *   CHECK_SPAN(script_written(&s), "GET / HTTP/1.1\r\n...");
 *   script_free(&s);
 */
#ifndef HP_TEST_SCRIPT_STREAM_H
#define HP_TEST_SCRIPT_STREAM_H

#include "base/buf.h"
#include "net/stream.h"

typedef enum script_op {
    /* reads; after the last of them: WANT_READ for ever */
    SCRIPT_DATA,  /* data, len: given out, in pieces if need be; not empty */
    SCRIPT_AGAIN, /* WANT_READ once */
    SCRIPT_AFTER, /* WANT_READ until len bytes have been written in all */
    SCRIPT_EOF,   /* the last three stay for ever */
    SCRIPT_ERROR, /* HP_E_READ with errno err */
    SCRIPT_TRUNCATED, /* TLS's FIN without close_notify */
    /* writes; after the last of them: everything is accepted */
    SCRIPT_ACCEPT,     /* takes at most len bytes of one write */
    SCRIPT_WANT_WRITE, /* once */
    SCRIPT_WRITE_ERROR /* HP_E_WRITE with errno err, for ever */
} script_op;

typedef struct script_event {
    script_op op;
    const char *data;
    size_t len;
    int err;
} script_event;

#define SCRIPT_BYTES(s) {SCRIPT_DATA, (s), sizeof(s) - 1, 0}

typedef struct script {
    hp_stream base;
    const script_event *events; /* borrowed */
    size_t n;
    size_t reading, writing; /* next event of either kind, or beyond */
    size_t given;            /* of the DATA being read */
    hp_liveness liveness;    /* the answer, HP_ALIVE unless the test says */
    hp_buf written;
    int opened, closed; /* how often */
    bool polite;        /* how the last close was meant */
} script;

void script_init(script *s, const script_event *events, size_t n);
void script_free(script *s);

/* hp_dial_spec.open_stream with open_arg = a script. */
hp_stream *script_open(void *arg, hp_err *err);

/* The same with one script per connection; refused when there are no more. */
typedef struct script_queue {
    script *scripts; /* borrowed */
    int n, next;
} script_queue;
hp_stream *script_open_next(void *arg, hp_err *err);

hp_span script_written(const script *s);
bool script_all_read(const script *s); /* no DATA, EOF, ... is left to see */

#endif
