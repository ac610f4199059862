"""Which GPUs of this machine are in use beside what our own claims say."""

from collections.abc import Mapping, Set

from reconciler.core.containers import ClaimKey, claim_key
from reconciler.core.ledger import Ledger
from reconciler.core.names import NodeName
from reconciler.core.placement import claims_of


def taken(held: Mapping[ClaimKey, Set[str]], ledger: Ledger, me: NodeName) -> dict[str, str]:
    """GPU -> the container that holds it. Those of our claims in force are left out: the claims themselves count.

    What is left runs for another reconciler of this machine, or under a claim that is over. Nobody else gets its GPU
    before it has ended.
    """
    in_force = {claim_key(project, run, run.claim) for project, run in claims_of(ledger, me) if run.claim is not None}
    return {gpu: f"container {key.slug}" for key in sorted(held) if key not in in_force for gpu in sorted(held[key])}
