"""AMD's GPUs, by files as the kernel writes them (a made-up /sys and /dev)."""

import os
import shutil
from pathlib import Path

import pytest

from reconciler.adapters.gpus import AmdGpus
from reconciler.adapters.gpus.amd import NO_KFD
from reconciler.core.devices import GpuLook
from reconciler.core.nodes import Gpu

CPU = "cpu_cores_count 32\nsimd_count 0\nvendor_id 0\ndrm_render_minor 0\n"
MI210 = """cpu_cores_count 0
simd_count 416
gfx_target_version 90010
vendor_id 4098
device_id 29711
location_id 49408
domain 0
drm_render_minor 128
unique_id 11746425861846132562
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two processors and one GPU."""
    nodes = tmp_path / "sys/class/kfd/kfd/topology/nodes"
    for number in (0, 1):
        write(nodes / f"{number}/gpu_id", "0\n")
        write(nodes / f"{number}/properties", CPU)
        write(nodes / f"{number}/mem_banks/0/properties", "heap_type 0\nsize_in_bytes 137438953472\n")
    write(nodes / "2/gpu_id", "33819\n")
    write(nodes / "2/properties", MI210)
    write(nodes / "2/mem_banks/0/properties", "heap_type 1\nsize_in_bytes 68702699520\nflags 0\n")
    write(tmp_path / "sys/class/drm/renderD128/device/product_name", "AMD Instinct MI210\n")
    write(tmp_path / "sys/module/amdgpu/version", "6.7.0\n")
    write(tmp_path / "dev/kfd", "")
    write(tmp_path / "dev/dri/renderD128", "")
    return tmp_path


def test_a_gpu_is_a_node_of_the_topology_with_its_render_node(root: Path) -> None:
    (gpu,) = AmdGpus(root).look().gpus
    assert gpu == Gpu(
        uuid="GPU-a303b0160bcce752",
        model="AMD Instinct MI210 (gfx90a)",
        memory=68702699520,
        vendor="amd",
        driver="6.7.0",
        device="/dev/dri/renderD128",
    )


def test_a_card_without_a_number_of_its_own_is_named_by_its_place(root: Path) -> None:
    write(
        root / "sys/class/kfd/kfd/topology/nodes/2/properties",
        MI210.replace("unique_id 11746425861846132562", "unique_id 0"),
    )
    (root / "sys/class/drm/renderD128/device/product_name").unlink()
    (gpu,) = AmdGpus(root).look().gpus
    assert (gpu.uuid, gpu.model) == ("pci-0000:c1:00.0", "AMD GPU (gfx90a)")


def test_a_machine_without_amds_driver_has_none(tmp_path: Path) -> None:
    assert AmdGpus(tmp_path).look() == GpuLook()
    assert AmdGpus(tmp_path).readings() == ()


@pytest.mark.parametrize("missing", ["dev/dri/renderD128", "dev/kfd"])
def test_a_gpu_that_no_container_could_be_given_has_a_fault(missing: str, root: Path) -> None:
    (root / missing).unlink()
    (gpu,) = AmdGpus(root).look().gpus
    assert gpu.fault == (
        NO_KFD if missing == "dev/kfd" else "its render node /dev/dri/renderD128 is not there; look at dmesg for amdgpu"
    )
    assert AmdGpus(root).readings() == ()


@pytest.mark.parametrize(
    "text", ["", "\x00\xff", "vendor_id\nvendor_id x\n", "vendor_id 4098", "vendor_id 4098 4098\n" * 9]
)
def test_odd_files_of_the_kernel_disturb_nobody(text: str, root: Path) -> None:
    other = root / "sys/class/kfd/kfd/topology/nodes"
    write(other / "10/gpu_id", "9\n")
    write(other / "10/properties", text)
    write(other / "odd", "a file where a directory belongs")
    found = AmdGpus(root).look().gpus
    assert found[0].device == "/dev/dri/renderD128"
    assert [gpu.fault for gpu in found[1:]] == [
        "its render node /dev/dri/renderD0 is not there; look at dmesg for amdgpu"
    ] * (text == "vendor_id 4098")


def test_what_a_card_does_is_read_from_its_sensors(root: Path) -> None:
    card = root / "sys/class/drm/renderD128/device"
    write(card / "gpu_busy_percent", "63\n")
    write(card / "mem_info_vram_used", "1073741824\n")
    write(card / "hwmon/hwmon3/temp1_input", "58000\n")
    write(card / "hwmon/hwmon3/power1_average", "187000000\n")
    (reading,) = AmdGpus(root).readings()
    assert (reading.utilisation, reading.memory, reading.temperature, reading.power) == (0.63, 2**30, 58.0, 187.0)
    shutil.rmtree(card)
    (reading,) = AmdGpus(root).readings()
    assert (reading.utilisation, reading.memory, reading.temperature, reading.power) == (None, None, None, None)


def test_who_computes_on_a_card_is_who_holds_its_memory(root: Path) -> None:
    processes = root / "sys/class/kfd/kfd/proc"
    write(processes / f"{os.getpid()}/vram_33819", "4096\n")
    write(processes / "4711/vram_33819", "0\n")
    (found,) = AmdGpus(root).look().processes.values()
    assert list(found) == [os.getpid()]
