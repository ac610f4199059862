"""``winslow doctor``: every examination in turn, told as it comes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from reconciler.cli.codes import Exit
from reconciler.cli.doctor.finding import Examination, Finding, Level, examine
from reconciler.cli.findings import counted
from reconciler.cli.options import ConfigOption, Output, OutputOption, node_config
from reconciler.cli.output import err, out, print_json, text
from reconciler.config import NodeConfig
from reconciler.errors import BadInput

DEADLINE = 60.0
MARKS = {Level.OK: ("ok", "green"), Level.NOTE: ("note", "blue"), Level.WARNING: ("warning", "bold yellow")}
PROBLEM = ("PROBLEM", "bold red")
PATIENCE = 600.0
"""Seconds that the first side waits for somebody to walk to the other machine."""


def doctor(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    peer: Annotated[
        bool, typer.Option("--peer", help="Try the share together with another node; says what to run there.")
    ] = False,
    join: Annotated[
        str | None, typer.Option("--join", metavar="CODE", help="Be the other node of a doctor --peer.")
    ] = None,
) -> None:
    """Check what this node rests on, and say what to change.

    Looks at node.yaml, the state repository, the share, the engine and the GPUs. Changes nothing: what it tries on the
    share are files of its own, gone afterwards.
    """
    if peer and join is not None:
        raise BadInput("this node is one side only: --peer begins, --join CODE is the other one")
    loaded = node_config(config)
    together = peer or join is not None
    found = []
    for finding in _together(loaded, join) if together else _alone(loaded):
        found.append(finding)
        if output is Output.TEXT:
            _show(finding)
    if output is Output.JSON:
        print_json({"ok": _is_well(found), "findings": [asdict(finding) for finding in found]})
    else:
        _sum_up(found, loaded, together=together)
    if not _is_well(found):
        raise typer.Exit(Exit.FAILED)


def _alone(config: NodeConfig) -> Iterator[Finding]:
    for examination in _examinations(config):
        yield from examine(examination, DEADLINE)


def _examinations(config: NodeConfig) -> Iterable[Examination]:
    from reconciler.cli.doctor import engine, machine, remote, share  # noqa: PLC0415
    from reconciler.compose import open_repository  # noqa: PLC0415

    yield from machine.examinations(config)
    yield from remote.examinations(config, open_repository(config, purpose="cli"))
    yield from share.examinations(config.share)
    yield from engine.examinations(config)


def _together(config: NodeConfig, code: str | None) -> Iterator[Finding]:
    from reconciler.cli.doctor import peer, share  # noqa: PLC0415

    def look() -> Sequence[Finding]:
        if code is not None:
            meeting = peer.joined(config.share, code, patience=DEADLINE)
            found = peer.examine_together(meeting)
            meeting.leave()
            return found
        with peer.invited(config.share, patience=PATIENCE, say=lambda told: err().print(text(told))) as meeting:
            return peer.examine_together(meeting)

    yield from examine(Examination(area="share", name="the mount", look=lambda: share.mounted(config.share)), DEADLINE)
    yield from examine(Examination(area="peer", name="the other side", look=look), 2 * PATIENCE)


def _show(finding: Finding) -> None:
    mark, style = MARKS.get(finding.level, PROBLEM)
    line = text(f"{mark:>7}  ", style)
    line.append_text(text(f"{finding.area}: {finding.message}"))
    out().print(line)
    if finding.advice:
        out().print(text(f"         {finding.advice}"))


def _sum_up(found: Sequence[Finding], config: NodeConfig, *, together: bool) -> None:
    problems = sum(finding.level is Level.PROBLEM for finding in found)
    warnings = sum(finding.level is Level.WARNING for finding in found)
    if problems:
        out().print(text(f"\n{counted(problems, 'problem')}: {config.name} will not work safely until that is fixed"))
    else:
        more = f", {counted(warnings, 'warning')}" if warnings else ""
        out().print(text(f"\n{config.name} can work{more}" if not together else f"\nthe share holds{more}"))


def _is_well(found: Sequence[Finding]) -> bool:
    return all(finding.level is not Level.PROBLEM for finding in found)
