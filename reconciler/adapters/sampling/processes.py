"""Processes one by one: for programs without a control group of their own, and for what groups don't count."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def session(proc: Path, leader: int) -> tuple[int, ...]:
    """Who belongs to the session that this process leads. Looks at every process of the machine."""
    return tuple(pid for pid in _pids(proc) if (fields := _stat(proc, pid)) and fields[3] == str(leader))


def cpu_seconds(proc: Path, pids: Iterable[int]) -> float | None:
    """With those of their children that have ended and been waited for."""
    found = [fields for pid in pids if (fields := _stat(proc, pid))]
    return sum(int(tick) for fields in found for tick in fields[11:15]) / TICK if found else None


def memory_used(proc: Path, pids: Iterable[int]) -> int | None:
    """Anonymous memory. Pages that parent and child still share after a fork count for both."""
    found = [text.split() for pid in pids if (text := _read(proc / f"{pid}/statm"))]
    return sum(int(one[1]) - int(one[2]) for one in found) * PAGE if found else None


def disk_io(proc: Path, pids: Iterable[int]) -> tuple[int, int] | None:
    """Bytes read and written on disks and network shares. None where the kernel does not let us see one of them."""
    texts = [_read(proc / f"{pid}/io") for pid in pids]
    if not texts or not all(texts):
        return None
    lines = [line.partition(": ") for text in texts if text for line in text.splitlines()]
    read, written = ([int(value) for name, _, value in lines if name == kind] for kind in ("read_bytes", "write_bytes"))
    return sum(read), sum(written)


def network_io(proc: Path, pid: int) -> tuple[int, int] | None:
    """Bytes received and sent in the process's own network, but for what it says to itself."""
    text = _read(proc / f"{pid}/net/dev")
    if text is None:
        return None
    links = [line.partition(":") for line in text.splitlines()[2:]]
    counts = [counted.split() for name, _, counted in links if name.strip() != "lo"]
    return sum(int(one[0]) for one in counts), sum(int(one[8]) for one in counts)


def _pids(proc: Path) -> Iterator[int]:
    return (int(name) for name in os.listdir(proc) if name.isdigit())  # noqa: PTH208 - names alone, each two seconds


def _stat(proc: Path, pid: int) -> list[str] | None:
    """The fields of stat from the state on: the name before it may hold anything."""
    text = _read(proc / f"{pid}/stat")
    return text.rpartition(")")[2].split() if text else None


def _read(file: Path) -> str | None:
    """None: it has ended meanwhile, or is not for us."""
    with contextlib.suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace")
    return None
