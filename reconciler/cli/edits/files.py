"""Edits that add, remove or bring back a project's whole file."""

from pathlib import PurePosixPath
from typing import Annotated

import typer

from readonly_ui.words import duration
from reconciler.cli.edits.state import Edit, State
from reconciler.cli.options import ProjectArgument
from reconciler.codec.edit import Put, edited
from reconciler.codec.editors import schema_line
from reconciler.codec.files import Place, placed
from reconciler.codec.validate import Kind
from reconciler.core.problems import Problem
from reconciler.errors import BadInput


def new(
    state: State,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The new file's name; ulm/flight-07 puts it in a folder.")
    ],
    pipeline: Annotated[
        str | None,
        typer.Option("--pipeline", metavar="NAME", help="Its pipeline, unless the folder's defaults name one."),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="PATH", help="A file below resources/ or input/ of the share."),
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A word to find it by.")] = None,
    title: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What people read.")] = None,
) -> Edit:
    """Begin a project."""
    path = f"projects/{name}.yaml"
    place = placed(path)
    if not isinstance(place, Place) or place.kind is not Kind.PROJECT or path != str(PurePosixPath(path)):
        raise BadInput(place.message if isinstance(place, Problem) else f"'{name}' can't name a project")
    if taken := state.paths(place.stem):
        raise BadInput(f"the project '{place.stem}' exists already: {', '.join(taken)}; choose another name")
    given = {"name": title, "pipeline": pipeline, "tags": tags, "inputs": inputs}
    puts = [Put((field,), value) for field, value in given.items() if value]
    before = state.glance(place.stem)
    follows = "its first stage starts once the nodes have seen it"
    if before and before.last_run:
        follows = f"a project of this name ran before, up to run {before.last_run}: it goes on from there"
    return Edit(
        project=place.stem,
        path=path,
        before=None,
        after=edited(f"{schema_line(Kind.PROJECT, path)}\n", puts, file=path),
        subject="begin the project",
        follows=f"{follows}; see winslow status {place.stem}",
    )


def delete(state: State, project: ProjectArgument) -> Edit:
    """Delete a project: remove its file. Its files on the share stay for the site's retention."""
    file = state.file(project)
    kept = state.desired.site.retention
    follows = f"its files stay on the share for {duration(kept)}; winslow restore {project} undoes it"
    if not kept:
        follows = f"its files are removed from the share at once (retention: 0s); winslow restore {project} brings "
        follows += "back only the project's own file"
    return Edit(
        project=project,
        path=file.path,
        before=file.text,
        after=None,
        subject="delete the project",
        follows=f"what runs is stopped; {follows}",
    )


def restore(state: State, project: ProjectArgument) -> Edit:
    """Put a deleted project's file back where it was, as it was."""
    if there := state.paths(project):
        raise BadInput(f"'{project}' is not deleted: its file is {there[0]}")
    found = state.removed(project)
    if found is None:
        raise BadInput(f"no project '{project}' was ever deleted here; in a shallow clone: git fetch --unshallow")
    follows = "once the nodes have seen it, it goes on where it was"
    if state.glance(project) is None:
        follows = "once the nodes have seen it, it begins anew: they know nothing of it any more"
    elif not state.desired.site.retention:
        follows += ", unless its files are gone already (retention: 0s)"
    return Edit(
        project=project,
        path=found.path,
        before=None,
        after=found.text,
        subject="restore the project",
        follows=f"{follows}; see winslow status {project}",
    )
