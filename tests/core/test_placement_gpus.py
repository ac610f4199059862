"""Which GPUs a stage gets, and what people are told when it gets none."""

from dataclasses import replace

import pytest

from reconciler.core.desired import Gpus, Requires
from reconciler.core.fitting import Need
from reconciler.core.fleet import Placement
from reconciler.core.gpus import capability, choose_gpus
from reconciler.core.nodes import Availability, Capacity, Gpu, Node
from reconciler.core.placement import place
from reconciler.core.used import Used
from tests.fakes.build import GIB, A, a_desired, a_gpu, a_node


def need(**gpus: object) -> Need:
    wanted = Gpus(**{"count": 1, **gpus})  # type: ignore[arg-type]  # named by callers
    return Need(requires=Requires(gpus=wanted), image="image:1", has_process_command=True, seed="crossing/1")


def placed(wanted: Need, node: Node, used: Used | None = None) -> Placement:
    return place(wanted, (node,), a_desired(), {A: used or Used()}, ttl=60.0)


def refusal(wanted: Need, node: Node, used: Used | None = None) -> str:
    return placed(wanted, node, used).refused.get(A, "")


EIGHT = tuple(a_gpu(f"g{number}") for number in range(8))


def test_a_node_without_gpus_says_so() -> None:
    assert refusal(need(), a_node()) == "has no GPUs, needs 1"


def test_more_than_a_node_has_is_told_with_what_it_has() -> None:
    found = placed(need(count=10), a_node(gpus=EIGHT))
    assert found.refused[A] == "has 8 GPUs, needs 10"
    assert not found.ever
    assert found.hint == "it asks for 10 GPUs (nvidia), and the largest node has 8"


def test_who_has_the_others_is_told() -> None:
    """Words for a tired researcher: what is missing, and who has it."""
    gpus = (*EIGHT[:7], replace(EIGHT[7], fault="fallen off the bus"))
    node = replace(a_node(gpus=gpus), availability=Availability(busy={"g4": "python (pid 4711)"}))
    used = Used(gpus=frozenset({"g0", "g1", "g2", "g3"}))
    told = "2 of 8 GPUs free (4 hold other stages, 1 used by python (pid 4711), 1 faulty), needs 4"
    assert refusal(need(count=4), node, used) == told
    assert placed(need(count=4), node, used).ever
    assert placed(need(count=2), node, used).ranked == (A,)


def test_a_device_counts_once_whoever_is_at_it() -> None:
    node = replace(a_node(gpus=EIGHT[:1]), availability=Availability(busy={"g0": "python (pid 1)"}))
    assert refusal(need(), node, Used(gpus=frozenset({"g0"}))) == "0 of 1 GPU free (1 holds other stages), needs 1"


def test_model_is_part_of_the_name_in_any_case() -> None:
    node = a_node(gpus=(replace(a_gpu("g0"), model="NVIDIA GeForce RTX 3090"),))
    assert placed(need(model="rtx 3090"), node).ranked == (A,)
    assert refusal(need(model="A100"), node) == "0 of 1 GPU fit (nvidia, A100), needs 1"


@pytest.mark.parametrize(
    ("has", "needs", "fits"),
    [("8.6", "8.6", True), ("8.10", "8.6", True), ("8.6", "8.10", False), ("9.0", "8.6", True), ("", "5.0", False)],
)
def test_capability_is_compared_by_parts(has: str, needs: str, fits: bool) -> None:
    node = a_node(gpus=(replace(a_gpu("g0"), capability=has),))
    assert bool(placed(need(capability=needs), node).ranked) is fits


def test_an_unreadable_capability_is_below_all() -> None:
    assert capability("N/A") < capability("1.0")


def test_all_that_is_asked_of_a_device_stands_in_the_refusal() -> None:
    wanted = need(count=2, memory=16 * GIB, model="A100", capability="8.0")
    told = "0 of 8 GPUs fit (nvidia, A100, at least 16.0 GiB, compute capability 8.0), needs 2"
    assert refusal(wanted, a_node(gpus=EIGHT)) == told


def test_a_faulty_device_is_given_to_nobody() -> None:
    gpus = (replace(a_gpu("g0"), fault="Unknown Error"), a_gpu("g1"))
    assert choose_gpus(Capacity(gpus=gpus), Requires(gpus=Gpus(count=1)), Used()) == ("g1",)
    assert refusal(need(count=2), a_node(gpus=gpus)) == "1 of 2 GPUs free (1 faulty), needs 2"


def test_a_divided_gpu_is_not_given_itself() -> None:
    """Its instances are: else two stages would use the same silicon."""
    parts = tuple(Gpu(uuid=f"MIG-{n}", parent="g0", memory=5 * GIB) for n in (1, 2))
    node = a_node(gpus=(a_gpu("g0", gib=40), *parts))
    assert placed(need(count=2), node).ranked == (A,)
    assert refusal(need(count=3), node) == "has 2 GPUs, needs 3"
    assert choose_gpus(node.record.capacity, Requires(gpus=Gpus(count=1)), Used()) == ("MIG-1",)


# --- shared devices ---


def sharing(gib: int) -> Requires:
    return Requires(gpus=Gpus(count=1, memory=gib * GIB, share=True))


def test_stages_that_share_divide_one_devices_memory() -> None:
    capacity, used = Capacity(gpus=(a_gpu("g0"), a_gpu("g1"))), Used()
    given = []
    for gib in (4, 3, 2, 1):
        gpus = choose_gpus(capacity, sharing(gib), used)
        used = used.plus(sharing(gib), gpus)
        given.append(gpus)
    assert given == [("g0",), ("g0",), ("g1",), ("g0",)]  # 4 + 3 + 1 of 8, and 2 elsewhere


def test_a_shared_device_is_never_given_alone_nor_the_other_way_round() -> None:
    capacity = Capacity(gpus=(a_gpu("g0"),))
    alone = Requires(gpus=Gpus(count=1))
    assert choose_gpus(capacity, alone, Used().plus(sharing(1), ("g0",))) == ()
    assert choose_gpus(capacity, sharing(1), Used().plus(alone, ("g0",))) == ()


def test_a_share_that_does_not_say_how_much_gets_the_device_alone() -> None:
    """The files' check refuses it; records may hold anything."""
    used = Used().plus(Requires(gpus=Gpus(count=1, share=True)), ("g0",))
    assert used.gpus == {"g0"}
    assert choose_gpus(Capacity(gpus=(a_gpu("g0"),)), sharing(1), used) == ()


# --- disk ---


def test_disk_is_counted_and_not_promised_where_it_is_not_known() -> None:
    node = a_node()
    room = replace(node, record=replace(node.record, capacity=replace(node.record.capacity, disk=100 * GIB)))
    wanted = replace(need(count=0), requires=Requires(disk=60 * GIB))
    assert placed(wanted, room).ranked == (A,)
    assert refusal(wanted, room, Used(disk=50 * GIB)) == "50.0 GiB of 100.0 GiB disk free, needs 60.0 GiB"
    assert refusal(wanted, node) == "how much disk it has free is not known, needs 60.0 GiB"
