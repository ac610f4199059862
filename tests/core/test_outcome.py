"""What an ended container means, and in which words a person reads it."""

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.containers import Container, ContainerState
from reconciler.core.ledger import Run
from reconciler.core.outcome import Ending, Outage, Verdict, judge
from reconciler.core.records import RunRecord
from tests.fakes.build import NOW, a_claim, a_container, a_key, a_run, released

RUN = a_run(1, "detect", a_claim(), retries_exit_codes=(75,), timeout=60.0)


def ended(exit_code: int | None, **fields: Any) -> Container:
    return a_container(a_key(RUN), ContainerState.EXITED, exit_code=exit_code, **fields)


def judged(exit_code: int | None, run: Run = RUN, **fields: Any) -> Ending:
    return judge(run, ended(exit_code, **fields))


def test_zero_is_success() -> None:
    assert judged(0).verdict is Verdict.DONE


def test_a_failing_program_fails_for_good() -> None:
    ending = judged(1)
    assert (ending.verdict, ending.reason, ending.final) == (Verdict.FAILED, "ExitCode", True)
    assert ending.message == "exited with code 1; its log says why"


def test_a_listed_exit_code_is_tried_again_while_attempts_are_left() -> None:
    assert not judged(75).final
    third: list[RunRecord] = [a_claim(1), released(2), a_claim(3), released(4), a_claim(5)]
    assert judged(75, a_run(1, "detect", *third, retries_exit_codes=(75,))).final
    assert judged(75, a_run(1, "detect", a_claim(), retries_exit_codes=(75,), retries_limit=0)).final


def test_no_exit_code_is_a_lost_attempt() -> None:
    ending = judged(None, error="its supervisor vanished")
    assert (ending.verdict, ending.reason, ending.message) == (Verdict.RELEASED, "Lost", "its supervisor vanished")


def test_an_end_at_the_timeout_is_one_of_the_timeout() -> None:
    ending = judged(143, started_at=NOW, ended_at=NOW + timedelta(seconds=61))
    assert (ending.reason, ending.final) == ("TimedOut", True)
    assert "60 s" in ending.message


def test_success_in_the_last_moment_is_success() -> None:
    assert judged(0, started_at=NOW, ended_at=NOW + timedelta(seconds=61)).verdict is Verdict.DONE


def test_too_much_memory_names_the_setting() -> None:
    ending = judged(137, oom_killed=True)
    assert ending.reason == "OutOfMemory"
    assert "requires.memory" in ending.message


@pytest.mark.parametrize(
    ("code", "words"),
    [(137, "was killed from outside (signal 9"), (139, "ended by signal 11 (exit code 139)"), (143, "signal 15")],
)
def test_signals_are_named(code: int, words: str) -> None:
    assert words in judged(code).message


def test_a_command_that_is_not_there_is_told_from_a_program_that_says_127() -> None:
    assert judged(127, error="exec: not found").reason == "CommandNotFound"
    assert judged(127).reason == "ExitCode"


@pytest.mark.parametrize("code", [137, 143, 255])
def test_a_program_that_the_engine_took_down_did_not_fail(code: int) -> None:
    outage = Outage(NOW + timedelta(seconds=5), NOW + timedelta(seconds=12))
    ending = judge(RUN, ended(code, ended_at=NOW + timedelta(seconds=6)), outage)
    assert (ending.verdict, ending.reason) == (Verdict.RELEASED, "EngineRestarted")


def test_a_program_that_failed_by_itself_around_an_outage_did_fail() -> None:
    outage = Outage(NOW + timedelta(seconds=5), NOW + timedelta(seconds=12))
    assert judge(RUN, ended(1, ended_at=NOW + timedelta(seconds=6)), outage).verdict is Verdict.FAILED
    late = ended(143, ended_at=NOW + timedelta(seconds=40))
    assert judge(RUN, late, outage).verdict is Verdict.FAILED
