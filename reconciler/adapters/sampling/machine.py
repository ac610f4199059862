"""The whole machine: processors, memory, and what goes through its own network and disks."""

from collections.abc import Callable
from pathlib import Path

import psutil

from reconciler.core.usage import Load

DISKS, NETWORK = Path("/sys/block"), Path("/sys/class/net")


class MachineLoad:
    """Only devices count: a bridge, a RAID or an encrypted disk would count once more what they pass on."""

    def __init__(self) -> None:
        self._is_disk = _Known(lambda name: (DISKS / name / "device").exists())
        self._is_interface = _Known(lambda name: (NETWORK / name / "device").exists())

    def sample(self) -> Load:
        cpu, memory = psutil.cpu_times(), psutil.virtual_memory()
        idle = cpu.idle + cpu.iowait
        whole = idle + cpu.user + cpu.nice + cpu.system + cpu.irq + cpu.softirq + cpu.steal
        disks = [one for name, one in (psutil.disk_io_counters(perdisk=True, nowrap=False) or {}).items()
                 if self._is_disk(name)]  # fmt: skip
        links = [one for name, one in psutil.net_io_counters(pernic=True, nowrap=False).items()
                 if self._is_interface(name)]  # fmt: skip
        return Load(
            busy=whole - idle,
            total=whole,
            memory=int(memory.total - memory.available),
            swap=int(psutil.swap_memory().used),
            load=psutil.getloadavg()[0],
            received=sum(one.bytes_recv for one in links) if links else None,
            sent=sum(one.bytes_sent for one in links) if links else None,
            read=sum(one.read_bytes for one in disks) if disks else None,
            written=sum(one.write_bytes for one in disks) if disks else None,
        )


class _Known:
    """What a name is, looked up once."""

    def __init__(self, look: Callable[[str], bool]) -> None:
        self._look = look
        self._found: dict[str, bool] = {}

    def __call__(self, name: str) -> bool:
        if name not in self._found:
            self._found[name] = self._look(name)
        return self._found[name]
