"""What an attempt ran on: kept in its record, so that people can tell why a repetition differs."""

from collections.abc import Iterable

from reconciler import __version__
from reconciler.core.nodes import Gpu, NodeRecord
from reconciler.core.records import GpuUsed


def gpus_used(uuids: Iterable[str], here: Iterable[Gpu]) -> tuple[GpuUsed, ...]:
    """Of a device that has gone since, no more than its name is known."""
    known = {gpu.uuid: gpu for gpu in here}
    found = ((uuid, known.get(uuid, Gpu(uuid=uuid))) for uuid in uuids)
    return tuple(GpuUsed(uuid=uuid, model=gpu.model, driver=gpu.driver) for uuid, gpu in found)


def versions(node: NodeRecord | None) -> dict[str, str]:
    """Of Winslow, the engine and the kernel, as far as the node told them; None: it has told nothing yet."""
    if node is None:
        return {"winslow": __version__}
    kernel = {"kernel": node.inventory.kernel} if node.inventory.kernel else {}
    return {**node.versions, **kernel, "winslow": __version__}
