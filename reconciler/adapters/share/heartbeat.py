"""A node's sign of life: one small file, rewritten in place through a descriptor that stays open.

In place, because that works on a full export and never makes a new name; through a kept descriptor that was
created for writing, because opening by name can itself be stale. Nobody else ever writes it.
"""

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from reconciler.adapters.share.names import refresh

SIZE = 4096  # one page: never torn


class HeartbeatFile:
    """Not thread-safe: one thread beats."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._opened = secrets.token_hex(4)  # a descriptor opened anew never repeats the last one's bytes
        self._count = 0

    def beat(self, facts: dict[str, object]) -> None:
        """Write the next beat. ``facts`` are for people; observers only ask whether the bytes changed."""
        self._count += 1  # written first: long facts are cut off, and what is left must change with each beat
        text = json.dumps({"count": self._count, "opened": self._opened, **facts}, ensure_ascii=False)
        os.pwrite(self._descriptor, text.encode()[: SIZE - 1].ljust(SIZE - 1) + b"\n", 0)
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def read_heartbeat(path: Path) -> tuple[bytes, datetime] | None:
    """The bytes now and when they were written; None if there is no such heartbeat.

    Opens, reads, closes: never a kept descriptor, which could show old bytes and would delay the writer.
    """
    try:
        refresh(path.parent)
        with path.open("rb") as file:
            return file.read(), datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
    except FileNotFoundError:
        return None
