"""A claim's key as labels, by which any reconciler of the node finds its containers and processes again."""

from collections.abc import Mapping

from reconciler.core.containers import ClaimKey
from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, ShareId, StageName, Token

SHARE, NODE, BOOT, IMAGE = "winslow.share", "winslow.node", "winslow.boot", "winslow.image"


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
