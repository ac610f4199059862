"""Between a claim and its start: devices that are gone by then, and how long a node that gave back leaves it alone."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.actions import PublishRun, StartContainer
from reconciler.core.containers import ContainerState
from reconciler.core.desired import Gpus, Requires
from reconciler.core.draft import Plan
from reconciler.core.hold_back import LONGEST, pause
from reconciler.core.ledger import Ledger, Run
from reconciler.core.names import NodeName, ProjectName, RunNumber, ShareId
from reconciler.core.nodes import Availability, Gpu
from reconciler.core.plan import plan
from reconciler.core.records import Claim, Released, RunRecord
from tests.fakes.build import (
    CROSSING,
    GIB,
    SHARE,
    A,
    B,
    a_claim,
    a_container,
    a_desired,
    a_gpu,
    a_history,
    a_key,
    a_ledger,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_seen,
    a_stage,
    me,
    released,
)

ONE = Requires(gpus=Gpus(count=1))
G0, G1 = a_gpu("g0"), a_gpu("g1")
RUN = a_run(1, "detect", a_claim(gpus=("g0",)), requires=ONE)


def look(run: Run = RUN, *, gpus: tuple[Gpu, ...] = (G0, G1), **fields: Any) -> Plan:
    node = a_node(gpus=gpus)
    return plan(a_desired(), a_ledger(run), (node,), me(**fields))


def given_back(todo: Plan) -> Released:
    [action] = todo.actions
    assert isinstance(action, PublishRun), action
    assert isinstance(action.record, Released)
    return action.record


def test_a_device_that_is_there_and_free_is_used() -> None:
    assert [type(action) for action in look().actions] == [StartContainer]


def test_a_device_that_is_gone_faulty_or_taken_gives_the_claim_back() -> None:
    """Another node, or other devices of this one, serve it; nothing was tried, so no attempt is used."""
    faulty = replace(G0, fault="Unknown Error")
    for todo, told in (
        (look(gpus=(G1,)), "GPU g0 is no longer there"),
        (look(gpus=(faulty, G1)), "GPU g0 is faulty: Unknown Error"),
        (look(taken={"g0": "python (pid 4711)"}), "GPU g0 is used by python (pid 4711)"),
    ):
        record = given_back(todo)
        assert (record.reason, record.message, record.counts) == ("GpuLost", told, False)


def test_a_stranger_who_was_faster_keeps_the_device() -> None:
    """What the node's own heartbeat says of others' processes counts, too."""
    node = replace(a_node(gpus=(G0, G1)), availability=Availability(busy={"g0": "python (pid 4711)"}))
    todo = plan(a_desired(), a_ledger(RUN), (node,), me())
    assert given_back(todo).message == "GPU g0 is used by python (pid 4711)"


def test_what_a_stranger_does_elsewhere_disturbs_nobody() -> None:
    assert [type(action) for action in look(taken={"g1": "python (pid 4711)"}).actions] == [StartContainer]


def test_a_container_of_another_claim_keeps_its_device() -> None:
    """Of another share, or one whose claim is over: it may still use it."""
    alien = replace(a_key(RUN), share=ShareId("another"), run=RunNumber(9))
    for state in (ContainerState.RUNNING, ContainerState.CREATED):
        todo = look(containers=(a_container(alien, state, gpus=("g0",)),))
        records = [action.record for action in todo.actions if isinstance(action, PublishRun)]
        assert [getattr(record, "reason", "") for record in records] == ["GpuLost"]


def test_nothing_new_goes_where_a_leftover_is() -> None:
    """Neither to a device that it holds, nor to processors that it uses."""
    old = a_run(1, "detect", a_claim(gpus=("g0",)), released(2, counts=False), requires=replace(ONE, cpus=6.0))
    leftover = a_container(a_key(old), gpus=("g0",))
    found = look(old, containers=(leftover,), starting=frozenset())
    assert not [action for action in found.actions if isinstance(action, PublishRun)]
    assert "2 of 8 cpus free" in found.waiting[CROSSING].message
    free = look(
        a_run(1, "detect", a_claim(gpus=("g0",)), released(2, counts=False), requires=ONE),
        containers=(replace(leftover, key=a_key(old)),),
    )
    claims = [action.record for action in free.actions if isinstance(action, PublishRun)]
    assert [claim.gpus for claim in claims if isinstance(claim, Claim)] == [("g1",)]


def two_claims(share: bool) -> dict[str, Plan]:
    """Both of this node, both naming one device."""
    needs = Requires(gpus=Gpus(count=1, memory=2 * GIB, share=share))
    stages = a_pipeline(a_stage("detect", requires=needs))
    histories = {
        ProjectName(name): a_history(a_run(1, "detect", a_claim(gpus=("g0",)), requires=needs), seen=(a_seen(),))
        for name in ("early", "late")
    }
    desired = a_desired(a_project("early"), a_project("late"), pipeline=stages)
    todo = plan(desired, Ledger(share=SHARE, projects=histories), (a_node(gpus=(G0,)),), me())
    return {action.project: todo for action in todo.actions if isinstance(action, StartContainer)}


def test_of_two_claims_on_one_device_one_starts() -> None:
    assert set(two_claims(share=False)) == {"early"}


def test_those_that_share_both_start() -> None:
    assert set(two_claims(share=True)) == {"early", "late"}


# --- pauses ---


def gave_back(reason: str, times: int = 1, node: str = "a") -> Run:
    records: list[RunRecord] = []
    for number in range(times):
        records += [a_claim(2 * number + 1, node), released(2 * number + 2, node, reason=reason, counts=False)]
    return a_run(1, "detect", *records)


def test_only_the_node_that_lost_a_device_waits() -> None:
    run = gave_back("GpuLost")
    assert pause(run, A) > 0
    assert pause(run, B) == 0.0


def test_only_the_node_whose_registry_is_silent_waits() -> None:
    """Another one may have the image."""
    run = gave_back("RegistryUnavailable")
    assert pause(run, A) > 0
    assert pause(run, B) == 0.0
    assert pause(gave_back("RegistryUnavailable", 5), A) > pause(run, A)


def test_nodes_that_all_lack_the_image_do_not_pass_the_claim_round_without_a_pause() -> None:
    """Each would hold its GPUs for minutes, in turn and for ever."""
    both = gave_back("RegistryUnavailable", 4)
    last: list[RunRecord] = [a_claim(9, "b"), released(10, "b", reason="RegistryUnavailable", counts=False)]
    run = a_run(1, "detect", *both.records, *last)
    assert pause(run, A) > pause(run, B) > 0.0
    assert pause(run, NodeName("c")) == 0.0


def test_two_nodes_wait_unlike_for_a_limit() -> None:
    """In step they would meet again and again."""
    run = gave_back("LimitReached")
    assert pause(run, A) != pause(run, B)


@given(st.integers(1, 60), st.sampled_from(["GpuLost", "LimitReached", "RegistryUnavailable"]))
def test_pauses_grow_and_end(times: int, reason: str) -> None:
    assert 0.0 <= pause(gave_back(reason, times), A) <= LONGEST


def test_who_hands_over_waits_for_nothing() -> None:
    assert pause(gave_back("Drained"), A) == 0.0


def test_a_node_that_gave_back_takes_it_again_after_its_pause() -> None:
    run = gave_back("GpuLost")
    at_once = look(run)
    assert at_once.waiting[CROSSING].because == "BackingOff"
    later = look(run, since={"retry crossing/1/3": 0.0, "claim crossing/1/3": 0.0})
    assert [type(action) for action in later.actions] == [PublishRun]
