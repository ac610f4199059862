"""When a node counts as well: only what its stages need can make it ill."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.agent.health import AgentHealth
from reconciler.agent.patience import Patience
from reconciler.core.desired import Site
from reconciler.core.names import NodeName
from tests.fakes.lab import FakeClock


def patient(clock: FakeClock) -> Patience:
    return Patience(clock, Path("/mnt/share"))


def health(*stalled: str, patience: Patience | None = None) -> AgentHealth:
    clock = FakeClock()
    patience = patience or patient(clock)
    loop: Any = SimpleNamespace(stalled=lambda: list(stalled))
    site = Site(heartbeat=timedelta(seconds=5))
    agent: Any = SimpleNamespace(conditions=lambda: patience.conditions(site.heartbeat), site=lambda: site)
    found = AgentHealth(NodeName("a"), patience, clock)
    found.runs(agent, loop)
    return found


@pytest.mark.parametrize("kind", ["beat", "fetch", "tick", "publish"])
def test_a_part_of_the_loop_that_hangs_makes_a_node_ill(kind: str) -> None:
    assert not health(kind).ok()


def test_a_proposal_or_message_that_hangs_is_told_and_restarts_nobody() -> None:
    found = health("Proposing")
    assert found.ok()
    assert [one.message for one in found.conditions()] == ["Proposing has not come back for a minute"]


def test_a_share_that_does_not_answer_is_told_once_and_by_its_own_name() -> None:
    """What hangs with it needs no word of its own; a fetch that hangs at the same time does."""
    clock = FakeClock()
    patience = patient(clock)
    with patience.call():
        clock.seconds += 21.0
        found = health("beat", "tick", "publish", "fetch", patience=patience)
        assert not found.ok()
        kinds = [one.type for one in found.conditions()]
        assert kinds == ["ShareUnreachable", "Stalled"]


def test_a_node_that_has_not_joined_yet_is_well_until_its_share_hangs() -> None:
    clock = FakeClock()
    patience = patient(clock)
    found = AgentHealth(NodeName("a"), patience, clock)
    found.wake()
    assert found.ok()
    assert (found.incarnation, list(found.claims()), found.since_last_tick()) == ("", [], None)
    with patience.call():
        clock.seconds += 21.0
        assert not found.ok()
        assert [one.type for one in found.conditions()] == ["ShareUnreachable"]
    assert found.ok(), "and at once when it answers"


def test_it_is_said_in_the_same_words_for_as_long_as_it_lasts() -> None:
    """Whatever the wall clock does meanwhile: each new word would be another commit on the branch observed."""
    clock = FakeClock()
    patience = patient(clock)
    with patience.call():
        clock.seconds += 60.0
        before = patience.conditions(timedelta(seconds=5))
        clock.seconds += 3600.0  # of the monotonic clock; the wall clock stands, as if somebody had set it back
        assert before == patience.conditions(timedelta(seconds=5)) != ()
