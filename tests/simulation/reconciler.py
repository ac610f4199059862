"""One reconciler process: the real ``Agent``, its loops as tasks with the periods of ``agent.loop``."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from reconciler.agent.loop import BURST, PUBLISH, TICK, WATCH
from reconciler.agent.node import Agent
from reconciler.core.desired import Desired
from reconciler.errors import BadInput, WinslowError
from tests.simulation.clocks import DriftingClock
from tests.simulation.cooperative import Event
from tests.simulation.scheduler import Ended, Life, Tasks

T = TypeVar("T")
SPINS = 100
"""So many ticks at once without a rest are a loop that never ends."""


class Over(Protocol):
    """Told when the process ended by itself; ``for_good``: because somebody has to change something."""

    def __call__(self, why: str, *, for_good: bool) -> None: ...


class Reconciler:
    def __init__(
        self,
        tasks: Tasks,
        life: Life,
        clock: DriftingClock,
        make: Callable[[Callable[[], None]], Agent],
        over: Over,
    ) -> None:
        self.life = life
        self.works_from: Desired | None = None  # what the tick now under way began with
        self.agent: Agent | None = None
        self._tasks = tasks
        self._clock = clock
        self._make = make
        self._over = over
        self._wake, self._beat_now = Event(tasks), Event(tasks)
        self._fetch_now, self._publish_now = Event(tasks), Event(tasks)

    def start(self) -> None:
        self._tasks.spawn(self.life, f"{self.life.name} main", self._main)

    def _main(self) -> None:
        try:
            agent = self.agent = self._make(self._wake.set)
            agent.join()
        except WinslowError as error:
            self._over(str(error), for_good=isinstance(error, BadInput))
            return
        loops = {"beat": self._beat, "fetch": self._fetch, "tick": self._tick, "publish": self._publish}
        loops |= {"watch": self._watch}
        for name, loop in loops.items():
            self._tasks.spawn(self.life, f"{self.life.name} {name}", lambda loop=loop: loop(agent))  # type: ignore[misc]

    def _call(self, work: Callable[[], T], otherwise: T) -> T:
        """As ``Loop._call``, but that an exception which nobody translated ends the history."""
        try:
            return work()
        except BadInput as error:
            self._over(str(error), for_good=True)
            raise Ended from error
        except WinslowError:
            return otherwise

    def _sleep(self, seconds: float) -> None:
        self._tasks.sleep(self._clock.true(seconds))

    def _wait(self, event: Event, seconds: float) -> None:
        event.wait(self._clock.true(seconds))
        event.clear()

    def _beat(self, agent: Agent) -> None:
        while True:
            self._call(agent.beat, None)
            if agent.superseded:
                self._over(agent.superseded, for_good=True)
                return
            self._wait(self._beat_now, agent.site().heartbeat.total_seconds())

    def _watch(self, agent: Agent) -> None:
        while True:
            self._call(agent.watch, None)
            self._sleep(WATCH)

    def _fetch(self, agent: Agent) -> None:
        while True:
            if self._call(agent.fetch, False):
                self._wake.set()
                self._publish_now.set()
                self._beat_now.set()
            self._wait(self._fetch_now, agent.config.poll.total_seconds())

    def _tick(self, agent: Agent) -> None:
        behind, published, planned, spins = False, 0, agent.last_plan, 0
        while True:
            self.works_from = agent.desired()
            again = self._call(agent.tick, False)
            if published != agent.ledger_changes:
                published = agent.ledger_changes
                self._publish_now.set()
            spins = spins + 1 if again else 0
            assert spins < SPINS, f"ticks without end: {agent.last_plan.actions}"
            if again:
                continue
            if agent.is_behind and not behind:
                self._fetch_now.set()
            behind = agent.is_behind
            before, planned = planned, agent.last_plan
            rest = TICK
            if planned is not before and planned.wake_at is not None:
                rest = min(TICK, planned.wake_at - self._clock.monotonic())
            self._wait(self._wake, max(rest, 0.01))

    def _publish(self, agent: Agent) -> None:
        while True:
            if self._call(agent.publish, False):
                self._sleep(BURST)
            self._wait(self._publish_now, PUBLISH)
