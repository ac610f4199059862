"""What a person can ask with ``next``, ``paused`` and ``abort``: the contract's table, row by row."""

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.decide import Decision, RunOpen, Wait, decide
from reconciler.core.desired import Confirm, Project, Secret, Then
from reconciler.core.ledger import ProjectHistory, Retired, Run
from reconciler.core.names import PipelineName, RecordNumber, RunNumber, StageName
from reconciler.core.records import DesiredSeen
from reconciler.core.requests import (
    abort_conditions,
    canonical,
    line_of,
    next_line,
    request_conditions,
    request_line,
)
from reconciler.core.status import ProjectPhase
from tests.fakes.build import (
    COMMIT,
    a_claim,
    a_created,
    a_desired,
    a_history,
    a_next,
    a_pipeline,
    a_project,
    a_run,
    a_seen,
    a_stage,
    aborted,
    failed,
    lost,
    started,
)

DETECTED = a_run(1, "detect")
TRACKED = a_run(2, "track")
REPORTED = a_run(3, "report", is_last=True)
FAILED_TRACK = a_run(2, "track", a_claim(), failed())
OPEN_TRACK = a_run(2, "track", a_claim())


def asked(project: Project, *runs: Run, seen: tuple[DesiredSeen, ...] = ()) -> Decision:
    return decide(a_desired(project), project, a_history(*runs, seen=seen))


def conditions(project: Project, history: ProjectHistory) -> dict[str, str]:
    return {condition.type: condition.message for condition in request_conditions(project, history)}


def test_without_a_request_stages_follow_the_pipelines_order() -> None:
    project = a_project()
    assert started(asked(project)).stage.name == "detect"
    assert started(asked(project, DETECTED)).stage.name == "track"
    assert started(asked(project, DETECTED, TRACKED)).stage.name == "report"
    finished = asked(project, DETECTED, TRACKED, REPORTED)
    assert isinstance(finished, Wait)
    assert (finished.phase, finished.reason) == (ProjectPhase.SUCCEEDED, "Finished")


def test_a_stage_is_redone_with_another_parameter() -> None:
    request = a_next("detect", 3, environment={"THRESHOLD": "0.35"})
    start = started(asked(a_project(next=request), DETECTED, TRACKED, REPORTED))
    assert (start.stage.name, start.request, start.base) == ("detect", request, None)


@pytest.mark.parametrize("stage", ["detect", "track", "report"])
def test_a_request_jumps_to_any_stage_forward_or_back(stage: str) -> None:
    assert started(asked(a_project(next=a_next(stage, 2)), DETECTED, TRACKED)).stage.name == stage


def test_a_request_without_after_starts_a_project_anywhere() -> None:
    assert started(asked(a_project(next=a_next("report")))).stage.name == "report"


def test_a_failed_project_is_resumed_where_it_failed() -> None:
    project = a_project()
    waits = asked(project, DETECTED, FAILED_TRACK)
    assert isinstance(waits, Wait)
    assert (waits.phase, waits.reason, waits.edit) == (
        ProjectPhase.FAILED,
        "ExitCode",
        "next: {stage: track, after: 2}",
    )
    resumed = started(asked(replace(project, next=a_next("track", 2)), DETECTED, FAILED_TRACK))
    assert resumed.stage.name == "track"


@pytest.mark.parametrize(("end", "reason"), [(aborted(), "Aborted"), (lost(), "AttemptsUsedUp")])
def test_after_an_abort_or_a_loss_nothing_follows_until_somebody_asks(end: object, reason: str) -> None:
    run = a_run(2, "track", a_claim(), end)  # type: ignore[arg-type]  # parametrised
    waits = asked(a_project(), DETECTED, run)
    assert isinstance(waits, Wait)
    assert (waits.phase, waits.reason) == (ProjectPhase.FAILED, reason)
    assert started(asked(a_project(next=a_next("track", 2)), DETECTED, run)).stage.name == "track"


@pytest.mark.parametrize("confirm", ["before", "once"])
def test_a_gate_waits_for_its_confirmation(confirm: str) -> None:
    pipeline = a_pipeline("detect", a_stage("track", confirm=Confirm(confirm)), "report")
    project = a_project()
    waits = decide(a_desired(project, pipeline=pipeline), project, a_history(DETECTED))
    assert isinstance(waits, Wait)
    assert (waits.phase, waits.reason, waits.edit) == (
        ProjectPhase.AWAITING_INPUT,
        "ConfirmationRequired",
        "next: {stage: track, after: 1}",
    )
    confirmed = replace(project, next=a_next("track", 1))
    assert (
        started(decide(a_desired(confirmed, pipeline=pipeline), confirmed, a_history(DETECTED))).stage.name == "track"
    )


def test_then_pause_stops_after_one_stage_and_another_request_goes_on() -> None:
    request = a_next("detect", 2, then=Then.PAUSE)
    answered = a_run(3, "detect", then=Then.PAUSE, request=canonical(request))
    waits = asked(a_project(next=request), DETECTED, TRACKED, answered)
    assert isinstance(waits, Wait)
    assert (waits.phase, waits.reason, waits.edit) == (
        ProjectPhase.AWAITING_INPUT,
        "PausedAfterStage",
        "next: {stage: track, after: 3}",
    )
    assert started(asked(a_project(next=a_next("track", 3)), DETECTED, TRACKED, answered)).stage.name == "track"


def test_then_pause_after_the_last_stage_is_an_end_like_any_other() -> None:
    last = a_run(3, "report", is_last=True, then=Then.PAUSE)
    ended = asked(a_project(), DETECTED, TRACKED, last)
    assert isinstance(ended, Wait)
    assert ended.reason == "Finished"


def test_paused_outranks_next() -> None:
    waits = asked(a_project(paused=True, next=a_next("detect", 1)), DETECTED)
    assert isinstance(waits, Wait)
    assert (waits.phase, waits.edit, waits.stage) == (ProjectPhase.PAUSED, "paused: false", "detect")


def test_paused_lets_the_current_stage_end() -> None:
    assert isinstance(asked(a_project(paused=True), DETECTED, OPEN_TRACK), RunOpen)


def test_an_abort_and_its_successor_may_stand_in_one_commit() -> None:
    request = a_next("detect", 2)
    seen = a_seen(9, request=request, abort=RunNumber(2), open_run=RunNumber(2))
    project = a_project(next=request, abort=RunNumber(2))
    run = a_run(2, "track", a_claim(), aborted())
    assert started(asked(project, DETECTED, run, seen=(seen,))).stage.name == "detect"


def test_another_pipeline_counts_for_the_next_run() -> None:
    other = a_pipeline("detect", "count", id=PipelineName("counting"), path="pipelines/counting.yaml")
    project = a_project(pipeline=PipelineName("counting"))
    decision = decide(a_desired(project, pipeline=other), project, a_history(DETECTED))
    assert started(decision).stage.name == "count"


@pytest.mark.parametrize("waiting", [(DETECTED, FAILED_TRACK), (DETECTED, TRACKED, REPORTED)])
def test_a_pause_hides_neither_a_failure_nor_the_end(waiting: tuple[Run, ...]) -> None:
    """It holds nothing back there; whoever paused after the running stage must see that it failed."""
    assert asked(a_project(paused=True), *waiting) == asked(a_project(), *waiting)


def test_paused_outranks_the_answer_to_a_failure() -> None:
    waits = asked(a_project(paused=True, next=a_next("track", 2)), DETECTED, FAILED_TRACK)
    assert isinstance(waits, Wait)
    assert (waits.reason, waits.edit) == ("Paused", "paused: false")


def test_an_abort_of_a_run_to_come_is_told() -> None:
    def told(number: int) -> list[str]:
        project = a_project(abort=RunNumber(number))
        return [one.message for one in abort_conditions(project, a_history(DETECTED, OPEN_TRACK))]

    assert told(1) == told(2) == []
    assert "run 3, which does not exist yet (the last run is 2)" in told(3)[0]


# --- pending, stale, handled ---


def test_a_request_made_while_its_run_goes_on_waits_and_then_fires() -> None:
    request = a_next("detect", 2)
    seen = (a_seen(9, request=request, open_run=RunNumber(2)),)
    project = a_project(next=request)
    assert isinstance(asked(project, DETECTED, OPEN_TRACK, seen=seen), RunOpen)
    assert "RequestPending" in conditions(project, a_history(DETECTED, OPEN_TRACK, seen=seen))
    assert started(asked(project, DETECTED, TRACKED, seen=seen)).stage.name == "detect"


def test_a_request_made_while_its_run_went_on_is_stale_once_that_failed() -> None:
    request = a_next("detect", 2)
    seen = (a_seen(9, request=request, open_run=RunNumber(2)),)
    project = a_project(next=request)
    waits = asked(project, DETECTED, FAILED_TRACK, seen=seen)
    assert isinstance(waits, Wait)
    assert waits.phase is ProjectPhase.FAILED
    told = conditions(project, a_history(DETECTED, FAILED_TRACK, seen=seen))
    assert told["RequestStale"].endswith("next: {stage: detect, after: 2, id: again}")


def test_the_line_offered_after_a_failure_is_not_the_one_that_is_spent() -> None:
    """Made too early, ``next: {stage: track, after: 2}`` is stale; to offer that very line would be a dead end."""
    request = a_next("track", 2)
    seen = (a_seen(9, request=request, open_run=RunNumber(2)),)
    waits = asked(a_project(next=request), DETECTED, FAILED_TRACK, seen=seen)
    assert isinstance(waits, Wait)
    assert waits.edit == "next: {stage: track, after: 2, id: again}"
    again = a_next("track", 2, id="again")
    assert started(asked(a_project(next=again), DETECTED, FAILED_TRACK, seen=seen)).request == again


def test_a_spent_id_is_not_offered_again() -> None:
    seen = (
        a_seen(8, request=a_next("track", 2), open_run=RunNumber(2)),
        a_seen(9, request=a_next("track", 2, id="again"), open_run=RunNumber(2)),
    )
    line = request_line(a_next("track").stage, a_history(DETECTED, FAILED_TRACK, seen=seen))
    assert line == "next: {stage: track, after: 2, id: again-2}"


def test_a_request_made_before_its_run_began_does_not_survive_that_runs_failure() -> None:
    """Nobody can have known of the failure of a run that was not there yet."""
    request = a_next("report", 2)
    seen = (a_seen(1, request=request, open_run=RunNumber(1)),)
    failure = a_run(2, "track", a_claim(), failed())
    history = a_history(DETECTED, replace(failure, created=replace(failure.created, number=RecordNumber(3))), seen=seen)
    waits = decide(a_desired(a_project(next=request)), a_project(next=request), history)
    assert isinstance(waits, Wait)
    assert waits.edit == "next: {stage: track, after: 2}"
    assert conditions(a_project(next=request), history)["RequestStale"].endswith(
        "next: {stage: report, after: 2, id: again}"
    )


@pytest.mark.parametrize(
    ("together", "aborting"),
    [(True, (RunNumber(2),)), (True, (RunNumber(2), None)), (False, (None, RunNumber(2)))],
)
def test_a_request_survives_an_abort_only_if_it_came_with_that_order(
    together: bool, aborting: tuple[RunNumber | None, ...]
) -> None:
    """Whoever aborts a run need not know what somebody else has left in the file for after its success."""
    request = a_next("detect", 2)
    seen = tuple(a_seen(8 + at, request=request, abort=run, open_run=RunNumber(2)) for at, run in enumerate(aborting))
    project = a_project(next=request, abort=RunNumber(2))
    run = a_run(2, "track", a_claim(), aborted())
    told = conditions(project, a_history(DETECTED, run, seen=seen))
    if together:
        assert started(asked(project, DETECTED, run, seen=seen)).stage.name == "detect"
        assert told == {}
    else:
        assert isinstance(asked(project, DETECTED, run, seen=seen), Wait)
        assert told["RequestStale"].endswith("to ask again write: next: {stage: detect, after: 2, id: again}")


def test_a_pending_request_that_an_abort_will_leave_stale_says_so_at_once() -> None:
    """The line it offers works beside the abort that stands there."""
    request, again = a_next("detect", 2), a_next("detect", 2, id="again")
    seen = (
        a_seen(8, request=request, open_run=RunNumber(2)),
        a_seen(9, request=request, abort=RunNumber(2), open_run=RunNumber(2)),
    )
    project = a_project(next=request, abort=RunNumber(2))
    told = conditions(project, a_history(DETECTED, OPEN_TRACK, seen=seen))
    assert told["RequestStale"].endswith(line_of(again))
    answer = a_seen(10, request=again, abort=RunNumber(2), open_run=RunNumber(2))
    run = a_run(2, "track", a_claim(), aborted())
    assert started(asked(replace(project, next=again), DETECTED, run, seen=(*seen, answer))).request == again


def test_a_stale_request_that_is_withdrawn_and_asked_anew_is_due() -> None:
    request = a_next("detect", 2)
    seen = (a_seen(7, request=request, open_run=RunNumber(2)), a_seen(8), a_seen(9, request=request))
    assert started(asked(a_project(next=request), DETECTED, FAILED_TRACK, seen=seen)).request == request


def test_a_pending_request_beside_an_abort_says_so() -> None:
    project = a_project(next=a_next("detect", 2), abort=RunNumber(2))
    assert conditions(project, a_history(DETECTED, OPEN_TRACK)) == {
        "RequestPending": "next starts 'detect' once run 2 was aborted"
    }


def test_the_line_to_ask_again_keeps_what_was_asked() -> None:
    """A line that quietly dropped the parameter would cost a night."""
    environment = {"THRESHOLD": "0.35", "KEY": Secret("tracker"), "DEBUG": None}
    request = a_next("detect", 1, base=RunNumber(1), then=Then.PAUSE, environment=environment, id="mine")
    told = conditions(a_project(next=request), a_history(DETECTED, TRACKED))["RequestStale"]
    assert told.endswith(
        "next: {stage: detect, after: 2, from: 1, then: pause, "
        'environment: {THRESHOLD: "0.35", KEY: {secret: tracker}, DEBUG: null}}'
    )
    unknown = asked(a_project(next=replace(request, stage=StageName("detekt"), after=RunNumber(2))), DETECTED, TRACKED)
    assert isinstance(unknown, Wait)
    assert unknown.edit is not None
    assert unknown.edit in told
    baseless = asked(a_project(next=replace(request, base=RunNumber(9), after=RunNumber(2))), DETECTED, TRACKED)
    assert isinstance(baseless, Wait)
    assert baseless.edit is not None
    assert baseless.edit == told[told.index("next: {") :].replace("from: 1, ", "")


@given(st.text(), st.text(min_size=1), st.sampled_from(["no", "on", "1", "null", "a b", "it's", "again-2"]))
def test_a_line_is_yaml_that_says_the_same(value: str, identity: str, word: str) -> None:
    for id_ in (identity, word):
        line = line_of(a_next(word, 3, environment={"A": value}, id=id_))
        assert yaml.safe_load(line) == {
            "next": {"stage": word, "after": 3, "environment": {"A": value}, "id": id_},
        }


def test_two_requests_merged_one_after_the_other_start_one_run() -> None:
    """Both were written after run 2; whoever comes second is told what to write."""
    first, second = a_next("detect", 2), a_next("report", 2)
    history = a_history(DETECTED, TRACKED, a_run(3, "detect", request=canonical(first)))
    assert started(decide(a_desired(a_project(next=second)), a_project(next=second), history)).request is None
    assert conditions(a_project(next=second), history) == {
        "RequestStale": "next is stale (the last run is 3); to ask again write: next: {stage: report, after: 3}"
    }


def test_a_request_of_a_purged_namesakes_time_is_stale() -> None:
    """Numbers go on above the namesake's, so its runs are past for good."""
    history = ProjectHistory(retired=Retired(record=RecordNumber(9), run=RunNumber(7), commit=COMMIT))
    for after in (4, 7):
        told = conditions(a_project(next=a_next("detect", after)), history)
        assert told == {
            "RequestStale": "next is stale (the last run is none); to ask again write: next: {stage: detect}"
        }
    assert "RequestPending" in conditions(a_project(next=a_next("detect", 8)), history)
    assert abort_conditions(a_project(abort=RunNumber(7)), history) == ()


def test_a_request_for_a_run_long_past_does_nothing_and_says_what_to_write() -> None:
    project = a_project(next=a_next("detect", 1))
    assert started(asked(project, DETECTED, TRACKED)).stage.name == "report"
    told = conditions(project, a_history(DETECTED, TRACKED))
    assert "next: {stage: detect, after: 2}" in told["RequestStale"]


def test_a_request_ahead_of_the_project_waits_for_its_turn() -> None:
    project = a_project(next=a_next("detect", 2))
    start = started(asked(project, DETECTED))
    assert (start.stage.name, start.request) == ("track", None)
    assert "RequestPending" in conditions(project, a_history(DETECTED))


def test_a_handled_request_shows_its_run_and_does_not_fire_again() -> None:
    request = a_next("detect", 2)
    project = a_project(next=request)
    again = a_run(3, "detect", request=canonical(request))
    assert started(asked(project, DETECTED, TRACKED, again)).stage.name == "track"
    told = conditions(project, a_history(DETECTED, TRACKED, again))
    assert told == {"RequestHandled": "next was answered by run 3 (detect)"}


def test_merging_a_handled_request_late_or_reverting_it_changes_nothing() -> None:
    request = a_next("detect", 2)
    runs = (DETECTED, TRACKED, a_run(3, "detect", request=canonical(request)))
    with_it, without_it = (asked(a_project(next=given), *runs) for given in (request, None))
    assert with_it == without_it


def test_the_same_request_again_needs_another_id() -> None:
    """An aborted run leaves the number where it was only for its successor; the text is what tells requests apart."""
    request = a_next("detect")
    assert isinstance(asked(a_project(next=request), a_run(1, "detect", a_claim(), failed())), Wait)
    answered = a_run(1, "detect", request=canonical(request))
    assert canonical(replace(request, id="second")) != canonical(request)
    assert "RequestHandled" in conditions(a_project(next=request), a_history(answered))


def test_a_request_is_known_by_what_it_says_not_by_how_it_is_laid_out() -> None:
    one = a_next("detect", 2, environment={"A": "1", "B": "2"})
    other = a_next("detect", 2, environment={"B": "2", "A": "1"})
    assert canonical(one) == canonical(other)
    assert canonical(one) != canonical(replace(one, environment={"A": "1"}))


def test_a_request_for_an_unknown_stage_names_the_ones_there_are() -> None:
    waits = asked(a_project(next=a_next("detekt", 1)), DETECTED)
    assert isinstance(waits, Wait)
    assert waits.reason == "StageUnknown"
    assert "detect, track, report" in waits.message
    assert waits.edit == "next: {stage: detect, after: 1}", "the stage that was probably meant"


def test_a_request_for_no_stage_anybody_could_mean_is_offered_no_line() -> None:
    """A line that starts the pipeline all over would be pasted without a thought."""
    waits = asked(a_project(next=a_next("xyz", 1)), DETECTED)
    assert isinstance(waits, Wait)
    assert waits.edit is None


def test_the_first_request_of_a_project_is_written_without_after() -> None:
    assert next_line(a_created().stage, None) == "next: {stage: detect}"
