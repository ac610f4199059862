"""``winslow wait``: for scripts, until a project has succeeded, failed, needs a person, or the time is up."""

import re
import time
from enum import StrEnum
from typing import Annotated

import typer

from readonly_ui.overview import newest_run
from reconciler.cli.codes import Exit
from reconciler.cli.options import CloneOption, ConfigOption, ProjectArgument, reader
from reconciler.cli.output import err, out
from reconciler.cli.status import waiting_lines
from reconciler.codec.quantities import duration
from reconciler.core.names import ProjectName
from reconciler.core.status import ProjectPhase, ProjectStatus
from reconciler.errors import BadInput, Transient
from reconciler.readers import Reader
from reconciler.readers.find import find_project

POLL = 1.0
DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[dhms])+")
MOVING = (ProjectPhase.QUEUED, ProjectPhase.RUNNING)


class Goal(StrEnum):
    SUCCEEDED = "succeeded"
    IDLE = "idle"


def wait(
    project: ProjectArgument,
    config: ConfigOption = None,
    clone: CloneOption = None,
    goal: Annotated[
        Goal, typer.Option("--for", help="succeeded: the whole pipeline; idle: nothing runs or is queued.")
    ] = Goal.SUCCEEDED,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Give up with code 3 after this, such as 10m or 1h30m.")
    ] = None,
) -> None:
    """Wait until a project has succeeded.

    Exit code 1: it failed or needs a person; 3: the time is up.
    """
    limit = _seconds(timeout)
    found = _await_rest(reader(config, clone), ProjectName(project), limit)
    if found is None:
        err().print(f"winslow: '{project}' is still going after {timeout}")
        raise typer.Exit(Exit.UNAVAILABLE)
    last = newest_run(found)
    out().print(f"{found.project}: {found.phase}" + (f" after run {last.run} ({last.stage})" if last else ""))
    if found.phase is ProjectPhase.SUCCEEDED or goal is Goal.IDLE:
        return
    for line in waiting_lines(found):
        out().print(line)
    raise typer.Exit(Exit.FAILED)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    if not DURATION.fullmatch(text):
        raise BadInput(f"--timeout: '{text}' is no time; write a number with a unit, such as 90s, 10m or 1h30m")
    return duration(text).total_seconds()


def _await_rest(source: Reader, name: ProjectName, limit: float | None) -> ProjectStatus | None:
    """The project once nothing of it moves; None when the time is up.

    An outage that begins while we wait is waited for as well: a script must not lose a night to it.
    """
    look = _Look(source, name)
    found = look.moving_or_at_rest()
    deadline = None if limit is None else time.monotonic() + limit
    told = ""
    while found is None or found.phase in MOVING:
        if deadline is not None and time.monotonic() >= deadline:
            return None
        time.sleep(POLL)
        try:
            found = look.moving_or_at_rest()
        except Transient as error:
            if str(error) != told:
                told = str(error)
                err().print(f"winslow: {told}; still waiting")
    return found


class _Look:
    """In a clone what was just pushed may not have reached the nodes: the project is about to move then."""

    def __init__(self, source: Reader, name: ProjectName) -> None:
        self._source = source
        self._name = name
        self._told: str | None = None

    def moving_or_at_rest(self) -> ProjectStatus | None:
        """The project; None while the nodes have not seen what the desired branch asks for."""
        from reconciler.cli.clone_reader import CloneReader  # noqa: PLC0415

        status = self._source.status()
        unseen = self._source.unseen(status) if isinstance(self._source, CloneReader) else None
        if unseen is None:
            return find_project(status, self._name)
        if unseen != self._told:
            self._told = unseen
            err().print(f"winslow: the nodes have not seen commit {unseen[:12]} yet; waiting for that")
        return None
