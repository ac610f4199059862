"""One entry of the report each: a stage of a project, one of its runs, a node."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from reconciler.core.desired import Desired, NodePolicy, Secret
from reconciler.core.environment import Setting
from reconciler.core.fitting import limited
from reconciler.core.ledger import Ledger, ProjectHistory, Run, RunPhase
from reconciler.core.names import NodeName, ProjectName, RecordNumber, StageName, Token, run_directory
from reconciler.core.nodes import Gpu, Node
from reconciler.core.placement import claims_of
from reconciler.core.records import Aborted, Claim, Failed, Lost, Outcome, Released
from reconciler.core.status import (
    ClaimStatus,
    Condition,
    DeviceStatus,
    NodeStatus,
    RunStatus,
    StageState,
    StageStatus,
    condition,
)

MASK = "********"


def stage_entry(history: ProjectHistory, stage: StageName, *, awaited: bool = False) -> StageStatus:
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


def run_entry(project: ProjectName, run: Run, *, now: str | None = None) -> RunStatus:
    """``now`` is what its claimant does for it at this moment."""
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
        log=_log(outcome, files),
        reason="AbortRequested" if isinstance(run.last, Aborted) else why.reason if why else None,
        message=why.message or None if why else None,
        results=outcome.results if outcome else {},
        environment={name: _shown(setting) for name, setting in run.created.environment.items()},
        sources={name: setting.source for name, setting in run.created.environment.items()},
        secrets=_secrets(run.created.environment),
        image=run.created.image,
        image_digest=(outcome.image_digest if outcome else None) or run.created.image_digest,
        commit=run.created.commit,
        workspace=f"{files}/workspace" if files else None,
        output=output if run.phase is RunPhase.SUCCEEDED else f"{files}/output" if files else None,
        tail=outcome.log.tail if outcome and outcome.log else (),
        log_sha256=outcome.log.sha256 if outcome and outcome.log else None,
        base=run.created.base.run if run.created.base else None,
        inputs=run.created.inputs,
        record=run.last.number if run.last else None,
        token=run.last.token if run.last else None,
        pipeline=run.created.pipeline,
        request=run.created.request,
        is_last=run.created.is_last,
        base_claim=run.created.base.claim if run.created.base else None,
        created=run.created.number,
        claims=tuple(
            ClaimStatus(record=record.number, node=record.node, at=record.at)
            for record in run.records
            if isinstance(record, Claim)
        ),
        command=run.created.command,
        process_command=run.created.process_command,
        resources=outcome.resources if outcome else None,
        input_files=outcome.inputs if outcome else (),
        gpus=outcome.gpus if outcome else (),
        versions=outcome.versions if outcome else {},
        reused=outcome.reused if outcome else None,
        requires=run.created.requires,
        now=now,
    )


def _log(outcome: Outcome | None, files: str | None) -> str | None:
    """Of a reused run the log of the program that made its files."""
    if outcome is not None and outcome.reused is not None and outcome.log is not None:
        return outcome.log.path
    return f"{files}/log.jsonl" if files else None


class LastRecord(TypedDict):
    record: RecordNumber | None
    token: Token | None


def last_record(history: ProjectHistory) -> LastRecord:
    """By which nodes notice that a share was restored from a backup."""
    last = history.records[-1] if history.records else None
    return LastRecord(record=last.number if last else None, token=last.token if last else None)


def _shown(setting: Setting) -> str:
    return MASK if isinstance(setting.value, Secret) else setting.value


def _secrets(environment: Mapping[str, Setting]) -> dict[str, str]:
    """Names only, which stand in git anyway: a run is repeated with the same secrets."""
    return {name: one.value.secret for name, one in environment.items() if isinstance(one.value, Secret)}


def node_entry(desired: Desired, ledger: Ledger, node: Node) -> NodeStatus:
    policy = desired.nodes.get(node.name, NodePolicy())
    capacity = limited(node.record.capacity, policy)
    claims = claims_of(ledger, node.name)
    running = [_name(project, run) for project, run in claims]
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
        started_at=node.started_at or node.record.at,
        versions=node.record.versions,
        conditions=(
            *_draining(node.name, policy, running),
            *(condition(kind, message) for kind, message in sorted(node.conditions.items())),
        ),
        devices=tuple(_device(gpu, claims, node.availability.busy) for gpu in capacity.gpus),
        inventory=node.record.inventory,
        cpus_used=sum(run.created.requires.cpus for _, run in claims),
        memory_used=sum(run.created.requires.memory for _, run in claims),
    )


def _name(project: ProjectName, run: Run) -> str:
    return f"{project}/{run_directory(run.number, run.stage)}"


def _device(gpu: Gpu, claims: Sequence[tuple[ProjectName, Run]], busy: Mapping[str, str]) -> DeviceStatus:
    """Held by the open claims that name it, also while the container is yet to start."""
    holders = [_name(project, run) for project, run in claims if run.claim and gpu.uuid in run.claim.gpus]
    return DeviceStatus(
        uuid=gpu.uuid,
        model=gpu.model,
        memory=gpu.memory,
        vendor=gpu.vendor,
        capability=gpu.capability,
        driver=gpu.driver,
        parent=gpu.parent,
        fault=gpu.fault,
        holder=", ".join(holders),
        busy=busy.get(gpu.uuid, ""),
    )


def _draining(node: NodeName, policy: NodePolicy, running: Sequence[str]) -> tuple[Condition, ...]:
    """Whoever drains a node wants to know when it is empty."""
    if not policy.drained:
        return ()
    why = f"drained in nodes/{node}.yaml"
    if running:
        does = "hands over" if policy.hand_over else "still runs"
        return (condition("Draining", f"{why}; {does} {', '.join(running)}"),)
    return (condition("Drained", f"{why}; nothing runs there any more: it is safe to switch off"),)
