"""What only a run's claimant can know: it waits with that reason, and its heartbeat carries it to every page."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.actions import StopContainer
from reconciler.core.containers import ContainerState
from reconciler.core.draft import Plan
from reconciler.core.nodes import Remark
from reconciler.core.plan import plan
from reconciler.core.report import report
from reconciler.core.status import ProjectPhase, ProjectStatus
from reconciler.core.supervise import REMARKS
from tests.fakes.build import CROSSING, NOW, a_claim, a_container, a_desired, a_key, a_ledger, a_node, a_run, done, me

RUN = replace(a_run(1, "detect", a_claim(1, "a"), timeout=60.0), started_at=NOW)
KEY = a_key(RUN)
SAID = Remark("ContainerPaused", "docker unpause it")


def planned(state: ContainerState, **fields: Any) -> Plan:
    mine = me(containers=(a_container(KEY, state, **fields),), followed=frozenset({KEY}), logged=frozenset({KEY}))
    return plan(a_desired(), a_ledger(RUN), (a_node("a"),), mine)


def test_a_paused_container_waits_for_a_person_who_is_told_the_command() -> None:
    found = planned(ContainerState.RUNNING, paused=True).waiting[CROSSING]
    assert (found.phase, found.because) == (ProjectPhase.RUNNING, "ContainerPaused")
    assert f"docker unpause {KEY.slug}" in found.message


def test_a_paused_container_that_runs_into_its_timeout_is_stopped() -> None:
    mine = me(
        containers=(a_container(KEY, paused=True),),
        followed=frozenset({KEY}),
        ran_for={KEY: 61.0},
        starting=frozenset(),
    )
    (stop,) = plan(a_desired(), a_ledger(RUN), (a_node("a"),), mine).actions
    assert isinstance(stop, StopContainer)


def test_an_end_by_signal_is_told_before_it_is_recorded() -> None:
    todo = planned(ContainerState.EXITED, exit_code=137)
    assert (todo.actions, todo.waiting[CROSSING].because) == ((), "EndedBySignal")
    assert "137" in todo.waiting[CROSSING].message


@pytest.mark.parametrize("exit_code", [0, 3])
def test_an_end_of_its_own_needs_no_remark(exit_code: int) -> None:
    assert planned(ContainerState.EXITED, exit_code=exit_code).waiting[CROSSING].because not in REMARKS


def reported(run: Any = RUN, node: str = "a") -> ProjectStatus:
    nodes = (replace(a_node(node), remarks={CROSSING: SAID}), a_node("c"))
    (found,) = report(a_desired(), a_ledger(run), nodes, branch="main").projects
    return found


def test_a_claimants_remark_is_a_condition_of_the_project() -> None:
    (shown,) = [one for one in reported().conditions if one.type == "ContainerPaused"]
    assert (shown.status, shown.message) == ("True", SAID.message)


def test_what_another_node_says_of_the_project_is_old() -> None:
    assert reported(node="b").conditions == ()


def test_a_remark_ends_with_the_claim_though_the_heartbeat_may_be_late() -> None:
    ended = replace(RUN, records=(*RUN.records, done(2, "a")))
    assert "ContainerPaused" not in {one.type for one in reported(ended).conditions}
