"""AMD's GPUs, by the files of the kernel's compute driver (amdgpu, KFD). No library is needed.

A GPU is a node of the topology that names a render node; a container gets /dev/kfd and that render node. What a file
does not say, or says oddly, is not known; a device without its render node has a fault.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.gpus.nvidia import name_of
from reconciler.core.devices import GpuLook
from reconciler.core.nodes import Gpu
from reconciler.core.usage import GpuReading

VENDOR = 0x1002
OWN_MEMORY = {1, 2}
"""Kinds of memory banks (HSA_HEAPTYPE_FRAME_BUFFER_PUBLIC and _PRIVATE) that lie on the card."""
NO_KFD = "there is no /dev/kfd, through which AMD's GPUs compute; is the kernel module amdgpu loaded?"


@dataclass(frozen=True, slots=True)
class _Node:
    """One GPU of the topology."""

    id: str  # the driver's number for it
    gpu: Gpu


class AmdGpus:
    """``root`` holds sys and dev."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._kfd = root / "sys/class/kfd/kfd"

    def look(self) -> GpuLook:
        found = list(self._nodes())
        processes = {node.gpu.uuid: self._processes(node.id) for node in found}
        return GpuLook(gpus=tuple(node.gpu for node in found), processes=processes)

    def readings(self) -> Sequence[GpuReading]:
        return tuple(self._reading(node.gpu) for node in self._nodes() if not node.gpu.fault)

    def _nodes(self) -> Iterator[_Node]:
        for directory in sorted(_listed(self._kfd / "topology/nodes"), key=lambda path: (len(path.name), path.name)):
            facts = _facts(directory / "properties")
            number = _read(directory / "gpu_id")
            if facts.get("vendor_id") == VENDOR and number not in ("", "0"):
                yield _Node(number, self._gpu(directory, facts))

    def _gpu(self, directory: Path, facts: Mapping[str, int]) -> Gpu:
        render = f"dev/dri/renderD{facts.get('drm_render_minor', 0)}"
        banks = [_facts(bank / "properties") for bank in _listed(directory / "mem_banks")]
        fault = "" if (self._root / "dev/kfd").exists() else NO_KFD
        if not fault and not (self._root / render).exists():
            fault = f"its render node /{render} is not there; look at dmesg for amdgpu"
        return Gpu(
            uuid=_uuid(facts),
            model=self._model(render, facts.get("gfx_target_version", 0)),
            memory=sum(bank.get("size_in_bytes", 0) for bank in banks if bank.get("heap_type") in OWN_MEMORY),
            vendor="amd",
            driver=_read(self._root / "sys/module/amdgpu/version"),
            device=f"/{render}",
            fault=fault,
        )

    def _model(self, render: str, target: int) -> str:
        """``AMD Instinct MI210 (gfx90a)``; most cards tell no name of their own."""
        name = _read(self._card(render) / "product_name") or "AMD GPU"
        kind = f"gfx{target // 10000}{target // 100 % 100:x}{target % 100:x}" if target else ""
        return f"{name} ({kind})" if kind else name

    def _card(self, render: str) -> Path:
        return self._root / "sys/class/drm" / Path(render).name / "device"

    def _processes(self, number: str) -> dict[int, str]:
        """Those that have some of its memory."""
        found = (path.name for path in _listed(self._kfd / "proc") if _whole(path / f"vram_{number}"))
        return {int(pid): name_of(int(pid)) for pid in found if pid.isdecimal()}

    def _reading(self, gpu: Gpu) -> GpuReading:
        card = self._card(gpu.device)
        sensors = next(iter(sorted(_listed(card / "hwmon"))), card)
        busy, degrees = _whole(card / "gpu_busy_percent"), _whole(sensors / "temp1_input")
        power = next((watts for name in ("average", "input") if (watts := _whole(sensors / f"power1_{name}"))), None)
        return GpuReading(
            uuid=gpu.uuid,
            model=gpu.model,
            utilisation=None if busy is None else busy / 100,
            memory=_whole(card / "mem_info_vram_used"),
            temperature=None if degrees is None else degrees / 1000,
            power=None if power is None else power / 1_000_000,
        )


def _uuid(facts: Mapping[str, int]) -> str:
    """As ROCm spells it; of a card without a number of its own, its place on the bus."""
    if unique := facts.get("unique_id"):
        return f"GPU-{unique:016x}"
    place = facts.get("location_id", 0)
    return f"pci-{facts.get('domain', 0):04x}:{place >> 8 & 0xFF:02x}:{place >> 3 & 0x1F:02x}.{place & 7}"


def _facts(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    found: dict[str, int] = {}
    for line in _read(path).splitlines():
        name, _, value = line.strip().partition(" ")
        with contextlib.suppress(ValueError):
            found[name] = int(value)
    return found


def _listed(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _whole(path: Path) -> int | None:
    try:
        return int(_read(path))
    except ValueError:
        return None


def _read(path: Path) -> str:
    """Nothing, where it can't be read: in a container the kernel hides devices that are not the container's."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
