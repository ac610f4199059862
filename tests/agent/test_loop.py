"""The loop: outside calls in threads of their own, hints that shorten waits, ends that are ends."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.agent import loop as loop_module
from reconciler.agent.loop import Loop, Wakeup, in_thread
from reconciler.core.desired import Site
from reconciler.core.draft import Plan
from reconciler.errors import BadInput, Transient
from tests.fakes.lab import FakeClock

LONG = 30.0


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(test, 10.0)

    asyncio.run(limited())


async def silence() -> AsyncIterator[None]:
    """A remote that gives no hints."""
    await asyncio.Event().wait()
    yield


@dataclass
class ScriptedAgent:
    """Counts its calls; a test may replace any of them."""

    superseded: str = ""
    is_behind: bool = False
    ledger_changes: int = 0
    following: tuple[Any, ...] = ()
    last_plan: Plan = field(default_factory=Plan)
    counts: dict[str, int] = field(default_factory=dict)
    scripts: dict[str, Callable[[], Any]] = field(default_factory=dict)
    config: Any = field(default_factory=lambda: SimpleNamespace(poll=timedelta(seconds=LONG)))

    def site(self) -> Site:
        return Site(heartbeat=timedelta(seconds=0.01))

    def _call(self, kind: str) -> Any:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.scripts.get(kind, lambda: False)()

    def beat(self) -> None:
        self._call("beat")

    def fetch(self) -> bool:
        return bool(self._call("fetch"))

    def tick(self) -> bool:
        return bool(self._call("tick"))

    def publish(self) -> bool:
        return bool(self._call("publish"))

    def watch(self) -> None:
        self._call("watch")


async def looping(agent: ScriptedAgent, test: Callable[[Loop, Wakeup], Coroutine[Any, Any, None]]) -> None:
    wake = Wakeup()
    loop = Loop(agent, FakeClock(), wake)  # type: ignore[arg-type]  # no more of an agent than the loop asks for
    turning, testing = asyncio.create_task(loop.run(silence())), asyncio.create_task(test(loop, wake))
    await asyncio.wait([turning, testing], return_when=asyncio.FIRST_COMPLETED)
    loop.stop.set()
    await turning
    await testing


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110  # what is waited for is counted by other threads
        await asyncio.sleep(0.005)


# --- in_thread and Wakeup ---


def test_a_result_and_an_error_come_back_from_the_thread() -> None:
    async def test() -> None:
        assert await in_thread(lambda: 42) == 42

        def fails() -> None:
            raise Transient("not now")

        with pytest.raises(Transient, match="not now"):
            await in_thread(fails)

    run(test())


def test_a_call_that_never_comes_back_keeps_nobody_from_ending() -> None:
    """An executor would be joined when the loop ends: a hung mount would keep the node from stopping."""
    hang = threading.Event()

    async def test() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_thread(hang.wait), 0.05)

    run(test())
    assert not hang.is_set()
    hang.set()


def test_an_answer_that_comes_after_the_loop_has_ended_disturbs_nobody() -> None:
    late, answered = threading.Event(), threading.Event()

    def slow() -> None:
        late.wait(5.0)
        answered.set()

    async def test() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_thread(slow), 0.02)

    run(test())
    late.set()
    assert answered.wait(5.0)


def test_a_wakeup_from_any_thread_ends_the_wait_and_is_used_up() -> None:
    async def test() -> None:
        wake = Wakeup()
        threading.Thread(target=wake).start()
        await asyncio.wait_for(wake.wait(LONG), 5.0)
        clock = asyncio.get_running_loop()
        before = clock.time()
        await wake.wait(0.05)
        assert clock.time() - before >= 0.04

    run(test())


def test_a_wakeup_set_before_the_wait_is_not_lost() -> None:
    async def test() -> None:
        wake = Wakeup()
        wake()
        await asyncio.sleep(0)
        await asyncio.wait_for(wake.wait(LONG), 5.0)

    run(test())


def test_waking_a_loop_that_has_ended_is_no_error() -> None:
    kept: list[Wakeup] = []

    async def test() -> None:
        kept.append(Wakeup())

    run(test())
    kept[0]()


# --- the loop ---


def test_a_stalled_tick_does_not_stop_the_heartbeat_and_is_told() -> None:
    agent, hang = ScriptedAgent(), threading.Event()
    agent.scripts["tick"] = lambda: hang.wait(20.0)

    async def test(loop: Loop, wake: Wakeup) -> None:
        await until(lambda: agent.counts.get("tick"))
        before = agent.counts.get("beat", 0)
        await until(lambda: agent.counts.get("beat", 0) >= before + 5)
        assert agent.counts["tick"] == 1, "never two of a kind at once"
        assert loop.stalled() == []
        loop._clock.seconds += loop_module.STALLED + 1.0  # type: ignore[attr-defined]  # the fake clock
        assert "tick" in loop.stalled()
        hang.set()

    run(looping(agent, test))


def test_a_stalled_tick_does_not_stop_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeouts and ``on_suspect: stop`` hold while everything that needs the share hangs."""
    monkeypatch.setattr(loop_module, "WATCH", 0.01)
    agent, hang = ScriptedAgent(), threading.Event()
    for kind in ("tick", "beat", "publish"):
        agent.scripts[kind] = lambda: hang.wait(20.0)

    async def test(loop: Loop, wake: Wakeup) -> None:
        await until(lambda: agent.counts.get("watch", 0) >= 5)
        hang.set()

    run(looping(agent, test))


def test_a_name_that_another_machine_has_taken_ends_the_loop() -> None:
    agent = ScriptedAgent(superseded="another reconciler started as 'a'")

    async def test() -> None:
        with pytest.raises(BadInput, match="another reconciler started"):
            await Loop(agent, FakeClock(), Wakeup()).run(silence())  # type: ignore[arg-type]

    run(test())


def test_bad_input_of_any_call_ends_the_loop_and_a_passing_fault_does_not() -> None:
    agent = ScriptedAgent()
    faults = iter([Transient("share away"), Transient("share away"), BadInput("node.yaml: no such share")])

    def faulty() -> bool:
        raise next(faults)

    agent.scripts["tick"] = faulty

    async def test() -> None:
        wake = Wakeup()
        ending = asyncio.create_task(Loop(agent, FakeClock(), wake).run(silence()))  # type: ignore[arg-type]
        for count in (1, 2):
            await until(lambda count=count: agent.counts.get("tick", 0) >= count)  # type: ignore[misc]
            await asyncio.sleep(0.02)
            wake()
        with pytest.raises(BadInput, match="no such share"):
            await ending

    run(test())
    assert agent.counts["tick"] == 3


def test_a_bug_in_one_call_is_logged_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "AFTER_CRASH", 0.01)
    agent = ScriptedAgent()

    def crashes() -> bool:
        raise KeyError("a bug")

    agent.scripts["publish"] = crashes

    async def test(loop: Loop, wake: Wakeup) -> None:
        await until(lambda: agent.counts.get("beat", 0) >= 3 and agent.counts.get("tick") and agent.counts["publish"])

    run(looping(agent, test))


def test_a_hint_fetches_at_once_and_a_new_commit_ticks_at_once() -> None:
    agent = ScriptedAgent(last_plan=Plan(wake_at=None))

    async def test(loop: Loop, wake: Wakeup) -> None:
        await until(lambda: agent.counts.get("fetch") and agent.counts.get("tick"))
        ticks = agent.counts["tick"]
        agent.scripts["fetch"] = lambda: True
        loop.hint()
        await until(lambda: agent.counts["fetch"] == 2 and agent.counts["tick"] > ticks)

    run(looping(agent, test))


def test_a_node_that_lacks_a_recorded_commit_fetches_at_once_but_only_once() -> None:
    agent = ScriptedAgent()

    async def test(loop: Loop, wake: Wakeup) -> None:
        await until(lambda: agent.counts.get("fetch") == 1 and agent.counts.get("tick"))
        agent.is_behind = True
        for expected in range(2, 5):
            wake()
            await until(lambda expected=expected: agent.counts["tick"] >= expected)  # type: ignore[misc]
        await until(lambda: agent.counts["fetch"] == 2)

    run(looping(agent, test))
    assert agent.counts["fetch"] == 2


def test_a_tick_that_changed_something_is_followed_by_another_and_by_a_publication() -> None:
    agent = ScriptedAgent()
    changes = iter([True, True])

    def tick() -> bool:
        changed = next(changes, False)
        agent.ledger_changes += changed
        return changed

    agent.scripts["tick"] = tick

    async def test(loop: Loop, wake: Wakeup) -> None:
        await until(lambda: agent.counts.get("tick", 0) >= 3 and agent.counts.get("publish", 0) >= 2)

    run(looping(agent, test))


def test_another_part_of_the_node_that_ends_with_bad_input_ends_the_loop() -> None:
    async def test() -> None:
        async def listen() -> None:
            raise BadInput("listen: 127.0.0.1:1 is taken; write another in node.yaml")

        other = asyncio.create_task(listen())
        with pytest.raises(BadInput, match="listen"):
            await Loop(ScriptedAgent(), FakeClock(), Wakeup()).run(silence(), [other])  # type: ignore[arg-type]

    run(test())


def test_hints_that_break_only_cost_their_haste() -> None:
    async def broken() -> AsyncIterator[None]:
        yield
        raise OSError("inotify watch limit reached")

    agent = ScriptedAgent()

    async def test() -> None:
        loop = Loop(agent, FakeClock(), Wakeup())  # type: ignore[arg-type]
        turning = asyncio.create_task(loop.run(broken()))
        await until(lambda: agent.counts.get("beat", 0) >= 5)
        assert not turning.done()
        loop.stop.set()
        await turning

    run(test())


def test_a_node_beats_as_its_site_asks_as_soon_as_it_has_read_that() -> None:
    """Before its first fetch it can't know: others, who go by a shorter heartbeat, would give its claims away."""
    rests, has_read = threading.Event(), threading.Event()

    class Learning(ScriptedAgent):
        def site(self) -> Site:
            rests.set()  # asked once it has beaten
            return Site(heartbeat=timedelta(seconds=0.01 if has_read.is_set() else LONG))

    def fetch() -> bool:
        rests.wait(LONG)
        has_read.set()
        return True

    agent = Learning(scripts={"fetch": fetch})

    async def test(loop: Loop, wake: Wakeup) -> None:
        await until(lambda: agent.counts.get("beat", 0) >= 3)

    run(looping(agent, test))
