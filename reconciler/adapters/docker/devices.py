"""How the GPUs of a claim come into its container: each by name, never by their number, and no others.

Asked for a number of GPUs, the engine gives everybody the first ones.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from docker.types import DeviceRequest

from reconciler.core.containers import Order
from reconciler.core.labels import devices_of
from reconciler.core.nodes import Gpu
from reconciler.errors import GpuLost

CAPABILITIES = [["gpu", "compute", "utility", "video"]]

KFD = "/dev/kfd"
"""Through which all AMD GPUs compute; the render nodes decide which of them."""

NO_OTHERS: Mapping[str, str | None] = {"NVIDIA_VISIBLE_DEVICES": "void", "AMD_VISIBLE_DEVICES": None}
"""An image may ask for all GPUs in its own environment, and a GPU vendor's runtime as the engine's default would obey.
``void`` means none to NVIDIA's, also where an image names nothing; None takes the variable away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """Parts of a request to create a container."""

    host: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str | None] = field(default_factory=dict)


def devices(order: Order, ask_engine: Callable[[], Mapping[str, Any]]) -> Devices:
    """``ask_engine`` says what ``docker info`` does."""
    amd = [gpu for gpu in order.gpus if gpu.vendor == "amd"]
    nvidia = [gpu.uuid for gpu in order.gpus if gpu.vendor != "amd"]
    if amd:
        return Devices(host=_render_nodes(amd), environment=NO_OTHERS)
    if not nvidia:
        return Devices(environment=NO_OTHERS)
    environment = {**NO_OTHERS, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # as nvidia-smi counts them
    if (names := cdi_names(nvidia, ask_engine())) is not None:
        request = DeviceRequest(driver="cdi", device_ids=names)
    else:
        request = DeviceRequest(driver="nvidia", device_ids=nvidia, capabilities=CAPABILITIES)
        environment["NVIDIA_VISIBLE_DEVICES"] = ",".join(nvidia)
    return Devices(host={"device_requests": [request]}, environment=environment)


def cdi_names(uuids: Sequence[str], info: Mapping[str, Any]) -> list[str] | None:
    """Their names in the engine's own device interface (CDI); None: NVIDIA's hook has to do it.

    Engines from 28.2 on list the devices that they know. Of an older one with CDI switched on we know no more than
    that, so NVIDIA's runtime comes first there.
    """
    names = [f"nvidia.com/gpu={uuid}" for uuid in uuids]
    if (known := info.get("DiscoveredDevices")) is not None:
        return names if {one.get("ID") for one in known}.issuperset(names) else None
    is_switched_on = bool(info.get("CDISpecDirs")) and "nvidia" not in (info.get("Runtimes") or {})
    return names if is_switched_on else None


def _render_nodes(gpus: Sequence[Gpu]) -> dict[str, Any]:
    """AMD's way without a runtime of its own: device files, and the groups that may use them."""
    paths = [KFD, *(gpu.device for gpu in gpus)]
    try:
        groups = {str(os.stat(path).st_gid) for path in paths}  # noqa: PTH116
    except OSError as error:
        words = f"the GPU's device {error.filename} can't be reached: {error.strerror}"
        raise GpuLost(words, is_refused=True) from error
    return {"devices": [f"{path}:{path}:rwm" for path in paths], "group_add": sorted(groups)}


def held_devices(inspected: Mapping[str, Any]) -> tuple[str, ...]:
    """The GPUs that a container holds, by its label, or by what an earlier Winslow asked the engine for."""
    labelled = devices_of(inspected["Config"].get("Labels") or {})
    if labelled is not None:
        return labelled
    requests = inspected["HostConfig"].get("DeviceRequests") or []
    return tuple(name.rpartition("=")[2] for one in requests for name in one.get("DeviceIDs") or [])
