"""Each command that edits: what it writes, what it says will follow, and what it refuses."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.cli.edits import EDITS
from reconciler.core.ledger import RunPhase
from reconciler.core.names import PipelineName, ProjectName, RunNumber, StageName
from reconciler.core.status import Condition, ProjectPhase, ProjectStatus, RunStatus, WaitingFor, condition

FILE = "projects/ulm/flight-07.yaml"
PROJECT = "name: Flight 07   # fog\npipeline: flow\n"
SEE = "; see winslow status flight-07\n"
FIRST = "# yaml-language-server: $schema="


def run(number: int, stage: str, phase: RunPhase = RunPhase.SUCCEEDED) -> RunStatus:
    return RunStatus(
        run=RunNumber(number),
        stage=StageName(stage),
        phase=phase,
        node=None,
        attempts=1,
        started_at=None,
        ended_at=None,
        exit_code=None,
        log=None,
    )


def status(phase: ProjectPhase, *runs: RunStatus, edit: str | None = None, reason: str = "Because") -> ProjectStatus:
    waits = phase not in (ProjectPhase.RUNNING, ProjectPhase.SUCCEEDED)
    return ProjectStatus(
        project=ProjectName("flight-07"),
        name="Flight 07",
        pipeline=PipelineName("flow"),
        tags=(),
        phase=phase,
        waiting_for=WaitingFor(reason=reason, message="it waits", edit=edit) if waits else None,
        conditions=(),
        last_run=runs[-1].run if runs else None,
        stages=(),
        runs=runs,
        path=FILE,
    )


FAILED = status(
    ProjectPhase.FAILED,
    *(run(1, "detect"), run(2, "track"), run(3, "track", RunPhase.FAILED)),
    edit="next: {stage: track, after: 3}",
)
RUNNING = status(ProjectPhase.RUNNING, run(1, "detect"), run(2, "track", RunPhase.RUNNING))


@pytest.fixture
def ada(desks: Any) -> Any:
    desks[0].push(FILE, PROJECT)
    return desks[0]


@pytest.fixture
def text(remote: Any) -> Callable[[], str]:
    """The project's file on the remote."""
    return lambda: str(remote.text(FILE))


def failure(ended: Any) -> str:
    assert (ended.code, ended.out) == (2, "")
    return str(ended.err)


# --- new, delete, restore ---


def test_new_writes_a_file_that_editors_know_and_nodes_accept(ada: Any, remote: Any) -> None:
    ended = ada(
        *("new", "ulm/may/f8", "--pipeline", "flow", "--input", "resources/f8.mp4", "--input", "input/mask.png"),
        *("--tag", "4k", "--tag", "no", "--name", "Ulm, flight 08"),
    )
    assert ended.code == 0
    assert remote.text("projects/ulm/may/f8.yaml") == (
        f"{FIRST}../../../.winslow/schemas/project.schema.json\n"
        'name: Ulm, flight 08\npipeline: flow\ntags: [4k, "no"]\ninputs: [resources/f8.mp4, input/mask.png]\n'
    )
    assert remote.subjects()[0] == "f8: begin the project"
    assert ended.out.endswith("its first stage starts once the nodes have seen it; see winslow status f8\n")


def test_new_may_leave_the_pipeline_to_the_folders_defaults(ada: Any) -> None:
    assert "this project names no pipeline" in ada("new", "ulm/f8").err
    ada.push("projects/ulm/_defaults.yaml", "pipeline: flow\n")
    assert ada("new", "ulm/f8").code == 0


@pytest.mark.parametrize("name", ["a b", "../x", "a/", "/a", "_defaults", ".a", "a.yaml", "a//b", "x\ny", "ulm/../a"])
def test_new_refuses_names_that_no_file_can_have(ada: Any, name: str) -> None:
    assert "can't name a project" in ada("new", name, "--pipeline", "flow").err.replace("\n", " ")


def test_new_refuses_a_name_that_is_taken_in_any_folder(ada: Any) -> None:
    assert f"exists already: {FILE}" in ada("new", "flight-07", "--pipeline", "flow").err


def test_new_tells_of_a_former_project_of_that_name(ada: Any, remote: Any) -> None:
    remote.publish(replace(FAILED, project=ProjectName("old")))
    assert "up to run 3: it goes on from there" in ada("new", "old", "--pipeline", "flow").out


def test_delete_removes_the_file_and_restore_brings_back_the_very_same(ada: Any, remote: Any, text: Any) -> None:
    ended = ada("delete", "flight-07")
    assert ended.code == 0
    assert "its files stay on the share for 7 d; winslow restore flight-07 undoes it" in ended.out
    assert FILE not in remote.git("ls-tree", "-r", "--name-only", "main")
    assert not (ada.clone / FILE).exists()
    assert "was deleted; winslow restore flight-07 puts it back" in ada("pause", "flight-07").err
    assert ada("restore", "flight-07").code == 0
    assert text() == PROJECT


def test_without_a_retention_delete_and_restore_say_what_is_lost(ada: Any, remote: Any) -> None:
    ada.push("winslow.yaml", "version: 1\nretention: 0s\n")
    remote.publish(FAILED)
    said = ada("delete", "flight-07").out
    assert "its files are removed from the share at once (retention: 0s)" in said
    assert "brings back only the project's own file" in said
    remote.publish()
    assert "it begins anew: they know nothing of it any more" in ada("restore", "flight-07").out


def test_restore_knows_where_the_file_lay_last(ada: Any, remote: Any) -> None:
    ada.git("mv", FILE, "projects/flight-07.yaml")
    ada.git("commit", "-q", "-m", "Move")
    ada.git("push", "-q", "origin", "HEAD:main")
    ada("delete", "flight-07")
    ada("restore", "flight-07")
    assert remote.text("projects/flight-07.yaml") == PROJECT
    assert FILE not in remote.git("ls-tree", "-r", "--name-only", "main")


def test_restore_finds_what_a_merge_deleted(ada: Any, text: Any) -> None:
    ada.git("checkout", "-q", "-b", "clean-up")
    ada.git("rm", "-q", FILE)
    ada.git("commit", "-q", "-m", "Clean up")
    ada.git("checkout", "-q", "main")
    ada.git("merge", "-q", "--no-ff", "--no-edit", "clean-up")
    ada.git("push", "-q", "origin", "HEAD:main")
    assert ada("restore", "flight-07").code == 0
    assert text() == PROJECT


def test_restore_refuses_what_is_there_and_what_never_was(ada: Any) -> None:
    assert f"is not deleted: its file is {FILE}" in failure(ada("restore", "flight-07"))
    assert "was ever deleted here" in failure(ada("restore", "flight-09"))
    assert "was ever deleted here" in failure(ada("restore", "*"))


# --- resume ---


def test_resume_takes_back_a_pause(ada: Any, text: Any) -> None:
    ada("pause", "flight-07")
    assert ada("resume", "flight-07").code == 0
    assert text() == PROJECT + "paused: false\n"


def test_resume_writes_the_line_that_the_status_offers(ada: Any, remote: Any, text: Any) -> None:
    remote.publish(replace(FAILED, waiting_for=WaitingFor(reason="F", message="run 3 failed", edit=SPENT)))
    ended = ada("resume", "flight-07")
    assert text() == PROJECT + "next: {stage: track, after: 3, id: again}\n"
    assert "once the nodes have seen it: stage 'track' starts" + SEE in ended.out


SPENT = "next: {stage: track, after: 3, id: again}"


def test_resume_says_why_there_is_nothing_to_resume(ada: Any, remote: Any) -> None:
    assert "no node has reported about 'flight-07' yet" in failure(ada("resume", "flight-07"))
    remote.publish(RUNNING)
    assert "'flight-07' is Running: there is nothing to resume" in failure(ada("resume", "flight-07"))
    missing = 'environment: {HEIGHT: "..."}'
    remote.publish(status(ProjectPhase.AWAITING_INPUT, edit=missing, reason="EnvironmentMissing"))
    assert "write winslow set flight-07 NAME=VALUE" in failure(ada("resume", "flight-07"))
    remote.publish(status(ProjectPhase.QUEUED))
    assert "it starts by itself" in failure(ada("resume", "flight-07"))


def test_resume_of_a_pause_before_a_gate_says_that_the_gate_stays(ada: Any, remote: Any) -> None:
    remote.publish(status(ProjectPhase.PAUSED, run(1, "detect"), run(2, "track")))
    ada("pause", "flight-07")
    said = ada("resume", "flight-07").out
    assert "it still waits for stage 'report'; winslow resume flight-07 again confirms it" in said


def test_resume_of_a_pause_says_which_stage_starts_or_what_it_waits_for(ada: Any, remote: Any) -> None:
    for reported, told in [
        (status(ProjectPhase.PAUSED, run(1, "detect")), "stage 'track' starts"),
        (status(ProjectPhase.PAUSED), "stage 'detect' starts"),
        (FAILED, "it still waits after run 3 (track), Failed; winslow resume flight-07 again starts"),
    ]:
        remote.publish(reported)
        ada("pause", "flight-07")
        assert told in ada("resume", "flight-07").out


def test_the_status_names_resume_where_it_writes_the_same_line(ada: Any, remote: Any) -> None:
    for edit, is_named in [
        ("next: {stage: track, after: 3}", True),
        ("paused: false", True),
        ('next: {stage: track, after: 3, environment: {HEIGHT: "..."}}', False),
        ('environment: {HEIGHT: "..."}', False),
    ]:
        remote.publish(status(ProjectPhase.AWAITING_INPUT, run(3, "detect"), edit=edit))
        assert ("or: winslow resume flight-07\n" in ada("status", "flight-07").out) is is_named


# --- redo, goto ---


def test_goto_with_variables_points_to_redo(ada: Any) -> None:
    assert "write winslow redo flight-07 detect X=1" in failure(ada("goto", "flight-07", "detect", "X=1"))


def test_redo_asks_for_the_last_runs_stage_after_that_run(ada: Any, remote: Any, text: Any) -> None:
    remote.publish(FAILED)
    ended = ada("redo", "flight-07")
    assert text() == PROJECT + "next: {stage: track, after: 3}\n"
    assert remote.subjects()[0] == "flight-07: redo track after run 3"
    assert ended.out.endswith("once the nodes have seen it: run 4 (track) starts" + SEE)


def test_redo_of_a_request_that_was_spent_takes_the_id_that_the_status_offers(ada: Any, remote: Any, text: Any) -> None:
    remote.publish(replace(FAILED, waiting_for=WaitingFor(reason="F", message="f", edit=SPENT)))
    ada("redo", "flight-07")
    assert text() == PROJECT + SPENT + "\n"
    ada("redo", "flight-07", "detect")
    assert text() == PROJECT + "next: {stage: detect, after: 3}\n"


def test_a_request_that_came_too_late_is_asked_again_under_another_id(ada: Any, remote: Any, text: Any) -> None:
    """The same words once more would be the same request, which is stale for good."""
    stale = Condition(type="RequestStale", status="True", reason="RequestStale", message="next is stale")
    remote.publish(replace(FAILED, conditions=(stale,)))
    ada("goto", "flight-07", "detect")
    for identity in ("again", "again-2", "again-3"):
        ada("goto", "flight-07", "detect")
        assert text() == PROJECT + f"next: {{stage: detect, after: 3, id: {identity}}}\n"


def test_redo_sets_variables_of_the_project_and_keeps_its_layout(ada: Any, remote: Any, text: Any) -> None:
    ada.push(FILE, PROJECT + "environment:\n  A: '1'  # one\nnext:\n  # once more\n  stage: track\n  after: 2\n")
    remote.publish(FAILED)
    assert ada("redo", "flight-07", "detect", "A=no", "B=x=y z", "C=").code == 0
    assert text() == (
        PROJECT + 'environment:\n  A: \'no\'  # one\n  B: "x=y z"\n  C: ""\n'
        "next:\n  # once more\n  stage: detect\n  after: 3\n"
    )


def test_redo_sets_a_variable_where_it_counts(ada: Any, remote: Any, text: Any) -> None:
    """The project sets it for this stage, which is stronger than for all stages."""
    ada.push(FILE, PROJECT + 'stages: {track: {environment: {A: "1"}}}\n')
    remote.publish(FAILED)
    ada("redo", "flight-07", "A=2")
    assert text() == PROJECT + 'stages: {track: {environment: {A: "2"}}}\nnext: {stage: track, after: 3}\n'


def test_redo_once_sets_variables_for_one_run_alone(ada: Any, remote: Any, text: Any) -> None:
    remote.publish(FAILED)
    ada("redo", "flight-07", "A=0.5", "--once", "--then", "pause", "--from", "2")
    assert text() == PROJECT + 'next: {stage: track, after: 3, from: 2, then: pause, environment: {A: "0.5"}}\n'


def test_redo_before_anything_ran_needs_a_stage(ada: Any, text: Any) -> None:
    assert "name the stage to start" in failure(ada("redo", "flight-07"))
    assert "name the stage to start" in failure(ada("redo", "flight-07", "A=1"))
    assert ada("redo", "flight-07", "detect").code == 0
    assert text() == PROJECT + "next: {stage: detect}\n"


def test_goto_starts_any_stage_of_the_pipeline(ada: Any, remote: Any, text: Any) -> None:
    remote.publish(FAILED)
    ended = ada("goto", "flight-07", "report", "--from", "3")
    assert text() == PROJECT + "next: {stage: report, after: 3, from: 3}\n"
    assert ended.out.endswith("once the nodes have seen it: run 4 (report) starts" + SEE)


def test_an_unknown_stage_is_answered_with_the_pipelines(ada: Any) -> None:
    told = failure(ada("goto", "flight-07", "dtect"))
    assert "has no stage 'dtect'; did you mean 'detect'? Its stages are detect, track, report" in told


def test_a_run_that_has_no_workspace_to_start_from_is_refused(ada: Any, remote: Any) -> None:
    assert "no run 1 whose workspace could be used; none has ended yet" in failure(
        ada("goto", "flight-07", "report", "--from", "1")
    )
    remote.publish(RUNNING)
    assert "the ended ones are 1" in failure(ada("goto", "flight-07", "report", "--from", "2"))


def test_a_request_while_a_run_is_going_waits_and_says_so(ada: Any, remote: Any, text: Any) -> None:
    remote.publish(RUNNING)
    ended = ada("redo", "flight-07", "detect")
    assert text() == PROJECT + "next: {stage: detect, after: 2}\n"
    assert "run 2 (track) is still going: detect starts once that has succeeded" in ended.out
    assert "--abort" in ended.out


def test_the_going_run_can_be_aborted_by_the_same_commit(ada: Any, remote: Any, text: Any) -> None:
    remote.publish(RUNNING)
    ended = ada("redo", "flight-07", "detect", "--abort")
    assert text() == PROJECT + "abort: 2\nnext: {stage: detect, after: 2}\n"
    assert ended.out.endswith("once the nodes have seen it: run 3 (detect) starts" + SEE)


def test_an_abort_that_joins_a_request_already_pending_asks_under_another_id(ada: Any, remote: Any, text: Any) -> None:
    """A request that came before the order to abort does not survive it."""
    remote.publish(RUNNING)
    ada("redo", "flight-07", "detect")
    ada("redo", "flight-07", "detect", "--abort")
    assert text() == PROJECT + "next: {stage: detect, after: 2, id: again}\nabort: 2\n"


def test_a_request_to_a_paused_project_says_that_it_waits(ada: Any, remote: Any) -> None:
    ada("pause", "flight-07")
    remote.publish(FAILED)
    assert "the project is paused: run 4 (track) starts after winslow resume" in ada("redo", "flight-07").out


# --- pause, abort ---


def test_pause_tells_what_goes_on(ada: Any, remote: Any, text: Any) -> None:
    remote.publish(RUNNING)
    ended = ada("pause", "flight-07")
    assert text() == PROJECT + "paused: true\n"
    assert "run 2 (track) goes on to its end, and nothing new starts before winslow resume" in ended.out


def test_abort_names_the_run_that_is_going(ada: Any, remote: Any, text: Any) -> None:
    remote.publish(RUNNING)
    assert ada("abort", "flight-07").code == 0
    assert text() == PROJECT + "abort: 2\n"
    assert remote.subjects()[0] == "flight-07: abort run 2 (track)"
    assert "nothing to change" in ada("abort", "flight-07", "2").out


def test_abort_of_what_is_not_going_names_the_last_run(ada: Any, remote: Any) -> None:
    assert "nothing ran yet in 'flight-07'" in failure(ada("abort", "flight-07"))
    remote.publish(FAILED)
    assert "no run is going in 'flight-07': the last one is run 3 (track), Failed" in failure(ada("abort", "flight-07"))
    remote.publish(RUNNING)
    assert "run 1 is not going" in failure(ada("abort", "flight-07", "1"))


# --- set, unset, tag, rename, pipeline ---


def test_set_and_unset_change_one_level(ada: Any, text: Any) -> None:
    ended = ada("set", "flight-07", "A=1e3", "B=0x10", "--stage", "track")
    assert text() == PROJECT + 'stages: {track: {environment: {A: "1e3", B: "0x10"}}}\n'
    assert "winslow redo flight-07 track" in ended.out
    ended = ada("set", "flight-07", "A=b")
    assert "stages: still sets A for track, which is stronger; change it by --stage" in ended.out
    assert ada("unset", "flight-07", "A", "B", "--stage", "track").code == 0
    assert text() == PROJECT + "environment: {A: b}\n"


def test_set_refuses_what_is_no_variable(ada: Any) -> None:
    assert "'A' is no variable; write KEY=VALUE" in failure(ada("set", "flight-07", "A"))
    assert "nothing was changed" in ada("set", "flight-07", "A=1", "--stage", "dtect").err


def test_unset_names_what_is_set(ada: Any) -> None:
    ada("set", "flight-07", "A=1")
    assert f"{FILE} does not set B; it sets: A" in failure(ada("unset", "flight-07", "B"))


def test_tags_come_and_go_and_the_others_keep_their_text(ada: Any, text: Any) -> None:
    ada.push(FILE, PROJECT + "tags:\n  - a   # first\n  - 'b'\n")
    ada("tag", "flight-07", "c", "a", "--remove", "b")
    assert text() == PROJECT + "tags:\n  - a   # first\n  - c\n"
    assert "has no tag b of its own; it has: a, c" in failure(ada("tag", "flight-07", "--remove", "b"))
    ada("tag", "flight-07", "--remove", "a", "--remove", "c")
    assert text() == PROJECT
    assert "name tags" in failure(ada("tag", "flight-07"))


@pytest.mark.parametrize("tags", ["abc", "{a: b}", "5", "[[a], b]"])
def test_tags_that_are_no_list_of_words_are_not_lost(ada: Any, text: Any, tags: str) -> None:
    """A word would become its letters, a mapping its keys; a list in the list can't be compared."""
    ada.push(FILE, PROJECT + f"tags: {tags}\n")
    for change in ("c", "--remove=a"):
        assert f"{FILE}: tags is no list of words" in failure(ada("tag", "flight-07", change))
    assert text() == PROJECT + f"tags: {tags}\n"


def test_rename_changes_the_name_and_says_that_the_identity_stays(ada: Any, text: Any) -> None:
    ended = ada("rename", "flight-07", "Ulm: flight 07")
    assert text() == 'name: "Ulm: flight 07"   # fog\npipeline: flow\n'
    assert "the project is still 'flight-07'" in ended.out


def test_a_name_of_several_lines_makes_a_subject_of_one(ada: Any, remote: Any) -> None:
    ada("rename", "flight-07", "one\ntwo \x1b[31m")
    assert remote.git("log", "-1", "--format=%B", "main") == "flight-07: rename to one two \ufffd[31m"


def test_another_pipeline_tells_when_nobody_knows_where_to_go_on(ada: Any, remote: Any, text: Any) -> None:
    ada.push("pipelines/short.yaml", "name: Short\nstages:\n  - {name: detect, image: x}\n")
    remote.publish(FAILED)
    ended = ada("pipeline", "flight-07", "short")
    assert text() == PROJECT.replace("flow", "short")
    assert "its stage 'track' is not in 'short', so say where to go on: winslow goto flight-07 STAGE" in ended.out


# --- all ---


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_has_the_options_that_all_share(ada: Any, name: str) -> None:
    told = ada(name, "--help").out
    assert [
        option for option in ("--repository", "--merge-request", "--dry-run", "--message") if option not in told
    ] == []


def test_an_observed_branch_that_no_node_wrote_is_an_error_in_words(ada: Any, remote: Any) -> None:
    ada.git("push", "-q", "origin", "main:observed")
    ada("goto", "flight-07", "detect")
    remote.publish(FAILED)
    ada.git("fetch", "-q", "origin", "observed")
    ada.git("checkout", "-q", "FETCH_HEAD")
    (ada.clone / "projects/flight-07/status.yaml").write_text("- [")
    ada.git("commit", "-q", "-a", "-m", "Spoil")
    ada.git("push", "-q", "origin", "HEAD:observed")
    ada.git("checkout", "-q", "main")
    ended = ada("redo", "flight-07")
    assert ended.code == 3
    assert "bug" not in ended.err
    for command in (["pause", "flight-07"], ["resume", "flight-07"], ["new", "other", "--pipeline", "flow"]):
        assert ada(*command).code == 0, "what only tells of the status does without it"
    ada.push("pipelines/short.yaml", "name: Short\nstages:\n  - {name: detect, image: x}\n")
    assert ada("pipeline", "flight-07", "short").code == 0


def test_another_pipeline_says_which_stage_follows_in_it(ada: Any, remote: Any) -> None:
    def told(reported: ProjectStatus, name: str) -> str:
        remote.publish(reported)
        return str(ada("pipeline", "flight-07", name, "--dry-run").out)

    ada.push("pipelines/short.yaml", "name: Short\nstages:\n  - {name: detect, image: 'e/d:1'}\n")
    ada.push(
        "pipelines/gated.yaml",
        "name: Gated\nstages:\n  - {name: detect, image: 'e/d:1'}\n  - {name: track, image: 'e/t:1'}\n"
        "  - {name: check, image: 'e/c:1', confirm: once}\n",
    )
    assert (
        "run 2 (track) ends as it was started; then it waits for stage 'check'; winslow resume flight-07 confirms it"
        in told(RUNNING, "gated")
    )
    assert "then it waits: its stage 'track' is not in 'short'" in told(RUNNING, "short")
    waits = status(ProjectPhase.AWAITING_INPUT, run(1, "detect"))
    assert "it would be: stage 'track' starts" in told(waits, "gated")
    assert "it would be: the project is finished" in told(waits, "short")
    done = status(ProjectPhase.SUCCEEDED, run(1, "detect"))
    assert "stays so; to go on: winslow goto flight-07 track" in told(done, "gated")


def test_while_a_rewritten_history_is_not_accepted_an_edit_says_that_nodes_do_not_see_it(ada: Any, remote: Any) -> None:
    remote.publish(FAILED)
    assert ada("pause", "flight-07").err == ""
    remote.publish(FAILED, conditions=(condition("SourceRewritten", "main was rewritten"),))
    ended = ada("resume", "flight-07")
    assert ended.code == 0
    assert "main was rewritten and nobody has accepted it (winslow accept-rewrite)" in ended.err
