"""Ends that may not be the program's own, and what still runs under a claim that is over."""

import pytest

from reconciler.core.actions import CreateRun, FinishRun, StopContainer
from reconciler.core.containers import Container, ContainerState
from reconciler.core.desired import Gpus, Requires
from reconciler.core.draft import Plan
from reconciler.core.ledger import Run
from reconciler.core.names import RunNumber
from reconciler.core.outcome import SLACK
from reconciler.core.plan import plan
from reconciler.core.records import Released
from tests.fakes.build import (
    CROSSING,
    a_claim,
    a_container,
    a_desired,
    a_gpu,
    a_key,
    a_ledger,
    a_next,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_stage,
    aborted,
    me,
)

ONE_GPU = Requires(gpus=Gpus(count=1))
RUN = a_run(1, "detect", a_claim())


def look(run: Run, container: Container, since: dict[str, float] | None = None, **fields: str) -> Plan:
    logged = frozenset({container.key})
    seen = me(containers=(container,), followed=logged, logged=logged, since=since or {}, **fields)
    return plan(a_desired(), a_ledger(run), (a_node(),), seen)


def kinds(todo: Plan) -> list[type]:
    return [type(action) for action in todo.actions]


@pytest.mark.parametrize("code", [137, 143, 255])
def test_an_end_by_signal_is_recorded_only_once_the_machine_proves_to_stay(code: int) -> None:
    """Engines and machines that go down end what they run a moment before they are gone themselves."""
    ended = a_container(a_key(RUN), ContainerState.EXITED, exit_code=code)
    first = look(RUN, ended)
    assert kinds(first) == []
    assert first.wake_at == 1000.0 + SLACK.total_seconds()
    [situation] = [found for found in first.situations if found.startswith("ended")]
    later = look(RUN, ended, {situation: 1000.0 - SLACK.total_seconds()})
    assert kinds(later) == [FinishRun]


def test_a_machine_that_went_down_meanwhile_costs_an_attempt_and_not_the_run() -> None:
    ended = a_container(a_key(RUN), ContainerState.EXITED, exit_code=143)
    [released] = look(RUN, ended, boot="boot-2").actions
    assert isinstance(getattr(released, "record", None), Released)


@pytest.mark.parametrize("fields", [{"exit_code": 0}, {"exit_code": 1}, {"exit_code": 137, "oom_killed": True}])
def test_a_programs_own_end_is_recorded_at_once(fields: dict[str, int]) -> None:
    assert kinds(look(RUN, a_container(a_key(RUN), ContainerState.EXITED, **fields))) == [FinishRun]


def test_a_gpu_is_free_only_once_the_aborted_stage_has_ended() -> None:
    stage = a_stage(requires=ONE_GPU)
    run = a_run(1, "detect", a_claim(gpus=("gpu-1",)), aborted(), requires=ONE_GPU)
    project = a_project(abort=RunNumber(1), next=a_next("detect", 1))
    desired = a_desired(project, pipeline=a_pipeline(stage))
    node = a_node(gpus=(a_gpu("gpu-1"),))
    container = a_container(a_key(run))
    todo = plan(desired, a_ledger(run), (node,), me(containers=(container,)))
    assert kinds(todo) == [StopContainer]
    assert todo.waiting[CROSSING].because == "NoNodeFree"
    assert kinds(plan(desired, a_ledger(run), (node,), me())) == [CreateRun]


def test_a_claim_of_another_runtime_is_neither_started_again_nor_given_away() -> None:
    todo = plan(a_desired(), a_ledger(RUN), (a_node(runtime="process"),), me(runtime="process"))
    assert not todo.actions
    assert todo.waiting[CROSSING].because == "RuntimeChanged"
