"""Two real nodes with four simulated GPUs each, on one real engine: each device belongs to one stage alone."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from reconciler.codec.log import read_lines
from tests.bad_input.conftest import Node, Site, make_site
from tests.engine_faults.private import PrivateEngine
from tests.nvml.library import GPU_IS_LOST, FakeGpu, Scenario, build_or_skip

SITE_FILE = "version: 1\nheartbeat: 1s\nttl: 60s\ndefaults: {retries: {limit: 0}}\n"
SHELL = "echo $NVIDIA_VISIBLE_DEVICES; while [ ! -e /input/go ]; do usleep 50000; done"
"""Says which GPUs it got, and keeps them until it is let go."""

PATIENCE = 120.0
"""Seconds. Nine containers on a busy machine."""

PROJECTS = [f"flight-{number}" for number in range(1, 10)]


@dataclass
class Lab:
    site: Site
    engine: PrivateEngine
    library: Path
    gpus: dict[str, list[FakeGpu]] = field(default_factory=dict)
    running: dict[str, Node] = field(default_factory=dict)

    # --- what people and machines do ---

    def begin(self, *nodes: str) -> None:
        for number, name in enumerate(nodes):
            self.gpus[name] = FakeGpu.several(4, first=4 * number)
            self.start(name)

    def start(self, name: str) -> None:
        """The node sees its own GPUs: its environment names its own scenario."""
        self.scenario(name).write(self.gpus[name])
        self.site.environment |= self.scenario(name).environment(self.library)
        docker = {"host": self.engine.host, "stop_grace": "1s"}
        self.running[name] = self.site.start(name, runtime="docker", docker=docker)

    def scenario(self, name: str) -> Scenario:
        return Scenario(self.site.root / f"{name}.gpus")

    def add(self, *projects: str) -> None:
        for name in projects:
            (self.site.state / "projects").mkdir(exist_ok=True)
            (self.site.state / f"projects/{name}.yaml").write_text("pipeline: one-gpu\n", encoding="utf-8")
        self.site.push(f"Add {len(projects)} projects")

    def restart(self, name: str) -> None:
        self.running[name].process.kill()
        self.running[name].process.wait()
        self.start(name)

    def lose(self, node: str, uuid: str) -> None:
        """One of its devices falls off the bus."""
        self.gpus[node] = [replace(gpu, error=GPU_IS_LOST) if gpu.uuid == uuid else gpu for gpu in self.gpus[node]]
        self.scenario(node).write(self.gpus[node])

    def let_go(self, project: str) -> None:
        directory = self.site.share / "projects" / project / "input"
        directory.mkdir(parents=True, exist_ok=True)  # of one that never began
        (directory / "go").touch()

    # --- where people look ---

    def got(self) -> dict[str, str]:
        """What each project's program printed, by the projects that have begun."""
        logs = sorted(self.site.share.glob("projects/*/runs/0001-work/*/log.jsonl"))
        said = {path.parts[-5]: read_lines(path).lines for path in logs}
        return {name: lines[0].line for name, lines in said.items() if lines}

    def given(self) -> dict[str, list[str]]:
        """By the engine's own word: container -> the GPUs that it was asked for, of those that run."""
        names = self.engine("ps", "--format", "{{.Names}}").split()
        inspected = json.loads(self.engine("inspect", *names)) if names else []
        return {one["Name"].strip("/"): one["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] for one in inspected}

    def node_of(self, project: str) -> str:
        claim: str = json.loads((self.records(project) / "00000001.json").read_text())["node"]
        return claim

    def records(self, project: str) -> Path:
        return self.site.share / "projects" / project / "runs/0001-work/records"

    def conditions(self, name: str) -> dict[str, str]:
        node = next(node for node in self.site.status()["nodes"] if node["node"] == name)
        return {one["type"]: one["message"] for one in node["conditions"]}

    def until(self, holds: Callable[[], object]) -> None:
        self.site.until(holds, PATIENCE)

    def uuids(self, *nodes: str) -> set[str]:
        return {gpu.uuid for name in nodes or self.gpus for gpu in self.gpus[name]}

    def assert_nothing_is_shared(self, count: int) -> None:
        held = [uuid for uuids in self.given().values() for uuid in uuids]
        assert len(held) == len(set(held)) == count


@pytest.fixture
def lab(gpu_engine: PrivateEngine, tmp_path: Path) -> Iterator[Lab]:
    """Eight stages run on eight GPUs, and a ninth waits."""
    library = build_or_skip(tmp_path)
    (tmp_path / "site").mkdir()
    found = Lab(make_site(tmp_path / "site"), gpu_engine, library)
    found.site.write("winslow.yaml", SITE_FILE)
    found.site.stage("one-gpu", SHELL, requires={"cpus": 0.1, "gpus": 1})
    try:
        found.begin("alpha", "beta")
        found.add(*PROJECTS)
        found.until(lambda: len(found.got()) == 8)
        yield found
        for project in found.site.share.glob("projects/*"):
            found.let_go(project.name)
    finally:
        found.site.end()
        for name in gpu_engine.containers():
            gpu_engine("rm", "-f", name)


def ninth(lab: Lab) -> str:
    (waiting,) = set(PROJECTS) - set(lab.got())
    return waiting


def test_eight_stages_run_on_eight_gpus_and_the_ninth_says_what_it_waits_for(lab: Lab) -> None:
    """Nor does a node that is killed and started again give anything twice."""
    got, waiting = lab.got(), ninth(lab)
    assert set(got.values()) == lab.uuids()
    assert all(uuid in lab.uuids(lab.node_of(project)) for project, uuid in got.items())
    lab.assert_nothing_is_shared(8)
    why = "0 of 4 GPUs free (4 hold other stages), needs 1"
    assert lab.site.until_project(waiting, PATIENCE, phase="Queued")["nodes"] == {"alpha": why, "beta": why}
    assert lab.site.explain(waiting).count(why) >= 2
    before = lab.given()
    lab.restart("alpha")
    lab.until(lambda: lab.running["alpha"].said.count("container_adopted") == 4)
    assert lab.given() == before
    one = next(project for project in got if lab.node_of(project) == "alpha")
    lab.let_go(one)
    lab.until(lambda: lab.got().get(waiting) == got[one])
    lab.assert_nothing_is_shared(8)
    done = json.loads((lab.records(one) / "00000002.json").read_text())
    assert done["gpus"] == [{"uuid": got[one], "model": "NVIDIA RTX A5000", "driver": "550.54.15"}]
    assert {"winslow", "docker", "kernel"} <= set(done["versions"])


def test_a_waiting_stage_goes_elsewhere_when_a_gpu_is_taken_away(lab: Lab) -> None:
    waiting, got = ninth(lab), lab.got()
    on_alpha, on_beta = (next(name for name in got if lab.node_of(name) == node) for node in ("alpha", "beta"))
    lab.lose("alpha", got[on_alpha])
    lab.until(lambda: f"{got[on_alpha]}: it has fallen off the bus" in lab.conditions("alpha").get("GpuFaulty", ""))
    lab.let_go(on_alpha)
    lab.until(lambda: "0 of 4 GPUs free (3 hold other stages, 1 faulty)" in lab.site.explain(waiting))
    assert waiting not in lab.got()
    lab.let_go(on_beta)
    lab.until(lambda: lab.got().get(waiting) == got[on_beta])
    assert lab.node_of(waiting) == "beta"
    lab.assert_nothing_is_shared(7)
