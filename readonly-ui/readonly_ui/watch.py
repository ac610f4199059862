"""The last known status: many browsers cost one read, and a failing read never empties the page."""

from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic

from readonly_ui import calls
from reconciler.core.status import Status
from reconciler.errors import WinslowError
from reconciler.readers import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What can be shown now. ``problem``: why nothing newer can be had since ``failing_since``."""

    status: Status | None = None
    problem: str | None = None
    failing_since: datetime | None = None


class Watch:
    """Reads the status at most every ``keep`` seconds, one read at a time.

    While a read hangs, nobody starts another one and only the first ``patience`` seconds are waited for.
    """

    def __init__(self, reader: Reader, *, keep: float, patience: float) -> None:
        self._reader = reader
        self._keep = keep
        self._patience = patience
        self._known = Known()
        self._reading: Future[Status] | None = None
        self._deadline = 0.0
        self._fresh_until = 0.0

    async def known(self) -> Known:
        if self._reading is None:
            if monotonic() < self._fresh_until:
                return self._known
            self._reading = calls.start(self._reader.status)
            self._deadline = monotonic() + self._patience
        await self._take(self._reading)
        return self._known

    async def _take(self, reading: Future[Status]) -> None:
        """Wait for this read as long as it is worth it. Several requests may wait for the same one."""
        problem = None
        try:
            status = await calls.within(reading, self._deadline - monotonic())
        except WinslowError as error:
            problem = str(error)
        if reading is not self._reading:
            return  # another request has noted it
        if reading.done():
            self._reading = None
            self._fresh_until = monotonic() + self._keep
        if problem is None:
            self._known = Known(status=status)
        else:
            since = self._known.failing_since or datetime.now(UTC)
            self._known = replace(self._known, problem=problem, failing_since=since)
