"""Looking after open runs: start, adopt, finish, stop, give up, take over, try again.

The rules of a run's records: DONE, FAILED and RELEASED come only from the claimant and only at the number
after its CLAIM. After a CLAIM anybody may publish ABORTED, or on takeover evidence the next CLAIM, or
LOST when attempts are used up. Whatever stands there decides.
"""

from reconciler.core.actions import (
    FinishRun,
    FollowContainer,
    PublishRun,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from reconciler.core.containers import ClaimKey, Container, ContainerState, claim_key
from reconciler.core.decide import Wait
from reconciler.core.desired import NodePolicy, Project
from reconciler.core.draft import Draft
from reconciler.core.hold_back import lost_gpu, pause
from reconciler.core.images import pulling_image
from reconciler.core.ledger import Run
from reconciler.core.leftovers import superseded
from reconciler.core.names import ProjectName
from reconciler.core.nodes import Node
from reconciler.core.outcome import SLACK, may_be_collateral
from reconciler.core.records import Aborted, Claim, Failed, Lost, Released
from reconciler.core.start import plan_attempt
from reconciler.core.status import ProjectPhase
from reconciler.core.takeover import PATIENCE, Standing, standing, ttl_of

MAX_BACKOFF = 3600.0

REMARKS = frozenset({"ContainerPaused", "EndedBySignal", "PullingImage", "RuntimeChanged"})
"""What only the claimant can know of a run that goes on; its heartbeat tells the others."""

REBOOTED = "the machine was restarted while the stage ran"


def supervise(draft: Draft, name: ProjectName, project: Project | None, run: Run) -> None:
    """Plan for the project's open run."""
    if project is not None and project.abort == run.number:
        record = Aborted(**draft.header(run.next_number), commit=draft.desired.commit)
        draft.actions.append(PublishRun(project=name, run=run, record=record, because="AbortRequested"))
        return
    match run.last:
        case Claim() as claim if claim.node == draft.me.name:
            _mine(draft, name, run, claim)
        case Claim() as claim:
            _anothers(draft, name, run, claim)
        case Released() | Failed() as ended:
            _retry(draft, name, run, ended)
        case _:  # RUN was published, its first CLAIM was not: its creator died in between
            plan_attempt(draft, name, run, "Fresh")


def _mine(draft: Draft, name: ProjectName, run: Run, claim: Claim) -> None:
    key = claim_key(name, run, claim)
    draft.wait(name, _running(run, claim))
    container = next((c for c in draft.me.containers if c.key == key), None)
    has_ended = claim.boot != draft.me.boot or (container is not None and container.state is ContainerState.EXITED)
    is_ours = claim.runtime == draft.me.runtime  # else it may go on where we can't stop it
    if _hands_over(draft, name) and is_ours and not has_ended:
        message = f"{draft.me.name} is drained and hands its work over (nodes/{draft.me.name}.yaml)"
        _release(draft, name, run, "Drained", message, counts=False)
        return
    if not draft.me.engine_answers:
        draft.wait(name, engine_silent(run, claim))
        return
    if container is None:
        _without_container(draft, name, run, claim, key)
    elif container.state is ContainerState.EXITED:
        _ended(draft, name, run, claim, container)
    elif container.state is ContainerState.CREATED and claim.boot != draft.me.boot:
        _release(draft, name, run, "Rebooted", REBOOTED)  # its end would not be believed
    elif container.state is ContainerState.CREATED and key not in draft.me.starting:
        draft.actions.append(StartContainer(project=name, run=run, claim=claim, because="CreatedNotStarted"))
    elif container.state is ContainerState.RUNNING:
        _runs(draft, name, run, claim, container)


def _hands_over(draft: Draft, name: ProjectName) -> bool:
    """Do people want this node empty now? Only a view of git that is no older than the project's records may say so.

    What it runs is stopped by ``sweep``, once RELEASED stands: the other way round would look like a failed program.
    """
    policy = draft.desired.nodes.get(draft.me.name, NodePolicy())
    return policy.drained and policy.hand_over and not draft.is_behind(draft.ledger.history(name))


def _without_container(draft: Draft, name: ProjectName, run: Run, claim: Claim, key: ClaimKey) -> None:
    if key in draft.me.starting:
        if key in draft.me.pulling:
            draft.wait(name, pulling_image(run, claim, draft.me.pulling[key]))
        return
    if claim.boot != draft.me.boot:
        _release(draft, name, run, "Rebooted", REBOOTED)
    elif claim.runtime != draft.me.runtime:
        draft.wait(name, _runtime_changed(draft, name, run, claim))
    elif run.started_at is not None:
        _release(draft, name, run, "ContainerMissing", "its container was removed by somebody else")
    elif fault := lost_gpu(draft, run, claim, key):
        _release(draft, name, run, "GpuLost", fault, counts=False)
    elif why := draft.limits.exceeded(name, run.created.requires):
        _release(draft, name, run, "LimitReached", why, counts=False)
    else:
        draft.actions.append(StartContainer(project=name, run=run, claim=claim, because="Claimed"))


def _ended(draft: Draft, name: ProjectName, run: Run, claim: Claim, container: Container) -> None:
    """An end is believed only under the boot in which the container was started, and with a complete log."""
    if claim.boot != draft.me.boot or container.boot != claim.boot:
        _release(draft, name, run, "Rebooted", REBOOTED)
    elif container.key in draft.me.logged:
        left = SLACK.total_seconds() - draft.age(f"ended {name}/{run.number}/{claim.number}")
        if left > 0 and may_be_collateral(run, container):
            draft.wait(name, _ended_by_signal(run, claim, container))
            draft.wake_in(left)
            return
        draft.actions.append(
            FinishRun(project=name, run=run, claim=claim, container=container, because="ContainerEnded")
        )
    elif container.key not in draft.me.followed:
        draft.actions.append(
            FollowContainer(project=name, run=run, claim=claim, container=container, because="Adopted")
        )


def _runs(draft: Draft, name: ProjectName, run: Run, claim: Claim, container: Container) -> None:
    if container.key not in draft.me.followed:
        draft.actions.append(
            FollowContainer(project=name, run=run, claim=claim, container=container, because="Adopted")
        )
    if container.paused:
        draft.wait(name, _container_paused(run, claim, container))
    if run.created.timeout is None or container.key not in draft.me.ran_for:
        return
    left = run.created.timeout - draft.me.ran_for[container.key]
    if left > 0:
        draft.wake_in(left)
    elif container.key not in draft.me.stopping:
        draft.actions.append(StopContainer(project=name, container=container, because="TimedOut"))


def _anothers(draft: Draft, name: ProjectName, run: Run, claim: Claim) -> None:
    """Leave a living owner alone, and one that answers; on evidence that it is gone take its place."""
    site = draft.desired.site
    owner = draft.node(claim.node)
    ttl, period = ttl_of(run, site), site.heartbeat.total_seconds()
    stands = standing(owner, claim, ttl=ttl, period=period) if owner is not None else Standing.LIVES
    if owner is not None and stands is Standing.ANSWERS:
        draft.wait(name, owner_answers(run, owner, ttl))
    elif stands is not Standing.GONE or not draft.me.may_claim:
        draft.wait(name, _running(run, claim))
    elif run.attempts_used > run.created.retries_limit:
        _lose(draft, name, run, f"node {claim.node} is gone and all attempts are used up")
    else:
        plan_attempt(draft, name, run, "Takeover")


def _retry(draft: Draft, name: ProjectName, run: Run, ended: Released | Failed) -> None:
    if run.attempts_used > run.created.retries_limit:
        message = f"gave up after {run.attempts} attempts; the last one: {ended.message or ended.reason}"
        _lose(draft, name, run, message)
        return
    counts = not isinstance(ended, Released) or ended.counts
    delay = backoff(run) if counts else pause(run, draft.me.name)
    age = draft.age(f"retry {name}/{run.number}/{run.next_number}")
    if age >= delay:
        plan_attempt(draft, name, run, "Retry")
        return
    draft.wake_in(delay - age)
    draft.wait(
        name,
        Wait(
            phase=ProjectPhase.QUEUED,
            reason="BackingOff",
            message=f"run {run.number} ({run.stage}) is tried again in {delay - age:.0f} s after: "
            f"{ended.message or ended.reason}",
        ),
    )


def backoff(run: Run) -> float:
    """Seconds before the next attempt: doubled with each attempt used, at most an hour."""
    doublings = min(max(run.attempts_used - 1, 0), 30)  # an hour is reached long before
    return float(min(run.created.retries_backoff * 2**doublings, MAX_BACKOFF))


def sweep(draft: Draft) -> None:
    """Stop and remove containers of ours whose claim is no longer in force.

    What the ledger does not know at all is left alone: a share restored from a backup must not cost a running stage.
    """
    for container in draft.me.containers:
        key = container.key
        because = _why_over(draft, key)
        if not because or key in draft.me.starting:
            continue
        if container.state is ContainerState.RUNNING:
            if key not in draft.me.stopping:
                stopped = "Superseded" if because == "Recorded" else because
                draft.actions.append(StopContainer(project=key.project, container=container, because=stopped))
        elif key in draft.me.logged or key not in draft.me.followed:
            draft.actions.append(RemoveContainer(project=key.project, container=container, because=because))


def _why_over(draft: Draft, key: ClaimKey) -> str:
    """Nothing while the claim is in force, or was never heard of by this very share."""
    if key.share != draft.ledger.share:
        return "Superseded"  # the share was rebuilt since, which ended every open claim
    retired = draft.ledger.history(key.project).retired
    if retired is not None and key.run <= retired.run:
        return "Purged"  # while this node was away; no record of the run is left
    found = superseded(draft.ledger, key)
    if found is None:
        return ""
    run, _ = found
    after = run.records[key.number]
    if isinstance(after, Released):
        return after.reason
    return "Recorded" if after.node == draft.me.name else "Superseded"


def _release(draft: Draft, name: ProjectName, run: Run, reason: str, message: str, *, counts: bool = True) -> None:
    record = Released(**draft.header(run.next_number), reason=reason, message=message, counts=counts)
    draft.actions.append(PublishRun(project=name, run=run, record=record, because=reason))


def _lose(draft: Draft, name: ProjectName, run: Run, message: str) -> None:
    record = Lost(**draft.header(run.next_number), reason="AttemptsUsedUp", message=message)
    draft.actions.append(PublishRun(project=name, run=run, record=record, because="AttemptsUsedUp"))


def _running(run: Run, claim: Claim) -> Wait:
    return Wait(
        phase=ProjectPhase.RUNNING,
        reason=run.phase.value,
        message=f"run {run.number} ({run.stage}) on {claim.node}, attempt {run.attempts}",
    )


def _runtime_changed(draft: Draft, name: ProjectName, run: Run, claim: Claim) -> Wait:
    """Its container may well go on where we can't see it: neither start another one nor give the run away.

    Nor do we see which GPUs it holds once its claim is no longer in force: it has to be ended before.
    """
    was_docker = claim.runtime == "docker"
    end_it = f"docker rm -f {claim_key(name, run, claim).slug}" if was_docker else "kill its processes"
    return Wait(
        phase=ProjectPhase.RUNNING,
        reason="RuntimeChanged",
        message=f"run {run.number} ({run.stage}) was claimed with runtime: {claim.runtime}, and {claim.node} uses "
        f"{draft.me.runtime} now; write the former in its node.yaml and restart it, or end it there ({end_it}) and "
        f"only then abort: {run.number}",
    )


def _container_paused(run: Run, claim: Claim, container: Container) -> Wait:
    """A person's doing, and only theirs to undo. It keeps its GPUs, so its timeout goes on counting."""
    return Wait(
        phase=ProjectPhase.RUNNING,
        reason="ContainerPaused",
        message=f"run {run.number} ({run.stage}): somebody paused its container on {claim.node}; to go on: "
        f"docker unpause {container.key.slug} (its timeout goes on counting)",
    )


def _ended_by_signal(run: Run, claim: Claim, container: Container) -> Wait:
    """See docs/decisions/0008."""
    return Wait(
        phase=ProjectPhase.RUNNING,
        reason="EndedBySignal",
        message=f"run {run.number} ({run.stage}) on {claim.node} was ended from outside (exit code "
        f"{container.exit_code}); recorded in {SLACK.seconds} s, as lost if the engine or the machine goes down",
    )


def owner_answers(run: Run, owner: Node, ttl: float) -> Wait:
    return Wait(
        phase=ProjectPhase.RUNNING,
        reason="OwnerAnswers",
        message=f"run {run.number} ({run.stage}): the heartbeat of {owner.name} has stood still for "
        f"{owner.silent_for:.0f} s, but it answers that it still runs this. Another node takes over once it no longer "
        f"answers, at the latest in {PATIENCE * ttl - owner.silent_for:.0f} s. Usually its stages write more than the "
        f"share takes in: look at {owner.name}; to give the run up: abort: {run.number}",
    )


def engine_silent(run: Run, claim: Claim) -> Wait:
    return Wait(
        phase=ProjectPhase.RUNNING,
        reason="EngineUnavailable",
        message=f"run {run.number} ({run.stage}): the container engine of {claim.node} does not answer; "
        "start it (systemctl start docker): the run goes on or is tried again",
    )
