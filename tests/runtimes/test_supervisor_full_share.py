"""What a supervisor does about a log that it can't write to its end."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from reconciler.adapters.process import watch as watching
from reconciler.codec.log import read_lines
from reconciler.codec.log_file import LogFile


def watch(path: Path) -> tuple[watching.Watch, int]:
    program = subprocess.Popen(
        ["sh", "-c", "echo one; echo two"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    signals, other_end = os.pipe()
    return watching.Watch(program, LogFile(str(path)), 1.0, signals), other_end


def fail(monkeypatch: pytest.MonkeyPatch, number: int, *, times: int) -> None:
    """The first so many fsyncs fail."""
    real, failures = os.fsync, iter(range(times))

    def fsync(descriptor: int) -> None:
        if next(failures, None) is not None:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(watching, "GIVE_UP", 0.0)


def run(path: Path) -> watching.Watch:
    watched, other_end = watch(path)
    assert watched.run() == 0
    os.close(other_end)
    for pipe in (watched._program.stdout, watched._program.stderr):
        assert pipe is not None
        pipe.close()
    return watched


def test_the_end_of_a_log_waits_for_room_on_a_full_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could record the run's end on it either, so nothing is gained by giving up."""
    path = tmp_path / "log.jsonl"
    fail(monkeypatch, errno.ENOSPC, times=3)
    assert run(path).log_error == ""
    assert [line.line for line in read_lines(path).lines] == ["one", "two"]


def test_the_end_of_a_log_is_given_up_where_waiting_does_not_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, errno.EIO, times=100)
    assert "Input/output error" in run(tmp_path / "log.jsonl").log_error
