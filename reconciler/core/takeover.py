"""When a claim may be taken from its node: its heartbeat stands still, and it does not answer for the claim itself.

A storm of dirty pages can stall an owner's heartbeat alone, while its stage goes on. So past its ttl an owner that
still says on its HTTP port that it acts on the claim is waited for, up to ten ttl: longer than any storm, and
shorter than a night. All of this is about wasted work; what keeps two claims apart are their record numbers.
"""

from collections.abc import Sequence
from enum import Enum, auto

from reconciler.core.desired import Site
from reconciler.core.ledger import Ledger, Run
from reconciler.core.names import NodeName
from reconciler.core.nodes import Node
from reconciler.core.placement import claims_of
from reconciler.core.records import Claim

PATIENCE = 10
"""So many ttl a silent owner may vouch for its claim."""
DEADLINE = 3.0
"""Seconds in which an owner has to answer."""


class Standing(Enum):
    LIVES = auto()  # or it is not known yet whether it answers
    ANSWERS = auto()
    GONE = auto()


def ttl_of(run: Run, site: Site) -> float:
    """Seconds that the run's node may be silent. Three heartbeats at least: else living nodes would seem dead."""
    own = run.created.ttl
    return site.ttl.total_seconds() if own is None else max(own, 3 * site.heartbeat.total_seconds())


def standing(owner: Node, claim: Claim, *, ttl: float, period: float) -> Standing:
    """``period`` is the heartbeat's; an answer counts for as long as three questions take."""
    if claim.incarnation not in owner.starts:
        return Standing.LIVES  # it started, and claimed, since we looked at it: what we know is of an earlier life
    if owner.booted_since(claim.boot):
        return Standing.GONE
    if owner.silent_for < ttl:
        return Standing.LIVES
    asked, fresh = owner.inquiry, 3 * (period + DEADLINE)
    if asked is None or owner.silent_for >= PATIENCE * ttl:
        return Standing.GONE
    if asked.ended is None or asked.ended > fresh:
        return Standing.LIVES
    said = asked.vouched.get(claim.token)
    return Standing.ANSWERS if said is not None and said <= fresh else Standing.GONE


def to_ask(ledger: Ledger, nodes: Sequence[Node], site: Site, *, me: NodeName, boot: str) -> tuple[Node, ...]:
    """The owners that grow silent and can be asked. From half a ttl on: then it is known in time who answers."""
    return tuple(
        node
        for node in nodes
        if node.name != me
        and is_reachable(node.record.health, same_machine=node.record.boot == boot)
        and any(_is_in_doubt(node, ttl_of(run, site)) for _, run in claims_of(ledger, node.name))
    )


def _is_in_doubt(node: Node, ttl: float) -> bool:
    return ttl / 2 <= node.silent_for < PATIENCE * ttl


def is_reachable(address: str, *, same_machine: bool) -> bool:
    """A loopback address leads to oneself: only a neighbour on the same machine may use it."""
    host = address.rpartition(":")[0].strip("[]").lower()
    is_loopback = host in ("localhost", "::1") or host.startswith("127.")
    return bool(host) and (same_machine or not is_loopback)
