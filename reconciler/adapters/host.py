"""This machine: its boot, processors, memory, GPUs and clock."""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pynvml

from reconciler.core.nodes import Gpu, Inventory


class LinuxHost:
    def boot(self) -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def cpus(self) -> float:
        """Those that this process may use: fewer than the machine has, inside a container or a cpuset."""
        return float(len(os.sched_getaffinity(0)))

    def memory(self) -> int:
        return int(psutil.virtual_memory().total)

    def gpus(self) -> Sequence[Gpu]:
        """NVIDIA's, as its driver lists them; none where there is no driver."""
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return ()
        try:
            return tuple(_gpu(index) for index in range(pynvml.nvmlDeviceGetCount()))
        except pynvml.NVMLError:
            return ()
        finally:
            pynvml.nvmlShutdown()

    def inventory(self) -> Inventory:
        return Inventory()


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def _gpu(index: int) -> Gpu:
    device = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Gpu(
        uuid=_text(pynvml.nvmlDeviceGetUUID(device)),
        model=_text(pynvml.nvmlDeviceGetName(device)),
        memory=int(pynvml.nvmlDeviceGetMemoryInfo(device).total),
    )


def _text(value: str | bytes) -> str:
    """Older drivers' bindings answer in bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
