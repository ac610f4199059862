"""A call that may hang for ever, as those to a broken driver: made on a thread of its own, waited for only so long."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()
T = TypeVar("T")


class Unhurried(Generic[T]):
    """At most one such call is under way: one that hangs costs one thread, however often it is asked for."""

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self._name = name
        self._work = work
        self._changed = threading.Condition()
        self._is_busy = False
        self._result: T | None = None

    def answer(self, within: float) -> T | None:
        """None: it has not come back within so many seconds, or a fault of our own is in the log."""
        with self._changed:
            if not self._is_busy:
                self._is_busy, self._result = True, None
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            self._changed.wait_for(lambda: not self._is_busy, within)
            return None if self._is_busy else self._result

    def _run(self) -> None:
        result = None
        try:
            result = self._work()
        except Exception:
            log.exception("unexpected_fault", during=self._name)
        with self._changed:
            self._is_busy, self._result = False, result
            self._changed.notify_all()
