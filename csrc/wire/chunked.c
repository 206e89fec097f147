/* States and what the next byte may be:
 *
 *   SIZE      hex digit; after one also BWS, ';' or CR
 *   BWS       SP, HTAB, ';' or CR
 *   EXT       anything but control bytes (HTAB is fine), up to CR
 *   SIZE_LF   LF; then DATA, or DONE after a size of 0
 *   DATA      `left` bytes, taken as a run
 *   DATA_CR   CR
 *   DATA_LF   LF; then SIZE
 *
 * CR and LF are each looked at where they are due, and nothing but CR LF ends
 * a line: a lone LF here is where smuggled chunks hide (Go CVE-2025-22871, h11
 * CVE-2025-43859).
 *
 * `excess` is Go's overhead account (CVE-2023-39326): a size line costs its
 * length and two; each chunk pays 16 and twice its data; credit is not saved
 * up. More than 16 KiB unpaid ends the body: a peer that sends a byte of data
 * for every hundred of framing is not sending a body.
 */
#include "wire/chunked.h"

#include <assert.h>
#include <string.h>

enum {
    SIZE,
    BWS,
    EXT,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    DONE
};

enum {
    LINE_MAX_BYTES = 4096, /* a size line stays below */
    DIGITS_MAX = 16,       /* no size can overflow 64 bits */
    EXCESS_MAX = 16384,
    PAYS_ALL = 65536 /* a chunk of this size clears any account */
};

void
hp_chunked_init(hp_chunked *c)
{
    *c = (hp_chunked){.state = SIZE};
}

uint64_t
hp_chunked_missing(const hp_chunked *c)
{
    return c->state == DATA ? c->left : 0;
}

static int
malformed(hp_err *err, const char *what)
{
    return hp_err_set(err, HP_E_CHUNKED, "malformed chunked body: %s", what);
}

static int
hex_value(unsigned char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* The LF of the size line: settles the account and starts the data. */
static int
end_size_line(hp_chunked *c, hp_err *err)
{
    c->excess += (int64_t)c->line + 2 - 16;
    c->excess -= 2 * (int64_t)(c->left < PAYS_ALL ? c->left : PAYS_ALL);
    if (c->excess < 0)
        c->excess = 0;
    if (c->excess > EXCESS_MAX)
        return malformed(err, "too much framing for too little data");
    c->state = c->left ? DATA : DONE;
    return 0;
}

/* What may follow the size: BWS, an extension, the line's end. */
static int
after_size(hp_chunked *c, unsigned char ch, hp_err *err)
{
    if (ch == '\r')
        c->state = SIZE_LF;
    else if (ch == ';')
        c->state = EXT;
    else if (ch == ' ' || ch == '\t')
        c->state = BWS;
    else
        return malformed(err, "bad byte in a chunk size");
    return 0;
}

static int
size_byte(hp_chunked *c, unsigned char ch, hp_err *err)
{
    int digit = hex_value(ch);
    if (digit < 0) {
        if (c->digits == 0)
            return malformed(err, "no chunk size where one is due");
        return after_size(c, ch, err);
    }
    if (c->digits == DIGITS_MAX)
        return malformed(err, "chunk size of more than 16 digits");
    c->left = c->left << 4 | (unsigned)digit;
    c->digits++;
    return 0;
}

static int
extension_byte(hp_chunked *c, unsigned char ch, hp_err *err)
{
    if (ch == '\r')
        c->state = SIZE_LF;
    else if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
        return malformed(err, "control byte in a chunk extension");
    return 0;
}

/* One byte of framing, in any state but DATA and DONE. */
static int
framing_byte(hp_chunked *c, unsigned char ch, hp_err *err)
{
    if (c->state <= EXT && ch != '\r' && ++c->line >= LINE_MAX_BYTES)
        return malformed(err, "chunk size line of 4096 bytes or more");
    switch (c->state) {
    case SIZE:
        return size_byte(c, ch, err);
    case BWS:
        return after_size(c, ch, err);
    case EXT:
        return extension_byte(c, ch, err);
    case SIZE_LF:
        if (ch != '\n')
            return malformed(err, "chunk size line not ended by CR LF");
        return end_size_line(c, err);
    case DATA_CR:
        if (ch != '\r')
            return malformed(err, "chunk data not followed by CR LF");
        c->state = DATA_LF;
        return 0;
    default:
        assert(c->state == DATA_LF);
        if (ch != '\n')
            return malformed(err, "chunk data not followed by CR LF");
        c->state = SIZE;
        c->left = 0;
        c->digits = 0;
        c->line = 0;
        return 0;
    }
}

/* Moves up to n bytes of data from `from` down to `to`; how many. */
static size_t
take_data(hp_chunked *c, char *to, const char *from, size_t n)
{
    if (n > c->left)
        n = (size_t)c->left;
    if (to != from)
        memmove(to, from, n);
    c->left -= n;
    if (c->left == 0)
        c->state = DATA_CR;
    return n;
}

hp_chunked_result
hp_chunked_decode(hp_chunked *c, char *buf, size_t *len, size_t *used,
                  hp_err *err)
{
    assert(c->state != DONE);
    size_t n = *len, in = 0, out = 0;
    hp_chunked_result result = HP_CHUNKED_MORE;
    while (in < n && c->state != DONE) {
        if (c->state == DATA) {
            size_t got = take_data(c, buf + out, buf + in, n - in);
            in += got;
            out += got;
        } else if (framing_byte(c, (unsigned char)buf[in], err) != 0) {
            result = HP_CHUNKED_ERROR;
            break;
        } else {
            in++;
        }
    }
    *len = out;
    *used = in;
    return c->state == DONE ? HP_CHUNKED_TRAILERS : result;
}
