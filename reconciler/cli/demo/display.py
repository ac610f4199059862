"""Showing how the project goes: bars on a terminal, lines anywhere else."""

from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from readonly_ui.words import duration
from reconciler.cli.output import text
from reconciler.core.ledger import RunPhase
from reconciler.core.status import ProjectPhase, ProjectStatus, RunStatus

QUARTER = 25
TELLING = (ProjectPhase.SUCCEEDED, ProjectPhase.FAILED, ProjectPhase.INVALID, ProjectPhase.AWAITING_INPUT)


class Display(Protocol):
    def show(self, project: ProjectStatus) -> None: ...

    def say(self, message: str) -> None: ...

    def close(self) -> None: ...


def display(console: Console) -> Display:
    return Bars(console) if console.is_terminal else Lines(console)


class Lines:
    """A line for each transition and each quarter of a stage."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, str] = {}
        self._quarter: dict[int, int] = {}

    def seen(self, project: ProjectStatus) -> None:
        """Take what is there already as told."""
        for run in project.runs:
            self._said[f"run {run.run}"] = _line(run)
        self._said["project"] = _project_line(project)

    def show(self, project: ProjectStatus) -> None:
        for run in project.runs:
            self._tell(f"run {run.run}", _line(run))
            quarter = int((run.progress or 0) // QUARTER)
            if quarter > self._quarter.get(run.run, 0):
                self._quarter[run.run] = quarter
                self.say(f"  run {run.run} {run.stage}: {quarter * QUARTER} %")
        if project.phase in TELLING or project.phase in (ProjectPhase.QUEUED, ProjectPhase.PAUSED):
            self._tell("project", _project_line(project))
        else:
            self._said.pop("project", None)

    def _tell(self, what: str, line: str) -> None:
        if self._said.get(what) != line:
            self._said[what] = line
            self.say(line)

    def say(self, message: str) -> None:
        self._console.print(text(message))

    def close(self) -> None:
        """Nothing to take off the screen."""


class Bars:
    """A bar for each run, with its node and how long it takes."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("  {task.fields[run]:>3} {task.fields[stage]:<12}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %", markup=False),
            TextColumn("{task.fields[what]}", markup=False),
            console=console,
        )
        self._tasks: dict[int, TaskID] = {}
        self._waits: str | None = None
        self._progress.start()

    def show(self, project: ProjectStatus) -> None:
        for run in project.runs:
            if run.run not in self._tasks:
                self._tasks[run.run] = self._progress.add_task("", total=100, run=run.run, stage=run.stage, what="")
            done = 100.0 if run.phase is RunPhase.SUCCEEDED else run.progress or 0.0
            self._progress.update(self._tasks[run.run], completed=done, what=_what(run))
        waits = project.waiting_for.message if project.waiting_for else None
        if waits and waits != self._waits:
            self.say(f"  {waits}")
        self._waits = waits

    def say(self, message: str) -> None:
        self._progress.console.print(text(message))

    def close(self) -> None:
        self._progress.stop()


def _what(run: RunStatus) -> str:
    took = duration((run.ended_at or datetime.now(UTC)) - run.started_at) if run.started_at else ""
    again = f", attempt {run.attempts}" if run.attempts > 1 else ""
    return f"{run.phase} {took} on {run.node}{again}" if run.node else str(run.phase)


def _line(run: RunStatus) -> str:
    again = f", attempt {run.attempts}" if run.attempts > 1 else ""
    took = f" after {duration(run.ended_at - run.started_at)}" if run.ended_at and run.started_at else ""
    where = f" on {run.node}" if run.node else ""
    why = f": {run.message}" if run.message and run.phase is not RunPhase.SUCCEEDED else ""
    return f"  run {run.run} {run.stage}: {run.phase}{took}{where}{again}{why}"


def _project_line(project: ProjectStatus) -> str:
    why = f": {project.waiting_for.message}" if project.waiting_for else ""
    return f"  {project.project}: {project.phase}{why}"
