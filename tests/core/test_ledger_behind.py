"""What a ledger lacks of which was told: only what is really gone, or was replaced."""

from dataclasses import replace

import pytest

from reconciler.codec.heartbeat import WIDTH
from reconciler.codec.noted import noted as noted_in
from reconciler.codec.noted import version
from reconciler.codec.observed import fold
from reconciler.core.ledger import Ledger, ProjectHistory, Retired, Run
from reconciler.core.ledger_behind import SHOWN, Noted, missing, told
from reconciler.core.names import ProjectName, RecordNumber, RunNumber, Token
from reconciler.core.plan import plan
from reconciler.core.report import report
from tests.fakes.build import (
    COMMIT,
    CROSSING,
    SHARE,
    a_claim,
    a_desired,
    a_ledger,
    a_node,
    a_project,
    a_run,
    a_seen,
    an_unclaimed_run,
    done,
    failed,
    me,
    released,
)


def noted(ledger: Ledger) -> tuple[Noted, ...]:
    """What the branch tells of this ledger once it is published, by way of its files."""
    files = fold(report(a_desired(a_project()), ledger, (a_node(),), branch="main"))
    found = (noted_in(path, text) for path, text in files.items())
    return tuple(sorted(one for one in found if one is not None))


def a_numbered_ledger(*runs: Run) -> Ledger:
    """DESIRED is the project's first record, then come its runs."""
    numbered = [replace(run, created=replace(run.created, number=RecordNumber(run.number + 1))) for run in runs]
    return a_ledger(*numbered)


DAY_ONE = a_numbered_ledger(a_run(1), a_run(2, "track", a_claim()))
DAY_TWO = a_numbered_ledger(a_run(1), a_run(2, "track", a_claim(), done()), a_run(3, "report", a_claim()))


def test_files_tell_the_last_record_of_each_project_and_of_each_run() -> None:
    told = noted(DAY_TWO)
    assert [(one.run, one.record) for one in told] == [(0, 4), (1, 2), (2, 2), (3, 1)]
    assert told[0].token == DAY_TWO.history(CROSSING).records[-1].token


def test_a_ledger_lacks_nothing_of_what_itself_or_an_older_view_of_it_told() -> None:
    assert missing(DAY_TWO, noted(DAY_TWO)) == ()
    assert missing(DAY_TWO, noted(DAY_ONE)) == ()


def test_yesterdays_ledger_lacks_what_was_told_today() -> None:
    assert [(one.run, one.record) for one in missing(DAY_ONE, noted(DAY_TWO))] == [(0, 4), (2, 2), (3, 1)]


def test_an_empty_share_lacks_everything() -> None:
    assert missing(Ledger(share=SHARE), noted(DAY_TWO)) == noted(DAY_TWO)


def test_another_record_under_the_same_number_is_not_the_one_that_was_told_of() -> None:
    """Two nodes went on from a backup: the numbers are all there, and mean something else."""
    other = a_numbered_ledger(a_run(1), a_run(2, "track", a_claim(), failed(node="b")))
    lacking = missing(other, noted(a_numbered_ledger(a_run(1), a_run(2, "track", a_claim(), failed()))))
    assert [(one.run, one.record) for one in lacking] == [(2, 2)]


def test_a_run_that_nobody_has_claimed_yet_tells_of_its_project_alone() -> None:
    ledger = a_numbered_ledger(an_unclaimed_run())
    assert [(one.run, one.record) for one in noted(ledger)] == [(0, 2)]
    assert missing(ledger, noted(ledger)) == ()


def purged(record: int, run: int) -> Ledger:
    retired = Retired(record=RecordNumber(record), run=RunNumber(run), commit=COMMIT)
    return Ledger(share=SHARE, projects={CROSSING: ProjectHistory(retired=retired)})


def test_what_was_purged_since_is_no_loss() -> None:
    assert missing(purged(record=9, run=3), noted(DAY_TWO)) == ()


def test_a_namesakes_own_records_are_missed_behind_an_older_purge() -> None:
    namesake = (
        Noted(project=CROSSING, record=RecordNumber(10), token=Token("new")),
        Noted(project=CROSSING, run=RunNumber(4), record=RecordNumber(1), token=Token("new")),
    )
    assert missing(purged(record=9, run=3), namesake) == namesake
    started = replace(purged(9, 3).history(CROSSING), records=(a_seen(10),))
    known = Noted(project=CROSSING, record=RecordNumber(10), token=started.records[0].token)
    assert missing(Ledger(share=SHARE, projects={CROSSING: started}), [known]) == ()


def test_of_records_that_cannot_be_read_nothing_is_said() -> None:
    """They were written by a newer Winslow, most likely: they are there."""
    assert missing(Ledger(share=SHARE, unreadable={CROSSING: "newer"}), noted(DAY_TWO)) == ()


def test_on_a_ledger_that_lacks_records_nothing_is_decided() -> None:
    desired, lacking = a_desired(a_project(), a_project("ulm")), missing(DAY_ONE, noted(DAY_TWO))
    assert plan(desired, DAY_ONE, (a_node(),), me()).actions
    held = plan(desired, DAY_ONE, (a_node(),), me(lacking=lacking))
    assert held.actions == ()
    assert {name: one.because for name, one in held.waiting.items()} == {
        CROSSING: "LedgerBehind",
        ProjectName("ulm"): "LedgerBehind",
    }


def test_people_read_what_to_do_in_the_width_of_a_heartbeat() -> None:
    many = missing(Ledger(share=SHARE), noted(DAY_TWO))
    assert len(many) > SHOWN
    assert "winslow rebuild. Missing: record 4 of crossing" in told(many)
    assert told(many).endswith(f"and {len(many) - SHOWN} more")
    assert len(told(many)) < WIDTH - 20


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("projects/ulm/status.yaml", "record: many\ntoken: x\n"),
        ("projects/ulm/status.yaml", "record: 0\ntoken: x\n"),
        ("projects/ulm/status.yaml", "record: 1\n"),
        ("projects/ulm/status.yaml", "record: 1\ntoken: [\n"),
        ("projects/ulm/runs/old.yaml", "record: 1\ntoken: x\n"),
        ("nodes/ulm.yaml", "record: 1\ntoken: x\n"),
        ("README.md", "record: 1\ntoken: x\n"),
    ],
)
def test_what_somebody_broke_by_hand_tells_of_nothing(path: str, text: str) -> None:
    assert noted_in(path, text) is None


def test_a_token_of_digits_alone_is_told_as_it_is() -> None:
    run = a_run(1, "detect", replace(a_claim(), token=Token("00123")), replace(released(), token=Token("12e5")))
    assert noted(a_numbered_ledger(run))[-1].token == "12e5"


def test_the_branchs_version_is_found() -> None:
    assert version(fold(report(a_desired(), DAY_ONE, (), branch="main"))) == 1
    assert version({}) == 0
