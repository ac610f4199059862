"""The nodes of that evening: one at work with four GPUs of every kind of fate, one drained, one silent."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import sin

from reconciler.core.measurements import NODE, NODE_GPU, Series, columns_of
from reconciler.core.names import NodeName
from reconciler.core.nodes import Disk, Interface, Inventory
from reconciler.core.status import Condition, DeviceStatus, NodeStatus

NOW = datetime.now(UTC)
GIB = 1024**3
MACHINE = Inventory(
    hostname="gpu-1.lab.example",
    kernel="Linux 6.1.0-27-amd64",
    processor="AMD EPYC 7302 16-Core Processor",
    cores=32,
    memory=128 * GIB,
    swap=8 * GIB,
    disks=(Disk(path="/var/lib/docker", size=1860 * GIB, kind="xfs"), Disk(path="/", size=230 * GIB, kind="ext4")),
    network=(Interface(name="enp65s0", speed=10000), Interface(name="eno1")),
    engine={"docker": "27.3.1", "cgroup": "2"},
)


def before(**passed: float) -> datetime:
    return NOW - timedelta(**passed)


def uuid(number: int) -> str:
    return f"GPU-8f6e1c52-77a0-4d3b-9b1e-0c5d2a7e41{number:02d}"


def device(number: int, **more: object) -> DeviceStatus:
    base = DeviceStatus(
        uuid=uuid(number), model="NVIDIA RTX A6000", memory=48 * GIB, capability="8.6", driver="550.54.14"
    )
    return replace(base, **more)  # type: ignore[arg-type]


def devices() -> tuple[DeviceStatus, ...]:
    return (
        device(0, holder="ulm-07/0003-detect"),
        device(1),
        device(2, fault="has fallen off the bus; the machine needs a restart"),
        device(3, busy="python train.py (pid 4711)"),
    )


def node(name: str, **more: object) -> NodeStatus:
    base = NodeStatus(
        node=NodeName(name),
        live=True,
        silent_for=2.0,
        runtime="docker",
        cpus=32,
        memory=120 * GIB,
        gpus=("NVIDIA RTX A6000",) * 4,
        labels={"room": "lab-2"},
        drained=False,
        running=(),
        started_at=before(days=12),
        versions={"winslow": "0.1.0"},
        inventory=MACHINE,
    )
    return replace(base, **more)  # type: ignore[arg-type]


def nodes() -> tuple[NodeStatus, ...]:
    full = Condition(
        type="DiskPressure", status="True", reason="LocalDiskFull", message="/var/lib/winslow is 97 % full"
    )
    return (
        node("gpu-1", running=("ulm-07/0003-detect",), devices=devices(), cpus_used=8, memory_used=24 * GIB),
        node("gpu-2", drained=True, gpus=(), cpus=12.5, labels={}, conditions=(full,)),
        node("gpu-3", live=False, silent_for=6.4 * 3600, devices=(device(4), device(5))),
    )


LEVELS = {
    "cpu": (0.55, 0.35),
    "memory": (48 * GIB, 12 * GIB),
    "swap": (0.0, 0.0),
    "load": (14.0, 6.0),
    "received": (46e6, 40e6),
    "sent": (3e6, 2e6),
    "read": (120e6, 90e6),
    "written": (9e6, 8e6),
    "gpu_utilisation": (0.72, 0.2),
    "gpu_memory": (21 * GIB, 2 * GIB),
    "gpu_temperature": (68.0, 5.0),
    "gpu_power": (220.0, 40.0),
}


def measured(
    step: int = 2, gpus: Sequence[int] = (0, 1), *, columns: Sequence[str] = NODE, now: datetime = NOW
) -> Series:
    """The last 1,800 steps before ``now``, with ten minutes of silence among them."""
    end = int(now.timestamp())
    times = tuple(time for time in range(end - 1800 * step, end, step) if not 800 < (end - time) / step < 1100)
    names = columns_of(columns, NODE_GPU, map(uuid, gpus))

    def at(name: str, time: int) -> float:
        usual, swing = LEVELS[name.split(":", maxsplit=1)[0]]
        return usual + swing * sin(time / (90 * step)) * sin(time / (7 * step))

    return Series(times=times, columns={name: tuple(at(name, time) for time in times) for name in names})
