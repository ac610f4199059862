"""Real nodes with real runtimes and simulated GPUs: what arrives in the record, at the port and for the page."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
import pytest

from reconciler.codec.config import load_config
from reconciler.compose import open_reader
from reconciler.core.names import NodeName, ProjectName, RunNumber
from tests.bad_input.conftest import Site
from tests.bad_input.conftest import site as site  # noqa: PLC0414  # a fixture, used by its name
from tests.engine import engine_or_skip
from tests.nvml.library import FakeGpu, Scenario, build_or_skip

MIB = 2**20
GPU = replace(FakeGpu.several(1)[0], utilisation=75, used=8 * 2**30, temperature=61, power=180_000)
EATER = "dd if=/dev/zero of=/dev/shm/kept bs=1M count=64 2>/dev/null; for i in 1 2 3 4 5 6; do sleep 1; done"


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    return Scenario(tmp_path / "gpus")


@pytest.fixture
def with_gpu(site: Site, scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Its nodes find one simulated GPU through nvidia-ml-py's own way."""
    scenario.write([GPU])
    site.environment |= scenario.environment(build_or_skip(tmp_path_factory.mktemp("library")))
    return site


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        text: str = answer.read().decode()
        return text


def begin(site: Site, shell: str, **stage: Any) -> None:
    site.stage("flow", shell, **stage)
    site.write("projects/ulm.yaml", "name: Ulm\npipeline: flow\n")


def resources(site: Site) -> dict[str, Any]:
    project = site.until_project("ulm", 90.0, phase="Succeeded")
    found: dict[str, Any] = project["runs"][-1]["resources"]
    return found


def series_of(site: Site) -> Any:
    reader = open_reader(load_config(site.root / "alpha.yaml"), purpose="test")
    return reader.run_series(ProjectName("ulm"), RunNumber(1)), reader.node_series(
        NodeName("alpha"), datetime.now(UTC) - timedelta(hours=1)
    )


PROGRAM = "python3 -c 'import time; kept = bytearray(b\"x\") * (64 * 2**20); time.sleep(7)'"


def test_a_process_with_a_gpu_is_measured_from_its_start_to_its_record(with_gpu: Site) -> None:
    port = free_port()
    with_gpu.start(listen=f"127.0.0.1:{port}")
    begin(with_gpu, PROGRAM, requires={"cpus": 0.1, "gpus": 1})
    with_gpu.until(lambda: f'winslow_gpu_power_watts{{model="{GPU.model}",uuid="{GPU.uuid}"}} 180.0' in metrics(port))
    with_gpu.until(lambda: 'winslow_run_memory_bytes{project="ulm",run="1",stage="work"}' in metrics(port))
    used = resources(with_gpu)
    assert 64 * MIB <= used["peak_memory"] < 300 * MIB
    assert used["cpu_hours"] > 0
    assert used["peak_gpu"] == 0.75
    assert used["peak_gpu_memory"] == 8 * 2**30
    assert used["gpu_hours"] >= 7 / 3600
    wanted = {"memory", f"gpu_utilisation:{GPU.uuid}"}
    with_gpu.until(lambda: set(series_of(with_gpu)[0].columns) >= wanted)  # written every ten seconds
    _, node = series_of(with_gpu)
    assert node.columns[f"gpu_temperature:{GPU.uuid}"][-1] == 61
    assert node.columns["memory"][-1] > 0


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    yield from engine_or_skip()


@pytest.mark.usefixtures("engine")
def test_a_container_is_measured_from_its_start_to_its_record(site: Site) -> None:
    site.start(runtime="docker")
    begin(site, EATER, shm_size="128MiB")
    used = resources(site)
    assert 64 * MIB <= used["peak_memory"] < 120 * MIB
    assert used["cpu_hours"] > 0
    assert used["gpu_hours"] == 0
    assert used["mean_gpu"] is None


def test_a_reconciler_killed_in_the_middle_takes_nothing_from_the_sum(site: Site) -> None:
    """The peak was before it died; the next start goes on in the same file."""
    node = site.start()
    begin(site, f"{PROGRAM}; touch $WINSLOW_WORKSPACE/eaten; while [ ! -e {site.root}/go ]; do sleep 0.2; done")
    stats = site.share / "projects/ulm/runs/0001-work/1/stats.rings"

    def peak() -> float:
        found = json.loads(stats.read_bytes().partition(b"\n")[0]) if stats.exists() else {}
        return float(found.get("note", {}).get("peak_memory", 0))

    site.until(lambda: peak() > 64 * MIB, 60.0)
    node.process.kill()
    node.process.wait()
    site.until((stats.parent / "workspace/eaten").exists)
    site.start()
    (site.root / "go").touch()
    assert resources(site)["peak_memory"] >= 64 * MIB
    assert [path.name for path in (site.share / "nodes/alpha/metrics").iterdir()] == ["00000001.rings"]


def test_a_driver_that_hangs_delays_no_stage(with_gpu: Site, scenario: Scenario) -> None:
    """Neither the one that is running nor the next one."""
    port = free_port()
    with_gpu.start(listen=f"127.0.0.1:{port}")
    with_gpu.until(lambda: "winslow_gpu_power_watts" in metrics(port))
    scenario.write([GPU], hang=600)
    with_gpu.until(lambda: _age(metrics(port)) > 4.0)
    begin(with_gpu, "true")
    with_gpu.until_project("ulm", 60.0, phase="Succeeded")
    scenario.write([GPU])
    with_gpu.until(lambda: _age(metrics(port)) < 4.0)


def _age(told: str) -> float:
    line = next((one for one in told.splitlines() if one.startswith("winslow_sample_age_seconds")), "x 0")
    return float(line.split()[1])
