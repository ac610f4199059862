"""Measurements over time: rows that fold into coarser ones, so that a month fits into a file of a fixed size.

Rows are counted, not placed by their time: a clock that is set back overwrites nothing, and the newest row is always
the one with the highest number. What nobody could measure is NaN.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """For charts: what was measured at these times, oldest first. None: a gap."""

    times: tuple[int, ...] = ()  # seconds since 1970
    columns: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)  # means over each step
    peaks: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
