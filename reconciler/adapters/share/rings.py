"""Measurements on the share: a file of rings for each node, and one in each claim's directory.

Written in place through a descriptor that stays open, never waiting for the server's disk: what a power failure takes
are the last seconds of a chart. Nobody but the node, or the claim's owner, ever writes one.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from reconciler.adapters.share.directory import SharedDirectory
from reconciler.adapters.share.faults import translated
from reconciler.adapters.share.files import MOUNTED, Files
from reconciler.adapters.share.names import is_there
from reconciler.codec.ring import Shape, Writing, header, load
from reconciler.core.containers import ClaimKey
from reconciler.core.measurements import RESOLUTIONS, Recorded, Slot
from reconciler.core.names import NodeName

SUFFIX = ".rings"
KEPT = timedelta(days=31)
NAME = re.compile(rf"[0-9]{{8}}{re.escape(SUFFIX)}")
MOST_FILES = 20
"""Of one node: a GPU that comes and goes must not fill the share."""


class Place(Protocol):
    """A file open for writing anywhere in it."""

    def put(self, content: bytes, offset: int) -> None: ...

    def close(self) -> None: ...


class _Descriptor:
    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def put(self, content: bytes, offset: int) -> None:
        os.pwrite(self._number, content, offset)

    def close(self) -> None:
        os.close(self._number)


class RingFile:
    """Port ``RingFile``. One thread writes."""

    def __init__(self, path: Path, place: Place, shape: Shape, recorded: Recorded | None) -> None:
        self.columns = shape.columns
        self.recorded = recorded
        self._path = path
        self._place = place
        self._shape = shape
        self._writing = Writing(shape)
        self._note: Mapping[str, float] | None = None

    def write(self, slots: Sequence[Slot], note: Mapping[str, float]) -> None:
        with translated(self._path):
            for offset, part in self._writing.parts(slots):
                self._place.put(part, offset)
            if note != self._note:
                self._place.put(header(self._shape, note), 0)
                self._note = dict(note)

    def close(self) -> None:
        with translated(self._path):
            self._place.close()


class Rings:
    """Port ``Rings``. A share of its own, so that nothing that hangs here is waited for elsewhere."""

    def __init__(
        self, share: SharedDirectory, files: Files = MOUNTED, open_: Callable[[Path], Place] = _Descriptor
    ) -> None:
        self._share = share
        self._files = files
        self._open = open_

    def open_node(self, node: NodeName, columns: Sequence[str], at: datetime) -> RingFile:
        """The newest file goes on if it has these columns; else another one is begun. What is old goes."""
        self._share.identity()
        directory = self._share.layout.metrics(node)
        with translated(directory):
            self._files.mkdir(directory, parents=True)
            names = self._names(directory)
            self._remove_old(directory, names[:-1], at)
            newest = self._read(directory / names[-1]) if names else None
            if newest is not None and set(columns) <= set(newest.columns):
                return self._opened(directory / names[-1], newest, newest.columns)
            number = int(names[-1].removesuffix(SUFFIX)) + 1 if names else 1
            return self._opened(directory / f"{number:08d}{SUFFIX}", None, _united(newest, columns))

    def open_run(self, key: ClaimKey, columns: Sequence[str]) -> RingFile:
        """Whoever looks after the claim goes on in its one file."""
        self._share.identity()
        path = self._stats(key)
        with translated(path):
            recorded = self._read(path)
            if recorded is not None and set(columns) <= set(recorded.columns):
                return self._opened(path, recorded, recorded.columns)
            return self._opened(path, None, columns)

    def read_run(self, key: ClaimKey) -> Recorded | None:
        path = self._stats(key)
        with translated(path):
            return self._read(path)

    def read_node(self, node: NodeName, since: datetime) -> tuple[Recorded, ...]:
        """Oldest first, as many as reach back so far."""
        directory = self._share.layout.metrics(node)
        found: list[Recorded] = []
        with translated(directory):
            for name in reversed(self._names(directory)):
                if (recorded := self._read(directory / name)) is not None:
                    found.append(recorded)
                    if recorded.begins <= since.timestamp():
                        break
        return tuple(reversed(found))

    def _opened(self, path: Path, recorded: Recorded | None, columns: Sequence[str]) -> RingFile:
        resolutions = tuple(ring.resolution for ring in recorded.rings) if recorded else RESOLUTIONS
        return RingFile(path, self._open(path), Shape(tuple(columns), resolutions), recorded)

    def _stats(self, key: ClaimKey) -> Path:
        return self._share.layout.claim(key.project, key.run, key.stage, key.number) / f"stats{SUFFIX}"

    def _names(self, directory: Path) -> list[str]:
        if not is_there(self._files, directory):
            return []
        return sorted(name for name in self._files.names(directory) if NAME.fullmatch(name))

    def _read(self, path: Path) -> Recorded | None:
        """None: there is none, or nothing in it that we could read."""
        try:
            self._files.refresh(path.parent)
            return load(self._files.read(path))
        except FileNotFoundError:
            return None

    def _remove_old(self, directory: Path, names: Sequence[str], at: datetime) -> None:
        for name in names[:-MOST_FILES]:
            self._files.unlink(directory / name)
        for name in names[-MOST_FILES:]:
            recorded = self._read(directory / name)
            if recorded is None or recorded.ends < (at - KEPT).timestamp():
                self._files.unlink(directory / name)


def _united(before: Recorded | None, columns: Sequence[str]) -> tuple[str, ...]:
    """A GPU that comes back finds its columns; those of one that was replaced are dropped once they are too many."""
    united = tuple(dict.fromkeys((*columns, *(before.columns if before else ()))))
    return united if len(united) <= 2 * len(columns) else tuple(columns)
