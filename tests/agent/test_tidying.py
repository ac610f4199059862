"""A later start takes away what a killed one left on the share, and nobody waits for that."""

import asyncio
import shutil

import pytest
from structlog.testing import capture_logs

from reconciler.adapters.share import SharedDirectory
from reconciler.agent.tidying import tidy
from tests.fakes.lab import Lab

LEFT = "tmp/a.0000beef.0123456789abcdef"


def test_a_later_start_removes_what_a_killed_one_left(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "share", lambda name, _: SharedDirectory(lab.root, writer=f"{name}.1111cafe"))
    lab.join("a")
    lab.turn()
    (lab.root / LEFT).write_text("draft")
    lab.kill("a")
    agent = lab.join("a")
    lab.turn()
    assert len(list((lab.root / "nodes/a").glob("heartbeat.*"))) == 2
    asyncio.run(tidy(agent, after=0.0))
    assert not (lab.root / LEFT).exists()
    assert [path.suffix[1:] for path in (lab.root / "nodes/a").glob("heartbeat.*")] == [agent.identity.incarnation]


def test_what_appears_meanwhile_stays_for_the_next_start(lab: Lab) -> None:
    """It may be of somebody who is just frozen: only what lay there all the time is nobody's."""
    agent = lab.join("a")
    found = agent.leftovers()
    (lab.root / LEFT).write_text("draft")
    agent.remove_leftovers(found)
    assert (lab.root / LEFT).exists()


def test_a_share_that_fails_meanwhile_is_told_and_harms_nothing(lab: Lab) -> None:
    agent = lab.join("a")
    shutil.rmtree(lab.root / "tmp")
    with capture_logs() as logs:
        asyncio.run(tidy(agent, after=0.0))
    assert [entry["event"] for entry in logs] == ["leftovers_stay"]
