"""The sampler and the writer: what they bring together, and that nobody ever waits for them."""

import errno
import math
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.rings import Place, Rings
from reconciler.agent.gauges import gauges
from reconciler.agent.http import families
from reconciler.agent.measuring import Measuring
from reconciler.core.containers import Container, ContainerState
from reconciler.core.measurements import Series, series
from reconciler.core.names import NodeName
from reconciler.core.records import Claim
from reconciler.core.usage import GpuReading, Load, Use
from tests.fakes.build import a_claim
from tests.measuring.conftest import KEY, STARTED, SteppedClock, container, wait_until

NODE = NodeName("lab-1")
MIB = 2**20


class Machine:
    """Half busy all the time."""

    busy = 0.0

    def sample(self) -> Load:
        self.busy += 1.0
        return Load(busy=self.busy, total=2 * self.busy, memory=300 * MIB, swap=0, load=0.5)


@dataclass
class Programs:
    """What each run uses, by its handle; None: it has ended."""

    uses: dict[str, Use | None] = field(default_factory=dict)

    def sample(self, container: Container) -> Use | None:
        return self.uses.get(container.handle)

    def forget(self, kept: Iterable[str]) -> None:
        pass


@dataclass
class Gpus:
    found: Sequence[GpuReading] = ()
    error: Exception | None = None
    hanging: threading.Event | None = None
    asked: int = 0

    def readings(self) -> Sequence[GpuReading]:
        self.asked += 1
        if self.hanging is not None:
            self.hanging.wait(60)
        if self.error is not None:
            raise self.error
        return self.found


@dataclass
class Node:
    """One start of a node's measuring; tests say when it samples and writes."""

    share: SharedDirectory
    clock: SteppedClock = field(default_factory=SteppedClock)
    programs: Programs = field(default_factory=Programs)
    gpus: Gpus = field(default_factory=Gpus)
    running: list[Container] = field(default_factory=list)
    rings: Rings | None = None

    def __post_init__(self) -> None:
        self.rings = self.rings or Rings(self.share)
        self.measuring = Measuring(
            NODE,
            machine=Machine(),
            runs=self.programs,
            gpus=self.gpus,
            rings=self.rings,
            clock=self.clock,
        )
        self.measuring.containers = lambda: self.running

    def sample(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.seconds += 2.0
            self.measuring.sample()

    def write(self) -> None:
        self.measuring.writer.write()

    def uses(self, use: Use | None, container: Container | None = None) -> None:
        handle = container.handle if container else self.running[0].handle
        self.programs.uses[handle] = use

    def metrics(self) -> str:
        found = families(gauges(self.measuring.last, self.clock.monotonic()))

        class Told(Collector):
            def collect(self) -> Iterable[Metric]:
                return found

        registry = CollectorRegistry(auto_describe=False)
        registry.register(Told())
        return generate_latest(registry).decode()

    def series(self) -> Series:
        return series(Rings(self.share).read_node(NODE, self.clock.now() - timedelta(days=1)))


@pytest.fixture
def node(share: SharedDirectory) -> Iterator[Node]:
    found = Node(share)
    yield found
    found.measuring.writer.finish()


GPU = GpuReading(uuid="GPU-a", model="RTX A5000", utilisation=0.5, memory=MIB, temperature=60.0, power=200.0)
OTHER = GpuReading(uuid="GPU-b", model="RTX A5000", utilisation=1.0)


def claim(*gpus: str) -> Claim:
    return replace(a_claim(), gpus=gpus)


def ended(found: Container, seconds: float) -> Container:
    return replace(found, state=ContainerState.EXITED, pid=None, ended_at=STARTED + timedelta(seconds=seconds))


def test_what_was_sampled_can_be_read_on_the_share(node: Node) -> None:
    node.gpus.found = [GPU]
    node.sample(4)
    node.write()
    found = node.series()
    assert len(found.times) == 3, "a first sample has nothing to compare with"
    assert found.columns["cpu"] == (0.5, 0.5, 0.5)
    assert found.columns["gpu_temperature:GPU-a"] == (60.0, 60.0, 60.0)


def test_a_run_has_its_own_gpus_in_its_file_and_its_sum(node: Node) -> None:
    node.gpus.found = [GPU, OTHER]
    node.running = [container(gpus=("GPU-a",))]
    for second in range(4):
        node.uses(Use(cpu=3.0 * second, memory=second * MIB))
        node.sample()
    node.write()
    recorded = Rings(node.share).read_run(KEY)
    assert recorded is not None
    found = series([recorded])
    assert found.columns["gpu_utilisation:GPU-a"] == (0.5, 0.5, 0.5, 0.5)
    assert "gpu_utilisation:GPU-b" not in found.columns
    assert found.columns["cpu"] == (None, 1.5, 1.5, 1.5)
    summary = node.measuring.summary(ended(node.running[0], 7200.0), claim("GPU-a"))
    assert (summary.peak_memory, summary.cpu_hours, summary.mean_gpu, summary.gpu_hours) == (
        3 * MIB,
        9 / 3600,
        0.5,
        2.0,
    )


def test_the_last_sample_is_told_as_gauges(node: Node) -> None:
    node.gpus.found = [GPU]
    node.running = [container(gpus=("GPU-a",))]
    node.uses(Use(cpu=0.0, memory=64 * MIB))
    node.sample()
    node.uses(Use(cpu=5.0, memory=64 * MIB))
    node.sample()
    lines = node.metrics().splitlines()
    assert "winslow_node_cpu_ratio 0.5" in lines
    assert 'winslow_gpu_power_watts{model="RTX A5000",uuid="GPU-a"} 200.0' in lines
    assert 'winslow_run_cpu_cores{project="ulm",run="4",stage="detect"} 2.5' in lines
    assert f'winslow_run_memory_bytes{{project="ulm",run="4",stage="detect"}} {64.0 * MIB}' in node.metrics().replace(
        "6.7108864e+07", str(64.0 * MIB)
    )
    assert 'winslow_run_gpu_utilisation_ratio{project="ulm",run="4",stage="detect",uuid="GPU-a"} 0.5' in lines


def test_an_old_sample_is_not_told_as_if_it_were_of_now(node: Node) -> None:
    node.sample(2)
    node.clock.seconds += 300.0
    told = node.metrics()
    assert "winslow_sample_age_seconds 300.0" in told
    assert "winslow_node_cpu_ratio" not in told


def test_after_a_restart_a_run_goes_on_in_its_file_and_its_sum(node: Node) -> None:
    node.gpus.found = [GPU]
    node.running = [container(gpus=("GPU-a",))]
    node.uses(Use(cpu=100.0, memory=500 * MIB))
    node.sample(3)
    node.write()
    again = Node(node.share, gpus=Gpus([replace(GPU, utilisation=0.25)]), running=node.running)
    again.clock.seconds = node.clock.seconds + 600.0
    again.uses(Use(cpu=200.0, memory=100 * MIB))
    again.sample(3)
    again.write()
    summary = again.measuring.summary(ended(again.running[0], 3600.0), claim("GPU-a"))
    assert (summary.peak_memory, summary.cpu_hours, summary.mean_gpu) == (500 * MIB, 200 / 3600, 0.375)
    recorded = Rings(node.share).read_run(KEY)
    assert recorded is not None
    assert recorded.rings[0].newest == 6


def test_a_run_that_ends_before_the_restarted_node_has_opened_its_file_loses_nothing(node: Node) -> None:
    node.running = [container()]
    node.uses(Use(cpu=100.0, memory=500 * MIB))
    node.sample(2)
    node.write()
    again = Node(node.share, running=node.running)
    again.uses(Use(cpu=101.0, memory=MIB))
    again.sample()
    summary = again.measuring.summary(ended(again.running[0], 3600.0), claim())
    assert (summary.peak_memory, summary.cpu_hours) == (500 * MIB, 101 / 3600)


def test_of_a_run_that_ended_while_nobody_was_there_its_file_tells(node: Node) -> None:
    node.running = [container()]
    node.uses(Use(cpu=100.0, memory=500 * MIB))
    node.sample(2)
    node.write()
    summary = Node(node.share).measuring.summary(ended(node.running[0], 3600.0), claim())
    assert (summary.peak_memory, summary.cpu_hours, summary.gpu_hours) == (500 * MIB, 100 / 3600, 0.0)


def test_of_a_run_that_nobody_saw_nothing_is_claimed(node: Node) -> None:
    summary = node.measuring.summary(ended(container(), 1.0), claim("GPU-a"))
    assert (summary.peak_memory, summary.cpu_hours, summary.mean_gpu) == (None, None, None)
    assert summary.gpu_hours == 1 / 3600


def test_a_new_run_is_looked_at_without_waiting_for_the_next_sample(node: Node) -> None:
    node.sample()
    node.running = [container()]
    node.uses(Use(cpu=0.5, memory=MIB))
    node.measuring.glance()
    node.uses(None)  # it was over before the next one
    node.sample()
    assert node.measuring.summary(ended(node.running[0], 1.0), claim()).peak_memory == MIB


def test_a_run_that_is_gone_is_written_to_its_end_and_forgotten(node: Node) -> None:
    node.running = [container()]
    node.uses(Use(cpu=0.5, memory=MIB))
    node.sample(2)
    gone = ended(node.running.pop(), 4.0)
    node.sample()
    node.write()
    assert node.measuring.summary(gone, claim()).peak_memory == MIB, "by its file"
    assert not node.measuring.last or not node.measuring.last.runs


def test_a_failing_gpu_driver_leaves_gaps(node: Node) -> None:
    node.gpus.found = [GPU]
    node.sample(2)
    node.gpus.error = RuntimeError("GPU is lost")
    node.sample()
    node.gpus.error = None
    node.sample()
    node.write()
    found = node.series()
    assert found.columns["gpu_power:GPU-a"] == (200.0, None, 200.0)
    assert found.columns["cpu"] == (0.5, 0.5, 0.5)


def test_a_gpu_that_appears_is_measured_from_then_on(node: Node) -> None:
    node.gpus.found = [GPU]
    node.sample(3)
    node.write()
    node.gpus.found = [GPU, OTHER]
    node.sample(2)
    node.write()
    found = node.series()
    assert found.columns["gpu_utilisation:GPU-b"] == (None, None, 1.0, 1.0)
    assert found.columns["gpu_utilisation:GPU-a"] == (0.5, 0.5, 0.5, 0.5)


class Faulty:
    """A file of a share that takes nothing, while ``is_full``."""

    is_full = True

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)

    def put(self, content: bytes, offset: int) -> None:
        if Faulty.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        os.pwrite(self._file, content, offset)

    def close(self) -> None:
        os.close(self._file)


def test_a_full_share_loses_measurements_and_the_sum_survives(
    share: SharedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(share, rings=Rings(share, open_=Faulty), running=[container(gpus=("GPU-a",))], gpus=Gpus([GPU]))
    node.uses(Use(cpu=8.0, memory=MIB))
    node.sample(3)
    node.write()
    monkeypatch.setattr(Faulty, "is_full", False)
    node.sample(2)
    node.write()
    summary = node.measuring.summary(ended(node.running[0], 10.0), claim("GPU-a"))
    assert (summary.cpu_hours, summary.mean_gpu) == (8 / 3600, 0.5)
    assert len(node.series().times) == 2
    node.measuring.writer.finish()


@pytest.fixture
def release() -> Iterator[threading.Event]:
    found = threading.Event()
    yield found
    found.set()


def running(node: Node) -> None:
    node.measuring.start(lambda: node.running)


def test_a_share_that_hangs_stops_no_sample(
    share: SharedDirectory, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was sampled meanwhile is written once it answers."""

    def wait(path: Path) -> Place:
        assert release.wait(60)
        return Faulty(path)

    node = Node(share, rings=Rings(share, open_=wait))
    node.sample(2)
    writing = threading.Thread(target=node.write, daemon=True)
    writing.start()
    node.sample(5)
    monkeypatch.setattr(Faulty, "is_full", False)
    release.set()
    writing.join(30)
    node.write()
    assert len(node.series().times) == 6
    node.measuring.writer.finish()


def test_a_driver_that_hangs_is_told_after_a_minute_and_delays_nobody(node: Node, release: threading.Event) -> None:
    node.gpus.hanging = release
    node.running = [container()]
    running(node)
    try:
        wait_until(lambda: node.gpus.asked > 0)
        assert node.measuring.conditions() == ()
        node.clock.seconds += 61.0
        (told,) = node.measuring.conditions()
        assert told.type == "MeasuringStalled"
        node.clock.seconds += 600.0
        assert node.measuring.conditions() == (told,), "in the same words"
        began = time.monotonic()
        node.measuring.summary(ended(node.running[0], 5.0), claim())
        assert node.metrics() == ""
        assert time.monotonic() - began < 30
        release.set()
        wait_until(lambda: node.measuring.conditions() == ())
    finally:
        node.measuring.stop()


def test_the_threads_sample_write_and_end(node: Node) -> None:
    """The real rhythm, and everything is on the share when it has stopped."""
    node.running = [container()]
    node.uses(Use(cpu=1.0, memory=MIB))
    running(node)
    wait_until(lambda: node.measuring.last is not None)
    node.measuring.stop()
    recorded = Rings(node.share).read_run(KEY)
    assert recorded is not None
    assert recorded.note["peak_memory"] == MIB
    assert not math.isnan(recorded.rings[0].rows[0].values[1])
