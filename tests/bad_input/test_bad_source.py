"""Git misbehaves: work goes on from the last good commit, people see why, and publication catches up."""

from typing import Any


def site_condition(site: Any, kind: str) -> str:
    return next((one["message"] for one in site.status()["conditions"] if one["type"] == kind), "")


def test_a_state_url_that_leads_nowhere_is_said_and_waited_for(site: Any) -> None:
    site.stage("quick", "echo hello")
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    away = site.remote.rename(site.root / "away.git")
    node = site.start()
    site.until(lambda: "SourceUnreachable" in node.said)
    ended = site("--config", site.root / "alpha.yaml", "status")
    assert ended.code == 3
    assert f"nothing could be read of the state repository {site.remote.as_uri()}" in ended.err
    assert "check state.url in node.yaml" in ended.err
    assert node.process.poll() is None
    away.rename(site.remote)
    site.until_project("ulm", phase="Succeeded")


def test_a_remote_that_goes_away_costs_no_stage_and_hears_of_it_later(site: Any) -> None:
    gate = site.root / "gate"
    site.write(
        "pipelines/two.yaml",
        "stages:\n"
        f"  - {{name: first, process: {{command: [sh, -c, 'while [ ! -e {gate} ]; do sleep 0.1; done']}}}}\n"
        "  - {name: second, process: {command: [echo, over]}}\n",
    )
    site.write("projects/ulm.yaml", "pipeline: two\n")
    node = site.start()
    site.until_project("ulm", phase="Running")
    site.until(lambda: "phase: Running" in site.observed("projects/ulm/status.yaml"))
    assert "Running" in site.page()
    away = site.remote.rename(site.root / "away.git")
    gate.touch()
    site.until(lambda: "SourceUnreachable" in node.said)
    site.until_project("ulm", phase="Succeeded")
    assert "check state.url" in site_condition(site, "SourceUnreachable")
    assert "SourceUnreachable" in site("--config", site.root / "alpha.yaml", "status").out
    assert site.page().count("does not appear to be a git repository") == 1
    away.rename(site.remote)
    site.until(lambda: "phase: Succeeded" in site.observed("projects/ulm/status.yaml"))
    site.until(lambda: "SourceUnreachable" not in site.observed("README.md"))
    site.until(lambda: site_condition(site, "SourceUnreachable") == "")


def test_a_clone_damaged_on_disk_is_made_again(site: Any) -> None:
    site.stage("quick", "echo hello")
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    node = site.start()
    site.until_project("ulm", phase="Succeeded")
    clone = site.root / "local/alpha/state.git"
    for path in clone.glob("objects/??/*"):
        path.chmod(0o600)
        path.write_bytes(b"damaged")
    site.write("projects/bonn.yaml", "pipeline: quick\n")
    site.until_project("bonn", phase="Succeeded")
    (clone / "HEAD").write_text("nonsense")
    site.write("projects/koeln.yaml", "pipeline: quick\n")
    site.until_project("koeln", phase="Succeeded")
    site.until(lambda: "phase: Succeeded" in site.observed("projects/koeln/status.yaml"))
    assert node.process.poll() is None
