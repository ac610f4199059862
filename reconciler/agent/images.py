"""This node's images: what it knows of them, and the work on them, which registries may drag out for hours.

``resolve``, ``provide``, ``prepare`` and ``look`` are called from workers; ``shown_to`` tells the plan what came of it.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import structlog

from reconciler.agent.ports import Clock, ImageHere, Images, Share
from reconciler.agent.pull_notes import PullNotes
from reconciler.agent.pulled_images import PulledImages
from reconciler.config import NodeConfig
from reconciler.core.containers import ClaimKey
from reconciler.core.desired import Pull
from reconciler.core.draft import Me, WantedImage
from reconciler.core.image_names import PullProgress, familiar, image_mark
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from reconciler.core.records import Claim
from reconciler.core.status import Condition, condition
from reconciler.core.stored_images import LocalImage, present, removable
from reconciler.errors import RegistryUnavailable, StartFailed, TryLater, WinslowError

log = structlog.get_logger()

FRESH = 60.0
"""Seconds for which an answer holds that a plan has seen and made no use of."""

UNSEEN = 600.0
"""Seconds for which an answer waits for the first plan that sees it: a tick takes long on a busy share."""

LOOK = 60.0
"""Seconds between two looks at all images."""

UNPREPARED = 600.0
"""Seconds before an image that could not be pulled ahead of its time is tried again."""

FULL = 95.0
"""Percent of the engine's disk from which on people should know that nothing is left to remove."""


@dataclass(slots=True)
class _Answer:
    """Which image a name was at that moment; None: it can't be had."""

    digest: str | None
    at: float
    was_seen: bool = False

    def holds(self, now: float) -> bool:
        return now < self.at + (FRESH if self.was_seen else UNSEEN)


class NodeImages:
    """Thread-safe: single operations on dicts. ``images`` is None where what runs needs none."""

    def __init__(self, images: Images | None, share: Share, clock: Clock, config: NodeConfig) -> None:
        self._images = images
        self._share = share
        self._clock = clock
        self._keep_below = config.docker.keep_below
        self._pulled = PulledImages(config.local)
        self._resolved: dict[WantedImage, _Answer] = {}
        self._unresolved: dict[WantedImage, tuple[str, float]] = {}
        self._pulling: dict[ClaimKey, tuple[str, PullProgress]] = {}
        self._unprepared: dict[str, float] = {}
        self._preparing = False
        self._present: frozenset[str] = frozenset()
        self._fill: float | None = None
        self._look_at = 0.0
        self._is_full = False

    # --- what is known ---

    def shown_to(self, me: Me) -> Me:
        now = me.monotonic
        answers = {wanted: answer for wanted, answer in self._resolved.copy().items() if answer.holds(now)}
        for answer in answers.values():
            answer.was_seen = True
        has_room = self._fill is None or self._fill < self._keep_below
        return replace(
            me,
            images={wanted: answer.digest for wanted, answer in answers.items()},
            unresolved={wanted: why for wanted, (why, until) in self._unresolved.copy().items() if now < until},
            present_images=self._present,
            unprepared=frozenset(image for image, until in self._unprepared.copy().items() if now < until),
            pulling={key: image for key, (image, _) in self._pulling.copy().items()},
            may_prepare=self._images is not None and has_room and not self._preparing,
        )

    def pulled_so_far(self, project: ProjectName) -> str:
        """For those who look now: ``43 % of 8.1 GiB``."""
        found = (progress for key, (_, progress) in self._pulling.copy().items() if key.project == project)
        return str(next(found, ""))

    @property
    def marks(self) -> frozenset[str]:
        """Of the images that are here, for others to rank this node by."""
        return frozenset(map(image_mark, self._present))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        if not self._is_full:
            return ()
        return (
            condition(
                "DiskFull",
                f"the container engine's disk is more than {FULL:g} % full, and Winslow has no image left that it may "
                "remove: `docker system df` says where the room went; `docker image prune` removes what has no name",
            ),
        )

    # --- work ---

    def resolve(self, image: str, pull: Pull) -> None:
        """Find out which image it is now. An error that may pass is told to everybody who waits for it, and raised."""
        if self._images is None:
            return
        wanted = WantedImage(image, pull)
        try:
            digest: str | None = self._images.resolve(image, pull)
        except StartFailed as error:
            log.info("image_unknown", image=image, reason=error.reason, message=str(error))
            digest = None
        except TryLater as error:
            self._note_silence(wanted, error)
            raise
        self._unresolved.pop(wanted, None)
        self._resolved[wanted] = _Answer(digest, self._clock.monotonic())

    def forget(self, wanted: WantedImage) -> None:
        """A run was bound to the answer: the next one asks again, for somebody may have pushed meanwhile."""
        self._resolved.pop(wanted, None)

    def provide(self, project: ProjectName, run: Run, claim: Claim) -> str | None:
        """The image of our claim, present now: by which reference its container is made. Superseded while it pulls."""
        image = run.created.image
        if self._images is None or image is None:
            return None
        notes = PullNotes(self._share, self._clock, self._pulling, project, run, claim)
        try:
            here = self._images.provide(image, run.created.image_digest, run.created.pull, notes)
            self._note(image, here)
            if here.was_pulled:
                notes.end(here.reference)
        except RegistryUnavailable as error:
            self._note_silence(WantedImage(image, run.created.pull), error)
            raise
        finally:
            notes.over()
        return here.reference

    def prepare(self, image: str) -> None:
        """A hint: that it fails is no fault."""
        if self._images is None or self._preparing:
            return
        self._preparing = True
        try:
            self._note(image, self._images.provide(image, None, Pull.MISSING, lambda _: None))
            log.info("image_prepared", image=image)
        except WinslowError as error:
            self._unprepared[image] = self._clock.monotonic() + UNPREPARED
            log.info("image_not_prepared", image=image, error=str(error))
        finally:
            self._preparing = False

    @property
    def is_look_due(self) -> bool:
        return self._images is not None and self._clock.monotonic() >= self._look_at

    def look(self, wanted: Set[str]) -> None:
        """At all that is here; remove what may go if the disk is too full."""
        if self._images is None:
            return
        self._look_at = self._clock.monotonic() + LOOK
        here = self._images.listed()
        self._pulled.keep({image.id for image in here})
        self._fill = self._images.fill()
        removed = self._make_room(self._images, here, wanted)
        self._present = present([image for image in here if image not in removed], wanted)
        self._is_full = self._keep_below < 100 and (self._fill or 0.0) >= max(FULL, self._keep_below)

    # --- inside ---

    def _make_room(self, images: Images, here: Sequence[LocalImage], wanted: Set[str]) -> list[LocalImage]:
        removed: list[LocalImage] = []
        for image in removable(here, self._pulled.known(), wanted, self._clock.now()):
            if self._fill is None or self._keep_below >= 100 or self._fill < self._keep_below:
                break
            images.remove(image)
            removed.append(image)
            self._fill = images.fill()
        if removed:
            names = [min(image.names, default=image.id) for image in removed]
            log.info("images_removed", images=names, bytes=sum(image.size for image in removed), fill=self._fill)
        return removed

    def _note_silence(self, wanted: WantedImage, error: TryLater) -> None:
        self._unresolved[wanted] = str(error), self._clock.monotonic() + error.after + FRESH

    def _note(self, image: str, here: ImageHere) -> None:
        now = self._clock.now()
        if here.was_pulled:
            self._pulled.note_pull(here.id, familiar(image), now)
        else:
            self._pulled.note_use(here.id, now)
        self._present |= {image, here.reference}
