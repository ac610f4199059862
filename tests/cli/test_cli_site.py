"""A real node on a real site, seen through every command that looks."""

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.cli.codes import Exit

GREETING = "pipeline: greeting\n"


@pytest.fixture
def running(winslow: Any, site: Any) -> Iterator[Any]:
    """A node that takes part while the test looks."""
    process = winslow.start("--config", site.config, "node", "--hand-over")
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture
def finished(winslow: Any, site: Any, running: Any) -> Any:
    site.push("projects/ulm.yaml", GREETING)
    ended = winslow("--config", site.config, "wait", "ulm", "--timeout", "60s")
    assert (ended.code, ended.out) == (0, "ulm: Succeeded after run 2 (leave)\n"), ended.err
    return site


def test_status_as_json_is_the_one_contract(winslow: Any, finished: Any) -> None:
    status = json.loads(winslow("--config", finished.config, "status", "--output", "json").out)
    assert status["version"] == 1
    (project,) = status["projects"]
    assert {"project", "phase", "waiting_for", "conditions", "runs", "name", "stages", "last_run"} <= set(project)
    assert [stage["state"] for stage in project["stages"]] == ["SUCCEEDED", "SUCCEEDED"]
    first = project["runs"][0]
    assert (first["run"], first["stage"], first["exit_code"], first["attempts"]) == (1, "greet", 0, 1)
    assert (finished.layout.share / first["log"]).is_file()
    assert status["nodes"][0]["node"] == "alpha"


def test_status_for_people_shows_projects_and_nodes(winslow: Any, finished: Any) -> None:
    said = winslow("--config", finished.config, "status").out
    assert "ulm      Succeeded  2 leave Succeeded" in said
    assert "alpha  live  process" in said
    details = winslow("--config", finished.config, "status", "ulm").out
    assert "1    greet  Succeeded  alpha" in details


def test_a_log_is_printed_whole_or_its_end(winslow: Any, finished: Any) -> None:
    whole = winslow("--config", finished.config, "logs", "ulm", "1").out.splitlines()
    assert [line for line in whole if line != "oops"] == [f"line {i}" for i in range(1, 10)]
    assert "oops" in whole
    assert winslow("--config", finished.config, "logs", "ulm", "1", "-n", "2").out.splitlines() == whole[-2:]
    assert winslow("--config", finished.config, "logs", "ulm", "-n", "0").out == ""


def test_the_last_runs_log_comes_by_default_with_times_on_request(winslow: Any, finished: Any) -> None:
    stamped = winslow("--config", finished.config, "logs", "ulm", "-f", "--timestamps").out.splitlines()
    assert [line.split(" ", 1)[1] for line in stamped] == ["50 %", "WINSLOW_RESULT: mood=good"]
    assert all(line.split(" ")[0].endswith("Z") for line in stamped)


def test_a_log_is_followed_until_its_run_has_ended(winslow: Any, site: Any, running: Any, eventually: Any) -> None:
    gate = site.layout.root / "gate"
    slow = f"echo begun; while [ ! -e {gate} ]; do sleep 0.1; done; echo over"
    site.push("pipelines/slow.yaml", f"stages: [{{name: wait, process: {{command: [sh, -c, '{slow}']}}}}]\n")
    site.push("projects/ulm.yaml", "pipeline: slow\n")
    eventually(lambda: winslow("--config", site.config, "logs", "ulm").out == "begun\n")
    following = winslow.start("--config", site.config, "logs", "ulm", "-f")
    assert following.stdout.readline() == "begun\n"
    assert "for " in winslow("--config", site.config, "status").out
    timed_out = winslow("--config", site.config, "wait", "ulm", "--timeout", "1s")
    assert timed_out.code == Exit.UNAVAILABLE
    assert "still going after 1s" in timed_out.err
    said = winslow("--config", site.config, "plan").out
    assert said.startswith("ulm: run: run 1 (wait) on alpha")
    assert said.endswith("; then the project is finished\n")
    gate.touch()
    assert following.stdout.readline() == "over\n"
    assert following.wait(20) == 0


def test_a_failure_ends_the_wait_with_the_line_that_goes_on(winslow: Any, site: Any, running: Any) -> None:
    site.push("projects/ulm.yaml", GREETING + 'environment: {CODE: "3"}\n')
    ended = winslow("--config", site.config, "wait", "ulm", "--timeout", "60s")
    assert ended.code == Exit.FAILED
    assert "next: {stage: leave, after: 2}" in ended.out
    assert "its last line: WINSLOW_RESULT: mood=good\nwinslow logs ulm 2\n" in ended.out
    assert winslow("--config", site.config, "wait", "ulm", "--for", "idle").code == 0
    said = winslow("--config", site.config, "status").out
    assert said.startswith("waiting for you\n  ulm  Failed")
    assert "next: {stage: leave, after: 2}" in said
    assert "next: {stage: leave, after: 2}" in winslow("--config", site.config, "explain", "ulm").out


def test_plan_says_what_is_next_and_changes_nothing(winslow: Any, site: Any) -> None:
    site.push("projects/ulm.yaml", GREETING + "paused: true\n")
    site.push("projects/bonn.yaml", GREETING)
    said = winslow("--config", site.config, "plan").out.splitlines()
    assert said[0].startswith("bonn: wait: ")
    assert said[1].startswith("ulm: wait: ")
    assert "paused: true" in said[1]
    decisions = json.loads(winslow("--config", site.config, "plan", "--output", "json").out)
    assert [(one["project"], one["reason"]) for one in decisions][1] == ("ulm", "Paused")
    assert list((site.layout.share / "projects").iterdir()) == []


def test_explain_names_of_each_node_why_it_is_not_chosen(
    winslow: Any, site: Any, running: Any, eventually: Any
) -> None:
    pipeline = "stages: [{name: big, process: {command: [sh]}, requires: {cpus: 4000}}]\n"
    site.push("pipelines/huge.yaml", pipeline)
    site.push("projects/ulm.yaml", "pipeline: huge\n")
    eventually((site.layout.share / "nodes/alpha/records/00000001.json").exists)
    said = json.loads(winslow("--config", site.config, "explain", "ulm", "--output", "json").out)
    assert said["phase"] == "AwaitingInput", "no node will ever do"
    assert "cpus" in said["nodes"]["alpha"]


def test_people_without_the_share_read_a_clone(winslow: Any, finished: Any, eventually: Any) -> None:
    def told() -> str:
        said: str = winslow("status", "--clone", finished.layout.remote).out
        return said

    eventually(lambda: "ulm      Succeeded" in told())
    assert winslow("wait", "ulm", "--clone", finished.layout.remote).code == 0
    assert "50 %" in winslow("logs", "ulm", "--clone", finished.layout.remote).out
    clone = finished.layout.state
    subprocess.run(["git", "fetch", "--quiet"], cwd=clone, check=True)
    winslow.cwd = clone
    assert "ulm      Succeeded" in winslow("status").out, "who stands in a clone means that clone"


def test_a_node_says_at_its_end_that_its_stages_go_on(winslow: Any, site: Any, eventually: Any) -> None:
    process = winslow.start("--config", site.config, "node")
    eventually((site.layout.share / "nodes/alpha/records/00000001.json").exists)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said.endswith("winslow: alpha has ended; its stages go on, and its next start adopts them\n")
    assert json.loads(said.splitlines()[0])["event"]
