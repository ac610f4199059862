"""What merging would do, told before: the difference between two desired states on one ledger."""

from dataclasses import replace

import pytest

from reconciler.core.desired import Confirm, Desired, Project
from reconciler.core.ledger import Ledger, Retired, Run
from reconciler.core.names import Blob, ProjectName, RecordNumber, RunNumber
from reconciler.core.preview import Effect, EffectKind, preview
from tests.fakes.build import (
    COMMIT,
    A,
    a_claim,
    a_desired,
    a_history,
    a_ledger,
    a_next,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_seen,
    a_stage,
    failed,
    settings,
)

DETECTED = a_run(1, "detect")
TRACKED = a_run(2, "track")
REPORTED = a_run(3, "report", is_last=True)
FAILED_TRACK = a_run(2, "track", a_claim(), failed())
OPEN_TRACK = a_run(2, "track", a_claim())
BEFORE = a_project()


def changed(**fields: object) -> Project:
    return replace(BEFORE, blob=Blob("2" * 40), **fields)  # type: ignore[arg-type]


def merging(now: Project, *runs: Run, was: Project | None = BEFORE, ledger: Ledger | None = None) -> list[Effect]:
    before = a_desired(was) if was else replace(a_desired(), projects={})
    return list(preview(before, a_desired(now), ledger or a_ledger(*runs), ()))


def told(effects: list[Effect]) -> list[tuple[str, str]]:
    return [(effect.kind.value, effect.message) for effect in effects]


def test_a_change_that_does_nothing_says_so() -> None:
    assert told(merging(changed(name="Another name", priority=3), DETECTED)) == [("nothing", "nothing")]


def test_a_new_project_starts_its_first_stage() -> None:
    ledger = replace(a_ledger(), projects={})
    assert told(merging(BEFORE, was=None, ledger=ledger)) == [("starts", "starts 'detect' as run 1")]


def test_a_request_that_is_due_starts_its_stage() -> None:
    effects = merging(changed(next=a_next("detect", 3)), DETECTED, TRACKED, REPORTED)
    assert told(effects) == [("starts", "starts 'detect' as run 4, as next asks")]
    assert effects[0].stage == "detect"


def test_a_request_made_while_its_run_goes_on_starts_once_that_has_succeeded() -> None:
    effects = merging(changed(next=a_next("detect", 2)), DETECTED, OPEN_TRACK)
    words = "starts 'detect' as run 3 once run 2 (track) on a has succeeded, as next asks"
    assert told(effects) == [("starts", words)]
    assert effects[0].run == 2


def test_a_stale_request_is_told_with_the_line_that_works() -> None:
    effects = merging(changed(next=a_next("detect", 1)), DETECTED, TRACKED, REPORTED)
    assert [effect.kind for effect in effects] == [EffectKind.STALE]
    assert effects[0].edit == "next: {stage: detect, after: 3}"


def test_a_request_that_was_answered_already_does_nothing_again() -> None:
    request = a_next("detect", 3)
    answer = a_run(4, "detect", request='{"after":3,"stage":"detect"}')
    effects = merging(changed(next=request), DETECTED, TRACKED, REPORTED, answer)
    assert told(effects) == [("stale", "next was answered by run 4 (detect)")]


def test_a_request_ahead_of_the_project_waits() -> None:
    effects = merging(changed(next=a_next("detect", 7)), DETECTED, TRACKED, REPORTED)
    assert [effect.kind for effect in effects] == [EffectKind.WAITS]


def test_an_abort_stops_the_run_and_says_what_is_needed_then() -> None:
    effects = merging(changed(abort=RunNumber(2)), DETECTED, OPEN_TRACK)
    assert [(effect.kind, effect.run) for effect in effects] == [(EffectKind.STOPS, 2), (EffectKind.WAITS, None)]
    assert effects[0].message == "aborts run 2 (track) on a"
    assert effects[1].edit == "next: {stage: track, after: 2}"


def test_an_abort_with_its_successor_stops_one_and_starts_the_other() -> None:
    effects = merging(changed(abort=RunNumber(2), next=a_next("detect", 2)), DETECTED, OPEN_TRACK)
    assert [effect.kind for effect in effects] == [EffectKind.STOPS, EffectKind.STARTS]


def test_an_abort_of_the_run_that_a_request_waits_for_takes_that_along() -> None:
    request = a_next("detect", 2)
    was = replace(BEFORE, next=request)
    ledger = a_ledger(DETECTED, OPEN_TRACK, seen=a_seen(request=request, open_run=RunNumber(2)))
    effects = merging(changed(next=request, abort=RunNumber(2)), was=was, ledger=ledger)
    assert [effect.kind for effect in effects] == [EffectKind.STOPS, EffectKind.WAITS, EffectKind.STALE]
    assert effects[2].edit == "next: {stage: detect, after: 2, id: again}"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "stale: abort: run 1 (detect) is over (Succeeded); this does nothing"),
        (9, "waits: abort names run 9, which does not exist yet (the last run is 1); it will be aborted"),
    ],
)
def test_an_abort_of_no_open_run_says_so(number: int, words: str) -> None:
    (effect,) = merging(changed(abort=RunNumber(number)), DETECTED)
    assert f"{effect.kind}: {effect.message}".startswith(words)


def test_a_pause_is_told_with_what_still_goes_on() -> None:
    assert told(merging(changed(paused=True), DETECTED)) == [("pauses", "pauses: nothing new starts")]
    (effect,) = merging(changed(paused=True), DETECTED, OPEN_TRACK)
    assert effect.message == "pauses once run 2 (track) on a has succeeded: nothing new starts"


def test_the_end_of_a_pause_starts_what_waited() -> None:
    effects = merging(changed(paused=False), DETECTED, was=replace(BEFORE, paused=True))
    assert told(effects) == [("starts", "starts 'track' as run 2")]


def test_a_deletion_names_the_run_that_it_stops() -> None:
    desired = replace(a_desired(), projects={})
    (effect,) = preview(a_desired(), desired, a_ledger(DETECTED, OPEN_TRACK), ())
    assert effect.kind is EffectKind.STOPS
    assert effect.message == "deletes the project and stops run 2 (track) on a; its files stay for 7 days"
    assert effect.run == 2


def test_a_gate_that_comes_is_told_with_the_line_that_confirms_it() -> None:
    gated = a_desired(pipeline=a_pipeline("detect", a_stage("track", confirm=Confirm.BEFORE)))
    (effect,) = preview(a_desired(), gated, a_ledger(DETECTED), ())
    assert (effect.kind, effect.stage) == (EffectKind.WAITS, "track")
    assert effect.edit == "next: {stage: track, after: 1}"


def test_a_changed_environment_starts_nothing_and_says_what_would() -> None:
    done = [replace(run, created=replace(run.created, environment=settings({"T": "1"}))) for run in (DETECTED,)]
    was = replace(BEFORE, environment={"T": "1"})
    pipeline = a_pipeline("detect")
    before, after = (a_desired(project, pipeline=pipeline) for project in (was, changed(environment={"T": "2"})))
    (effect,) = preview(before, after, a_ledger(*done), ())
    assert effect.kind is EffectKind.ENVIRONMENT
    assert effect.message == "changes T of 'detect' (run 1), which starts nothing"
    assert effect.edit == "next: {stage: detect, after: 1}"
    assert [one.kind for one in preview(after, after, a_ledger(*done), ())] == [EffectKind.NOTHING], "known already"


def test_a_changed_environment_with_its_request_is_only_a_start() -> None:
    done = replace(DETECTED, created=replace(DETECTED.created, environment=settings({"T": "1"})))
    now = changed(environment={"T": "2"}, next=a_next("detect", 1))
    effects = merging(now, done, was=replace(BEFORE, environment={"T": "1"}))
    assert [effect.kind for effect in effects] == [EffectKind.STARTS]


def test_a_stage_that_is_running_keeps_its_old_environment_and_that_is_said() -> None:
    running = replace(DETECTED, created=replace(DETECTED.created, environment=settings({"T": "1"})))
    running = replace(running, records=(a_claim(),))
    effects = merging(changed(environment={"T": "2"}), running, was=replace(BEFORE, environment={"T": "1"}))
    assert [(effect.kind, effect.edit) for effect in effects] == [
        (EffectKind.ENVIRONMENT, "next: {stage: detect, after: 1}")
    ]


def test_a_stage_that_no_node_can_run_is_told_before_the_merge() -> None:
    greedy = a_desired(pipeline=a_pipeline(a_stage("detect"), a_stage("track", requires=a_greed())))
    paused = replace(BEFORE, paused=True)
    before = replace(greedy, projects={paused.id: paused})
    (effect,) = preview(before, greedy, a_ledger(DETECTED), (a_node("a"),))
    assert effect.kind is EffectKind.STARTS
    assert "no node can ever run stage 'track'" in effect.message


def a_greed() -> object:
    from reconciler.core.desired import Requires

    return Requires(cpus=1000)


def test_going_on_after_a_failure_is_a_start() -> None:
    effects = merging(changed(next=a_next("track", 2)), DETECTED, FAILED_TRACK)
    assert told(effects) == [("starts", "starts 'track' as run 3, as next asks")]


def test_every_project_of_either_side_is_accounted_for() -> None:
    before = a_desired(a_project("one"), a_project("two"))
    after = a_desired(a_project("two"), a_project("three"))
    ledger = replace(a_ledger(), projects={ProjectName(name): a_history() for name in ("one", "two")})
    assert [effect.project for effect in preview(before, after, ledger, ())] == ["one", "three", "two"]


def test_unreadable_records_hide_the_outcome_and_nothing_else() -> None:
    ledger = replace(a_ledger(DETECTED), unreadable={BEFORE.id: "records/00000001.json is torn"})
    (effect,) = merging(changed(paused=True), ledger=ledger)
    assert effect.kind is EffectKind.NOTHING
    assert "torn" in effect.message


def test_a_preview_publishes_nothing_and_leaves_the_ledger_as_it_was() -> None:
    ledger = a_ledger(DETECTED, OPEN_TRACK)
    same = a_ledger(DETECTED, OPEN_TRACK)
    merging(changed(abort=RunNumber(2)), ledger=ledger)
    assert ledger == same


def test_a_moved_file_does_nothing() -> None:
    after: Desired = a_desired(replace(BEFORE, path="projects/ulm/crossing.yaml"))
    assert told(list(preview(a_desired(), after, a_ledger(DETECTED), (a_node(A),)))) == [("nothing", "nothing")]


def test_many_deletions_at_once_wait_for_a_persons_word() -> None:
    names = [ProjectName(name) for name in ("one", "two", "three", "four")]
    before = a_desired(*(a_project(name) for name in names))
    after = a_desired(a_project("four"))
    ledger = replace(a_ledger(), projects={name: a_history() for name in names})
    effects = preview(before, after, ledger, ())
    assert [effect.kind for effect in effects if effect.project != "four"] == [EffectKind.WAITS] * 3
    assert "confirm_deletion" in effects[1].message


def test_a_namesake_of_a_purged_project_goes_on_above_its_numbers() -> None:
    history = replace(
        a_history(recorded=False), retired=Retired(record=RecordNumber(9), run=RunNumber(4), commit=COMMIT)
    )
    ledger = replace(a_ledger(), projects={BEFORE.id: history})
    assert told(merging(BEFORE, was=None, ledger=ledger)) == [("starts", "starts 'detect' as run 5")]
