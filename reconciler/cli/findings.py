"""Findings and effects on paper: text for people, JSON for programs, and what two forges want to read."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from rich.console import Console

from reconciler.cli.output import err, out, print_json, text
from reconciler.codec.reports import annotation, code_quality
from reconciler.codec.review import Finding
from reconciler.core.desired import Desired
from reconciler.core.names import Commit, ProjectName
from reconciler.core.preview import Effect, EffectKind
from reconciler.core.problems import Severity


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    CODE_QUALITY = "code-quality"
    GITHUB = "github"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was looked at, and what was found. ``base``: only what was new since then counts."""

    findings: Sequence[Finding]
    desired: Desired | None = None  # None: one file, nothing is known about the others
    is_change: bool = False
    base: Commit | None = None
    effects: Sequence[Effect] | None = None  # None: nobody asked
    where: Callable[[str], str] = lambda file: file  # where people find a file of the repository

    @property
    def ok(self) -> bool:
        return not any(finding.counts for finding in self.findings)


def show(result: Result, form: Format) -> None:
    match form:
        case Format.TEXT:
            _print(result, out())
        case Format.JSON:
            print_json(_as_json(result))
        case Format.CODE_QUALITY:
            print_json(code_quality(_placed(result)))
            _print(result, err())  # the report goes to a file: the job's log must say it, too
        case Format.GITHUB:
            for finding in _placed(result):
                out().print(text(annotation(finding)))
            _print(replace(result, findings=[]), out(), summary=_summary(result))


def lines(result: Result) -> list[str]:
    """``file:line:column: message``, and in a change a mark on what is new."""
    told = [
        (f"{result.where(finding.problem.file)}{str(finding.problem)[len(finding.problem.file) :]}", finding)
        for finding in result.findings
    ]
    return [line + (" [new]" if result.is_change and finding.new else "") for line, finding in told]


def _placed(result: Result) -> list[Finding]:
    """With paths as forges know them: from the top of what was checked out."""
    return [
        Finding(replace(finding.problem, file=_relative(result.where(finding.problem.file))), finding.new)
        for finding in result.findings
    ]


def _relative(path: str) -> str:
    return os.path.relpath(path) if Path(path).is_absolute() else path


def _print(result: Result, to: Console, *, summary: str = "") -> None:
    for line in lines(result):
        to.print(text(line))
    to.print(text(summary or _summary(result)))
    if result.effects is not None:
        to.print()
        _print_effects(result.effects, result.desired, to)


def _print_effects(effects: Sequence[Effect], desired: Desired | None, to: Console) -> None:
    said = [effect for effect in effects if effect.kind is not EffectKind.NOTHING or effect.message != "nothing"]
    others = len({effect.project for effect in effects} - {effect.project for effect in said})
    if not said:
        to.print(f"merging this does nothing to {counted(others, 'project')}")
        return
    to.print("merging this:")
    for effect in said:
        to.print(text(f"  {effect.project}: {effect.message}"))
        if effect.edit and effect.edit not in effect.message:
            to.print(text(f"    to do so, in {_file(effect.project, desired)} write: {effect.edit}"))
    if others:
        to.print(f"  {counted(others, 'other project')}: nothing")


def _file(project: ProjectName, desired: Desired | None) -> str:
    found = desired.projects.get(project) if desired else None
    return found.path if found else f"projects/{project}.yaml"


def _as_json(result: Result) -> dict[str, object]:
    shown: dict[str, object] = {"ok": result.ok}
    if result.desired is not None:
        shown |= {"pipelines": len(result.desired.pipelines), "projects": len(result.desired.projects)}
    if result.is_change and result.desired is not None:
        shown |= {"commit": result.desired.commit, "base": result.base}
        shown["problems"] = [{**asdict(finding.problem), "new": finding.new} for finding in result.findings]
    else:
        shown["problems"] = [asdict(finding.problem) for finding in result.findings]
    if result.effects is not None:
        shown["plan"] = [asdict(effect) for effect in result.effects]
    return shown


def _summary(result: Result) -> str:
    errors = [finding for finding in result.findings if finding.problem.severity is Severity.ERROR]
    old = sum(not finding.new for finding in errors)
    warnings = len(result.findings) - len(errors)
    counts = [f"{counted(old, 'error')} that {'was' if old == 1 else 'were'} there before"] if old else []
    counts += [counted(warnings, "warning")] if warnings else []
    if not result.ok:
        kind = "new error" if result.is_change else "error"
        return ", ".join([counted(len(errors) - old, kind), *counts])
    if result.desired is None:
        return ", ".join(["ok", *counts])
    found = [counted(len(result.desired.pipelines), "pipeline"), counted(len(result.desired.projects), "project")]
    return f"ok: {', '.join([*found, *counts])}"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
