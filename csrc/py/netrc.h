/* netrc: whether there is a file with passwords to look into. */
#ifndef HPY_NETRC_H
#define HPY_NETRC_H

#include <stdbool.h>

/* Whether $NETRC, or else ~/.netrc or ~/_netrc, is there. Asks the file system
 * only; true as well when the home directory is not in the environment. */
bool hpy_netrc_exists(void);

#endif
