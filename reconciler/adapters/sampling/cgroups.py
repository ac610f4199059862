"""What the kernel counts for a control group: both versions, found by the process that is in it.

A group counts as a run's own only if its path names the container or the run: a program that was started outside any
group of its own shares one with strangers. Memory is what can't be given back (anonymous and shared memory): the page
cache grows to whatever is free and says nothing about need.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.adapters.sampling.kernel import read_text

MOUNT = "sys/fs/cgroup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A directory for each, where it is the run's own. In the unified hierarchy they are one."""

    unified: bool
    cpu: str | None = None
    memory: str | None = None
    io: str | None = None

    def cpu_seconds(self) -> float | None:
        if self.cpu is None:
            return None
        if self.unified:
            used = _table(f"{self.cpu}/cpu.stat").get("usage_usec")
            return None if used is None else used / 1e6
        used = _number(f"{self.cpu}/cpuacct.usage")
        return None if used is None else used / 1e9

    def memory_used(self) -> int | None:
        if self.memory is None:
            return None
        found = _table(f"{self.memory}/memory.stat")
        names = ("anon", "shmem") if self.unified else ("total_rss", "total_shmem")
        return sum(found.get(name, 0) for name in names) if names[0] in found else None

    def disk_io(self) -> tuple[int, int] | None:
        """Bytes read from and written to disks of this machine; what goes to a network's share is not among them."""
        if self.io is None:
            return None
        return _unified_io(f"{self.io}/io.stat") if self.unified else _older_io(self.io)

    def members(self) -> tuple[int, ...] | None:
        directory = self.memory or self.cpu or self.io
        text = read_text(f"{directory}/cgroup.procs") if directory is not None else None
        return None if text is None else tuple(int(pid) for pid in text.split() if pid != "0")


def find(root: str, pid: int, words: Iterable[str]) -> Group:
    """The groups of the process ``pid`` whose paths hold one of ``words``."""
    places, names = _places(read_text(f"{root}/proc/{pid}/cgroup") or ""), tuple(words)
    own = {controller: path for controller, path in places.items() if any(name in path for name in names)}
    if read_text(f"{root}/{MOUNT}/cgroup.controllers") is not None:
        path = own.get("")
        directory = f"{root}/{MOUNT}/{path}" if path is not None else None
        return Group(unified=True, cpu=directory, memory=directory, io=directory)
    found = {name: f"{root}/{MOUNT}/{name}/{own[name]}" for name in ("cpuacct", "memory", "blkio") if name in own}
    return Group(unified=False, cpu=found.get("cpuacct"), memory=found.get("memory"), io=found.get("blkio"))


def _places(text: str) -> Mapping[str, str]:
    """Controller -> path below its mount; the unified hierarchy's controller is empty."""
    lines = (line.split(":", 2) for line in text.splitlines())
    split = ((line[1], line[2].lstrip("/")) for line in lines if len(line) == 3)
    return {controller: path for names, path in split for controller in names.split(",")}


def _unified_io(file: str) -> tuple[int, int] | None:
    text = read_text(file)
    if text is None:
        return None
    pairs = [word.partition("=") for word in text.split() if "=" in word]
    read, written = ([int(value) for name, _, value in pairs if name == wanted] for wanted in ("rbytes", "wbytes"))
    return sum(read), sum(written)


def _older_io(directory: str) -> tuple[int, int] | None:
    text = read_text(f"{directory}/blkio.throttle.io_service_bytes_recursive")
    if text is None:
        return None
    lines = [line.split() for line in text.splitlines()]
    read, written = ([int(line[2]) for line in lines if line[1:2] == [kind]] for kind in ("Read", "Write"))
    return sum(read), sum(written)


def _table(file: str) -> Mapping[str, int]:
    lines = (line.split() for line in (read_text(file) or "").splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}


def _number(file: str) -> int | None:
    text = (read_text(file) or "").strip()
    return int(text) if text.isdigit() else None
