"""NVIDIA's GPUs as the node sees them, through nvidia-ml-py and a library that stands for the driver's."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.gpus import NvidiaGpus
from reconciler.adapters.gpus.nvidia import BROKEN, MISMATCH, UNDIVIDED, UNLOADED, name_of
from reconciler.core.devices import GONE, GpuLook
from reconciler.core.nodes import Gpu
from tests.nvml.library import (
    GIB,
    GPU_IS_LOST,
    NOT_LOADED,
    UNKNOWN,
    UNSUPPORTED,
    FakeGpu,
    Scenario,
    gpu_uuid,
    in_this_process,
)
from tests.nvml.library import MISMATCH as MISMATCHED


@pytest.fixture
def gpus(nvml: Path, scenario: Scenario) -> Iterator[NvidiaGpus]:
    with in_this_process(nvml, scenario):
        yield NvidiaGpus()


@pytest.mark.parametrize("count", [0, 1, 8])
def test_devices_are_told_with_all_that_a_stage_may_ask_for(count: int, gpus: NvidiaGpus, scenario: Scenario) -> None:
    scenario.write(FakeGpu.several(count), driver="555.42")
    look = gpus.look()
    assert look.fault == ""
    assert [gpu.uuid for gpu in look.gpus] == [gpu_uuid(n) for n in range(count)]
    wanted = Gpu(
        uuid=gpu_uuid(0), model="NVIDIA RTX A5000", memory=24 * GIB, vendor="nvidia", capability="8.6", driver="555.42"
    )
    assert look.gpus[:1] == (wanted,)[:count]


def test_without_the_library_there_are_none_and_nothing_is_said(tmp_path: Path) -> None:
    """As on most machines; the loader really looks for it."""
    told = subprocess.run(
        [sys.executable, "-c", "from reconciler.adapters.gpus import NvidiaGpus; print(NvidiaGpus().look())"],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    if "GPU-" in told.stdout:
        pytest.skip("this machine has an NVIDIA GPU")
    assert told.stdout.strip() == str(GpuLook())
    assert told.stderr == ""


def test_an_instance_is_a_device_of_its_own_and_its_gpu_is_none(gpus: NvidiaGpus, scenario: Scenario) -> None:
    """Whoever got the whole GPU would disturb those who hold parts of it."""
    parts = tuple(FakeGpu(uuid=f"MIG-{n}", model="NVIDIA A100 MIG 1g.5gb", memory=5 * GIB) for n in range(3))
    whole = FakeGpu(uuid="GPU-a", model="NVIDIA A100", memory=40 * GIB, capability=(8, 0), mig=parts)
    scenario.write([whole, *FakeGpu.several(1)])
    found = gpus.look().gpus
    assert [(gpu.uuid, gpu.parent) for gpu in found] == [*((f"MIG-{n}", "GPU-a") for n in range(3)), (gpu_uuid(0), "")]
    assert (found[0].memory, found[0].capability, found[0].model) == (5 * GIB, "8.0", "NVIDIA A100 MIG 1g.5gb")


def test_a_gpu_that_is_to_be_divided_and_is_not_can_not_be_used(gpus: NvidiaGpus, scenario: Scenario) -> None:
    scenario.path.write_text("driver\tversion=1\ngpu\tuuid=GPU-a\tname=A100\tmemory=1\tmig=1\n")
    (found,) = gpus.look().gpus
    assert (found.uuid, found.fault) == ("GPU-a", UNDIVIDED)


@pytest.mark.parametrize(("error", "fault"), [(GPU_IS_LOST, GONE), (UNKNOWN, BROKEN[UNKNOWN])])
@pytest.mark.parametrize("handle", [True, False])
def test_a_gpu_that_breaks_while_the_node_runs_leaves_the_others_alone(
    error: int, fault: str, handle: bool, gpus: NvidiaGpus, scenario: Scenario
) -> None:
    first, second, third = FakeGpu.several(3)
    scenario.write([first, second, third])
    gpus.look()
    for _ in range(2):  # also once the library was opened anew
        scenario.write([first, replace(second, error=error, handle=handle), third])
        look = gpus.look()
        assert [gpu.uuid for gpu in look.gpus] == [first.uuid, third.uuid]
        assert look.nameless == (fault,)
        assert [one.uuid for one in gpus.readings()] == [first.uuid, third.uuid]
    scenario.write([first, second, third])
    assert gpus.look() == replace(look, gpus=gpus.look().gpus, nameless=(), processes=gpus.look().processes)
    assert len(gpus.look().gpus) == 3


def test_a_driver_that_was_updated_under_us_says_to_reboot(gpus: NvidiaGpus, scenario: Scenario) -> None:
    scenario.write(FakeGpu.several(2), init=MISMATCHED)
    assert gpus.look() == GpuLook(fault=MISMATCH)
    assert gpus.readings() == ()
    scenario.write(FakeGpu.several(2))
    assert len(gpus.look().gpus) == 2


def test_a_driver_that_was_never_loaded_is_no_fault_and_one_that_is_gone_is(
    gpus: NvidiaGpus, scenario: Scenario
) -> None:
    """Many a machine has the library for the sake of a program that could use it."""
    scenario.write(init=NOT_LOADED)
    assert gpus.look() == GpuLook()
    scenario.write(FakeGpu.several(1))
    assert len(gpus.look().gpus) == 1
    scenario.path.unlink()
    assert gpus.look() == GpuLook(fault=UNLOADED)


def test_what_a_device_does_not_know_is_no_fault(gpus: NvidiaGpus, scenario: Scenario) -> None:
    """Consumer cards tell no power, instances no utilisation, old ones know no MIG."""
    scenario.write([FakeGpu(uuid="GPU-a", utilisation=UNSUPPORTED, temperature=UNSUPPORTED, power=UNSUPPORTED)])
    assert gpus.look().gpus[0].fault == ""
    (reading,) = gpus.readings()
    assert (reading.utilisation, reading.temperature, reading.power) == (None, None, None)
    assert reading.memory == 0


def test_readings_tell_what_each_device_does(gpus: NvidiaGpus, scenario: Scenario) -> None:
    part = FakeGpu(uuid="MIG-1", used=GIB)
    busy = FakeGpu(uuid="GPU-b", utilisation=87, used=2 * GIB, temperature=71, power=151_500)
    scenario.write([FakeGpu(uuid="GPU-a", mig=(part,)), busy])
    assert gpus.readings() == (), "nobody has looked yet: a machine without a driver is asked no more than that"
    gpus.look()
    whole, instance, other = gpus.readings()
    assert (whole.uuid, instance.uuid, instance.memory) == ("GPU-a", "MIG-1", GIB)
    assert (other.utilisation, other.memory, other.temperature, other.power) == (0.87, 2 * GIB, 71.0, 151.5)


def test_who_computes_on_a_device_is_told_by_name(gpus: NvidiaGpus, scenario: Scenario) -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            scenario.write([FakeGpu(uuid="GPU-a", pids={stranger.pid: GIB, 2**22 + 1: 0}), FakeGpu(uuid="GPU-b")])
            processes = gpus.look().processes
        finally:
            stranger.kill()
    assert processes == {"GPU-a": {stranger.pid: "sleep", 2**22 + 1: "a process"}, "GPU-b": {}}


def test_two_threads_may_look_at_once(gpus: NvidiaGpus, scenario: Scenario) -> None:
    scenario.write(FakeGpu.several(8))
    gpus.look()
    found: list[int] = []
    looks = [threading.Thread(target=lambda: found.append(len(gpus.look().gpus))) for _ in range(4)]
    reads = [threading.Thread(target=lambda: found.append(len(gpus.readings()))) for _ in range(4)]
    for thread in (*looks, *reads):
        thread.start()
    for thread in (*looks, *reads):
        thread.join(60)
    assert found == [8] * 8


# --- names of processes ---


@pytest.mark.parametrize(
    ("file", "told"),
    [(b"tr\xe4in", "tr?in"), (b"\x1b[2J\nrm", "?[2J?rm"), ("träin".encode(), "träin"), (b"x" * 200, "x" * 64)],
)
def test_a_process_is_told_by_a_name_that_everybody_can_read(tmp_path: Path, file: bytes, told: str) -> None:
    """The kernel takes any bytes for a name."""
    program = os.fsencode(tmp_path) + b"/" + file
    shutil.copy(b"/bin/sleep", program)
    process = subprocess.Popen([program, b"300"])
    try:
        assert name_of(process.pid) == told
    finally:
        process.kill()
        process.wait()
