"""The share misbehaves under a running node: a condition says so, stages go on, and so does work once it is back."""

import shutil
import subprocess
from typing import Any

import pytest


def test_an_empty_directory_in_the_shares_place_is_refused_at_the_start(site: Any) -> None:
    away = site.share.rename(site.root / "away")
    site.share.mkdir()
    node = site.start()
    assert node.process.wait(10) == 3
    assert f"winslow: {site.share} holds no winslow.json: is the share mounted there?" in node.said
    assert list(site.share.iterdir()) == []
    site.share.rmdir()
    away.rename(site.share)


def test_a_read_only_share_is_named_and_waited_for(site: Any, root: None) -> None:
    site.mount(site.root / "tmpfs", "size=20m")
    site.settings["share"] = str(share := site.root / "tmpfs/share")
    assert site("init", "--share", share).code == 0
    site.stage("quick", "echo hello")
    node = site.start()
    (away := site.root / "read-only").mkdir()
    for mount in (["--bind", share, away], ["-o", "remount,ro,bind", away], ["--bind", away, share]):
        subprocess.run(["mount", *mount], check=True)  # in one step: a remount fails while the node has files open
    site.mounts += [away, share]
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    site.until(lambda: "mounted read-only: remount it read-write" in node.said)
    refused = site.start("beta")
    assert refused.process.wait(10) == 3
    assert "mounted read-only: remount it read-write" in refused.said
    subprocess.run(["umount", "-l", share], check=True)
    site.mounts.remove(share)
    site.until_project("ulm", phase="Succeeded")


def test_a_share_that_goes_away_and_comes_back_costs_no_stage(site: Any) -> None:
    gate = site.root / "gate"
    site.stage("gated", f"echo begun; while [ ! -e {gate} ]; do sleep 0.1; done; echo over")
    site.write("projects/ulm.yaml", "pipeline: gated\n")
    node = site.start()
    site.until_project("ulm", phase="Running")
    away = site.share.rename(site.root / "away")
    site.until(lambda: "is the share mounted there?" in node.said)
    ended = site("--config", site.root / "alpha.yaml", "status")
    assert ended.code == 3
    assert "is the share mounted there?" in ended.err
    gate.touch()
    away.rename(site.share)
    (run,) = site.until_project("ulm", phase="Succeeded")["runs"]
    assert (run["attempts"], run["exit_code"]) == (1, 0)
    assert site("--config", site.root / "alpha.yaml", "logs", "ulm").out == "begun\nover\n"


@pytest.mark.parametrize("runtime", ["process", "docker"])
def test_a_full_share_holds_a_stage_up_and_loses_nothing(site: Any, root: None, runtime: str, request: Any) -> None:
    if runtime == "docker":
        request.getfixturevalue("engine")
    site.mount(site.root / "tmpfs", "size=2m")
    site.settings["share"] = str(share := site.root / "tmpfs/share")
    assert site("init", "--share", share).code == 0
    (share / "ballast").write_bytes(bytes(500_000))
    fill = "dd if=/dev/zero of=$WINSLOW_OUTPUT/big bs=64k count=100; code=$?; echo ended; exit $code"
    site.stage("fill", fill)
    site.stage("quick", "echo hello")
    site.write("projects/full.yaml", "pipeline: fill\n")
    node = site.start(runtime=runtime)
    site.until(lambda: shutil.disk_usage(share).free < 4096, 20)
    site.write("projects/other.yaml", "pipeline: quick\n")
    site.until(lambda: "ShareUnavailable" in site("--config", site.root / "alpha.yaml", "status").out)
    site.until(lambda: "ShareUnavailable" in site.observed("README.md"))
    for text in (site.explain("other"), site.page("/projects/other")):
        assert "the share is full: free some space" in text
    assert "ShareUnavailable" in site.page()  # in the words of the project that met it first
    for big in share.glob("projects/full/runs/*/*/output/big"):
        big.unlink()
    (share / "ballast").unlink()
    full = site.until_project("full", phase="Failed", seconds=40)
    assert full["runs"][0]["reason"] == "ExitCode"
    site.until_project("other", phase="Succeeded")
    site.until(lambda: "ShareUnavailable" not in site.observed("README.md"))
    assert node.said.count("action_failed") < 4
    assert "No space left" in site("--config", site.root / "alpha.yaml", "logs", "full").out


def test_a_torn_record_stops_its_project_alone_and_is_named(site: Any) -> None:
    site.stage("quick", "echo hello")
    site.write("projects/torn.yaml", "pipeline: quick\n")
    site.start()
    site.until_project("torn", phase="Succeeded")
    site.nodes[0].end()
    record = site.share / "projects/torn/runs/0001-work/records/00000001.json"
    whole = record.read_bytes()
    record.write_bytes(whole[:40])
    (site.share / "projects/notes.txt").write_text("a stray file")
    (site.share / "projects/stray").mkdir()
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    site.start()
    site.until_project("ulm", phase="Succeeded")
    torn = site.until_project("torn", phase="Invalid")
    assert torn["waiting_for"]["reason"] == "RecordUnreadable"
    assert str(record) in torn["waiting_for"]["message"]
    assert {"notes.txt", "stray"}.isdisjoint(one["project"] for one in site.status()["projects"])
    site.until(lambda: "RecordUnreadable" in site.observed("projects/torn/status.yaml"))
    assert str(record) in site.explain("torn")
    record.write_bytes(whole)
    site.until_project("torn", phase="Succeeded")


def test_a_log_removed_under_a_running_stage_costs_only_its_lines(site: Any) -> None:
    gate = site.root / "gate"
    site.stage("gated", f"echo begun; while [ ! -e {gate} ]; do sleep 0.1; done; echo over")
    site.write("projects/ulm.yaml", "pipeline: gated\n")
    site.start()
    log = site.share / "projects/ulm/runs/0001-work/1/log.jsonl"
    site.until(lambda: log.exists() and "begun" in log.read_text())
    log.unlink()
    assert site("--config", site.root / "alpha.yaml", "logs", "ulm").code == 0
    assert site.page("/projects/ulm/runs/1")
    gate.touch()
    site.until_project("ulm", phase="Succeeded")


def test_a_silent_node_shows_as_such(site: Any) -> None:
    site.start()
    site.nodes[0].process.kill()
    site.nodes[0].process.wait()
    site.until(lambda: not site.status()["nodes"][0]["live"], 20)
    site.stage("quick", "echo hello")
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    waiting = site.until_project("ulm", phase="Queued")["waiting_for"]
    assert "alpha: gives no sign of life" in waiting["message"]
    site.start()
    site.until_project("ulm", phase="Succeeded")


def test_a_tidied_away_directory_is_named_and_made_again_on_request(site: Any) -> None:
    site.stage("quick", "echo hello")
    site.start()
    (site.share / "tmp").rmdir()
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    site.until(lambda: "`winslow init --share` makes its directories again" in site.explain("ulm"))
    assert site("init", "--share", site.share).code == 0
    site.until_project("ulm", phase="Succeeded")
