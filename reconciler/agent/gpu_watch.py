"""This node's GPUs, looked at again and again: which there are, which have a fault, and who else uses them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from reconciler.agent.ports import Clock, Host
from reconciler.agent.unhurried import Unhurried
from reconciler.core.devices import GpuLook, after, is_named, settled, strangers
from reconciler.core.nodes import Gpu
from reconciler.core.status import Condition, condition

log = structlog.get_logger()

ENOUGH = 10
"""So many good looks in a row end a fault."""
REFUSED_FOR = 600.0
"""Seconds after which a GPU that no container could be given is tried again: no look tells whether it would work."""
REFUSED = "no container can be given it, which is tried again later: "
LONGEST = 240
HANGS = "the GPUs' driver does not answer; does nvidia-smi? Often only a reboot helps"


class GpuWatch:
    """``look`` is called by one thread; the rest may be read by any."""

    def __init__(self, host: Host, reserved: Sequence[str], held: Callable[[], frozenset[str]], clock: Clock) -> None:
        """``reserved`` are beginnings of UUIDs that no stage gets; ``held`` says which GPUs stages use."""
        self._answer = Unhurried("look at GPUs", host.look_at_gpus)
        self._reserved = tuple(reserved)
        self._held = held
        self._clock = clock
        self._all: tuple[Gpu, ...] = ()
        self._well: dict[str, int] = {}
        self._processes: Mapping[str, Mapping[int, str]] = {}
        self._driver_fault = ""
        self._refused: dict[str, tuple[float, str]] = {}  # UUID -> until when it counts as faulty, and the fault
        self.busy: Mapping[str, str] = {}

    @property
    def offered(self) -> tuple[Gpu, ...]:
        """Those for stages, with or without a fault."""
        return tuple(self._with_refusal(gpu) for gpu in self._all if not is_named(gpu, self._reserved))

    def refuse(self, uuids: Sequence[str], words: str) -> None:
        """No container could be given these. If ``words`` name none of them, the fault is their driver's. Any thread.

        Else such a device, that nobody uses, would be the first choice again and again.
        """
        asked = [gpu for gpu in self._all if gpu.uuid in uuids]
        named = [gpu for gpu in asked if gpu.uuid in words or (gpu.device and gpu.device in words)]
        vendors = {gpu.vendor for gpu in asked}
        until, fault = self._clock.monotonic() + REFUSED_FOR, REFUSED + " ".join(words.split())[:LONGEST]
        for gpu in named or [gpu for gpu in self._all if gpu.vendor in vendors]:
            self._refused[gpu.uuid] = until, fault
            log.warning("gpu_faulty", gpu=gpu.uuid, fault=fault)

    def _with_refusal(self, gpu: Gpu) -> Gpu:
        until, fault = self._refused.get(gpu.uuid, (0.0, ""))
        return replace(gpu, fault=fault) if fault and not gpu.fault and self._clock.monotonic() < until else gpu

    def look(self, within: float) -> None:
        """``within`` so many seconds; else the devices that were there count as faulty until the driver answers."""
        found = self._answer.answer(within) or GpuLook(fault=HANGS)
        now = after(self._all, found)
        self._well = {gpu.uuid: self._well.get(gpu.uuid, 0) + 1 for gpu in now if not gpu.fault}
        before, self._all = self._all, settled(self._all, now, self._well, enough=ENOUGH)
        self._driver_fault = found.fault
        self.busy = strangers(found.processes, self._processes, self._held())
        self._processes = found.processes
        self._tell({gpu.uuid: gpu.fault for gpu in before})

    def _tell(self, before: Mapping[str, str]) -> None:
        for gpu in self._all:
            if gpu.fault != before.get(gpu.uuid, ""):
                log.warning("gpu_faulty" if gpu.fault else "gpu_well_again", gpu=gpu.uuid, fault=gpu.fault)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        found = []
        if self._driver_fault:
            found.append(condition("GpuDriverFaulty", self._driver_fault))
        own = [gpu for gpu in self.offered if gpu.fault and gpu.fault != self._driver_fault]
        if own:
            told = "; ".join(f"{gpu.model} {gpu.uuid}".strip() + f": {gpu.fault}" for gpu in own)
            found.append(condition("GpuFaulty", f"no stage gets {told}"))
        if unknown := self._unmatched():
            there = ", ".join(gpu.uuid for gpu in self._all) or "none"
            told = f"reserve.gpus in node.yaml names {', '.join(unknown)}: no GPU of this machine, which has {there}"
            found.append(condition("ReserveUnknown", told))
        return tuple(found)

    def _unmatched(self) -> list[str]:
        """A driver that says nothing says nothing of these either."""
        if self._driver_fault:
            return []
        return [name for name in self._reserved if not any(is_named(gpu, [name]) for gpu in self._all)]
