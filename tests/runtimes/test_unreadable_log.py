"""The engine says in the middle of a log that it can't read on: that must not hold up the program's end for ever."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.adapters.docker import logs
from reconciler.adapters.docker.logs import Follower
from reconciler.codec.log import read_lines
from reconciler.codec.log_file import LogFile

READY = b"2026-11-23T07:00:00.000000001Z ready\n"
REFUSED = b"Error grabbing logs: unexpected EOF\n"


class TornEngine:
    """Of a container that runs for the first ``rounds`` looks. Its log breaks off behind the first line."""

    def __init__(self, rounds: int) -> None:
        self.api = self
        self._rounds = rounds

    def inspect_container(self, _: str) -> dict[str, Any]:
        self._rounds -= 1
        return {"State": {"Running": self._rounds >= 0}}

    def logs(self, _: str, *, stdout: bool, **__: Any) -> Iterator[bytes]:
        yield from (READY, REFUSED) if stdout else ()


@pytest.mark.parametrize("rounds", [0, 2])
def test_what_was_read_stays_and_the_log_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    monkeypatch.setattr(
        logs, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 0.0, time_ns=lambda: 10**18)
    )
    log = LogFile(str(tmp_path / "log.jsonl"))
    engine: Any = TornEngine(rounds)
    summary = Follower(engine, "x", log).follow()
    log.close()
    ready, told = read_lines(tmp_path / "log.jsonl").lines
    assert (ready.line, told.stream, summary.lines) == ("ready", "stderr", 2)
    assert told.line.endswith("can't read the rest of this log: Error grabbing logs: unexpected EOF")
