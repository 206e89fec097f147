"""One lock for the little that calls share: digests' counts, retries'
windows. Held for a moment only, never while anything waits, and not by
another thread when the process forks."""

from __future__ import annotations

import os
import threading

lock = threading.RLock()  # a signal handler may make requests too

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lock.acquire,
        after_in_parent=lock.release,
        after_in_child=lock.release,
    )
