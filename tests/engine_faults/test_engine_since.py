"""Since when the engine has been running, asked of the machine: of whoever listens at the socket."""

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from reconciler.adapters.docker import since
from reconciler.adapters.docker.since import engine_since
from tests.engine_faults.private import PrivateEngine


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[str]:
    """A socket at which something else listens: a proxy, a tunnel, or systemd for the engine."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        yield f"unix://{tmp_path}/s"


class Process:
    def __init__(self, pid: int, name: str, created: float, parent: int = 1) -> None:
        self.pid = pid
        self.ppid = lambda: parent
        self.name = lambda: name
        self.create_time = lambda: created


def test_a_restarted_engine_is_a_younger_one(own_engine: PrivateEngine) -> None:
    first = engine_since(own_engine.host)
    assert first is not None
    assert abs(first - datetime.now(UTC)) < timedelta(minutes=5)
    own_engine.end()
    assert engine_since(own_engine.host) is None
    own_engine.start()
    second = engine_since(own_engine.host)
    assert second is not None
    assert second > first


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:1", "ssh://lab-2", "unix:///nowhere/docker.sock"])
def test_of_an_engine_elsewhere_it_is_not_known(host: str) -> None:
    assert engine_since(host) is None


def test_a_listener_that_is_no_engine_says_nothing(foreign: str) -> None:
    assert engine_since(foreign) is None


def test_where_systemd_listens_the_youngest_engine_counts(foreign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's unit says -H fd://. Of several engines any may be meant: doubt costs an attempt, not a project."""
    found = [Process(7, "dockerd", 100.0), Process(8, "dockerd", 200.0), Process(os.getpid(), "python", 300.0)]
    systemd_listens(monkeypatch, found)
    assert engine_since(foreign) == datetime.fromtimestamp(200.0, UTC)


def test_an_engine_inside_a_container_is_not_the_one(foreign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CI job starts one while a stage runs: were it taken for the stage's, a success would count as lost."""
    found = [Process(7, "dockerd", 100.0), Process(8, "dockerd", 200.0, parent=7001)]
    systemd_listens(monkeypatch, found)
    assert engine_since(foreign) == datetime.fromtimestamp(100.0, UTC)


def systemd_listens(monkeypatch: pytest.MonkeyPatch, processes: list[Process]) -> None:
    def credentials(*_: Any) -> int:
        return 1

    monkeypatch.setattr(since, "_listener", credentials)
    monkeypatch.setattr(psutil, "process_iter", lambda: iter(processes))
