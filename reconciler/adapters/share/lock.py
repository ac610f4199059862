"""A kernel lock on the share: keeps nodes from wasting work, no more.

It dies silently with its process or with the NFS lease (fcntl(2), "Lost locks"), so nothing that must be
right may rest on it. The lock file is never renamed, replaced or removed.
"""

import errno
import fcntl
import os
from pathlib import Path


class ShareLock:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path) -> "ShareLock | None":
        """The lock, or None if another process holds it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EAGAIN, errno.EACCES):  # held by another process, fcntl(2)
                return None
            raise
        return cls(descriptor)

    def is_held(self) -> bool:
        """Asks the server: after a lost lease it refuses a write through the lock's own descriptor with EIO."""
        try:
            os.pwrite(self._descriptor, b"\n", 0)
            os.fsync(self._descriptor)
        except OSError as error:  # a full share is no lost lock
            return error.errno != errno.EIO
        return True

    def release(self) -> None:
        os.close(self._descriptor)
