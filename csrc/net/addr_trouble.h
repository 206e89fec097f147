/* addr_trouble: addresses that keep failing, one table for the process.
 *
 * An address (with its port) on which two attempts in a row have failed is in
 * trouble for 60 s after the last one, and is tried after those that are not.
 * One success, and it is like any other again. At most 1024 are remembered; the
 * one that failed longest ago goes first. Any thread; never blocks; without
 * memory a failure is merely not remembered. A forked child goes on with what
 * its parent knew. */
#ifndef HP_NET_ADDR_TROUBLE_H
#define HP_NET_ADDR_TROUBLE_H

#include <stdbool.h>

#include "net/sock.h"

/* Addresses of other families than IPv4 and IPv6 are never in trouble. */
void hp_addr_failed(const hp_addr *a);
void hp_addr_succeeded(const hp_addr *a);
bool hp_addr_in_trouble(const hp_addr *a);

/* Tests: forgets all, and how many there are. */
void hp_addr_trouble_forget(void);
size_t hp_addr_trouble_count(void);

#endif
