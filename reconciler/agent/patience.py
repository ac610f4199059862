"""How long the share has not answered. A call on a hung mount neither returns nor fails: only its absence is seen.

Each call to the file system is timed from its start until it comes back, whichever thread makes it, and each by itself:
to read a long ledger takes ten thousand of them, and may take minutes though every one is answered at once. Those that
copy or remove whole directories take as long as they like; the heartbeat, every few seconds, hangs soon enough.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

from reconciler.agent.ports import Clock
from reconciler.core.status import Condition, condition

Files = TypeVar("Files")

UNBOUNDED = frozenset({"clone", "digest", "remove"})
GIVES = frozenset({"keep_open", "lock"})
"""Calls whose results are used for further calls."""
BEATS, LEAST = 4, 5.0
"""So many heartbeats, and at least so many seconds, make a share unreachable."""


class Patience:
    """Thread-safe: single operations on a dict."""

    def __init__(self, clock: Clock, place: Path) -> None:
        self._clock = clock
        self._place = place
        self._waiting: dict[object, tuple[float, datetime]] = {}  # since when: for rules, and for people
        self._beaten = clock.monotonic()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Time what is done inside."""
        me = object()
        self._waiting[me] = self._clock.monotonic(), self._clock.now()
        try:
            yield
        finally:
            del self._waiting[me]

    @contextmanager
    def beating(self) -> Iterator[None]:
        """A heartbeat is written inside; it counts from its beginning, and only if it succeeds."""
        began = self._clock.monotonic()
        yield
        self._beaten = began

    @property
    def waited(self) -> float:
        """Seconds for which the longest of the calls under way has waited; 0.0 if there is none."""
        return self._clock.monotonic() - self._longest[0]

    @property
    def _longest(self) -> tuple[float, datetime]:
        return min(self._waiting.copy().values(), default=(self._clock.monotonic(), self._clock.now()))

    @property
    def unheard_for(self) -> float:
        """Seconds since the last heartbeat that was written began: others may have seen the same bytes for so long."""
        return self._clock.monotonic() - self._beaten

    def is_over(self, heartbeat: timedelta) -> bool:
        return self.waited > max(BEATS * heartbeat.total_seconds(), LEAST)

    def conditions(self, heartbeat: timedelta) -> tuple[Condition, ...]:
        if not self.is_over(heartbeat):
            return ()
        since = self._longest[1]  # noted when it began: the same words for as long as it lasts
        return (
            condition(
                "ShareUnreachable",
                f"no answer from {self._place} since {since:%H:%M:%S} UTC: look at its server, at the network, and at "
                f"`findmnt {self._place}`. Stages go on, nothing is claimed, and once it answers all goes on by itself",
            ),
        )


def timed(files: Files, patience: Patience) -> Files:
    """The same file system, all of whose calls are timed."""
    return cast("Files", _Timed(files, patience))


class _Timed:
    """Stands before the file system, or a file kept open. By name, so that it stays true when the port grows."""

    def __init__(self, inner: object, patience: Patience) -> None:
        self._inner = inner
        self._patience = patience

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        return call if name in UNBOUNDED or not callable(call) else self._timed(name, call)

    def _timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            with self._patience.call():
                answer = call(*arguments, **named)
            return _Timed(answer, self._patience) if name in GIVES and answer is not None else answer

        return ask
