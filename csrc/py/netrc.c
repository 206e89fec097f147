#include "netrc.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool
is_in(const char *home, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", home, name);
    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

bool
hpy_netrc_exists(void)
{
    const char *named = getenv("NETRC"), *home = getenv("HOME");
    if (named != NULL && *named == '~')
        return true; /* Python knows whose home that is */
    if (named != NULL && *named != '\0')
        return access(named, F_OK) == 0;
    if (home == NULL)
        return true;
    return is_in(home, ".netrc") || is_in(home, "_netrc");
}
