"""What people see: phases, the four words, what to write and where, and never a secret."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.desired import Confirm, Desired, Forge, NodePolicy, Secret, Site
from reconciler.core.entries import MASK
from reconciler.core.environment import Setting
from reconciler.core.ledger import Ledger, Run, RunPhase
from reconciler.core.names import Commit, NodeName
from reconciler.core.nodes import Node
from reconciler.core.problems import Problem, Severity
from reconciler.core.records import LogPointer
from reconciler.core.report import explain, report
from reconciler.core.status import Condition, ProjectPhase, ProjectStatus, Status
from tests.fakes.build import (
    CROSSING,
    NOW,
    A,
    B,
    a_base,
    a_claim,
    a_desired,
    a_ledger,
    a_next,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_stage,
    aborted,
    an_unclaimed_run,
    done,
    failed,
    lost,
    released,
    settings,
)

NODES = (a_node("a"), a_node("b"))


def seen(*runs: Run, desired: Desired | None = None, nodes: tuple[Node, ...] = NODES) -> ProjectStatus:
    status = report(desired or a_desired(), a_ledger(*runs), nodes, branch="main")
    [project] = status.projects
    return project


def words(project: ProjectStatus) -> list[str | None]:
    return [stage.state.value if stage.state else None for stage in project.stages]


def types(project: ProjectStatus) -> dict[str, str]:
    return {condition.type: condition.message for condition in project.conditions}


# --- the thesis' four words ---


@pytest.mark.parametrize(
    ("records", "word"),
    [
        ((a_claim(),), "RUNNING"),
        ((a_claim(), released()), "RUNNING"),
        ((a_claim(), failed(final=False)), "RUNNING"),
        ((a_claim(), done()), "SUCCEEDED"),
        ((a_claim(), failed()), "FAILED"),
        ((a_claim(), aborted()), "FAILED"),
        ((a_claim(), lost()), "FAILED"),
    ],
)
def test_a_stages_word_follows_from_its_newest_run(records: Any, word: str) -> None:
    earlier = a_run(1, "detect", a_claim(), failed())
    assert words(seen(earlier, a_run(2, "detect", *records)))[0] == word


def test_a_stage_that_never_ran_has_no_word() -> None:
    assert words(seen(a_run(1, "detect", a_claim()))) == ["RUNNING", None, None]


def test_a_stage_that_waits_for_a_node_is_paused() -> None:
    assert words(seen(a_run(1, "detect"), nodes=())) == ["SUCCEEDED", "PAUSED", None]


def test_a_stage_that_waits_for_a_person_is_paused() -> None:
    gate = a_pipeline("detect", a_stage("track", confirm=Confirm.BEFORE), "report")
    assert words(seen(a_run(1, "detect"), desired=a_desired(pipeline=gate))) == ["SUCCEEDED", "PAUSED", None]
    paused = a_desired(a_project(paused=True))
    assert words(seen(a_run(1, "detect"), desired=paused)) == ["SUCCEEDED", "PAUSED", None]
    bare = a_pipeline("detect", a_stage("track", requires_environment=("LENS",)))
    assert words(seen(a_run(1, "detect"), desired=a_desired(pipeline=bare))) == ["SUCCEEDED", "PAUSED"]


def test_a_stage_that_is_to_be_redone_is_paused_until_a_node_takes_it() -> None:
    again = a_desired(a_project(next=a_next("detect", 2)))
    project = seen(a_run(1, "detect"), a_run(2, "track"), desired=again, nodes=())
    assert words(project) == ["PAUSED", "SUCCEEDED", None]
    assert project.stages[0].run == 1


# --- phases and what is waited for ---


def test_a_running_project_waits_for_nothing() -> None:
    run = replace(a_run(1, "detect", a_claim()), started_at=NOW)
    project = seen(run)
    assert (project.phase, project.waiting_for, project.last_run) == (ProjectPhase.RUNNING, None, 1)
    assert (project.runs[0].phase, project.runs[0].node, project.runs[0].started_at) == (RunPhase.RUNNING, "a", NOW)


def test_a_run_that_is_tried_again_is_queued_with_the_reason() -> None:
    project = seen(a_run(1, "detect", a_claim(), released()))
    assert project.phase is ProjectPhase.QUEUED
    assert project.waiting_for is not None
    assert (project.waiting_for.reason, project.waiting_for.message) == (
        "Retrying",
        "run 1 (detect) is tried again after: it was lost",
    )


def test_a_run_without_a_claim_is_about_to_be_claimed() -> None:
    project = seen(an_unclaimed_run())
    assert project.waiting_for is not None
    assert project.waiting_for.reason == "Claiming"


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("gitlab", "https://forge.example/lab/state/-/edit/main/projects/ulm%20nord/crossing.yaml"),
        ("github", "https://forge.example/lab/state/edit/main/projects/ulm%20nord/crossing.yaml"),
        ("forgejo", "https://forge.example/lab/state/_edit/main/projects/ulm%20nord/crossing.yaml"),
        ("gitea", "https://forge.example/lab/state/_edit/main/projects/ulm%20nord/crossing.yaml"),
    ],
)
def test_who_waits_for_a_person_gets_the_line_and_where_to_paste_it(kind: str, url: str) -> None:
    forge = Forge(kind=kind, url="https://forge.example/lab/state")
    project = a_project(path="projects/ulm nord/crossing.yaml")
    shown = seen(a_run(1, "detect", a_claim(), failed()), desired=a_desired(project, site=Site(forge=forge)))
    assert shown.waiting_for is not None
    assert shown.waiting_for.edit == "next: {stage: detect, after: 1}"
    assert shown.waiting_for.url == url
    assert shown.waiting_for.since == NOW + timedelta(seconds=2)


def test_without_a_forge_there_is_no_link() -> None:
    shown = seen(a_run(1, "detect", a_claim(), failed()))
    assert shown.waiting_for is not None
    assert shown.waiting_for.url is None


def test_explain_says_of_every_node_why_it_is_not_chosen() -> None:
    project = a_project()
    nodes = (a_node("a"), a_node("b", silent_for=99.0))
    wait, told = explain(a_desired(project), a_ledger(), nodes, project)
    assert (wait.reason, wait.stage) == ("NodeChosen", "detect")
    assert told == {A: "rank 0", B: "gives no sign of life"}


# --- runs ---


def test_a_run_shows_its_outcome_its_files_and_its_last_record() -> None:
    log = LogPointer(path="projects/crossing/runs/0001-detect/3/log.jsonl", lines=2, sha256="5ha", tail=("x", "bye"))
    end = done(
        4,
        "b",
        started_at=NOW,
        ended_at=NOW + timedelta(hours=2),
        image_digest="sha256:1",
        results={"vehicles": "42"},
        log=log,
    )
    [run] = seen(a_run(1, "detect", a_claim(1), released(2), a_claim(3, "b"), end)).runs
    assert (run.node, run.attempts, run.exit_code, run.image_digest) == ("b", 2, 0, "sha256:1")
    assert (run.started_at, run.ended_at) == (NOW, NOW + timedelta(hours=2))
    assert (run.results, run.tail, run.log_sha256) == ({"vehicles": "42"}, ("x", "bye"), "5ha")
    assert run.log == "projects/crossing/runs/0001-detect/3/log.jsonl"
    assert run.workspace == "projects/crossing/runs/0001-detect/3/workspace"
    assert run.output == "projects/crossing/output/0001-detect"
    assert (run.record, run.token) == (4, end.token)


def test_a_failed_runs_output_is_shown_where_it_was_left() -> None:
    [run] = seen(a_run(1, "detect", a_claim(), failed())).runs
    assert run.output == "projects/crossing/runs/0001-detect/1/output"
    assert (run.reason, run.message) == ("ExitCode", "exited with code 1")


def test_an_aborted_run_says_so() -> None:
    [run] = seen(a_run(1, "detect", a_claim(), aborted())).runs
    assert (run.phase, run.reason) == (RunPhase.ABORTED, "AbortRequested")


def test_secrets_are_masked() -> None:
    environment = {**settings({"X": "1"}), "LICENCE": Setting(Secret("tracker"), "winslow.yaml")}
    [run] = seen(a_run(1, "detect", a_claim(), environment=environment)).runs
    assert run.environment == {"X": "1", "LICENCE": MASK}
    assert run.secrets == {"LICENCE": "tracker"}  # by name, as git has it: the value is on the nodes alone


# --- conditions ---


def test_a_changed_environment_starts_nothing_and_prints_the_line_that_would() -> None:
    runs = [a_run(n, stage, environment=settings({"T": "1"}), is_last=n == 3) for n, stage in enumerate(THREE, 1)]
    project = seen(*runs, desired=a_desired(a_project(environment={"T": "2"})))
    assert project.phase is ProjectPhase.SUCCEEDED
    assert types(project)["EnvironmentChanged"].endswith("to run it again: next: {stage: detect, after: 3}")
    assert "EnvironmentChanged" not in types(seen(*runs, desired=a_desired(a_project(environment={"T": "1"}))))


THREE = ("detect", "track", "report")


def test_what_a_request_set_for_one_run_is_no_change() -> None:
    asked = {"T": Setting("9", "projects/crossing.yaml next")}
    assert "EnvironmentChanged" not in types(seen(a_run(1, "report", environment=asked, is_last=True)))


def test_stages_added_to_a_finished_project_are_told_with_the_line_to_run_them() -> None:
    project = seen(a_run(1, "detect", is_last=True))
    assert project.phase is ProjectPhase.SUCCEEDED
    assert types(project)["StagesAdded"].endswith("next: {stage: track, after: 1}")


def test_a_broken_file_goes_on_in_its_last_good_version_and_says_so() -> None:
    problem = Problem(file="projects/crossing.yaml", line=3, column=7, message="'yes' is no number; write 3")
    desired = a_desired(problems=(problem,), stale={"projects/crossing.yaml": Commit("d" * 40)})
    told = types(seen(desired=desired))["FileBroken"]
    assert told.startswith("projects/crossing.yaml:3:7: 'yes' is no number")
    assert "dddddddddd" in told


def test_problems_in_files_are_conditions_of_the_site() -> None:
    problems = (
        Problem(file="pipelines/x.yaml", line=1, column=1, message="empty"),
        Problem(file="nodes/a.yaml", line=1, column=1, message="odd", severity=Severity.WARNING),
    )
    status = report(a_desired(problems=problems), a_ledger(), (), branch="main")
    assert [condition.type for condition in status.conditions] == ["FileBroken", "FileSuspicious"]


def test_a_file_that_never_was_good_is_an_invalid_project() -> None:
    problem = Problem(file="projects/ulm.yaml", line=1, column=1, message="torn")
    status = report(a_desired(problems=(problem,)), a_ledger(), (), branch="main")
    assert [(project.project, project.phase.value) for project in status.projects] == [
        ("crossing", "Queued"),
        ("ulm", "Invalid"),
    ]


def test_a_project_gone_from_git_keeps_its_history() -> None:
    desired = replace(a_desired(), projects={})
    project = seen(a_run(1, "detect"), a_run(2, "detect"), desired=desired)
    assert (project.phase, [stage.stage for stage in project.stages]) == (ProjectPhase.PAUSED, ["detect"])
    assert "FileDeleted" in types(project)
    assert seen(a_run(1, "detect", a_claim()), desired=desired).phase is ProjectPhase.RUNNING


def test_a_project_whose_records_are_unreadable_is_invalid() -> None:
    ledger = Ledger(share=a_ledger().share, unreadable={CROSSING: "00000001.json: torn"})
    [project] = report(a_desired(), ledger, (), branch="main").projects
    assert (project.phase, project.waiting_for and project.waiting_for.message) == (
        ProjectPhase.INVALID,
        "00000001.json: torn",
    )


# --- nodes ---


def test_a_node_shows_what_it_offers_and_runs() -> None:
    run = a_run(1, "detect", a_claim())
    status: Status = report(
        a_desired(),
        a_ledger(run),
        (a_node("a", labels={"room": "1"}), a_node("b", silent_for=61.0)),
        branch="main",
        conditions=(Condition(type="X", status="True", reason="X", message="x"),),
    )
    a, b = status.nodes
    assert (a.live, a.running, a.labels) == (True, ("crossing/0001-detect",), {"room": "1"})
    assert (b.live, b.silent_for, b.running) == (False, 61.0, ())
    assert [condition.type for condition in status.conditions] == ["X"]


# --- what nobody answers, and where files come from ---


def test_a_finished_project_says_that_its_request_does_nothing() -> None:
    runs = [a_run(n, stage, is_last=n == 3) for n, stage in enumerate(THREE, 1)]
    waiting = seen(*runs, desired=a_desired(a_project(next=a_next("detect", 9)))).waiting_for
    assert waiting is not None
    assert (waiting.reason, waiting.edit) == ("RequestPending", "next: {stage: detect, after: 3}")
    assert seen(*runs).waiting_for is None


def test_a_change_names_its_variables_and_no_later_stage() -> None:
    """Run again alone, a later stage would mix new settings with old inputs."""
    runs = [
        a_run(1, "detect", environment=settings({"T": "1"})),
        a_run(2, "track", environment=settings({"T": "1"})),
        a_run(3, "report", environment=settings({"T": "1"})),
        a_run(4, "detect", environment=settings({"T": "2"}), is_last=False),
        a_run(5, "track", environment=settings({"T": "1"})),
        a_run(6, "report", environment=settings({"T": "1"}), is_last=True),
    ]
    told = types(seen(*runs, desired=a_desired(a_project(environment={"T": "3"}))))["EnvironmentChanged"]
    assert told.startswith("T changed since run 4 (detect)")


def test_a_stage_on_a_node_that_gives_no_sign_of_life_says_so() -> None:
    run = a_run(1, "detect", a_claim(1, "b"))
    silent = (a_node("a"), a_node("b", silent_for=90.0))
    assert "node b gives no sign of life" in types(seen(run, nodes=silent))["NodeSilent"]
    assert "NodeSilent" not in types(seen(run))


def test_a_file_about_a_node_that_never_joined_is_told() -> None:
    desired = a_desired(nodes={NodeName("aa"): NodePolicy(drained=True)})
    told = {one.type: one.message for one in report(desired, a_ledger(), NODES, branch="main").conditions}
    assert told["NodeUnknown"] == "nodes/aa.yaml: no node of that name has joined; there are: a, b"


def test_a_run_names_the_run_it_began_from() -> None:
    base = a_base(1, "detect")
    [first, second] = seen(a_run(1, "detect"), a_run(2, "track", base=base)).runs
    assert (first.base, second.base) == (None, 1)


def test_a_stage_that_its_best_node_can_not_start_is_not_said_to_be_about_to() -> None:
    fault = "image 'nosuch/image:1' is not on this node, and its stage says pull: never; build or load it here"
    node = replace(a_node("a"), faults={CROSSING: fault})
    wait, answers = explain(a_desired(), a_ledger(), (node,), a_project())
    assert (wait.reason, wait.phase) == ("StartFaulty", ProjectPhase.QUEUED)
    assert wait.message == f"stage 'detect' can't start yet (tried by a): {fault}"
    assert answers == {"a": fault}
