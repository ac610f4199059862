"""Several nodes on one share: each run claimed once, work spreads, the dead are replaced."""

import shutil

from reconciler.adapters.share import SharedDirectory
from reconciler.core.names import ProjectName, RunNumber
from reconciler.core.records import Claim, RunCreated
from tests.fakes.build import CROSSING, a_pipeline, a_project, a_stage
from tests.fakes.lab import FakeSource, Lab

NAMES = [ProjectName(f"flight-{number}") for number in range(4)]
HOLDING = a_pipeline(a_stage(command=("sh", "-c", "hold")))


def test_two_nodes_claim_each_run_once_and_share_the_work(lab: Lab) -> None:
    lab.write(*(a_project(name) for name in NAMES), pipeline=a_pipeline("detect", "track"))
    lab.join("a")
    lab.join("b")
    lab.until(lambda: all(lab.phases(name) == ["Succeeded", "Succeeded"] for name in NAMES))
    assert all(lab.kinds(number, name) == ["Claim", "Done"] for name in NAMES for number in (1, 2))
    assert lab.starts() == 8
    assert all(runtime.orders for runtime in lab.runtimes.values()), "one node did everything"


def test_a_dead_nodes_run_is_taken_over_and_its_zombie_is_superseded(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    lab.join("a")
    lab.until(lambda: lab.phases() == ["Running"])
    zombie = lab.agents.pop("a")  # frozen: it neither beats nor ticks
    lab.join("b")
    lab.until(lambda: lab.kinds(1) == ["Claim", "Claim"])
    run = lab.run(1)
    assert run is not None
    assert run.claim is not None
    assert (run.claim.node, run.claim.because) == ("b", "Takeover")
    lab.until(lambda: lab.runtimes["b"].orders)
    lab.agents["a"] = zombie
    lab.until(lambda: not lab.runtimes["a"].programs, "the zombie's container to be stopped and removed")
    for key in list(lab.runtimes["b"].programs):
        lab.runtimes["b"].finish(key)
    lab.until(lambda: lab.phases() == ["Succeeded"])
    assert lab.kinds(1) == ["Claim", "Claim", "Done"]


def test_the_run_of_a_node_whose_directory_was_removed_waits_for_an_abort(lab: Lab) -> None:
    """Its silence can't be heard any more. As docs/operations.md says."""
    lab.write(a_project(), pipeline=HOLDING)
    lab.join("a")
    lab.until(lambda: lab.phases() == ["Running"])
    lab.agents.pop("a")
    shutil.rmtree(lab.root / "nodes/a")
    lab.join("b")
    for _ in range(20):  # twenty times the ttl
        lab.turn()
    assert lab.kinds(1) == ["Claim"]
    lab.write(a_project(abort=RunNumber(1)), pipeline=HOLDING)
    lab.until(lambda: lab.phases() == ["Aborted"])


def test_a_start_killed_between_run_and_claim_is_picked_up_by_another_node(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    agent = lab.join("a")
    publish_run = SharedDirectory.publish_run

    class Killed(BaseException):
        pass

    def dies(*_: object) -> bool:
        raise Killed

    SharedDirectory.publish_run = dies  # type: ignore[assignment,method-assign]
    try:
        for _ in range(5):
            agent.beat()
            agent.tick()
    except Killed:
        pass
    finally:
        SharedDirectory.publish_run = publish_run  # type: ignore[method-assign]
    assert [type(record) for record in lab.history().records][-1] is RunCreated
    assert lab.kinds(1) == []
    lab.kill("a")
    lab.join("b")
    lab.until(lambda: lab.phases() == ["Running"])
    run = lab.run(1)
    assert run is not None
    assert isinstance(run.last, Claim)
    assert (run.last.node, run.last.number) == ("b", 1)


def test_a_node_whose_clone_lacks_the_recorded_commit_waits_until_it_has_it(lab: Lab) -> None:
    old = FakeSource()
    lab.write(a_project(paused=True), pipeline=HOLDING)
    old.commits = list(lab.source.commits)
    behind = lab.join("b", source=old)
    lab.join("a")
    lab.until(lambda: len(lab.history().records) == 1)
    lab.write(a_project(paused=True, priority=1), pipeline=HOLDING)
    lab.until(lambda: len(lab.history().records) == 2)
    lab.turn()
    assert behind.is_behind
    old.commits = list(lab.source.commits)
    behind.fetch()
    lab.turn()
    assert not behind.is_behind
    assert behind.last_plan.waiting[CROSSING].because == "Paused"
