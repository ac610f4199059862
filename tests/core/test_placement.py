"""Which node takes a stage: every refusal with its reason, a stable order among those that fit."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.desired import Gpus, NodePolicy, Requires
from reconciler.core.fitting import Need
from reconciler.core.fleet import Placement
from reconciler.core.gpus import choose_gpus
from reconciler.core.names import NodeName
from reconciler.core.nodes import Capacity, Node
from reconciler.core.placement import place
from reconciler.core.start import queued
from reconciler.core.used import Used
from tests.fakes.build import GIB, A, B, C, a_desired, a_gpu, a_node

TTL = 60.0


def need(*, image: str | None = "image:1", process: bool = True, seed: str = "crossing/1", **requires: object) -> Need:
    return Need(
        requires=Requires(**requires),  # type: ignore[arg-type]  # named by callers
        image=image,
        has_process_command=process,
        seed=seed,
    )


def placed(
    wanted: Need,
    *nodes: Node,
    used: dict[NodeName, Used] | None = None,
    policy: dict[NodeName, NodePolicy] | None = None,
) -> Placement:
    return place(wanted, nodes, a_desired(nodes=policy or {}), used or {}, ttl=TTL)


def refusal(wanted: Need, node: Node, **how: object) -> str:
    found = placed(wanted, node, **how)  # type: ignore[arg-type]  # named by callers
    assert not found.ranked
    return found.refused[node.name]


def test_a_label_that_differs_is_named_with_both_values() -> None:
    wanted = need(labels={"room": "lab-2"})
    assert refusal(wanted, a_node(labels={"room": "lab-1"})) == "label room is lab-1, not lab-2"
    assert refusal(wanted, a_node()) == "label room is not set, not lab-2"
    assert placed(wanted, a_node(labels={"room": "lab-2"})).ranked == (A,)


def test_labels_from_git_outrank_the_nodes_own() -> None:
    policy = {A: NodePolicy(labels={"room": "lab-2"})}
    assert placed(need(labels={"room": "lab-2"}), a_node(labels={"room": "lab-1"}), policy=policy).ranked == (A,)


def test_cpus_and_memory_count_what_open_claims_hold() -> None:
    node = a_node(cpus=8.0, memory=32 * GIB)
    held = {A: Used(cpus=6.0, memory=30 * GIB)}
    assert refusal(need(cpus=4.0), node, used=held) == "2 of 8 cpus free, needs 4"
    assert refusal(need(memory=4 * GIB), node, used=held) == "2.0 GiB of 32.0 GiB memory free, needs 4.0 GiB"
    assert placed(need(cpus=2.0, memory=2 * GIB), node, used=held).ranked == (A,)


def test_tenths_of_cpus_add_up() -> None:
    assert placed(need(cpus=0.1), a_node(cpus=1.0), used={A: Used(cpus=sum([0.1] * 9))}).ranked == (A,)


def test_gpus_are_counted_by_vendor_memory_and_what_is_free() -> None:
    node = a_node(gpus=(a_gpu("small", gib=8), a_gpu("big", gib=24), a_gpu("red", gib=24, vendor="amd")))
    assert placed(need(gpus=Gpus(count=2)), node).ranked == (A,)
    assert refusal(need(gpus=Gpus(count=3)), node) == "2 of 3 GPUs fit (nvidia), needs 3"
    assert refusal(need(gpus=Gpus(count=2, memory=16 * GIB)), node)
    assert placed(need(gpus=Gpus(count=1, memory=16 * GIB, vendor="amd")), node).ranked == (A,)
    assert refusal(need(gpus=Gpus(count=1, memory=16 * GIB)), node, used={A: Used(gpus=frozenset({"big"}))})


def test_the_smallest_fitting_devices_are_chosen_and_never_taken_ones() -> None:
    capacity = Capacity(gpus=(a_gpu("big", gib=24), a_gpu("small-2"), a_gpu("small-1"), a_gpu("red", vendor="amd")))
    two = Requires(gpus=Gpus(count=2))
    assert choose_gpus(capacity, two, Used()) == ("small-1", "small-2")
    assert choose_gpus(capacity, two, Used(gpus=frozenset({"small-1"}))) == ("small-2", "big")
    assert choose_gpus(capacity, Requires(), Used()) == ()


def test_limits_set_in_git_bind() -> None:
    node = a_node(cpus=8.0, gpus=(a_gpu("g1"), a_gpu("g2")))
    policy = {A: NodePolicy(cpus=2.0, gpus=1)}
    assert refusal(need(cpus=4.0), node, policy=policy) == "2 of 2 cpus free, needs 4"
    assert refusal(need(gpus=Gpus(count=2)), node, policy=policy) == "has 1 GPU, needs 2"


def test_drained_and_silent_nodes_are_refused_with_their_reason() -> None:
    assert refusal(need(), a_node(), policy={A: NodePolicy(drained=True)}) == "drained (nodes/a.yaml)"
    assert refusal(need(), a_node(silent_for=60.0)) == "gives no sign of life"
    assert placed(need(), a_node(silent_for=59.9)).ranked == (A,)


def test_a_silent_nodes_reason_does_not_age() -> None:
    """It is published: a message that counts seconds would make a commit at every look."""
    assert refusal(need(), a_node(silent_for=60.0)) == refusal(need(), a_node(silent_for=9999.0))


def test_a_stage_runs_only_on_a_runtime_it_is_written_for() -> None:
    assert "no process command" in refusal(need(process=False), a_node(runtime="process"))
    assert "names no image" in refusal(need(image=None), a_node(runtime="docker"))
    assert placed(need(image=None), a_node(runtime="process")).ranked == (A,)


def test_never_fits_is_told_from_busy() -> None:
    node = a_node(cpus=8.0)
    busy = placed(need(cpus=4.0), node, used={A: Used(cpus=8.0)})
    never = placed(need(cpus=64.0), node)
    assert (busy.ever, never.ever) == (True, False)
    assert queued("detect", busy).reason == "NoNodeFree"
    assert queued("detect", never).reason == "NoNodeFits"
    assert "change its requires or add a node" in queued("detect", never).message
    assert queued("detect", placed(need())).reason == "NoNodes"


def test_a_dead_or_drained_node_that_would_fit_still_counts_as_fitting() -> None:
    assert placed(need(), a_node(silent_for=99.0)).ever
    assert placed(need(), a_node(), policy={A: NodePolicy(drained=True)}).ever


def test_a_stage_without_gpus_avoids_gpu_nodes() -> None:
    nodes = a_node("a", gpus=(a_gpu("g1"),), cpus=64.0), a_node("b", cpus=2.0)
    assert placed(need(), *nodes).ranked == (B, A)


def test_a_gpu_stage_leaves_the_bigger_gpu_node_to_others() -> None:
    nodes = a_node("a", gpus=(a_gpu("g1"), a_gpu("g2"))), a_node("b", gpus=(a_gpu("g3"),))
    assert placed(need(gpus=Gpus(count=1)), *nodes).ranked == (B, A)


def test_the_node_that_is_left_least_loaded_wins() -> None:
    nodes = a_node("a"), a_node("b"), a_node("c", cpus=64.0)
    assert placed(need(), *nodes, used={A: Used(cpus=4.0), C: Used(cpus=60.0)}).ranked == (B, A, C)


@given(st.permutations(["a", "b", "c", "d"]), st.integers(1, 50))
def test_ties_are_broken_alike_by_every_node(order: list[str], number: int) -> None:
    wanted = need(seed=f"crossing/{number}")
    assert placed(wanted, *map(a_node, order)).ranked == placed(wanted, *map(a_node, "abcd")).ranked


def test_ties_fall_differently_for_different_projects() -> None:
    winners = {placed(need(seed=f"flight-{n}/1"), *map(a_node, "abc")).ranked[0] for n in range(30)}
    assert winners == {A, B, C}
