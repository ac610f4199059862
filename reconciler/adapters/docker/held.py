"""Which GPUs are in use on this engine: what the containers of every Winslow hold, whatever its share or node.

Read from the engine each time, so it is right from the first moment on, also after a crash.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import docker
from docker.errors import NotFound

from reconciler.adapters.docker.devices import held_devices
from reconciler.core.containers import ClaimKey, Order
from reconciler.core.labels import SHARE, SHARED, devices_of, key_of
from reconciler.errors import GpuLost

UNENDED = ["created", "running", "paused", "restarting", "removing"]
"""One that is only created may be started at any moment, one that is being removed may still run."""


@dataclass(frozen=True, slots=True)
class Holder:
    key: ClaimKey
    gpus: frozenset[str]
    shares: bool = False


def holders(api: docker.APIClient) -> Iterator[Holder]:
    for listed in api.containers(all=True, filters={"label": SHARE, "status": UNENDED}):
        labels = listed.get("Labels") or {}
        key, gpus = key_of(labels), devices_of(labels)
        if key is not None:
            gpus = _inspected(api, listed["Id"]) if gpus is None else gpus
            yield Holder(key, frozenset(gpus), shares=labels.get(SHARED) == "true")


def require_free(api: docker.APIClient, order: Order) -> None:
    """GpuLost if another container holds a GPU of the order's.

    Asked when the order's own container stands, but before it starts: of two reconcilers on one machine that took the
    same GPU at the same moment at least one then sees the other.
    """
    wanted = {gpu.uuid for gpu in order.gpus}
    for holder in holders(api) if wanted else ():
        both = wanted & holder.gpus
        if both and holder.key != order.key and not (order.shares_gpus and holder.shares):
            raise GpuLost(f"the GPU {min(both)} is in use by the container {holder.key.slug}")


def _inspected(api: docker.APIClient, name: str) -> tuple[str, ...]:
    try:
        return held_devices(api.inspect_container(name))
    except NotFound:
        return ()
