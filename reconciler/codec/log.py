"""Reading log.jsonl: pages of lines, progress, and what to record of a finished log."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.codec.log_file import Summary
from reconciler.codec.log_lines import STDOUT, Entry, decode
from reconciler.core.records import LogPointer

_PERCENT = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d+)?) ?%")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a program's output; ``stream`` is stdout, stderr or winslow (our own remark)."""

    time: datetime
    stream: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Whole lines from a byte offset on. ``ended``: the file holds no further whole line now."""

    lines: tuple[LogLine, ...]
    next_offset: int
    ended: bool


def read_lines(path: Path, *, offset: int = 0, limit: int = 262_144) -> Page:
    """About ``limit`` bytes from ``offset``; a negative one counts from the end. No file yet: an empty page.

    The directory is opened first: on NFS, that is what makes a name or an end that is new visible.
    """
    try:
        os.close(os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY))
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(size + offset, 0) if offset < 0 else min(offset, size)
            file.seek(start)
            data = file.read(limit)
            data += file.readline() if data and not data.endswith(b"\n") else b""
    except FileNotFoundError:
        return Page(lines=(), next_offset=max(offset, 0), ended=True)
    skipped = data.find(b"\n") + 1 if offset < 0 and start > 0 else 0
    whole = data[skipped : data.rfind(b"\n") + 1]
    entries = (decode(line) for line in whole.splitlines(keepends=True))
    end = start + skipped + len(whole)
    return Page(lines=tuple(map(_line, filter(None, entries))), next_offset=end, ended=start + len(data) >= size)


def progress_of(lines: Iterable[LogLine]) -> float | None:
    """The last ``N %`` on stdout, if it is one: 0 to 100."""
    for line in reversed(tuple(lines)):
        if line.stream == STDOUT and (found := _PERCENT.findall(line.line)):
            percent = float(found[-1])
            return percent if percent <= 100.0 else None
    return None


def pointer_of(summary: Summary, path: str) -> LogPointer:
    return LogPointer(path=path, bytes=summary.bytes, lines=summary.lines, sha256=summary.sha256, tail=summary.tail)


def time_of(stamp: str) -> datetime:
    """A stamp with nanoseconds as a datetime, which holds microseconds."""
    return datetime.fromisoformat(stamp)


def _line(entry: Entry) -> LogLine:
    return LogLine(time=time_of(entry.stamp), stream=entry.stream, line=entry.text)
