"""A change before it is merged: which faults are new, and what deletions, new names and late requests mean."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

import pytest

from reconciler.codec.changes import Standing
from reconciler.codec.review import Review, review
from reconciler.core.ledger import RunPhase
from reconciler.core.names import PipelineName, ProjectName, RunNumber, StageName
from reconciler.core.problems import Severity
from reconciler.core.status import ProjectPhase, ProjectStatus, RunStatus

Files = dict[str, str]
FLOW = "stages:\n  - {name: detect, image: x}\n  - {name: report, image: x}\n"
SITE: Files = {"winslow.yaml": "version: 1\n", "pipelines/flow.yaml": FLOW}
ULM = "name: Ulm\npipeline: flow\ntags: [a]\ninputs: [resources/ulm.mp4]\n"


def nobody(names: Collection[ProjectName]) -> Mapping[ProjectName, ProjectStatus]:
    return {}


def a_status(name: str, *stages: str, going: bool = False) -> ProjectStatus:
    runs = tuple(a_run(number, stage) for number, stage in enumerate(stages, 1))
    if going:
        runs = (*runs[:-1], a_run(len(runs), stages[-1], going=True))
    return ProjectStatus(
        project=ProjectName(name),
        name=name,
        pipeline=PipelineName("flow"),
        tags=(),
        phase=ProjectPhase.RUNNING,
        waiting_for=None,
        conditions=(),
        last_run=RunNumber(len(stages)) if stages else None,
        stages=(),
        runs=runs,
    )


def a_run(number: int, stage: str, *, going: bool = False) -> RunStatus:
    return RunStatus(
        run=RunNumber(number),
        stage=StageName(stage),
        phase=RunPhase.RUNNING if going else RunPhase.SUCCEEDED,
        node=None,
        attempts=1,
        started_at=None,
        ended_at=None if going else datetime(2026, 11, 1, tzinfo=UTC),
        exit_code=None,
        log=None,
    )


def known(*projects: ProjectStatus) -> Standing:
    found = {project.project: project for project in projects}
    return lambda names: {name: found[name] for name in names if name in found}


@pytest.fixture
def reviewed(history: Callable[..., object]) -> Callable[..., Review]:
    def make(before: Files | None, after: Files, standing: Standing = nobody) -> Review:
        trees = [{**SITE, **before}] if before is not None else []
        after = {**SITE, **after}
        first = history(*trees) if trees else None
        return review(first, history(*trees, after), standing)  # type: ignore[arg-type]

    return make


def lines(found: Review) -> list[str]:
    return [str(finding.problem) for finding in found.findings]


def test_a_fault_that_the_change_made_is_new(reviewed: Callable[..., Review]) -> None:
    found = reviewed({"projects/ulm.yaml": ULM}, {"projects/ulm.yaml": ULM + "prio: 1\n"})
    assert [(finding.new, finding.problem.line) for finding in found.findings] == [(True, 5)]
    assert not found.ok


def test_a_fault_in_a_file_that_nobody_touched_is_not_new(reviewed: Callable[..., Review]) -> None:
    broken = {"projects/b.yaml": "pipeline: flow\nprio: 1\n"}
    found = reviewed(broken, {**broken, "projects/ulm.yaml": ULM})
    assert [(finding.new, finding.problem.file) for finding in found.findings] == [(False, "projects/b.yaml")]
    assert found.ok


def test_whoever_touches_a_broken_file_mends_it(reviewed: Callable[..., Review]) -> None:
    """The last good version would go on in its place, and the edit do nothing."""
    found = reviewed(
        {"projects/b.yaml": "pipeline: flow\nprio: 1\n"}, {"projects/b.yaml": "# x\npipeline: flow\nprio: 1\n"}
    )
    assert [finding.new for finding in found.findings] == [True]


def test_a_fault_that_another_files_change_makes_is_new(reviewed: Callable[..., Review]) -> None:
    asks = {"projects/ulm.yaml": ULM + "next: {stage: report}\n"}
    found = reviewed(asks, {**asks, "pipelines/flow.yaml": FLOW.replace("report", "write")})
    assert [(finding.new, finding.problem.file) for finding in found.findings] == [(True, "projects/ulm.yaml")]


def test_without_a_before_every_fault_is_new(reviewed: Callable[..., Review]) -> None:
    found = reviewed(None, {"projects/b.yaml": "prio: 1\n"})
    assert all(finding.new for finding in found.findings)
    assert not found.ok


def test_moving_a_file_says_nothing(reviewed: Callable[..., Review]) -> None:
    assert lines(reviewed({"projects/ulm.yaml": ULM}, {"projects/south/ulm.yaml": ULM})) == []


@pytest.mark.parametrize("content", [ULM, ULM.replace("[a]", "[b]")])
def test_a_changed_stem_is_a_deletion_and_a_new_project(reviewed: Callable[..., Review], content: str) -> None:
    found = reviewed({"projects/ulm.yaml": ULM}, {"projects/neu-ulm.yaml": content})
    assert lines(found) == [
        "projects/neu-ulm.yaml:1:1: warning: was projects/ulm.yaml before (the file's stem is the project's identity): "
        "this deletes 'ulm' and begins 'neu-ulm'; to move keep the stem, to rename for people write name:"
    ]
    assert found.ok


def test_of_several_names_each_finds_its_own(reviewed: Callable[..., Review]) -> None:
    other = "name: Berlin\npipeline: flow\ninputs: [resources/b.mp4]\nenvironment: {A: '1'}\n"
    stays = {"projects/c.yaml": "pipeline: flow\n"}
    before = {"projects/a.yaml": ULM, "projects/b.yaml": other}
    found = reviewed({**stays, **before}, {**stays, "projects/y.yaml": other, "projects/x.yaml": ULM})
    assert [line.split(" before")[0] for line in lines(found)] == [
        "projects/x.yaml:1:1: warning: was projects/a.yaml",
        "projects/y.yaml:1:1: warning: was projects/b.yaml",
    ]


def test_a_deletion_says_what_becomes_of_runs_and_files(reviewed: Callable[..., Review]) -> None:
    found = reviewed({"projects/ulm.yaml": ULM}, {"winslow.yaml": "version: 1\nretention: 36h\n"})
    assert lines(found) == [
        "projects/ulm.yaml:1:1: warning: this deletes project 'ulm': its runs are stopped, its files stay for 1d12h "
        "(retention); until then putting the file back restores it"
    ]


def test_many_deletions_at_once_are_told_of_with_what_they_wait_for(reviewed: Callable[..., Review]) -> None:
    before = {f"projects/p{number}.yaml": ULM + f"priority: {number}\n" for number in range(4)}
    found = lines(reviewed(before, {"projects/p0.yaml": before["projects/p0.yaml"]}))
    assert found == [
        "winslow.yaml:1:1: warning: this deletes 3 of 4 projects at once (p1, p2, p3): none of them is deleted until "
        "confirm_deletion here names the commit that did it; after the merge their status has the line"
    ]


def test_a_project_that_may_only_be_misplaced_is_not_called_deleted(reviewed: Callable[..., Review]) -> None:
    (line,) = lines(reviewed({"projects/ulm.yaml": ULM}, {"projects/ulm.yml": ULM}))
    assert "nobody reads this file" in line


def test_a_file_with_nothing_in_common_is_no_new_name(reviewed: Callable[..., Review]) -> None:
    found = reviewed({"projects/ulm.yaml": ULM}, {"projects/b.yaml": "pipeline: flow\n"})
    assert "this deletes project 'ulm'" in lines(found)[0]


@pytest.mark.parametrize(
    ("request_line", "words"),
    [
        (
            "next: {stage: detect, after: 1}\n",
            "5:30: warning: next is stale: it says after: 1, and the last run is 2; to start 'detect' now write: "
            "next: {stage: detect, after: 2}",
        ),
        (
            "next: {stage: detect, after: 1, then: pause}\n",
            "5:30: warning: next is stale: it says after: 1, and the last run is 2; to start 'detect' now write: "
            "next: {stage: detect, after: 2, then: pause}",
        ),
        ("next: {stage: detect}\n", "5:7: warning: next is stale: it says no after, and the last run is 2"),
        ("next: {stage: detect, after: 9}\n", "5:30: warning: next waits for run 9, and the last run is 2"),
        (
            "abort: 7\n",
            "5:8: warning: abort names run 7, and the last one is 2: it will be aborted as soon as it begins",
        ),
        ("abort: 2\n", "5:8: warning: abort: run 2 (report) is over (Succeeded); this does nothing"),
    ],
)
def test_a_request_that_would_do_nothing_is_told(
    reviewed: Callable[..., Review], request_line: str, words: str
) -> None:
    asks = {"projects/ulm.yaml": ULM + request_line}
    standing = known(a_status("ulm", "detect", "report"))
    (line,) = lines(reviewed({"projects/ulm.yaml": ULM}, asks, standing))
    assert line.startswith(f"projects/ulm.yaml:{words}")
    other = {"projects/ulm.yaml": asks["projects/ulm.yaml"] + "priority: 3\n"}
    assert lines(reviewed(asks, other, standing)) == [], "only who asks is told"


def test_a_request_in_time_is_not_remarked_on(reviewed: Callable[..., Review]) -> None:
    asks = {"projects/ulm.yaml": ULM + "next: {stage: detect, after: 2}\nabort: 2\n"}
    standing = known(a_status("ulm", "detect", "report", going=True))
    assert lines(reviewed({"projects/ulm.yaml": ULM}, asks, standing)) == []


def test_a_stage_that_projects_are_at_is_not_removed_silently(reviewed: Callable[..., Review]) -> None:
    both = {"projects/ulm.yaml": ULM, "projects/b.yaml": ULM}
    shorter = {**both, "pipelines/flow.yaml": "stages:\n  - {name: detect, image: x}\n"}
    standing = known(a_status("ulm", "detect", "report"), a_status("b", "detect"))
    (line,) = lines(reviewed(both, shorter, standing))
    assert line.startswith(
        "pipelines/flow.yaml:1:1: warning: this removes stage 'report', which is the last run of ulm:"
    )


def test_only_projects_that_the_change_touches_are_asked_about(reviewed: Callable[..., Review]) -> None:
    asked: list[ProjectName] = []

    def standing(names: Collection[ProjectName]) -> Mapping[ProjectName, ProjectStatus]:
        asked.extend(names)
        return {}

    before = {"projects/a.yaml": ULM, "projects/b.yaml": ULM}
    reviewed(before, {**before, "projects/b.yaml": ULM + "priority: 1\n"}, standing)
    assert asked == ["b"]


def test_what_a_change_means_is_never_an_error(reviewed: Callable[..., Review]) -> None:
    both = {"projects/ulm.yaml": ULM, "projects/b.yaml": "pipeline: flow\n"}
    stays = {"projects/c.yaml": "pipeline: flow\n"}
    found = reviewed({**both, **stays}, {"projects/neu-ulm.yaml": ULM, **stays})
    assert len(found.findings) == 2
    assert {finding.problem.severity for finding in found.findings} == {Severity.WARNING}
