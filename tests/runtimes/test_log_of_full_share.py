"""A log that can't be written is tried again every few seconds, perhaps all night: nothing may stay of each try."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.docker.logs import Follower
from reconciler.codec.log_file import LogFile
from reconciler.errors import ShareUnavailable

READY = b"2026-11-23T07:00:00.000000001Z ready\n"


class SilentStream:
    """Of a program that runs on and says nothing."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        self._closed.wait(60)
        return iter(())

    def close(self) -> None:
        self._closed.set()


class Engine:
    def __init__(self) -> None:
        self.api = self

    def inspect_container(self, _: str) -> dict[str, Any]:
        return {"State": {"Running": True}}

    def logs(self, _: str, *, stdout: bool, **__: Any) -> Any:
        return iter((READY,)) if stdout else SilentStream()


class FullShare(LogFile):
    def write(self, entries: object) -> None:
        raise OSError(28, "No space left on device")


def test_no_thread_waits_on_for_a_silent_stream(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    log = FullShare(str(tmp_path / "log.jsonl"))
    engine: Any = Engine()
    with pytest.raises(ShareUnavailable, match="No space left"):
        Follower(engine, "x", log).follow()
    log.close()
    for reader in set(threading.enumerate()) - before:
        reader.join(30)
        assert not reader.is_alive(), f"{reader.name} goes on, with its connection to the engine"
