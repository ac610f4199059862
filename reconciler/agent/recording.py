"""Rows on their way into a file of rings, between a thread that must never wait and one that may wait for ever.

The sampler only appends to a queue. All that touches the share, folding included, is the writer's.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Protocol

import structlog

from reconciler.core.measurements import RESOLUTIONS, Recorded, Ring, Row, Slot, add, resume
from reconciler.core.usage import Tally, tally_of
from reconciler.errors import WinslowError

log = structlog.get_logger()

WRITE = 10.0
"""Seconds between two writes: a share has better to do."""
MOST = RESOLUTIONS[0].slots
"""Rows that wait for a share that hangs; the oldest give way."""


class RingFile(Protocol):
    """Errors: ShareUnavailable."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def recorded(self) -> Recorded | None:
        """What it held when it was opened."""
        ...

    def write(self, slots: Sequence[Slot], note: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class Recording:
    """One file. ``add`` and ``tally`` are the sampler's, ``write`` and ``close`` the writer's."""

    def __init__(self, open_: Callable[[], RingFile]) -> None:
        self._open = open_
        self._file: RingFile | None = None
        self._rings: tuple[Ring, ...] = ()
        self._queue: deque[tuple[int, Mapping[str, float]]] = deque(maxlen=MOST)
        self._earlier: Tally | None = None  # until the file was looked at
        self._own = Tally()

    def add(self, time: int, values: Mapping[str, float]) -> None:
        self._queue.append((time, values))

    def count(self, part: Tally) -> None:
        self._own = self._own.merged(part)

    @property
    def knows_earlier(self) -> bool:
        """Has the file been looked at? What was measured before our own start is in it."""
        return self._earlier is not None

    @property
    def tally(self) -> Tally:
        """What was used so far, as far as we know."""
        return self._own if self._earlier is None else self._earlier.merged(self._own)

    def write(self) -> None:
        """Everything that waits. ShareUnavailable: it is lost, and the file is opened anew next time."""
        file = self._file or self._opened()
        slots: list[Slot] = []
        while self._queue:
            time, values = self._queue.popleft()
            row = tuple(values.get(name, nan) for name in file.columns)
            self._rings, done = add(self._rings, Row(time, row, row))
            slots += done
        try:
            file.write(slots, self.tally.noted())
        except Exception:
            self.close()
            raise

    def _opened(self) -> RingFile:
        file = self._open()
        self._rings = resume(file.recorded) if file.recorded else tuple(Ring(one) for one in RESOLUTIONS)
        if self._earlier is None:  # opened once more it would hold what we have counted ourselves
            self._earlier = tally_of(file.recorded.note) if file.recorded else Tally()
        self._file = file
        return file

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


class Writer:
    """Brings recordings to the share, each on its own, on a thread that may hang."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held over a call to the share
        self._kept: list[Recording] = []
        self._over: list[Recording] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="measurements", daemon=True)
        self._told = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self, within: float) -> None:
        """Write what waits and close, unless that takes too long."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(within)

    def keep(self, recording: Recording) -> Recording:
        with self._lock:
            self._kept.append(recording)
        return recording

    def end(self, recording: Recording) -> None:
        """Nothing will follow."""
        with self._lock:
            self._kept.remove(recording)
            self._over.append(recording)

    def _run(self) -> None:
        while not self._stop.wait(WRITE):
            self.write()
        self.finish()

    def finish(self) -> None:
        """For good: write what waits and close everything."""
        with self._lock:
            self._kept, self._over = [], [*self._kept, *self._over]
        self.write()

    def write(self) -> None:
        """Everything that waits. What goes wrong is told once."""
        with self._lock:
            kept, over, self._over = [*self._kept], self._over, []
        errors = [
            *(_tried(one.write) for one in kept),
            *(_tried(act) for one in over for act in (one.write, one.close)),
        ]
        error = next((one for one in errors if one), "")
        if error and error != self._told:
            log.warning("measurements_lost", error=error)
        self._told = error


def _tried(work: Callable[[], None]) -> str:
    try:
        work()
    except WinslowError as error:
        return str(error)
    except Exception as error:
        log.exception("unexpected_fault", during="measurements")
        return repr(error)
    return ""
