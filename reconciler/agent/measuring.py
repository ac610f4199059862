"""Measuring: what the machine, its GPUs and its runs use, every two seconds, on threads of its own.

Nothing waits for it. A driver that hangs stops the measurements and nothing else, a share that hangs only their way
to it: the sampler never touches the share, and the writer (``recording``) nothing but.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog

from reconciler.agent.ports import Clock
from reconciler.agent.recording import Recording, RingFile, Writer
from reconciler.core.containers import ClaimKey, Container, ContainerState
from reconciler.core.measurements import NODE, NODE_GPU, RUN, RUN_GPU, Recorded, columns_of
from reconciler.core.names import NodeName
from reconciler.core.records import Claim, Resources
from reconciler.core.status import Condition, condition
from reconciler.core.usage import GpuReading, Load, Tally, Use, load_row, resources, tally, tally_of, use_row
from reconciler.errors import ShareUnavailable

log = structlog.get_logger()

EVERY = 2.0
GLANCE = 0.5
"""Seconds between two looks for runs that have just begun: many a stage is over before the next sample."""
STALLED = 60.0
END_WITHIN = 2.0


class MachineSampler(Protocol):
    def sample(self) -> Load: ...


class RunSampler(Protocol):
    def sample(self, container: Container) -> Use | None:
        """None: it has ended, or nobody knows its processes."""
        ...

    def forget(self, kept: Iterable[str]) -> None:
        """All handles but these."""
        ...


class GpuReadings(Protocol):
    def readings(self) -> Sequence[GpuReading]:
        """All GPUs of this machine that answer. May hang with a broken driver."""
        ...


class Rings(Protocol):
    """The share's files of measurements. Errors: ShareUnavailable. May block for ever."""

    def open_node(self, node: NodeName, columns: Sequence[str], at: datetime) -> RingFile: ...

    def open_run(self, key: ClaimKey, columns: Sequence[str]) -> RingFile: ...

    def read_run(self, key: ClaimKey) -> Recorded | None: ...


class Measured(Protocol):
    """What the agent asks. Answered from memory, but for the summary of a run that ended before our start."""

    @property
    def last(self) -> "Sample | None": ...

    def start(self, containers: Callable[[], Sequence[Container]]) -> None:
        """``containers`` are this node's as last known; it must not ask the engine."""
        ...

    def stop(self) -> None: ...

    def summary(self, container: Container, claim: Claim) -> Resources | None: ...

    def conditions(self) -> tuple[Condition, ...]: ...


class _Unmeasured:
    last = None

    def start(self, containers: Callable[[], Sequence[Container]]) -> None:
        pass

    def stop(self) -> None:
        pass

    def summary(self, container: Container, claim: Claim) -> Resources | None:
        return None

    def conditions(self) -> tuple[Condition, ...]:
        return ()


UNMEASURED: Measured = _Unmeasured()
"""A node that measures nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The last one. ``at`` is monotonic."""

    at: float
    values: Mapping[str, float] = field(default_factory=dict)
    gpus: tuple[GpuReading, ...] = ()
    runs: Mapping[ClaimKey, Mapping[str, float]] = field(default_factory=dict)


@dataclass(slots=True)
class _Watched:
    """A run that is measured, and its last sample."""

    recording: Recording
    use: Use | None = None
    at: float = 0.0


class Measuring:
    """Port ``Measured``."""

    def __init__(
        self,
        node: NodeName,
        *,
        machine: MachineSampler,
        runs: RunSampler,
        gpus: GpuReadings,
        rings: Rings,
        clock: Clock,
    ) -> None:
        self._node = node
        self._machine = machine
        self._runs = runs
        self._gpus = gpus
        self._rings = rings
        self._clock = clock
        self.containers: Callable[[], Sequence[Container]] = tuple
        self.writer = Writer()
        self._stop = threading.Event()
        self._load: tuple[float, Load] | None = None
        self._own: tuple[tuple[str, ...], Recording] | None = None  # for which GPUs
        self._watched: dict[ClaimKey, _Watched] = {}
        self._begun: tuple[float, datetime] | None = None  # a sample that has not come back yet
        self._is_gpu_told = False
        self.last: Sample | None = None

    def start(self, containers: Callable[[], Sequence[Container]]) -> None:
        self.containers = containers
        self.writer.start()
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def stop(self) -> None:
        """Write what waits; a share that hangs is left to itself."""
        self._stop.set()
        self.writer.stop(END_WITHIN)

    # --- what others ask ---

    def summary(self, container: Container, claim: Claim) -> Resources:
        watched = self._watched.get(container.key)
        used = watched.recording.tally if watched else Tally()
        if watched is None or not watched.recording.knows_earlier:
            used = self._noted(container.key).merged(used)
        began, ended = container.started_at, container.ended_at
        held = (ended - began).total_seconds() if began and ended else None
        return resources(used, held=held, gpus=len(claim.gpus))

    def _noted(self, key: ClaimKey) -> Tally:
        """An earlier start of the node may have measured it."""
        try:
            recorded = self._rings.read_run(key)
        except ShareUnavailable:
            return Tally()
        return tally_of(recorded.note) if recorded else Tally()

    def conditions(self) -> tuple[Condition, ...]:
        begun = self._begun
        if begun is None or self._clock.monotonic() - begun[0] <= STALLED:
            return ()
        message = (
            f"nothing is measured since {begun[1]:%H:%M:%S} UTC: a call to the GPUs' driver or the kernel does not "
            "come back, does nvidia-smi? Stages are not touched by this"
        )
        return (condition("MeasuringStalled", message),)

    # --- sampling, on its own thread ---

    def _run(self) -> None:
        due, told = self._clock.monotonic(), ""
        while not self._stop.is_set():
            now = self._clock.monotonic()
            self._begun = now, self._clock.now()
            try:
                if now >= due:
                    due = now + EVERY
                    self.sample()
                else:
                    self.glance()
                told = ""
            except Exception as error:
                if repr(error) != told:  # the same one every two seconds would fill the log
                    log.exception("unexpected_fault", during="measuring")
                told = repr(error)
            self._begun = None
            self._stop.wait(max(min(GLANCE, due - self._clock.monotonic()), 0.01))

    def sample(self) -> None:
        """Everything once."""
        gpus = self._readings()
        load, at = self._machine.sample(), self._clock.monotonic()
        before, self._load = self._load, (at, load)
        values: Mapping[str, float] = {}
        if before is not None:
            values = load_row(before[1], load, at - before[0], gpus)
            self._recording(gpus).add(self._time(), values)
        self.last = Sample(at=at, values=values, gpus=gpus, runs=self._look(self._running(), gpus))

    def _readings(self) -> tuple[GpuReading, ...]:
        """A driver that fails leaves gaps."""
        try:
            found = tuple(self._gpus.readings())
        except Exception:
            if not self._is_gpu_told:
                log.exception("unexpected_fault", during="reading GPUs")
            self._is_gpu_told = True
            return ()
        self._is_gpu_told = False
        return found

    def glance(self) -> None:
        """Only at runs that were never looked at."""
        new = [one for one in self._running() if one.key not in self._watched]
        if new:
            self._look(new, self.last.gpus if self.last else ())

    def _running(self) -> list[Container]:
        """What is gone is measured no longer."""
        known = self.containers()
        for key in {*self._watched} - {one.key for one in known}:
            self.writer.end(self._watched.pop(key).recording)
        self._runs.forget([one.handle for one in known])
        return [one for one in known if one.state is ContainerState.RUNNING]

    def _look(self, found: Iterable[Container], gpus: Sequence[GpuReading]) -> Mapping[ClaimKey, Mapping[str, float]]:
        """Its rows; without those that could not be measured."""
        looked = {one.key: self._look_at(one, [gpu for gpu in gpus if gpu.uuid in one.gpus]) for one in found}
        return {key: row for key, row in looked.items() if row}

    def _look_at(self, container: Container, gpus: Sequence[GpuReading]) -> Mapping[str, float]:
        use, at = self._runs.sample(container), self._clock.monotonic()
        if use is None:
            return {}
        watched = self._watched.get(container.key) or self._watch(container)
        seconds = at - watched.at if watched.use is not None else None
        row = use_row(watched.use, use, seconds or 0.0, gpus)
        watched.recording.count(tally(use, gpus, seconds))
        watched.recording.add(self._time(), row)
        watched.use, watched.at = use, at
        return row

    def _watch(self, container: Container) -> _Watched:
        key, columns = container.key, columns_of(RUN, RUN_GPU, container.gpus)
        recording = self.writer.keep(Recording(lambda: self._rings.open_run(key, columns)))
        return self._watched.setdefault(key, _Watched(recording))

    def _recording(self, gpus: Sequence[GpuReading]) -> Recording:
        """The node's own; another one when a GPU appears. Of one that is gone the columns stay."""
        known = self._own[0] if self._own else ()
        found = tuple(dict.fromkeys((*known, *(one.uuid for one in gpus))))
        if self._own is None or found != known:
            if self._own is not None:
                self.writer.end(self._own[1])
            columns = columns_of(NODE, NODE_GPU, found)
            opened = Recording(lambda: self._rings.open_node(self._node, columns, self._clock.now()))
            self._own = found, self.writer.keep(opened)
        return self._own[1]

    def _time(self) -> int:
        return int(self._clock.now().timestamp())
