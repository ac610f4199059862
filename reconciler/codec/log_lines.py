"""One line of log.jsonl: ``{"t": time, "s": stream, "l": text}``, and how a program's bytes become such lines.

Imports little on purpose: each stage without a container is watched by a small process that needs just this.
"""

import json
import time
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import NamedTuple

STDOUT, STDERR, WINSLOW = "stdout", "stderr", "winslow"

LIMIT = 65_536
"""Bytes of one line; what is longer becomes several lines."""


class Entry(NamedTuple):
    """``stamp`` is RFC 3339 in UTC with nanoseconds, so that stamps sort as text."""

    stamp: str
    stream: str
    text: str

    def encode(self) -> bytes:
        text = encode_basestring(self.text)
        return f'{{"t":"{self.stamp}","s":"{self.stream}","l":{text}}}\n'.encode()


def decode(line: bytes) -> Entry | None:
    """The entry on one line of the file; None if that is not a whole one."""
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
        entry = Entry(found["t"], found["s"], found["l"])
    except (ValueError, TypeError, KeyError):
        return None
    return entry if all(isinstance(part, str) for part in entry) else None


def stamp_of(nanoseconds: int) -> str:
    """Nanoseconds since the epoch as the text that log.jsonl holds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


class Splitter:
    """Bytes of one stream in, texts of lines out.

    A carriage return overwrites its line as on a terminal: when the line ends, only what stood there last is
    kept. A progress bar of a million updates therefore does not fill the disk; ``glimpse`` shows it between.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._glimpsed = False

    def feed(self, data: bytes) -> Iterator[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield from self._ended(line)
        if len(self._rest) > LIMIT:
            self._forget_overwritten()
            while len(self._rest) > LIMIT:
                piece, self._rest = _cut(self._rest)
                yield _text(piece)

    def glimpse(self) -> Iterator[str]:
        """What an unfinished line shows now, if a carriage return completed it; each state once."""
        before, returned, rest = self._rest.rpartition(b"\r")
        if returned and (shown := _shown(before)):
            self._rest, self._glimpsed = rest, True
            yield from _pieces(shown)

    def finish(self) -> Iterator[str]:
        """The last line, when the program ended without ending it."""
        if self._rest:
            yield from self._ended(self._rest)
            self._rest = b""

    def _ended(self, line: bytes) -> Iterator[str]:
        shown = _shown(line)
        if shown or not self._glimpsed:
            yield from _pieces(shown)
        self._glimpsed = False

    def _forget_overwritten(self) -> None:
        before, returned, rest = self._rest.rpartition(b"\r")
        if returned:
            self._rest = _shown(before) + b"\r" + rest


def _shown(line: bytes) -> bytes:
    return next((part for part in reversed(line.split(b"\r")) if part), b"")


def _pieces(line: bytes) -> Iterator[str]:
    while len(line) > LIMIT:
        piece, line = _cut(line)
        yield _text(piece)
    yield _text(line)


def _cut(line: bytes) -> tuple[bytes, bytes]:
    """Split after at most LIMIT bytes, but not inside a UTF-8 character."""
    end = next((at for at in range(LIMIT, LIMIT - 4, -1) if line[at] & 0xC0 != 0x80), LIMIT)
    return line[:end], line[end:]


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace")
