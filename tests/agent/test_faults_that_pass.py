"""Faults must pass with what caused them: no loop that spins, no project that keeps the others, no stale complaint."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.agent.loop import Loop, Wakeup
from reconciler.agent.workers import Job, Workers
from reconciler.core.names import ProjectName, RunNumber
from reconciler.core.records import ProjectRecord
from reconciler.errors import Transient
from tests.fakes.build import CROSSING, a_pipeline, a_project, a_stage
from tests.fakes.lab import Lab

HOLDS = a_pipeline(a_stage(command=("sh", "-c", "hold")))
ULM = ProjectName("ulm")


def test_a_moment_that_a_failed_tick_left_behind_is_no_reason_to_hurry(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last plan wanted to be woken; the share fails before that, and the moment lies in the past from then on."""
    lab.write(a_project(paused=True))
    agent = lab.join()
    lab.turn()
    agent.last_plan = replace(agent.last_plan, wake_at=lab.clock.seconds)
    lab.clock.seconds += 1
    (lab.root / "winslow.json").rename(lab.root / "away")
    ticks: list[bool] = []
    tick = agent.tick
    monkeypatch.setattr(agent, "tick", lambda: ticks.append(tick()))

    async def turn() -> None:
        ticking = asyncio.create_task(Loop(agent, lab.clock, Wakeup())._tick())
        await asyncio.wait([ticking], timeout=0.5)
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)

    asyncio.run(turn())
    assert 1 <= len(ticks) <= 2


def test_a_crash_about_one_project_keeps_no_other_from_moving(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write(a_project(), a_project(ULM), pipeline=HOLDS)
    agent = lab.join()
    publish = agent._share.publish_project

    def broken(project: ProjectName, record: ProjectRecord) -> bool:
        if project == CROSSING:
            raise KeyError("a bug of ours")
        return publish(project, record)

    monkeypatch.setattr(agent._share, "publish_project", broken)
    lab.until(lambda: [run.phase.value for run in lab.history(ULM).runs] == ["Running"])
    assert "a bug of ours" in agent._applier.faults[CROSSING]


def test_a_machine_without_threads_fails_a_job_and_forgets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    job = Job("output", CROSSING, RunNumber(1))
    workers = Workers(on_end=lambda: None)
    with monkeypatch.context() as poor:
        poor.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Transient, match="no thread"):
            workers.start(job, lambda: None)
    ran = threading.Event()
    assert workers.start(job, ran.set)
    assert ran.wait(5)


def test_a_fault_is_forgotten_once_the_stage_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write(a_project(), pipeline=HOLDS)
    agent = lab.join()
    prepare = agent._share.prepare
    full = threading.Event()
    full.set()

    def may_be_full(*what: object) -> object:
        if full.is_set():
            raise Transient("the share is full")
        return prepare(*what)  # type: ignore[arg-type]

    monkeypatch.setattr(agent._share, "prepare", may_be_full)
    lab.until(lambda: agent._applier.faults.get(CROSSING) == "the share is full")
    full.clear()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.until(lambda: not agent._applier.faults)


def test_a_fault_is_forgotten_once_nobody_tries_any_more(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write(a_project(), pipeline=HOLDS)
    agent = lab.join()

    def fail(*what: object) -> None:
        raise Transient("the share is full")

    monkeypatch.setattr(agent._share, "prepare", fail)
    lab.until(lambda: agent._applier.faults)
    lab.write(a_project(abort=RunNumber(1)), pipeline=HOLDS)
    lab.until(lambda: lab.phases() == ["Aborted"])
    lab.until(lambda: not agent._applier.faults)


def test_a_node_that_gave_the_publishers_role_up_has_nothing_to_complain_of(lab: Lab) -> None:
    lab.write(a_project(paused=True))
    agent = lab.join()
    lab.observed.refuse = "the remote moved"
    agent.publish()
    lab.clock.seconds += 61
    agent.publish()
    with _held(lab.root / "locks/publisher"):
        agent.publish()
        assert not agent.conditions()


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Another process has the lock: ours would be granted it a second time."""
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'a+')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.kill()


@pytest.mark.parametrize("edited", ["phase: [", "- 1\n", "\n", "waiting_for: me\n", "conditions: 5\n", "[" * 3000])
def test_what_somebody_wrote_into_observed_is_put_right(lab: Lab, edited: str) -> None:
    lab.write(a_project(paused=True))
    agent = lab.join()
    agent.publish()
    ours = lab.observed.files
    lab.observed.files = dict.fromkeys(ours, edited)
    agent.leave()
    assert lab.join().publish()
    assert lab.observed.files.keys() == ours.keys()
    assert edited not in lab.observed.files.values()
