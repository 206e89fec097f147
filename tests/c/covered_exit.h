/* covered_exit: into every file of a coverage build, so that the lines that a
 * test's child runs count, too: it leaves by _exit(), which tells gcov nothing.
 */
#ifndef HP_TEST_COVERED_EXIT_H
#define HP_TEST_COVERED_EXIT_H

#include <unistd.h>

void __gcov_dump(void);

#define _exit(code) (__gcov_dump(), _exit(code))

#endif
