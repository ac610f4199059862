"""Which node takes a stage, decided by every node alike from the same facts, without messages.

``fitting`` refuses with words, ``score`` orders what is left, ``fleet`` does both for all nodes at once. Here is what
the ledger says: what a run needs, and what is given away.
"""

from collections.abc import Iterator, Mapping, Sequence

from reconciler.core.desired import Desired
from reconciler.core.fitting import Need
from reconciler.core.fleet import Fleet, Placement
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.names import NodeName, ProjectName
from reconciler.core.nodes import Node
from reconciler.core.records import Base, Claim, RunCreated
from reconciler.core.used import Used


def need_of(project: ProjectName, created: RunCreated, history: ProjectHistory | None = None) -> Need:
    return Need(
        requires=created.requires,
        image=created.image,
        has_process_command=bool(created.process_command),
        seed=f"{project}/{created.run}",
        near=maker(history, created.base) if history is not None else None,
    )


def maker(history: ProjectHistory, base: Base | None) -> NodeName | None:
    """The node that made the workspace which a run goes on from: parts of it may still be in its memory."""
    run = history.run(base.run) if base is not None else None
    claim = (
        run.records[base.claim - 1] if base is not None and run is not None and base.claim <= len(run.records) else None
    )
    return claim.node if isinstance(claim, Claim) else None


def open_claims(ledger: Ledger) -> Iterator[tuple[ProjectName, Run, Claim]]:
    for project, history in ledger.projects.items():
        for run in history.runs:
            if (claim := run.claim) is not None:
                yield project, run, claim


def usage(ledger: Ledger) -> dict[NodeName, Used]:
    """What each node's open claims hold."""
    used: dict[NodeName, Used] = {}
    for _, run, claim in open_claims(ledger):
        used[claim.node] = used.get(claim.node, Used()).plus(run.created.requires, claim.gpus)
    return used


def claims_of(ledger: Ledger, node: NodeName) -> list[tuple[ProjectName, Run]]:
    """The open runs that ``node`` claims."""
    return sorted(
        ((project, run) for project, run, claim in open_claims(ledger) if claim.node == node),
        key=lambda found: (found[0], found[1].number),
    )


def place(
    need: Need, nodes: Sequence[Node], desired: Desired, used: Mapping[NodeName, Used], *, ttl: float
) -> Placement:
    return Fleet(nodes, desired, used, ttl=ttl).placement(need)
