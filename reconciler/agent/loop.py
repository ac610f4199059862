"""The loop: when to beat, fetch, tick and publish. Level-triggered; hints only shorten the wait.

Every outside call runs in a daemon thread of its own kind, one at a time, so that a hung mount or remote stalls
its own kind and nothing else: the health page still answers and says what has hung since when.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

import structlog

from reconciler.agent.followers.following import AFTER_FAULT, Following
from reconciler.agent.node import Agent
from reconciler.agent.ports import Clock
from reconciler.errors import BadInput, WinslowError

log = structlog.get_logger()
T = TypeVar("T")

TICK = 1.0
PUBLISH = 5.0
WATCH = 2.0
LOOK = 30.0
BURST = 2.0
"""Seconds between two publications: transitions meanwhile become one commit; git leaves the machine to stages."""
AFTER_CRASH = 5.0
STALLED = 60.0
"""Seconds after which an outside call counts as stalled."""


class Wakeup:
    """An event that any thread may set."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def __call__(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        """Until set, or ``seconds`` have passed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), max(seconds, 0.0))
        self._event.clear()


async def in_thread(work: Callable[[], T]) -> T:
    """Run in a daemon thread: unlike an executor's, it never keeps the process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # T includes None here

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as caught:  # noqa: BLE001  # handed over to the loop, whatever it is
            error = caught
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True).start()
    return await done


class Loop:
    def __init__(self, agent: Agent, clock: Clock, wake: Wakeup) -> None:
        self._agent = agent
        self._clock = clock
        self._wake = wake
        self._fetch_now = Wakeup()
        self._publish_now = Wakeup()
        self._beat_now = Wakeup()
        self._follow_now = {one: Wakeup() for one in agent.following}
        self._busy: dict[str, float] = {}
        self.stop = asyncio.Event()

    def hint(self) -> None:
        """Somebody says that the remote has changed. Any thread."""
        self._fetch_now()

    def stalled(self) -> list[str]:
        """Kinds of outside calls that have not come back for too long."""
        now = self._clock.monotonic()
        return [kind for kind, since in self._busy.items() if now - since > STALLED]

    async def run(self, hints: AsyncIterator[None], others: Sequence[asyncio.Task[None]] = ()) -> None:
        """Until ``stop`` is set, or BadInput (also of ``others``) says that this node must not go on."""
        tasks = [
            asyncio.create_task(part, name=name)
            for name, part in {
                "beat": self._beat(),
                "fetch": self._fetch(),
                "tick": self._tick(),
                "publish": self._publish(),
                "watch": self._watch(),
                "inventory": self._take_stock(),
                "hints": self._listen(hints),
                **{one.name: self._follow(one, now) for one, now in self._follow_now.items()},
            }.items()
        ]
        stopped = asyncio.create_task(self.stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, *others, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in [*tasks, stopped]:
                task.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)

    async def _call(self, kind: str, work: Callable[[], T], otherwise: T) -> T:
        """One outside call; faults are logged and become ``otherwise``: the next round looks again."""
        self._busy[kind] = self._clock.monotonic()
        try:
            return await in_thread(work)
        except BadInput:
            raise
        except WinslowError as error:
            log.warning("transient_fault", during=kind, error=str(error))
        except Exception:
            log.exception("unexpected_fault", during=kind)
            await asyncio.sleep(AFTER_CRASH)
        finally:
            self._busy.pop(kind, None)
        return otherwise

    async def _beat(self) -> None:
        while True:
            await self._call("beat", self._agent.beat, None)
            if self._agent.superseded:
                raise BadInput(self._agent.superseded)
            await self._beat_now.wait(self._agent.site().heartbeat.total_seconds())

    async def _watch(self) -> None:
        while True:
            await self._call("watch", self._agent.watch, None)
            await asyncio.sleep(WATCH)

    async def _take_stock(self) -> None:
        """What the machine has; a driver that hangs stalls this alone."""
        while True:
            await asyncio.sleep(LOOK)
            if await self._call("inventory", self._agent.take_stock, False):
                self._beat_now()

    async def _fetch(self) -> None:
        while True:
            if await self._call("fetch", self._agent.fetch, False):
                self._wake()
                self._publish_now()
                self._beat_now()  # it may ask for another heartbeat; others count by that one already
            await self._fetch_now.wait(self._agent.config.poll.total_seconds())

    async def _tick(self) -> None:
        behind, published, planned = False, 0, self._agent.last_plan
        while True:
            again = await self._call("tick", self._agent.tick, False)
            if published != self._agent.ledger_changes:
                published = self._agent.ledger_changes
                self._publish_now()
            if again:
                continue
            if self._agent.is_behind and not behind:
                self._fetch_now()
            behind = self._agent.is_behind
            before, planned = planned, self._agent.last_plan
            rest = TICK
            if planned is not before and planned.wake_at is not None:  # a moment that a failed tick left behind is over
                rest = min(TICK, planned.wake_at - self._clock.monotonic())
            await self._wake.wait(max(rest, 0.01))

    async def _publish(self) -> None:
        while True:
            if await self._call("publish", self._agent.publish, False):
                for follow_now in self._follow_now.values():
                    follow_now()
                await asyncio.sleep(BURST)
            await self._publish_now.wait(PUBLISH)

    async def _follow(self, following: Following, now: Wakeup) -> None:
        while True:
            await now.wait(await self._call(following.name, following.run, AFTER_FAULT))

    async def _listen(self, hints: AsyncIterator[None]) -> None:
        try:
            async for _ in hints:
                self._fetch_now()
        except Exception:
            log.exception("hints_ended")
        await asyncio.Event().wait()  # a remote without hints: the poll alone
