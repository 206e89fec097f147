/* gil: the one place where the binding detaches from the interpreter.
 *
 * Each wrapper runs one blocking call of the core detached. When the core
 * reports an interruption, the wrapper attaches again, runs the signal
 * handlers, and goes on or stops (HP_E_INTERRUPTED, with the exception of the
 * handler set). Must be called attached; returns attached. */
#ifndef HPY_GIL_H
#define HPY_GIL_H

#include "state.h"

hp_drive hpy_drive_warm(hpy_state *st, hp_exchange *ex, int64_t n,
                        int64_t *ready, hp_err *err);
hp_drive hpy_drive_pause(hpy_state *st, hp_exchange *ex, hp_ns until,
                         hp_err *err);
hp_drive hpy_drive_head(hpy_state *st, hp_exchange *ex, hp_err *err);

/* Stays attached when the bytes are at hand and few: handing the GIL to
 * another thread costs more than copying them. */
hp_drive hpy_drive_read(hpy_state *st, hp_exchange *ex, void *buf, size_t cap,
                        hp_read_how how, bool raw, size_t *got, hp_err *err);

hp_drive hpy_drive_recv(hpy_state *st, hp_upgraded *u, hp_ns timeout, void *buf,
                        size_t cap, size_t *got, hp_err *err);
hp_drive hpy_drive_sendall(hpy_state *st, hp_upgraded *u, hp_ns timeout,
                           const void *buf, size_t n, hp_err *err);

/* When the first interpreter begins to use the core, and when it is over: done
 * once between two beginnings, detached where that can be undone. */
void hpy_begin(void);
void hpy_end(void);

/* In the child of a fork the forking thread is the main thread. */
void hpy_forget_thread(void);

/* For hp_process_after_fork. */
bool hpy_resume_later(void);

#endif
