"""Whose turn it is: the important first, then who has waited longest; and nobody is passed over for ever."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.actions import CreateRun, ResolveImage
from reconciler.core.containers import ContainerState
from reconciler.core.desired import Desired, Gpus, NodePolicy, Pipeline, Project, Requires, Site
from reconciler.core.draft import Plan
from reconciler.core.ledger import Ledger, ProjectHistory
from reconciler.core.names import NodeName, PipelineName, ProjectName
from reconciler.core.nodes import Availability, Node
from reconciler.core.plan import plan
from reconciler.core.queue import in_order
from reconciler.core.records import DesiredSeen
from reconciler.core.report import explain
from tests.fakes.build import (
    NOW,
    SHARE,
    A,
    B,
    a_claim,
    a_desired,
    a_gpu,
    a_history,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_seen,
    a_stage,
    me,
)
from tests.fakes.world import World

AFTER = Site().reserve_after.total_seconds()
BIG, SMALL = PipelineName("big"), PipelineName("small")


def seen_at(seconds: float) -> DesiredSeen:
    return replace(a_seen(), at=NOW + timedelta(seconds=seconds))


def flows(big: int = 8) -> Mapping[PipelineName, Pipeline]:
    wanted = {BIG: Requires(gpus=Gpus(count=big)), SMALL: Requires(gpus=Gpus(count=1))}
    return {name: a_pipeline(a_stage("detect", requires=needs), id=name) for name, needs in wanted.items()}


def site(*projects: Project, big: int = 8, **fields: object) -> Desired:
    return replace(a_desired(*projects), pipelines=flows(big), **fields)  # type: ignore[arg-type]  # named by callers


def waiting(**since: float) -> dict[ProjectName, ProjectHistory]:
    return {ProjectName(name): a_history(seen=(seen_at(at),)) for name, at in since.items()}


def eight(name: str, reserved: str = "") -> Node:
    node = a_node(name, gpus=tuple(a_gpu(f"{name}-{number}") for number in range(8)), cpus=32.0)
    return replace(node, availability=Availability(reserved=reserved))


def busy_with(*gpus: str, node: str = "a") -> ProjectHistory:
    """A project that runs and holds these."""
    needs = Requires(gpus=Gpus(count=len(gpus)))
    return a_history(a_run(1, "detect", a_claim(1, node, gpus=gpus), requires=needs), seen=(a_seen(),))


# --- order ---


def test_priority_comes_first_then_who_has_waited_longest_then_the_name() -> None:
    wanted = [a_project("d"), a_project("c"), a_project("b"), a_project("a", priority=1)]
    ledger = Ledger(share=SHARE, projects=waiting(d=1, c=5, b=5, a=9))
    assert in_order(a_desired(*wanted), ledger, [ProjectName(name) for name in "abcd"]) == ["a", "d", "b", "c"]


def test_who_has_waited_longest_gets_what_is_free() -> None:
    desired = site(*(a_project(name, pipeline=BIG) for name in ("early", "late")))
    ledger = Ledger(share=SHARE, projects=waiting(early=10, late=2))  # by their names "early" would come first
    todo = plan(desired, ledger, (eight("a"),), me("a"))
    assert starts(todo) == ["late"]
    assert todo.waiting[ProjectName("early")].because == "NoNodeFree"


# --- keeping a node free ---

KEPT = "kept free for huge/1, which has waited longer"
HUGE, TINY = a_project("huge", pipeline=BIG), a_project("tiny", pipeline=SMALL)


def looked(
    ledger: Mapping[ProjectName, ProjectHistory], *nodes: Node, name: str = "a", waited: float = AFTER, **fields: object
) -> Plan:
    """One plan of a node that has seen ``huge`` wait for so long."""
    since = {"waits huge/1": 1000.0 - waited, "claim tiny/1/1": 0.0}
    desired = fields.pop("desired", site(HUGE, TINY))
    assert isinstance(desired, Desired)
    found = Ledger(share=SHARE, projects=ledger)
    return plan(desired, found, nodes, me(name, since=since, **fields))


def crowd() -> dict[ProjectName, ProjectHistory]:
    """A big stage waits, a small one came later, and one GPU of the node is in use."""
    return {**waiting(huge=1, tiny=2), ProjectName("other"): busy_with("a-0")}


def starts(todo: Plan) -> list[str]:
    """What would start, or asks for its image to start."""
    return [action.project for action in todo.actions if isinstance(action, CreateRun | ResolveImage)]


def test_a_small_stage_goes_by_until_the_big_one_has_waited_for_long() -> None:
    assert starts(looked(crowd(), eight("a"), waited=AFTER - 1)) == ["tiny"]
    todo = looked(crowd(), eight("a"))
    assert starts(todo) == []
    assert todo.reserved == "huge/1"
    assert todo.waiting[ProjectName("tiny")].message == f"stage 'detect' waits for a node (a: {KEPT})"


def test_what_fits_beside_the_big_one_goes_on() -> None:
    desired = site(HUGE, TINY, big=7)
    history = {**waiting(huge=1, tiny=2), ProjectName("other"): busy_with("a-0", "a-1")}
    assert starts(looked(history, eight("a"), desired=desired)) == []
    plain = replace(flows()[SMALL], stages=(a_stage("detect", requires=Requires(cpus=4.0)),))
    light = replace(desired, pipelines={**flows(7), SMALL: plain})
    todo = looked(history, eight("a"), desired=light)
    assert (starts(todo), todo.reserved) == (["tiny"], "huge/1")


def test_one_node_is_kept_for_one_stage() -> None:
    """Every node finds the same one, and the others go on as ever."""
    history = {**crowd(), ProjectName("another"): busy_with("b-0", node="b")}
    nodes = (eight("a"), eight("b"))
    reserved = {name: looked(history, *nodes, name=name).reserved for name in ("a", "b")}
    assert sorted(reserved.values()) == ["", "huge/1"]


def test_a_node_that_says_so_keeps_itself_free_further() -> None:
    """Whoever joined since would have been the better choice."""
    history = {**crowd(), ProjectName("another"): busy_with("b-0", node="b")}
    for name in ("a", "b"):
        nodes = tuple(eight(one, "huge/1" if one == name else "") for one in ("a", "b"))
        assert looked(history, *nodes, name=name, waited=0.0).reserved == "huge/1"
        other = "b" if name == "a" else "a"
        assert looked(history, *nodes, name=other).reserved == ""


def test_others_and_people_see_what_is_kept() -> None:
    history = {**crowd(), ProjectName("another"): busy_with(*(f"b-{number}" for number in range(8)), node="b")}
    nodes = (eight("a", "huge/1"), eight("b"))
    assert f"a: {KEPT}" in looked(history, *nodes, name="b", waited=0.0).waiting[ProjectName("tiny")].message
    ledger = Ledger(share=SHARE, projects=history)
    _, answers = explain(site(HUGE, TINY), ledger, nodes, TINY)
    assert answers[A] == KEPT
    _, answers = explain(site(HUGE, TINY), ledger, nodes, HUGE)
    assert answers[A] == "7 of 8 GPUs free (1 holds other stages), needs 8"


def test_more_important_stages_may_take_what_is_kept() -> None:
    desired = site(HUGE, replace(TINY, priority=1))
    assert starts(looked(crowd(), eight("a", "huge/1"), desired=desired)) == ["tiny"]


def test_nothing_is_kept_for_what_could_never_run_there() -> None:
    """On drained or dead nodes, or on none at all."""
    assert looked(crowd(), eight("a"), desired=site(HUGE, TINY, big=9)).reserved == ""
    drained = site(HUGE, TINY, nodes={A: NodePolicy(drained=True)})
    assert looked(crowd(), eight("a"), desired=drained).reserved == ""


def test_what_a_node_kept_is_given_back_when_the_stage_needs_it_no_more() -> None:
    paused = site(replace(HUGE, paused=True), TINY)
    todo = looked(crowd(), eight("a", "huge/1"), desired=paused)
    assert (starts(todo), todo.reserved) == (["tiny"], "")


# --- nobody starves ---


class Crowded(World):
    """Stages run for some seconds each; nodes hear what the others keep."""

    ends: dict[str, float]
    hears: dict[NodeName, str]

    def nodes_of(self, name: NodeName) -> tuple[Node, ...]:
        return tuple(
            replace(node, availability=Availability(reserved=self.hears.get(node.name, ""))) for node in self.nodes
        )

    def plan(self, name: NodeName) -> Plan:
        todo = super().plan(name)
        self.hears[name] = todo.reserved
        return todo

    def run_programs(self) -> None:
        for machine in self.machines.values():
            for container in list(machine.containers.values()):
                if container.state is ContainerState.RUNNING:
                    end = self.ends.setdefault(container.key.slug, self.now + 60.0 + 10.0 * (len(self.ends) % 7))
                    if self.now >= end:
                        self._end(machine, container, 0)

    def join(self, project: Project) -> None:
        """A project as new as now."""
        self.desired = replace(self.desired, projects={**self.desired.projects, project.id: project})
        history = a_history(seen=(seen_at(self.now),))
        self.ledger = replace(self.ledger, projects={**self.ledger.projects, project.id: history})


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.sampled_from([(A,), (A, B)]))
@settings(max_examples=8, deadline=None)
def test_a_stream_of_small_stages_never_starves_a_big_one(stream: list[int], names: tuple[NodeName, ...]) -> None:
    """At every moment more small stages wait than GPUs are free; the big one gets its node all the same."""
    desired = site(site=replace(Site(), reserve_after=timedelta(seconds=300)), projects={})
    world = Crowded(desired, tuple(eight(name) for name in names))
    world.ends, world.hears = {}, {}
    count = 0
    for number in range(8 * len(names)):
        world.join(a_project(f"first-{number}", pipeline=SMALL))
    world.turn()
    world.join(HUGE)
    for turn in range(200):
        for _ in range(stream[turn % len(stream)]):
            count += 1
            world.join(a_project(f"small-{count}", pipeline=SMALL))
        world.turn(10.0)
        if world.ledger.history(HUGE.id).runs:
            assert turn < 80, "reserve_after and the longest small stage together take 42 turns"
            return
    raise AssertionError("the big stage starved")


def test_what_is_kept_free_is_not_given_to_others_for_want_of_looking() -> None:
    """The small stage fits on the big device, and the small ones come first in its eyes."""
    small = [replace(a_gpu(f"x{number}", gib=16), model="RTX A4000") for number in range(2)]
    big = replace(a_gpu("y0", gib=24), model="RTX 4090")
    node = a_node("a", gpus=(*small, big), cpus=32.0)
    wanted = {BIG: Requires(gpus=Gpus(count=2, model="A4000")), SMALL: Requires(gpus=Gpus(count=1))}
    pipelines = {name: a_pipeline(a_stage("detect", requires=needs), id=name) for name, needs in wanted.items()}
    desired = replace(a_desired(HUGE, TINY), pipelines=pipelines)
    todo = looked({**waiting(huge=1, tiny=2), ProjectName("other"): busy_with("x0")}, node, desired=desired)
    assert todo.reserved == "huge/1"
    assert [one.claim.gpus for one in todo.actions if isinstance(one, CreateRun)] == [("y0",)]


def test_stages_that_faults_keep_from_starting_keep_nothing_from_others() -> None:
    """However many of them wait: a stage behind them that has room gets its node kept free."""
    gone = replace(a_gpu("a-7"), fault="fallen off the bus")
    node = a_node("a", gpus=(*(a_gpu(f"a-{number}") for number in range(7)), gone), cpus=32.0)
    whole = PipelineName("whole")
    stuck = {name: a_project(name, pipeline=whole) for name in ("stuck-1", "stuck-2", "stuck-3", "stuck-4")}
    pipelines = {**flows(7), whole: a_pipeline(a_stage("detect", requires=Requires(gpus=Gpus(count=8))), id=whole)}
    desired = replace(a_desired(*stuck.values(), HUGE, TINY), pipelines=pipelines)
    told = {**waiting(**dict.fromkeys(stuck, 1.0), huge=2, tiny=3), ProjectName("other"): busy_with("a-0")}
    assert looked(told, node, desired=desired).reserved == "huge/1"
