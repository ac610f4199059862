"""A node's sign of life: one small file, rewritten in place through a descriptor that stays open.

In place, because that works on a full export and never makes a new name; through a kept descriptor that was
created for writing, because opening by name can itself be stale. Nobody else ever writes it.
"""

import json
import secrets
from datetime import datetime
from pathlib import Path

from reconciler.adapters.share.files import MOUNTED, Files

SIZE = 4096  # one page: never torn


class HeartbeatFile:
    """Not thread-safe: one thread beats."""

    def __init__(self, path: Path, files: Files = MOUNTED) -> None:
        files.mkdir(path.parent, parents=True)
        self._file = files.keep_open(path)
        self._opened = secrets.token_hex(4)  # a descriptor opened anew never repeats the last one's bytes
        self._count = 0

    def beat(self, facts: dict[str, object]) -> None:
        """Write the next beat. ``facts`` are for people; observers only ask whether the bytes changed."""
        self._count += 1
        told = {"count": self._count, "opened": self._opened, **facts}
        while len(page := _page(told)) >= SIZE:
            told.popitem()  # the last fact, and whole: of a page that is cut off nobody could read any
        self._file.write(page.ljust(SIZE - 1) + b"\n")

    def close(self) -> None:
        self._file.close()


def _page(told: dict[str, object]) -> bytes:
    """No word that somebody wrote, e.g. a file's name that is not UTF-8, may keep a node from beating."""
    return json.dumps(told, ensure_ascii=False).encode(errors="replace")


def read_heartbeat(path: Path, files: Files = MOUNTED) -> tuple[bytes, datetime] | None:
    """The bytes now and when they were written; None if there is no such heartbeat.

    Opens, reads, closes: never a kept descriptor, which could show old bytes and would delay the writer.
    """
    try:
        files.refresh(path.parent)
        return files.read_dated(path)
    except FileNotFoundError:
        return None
