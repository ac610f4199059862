"""Followers of the publisher: called by the one node that publishes; their faults are told and tried again."""

import pytest
from structlog.testing import capture_logs

from reconciler.agent.followers.following import AFTER_FAULT, AGAIN, Following
from reconciler.agent.ports import Seen
from reconciler.core.desired import Next
from reconciler.core.names import RunNumber, StageName
from reconciler.errors import BadInput, Transient, TryLater, WinslowError
from tests.fakes.build import CROSSING, a_project
from tests.fakes.lab import Lab


class Scripted:
    """Notes what it is shown, and fails or rests as the test says."""

    trouble = "ProposalsFailing"

    def __init__(self) -> None:
        self.shown: list[Seen] = []
        self.error: Exception | None = None
        self.rest: float | None = None

    def follow(self, seen: Seen) -> float | None:
        self.shown.append(seen)
        if self.error is not None:
            raise self.error
        return self.rest


@pytest.fixture
def follower() -> Scripted:
    return Scripted()


@pytest.fixture
def following(lab: Lab, follower: Scripted) -> Following:
    """Of node a, which publishes."""
    lab.write(a_project(paused=True))
    agent = lab.join("a")
    lab.turn()
    agent.publish()
    return Following(follower, agent._publisher)


def test_a_follower_sees_what_was_published_and_what_from(lab: Lab, follower: Scripted, following: Following) -> None:
    assert following.run() == AGAIN
    lab.write(a_project(paused=True, next=Next(stage=StageName("track"), after=RunNumber(3))))
    lab.turn()
    lab.agents["a"].publish()
    following.run()
    first, second = follower.shown
    assert first.desired.projects[CROSSING].next is None
    assert second.desired.projects[CROSSING].next is not None
    assert second.status.commit == second.desired.commit == lab.source.commits[-1].commit
    assert CROSSING in second.ledger.projects


def test_a_follower_may_ask_to_look_again_sooner_but_not_later(follower: Scripted, following: Following) -> None:
    follower.rest = 2.0
    assert following.run() == 2.0
    follower.rest = 10 * AGAIN
    assert following.run() == AGAIN


def test_a_fault_in_a_follower_itself_is_told_as_well(follower: Scripted, following: Following) -> None:
    """In the log alone nobody would look for the reason why no branch, status or mail comes any more."""
    follower.error = KeyError("x")
    assert following.run() == AFTER_FAULT
    [told] = following.conditions
    assert told.message == "a fault in Winslow itself, see the node's log: KeyError"
    follower.error = None
    following.run()
    assert following.conditions == ()


@pytest.mark.parametrize("error", [Transient("no route to the forge"), BadInput("write something else")])
def test_a_fault_is_a_condition_until_it_passes(follower: Scripted, following: Following, error: WinslowError) -> None:
    """Also one that a person has to mend: the node goes on."""
    follower.error = error
    assert following.run() == AFTER_FAULT
    [told] = following.conditions
    assert (told.type, told.status, told.message) == ("ProposalsFailing", "True", str(error))
    follower.error = None
    assert following.run() == AGAIN
    assert following.conditions == ()
    assert len(follower.shown) == 2, "tried again"


def test_a_fault_that_names_its_time_is_tried_again_then(follower: Scripted, following: Following) -> None:
    follower.error = TryLater("the forge asks for patience", after=40.0)
    assert following.run() == 40.0
    follower.error = TryLater("for a whole day", after=86_400.0)
    assert following.run() == AGAIN


def test_the_same_fault_is_logged_once(follower: Scripted, following: Following) -> None:
    follower.error = Transient("no route to the forge")
    with capture_logs() as logs:
        for _ in range(5):
            following.run()
        follower.error = Transient("the forge says no")
        following.run()
    found = [(log["event"], log["follower"], log["error"]) for log in logs]
    assert found == [
        ("follower_failed", "Scripted", "no route to the forge"),
        ("follower_failed", "Scripted", "the forge says no"),
    ]


def test_a_node_that_does_not_publish_follows_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write(a_project(paused=True))
    agent = lab.join("b")
    monkeypatch.setattr(agent._share, "try_lock", lambda _: None)  # another node holds it
    other = Scripted()
    idle = Following(other, agent._publisher)
    lab.turn()
    assert not agent.publish()
    assert idle.run() == AGAIN
    assert other.shown == []


def test_who_publishes_no_more_forgets_its_fault(lab: Lab, follower: Scripted, following: Following) -> None:
    """It is another node's story to tell now."""
    follower.error = Transient("no route to the forge")
    following.run()
    lab.agents["a"]._publisher.close()
    assert following.run() == AGAIN
    assert following.conditions == ()
    assert len(follower.shown) == 1
