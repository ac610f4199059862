"""Creating runs and claiming attempts: who takes what, when, with which devices."""

from collections.abc import Mapping

from reconciler.core.actions import CreateRun, PublishRun
from reconciler.core.decide import StartStage, Wait
from reconciler.core.desired import Pins, Project, Requires, Stage, Then, Unchanged
from reconciler.core.draft import Draft
from reconciler.core.environment import run_environment
from reconciler.core.fitting import Need
from reconciler.core.fleet import Fleet, Placement
from reconciler.core.gpus import choose_gpus
from reconciler.core.images import awaits_registry, with_digest
from reconciler.core.ledger import ProjectHistory, Run
from reconciler.core.limits import Limits
from reconciler.core.names import NodeName, ProjectName, RecordNumber, StageName
from reconciler.core.placement import maker, need_of
from reconciler.core.queue import keep_free
from reconciler.core.records import Claim, RunCreated
from reconciler.core.requests import canonical
from reconciler.core.status import ProjectPhase

RANK_DELAY = 2.0
"""Seconds that the node of rank r waits r times before it takes what better nodes left."""


def plan_start(draft: Draft, project: Project, history: ProjectHistory, start: StartStage) -> None:
    """Create the next run here, if this node is the one to do it; else say who is, or why nobody."""
    need = need_of_start(project, history, start)
    if not is_our_turn(draft, project.id, start.stage.name, need, RecordNumber(1)):
        return
    record = new_run(draft, project, history, start)
    if awaits_registry(draft, project.id, record):
        return
    claim = _claim(draft, project.id, record, RecordNumber(1), "Fresh")
    if (exact := with_digest(draft, project.id, record)) is not None:
        draft.actions.append(CreateRun(project=project.id, record=exact, claim=claim, because=_why(start)))


def plan_attempt(draft: Draft, project: ProjectName, run: Run, because: str) -> None:
    """Claim the next attempt of an open run here, if this node is the one to do it."""
    need = need_of(project, run.created, draft.ledger.history(project))
    if not is_our_turn(draft, project, run.stage, need, run.next_number):
        return
    if not awaits_registry(draft, project, run.created):
        claim = _claim(draft, project, run.created, run.next_number, because)
        draft.actions.append(PublishRun(project=project, run=run, record=claim, because=because))


def is_our_turn(draft: Draft, project: ProjectName, stage: StageName, need: Need, number: RecordNumber) -> bool:
    """Is this node the one to claim it now? If not, a reason is left in ``waiting``."""
    if (held := limited_by(draft.limits, draft.fleet, project, stage, need)) is not None:
        draft.wait(project, held)
        return False
    rank = draft.fleet.rank(need, draft.me.name) if draft.me.name in draft.fleet else None
    if rank is not None and draft.me.may_claim:
        left = rank * RANK_DELAY - draft.age(f"claim {need.seed}/{number}")
        if left <= 0:
            return True
        draft.wake_in(left)
    first = draft.fleet.first(need)
    draft.wait(project, about_to_start(stage, first) if first is not None else queued(stage, draft.fleet.nobody(need)))
    keep_free(draft, need)
    return False


def limited_by(limits: Limits, fleet: Fleet, project: ProjectName, stage: StageName, need: Need) -> Wait | None:
    """Whether limits allow it, wherever it would run. Called in the queue's order: nobody is passed over."""
    if why := limits.impossible(project, need.requires):
        mend = "change its requires or the limit, and abort the run if there is one already: its requires are fixed"
        message = f"stage '{stage}' can never start: {why}; {mend}"
        return Wait(phase=ProjectPhase.AWAITING_INPUT, reason="LimitTooLow", message=message)
    if why := limits.reached(project, need.seed, need.requires):
        if fleet.has_room(need):
            limits.await_turn(project, need.seed, need.requires)
        return Wait(phase=ProjectPhase.QUEUED, reason="LimitReached", message=f"stage '{stage}' waits: {why}")
    return None


def about_to_start(stage: str, node: NodeName) -> Wait:
    message = f"stage '{stage}' is about to start on {node}"
    return Wait(phase=ProjectPhase.QUEUED, reason="NodeChosen", message=message)


def start_faulty(stage: str, faults: Mapping[NodeName, str]) -> Wait:
    """What nodes met that would take it. They go on trying, and others that fit may do better."""
    node, fault = next(iter(faults.items()))
    message = f"stage '{stage}' can't start yet (tried by {node}): {fault}"
    return Wait(phase=ProjectPhase.QUEUED, reason="StartFaulty", message=message)


def queued(stage: str, placement: Placement) -> Wait:
    """What a project that waits for a node is told."""
    if placement.ranked:
        return about_to_start(stage, placement.ranked[0])
    if not placement.refused:
        return Wait(phase=ProjectPhase.QUEUED, reason="NoNodes", message="no node has joined this share yet")
    if not placement.ever:
        hint = f": {placement.hint}" if placement.hint else ""
        message = f"no node can ever run stage '{stage}' as it is{hint} ({placement.why})"
        return Wait(
            phase=ProjectPhase.AWAITING_INPUT,
            reason="NoNodeFits",
            message=f"{message}; change its requires or add a node",
        )
    message = f"stage '{stage}' waits for a node ({placement.why})"
    return Wait(phase=ProjectPhase.QUEUED, reason="NoNodeFree", message=message)


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
        skip_unchanged=stage.skip_unchanged and (start.request is None or start.request.unchanged is Unchanged.SKIP),
        base=start.base,
        is_last=stage.name == pipeline.stages[-1].name,
    )


def requires_of(project: Project, stage: Stage) -> Requires:
    override = project.stages.get(stage.name)
    return override.requires if override and override.requires else stage.requires


def _why(start: StartStage) -> str:
    return "Requested" if start.request else "NextInOrder"


def _claim(draft: Draft, project: ProjectName, created: RunCreated, number: RecordNumber, because: str) -> Claim:
    """The claim, with what it takes reserved for the rest of the plan."""
    here = draft.fleet.offer(draft.me.name)
    gpus = choose_gpus(here.capacity, created.requires, here.held)
    draft.take(created.requires, gpus)
    draft.limits.hold(project, created.run, created.requires)
    return Claim(
        **draft.header(number),
        because=because,
        boot=draft.me.boot,
        incarnation=draft.me.incarnation,
        runtime=draft.me.runtime,
        gpus=gpus,
    )


def need_of_start(project: Project, history: ProjectHistory, start: StartStage) -> Need:
    """What a run that is yet to be created will need."""
    pins = start.request.pins if start.request else Pins()
    return Need(
        requires=requires_of(project, start.stage),
        image=pins.image or start.stage.image,
        has_process_command=bool(pins.process_command or start.stage.process_command),
        seed=f"{project.id}/{history.next_run}",
        near=maker(history, start.base),
    )
