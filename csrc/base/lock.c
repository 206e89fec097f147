#include "base/lock.h"

#ifndef NDEBUG
_Thread_local int hp_locks_held;
#endif
