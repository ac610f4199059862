"""The status of everything, as people see it: a function of desired state, ledger and nodes.

Used for the page, the CLI and the branch ``observed`` alike. Nothing in it depends on the moment it is made,
except what the reader adds (progress, silence of nodes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from reconciler.core.conditions import condition, node_conditions, project_conditions, site_conditions, start_faults
from reconciler.core.decide import RunOpen, StartStage, Wait, decide, records_unreadable
from reconciler.core.desired import Desired, NodePolicy, Project, Secret
from reconciler.core.environment import Setting
from reconciler.core.ledger import Aborted, Claim, Failed, Ledger, Lost, ProjectHistory, Released, Run, RunPhase
from reconciler.core.names import NodeName, PipelineName, ProjectName, StageName, run_directory
from reconciler.core.nodes import Node
from reconciler.core.placement import Need, claims_of, limited, place, usage
from reconciler.core.problems import Severity
from reconciler.core.start import queued
from reconciler.core.status import (
    Condition,
    NodeStatus,
    ProjectPhase,
    ProjectStatus,
    RunStatus,
    StageState,
    StageStatus,
    Status,
    WaitingFor,
)
from reconciler.core.supervise import engine_silent

WAITING = {ProjectPhase.QUEUED, ProjectPhase.PAUSED, ProjectPhase.AWAITING_INPUT, ProjectPhase.FAILED}
MASK = "********"


def report(
    desired: Desired, ledger: Ledger, nodes: Sequence[Node], *, branch: str, conditions: tuple[Condition, ...] = ()
) -> Status:
    """``branch`` is the name of the desired branch, for edit links; ``conditions`` what the caller knows."""
    names = sorted(set(desired.projects) | set(ledger.projects) | set(ledger.unreadable))
    known = [_project(desired, ledger, nodes, name, branch) for name in names]
    broken = [_broken(desired, path, branch) for path in broken_projects(desired) if stem(path) not in names]
    return Status(
        commit=desired.commit,
        projects=tuple(sorted([*known, *broken], key=lambda project: project.project)),
        nodes=tuple(_node(desired, ledger, node) for node in nodes),
        conditions=conditions + node_conditions(desired, nodes, told=conditions) + site_conditions(desired),
    )


def explain(
    desired: Desired, ledger: Ledger, nodes: Sequence[Node], project: Project
) -> tuple[Wait, Mapping[NodeName, str]]:
    """What the project waits for or does now, and of each node why it is not chosen (empty if none is sought)."""
    history = ledger.history(project.id)
    if project.id in ledger.unreadable:
        return records_unreadable(ledger.unreadable[project.id]), {}
    match decide(desired, project, history):
        case Wait() as wait:
            return wait, {}
        case RunOpen(run=run):
            return _open(run, nodes), {}
        case StartStage(stage=stage):
            override = project.stages.get(stage.name)
            need = Need(
                requires=override.requires if override and override.requires else stage.requires,
                image=stage.image,
                has_process_command=bool(stage.process_command),
                seed=f"{project.id}/{len(history.runs) + 1}",
            )
            ttl = desired.site.ttl.total_seconds()
            placement = place(need, nodes, desired, usage(ledger), ttl=ttl)
            chosen = {name: f"rank {rank}" for rank, name in enumerate(placement.ranked)}
            return replace(queued(stage.name, placement), stage=stage.name), {**placement.refused, **chosen}


def _open(run: Run, nodes: Sequence[Node]) -> Wait:
    match run.last:
        case Claim() as claim if any(n.name == claim.node and "EngineUnavailable" in n.conditions for n in nodes):
            return engine_silent(run, claim)
        case Claim() as claim:
            message = f"run {run.number} ({run.stage}) on {claim.node}, attempt {run.attempts}"
            return Wait(phase=ProjectPhase.RUNNING, reason=run.phase.value, message=message)
        case Released() | Failed() as ended:
            message = f"run {run.number} ({run.stage}) is tried again after: {ended.message or ended.reason}"
            return Wait(phase=ProjectPhase.QUEUED, reason="Retrying", message=message)
        case _:
            message = f"run {run.number} ({run.stage}) was created and is about to be claimed"
            return Wait(phase=ProjectPhase.QUEUED, reason="Claiming", message=message)


def _project(desired: Desired, ledger: Ledger, nodes: Sequence[Node], name: ProjectName, branch: str) -> ProjectStatus:
    project = desired.projects.get(name)
    history = ledger.history(name)
    if project is None:
        return _orphan(name, history)
    wait, _ = explain(desired, ledger, nodes, project)
    pipeline = desired.pipelines.get(project.pipeline)
    stages = [stage.name for stage in pipeline.stages] if pipeline else []
    return ProjectStatus(
        project=name,
        name=project.name,
        pipeline=project.pipeline,
        tags=project.tags,
        phase=wait.phase,
        waiting_for=_waiting_for(desired, project, history, wait, branch),
        conditions=project_conditions(desired, project, history, wait) + start_faults(desired, nodes, name),
        last_run=history.last_run.number if history.last_run else None,
        stages=tuple(_stage(history, stage, awaited=wait.stage == stage) for stage in stages),
        runs=tuple(_run(name, run) for run in history.runs),
        path=project.path,
    )


def _orphan(name: ProjectName, history: ProjectHistory) -> ProjectStatus:
    """A project that the ledger knows and git does not (any more)."""
    last = history.last_run
    running = last is not None and not last.is_final
    message = f"the project's file {name}.yaml is gone from git: nothing new starts; put it back to go on"
    return ProjectStatus(
        project=name,
        name=name,
        pipeline=last.created.pipeline if last else PipelineName(""),
        tags=(),
        phase=ProjectPhase.RUNNING if running else ProjectPhase.PAUSED,
        waiting_for=None if running else WaitingFor(reason="FileDeleted", message=message, since=_since(history)),
        conditions=(Condition(type="FileDeleted", status="True", reason="FileDeleted", message=message),),
        last_run=last.number if last else None,
        stages=tuple(_stage(history, stage) for stage in dict.fromkeys(run.stage for run in history.runs)),
        runs=tuple(_run(name, run) for run in history.runs),
    )


def broken_projects(desired: Desired) -> list[str]:
    """Paths of projects' files that can't be used and have no last good version, hence no project."""
    files = {problem.file for problem in desired.problems if problem.severity is Severity.ERROR}
    used = {project.path for project in desired.projects.values()}
    return sorted(path for path in files - used if path.startswith("projects/") and not stem(path).startswith("_"))


def stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".yaml")


def _broken(desired: Desired, path: str, branch: str) -> ProjectStatus:
    says = "; ".join(str(problem) for problem in desired.problems if problem.file == path)
    return ProjectStatus(
        project=ProjectName(stem(path)),
        name=stem(path),
        pipeline=PipelineName(""),
        tags=(),
        phase=ProjectPhase.INVALID,
        waiting_for=WaitingFor(reason="FileBroken", message=says, url=edit_url(desired, path, branch)),
        conditions=(Condition(type="FileBroken", status="True", reason="FileBroken", message=says),),
        last_run=None,
        stages=(),
        runs=(),
        path=path,
    )


def _waiting_for(
    desired: Desired, project: Project, history: ProjectHistory, wait: Wait, branch: str
) -> WaitingFor | None:
    if wait.phase not in WAITING and wait.phase is not ProjectPhase.INVALID:
        return None
    return WaitingFor(
        reason=wait.reason,
        message=wait.message,
        since=_since(history),
        edit=wait.edit,
        url=edit_url(desired, project.path, branch),
    )


def _since(history: ProjectHistory) -> datetime | None:
    """When what a project waits for began: its newest record's time."""
    times = [record.at for record in history.records[-1:]]
    if history.last_run and history.last_run.last:
        times.append(history.last_run.last.at)
    return max(times, default=None)


def edit_url(desired: Desired, path: str, branch: str) -> str | None:
    """Where the forge lets a person edit the file in the browser."""
    forge = desired.site.forge
    if forge is None:
        return None
    middle = {"gitlab": "-/edit", "github": "edit"}.get(forge.kind, "_edit")
    return f"{forge.url}/{middle}/{quote(branch)}/{quote(path)}"


def _stage(history: ProjectHistory, stage: StageName, *, awaited: bool = False) -> StageStatus:
    """``awaited``: it waits for a node or a person, whatever became of its earlier runs."""
    run = next((run for run in reversed(history.runs) if run.stage == stage), None)
    state = StageState.PAUSED if awaited else _state(run)
    return StageStatus(stage=stage, state=state, run=run.number if run else None)


def _state(run: Run | None) -> StageState | None:
    """The thesis' four words; a run that waits to be tried again still counts as running."""
    if run is None:
        return None
    return {
        RunPhase.SUCCEEDED: StageState.SUCCEEDED,
        RunPhase.FAILED: StageState.FAILED,
        RunPhase.ABORTED: StageState.FAILED,
        RunPhase.LOST: StageState.FAILED,
    }.get(run.phase, StageState.RUNNING)


def _run(project: ProjectName, run: Run) -> RunStatus:
    claim, outcome = run.last_claim, run.outcome
    directory = f"projects/{project}/runs/{run_directory(run.number, run.stage)}"
    files = f"{directory}/{claim.number}" if claim else None
    output = f"projects/{project}/output/{run_directory(run.number, run.stage)}"
    ended = outcome.ended_at if outcome and outcome.ended_at else run.last.at if run.is_final and run.last else None
    why = run.last if isinstance(run.last, Failed | Lost | Released) else None
    return RunStatus(
        run=run.number,
        stage=run.stage,
        phase=run.phase,
        node=claim.node if claim else None,
        attempts=run.attempts,
        started_at=(outcome.started_at if outcome else None) or run.started_at,
        ended_at=ended,
        exit_code=outcome.exit_code if outcome else None,
        log=f"{files}/log.jsonl" if files else None,
        reason="AbortRequested" if isinstance(run.last, Aborted) else why.reason if why else None,
        message=why.message or None if why else None,
        results=outcome.results if outcome else {},
        environment={name: _shown(setting) for name, setting in run.created.environment.items()},
        image=run.created.image,
        image_digest=outcome.image_digest if outcome else None,
        commit=run.created.commit,
        workspace=f"{files}/workspace" if files else None,
        output=output if run.phase is RunPhase.SUCCEEDED else f"{files}/output" if files else None,
        tail=outcome.log.tail if outcome and outcome.log else (),
        log_sha256=outcome.log.sha256 if outcome and outcome.log else None,
        record=run.last.number if run.last else None,
        token=run.last.token if run.last else None,
    )


def _shown(setting: Setting) -> str:
    return MASK if isinstance(setting.value, Secret) else setting.value


def _node(desired: Desired, ledger: Ledger, node: Node) -> NodeStatus:
    policy = desired.nodes.get(node.name, NodePolicy())
    capacity = limited(node.record.capacity, policy)
    running = [f"{project}/{run_directory(run.number, run.stage)}" for project, run in claims_of(ledger, node.name)]
    return NodeStatus(
        node=node.name,
        live=node.is_live(desired.site.ttl.total_seconds()),
        silent_for=node.silent_for,
        runtime=node.record.runtime,
        cpus=capacity.cpus,
        memory=capacity.memory,
        gpus=tuple(gpu.model or gpu.uuid for gpu in capacity.gpus),
        labels={**node.record.labels, **policy.labels},
        drained=policy.drained,
        running=tuple(running),
        started_at=node.record.at,
        versions=node.record.versions,
        conditions=tuple(condition(kind, message) for kind, message in sorted(node.conditions.items())),
    )
