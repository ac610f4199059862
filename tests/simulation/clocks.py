"""A machine's clocks: neither tells the true time, and no rule of ours may need that it does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


class DriftingClock:
    """Port ``Clock``. Runs at its own rate; the wall clock may jump, the monotonic one starts anew at each boot."""

    def __init__(self, true_time: Callable[[], float], *, rate: float, offset: float) -> None:
        self._true_time = true_time
        self.rate = rate
        self.offset = offset  # seconds that the wall clock is wrong by
        self._booted_at = true_time()

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._true_time() * self.rate + self.offset)

    def monotonic(self) -> float:
        return (self._true_time() - self._booted_at) * self.rate + 100.0

    def jump(self, seconds: float) -> None:
        self.offset += seconds

    def boot(self) -> None:
        self._booted_at = self._true_time()

    def true(self, seconds: float) -> float:
        """So many seconds of this clock in true ones."""
        return seconds / self.rate
