"""Reading the branch ``observed`` of a clone: always fetched first, and never passed off as newer than it is."""

from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from reconciler.cli.git import git
from reconciler.core.names import PipelineName, ProjectName
from reconciler.core.status import ProjectPhase, ProjectStatus

FILE = "projects/ulm.yaml"


def ulm(phase: ProjectPhase) -> ProjectStatus:
    return ProjectStatus(
        project=ProjectName("ulm"),
        name="Ulm",
        pipeline=PipelineName("flow"),
        tags=(),
        phase=phase,
        waiting_for=None,
        conditions=(),
        last_run=None,
        stages=(),
        runs=(),
        path=FILE,
    )


@pytest.fixture(autouse=True)
def published(desks: Any, remote: Any) -> None:
    ada, _ = desks
    ada.push(FILE, "pipeline: flow\n")
    remote.publish(ulm(ProjectPhase.RUNNING))


def test_the_status_of_a_clone_is_fetched_first_and_says_of_when_it_is(desks: Any, remote: Any) -> None:
    ada, _ = desks
    assert "Running" in ada("status", "ulm").out
    remote.publish(ulm(ProjectPhase.SUCCEEDED))
    ended = ada("status", "ulm")
    assert "Succeeded" in ended.out
    last = ended.out.splitlines()[-1]
    assert last.startswith("as of ")
    assert last.endswith(f", desired commit {remote.git('rev-parse', 'main')[:12]}")
    assert ended.err == ""


def test_without_the_remote_the_clone_says_what_it_knew_and_when(desks: Any, remote: Any) -> None:
    ada, _ = desks
    ada("status")
    remote.path.rename(remote.path.with_name("away"))
    ended = ada("status")
    assert ended.code == 0
    assert "ulm" in ended.out
    assert "winslow: can't fetch: " in ended.err
    assert f"this is what {ada.clone} knew at " in ended.err
    assert len(ended.err.splitlines()) == 1


def test_whoever_stands_deep_in_a_clone_means_that_clone(desks: Any) -> None:
    ada, _ = desks
    assert "ulm" in ada("status", cwd=ada.clone / "projects").out
    assert "ulm" in ada("status", "--clone", ada.clone / "projects", cwd=ada.clone.parent).out


def test_the_remote_itself_can_be_read(desks: Any, remote: Any) -> None:
    ada, _ = desks
    ended = ada("status", "--clone", remote.path)
    assert "ulm" in ended.out
    assert ended.err == ""


def test_what_was_just_pushed_counts_as_moving(desks: Any, remote: Any) -> None:
    """Else a script that pushes and waits is told at once of the success before."""
    ada, _ = desks
    remote.publish(ulm(ProjectPhase.SUCCEEDED))
    ada.push(FILE, "pipeline: flow\npriority: 1\n")
    ended = ada("wait", "ulm", "--timeout", "1s")
    assert ended.code == 3
    assert f"the nodes have not seen commit {remote.git('rev-parse', 'main')[:12]} yet" in ended.err
    seen = Timer(1.0, lambda: remote.publish(ulm(ProjectPhase.SUCCEEDED)))
    seen.start()
    assert ada("wait", "ulm", "--timeout", "60s").code == 0
    seen.join()


def test_a_rewritten_history_is_not_waited_for(desks: Any, remote: Any) -> None:
    """The nodes hold on to the old commits: they would never see the new one by themselves."""
    ada, _ = desks
    remote.publish(ulm(ProjectPhase.SUCCEEDED))
    git(ada.clone, "commit", "--quiet", "--amend", "-m", "Another")
    git(ada.clone, "push", "--quiet", "--force", "origin", "HEAD:main")
    assert ada("wait", "ulm", "--timeout", "60s").code == 0


@pytest.mark.parametrize("command", [["explain", "ulm"], ["plan"], ["notify", "mail"]])
def test_what_needs_the_share_says_so_in_a_clone(desks: Any, command: list[str]) -> None:
    ada, _ = desks
    ended = ada(*command)
    assert ended.code == 2
    assert "--config FILE" in ended.err
    assert "reads the share" in ended.err


def test_validate_finds_the_top_of_the_clone(desks: Any) -> None:
    ada, _ = desks
    (ada.clone / FILE).write_text("pipeline: flew\n", encoding="utf-8")
    ended = ada("validate", cwd=ada.clone / "projects")
    assert ended.code == 1
    assert ended.out.startswith("../projects/ulm.yaml:1:")


def test_validate_of_a_file_is_of_that_file_alone_in_its_repository(desks: Any, tmp_path: Path) -> None:
    ada, _ = desks
    (ada.clone / FILE).write_text("pipeline: flew\n", encoding="utf-8")
    (ada.clone / "projects/bonn.yaml").write_text("pipeline: flow\n", encoding="utf-8")
    ended = ada("validate", FILE)
    assert ended.code == 1
    assert ended.out.startswith(f"{FILE}:1:11: ")
    assert ada("validate", "bonn.yaml", cwd=ada.clone / "projects").code == 0
    (tmp_path / "lonely.yaml").write_text("pipeline: flow\n", encoding="utf-8")
    ended = ada("validate", tmp_path / "lonely.yaml")
    assert ended.code == 2
    assert "--stdin --path" in ended.err


def test_an_edit_in_the_remote_itself_says_what_to_do(desks: Any, remote: Any) -> None:
    ada, _ = desks
    ended = ada("pause", "ulm", "--repository", remote.path)
    assert ended.code == 2
    assert "bare" in ended.err
    assert "git clone" in ended.err


def test_offline_an_edit_says_why_without_empty_lines(desks: Any, remote: Any) -> None:
    """git separates its own advice by an empty line."""
    ada, _ = desks
    remote.path.rename(remote.path.with_name("away"))
    ended = ada("pause", "ulm")
    assert ended.code == 3
    assert ended.err.splitlines()
    assert "winslow: " not in [f"{line.rstrip()} " for line in ended.err.splitlines()]
