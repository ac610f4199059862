"""Rebuilding a ledger from what was published of it: nothing that stood is doubted, nothing unknown is made up."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from reconciler.codec.observed import fold, unfold
from reconciler.codec.records import dump_record, load_record
from reconciler.core.containers import ContainerState, claim_key
from reconciler.core.decide import StartStage, Wait, decide
from reconciler.core.desired import Desired, Secret
from reconciler.core.ledger import Ledger, ProjectHistory, Run, RunPhase
from reconciler.core.ledger_behind import missing
from reconciler.core.names import Commit, ProjectName, RunNumber, ShareId, Token
from reconciler.core.plan import plan
from reconciler.core.rebuild import Addition, OnDisk, Rebuilding, disputed, noted_in, rebuild
from reconciler.core.records import Claim, Failed, Lost, Rebuilt, Released, RunCreated
from reconciler.core.report import report
from reconciler.core.requests import canonical
from reconciler.core.restored import Told
from reconciler.core.status import Status
from tests.fakes.build import (
    COMMIT,
    CROSSING,
    NOW,
    SHARE,
    A,
    a_base,
    a_claim,
    a_container,
    a_created,
    a_desired,
    a_ledger,
    a_next,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_seen,
    a_stage,
    aborted,
    done,
    failed,
    lost,
    me,
    released,
)

OBSERVED = Commit("e" * 40)
EMPTY = Ledger(share=ShareId("fresh"))
NOTHING: OnDisk = {}
STAGES = a_pipeline(a_stage("detect", environment={"KEY": Secret("tracker")}), "track", "report")
DESIRED = a_desired(a_project(), pipeline=STAGES)


def published(ledger: Ledger, desired: Desired = DESIRED) -> Status:
    """Through the files, as people and rebuilding read it."""
    return unfold(fold(report(desired, ledger, (a_node(),), branch="main")))


def told(desired: Desired | None = DESIRED) -> Told:
    numbers = count(1)
    return Told(
        share=SHARE,
        observed=OBSERVED,
        commit=COMMIT,
        at=NOW,
        sign=lambda: Token(f"signed-{next(numbers)}"),
        wishes={COMMIT: desired} if desired else {},
    )


def numbered(*runs: Run, desired: Desired = DESIRED) -> Ledger:
    """DESIRED, then the runs, in numbers without a gap; each as a node would have made it from ``desired``."""
    whole = []
    for run in runs:
        stage = desired.pipelines[STAGES.id].stage(run.stage)
        assert stage is not None
        created = replace(
            run.created, number=type(run.created.number)(run.number + 1), token=Token(f"RUN-{run.number}")
        )
        whole.append(replace(run, created=created))
    return a_ledger(*whole)


def apply(ledger: Ledger, additions: Iterable[Addition]) -> Ledger:
    """As the share does it, by number."""
    projects = dict(ledger.projects)
    for one in additions:
        history = projects.get(one.project, ProjectHistory())
        if one.run is None:
            assert one.record.number == history.next_number
            assert not isinstance(one.record, RunCreated) or one.record.run == history.next_run
            runs = (*history.runs, Run(created=one.record)) if isinstance(one.record, RunCreated) else history.runs
            history = replace(history, records=(*history.records, one.record), runs=runs)  # type: ignore[arg-type]
        else:
            [run] = [run for run in history.runs if run.number == one.run.run]
            assert one.record.number == run.next_number
            grown = replace(run, records=(*run.records, one.record))  # type: ignore[arg-type]
            history = replace(history, runs=tuple(grown if other is run else other for other in history.runs))
        projects[one.project] = history
    return replace(ledger, projects=projects)


def rebuilt(before: Ledger, on_disk: OnDisk = NOTHING, since: Ledger = EMPTY) -> tuple[Ledger, Rebuilding]:
    """``before`` was published, ``since`` is what the share holds now."""
    found = rebuild(since, published(before), told(), on_disk)
    return apply(since, found.additions), found


def there(*claims: tuple[int, int]) -> OnDisk:
    found: dict[tuple[ProjectName, RunNumber], frozenset[int]] = {}
    for run, claim in claims:
        key = (CROSSING, RunNumber(run))
        found[key] = found.get(key, frozenset()) | {claim}
    return found


FINISHED = numbered(
    a_run(1, "detect", a_claim(1), released(2), a_claim(3), done(4, results={"vehicles": "42"})),
    a_run(2, "track", a_claim(1), failed(2)),
    a_run(3, "track", a_claim(1, "b"), done(2, "b"), base=a_base(1, "detect", 3)),
    a_run(4, "report", a_claim(1), a_claim(2, "b"), done(3, "b"), is_last=True),
)


def test_what_was_published_is_no_longer_missing() -> None:
    ledger, _ = rebuilt(FINISHED)
    assert missing(EMPTY, noted_in(published(FINISHED)))
    assert missing(ledger, noted_in(published(FINISHED))) == ()


def test_a_finished_project_stays_finished_and_its_runs_keep_how_they_ended() -> None:
    ledger, _ = rebuilt(FINISHED)
    before, after = FINISHED.history(CROSSING), ledger.history(CROSSING)
    assert [run.phase for run in after.runs] == [run.phase for run in before.runs]
    assert [run.attempts for run in after.runs] == [run.attempts for run in before.runs]
    assert [run.last_claim and run.last_claim.number for run in after.runs] == [3, 1, 1, 2]
    assert after.runs[2].created.base == a_base(1, "detect", 3)
    decision = decide(DESIRED, DESIRED.projects[CROSSING], after)
    assert isinstance(decision, Wait)
    assert decision.reason == "Finished"


def test_people_read_the_same_of_its_runs_as_before() -> None:
    ledger, _ = rebuilt(FINISHED)
    before, after = published(FINISHED), published(ledger)
    for was, now in zip(before.projects[0].runs, after.projects[0].runs, strict=True):
        own: dict[str, Any] = {"environment": {}, "sources": {}, "secrets": {}}
        assert replace(now, **own, is_last=was.is_last) == replace(was, **own)


def test_numbers_have_no_gap_and_what_nobody_knows_is_said_to_be_unknown() -> None:
    ledger, _ = rebuilt(FINISHED)
    history = ledger.history(CROSSING)
    assert [record.number for record in history.records] == list(range(1, len(history.records) + 1))
    kinds = [type(record).__name__ for record in history.records]
    assert kinds == ["Rebuilt", *["RunCreated"] * 4, "DesiredSeen", "Rebuilt"]
    [first] = [run for run in history.runs if run.number == 1]
    assert [type(record).__name__ for record in first.records] == ["Claim", "Rebuilt", "Claim", "Done"]
    unknown = first.records[1]
    assert isinstance(unknown, Rebuilt)
    assert unknown.observed == OBSERVED


def test_the_record_that_closes_a_history_takes_the_number_that_a_frozen_node_wants() -> None:
    """It is about to publish DESIRED, or a RUN, at the number after the last one that it saw."""
    before, (ledger, _) = FINISHED.history(CROSSING), rebuilt(FINISHED)
    assert len(ledger.history(CROSSING).records) >= before.next_number
    assert isinstance(ledger.history(CROSSING).records[-1], Rebuilt)


def test_secrets_come_back_as_names_out_of_the_commit_that_asked() -> None:
    ledger, _ = rebuilt(numbered(a_run(1, "detect")))
    [run] = ledger.history(CROSSING).runs
    assert run.created.environment["KEY"].value == Secret("tracker")
    assert run.created.command == ("run",)


OPEN = numbered(a_run(1, "detect"), a_run(2, "track", a_claim(1), released(2), a_claim(3), base=a_base(1, "detect")))


YESTERDAY = replace(
    OPEN,
    projects={
        CROSSING: replace(
            OPEN.history(CROSSING),
            records=OPEN.history(CROSSING).records[:2],
            runs=OPEN.history(CROSSING).runs[:1],
        )
    },
)


def test_an_open_run_is_given_up_without_counting_and_tried_again_from_its_base() -> None:
    ledger, _ = rebuilt(OPEN, there((1, 1), (2, 1), (2, 3)), since=YESTERDAY)
    run = ledger.history(CROSSING).runs[-1]
    assert isinstance(run.last, Released)
    assert (run.last.reason, run.last.number) == ("ShareLost", 4)
    assert run.attempts_used == OPEN.history(CROSSING).runs[-1].attempts_used - 1
    actions = plan(DESIRED, ledger, (a_node(),), me(since={f"retry crossing/2/{run.next_number}": 0.0})).actions
    [claim] = [action.record for action in actions if hasattr(action, "record") and isinstance(action.record, Claim)]
    assert claim.number == 5


def test_an_open_run_whose_base_is_gone_is_not_tried_again_and_the_project_says_what_to_redo() -> None:
    ledger, found = rebuilt(OPEN)
    run = ledger.history(CROSSING).runs[-1]
    assert isinstance(run.last, Lost)
    assert "workspace of run 1 (detect), from which it began, was lost" in run.last.message
    assert found.lost[CROSSING] == (1, 2)
    asked = a_project(next=a_next("track", 2))
    decision = decide(a_desired(asked, pipeline=STAGES), asked, ledger.history(CROSSING))
    assert isinstance(decision, Wait)
    assert (decision.reason, decision.edit) == ("BaseMissing", "next: {stage: detect, after: 2}")


def test_a_project_goes_on_by_itself_where_the_newest_workspace_still_exists() -> None:
    before = numbered(a_run(1, "detect"))
    ledger, _ = rebuilt(before, there((1, 1)), since=before)
    decision = decide(DESIRED, DESIRED.projects[CROSSING], ledger.history(CROSSING))
    assert isinstance(decision, StartStage)
    assert (decision.stage.name, decision.base) == ("track", a_base(1, "detect"))


def test_a_run_whose_commit_main_no_longer_holds_keeps_what_was_told_and_is_not_run_from_it() -> None:
    found = rebuild(YESTERDAY, published(OPEN), told(None), there((1, 1)))
    history = apply(YESTERDAY, found.additions).history(CROSSING)
    assert [run.phase for run in history.runs] == [RunPhase.SUCCEEDED, RunPhase.LOST]
    assert isinstance(history.runs[1].last, Lost)
    assert "no longer holds the commit" in history.runs[1].last.message


def test_a_claim_that_nobody_told_of_keeps_its_directory_to_itself() -> None:
    """Its program may still write there: the next claim must not be given the same number."""
    ledger, _ = rebuilt(OPEN, there((1, 1), (2, 1), (2, 3), (2, 6)), since=YESTERDAY)
    run = ledger.history(CROSSING).runs[-1]
    assert [type(record).__name__ for record in run.records[3:]] == ["Rebuilt", "Rebuilt", "Rebuilt", "Released"]
    assert run.next_number == 8


def test_a_run_that_ended_after_the_backup_is_not_taken_for_whole() -> None:
    """Its directory is there, as far as it had been written when the backup was made."""
    before = numbered(a_run(1, "detect"), a_run(2, "track", base=a_base(1, "detect")))
    half = replace(before.history(CROSSING).runs[1], records=(a_claim(),))
    history = replace(before.history(CROSSING), runs=(before.history(CROSSING).runs[0], half))
    ledger, found = rebuilt(before, there((1, 1), (2, 1)), since=replace(before, projects={CROSSING: history}))
    assert [run.phase for run in ledger.history(CROSSING).runs] == [RunPhase.SUCCEEDED, RunPhase.SUCCEEDED]
    assert found.lost[CROSSING] == (2,)
    decision = decide(DESIRED, DESIRED.projects[CROSSING], ledger.history(CROSSING))
    assert isinstance(decision, Wait)
    assert (decision.reason, decision.edit) == ("BaseMissing", "next: {stage: track, after: 2}")


def test_what_a_backup_holds_stays_as_it_is() -> None:
    ledger, _ = rebuilt(OPEN, there((1, 1)), since=YESTERDAY)
    history = ledger.history(CROSSING)
    assert history.records[:2] == YESTERDAY.history(CROSSING).records
    assert history.runs[0] == YESTERDAY.history(CROSSING).runs[0]
    assert missing(ledger, noted_in(published(OPEN))) == ()


@pytest.mark.parametrize("before", [FINISHED, OPEN], ids=["finished", "open"])
@pytest.mark.parametrize("since", [EMPTY, YESTERDAY], ids=["lost", "restored"])
def test_after_a_crash_at_any_step_doing_it_again_leads_to_the_same_end(before: Ledger, since: Ledger) -> None:
    if before is FINISHED and since is YESTERDAY:
        since = replace(since, projects={CROSSING: replace(FINISHED.history(CROSSING), records=(a_seen(),), runs=())})
    whole = rebuild(since, published(before), told(), there((1, 1), (1, 3), (2, 3)))
    end = shape(apply(since, whole.additions))
    for steps in range(len(whole.additions) + 1):
        half = apply(since, whole.additions[:steps])
        rest = rebuild(half, published(before), told(), there((1, 1), (1, 3), (2, 3)))
        assert shape(apply(half, rest.additions)) == end, f"after {steps} of {len(whole.additions)} steps"


def shape(ledger: Ledger) -> Mapping[str, object]:
    history = ledger.history(CROSSING)
    return {
        "records": [(type(record).__name__, record.number) for record in history.records],
        "runs": [[(type(record).__name__, record.number) for record in run.records] for run in history.runs],
    }


def test_doing_it_twice_adds_nothing() -> None:
    ledger, _ = rebuilt(OPEN, there((1, 1)))
    assert rebuild(ledger, published(OPEN), told(), there((1, 1))).additions == ()


def test_two_histories_are_not_merged() -> None:
    other = numbered(a_run(1, "detect", a_claim(), failed(node="b")))
    first = numbered(a_run(1, "detect", a_claim(), failed()))
    assert [(one.run, one.record) for one in disputed(other, published(first))] == [(1, 2)]
    assert disputed(first, published(first)) == disputed(EMPTY, published(first)) == ()


def test_a_request_that_had_become_stale_starts_nothing_afterwards() -> None:
    """It was written while run 1 was going, which then failed; nobody asked anew."""
    asked = a_project(next=a_next("detect", 1))
    desired = a_desired(asked, pipeline=STAGES)
    run = a_run(1, "detect", a_claim(), failed())
    seen = a_seen(2, request=asked.next, open_run=RunNumber(1))
    created = replace(run.created, number=type(seen.number)(1))
    history = ProjectHistory(records=(created, seen), runs=(replace(run, created=created),))
    before = Ledger(share=SHARE, projects={CROSSING: history})
    assert isinstance(decide(desired, asked, history), Wait)
    found = rebuild(EMPTY, published(before, desired), told(desired), there((1, 1)))
    after = apply(EMPTY, found.additions).history(CROSSING)
    assert isinstance(decide(desired, asked, after), Wait)


def test_a_request_that_was_answered_is_known_to_be() -> None:
    asked = a_project(next=a_next("detect", 1))
    assert asked.next is not None
    desired = a_desired(asked, pipeline=STAGES)
    before = numbered(a_run(1, "detect"), a_run(2, "detect", request=canonical(asked.next)))
    found = rebuild(EMPTY, published(before, desired), told(desired), there((1, 1), (2, 1)))
    after = apply(EMPTY, found.additions).history(CROSSING)
    assert after.runs[1].created.request == canonical(asked.next)


@pytest.mark.parametrize("last", [aborted(), lost(), failed(final=False), failed(reason="OutOfMemory")])
def test_each_end_is_restored_as_far_as_it_was_told(last: Failed) -> None:
    before = numbered(a_run(1, "detect", a_claim(), last))
    ledger, _ = rebuilt(before, there((1, 1)))
    [run] = ledger.history(CROSSING).runs
    [was] = before.history(CROSSING).runs
    assert run.is_final == was.is_final
    if was.is_final:
        assert run.phase == was.phase


def test_a_rebuilt_record_survives_its_file() -> None:
    record = told().unknown(4, lost=(RunNumber(1), RunNumber(2)))
    assert load_record(dump_record(record)) == record


def test_a_container_of_a_former_identity_is_superseded_whatever_its_claim() -> None:
    ledger = replace(a_ledger(a_run(1, "detect", a_claim())), share=ShareId("new"))
    [run] = ledger.history(CROSSING).runs
    claim = run.claim
    assert claim is not None
    old = a_container(claim_key(CROSSING, run, claim))
    unheard = a_container(replace(old.key, run=RunNumber(9), token=Token("unheard")))
    actions = plan(DESIRED, ledger, (a_node(),), me(containers=(old, unheard))).actions
    stops = [action for action in actions if type(action).__name__ == "StopContainer"]
    assert {action.container.key for action in stops} == {old.key, unheard.key}  # type: ignore[union-attr]
    ended = replace(unheard, state=ContainerState.EXITED)
    removed = plan(DESIRED, ledger, (a_node(),), me(containers=(ended,))).actions
    assert any(type(action).__name__ == "RemoveContainer" for action in removed)


def test_a_new_claims_container_carries_the_new_identity_though_its_run_is_older() -> None:
    run = Run(created=a_created(), records=(replace(a_claim(), share=ShareId("new")),))
    assert run.claim is not None
    assert claim_key(CROSSING, run, run.claim).share == "new"
    assert run.claim.node == A
