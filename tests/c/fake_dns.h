/* fake_dns: a getaddrinfo of our own, linked instead of the system's, so that
 * a test decides what names mean and when the answer comes. To be included by
 * one file of a test program.
 *
 *   localhost      127.0.0.1, ::1
 *   dup.test       127.0.0.1 twice, 127.0.0.2, 127.0.0.1
 *   many.test      200 addresses
 *   none.test      EAI_NONAME      again.test  EAI_AGAIN
 *   sys.test       EAI_SYSTEM with EMFILE
 *   slow*          192.0.2.1, once dns_open() has been called
 *   anything else  192.0.2.1
 */
#ifndef HP_TEST_FAKE_DNS_H
#define HP_TEST_FAKE_DNS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_dns {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int calls, inside, most_inside;
    bool open;
    bool signals_came_through; /* a calling thread had one unblocked */
} dns = {.mutex = PTHREAD_MUTEX_INITIALIZER,
         .changed = PTHREAD_COND_INITIALIZER};

typedef struct fake_info {
    struct addrinfo ai; /* first: freeaddrinfo frees the first of an array */
    struct sockaddr_in6 store;
} fake_info;

static inline void
dns_reset(void)
{
    pthread_mutex_lock(&dns.mutex);
    dns.calls = dns.most_inside = 0;
    dns.open = false;
    pthread_mutex_unlock(&dns.mutex);
}

/* Lets the slow names go. */
static inline void
dns_open(void)
{
    pthread_mutex_lock(&dns.mutex);
    dns.open = true;
    pthread_cond_broadcast(&dns.changed);
    pthread_mutex_unlock(&dns.mutex);
}

static inline void
dns_wait_inside(int n)
{
    pthread_mutex_lock(&dns.mutex);
    while (dns.inside != n)
        pthread_cond_wait(&dns.changed, &dns.mutex);
    pthread_mutex_unlock(&dns.mutex);
}

static inline int
dns_calls(void)
{
    pthread_mutex_lock(&dns.mutex);
    int n = dns.calls;
    pthread_mutex_unlock(&dns.mutex);
    return n;
}

static inline void
dns_visit(bool slow)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    pthread_mutex_lock(&dns.mutex);
    if (!sigismember(&mask, SIGINT) || !sigismember(&mask, SIGPROF))
        dns.signals_came_through = true;
    dns.calls++;
    dns.inside++;
    if (dns.inside > dns.most_inside)
        dns.most_inside = dns.inside;
    pthread_cond_broadcast(&dns.changed);
    while (slow && !dns.open)
        pthread_cond_wait(&dns.changed, &dns.mutex);
    dns.inside--;
    pthread_cond_broadcast(&dns.changed);
    pthread_mutex_unlock(&dns.mutex);
}

static inline void
dns_put(fake_info *to, const char *literal)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&to->store;
    to->ai.ai_addr = (struct sockaddr *)&to->store;
    if (inet_pton(AF_INET, literal, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        to->ai.ai_family = AF_INET;
        to->ai.ai_addrlen = sizeof *in;
        return;
    }
    inet_pton(AF_INET6, literal, &to->store.sin6_addr);
    to->store.sin6_family = AF_INET6;
    to->ai.ai_family = AF_INET6;
    to->ai.ai_addrlen = sizeof to->store;
}

static inline int
dns_answer(const char *const *literals, int n, int family,
           struct addrinfo **res)
{
    fake_info *list = calloc((size_t)n, sizeof *list);
    int k = 0;
    for (int i = 0; i < n; i++) {
        bool v6 = strchr(literals[i], ':') != NULL;
        if (family != AF_UNSPEC && v6 != (family == AF_INET6))
            continue;
        dns_put(&list[k], literals[i]);
        if (k > 0)
            list[k - 1].ai.ai_next = &list[k].ai;
        k++;
    }
    *res = &list->ai;
    if (k == 0)
        free(list);
    return k ? 0 : EAI_NONAME;
}

static inline int
dns_many(int family, struct addrinfo **res)
{
    char text[200][32];
    const char *literals[200];
    for (int i = 0; i < 200; i++) {
        snprintf(text[i], sizeof text[i], "192.0.2.%d", i);
        literals[i] = text[i];
    }
    return dns_answer(literals, 200, family, res);
}

static inline int
dns_sys_error(void)
{
    errno = EMFILE;
    return EAI_SYSTEM;
}

#define DNS_ANSWER(...)                                                        \
    dns_answer((const char *const[]){__VA_ARGS__},                             \
               sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), family, \
               res)

int
getaddrinfo(const char *restrict host, const char *restrict service,
            const struct addrinfo *restrict hints,
            struct addrinfo **restrict res)
{
    int family = hints->ai_family;
    dns_visit(strncmp(host, "slow", 4) == 0);
    if (strcmp(host, "localhost") == 0)
        return DNS_ANSWER("127.0.0.1", "::1");
    if (strcmp(host, "dup.test") == 0)
        return DNS_ANSWER("127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.1");
    if (strcmp(host, "many.test") == 0)
        return dns_many(family, res);
    if (strcmp(host, "none.test") == 0)
        return EAI_NONAME;
    if (strcmp(host, "again.test") == 0)
        return EAI_AGAIN;
    if (strcmp(host, "sys.test") == 0)
        return dns_sys_error();
    return DNS_ANSWER("192.0.2.1");
}

void
freeaddrinfo(struct addrinfo *res)
{
    free(res);
}

#endif
