"""The server's disk: directories and files, changed by one call at a time, with a journal where it may forget."""

import errno
import os
from collections.abc import Callable, Iterator
from typing import NoReturn

Now = Callable[[], float]


class File:
    __slots__ = ("content", "links", "written_at")

    def __init__(self, content: bytes, written_at: float) -> None:
        self.content = content
        self.written_at = written_at
        self.links = 0  # 0: it has no name any more

    @property
    def lives(self) -> bool:
        return self.links > 0


class Directory:
    __slots__ = ("entries", "lives", "name", "parent", "version")

    def __init__(self) -> None:
        self.entries: dict[str, Inode] = {}
        self.version = 0
        self.parent: Directory | None = None
        self.name = ""
        self.lives = True

    def path(self) -> str:
        """Where it lies now, whatever a client takes for its path; "" is the root."""
        if self.parent is None:
            return self.name
        above = self.parent.path()
        return f"{above}/{self.name}" if above else self.name


Inode = File | Directory
Backup = dict[str, "Backup | tuple[bytes, float]"]
Undo = Callable[[], None]


def fail(code: int) -> NoReturn:
    raise OSError(code, os.strerror(code))


class Disk:
    """``journal`` keeps what a crash may undo."""

    def __init__(self, now: Now, *, journal: bool) -> None:
        self.root = Directory()
        self.changes = 0
        self._now = now
        self._journal: list[tuple[float, Undo]] | None = [] if journal else None

    def set(self, directory: Directory, name: str, inode: Inode | None) -> None:
        """Make the name stand for this, or (None) for nothing."""
        if self._journal is not None:
            before = directory.entries.get(name)
            self._journal.append((self._now(), lambda: self._set(directory, name, before)))
        self._set(directory, name, inode)

    def _set(self, directory: Directory, name: str, inode: Inode | None) -> None:
        before = directory.entries.pop(name, None)
        if isinstance(before, File):
            before.links -= 1
        elif before is not None:
            before.lives = False
        if inode is not None:
            directory.entries[name] = inode
        if isinstance(inode, File):
            inode.links += 1
        elif inode is not None:
            inode.lives, inode.parent, inode.name = True, directory, name
        directory.version += 1
        self.changes += 1

    def write(self, file: File, content: bytes) -> None:
        if self._journal is not None:
            before = (file.content, file.written_at)
            self._journal.append((self._now(), lambda: self._write(file, *before)))
        self._write(file, content, self._now())

    def _write(self, file: File, content: bytes, at: float) -> None:
        file.content, file.written_at = content, at
        self.changes += 1

    def forget(self, seconds: float) -> None:
        """Undo what happened in the last seconds, the last first."""
        journal = self._journal or []
        while journal and journal[-1][0] > self._now() - seconds:
            _, undo = journal.pop()
            undo()
        journal.clear()

    # --- the whole ---

    def find(self, path: str) -> Inode | None:
        inode: Inode | None = self.root
        for name in filter(None, path.split("/")):
            if not isinstance(inode, Directory):
                return None
            inode = inode.entries.get(name)
        return inode

    def files(self) -> Iterator[tuple[str, File]]:
        yield from _files(self.root, "")

    def backup(self) -> Backup:
        return _backup(self.root)

    def restore(self, backup: Backup) -> None:
        """Other files under the old names: no handle of before is good for any."""
        if self._journal is not None:
            self._journal.clear()
        for name in list(self.root.entries):
            _bury(self.root.entries[name])
            self._set(self.root, name, None)
        self._restore(self.root, backup)

    def _restore(self, directory: Directory, backup: Backup) -> None:
        for name, kept in backup.items():
            if isinstance(kept, tuple):
                self._set(directory, name, File(*kept))
            else:
                self._set(directory, name, below := Directory())
                self._restore(below, kept)


def _files(directory: Directory, above: str) -> Iterator[tuple[str, File]]:
    for name, inode in directory.entries.items():
        if isinstance(inode, File):
            yield above + name, inode
        else:
            yield from _files(inode, f"{above}{name}/")


def _backup(directory: Directory) -> Backup:
    return {
        name: (inode.content, inode.written_at) if isinstance(inode, File) else _backup(inode)
        for name, inode in directory.entries.items()
    }


def _bury(inode: Inode) -> None:
    if isinstance(inode, File):
        inode.links = 1  # its last name goes next
        return
    inode.lives = False
    for below in inode.entries.values():
        _bury(below)
        if isinstance(below, File):
            below.links = 0


def check_name(inode: Inode | None) -> Inode:
    if inode is None:
        fail(errno.ENOENT)
    return inode


def check_directory(inode: Inode | None) -> Directory:
    if isinstance(check := check_name(inode), File):
        fail(errno.ENOTDIR)
    return check


def check_file(inode: Inode | None) -> File:
    if isinstance(check := check_name(inode), Directory):
        fail(errno.EISDIR)
    return check
