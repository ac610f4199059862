"""The share is lost, put back, or full."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.operations.conftest import Drill

LOST = "The share is lost"
PUT_BACK = "The share was put back to yesterday"


def runs(project: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(run["run"], run["stage"], run["phase"]) for run in project["runs"]]


def record(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.timeout(600)  # half a minute on a machine that does nothing else
def test_a_lost_share_is_rebuilt_and_work_goes_on(drill: Drill) -> None:
    """ulm had finished, crossing was in its second stage: one stays finished, the other says what to redo."""
    drill.begin("ulm")
    drill.until("ulm", phase="Succeeded")
    drill.hold.touch()
    drill.site.write("projects/crossing.yaml", "pipeline: flow\n")
    drill.until_true(drill.stages)
    before = drill.project("ulm")
    drill.until_published("crossing", "Running")
    shutil.rmtree(drill.site.share)
    drill.stop_nodes()
    drill.site.share.mkdir()

    said = drill.follow(LOST)

    assert "run 2 (track) was open and can't be tried again: the workspace of run 1 (detect)" in said
    after = drill.until("ulm", phase="Succeeded")
    assert runs(after) == runs(before)
    assert [run["node"] for run in after["runs"]] == [run["node"] for run in before["runs"]]
    assert "were lost with the share" in (drill.site.share / "projects/ulm/output/0003-report/LOST.txt").read_text()
    failed = drill.until("crossing", phase="Failed")
    assert runs(failed) == [(1, "detect", "Succeeded"), (2, "track", "Lost")]
    drill.until_true(lambda: drill.stages() == [])  # what ran for the former share

    drill.hold.unlink()
    drill.site.write("projects/crossing.yaml", "pipeline: flow\nnext: {stage: track, after: 2}\n")
    waits = drill.until("crossing", phase="AwaitingInput")
    assert waits["waiting_for"]["edit"] == "next: {stage: detect, after: 2}"
    drill.site.write("projects/crossing.yaml", f"pipeline: flow\n{waits['waiting_for']['edit']}\n")
    done = drill.until("crossing", phase="Succeeded")
    assert runs(done)[2:] == [(3, "detect", "Succeeded"), (4, "track", "Succeeded"), (5, "report", "Succeeded")]
    assert (drill.site.share / "projects/crossing/output/0005-report/report.txt").read_text() == "3\n"
    drill.until_published("crossing", "Succeeded")


@pytest.mark.timeout(600)
def test_on_a_share_that_was_put_back_nothing_happens_until_it_is_rebuilt(drill: Drill) -> None:
    drill.begin("crossing")
    drill.until("crossing", phase="Succeeded")
    drill.until_published("crossing", "Succeeded")
    drill.stop_nodes()
    shutil.copytree(drill.site.share, drill.site.root / "backup", symlinks=True)
    drill.start_nodes()
    drill.hold.touch()
    drill.site.write("projects/crossing.yaml", "pipeline: flow\nnext: {stage: detect, after: 3}\n")
    drill.until_true(drill.stages)
    drill.until_published("crossing", "Running")
    drill.stop_nodes()
    [zombie] = drill.stages()
    shutil.rmtree(drill.site.share)
    drill.site.root.joinpath("backup").rename(drill.site.share)

    drill.start_nodes()
    drill.until_true(lambda: "LedgerBehind" in drill.conditions())
    assert "winslow rebuild" in drill.conditions()["LedgerBehind"]
    assert "! LedgerBehind: " in drill.run("winslow status")
    folder = drill.site.share / "projects/crossing"
    assert not (folder / "runs/0004-detect").exists(), "the request in main is not carried out a second time"
    assert drill.stages() == [zombie], "what runs goes on"

    drill.hold.unlink()
    said = drill.follow(PUT_BACK)

    assert "run 5 (track) was open and can't be tried again" in said
    drill.until_true(lambda: drill.stages() == [])
    found = drill.until("crossing", phase="Failed")
    assert runs(found)[:4] == [
        (1, "detect", "Succeeded"),
        (2, "track", "Succeeded"),
        (3, "report", "Succeeded"),
        (4, "detect", "Succeeded"),
    ]
    assert (folder / "output/0003-report/report.txt").exists(), "what the backup holds stays"
    drill.site.write("projects/crossing.yaml", "pipeline: flow\nnext: {stage: track, after: 5, from: 1}\n")
    drill.until("crossing", phase="Succeeded")
    numbers = sorted(int(path.stem) for path in (folder / "records").glob("*.json"))
    assert numbers == list(range(1, len(numbers) + 1))
    identity = record(drill.site.share / "winslow.json")
    assert record(folder / "records/00000001.json")["share"] in identity["replaces"]
    assert record(folder / f"records/{numbers[-1]:08d}.json")["share"] == identity["share"]
    drill.until_published("crossing", "Succeeded")


@pytest.mark.timeout(600)
def test_rebuilding_is_refused_while_a_node_is_at_work(drill: Drill) -> None:
    drill.begin("crossing", nodes=1)
    drill.until("crossing", phase="Succeeded")
    drill.until_published("crossing", "Succeeded")
    shutil.rmtree(drill.site.share / "projects/crossing/runs/0003-report/records")
    rebuild = ("--config", str(drill.site.root / "lab-1.yaml"), "rebuild")
    refused = drill.site(*rebuild, "--yes")
    if refused.code == 0:  # the node had noticed, and holds still
        assert "rebuilt: the share is now" in refused.out
    else:
        assert "nodes are at work on this share: lab-1; stop them first" in refused.err
        drill.stop_nodes()
        assert drill.site(*rebuild).code == 2
        assert "rebuilt" in drill.site(*rebuild, "--yes").out
    assert "nothing to rebuild" in drill.site(*rebuild).out


@pytest.mark.timeout(600)
def test_on_a_full_share_work_waits_and_goes_on_by_itself(drill: Drill, root: None) -> None:
    drill.site.mount(drill.site.root / "small", "size=3m")
    drill.site.settings["share"] = str(share := drill.site.root / "small/share")
    assert drill.site("init", "--share", share).code == 0
    drill.begin(nodes=1)
    ballast = share / "resources/ballast"
    with ballast.open("wb") as file:
        while shutil.disk_usage(share).free:
            file.write(bytes(4096))
            file.flush()
    drill.site.write("projects/crossing.yaml", "pipeline: flow\n")
    drill.until_true(lambda: "is full" in json.dumps(drill.status()))
    drill.follow("The share is full")
    ballast.unlink()
    drill.until("crossing", phase="Succeeded")
