"""A node burns down; nodes are upgraded one at a time, beside one that is newer."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.operations.conftest import Drill


@pytest.mark.timeout(600)
def test_another_node_goes_on_for_one_that_burnt_down(drill: Drill) -> None:
    drill.hold.touch()
    drill.begin("crossing")
    drill.until_true(drill.stages)
    [owner] = [path.parts[-3] for path in drill.site.root.glob("local/*/process/*.json")][-1:]
    burn_down(drill, owner)
    drill.hold.unlink()

    drill.follow("A node burnt down")

    found = drill.until("crossing", phase="Succeeded")
    runs: Any = found["runs"]
    assert [(run["stage"], run["phase"]) for run in runs] == [
        ("detect", "Succeeded"),
        ("track", "Succeeded"),
        ("report", "Succeeded"),
    ]
    assert runs[1]["attempts"] == 2
    assert runs[1]["node"] != owner


def burn_down(drill: Drill, name: str) -> None:
    """The reconciler and its stages at once, as a machine's power goes."""
    for path in (drill.site.root / "local" / name / "process").glob("*.json"):
        kept = json.loads(path.read_text())
        if kept["ended_at"] is None:
            os.kill(kept["supervisor"]["pid"], signal.SIGKILL)
            os.killpg(kept["program"]["pid"], signal.SIGKILL)
    for node in drill.site.nodes:
        if f'"node": "{name}"' in node.said:
            node.process.kill()
            node.process.wait()


def add_fields(path: Path) -> bytes:
    """As a newer Winslow would have written it."""
    content = json.dumps({**json.loads(path.read_text()), "mood": "good", "colours": {"red": [1, 2]}}).encode()
    path.write_bytes(content)
    return content


@pytest.mark.timeout(600)
def test_nodes_of_two_versions_work_side_by_side(drill: Drill) -> None:
    """The newer one is played: its records hold more fields, one of them is of a newer kind, and so is its own."""
    drill.hold.touch()
    drill.begin("crossing", "ulm")
    drill.until_true(lambda: len(drill.stages()) == 2)
    running = drill.stages()
    drill.stop_nodes()
    projects = drill.site.share / "projects"
    extended = {path: add_fields(path) for path in projects.rglob("records/*.json")}
    newest = len(list((projects / "ulm/records").glob("*.json"))) + 1
    (projects / f"ulm/records/{newest:08d}.json").write_text('{"kind": "PONDERED", "version": 1, "token": "t"}')
    newer = drill.site.share / "nodes/lab-9/records"
    newer.mkdir(parents=True)
    (newer / "00000001.json").write_text('{"kind": "NODE", "version": 2, "token": "t"}')

    drill.follow("Upgrading one node at a time")

    assert drill.stages() == running, "stages go on while their node is upgraded"
    waits = drill.until("ulm", phase="Invalid")
    told: Any = waits["waiting_for"]
    assert told["reason"] == "RecordUnreadable"
    assert "of kind 'PONDERED', which this Winslow does not know; update it" in told["message"]
    assert "lab-9" not in json.dumps(drill.status()["nodes"])
    drill.hold.unlink()
    for path in drill.site.root.glob("local/*/process/*crossing*.json"):
        os.kill(json.loads(path.read_text())["supervisor"]["pid"], signal.SIGTERM)
    drill.until("crossing", phase="Failed")
    drill.site.write("projects/crossing.yaml", "pipeline: flow\nnext: {stage: track, after: 2}\n")
    drill.until("crossing", phase="Succeeded")
    assert {path: path.read_bytes() for path in extended} == extended, "nobody rewrites another's records"
    drill.until_true(lambda: "run: 1\n" in drill.site.observed("projects/ulm/runs/0001-detect.yaml"))
    assert (newer / "00000001.json").exists()
