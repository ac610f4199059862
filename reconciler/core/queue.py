"""Whose turn it is, and keeping a node free for a stage that would otherwise be passed over for ever.

Many small stages can keep every node just too full for a big one. So the first stages of the queue, once they have
waited for long, get one node each that takes only what fits beside them. No message is needed for that: which node
it is follows from what the nodes are, it says so with its heartbeat, and it goes on until the stage has started.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from reconciler.core.desired import Desired
from reconciler.core.draft import Draft
from reconciler.core.fitting import Need
from reconciler.core.fleet import Fleet
from reconciler.core.ledger import Ledger, ProjectHistory
from reconciler.core.names import NodeName, ProjectName

HEADS = 4
"""So many stages may have a node kept free: others of the same importance get their turn after them."""

NEVER = datetime.max.replace(tzinfo=UTC)


def in_order(desired: Desired, ledger: Ledger, names: Iterable[ProjectName]) -> list[ProjectName]:
    """By priority, then by who has waited longest. A clock that is wrong makes this unfair, and nothing worse."""
    return sorted(names, key=lambda name: _turn(desired, ledger, name))


def keep_free(draft: Draft, need: Need) -> None:
    """Called for each stage that waits, in order: later ones will find its node taken as far as it needs it."""
    run, me, fleet = need.seed, draft.me, draft.fleet
    if draft.heads >= HEADS or not fleet.has_room(need):
        return
    waits = draft.age(f"waits {run}")
    before = fleet.keepers.get(run, frozenset()) - draft.kept.keys()
    if f"keeps {run}" in me.since and me.name not in draft.kept:
        before |= {me.name}
    if not before and fleet.first(need) is not None:
        return  # it is about to start
    draft.heads += 1
    if not before and waits < draft.desired.site.reserve_after.total_seconds():
        return
    name = fleet.keeper(need, before) or fleet.keeper(need, _spare(draft, run))
    if name is None:
        return
    fleet.keep(name, need.requires, run)
    draft.kept[name] = run
    if name == me.name and me.may_claim:
        draft.reserved = run
        draft.age(f"keeps {run}")


def keep_announced(fleet: Fleet, need: Need) -> None:
    """For those who only look: what the nodes say they do."""
    if name := fleet.keeper(need, fleet.keepers.get(need.seed, ())):
        fleet.keep(name, need.requires, need.seed)


def _spare(draft: Draft, run: str) -> list[NodeName]:
    """Nodes that keep themselves free for nobody else."""
    taken = draft.kept.keys()
    return [node.name for node in draft.nodes if node.name not in taken and node.availability.reserved in ("", run)]


def _turn(desired: Desired, ledger: Ledger, name: ProjectName) -> tuple[int, datetime, ProjectName]:
    project = desired.projects.get(name)
    history = ledger.projects.get(name)
    return (-project.priority if project else 0, _waits_since(history) if history else NEVER, name)


def _waits_since(history: ProjectHistory) -> datetime:
    """The time of the newest record: then began what it waits for now."""
    last = history.last_run.last if history.last_run is not None else None
    newest = history.records[-1].at if history.records else NEVER
    return max(newest, last.at) if last is not None and history.records else newest
