"""The machine as it is, for people. What can't be read is left out: nothing is decided by it."""

import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil

from reconciler.core.nodes import Disk, Interface, Inventory

T = TypeVar("T")

NO_DISKS = {"squashfs", "iso9660", "overlay"}
"""File systems that psutil counts as a disk's own and that nobody writes to."""


def inventory(places: Iterable[Path] = ()) -> Inventory:
    """``places`` are directories whose file systems count, too, wherever they lie: the share, the engine's."""
    return Inventory(
        hostname=_known(socket.gethostname, ""),
        kernel=platform.release(),
        processor=_known(_processor, "") or platform.machine(),
        cores=_known(lambda: psutil.cpu_count(logical=False), None) or os.cpu_count() or 0,
        memory=_known(lambda: int(psutil.virtual_memory().total), 0),
        swap=_known(lambda: int(psutil.swap_memory().total), 0),
        disks=_known(lambda: tuple(_disks(places)), ()),
        network=_known(lambda: tuple(_interfaces()), ()),
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _disks(places: Iterable[Path]) -> Iterator[Disk]:
    """By mount point, each file system once. May hang with a share that does."""
    mounted = {one.mountpoint: one for one in psutil.disk_partitions(all=True)}
    own = [one.mountpoint for one in psutil.disk_partitions(all=False) if one.fstype not in NO_DISKS]
    asked = [found for place in places if (found := _mount_point(place, mounted)) is not None]
    seen: set[str] = set()
    for point in dict.fromkeys([*own, *asked]):
        device = mounted[point].device if point in mounted else point
        if device in seen or not Path(point).is_dir():  # mounted twice, or one file (/etc/hosts of a container)
            continue
        seen.add(device)
        size = _known(lambda point=point: shutil.disk_usage(point).total, 0)  # type: ignore[misc]
        if size:
            yield Disk(path=point, size=size, kind=mounted[point].fstype if point in mounted else "")


def _mount_point(place: Path, mounted: Iterable[str]) -> str | None:
    known = set(mounted)
    return next((str(path) for path in (place, *place.parents) if str(path) in known), None)


def _interfaces() -> Iterator[Interface]:
    """Those that are hardware: no bridges, no containers' ends."""
    states = psutil.net_if_stats()
    for name, state in sorted(states.items()):
        if (Path("/sys/class/net") / name / "device").exists():
            yield Interface(name=name, speed=max(int(state.speed), 0))


def _known(ask: Callable[[], T], otherwise: T) -> T:
    try:
        return ask()
    except (psutil.Error, OSError, ValueError, KeyError, RuntimeError, NotImplementedError):
        return otherwise
