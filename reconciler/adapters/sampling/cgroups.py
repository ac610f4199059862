"""What the kernel counts for a control group: both versions, found by the process that is in it.

A group counts as a run's own only if its path names the container or the run: a program that was started outside any
group of its own shares one with strangers. Memory is what can't be given back (anonymous and shared memory): the page
cache grows to whatever is free and says nothing about need.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MOUNT = "sys/fs/cgroup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A directory for each, where it is the run's own. In the unified hierarchy they are one."""

    unified: bool
    cpu: Path | None = None
    memory: Path | None = None
    io: Path | None = None

    def cpu_seconds(self) -> float | None:
        if self.cpu is None:
            return None
        if self.unified:
            used = _table(self.cpu / "cpu.stat").get("usage_usec")
            return None if used is None else used / 1e6
        used = _number(self.cpu / "cpuacct.usage")
        return None if used is None else used / 1e9

    def memory_used(self) -> int | None:
        if self.memory is None:
            return None
        found = _table(self.memory / "memory.stat")
        names = ("anon", "shmem") if self.unified else ("total_rss", "total_shmem")
        return sum(found.get(name, 0) for name in names) if names[0] in found else None

    def disk_io(self) -> tuple[int, int] | None:
        """Bytes read from and written to disks of this machine; what goes to a network's share is not among them."""
        if self.io is None:
            return None
        return _unified_io(self.io / "io.stat") if self.unified else _older_io(self.io)

    def members(self) -> tuple[int, ...] | None:
        directory = self.memory or self.cpu or self.io
        text = _read(directory / "cgroup.procs") if directory is not None else None
        return None if text is None else tuple(int(pid) for pid in text.split() if pid != "0")


def find(root: Path, pid: int, words: Iterable[str]) -> Group:
    """The groups of the process ``pid`` whose paths hold one of ``words``."""
    places, names = _places(_read(root / f"proc/{pid}/cgroup") or ""), tuple(words)
    own = {controller: path for controller, path in places.items() if any(name in path for name in names)}
    if (root / MOUNT / "cgroup.controllers").exists():
        path = own.get("")
        directory = root / MOUNT / path if path is not None else None
        return Group(unified=True, cpu=directory, memory=directory, io=directory)
    found = {name: root / MOUNT / name / own[name] for name in ("cpuacct", "memory", "blkio") if name in own}
    return Group(unified=False, cpu=found.get("cpuacct"), memory=found.get("memory"), io=found.get("blkio"))


def _places(text: str) -> Mapping[str, str]:
    """Controller -> path below its mount; the unified hierarchy's controller is empty."""
    lines = (line.split(":", 2) for line in text.splitlines())
    split = ((line[1], line[2].lstrip("/")) for line in lines if len(line) == 3)
    return {controller: path for names, path in split for controller in names.split(",")}


def _unified_io(file: Path) -> tuple[int, int] | None:
    text = _read(file)
    if text is None:
        return None
    pairs = [word.partition("=") for word in text.split() if "=" in word]
    read, written = ([int(value) for name, _, value in pairs if name == wanted] for wanted in ("rbytes", "wbytes"))
    return sum(read), sum(written)


def _older_io(directory: Path) -> tuple[int, int] | None:
    text = _read(directory / "blkio.throttle.io_service_bytes_recursive")
    if text is None:
        return None
    lines = [line.split() for line in text.splitlines()]
    read, written = ([int(line[2]) for line in lines if line[1:2] == [kind]] for kind in ("Read", "Write"))
    return sum(read), sum(written)


def _table(file: Path) -> Mapping[str, int]:
    lines = (line.split() for line in (_read(file) or "").splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}


def _number(file: Path) -> int | None:
    text = (_read(file) or "").strip()
    return int(text) if text.isdigit() else None


def _read(file: Path) -> str | None:
    """None: it has ended meanwhile, this kernel has no such file, or it is not for us."""
    with contextlib.suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace")
    return None
