"""What runs here, without asking the engine at every tick: the last listing, kept current by our own calls."""

import threading
from collections.abc import Iterable
from datetime import datetime

import structlog

from reconciler.agent.ports import Clock, LogSummary, Runtime
from reconciler.core.containers import ClaimKey, Container, ContainerState
from reconciler.core.outcome import ENDED_BY_ENGINE, Outage
from reconciler.errors import EngineUnavailable

log = structlog.get_logger()

REFRESH = 10.0
"""Seconds after which the engine is asked again although nothing seems to have happened."""


class Containers:
    """Thread-safe. The engine's listing is the truth; ``put`` and ``drop`` only bring it forward."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[ClaimKey, Container] = {}
        self._held: dict[ClaimKey, frozenset[str]] = {}
        self._refreshed: float | None = None
        self._changes = 0
        self._asked = 0
        self.engine_error = ""
        self.outage: Outage | None = None  # the last one that is over
        self._answered_at = clock.now()
        self._lost_at: datetime | None = None
        self.summaries: dict[ClaimKey, LogSummary] = {}
        self._began: dict[ClaimKey, float] = {}  # monotonic

    def snapshot(self) -> tuple[Container, ...]:
        """All containers of ours; asks the engine if the last answer is old or was none."""
        if self._refreshed is None or self._clock.monotonic() - self._refreshed > REFRESH:
            self.refresh()
        with self._lock:
            return tuple(sorted(self._known.values(), key=lambda container: container.key))

    def known(self) -> tuple[Container, ...]:
        """The last answer, however old: this never asks."""
        with self._lock:
            return tuple(self._known.values())

    def held(self) -> dict[ClaimKey, frozenset[str]]:
        """GPUs that are in use, by whichever reconciler of this machine; as old as the last snapshot."""
        with self._lock:
            return dict(self._held)

    def ran_for(self, found: Iterable[Container]) -> dict[ClaimKey, float]:
        """How long each running one has run. The wall clock is asked once, at first sight: it may jump later."""
        running = {c.key: c.started_at for c in found if c.state is ContainerState.RUNNING and c.started_at}
        now, wall = self._clock.monotonic(), self._clock.now()
        with self._lock:
            self._began = {
                key: self._began.get(key, now - max((wall - started).total_seconds(), 0.0))
                for key, started in running.items()
            }
            return {key: now - began for key, began in self._began.items()}

    def refresh(self) -> None:
        with self._lock:
            before, asked = self._changes, self._asked
        try:
            listed = {container.key: container for container in self._runtime.list()}
            held = dict(self._runtime.held())
        except EngineUnavailable as error:
            if not self.engine_error:
                log.warning("engine_unavailable", error=str(error))
            self.engine_error = str(error)
            self._refreshed = None
            self._lost_at = self._lost_at or self._answered_at
            return
        self._answered()
        if self.engine_error:
            log.info("engine_answers")
        with self._lock:
            self.engine_error = ""
            if before != self._changes:
                return  # something changed while we listed: that answer may be older than what we know
            self._known = {**self._ended(), **listed}
            self._held = held
            self._refreshed = self._clock.monotonic() if asked == self._asked else None

    def _ended(self) -> dict[ClaimKey, Container]:
        """Whose end is known, and their logs complete: somebody may tidy them up before their end is recorded.

        Not those that were killed: removing a running container by force begins with that.
        """
        found = ((key, one) for key, one in self._known.items() if key in self.summaries)
        return {key: one for key, one in found if one.exit_code is not None and one.exit_code not in ENDED_BY_ENGINE}

    def _answered(self) -> None:
        self._answered_at = self._clock.now()
        if self._lost_at is not None:
            self.outage = Outage(self._lost_at, self._answered_at)
            self._lost_at = None

    def put(self, container: Container) -> None:
        with self._lock:
            self._changes += 1
            self._known[container.key] = container
            if container.state is ContainerState.EXITED:
                self._held.pop(container.key, None)

    def drop(self, key: ClaimKey) -> None:
        with self._lock:
            self._changes += 1
            self._known.pop(key, None)
            self._held.pop(key, None)
            self.summaries.pop(key, None)

    def has_ended(self, key: ClaimKey) -> bool:
        """As the engine says now; False if it does not answer."""
        self.refresh()
        with self._lock:
            found = self._known.get(key)
            return found is None or found.state is ContainerState.EXITED

    def forget_listing(self) -> None:
        """Make the next snapshot ask the engine; a listing under way may be older than the reason to ask.

        It counts nevertheless: a first one that did not would look like an engine without containers.
        """
        with self._lock:
            self._asked += 1
            self._refreshed = None
