"""``winslow node drain`` and ``undrain``: what they write, what they tell, whom they refuse."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.ledger import RunPhase
from reconciler.core.names import NodeName, PipelineName, ProjectName, RunNumber, StageName
from reconciler.core.status import NodeStatus, ProjectPhase, ProjectStatus, RunStatus

FILE = "nodes/lab-2.yaml"
FIRST = "# yaml-language-server: $schema=../.winslow/schemas/node.schema.json\n"
OWN = "# the fast one\nlabels: {room: cellar}   # no window\nlimits: {cpus: 8}\n"


def node(name: str) -> NodeStatus:
    return NodeStatus(
        node=NodeName(name),
        live=None,
        silent_for=None,
        runtime="process",
        cpus=2.0,
        memory=0,
        gpus=(),
        labels={},
        drained=False,
        running=(),
        started_at=None,
    )


def project(name: str, phase: RunPhase, on: str) -> ProjectStatus:
    run = RunStatus(
        run=RunNumber(4),
        stage=StageName("detect"),
        phase=phase,
        node=NodeName(on),
        attempts=1,
        started_at=None,
        ended_at=None,
        exit_code=None,
        log=None,
    )
    return ProjectStatus(
        project=ProjectName(name),
        name=name,
        pipeline=PipelineName("flow"),
        tags=(),
        phase=ProjectPhase.RUNNING,
        waiting_for=None,
        conditions=(),
        last_run=run.run,
        stages=(),
        runs=(run, replace(run, run=RunNumber(3), phase=RunPhase.SUCCEEDED)),
    )


@pytest.fixture
def ada(desks: Any, remote: Any) -> Any:
    """Two nodes have joined; lab-2 runs one stage, another one has ended there."""
    remote.publish(
        project("flight-07", RunPhase.RUNNING, "lab-2"),
        project("flight-08", RunPhase.RUNNING, "lab-1"),
        project("flight-09", RunPhase.FAILED, "lab-2"),
        nodes=(node("lab-1"), node("lab-2")),
    )
    return desks[0]


def test_drain_makes_the_file_and_says_what_still_runs_and_how_to_watch(ada: Any, remote: Any) -> None:
    ended = ada("node", "drain", "lab-2")
    assert ended.code == 0, ended.err
    assert remote.text(FILE) == f"{FIRST}drained: true\n"
    assert remote.subjects()[0] == "lab-2: drain"
    [told] = [line for line in ended.out.splitlines() if "still runs" in line]
    assert "flight-07/0004-detect" in told
    assert "flight-08" not in told
    assert "flight-09" not in told
    for word in ("winslow status", "winslow node undrain lab-2", "winslow node drain lab-2 --hand-over"):
        assert word in told


def test_drain_with_hand_over_says_what_it_stops(ada: Any, remote: Any) -> None:
    ended = ada("node", "drain", "lab-2", "--hand-over")
    assert remote.text(FILE) == f"{FIRST}drained: true\nhand_over: true\n"
    assert "lab-2 starts nothing new and stops flight-07/0004-detect; other nodes that fit start it again" in ended.out


def test_drain_says_that_nothing_runs(ada: Any, remote: Any) -> None:
    remote.publish(nodes=(node("lab-2"),))
    assert "nothing was reported to run there" in ada("node", "drain", "lab-2").out


def test_what_people_wrote_into_the_file_stays(ada: Any, remote: Any) -> None:
    ada.push(FILE, OWN)
    assert ada("node", "drain", "lab-2", "--hand-over").code == 0
    assert remote.text(FILE) == f"{OWN}drained: true\nhand_over: true\n"
    assert ada("node", "drain", "lab-2").code == 0
    assert remote.text(FILE) == f"{OWN}drained: true\n"
    assert ada("node", "undrain", "lab-2").code == 0
    assert remote.text(FILE) == f"{OWN}drained: false\n"


def test_undrain_takes_both_back(ada: Any, remote: Any) -> None:
    ada("node", "drain", "lab-2", "--hand-over")
    ended = ada("node", "undrain", "lab-2")
    assert "lab-2 takes stages again" in ended.out
    assert remote.text(FILE) == f"{FIRST}drained: false\n"


@pytest.mark.parametrize("before", ["", "limits: {cpus: 8}\n"])
def test_a_file_that_says_nothing_of_it_gets_the_line(ada: Any, remote: Any, before: str) -> None:
    ada.push(FILE, f"# ours\n{before}")
    assert ada("node", "drain", "lab-2").code == 0
    assert remote.text(FILE) == f"# ours\n{before}drained: true\n"


def test_doing_it_twice_changes_nothing(ada: Any, remote: Any) -> None:
    ada("node", "drain", "lab-2")
    before = remote.subjects()
    assert "nothing to change: nodes/lab-2.yaml says so already" in ada("node", "drain", "lab-2").out
    assert "nothing to change" in ada("node", "undrain", "lab-1").out
    assert remote.subjects() == before


def test_an_unknown_node_is_refused_with_the_nearest_name(ada: Any, remote: Any) -> None:
    before = remote.subjects()
    misspelt = ada("node", "drain", "lab2")
    assert (misspelt.code, "did you mean 'lab-2'?" in misspelt.err) == (2, True)
    assert "there are: lab-1, lab-2" in ada("node", "drain", "zebra").err
    assert "there is no node" in ada("node", "drain", "../projects/x").err
    assert remote.subjects() == before


def test_a_node_that_only_has_a_file_can_be_drained(desks: Any, remote: Any) -> None:
    """It may join later, and nothing was published yet."""
    assert "none has joined" in desks[0]("node", "drain", "lab-2").err
    desks[0].push(FILE, OWN)
    assert desks[0]("node", "drain", "lab-2").code == 0


def test_a_broken_file_is_left_to_people(ada: Any, remote: Any) -> None:
    ada.push(FILE, "labels: [\n")
    ended = ada("node", "drain", "lab-2")
    assert ended.code == 2
    assert "nodes/lab-2.yaml:" in ended.err
    assert remote.text(FILE) == "labels: [\n"


def test_a_merge_request_can_ask_for_it(ada: Any, remote: Any) -> None:
    ended = ada("node", "drain", "lab-2", "--merge-request")
    assert ended.code == 0, ended.err
    assert "proposals/lab-2/drain-" in ended.out
    assert FILE not in remote.git("ls-tree", "-r", "--name-only", "main")


def test_the_option_of_the_reconciler_is_not_mistaken(ada: Any, remote: Any) -> None:
    before = remote.subjects()
    ended = ada("node", "--hand-over", "drain", "lab-2")
    assert ended.code == 2
    assert "winslow node drain NODE --hand-over" in ended.err
    assert remote.subjects() == before


def test_node_alone_is_still_the_reconciler(ada: Any, tmp_path: Any) -> None:
    missing = tmp_path / "nowhere.yaml"
    for arguments in (("--config", missing, "node"), ("node", "--config", missing)):
        ended = ada(*arguments)
        assert (ended.code, f"there is no {missing}" in ended.err) == (2, True)
