"""A real site: runs are repeated and skipped by real nodes, from real git, as people ask for it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bad_input.conftest import Site, make_site

MINUTE = 60.0
SAME = ("environment", "command", "process_command", "base", "image", "image_digest", "inputs", "sources")
"""Of a run's file on observed: what its repetition has as well; ``sources`` but for what next sets."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = make_site(tmp_path)
    yield made
    made.end()


def stage(name: str, shell: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "process": {"command": ["sh", "-c", shell]}, "requires": {"cpus": 0.1}, **fields}


def pipeline(site: Site, *, track: str) -> None:
    count = "cat $WINSLOW_RESOURCES/video | wc -c > $WINSLOW_OUTPUT/bytes; echo WINSLOW_RESULT: counted=yes"
    stages = [
        stage("look", "echo $THRESHOLD > $WINSLOW_WORKSPACE/seen"),
        stage("track", track),
        stage("detect", count, workspace="fresh", skip_unchanged=True),
    ]
    site.write("pipelines/flow.yaml", json.dumps({"stages": stages}))


def project(site: Site, **environment: str | None) -> None:
    fields = {"pipeline": "flow", "inputs": ["resources/video"], "environment": environment}
    site.write("projects/flight.yaml", json.dumps(fields))


def begun(site: Site) -> None:
    """Runs 1 to 3 have succeeded."""
    (site.share / "resources").mkdir(exist_ok=True)
    (site.share / "resources" / "video").write_text("frames")
    pipeline(site, track="cat $WINSLOW_WORKSPACE/seen")
    project(site, THRESHOLD="0.45", NAME="x y")
    site.start()
    site.until_project("flight", MINUTE, phase="Succeeded", last_run=3)


def recorded(site: Site, number: int, name: str) -> dict[str, Any]:
    """A run's file on the branch observed, once its end is published."""
    path = f"projects/flight/runs/{number:04d}-{name}.yaml"
    found: dict[str, Any] = {}

    def is_published() -> bool:
        found.update(yaml.safe_load(site.observed(path)) or {})
        return found.get("phase") == "Succeeded"

    site.until(is_published, MINUTE)
    return found


def ask(site: Site, *words: str) -> str:
    """A command in the person's clone, which the nodes then see."""
    ended = site(*words, "--repository", site.state)
    assert ended.code == 0, ended.err
    return ended.out


def test_a_repeated_run_has_the_same_environment_command_and_base(site: Site) -> None:
    begun(site)
    first = recorded(site, 2, "track")
    recorded(site, 3, "detect")
    refused(site)
    compared(site)
    pipeline(site, track="echo something else")
    project(site, THRESHOLD="0.6", ADDED="new")
    said = ask(site, "--config", str(site.root / "alpha.yaml"), "reproduce", "flight", "2", "--then", "pause")
    assert "not pinned: no image digest" not in said
    site.until_project("flight", MINUTE, phase="AwaitingInput", last_run=4)
    again = recorded(site, 4, "track")
    assert {name: again[name] for name in SAME[:-1]} == {name: first[name] for name in SAME[:-1]}
    assert again["environment"] == {"NAME": "x y", "THRESHOLD": "0.45"}
    assert again["base"] == 1
    assert again["sources"] == dict.fromkeys(again["environment"], "projects/flight.yaml next")
    assert '"pins"' in again["request"]
    assert [one["path"] for one in first["input_files"]] == ["resources/video"]
    assert len(first["input_files"][0]["sha256"]) == 64


def refused(site: Site) -> None:
    for words, told in (
        (("fligth", "1"), "did you mean 'flight'?"),
        (("flight", "9"), "'flight' has no run 9; there are 1, 2, 3"),
    ):
        ended = site("reproduce", *words, "--repository", site.state)
        assert (ended.code, ended.out) == (2, "")
        assert told in ended.err


def compared(site: Site) -> None:
    """Its inputs are looked at where this machine knows the share."""
    assert "--config FILE" in ask(site, "reproduce", "flight", "3", "--dry-run")
    (site.share / "resources" / "video").write_text("other frames")
    said = ask(site, "reproduce", "flight", "3", "--dry-run", "--config", str(site.root / "alpha.yaml"))
    assert "not pinned: inputs, other content" in said
    assert "nothing was changed (--dry-run)" in said


def test_an_unchanged_stage_is_skipped_until_its_input_changes(site: Site) -> None:
    begun(site)
    recorded(site, 3, "detect")
    ask(site, "goto", "flight", "look")
    site.until_project("flight", MINUTE, phase="Succeeded", last_run=6)
    skipped = recorded(site, 6, "detect")
    assert skipped["reused"] == 3
    assert skipped["results"] == {"counted": "yes"}
    assert "reused run 3" in site("--config", site.root / "alpha.yaml", "status", "flight").out
    output = site.share / "projects/flight/output/0006-detect/bytes"
    site.until(output.exists, MINUTE)
    assert output.read_text().strip() == "6"
    time.sleep(0.01)  # a file's time is recorded in milliseconds
    (site.share / "resources" / "video").write_text("other frames")
    ask(site, "goto", "flight", "look")
    site.until_project("flight", MINUTE, phase="Succeeded", last_run=9)
    ran = recorded(site, 9, "detect")
    assert ran["reused"] is None
    assert (site.share / "projects/flight/runs/0009-detect/1/output/bytes").read_text().strip() == "12"
