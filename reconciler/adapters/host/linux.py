"""Ports ``Host`` and ``Clock``, as Linux answers them."""

import os
import shutil
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from reconciler.adapters.gpus import AmdGpus, NvidiaGpus
from reconciler.adapters.host.machine import inventory
from reconciler.core.devices import GpuLook
from reconciler.core.nodes import Gpu, Inventory
from reconciler.core.usage import GpuReading


class LinuxHost:
    """Thread-safe. ``root`` holds sys and dev, as far as AMD's GPUs are concerned."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._nvidia = NvidiaGpus()
        self._amd = AmdGpus(root)

    def boot(self) -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def cpus(self) -> float:
        """Those that this process may use: fewer than the machine has, inside a container or a cpuset."""
        return float(len(os.sched_getaffinity(0)))

    def memory(self) -> int:
        try:
            return int(psutil.virtual_memory().total)
        except (psutil.Error, OSError, ValueError, RuntimeError):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def free_disk(self, path: Path) -> int:
        try:
            return shutil.disk_usage(path).free
        except OSError:
            return 0

    def load(self) -> float:
        try:
            return min(round(psutil.cpu_percent() / 100, 1), 1.0)
        except (psutil.Error, OSError, ValueError, RuntimeError):
            return 0.0

    def look_at_gpus(self) -> GpuLook:
        nvidia, amd = self._nvidia.look(), self._amd.look()
        return GpuLook(
            gpus=(*nvidia.gpus, *amd.gpus),
            nameless=nvidia.nameless,
            fault=nvidia.fault,
            processes={**nvidia.processes, **amd.processes},
        )

    def gpus(self) -> Sequence[Gpu]:
        return self.look_at_gpus().gpus

    def readings(self) -> Sequence[GpuReading]:
        """What the GPUs do now. NVIDIA's answer once somebody has looked at them."""
        return (*self._nvidia.readings(), *self._amd.readings())

    def inventory(self, places: Iterable[Path] = ()) -> Inventory:
        return inventory(places)


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
