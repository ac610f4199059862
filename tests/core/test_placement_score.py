"""The score: which of the nodes that fit is first, part by part, and in words why the others come after it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.desired import Gpus, Requires, Site, Strategy
from reconciler.core.fitting import Need
from reconciler.core.fleet import Fleet, Placement
from reconciler.core.image_names import image_mark
from reconciler.core.names import NodeName
from reconciler.core.nodes import Availability, Node
from reconciler.core.placement import place
from reconciler.core.used import Used
from tests.fakes.build import GIB, A, B, C, a_desired, a_gpu, a_node

TTL = 60.0


def need(*, seed: str = "crossing/1", near: NodeName | None = None, **requires: object) -> Need:
    wanted = Requires(**requires)  # type: ignore[arg-type]  # named by callers
    return Need(requires=wanted, image="image:1", has_process_command=True, seed=seed, near=near)


def placed(
    wanted: Need, *nodes: Node, used: dict[NodeName, Used] | None = None, strategy: Strategy = Strategy.SPREAD
) -> Placement:
    return place(wanted, nodes, a_desired(site=Site(strategy=strategy)), used or {}, ttl=TTL)


def having(node: Node, **availability: object) -> Node:
    return replace(node, availability=Availability(**availability))  # type: ignore[arg-type]  # named by callers


HERE = frozenset({image_mark("image:1")})


def test_the_node_that_would_leave_fewest_gpus_idle_comes_first() -> None:
    nodes = a_node("a", gpus=(a_gpu("a1"), a_gpu("a2"))), a_node("b", gpus=(a_gpu("b1"),))
    found = placed(need(gpus=Gpus(count=1)), *nodes)
    assert found.by_node() == {B: "rank 0", A: "rank 1: would leave more GPUs idle"}


def test_devices_others_use_count_as_gone() -> None:
    """Two of three are taken on node a, so it is the tighter fit."""
    nodes = a_node("a", gpus=tuple(a_gpu(f"a{n}") for n in range(3))), a_node("b", gpus=(a_gpu("b1"), a_gpu("b2")))
    held = {A: Used(gpus=frozenset({"a0", "a1"}))}
    assert placed(need(gpus=Gpus(count=1)), *nodes, used=held).ranked == (A, B)


def test_small_devices_come_before_big_ones() -> None:
    nodes = a_node("a", gpus=(a_gpu("a1", gib=24),)), a_node("b", gpus=(a_gpu("b1", gib=8),))
    found = placed(need(gpus=Gpus(count=1)), *nodes)
    assert found.by_node()[A] == "rank 1: has bigger GPUs than needed"


def test_a_node_that_has_the_image_wins_over_one_that_would_pull() -> None:
    nodes = a_node("a"), having(a_node("b"), images=HERE, load=0.9)
    held = {B: Used(cpus=4.0)}
    assert placed(need(), *nodes, used=held).by_node() == {B: "rank 0", A: "rank 1: image not here"}


def test_plain_processes_pull_nothing() -> None:
    nodes = a_node("a", runtime="process"), having(a_node("b", runtime="process", cpus=2.0), images=HERE)
    assert placed(need(), *nodes).ranked == (A, B)


def test_the_node_that_made_the_workspace_wins_among_equals() -> None:
    nodes = a_node("a"), a_node("b"), a_node("c")
    for name in (A, B, C):
        assert placed(need(near=name), *nodes).ranked[0] == name
    told = placed(need(near=B), *nodes, used={B: Used(cpus=4.0)}).by_node()
    assert told[B] == "rank 0"
    assert "not where its workspace was made" in told[A]


def test_spread_takes_the_emptier_node_and_pack_the_fuller_one() -> None:
    nodes = a_node("a"), a_node("b")
    held = {A: Used(cpus=2.0)}
    assert placed(need(), *nodes, used=held).by_node() == {B: "rank 0", A: "rank 1: fuller"}
    packed = placed(need(), *nodes, used=held, strategy=Strategy.PACK).by_node()
    assert packed == {A: "rank 0", B: "rank 1: emptier"}


def test_memory_counts_where_it_is_scarcer_than_processors() -> None:
    nodes = a_node("a"), a_node("b")
    held = {A: Used(memory=30 * GIB), B: Used(cpus=4.0)}
    assert placed(need(), *nodes, used=held).ranked == (B, A)


def test_measured_load_decides_last_and_only_in_quarters() -> None:
    nodes = having(a_node("a"), load=0.3), having(a_node("b"), load=0.9), having(a_node("c"), load=0.49)
    found = placed(need(), *nodes)
    assert found.by_node()[B] == "rank 2: busier"
    assert {found.by_node()[name] for name in (A, C)} == {"rank 0", "rank 1"}


def test_all_that_makes_a_node_worse_is_told() -> None:
    nodes = having(a_node("a"), load=0.9), having(a_node("b"), images=HERE)
    assert placed(need(), *nodes).by_node()[A] == "rank 1: image not here, busier"


# --- the quick way of one plan and the slow way for people say the same ---


@st.composite
def sites(draw: st.DrawFn) -> tuple[tuple[Node, ...], dict[NodeName, Used]]:
    nodes = []
    used = {}
    for number in range(draw(st.integers(1, 7))):
        name = f"n{number}"
        gpus = tuple(a_gpu(f"{name}-{index}") for index in range(draw(st.integers(0, 2))))
        images = draw(st.sampled_from([HERE, frozenset()]))
        node = a_node(name, gpus=gpus, cpus=draw(st.sampled_from([2.0, 8.0])))
        nodes.append(having(node, images=images, load=draw(st.sampled_from([0.0, 0.5]))))
        used[NodeName(name)] = Used(cpus=draw(st.sampled_from([0.0, 1.5])))
    return tuple(nodes), used


@given(sites(), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1), st.integers(0, 7)), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_every_node_finds_its_own_rank_as_the_whole_list_says(
    site: tuple[tuple[Node, ...], dict[NodeName, Used]], wanted: list[tuple[int, int, int]]
) -> None:
    """Also after the plan has taken something: what was worked out before is renewed, not believed."""
    nodes, used = site
    fleet = Fleet(nodes, a_desired(), used, ttl=TTL)
    for run, gpus, near in wanted:
        one = need(seed=f"crossing/{run}", near=NodeName(f"n{near}"), gpus=Gpus(count=gpus), cpus=0.5)
        ranked = fleet.placement(one).ranked
        assert ranked == place(one, nodes, a_desired(), used, ttl=TTL).ranked
        assert [fleet.rank(one, name) for name in ranked] == list(range(len(ranked)))
        assert fleet.first(one) == (ranked[0] if ranked else None)
        if ranked:
            fleet.take(ranked[0], one.requires, fleet_gpus := _gpus(fleet, one, ranked[0]))
            used = {**used, ranked[0]: used[ranked[0]].plus(one.requires, fleet_gpus)}


def _gpus(fleet: Fleet, wanted: Need, name: NodeName) -> tuple[str, ...]:
    idle = sorted(fleet.offer(name).idle)
    return tuple(idle[: wanted.requires.gpus.count])
