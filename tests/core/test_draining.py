"""Draining: a node that people want empty, at once (``hand_over``) or when its stages have ended."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.actions import FinishRun, PublishRun, RemoveContainer, StartContainer, StopContainer
from reconciler.core.containers import Container, ContainerState
from reconciler.core.desired import Desired, NodePolicy
from reconciler.core.draft import Plan
from reconciler.core.entries import node_entry
from reconciler.core.ledger import Ledger, Run, RunPhase
from reconciler.core.names import Commit
from reconciler.core.plan import plan
from reconciler.core.records import Claim, Released
from tests.fakes.build import (
    CROSSING,
    NOW,
    A,
    B,
    a_claim,
    a_container,
    a_desired,
    a_key,
    a_ledger,
    a_node,
    a_pipeline,
    a_run,
    me,
    released,
)
from tests.fakes.world import World

MINE = replace(a_run(1, "detect", a_claim()), started_at=NOW)
KEY = a_key(MINE)
GOES = a_container(KEY)
NODES = (a_node("a"), a_node("b"))
DRAIN = NodePolicy(drained=True)
EMPTY = NodePolicy(drained=True, hand_over=True)


def drained(policy: NodePolicy = EMPTY) -> Desired:
    return a_desired(nodes={A: policy})


def todo(*containers: Container, policy: NodePolicy = EMPTY, run: Run = MINE, **myself: Any) -> Plan:
    return plan(drained(policy), a_ledger(run), NODES, me(containers=containers, **myself))


def handed_over(planned: Plan) -> bool:
    found = [one.record for one in planned.actions if isinstance(one, PublishRun)]
    return [type(one) for one in found] == [Released]


def test_a_node_that_hands_over_releases_what_runs_and_that_uses_no_attempt() -> None:
    planned = todo(GOES)
    [action] = planned.actions
    assert isinstance(action, PublishRun)
    assert isinstance(action.record, Released)
    assert (action.record.reason, action.record.counts, action.record.number) == ("Drained", False, 2)
    assert "nodes/a.yaml" in action.record.message


def test_its_container_is_stopped_only_after_the_release_stands() -> None:
    """The other way round a crash in between would look like a failed program."""
    after = replace(MINE, records=(*MINE.records, released(reason="Drained", counts=False)))
    planned = todo(GOES, run=after, followed=frozenset({KEY}))
    [stop] = [one for one in planned.actions if isinstance(one, StopContainer)]
    assert stop.because == "Drained"
    assert not [one for one in planned.actions if isinstance(one, PublishRun)]
    gone = replace(GOES, state=ContainerState.EXITED)
    assert [type(one) for one in todo(gone, run=after, logged=frozenset({KEY})).actions] == [RemoveContainer]


def test_drained_alone_lets_stages_go_on_to_their_end() -> None:
    planned = todo(GOES, policy=DRAIN, followed=frozenset({KEY}))
    assert not planned.actions
    assert planned.waiting[CROSSING].because == "Running"


def test_a_program_that_has_ended_is_recorded_and_not_run_again() -> None:
    ended = a_container(KEY, ContainerState.EXITED)
    planned = todo(ended, logged=frozenset({KEY}), followed=frozenset({KEY}))
    assert [type(one) for one in planned.actions] == [FinishRun]


@pytest.mark.parametrize("starting", [frozenset({KEY}), frozenset()])
def test_what_is_not_started_yet_is_handed_over_too(starting: frozenset[object]) -> None:
    run = replace(MINE, started_at=None)
    assert handed_over(todo(run=run, starting=starting))


def test_an_engine_that_is_down_does_not_hold_the_work_back() -> None:
    """Nothing could be stopped there anyway; what comes back with the engine is superseded."""
    assert handed_over(todo(engine_answers=False))


def test_what_another_runtime_may_still_run_is_not_given_away() -> None:
    """It would run here, unseen, and on the next node as well."""
    planned = todo(runtime="process")
    assert not planned.actions
    assert planned.waiting[CROSSING].because == "RuntimeChanged"


def test_an_older_view_of_git_releases_nothing() -> None:
    """The node may have been undrained since."""
    newer = replace(MINE, created=replace(MINE.created, commit=Commit("d" * 40)))
    planned = todo(GOES, run=newer, followed=frozenset({KEY}))
    assert not [one for one in planned.actions if isinstance(one, PublishRun)]


def test_other_nodes_claims_are_not_ours_to_release() -> None:
    theirs = a_run(1, "detect", a_claim(1, "b"))
    assert not todo(run=theirs).actions


@pytest.mark.parametrize("policy", [NodePolicy(hand_over=True), NodePolicy()])
def test_without_drained_nothing_is_handed_over(policy: NodePolicy) -> None:
    assert not handed_over(todo(GOES, policy=policy, followed=frozenset({KEY})))


# --- whole lives ---


def a_world(policy: NodePolicy) -> World:
    """Everything runs on a, which is then drained."""
    world = World(a_desired(pipeline=a_pipeline("detect", "track")), (a_node("a"),))
    while not world.machine(A).containers:
        world.carry_out(A, world.plan(A).actions)
    world.nodes = NODES
    world.desired = replace(world.desired, nodes={A: policy})
    return world


def run_of(world: World) -> Run:
    found = world.ledger.history(CROSSING).runs[0]
    assert found is not None
    return found


def test_a_running_stage_moves_at_once_and_uses_no_attempt() -> None:
    world = a_world(EMPTY).settle()
    run = run_of(world)
    assert [(type(one), one.node) for one in run.records[:3]] == [(Claim, A), (Released, A), (Claim, B)]
    assert run.attempts_used == 1
    assert run.phase is RunPhase.SUCCEEDED
    assert not world.machine(A).containers, "something is left on the node that was to be empty"


def test_any_step_of_handing_over_may_be_the_last() -> None:
    """A crash after each prefix of the actions ends in the same."""
    whole = a_world(EMPTY).settle().shape()
    for steps in range(4):
        world = a_world(EMPTY)
        for _ in range(steps):
            world.carry_out(A, world.plan(A).actions[:1])
        assert world.settle().shape() == whole


def test_a_drained_node_finishes_its_stage_and_starts_nothing_new() -> None:
    world = a_world(DRAIN).settle()
    first, second = world.ledger.history(CROSSING).runs
    assert [one.node for one in first.records] == [A, A]
    assert [one.node for one in second.records] == [B, B]


def test_alone_it_waits_and_goes_on_once_undrained() -> None:
    world = a_world(EMPTY)
    world.nodes = (a_node("a"),)
    world.settle()
    assert world.plan(A).waiting[CROSSING].because == "NoNodeFree"
    assert "drained" in world.plan(A).waiting[CROSSING].message
    world.desired = replace(world.desired, nodes={})
    world.settle()
    assert run_of(world).phase is RunPhase.SUCCEEDED


def test_draining_starts_nothing_on_the_node_itself() -> None:
    world = a_world(EMPTY).settle()
    after = [one for name, one in world.applied if name == A and isinstance(one, StartContainer)]
    assert len(after) == 1


# --- what people see ---


def shown(ledger: Ledger, policy: NodePolicy) -> list[tuple[str, str]]:
    entry = node_entry(drained(policy), ledger, a_node("a"))
    return [(one.type, one.message) for one in entry.conditions]


def test_people_see_what_still_runs_on_a_draining_node_and_when_it_is_empty() -> None:
    busy, empty = a_ledger(MINE), a_ledger(a_run())
    assert shown(busy, DRAIN) == [("Draining", "drained in nodes/a.yaml; still runs crossing/0001-detect")]
    assert shown(busy, EMPTY) == [("Draining", "drained in nodes/a.yaml; hands over crossing/0001-detect")]
    [(kind, message)] = shown(empty, DRAIN)
    assert kind == "Drained"
    assert "safe to switch off" in message
    assert shown(busy, NodePolicy()) == []
