"""A machine's NFS mount: port ``Files`` over the simulated server, with the memory of a client. See ``share.py``."""

import errno
import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters.share.files import Found, Kind
from tests.simulation.clocks import EPOCH
from tests.simulation.share_connection import Connection
from tests.simulation.share_locks import Held
from tests.simulation.share_names import Names
from tests.simulation.share_tree import Directory, File, check_directory, check_file, check_name, fail

if TYPE_CHECKING:
    from tests.simulation.share_server import SimServer


class SimMount(Connection):
    """Port ``Files``. Each call is one request, or a few where the real one needs a few."""

    def __init__(self, server: "SimServer", name: str, *, soft: bool) -> None:
        super().__init__(server, name, soft=soft)
        self._root = server.root
        self._names = Names(server.disk.root, server.root, server.scheduler.now, server.scheduler.random)

    # --- looking ---

    def names(self, directory: Path) -> set[str]:
        return self._call("names", directory, lambda _: set(self._names.open(directory).entries))

    def refresh(self, directory: Path) -> None:
        self._call("open", directory, lambda _: self._names.open(directory))

    def read(self, path: Path) -> bytes:
        return self._call("read", path, lambda _: self._names.file(path).content)

    def read_dated(self, path: Path) -> tuple[bytes, datetime]:
        def dated(_: bool) -> tuple[bytes, datetime]:
            file = self._names.file(path)
            return file.content, EPOCH + timedelta(seconds=file.written_at)

        return self._call("read", path, dated)

    def look(self, path: Path) -> Found | None:
        def look(_: bool) -> Found | None:
            match self._names.find(path):
                case File() as file:
                    return self._found(file)
                case Directory():
                    return Found(Kind.DIRECTORY, 0, 0)
                case _:
                    return None

        try:
            return self._call("look up", path, look)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def digest(self, path: Path) -> tuple[str, Found]:
        def digest(_: bool) -> tuple[str, Found]:
            file = self._names.file(path)
            return hashlib.sha256(file.content).hexdigest(), self._found(file)

        return self._call("read", path, digest)

    def _found(self, file: File) -> Found:
        return Found(Kind.FILE, len(file.content), int(file.written_at * 1e9))

    # --- making ---

    def mkdir(self, directory: Path, *, parents: bool = False) -> None:
        if directory == self._root:
            return
        try:
            self._mkdir(directory)
        except FileNotFoundError:
            if not parents:
                raise
            self.mkdir(directory.parent, parents=True)
            self.mkdir(directory)
        except OSError:  # whatever it is, as in pathlib
            if not self._is_directory(directory):
                raise

    def _mkdir(self, directory: Path) -> None:
        def make(above: Directory) -> None:
            self._server.add(self.name, above, directory.name, Directory())

        self._call("mkdir", directory, lambda _: self._in(directory, make))

    def create(self, path: Path, content: bytes) -> None:
        def create(above: Directory, again: bool) -> None:
            there = above.entries.get(path.name)
            if not (again and isinstance(there, File) and there.content == content):  # its mark is on the server's disk
                self._server.create(self.name, above, path.name, content)

        self._call("create", path, lambda again: self._in(path, lambda above: create(above, again)))

    def append(self, path: Path, content: bytes) -> None:
        def append(again: bool) -> None:
            file = self._opened_to_write(path)
            if not (again and file.content.endswith(content)):  # else the same bytes to the same place
                self._server.write(self.name, path, file, file.content + content)

        self._call("append", path, append)

    def clone(self, source: Path, target: Path) -> None:
        self._mkdir(target)
        for name in sorted(self.names(source)):
            if self._is_directory(source / name):
                self.clone(source / name, target / name)
            else:
                self.create(target / name, self.read(source / name))

    # --- changing names ---

    def link(self, source: Path, target: Path) -> None:
        def link(above: Directory) -> None:
            inode = check_name(self._names.find(source))
            if isinstance(inode, Directory):
                fail(errno.EPERM)
            self._server.add(self.name, above, target.name, inode)

        self._call("link", source, lambda _: self._in(target, link), target)

    def rename(self, source: Path, target: Path) -> None:
        def rename(_: bool) -> None:
            check_name(self._names.find(source))
            here, there = self._names.above(source), self._names.above(target)
            try:
                self._server.move(self.name, here, source.name, there, target.name)
            finally:
                self._names.validate(here)
                self._names.validate(there)

        self._call("rename", source, rename, target)

    def unlink(self, path: Path) -> None:
        def unlink(above: Directory) -> None:
            check_file(self._names.find(path))
            self._server.drop(self.name, above, path.name)

        self._call("unlink", path, lambda _: self._in(path, unlink))

    def remove(self, path: Path) -> None:
        if not self._is_directory(path):
            with suppress(FileNotFoundError):
                self.unlink(path)
            return
        self._remove_directory(path)

    def _remove_directory(self, path: Path) -> None:
        for name in sorted(self.names(path)):
            if self._is_directory(path / name):
                self._remove_directory(path / name)
            else:
                self.unlink(path / name)
        self._call("rmdir", path, lambda _: self._in(path, lambda above: self._rmdir(above, path.name)))

    def _rmdir(self, above: Directory, name: str) -> None:
        if check_directory(above.entries.get(name)).entries:
            fail(errno.ENOTEMPTY)
        self._server.drop(self.name, above, name)

    def _in(self, path: Path, act: Callable[[Directory], None]) -> None:
        """Do something to a name. It always asks the server, and what is remembered of the directory is compared."""
        above = self._names.above(path)
        try:
            act(above)
        finally:
            self._names.validate(above)

    def _is_directory(self, path: Path) -> bool:
        try:
            return self._call("look up", path, lambda _: isinstance(self._names.find(path), Directory))
        except (FileNotFoundError, NotADirectoryError):
            return False

    # --- keeping open ---

    def keep_open(self, path: Path) -> "SimOpenFile":
        file = self._call("open", path, lambda _: self._opened_to_write(path))
        return SimOpenFile(self, path, file, None)

    def lock(self, path: Path) -> "SimOpenFile | None":
        locks, now, process = self._server.locks, self._scheduler.now, self._client.process

        def lock(_: bool) -> tuple[File, Held | None] | None:
            if now() < locks.grace_until:
                return None
            file = self._opened_to_write(path)
            return file, locks.take(file, self._client, process)

        while (answer := self._call("lock", path, lock)) is None:  # the client asks again by itself
            self._scheduler.wait_until(lambda: now() >= locks.grace_until, "time of grace")
        file, held = answer
        return None if held is None else SimOpenFile(self, path, file, held)

    def _opened_to_write(self, path: Path) -> File:
        """``O_CREAT`` without ``O_EXCL`` makes no new file where one is remembered, and asks where none is."""
        found = self._names.find(path)
        if found is None:
            above = self._names.above(path)
            if path.name not in above.entries:
                self._server.add(self.name, above, path.name, File(b"", self._scheduler.now()))
            self._names.validate(above)
            found = above.entries[path.name]
        if self._server.read_only:
            fail(errno.EROFS)
        return check_file(found)

    def write(self, path: Path, file: File, held: Held | None, content: bytes) -> None:
        """Through a descriptor, in place."""

        def write(_: bool) -> None:
            if held is not None and held.is_lost:
                fail(errno.EIO)
            self._server.write(self.name, path, file, content + file.content[len(content) :])

        self._call("write", path, write)

    def close(self, path: Path, held: Held | None) -> None:
        def close(_: bool) -> None:
            if held is not None:
                self._server.locks.give_up(held)

        self._call("close", path, close)


class SimOpenFile:
    """Port ``OpenFile``."""

    def __init__(self, mount: SimMount, path: Path, file: File, held: Held | None) -> None:
        self._mount = mount
        self._path = path
        self._file = file
        self._held = held

    def write(self, content: bytes) -> None:
        self._mount.write(self._path, self._file, self._held, content)

    def close(self) -> None:
        self._mount.close(self._path, self._held)
