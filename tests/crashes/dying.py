"""Dying at a named point, without a hook in the product.

Python itself tells of every call that touches the outside world (audit events, PEP 578); writes and fsyncs, of which it
doesn't tell, are wrapped. Each such boundary is one line of text, such as

    link tmp/alpha.1f.2e projects/ulm/records/00000002.json

and a point is a pattern of such lines. When the process comes to one that fits, it kills itself with SIGKILL: right
before the call, or right before the next boundary of the same thread, when the call is done and nothing after it.
Imports the standard library alone, because a stage's supervisor dies by it, too.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Point:
    """``name`` says for people what is done by then and what is not."""

    name: str
    pattern: str
    after: bool = False
    torn: bool = False  # of a pwrite: half of it gets written
    passage: int = 1  # the k-th time that it is met


@dataclass(frozen=True)
class Dying:
    """How one process dies: ``root`` is left out of paths, ``note`` gets the line at which it happened.

    Once: where the note has been written, a process with the same orders lives.
    """

    point: Point
    root: str
    note: str

    def arm(self, dies: int | None = None) -> None:
        """``dies``: the process that is killed, also where one that it forked comes to the point."""
        note = os.open(self.note, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if os.fstat(note).st_size == 0:
            watch_boundaries(Trigger(self.point, note, dies).passes, self.root)


@dataclass(frozen=True)
class Telling:
    """How one process lives, noting every boundary: what there is to die at."""

    root: str
    note: str

    def arm(self, dies: int | None = None) -> None:
        note = os.open(self.note, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

        def passes(line: str) -> bool:
            _write(note, f"{line}\n".encode())
            return False

        watch_boundaries(passes, self.root)


class Trigger:
    """Counts what fits the point; kills."""

    def __init__(self, point: Point, note: int, dies: int | None) -> None:
        self._point = point
        self._note = note
        self._dies = dies
        self._met = 0
        self._due_in: int | None = None  # thread
        self._lock = threading.Lock()

    def passes(self, line: str) -> bool:
        """True: do half of it, and come again."""
        with self._lock:
            if self._due_in == threading.get_ident():
                self._die(f"after: {line}")
            if self._due_in is not None or not fnmatchcase(line, self._point.pattern):
                return False
            self._met += 1
            if self._met < self._point.passage:
                return False
            if self._point.after or self._point.torn:
                self._due_in = threading.get_ident()
                return self._point.torn
            return self._die(f"before: {line}")

    def _die(self, line: str) -> bool:
        _write(self._note, f"{line}\n".encode())
        dies = os.getppid() if line.startswith(f"before: {CHILD}") else os.getpid()
        os.kill(self._dies or dies, signal.SIGKILL)
        return False


CHILD = "child: "
"""Before the lines of a process that is not yet the program that it will be; its parent is what dies there."""

_write, _pwrite, _fsync = os.write, os.pwrite, os.fsync
_communicate = subprocess.Popen.communicate


def watch_boundaries(passes: Callable[[str], bool], root: str) -> None:
    """Call ``passes`` with each boundary's line, for as long as this process lives. Its own calls are no boundaries."""
    inside = threading.local()
    starting = 0  # the process that starts others

    def tell(line: str) -> bool:
        if getattr(inside, "yes", False):
            return False
        inside.yes = True
        try:
            whose = CHILD if os.getppid() == starting else ""
            return passes(whose + line.replace(f"{root}/", ""))
        finally:
            inside.yes = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal starting
        if event == "subprocess.Popen":
            starting = os.getpid()
        if event in _LINES and not getattr(inside, "yes", False) and (line := _LINES[event](*arguments)):
            tell(line)

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        if tell(f"pwrite {_path(descriptor)}"):
            _pwrite(descriptor, data[: len(data) // 2], offset)
            tell("torn")
        return _pwrite(descriptor, data, offset)

    def fsync(descriptor: int) -> None:
        tell(f"fsync {_path(descriptor)}")
        _fsync(descriptor)

    def communicate(process: "subprocess.Popen[bytes]", *arguments: Any, **named: Any) -> Any:
        tell(f"started {_words(process.args)}")
        answer = _communicate(process, *arguments, **named)
        tell(f"answered {_words(process.args)}")
        return answer

    os.pwrite, os.fsync = pwrite, fsync  # type: ignore[assignment]
    subprocess.Popen.communicate = communicate  # type: ignore[method-assign,assignment]
    sys.addaudithook(hook)


def _opened(path: Any, mode: Any, flags: Any) -> str:
    if isinstance(path, int):
        return ""
    return f"{'write' if int(flags) & os.O_ACCMODE else 'read'} {_path(path)}"


def _requested(_connection: object, data: object) -> str:
    """Of a request to the engine its first line."""
    return f"request {data.split(b' HTTP', 1)[0].decode()}" if isinstance(data, bytes) and b" HTTP/1" in data else ""


_LINES: dict[str, Callable[..., str]] = {
    "open": _opened,
    "os.link": lambda source, target, *_: f"link {_path(source)} {_path(target)}",
    "os.rename": lambda source, target, *_: f"rename {_path(source)} {_path(target)}",
    "os.mkdir": lambda path, _mode, within: f"mkdir {_path(path, within)}",
    "os.remove": lambda path, within: f"remove {_path(path, within)}",
    "os.rmdir": lambda path, within: f"rmdir {_path(path, within)}",
    "os.symlink": lambda _source, target, within: f"symlink {_path(target, within)}",
    "os.truncate": lambda path, _length: f"truncate {_path(path)}",
    "subprocess.Popen": lambda _executable, command, *_: f"run {_words(command)}",
    "http.client.send": _requested,
}


def _path(path: Any, within: int = -1) -> str:
    """As text, also of a descriptor, or relative to one."""
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")  # noqa: PTH115
    found = os.fsdecode(path)
    return f"{_path(within)}/{found}" if within >= 0 else found


def _words(command: Any) -> str:
    """A command without the directory of its program, its options before the command proper, and its values."""
    words = [os.fsdecode(word) for word in ([command] if isinstance(command, str | bytes) else command)]
    return " ".join([Path(words[0]).name, *words[1:]])
