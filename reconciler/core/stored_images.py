"""The images that a node's engine holds, and which of them Winslow may remove when its disk fills up.

Only what Winslow itself brought there, and never what an unfinished project may want: to pull it again costs hours.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.desired import Desired
from reconciler.core.image_names import familiar
from reconciler.core.ledger import Ledger, ProjectHistory, RunPhase
from reconciler.core.names import ProjectName

REST = timedelta(hours=1)
"""For so long after its last use no image is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImage:
    """One image of the engine."""

    id: str
    names: frozenset[str]  # tags and digests
    size: int = 0  # bytes; layers that others share count in each
    is_used: bool = False  # by a container, whosever, running or not

    @property
    def tags(self) -> frozenset[str]:
        return frozenset(name for name in self.names if "@" not in name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledImage:
    """One that Winslow brought here, and when it was last wanted by this machine's clock."""

    names: frozenset[str]  # by which: a tag that somebody else gave it makes it theirs
    used_at: datetime


def present(here: Sequence[LocalImage], wanted: Set[str]) -> frozenset[str]:
    """Those of the ``wanted`` references that need no pull."""
    known = {name for image in here for name in (image.id, *image.names)}
    return frozenset(image for image in wanted if familiar(image) in known)


def wanted_images(desired: Desired, ledger: Ledger) -> frozenset[str]:
    """References, as they are written, that an unfinished project uses or may ask for again."""
    names = {*desired.projects, *ledger.projects}
    return frozenset(
        image
        for name in names
        if not _is_finished(history := ledger.history(name))
        for image in (*_stages_of(desired, name), *_run_of(history))
    )


def removable(
    here: Sequence[LocalImage], pulled: Mapping[str, PulledImage], wanted: Set[str], now: datetime
) -> tuple[LocalImage, ...]:
    """What Winslow may remove, least recently used first."""
    needed = {familiar(image) for image in wanted}

    def may_go(image: LocalImage) -> bool:
        ours = pulled.get(image.id)
        if ours is None or image.is_used or now - ours.used_at < REST:
            return False
        return image.tags <= ours.names and needed.isdisjoint({image.id, *image.names})

    return tuple(sorted(filter(may_go, here), key=lambda image: (pulled[image.id].used_at, image.id)))


def _is_finished(history: ProjectHistory) -> bool:
    last = history.last_run
    return last is not None and last.phase is RunPhase.SUCCEEDED and last.created.is_last


def _stages_of(desired: Desired, name: ProjectName) -> Set[str]:
    project = desired.projects.get(name)
    pipeline = desired.pipelines.get(project.pipeline) if project else None
    pinned = project.next.pins.image if project and project.next else None
    stages = {stage.image for stage in pipeline.stages} if pipeline else set()
    return {image for image in (*stages, pinned) if image}


def _run_of(history: ProjectHistory) -> Set[str]:
    """What the last run is bound to: open, it may be tried again anywhere."""
    last = history.last_run
    return {image for image in (last.created.image, last.created.image_digest) if image} if last else set()
