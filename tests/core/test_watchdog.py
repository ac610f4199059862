"""What has to end while nobody can read or write the ledger: a timeout, and a suspect stage that asks for it."""

from typing import Any

import pytest

from reconciler.core.containers import ContainerState
from reconciler.core.desired import OnSuspect
from reconciler.core.ledger import Ledger
from reconciler.core.names import NodeName
from reconciler.core.outcome import Verdict
from reconciler.core.watchdog import SUSPECT, TIMED_OUT, Watched, judge_stopped, overdue
from tests.fakes.build import a_claim, a_container, a_key, a_ledger, a_run, done

STOP = {"on_suspect": OnSuspect.STOP}


def watched(
    run: Any, *, ran_for: float = 10.0, state: ContainerState = ContainerState.RUNNING, **fields: Any
) -> Watched:
    key = a_key(run)
    return Watched(
        **{"node": NodeName("a"), "containers": (a_container(key, state),), "ran_for": {key: ran_for}, **fields}
    )


def stopped(ledger: Ledger, watch: Watched) -> list[str]:
    return [action.because for action in overdue(ledger, watch)]


def test_a_timeout_holds_while_the_share_hangs() -> None:
    run = a_run(1, "detect", a_claim(), timeout=60.0)
    assert stopped(a_ledger(run), watched(run, ran_for=60.0)) == [TIMED_OUT]
    assert stopped(a_ledger(run), watched(run, ran_for=59.0)) == []


def test_a_suspect_stage_that_asks_for_it_is_stopped_once_others_may_have_taken_it_over() -> None:
    run = a_run(1, "detect", a_claim(), **STOP)
    assert stopped(a_ledger(run), watched(run, unheard_for=60.0)) == [SUSPECT]
    assert stopped(a_ledger(run), watched(run, unheard_for=59.0)) == []


def test_a_stage_may_have_a_ttl_of_its_own() -> None:
    run = a_run(1, "detect", a_claim(), ttl=600.0, **STOP)
    assert stopped(a_ledger(run), watched(run, unheard_for=599.0)) == []
    assert stopped(a_ledger(run), watched(run, unheard_for=600.0)) == [SUSPECT]


def test_by_default_a_suspect_stage_goes_on() -> None:
    run = a_run(1, "detect", a_claim())
    assert stopped(a_ledger(run), watched(run, unheard_for=1e6)) == []


@pytest.mark.parametrize("state", [ContainerState.CREATED, ContainerState.EXITED])
def test_only_what_runs_is_stopped(state: ContainerState) -> None:
    run = a_run(1, "detect", a_claim(), timeout=1.0, **STOP)
    assert stopped(a_ledger(run), watched(run, state=state, unheard_for=1e6)) == []


def test_a_suspect_that_was_given_up_is_not_kept_after_all() -> None:
    """The engine did not answer when it was to be stopped. Its end will not be believed, so it must not run on."""
    run = a_run(1, "detect", a_claim(), **STOP)
    assert stopped(a_ledger(run), watched(run, given_up=frozenset({a_key(run)}))) == [SUSPECT]


def test_what_is_being_stopped_is_not_stopped_again() -> None:
    run = a_run(1, "detect", a_claim(), timeout=1.0)
    assert stopped(a_ledger(run), watched(run, stopping=frozenset({a_key(run)}))) == []


@pytest.mark.parametrize("records", [(a_claim(node="b"),), (a_claim(), done())], ids=["another's", "ended"])
def test_only_our_own_claims_in_force_are_looked_after(records: Any) -> None:
    """Whatever else runs here is the next tick's to judge: it needs the ledger as it is now."""
    run = a_run(1, "detect", *records, timeout=1.0, **STOP)
    assert stopped(a_ledger(run), watched(run, unheard_for=1e6)) == []


@pytest.mark.parametrize("code", [0, 1, 137, 143, None])
def test_a_suspects_exit_code_is_not_believed(code: int | None) -> None:
    """Asked to stop, many programs end with 0, their work half done."""
    run = a_run(1, "detect", a_claim(), **STOP)
    ending = judge_stopped(SUSPECT, a_container(a_key(run), ContainerState.EXITED, exit_code=code))
    assert ending is not None
    assert (ending.verdict, ending.reason) == (Verdict.RELEASED, "Suspect")


def test_a_timeout_whose_exit_code_was_lost_with_its_supervisor_is_still_a_timeout() -> None:
    run = a_run(1, "detect", a_claim(), timeout=1.0)
    vanished = a_container(a_key(run), ContainerState.EXITED, exit_code=None, ended_at=None)
    ending = judge_stopped(TIMED_OUT, vanished)
    assert ending is not None
    assert (ending.verdict, ending.reason, ending.final) == (Verdict.FAILED, "TimedOut", True)


@pytest.mark.parametrize("because", ["", TIMED_OUT, "Superseded"])
def test_every_other_end_is_judged_as_ever(because: str) -> None:
    run = a_run(1, "detect", a_claim(), timeout=1.0)
    assert judge_stopped(because, a_container(a_key(run), ContainerState.EXITED, exit_code=3)) is None
