"""Real nodes, a real engine, a real registry: what becomes of stages whose images have to be fetched."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.images.gate import Gate
from tests.images.registry import Bench, Registry

HOLD = "while [ ! -e /resources/go ]; do sleep 0.1; done"


def let_go(site: Any) -> None:
    (site.share / "resources/go").touch()


def records(site: Any, project: str, run: str) -> list[dict[str, Any]]:
    found = sorted((site.share / f"projects/{project}/runs/{run}/records").iterdir())
    return [json.loads(path.read_text()) for path in found]


@pytest.fixture
def gate(registry: Registry) -> Iterator[Gate]:
    made = Gate(registry.port, budget=400_000)
    yield made
    made.close()


def test_a_retried_run_keeps_its_image_though_the_tag_has_moved(site: Any, bench: Bench, registry: Registry) -> None:
    name = bench.name(registry.host)
    first = bench.publish(name)
    retried = {"retries": {"limit": 2, "backoff": "0s", "exit_codes": [75]}}
    site.stage("two", f"{HOLD}; [ $WINSLOW_ATTEMPT -gt 1 ] || exit 75", image=name, pull="always", **retried)
    site.write("projects/ulm.yaml", "pipeline: two\n")
    site.start(runtime="docker")
    site.until(lambda: (site.project("ulm").get("runs") or [{}])[0].get("phase") == "Running")
    other = bench.name(registry.host)
    bench.build(other)
    bench.engine.api.tag(other, name.rpartition(":")[0], "1")
    second = bench.push(name)
    assert second != first
    let_go(site)
    (run,) = site.until_project("ulm", phase="Succeeded", seconds=60)["runs"]
    assert (run["attempts"], run["image_digest"]) == (2, first)
    ends = [one for one in records(site, "ulm", "0001-work") if one["kind"] in ("FAILED", "DONE")]
    assert [one["image_digest"] for one in ends] == [first, first]
    site.write("projects/ulm.yaml", "pipeline: two\nnext: {stage: work, after: 1}\n")
    site.until(lambda: len(site.project("ulm")["runs"]) == 2)
    runs = site.until_project("ulm", phase="Succeeded", seconds=60)["runs"]
    assert [one["image_digest"] for one in runs] == [first, second]


def test_a_dead_registry_creates_no_run_and_is_no_matter_where_the_image_is(
    site: Any, bench: Bench, own_registry: Registry
) -> None:
    name = bench.name(own_registry.host)
    bench.publish(name)
    own_registry.stop()
    here = bench.name(own_registry.host)
    bench.build(here)
    site.stage("away", "echo hello", image=name)
    site.stage("here", "echo hello", image=here)
    site.write("projects/bonn.yaml", "pipeline: here\n")
    site.write("projects/ulm.yaml", "pipeline: away\n")
    site.start(runtime="docker")
    site.until_project("bonn", phase="Succeeded", seconds=60)
    said = f"registry {own_registry.host} does not answer this node when asked for '{name}'"
    site.until(lambda: any(said in one["message"] for one in site.project("ulm")["conditions"]))
    waiting = site.project("ulm")
    assert (waiting["phase"], waiting["runs"]) == ("Queued", [])
    own_registry.start()
    site.until_project("ulm", phase="Succeeded", seconds=90)


def test_a_pull_is_told_while_it_lasts_and_holds_the_claim(
    site: Any, bench: Bench, registry: Registry, gate: Gate
) -> None:
    direct = bench.name(registry.host)
    bench.publish(direct, size=4_000_000)
    name = direct.replace(registry.host, gate.host)
    bench.names.add(name)
    site.stage("large", "echo hello", image=name)
    site.write("projects/ulm.yaml", "pipeline: large\n")
    site.start(runtime="docker")

    def said() -> str:
        found = [one["message"] for one in site.project("ulm").get("conditions", ()) if one["type"] == "PullingImage"]
        return str(found[0]) if found else ""

    site.until(lambda: "% of 3.8 MiB" in said())
    assert said().startswith(f"run 1 (work) on alpha: pulling {name}: ")
    assert "%" not in site.observed("projects/ulm/status.yaml")
    (run,) = site.project("ulm")["runs"]
    assert (run["phase"], run["node"]) == ("Starting", "alpha")
    gate.opened.set()
    site.until_project("ulm", phase="Succeeded", seconds=60)
    lines = (site.share / "projects/ulm/runs/0001-work/1/events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert (events[0]["event"], events[0]["image"]) == ("pulling", name)
    assert [one["event"] for one in events][-2:] == ["pulled", "started"]


def test_an_abort_ends_a_pull(site: Any, bench: Bench, registry: Registry, gate: Gate) -> None:
    direct = bench.name(registry.host)
    bench.publish(direct, size=4_000_000)
    name = direct.replace(registry.host, gate.host)
    bench.names.add(name)
    site.stage("large", "echo hello", image=name)
    site.write("projects/ulm.yaml", "pipeline: large\n")
    site.start(runtime="docker")
    site.until(lambda: "PullingImage" in str(site.project("ulm")))
    site.write("projects/ulm.yaml", "pipeline: large\nabort: 1\n")
    site.until_project("ulm", phase="Failed")
    gate.opened.set()
    site.until(lambda: "worker_failed" in site.nodes[0].said or bench.has(name))
    assert site.project("ulm")["phase"] == "Failed"


def test_the_next_stages_image_is_here_before_it_starts(site: Any, bench: Bench, registry: Registry) -> None:
    name = bench.name(registry.host)
    bench.publish(name)
    stage = {"requires": {"cpus": 0.1}}
    first = {"name": "first", "image": "winslow-test/busybox:1", "command": ["sh", "-c", HOLD], **stage}
    second = {"name": "second", "image": name, "command": ["true"], **stage}
    (site.state / "pipelines").mkdir(exist_ok=True)
    site.write("pipelines/two.yaml", json.dumps({"stages": [first, second]}))
    site.write("projects/ulm.yaml", "pipeline: two\n")
    node = site.start(runtime="docker")
    site.until(lambda: "image_prepared" in node.said, 60)
    assert bench.has(name)
    let_go(site)
    site.until_project("ulm", phase="Succeeded", seconds=60)
