"""Open runs: take over from the dead, never from the living; try again, give up, stop, leave alone."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.actions import (
    Action,
    CreateRun,
    FinishRun,
    FollowContainer,
    PublishRun,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from reconciler.core.containers import ContainerState
from reconciler.core.draft import Plan
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName, Token
from reconciler.core.plan import plan
from reconciler.core.records import Claim, Lost, Released, RunCreated
from reconciler.core.start import RANK_DELAY
from reconciler.core.supervise import MAX_BACKOFF, backoff
from tests.fakes.build import (
    CROSSING,
    NOW,
    A,
    a_claim,
    a_container,
    a_desired,
    a_key,
    a_ledger,
    a_node,
    a_run,
    aborted,
    an_unclaimed_run,
    done,
    failed,
    me,
    released,
)

BOTH = (a_node("a"), a_node("b"))
MINE = a_run(1, "detect", a_claim(1, "a"))
KEY = a_key(MINE)
NOW_RUNNING = replace(MINE, started_at=NOW)


def todo(run: Run, nodes: tuple[object, ...] = BOTH, **myself: object) -> Plan:
    return plan(a_desired(), a_ledger(run), nodes, me(**myself))  # type: ignore[arg-type]  # named by callers


def only(planned: Plan) -> Action:
    [action] = planned.actions
    return action


def published(planned: Plan) -> object:
    action = only(planned)
    assert isinstance(action, PublishRun), action
    return action.record


# --- our own claim ---


def test_a_claim_without_a_container_starts_one() -> None:
    assert isinstance(only(todo(MINE)), StartContainer)


def test_what_is_being_started_is_not_started_twice() -> None:
    planned = todo(MINE, starting=frozenset({KEY}))
    assert not planned.actions
    assert planned.waiting[CROSSING].because == "Starting"


def test_a_container_created_before_a_crash_is_started() -> None:
    planned = todo(MINE, containers=(a_container(KEY, ContainerState.CREATED),))
    assert isinstance(only(planned), StartContainer)


def test_a_running_container_that_nobody_follows_is_adopted() -> None:
    action = only(todo(NOW_RUNNING, containers=(a_container(KEY),)))
    assert isinstance(action, FollowContainer)
    assert action.because == "Adopted"


def test_a_followed_container_is_left_to_run() -> None:
    planned = todo(NOW_RUNNING, containers=(a_container(KEY),), followed=frozenset({KEY}))
    assert not planned.actions
    assert planned.waiting[CROSSING].because == "Running"


def test_an_end_is_recorded_once_its_log_is_whole() -> None:
    gone = a_container(KEY, ContainerState.EXITED)
    assert isinstance(only(todo(NOW_RUNNING, containers=(gone,))), FollowContainer)
    assert not todo(NOW_RUNNING, containers=(gone,), followed=frozenset({KEY})).actions
    whole = frozenset({KEY})
    assert isinstance(only(todo(NOW_RUNNING, containers=(gone,), followed=whole, logged=whole)), FinishRun)


@pytest.mark.parametrize(
    "gone",
    [
        (),
        (a_container(KEY, ContainerState.EXITED, boot="boot-1"),),
        (a_container(KEY, ContainerState.CREATED, boot="boot-1"),),  # hours of work of which the end is not believed
    ],
)
def test_after_a_reboot_the_claim_is_released_whatever_the_engine_says(gone: tuple[object, ...]) -> None:
    record = published(todo(NOW_RUNNING, boot="boot-2", containers=gone))
    assert isinstance(record, Released)
    assert (record.reason, record.counts) == ("Rebooted", True)


def test_an_end_under_another_boot_is_not_believed() -> None:
    restarted = a_container(KEY, ContainerState.EXITED, boot="boot-0")
    record = published(todo(NOW_RUNNING, containers=(restarted,), logged=frozenset({KEY})))
    assert isinstance(record, Released)


def test_a_container_removed_by_somebody_else_uses_an_attempt() -> None:
    record = published(todo(NOW_RUNNING))
    assert isinstance(record, Released)
    assert (record.reason, record.counts) == ("ContainerMissing", True)


def test_a_silent_engine_changes_nothing_and_says_what_to_do() -> None:
    planned = todo(NOW_RUNNING, engine_answers=False)
    assert not planned.actions
    assert planned.waiting[CROSSING].because == "EngineUnavailable"
    assert "systemctl start docker" in planned.waiting[CROSSING].message


def test_a_stage_that_runs_into_its_timeout_is_stopped_once() -> None:
    run = replace(a_run(1, "detect", a_claim(), timeout=60.0), started_at=NOW)
    key = a_key(run)
    late = {key: 60.0}
    known: dict[str, Any] = {"containers": (a_container(key),), "followed": frozenset({key})}
    early = todo(run, ran_for={key: 45.0}, **known)
    assert not early.actions
    assert early.wake_at == 1015.0
    action = only(todo(run, ran_for=late, **known))
    assert isinstance(action, StopContainer)
    assert action.because == "TimedOut"
    assert not todo(run, ran_for=late, stopping=frozenset({key}), **known).actions


# --- another node's claim ---


@pytest.mark.parametrize("silence", [0.0, 30.0, 59.9])
def test_a_living_nodes_claim_is_never_taken(silence: float) -> None:
    run = a_run(1, "detect", a_claim(1, "b"))
    planned = todo(run, (a_node("a"), a_node("b", silent_for=silence)), since={"claim crossing/1/2": 0.0})
    assert not planned.actions
    assert planned.waiting[CROSSING].because == "Starting"


def test_a_dead_nodes_claim_is_taken_over_under_the_next_number() -> None:
    run = a_run(1, "detect", a_claim(1, "b"))
    record = published(todo(run, (a_node("a"), a_node("b", silent_for=60.0))))
    assert isinstance(record, Claim)
    assert (record.number, record.node, record.because) == (2, "a", "Takeover")


def test_a_rebooted_owners_claim_is_taken_over_at_once() -> None:
    run = a_run(1, "detect", a_claim(1, "b"))
    record = published(todo(run, (a_node("a"), a_node("b", boot="boot-2")), since={"claim crossing/1/2": 0.0}))
    assert isinstance(record, Claim)


def test_a_claim_of_a_node_that_nobody_knows_is_left_alone() -> None:
    """Its record can't be read (a newer version, say): that is no evidence of death."""
    assert not todo(a_run(1, "detect", a_claim(1, "stranger"))).actions


def test_a_node_that_may_not_claim_takes_nothing_over() -> None:
    run = a_run(1, "detect", a_claim(1, "b"))
    assert not todo(run, (a_node("a"), a_node("b", silent_for=99.0)), may_claim=False).actions


def test_a_takeover_beyond_the_last_attempt_is_a_loss() -> None:
    run = a_run(1, "detect", a_claim(1, "b"), retries_limit=0)
    record = published(todo(run, (a_node("a"), a_node("b", silent_for=99.0))))
    assert isinstance(record, Lost)
    assert "b is gone" in record.message


def test_a_run_whose_creator_died_before_its_claim_is_claimed_by_another_node() -> None:
    run = an_unclaimed_run()
    planned = todo(run, since={"claim crossing/1/1": 1000.0 - RANK_DELAY})
    record = published(planned)
    assert isinstance(record, Claim)
    assert (record.number, record.because) == (1, "Fresh")


# --- trying again ---


def test_a_released_run_is_tried_again_after_its_backoff() -> None:
    run = a_run(1, "detect", a_claim(), released())
    waits = todo(run, since={"retry crossing/1/3": 950.0})
    assert not waits.actions
    assert waits.wake_at == 1010.0
    assert "tried again in 10 s after: it was lost" in waits.waiting[CROSSING].message
    record = published(todo(run, (a_node("a"),), since={"retry crossing/1/3": 940.0}))
    assert isinstance(record, Claim)
    assert (record.number, record.because) == (3, "Retry")


def test_a_transient_exit_is_tried_again_like_a_lost_attempt() -> None:
    run = a_run(1, "detect", a_claim(), failed(final=False))
    assert isinstance(published(todo(run, (a_node("a"),), since={"retry crossing/1/3": 0.0})), Claim)


def test_work_handed_over_is_taken_at_once_and_uses_no_attempt() -> None:
    run = a_run(1, "detect", a_claim(), released(counts=False), retries_limit=0)
    assert run.attempts_used == 0
    assert isinstance(published(todo(run, (a_node("a"),))), Claim)


def test_a_run_whose_attempts_are_used_up_is_lost_with_the_last_reason() -> None:
    run = a_run(1, "detect", a_claim(), released(), retries_limit=0)
    record = published(todo(run))
    assert isinstance(record, Lost)
    assert record.message == "gave up after 1 attempts; the last one: it was lost"


def test_the_backoff_doubles_up_to_an_hour_and_never_overflows() -> None:
    def after(used: int) -> float:
        records = [record for n in range(used) for record in (a_claim(2 * n + 1), released(2 * n + 2))]
        return backoff(a_run(1, "detect", *records))

    assert [after(used) for used in (1, 2, 3)] == [60.0, 120.0, 240.0]
    assert after(2000) == MAX_BACKOFF


# --- containers whose claim is over ---


@pytest.mark.parametrize("end", [aborted(2, "b"), a_claim(2, "b")])
def test_a_superseded_container_is_stopped_then_removed(end: Claim) -> None:
    run = a_run(1, "detect", a_claim(), end)
    key = a_key(run, claim=a_claim())
    planned = todo(run, containers=(a_container(key),), followed=frozenset({key}))
    stop = next(action for action in planned.actions if isinstance(action, StopContainer))
    assert stop.because == "Superseded"
    stopping = todo(run, containers=(a_container(key),), stopping=frozenset({key}))
    assert not [action for action in stopping.actions if isinstance(action, StopContainer)]
    ended = todo(run, containers=(a_container(key, ContainerState.EXITED),))
    assert [action for action in ended.actions if isinstance(action, RemoveContainer)]


def test_a_recorded_container_is_removed() -> None:
    run = a_run(1, "detect", a_claim(), done(), output_published=True)
    key = a_key(run)
    planned = todo(run, containers=(a_container(key, ContainerState.EXITED),), logged=frozenset({key}))
    [action] = [action for action in planned.actions if not isinstance(action, CreateRun)]
    assert isinstance(action, RemoveContainer)
    assert action.because == "Recorded"


def test_an_ended_container_stays_while_its_log_is_being_written() -> None:
    run = a_run(1, "detect", a_claim(), aborted())
    key = a_key(run)
    planned = todo(run, containers=(a_container(key, ContainerState.EXITED),), followed=frozenset({key}))
    assert not [action for action in planned.actions if isinstance(action, RemoveContainer)]


@pytest.mark.parametrize(
    "key",
    [
        replace(KEY, project=ProjectName("unknown")),
        replace(KEY, run=type(KEY.run)(7)),
        replace(KEY, number=type(KEY.number)(9)),
        replace(KEY, token=Token("of another share's life")),
    ],
)
def test_a_container_that_the_ledger_does_not_know_is_left_alone(key: object) -> None:
    """A share restored from a backup must not cost a running stage."""
    container = a_container(key)  # type: ignore[arg-type]  # parametrised
    planned = todo(NOW_RUNNING, containers=(a_container(KEY), container), followed=frozenset({KEY}))
    assert not planned.actions


def test_a_claims_record_holds_what_its_attempts_need() -> None:
    run = an_unclaimed_run()
    record = published(todo(run, (a_node("a"),)))
    assert isinstance(record, Claim)
    assert (record.boot, record.incarnation, record.runtime, record.node) == ("boot-1", "a-1", "docker", A)
    assert isinstance(run.created, RunCreated)
