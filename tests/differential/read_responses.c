/* read_responses: what an exchange makes of responses, for differ.py.
 *
 * All numbers are little-endian. In, for each case: u8 1 for HEAD and 0 for
 * GET, u8 1 if the server closes behind the bytes, u32 n, n bytes. Out: u8 1 if
 * there is a complete response, u32 status, and three times u32 n, n bytes:
 * header lines, body, error. */
#include "exchange_kit.h"

static bool
get(void *p, size_t n)
{
    return fread(p, 1, n, stdin) == n;
}

static uint32_t
get_u32(void)
{
    unsigned char b[4];
    CHECK(get(b, sizeof b));
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
           (uint32_t)b[3] << 24;
}

static void
put_u32(size_t n)
{
    for (int i = 0; i < 4; i++)
        putchar((int)(n >> 8 * i & 0xff));
}

static void
put(hp_span s)
{
    put_u32(s.len);
    CHECK(fwrite(s.ptr, 1, s.len, stdout) == s.len);
}

/* Twice nothing to do: a timeout would be next. */
static hp_go
read_head(kit *k, hp_exchange *ex)
{
    hp_go go = HP_GO_ON;
    for (int waits = 0; waits < 2 && (go == HP_GO_ON || go == HP_GO_WAIT);) {
        go = hp_ex_step_head(ex, NULL, &k->w);
        waits += go == HP_GO_WAIT;
    }
    return go;
}

static hp_go
read_body(kit *k, hp_exchange *ex)
{
    hp_go go = HP_GO_DONE;
    size_t got = 1;
    for (int waits = 0; waits < 2 && got;) {
        CHECK(hp_buf_reserve(&k->body, 65536) == 0);
        go = hp_ex_step_read(ex, &k->w, k->body.ptr + k->body.len, 65536, true,
                             &got);
        k->body.len += got;
        waits += go == HP_GO_WAIT;
        got += go == HP_GO_WAIT;
    }
    return go;
}

static void
answer(bool head, const script_event *events, size_t n)
{
    kit k;
    kit_init(&k);
    kit_play(&k, events, n);
    k.r.method = head ? HP_SPAN_LIT("HEAD") : HP_SPAN_LIT("GET");
    hp_exchange *ex = kit_new(&k);
    bool has_head = read_head(&k, ex) == HP_GO_DONE;
    bool complete = has_head && read_body(&k, ex) == HP_GO_DONE;
    putchar(complete);
    put_u32(complete ? (size_t)hp_exchange_head(ex)->status : 0);
    put(complete ? hp_exchange_fields(ex) : HP_SPAN_LIT(""));
    put(complete ? kit_text(&k) : HP_SPAN_LIT(""));
    put(hp_span_cstr(ex->err.text));
    hp_exchange_free(ex);
    kit_free(&k);
}

int
main(void)
{
    unsigned char flags[2];
    while (get(flags, sizeof flags)) {
        size_t n = get_u32(), events = 0;
        char *bytes = malloc(n + !n);
        CHECK(bytes && get(bytes, n));
        script_event list[2];
        if (n)
            list[events++] = (script_event){SCRIPT_DATA, bytes, n, 0};
        if (flags[1])
            list[events++] = (script_event){.op = SCRIPT_EOF};
        answer(flags[0], list, events);
        free(bytes);
    }
    return 0;
}
