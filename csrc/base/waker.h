/* waker: one descriptor that ends somebody's poll().
 *
 * A token carries no information. Before each poll a driver clears its waker,
 * then looks at what it waits for, then polls; a token swallowed by a nested
 * request on the same thread therefore does no harm. Reference-counted: the
 * waker of a want that is being served is pinned under the pool lock, because
 * the wake-up happens after unlocking, when the waiter may be gone and its
 * descriptor's number may belong to a stranger's file. */
#ifndef HP_BASE_WAKER_H
#define HP_BASE_WAKER_H

typedef struct hp_waker hp_waker;

/* One reference, or NULL with errno set (ENOMEM, EMFILE, ENFILE). */
hp_waker *hp_waker_new(void);
hp_waker *hp_waker_ref(hp_waker *w);
void hp_waker_unref(hp_waker *w); /* NULL is fine */

/* The calling thread's own waker, made when first asked for and again after a
 * fork. Borrowed: the thread keeps the reference until it ends. NULL with
 * errno set. */
hp_waker *hp_waker_for_thread(void);

int hp_waker_fd(const hp_waker *w); /* poll it for POLLIN */

/* Any thread; async-signal-safe; never blocks. A token already there is
 * enough. In a forked child a no-op on inherited wakers. */
void hp_waker_wake(hp_waker *w);

/* Takes the tokens. `readable`: poll() reported the descriptor, so read it
 * whatever the flag says (a waker between flag and write leaves a late one).
 */
void hp_waker_clear(hp_waker *w, int readable);

#endif
