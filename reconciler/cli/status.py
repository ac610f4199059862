"""``winslow status``: for somebody tired. First what runs, then what waits for a person, then the rest."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from readonly_ui.machines import devices, gpus_in_words
from readonly_ui.overview import Overview, going_run, newest_run, site_troubles, source_troubles, troubles
from readonly_ui.words import ago, duration, size
from reconciler.cli.options import CloneOption, ConfigOption, Output, OutputOption, reader
from reconciler.cli.output import out, phase, print_json, text
from reconciler.codec.status import dump_status
from reconciler.core.ledger import RunPhase
from reconciler.core.names import ProjectName, run_directory
from reconciler.core.proposals import merge_command
from reconciler.core.status import Condition, NodeStatus, ProjectPhase, ProjectStatus, RunStatus, Status, WaitingFor
from reconciler.readers import Reader
from reconciler.readers.find import find_project

INDENT = "  "
REMARK = 60
"""Columns of a table's last cell: longer remarks wrap, also where a line could be as long as it is."""


def status(
    project: Annotated[str | None, typer.Argument(metavar="PROJECT", help="Only this project, in detail.")] = None,
    config: ConfigOption = None,
    clone: CloneOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show what runs, what waits for you, and the nodes."""
    source = reader(config, clone)
    found = source.status()
    age = as_of(source, found)
    if project is not None:
        found = replace(found, projects=(find_project(found, ProjectName(project)),))
    if output is Output.JSON:
        print_json(dump_status(found))
    elif project is not None:
        for trouble in source_troubles(found):
            out().print(_trouble(trouble))
        show_project(out(), found.projects[0], datetime.now(UTC))
    else:
        show(out(), found, datetime.now(UTC))
    if age and output is Output.TEXT:
        out().print(Text(age, style="dim"))


def as_of(source: Reader, status: Status) -> str:
    """How old it is; nothing where it is of this moment."""
    from reconciler.cli.clone_reader import CloneReader  # noqa: PLC0415

    return source.as_of(status) if isinstance(source, CloneReader) else ""


def show(console: Console, status: Status, now: datetime) -> None:
    """``now`` is the reader's clock; everything else comes from the status."""
    view = Overview.of(status)
    for trouble in site_troubles(status):
        console.print(_trouble(trouble))
    _section(console, "running", (_running(project, now) for project in view.running))
    _section(console, "waiting for you", (line for project in view.needs_you for line in _needs_you(project, now)))
    shown = {project.project for project in (*view.running, *view.needs_you)}
    rest = [project for project in view.projects if project.project not in shown]
    if rest:
        console.print(Text("the rest" if shown else "projects", style="bold"))
        console.print(_projects(rest), soft_wrap=False)
    if not status.projects:
        console.print("no projects yet: write projects/NAME.yaml in the state repository, commit, push")
    if status.nodes:
        console.print(Text("nodes", style="bold"))
        console.print(_nodes(status), soft_wrap=False)
        for line in (line for node in status.nodes for line in _lost_gpus(node)):
            console.print(Text(INDENT) + line)


def _section(console: Console, title: str, lines: Iterable[Text]) -> None:
    listed = list(lines)
    if listed:
        console.print(Text(title, style="bold"))
        for line in listed:
            console.print(Text(INDENT) + line)


def _running(project: ProjectStatus, now: datetime) -> Text:
    run = going_run(project)
    line = text(project.project, "cyan")
    if run is None:
        return line
    line.append(f"  run {run.run} {run.stage}")
    if run.progress is not None:
        line.append(f"  {run.progress:.0f} %", style="bold")
    if run.started_at is not None:
        line.append(f"  for {duration(now - run.started_at)}")
    line.append(f"  on {run.node}" if run.node else "")
    return line.append(f", attempt {run.attempts}" if run.attempts > 1 else "")


def _needs_you(project: ProjectStatus, now: datetime) -> Iterator[Text]:
    yield text(project.project, "bold") + Text("  ") + phase(project.phase) + _since(project.waiting_for, now)
    yield from (Text(INDENT) + line for line in waiting_lines(project))


def _since(waiting: WaitingFor | None, now: datetime) -> Text:
    return Text(f"  {ago(waiting.since, now)}" if waiting and waiting.since else "")


def waiting_lines(project: ProjectStatus) -> Iterator[Text]:
    """What it waits for, the line to paste and where."""
    waiting = project.waiting_for
    if waiting is None:
        return
    yield text(waiting.message)
    yield from _last_words(project)
    if waiting.edit:
        yield Text(f"in {project.path} write: ") + text(waiting.edit, "bold")
    if waiting.edit and _resumes(waiting.edit):
        yield text(f"or: winslow resume {project.project}")
    if waiting.edit and waiting.url:
        yield text(waiting.url)
    for offer in project.offers:
        yield text(f"or {offer.title[0].lower()}{offer.title[1:]}: {offer.url or merge_command(offer)}")


def _resumes(edit: str) -> bool:
    """Does ``winslow resume`` write just this? Not where a person has values to fill in."""
    return edit == "paused: false" or (edit.startswith("next: {stage: ") and '"..."' not in edit)


def _last_words(project: ProjectStatus) -> Iterator[Text]:
    """Of a run that failed: usually its log's last line is the reason, else the log is."""
    run = newest_run(project)
    if project.phase is not ProjectPhase.FAILED or run is None or run.phase is not RunPhase.FAILED:
        return
    if run.tail:
        yield text(f"its last line: {run.tail[-1].strip()}", "dim")
    yield text(f"winslow logs {project.project} {run.run}")


def _trouble(condition: Condition) -> Text:
    return text(f"! {condition.type}: {condition.message}", "yellow")


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.columns[0].header = Text(INDENT + columns[0])
    table.columns[0].no_wrap = True
    table.columns[-1].max_width = REMARK
    return table


def _projects(projects: Iterable[ProjectStatus]) -> Table:
    table = _table("project", "phase", "last run", "waits for")
    for project in projects:
        last = newest_run(project)
        run = f"{last.run} {last.stage} {last.phase}" if last else ""
        waiting = project.waiting_for.message if project.waiting_for else ""
        table.add_row(Text(INDENT) + text(project.project), phase(project.phase), text(run), text(waiting))
    return table


def _nodes(status: Status) -> Table:
    table = _table("node", "", "runtime", "offers", "runs")
    for node in status.nodes:
        life = {True: Text("live", "green"), False: Text(_silent(node), "red"), None: Text("not known here", "dim")}[
            node.live
        ]
        gpus = gpus_in_words(node)
        offers = f"{node.cpus:g} cpus, {size(node.memory)}{f', {gpus}' if gpus else ''}{_drained(node)}"
        table.add_row(
            Text(INDENT) + text(node.node),
            life,
            text(node.runtime),
            Text(offers),
            text(", ".join(_runs_on(node, status))),
        )
    return table


def _runs_on(node: NodeStatus, status: Status) -> Iterable[str]:
    """Read from git alone, a node does not say what it runs; the runs do."""
    if node.live is not None:
        return node.running
    going = ((project.project, going_run(project)) for project in status.projects)
    return [
        f"{name}/{run_directory(run.run, run.stage)}"
        for name, run in going
        if run is not None and run.node == node.node
    ]


def _lost_gpus(node: NodeStatus) -> Iterator[Text]:
    """GPUs that no stage gets, though no run has them."""
    for device in devices(node):
        if device.facts.fault or (device.facts.busy and not device.holders):
            word = device.word[0].lower() + device.word[1:]
            told = f"{node.node} GPU {device.index} {word}: {device.about}"
            yield text(told, "red" if device.facts.fault else "yellow")


def _drained(node: NodeStatus) -> str:
    if not node.drained:
        return ""
    is_empty = any(one.type == "Drained" for one in node.conditions)
    return ", drained: safe to switch off" if is_empty else ", draining"


def _silent(node: NodeStatus) -> str:
    return "silent" if node.silent_for is None else f"silent for {node.silent_for:.0f} s"


def show_project(console: Console, project: ProjectStatus, now: datetime) -> None:
    name = "" if project.name == project.project else f"  {project.name}"
    console.print(text(project.project, "bold") + Text("  ") + phase(project.phase) + text(name))
    for line in waiting_lines(project):
        console.print(Text(INDENT) + line)
    said = project.waiting_for.message if project.waiting_for else None
    for condition in troubles(project.conditions):
        if condition.message != said:
            console.print(Text(INDENT) + _trouble(condition))
    if project.runs:
        console.print(_runs(project.runs, now), soft_wrap=False)


def _runs(runs: Iterable[RunStatus], now: datetime) -> Table:
    table = _table("run", "stage", "phase", "node", "attempts", "started", "took", "exit", "")
    for run in runs:
        started = run.started_at.astimezone().strftime("%d %b %H:%M") if run.started_at else ""
        took = duration((run.ended_at or now) - run.started_at) if run.started_at else ""
        took = took if run.reused is None else "-"  # nothing ran
        code = "" if run.exit_code is None else str(run.exit_code)
        table.add_row(
            *(Text(f"{INDENT}{run.run}"), text(run.stage), phase(run.phase), text(run.node or "")),
            *(str(run.attempts), started, took, code, text(_remark(run))),
        )
    return table


def _remark(run: RunStatus) -> str:
    if said := run.message or run.reason:
        return said
    if run.reused is not None:
        return f"reused run {run.reused}"
    return "" if run.progress is None else f"{run.progress:.0f} %"
