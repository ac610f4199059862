"""The status of everything, as people see it: a function of desired state, ledger and nodes.

Used for the page, the CLI and the branch ``observed`` alike. Nothing in it depends on the moment it is made,
except what the reader adds (progress, silence of nodes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from reconciler.core.fitting import Need
from reconciler.core.fleet import Fleet, Placement
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.lifecycle import absent, deletion_conditions, known_projects, unconfirmed
from reconciler.core.limits import Limits
from reconciler.core.names import NodeName, PipelineName, ProjectName
from reconciler.core.nodes import Node
from reconciler.core.placement import need_of, open_claims, usage
from reconciler.core.problems import Severity
from reconciler.core.proposals import offer, proposals_of
from reconciler.core.queue import in_order, keep_announced
from reconciler.core.records import Claim, Failed, Released
from reconciler.core.requests import line_of, renewed, request_conditions
from reconciler.core.start import limited_by, need_of_start, queued, start_faulty
from reconciler.core.status import Condition, ProjectPhase, ProjectStatus, Status, WaitingFor, condition
from reconciler.core.supervise import engine_silent

WAITING = {
    ProjectPhase.QUEUED,
    ProjectPhase.PAUSED,
    ProjectPhase.AWAITING_INPUT,
    ProjectPhase.FAILED,
    ProjectPhase.INVALID,
}


@dataclass(frozen=True, slots=True)
class _Sight:
    """All that one look at the site needs once, however many projects there are."""

    desired: Desired
    ledger: Ledger
    nodes: Sequence[Node]
    fleet: Fleet
    limits: Limits


def _sight(desired: Desired, ledger: Ledger, nodes: Sequence[Node]) -> _Sight:
    fleet = Fleet(nodes, desired, usage(ledger), ttl=desired.site.ttl.total_seconds())
    return _Sight(desired, ledger, nodes, fleet, Limits(desired, open_claims(ledger)))


def report(
    desired: Desired, ledger: Ledger, nodes: Sequence[Node], *, branch: str, conditions: tuple[Condition, ...] = ()
) -> Status:
    """``branch`` is the name of the desired branch, for edit links; ``conditions`` what the caller knows."""
    names = known_projects(desired, ledger)
    sight = _sight(desired, ledger, nodes)
    known = [_project(sight, name, branch) for name in in_order(desired, ledger, names)]
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
    sight = _sight(desired, ledger, nodes)
    ahead = {ProjectName(run.rpartition("/")[0]) for run in sight.fleet.keepers} & desired.projects.keys()
    for name in in_order(desired, ledger, {*ahead, project.id}):
        if name == project.id:
            break
        _explain(sight, desired.projects[name])  # for what nodes keep free for it
    return _explain(sight, project)


def _explain(sight: _Sight, project: Project) -> tuple[Wait, Mapping[NodeName, str]]:
    """Called in the queue's order: what is kept free for one is kept from those after it."""
    history = sight.ledger.history(project.id)
    if project.id in sight.ledger.unreadable:
        return records_unreadable(sight.ledger.unreadable[project.id]), {}
    match decide(sight.desired, project, history):
        case Wait() as wait:
            return wait, {}
        case RunOpen(run=run):
            is_sought = run.claim is None
            need = need_of(project.id, run.created, history)
            return _open(run, sight.nodes, project.id), _sought(sight, need).by_node() if is_sought else {}
        case StartStage(stage=stage) as start:
            need = need_of_start(project, history, start)
            if (held := limited_by(sight.limits, sight.fleet, project.id, stage.name, need)) is not None:
                return replace(held, stage=stage.name), {}
            placement = _sought(sight, need)
            told = {node.name: node.faults[project.id] for node in sight.nodes if project.id in node.faults}
            faults = {name: told[name] for name in placement.ranked if name in told}
            wait = start_faulty(stage.name, faults) if faults else queued(stage.name, placement)
            return replace(wait, stage=stage.name), {**placement.by_node(), **faults}


def _sought(sight: _Sight, need: Need) -> Placement:
    placement = sight.fleet.placement(need)
    keep_announced(sight.fleet, need)
    return placement


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


def _project(sight: _Sight, name: ProjectName, branch: str) -> ProjectStatus:
    desired, ledger, nodes = sight.desired, sight.ledger, sight.nodes
    project = desired.projects.get(name)
    history = ledger.history(name)
    if project is None:
        return _orphan(desired, ledger, name)
    wait, answers = _explain(sight, project)
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
        runs=tuple(run_entry(name, run, now=_now(nodes, name, run)) for run in history.runs),
        path=project.path,
        offers=tuple(offer(proposal, desired.site.forge, branch) for proposal in proposed),
        nodes=answers,
        **last_record(history),
    )


def _now(nodes: Sequence[Node], project: ProjectName, run: Run) -> str | None:
    remark = None if run.is_final else remark_on(nodes, project, run)
    return remark.now or None if remark else None


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
