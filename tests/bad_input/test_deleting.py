"""Deleting projects on a real site: stopped, brought back, purged, and asked about when it is many."""

import re
from pathlib import Path
from typing import Any

from tests.bad_input.conftest import SITE_FILE


def delete(site: Any, *names: str) -> str:
    """One commit; returns it."""
    for name in names:
        (site.state / f"projects/{name}.yaml").unlink()
    site.push(f"Delete {', '.join(names)}")
    commit: str = site.git(site.state, "rev-parse", "HEAD").strip()
    return commit


def test_a_deleted_project_stops_comes_back_and_in_the_end_leaves_its_numbers(site: Any) -> None:
    gate, pid = site.root / "gate", site.root / "pid"
    shell = f'echo kept > "$WINSLOW_OUTPUT/kept"; echo $$ > {pid}; while [ ! -e {gate} ]; do sleep 0.1; done'
    site.stage("gated", shell)
    site.write("projects/ulm.yaml", "pipeline: gated\n")
    site.start()
    site.until_project("ulm", phase="Running")
    site.until(lambda: pid.exists() and pid.read_text())

    commit = delete(site, "ulm")
    site.until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())
    found = site.until_project("ulm", phase="Deleting")
    assert found["runs"][0]["phase"] == "Aborted"
    assert f"winslow restore ulm, or put the file back (git revert {commit[:12]})" in found["waiting_for"]["message"]
    assert "Deleted" in site.explain("ulm")
    assert "ulm: wait: ulm.yaml is gone from git" in site("--config", site.root / "alpha.yaml", "plan").out
    assert "winslow restore ulm" in site.page("/")
    site.until(lambda: "Deleting" in site.observed("projects/ulm/status.yaml"))

    site.git(site.state, "revert", "--no-edit", commit)
    site.git(site.state, "push", "-q", "origin", "HEAD:main")
    found = site.until_project("ulm", phase="Failed")
    assert found["waiting_for"]["reason"] == "Aborted"
    assert list(site.share.glob("projects/ulm/runs/0001-work/1/output/kept"))
    gate.touch()
    site.write("projects/ulm.yaml", f"pipeline: gated\n{found['waiting_for']['edit']}\n")
    assert site.until_project("ulm", phase="Succeeded")["last_run"] == 2

    site.write("winslow.yaml", f"{SITE_FILE}retention: 0s\n")
    delete(site, "ulm")
    site.until(lambda: not (site.share / "projects/ulm").exists())
    site.until(lambda: not site.project("ulm"))
    [retired] = (site.share / "retired").iterdir()
    site.until(lambda: [path.parent.name for path in retired.rglob("*") if path.is_file()] == ["records"])
    site.until(lambda: not site.observed("projects/ulm/status.yaml"))

    site.write("projects/ulm.yaml", "pipeline: gated\n")
    found = site.until_project("ulm", phase="Succeeded")
    assert [run["run"] for run in found["runs"]] == [3]
    assert (site.share / "projects/ulm/records" / f"{int(retired.name.split('.')[1]) + 1:08d}.json").exists()


def test_many_deletions_at_once_wait_for_a_persons_word(site: Any) -> None:
    gate = site.root / "gate"
    site.stage("gated", f"while [ ! -e {gate} ]; do sleep 0.1; done")
    names = [f"flight-{number}" for number in range(4)]
    site.write("projects/flight-0.yaml", "pipeline: gated\n")
    for name in names[1:]:
        (site.state / f"projects/{name}.yaml").write_text("pipeline: gated\npaused: true\n")
    site.push("Four projects")
    site.start()
    site.until_project("flight-0", phase="Running")
    site.until_project("flight-3", phase="Paused")

    delete(site, *names)
    site.until_project("flight-3", phase="AwaitingInput")
    assert site.project("flight-0")["phase"] == "Running"
    [told] = [one["message"] for one in site.status()["conditions"] if one["type"] == "DeletionUnconfirmed"]
    line = re.search(r'confirm_deletion: "[0-9a-f]{12}"', told)
    assert line is not None
    site.until(lambda: "DeletionUnconfirmed" in site.observed("projects/flight-1/status.yaml"))
    gate.touch()
    site.until(lambda: site.project("flight-0")["runs"][0]["phase"] == "Succeeded")

    site.write("winslow.yaml", f"{SITE_FILE}{line.group()}\n")
    for name in names:
        site.until_project(name, phase="Deleting")
    assert not [one for one in site.status()["conditions"] if one["type"] == "DeletionUnconfirmed"]


def test_a_file_that_was_broken_doubled_or_misplaced_deletes_nothing(site: Any) -> None:
    """Each in a commit of its own, as people do it."""
    site.stage("quick", "true")
    site.write("projects/ulm.yaml", "pipeline: quick\npaused: true\n")
    site.start()
    site.until_project("ulm", phase="Paused")
    site.write("projects/ulm.yaml", "pipeline: [\n")
    site.write("projects/copy/ulm.yaml", "pipeline: quick\n")
    (site.state / "projects/copy/ulm.yaml").unlink()
    site.git(site.state, "mv", "projects/ulm.yaml", "projects/ulm.yml")
    site.push("Rename it")
    found = site.until_project("ulm", phase="Invalid")
    assert "projects/ulm.yml:1:1" in found["waiting_for"]["message"]
    site.git(site.state, "mv", "projects/ulm.yml", "projects/ulm.yaml")
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    site.until_project("ulm", phase="Succeeded")
    kinds = [path.read_text().split('"kind": "')[1].split('"')[0] for path in site.share.glob("projects/ulm/records/*")]
    assert set(kinds) == {"DESIRED", "RUN"}
