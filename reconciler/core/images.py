"""Images: what their names mean, and which exact one a run is bound to.

A tag moves; a run must not. So who creates a run asks first what its image is *now* and writes the digest into RUN,
and all attempts on all nodes use exactly that.
"""

import hashlib
from dataclasses import dataclass, replace

from reconciler.core.actions import ResolveImage
from reconciler.core.decide import Wait
from reconciler.core.draft import Draft, WantedImage
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from reconciler.core.records import Claim, RunCreated
from reconciler.core.status import ProjectPhase

HUB = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/")
"""What the engine leaves out when it tells names."""


# --- names ---------------------------------------------------------------------------------------


def is_exact(image: str) -> bool:
    """Does it name one image for all time: by its digest, or by the id that one engine knows it by?"""
    return image.startswith("sha256:") or "@sha256:" in image


def familiar(image: str) -> str:
    """The name as the engine tells it: with its tag, without what is understood; a digest makes a tag superfluous."""
    if image.startswith("sha256:"):
        return image
    short = next((image.removeprefix(hub) for hub in HUB if image.startswith(hub)), image)
    name, _, digest = short.partition("@")
    repository, tag = _split(name)
    return f"{repository}@{digest}" if digest else f"{repository}:{tag or 'latest'}"


def repository(image: str) -> str:
    return _split(familiar(image).partition("@")[0])[0]


def registry(image: str) -> str:
    """Who is asked for it: ``registry.example:5000``."""
    first, slash, _ = image.partition("/")
    is_host = bool(slash) and (first == "localhost" or "." in first or ":" in first)
    return first if is_host and not image.startswith(HUB) else "docker.io"


def image_mark(image: str) -> str:
    """A short sign for it, so that a heartbeat can name many; that two share one costs a pull."""
    return hashlib.sha256(familiar(image).encode()).hexdigest()[:8]


def _split(name: str) -> tuple[str, str]:
    """A registry's port is no tag."""
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "")


# --- a run's image -------------------------------------------------------------------------------


def awaits_registry(draft: Draft, project: ProjectName, created: RunCreated) -> bool:
    """Did the registry not answer just now? It is asked again, and nothing is held here for a run that can't begin."""
    wanted = _wanted(draft, created)
    if wanted is None or wanted not in draft.me.unresolved:
        return False
    _resolve(draft, project, wanted)
    why = draft.me.unresolved[wanted]
    draft.wait(project, Wait(phase=ProjectPhase.QUEUED, reason="RegistryUnavailable", message=why))
    return True


def with_digest(draft: Draft, project: ProjectName, created: RunCreated) -> RunCreated | None:
    """The RUN bound to one exact image; None: what that is has to be found out first.

    An image that can't be had for a reason that stays leaves it unbound: its attempt fails and says why.
    """
    wanted = _wanted(draft, created)
    if wanted is None:
        return created
    if is_exact(wanted.image):
        return replace(created, image_digest=familiar(wanted.image))
    if wanted in draft.me.images:
        return replace(created, image_digest=draft.me.images[wanted])
    _resolve(draft, project, wanted)
    message = f"stage '{created.stage}' is about to start on {draft.me.name}: which image is {wanted.image} now?"
    draft.wait(project, Wait(phase=ProjectPhase.QUEUED, reason="ResolvingImage", message=message))
    return None


def _wanted(draft: Draft, created: RunCreated) -> WantedImage | None:
    """None: this node's runtime needs none."""
    is_needed = draft.me.runtime == "docker" and created.image is not None
    return WantedImage(created.image or "", created.pull) if is_needed else None


def _resolve(draft: Draft, project: ProjectName, wanted: WantedImage) -> None:
    """Once a plan, however many projects wait for the answer."""
    asked = (one for one in draft.actions if isinstance(one, ResolveImage))
    if not any((one.image, one.pull) == (wanted.image, wanted.pull) for one in asked):
        draft.actions.append(
            ResolveImage(project=project, image=wanted.image, pull=wanted.pull, because="ImageUnresolved")
        )


def pulling_image(run: Run, claim: Claim, image: str) -> Wait:
    """How far it is the claimant's heartbeat says beside; here it would change at every look."""
    return Wait(
        phase=ProjectPhase.RUNNING,
        reason="PullingImage",
        message=f"run {run.number} ({run.stage}) on {claim.node}: pulling {image}",
    )


@dataclass(frozen=True, slots=True)
class PullProgress:
    """Bytes over all layers. ``total`` is 0 until the size of each is known, for registries tell them one by one."""

    done: int = 0
    total: int = 0

    def __str__(self) -> str:
        if not self.total:
            return _size(self.done) if self.done else ""
        return f"{100 * self.done // self.total} % of {_size(self.total)}"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
