"""What an ended container means, and in which words a person reads it."""

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.containers import Container, ContainerState
from reconciler.core.ledger import Run
from reconciler.core.outcome import Ending, Outage, Verdict, judge, may_be_collateral
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


SINCE = NOW + timedelta(seconds=300)
"""When the engine that now tells of an end was started; the stage was started at NOW."""


def restarted(code: int, ended_after: float, outage: Outage | None = None, **fields: Any) -> Ending:
    """The end of a stage so many seconds after the present engine was started (negative: before)."""
    at = SINCE + timedelta(seconds=ended_after)
    return judge(a_run(1, "detect", a_claim()), ended(code, ended_at=at, engine_since=SINCE, **fields), outage)


@pytest.mark.parametrize("code", [0, 3, 137, 143, 255])
@pytest.mark.parametrize("ended_after", [-30, 12])
def test_what_ended_while_an_engine_was_restarted_was_its_doing(code: int, ended_after: int) -> None:
    """By its stop, or by its successor's start; a program may answer SIGTERM with any code. Nobody was there to see."""
    assert restarted(code, ended_after).reason == "EngineRestarted"


@pytest.mark.parametrize(("code", "verdict"), [(0, Verdict.DONE), (3, Verdict.FAILED), (137, Verdict.RELEASED)])
def test_what_ended_long_before_a_restart_ended_by_itself_but_for_a_signal(code: int, verdict: Verdict) -> None:
    """How long the engine was away nobody knows, so a signal remains in doubt: an attempt costs less than a project."""
    assert restarted(code, -200).verdict is verdict


def test_an_absence_that_was_seen_counts_in_full() -> None:
    outage = Outage(SINCE - timedelta(seconds=250), SINCE + timedelta(seconds=1))
    assert restarted(0, -200, outage).reason == "EngineRestarted"
    assert restarted(0, -251, outage).verdict is Verdict.DONE


@pytest.mark.parametrize(("code", "verdict"), [(0, Verdict.DONE), (3, Verdict.FAILED), (255, Verdict.RELEASED)])
def test_an_engine_with_live_restore_ends_nothing_but_may_not_know_how_it_ended(code: int, verdict: Verdict) -> None:
    assert restarted(code, -30, live_restore=True).verdict is verdict


def test_a_kill_under_the_present_engine_is_one_from_outside() -> None:
    assert restarted(137, 40, live_restore=True).reason == "ExitCode"
    assert restarted(137, 5, started_at=SINCE + timedelta(seconds=1)).reason == "ExitCode"
    assert restarted(0, 5, started_at=SINCE + timedelta(seconds=1)).verdict is Verdict.DONE


def test_a_hung_engine_took_nothing_down() -> None:
    """It did not answer, and is still the same one: somebody killed the stage meanwhile."""
    outage = Outage(SINCE + timedelta(seconds=20), SINCE + timedelta(seconds=60))
    assert restarted(137, 30, outage, started_at=SINCE + timedelta(seconds=1)).reason == "ExitCode"


def test_memory_is_known_for_sure_also_around_a_restart() -> None:
    assert restarted(137, -30, oom_killed=True).reason == "OutOfMemory"


def test_one_process_out_of_memory_is_the_programs_own_affair() -> None:
    assert judged(0, oom_killed=True).verdict is Verdict.DONE
    ending = judged(1, oom_killed=True)
    assert ending.reason == "OutOfMemory"
    assert ending.message.startswith("exited with code 1 after the kernel had killed a process of it")
    assert restarted(143, -30, oom_killed=True).reason == "EngineRestarted"


def test_without_a_limit_it_was_the_machines_memory() -> None:
    assert "write requires.memory" in judged(137, oom_killed=True, limits={"memory": "0"}).message


def test_a_container_that_somebody_removed_ended_nobody_knows_how() -> None:
    ending = judged(None, removed=True)
    assert (ending.verdict, ending.reason) == (Verdict.RELEASED, "ContainerMissing")


def test_only_an_open_question_is_waited_for() -> None:
    """The answer may come within seconds: does the engine, or the machine, go down?"""
    assert may_be_collateral(RUN, ended(143))
    assert not may_be_collateral(RUN, ended(3))
    assert not may_be_collateral(RUN, ended(137, oom_killed=True))
    assert not may_be_collateral(RUN, ended(143, engine_since=NOW + timedelta(seconds=12)))
