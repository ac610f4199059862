"""What a supervisor keeps of its process on local disk: one small file, written whole or not at all."""

import contextlib
import json
import os
from typing import TypedDict, cast

from reconciler.adapters.process.cgroups import Group


class Identity(TypedDict):
    pid: int
    start: int


class State(TypedDict):
    """``ended_at`` is set last: from then on the log is complete and nothing changes any more."""

    labels: dict[str, str]  # whose process this is, as a container's labels would say
    boot: str
    supervisor: Identity
    program: Identity | None
    started_at: str
    ended_at: str | None
    exit_code: int | None
    error: str
    groups: list[Group]  # written before they are made, so that none is ever left behind
    limits: dict[str, str]  # those that hold
    gpus: list[str]
    oom_killed: bool


class Spec(TypedDict):
    """What the runtime hands to the supervisor through a pipe: secrets appear in no argument and no file."""

    path: str  # of the state file
    labels: dict[str, str]
    boot: str
    command: list[str]
    environment: dict[str, str]
    workspace: str
    log: str
    grace: float  # seconds between SIGTERM and SIGKILL
    groups: list[Group]
    limits: dict[str, str]  # what the groups are to enforce, for people
    gpus: list[str]


_SINCE = {"groups": [], "limits": {}, "gpus": [], "oom_killed": False}
"""What states of earlier versions lack: their programs may still run."""


def create(path: str, state: State) -> bool:
    """False if the file exists already: somebody else started this very attempt."""
    draft = _draft(path, state)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)  # noqa: PTH108 - pathlib would slow down every start
    return True


def replace(path: str, state: State) -> None:
    os.replace(_draft(path, state), path)  # noqa: PTH105


def read(path: str) -> State | None:
    """None: there is none, or a power failure left nothing of it."""
    with contextlib.suppress(FileNotFoundError, ValueError), open(path, encoding="utf-8") as file:  # noqa: PTH123
        return cast("State", {**_SINCE, **json.load(file)})
    return None


def _draft(path: str, state: State) -> str:
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(state, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    return draft
