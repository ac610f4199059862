"""Draining real nodes: with a hand-over the stage moves, without one it ends where it runs."""

import json
from pathlib import Path
from typing import Any

from tests.bad_input.conftest import Site

HOLDS = "echo started; until test -e {done}; do sleep 0.1; done"


def begin(site: Site) -> Path:
    """Alpha runs the first of two stages, which ends once the file is there; beta has room as well."""
    done = site.root / "done"
    first = {"name": "work", "process": {"command": ["sh", "-c", HOLDS.format(done=done)]}, "requires": {"cpus": 0.1}}
    second = {"name": "after", "process": {"command": ["true"]}, "requires": {"cpus": 0.1}}
    site.write("pipelines/flow.yaml", json.dumps({"stages": [first, second]}))
    site.start("alpha")
    site.write("projects/crossing.yaml", "pipeline: flow\n")
    site.until(lambda: runs(site) and runs(site)[0]["phase"] == "Running", 60)
    site.start("beta")
    site.until(lambda: site.observed("nodes/beta.yaml"), 60)
    return done


def runs(site: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.project("crossing").get("runs", [])
    return found


def records(site: Site, run: str) -> list[str]:
    paths = sorted((site.share / "projects/crossing/runs" / run / "records").glob("*.json"))
    found = [json.loads(path.read_text()) for path in paths]
    return [f"{one['kind']} {one['node']}" for one in found]


def node(site: Site, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in site.status()["nodes"] if one["node"] == name)
    return found


def kinds(site: Site, name: str) -> set[str]:
    return {one["type"] for one in node(site, name)["conditions"]}


def drain(site: Site, *options: str) -> str:
    ended = site("node", "drain", "alpha", "--repository", site.state, *options)
    assert ended.code == 0, ended.err
    return ended.out


def test_a_hand_over_moves_a_running_stage_and_uses_no_attempt(site: Site) -> None:
    done = begin(site)
    told = drain(site, "--hand-over")
    assert "alpha starts nothing new and stops crossing/0001-work" in told
    site.until(lambda: records(site, "0001-work")[:3] == ["CLAIM alpha", "RELEASED alpha", "CLAIM beta"], 60)
    site.until(lambda: "Drained" in kinds(site, "alpha"), 60)
    assert node(site, "alpha")["running"] == []
    done.touch()
    site.until_project("crossing", phase="Succeeded", seconds=90)
    released = json.loads((site.share / "projects/crossing/runs/0001-work/records/00000002.json").read_text())
    assert (released["reason"], released["counts"]) == ("Drained", False)
    assert [run["node"] for run in runs(site)] == ["beta", "beta"]
    text = site("--config", site.root / "alpha.yaml", "status").out
    assert "drained: safe to switch off" in text
    site.until(lambda: '"because": "Drained"' in site.nodes[0].said and "container_stopping" in site.nodes[0].said, 30)


def test_without_one_the_stage_ends_where_it_runs_and_nothing_new_starts_there(site: Site) -> None:
    done = begin(site)
    told = drain(site)
    assert "it still runs crossing/0001-work, to its end" in told
    site.until(lambda: kinds(site, "alpha") >= {"Draining"}, 60)
    assert ", draining" in site("--config", site.root / "alpha.yaml", "status").out
    assert records(site, "0001-work") == ["CLAIM alpha"]
    done.touch()
    site.until_project("crossing", phase="Succeeded", seconds=90)
    assert records(site, "0001-work") == ["CLAIM alpha", "DONE alpha"]
    assert records(site, "0002-after") == ["CLAIM beta", "DONE beta"]
    site.until(lambda: "Drained" in kinds(site, "alpha"), 60)


def test_undrain_brings_it_back(site: Site) -> None:
    site.stage("flow", "true")
    site.start("alpha")
    site.until(lambda: site.observed("nodes/alpha.yaml"), 60)
    drain(site)
    site.git(site.state, "pull", "-q", "--ff-only")
    site.write("projects/crossing.yaml", "pipeline: flow\n")
    waits = site.until_project("crossing", phase="Queued", seconds=60)["waiting_for"]
    assert "alpha: drained (nodes/alpha.yaml)" in waits["message"]
    assert site("node", "undrain", "alpha", "--repository", site.state).code == 0
    site.until_project("crossing", phase="Succeeded", seconds=60)
