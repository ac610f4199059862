"""``plan``: the one function that decides what this node does next.

All inputs are values, the clock's readings included. Every project ends in an action or in ``waiting`` with a
reason, so that ``winslow explain`` is a look-up. Any prefix of the actions may be carried out before a
crash: planning again from what is then found leads to the same end.
"""

from collections.abc import Set

from reconciler.core.actions import PublishOutput, PublishProject
from reconciler.core.decide import (
    RunOpen,
    StartStage,
    Wait,
    decide,
    ledger_behind,
    read_differently,
    records_unreadable,
    source_behind,
)
from reconciler.core.desired import Desired, Project
from reconciler.core.draft import Draft, Me, Plan
from reconciler.core.ledger import Ledger, ProjectHistory, RunPhase
from reconciler.core.leftovers import reserve_leftovers
from reconciler.core.lifecycle import known_projects, plan_absent, plan_remains, plan_return, unconfirmed
from reconciler.core.names import ProjectName
from reconciler.core.nodes import Node
from reconciler.core.placement import usage
from reconciler.core.preparing import plan_preparing
from reconciler.core.queue import in_order
from reconciler.core.records import Deleted, DesiredSeen, Purged
from reconciler.core.requests import canonical
from reconciler.core.start import plan_start
from reconciler.core.supervise import supervise, sweep


def plan(desired: Desired, ledger: Ledger, nodes: tuple[Node, ...], me: Me) -> Plan:
    """Decide for all projects, the most important first, then look after what else runs here.

    On a ledger that is older than what was published of it nothing is decided at all; what runs goes on.
    """
    draft = Draft(desired=desired, ledger=ledger, nodes=nodes, me=me, used=usage(ledger))
    if me.lacking:
        for name in known_projects(desired, ledger):
            draft.wait(name, ledger_behind(me.lacking))
        return Plan(waiting=draft.waiting)
    reserve_leftovers(draft)
    held = unconfirmed(desired, ledger, me.contained)
    for name in in_order(desired, ledger, known_projects(desired, ledger)):
        _plan_project(draft, name, held)
    plan_preparing(draft)
    plan_remains(draft)
    sweep(draft)
    return Plan(
        actions=tuple(draft.actions),
        waiting=draft.waiting,
        situations=frozenset(draft.situations),
        reserved=draft.reserved,
        wake_at=draft.wake_at,
    )


def _plan_project(draft: Draft, name: ProjectName, held: Set[ProjectName]) -> None:
    project = draft.desired.projects.get(name)
    history = draft.ledger.history(name)
    if name in draft.ledger.unreadable:
        draft.wait(name, records_unreadable(draft.ledger.unreadable[name]))
        return
    lifecycle = history.lifecycle
    if not isinstance(lifecycle, Purged):
        _publish_outputs(draft, name, history)
    if project is None:
        plan_absent(draft, name, held)
        return
    if isinstance(lifecycle, Deleted | Purged):
        plan_return(draft, project, history)
        return
    up_to_date = _desired_is_recorded(draft, project, history)
    match decide(draft.desired, project, history):
        case RunOpen(run=run):
            supervise(draft, name, project if up_to_date else None, run)  # an older view must not abort
        case Wait() as wait:
            draft.wait(name, wait)
        case StartStage() as start if up_to_date:
            plan_start(draft, project, history, start)
        case StartStage():
            pass  # accounted for by _desired_is_recorded: an action or a reason


def _publish_outputs(draft: Draft, name: ProjectName, history: ProjectHistory) -> None:
    """The claimant copies an accepted run's output where people look for it; anybody does once it is dead."""
    for run in history.runs:
        if run.output_published or run.phase is not RunPhase.SUCCEEDED or run.last_claim is None:
            continue
        owner = run.last_claim.node
        if owner == draft.me.name or (draft.nodes and owner not in draft.live):
            draft.actions.append(PublishOutput(project=name, run=run, because="RunSucceeded"))


def _desired_is_recorded(draft: Draft, project: Project, history: ProjectHistory) -> bool:
    """Is the ledger's newest DESIRED what we act on? If not, plan to publish it, or wait for git.

    A node whose clone lacks the newest record's commit has an older view of what people want: it must not decide.
    """
    if draft.is_behind(history):
        draft.wait(project.id, source_behind(history))
        return False
    seen = history.last_desired
    if seen is not None and _says_the_same(seen, project, history):
        return True
    if seen is not None and seen.commit == draft.desired.commit and seen.node != draft.me.name:
        # were both of them to publish what they read, they would do so for ever
        draft.wait(project.id, read_differently(seen))
        return False
    last = history.last_run
    record = DesiredSeen(
        **draft.header(history.next_number),
        commit=draft.desired.commit,
        blob=project.blob,
        digest=project.digest,
        paused=project.paused,
        request=canonical(project.next) if project.next else None,
        abort=project.abort,
        open_run=last.number if last is not None and not last.is_final else None,
    )
    draft.actions.append(PublishProject(project=project.id, record=record, because="FileChanged"))
    return False


def _says_the_same(seen: DesiredSeen, project: Project, history: ProjectHistory) -> bool:
    """Shared files count as well: a gate or another image holds against older views as soon as anybody saw it.

    Not for a finished project: no change of these goes on with it, and there may be hundreds.
    """
    last = history.last_run
    is_over = last is not None and last.phase is RunPhase.SUCCEEDED and last.created.is_last
    return seen.blob == project.blob and (is_over or seen.digest in ("", project.digest))
