/* forks: for tests that fork while they have threads. A child that ends has not
 * joined its copies of them, which ThreadSanitizer takes for a leak. */
#ifndef HP_TEST_FORKS_H
#define HP_TEST_FORKS_H

#ifdef __SANITIZE_THREAD__
const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
    return "report_thread_leaks=0";
}
#endif

#endif
