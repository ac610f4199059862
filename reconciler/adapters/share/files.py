"""The share as a mounted file system: all that the protocol above asks of one, and nothing that it decides.

Calls fail with ``OSError`` exactly as the kernel's do, and an error does not mean that nothing happened: with a
lost reply a link or a new file stands though its call failed. On NFS, too, a name that was looked up, with success
or without, may be answered from memory for a minute; opening its directory (``names``, ``refresh``) makes the client
ask again.
"""

import errno
import fcntl
import hashlib
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Protocol

from reconciler.adapters.share.clone import clone_tree
from reconciler.adapters.share.leisure import at_leisure
from reconciler.adapters.share.remove import remove_tree

NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class Kind(Enum):
    FILE = auto()
    DIRECTORY = auto()
    OTHER = auto()  # a socket, a pipe, a device, or a link to a directory: nothing that is read


@dataclass(frozen=True, slots=True)
class Found:
    """What a name stands for, as the server knows it now."""

    kind: Kind
    size: int
    modified: int  # nanoseconds, by the server's clock


class OpenFile(Protocol):
    """A small file kept open for writing, by one process."""

    def write(self, content: bytes) -> None:
        """In place, from the first byte on; returns when the server has it on its disk."""
        ...

    def close(self) -> None: ...


class Files(Protocol):
    # --- looking ---

    def names(self, directory: Path) -> set[str]:
        """What lies in a directory, as the server knows it now."""
        ...

    def refresh(self, directory: Path) -> None:
        """Open and close a directory: what was remembered of the names in it counts no longer."""
        ...

    def read(self, path: Path) -> bytes:
        """Open, read whole, close."""
        ...

    def read_dated(self, path: Path) -> tuple[bytes, datetime]:
        """The same, and when it was written by the server's clock."""
        ...

    def look(self, path: Path) -> Found | None:
        """What is there; None if nothing is. A link to a file counts as that file."""
        ...

    def digest(self, path: Path) -> tuple[str, Found]:
        """The sha256 of a file, which may take hours, and what the file was. Torn where somebody wrote meanwhile."""
        ...

    # --- making ---

    def mkdir(self, directory: Path, *, parents: bool = False) -> None:
        """That it is there already is no error."""
        ...

    def create(self, path: Path, content: bytes) -> None:
        """A new file, whole and on the server's disk; FileExistsError if the name is taken."""
        ...

    def append(self, path: Path, content: bytes) -> None:
        """To a file that nobody else appends to (made if missing); returns when it is on the server's disk."""
        ...

    def clone(self, source: Path, target: Path) -> None:
        """Clone a tree into a new directory."""
        ...

    # --- changing names ---

    def link(self, source: Path, target: Path) -> None:
        """Give a file another name; FileExistsError if that is taken. Of several callers one succeeds."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Fails if ``target`` is a directory that isn't empty."""
        ...

    def unlink(self, path: Path) -> None: ...

    def remove(self, path: Path) -> None:
        """A file, or a directory with all that is in it, also what a stage made read-only."""
        ...

    # --- keeping open ---

    def keep_open(self, path: Path) -> OpenFile:
        """For writing in place; made if missing."""
        ...

    def lock(self, path: Path) -> OpenFile | None:
        """A file under an exclusive kernel lock until it is closed; None if another process holds that.

        A lock lost with the lease shows only by EIO on a write.
        """
        ...


class _Descriptor:
    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def write(self, content: bytes) -> None:
        os.pwrite(self.number, content, 0)
        os.fsync(self.number)

    def close(self) -> None:
        os.close(self.number)


def _found(about: os.stat_result) -> Found:
    kinds = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY}
    return Found(kinds.get(stat.S_IFMT(about.st_mode), Kind.OTHER), about.st_size, about.st_mtime_ns)


def _digest(path: Path) -> tuple[str, Found]:
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest(), _found(before)


class MountedFiles:
    """Port ``Files``, as this machine's kernel mounts them."""

    def names(self, directory: Path) -> set[str]:
        with os.scandir(directory) as entries:
            return {entry.name for entry in entries}

    def refresh(self, directory: Path) -> None:
        os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY))

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def read_dated(self, path: Path) -> tuple[bytes, datetime]:
        with path.open("rb") as file:
            return file.read(), datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)

    def look(self, path: Path) -> Found | None:
        try:
            about = path.stat()
            if stat.S_ISREG(about.st_mode):
                return _found(self._opened(path) or about)
            return Found(Kind.OTHER, 0, path.lstat().st_mtime_ns) if path.is_symlink() else _found(about)
        except OSError as error:
            if error.errno in NOT_THERE:
                return None
            raise

    def _opened(self, path: Path) -> os.stat_result | None:
        """Opening asks the server, a look-up may not. None: not for us to read."""
        try:
            with path.open("rb") as file:
                return os.fstat(file.fileno())
        except PermissionError:
            return None

    def digest(self, path: Path) -> tuple[str, Found]:
        return at_leisure(partial(_digest, path))

    def mkdir(self, directory: Path, *, parents: bool = False) -> None:
        directory.mkdir(parents=parents, exist_ok=True)

    def create(self, path: Path, content: bytes) -> None:
        self._write(path, "xb", content)

    def append(self, path: Path, content: bytes) -> None:
        self._write(path, "ab", content)

    def _write(self, path: Path, mode: str, content: bytes) -> None:
        with path.open(mode) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def clone(self, source: Path, target: Path) -> None:
        clone_tree(source, target)

    def link(self, source: Path, target: Path) -> None:
        os.link(source, target)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def remove(self, path: Path) -> None:
        remove_tree(path)

    def keep_open(self, path: Path) -> OpenFile:
        return _Descriptor(path)

    def lock(self, path: Path) -> OpenFile | None:
        file = _Descriptor(path)
        try:
            fcntl.lockf(file.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if error.errno in (errno.EAGAIN, errno.EACCES):  # held by another process, fcntl(2)
                return None
            raise
        return file


MOUNTED: Files = MountedFiles()
