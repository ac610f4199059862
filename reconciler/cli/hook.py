"""``winslow hook``: refuse a broken state repository before it is anybody else's: in its server, and in a clone."""

import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.codes import Exit
from reconciler.cli.findings import Result, counted, lines
from reconciler.cli.git import attempt
from reconciler.cli.output import called, err, out, text
from reconciler.cli.validate import git_directory, review_span
from reconciler.errors import BadInput

if TYPE_CHECKING:
    from reconciler.adapters.git.commits import Commits, Span

MARK = "# Written by winslow hook install"
SHORT = 12
SHOWN = 50
"""So many lines people read in a terminal, the errors first."""


class What(StrEnum):
    INSTALL = "install"
    PRE_RECEIVE = "pre-receive"
    PRE_COMMIT = "pre-commit"


def hook(
    what: Annotated[
        What, typer.Argument(metavar="WHAT", help="install one, or be one: pre-receive, pre-commit (git calls these).")
    ],
    repository: Annotated[
        Path, typer.Argument(metavar="REPO", help="With install: the server's bare repository, or a clone.")
    ] = Path(),
    branch: Annotated[str, typer.Option("--branch", metavar="NAME", help="The branch that nodes read.")] = "main",
) -> None:
    """Check what is pushed or committed.

    In a bare repository install writes hooks/pre-receive, which refuses pushes that would break its main branch;
    in a clone hooks/pre-commit. They need nothing but git: no share, no configuration, no network.
    """
    match what:
        case What.INSTALL:
            _install(repository, branch)
        case What.PRE_RECEIVE:
            _pre_receive(branch)
        case What.PRE_COMMIT:
            _pre_commit()


# --- what was pushed -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Update:
    """One line of what git tells a pre-receive hook."""

    old: str
    new: str
    ref: str


def _pre_receive(branch: str) -> None:
    commits = _commits()
    refused = False
    for update in _updates():
        if update.ref == f"refs/heads/{branch}":
            refused |= not _is_taken(commits, update, branch)
    if refused:
        _say("winslow: nothing of this push was taken")
        raise typer.Exit(Exit.FAILED)


def _updates() -> Iterator[Update]:
    for line in sys.stdin.buffer.read().decode(errors="replace").splitlines():
        match line.split(" ", 2):
            case [old, new, ref]:
                yield Update(old, new, ref)
            case _:
                raise BadInput("a pre-receive hook reads lines of 'old new ref' from git; to check by hand: validate")


def _is_taken(commits: "Commits", update: Update, branch: str) -> bool:
    from reconciler.adapters.git.commits import NOTHING, Span  # noqa: PLC0415

    if NOTHING.fullmatch(update.new):
        _say(
            f"winslow: refused: this deletes {branch}, from which every node reads what to do; they would go on from "
            f"{update.old[:SHORT]} for ever, and nobody could ask for anything more"
        )
        return False
    after = commits.commit(update.new)
    before = None if NOTHING.fullmatch(update.old) else commits.commit(update.old)
    if before is not None and not commits.descends(after, before):
        _say(
            f"winslow: refused: this rewrites {branch}: {after[:SHORT]} does not descend from {before[:SHORT]}, which "
            f"nodes have acted on; they would hold on to that (SourceRewritten). Bring the two together and push "
            f"again: git pull --rebase, or git merge {before[:SHORT]}"
        )
        return False
    return _is_good(commits, Span(before, after), f"{branch} would get")


def _is_good(commits: "Commits", span: "Span", would: str) -> bool:
    from reconciler.cli.standing import standing_in  # noqa: PLC0415

    found = review_span(commits, span, standing_in(commits))
    new = sorted((finding for finding in found.findings if finding.new), key=lambda finding: not finding.counts)
    for line in lines(Result(findings=new[:SHOWN])):
        _say(line)
    if len(new) > SHOWN:
        _say(f"winslow: and {len(new) - SHOWN} more; to see them all: winslow validate --commits {span.after[:SHORT]}")
    errors = sum(finding.counts for finding in new)
    if errors:
        _say(f"winslow: refused: {would} {counted(errors, 'error')}; correct what is named above")
    return errors == 0


def _pre_commit() -> None:
    commits = _commits()
    if not _is_good(commits, commits.staged(), "the commit would have"):
        raise typer.Exit(Exit.FAILED)


def _commits() -> "Commits":
    """Of the repository whose hook we are: git says where it is, or we stand in it."""
    from reconciler.adapters.git.commits import Commits  # noqa: PLC0415

    given = os.environ.get("GIT_DIR")
    return Commits(Path(given) if given else git_directory(Path()), os.environ)


def _say(line: str) -> None:
    """To whoever pushes or commits: git passes standard error on."""
    err().print(text(line))


# --- putting one in its place --------------------------------------------------------------------


def _install(repository: Path, branch: str) -> None:
    from reconciler.adapters.git.remote import check_branch  # noqa: PLC0415

    check_branch("--branch", branch)
    directory = git_directory(repository)
    bare = attempt(directory, "rev-parse", "--is-bare-repository")[1] == "true"
    what = What.PRE_RECEIVE if bare else What.PRE_COMMIT
    target = _hooks(repository, directory) / what
    command = f"{_this_command()} hook {what}" + (f" --branch {shlex.quote(branch)}" if bare else "")
    if target.is_symlink() or (target.exists() and MARK not in target.read_text(encoding="utf-8", errors="replace")):
        raise BadInput(
            f"{target} is somebody else's and stays as it is; let it call ours, with its own standard input: {command} "
            "(Gitea, Forgejo: a script in hooks/pre-receive.d; GitLab: in custom_hooks/pre-receive.d)"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{what}.winslow")
    draft.write_text(f"#!/bin/sh\n{MARK}; take this file away to be rid of it.\nexec {command}\n", encoding="utf-8")
    draft.chmod(0o755)
    draft.replace(target)
    does = f"refuses pushes that would break {branch}" if bare else "refuses commits with new errors"
    out().print(text(f"wrote {target}, which {does}"))


def _hooks(repository: Path, directory: Path) -> Path:
    """Where git looks for hooks; BadInput if that is not this repository's own."""
    found = attempt(repository, "rev-parse", "--git-path", "hooks")[1]
    hooks = Path(os.path.normpath(repository.absolute() / found))
    common = attempt(repository, "rev-parse", "--git-common-dir")[1]
    own = Path(os.path.normpath(repository.absolute() / common))
    if not hooks.is_relative_to(own) and not hooks.is_relative_to(directory):
        raise BadInput(f"core.hooksPath leads git to {hooks}, which may be others' too; write the hook there by hand")
    return hooks


def _this_command() -> str:
    """This very program, wherever the hook is called from."""
    named = called()
    return named if named != "winslow" else shlex.join([sys.executable, "-P", "-m", "reconciler.cli.main"])
