"""The alarms of ``test_histories`` can ring: each is handed the violation that it is there for."""

from dataclasses import replace

import pytest

from reconciler.core.desired import Then
from reconciler.core.ledger import ProjectHistory, Run
from reconciler.core.names import RecordNumber
from reconciler.core.records import ProjectRecord, RunRecord
from reconciler.core.requests import canonical
from tests.fakes.build import (
    CROSSING,
    a_base,
    a_claim,
    a_next,
    a_run,
    a_seen,
    aborted,
    done,
    failed,
    lost,
    released,
    settings,
)
from tests.fakes.history import History, changed, path_of
from tests.fakes.invariants import (
    CHECKS,
    a_runs_records_obey_the_grammar,
    only_listed_codes_and_lost_attempts_are_tried_again,
    only_the_run_that_a_commit_names_is_aborted,
    records_are_contiguous_and_git_only_moves_forward,
    requests_start_one_run_each_after_the_one_they_name,
    required_environment_is_there,
    runs_are_numbered_and_only_the_last_is_open,
    runs_follow_from_the_newest_word,
    unasked_runs_follow_a_success_in_order,
)

PATH = path_of(CROSSING)
STAGES = [
    {"name": "detect", "image": "i:1"},
    {"name": "track", "image": "i:1", "confirm": "once"},
    {"name": "report", "image": "i:1", "requires_environment": ["HEIGHT"]},
]


def git() -> History:
    """Commit 1 asks for detect after run 1, commit 2 pauses, commit 3 aborts run 1."""
    history = History({"winslow.yaml": {"version": 1}, "pipelines/flow.yaml": {"stages": STAGES}, PATH: {}})
    for fields in ({"pipeline": "flow", "next": {"stage": "detect", "after": 1}}, {"paused": True}, {"abort": 1}):
        history.commit(changed(history.files, PATH, fields))
    return history


def told(*runs: Run, commit: int = 1, seen: int = 1, paused: bool = False) -> ProjectHistory:
    """A history whose runs all come from one commit, with one DESIRED before them."""
    main = git()
    first = a_seen(1, commit=main.name(seen), blob=main.desired[seen].projects[CROSSING].blob, paused=paused)
    made = tuple(
        replace(run, created=replace(run.created, number=RecordNumber(number), commit=main.name(commit)))
        for number, run in enumerate(runs, start=2)
    )
    records: list[ProjectRecord] = [first, *(run.created for run in made)]
    return ProjectHistory(records=tuple(records), runs=made)


def of(*records: RunRecord) -> ProjectHistory:
    return told(a_run(1, "detect", *records, retries_limit=1))


REQUEST = canonical(a_next("detect", 1))
HEIGHT = settings({"HEIGHT": "3"})


def test_what_is_in_order_rings_no_alarm() -> None:
    runs = (a_run(1, "detect"), a_run(2, "detect", request=REQUEST))
    for check in CHECKS:
        check(CROSSING, told(*runs), git())


@pytest.mark.parametrize(
    ("check", "history"),
    [
        (records_are_contiguous_and_git_only_moves_forward, told(a_run(1, "detect"), commit=1, seen=2)),
        (records_are_contiguous_and_git_only_moves_forward, of(a_claim(1), done(3))),
        (runs_are_numbered_and_only_the_last_is_open, told(a_run(1, "detect", a_claim()), a_run(2, "detect"))),
        (runs_are_numbered_and_only_the_last_is_open, told(a_run(2, "detect"))),
        (a_runs_records_obey_the_grammar, of(a_claim(1, "a"), done(2, "b"))),
        (a_runs_records_obey_the_grammar, of(a_claim(), done(), a_claim(3))),
        (a_runs_records_obey_the_grammar, of(lost(1))),
        (a_runs_records_obey_the_grammar, of(*(a_claim(n) if n % 2 else released(n) for n in range(1, 6)))),
        (only_listed_codes_and_lost_attempts_are_tried_again, of(a_claim(), failed(final=False), a_claim(3))),
        (runs_follow_from_the_newest_word, told(a_run(1, "detect"), paused=True)),
        (runs_follow_from_the_newest_word, told(a_run(1, "detect"), commit=2, seen=2)),
        (runs_follow_from_the_newest_word, told(a_run(1, "detect"), commit=1, seen=0)),
        (requests_start_one_run_each_after_the_one_they_name, told(a_run(1, "detect", request=REQUEST))),
        (
            requests_start_one_run_each_after_the_one_they_name,
            told(*(a_run(number, "detect", request=REQUEST if number > 1 else None) for number in (1, 2, 3))),
        ),
        (
            requests_start_one_run_each_after_the_one_they_name,
            told(a_run(1, "detect"), a_run(2, "detect", request=canonical(a_next("detect", 1, id="mine")))),
        ),
        (unasked_runs_follow_a_success_in_order, told(a_run(1, "report", environment=HEIGHT))),
        (unasked_runs_follow_a_success_in_order, told(a_run(1, "detect"), a_run(2, "track"))),
        (unasked_runs_follow_a_success_in_order, told(a_run(1, "detect", a_claim(), failed()), a_run(2, "detect"))),
        (
            unasked_runs_follow_a_success_in_order,
            told(a_run(1, "detect", then=Then.PAUSE), a_run(2, "track", base=a_base(1, "detect"))),
        ),
        (required_environment_is_there, told(a_run(1, "report"))),
        (only_the_run_that_a_commit_names_is_aborted, of(a_claim(), replace(aborted(), commit=History.name(2)))),
    ],
)
def test_a_violation_rings(check: object, history: ProjectHistory) -> None:
    assert callable(check)
    with pytest.raises(AssertionError):
        check(CROSSING, history, git())
