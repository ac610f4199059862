"""The status of everything, as people see it: a function of desired state, ledger and nodes.

Used for the page, the CLI and the branch ``observed`` alike. Nothing in it depends on the moment it is made,
except what the reader adds (progress, silence of nodes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from reconciler.core.conditions import (
    node_conditions,
    owner_silent,
    project_conditions,
    remark_on,
    remarks,
    site_conditions,
    start_faults,
    unknown_nodes,
)
from reconciler.core.decide import RunOpen, StartStage, Wait, decide, records_unreadable
from reconciler.core.desired import Desired, Project
from reconciler.core.entries import last_record, node_entry, run_entry, stage_entry
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.lifecycle import absent, deletion_conditions, known_projects, unconfirmed
from reconciler.core.names import NodeName, PipelineName, ProjectName
from reconciler.core.nodes import Node
from reconciler.core.placement import Need, place, usage
from reconciler.core.problems import Severity
from reconciler.core.proposals import offer, proposals_of
from reconciler.core.records import Claim, Failed, Released
from reconciler.core.requests import line_of, renewed, request_conditions
from reconciler.core.start import by_node, queued, requires_of
from reconciler.core.status import Condition, ProjectPhase, ProjectStatus, Status, WaitingFor, condition
from reconciler.core.supervise import engine_silent

WAITING = {
    ProjectPhase.QUEUED,
    ProjectPhase.PAUSED,
    ProjectPhase.AWAITING_INPUT,
    ProjectPhase.FAILED,
    ProjectPhase.INVALID,
}


def report(
    desired: Desired, ledger: Ledger, nodes: Sequence[Node], *, branch: str, conditions: tuple[Condition, ...] = ()
) -> Status:
    """``branch`` is the name of the desired branch, for edit links; ``conditions`` what the caller knows."""
    names = sorted(known_projects(desired, ledger))
    known = [_project(desired, ledger, nodes, name, branch) for name in names]
    broken = [_broken(desired, path, branch) for path in broken_projects(desired) if stem(path) not in names]
    return Status(
        commit=desired.commit,
        share=ledger.share,
        projects=tuple(sorted([*known, *broken], key=lambda project: project.project)),
        nodes=tuple(node_entry(desired, ledger, node) for node in nodes),
        conditions=(
            *conditions,
            *node_conditions(desired, nodes, told=conditions),
            *unknown_nodes(desired, nodes),
            *deletion_conditions(desired, ledger),
            *site_conditions(desired),
        ),
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
            return _open(run, nodes, project.id), {}
        case StartStage(stage=stage):
            need = Need(
                requires=requires_of(project, stage),
                image=stage.image,
                has_process_command=bool(stage.process_command),
                seed=f"{project.id}/{history.next_run}",
            )
            ttl = desired.site.ttl.total_seconds()
            placement = place(need, nodes, desired, usage(ledger), ttl=ttl)
            return replace(queued(stage.name, placement), stage=stage.name), by_node(placement)


def _open(run: Run, nodes: Sequence[Node], project: ProjectName) -> Wait:
    remark = remark_on(nodes, project, run)
    match run.last:
        case Claim() as claim if any(n.name == claim.node and "EngineUnavailable" in n.conditions for n in nodes):
            return engine_silent(run, claim)
        case Claim() if remark is not None:
            return Wait(phase=ProjectPhase.RUNNING, reason=remark.reason, message=remark.message)
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
        return _orphan(desired, ledger, name)
    wait, answers = explain(desired, ledger, nodes, project)
    pipeline = desired.pipelines.get(project.pipeline)
    stages = [stage.name for stage in pipeline.stages] if pipeline else []
    proposed = proposals_of(desired, project, history, wait) if desired.site.proposals else ()
    return ProjectStatus(
        project=name,
        name=project.name,
        pipeline=project.pipeline,
        tags=project.tags,
        phase=wait.phase,
        waiting_for=_waiting_for(desired, project, history, wait, branch),
        conditions=(
            *project_conditions(desired, project, history, wait),
            *owner_silent(desired, nodes, history),
            *remarks(nodes, name, history),
            *start_faults(desired, nodes, name),
        ),
        last_run=history.last_run.number if history.last_run else None,
        stages=tuple(stage_entry(history, stage, awaited=wait.stage == stage) for stage in stages),
        runs=tuple(run_entry(name, run) for run in history.runs),
        path=project.path,
        offers=tuple(offer(proposal, desired.site.forge, branch) for proposal in proposed),
        nodes=answers,
        **last_record(history),
    )


def _orphan(desired: Desired, ledger: Ledger, name: ProjectName) -> ProjectStatus:
    """A project that the ledger knows and git does not (any more)."""
    history = ledger.history(name)
    last = history.last_run
    wait = absent(desired, ledger, name, unconfirmed(desired, ledger))
    if name in ledger.unreadable:
        wait = records_unreadable(ledger.unreadable[name])
    running = last is not None and not last.is_final and wait.phase is not ProjectPhase.DELETING
    return ProjectStatus(
        project=name,
        name=name,
        pipeline=last.created.pipeline if last else PipelineName(""),
        tags=(),
        phase=ProjectPhase.RUNNING if running else wait.phase,
        waiting_for=None if running else WaitingFor(reason=wait.reason, message=wait.message, since=_since(history)),
        conditions=(condition(wait.reason, wait.message),),
        last_run=last.number if last else None,
        stages=tuple(stage_entry(history, stage) for stage in dict.fromkeys(run.stage for run in history.runs)),
        runs=tuple(run_entry(name, run) for run in history.runs),
        **last_record(history),
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
    if wait.phase is ProjectPhase.SUCCEEDED:
        return _unanswered(desired, project, history, branch)
    if wait.phase not in WAITING:
        return None
    return WaitingFor(
        reason=wait.reason,
        message=wait.message,
        since=_since(history),
        edit=wait.edit,
        url=edit_url(desired, project.path, branch),
    )


def _unanswered(desired: Desired, project: Project, history: ProjectHistory, branch: str) -> WaitingFor | None:
    """A finished project whose ``next`` does nothing: somebody waits for something that will not come."""
    told = [one for one in request_conditions(project, history) if one.type in ("RequestStale", "RequestPending")]
    if project.next is None or not told:
        return None
    return WaitingFor(
        reason=told[0].type,
        message=told[0].message,
        since=_since(history),
        edit=line_of(renewed(project.next, history)),
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
