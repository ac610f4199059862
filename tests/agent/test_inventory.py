"""A node tells what its machine has, and tells it again when that changes while it runs."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.agent import inventory
from reconciler.agent.gpu_watch import ENOUGH, HANGS, GpuWatch
from reconciler.agent.node import Agent
from reconciler.agent.unhurried import Unhurried
from reconciler.core.devices import GONE, GpuLook
from reconciler.core.names import NodeName
from reconciler.core.nodes import Gpu, Inventory, NodeRecord
from reconciler.errors import ShareUnavailable
from tests.fakes.build import GIB, a_pipeline, a_project, a_stage
from tests.fakes.lab import FakeClock, FakeHost, Lab

ONE, TWO = (Gpu(uuid=f"GPU-{n}", model="A5000", memory=24 * GIB) for n in (1, 2))
LOST = replace(TWO, fault=GONE)


HOLDING = a_pipeline(a_stage("detect", command=("sh", "-c", "hold")))


class ShownHost(FakeHost):
    """A machine whose drivers answer what the test says."""

    def __init__(self, *looks: GpuLook) -> None:
        super().__init__()
        self.looks = list(looks)

    def look_at_gpus(self) -> GpuLook:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def records(lab: Lab, name: str = "a") -> Sequence[NodeRecord]:
    return SharedDirectory(lab.root).read_nodes()[NodeName(name)].records


def told(agent: Agent) -> dict[str, str]:
    return {one.type: one.message for one in agent.conditions()}


def test_a_gpu_that_is_lost_while_the_node_runs_is_told_without_a_new_start(lab: Lab) -> None:
    gpus = [ONE, TWO]
    agent = lab.join("a", gpus=gpus)
    gpus.remove(TWO)
    assert agent.take_stock()
    first, second = records(lab)
    assert (first.capacity.gpus, second.capacity.gpus) == ((ONE, TWO), (ONE, LOST))
    assert (second.number, second.incarnation, second.boot) == (2, first.incarnation, first.boot)
    assert GONE in told(agent)["GpuFaulty"]
    assert TWO.uuid in told(agent)["GpuFaulty"]


def test_nothing_is_written_while_nothing_changes(lab: Lab) -> None:
    agent = lab.join("a", gpus=[ONE])
    for _ in range(5):
        assert not agent.take_stock()
        lab.clock.seconds += 400.0
    assert len(records(lab)) == 1


def test_a_renewed_record_is_no_start_for_anybody(lab: Lab) -> None:
    """Neither for the node itself, nor for who watches its claims, nor for people."""
    gpus = [ONE, TWO]
    a = lab.join("a", gpus=gpus)
    lab.write(a_project(), pipeline=HOLDING)
    lab.until(lambda: lab.phases() == ["Running"])
    b = lab.join("b")
    lab.turn()
    gpus.remove(TWO)
    a.take_stock()
    lab.turn()
    assert (a.superseded, b.superseded) == ("", "")
    (seen,) = [node for node in b._nodes() if node.name == "a"]
    first, second = records(lab)
    assert (seen.record, seen.starts, seen.started_at) == (second, frozenset({first.incarnation}), first.at)
    lab.clock.seconds += 0.5
    for _ in range(5):
        lab.turn()
    assert lab.kinds(1) == ["Claim"]


def test_the_next_start_counts_on_from_the_renewed_record(lab: Lab) -> None:
    gpus = [ONE, TWO]
    lab.join("a", gpus=gpus)
    gpus.remove(TWO)
    lab.agents["a"].take_stock()
    lab.kill("a")
    lab.join("a", gpus=gpus)
    third = records(lab)[2]
    assert (third.number, third.capacity.gpus) == (3, (ONE,)), "a new start knows only what is there"
    assert len({record.incarnation for record in records(lab)}) == 2


def test_a_gpu_that_is_well_again_is_given_out_after_a_while(lab: Lab) -> None:
    gpus = [ONE, TWO]
    agent = lab.join("a", gpus=gpus)
    gpus.remove(TWO)
    agent.take_stock()
    gpus.append(TWO)
    published = [agent.take_stock() for _ in range(ENOUGH)]
    assert published == [False] * (ENOUGH - 1) + [True]
    assert records(lab)[-1].capacity.gpus == (ONE, TWO)
    assert "GpuFaulty" not in told(agent)


def test_a_driver_that_hangs_keeps_nobody_waiting_and_takes_its_gpus_along(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "LATER", 0.05)
    gpus, hang = [ONE], threading.Event()
    agent = lab.join("a", gpus=gpus)
    asked: list[int] = []

    def hanging(_: object) -> GpuLook:
        asked.append(1)
        hang.wait(60)
        return GpuLook(gpus=(ONE,))

    agent._stock.gpus._answer._work = lambda: hanging(None)
    began = time.monotonic()
    assert agent.take_stock()
    agent.take_stock()
    assert time.monotonic() - began < 30, "it did not wait for the driver"
    assert len(asked) == 1, "and does not ask a driver that hangs again and again"
    assert records(lab)[-1].capacity.gpus == (replace(ONE, fault=HANGS),)
    assert told(agent)["GpuDriverFaulty"] == HANGS
    assert "GpuFaulty" not in told(agent), "said once"
    lab.turn()
    hang.set()
    for _ in range(ENOUGH + 2):
        agent.take_stock()
    assert records(lab)[-1].capacity.gpus == (ONE,)
    assert "GpuDriverFaulty" not in told(agent)


def test_a_node_starts_although_its_driver_hangs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages without GPUs have nothing to do with it."""
    monkeypatch.setattr(inventory, "FIRST", 0.05)
    hang = threading.Event()

    def hanging(_: FakeHost) -> GpuLook:
        hang.wait(60)
        return GpuLook()

    monkeypatch.setattr(FakeHost, "look_at_gpus", hanging)
    agent = lab.join("a")
    assert told(agent)["GpuDriverFaulty"] == HANGS
    lab.write(a_project())
    lab.until(lambda: lab.starts() == 1)
    hang.set()


def test_what_the_share_does_not_take_is_written_later_and_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it was written and only the answer was lost: the same record again is no second one."""
    gpus = [ONE, TWO]
    agent = lab.join("a", gpus=gpus)
    gpus.remove(TWO)
    publish = agent._share.publish_node

    def losing(record: NodeRecord) -> bool:
        publish(record)
        raise ShareUnavailable("the answer was lost")

    monkeypatch.setattr(agent._share, "publish_node", losing)
    with pytest.raises(ShareUnavailable):
        agent.take_stock()
    monkeypatch.setattr(agent._share, "publish_node", publish)
    assert agent.take_stock()
    assert not agent.take_stock()
    assert [record.number for record in records(lab)] == [1, 2]


def test_a_node_whose_name_another_has_taken_says_nothing_more(lab: Lab) -> None:
    """It froze, and somebody else started in its place: the number after its own last record is taken."""
    gpus = [ONE, TWO]
    old = lab.join("a", gpus=gpus)
    new = lab.join("a", gpus=[ONE, TWO])
    gpus.remove(TWO)
    assert not old.take_stock()
    assert not old.take_stock()
    assert [record.incarnation for record in records(lab)] == [old.identity.incarnation, new.identity.incarnation]
    old.beat()
    new.beat()
    assert old.superseded
    assert new.superseded == ""
    old.leave()


def test_a_record_that_the_share_has_forgotten_is_put_back(lab: Lab) -> None:
    """Restored from a backup, or exported without sync. An older start's record is not another reconciler's."""
    lab.join("a", gpus=[ONE])
    lab.kill("a")
    agent = lab.join("a", gpus=[ONE])
    before = records(lab)
    (lab.root / "nodes/a/records/00000002.json").unlink()
    agent.beat()
    assert agent.superseded == ""
    assert agent.take_stock()
    assert records(lab) == before
    agent.beat()
    assert not agent.take_stock()


def test_who_else_uses_a_gpu_is_heard_and_never_published(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes and goes with every program has no place in git."""
    used = GpuLook(gpus=(ONE,), processes={ONE.uuid: {4711: "python"}})
    monkeypatch.setattr(FakeHost, "look_at_gpus", lambda _: used)
    agent, other = lab.join("a"), lab.join("b")
    lab.write(a_project(paused=True))
    lab.until(lambda: agent.last_plan.waiting)
    agent.publish()
    published = dict(lab.observed.files)
    assert "GPU-1" in published["nodes/a.yaml"]
    agent.take_stock()
    other.take_stock()
    lab.turn()
    lab.turn()
    assert [node.availability.busy for node in other._nodes()] == [{ONE.uuid: "python (pid 4711)"}] * 2
    seen = agent.look()
    assert seen is not None
    assert [node.devices[0].busy for node in seen.status.nodes] == ["python (pid 4711)"] * 2
    agent.publish()
    assert lab.observed.files == published
    assert "4711" not in str(published)
    assert len(records(lab)) == 1


def test_slow_facts_are_looked_at_now_and_then(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = lab.join("a")
    monkeypatch.setattr(FakeHost, "inventory", lambda *_: Inventory(kernel="6.6"))
    assert not agent.take_stock()
    lab.clock.seconds += inventory.AT_LEISURE
    assert agent.take_stock()
    assert records(lab)[-1].inventory.kernel == "6.6"


def test_a_reserved_gpu_is_not_offered_and_an_unknown_one_is_told() -> None:
    watch = GpuWatch(ShownHost(GpuLook(gpus=(ONE, TWO))), ["GPU-2", "GPU-9"], frozenset, FakeClock())
    watch.look(30.0)
    assert watch.offered == (ONE,)
    (unknown,) = watch.conditions
    assert (unknown.type, unknown.message) == (
        "ReserveUnknown",
        "reserve.gpus in node.yaml names GPU-9: no GPU of this machine, which has GPU-1, GPU-2",
    )


def test_a_driver_that_says_nothing_says_nothing_of_reserved_gpus_either() -> None:
    watch = GpuWatch(ShownHost(GpuLook(fault="reboot")), ["GPU-2"], frozenset, FakeClock())
    watch.look(30.0)
    assert [one.type for one in watch.conditions] == ["GpuDriverFaulty"]


# --- a call that may hang ------------------------------------------------------------------------


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_one_that_hangs_costs_one_thread_and_its_late_answer_is_not_taken_for_news(let_go: threading.Event) -> None:
    count = 0

    def work() -> int:
        nonlocal count
        count += 1
        let_go.wait(60)
        return count

    asking = Unhurried("ask", work)
    assert asking.answer(0.01) is None
    assert asking.answer(0.01) is None
    assert count == 1
    let_go.set()
    answers = {asking.answer(30), asking.answer(30)}
    assert answers <= {1, 2, 3}
    assert asking.answer(30) == count


def test_one_that_crashes_is_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    def crash() -> int:
        raise ZeroDivisionError

    asking = Unhurried("ask", crash)
    assert asking.answer(30) is None


def test_the_room_that_is_offered_is_what_was_free_less_the_reserve(lab: Lab, tmp_path: Path) -> None:
    """A process writes where the machine's temporary files go."""
    agent = lab.join("a")
    stock = agent._stock
    stock._engine = {"docker": "20", "root": "/var/lib/docker"}
    stock._config = replace(stock._config, reserve=replace(stock._config.reserve, disk=12 * GIB))
    assert stock._free_disk() == 500 * GIB
