"""Which of the nodes that fit is the best one: parts compared in order, each with its words.

A part decides only among nodes that are equal in all before it. See docs/placement.md.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reconciler.core.desired import Strategy
from reconciler.core.fitting import Need, Offer
from reconciler.core.gpus import chosen
from reconciler.core.image_names import image_mark
from reconciler.core.nodes import Gpu

STEPS = 4
"""The measured load counts in quarters: else it would decide everything, and differently at every look."""


class Score(NamedTuple):
    """Smaller is better, the first part that differs decides."""

    idle_gpus: int  # how many would be left without work: GPUs are for stages that need them
    gpu_memory: int  # of the devices it would get: big ones are for stages that need them
    pull: int  # 1: the image is not there yet
    away: int  # 1: another node made what the run goes on from
    fullness: float  # of cpus or memory, with this stage; negative to pack
    load: int  # measured, in quarters, whoever causes it


WORDS: Mapping[str, str] = {
    "idle_gpus": "would leave more GPUs idle",
    "gpu_memory": "has bigger GPUs than needed",
    "pull": "image not here",
    "away": "not where its workspace was made",
    "fullness": "fuller",
    "load": "busier",
}


def score(need: Need, found: Offer, fitting: Sequence[Gpu], strategy: Strategy) -> Score:
    """Of a node that can take it. ``away`` counts as 1 here: it is not the same for all that need the same."""
    requires, capacity, used = need.requires, found.capacity, found.used
    gpus = chosen(fitting, requires.gpus, found.held)  # none that is kept free
    cpus = (used.cpus + requires.cpus) / max(capacity.cpus, 0.001)
    fullness = max(cpus, (used.memory + requires.memory) / capacity.memory if capacity.memory else 0.0)
    return Score(
        idle_gpus=len(found.idle.difference([gpu.uuid for gpu in gpus])),
        gpu_memory=sum([gpu.memory for gpu in gpus]),
        pull=int(_has_to_pull(need, found)),
        away=1,
        fullness=round(fullness if strategy is Strategy.SPREAD else -fullness, 2),
        load=int(found.node.availability.load * STEPS),
    )


def compared(one: Score, best: Score, strategy: Strategy) -> str:
    """What makes it worse than the best: the first part that decides, and those after it; empty for equals."""
    words = {**WORDS, "fullness": WORDS["fullness"] if strategy is Strategy.SPREAD else "emptier"}
    pairs = zip(Score._fields, one, best, strict=True)
    return ", ".join(words[name] for name, mine, first in pairs if mine > first)


def _has_to_pull(need: Need, found: Offer) -> bool:
    if found.node.record.runtime != "docker" or need.image is None:
        return False
    return image_mark(need.image) not in found.node.availability.images
