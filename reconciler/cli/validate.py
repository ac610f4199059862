"""``winslow validate``: everything that is wrong in a state repository's files, as editors and CI read it."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.codes import Exit
from reconciler.cli.options import Output, OutputOption
from reconciler.cli.output import out, print_json, text
from reconciler.codec.desired import load
from reconciler.codec.directory import DirectoryTree
from reconciler.core.desired import Desired
from reconciler.core.problems import Severity
from reconciler.errors import BadInput

STATE = ("winslow.yaml", "pipelines", "projects")


def validate(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The state repository's directory.")] = Path(),
    output: OutputOption = Output.TEXT,
) -> None:
    """Check a state repository's files.

    Prints file:line:column, what is wrong, and what to write instead.
    """
    tree = DirectoryTree(path)
    if not any((path / name).exists() for name in STATE):
        raise BadInput(
            f"{path} is no state repository: it has none of {', '.join(STATE)}; name one, or winslow init DIR"
        )
    desired = load(tree)
    errors = sum(problem.severity is Severity.ERROR for problem in desired.problems)
    if output is Output.JSON:
        print_json(_as_json(desired, errors))
    else:
        for problem in desired.problems:
            out().print(text(f"{os.path.normpath(path / problem.file)}{str(problem)[len(problem.file) :]}"))
        out().print(_summary(desired, errors))
    if errors:
        raise typer.Exit(Exit.FAILED)


def _as_json(desired: Desired, errors: int) -> dict[str, object]:
    return {
        "ok": errors == 0,
        "pipelines": len(desired.pipelines),
        "projects": len(desired.projects),
        "problems": [asdict(problem) for problem in desired.problems],
    }


def _summary(desired: Desired, errors: int) -> str:
    warnings = len(desired.problems) - errors
    counts = [counted(errors, "error")] if errors else []
    counts += [counted(warnings, "warning")] if warnings else []
    if errors:
        return ", ".join(counts)
    found = [counted(len(desired.pipelines), "pipeline"), counted(len(desired.projects), "project")]
    return f"ok: {', '.join([*found, *counts])}"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
