"""A claim's key as labels, by which any reconciler of the node finds its containers and processes again."""

from collections.abc import Iterable, Mapping

from reconciler.core.containers import ClaimKey
from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, ShareId, StageName, Token

SHARE, NODE, BOOT, IMAGE = "winslow.share", "winslow.node", "winslow.boot", "winslow.image"
GPUS, SHARED = "winslow.gpus", "winslow.gpus.shared"


def labels_of(key: ClaimKey, node: NodeName) -> dict[str, str]:
    return {
        SHARE: key.share,
        NODE: node,
        "winslow.project": key.project,
        "winslow.run": str(key.run),
        "winslow.stage": key.stage,
        "winslow.number": str(key.number),
        "winslow.token": key.token,
    }


def device_labels(gpus: Iterable[str], *, shared: bool) -> dict[str, str]:
    """What a container holds. ``shared``: with others that say so."""
    return {GPUS: ",".join(gpus), SHARED: str(shared).lower()}


def devices_of(labels: Mapping[str, str]) -> tuple[str, ...] | None:
    """None: the labels don't tell, as an earlier Winslow wrote them."""
    return tuple(labels[GPUS].split(",")) if labels.get(GPUS) else () if GPUS in labels else None


def key_of(labels: Mapping[str, str]) -> ClaimKey | None:
    """None: these are not the labels of a claim."""
    try:
        return ClaimKey(
            share=ShareId(labels[SHARE]),
            project=ProjectName(labels["winslow.project"]),
            run=RunNumber(int(labels["winslow.run"])),
            stage=StageName(labels["winslow.stage"]),
            number=RecordNumber(int(labels["winslow.number"])),
            token=Token(labels["winslow.token"]),
        )
    except (KeyError, ValueError):
        return None
