"""Creating runs and claiming attempts: who takes what, when, with which devices."""

from collections.abc import Mapping

from reconciler.core.actions import CreateRun, PublishRun
from reconciler.core.decide import StartStage, Wait
from reconciler.core.desired import NodePolicy, Pins, Project, Requires, Stage, Then
from reconciler.core.draft import Draft
from reconciler.core.environment import run_environment
from reconciler.core.ledger import ProjectHistory, Run
from reconciler.core.names import NodeName, ProjectName, RecordNumber
from reconciler.core.placement import Placement, Used, choose_gpus, limited, need_of, place
from reconciler.core.records import Claim, RunCreated
from reconciler.core.requests import canonical
from reconciler.core.status import ProjectPhase

RANK_DELAY = 2.0
"""Seconds that the node of rank r waits r times before it takes what better nodes left."""


def plan_start(draft: Draft, project: Project, history: ProjectHistory, start: StartStage) -> None:
    """Create the next run here, if this node is the one to do it; else say who is, or why nobody."""
    record = new_run(draft, project, history, start)
    claim = take(draft, project.id, record, RecordNumber(1), "Fresh")
    if claim is not None:
        draft.actions.append(CreateRun(project=project.id, record=record, claim=claim, because=_why(start)))


def plan_attempt(draft: Draft, project: ProjectName, run: Run, because: str) -> None:
    """Claim the next attempt of an open run here, if this node is the one to do it."""
    claim = take(draft, project, run.created, run.next_number, because)
    if claim is not None:
        draft.actions.append(PublishRun(project=project, run=run, record=claim, because=because))


def take(draft: Draft, project: ProjectName, created: RunCreated, number: RecordNumber, because: str) -> Claim | None:
    """The claim, with its resources reserved, if it is this node's turn; else a reason is left in ``waiting``."""
    placement = place(need_of(project, created), draft.nodes, draft.desired, draft.used, ttl=draft.ttl)
    if draft.me.name not in placement.ranked or not draft.me.may_claim:
        draft.wait(project, queued(created.stage, placement), by_node(placement))
        return None
    rank = placement.ranked.index(draft.me.name)
    age = draft.age(f"claim {project}/{created.run}/{number}")
    if age < rank * RANK_DELAY:
        draft.wake_in(rank * RANK_DELAY - age)
        draft.wait(project, queued(created.stage, placement), by_node(placement))
        return None
    claim = _claim(draft, created.requires, number, because)
    draft.used[draft.me.name] = draft.used.get(draft.me.name, Used()).plus(created.requires, claim.gpus)
    return claim


def queued(stage: str, placement: Placement) -> Wait:
    """What a project that waits for a node is told."""
    if placement.ranked:
        return Wait(
            phase=ProjectPhase.QUEUED,
            reason="NodeChosen",
            message=f"stage '{stage}' is about to start on {placement.ranked[0]}",
        )
    if not placement.refused:
        return Wait(phase=ProjectPhase.QUEUED, reason="NoNodes", message="no node has joined this share yet")
    why = "; ".join(f"{node}: {reason}" for node, reason in sorted(placement.refused.items()))
    if not placement.ever:
        return Wait(
            phase=ProjectPhase.AWAITING_INPUT,
            reason="NoNodeFits",
            message=f"no node can ever run stage '{stage}' as it is ({why}); change its requires or add a node",
        )
    return Wait(phase=ProjectPhase.QUEUED, reason="NoNodeFree", message=f"stage '{stage}' waits for a node ({why})")


def new_run(draft: Draft, project: Project, history: ProjectHistory, start: StartStage) -> RunCreated:
    """The RUN record: everything an attempt needs, frozen."""
    stage, pipeline = start.stage, start.pipeline
    pins = start.request.pins if start.request else Pins()
    override = project.stages.get(stage.name)
    timeout = override.timeout if override and override.timeout else stage.timeout
    return RunCreated(
        **draft.header(history.next_number),
        run=history.next_run,
        stage=stage.name,
        commit=draft.desired.commit,
        pipeline=pipeline.id,
        pipeline_blob=pipeline.blob,
        request=canonical(start.request) if start.request else None,
        then=start.request.then if start.request else Then.CONTINUE,
        image=pins.image or stage.image,
        pull=stage.pull,
        command=pins.command or stage.command,
        process_command=pins.process_command or stage.process_command,
        environment=run_environment(draft.desired, pipeline, stage, project, start.request),
        inputs=project.inputs,
        requires=requires_of(project, stage),
        timeout=timeout.total_seconds() if timeout else None,
        ttl=stage.ttl.total_seconds() if stage.ttl else None,
        retries_limit=stage.retries.limit,
        retries_backoff=stage.retries.backoff.total_seconds(),
        retries_exit_codes=stage.retries.exit_codes,
        workspace=stage.workspace,
        network=stage.network,
        on_suspect=stage.on_suspect,
        shm_size=stage.shm_size,
        skip_unchanged=stage.skip_unchanged,
        base=start.base,
        is_last=stage.name == pipeline.stages[-1].name,
    )


def requires_of(project: Project, stage: Stage) -> Requires:
    override = project.stages.get(stage.name)
    return override.requires if override and override.requires else stage.requires


def _why(start: StartStage) -> str:
    return "Requested" if start.request else "NextInOrder"


def _claim(draft: Draft, requires: Requires, number: RecordNumber, because: str) -> Claim:
    return Claim(
        **draft.header(number),
        because=because,
        boot=draft.me.boot,
        incarnation=draft.me.incarnation,
        runtime=draft.me.runtime,
        gpus=_gpus(draft, requires),
    )


def _gpus(draft: Draft, requires: Requires) -> tuple[str, ...]:
    node = next(node for node in draft.nodes if node.name == draft.me.name)
    policy = draft.desired.nodes.get(node.name, NodePolicy())
    return choose_gpus(limited(node.record.capacity, policy), requires, draft.used.get(node.name, Used()))


def by_node(placement: Placement) -> Mapping[NodeName, str]:
    """Of each node its rank, or why it is refused."""
    chosen = {name: f"rank {rank}" for rank, name in enumerate(placement.ranked)}
    return {**placement.refused, **chosen}
