"""``winslow validate``: everything that is wrong in a state repository's files, as editors, CI and hooks read it."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.codes import Exit
from reconciler.cli.findings import Format, Result, show
from reconciler.cli.git import attempt, enclosing_repository
from reconciler.cli.options import STATE, ConfigOption, live_reader
from reconciler.codec.desired import load, validate_file
from reconciler.codec.directory import DirectoryTree
from reconciler.codec.review import Finding, Review, review
from reconciler.codec.yaml import MAX_BYTES
from reconciler.core.desired import Desired
from reconciler.core.names import Commit
from reconciler.core.preview import Effect, preview
from reconciler.errors import BadInput

if TYPE_CHECKING:
    from reconciler.adapters.git.commits import Commits, Span
    from reconciler.codec.changes import Standing
    from reconciler.readers.live import LiveReader


def validate(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="The state repository's directory, or one file in it; with --commits, its clone."
        ),
    ] = Path(),
    commits: Annotated[
        str | None,
        typer.Option(
            "--commits",
            metavar="A..B",
            help="Check the files at commit B, and say what is new since A. One commit: what it changed.",
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="With --commits: say what merging would do. Needs the share (--config).")
    ] = False,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Check one file from standard input; --path names it.")
    ] = False,
    file: Annotated[
        str | None,
        typer.Option("--path", metavar="FILE", help="With --stdin: the file's path, such as projects/ulm.yaml."),
    ] = None,
    config: ConfigOption = None,
    output: Annotated[
        Format,
        typer.Option(
            "--output", help="Text for people, JSON for programs, GitLab's code quality report, GitHub's annotations."
        ),
    ] = Format.TEXT,
) -> None:
    """Check a state repository's files.

    Prints file:line:column, what is wrong, and what to write instead.
    """
    if stdin != (file is not None) or (stdin and commits is not None):
        raise BadInput("--stdin and --path go together and with nothing else: --stdin --path projects/ulm.yaml < FILE")
    if plan and commits is None:
        raise BadInput(
            "--plan says what merging a change would do; name the change: --commits origin/main..HEAD --plan"
        )
    if file is not None:
        result = _one_file(file)
    elif commits is not None:
        result = _change(path, commits, config, plan=plan)
    else:
        result = _directory(path)
    show(result, output)
    if not result.ok:
        raise typer.Exit(Exit.FAILED)


def _directory(path: Path) -> Result:
    """Of a file that file's problems, as its repository sees it."""
    top = _top(path)
    tree = DirectoryTree(top)
    desired = load(tree)
    inside = path.resolve().relative_to(top.resolve()).as_posix() if path.is_file() else None
    found = [Finding(problem) for problem in desired.problems if inside in (None, problem.file)]
    return Result(
        findings=found,
        desired=desired if inside is None else None,
        where=lambda file: os.path.normpath(top / file),
    )


def _top(path: Path) -> Path:
    """Of the state repository that ``path`` is or lies in."""
    if not path.exists():
        raise BadInput(f"{path} is not a directory or a file of a state repository; name one, or winslow init DIR")
    if path.is_dir() and _is_state(path):
        return path
    around = enclosing_repository(path.parent if path.is_file() else path)
    if around is not None and _is_state(around):
        return Path(os.path.relpath(around))
    if path.is_file():
        raise BadInput(
            f"{path} lies in no state repository; say where it would lie in one: "
            f"winslow validate --stdin --path projects/{path.name} < {path}"
        )
    raise BadInput(f"{path} is no state repository: it has none of {', '.join(STATE)}; name one, or winslow init DIR")


def _is_state(path: Path) -> bool:
    return any((path / name).exists() for name in STATE)


def _one_file(name: str) -> Result:
    """Editors know a file by its whole path, and the state repository by the one around it."""
    inside = _inside_repository(Path(name)) if Path(name).is_absolute() else os.path.normpath(name)
    problems = validate_file(inside, sys.stdin.buffer.read(MAX_BYTES + 1))
    return Result(findings=[Finding(problem) for problem in problems], where=lambda file: name)


def _inside_repository(path: Path) -> str:
    for parent in path.parents:
        if any((parent / mark).exists() for mark in ("winslow.yaml", ".git")):
            return path.relative_to(parent).as_posix()
    raise BadInput(f"{path} lies in no state repository; name its path from the repository's top: projects/ulm.yaml")


def _change(path: Path, wanted: str, config: Path | None, *, plan: bool) -> Result:
    from reconciler.adapters.git.commits import Commits  # noqa: PLC0415
    from reconciler.cli.standing import standing_in, standing_of  # noqa: PLC0415

    commits = Commits(git_directory(path))
    span = commits.span(wanted)
    site = live_reader(config) if plan or config is not None else None
    standing = standing_of(site.status()) if site else standing_in(commits)
    found = review_span(commits, span, standing)
    return Result(
        findings=found.findings,
        desired=found.after,
        is_change=True,
        base=span.before,
        effects=_effects(found, site) if plan and site else None,
    )


def _effects(found: Review, site: "LiveReader") -> tuple[Effect, ...]:
    seen = site.snapshot()
    return preview(found.before or Desired(commit=Commit("")), found.after, seen.ledger, seen.nodes)


def review_span(commits: "Commits", span: "Span", standing: "Standing") -> Review:
    with ExitStack() as opened:
        before = opened.enter_context(commits.tree(span.before)) if span.before else None
        return review(before, opened.enter_context(commits.tree(span.after)), standing)


def git_directory(path: Path) -> Path:
    """Of the repository that ``path`` lies in, with or without a work tree."""
    if not path.is_dir():
        raise BadInput(f"{path} is not a directory; name a clone of the state repository")
    code, found, complaint = attempt(path, "rev-parse", "--absolute-git-dir")
    if code != 0:
        raise BadInput(f"{path} is in no git repository ({complaint}); name a clone of the state repository")
    return Path(found)
