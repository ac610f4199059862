"""When a node counts as well: only what its stages need can make it ill."""

from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.agent.health import AgentHealth
from tests.fakes.lab import FakeClock


def health(*stalled: str) -> AgentHealth:
    loop: Any = SimpleNamespace(stalled=lambda: list(stalled))
    agent: Any = SimpleNamespace(conditions=tuple)
    return AgentHealth(agent, loop, FakeClock())


@pytest.mark.parametrize("kind", ["beat", "fetch", "tick", "publish"])
def test_a_part_of_the_loop_that_hangs_makes_a_node_ill(kind: str) -> None:
    assert not health(kind).ok()


def test_a_proposal_or_message_that_hangs_is_told_and_restarts_nobody() -> None:
    found = health("Proposing")
    assert found.ok()
    assert [one.message for one in found.conditions()] == ["Proposing has not come back for a minute"]
