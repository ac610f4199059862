"""Publishing: one commit a change, none without one, and what becomes of a refused push."""

from collections.abc import Mapping

import pytest

from reconciler.adapters.share.lock import ShareLock
from reconciler.agent.publisher import GIVE_UP
from reconciler.core.desired import Requires
from reconciler.core.names import ProjectName
from reconciler.errors import Moved
from tests.fakes.build import a_pipeline, a_project, a_stage
from tests.fakes.lab import FakeSource, Lab


def test_each_change_is_one_commit_and_no_change_is_none(lab: Lab) -> None:
    lab.write(a_project(), pipeline=a_pipeline(a_stage(command=("sh", "-c", "hold"))))
    agent = lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.turn()
    assert agent.publish()
    assert not agent.publish()
    assert len(lab.observed.messages) == 1
    for _ in range(20):
        lab.turn()
        assert not agent.publish(), "time alone is no change"
    for key in list(lab.runtimes["a"].programs):
        lab.runtimes["a"].finish(key)
    lab.until(lambda: lab.phases() == ["Succeeded"])
    assert agent.publish()
    assert lab.observed.messages[-1].startswith("crossing: run 1 detect Succeeded on a")


def test_a_node_that_falls_silent_is_no_stream_of_commits(lab: Lab) -> None:
    """Its silence grows with every look; the published reason must not."""
    pipeline = a_pipeline(a_stage(command=("sh", "-c", "hold"), requires=Requires(cpus=8.0)))
    lab.write(a_project(), pipeline=pipeline)
    agent = lab.join("a")
    lab.until(lambda: lab.phases() == ["Running"])
    lab.join("b")
    silent = lab.agents.pop("b")
    lab.write(a_project(), a_project("ulm"), pipeline=pipeline)
    lab.until(lambda: [w.because for w in agent.last_plan.waiting.values()] == ["Running", "NoNodeFree"])
    assert "b: gives no sign of life" in agent.last_plan.waiting[ProjectName("ulm")].message
    agent.publish()
    before = len(lab.observed.messages)
    for _ in range(10):
        lab.turn()
        agent.publish()
    assert len(lab.observed.messages) == before
    silent.leave()


def test_after_a_refused_push_the_next_one_succeeds(lab: Lab) -> None:
    lab.write(a_project(paused=True))
    agent = lab.join()
    lab.observed.refuse = "the remote moved"
    assert not agent.publish()
    assert [(c.type, c.message) for c in agent.conditions()] == [("PublishFailing", "the remote moved")]
    lab.observed.refuse = ""
    assert agent.publish()
    assert not agent.conditions()
    assert len(lab.observed.messages) == 1


def test_a_race_that_is_lost_once_is_no_fault_and_one_that_goes_on_is(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that takes the publishing over often lacks its predecessor's last push."""

    def lost(files: Mapping[str, str], message: str) -> None:
        raise Moved("observed moved")

    lab.write(a_project(paused=True))
    agent = lab.join()
    monkeypatch.setattr(lab.observed, "publish", lost)
    assert not agent.publish()
    assert not agent.conditions()
    assert not agent.publish()
    assert [(c.type, c.message) for c in agent.conditions()] == [("PublishFailing", "observed moved")]


def test_a_publisher_whose_pushes_fail_for_a_minute_gives_the_others_a_turn(lab: Lab) -> None:
    lab.write(a_project(paused=True))
    agent = lab.join()
    lab.observed.refuse = "no route to host"
    agent.publish()
    assert agent._publisher._lock is not None
    lab.clock.seconds += GIVE_UP + 1.0
    agent.publish()
    assert agent._publisher._lock is None


def test_what_another_publisher_wrote_meanwhile_is_replaced_by_the_ledgers_truth(lab: Lab) -> None:
    lab.write(a_project(paused=True))
    agent = lab.join()
    agent.publish()
    mine = lab.observed.files
    lab.observed.files = {"README.md": "somebody else's"}
    lab.observed.refuse = "the remote moved"
    lab.write(a_project(paused=True, priority=1))
    agent.publish()
    lab.observed.refuse = ""
    agent.publish()
    assert set(lab.observed.files) == set(mine)


def test_nothing_is_published_before_there_is_a_desired_state(lab: Lab) -> None:
    agent = lab.join()
    assert not agent.publish()
    assert not lab.observed.messages


def test_a_publisher_whose_clone_is_older_than_the_ledger_keeps_still_until_it_has_fetched(lab: Lab) -> None:
    """Else it would fold an older view of main over a newer one."""
    lab.write(a_project(paused=True))
    mine = FakeSource()
    mine.commits = list(lab.source.commits)
    publisher = lab.join("b", source=mine)
    assert publisher.publish()
    lab.join("a")
    lab.write(a_project(paused=True, priority=1, name="Newer"))
    lab.turn()
    before = lab.observed.files
    assert not publisher.publish()
    assert (lab.observed.files, publisher.conditions()) == (before, ())
    mine.commits = list(lab.source.commits)
    publisher.fetch()
    assert publisher.publish()
    assert "Newer" in lab.observed.files["projects/crossing/status.yaml"]


def test_a_publisher_that_stays_behind_gives_the_others_a_turn(lab: Lab) -> None:
    lab.write(a_project(paused=True))
    mine = FakeSource()
    mine.commits = list(lab.source.commits)
    behind, other = lab.join("b", source=mine), lab.join("a")
    behind.publish()
    lab.write(a_project(paused=True, priority=1))
    lab.turn()
    behind.publish()
    lab.clock.seconds += GIVE_UP + 1.0
    behind.publish()
    assert other.publish()
    assert not behind.publish()


def test_a_commit_that_the_clone_has_and_main_lost_keeps_nobody_from_publishing(lab: Lab) -> None:
    """Nobody could ever catch up with it, and people must read what waits."""
    lab.write(a_project(paused=True))
    lab.write(a_project(paused=True, priority=1))
    lab.join("a")
    lab.turn()
    lab.kill("a")
    begun = FakeSource()
    begun.commits = list(lab.source.commits)
    begun.rewrite(keep=1)
    agent = lab.join("b", source=begun)
    lab.turn()
    assert agent.is_behind
    assert agent.publish()


def test_a_publisher_that_lost_its_lock_pushes_nothing_and_asks_for_it_anew(lab: Lab) -> None:
    lab.write(a_project(paused=True))
    agent = lab.join()
    agent.publish()
    assert agent._publisher._lock is not None
    with pytest.MonkeyPatch.context() as lost:
        lost.setattr(ShareLock, "is_held", lambda _: False)
        lab.write(a_project(paused=True, priority=1))
        lab.turn()
        assert not agent.publish()
        assert agent._publisher._lock is None
    lab.write(a_project(paused=True, name="Newer"))
    lab.turn()
    assert agent.publish()


def test_followers_see_what_stands_while_the_remote_takes_nothing(lab: Lab) -> None:
    """A failed stage must be told to people though git is away."""
    lab.write(a_project(paused=True))
    agent = lab.join()
    lab.observed.refuse = "the remote is away"
    assert not agent.publish()
    seen = agent._publisher.seen
    assert seen is not None
    assert [project.phase for project in seen.status.projects] == ["Paused"]
