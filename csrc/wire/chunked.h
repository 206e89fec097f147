/* chunked: decodes chunked framing in place. RFC 9112 7.1; Go contract 7.4.
 *
 * Byte-level state machine; allocates nothing; any split of the input. */
#ifndef HP_WIRE_CHUNKED_H
#define HP_WIRE_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum hp_chunked_result {
    HP_CHUNKED_MORE,     /* all input used */
    HP_CHUNKED_TRAILERS, /* the zero chunk's line was read; what follows in
                            the input are trailer lines or the empty line */
    HP_CHUNKED_ERROR
} hp_chunked_result;

typedef struct hp_chunked {
    int state;
    uint64_t left; /* data bytes left in the current chunk, or the size as
                      far as it is read */
    int digits;
    size_t line;    /* bytes of the current size line */
    int64_t excess; /* framing bytes not paid for by data; see the .c */
} hp_chunked;

void hp_chunked_init(hp_chunked *c);

/* Reads buf[0..*len), moves the data bytes to the front of buf and sets *len
 * to their count; *used is how many input bytes were consumed (less than the
 * input only for TRAILERS). Limits: size line below 4096 bytes, 16 hex
 * digits, framing overhead budget of 16 KiB as Go accounts it. CRLF only;
 * extensions are skipped; white space before them and after the size is fine.
 * ERROR: *err is HP_E_CHUNKED, *len counts the data that came before the fault
 * and *used shows the fault. Not called again after TRAILERS or ERROR. */
hp_chunked_result hp_chunked_decode(hp_chunked *c, char *buf, size_t *len,
                                    size_t *used, hp_err *err);

/* Data bytes of the current chunk that have not come yet; 0 between chunks. */
uint64_t hp_chunked_missing(const hp_chunked *c);

#endif
