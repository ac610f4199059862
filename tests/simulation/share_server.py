"""The simulated NFS server: its disk, its locks, what it may refuse, what it may forget. See ``share.py``."""

import errno
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.ports import Scheduler
from tests.simulation.share_locks import Locks
from tests.simulation.share_mount import SimMount
from tests.simulation.share_tree import Backup, Directory, Disk, File, Inode, fail

Watch = Callable[[str, str, bytes | None], None]
"""Told: by which mount, the path below the share, and what stands there now (None: nothing; b"": a directory)."""


@dataclass(frozen=True, slots=True)
class Late:
    """A request whose caller is dead. It arrives when it is due, unless the network keeps it."""

    due: float
    arrives: Callable[[], bool]
    effect: Callable[[], object]


class SimServer:
    def __init__(
        self,
        scheduler: Scheduler,
        *,
        root: Path = Path("/share"),
        sync: bool = True,
        lease: float = 10.0,
        watch: Watch | None = None,
    ) -> None:
        self.root = root
        self.sync = sync
        self.full = 0
        self.read_only = False
        self.is_down = False
        self.restarts = 0
        self.scheduler = scheduler
        self.disk = Disk(scheduler.now, journal=not sync)
        self.locks = Locks(scheduler, lease)
        self.late: list[Late] = []
        self._watch = watch

    def mount(self, name: str, *, soft: bool = False) -> SimMount:
        self.locks.booted(name)
        return SimMount(self, name, soft=soft)

    # --- what happens to it ---

    def crash(self, lost: float | None = None) -> None:
        self.is_down = True
        if not self.sync:
            self.disk.forget(self.scheduler.random.uniform(0, 5) if lost is None else lost)

    def restart(self) -> None:
        self.is_down = False
        self.restarts += 1
        self.locks.restart()

    def backup(self) -> Backup:
        return self.disk.backup()

    def restore(self, backup: Backup) -> None:
        self.disk.restore(backup)

    # --- looked at from the side ---

    @property
    def changes(self) -> int:
        return self.disk.changes

    def content(self, path: str) -> bytes | None:
        inode = self.disk.find(path)
        return inode.content if isinstance(inode, File) else None

    def names(self, path: str) -> set[str]:
        inode = self.disk.find(path)
        return set(inode.entries) if isinstance(inode, Directory) else set()

    def files(self) -> Iterator[tuple[str, bytes]]:
        return ((path, file.content) for path, file in self.disk.files())

    def put(self, path: str, content: bytes) -> None:
        *above, name = path.split("/")
        directory = self.disk.root
        for part in above:
            if part not in directory.entries:
                self.disk.set(directory, part, Directory())
            below = directory.entries[part]
            assert isinstance(below, Directory)
            directory = below
        self.disk.set(directory, name, File(content, self.scheduler.now()))

    # --- what calls do once they have arrived; ``by`` is the mount ---

    def add(self, by: str, directory: Directory, name: str, inode: Inode) -> None:
        """A new name: for a new file or directory, or a second one for a file."""
        self._check(directory)
        if name in directory.entries:
            fail(errno.EEXIST)
        if isinstance(inode, Directory) and self.full:
            fail(self.full)
        self.disk.set(directory, name, inode)
        self._tell(by, directory, name, inode)

    def create(self, by: str, directory: Directory, name: str, content: bytes) -> File:
        """On a full disk the name is made, and nothing can be written."""
        file = File(b"", self.scheduler.now()) if self.full else File(content, self.scheduler.now())
        self.add(by, directory, name, file)
        if self.full:
            fail(self.full)
        return file

    def write(self, by: str, path: Path, file: File, content: bytes) -> None:
        """In place needs no space; growing does."""
        if self.read_only:
            fail(errno.EROFS)
        if not file.lives:
            fail(errno.ESTALE)
        if self.full and len(content) > len(file.content):
            fail(self.full)
        self.disk.write(file, content)
        if self._watch is not None:
            self._watch(by, path.relative_to(self.root).as_posix(), content)

    def drop(self, by: str, directory: Directory, name: str) -> None:
        self._check(directory)
        if name not in directory.entries:
            fail(errno.ENOENT)
        self.disk.set(directory, name, None)
        self._tell(by, directory, name, None)

    def move(self, by: str, source: Directory, name: str, target: Directory, new: str) -> None:
        self._check(source)
        self._check(target)
        inode, there = source.entries.get(name), target.entries.get(new)
        if inode is None:
            fail(errno.ENOENT)
        if inode is there:
            return
        if there is not None:
            _check_may_replace(inode, there)
        self.disk.set(source, name, None)
        self.disk.set(target, new, inode)
        self._tell(by, source, name, None)
        self._tell(by, target, new, inode)

    def leave(self, due: float, arrives: Callable[[], bool], effect: Callable[[], object]) -> None:
        self.late.append(Late(due, arrives, effect))

    def do_late(self) -> None:
        """Whoever asked for it never hears of it."""
        now = self.scheduler.now()
        arriving = [late for late in self.late if late.due <= now and late.arrives()]
        self.late = [late for late in self.late if late not in arriving]
        for late in arriving:
            with suppress(OSError):
                late.effect()

    def _check(self, directory: Directory) -> None:
        if self.read_only:
            fail(errno.EROFS)
        if not directory.lives:
            fail(errno.ESTALE)

    def _tell(self, by: str, directory: Directory, name: str, inode: Inode | None) -> None:
        if self._watch is not None:
            above = directory.path()
            content = inode.content if isinstance(inode, File) else None if inode is None else b""
            self._watch(by, f"{above}/{name}" if above else name, content)


def _check_may_replace(inode: Inode, there: Inode) -> None:
    if isinstance(there, Directory):
        if isinstance(inode, File):
            fail(errno.EISDIR)
        if there.entries:
            fail(errno.ENOTEMPTY)
    elif isinstance(inode, Directory):
        fail(errno.ENOTDIR)
