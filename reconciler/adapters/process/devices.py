"""Which GPUs a process sees. Variables only: a program that sets them for itself is kept from no device.

An empty value hides every device from CUDA and from ROCm; a missing one would show them all. ROCm takes ids in
``ROCR_VISIBLE_DEVICES``, and numbers of those whose firmware has no id. ``CUDA_VISIBLE_DEVICES`` is there another name
of ``HIP_VISIBLE_DEVICES``, which chooses among what ROCm leaves and counts from 0: with an AMD device both stay unset.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.core.nodes import Gpu

OURS = {
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
}
TOPOLOGY = Path("/sys/class/kfd/kfd/topology/nodes")
UNIQUE_ID = re.compile(r"(?:GPU-|0x)?([0-9a-f]{16})", re.IGNORECASE)


def with_devices(environment: Mapping[str, str], gpus: Sequence[Gpu], topology: Path = TOPOLOGY) -> dict[str, str]:
    """The environment of a program that is to see exactly these, whatever it said of them before."""
    cuda = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": _listed(gpus, "nvidia")}
    amd = [gpu for gpu in gpus if gpu.vendor == "amd"]
    rocm = {"ROCR_VISIBLE_DEVICES": ",".join(_rocm_name(gpu, topology) for gpu in amd)}
    others = {name: value for name, value in environment.items() if name not in OURS}
    return {**others, **rocm} if amd else {**others, **cuda, **rocm}


def _listed(gpus: Sequence[Gpu], vendor: str) -> str:
    return ",".join(gpu.uuid for gpu in gpus if gpu.vendor == vendor)


def _rocm_name(gpu: Gpu, topology: Path) -> str:
    """Its id, or else its number: ROCm counts the driver's nodes in their order, leaving out mere processors."""
    if found := UNIQUE_ID.fullmatch(gpu.uuid):
        return f"GPU-{found[1].lower()}"
    minor = gpu.device.removeprefix("/dev/dri/renderD")
    devices = [facts for facts in _nodes(topology) if facts.get("simd_count", "0") != "0"]
    numbers = [number for number, facts in enumerate(devices) if facts.get("drm_render_minor") == minor]
    return str(numbers[0]) if numbers else gpu.uuid


def _nodes(topology: Path) -> list[dict[str, str]]:
    try:
        nodes = sorted((node for node in topology.iterdir() if node.name.isdigit()), key=lambda node: int(node.name))
        texts = [(node / "properties").read_text(encoding="utf-8") for node in nodes]
    except OSError:
        return []
    return [dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line.strip()) for text in texts]
