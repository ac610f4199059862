"""A stage's control groups: the kernel's way to limit what a program and all that it starts may take.

The program enters its groups before its first instruction, so nothing that it starts is ever outside them. They serve
for killing, too: a child may leave the program's session, but never its group. Who may make groups, and where, is
``delegation``'s matter. Whatever can't be made or set is left out; the program runs all the same, and the state file
says what holds. The supervisor starts from here, so this imports little.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from typing import TypedDict

PATIENCE = 5.0
"""Seconds for killed processes to be gone: they are while the kernel takes back what they held."""


class Setting(TypedDict):
    file: str
    value: str
    limit: str  # the word for people; empty: it is not missed where the kernel lacks it


class Group(TypedDict):
    """One directory to be made. The unified hierarchy has one for everything, the older one for each controller."""

    path: str
    controllers: list[str]  # to be passed on by the directory above, in the unified hierarchy
    settings: list[Setting]


def make(groups: Iterable[Group]) -> None:
    """Make them with their limits, or set those again; there is no harm in repeating it."""
    for group in groups:
        with contextlib.suppress(OSError):
            _make(group)
        for setting in group["settings"]:
            _write(f"{group['path']}/{setting['file']}", setting["value"])


def enter(groups: Iterable[Group]) -> list[str]:
    """Put this process into them; returns the words of the limits that hold for it from now on."""
    return [
        setting["limit"]
        for group in groups
        if _write(f"{group['path']}/cgroup.procs", "0")
        for setting in group["settings"]
        if setting["limit"] and _read(f"{group['path']}/{setting['file']}").split() == setting["value"].split()
    ]


def oom_killed(paths: Iterable[str]) -> bool:
    """Has the kernel killed anything in there for want of memory?"""
    for path in paths:
        for file in ("memory.events", "memory.oom_control"):
            for line in _read(f"{path}/{file}").splitlines():
                if line.startswith("oom_kill ") and line.split()[1] != "0":
                    return True
    return False


def has_members(paths: Iterable[str]) -> bool:
    return any(_members(path) for path in paths)


def kill(paths: Iterable[str]) -> None:
    """Kill everything in them, however fast it forks. It may still be going when this returns."""
    for path in paths:
        if _write(f"{path}/cgroup.kill", "1"):
            continue
        _write(f"{path}/pids.max", "0")
        for _ in range(100):
            if not (members := _members(path)):
                break
            for pid in members:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)


def remove(paths: Iterable[str]) -> bool:
    """Remove them, and what holds them once it is empty; False if something in them does not die."""
    give_up_at = time.monotonic() + PATIENCE
    for path in paths:
        while not _remove(path):
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.01)
        _remove(os.path.dirname(path))  # noqa: PTH120 - pathlib would slow down every start
    return True


def _make(group: Group) -> None:
    """Another stage's end may take the directory above away between two steps."""
    above = os.path.dirname(group["path"])  # noqa: PTH120
    for _ in range(10):
        with contextlib.suppress(FileExistsError):
            os.mkdir(above)  # noqa: PTH102
        for controller in group["controllers"]:
            _write(f"{above}/cgroup.subtree_control", f"+{controller}")
        with contextlib.suppress(FileNotFoundError):
            os.mkdir(group["path"])  # noqa: PTH102
            return


def _remove(path: str) -> bool:
    try:
        os.rmdir(path)  # noqa: PTH106
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _members(path: str) -> list[int]:
    return [int(pid) for pid in _read(f"{path}/cgroup.procs").split() if pid != "0"]


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:  # noqa: PTH123
        return file.read()
    return ""


def _write(path: str, text: str) -> bool:
    """In one piece, as the kernel wants it, and never making a file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(descriptor, text.encode())
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
