"""Processes one by one: for programs without a control group of their own, and for what groups don't count."""

import os
from collections.abc import Iterable, Iterator

from reconciler.adapters.sampling.kernel import read_text

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def exists(proc: str, pid: int) -> bool:
    return os.access(f"{proc}/{pid}/stat", os.F_OK)


def sessions(proc: str) -> dict[int, tuple[int, ...]]:
    """Who belongs to which session, by its leader. Looks at every process of the machine."""
    found: dict[int, list[int]] = {}
    for pid in _pids(proc):
        if fields := _stat(proc, pid):
            found.setdefault(int(fields[3]), []).append(pid)
    return {leader: tuple(pids) for leader, pids in found.items()}


def cpu_seconds(proc: str, pids: Iterable[int]) -> float | None:
    """With those of their children that have ended and been waited for."""
    found = [fields for pid in pids if (fields := _stat(proc, pid))]
    return sum(int(tick) for fields in found for tick in fields[11:15]) / TICK if found else None


def memory_used(proc: str, pids: Iterable[int]) -> int | None:
    """Anonymous memory. Pages that parent and child still share after a fork count for both."""
    found = [text.split() for pid in pids if (text := read_text(f"{proc}/{pid}/statm"))]
    return sum(int(one[1]) - int(one[2]) for one in found) * PAGE if found else None


def disk_io(proc: str, pids: Iterable[int]) -> tuple[int, int] | None:
    """Bytes read and written on disks and network shares. None where the kernel does not let us see one of them."""
    texts = [read_text(f"{proc}/{pid}/io") for pid in pids]
    if not texts or not all(texts):
        return None
    lines = [line.partition(": ") for text in texts if text for line in text.splitlines()]
    read, written = ([int(value) for name, _, value in lines if name == kind] for kind in ("read_bytes", "write_bytes"))
    return sum(read), sum(written)


def network_io(proc: str, pid: int) -> tuple[int, int] | None:
    """Bytes received and sent in the process's own network, but for what it says to itself."""
    text = read_text(f"{proc}/{pid}/net/dev")
    if text is None:
        return None
    links = [line.partition(":") for line in text.splitlines()[2:]]
    counts = [counted.split() for name, _, counted in links if name.strip() != "lo"]
    return sum(int(one[0]) for one in counts), sum(int(one[8]) for one in counts)


def _pids(proc: str) -> Iterator[int]:
    return (int(name) for name in os.listdir(proc) if name.isdigit())  # noqa: PTH208 - names alone, each two seconds


def _stat(proc: str, pid: int) -> list[str] | None:
    """The fields of stat from the state on: the name before it may hold anything."""
    text = read_text(f"{proc}/{pid}/stat")
    return text.rpartition(")")[2].split() if text else None
