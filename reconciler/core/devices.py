"""A node's GPUs over time: what it says of them after each look at its drivers.

A device that was there and is not any more stays listed, with a fault, for as long as the reconciler lives: people see
what is missing, and nobody takes a smaller machine for a healthy one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.core.nodes import Gpu

GONE = "it has fallen off the bus; look at dmesg for Xid 79, usually the machine must be rebooted"
DIVIDED_ANEW = "this instance is no longer there: its GPU was divided anew; restart this node's reconciler to forget it"
UNNAMED = "unnamed-"
"""Begins the place of a UUID where a driver can't tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLook:
    """What the drivers answer at one moment."""

    gpus: tuple[Gpu, ...] = ()  # those that can be named, with or without a fault
    nameless: tuple[str, ...] = ()  # faults of devices whose driver does not even tell their UUID
    fault: str = ""  # of a driver as a whole: it says nothing of any of its devices
    processes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)  # UUID -> who computes on it: pid -> name


def after(before: Sequence[Gpu], look: GpuLook) -> tuple[Gpu, ...]:
    """The devices to tell of now: those told of before in their order, then new ones, then what has no name."""
    found = {gpu.uuid: gpu for gpu in look.gpus}
    whole = {gpu.parent or gpu.uuid for gpu in look.gpus}
    divided = {gpu.parent for gpu in look.gpus if gpu.parent}
    known = [gpu for gpu in before if not gpu.uuid.startswith(UNNAMED) and gpu.uuid not in divided]
    missing = [gpu for gpu in known if gpu.uuid not in found]
    why = _explained([gpu.parent or gpu.uuid for gpu in missing if gpu.parent not in whole], look)
    gone = {gpu.uuid: replace(gpu, fault=why.get(gpu.parent or gpu.uuid, DIVIDED_ANEW)) for gpu in missing}
    unknown = () if look.fault else look.nameless[len(why) :]
    nameless = [Gpu(uuid=f"{UNNAMED}{number}", fault=fault) for number, fault in enumerate(unknown, 1)]
    known_before = {gpu.uuid for gpu in known}
    new = [gpu for gpu in look.gpus if gpu.uuid not in known_before]
    return (*(found.get(gpu.uuid) or gone[gpu.uuid] for gpu in known), *new, *nameless)


def _explained(missing: Iterable[str], look: GpuLook) -> dict[str, str]:
    """Of each whole GPU that no driver named this time, why: most likely it is one of those without a name."""
    words = iter(look.nameless)
    return {uuid: look.fault or next(words, GONE) for uuid in dict.fromkeys(missing)}


def settled(told: Sequence[Gpu], now: Sequence[Gpu], well: Mapping[str, int], *, enough: int) -> tuple[Gpu, ...]:
    """A fault counts at once, its end after ``enough`` good looks in a row (``well``): a loose card comes and goes."""
    faults = {gpu.uuid: gpu.fault for gpu in told if gpu.fault}
    return tuple(
        replace(gpu, fault=faults[gpu.uuid])
        if not gpu.fault and gpu.uuid in faults and well.get(gpu.uuid, 0) < enough
        else gpu
        for gpu in now
    )


def is_named(gpu: Gpu, reserved: Iterable[str]) -> bool:
    """By the beginning of its UUID, or of the UUID of the GPU that it is an instance of."""
    names = tuple(one.lower() for one in reserved)
    return bool(names) and any(uuid.lower().startswith(names) for uuid in (gpu.uuid, gpu.parent) if uuid)


def strangers(
    now: Mapping[str, Mapping[int, str]], before: Mapping[str, Mapping[int, str]], held: frozenset[str]
) -> dict[str, str]:
    """Who computes on a GPU that no stage of ours holds, at two looks in a row: a stage's last process may linger."""
    found: dict[str, str] = {}
    for uuid, processes in now.items():
        lasting = [f"{name} (pid {pid})" for pid, name in sorted(processes.items()) if pid in before.get(uuid, {})]
        if lasting and uuid not in held:
            found[uuid] = lasting[0] + (f" and {len(lasting) - 1} more" if lasting[1:] else "")
    return found
