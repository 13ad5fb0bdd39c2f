"""Files that processes of one user share: in whose folder they lie, and whether a process lives that holds one."""

import fcntl
import os
import stat
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of this user alone is made in it


def own_folder() -> Path:
    """Return the folder of this user, in memory-backed storage where there is one; it may have to be made."""
    base = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    return base / f"huoyan-{os.geteuid()}"


def is_own(folder: Path) -> bool:
    """Return whether only this user writes to a folder.

    Raises:
        OSError: It is not there.
    """
    about = folder.lstat()
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o022


def is_held(path: Path) -> bool:
    """Return whether a process lives that holds the lock of a file (flock(2)); what cannot be opened nobody holds."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
