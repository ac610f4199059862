"""Worlds that live to their end: nothing runs twice, and every prefix of the actions leads to the same end."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.desired import Gpus, Requires
from reconciler.core.ledger import Ledger, Run
from reconciler.core.placement import claims_of, usage
from reconciler.core.records import Claim
from reconciler.core.used import Used
from tests.fakes.build import (
    a_claim,
    a_desired,
    a_gpu,
    a_ledger,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_stage,
    done,
)
from tests.fakes.world import World

NAMES = ["crossing", "ulm", "zoo"]

PIPELINE = a_pipeline(a_stage("detect", requires=Requires(gpus=Gpus(count=1))), "track", "report")


def a_world(found: int, wanted: int) -> World:
    made = [a_project(name) for name in NAMES[:wanted]]
    machines = tuple(a_node(name, gpus=(a_gpu(f"{name}-gpu"),)) for name in ("a", "b", "c")[:found])
    return World(a_desired(*made, pipeline=PIPELINE), machines)


def test_three_projects_on_two_nodes_run_to_their_end_each_stage_once() -> None:
    world = a_world(found=2, wanted=3).settle()
    succeeded = [("detect", "Succeeded"), ("track", "Succeeded"), ("report", "Succeeded")]
    assert world.shape() == dict.fromkeys(NAMES, succeeded)
    assert all(run.attempts == 1 and run.output_published for h in world.ledger.projects.values() for run in h.runs)
    assert not any(machine.containers for machine in world.machines.values())


@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(0, 4), max_size=30))
@settings(max_examples=40, deadline=None)
def test_any_prefix_of_the_actions_leads_to_the_same_end(found: int, wanted: int, prefixes: list[int]) -> None:
    """A node may crash after any action. What is then found leads on to the end that an undisturbed world has."""
    world = a_world(found, wanted)
    for turn, kept in enumerate(prefixes):
        node = world.nodes[turn % found].name
        world.carry_out(node, world.plan(node).actions[:kept])
        world.now += 1.0
        if kept == 0:
            world.run_programs()
    world.settle()
    assert world.shape() == a_world(found, wanted).settle().shape()


@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(0, 2), max_size=40), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_container_starts_only_after_its_claim_and_ends_are_recorded_only_by_the_claimant(
    found: int, wanted: int, ticks: list[int], failing: bool
) -> None:
    world = a_world(found, wanted)
    world.exit_code = lambda container: 1 if failing and container.key.stage == "track" else 0
    for tick in ticks:
        node = world.nodes[tick % found].name
        world.carry_out(node, world.plan(node).actions)
        world.now += 1.0
        world.run_programs()
        for name, machine in world.machines.items():
            for key in machine.containers:
                run = world.ledger.history(key.project).run(key.run)
                assert run is not None
                claim = run.records[key.number - 1]
                assert isinstance(claim, Claim)
                assert (claim.node, claim.token) == (name, key.token)
        check_records(world.ledger)


def check_records(ledger: Ledger) -> None:
    for history in ledger.projects.values():
        for run in history.runs:
            assert [record.number for record in run.records] == list(range(1, len(run.records) + 1))
            for before, after in zip(run.records, run.records[1:], strict=False):
                if type(after).__name__ in {"Done", "Failed", "Released"}:
                    assert isinstance(before, Claim)
                    assert after.node == before.node


def test_the_check_on_records_can_fail() -> None:
    ledger = a_ledger(a_run(1, "detect", a_claim(1, "a"), done(2, "b")))
    try:
        check_records(ledger)
    except AssertionError:
        return
    raise AssertionError("somebody else's DONE went unnoticed")


@given(st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=9, deadline=None)
def test_open_claims_never_hold_more_than_a_node_has(found: int, wanted: int) -> None:
    world = a_world(found, wanted)
    for _ in range(30):
        for node in world.nodes:
            world.carry_out(node.name, world.plan(node.name).actions)
            for machine in world.nodes:
                used = usage(world.ledger).get(machine.name, Used())
                held = [device for _, run in claims_of(world.ledger, machine.name) for device in _devices(run)]
                assert used.cpus <= machine.record.capacity.cpus
                assert len(held) == len(set(held))
        world.run_programs()
        world.now += 1.0


def _devices(run: Run) -> tuple[str, ...]:
    return run.claim.gpus if run.claim else ()
