"""What must hold of every history, whatever failed: asked at the moment something happens, of what changed alone.

What must hold of a ledger as such is in tests/fakes/invariants.py; both are asked here. Each function says nothing, or
raises with what is wrong.
"""

from collections.abc import Callable, Mapping

from reconciler.agent.ports import Seen
from reconciler.codec.observed import fold
from reconciler.core.containers import Order
from reconciler.core.desired import NodePolicy
from reconciler.core.ledger import Ledger, ProjectHistory
from reconciler.core.nodes import NodeRecord
from reconciler.core.records import Aborted, Claim, Done, Failed, Lost, Released
from tests.fakes.history import History
from tests.simulation.facts import Facts, NewRecord, Violation
from tests.simulation.machine import Machine

FOLDED = 10  # one history in so many folds again: it costs more than all the rest
ENDS = (Done, Failed, Released)
FINAL = (Done, Aborted, Lost)


def holds(condition: object, what: str) -> None:
    if not condition:
        raise Violation(what)


# --- of a record that the server just took -------------------------------------------------------


def numbers_are_contiguous(facts: Facts, new: NewRecord) -> None:
    """A record stands under its own number, right after the one before it."""
    first = new.before.number + 1 if new.before is not None else 1
    holds(new.record.number == new.name == first, f"record {new.record.number} as {new.name} where {first} is next")


def a_record_names_who_wrote_it(facts: Facts, new: NewRecord) -> None:
    """No machine speaks in another's name."""
    holds(new.record.node == new.by.node, f"{new.by.name} wrote a record of {new.record.node}")


def nothing_follows_a_final_record(facts: Facts, new: NewRecord) -> None:
    """One end a run: DONE, ABORTED, LOST, or FAILED for good."""
    is_final = isinstance(new.before, FINAL) or (isinstance(new.before, Failed) and new.before.final)
    holds(not is_final, f"{_kind(new.record)} after {_kind(new.before)}")


def only_the_claimant_says_how_it_ended(facts: Facts, new: NewRecord) -> None:
    """DONE and FAILED come from the machine whose CLAIM stands right before, RELEASED from whoever has its name."""
    if not isinstance(new.record, ENDS):
        return
    if not isinstance(new.before, Claim):
        raise Violation(f"{_kind(new.record)} after {_kind(new.before)}")
    claimant, _ = facts.claimed[new.before.token]
    is_it = new.by.node == claimant.node if isinstance(new.record, Released) else new.by is claimant
    holds(is_it, f"{new.by.name} says {_kind(new.record)} after a claim of {claimant.name}")


def done_tells_the_truth(facts: Facts, new: NewRecord) -> None:
    """DONE means that this claim's own container ended with 0."""
    if isinstance(new.record, Done) and isinstance(new.before, Claim):
        started = facts.started.get(new.before.token)
        ended = started.container if started else None
        holds(ended is not None and ended.exit_code == 0, f"DONE, but its container ended {ended}")


def a_failure_is_the_programs_own(facts: Facts, new: NewRecord) -> None:
    """What ended with its machine did not fail: it is lost."""
    if isinstance(new.record, Failed) and isinstance(new.before, Claim):
        started = facts.started.get(new.before.token)
        holds(
            started is None or not started.lost_power, f"FAILED ({new.record.reason}), but the machine lost its power"
        )


def commits_never_go_back(facts: Facts, new: NewRecord) -> None:
    """Along a project's records each commit equals or descends from the one before."""
    commit, before = getattr(new.record, "commit", None), getattr(new.before, "commit", None)
    if new.run is None and commit is not None and before is not None:
        numbers = History.number(before), History.number(commit)
        holds(numbers[0] <= numbers[1], f"commit {numbers[1]} after {numbers[0]}")


def a_drained_node_claims_nothing(facts: Facts, new: NewRecord) -> None:
    """As of the commit that the tick which claimed had begun with."""
    desired = new.by.reconciler.works_from if new.by.reconciler else None
    if isinstance(new.record, Claim) and desired is not None and not _is_late(new):
        policy = desired.nodes.get(new.by.node, NodePolicy())
        holds(not policy.drained, f"{new.by.name} is drained in commit {History.number(desired.commit)} and claims")


def taking_over_needs_evidence(facts: Facts, new: NewRecord) -> None:
    """A claim is superseded only if its owner rebooted, or was silent for a TTL of the taker's own healthy time.

    Each break of that health (its machine froze, or the share was away) may count for two heartbeats more, as
    ``nodes.listen`` says. A beat that came while the taker was about to act, it need not have heard.
    Implied: nobody takes over while the share is down for all.
    """
    if not isinstance(new.record, Claim | Lost) or not isinstance(new.before, Claim):
        return
    owner = new.before.node
    if facts.nodes[owner][-1][0].boot != new.before.boot or _is_late(new):
        return
    beats = [beat.healthy.get(new.by, (0.0, 0)) for beat in facts.beats[owner]] or [(0.0, 0)]
    now = facts.heard()[new.by]
    stale = 4 * facts.setting.heartbeat + 300 * facts.setting.latency
    fresh = [index for index, beat in enumerate(beats) if (now[0] - beat[0]) * new.by.clock.rate < stale]
    ends = [now, *(beats[index] for index in fresh)]
    longest = max(_counted(facts, new.by, begin, end) for begin, end in _gaps(beats, ends))
    holds(longest >= facts.setting.ttl, f"{new.by.name} supersedes {owner} after at most {longest:.1f} s of silence")


def _gaps(beats: list[tuple[float, int]], ends: list[tuple[float, int]]) -> list[tuple[tuple[float, int], ...]]:
    """From each beat to the next one; the last one of them ends now."""
    return [(begin, end) for begin, end in zip(beats, [*beats[1:], ends[0]], strict=True) if end in ends]


def _counted(facts: Facts, taker: Machine, begin: tuple[float, int], end: tuple[float, int]) -> float:
    """At most so many seconds the taker may count between two moments."""
    heard, breaks = end[0] - begin[0], end[1] - begin[1]
    return heard * taker.clock.rate + 2.0 * facts.setting.heartbeat * (1 + breaks)


def _is_late(new: NewRecord) -> bool:
    """Asked for by a process that has died since: what it knew then nobody can tell any more."""
    agent = new.by.reconciler.agent if new.by.reconciler is not None else None
    incarnation = getattr(new.record, "incarnation", None)
    return agent is None or (incarnation is not None and agent.identity.incarnation != incarnation)


def a_live_original_keeps_its_name(facts: Facts, new: NewRecord) -> None:
    """A clone publishes its start only if the machine that has the name did not beat while the clone watched."""
    if not isinstance(new.record, NodeRecord) or new.before is None:
        return
    _, earlier = facts.nodes[new.by.node][-2]
    watch = 3 * 5.0 / new.by.clock.rate
    heard = [at for at, by in facts.rival_beats[new.by] if by is earlier and new.at - watch + 1.5 < at < new.at - 1.5]
    undisturbed = facts.meters[new.by].breaks == 0 and facts.setting.latency < 0.01
    holds(
        earlier is new.by or not undisturbed or not heard,
        f"{new.by.name} joined as {new.by.node} although {earlier.name} beat at {heard}",
    )


def _kind(record: object) -> str:
    return type(record).__name__


# --- of a container that just started, or ended --------------------------------------------------


def a_container_starts_under_its_own_claim(facts: Facts, machine: Machine, order: Order) -> None:
    """Its CLAIM stands, and this very machine published it in this boot."""
    claim = facts.claim_of(order)
    holds(claim is not None, f"a container for claim {order.key.number}, which does not stand")
    claimant, boot = facts.claimed[order.key.token]
    holds(claimant is machine, f"{machine.name} starts what {claimant.name} claimed")
    holds(boot == machine.boot(), f"started in {machine.boot()} what was claimed in {boot}")


def a_claim_starts_one_container(facts: Facts, machine: Machine, order: Order) -> None:
    """Ever."""
    holds(order.key.token not in facts.started, f"a second container for claim {order.key.slug}")


def what_was_superseded_before_it_was_prepared_is_not_started(facts: Facts, machine: Machine, order: Order) -> None:
    """A node that froze while it prepared looks again. What comes after that look may be late, and is stopped then."""
    key = order.key
    followed, prepared = facts.followed_at.get(key.token), facts.prepared_at.get((key.project, key.run, key.number))
    late = followed is not None and prepared is not None and followed < prepared
    holds(not late, f"{key.slug} starts, superseded at {followed}, prepared at {prepared}")


# --- of a reconciler that ended by itself --------------------------------------------------------


def a_name_is_given_up_to_another_alone(facts: Facts, machine: Machine, why: str) -> None:
    """A node refuses to run only because of another process's start record, never because of its own."""
    agent = machine.reconciler.agent if machine.reconciler else None
    newest = facts.nodes[machine.node][-1][0] if facts.nodes[machine.node] else None
    is_its_own = agent is not None and newest is not None and newest.incarnation == agent.identity.incarnation
    holds(not is_its_own, f"{machine.name} ends, and nobody else has its name: {why}")


# --- of a file that was just changed -------------------------------------------------------------


def records_are_immutable(facts: Facts, path: str, content: bytes | None) -> None:
    """Whatever stands under a record's name stays as it is."""
    if path in facts.bytes_of:
        holds(content == facts.bytes_of[path], f"{path} was changed or removed")


# --- of a push to the branch observed ------------------------------------------------------------


def observed_follows_from_the_ledger(facts: Facts, files: Mapping[str, str], seen: Seen) -> None:
    """What is pushed is the fold of a report, made from a ledger that really was, newer than what was pushed before."""
    if facts.setting.seed % FOLDED == 0:
        holds(fold(seen.status) == files, "pushed something else than the fold of what was seen")
    holds(is_part(seen.ledger, facts.ledger()), "pushed a ledger that never was")
    if facts.published is not None:
        holds(is_part(facts.published, seen.ledger), "pushed an older ledger than the one before")


def is_part(older: Ledger, newer: Ledger) -> bool:
    """Does ``newer`` hold all records of ``older``?"""
    return all(_is_part(history, newer.history(name)) for name, history in older.projects.items())


def _is_part(older: ProjectHistory, newer: ProjectHistory) -> bool:
    if newer.records[: len(older.records)] != older.records:
        return False
    return all(
        after.records[: len(before.records)] == before.records
        for before, after in zip(older.runs, newer.runs, strict=False)
    )


ON_RECORD: tuple[Callable[[Facts, NewRecord], None], ...] = (
    numbers_are_contiguous,
    a_record_names_who_wrote_it,
    nothing_follows_a_final_record,
    only_the_claimant_says_how_it_ended,
    done_tells_the_truth,
    a_failure_is_the_programs_own,
    commits_never_go_back,
    a_drained_node_claims_nothing,
    taking_over_needs_evidence,
    a_live_original_keeps_its_name,
)
ON_START: tuple[Callable[[Facts, Machine, Order], None], ...] = (
    a_container_starts_under_its_own_claim,
    a_claim_starts_one_container,
    what_was_superseded_before_it_was_prepared_is_not_started,
)

# Without ``sync`` a restarted server may lack records, and notes of starts, that it had acknowledged. Then nothing that
# follows from them holds, but that nobody speaks for others. See rest.the_loss_is_told.
ON_RECORD_FOR_NOW = (a_record_names_who_wrote_it,)
