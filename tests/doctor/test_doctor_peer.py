"""The two-node part can see what is wrong: both sides as threads, over a share that breaks its promises."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from reconciler.cli.doctor import peer
from reconciler.cli.doctor.finding import Finding, Level
from reconciler.cli.doctor.peer import Meeting
from reconciler.errors import Transient


def both(room: Path, part: Callable[[Meeting], Sequence[Finding]]) -> list[Finding]:
    found: list[Finding] = []
    sides = [
        threading.Thread(target=lambda side=side: found.extend(part(Meeting(room, side, patience=60))), daemon=True)
        for side in ("a", "b")
    ]
    for side in sides:
        side.start()
    for side in sides:
        side.join(90)
    return found


def test_names_that_two_can_take_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a share whose link replaces: each side reads its own token back."""
    at_once = threading.Barrier(2, timeout=60)
    read = Path.read_text

    def replace(source: Path, target: Path) -> None:
        target.unlink(missing_ok=True)
        target.with_name(target.name + Path(source).suffix).write_text(read(Path(source)))

    def read_own(path: Path, encoding: str | None = None) -> str:
        if not path.name.startswith("record"):
            return read(path, encoding=encoding)
        at_once.wait()
        return read(path.with_name(f"{path.name}.{threading.current_thread().name}"), encoding=encoding)

    monkeypatch.setattr(os, "link", replace)
    monkeypatch.setattr(Path, "read_text", read_own)
    monkeypatch.setattr(peer, "ROUNDS", 3)

    def race(meeting: Meeting) -> Sequence[Finding]:
        threading.current_thread().name = meeting.side
        return peer.exclusive(meeting)

    assert [finding.level for finding in both(tmp_path, race)] == [Level.PROBLEM, Level.PROBLEM]


def test_races_on_a_share_that_holds_have_one_winner_each(tmp_path: Path) -> None:
    assert [finding.level for finding in both(tmp_path, peer.exclusive)] == [Level.OK, Level.OK]


def test_a_side_that_is_alone_gives_up(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="not heard of"):
        Meeting(tmp_path, "a", patience=0.05).meet("here")
