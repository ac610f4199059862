"""The GPUs of an attempt: given back when they can't be had, kept in its record when they were."""

from dataclasses import replace

import pytest

from reconciler.agent.gpu_watch import REFUSED_FOR
from reconciler.agent.provenance import gpus_used, versions
from reconciler.core.containers import Container, Order
from reconciler.core.desired import Gpus, Requires
from reconciler.core.names import RecordNumber
from reconciler.core.nodes import Gpu, Inventory
from reconciler.core.records import Claim, Done, GpuUsed, Released
from reconciler.errors import GpuLost
from tests.fakes.build import a_node, a_pipeline, a_project, a_stage
from tests.fakes.lab import Lab
from tests.fakes.runtime import FakeRuntime

ONE = Gpu(uuid="gpu-1", model="RTX A5000", memory=24 << 30, driver="550.54.15")
TWO = replace(ONE, uuid="gpu-2")
NEEDY = a_pipeline(a_stage(requires=Requires(cpus=1.0, gpus=Gpus(count=1))))


class Refusing(FakeRuntime):
    """Its engine finds the GPU in use, or broken, for so many starts."""

    def __init__(self, times: int, *, counts: bool = False) -> None:
        super().__init__()
        self.times = times
        self.counts = counts

    def start(self, order: Order, *, image_digest: str | None) -> Container:
        if order.gpus and self.times:
            self.times -= 1
            raise GpuLost(f"the GPU {order.gpus[0].uuid} is in use", counts=self.counts)
        return super().start(order, image_digest=image_digest)


@pytest.mark.parametrize("counts", [False, True])
def test_a_claim_whose_gpu_cannot_be_had_is_given_back_and_tried_again(lab: Lab, counts: bool) -> None:
    """In the end it runs; whether it used an attempt is for whoever found out to say."""
    lab.write(a_project(), pipeline=NEEDY)
    lab.join(gpus=(ONE,), runtime=Refusing(1, counts=counts))
    lab.until(lambda: lab.phases() == ["Succeeded"])
    run = lab.run(1)
    assert run is not None
    kinds = [type(record) for record in run.records]
    assert kinds == [Claim, Released, Claim, Done]
    released = run.records[1]
    assert isinstance(released, Released)
    assert (released.reason, released.counts) == ("GpuLost", counts)
    assert "in use" in released.message
    assert run.attempts_used == (2 if counts else 1)


def test_a_gpu_that_is_never_to_be_had_uses_up_the_attempts_where_they_count(lab: Lab) -> None:
    lab.write(a_project(), pipeline=NEEDY)
    lab.join(gpus=(ONE,), runtime=Refusing(100, counts=True))
    lab.until(lambda: lab.phases() == ["Lost"])


def test_a_runs_record_holds_its_gpus_and_versions(lab: Lab) -> None:
    lab.write(a_project(), pipeline=NEEDY)
    lab.join(gpus=(ONE,))
    lab.until(lambda: lab.phases() == ["Succeeded"])
    run = lab.run(1)
    assert run is not None
    assert isinstance(run.last, Done)
    assert run.last.gpus == (GpuUsed(uuid="gpu-1", model="RTX A5000", driver="550.54.15"),)
    assert "winslow" in run.last.versions


def test_of_a_gpu_that_is_gone_the_name_stays() -> None:
    assert gpus_used(["gpu-2"], [ONE]) == (GpuUsed(uuid="gpu-2"),)


def test_versions_are_the_nodes_own_words_and_our_own() -> None:
    record = a_node("a").record
    told = replace(record, versions={"winslow": "0.0", "docker": "20.10.24"}, inventory=Inventory(kernel="6.1.0"))
    found = versions(told)
    assert {"docker": "20.10.24", "kernel": "6.1.0"}.items() <= found.items()
    assert found["winslow"] != "0.0", "the one that records, not the one that joined"
    assert "kernel" not in versions(replace(told, number=RecordNumber(2), inventory=Inventory()))
    assert versions(None).keys() == {"winslow"}


# --- a device that is listed and yet no container gets ---


class Unknowing(FakeRuntime):
    """Its engine gives no container the devices that it does not know, and says so in ``words``."""

    def __init__(self, *unknown: str, words: str = "{}: unknown device") -> None:
        super().__init__()
        self.unknown = set(unknown)
        self.words = words

    def start(self, order: Order, *, image_digest: str | None) -> Container:
        if missing := [gpu.uuid for gpu in order.gpus if gpu.uuid in self.unknown]:
            raise GpuLost(self.words.format(missing[0]), counts=True, is_refused=True)
        return super().start(order, image_digest=image_digest)


def claimed(lab: Lab) -> list[tuple[str, tuple[str, ...]]]:
    run = lab.run(1)
    return [(one.node, one.gpus) for one in run.records if isinstance(one, Claim)] if run is not None else []


def test_the_next_attempt_takes_another_device(lab: Lab) -> None:
    """Without it the free one would be the first choice until the attempts are used up."""
    agent = lab.join(gpus=(ONE, TWO), runtime=Unknowing("gpu-1"))
    lab.write(a_project(), pipeline=NEEDY)
    lab.until(lambda: lab.phases() == ["Succeeded"])
    assert claimed(lab) == [("a", ("gpu-1",)), ("a", ("gpu-2",))]
    assert agent.take_stock(), "the others hear of it"
    (fault,) = [one.message for one in agent.conditions() if one.type == "GpuFaulty"]
    assert "gpu-1: unknown device" in fault
    assert TWO.uuid not in fault


def test_where_the_words_name_no_device_the_next_attempt_takes_another_node(lab: Lab) -> None:
    """The driver as a whole is at fault: its other devices would only use up the attempts."""
    many = [replace(ONE, uuid=f"gpu-{n}") for n in range(8)]
    broken = Unknowing(*(gpu.uuid for gpu in many), words="initialization error: nvml error")
    a = lab.join("a", gpus=many, runtime=broken)
    lab.write(a_project(), pipeline=NEEDY)
    lab.until(lambda: lab.kinds(1)[:2] == ["Claim", "Released"])
    assert a.take_stock()
    lab.join("b", gpus=[replace(ONE, uuid="other-1")])
    lab.until(lambda: lab.phases() == ["Succeeded"])
    assert claimed(lab) == [("a", ("gpu-0",)), ("b", ("other-1",))]


def test_a_device_that_no_container_got_is_tried_again_after_a_while(lab: Lab) -> None:
    runtime = Unknowing("gpu-1")
    agent = lab.join(gpus=(ONE,), runtime=runtime)
    lab.write(a_project(), pipeline=NEEDY)
    lab.until(lambda: lab.kinds(1) == ["Claim", "Released"])
    for _ in range(25):
        lab.turn()
        lab.clock.seconds += 19.0  # longer than any pause between attempts
    assert lab.kinds(1) == ["Claim", "Released"], "meanwhile it waits"
    runtime.unknown.clear()
    lab.clock.seconds += REFUSED_FOR
    lab.until(lambda: lab.phases() == ["Succeeded"])
    assert "GpuFaulty" not in {one.type for one in agent.conditions()}


# --- what the node knows at first hand ---


def test_the_node_gives_out_no_gpu_of_a_stranger_however_many_they_hold(lab: Lab) -> None:
    """More than its own heartbeat has room for."""
    gpus = [Gpu(uuid=f"MIG-{n:03}-{'0' * 32}", memory=5 << 30) for n in range(100)]
    agent = lab.join(gpus=gpus)
    agent._stock.gpus.busy = {gpu.uuid: "python (pid 4711)" for gpu in gpus[:-1]}
    lab.write(a_project(), pipeline=NEEDY)
    lab.until(lambda: lab.phases() == ["Succeeded"])
    run = lab.run(1)
    assert run is not None
    assert [record.gpus for record in run.records if isinstance(record, Claim)] == [(gpus[-1].uuid,)]
