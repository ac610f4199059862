"""What else is on this machine beside claims in force: it holds what it holds until it has ended."""

from collections.abc import Iterator

from reconciler.core.containers import ClaimKey, Container, ContainerState
from reconciler.core.draft import Draft
from reconciler.core.ledger import Ledger, Run
from reconciler.core.records import Claim
from reconciler.core.used import Used


def reserve_leftovers(draft: Draft) -> None:
    """Devices and all else of containers of ours whose claim is over, or unheard of, are not free yet."""
    me = draft.me
    used, busy = draft.used.get(me.name, Used()), dict(me.taken)
    for key in _unended(draft):
        if (found := superseded(draft.ledger, key)) is not None:
            run, claim = found
            used = used.plus(run.created.requires, claim.gpus)
    for container in me.containers:
        if unended(container) and not _is_in_force(draft.ledger, container.key):
            busy |= {gpu: f"container {container.key.slug}" for gpu in container.gpus if gpu not in used.shared}
    draft.used[me.name] = used.beside(busy)


def superseded(ledger: Ledger, key: ClaimKey) -> tuple[Run, Claim] | None:
    """The claim that the key names and its run, if something was recorded after it."""
    run = ledger.history(key.project).run(key.run)
    if run is None or len(run.records) < key.number:
        return None
    claim = run.records[key.number - 1]
    if not isinstance(claim, Claim) or claim.token != key.token or run.claim == claim:
        return None
    return run, claim


def unended(container: Container) -> bool:
    """Also one that was created and not started: whoever was about to may still do it."""
    return container.state is not ContainerState.EXITED


def _unended(draft: Draft) -> Iterator[ClaimKey]:
    found = {container.key for container in draft.me.containers if unended(container)}
    yield from sorted(found | draft.me.starting)


def _is_in_force(ledger: Ledger, key: ClaimKey) -> bool:
    run = ledger.history(key.project).run(key.run) if key.share == ledger.share else None
    return run is not None and run.claim is not None and run.claim.token == key.token
