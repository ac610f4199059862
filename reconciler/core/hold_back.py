"""Second thoughts between a claim and its start: a device that is gone, a limit that another node has reached as well,
a registry that does not answer.

Each gives the claim back, which uses no attempt, and waits a while before this node tries again: each node another
while, or two that were in each other's way would be so for ever.
"""

import hashlib
from itertools import takewhile

from reconciler.core.containers import ClaimKey, claim_key
from reconciler.core.draft import Draft
from reconciler.core.gpus import is_shared
from reconciler.core.ledger import Run
from reconciler.core.leftovers import unended
from reconciler.core.names import NodeName
from reconciler.core.placement import claims_of
from reconciler.core.records import Claim, Released

FIRST, LONGEST = 8.0, 300.0
"""Seconds in which the pause ends: a few looks at the share to begin with, doubled each time."""

OF_ONE_NODE = ("GpuLost", "RegistryUnavailable")
"""What keeps a node from starting it and may not keep another: that one has other devices, or the image."""


def pause(run: Run, me: NodeName) -> float:
    """Seconds before this node claims again what was given back; derived, so that every look finds the same."""
    last = run.last
    if not isinstance(last, Released) or last.reason not in (*OF_ONE_NODE, "LimitReached"):
        return 0.0
    given_back = (record for record in reversed(run.records) if not isinstance(record, Claim))
    row = takewhile(lambda record: getattr(record, "reason", "") == last.reason, given_back)
    is_mine = last.reason in OF_ONE_NODE
    times = sum(1 for record in row if record.node == me or not is_mine)
    if times == 0:
        return 0.0
    window = float(min(FIRST * 2 ** min(times - 1, 10), LONGEST))
    least = window / 2 if is_mine else 0.0
    return least + (window - least) * _fraction(f"{last.token}/{me}")


def lost_gpu(draft: Draft, run: Run, claim: Claim, key: ClaimKey) -> str:
    """Why a device of a claim that was not acted on yet can't be used now; empty if all can."""
    node = draft.node(draft.me.name)
    if not claim.gpus or node is None:
        return ""
    known = {gpu.uuid: gpu for gpu in node.record.capacity.gpus}
    holders = _holders(draft, run, key)
    for uuid in claim.gpus:
        gpu = known.get(uuid)
        if gpu is None:
            return f"GPU {uuid} is no longer there"
        if gpu.fault:
            return f"GPU {uuid} is faulty: {gpu.fault}"
        if who := draft.me.taken.get(uuid) or holders.get(uuid) or node.availability.busy.get(uuid):
            return f"GPU {uuid} is used by {who}"
    return ""


def _holders(draft: Draft, run: Run, key: ClaimKey) -> dict[str, str]:
    """Devices that something else of ours has. Of two claims of this node that would share by mistake one goes on."""
    found: dict[str, str] = {}
    is_begun = {container.key for container in draft.me.containers if unended(container)} | draft.me.starting
    sharing = set()
    for project, other in claims_of(draft.ledger, draft.me.name):
        theirs = claim_key(project, other, other.claim) if other.claim is not None else None
        if theirs is None or other.claim is None or theirs == key:
            continue
        if is_shared(run.created.requires.gpus) and is_shared(other.created.requires.gpus):
            sharing.add(theirs)
        elif theirs in is_begun or theirs < key:
            found |= dict.fromkeys(other.claim.gpus, f"{project}/{other.number}")
    for container in draft.me.containers:
        if unended(container) and container.key != key and container.key not in sharing:
            found |= dict.fromkeys(container.gpus, f"container {container.key.slug}")
    return found


def _fraction(text: str) -> float:
    """From 0 to 1, as if by chance."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") / 2**32
