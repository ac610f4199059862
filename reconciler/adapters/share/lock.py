"""A kernel lock on the share: keeps nodes from wasting work, no more.

It dies silently with its process or with the NFS lease (fcntl(2), "Lost locks"), so nothing that must be
right may rest on it. The lock file is never renamed, replaced or removed.
"""

import contextlib
import errno
from pathlib import Path

from reconciler.adapters.share.files import MOUNTED, Files, OpenFile


class ShareLock:
    def __init__(self, file: OpenFile) -> None:
        self._file = file

    @classmethod
    def acquire(cls, path: Path, files: Files = MOUNTED) -> "ShareLock | None":
        """The lock, or None if another process holds it."""
        file = files.lock(path)
        return None if file is None else cls(file)

    def is_held(self) -> bool:
        """Asks the server: after a lost lease it refuses a write through the lock's own descriptor with EIO."""
        try:
            self._file.write(b"\n")
        except OSError as error:  # a full share is no lost lock
            return error.errno != errno.EIO
        return True

    def release(self) -> None:
        """The descriptor is gone whatever close(2) says of it (ESTALE, EIO), and the lock with it."""
        with contextlib.suppress(OSError):
            self._file.close()
