/* fork: what must happen around fork(), in one ordered list.
 *
 * Rooms register hooks once, from the outermost lock inwards. Prepare hooks
 * run in that order in the forking thread, parent and child hooks in reverse.
 * A child writes to nothing it inherited. */
#ifndef HP_BASE_FORK_H
#define HP_BASE_FORK_H

typedef struct hp_fork_hooks {
    int order;             /* position; see HP_FORK_ORDER_* */
    void (*prepare)(void); /* may be NULL */
    void (*parent)(void);  /* may be NULL */
    void (*child)(void);   /* may be NULL; async-signal-safe calls only
                            * where other threads existed */
} hp_fork_hooks;

enum {
    HP_FORK_ORDER_KEEPER = 0, /* stops its thread first */
    HP_FORK_ORDER_TLS_GATE,   /* waits for those inside: no lock is taken yet */
    HP_FORK_ORDER_TRANSPORTS,
    HP_FORK_ORDER_CANCEL,
    HP_FORK_ORDER_RESOLVE,
    HP_FORK_ORDER_REGISTRIES,
    HP_FORK_ORDER_ADDR_TROUBLE,
    HP_FORK_ORDER_COUNT
};

/* Grows by one in every child. An object that remembers another value than
 * this belongs to an ancestor. */
unsigned hp_fork_generation(void);

/* `hooks` must live for ever. Registering the same hooks again is a no-op.
 * 0, or -1 when pthread_atfork has no memory. Thread-safe. */
int hp_fork_register(const hp_fork_hooks *hooks);

#endif
