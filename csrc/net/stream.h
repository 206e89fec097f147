/* stream: bytes in, bytes out, over a small vtable (plain, tls, scripted).
 * One user at a time. Never blocks. */
#ifndef HP_NET_STREAM_H
#define HP_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"

/* Results of read and write below zero. */
enum {
    HP_IO_WANT_READ = -1,
    HP_IO_WANT_WRITE = -2,
    HP_IO_ERROR = -3,    /* *err is set: HP_E_READ, HP_E_WRITE or HP_E_TLS,
                            sys_errno where there is one */
    HP_IO_TRUNCATED = -4 /* read, TLS only: FIN without close_notify */
};

#define HP_PATIENCE_MS 50

typedef enum hp_liveness {
    HP_ALIVE,
    HP_DEAD_CLOSED, /* EOF, close_notify, reset */
    HP_DEAD_BYTES   /* somebody sent what nobody asked for */
} hp_liveness;

typedef struct hp_stream hp_stream;

typedef struct hp_stream_ops {
    /* > 0 bytes read, 0 at EOF (TLS: close_notify), else HP_IO_*. */
    ssize_t (*read)(hp_stream *s, void *buf, size_t n, hp_err *err);
    /* As read, but waits for the first byte, HP_PATIENCE_MS at most. WANT_READ
     * when that has passed or a signal came. May be NULL: then it is for
     * poll(). */
    ssize_t (*read_patiently)(hp_stream *s, void *buf, size_t n, hp_err *err);
    /* > 0 bytes taken (of all vectors together), else HP_IO_*. A call that
     * returned WANT_* is repeated with the same bytes, possibly more behind
     * them, never fewer. */
    ssize_t (*writev)(hp_stream *s, const struct iovec *iov, int n,
                      hp_err *err);
    /* 0 when done, else HP_IO_*. Plain streams are born done. */
    int (*handshake)(hp_stream *s, hp_err *err);
    /* May an idle connection be used again? Takes no byte away. */
    hp_liveness (*liveness)(hp_stream *s);
    /* True when read would return bytes, the end or an error without looking
     * at the socket: ask before polling. False for half a TLS record. */
    bool (*pending)(const hp_stream *s);
    /* The descriptor to poll, -1 for a scripted stream. */
    int (*fd)(const hp_stream *s);
    /* Says that no more will be sent: FIN, or close_notify. May be NULL. */
    void (*shutdown)(hp_stream *s);
    /* Closes and frees, TLS with an unawaited close_notify if `polite`. */
    void (*close)(hp_stream *s, bool polite);
} hp_stream_ops;

struct hp_stream {
    const hp_stream_ops *ops;
};

/* Takes over the connected descriptor. NULL: out of memory, fd still yours. */
hp_stream *hp_plain_stream_new(int fd);

#endif
