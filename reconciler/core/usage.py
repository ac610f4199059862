"""What a machine, its GPUs and its runs use: from counters to rates, and to the sum in a run's record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import nan

from reconciler.core.records import Resources

HOUR = 3600.0
SAME_SITTING = 10.0
"""Seconds. What a GPU did between two samples that lie further apart nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A machine now. Seconds of processor time and bytes count up from its boot; None: it can't be told."""

    busy: float
    total: float  # seconds of all its cpus
    memory: int
    swap: int
    load: float
    received: int | None = None
    sent: int | None = None
    read: int | None = None
    written: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A container or process now. All but ``memory`` count up from its start; None: it can't be told."""

    cpu: float | None = None  # seconds
    memory: int | None = None
    received: int | None = None
    sent: int | None = None
    read: int | None = None
    written: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """One GPU now; None: its driver does not say."""

    uuid: str
    model: str = ""
    utilisation: float | None = None  # 0 to 1
    memory: int | None = None
    temperature: float | None = None
    power: float | None = None


def load_row(before: Load, now: Load, seconds: float, gpus: Iterable[GpuReading]) -> dict[str, float]:
    """By the names of ``measurements.NODE``."""
    total = now.total - before.total
    return {
        "cpu": min(max((now.busy - before.busy) / total, 0.0), 1.0) if total > 0 else nan,
        "memory": now.memory,
        "swap": now.swap,
        "load": now.load,
        **_flows(before, now, seconds),
        **{name: value for gpu in gpus for name, value in gpu_row(gpu).items()},
    }


def use_row(before: Use | None, now: Use, seconds: float, gpus: Iterable[GpuReading]) -> dict[str, float]:
    """By the names of ``measurements.RUN``."""
    before = before or Use()
    return {
        "cpu": _rate(before.cpu, now.cpu, seconds),
        "memory": _or_nan(now.memory),
        **_flows(before, now, seconds),
        **{
            f"{name}:{gpu.uuid}": _or_nan(value)
            for gpu in gpus
            for name, value in (("gpu_utilisation", gpu.utilisation), ("gpu_memory", gpu.memory))
        },
    }


def gpu_row(gpu: GpuReading) -> dict[str, float]:
    return {
        f"gpu_utilisation:{gpu.uuid}": _or_nan(gpu.utilisation),
        f"gpu_memory:{gpu.uuid}": _or_nan(gpu.memory),
        f"gpu_temperature:{gpu.uuid}": _or_nan(gpu.temperature),
        f"gpu_power:{gpu.uuid}": _or_nan(gpu.power),
    }


def _flows(before: Load | Use, now: Load | Use, seconds: float) -> dict[str, float]:
    names = ("received", "sent", "read", "written")
    return {name: _rate(getattr(before, name), getattr(now, name), seconds) for name in names}


def _rate(before: float | None, now: float | None, seconds: float) -> float:
    """NaN if it is not known, or the counter began anew."""
    return nan if before is None or now is None or now < before or seconds <= 0 else (now - before) / seconds


def _or_nan(value: float | None) -> float:
    return nan if value is None else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a run has used so far. Two tallies of the same run, from before and after a restart, add up."""

    cpu: float | None = None
    peak_memory: float | None = None
    received: float | None = None
    sent: float | None = None
    read: float | None = None
    written: float | None = None
    gpu_used: float | None = None  # seconds times utilisation, mean of its GPUs
    gpu_watched: float | None = None  # seconds
    peak_gpu: float | None = None
    peak_gpu_memory: float | None = None

    def merged(self, other: "Tally") -> "Tally":
        """Counters go on where they were, peaks are the highest; only what we sum up ourselves is added."""
        found = {one.name: (getattr(self, one.name), getattr(other, one.name)) for one in fields(self)}
        known = {name: [one for one in both if one is not None] for name, both in found.items()}
        return Tally(
            **{name: (sum(both) if name in SUMS else max(both)) if both else None for name, both in known.items()}
        )

    def noted(self) -> dict[str, float]:
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


SUMS = frozenset({"gpu_used", "gpu_watched"})


def tally_of(note: Mapping[str, float]) -> Tally:
    """What ``noted`` gave; anything else is left out."""
    return Tally(**{one.name: note[one.name] for one in fields(Tally) if one.name in note})


def tally(use: Use, gpus: Sequence[GpuReading], seconds: float | None) -> Tally:
    """One sample's part; ``seconds`` since the one before (None: it is the first)."""
    busy = [one.utilisation for one in gpus if one.utilisation is not None]
    watched = seconds if busy and seconds is not None and seconds <= SAME_SITTING else None
    return Tally(
        cpu=use.cpu,
        peak_memory=use.memory,
        received=use.received,
        sent=use.sent,
        read=use.read,
        written=use.written,
        gpu_used=None if watched is None else watched * sum(busy) / len(busy),
        gpu_watched=watched,
        peak_gpu=max(busy, default=None),
        peak_gpu_memory=max((one.memory for one in gpus if one.memory is not None), default=None),
    )


def resources(used: Tally, *, held: float | None, gpus: int) -> Resources:
    """For the run's record. ``held``: seconds from its start to its end, as far as they are known."""
    return Resources(
        peak_memory=_whole(used.peak_memory),
        cpu_hours=None if used.cpu is None else used.cpu / HOUR,
        read=_whole(used.read),
        written=_whole(used.written),
        received=_whole(used.received),
        sent=_whole(used.sent),
        gpu_hours=None if held is None else gpus * held / HOUR,
        mean_gpu=used.gpu_used / used.gpu_watched if used.gpu_watched and used.gpu_used is not None else None,
        peak_gpu=used.peak_gpu,
        peak_gpu_memory=_whole(used.peak_gpu_memory),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
