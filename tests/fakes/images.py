"""Images in memory: what a registry has, what is here, and what a pull tells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reconciler.agent.ports import ImageHere
from reconciler.core.desired import Pull
from reconciler.core.image_names import PullProgress, familiar, is_exact, repository
from reconciler.core.stored_images import LocalImage
from reconciler.errors import StartFailed, WinslowError

SHA = "sha256:fake"


@dataclass
class FakeImages:
    """All that ``known`` names exist and are here, but for those ``absent``; ``known`` None: whatever is asked for."""

    known: Sequence[str] | None = None
    answer: Callable[[], None] = lambda: None
    fault: WinslowError | None = None  # what asking the registry raises
    absent: set[str] = field(default_factory=set)
    progress: Sequence[PullProgress] = ()
    pulled: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    here: list[LocalImage] = field(default_factory=list)
    disk: float | None = None

    def resolve(self, image: str, pull: Pull) -> str:
        self.answer()
        if is_exact(image):
            return familiar(image)
        if self.known is not None and image not in self.known:
            raise StartFailed("ImageNotFound", f"image '{image}' is nowhere")
        if self.fault is not None and (image in self.absent or pull is Pull.ALWAYS):
            raise self.fault
        return f"{repository(image)}@{SHA}"

    def provide(self, image: str, digest: str | None, pull: Pull, tell: Callable[[PullProgress], None]) -> ImageHere:
        reference = digest or self.resolve(image, pull)
        self.answer()
        if image not in self.absent:
            return ImageHere(reference=reference, id=reference)
        for progress in self.progress:
            tell(progress)
        if self.fault is not None:
            raise self.fault
        self.absent.discard(image)
        self.pulled.append(image)
        return ImageHere(reference=reference, id=reference, was_pulled=True)

    def listed(self) -> Sequence[LocalImage]:
        self.answer()
        return list(self.here)

    def remove(self, image: LocalImage) -> None:
        self.removed.append(image.id)
        self.here.remove(image)

    def fill(self) -> float | None:
        return self.disk
