"""What only two machines can show: that a name is taken once, that a lock keeps the other out, how soon one sees what
the other writes. Each side runs ``winslow doctor``; they find each other in a directory of the share's ``tmp/``.

They keep in step by making names there: a listing shows a new name at once, whatever is cached.
"""

import json
import os
import secrets
import shutil
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reconciler.adapters.host import LinuxHost
from reconciler.adapters.share.lock import ShareLock
from reconciler.cli.doctor.finding import Finding, ok, problem, warning
from reconciler.errors import BadInput, Transient

AREA = "peer"
ROUNDS = 100
CHANGES = 20
LATE = 3.0
"""Seconds after which the other side's heartbeat is seen late; a listing of the directory should refresh it at once."""
POLL = 0.01


class Meeting:
    """One of two sides. ``meet`` returns when both have called it with the same word."""

    def __init__(self, room: Path, side: str, *, patience: float) -> None:
        self.room = room
        self.side = side
        self.other = "b" if side == "a" else "a"
        self._patience = patience

    def meet(self, word: str) -> None:
        (self.room / f"{word}.{self.side}").touch()
        self.wait_for(f"{word}.{self.other}")

    def leave(self) -> None:
        """The second side's last word: the first one then clears the room."""
        (self.room / f"over.{self.side}").touch()

    def wait_for(self, name: str) -> None:
        self.until(lambda: name in set(os.listdir(self.room)))  # noqa: PTH208 - it opens the directory

    def until(self, holds: Callable[[], bool]) -> None:
        """Polls; Transient when the other side is not heard of for too long."""
        end = time.monotonic() + self._patience
        while not holds():
            if time.monotonic() > end:
                raise Transient(
                    f"the other side was not heard of for {self._patience:g} s; start both again: winslow doctor --peer"
                )
            time.sleep(POLL)

    def tell(self, word: str, fact: object) -> None:
        """Written whole before the name appears."""
        draft = self.room / f"draft.{self.side}"
        draft.write_text(json.dumps(fact), encoding="utf-8")
        draft.rename(self.room / f"{word}.{self.side}")

    def hear(self, word: str) -> Any:
        self.wait_for(f"{word}.{self.other}")
        return json.loads((self.room / f"{word}.{self.other}").read_text(encoding="utf-8"))


@contextmanager
def invited(root: Path, *, patience: float, say: Callable[[str], None]) -> Iterator[Meeting]:
    """The first side: makes the room and says how the second one gets in."""
    code = secrets.token_hex(3)
    room = _room(root, code)
    room.mkdir()
    try:
        say(f"now run on another node: winslow doctor --join {code}")
        meeting = Meeting(room, "a", patience=patience)
        meeting.meet("here")
        yield meeting
        meeting.wait_for("over.b")  # it has read everything
    finally:
        shutil.rmtree(room, ignore_errors=True)


def joined(root: Path, code: str, *, patience: float) -> Meeting:
    room = _room(root, code)
    if not code.isalnum() or not room.is_dir():
        raise BadInput(f"nobody waits under {code} on {root}; start the first side with winslow doctor --peer")
    meeting = Meeting(room, "b", patience=patience)
    meeting.meet("here")
    return meeting


def _room(root: Path, code: str) -> Path:
    return root / "tmp" / f"doctor.peer.{code}"


def examine_together(meeting: Meeting) -> Sequence[Finding]:
    """Both sides run this; each reports what it saw."""
    return [*_two_machines(meeting), *exclusive(meeting), *freshness(meeting), *locked_out(meeting)]


def _two_machines(meeting: Meeting) -> list[Finding]:
    boot = LinuxHost().boot()
    with (meeting.room / f"clock.{meeting.side}").open("w") as file:
        ahead = time.time() - os.fstat(file.fileno()).st_mtime
    meeting.tell("machine", {"boot": boot, "host": socket.gethostname(), "ahead": ahead})
    other = meeting.hear("machine")
    if other["boot"] == boot:
        told = "both sides run on one machine, which shows nothing about the server between two"
        return [warning(AREA, told, "run the other side on another node")]
    apart = abs(ahead - other["ahead"])
    told = f"the other side is {other['host']}; the clocks are {apart:.1f} s apart"
    return [warning(AREA, told, "let both follow NTP")] if apart > 5.0 else [ok(AREA, told)]


def exclusive(meeting: Meeting) -> list[Finding]:
    """Both link their own file to the same name at the same moment, a hundred times."""
    won = []
    for number in range(ROUNDS):
        mine = meeting.room / f"mine.{number}.{meeting.side}"
        mine.write_text(f"{meeting.side}{number}", encoding="utf-8")
        target = meeting.room / f"record.{number}"
        meeting.meet(f"race{number}")
        with suppress(FileExistsError):
            os.link(mine, target)
        won.append(target.read_text(encoding="utf-8") == f"{meeting.side}{number}")
    meeting.tell("won", won)
    others = meeting.hear("won")
    twice = sum(one and two for one, two in zip(won, others, strict=True))
    nobody = sum(not one and not two for one, two in zip(won, others, strict=True))
    if twice or nobody:
        told = f"of {ROUNDS} races for a name {twice} had two winners and {nobody} had none"
        return [problem(AREA, told, "this share can't keep claims apart: use NFSv4 with a server on one file system")]
    return [ok(AREA, f"{ROUNDS} races for the same name had one winner each ({sum(won)} of them here)")]


def freshness(meeting: Meeting) -> list[Finding]:
    """Each side in turn rewrites a file in place, as a heartbeat; the other says when it sees it."""
    took: list[float] = []
    for writer in ("a", "b"):
        path = meeting.room / f"beat.{writer}"
        if meeting.side == writer:
            took = _beat(meeting, path)
        else:
            _listen(meeting, path)
        meeting.meet(f"heard.{writer}")
    told = f"the other side sees a heartbeat after {statistics.median(took):.2f} s (at most {max(took):.2f} s)"
    if max(took) > LATE:
        return [warning(AREA, told, "a busy server, or odd mount options? raise ttl in winslow.yaml well above this")]
    return [ok(AREA, told)]


def _beat(meeting: Meeting, path: Path) -> list[float]:
    took = []
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for number in range(1, CHANGES + 1):
            began = time.monotonic()
            os.pwrite(descriptor, f"{number:08d}".encode(), 0)
            os.fsync(descriptor)
            meeting.wait_for(f"seen.{path.name}.{number}")
            took.append(time.monotonic() - began)
    finally:
        os.close(descriptor)
    return took


def _listen(meeting: Meeting, path: Path) -> None:
    for number in range(1, CHANGES + 1):
        meeting.until(lambda expected=f"{number:08d}": _read(path) == expected)  # type: ignore[misc]
        (meeting.room / f"seen.{path.name}.{number}").touch()


def _read(path: Path) -> str:
    """As nodes read: the directory is opened first."""
    if path.name not in os.listdir(path.parent):  # noqa: PTH208 - it opens the directory
        return ""
    return path.read_text(encoding="utf-8")


def locked_out(meeting: Meeting) -> list[Finding]:
    """Each side in turn holds a lock that the other must not get, and gets once it is released."""
    found: list[Finding] = []
    for holder in ("a", "b"):
        path = meeting.room / f"lock.{holder}"
        if meeting.side == holder:
            held = ShareLock.acquire(path)
            meeting.meet(f"held.{holder}")
            meeting.meet(f"tried.{holder}")
            if held is not None:
                held.release()
            meeting.meet(f"released.{holder}")
            meeting.meet(f"taken.{holder}")
            continue
        meeting.meet(f"held.{holder}")
        was_kept_out = ShareLock.acquire(path) is None
        meeting.meet(f"tried.{holder}")
        meeting.meet(f"released.{holder}")
        lock = ShareLock.acquire(path)
        found.append(_judged(was_kept_out=was_kept_out, got_it=lock is not None))
        if lock is not None:
            lock.release()
        meeting.meet(f"taken.{holder}")
    return found


def _judged(*, was_kept_out: bool, got_it: bool) -> Finding:
    if not was_kept_out:
        told = "a lock that the other side holds was given to this one, too"
        return problem(AREA, told, "mount it without nolock and local_lock on both; NFSv4 needs no lockd")
    if not got_it:
        return warning(AREA, "a lock that the other side released was not to be had", "look at the server's locks")
    return ok(AREA, "a lock of the other side keeps this one out until it is released")
