"""Which node should take a stage, decided by every node alike from the same facts, without messages.

Filters first (each with the reason people read in ``winslow explain``), then a score: a stage that needs
no GPU avoids nodes that have free ones, then the node that is left least loaded wins, ties go by a stable
hash, so that equal projects spread over equal nodes.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.core.desired import Desired, NodePolicy, Requires
from reconciler.core.ledger import Ledger, Run
from reconciler.core.names import NodeName, ProjectName
from reconciler.core.nodes import Capacity, Node
from reconciler.core.records import RunCreated


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What open claims hold on one node."""

    cpus: float = 0.0
    memory: int = 0
    gpus: frozenset[str] = frozenset()

    def plus(self, requires: Requires, gpus: Iterable[str]) -> "Used":
        return Used(
            cpus=self.cpus + requires.cpus, memory=self.memory + requires.memory, gpus=self.gpus | frozenset(gpus)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a stage needs of a node; the same for a new run and for a run's next attempt."""

    requires: Requires
    image: str | None
    has_process_command: bool
    seed: str  # decides ties; the same on all nodes, e.g. "crossing/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Nodes that can take it now, best first; and for all others why not."""

    ranked: tuple[NodeName, ...]
    refused: Mapping[NodeName, str] = field(default_factory=dict)
    ever: bool = True  # would any node do, were it empty and alive?


def need_of(project: ProjectName, created: RunCreated) -> Need:
    return Need(
        requires=created.requires,
        image=created.image,
        has_process_command=bool(created.process_command),
        seed=f"{project}/{created.run}",
    )


def usage(ledger: Ledger) -> dict[NodeName, Used]:
    """What each node's open claims hold."""
    used: dict[NodeName, Used] = {}
    for history in ledger.projects.values():
        for run in history.runs:
            if (claim := run.claim) is not None:
                used[claim.node] = used.get(claim.node, Used()).plus(run.created.requires, claim.gpus)
    return used


def claims_of(ledger: Ledger, node: NodeName) -> list[tuple[ProjectName, Run]]:
    """The open runs that ``node`` claims."""
    return [
        (project, run)
        for project, history in sorted(ledger.projects.items())
        for run in history.runs
        if run.claim is not None and run.claim.node == node
    ]


def place(
    need: Need, nodes: Sequence[Node], desired: Desired, used: Mapping[NodeName, Used], *, ttl: float
) -> Placement:
    refused: dict[NodeName, str] = {}
    fitting: list[Node] = []
    ever = False
    for node in nodes:
        policy = desired.nodes.get(node.name, NodePolicy())
        never = _misfit(need, node, policy, Used())
        ever = ever or not never
        reason = never or _unavailable(node, policy, ttl) or _misfit(need, node, policy, used.get(node.name, Used()))
        if reason:
            refused[node.name] = reason
        else:
            fitting.append(node)
    ranked = sorted(fitting, key=lambda node: _score(need, node, used.get(node.name, Used())))
    return Placement(ranked=tuple(node.name for node in ranked), refused=refused, ever=ever)


def choose_gpus(capacity: Capacity, requires: Requires, used: Used) -> tuple[str, ...]:
    """UUIDs of the first free devices that fit, smallest memory first: leave the big ones to who needs them."""
    free = [gpu for gpu in capacity.gpus if gpu.uuid not in used.gpus]
    fit = [gpu for gpu in free if gpu.memory >= requires.gpus.memory and gpu.vendor == requires.gpus.vendor]
    fit.sort(key=lambda gpu: (gpu.memory, gpu.uuid))
    return tuple(gpu.uuid for gpu in fit[: requires.gpus.count])


def limited(capacity: Capacity, policy: NodePolicy) -> Capacity:
    """The node's capacity within the limits that people set in git."""
    return replace(
        capacity,
        cpus=capacity.cpus if policy.cpus is None else min(capacity.cpus, policy.cpus),
        memory=capacity.memory if policy.memory is None else min(capacity.memory, policy.memory),
        gpus=capacity.gpus if policy.gpus is None else capacity.gpus[: policy.gpus],
    )


def _unavailable(node: Node, policy: NodePolicy, ttl: float) -> str:
    if not node.is_live(ttl):
        return "gives no sign of life"  # for how long would change at every look, and with it the published status
    if policy.drained:
        return f"drained (nodes/{node.name}.yaml)"
    return ""


def _misfit(need: Need, node: Node, policy: NodePolicy, used: Used) -> str:
    """Why the node can't take it, in words; empty if it can."""
    requires = need.requires
    capacity = limited(node.record.capacity, policy)
    labels = {**node.record.labels, **policy.labels}
    for name, value in requires.labels.items():
        if labels.get(name) != value:
            return f"label {name} is {labels.get(name, 'not set')}, not {value}"
    if node.record.runtime == "process" and not need.has_process_command:
        return "runs plain processes, but the stage has no process command"
    if node.record.runtime == "docker" and not need.image:
        return "runs containers, but the stage names no image"
    if requires.cpus > capacity.cpus - used.cpus + 1e-9:
        return f"{max(capacity.cpus - used.cpus, 0):g} of {capacity.cpus:g} cpus free, needs {requires.cpus:g}"
    if requires.memory > capacity.memory - used.memory:
        return f"{_gib(capacity.memory - used.memory)} of {_gib(capacity.memory)} memory free, needs " + _gib(
            requires.memory
        )
    if requires.gpus.count > len(choose_gpus(capacity, requires, used)):
        return f"{len(capacity.gpus)} GPUs, too few free or fitting ones for {requires.gpus.count}"
    return ""


def _score(need: Need, node: Node, used: Used) -> tuple[float, float, str]:
    capacity = node.record.capacity
    free_gpus = len(capacity.gpus) - len(used.gpus)
    wasted = free_gpus if need.requires.gpus.count == 0 else free_gpus - need.requires.gpus.count
    load = (used.cpus + need.requires.cpus) / max(capacity.cpus, 0.001)
    return (float(wasted), round(load, 3), hashlib.sha256(f"{need.seed}/{node.name}".encode()).hexdigest())


def _gib(size: int) -> str:
    return f"{max(size, 0) / 2**30:.1f} GiB"
