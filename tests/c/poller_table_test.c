/* The poller of systems without epoll, on a system that may have it. */
#define HP_POLLER_TABLE
#define hp_poller_new table_poller_new
#define hp_poller_free table_poller_free
#define hp_poller_arm table_poller_arm
#define hp_poller_remove table_poller_remove
#define hp_poller_wait table_poller_wait

#include "net/poller.c"
#include "poller_test.c"
