"""Real nodes whose driver is the library of these tests: what people see of the GPUs, also when they fail."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reconciler.adapters.gpus.nvidia import BROKEN
from reconciler.adapters.gpus.nvidia import MISMATCH as WORDS
from tests.bad_input.conftest import Site, make_site
from tests.nvml.library import GIB, MISMATCH, UNKNOWN, FakeGpu, Scenario, gpu_uuid


@dataclass
class Machine:
    site: Site
    gpus: Scenario


@pytest.fixture
def machine(nvml: Path, scenario: Scenario, tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "site").mkdir()
    site = make_site(tmp_path / "site")
    site.environment |= scenario.environment(nvml)
    yield Machine(site, scenario)
    site.end()


def test_the_gpus_of_a_node_are_seen_and_published(machine: Machine) -> None:
    parts = tuple(FakeGpu(uuid=f"MIG-{n}", model="A100 MIG 1g.5gb", memory=5 * GIB) for n in (0, 1))
    machine.gpus.write([*FakeGpu.several(2), FakeGpu(uuid="GPU-divided", mig=parts)])
    machine.site.start(reserve={"gpus": [gpu_uuid(0)], "disk": "1MiB"})
    (node,) = machine.site.status()["nodes"]
    assert [device["uuid"] for device in node["devices"]] == [gpu_uuid(1), "MIG-0", "MIG-1"]
    assert [device["parent"] for device in node["devices"]] == ["", "GPU-divided", "GPU-divided"]
    assert node["inventory"]["engine"]["process"].startswith("python 3")
    machine.site.until(lambda: gpu_uuid(1) in machine.site.observed("nodes/alpha.yaml"))
    assert gpu_uuid(0) not in machine.site.observed("nodes/alpha.yaml")


def test_a_driver_that_hangs_stops_neither_stages_nor_the_end_of_the_node(machine: Machine) -> None:
    """The sampler and the look at the devices hang in it for ever; everything else goes on."""
    machine.gpus.write(FakeGpu.several(2))
    node = machine.site.start()
    machine.gpus.write(FakeGpu.several(2), hang=3600)
    machine.site.stage("plain", "echo done")
    machine.site.write("projects/ulm.yaml", "pipeline: plain\n")
    machine.site.until_project("ulm", phase="Succeeded")
    began = time.monotonic()
    assert node.end() == 0
    assert time.monotonic() - began < 30


def test_the_doctor_names_what_is_wrong_with_a_gpu(machine: Machine) -> None:
    first, second = FakeGpu.several(2)
    config = machine.site.config()
    machine.gpus.write([first, replace(second, error=UNKNOWN)])
    said = machine.site("--config", config, "doctor").out
    assert BROKEN[UNKNOWN] in " ".join(said.split())
    assert gpu_uuid(0) in said
    machine.gpus.write([first, second], init=MISMATCH)
    assert WORDS in " ".join(machine.site("--config", config, "doctor").out.split())
