"""What a run asked for and what it used, as a person reads it."""

from collections.abc import Iterator, Sequence

from readonly_ui.words import size
from reconciler.core.desired import Gpus, Requires
from reconciler.core.status import RunStatus

Fact = tuple[str, str, str]
"""Name, amount, and what else is worth knowing beside it (or empty)."""


def asked(requires: Requires | None) -> str:
    """``4 cpus, 16 GiB memory, 2 nvidia GPUs with 8 GiB each``; empty if it is not known."""
    return ", ".join(_asked(requires)) if requires else ""


def used(run: RunStatus) -> Sequence[Fact]:
    """Only what was measured; nothing of a run that has not ended."""
    return list(_used(run)) if run.resources else []


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def memory_of(amount: float, limit: float) -> str:
    """``3.1 of 16 GiB``: the unit once, where both share it."""
    told, most = size(amount), size(limit)
    unit = most.split(" ")[-1]
    return f"{told.removesuffix(f' {unit}')} of {most}"


def _asked(requires: Requires) -> Iterator[str]:
    yield _counted(requires.cpus, "cpu")
    if requires.memory:
        yield f"{size(requires.memory)} memory"
    if requires.disk:
        yield f"{size(requires.disk)} disk"
    if requires.gpus.count:
        yield _gpus(requires.gpus)
    yield from (f"{name}={value}" for name, value in sorted(requires.labels.items()))


def _gpus(gpus: Gpus) -> str:
    kind = " ".join(filter(None, (gpus.vendor, gpus.model)))
    memory = f" with {size(gpus.memory)}{' each' if gpus.count > 1 else ''}" if gpus.memory else ""
    capability = f", capability {gpus.capability} or higher" if gpus.capability else ""
    shared = " (may be shared)" if gpus.share else ""
    return _counted(gpus.count, f"{kind} GPU") + memory + capability + shared


def _counted(count: float, name: str) -> str:
    return f"{count:g} {name}" + ("" if count == 1 else "s")


def _used(run: RunStatus) -> Iterator[Fact]:
    found, limit = run.resources, run.requires.memory if run.requires else 0
    if found is None:
        return
    if found.peak_memory is not None:
        yield "Peak memory", memory_of(found.peak_memory, limit) if limit else size(found.peak_memory), ""
    if found.cpu_hours is not None:
        yield "CPU", _hours(found.cpu_hours, "cpu"), _mean_cpus(run, found.cpu_hours)
    if found.gpu_hours:
        yield "GPU", _hours(found.gpu_hours, "GPU"), f"{len(run.gpus)} held" if len(run.gpus) > 1 else ""
    if found.mean_gpu is not None:
        peak = f"peak {percent(found.peak_gpu)}" if found.peak_gpu is not None else ""
        yield "GPU use", f"{percent(found.mean_gpu)} on average", peak
    if found.peak_gpu_memory is not None:
        yield "Peak GPU memory", size(found.peak_gpu_memory), ""
    yield from _moved("Disk", found.read, "read", found.written, "written")
    yield from _moved("Network", found.received, "received", found.sent, "sent")


def _moved(name: str, first: int | None, did_first: str, second: int | None, did_second: str) -> Iterator[Fact]:
    told = [f"{size(amount)} {did}" for amount, did in ((first, did_first), (second, did_second)) if amount]
    if told:
        yield name, ", ".join(told), ""


def _hours(hours: float, of: str) -> str:
    if hours >= 0.95:
        return f"{hours:.1f} {of}-hours"
    minutes = 60 * hours
    return _counted(round(minutes), f"{of}-minute") if minutes >= 1.5 else _counted(round(60 * minutes), f"{of}-second")


def _mean_cpus(run: RunStatus, hours: float) -> str:
    """How many of the cpus that it asked for it kept busy."""
    if run.started_at is None or run.ended_at is None or run.requires is None:
        return ""
    took = (run.ended_at - run.started_at).total_seconds() / 3600
    return f"{hours / took:.1f} of {_counted(run.requires.cpus, 'cpu')} on average" if took > 0.01 else ""
