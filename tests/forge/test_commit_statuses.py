"""Which commit shows what: a person merged something and looks beside it."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.commit_status import CommitState, CommitStatus, commit_statuses, page_of
from reconciler.core.desired import Desired, Forge, Project
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.names import Blob, Commit
from reconciler.core.records import ProjectRecord, RunRecord
from reconciler.core.requests import canonical
from tests.fakes.build import (
    CROSSING,
    NOW,
    SHARE,
    a_claim,
    a_created,
    a_desired,
    a_next,
    a_project,
    a_seen,
    aborted,
    done,
    failed,
    lost,
    released,
)

ADDED, ASKED, OTHER = Commit("a" * 40), Commit("b" * 40), Commit("d" * 40)
PENDING, RUNNING, SUCCESS, FAILED = CommitState


def run_of(number: int, run: int, stage: str, *records: RunRecord, **fields: Any) -> Run:
    """A run whose RUN is the project's record ``number``; decided when main's head was somebody else's commit."""
    started_at = fields.pop("started_at", None)
    created = a_created(run, stage, number=number, **{"commit": OTHER, **fields})
    return Run(created=created, records=records, started_at=started_at)


def told(project: Project, *entries: ProjectRecord | Run) -> dict[str, CommitStatus]:
    """Commit -> what stands beside it."""
    records = tuple(entry.created if isinstance(entry, Run) else entry for entry in entries)
    history = ProjectHistory(records=records, runs=tuple(entry for entry in entries if isinstance(entry, Run)))
    found = commit_statuses(a_desired(project), Ledger(share=SHARE, projects={CROSSING: history}))
    assert len(found) == len({one.commit for one in found})
    return {one.commit: one for one in found}


LIVES = [
    ((), None, PENDING, "run 1 detect is about to be claimed"),
    ((a_claim(),), None, PENDING, "run 1 detect is starting on a (attempt 1)"),
    ((a_claim(),), NOW, RUNNING, "run 1 detect on a since 2026-11-01 12:00 UTC"),
    ((a_claim(), released()), NOW, PENDING, "run 1 detect is tried again after attempt 1"),
    ((a_claim(), failed(final=False)), NOW, PENDING, "run 1 detect is tried again after attempt 1"),
    ((a_claim(), released(), a_claim(3, "b")), None, PENDING, "run 1 detect is starting on b (attempt 2)"),
    ((a_claim(), done()), NOW, SUCCESS, "run 1 detect succeeded on a"),
    ((a_claim(), failed()), NOW, FAILED, "run 1 detect failed on a: exited with code 1"),
    ((a_claim(), aborted()), NOW, FAILED, "run 1 detect was aborted"),
    ((a_claim(), released(), lost(3)), NOW, FAILED, "run 1 detect was lost: gave up after 3 attempts"),
]


@pytest.mark.parametrize(("records", "started_at", "state", "words"), LIVES)
def test_a_runs_life_is_told_in_four_words(records: Any, started_at: Any, state: CommitState, words: str) -> None:
    """No text holds an age: it would be news every second."""
    seen = a_seen(1, commit=ADDED)
    found = told(a_project(), seen, run_of(2, 1, "detect", *records, started_at=started_at))[ADDED]
    if state is not SUCCESS:  # after it, the next stage waits
        assert (found.state, found.description) == (state, words)
    assert found.context == "winslow/crossing"
    assert found.is_final == (found.state in (SUCCESS, FAILED))


def test_a_last_stage_that_succeeded_is_a_success() -> None:
    entries = (a_seen(1, commit=ADDED), run_of(2, 1, "report", a_claim(), done()))
    found = told(a_project(), *entries)[ADDED]
    assert (found.state, found.description) == (SUCCESS, "run 1 report succeeded on a")
    assert found.path == "projects/crossing/runs/0001-report.yaml"


def test_runs_in_order_are_told_at_the_commit_that_last_touched_the_file() -> None:
    """Not at whatever was main's head when a node decided: that may be about another project."""
    runs = (run_of(2, 1, "detect", a_claim(), done()), run_of(3, 2, "track", a_claim(), started_at=NOW))
    found = told(a_project(), a_seen(1, commit=ADDED), *runs)
    assert found.keys() == {ADDED}
    assert found[ADDED].description.startswith("run 2 track")


def test_a_run_keeps_its_commit_when_the_file_changes_later() -> None:
    run = run_of(2, 1, "detect", a_claim(), started_at=NOW)
    found = told(a_project(), a_seen(1, commit=ADDED), run, a_seen(3, commit=ASKED))
    assert found.keys() == {ADDED}


def test_a_requested_run_is_told_at_the_commit_that_asked() -> None:
    """Though the file changed again before a node was free."""
    request = a_next("track", after=1)
    project = a_project(next=request, priority=3)
    entries = (
        a_seen(1, commit=ADDED),
        run_of(2, 1, "detect", a_claim(), done()),
        a_seen(3, commit=ASKED, request=request),
        a_seen(4, commit=OTHER, request=request),
        run_of(5, 2, "track", a_claim(), request=canonical(request), started_at=NOW),
    )
    found = told(project, *entries)
    assert found.keys() == {ADDED, ASKED}
    assert found[ASKED].state is RUNNING
    assert found[ADDED].state is SUCCESS


def test_a_stage_that_waits_for_a_node_is_pending_at_its_commit() -> None:
    found = told(a_project(), a_seen(1, commit=ADDED))[ADDED]
    assert (found.state, found.description) == (PENDING, "detect waits to start")
    assert found.path == "projects/crossing/status.yaml"


def test_a_request_that_waits_for_a_node_is_pending_also_while_paused() -> None:
    request = a_next("report", after=1)
    entries = (a_seen(1, commit=ADDED), run_of(2, 1, "detect", a_claim(), done()))
    for paused in (False, True):
        project = a_project(next=request, paused=paused)
        found = told(project, *entries, a_seen(3, commit=ASKED, request=request))
        assert (found[ASKED].state, found[ASKED].description) == (PENDING, "report waits to start")


def test_pausing_is_nothing_that_a_commit_waits_for() -> None:
    assert told(a_project(paused=True), a_seen(1, commit=ADDED)) == {}


def test_a_request_that_waits_for_a_run_is_pending() -> None:
    request = a_next("detect", after=1)
    run = run_of(2, 1, "detect", a_claim(), started_at=NOW)
    found = told(a_project(next=request), a_seen(1, commit=ADDED), run, a_seen(3, commit=ASKED, request=request))
    assert (found[ADDED].state, found[ASKED].state) == (RUNNING, PENDING)
    assert "once run 1 has succeeded" in found[ASKED].description


def test_a_stale_request_has_failed_and_says_what_to_write() -> None:
    """Else a merge that does nothing would look like one that has not been seen."""
    request = a_next("detect")
    run = run_of(2, 1, "report", a_claim(), done())
    found = told(a_project(next=request), a_seen(1, commit=ADDED), run, a_seen(3, commit=ASKED, request=request))
    assert found[ASKED].state is FAILED
    assert found[ASKED].description.endswith("write: next: {stage: detect, after: 1}")


def test_a_request_for_no_stage_has_failed() -> None:
    request = a_next("detekt")
    found = told(a_project(next=request), a_seen(1, commit=ASKED, request=request))[ASKED]
    assert found.state is FAILED
    assert "next asks for stage 'detekt'" in found.description


def test_what_the_ledger_has_not_recorded_yet_is_not_told() -> None:
    """Which commit it will name is not known before."""
    assert told(a_project(blob=Blob("e" * 40)), a_seen(1, commit=ADDED)) == {}


def test_a_project_that_left_git_keeps_what_was_told() -> None:
    run = run_of(2, 1, "detect", a_claim(), started_at=NOW)
    history = ProjectHistory(records=(a_seen(1, commit=ADDED), run.created), runs=(run,))
    desired = replace(a_desired(), projects={})
    found = commit_statuses(desired, Ledger(share=SHARE, projects={CROSSING: history}))
    assert [one.commit for one in found] == [ADDED]


def test_no_text_is_longer_than_every_forge_takes() -> None:
    words = "a\nlong   story " * 30
    run = run_of(2, 1, "detect", a_claim(), failed(message=words))
    text = told(a_project(), a_seen(1, commit=ADDED), run)[ADDED].description
    assert len(text) == 140
    assert "\n" not in text
    assert "  " not in text
    assert text.endswith("…")


def test_a_mark_tells_apart_whatever_a_person_would_see() -> None:
    """Two posts with one mark: the second would never be made."""
    one = CommitStatus(commit=ADDED, context="winslow/a", state=PENDING, description="x", path="p")
    others = [
        replace(one, commit=ASKED),
        replace(one, context="winslow/b"),
        replace(one, state=RUNNING),
        replace(one, description="y"),
    ]
    assert len({one.mark("f"), one.mark("g"), *(other.mark("f") for other in others)}) == 6


def test_each_forge_shows_files_in_its_own_place() -> None:
    def at(kind: str) -> str:
        return page_of("projects/ulm/status.yaml", Forge(kind=kind, url="https://git.example/lab/state"), "observed")

    assert at("gitlab") == "https://git.example/lab/state/-/blob/observed/projects/ulm/status.yaml"
    assert at("github") == "https://git.example/lab/state/blob/observed/projects/ulm/status.yaml"
    assert at("gitea") == at("forgejo") == "https://git.example/lab/state/src/branch/observed/projects/ulm/status.yaml"


def test_nothing_asked_is_nothing_told() -> None:
    assert commit_statuses(Desired(commit=OTHER), Ledger(share=SHARE)) == ()
