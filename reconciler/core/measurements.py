"""Measurements over time: rows that fold into coarser ones, so that a month fits into a file of a fixed size.

Rows are counted, not placed by their time: a clock that is set back overwrites nothing, and the newest row is always
the one with the highest number. What nobody could measure is NaN.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isnan, nan
from typing import TypeVar

T = TypeVar("T")

NODE = ("cpu", "memory", "swap", "load", "received", "sent", "read", "written")
"""Of a node: share of its cpus (0 to 1), bytes, bytes, the load average, bytes a second."""
NODE_GPU = ("gpu_utilisation", "gpu_memory", "gpu_temperature", "gpu_power")
"""And of each of its GPUs: share (0 to 1), bytes, degrees Celsius, watts. Named ``gpu_memory:<uuid>``."""
RUN = ("cpu", "memory", "received", "sent", "read", "written")
"""Of a run: cpus in use (2.5: two and a half), bytes, bytes a second."""
RUN_GPU = ("gpu_utilisation", "gpu_memory")


def columns_of(common: Sequence[str], by_gpu: Sequence[str], gpus: Iterable[str]) -> tuple[str, ...]:
    return (*common, *(f"{name}:{uuid}" for uuid in gpus for name in by_gpu))


@dataclass(frozen=True, slots=True)
class Resolution:
    """A row for each ``step`` seconds, and so many of them."""

    step: int
    slots: int


RESOLUTIONS = (Resolution(2, 1800), Resolution(60, 1440), Resolution(900, 2976))
"""An hour, a day, 31 days: with eight GPUs just under a megabyte."""


@dataclass(frozen=True, slots=True)
class Row:
    time: int  # seconds since 1970; of a folded row the begin of its step
    values: tuple[float, ...]  # means over the step
    peaks: tuple[float, ...]  # the highest of its rows


# --- writing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slot:
    """A row's place: it overwrites the one that was written ``slots`` rows earlier."""

    ring: int
    number: int  # 1, 2, 3 ... within its ring
    row: Row


@dataclass(frozen=True, slots=True)
class Ring:
    """Where the writer stands in one ring."""

    resolution: Resolution
    newest: int = 0  # number of its last row; 0: there is none
    unfolded: tuple[Row, ...] = ()  # of the next finer ring, in the step that is not over yet


def add(rings: Sequence[Ring], row: Row) -> tuple[tuple[Ring, ...], tuple[Slot, ...]]:
    """A new row, and what it completes: a step of a coarser ring is over when the first row after it comes."""
    after, slots = list(rings), []
    for index, ring in enumerate(after):
        after[index] = replace(ring, newest=ring.newest + 1)
        slots.append(Slot(index, ring.newest + 1, row))
        if index + 1 == len(after):
            break
        coarser = after[index + 1]
        is_over = _is_over(coarser, row, ring.resolution.step)
        after[index + 1] = replace(coarser, unfolded=(row,) if is_over else (*coarser.unfolded, row))
        if not is_over:
            break
        row = fold(coarser.unfolded, coarser.resolution.step)
    return tuple(after), tuple(slots)


def _is_over(ring: Ring, row: Row, finer: int) -> bool:
    """A clock that stands still ends a step, too: else its rows would grow without bound."""
    step, most = ring.resolution.step, 2 * ring.resolution.step // finer
    before = ring.unfolded[:1]
    return bool(before) and (before[0].time // step != row.time // step or len(ring.unfolded) >= most)


def fold(rows: Sequence[Row], step: int) -> Row:
    """Rows of one step as one."""
    return Row(
        time=rows[0].time // step * step,
        values=tuple(_mean(column) for column in zip(*(row.values for row in rows), strict=True)),
        peaks=tuple(_highest(column) for column in zip(*(row.peaks for row in rows), strict=True)),
    )


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not isnan(value)]
    return sum(known) / len(known) if known else nan


def _highest(values: Iterable[float]) -> float:
    return max((value for value in values if not isnan(value)), default=nan)


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordedRing:
    resolution: Resolution
    newest: int = 0
    rows: tuple[Row, ...] = ()  # oldest first, each later than the one before

    @property
    def is_whole(self) -> bool:
        """Nothing of it was overwritten yet."""
        return self.newest <= self.resolution.slots


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a file of rings holds."""

    columns: tuple[str, ...]
    rings: tuple[RecordedRing, ...]
    note: Mapping[str, float] = field(default_factory=dict)

    @property
    def begins(self) -> float:
        """The oldest row's time; infinite if there is none."""
        return min((ring.rows[0].time for ring in self.rings if ring.rows), default=inf)

    @property
    def ends(self) -> float:
        return max((ring.rows[-1].time for ring in self.rings if ring.rows), default=-inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """For charts: what was measured at these times, oldest first. None: a gap."""

    times: tuple[int, ...] = ()  # seconds since 1970
    columns: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)  # means over each step
    peaks: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


def resume(recorded: Recorded) -> tuple[Ring, ...]:
    """The writer's standing after a restart: the steps that were not over go on."""
    rings = []
    finer: tuple[Row, ...] = ()
    for ring in recorded.rings:
        last = [row for row in finer if row.time // ring.resolution.step == finer[-1].time // ring.resolution.step]
        rings.append(Ring(ring.resolution, ring.newest, tuple(last)))
        finer = ring.rows
    return tuple(rings)


def in_order(found: Sequence[T], time_of: Callable[[T], int]) -> tuple[T, ...]:
    """Without those that a clock set back has made later than their successors."""
    kept: list[T] = []
    for one in reversed(found):
        if not kept or time_of(one) < time_of(kept[-1]):
            kept.append(one)
    return tuple(reversed(kept))


def rows_since(recorded: Recorded, since: int) -> tuple[Row, ...]:
    """The finest rows that reach back so far, then finer ones for the step that is not over. At most some thousands."""
    rings = recorded.rings
    reaching = (i for i, ring in enumerate(rings) if ring.is_whole or (ring.rows and ring.rows[0].time <= since))
    chosen = next(reaching, len(rings) - 1)
    rows: list[Row] = []
    for ring in reversed(rings[: chosen + 1]):
        rows += [row for row in ring.rows if row.time >= since]
        if rows:
            since = rows[-1].time + ring.resolution.step
    return tuple(rows)


def series(recorded: Sequence[Recorded], since: int = 0) -> Series:
    """Several files as one: another one is begun when a GPU appears. Columns that nobody measured are left out."""
    found = [(file.columns, row) for file in recorded for row in rows_since(file, since)]
    kept = in_order(sorted(found, key=lambda one: one[1].time), lambda one: one[1].time)
    names = dict.fromkeys(name for file in recorded for name in file.columns)
    means = [dict(zip(columns, row.values, strict=True)) for columns, row in kept]
    peaks = [dict(zip(columns, row.peaks, strict=True)) for columns, row in kept]
    measured = [name for name in names if any(not isnan(one.get(name, nan)) for one in means)]
    return Series(
        times=tuple(row.time for _, row in kept),
        columns={name: tuple(_known(one.get(name, nan)) for one in means) for name in measured},
        peaks={name: tuple(_known(one.get(name, nan)) for one in peaks) for name in measured},
    )


def _known(value: float) -> float | None:
    return None if isnan(value) else value
