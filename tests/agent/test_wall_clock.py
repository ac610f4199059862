"""A machine's wall clock may be set at any moment; no stage may be stopped for it."""

from datetime import datetime, timedelta

import pytest

from reconciler.core.names import RunNumber
from tests.fakes.build import a_pipeline, a_project, a_stage
from tests.fakes.lab import Lab

HOURS = a_pipeline(a_stage(command=("sh", "-c", "hold"), timeout=timedelta(hours=36)))


def test_a_clock_that_jumps_by_days_is_no_timeout(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write(a_project(), pipeline=HOURS)
    agent = lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.turn()
    now = lab.clock.now
    monkeypatch.setattr(lab.clock, "now", lambda: now() + timedelta(days=3))
    lab.turn()
    assert not agent.last_plan.actions


def test_time_that_really_passed_is_one_also_after_a_restart(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write(a_project(), pipeline=HOURS)
    lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.kill("a")
    later = datetime.now().astimezone() + timedelta(hours=37)
    monkeypatch.setattr(lab.clock, "now", lambda: later)
    lab.join()
    [key] = lab.runtimes["a"].programs
    lab.until(lab.runtimes["a"].programs[key].ended.is_set)
    assert key.run == RunNumber(1)
