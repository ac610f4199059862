"""Makes a command of an edit: the options that all edits share are added to what it asks for itself."""

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler.cli.edits.carry_out import Way, carry_out
from reconciler.cli.edits.clone import clone_around
from reconciler.cli.edits.state import Edit

RepositoryOption = Annotated[
    Path,
    typer.Option(
        "--repository", metavar="DIR", show_default=False, help="A clone of the state repository; else where you stand."
    ),
]
BranchOption = Annotated[
    str | None,
    typer.Option("--branch", metavar="NAME", help="The branch that the nodes follow; else main, or the default one."),
]
MessageOption = Annotated[
    str | None, typer.Option("--message", "-m", metavar="TEXT", help="The commit's message, instead of a made one.")
]
MergeRequestOption = Annotated[
    bool,
    typer.Option("--merge-request", help="Push a branch of its own and, where the remote can, open a merge request."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show the change.")]


def edit_command(decide: Callable[..., Edit]) -> Callable[..., None]:
    """``decide(state, ...)``: its further parameters become the command's own, its docstring the help."""

    def command(
        repository: RepositoryOption = Path(),
        branch: BranchOption = None,
        message: MessageOption = None,
        merge_request: MergeRequestOption = False,
        dry_run: DryRunOption = False,
        **own: Any,
    ) -> None:
        way = Way(dry_run=dry_run, merge_request=merge_request, message=message)
        carry_out(clone_around(repository, branch), partial(decide, **own), way)

    _, *asked = inspect.signature(decide).parameters.values()
    *shared, _ = inspect.signature(command).parameters.values()
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*asked, *shared)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__name__, command.__doc__ = decide.__name__, decide.__doc__
    return command
