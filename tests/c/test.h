/* test: the smallest harness that names what failed. One binary per module;
 * each test is a function run by RUN(); a failed CHECK ends the process. */
#ifndef HP_TEST_H
#define HP_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond)                                                            \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s:%d: CHECK(%s) failed in %s\n", __FILE__,       \
                    __LINE__, #cond, __func__);                                \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

#define CHECK_INT(got, want)                                                   \
    do {                                                                       \
        long long got_ = (long long)(got), want_ = (long long)(want);          \
        if (got_ != want_) {                                                   \
            fprintf(stderr, "%s:%d: %s is %lld, want %lld (in %s)\n",          \
                    __FILE__, __LINE__, #got, got_, want_, __func__);          \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

/* A span against a C string. */
#define CHECK_SPAN(got, want)                                                  \
    do {                                                                       \
        hp_span got_ = (got);                                                  \
        const char *want_ = (want);                                            \
        if (got_.len != strlen(want_) ||                                       \
            memcmp(got_.ptr, want_, got_.len) != 0) {                          \
            fprintf(stderr, "%s:%d: %s is '%.*s', want '%s' (in %s)\n",        \
                    __FILE__, __LINE__, #got, (int)got_.len, got_.ptr, want_,  \
                    __func__);                                                 \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

#define CHECK_STR(got, want) CHECK_SPAN(hp_span_cstr(got), want)

#define RUN(fn)                                                                \
    do {                                                                       \
        fn();                                                                  \
        tests_run_++;                                                          \
        printf("ok %s\n", #fn);                                                \
    } while (0)

static int tests_run_ __attribute__((unused)); /* by fuzz targets */

#define DONE()                                                                 \
    do {                                                                       \
        printf("%d passed, 0 failed\n", tests_run_);                           \
        return 0;                                                              \
    } while (0)

#endif
