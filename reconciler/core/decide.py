"""What a project wants next, whoever will do it: the node-independent half of ``plan``.

Without ``next``, stages follow the pipeline's order, each after the success of the one before. ``next`` is
a compare-and-swap: it starts its stage if the project's last run is still number ``after``.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reconciler.core.desired import Confirm, Desired, Next, Pipeline, Project, Stage, StageOverride, Then, Workspace
from reconciler.core.environment import run_environment
from reconciler.core.ledger import ProjectHistory, Run, RunPhase
from reconciler.core.ledger_behind import Noted, told
from reconciler.core.names import ProjectName, RunNumber, StageName
from reconciler.core.records import Base, DesiredSeen, Failed, Lost
from reconciler.core.requests import line_of, renewed, request_is_due, request_line, yaml_environment, yaml_word
from reconciler.core.status import ProjectPhase


@dataclass(frozen=True, slots=True, kw_only=True)
class StartStage:
    """A new run of ``stage`` should be created by some node."""

    stage: Stage
    pipeline: Pipeline
    request: Next | None
    base: Base | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOpen:
    """The last run has no final record yet; what happens to it depends on who claims it."""

    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do now. ``edit`` is the YAML that goes on, if a person can; ``stage`` the one that waits."""

    phase: ProjectPhase
    reason: str
    message: str
    edit: str | None = None
    stage: StageName | None = None


Decision = StartStage | RunOpen | Wait


def decide(desired: Desired, project: Project, history: ProjectHistory) -> Decision:
    """Total: every project gets exactly one decision."""
    pipeline = desired.pipelines.get(project.pipeline)
    last = history.last_run
    if history.is_purged:
        return purging(project.id)
    if last is not None and not last.is_final:
        return RunOpen(run=last)
    if pipeline is None:
        return _pipeline_missing(desired, project)
    decision = _unpaused(desired, pipeline, project, history)
    return _paused(project, decision) if project.paused and _is_held_back(decision) else decision


def _unpaused(desired: Desired, pipeline: Pipeline, project: Project, history: ProjectHistory) -> Decision:
    if project.next is not None and request_is_due(project.next, history):
        return _requested(desired, pipeline, project, project.next, history)
    return _by_order(desired, pipeline, project, history)


def _is_held_back(decision: Decision) -> bool:
    """Would the project go on, or ask somebody to let it? A failure, or the end, is told in spite of a pause."""
    return isinstance(decision, StartStage) or (
        isinstance(decision, Wait) and decision.phase is ProjectPhase.AWAITING_INPUT
    )


def _paused(project: Project, decision: Decision) -> Wait:
    return Wait(
        phase=ProjectPhase.PAUSED,
        reason="Paused",
        message=f"{project.path} says paused: true; nothing new starts",
        edit="paused: false",
        stage=awaited_stage(decision),
    )


def awaited_stage(decision: Decision) -> StageName | None:
    """The stage that waits for a node or a person."""
    match decision:
        case StartStage(stage=stage):
            return stage.name
        case Wait(stage=name):
            return name
        case RunOpen():
            return None


def _requested(
    desired: Desired, pipeline: Pipeline, project: Project, request: Next, history: ProjectHistory
) -> Decision:
    stage = pipeline.stage(request.stage)
    if stage is None:
        return _stage_unknown(pipeline, request, history)
    if request.base is not None and _as_base(history, request.base) is None:
        return Wait(
            phase=ProjectPhase.AWAITING_INPUT,
            reason="BaseUnknown",
            message=f"next says from: {request.base}, but this project has no run {request.base} with a workspace",
            edit=line_of(renewed(replace(request, base=None), history)),
        )
    return _start(desired, pipeline, project, stage, request, history)


def _stage_unknown(pipeline: Pipeline, request: Next, history: ProjectHistory) -> Wait:
    """Offers the stage that was probably meant; none is offered that would quietly start all over."""
    names = [stage.name for stage in pipeline.stages]
    meant = difflib.get_close_matches(request.stage, names, n=1)
    return Wait(
        phase=ProjectPhase.AWAITING_INPUT,
        reason="StageUnknown",
        message=f"next asks for stage '{request.stage}', but pipeline '{pipeline.id}' has: {', '.join(names)}",
        edit=line_of(renewed(replace(request, stage=StageName(meant[0])), history)) if meant else None,
    )


def _by_order(desired: Desired, pipeline: Pipeline, project: Project, history: ProjectHistory) -> Decision:
    last = history.last_run
    if last is None:
        if not pipeline.stages:
            return Wait(
                phase=ProjectPhase.INVALID,
                reason="PipelineEmpty",
                message=f"pipeline '{pipeline.id}' has no stages; add one to {pipeline.path}",
            )
        return _gated(desired, pipeline, project, pipeline.stages[0], history)
    if last.phase is not RunPhase.SUCCEEDED:
        return _failed(pipeline, history, last)
    names = [stage.name for stage in pipeline.stages]
    if last.stage not in names:
        return Wait(
            phase=ProjectPhase.AWAITING_INPUT,
            reason="StageLeftPipeline",
            message=f"the last run's stage '{last.stage}' is no longer in pipeline '{pipeline.id}'; say where to go on",
            edit=_elsewhere(pipeline, history),
        )
    following = pipeline.stages[names.index(last.stage) + 1 :]
    if not following or last.created.is_last:
        return _finished(following, history)
    if last.created.then is Then.PAUSE:
        return Wait(
            phase=ProjectPhase.AWAITING_INPUT,
            reason="PausedAfterStage",
            message=f"run {last.number} ({last.stage}) succeeded and was asked to stop there",
            edit=request_line(following[0].name, history),
            stage=following[0].name,
        )
    return _gated(desired, pipeline, project, following[0], history)


def _finished(following: tuple[Stage, ...], history: ProjectHistory) -> Wait:
    if following:
        return Wait(
            phase=ProjectPhase.SUCCEEDED,
            reason="StagesAdded",
            message=f"finished before stage '{following[0].name}' was added to the pipeline; it stays finished",
            edit=request_line(following[0].name, history),
        )
    return Wait(phase=ProjectPhase.SUCCEEDED, reason="Finished", message="all stages have succeeded")


def _gated(desired: Desired, pipeline: Pipeline, project: Project, stage: Stage, history: ProjectHistory) -> Decision:
    ran_before = any(run.stage == stage.name for run in history.runs)
    if stage.confirm is Confirm.BEFORE or (stage.confirm is Confirm.ONCE and not ran_before):
        return Wait(
            phase=ProjectPhase.AWAITING_INPUT,
            reason="ConfirmationRequired",
            message=f"stage '{stage.name}' starts only when somebody asks for it (confirm: {stage.confirm})",
            edit=request_line(stage.name, history),
            stage=stage.name,
        )
    return _start(desired, pipeline, project, stage, None, history)


def _start(
    desired: Desired,
    pipeline: Pipeline,
    project: Project,
    stage: Stage,
    request: Next | None,
    history: ProjectHistory,
) -> Decision:
    if stage.requires_environment:
        environment = run_environment(desired, pipeline, stage, project, request)
        if missing := [name for name in stage.requires_environment if name not in environment]:
            return _environment_missing(project, stage, request, history, missing)
    base = _as_base(history, request.base) if request and request.base else base_of(stage, pipeline, history)
    if base is not None and base.run in history.lost_files:
        return _files_lost(pipeline, stage, base, history)
    return StartStage(stage=stage, pipeline=pipeline, request=request, base=base)


def _files_lost(pipeline: Pipeline, stage: Stage, base: Base, history: ProjectHistory) -> Wait:
    """Offers the latest stage from which the lost workspace can be made again."""
    redo: Base | None = base
    name = base.stage
    while redo is not None and redo.run in history.lost_files:
        name = redo.stage
        before = pipeline.stage(name)
        redo = base_of(before, pipeline, history) if before is not None else None
    return Wait(
        phase=ProjectPhase.AWAITING_INPUT,
        reason="BaseMissing",
        message=f"stage '{stage.name}' goes on from run {base.run} ({base.stage}), whose files were lost with the "
        f"share; stage '{name}' can make them again",
        edit=request_line(name, history) if pipeline.stage(name) is not None else None,
        stage=stage.name,
    )


def _environment_missing(
    project: Project, stage: Stage, request: Next | None, history: ProjectHistory, missing: Sequence[str]
) -> Wait:
    """The edit keeps what the project sets already; where a stronger level unsets a variable, only ``next`` helps."""
    asked = request or Next(stage=stage.name)
    override = project.stages.get(stage.name, StageOverride())
    blanks = dict.fromkeys(missing, "...")
    if any(name in asked.environment or name in override.environment for name in missing):
        edit = line_of(renewed(replace(asked, environment={**asked.environment, **blanks}), history))
    else:
        edit = f"environment: {yaml_environment({**project.environment, **blanks})}"
    return Wait(
        phase=ProjectPhase.AWAITING_INPUT,
        reason="EnvironmentMissing",
        message=f"stage '{stage.name}' needs {', '.join(missing)}; set it in {project.path}",
        edit=edit,
        stage=stage.name,
    )


def base_of(stage: Stage, pipeline: Pipeline, history: ProjectHistory) -> Base | None:
    """The newest succeeded run of the nearest earlier stage; None: the project's ``init/``."""
    if stage.workspace is Workspace.FRESH:
        return None
    names = [s.name for s in pipeline.stages]
    earlier = names[: names.index(stage.name)]
    for name in reversed(earlier):
        for run in reversed(history.runs):
            if run.stage == name and run.phase is RunPhase.SUCCEEDED:
                return _as_base(history, run.number)
    return None


def _as_base(history: ProjectHistory, number: RunNumber) -> Base | None:
    """A run's accepted claim directory: of the claim its outcome follows, or its last claim (a failed run)."""
    run = history.run(number)
    if run is None or not run.is_final or run.last_claim is None:
        return None
    return Base(run=run.number, stage=run.stage, claim=run.last_claim.number)


def _failed(pipeline: Pipeline, history: ProjectHistory, last: Run) -> Wait:
    reason, message = how_it_failed(last)
    edit: str | None = request_line(last.stage, history)
    if pipeline.stage(last.stage) is None:  # to offer the stage that failed would be a dead end
        message += f"; its stage is no longer in pipeline '{pipeline.id}': say where to go on"
        edit = _elsewhere(pipeline, history)
    return Wait(phase=ProjectPhase.FAILED, reason=reason, message=message, edit=edit)


def _elsewhere(pipeline: Pipeline, history: ProjectHistory) -> str | None:
    """Where to go on when the last run's stage has left the pipeline: after the newest success that still counts."""
    names = [stage.name for stage in pipeline.stages]
    done = (run.stage for run in reversed(history.runs) if run.phase is RunPhase.SUCCEEDED and run.stage in names)
    newest = next(done, None)
    onward = names if newest is None else names[names.index(newest) + 1 :] or [newest]
    return request_line(onward[0], history) if onward else None


def how_it_failed(run: Run) -> tuple[str, str]:
    """Reason and message of a run that ended otherwise than well."""
    word = {RunPhase.ABORTED: "was aborted", RunPhase.LOST: "was lost for good"}.get(run.phase, "failed")
    why, reason = (run.last.message, run.last.reason) if isinstance(run.last, Failed | Lost) else ("", run.phase.value)
    return reason, f"run {run.number} ({run.stage}) {word}" + (f": {why}" if why else "")


def _pipeline_missing(desired: Desired, project: Project) -> Wait:
    located = next((p for p in desired.problems if p.file == project.path and "pipeline" in p.message), None)
    known = ", ".join(sorted(desired.pipelines)) or "none yet"
    meant = difflib.get_close_matches(project.pipeline, desired.pipelines, n=1)
    return Wait(
        phase=ProjectPhase.INVALID,
        reason="PipelineMissing",
        edit=f"pipeline: {yaml_word(meant[0])}" if meant else None,
        message=str(located) if located else f"{project.path}: no pipeline '{project.pipeline}'; there are: {known}",
    )


def records_unreadable(why: str) -> Wait:
    """Nothing is decided on a history that can't be read whole."""
    return Wait(phase=ProjectPhase.INVALID, reason="RecordUnreadable", message=why)


def source_behind(history: ProjectHistory) -> Wait:
    """Of a node whose view is older than the newest record."""
    return Wait(
        phase=ProjectPhase.QUEUED,
        reason="SourceBehind",
        message=f"another node acted on commit {(history.last_commit or '')[:10]}, which is not here yet",
    )


def read_differently(seen: DesiredSeen) -> Wait:
    """Of a node that finds something else in the very commit that another one read."""
    return Wait(
        phase=ProjectPhase.QUEUED,
        reason="VersionsDiffer",
        message=f"node {seen.node} reads the files of commit {seen.commit[:10]} otherwise than this one does; "
        "run the same version of Winslow on both",
    )


def ledger_behind(lacking: tuple[Noted, ...]) -> Wait:
    """Of a share that was restored from a backup, or is another one: nothing is decided on it."""
    return Wait(phase=ProjectPhase.PAUSED, reason="LedgerBehind", message=told(lacking))


def purging(name: ProjectName) -> Wait:
    """What has this name in git is a new project and begins once the old one's directory is out of the way."""
    return Wait(
        phase=ProjectPhase.DELETING,
        reason="Purging",
        message=f"the retention of the deleted project {name} is over: its files are being removed",
    )
