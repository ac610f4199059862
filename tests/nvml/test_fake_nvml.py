"""The library that stands for NVIDIA's in all tests, through nvidia-ml-py."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pynvml
import pytest

from tests.nvml.library import GIB, GPU_IS_LOST, MISMATCH, UNKNOWN, FakeGpu, Scenario, gpu_uuid, in_this_process

LIST = """
import pynvml
pynvml.nvmlInit()
for n in range(pynvml.nvmlDeviceGetCount()):
    print(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(n)))
"""


def test_nvidia_ml_py_finds_it_where_the_loader_looks(nvml: Path, scenario: Scenario) -> None:
    scenario.write(FakeGpu.several(8))
    environment = os.environ | scenario.environment(nvml)
    said = subprocess.run([sys.executable, "-c", LIST], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == [gpu_uuid(n) for n in range(8)]


def test_everything_that_is_read_of_a_device_comes_from_the_file(nvml: Path, scenario: Scenario) -> None:
    gpu = FakeGpu(uuid="GPU-a", used=3 * GIB, utilisation=71, temperature=66, power=182_500, pids={41: GIB, 42: 5})
    scenario.write([gpu], driver="555.1")
    with in_this_process(nvml, scenario):
        pynvml.nvmlInit()
        device = pynvml.nvmlDeviceGetHandleByIndex(0)
        assert pynvml.nvmlSystemGetDriverVersion() == "555.1"
        assert pynvml.nvmlDeviceGetName(device) == gpu.model
        memory = pynvml.nvmlDeviceGetMemoryInfo(device)
        assert (memory.total, memory.used) == (gpu.memory, gpu.used)
        assert pynvml.nvmlDeviceGetCudaComputeCapability(device) == (8, 6)
        assert pynvml.nvmlDeviceGetUtilizationRates(device).gpu == 71
        assert pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU) == 66
        assert pynvml.nvmlDeviceGetPowerUsage(device) == 182_500
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(device)
        assert {one.pid: one.usedGpuMemory for one in processes} == gpu.pids
        assert pynvml.nvmlDeviceGetMigMode(device) == [0, 0]


def test_instances_of_a_gpu_are_below_it(nvml: Path, scenario: Scenario) -> None:
    instances = (FakeGpu(uuid="MIG-1", memory=5 * GIB), FakeGpu(uuid="MIG-2", memory=5 * GIB))
    scenario.write([FakeGpu(uuid="GPU-a"), FakeGpu(uuid="GPU-b", mig=instances)])
    with in_this_process(nvml, scenario):
        pynvml.nvmlInit()
        assert pynvml.nvmlDeviceGetCount() == 2
        device = pynvml.nvmlDeviceGetHandleByIndex(1)
        assert pynvml.nvmlDeviceGetMigMode(device)[0] == 1
        found = [pynvml.nvmlDeviceGetMigDeviceHandleByIndex(device, n) for n in range(2)]
        assert [pynvml.nvmlDeviceGetUUID(one) for one in found] == ["MIG-1", "MIG-2"]
        with pytest.raises(pynvml.NVMLError_NotFound):
            pynvml.nvmlDeviceGetMigDeviceHandleByIndex(device, 2)


def test_a_gpu_can_be_lost_while_somebody_holds_it(nvml: Path, scenario: Scenario) -> None:
    first, second = FakeGpu.several(2)
    scenario.write([first, second])
    with in_this_process(nvml, scenario):
        pynvml.nvmlInit()
        held = pynvml.nvmlDeviceGetHandleByIndex(0), pynvml.nvmlDeviceGetHandleByIndex(1)
        scenario.write([replace(first, error=UNKNOWN), second])
        with pytest.raises(pynvml.NVMLError_Unknown):
            pynvml.nvmlDeviceGetUUID(held[0])
        scenario.write([second])
        assert pynvml.nvmlDeviceGetCount() == 1
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            pynvml.nvmlDeviceGetUUID(held[0])
        assert pynvml.nvmlDeviceGetUUID(held[1]) == second.uuid
        scenario.write([second, replace(first, error=GPU_IS_LOST, handle=False)])
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            pynvml.nvmlDeviceGetHandleByIndex(1)


def test_a_driver_of_another_version_lets_nobody_in(nvml: Path, scenario: Scenario) -> None:
    scenario.write(FakeGpu.several(1), init=MISMATCH)
    with in_this_process(nvml, scenario), pytest.raises(pynvml.NVMLError) as refused:
        pynvml.nvmlInit()
    assert refused.value.value == MISMATCH


def test_a_call_can_hang_until_the_file_says_otherwise(nvml: Path, scenario: Scenario) -> None:
    scenario.write(FakeGpu.several(1), hang=3600, hanging_call="nvmlDeviceGetCount_v2")
    counted: list[int] = []
    with in_this_process(nvml, scenario):
        pynvml.nvmlInit()
        asking = threading.Thread(target=lambda: counted.append(pynvml.nvmlDeviceGetCount()))
        asking.start()
        assert pynvml.nvmlSystemGetDriverVersion()
        assert counted == []
        scenario.write(FakeGpu.several(2))
        asking.join(30)
    assert counted == [2]
