/* Peers as fast as we are: nothing is ever waited for, and yet a signal, a
 * cancelled token and the deadline are seen soon. */
#include <sys/mman.h>
#include <zlib.h>

#include "exchange_kit.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define ENDLESS "Content-Length: 100000000000\r\n\r\n"
#define GZIP_START "\x1f\x8b\x08\0\0\0\0\0\0\xff"
#define EMPTY_BLOCK "\0\0\0\xff\xff"

enum {
    MOVES_MAX = 3000, /* then it all ends, for those who see nothing */
    SOON = 12,        /* moves, each of which takes a millisecond */
    AT_ONCE = 16384,
    MIB = 1 << 20,
    HUGE = 1 << 30
};

static kit k;

/* ---- the peer ---- */

/* Gives a head, once so much was written, then the same drops for ever; takes
 * what it is offered. Each move takes a millisecond. */
static struct torrent {
    hp_stream base;
    hp_span head, drops;
    size_t head_after;
    size_t at; /* in drops */
    int moves;
    size_t written, largest;
    int cancel_at; /* this move */
} peer;

static void
move(void)
{
    hp_clock_advance(HP_NS_PER_MS);
    if (++peer.moves == peer.cancel_at)
        hp_cancel_trigger(k.r.cancel);
}

static ssize_t
give_head(char *buf, size_t n)
{
    n = n < peer.head.len ? n : peer.head.len;
    memcpy(buf, peer.head.ptr, n);
    peer.head = hp_span_of(peer.head.ptr + n, peer.head.len - n);
    return (ssize_t)n;
}

static ssize_t
torrent_read(hp_stream *s, void *buf, size_t n, hp_err *err)
{
    char *to = buf;
    move();
    if (peer.moves > MOVES_MAX)
        return 0;
    if (peer.written < peer.head_after)
        return HP_IO_WANT_READ;
    if (peer.head.len)
        return give_head(to, n);
    if (peer.drops.len == 0)
        return HP_IO_WANT_READ;
    n = n < AT_ONCE ? n : AT_ONCE;
    for (size_t i = 0; i < n; i++) {
        to[i] = peer.drops.ptr[peer.at];
        peer.at = (peer.at + 1) % peer.drops.len;
    }
    return (ssize_t)n;
}

static ssize_t
torrent_writev(hp_stream *s, const struct iovec *iov, int n, hp_err *err)
{
    size_t all = 0;
    move();
    for (int i = 0; i < n; i++)
        all += iov[i].iov_len;
    peer.written += all;
    peer.largest = all > peer.largest ? all : peer.largest;
    return (ssize_t)all;
}

static int
torrent_handshake(hp_stream *s, hp_err *err)
{
    return 0;
}

static hp_liveness
torrent_liveness(hp_stream *s)
{
    return HP_ALIVE;
}

static bool
torrent_pending(const hp_stream *s)
{
    return false;
}

static int
torrent_fd(const hp_stream *s)
{
    return -1;
}

static void
torrent_close(hp_stream *s, bool polite)
{
}

static const hp_stream_ops torrent_ops = {
    .read = torrent_read,
    .writev = torrent_writev,
    .handshake = torrent_handshake,
    .liveness = torrent_liveness,
    .pending = torrent_pending,
    .fd = torrent_fd,
    .close = torrent_close,
};

static hp_stream *
torrent_open(void *arg, hp_err *err)
{
    peer.base.ops = &torrent_ops;
    return &peer.base;
}

/* ---- the driver ---- */

static int asks, asked_at[2];

/* The second time it says stop. */
static bool
on_interrupt(void *arg)
{
    CHECK(asks < 2);
    asked_at[asks++] = peer.moves;
    return asks == 2;
}

static const hp_driver in_main_thread = {.on_interrupt = on_interrupt,
                                         .slices = true};
static const hp_driver elsewhere;

static void
check_interrupted(hp_drive d, int begun)
{
    CHECK_INT(d, HP_DRIVE_ERROR);
    CHECK_ERR(&k, HP_E_INTERRUPTED);
    CHECK_INT(asks, 2);
    CHECK(asked_at[0] - begun <= SOON);
    CHECK(asked_at[1] - asked_at[0] <= SOON);
}

static void
begin(const char *head, size_t head_len, const char *drops, size_t n_drops)
{
    kit_init(&k);
    peer = (struct torrent){.head = hp_span_of(head, head_len),
                            .drops = hp_span_of(drops, n_drops)};
    asks = 0;
    k.r.decode = true;
    k.r.cancel = hp_cancel_new();
    CHECK(k.r.cancel);
}

#define BEGIN(head, drops)                                                     \
    begin(head, sizeof(head) - 1, drops, sizeof(drops) - 1)

static hp_exchange *
make(void)
{
    hp_exchange *ex = kit_new(&k);
    ex->key.open_stream = torrent_open;
    return ex;
}

static hp_exchange *
with_head(void)
{
    hp_exchange *ex = make();
    CHECK_INT(kit_head(&k, ex), HP_GO_DONE);
    return ex;
}

static void
end(hp_exchange *ex)
{
    hp_exchange_free(ex);
    hp_cancel_unref(k.r.cancel);
    kit_free(&k);
}

/* Reads all there is and more. */
static hp_drive
drain(hp_exchange *ex, const hp_driver *driver)
{
    static char room[MIB];
    hp_drive d;
    size_t got;
    do
        d = hp_drive_read(ex, driver, room, sizeof room, HP_READ_FULL, false,
                          &got, &k.err);
    while (d == HP_DRIVE_DONE && got);
    return d;
}

/* ---- reading ---- */

static void
test_read(void)
{
    BEGIN(OK ENDLESS, "x");
    hp_exchange *ex = with_head();
    int begun = peer.moves;
    check_interrupted(drain(ex, &in_main_thread), begun);
    end(ex);
}

/* Deflate allows blocks of nothing without end. */
static hp_exchange *
nothing(void)
{
    BEGIN(OK "Content-Encoding: gzip\r\n" ENDLESS GZIP_START, EMPTY_BLOCK);
    k.r.timeouts.total = 1000 * HP_NS_PER_MS;
    return with_head();
}

static void
test_decoded_to_nothing(void)
{
    hp_exchange *ex = nothing();
    int begun = peer.moves;
    check_interrupted(drain(ex, &in_main_thread), begun);
    end(ex);
}

static void
test_decoded_to_nothing_cancelled(void)
{
    hp_exchange *ex = nothing();
    peer.cancel_at = peer.moves + 20;
    CHECK_INT(drain(ex, &elsewhere), HP_DRIVE_ERROR);
    CHECK_ERR(&k, HP_E_CANCELLED);
    CHECK_INT(peer.moves, peer.cancel_at);
    end(ex);
}

static void
test_decoded_to_nothing_in_time(void)
{
    hp_exchange *ex = nothing();
    CHECK_INT(drain(ex, &elsewhere), HP_DRIVE_ERROR);
    CHECK_ERR(&k, HP_E_TOTAL_TIMEOUT);
    CHECK(peer.moves <= 1000 + 1);
    end(ex);
}

/* ---- what has arrived ---- */

enum {
    INSIDE = 8 * MIB /* packed: less than there is between two codings */
};

static size_t
gzip(const char *in, size_t n, char *out, size_t room)
{
    z_stream z = {0};
    CHECK(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (Bytef *)(size_t)in;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)room;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

/* An answer with that, packed so often; its head is read. All of it is there
 * but for so many bytes. */
static hp_exchange *
arrived(const char *inside, int times, const char *coding, size_t missing)
{
    static char answer[65536], packed[2][60000];
    const char *what = inside;
    size_t n = INSIDE;
    for (int i = 0; i < times; i++) {
        n = gzip(what, n, packed[i % 2], sizeof packed[0]);
        what = packed[i % 2];
    }
    int head = snprintf(answer, sizeof answer,
                        OK "Content-Encoding: %s\r\nContent-Length: %zu\r\n"
                           "\r\n",
                        coding, n + missing);
    memcpy(answer + head, what, n);
    begin(answer, (size_t)head + n, "", 0);
    return with_head();
}

/* No step makes more than a quarter of a MiB. */
static void
test_bomb(void)
{
    char *zeros = calloc(1, INSIDE);
    CHECK(zeros);
    hp_exchange *ex = arrived(zeros, 1, "gzip", 0);
    size_t got, all = 0;
    static char room[MIB];
    while (hp_ex_step_read(ex, &k.w, room, sizeof room, false, &got) ==
               HP_GO_DONE &&
           got) {
        CHECK(got <= MIB / 4);
        all += got;
    }
    CHECK_INT(all, INSIDE);
    CHECK(hp_exchange_ended(ex));
    end(ex);
    free(zeros);
}

/* A bomb in a bomb: megabytes come out of the outer coding, nothing out of the
 * inner one. */
static char *
empty_blocks(void)
{
    char *in = calloc(1, INSIDE);
    CHECK(in);
    memcpy(in, GZIP_START, sizeof GZIP_START - 1);
    size_t at = sizeof GZIP_START - 1;
    for (; at + 20 < INSIDE; at += 5)
        memcpy(in + at, EMPTY_BLOCK, 5);
    in[at] = 1; /* the last block; then CRC and size, and zeros, which may be */
    memcpy(in + at + 1, &EMPTY_BLOCK[1], 4);
    return in;
}

/* The steps that lead to no byte, and what comes then. */
static int
busy(hp_exchange *ex, hp_go then)
{
    char byte;
    size_t got;
    int steps = 0;
    hp_go go;
    while ((go = hp_ex_step_read(ex, &k.w, &byte, 1, false, &got)) ==
           HP_GO_BUSY)
        steps++;
    CHECK_INT(go, then);
    CHECK_INT(got, 0);
    return steps;
}

/* No step is for more than a MiB. */
static void
test_bomb_in_a_bomb(void)
{
    char *inside = empty_blocks();
    hp_exchange *ex = arrived(inside, 1, "gzip, gzip", 0);
    CHECK(busy(ex, HP_GO_DONE) >= 8);
    CHECK(hp_exchange_ended(ex));
    end(ex);
    free(inside);
}

/* More is to come, but what there is goes first, wherever in the chain it is.
 */
static void
test_bomb_in_two_bombs(void)
{
    char *inside = empty_blocks();
    hp_exchange *ex = arrived(inside, 2, "gzip, gzip, gzip", 1);
    CHECK(busy(ex, HP_GO_WAIT) >= 8);
    end(ex);
    free(inside);
}

static void
test_bomb_in_a_bomb_cancelled(void)
{
    char *inside = empty_blocks(), byte;
    hp_exchange *ex = arrived(inside, 1, "gzip, gzip", 0);
    size_t got;
    do
        CHECK_INT(hp_ex_step_read(ex, &k.w, &byte, 1, false, &got), HP_GO_BUSY);
    while (ex->state != HP_EX_DONE); /* all has arrived */
    hp_cancel_trigger(k.r.cancel);
    CHECK_INT(hp_ex_step_read(ex, &k.w, &byte, 1, false, &got), HP_GO_ERROR);
    CHECK_ERR(ex, HP_E_CANCELLED);
    end(ex);
    free(inside);
}

/* ---- sending ---- */

static char *huge; /* address space; the peer looks at no byte */

static void
begin_upload(const char *head, size_t head_after)
{
    begin(head, strlen(head), "", 0);
    peer.head_after = head_after;
    k.r.method = HP_SPAN_LIT("POST");
    k.r.source = (hp_source){.kind = HP_SOURCE_BYTES, .ptr = huge, .len = HUGE};
}

static void
test_send(void)
{
    begin_upload("", SIZE_MAX);
    hp_exchange *ex = make();
    check_interrupted(hp_drive_head(ex, &in_main_thread, &k.err), 0);
    CHECK(peer.largest <= MIB);
    end(ex);
}

static void
test_send_cancelled(void)
{
    begin_upload("", SIZE_MAX);
    peer.cancel_at = 20;
    hp_exchange *ex = make();
    CHECK_INT(hp_drive_head(ex, &elsewhere, &k.err), HP_DRIVE_ERROR);
    CHECK_ERR(&k, HP_E_CANCELLED);
    CHECK(peer.moves <= peer.cancel_at + 1);
    end(ex);
}

/* Who has answered need not be sent all the rest first. */
static void
test_answer_to_a_part(void)
{
    begin_upload(OK "Content-Length: 10\r\n\r\n", 4 * MIB);
    hp_exchange *ex = with_head();
    CHECK(peer.written <= 6 * MIB);
    int begun = peer.moves;
    /* the upload goes on, while the body is awaited */
    check_interrupted(drain(ex, &in_main_thread), begun);
    CHECK(peer.written > 6 * MIB);
    end(ex);
}

/* The 50 ms after an answer are no more, however fast the peer takes. */
static void
test_grace(void)
{
    begin_upload(OK "Content-Length: 0\r\n\r\n", 4 * MIB);
    hp_exchange *ex = with_head();
    CHECK_RELEASED(ex, HP_CLOSE_UPLOAD_UNFINISHED);
    CHECK(peer.written >= 8 * MIB); /* it went on */
    CHECK(peer.written <= (4 + 2 + 50) * (size_t)MIB);
    end(ex);
}

static void
test_grace_interrupted(void)
{
    begin_upload(OK "Content-Length: 1\r\n\r\n", 4 * MIB);
    hp_exchange *ex = with_head();
    peer.drops = HP_SPAN_LIT("x");
    char room[9];
    size_t got;
    int begun = peer.moves;
    /* The byte comes first. */
    CHECK_INT(hp_drive_read(ex, &in_main_thread, room, sizeof room,
                            HP_READ_FULL, false, &got, &k.err),
              HP_DRIVE_DONE);
    CHECK_INT(got, 1);
    check_interrupted(drain(ex, &in_main_thread), begun);
    end(ex);
}

static void
test_upgraded(void)
{
    BEGIN("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
          "Upgrade: x\r\n\r\n",
          "");
    kit_field(&k, "Connection", "upgrade");
    kit_field(&k, "Upgrade", "x");
    hp_exchange *ex = with_head();
    hp_upgraded *u = hp_exchange_take_upgraded(ex, &k.err);
    CHECK(u);
    int begun = peer.moves;
    check_interrupted(hp_upgraded_sendall(u, &in_main_thread, HP_NO_LIMIT, huge,
                                          HUGE, &k.err),
                      begun);
    CHECK(peer.largest <= MIB);
    hp_upgraded_free(u);
    end(ex);
}

int
main(void)
{
    huge = mmap(NULL, HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(huge != MAP_FAILED);
    RUN(test_read);
    RUN(test_decoded_to_nothing);
    RUN(test_decoded_to_nothing_cancelled);
    RUN(test_decoded_to_nothing_in_time);
    RUN(test_bomb);
    RUN(test_bomb_in_a_bomb);
    RUN(test_bomb_in_two_bombs);
    RUN(test_bomb_in_a_bomb_cancelled);
    RUN(test_send);
    RUN(test_send_cancelled);
    RUN(test_answer_to_a_part);
    RUN(test_grace);
    RUN(test_grace_interrupted);
    RUN(test_upgraded);
    DONE();
}
