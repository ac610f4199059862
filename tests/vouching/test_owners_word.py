"""What a node claims to act on when it is asked: only what it would be a loss to take from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.agent.node import Agent
from reconciler.core.desired import OnSuspect, Stage
from tests.fakes.build import a_pipeline, a_project, a_stage
from tests.fakes.lab import Lab

HOLD = ("sh", "-c", "hold")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    SharedDirectory.create(tmp_path / "share")
    found = Lab(tmp_path / "share", tmp_path)
    yield found
    found.close()


def running(lab: Lab, stage: Stage | None = None) -> Agent:
    lab.write(a_project(), pipeline=a_pipeline(stage or a_stage(command=HOLD)))
    agent = lab.join("a")
    lab.until(lambda: lab.phases() == ["Running"])
    lab.turn()
    return agent


def tokens(agent: Agent) -> list[str]:
    return [claim.token for claim in agent.claims()]


def test_an_owner_vouches_for_the_claim_in_force(lab: Lab) -> None:
    agent = running(lab)
    run = lab.run(1)
    assert run is not None
    assert run.claim is not None
    assert tokens(agent) == [run.claim.token]


def test_an_owner_whose_tick_hangs_goes_on_vouching(lab: Lab) -> None:
    """Its container runs on: the answer comes from memory."""
    agent = running(lab)
    lab.clock.seconds += 1000
    assert len(tokens(agent)) == 1


def test_nothing_is_vouched_for_once_it_has_ended(lab: Lab) -> None:
    agent = running(lab)
    for key in list(lab.runtimes["a"].programs):
        lab.runtimes["a"].finish(key)
    lab.until(lambda: lab.phases() == ["Succeeded"])
    lab.turn()
    assert tokens(agent) == []


def test_a_restarted_reconciler_vouches_again_once_it_has_looked(lab: Lab) -> None:
    running(lab)
    lab.kill("a")
    again = lab.join("a")
    assert tokens(again) == []
    lab.turn()
    assert len(tokens(again)) == 1


def test_who_was_superseded_vouches_for_nothing(lab: Lab) -> None:
    """Another reconciler has its name: what it does about these claims is its matter."""
    agent = running(lab)
    lab.agents.pop("a")
    lab.join("a")
    agent.beat()
    assert agent.superseded
    assert tokens(agent) == []
    agent.leave()


def test_a_stage_that_is_stopped_on_suspicion_is_not_vouched_for(lab: Lab) -> None:
    agent = running(lab, a_stage(command=HOLD, on_suspect=OnSuspect.STOP))
    agent.beat()
    assert len(tokens(agent)) == 1
    lab.clock.seconds += 1000
    assert tokens(agent) == []
