"""10,000 random placements over 50 nodes: nothing given twice, and little left unused.

An oracle that sees all nodes at once and takes the best fit is the measure. Some hundreds go through ``plan`` itself,
one node after the other; the others take what ``plan`` asks for each: the first node, and its devices.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from reconciler.core.actions import CreateRun
from reconciler.core.desired import Gpus, Requires
from reconciler.core.fitting import Need
from reconciler.core.fleet import Fleet
from reconciler.core.gpus import choose_gpus
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.names import NodeName, PipelineName
from reconciler.core.nodes import Node
from reconciler.core.plan import plan
from reconciler.core.start import RANK_DELAY
from reconciler.core.used import Used
from tests.fakes.build import (
    GIB,
    SHARE,
    a_desired,
    a_gpu,
    a_history,
    a_node,
    a_pipeline,
    a_project,
    a_seen,
    a_stage,
    me,
)

NODES, TURNS = 50, 5
KINDS = (
    Requires(cpus=2.0, memory=4 * GIB),
    Requires(cpus=4.0, memory=8 * GIB, gpus=Gpus(count=1)),
    Requires(cpus=4.0, memory=8 * GIB, gpus=Gpus(count=1, memory=16 * GIB)),
    Requires(cpus=8.0, memory=16 * GIB, gpus=Gpus(count=2)),
    Requires(cpus=1.0, memory=2 * GIB, gpus=Gpus(count=1, memory=4 * GIB, share=True)),
)
FLOW = a_pipeline(*(a_stage(f"kind-{number}", requires=needs) for number, needs in enumerate(KINDS)))


Way = Callable[[tuple[Node, ...], list[Requires]], "Given"]


@dataclass
class Given:
    """What a round gave, and what was left waiting."""

    held: dict[NodeName, list[tuple[Requires, tuple[str, ...]]]]
    placed: int = 0

    def gpus(self) -> int:
        return sum(needs.gpus.count for held in self.held.values() for needs, _ in held)

    def cpus(self) -> float:
        return sum(needs.cpus for held in self.held.values() for needs, _ in held)


def nodes(random_: random.Random) -> tuple[Node, ...]:
    made = []
    for number in range(NODES):
        name = f"n{number:02d}"
        sizes = [random_.choice((8, 24)) for _ in range(random_.choice((0, 1, 2, 4, 8)))]
        gpus = tuple(a_gpu(f"{name}-{index}", gib=gib) for index, gib in enumerate(sizes))
        made.append(a_node(name, gpus=gpus, cpus=random_.choice((16.0, 32.0, 64.0)), memory=128 * GIB))
    return tuple(made)


def through_plan(found: tuple[Node, ...], wanted: list[Requires]) -> Given:
    """Every node plans in turn from the newest ledger, until nobody takes anything any more."""
    projects = [a_project(f"p{number:04d}") for number in range(len(wanted))]
    stages = {id(needs): stage for needs, stage in zip(KINDS, FLOW.stages, strict=True)}
    pipelines = {
        PipelineName(stage.name): replace(FLOW, id=PipelineName(stage.name), stages=(stage,)) for stage in FLOW.stages
    }
    named = [
        replace(one, pipeline=PipelineName(stages[id(needs)].name)) for one, needs in zip(projects, wanted, strict=True)
    ]
    desired = replace(a_desired(*named), pipelines=pipelines)
    histories = {one.id: a_history(seen=(a_seen(),)) for one in named}
    given = Given({node.name: [] for node in found})
    met: dict[NodeName, dict[str, float]] = {node.name: {} for node in found}
    for turn in range(TURNS):
        now = 1000.0 + RANK_DELAY * turn
        for node in found:
            mine = me(node.name, since=met[node.name], monotonic=now)
            todo = plan(desired, Ledger(share=SHARE, projects=histories), found, mine)
            met[node.name] = {situation: met[node.name].get(situation, now) for situation in todo.situations}
            for action in todo.actions:
                if isinstance(action, CreateRun):
                    histories[action.project] = _with(histories[action.project], action)
                    given.held[node.name].append((action.record.requires, action.claim.gpus))
                    given.placed += 1
    return given


def through_ranks(found: tuple[Node, ...], wanted: list[Requires]) -> Given:
    """Each goes where ``plan`` would have it go first."""
    fleet, given = Fleet(found, a_desired(), {}, ttl=60.0), Given({node.name: [] for node in found})
    for number, needs in enumerate(wanted):
        need = Need(requires=needs, image="image:1", has_process_command=True, seed=f"p{number}/1")
        if (name := fleet.first(need)) is not None:
            offer = fleet.offer(name)
            gpus = choose_gpus(offer.capacity, needs, offer.used)
            fleet.take(name, needs, gpus)
            given.held[name].append((needs, gpus))
            given.placed += 1
    return given


def _with(history: ProjectHistory, action: CreateRun) -> ProjectHistory:
    run = Run(created=action.record, records=(action.claim,))
    return replace(history, records=(*history.records, action.record), runs=(run,))


def oracle(found: tuple[Node, ...], wanted: list[Requires]) -> Given:
    """One after the other, each to the node with the fewest GPUs and then the fewest processors left."""
    used = {node.name: Used() for node in found}
    given = Given({node.name: [] for node in found})
    for needs in wanted:
        fitting = []
        for node in found:
            capacity, held = node.record.capacity, used[node.name]
            gpus = choose_gpus(capacity, needs, held)
            is_room = needs.cpus <= capacity.cpus - held.cpus and needs.memory <= capacity.memory - held.memory
            if is_room and len(gpus) == needs.gpus.count:
                left = len(capacity.gpus) - len(held.gpus) - len(held.shared)
                fitting.append((left, capacity.cpus - held.cpus, node.name, gpus))
        if fitting:
            _, _, name, gpus = min(fitting)
            used[name] = used[name].plus(needs, gpus)
            given.held[name].append((needs, gpus))
            given.placed += 1
    return given


def check(found: tuple[Node, ...], given: Given) -> None:
    """No device twice, unless shared within its memory; no node beyond what it has."""
    for node in found:
        held, capacity = given.held[node.name], node.record.capacity
        assert sum(needs.cpus for needs, _ in held) <= capacity.cpus
        assert sum(needs.memory for needs, _ in held) <= capacity.memory
        alone = Counter(gpu for needs, gpus in held for gpu in gpus if not needs.gpus.share)
        shared = Counter(gpu for needs, gpus in held for gpu in gpus if needs.gpus.share)
        assert not alone or max(alone.values()) == 1
        assert not alone.keys() & shared.keys()
        sizes = {gpu.uuid: gpu.memory for gpu in capacity.gpus}
        assert all(4 * GIB * number <= sizes[gpu] for gpu, number in shared.items())
        assert all(len(gpus) == needs.gpus.count for needs, gpus in held)


def compare(random_: random.Random, way: Way, size: int, rounds: int) -> None:
    ours, best = Counter[str](), Counter[str]()
    for _ in range(rounds):
        found = nodes(random_)
        wanted = [random_.choice(KINDS) for _ in range(size)]
        given, measure = way(found, wanted), oracle(found, wanted)
        check(found, given)
        check(found, measure)
        for tally, one in ((ours, given), (best, measure)):
            tally.update(gpus=one.gpus(), cpus=int(one.cpus()), placed=one.placed)
    for what in ("gpus", "cpus", "placed"):
        assert ours[what] >= 0.9 * best[what], (what, ours, best)


def test_ten_thousand_placements_give_nothing_twice_and_waste_little() -> None:
    compare(random.Random(5), through_ranks, size=1000, rounds=10)  # noqa: S311  # the same ones each time


def test_plans_of_fifty_nodes_give_nothing_twice_and_waste_little() -> None:
    compare(random.Random(6), through_plan, size=400, rounds=1)  # noqa: S311  # the same ones each time
