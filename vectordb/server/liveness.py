"""A file lock that is held exactly as long as a server, or anything left of it, is alive.

The starter locks the file and lets PostgreSQL inherit the open file. Every process of the server then holds the lock
without knowing it, and the kernel drops it when the last of them is gone, however it went. So a free lock proves what
a process number cannot, as numbers are used again: there is no server, no orphaned backend, and no server in another
container that shares the folder.
"""

from __future__ import annotations

import os
from pathlib import Path


def is_held(path: Path) -> bool:
    """Tell whether anything of a server is alive."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that those who only look do not see each other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def try_hold(path: Path) -> int | None:
    """Lock the file; return its descriptor, which the caller closes, or None while something is alive."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
