"""Whether a node can take a stage now, and in words why not: filters, each with its reason.

Reasons are published: none counts seconds or anything else that would be different at every look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.core.desired import NodePolicy, Requires
from reconciler.core.gpus import choose_gpus, givable, idle, too_few_free, too_few_of_a_kind
from reconciler.core.names import NodeName
from reconciler.core.nodes import Capacity, Gpu, Node
from reconciler.core.used import Used

NOTHING = Used()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a stage needs of a node; the same for a new run and for a run's next attempt."""

    requires: Requires
    image: str | None
    has_process_command: bool
    seed: str  # names the run, and decides ties: the same on all nodes, e.g. "crossing/1"
    near: NodeName | None = None  # the node that made what the run goes on from


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A node as placement sees it: what people let it give, and how much of that is given away."""

    node: Node
    capacity: Capacity  # within people's limits, without GPUs that are divided
    labels: Mapping[str, str]
    unavailable: str  # why it takes nothing at all now; empty if it may
    used: Used
    idle: frozenset[str]  # GPUs
    kept: Requires | None = None  # kept free for a stage that has waited longer
    kept_for: str = ""
    held: Used = field(default_factory=Used)  # with what is kept free


def offer(node: Node, policy: NodePolicy, used: Used, *, ttl: float) -> Offer:
    capacity = limited(node.record.capacity, policy)
    used = used.beside(node.availability.busy)
    return Offer(
        node=node,
        capacity=capacity,
        labels={**node.record.labels, **policy.labels} if policy.labels else node.record.labels,
        unavailable=_unavailable(node, policy, ttl),
        used=used,
        idle=idle(capacity.gpus, used),
        held=used,
    )


def keeping(found: Offer, requires: Requires, run: str) -> Offer:
    """The same, where later stages get only what fits beside this one.

    The run it is kept for will get what is free now first: nobody can say when the rest will be.
    """
    free = choose_gpus(found.capacity, requires, found.used)
    return replace(found, kept=requires, kept_for=run, held=found.used.plus(requires, free))


def taking(found: Offer, requires: Requires, gpus: tuple[str, ...]) -> Offer:
    used = found.used.plus(requires, gpus)
    kept = found.kept
    held = used.plus(kept, choose_gpus(found.capacity, kept, used)) if kept is not None else used
    return replace(found, used=used, held=held, idle=found.idle - frozenset(gpus))


def empty(found: Offer) -> Offer:
    """The node once everything on it has ended. Its faulty GPUs stay faulty."""
    return replace(found, used=NOTHING, held=NOTHING, kept=None, idle=idle(found.capacity.gpus, NOTHING))


def limited(capacity: Capacity, policy: NodePolicy) -> Capacity:
    """The node's capacity within the limits that people set in git, without GPUs that are divided."""
    gpus = givable(capacity.gpus)
    if policy.cpus is None and policy.memory is None and policy.gpus is None and len(gpus) == len(capacity.gpus):
        return capacity
    return replace(
        capacity,
        cpus=capacity.cpus if policy.cpus is None else min(capacity.cpus, policy.cpus),
        memory=capacity.memory if policy.memory is None else min(capacity.memory, policy.memory),
        gpus=gpus if policy.gpus is None else gpus[: policy.gpus],
    )


def never(need: Need, found: Offer, fitting: Sequence[Gpu]) -> str:
    """Why the node could not take it even if it were idle; empty if it could. ``fitting``: GPUs of the right kind."""
    requires, record, capacity = need.requires, found.node.record, found.capacity
    for name, value in requires.labels.items():
        if found.labels.get(name) != value:
            return f"label {name} is {found.labels.get(name, 'not set')}, not {value}"
    if record.runtime == "process" and not need.has_process_command:
        return "runs plain processes, but the stage has no process command"
    if record.runtime == "docker" and not need.image:
        return "runs containers, but the stage names no image"
    if requires.disk and not capacity.disk:
        return f"how much disk it has free is not known, needs {gib(requires.disk)}"
    if requires.gpus.count and (why := too_few_of_a_kind(capacity.gpus, fitting, requires.gpus)):
        return why
    return _short(requires, capacity, NOTHING)


def busy(need: Need, found: Offer, fitting: Sequence[Gpu]) -> str:
    """Why the node, that could take it otherwise, can't do so now; empty if it can."""
    if why := _lacking(need.requires, found.capacity, fitting, found.used):
        return why
    if found.kept is not None and _lacking(need.requires, found.capacity, fitting, found.held):
        return f"kept free for {found.kept_for}, which has waited longer"
    return ""


def gib(size: int) -> str:
    return f"{max(size, 0) / 2**30:.1f} GiB"


def _unavailable(node: Node, policy: NodePolicy, ttl: float) -> str:
    if not node.is_live(ttl):
        return "gives no sign of life"  # for how long would change at every look
    if policy.drained:
        return f"drained (nodes/{node.name}.yaml)"
    return ""


def _lacking(requires: Requires, capacity: Capacity, fitting: Sequence[Gpu], used: Used) -> str:
    if why := _short(requires, capacity, used):
        return why
    return too_few_free(capacity.gpus, fitting, requires.gpus, used) if requires.gpus.count else ""


def _short(requires: Requires, capacity: Capacity, used: Used) -> str:
    """Of cpus, memory or disk. Nothing is too little for nothing, however much is given away."""
    if requires.cpus > capacity.cpus - used.cpus + 1e-9:
        return f"{max(capacity.cpus - used.cpus, 0):g} of {capacity.cpus:g} cpus free, needs {requires.cpus:g}"
    if requires.memory and requires.memory > capacity.memory - used.memory:
        return _sizes("memory", capacity.memory, used.memory, requires.memory)
    if requires.disk and requires.disk > capacity.disk - used.disk:
        return _sizes("disk", capacity.disk, used.disk, requires.disk)
    return ""


def _sizes(what: str, there: int, given: int, wanted: int) -> str:
    return f"{gib(there - given)} of {gib(there)} {what} free, needs {gib(wanted)}"
