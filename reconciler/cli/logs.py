"""``winslow logs``: what a run's program printed, to its end or as it comes."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from readonly_ui.words import log_text
from reconciler.cli.options import CloneOption, ConfigOption, ProjectArgument, reader
from reconciler.cli.output import err
from reconciler.core.names import ProjectName, RunNumber
from reconciler.errors import BadInput
from reconciler.readers import LogLine, LogPage, Reader
from reconciler.readers.find import find_project

FIRST_LOOK = 65_536
PAGE = 1 << 20
POLL = 0.5


def logs(
    project: ProjectArgument,
    run: Annotated[int | None, typer.Argument(metavar="RUN", help="The run's number; else the last one.")] = None,
    config: ConfigOption = None,
    clone: CloneOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=0, help="Begin with the last LINES lines.")] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Begin each line with its time in UTC.")] = False,
) -> None:
    """Print a run's log."""
    source = reader(config, clone)
    name = ProjectName(project)
    number = RunNumber(run) if run is not None else last_run(source, name)
    for line in _lines(source, name, number, last=lines, follow=follow):
        _print(line, timestamps=timestamps)


def last_run(source: Reader, name: ProjectName) -> RunNumber:
    found = find_project(source.status(), name)
    if found.last_run is None:
        told = f": {found.waiting_for.message}" if found.waiting_for else ""
        raise BadInput(f"project '{name}' has no run yet{told}")
    return found.last_run


def _lines(source: Reader, name: ProjectName, run: RunNumber, *, last: int | None, follow: bool) -> Iterator[LogLine]:
    """Lines in their order. A new attempt has a log of its own, which begins at its start."""
    log = _log_of(source, name, run)
    offset = 0
    if last is not None:
        page = _tail(source, name, run, last)
        yield from page.lines
        offset = page.next_offset
    while True:
        page = source.log(name, run, offset=offset, limit=PAGE)
        yield from page.lines
        if page.next_offset != offset:
            offset = page.next_offset
            continue
        if page.ended or not follow:
            return
        time.sleep(POLL)
        newer = _log_of(source, name, run)
        if newer != log:
            log, offset = newer, 0
            err().print(f"winslow: run {run} is tried again; its new attempt's log:")


def _log_of(source: Reader, name: ProjectName, run: RunNumber) -> str | None:
    runs = find_project(source.status(), name).runs
    return next((one.log for one in runs if one.run == run), None)


def _tail(source: Reader, name: ProjectName, run: RunNumber, count: int) -> LogPage:
    """The last ``count`` lines: looks back further until they are there, or the whole log is."""
    look = FIRST_LOOK
    page = source.log(name, run, offset=-look, limit=look)
    before = -1
    while len(page.lines) < count and len(page.lines) != before:
        before, look = len(page.lines), 4 * look
        page = source.log(name, run, offset=-look, limit=look)
    kept: Sequence[LogLine] = page.lines[-count:] if count else ()
    return LogPage(lines=kept, next_offset=page.next_offset, ended=page.ended)


def _print(line: LogLine, *, timestamps: bool) -> None:
    """As the program wrote it into a file or pipe; to a terminal without what could drive it."""
    content = log_text(line.line) if sys.stdout.isatty() else line.line
    stamp = f"{line.time:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z " if timestamps else ""
    mark = "winslow: " if line.stream == "winslow" else ""
    sys.stdout.write(f"{stamp}{mark}{content}\n")
    sys.stdout.flush()
