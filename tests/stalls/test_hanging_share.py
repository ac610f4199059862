"""A node whose share hangs: it says so, it can still stop a container, and goes on by itself when the share is back."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.agent.node import Agent
from reconciler.agent.patience import Patience
from reconciler.core.containers import ContainerState
from reconciler.core.desired import OnSuspect, Retries
from reconciler.core.names import ProjectName
from reconciler.core.records import Failed, Released
from tests.fakes.build import a_pipeline, a_project, a_stage
from tests.stalls.conftest import HangingLab

HOLD = ("sh", "-c", "hold")


def kinds(agent: Agent) -> set[str]:
    return {one.type for one in agent.conditions()}


def running(lab: HangingLab) -> list[str]:
    found = lab.runtimes["a"].programs.values()
    return [str(one.container.key.project) for one in found if one.container.state is ContainerState.RUNNING]


@contextmanager
def hanging(lab: HangingLab, agent: Agent) -> Iterator[None]:
    """The share is cut off, and each part of the loop that needs it waits in a thread of its own."""
    lab.cut()
    parts: list[Callable[[], Any]] = [agent.beat, agent.tick, agent.publish]
    threads = [threading.Thread(target=part, daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
        assert all(thread.is_alive() for thread in threads), "they do hang"
    finally:
        lab.heal()
        for thread in threads:
            thread.join(30.0)


def started(lab: HangingLab, **fields: Any) -> Agent:
    lab.write(
        a_project(),
        pipeline=a_pipeline(a_stage("detect", command=HOLD, retries=Retries(backoff=timedelta(0)), **fields)),
    )
    agent = lab.join()
    lab.until(lambda: running(lab) and lab.run(1) and lab.run(1).phase == "Running", "the stage starts")  # type: ignore[union-attr]
    lab.turn()  # the first look at the container dates its start
    return agent


def watch_until_stopped(lab: HangingLab, agent: Agent) -> None:
    def stopped() -> bool:
        lab.clock.seconds += 0.05  # a beat that came to its end late counts from then
        agent.watch()
        return not running(lab)

    lab.until_true(stopped)


def test_a_share_that_hangs_is_told_apart_from_one_that_answers_with_an_error(lab: HangingLab) -> None:
    agent = started(lab)
    assert "ShareUnreachable" not in kinds(agent)
    with hanging(lab, agent):
        lab.clock.seconds += 6.0
        lab.until_true(lambda: "ShareUnreachable" in kinds(agent))
        assert "ShareUnavailable" not in kinds(agent)
        told = next(one.message for one in agent.conditions() if one.type == "ShareUnreachable")
        assert str(lab.root) in told
    assert "ShareUnreachable" not in kinds(agent), "and no longer once it answers"


def test_a_share_that_is_slow_is_not_taken_for_one_that_hangs(lab: HangingLab) -> None:
    """A node that reads a long ledger for the first time makes ten thousand calls, each answered soon."""
    agent = started(lab)
    begun, told = lab.clock.seconds, set[str]()

    def on_call() -> None:
        lab.clock.seconds += 2.0
        told.update(kinds(agent))

    lab.on_call = on_call
    agent.beat()
    agent.tick()
    assert lab.clock.seconds - begun > 30.0
    assert "ShareUnreachable" not in told


def test_copies_may_take_as_long_as_they_like_but_no_write_may(lab: HangingLab) -> None:
    patience, found = Patience(lab.clock, lab.root), list[bool]()

    def on_call() -> None:
        lab.clock.seconds += 1000.0
        found.append(patience.is_over(timedelta(seconds=5)))

    files = lab.files(patience)
    heartbeat = files.keep_open(lab.root / "beat")
    lab.on_call = on_call
    files.clone(lab.root, lab.root.with_name("copy"))
    files.remove(lab.root.with_name("copy"))
    assert not any(found)
    heartbeat.write(b"beat")
    assert all(found[-2:])
    lab.on_call = lab.gate.wait
    heartbeat.close()


def test_by_default_a_stage_goes_on_for_as_long_as_the_share_hangs(lab: HangingLab) -> None:
    agent = started(lab)
    with hanging(lab, agent):
        lab.clock.seconds += 100_000.0
        agent.watch()
        assert {job.kind for job in agent._workers.busy()} == {"start"}, "it is followed, not stopped"
    assert running(lab) == ["crossing"]


def test_a_timeout_holds_while_the_share_hangs(lab: HangingLab) -> None:
    agent = started(lab, timeout=timedelta(hours=1))
    with hanging(lab, agent):
        lab.clock.seconds += 3700.0
        watch_until_stopped(lab, agent)
    lab.until(lambda: lab.kinds(1) == ["Claim", "Failed"])
    record = lab.run(1).records[-1]  # type: ignore[union-attr]
    assert isinstance(record, Failed)


def test_a_suspect_stage_that_asks_for_it_is_stopped_and_released_afterwards(lab: HangingLab) -> None:
    """Not failed, whatever its exit code: the attempt was lost, and the run is tried again."""
    agent = started(lab, on_suspect=OnSuspect.STOP)
    with hanging(lab, agent):
        lab.clock.seconds += 2.0  # past the ttl of a second
        watch_until_stopped(lab, agent)
        assert lab.kinds(1) == ["Claim"], "nobody could write yet"
    lab.until(lambda: lab.kinds(1)[:2] == ["Claim", "Released"])
    record = lab.run(1).records[1]  # type: ignore[union-attr]
    assert isinstance(record, Released)
    assert (record.reason, record.counts) == ("Suspect", True)
    lab.until(lambda: lab.kinds(1)[2:] == ["Claim"], "its next attempt")


def test_a_suspect_that_had_ended_by_itself_is_believed(lab: HangingLab) -> None:
    """The last listing may be ten seconds old. Such a stage has effects outside: it is not to run again for nothing."""
    agent = started(lab, on_suspect=OnSuspect.STOP)
    [program] = lab.runtimes["a"].programs.values()
    with hanging(lab, agent):
        program.container = replace(
            program.container, state=ContainerState.EXITED, exit_code=0, ended_at=datetime.now(UTC)
        )
        lab.clock.seconds += 2.0
        agent.watch()
        lab.until_true(lambda: "stop" not in {job.kind for job in agent._workers.busy()})
        program.ended.set()
    lab.until(lambda: lab.kinds(1) == ["Claim", "Done"])


def test_a_reconciler_that_was_restarted_meanwhile_still_knows_that_it_was_a_suspect(lab: HangingLab) -> None:
    agent = started(lab, on_suspect=OnSuspect.STOP)
    with hanging(lab, agent):
        lab.clock.seconds += 2.0
        watch_until_stopped(lab, agent)
        lab.agents.pop("a")  # killed
    again = lab.join()
    lab.until(lambda: lab.kinds(1)[:2] == ["Claim", "Released"])
    record = lab.run(1).records[1]  # type: ignore[union-attr]
    assert isinstance(record, Released)
    assert record.reason == "Suspect"
    again.leave()
    lab.agents.clear()


def test_a_share_that_hangs_costs_a_thread_a_part_and_a_job_and_no_more(lab: HangingLab) -> None:
    agent = started(lab)
    with hanging(lab, agent):
        before = threading.active_count()
        for _ in range(50):
            lab.clock.seconds += 10.0
            agent.watch()
            agent.conditions()
        assert threading.active_count() <= before


def test_what_was_written_during_the_hang_is_done_within_a_tick(lab: HangingLab) -> None:
    agent = started(lab)
    with hanging(lab, agent):
        lab.clock.seconds += 30.0
        lab.source.commits.append(lab.source.commits[-1])
        agent.fetch()
    agent.beat()
    agent.tick()
    assert agent.last_tick == lab.clock.seconds
    assert ProjectName("crossing") in agent.last_plan.waiting
