"""What reading git says about projects that are gone: which commit took them, and what only looks like it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from reconciler.codec.desired import load
from reconciler.core.lifecycle import obstacle
from reconciler.core.names import ProjectName

History = Callable[..., Any]

ULM = ProjectName("ulm")
REST = {"winslow.yaml": "version: 1\n", "pipelines/flow.yaml": "stages: [{name: detect, image: x}]\n"}
GOOD = "pipeline: flow\n"


def projects(**files: str) -> Mapping[str, str]:
    return {**REST, **{f"projects/{name.replace('__', '/')}.yaml": text for name, text in files.items()}}


def test_each_gone_project_names_the_commit_that_took_it_the_newest_first(history: History) -> None:
    desired = load(
        history(
            projects(ulm=GOOD, bonn=GOOD, kiel=GOOD),
            projects(ulm=GOOD, kiel=GOOD),
            projects(kiel=GOOD),
            projects(kiel=GOOD, jena=GOOD),
        )
    )
    assert list(desired.removed.items()) == [("ulm", "c3"), ("bonn", "c2")]


def test_a_project_that_came_back_and_went_again_names_the_last_time(history: History) -> None:
    there, gone = projects(ulm=GOOD), projects()
    assert load(history(there, gone, there, gone, projects(bonn=GOOD))).removed == {"ulm": "c4"}
    assert load(history(there, gone, there)).removed == {}


def test_what_never_was_a_project_is_not_removed(history: History) -> None:
    before = {**projects(ulm=GOOD, _defaults="tags: [a]\n"), "projects/notes.txt": "x", "projects/a.b.yaml": "x"}
    assert load(history(before, projects(ulm=GOOD))).removed == {}


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(projects(a__ulm=GOOD), id="moved"),
        pytest.param(projects(a__ulm="["), id="moved and broken"),
        pytest.param(projects(ulm="pipeline: [\n"), id="broken"),
        pytest.param(projects(ulm=""), id="emptied"),
        pytest.param(projects(ulm=GOOD, a__ulm=GOOD), id="doubled"),
        pytest.param(projects(a__ulm="[", b__ulm="["), id="doubled and broken"),
        pytest.param({**REST, "projects/ulm.yml": GOOD}, id="another ending"),
        pytest.param({**REST, "project/ulm.yaml": GOOD}, id="a misspelt folder"),
        pytest.param({**REST, "ulm.yaml": GOOD}, id="at the top"),
    ],
)
@pytest.mark.parametrize("was_good", [True, False])
def test_only_a_file_that_is_gone_looks_gone(history: History, after: Mapping[str, str], was_good: bool) -> None:
    """Either some version of it is in use, or a problem says where what may be its file lies.

    ``was_good`` is False for what newer rules refuse: the ledger knows the project, and no version of it can be read.
    """
    desired = load(history(projects(ulm=GOOD if was_good else "pipeline: {}\n"), after))
    assert ULM in desired.projects or obstacle(desired, ULM) is not None


@pytest.mark.parametrize("after", [projects(), projects(bonn=GOOD), {**REST, "notes/ulm.txt": "gone"}])
def test_a_file_that_is_gone_does(history: History, after: Mapping[str, str]) -> None:
    desired = load(history(projects(ulm=GOOD), after))
    assert ULM not in desired.projects
    assert obstacle(desired, ULM) is None
    assert desired.removed == {"ulm": "c2"}
