"""Which of a node's GPUs a stage gets, and in words why it can't get enough of them.

A device belongs to one stage alone, unless all that use it say ``share: true``: these divide its memory.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from reconciler.core.desired import Gpus, Requires
from reconciler.core.nodes import Capacity, Gpu
from reconciler.core.used import Used

NAMED = 3
"""So many strangers are named; people look at the machine anyway."""


def choose_gpus(capacity: Capacity, requires: Requires, used: Used) -> tuple[str, ...]:
    """UUIDs of the devices to use. Fewer than asked for: it does not fit."""
    wanted = requires.gpus
    return tuple(gpu.uuid for gpu in chosen(of_kind(givable(capacity.gpus), wanted), wanted, used))


def chosen(fitting: Sequence[Gpu], wanted: Gpus, used: Used) -> list[Gpu]:
    """The smallest free ones, so that big ones are left to who needs them; who shares goes where others share."""
    if not wanted.count:
        return []
    free = [gpu for gpu in fitting if is_free(gpu, wanted, used)]
    if len(free) > 1:
        free.sort(key=lambda gpu: (gpu.uuid not in used.shared, gpu.memory, gpu.uuid))
    return free[: wanted.count]


def of_kind(gpus: Sequence[Gpu], wanted: Gpus) -> list[Gpu]:
    """Those that the stage could use if they were free."""
    return [gpu for gpu in gpus if is_wanted(gpu, wanted)] if wanted.count else []


def givable(gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Without GPUs that are divided: their instances (MIG) are given instead."""
    divided = {gpu.parent for gpu in gpus if gpu.parent}
    return tuple(gpu for gpu in gpus if gpu.uuid not in divided) if divided else tuple(gpus)


def is_wanted(gpu: Gpu, wanted: Gpus) -> bool:
    """Is it of the kind that the stage asks for, whoever uses it now?"""
    return (
        gpu.vendor == wanted.vendor
        and gpu.memory >= wanted.memory
        and (not wanted.model or wanted.model.lower() in gpu.model.lower())
        and (not wanted.capability or capability(gpu.capability) >= capability(wanted.capability))
    )


def is_free(gpu: Gpu, wanted: Gpus, used: Used) -> bool:
    """``gpu`` is one that the stage could use."""
    if gpu.fault or gpu.uuid in used.gpus or gpu.uuid in used.busy:
        return False
    promised = used.shared.get(gpu.uuid, 0)
    return not promised or (is_shared(wanted) and promised + wanted.memory <= gpu.memory)


def is_shared(wanted: Gpus) -> bool:
    """Nobody knows how much of a device is left unless every stage on it says how much it needs."""
    return wanted.share and wanted.memory > 0


def idle(gpus: Iterable[Gpu], used: Used) -> frozenset[str]:
    """Devices that nobody uses at all, of whatever kind."""
    return frozenset(
        gpu.uuid
        for gpu in gpus
        if not (gpu.fault or gpu.uuid in used.gpus or gpu.uuid in used.shared or gpu.uuid in used.busy)
    )


def capability(text: str) -> tuple[int, ...]:
    """Compared by parts: 8.10 is above 8.6. What is not known is below everything."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


def too_few_of_a_kind(gpus: Sequence[Gpu], fitting: Sequence[Gpu], wanted: Gpus) -> str:
    """Why even the idle node has too few; empty if it has enough."""
    if len(fitting) >= wanted.count:
        return ""
    if not gpus:
        return f"has no GPUs, needs {wanted.count}"
    if len(fitting) == len(gpus):
        return f"has {_count(len(gpus))}, needs {wanted.count}"
    return f"{len(fitting)} of {_count(len(gpus))} fit ({kind(wanted)}), needs {wanted.count}"


def too_few_free(gpus: Sequence[Gpu], fitting: Sequence[Gpu], wanted: Gpus, used: Used) -> str:
    """Why too few of those that fit can be had now; empty if there are enough."""
    free = sum([is_free(gpu, wanted, used) for gpu in fitting])
    if free >= wanted.count:
        return ""
    what = _count(len(fitting)) if len(fitting) == len(gpus) else f"{len(fitting)} fitting GPUs"
    return f"{free} of {what} free ({', '.join(_holders(fitting, wanted, used))}), needs {wanted.count}"


def kind(wanted: Gpus) -> str:
    """What is asked of each device: ``nvidia, RTX 3090, at least 16.0 GiB``."""
    parts = [wanted.vendor, wanted.model, f"at least {wanted.memory / 2**30:.1f} GiB" if wanted.memory else ""]
    parts += [f"compute capability {wanted.capability}" if wanted.capability else ""]
    return ", ".join(part for part in parts if part)


def _holders(fitting: Sequence[Gpu], wanted: Gpus, used: Used) -> list[str]:
    """Who has the ones that are not free; each counts once, under what is hardest to change."""
    faulty = [gpu for gpu in fitting if gpu.fault]
    sound = [gpu for gpu in fitting if not gpu.fault]
    ours = [gpu for gpu in sound if gpu.uuid in used.gpus or gpu.uuid in used.shared]
    held = [gpu for gpu in ours if not is_free(gpu, wanted, used)]
    strangers = Counter(used.busy[gpu.uuid] for gpu in sound if gpu not in ours and gpu.uuid in used.busy)
    found = [f"{len(held)} hold{'s' if len(held) == 1 else ''} other stages"] if held else []
    found += [f"{number} used by {who}" for who, number in sorted(strangers.items())[:NAMED]]
    others = sum(number for _, number in sorted(strangers.items())[NAMED:])
    found += [f"{others} used by others"] if others else []
    return [*found, *([f"{len(faulty)} faulty"] if faulty else [])]


def _count(number: int) -> str:
    return f"{number} GPU{'' if number == 1 else 's'}"
