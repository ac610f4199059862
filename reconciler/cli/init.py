"""``winslow init DIR``: a new state repository. ``winslow init --share DIR``: a new shared directory."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from reconciler.assets import asset
from reconciler.cli.git import commit, enclosing_repository, git, has_identity
from reconciler.cli.output import out
from reconciler.codec.editors import SCHEMAS
from reconciler.errors import BadInput

FIRST_COMMIT = "Begin the state repository"
SHOWN = 10
ANONYMOUS = (
    "\nits first commit is by Winslow <winslow@localhost>, because git knows no name of yours; before your own: "
    "git config --global user.name NAME, and user.email"
)


def init(
    directory: Annotated[Path | None, typer.Argument(metavar="DIR", help="Where the state repository begins.")] = None,
    share: Annotated[
        Path | None, typer.Option("--share", metavar="DIR", help="Make this directory a share instead.")
    ] = None,
) -> None:
    """Begin a state repository, or a share."""
    if (directory is None) == (share is None):
        raise BadInput(
            "name one directory: winslow init DIR (a state repository) or winslow init --share DIR (a share)"
        )
    if share is not None:
        _init_share(share)
    elif directory is not None:
        _init_state(directory)


def _init_state(directory: Path) -> None:
    within = enclosing_repository(directory)
    write_template(directory)
    if within is not None:
        told = f"wrote a state repository's files to {directory}, which is in the repository {within}"
        steps = [f"cd {directory}", "git add .", f'git commit -m "{FIRST_COMMIT}"', "git push"]
    else:
        git(directory, "init", "--quiet", "-b", "main")
        anonymous = not has_identity(directory)
        commit(directory, FIRST_COMMIT, ".", anonymous=anonymous)
        told = f"began a state repository in {directory}{ANONYMOUS if anonymous else ''}"
        steps = [f"cd {directory}", "git remote add origin URL    # an empty repository on your git server"]
        steps += ["git push -u origin main"]
    say = out().print
    say(f"{told}\n\nnext:")
    for step in steps:
        say(f"  {step}")
    say("\nthen write projects/NAME.yaml (projects/README.md shows one), check it with winslow validate, commit, push")


def _init_share(share: Path) -> None:
    from reconciler.adapters.share import SharedDirectory  # noqa: PLC0415

    if not share.absolute().parent.is_dir():
        raise BadInput(
            f"there is no directory {share.absolute().parent} to make a share in: is the NFS export mounted?"
        )
    new = not (share / "winslow.json").exists()
    identity = SharedDirectory.create(share)
    out().print(f"{share} is {'now' if new else 'already'} the share {identity}")
    if new:
        out().print(f"\nnext: put videos into {share / 'resources'}, and write share: {share} in each node's node.yaml")


def write_template(directory: Path) -> None:
    """Copy the template and the schemas; BadInput, before anything is written, if one of the files exists."""
    files = dict(_template())
    taken = [str(path) for path in files if (directory / path).exists()]
    if taken:
        more = f" and {len(taken) - SHOWN} more" if len(taken) > SHOWN else ""
        raise BadInput(
            f"{directory} holds files that would be overwritten: {', '.join(taken[:SHOWN])}{more}; "
            "name an empty directory or move them away"
        )
    try:
        for path, source in files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, directory / path)
    except OSError as error:
        raise BadInput(f"can't write to {directory}: {error.strerror}; name a directory that you may write") from error


def _template() -> Iterator[tuple[Path, Path]]:
    template, schemas = asset("state-repo-template"), asset("schemas")
    for path in sorted(template.rglob("*")):
        if path.is_file():
            yield path.relative_to(template), path
    for path in sorted(schemas.glob("*.schema.json")):
        yield Path(SCHEMAS) / path.name, path
