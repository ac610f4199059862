"""``winslow reproduce``: the ``next`` that runs again what a run ran, and in words what it can't bring back."""

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.edits.onward import OPEN
from reconciler.cli.edits.requests import AbortOption, Asked, ThenOption, check_stage, request
from reconciler.cli.edits.state import Edit, State
from reconciler.cli.options import ConfigOption, ProjectArgument, found_config
from reconciler.cli.output import out, text
from reconciler.core.desired import Environment, Pipeline, Project, Secret, Stage, Workspace
from reconciler.core.environment import run_environment
from reconciler.core.ledger import RunPhase
from reconciler.core.names import RecordNumber, RunNumber, StageName
from reconciler.core.records import Base, InputFile
from reconciler.core.reproduce import Now, repetition
from reconciler.core.requests import pins_of
from reconciler.core.start import requires_of
from reconciler.core.status import ProjectStatus, RunStatus
from reconciler.errors import BadInput, ShareUnavailable


def reproduce(
    state: State,
    project: ProjectArgument,
    run: Annotated[int, typer.Argument(metavar="RUN", min=1, help="The run to repeat; it must have ended.")],
    config: ConfigOption = None,
    then: ThenOption = None,
    abort: AbortOption = False,
) -> Edit:
    """Run again exactly what a run ran."""
    found, pipeline, status = state.project(project), state.pipeline(project), state.status(project)
    recorded = _recorded(project, status, run)
    check_stage(state, project, recorded.stage)
    stage = pipeline.stage(recorded.stage)
    if status is None or stage is None:
        raise AssertionError("both were looked at above")
    files, unseen = _on_share(config, found, recorded, stage, _base(status, recorded))
    again = repetition(recorded, _now(state, found, pipeline, stage, status, recorded, files))
    for remark in (*again.remarks, *unseen):
        out().print(text(f"not pinned: {remark}"))
    asked = Asked(
        stage=stage.name,
        then=then,
        base=again.base,
        abort=abort,
        environment=_written(again.environment),
        pins=pins_of(again.pins),
    )
    return request(state, project, asked, word=f"repeat run {run}:", first=[])


def _recorded(project: str, status: ProjectStatus | None, number: int) -> RunStatus:
    runs = {run.run: run for run in status.runs} if status else {}
    run = runs.get(RunNumber(number))
    if run is None:
        known = f"there are {', '.join(map(str, sorted(runs)))}" if runs else "the nodes have reported none"
        raise BadInput(f"'{project}' has no run {number}; {known}")
    if run.phase in OPEN:
        raise BadInput(
            f"run {number} ({run.stage}) still goes on, and what it was given is recorded once it has ended; wait for "
            f"that, or ask for the stage as it is now: winslow redo {project} {run.stage}"
        )
    if run.commit is None:
        raise BadInput(f"nothing is recorded of how run {number} ({run.stage}) was made, so it can't be repeated")
    return run


def _now(
    state: State,
    project: Project,
    pipeline: Pipeline,
    stage: Stage,
    status: ProjectStatus,
    run: RunStatus,
    files: tuple[InputFile, ...] | None,
) -> Now:
    made = state.as_of(run.commit or "", project.id)
    then = made[1].stage(run.stage) if made else None
    return Now(
        stage=stage,
        requires=requires_of(project, stage),
        environment=run_environment(state.desired, pipeline, stage, project, None),
        inputs=project.inputs,
        base=_usual_base(stage, pipeline, status),
        files=files,
        nodes=state.reported_nodes(),
        then=then,
        then_requires=requires_of(made[0], then) if made and then else None,
    )


def _usual_base(stage: Stage, pipeline: Pipeline, status: ProjectStatus) -> RunNumber | None:
    """As ``core.decide`` chooses it: the newest success of the nearest earlier stage."""
    names: list[StageName] = [one.name for one in pipeline.stages]
    for name in reversed(names[: names.index(stage.name)]):
        done = [run.run for run in status.runs if run.stage == name and run.phase is RunPhase.SUCCEEDED]
        if done:
            return max(done)
    return None


def _on_share(
    config: Path | None, project: Project, run: RunStatus, stage: Stage, base: Base | None
) -> tuple[tuple[InputFile, ...] | None, list[str]]:
    """The inputs as they are now, if this machine knows the share; BadInput if the base's files are gone from it."""
    settings = found_config(config)
    if settings is None:
        return None, []
    from reconciler.adapters.share import SharedDirectory  # noqa: PLC0415

    share = SharedDirectory(settings.share)
    is_init = run.base is None and stage.workspace is Workspace.CONTINUE
    try:
        if base is not None and not share.has_workspace(project.id, base):
            raise BadInput(
                f"run {run.run} began from the workspace of run {base.run} ({base.stage}), whose files are gone; make "
                f"them again first: winslow reproduce {project.id} {base.run}"
            )
        return share.look_at_inputs(project.id, (*run.inputs, *(("init",) if is_init else ()))), []
    except ShareUnavailable as error:
        return None, [f"the share could not be looked at: {error}"]


def _base(status: ProjectStatus, run: RunStatus) -> Base | None:
    of = next((one for one in status.runs if one.run == run.base), None)
    if of is None or run.base_claim is None:
        return None
    return Base(run=of.run, stage=of.stage, claim=RecordNumber(run.base_claim))


def _written(environment: Environment) -> dict[str, object]:
    """As it stands in YAML."""
    return {name: {"secret": one.secret} if isinstance(one, Secret) else one for name, one in environment.items()}
