"""Edits of a project's other fields. They start nothing: what runs next is asked for by redo or goto."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from reconciler.cli.edits.environment import assignments
from reconciler.cli.edits.onward import onward
from reconciler.cli.edits.state import Edit, State
from reconciler.cli.options import ProjectArgument
from reconciler.codec.edit import Change, Drop, Put
from reconciler.codec.yaml import NotYaml, compose
from reconciler.errors import BadInput

StageOption = Annotated[str | None, typer.Option("--stage", metavar="STAGE", help="For this stage alone.")]


def set_(
    state: State,
    project: ProjectArgument,
    variables: Annotated[list[str], typer.Argument(metavar="KEY=VALUE ...", help="Variables of its environment.")],
    stage: StageOption = None,
) -> Edit:
    """Set variables of a project's environment."""
    found = assignments(variables)
    puts = [Put((*_environment(stage), key), value) for key, value in found.items()]
    return state.change(
        project,
        *puts,
        subject=f"set {', '.join(found)}{_of(stage)}",
        follows=_starts_nothing(project, stage) + _overridden(state, project, found, stage),
    )


def unset(
    state: State,
    project: ProjectArgument,
    keys: Annotated[list[str], typer.Argument(metavar="KEY ...", help="Variables of its environment.")],
    stage: StageOption = None,
) -> Edit:
    """Remove variables from a project's environment. Weaker levels then hold."""
    present = _fields(state, project, *_environment(stage))
    if missing := [key for key in keys if key not in present]:
        known = ", ".join(present) or "none"
        raise BadInput(f"{state.file(project).path} does not set {', '.join(missing)}{_of(stage)}; it sets: {known}")
    drops = [Drop((*_environment(stage), key)) for key in keys]
    subject = f"unset {', '.join(keys)}{_of(stage)}"
    return state.change(project, *drops, subject=subject, follows=_starts_nothing(project, stage))


def tag(
    state: State,
    project: ProjectArgument,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG ...", help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="TAG", help="A tag to remove.")] = None,
) -> Edit:
    """Add and remove a project's tags."""
    added, removed = tags or [], remove or []
    if not added and not removed:
        raise BadInput(f"name tags: winslow tag {project} TAG, or --remove TAG")
    own = _tags(state, project)
    if missing := [one for one in removed if one not in own]:
        path, known = state.file(project).path, ", ".join(own) or "none"
        raise BadInput(f"{path} has no tag {', '.join(missing)} of its own; it has: {known}")
    kept = [one for one in dict.fromkeys([*own, *added]) if one not in removed]
    change: Change = Put(("tags",), kept) if kept else Drop(("tags",))
    subject = " ".join(["tag", *(f"+{one}" for one in added), *(f"-{one}" for one in removed)])
    return state.change(project, change, subject=subject, follows="nothing starts or stops by it")


def rename(
    state: State, project: ProjectArgument, name: Annotated[str, typer.Argument(metavar="NAME", help="For people.")]
) -> Edit:
    """Change the name that people read. The project stays the same one."""
    follows = f"only what people read has changed: the project is still '{project}', after its file's name"
    return state.change(project, Put(("name",), name), subject=f"rename to {name}", follows=follows)


def pipeline(
    state: State,
    project: ProjectArgument,
    name: Annotated[str, typer.Argument(metavar="PIPELINE", help="A file in pipelines/, without .yaml.")],
) -> Edit:
    """Give a project another pipeline."""
    found = next((one for key, one in state.desired.pipelines.items() if key == name), None)
    follows = onward(project, state.project(project), found, state.glance(project)) if found else ""
    if state.project(project).paused:
        follows = f"the project is paused; after winslow resume {project}: {follows}"
    return state.change(project, Put(("pipeline",), name), subject=f"pipeline {name}", follows=follows)


def _environment(stage: str | None) -> tuple[str, ...]:
    return ("stages", stage, "environment") if stage else ("environment",)


def _of(stage: str | None) -> str:
    return f" for stage {stage}" if stage else ""


def _starts_nothing(project: str, stage: str | None) -> str:
    return f"nothing starts by it; to run a stage with it: winslow redo {project} {stage or 'STAGE'}"


def _overridden(state: State, project: str, variables: Mapping[str, str], stage: str | None) -> str:
    """Where a stronger level of the same file sets the variable, too."""
    if stage:
        return ""
    found = state.project(project).stages.items()
    stronger = [f"{key} for {name}" for name, one in found for key in variables if key in one.environment]
    return f" (stages: still sets {', '.join(stronger)}, which is stronger; change it by --stage)" if stronger else ""


def _tags(state: State, project: str) -> list[str]:
    """The file's own. BadInput if they are no list of words: what else stands there must not be lost."""
    found = _fields(state, project).get("tags")
    if found is not None and not (isinstance(found, list) and all(isinstance(one, str) for one in found)):
        path = state.file(project).path
        raise BadInput(f"{path}: tags is no list of words there; write a list such as tags: [4k, mec-view] first")
    return list(found or ())


def _fields(state: State, project: str, *path: str) -> dict[str, Any]:
    """What the file itself says at ``path``; empty if it is no mapping."""
    file = state.file(project)
    try:
        data = compose(file.text.encode(), file.path).data
    except NotYaml as error:
        raise BadInput(str(error)) from error
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}
