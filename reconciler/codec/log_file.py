"""Writing log.jsonl so that a crash at any point loses no line and doubles none.

Every write goes to a position that we keep ourselves, so one that failed half-way can simply be repeated. A
torn last line (the writer was killed) is cut off at the next opening, and the position in each stream
tells where the engine's own log has to be read on.
"""

import calendar
import hashlib
import os
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import BinaryIO, NamedTuple

from reconciler.codec.log_lines import STDOUT, Entry, decode

FSYNC_EVERY = 1.0
"""Seconds. An fsync is what makes lines visible to other NFS clients, and it is too dear for every line."""

TAIL_LINES, TAIL_WIDTH = 20, 500
RESULT, RESULTS_MOST, RESULT_WIDTH = "WINSLOW_RESULT:", 100, 1024


class Summary(NamedTuple):
    bytes: int
    lines: int
    sha256: str
    tail: tuple[str, ...]
    results: Mapping[str, str]


class Position:
    """How far one stream has been written: from which second to read it again, and how many lines of it to skip.

    Stamps come from a wall clock: if it was ever set back, the stream is counted from its beginning.
    """

    def __init__(self) -> None:
        self._last = ""
        self._total = 0
        self._in_second = 0
        self._went_back = False

    def saw(self, stamp: str) -> None:
        self._total += 1
        self._in_second = self._in_second + 1 if stamp[:19] == self._last[:19] else 1
        self._went_back = self._went_back or stamp < self._last
        self._last = stamp

    @property
    def since(self) -> int | None:
        """Seconds since the epoch; None: from the beginning."""
        if self._went_back or not self._last:
            return None
        return calendar.timegm(time.strptime(self._last[:19], "%Y-%m-%dT%H:%M:%S"))

    @property
    def skip(self) -> int:
        return self._total if self._went_back else self._in_second


class Tally:
    """What a summary says, kept up to date line by line."""

    def __init__(self) -> None:
        self.bytes = 0
        self.positions: dict[str, Position] = {}
        self.lines = 0
        self._hash = hashlib.sha256()
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._results: dict[str, str] = {}

    def add(self, entries: Iterable[Entry], encoded: bytes) -> None:
        self.bytes += len(encoded)
        self._hash.update(encoded)
        for entry in entries:
            self.lines += 1
            self._tail.append(entry.text[:TAIL_WIDTH])
            self.position(entry.stream).saw(entry.stamp)
            if entry.stream == STDOUT and entry.text.startswith(RESULT):
                self._add_result(entry.text.removeprefix(RESULT))

    def position(self, stream: str) -> Position:
        return self.positions.setdefault(stream, Position())

    def summary(self) -> Summary:
        return Summary(self.bytes, self.lines, self._hash.hexdigest(), tuple(self._tail), dict(self._results))

    def _add_result(self, text: str) -> None:
        """A later value of the same key wins; too many or too long ones are left out."""
        name, equals, value = text.partition("=")
        name = name.strip()
        known = name in self._results or len(self._results) < RESULTS_MOST
        if equals and name and known and len(text.encode()) <= RESULT_WIDTH:
            self._results[name] = value.strip()


class LogFile:
    """One writer's log.jsonl. Not thread-safe; OSErrors come through, and any call may then be repeated.

    A failed fsync (the share is full, say) has thrown away what the kernel had taken, and the next one would succeed
    without it. So everything since the last good fsync is kept here, and written again before anything else.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._synced_at = time.monotonic()
        self._unsynced = bytearray()
        self._failed = False
        try:
            with open(os.dup(self._file), "rb") as file:  # noqa: PTH123 - a descriptor, not a path
                self.tally = read_tally(file)
            os.ftruncate(self._file, self.tally.bytes)
        except OSError:
            os.close(self._file)
            raise

    def write(self, entries: list[Entry]) -> None:
        """Append; visible on this node at once, on others after the next ``sync``. If it fails, nothing was added."""
        if self._failed:
            self.sync()
        encoded = b"".join(entry.encode() for entry in entries)
        self._put(encoded, self.tally.bytes)
        self.tally.add(entries, encoded)
        self._unsynced += encoded

    def sync_if_due(self) -> None:
        if self._unsynced and time.monotonic() - self._synced_at >= FSYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        if self._failed:
            self._put(bytes(self._unsynced), self.tally.bytes - len(self._unsynced))
        self._failed = True
        os.fsync(self._file)
        self._failed = False
        self._unsynced.clear()
        self._synced_at = time.monotonic()

    def close(self) -> None:
        try:
            if self._unsynced:
                self.sync()
        finally:
            os.close(self._file)

    def _put(self, encoded: bytes, position: int) -> None:
        written = 0
        while written < len(encoded):
            written += os.pwrite(self._file, encoded[written:], position + written)


def read_tally(file: BinaryIO) -> Tally:
    """The tally of all whole lines from the file's beginning to its end or its first broken line."""
    tally = Tally()
    for line in file:
        if (entry := decode(line)) is None:
            break
        tally.add((entry,), line)
    return tally
