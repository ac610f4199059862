"""Which exact image a run is bound to.

A tag moves; a run must not. So who creates a run asks first what its image is *now* and writes the digest into RUN,
and all attempts on all nodes use exactly that.
"""

from dataclasses import replace

from reconciler.core.actions import CreateRun, ResolveImage
from reconciler.core.decide import Wait
from reconciler.core.desired import Pull
from reconciler.core.draft import Draft, WantedImage
from reconciler.core.image_names import familiar, is_exact
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from reconciler.core.records import Claim, RunCreated
from reconciler.core.status import ProjectPhase


def awaits_registry(draft: Draft, project: ProjectName, created: RunCreated) -> bool:
    """Did the registry not answer just now? It is asked again, and nothing is held here for a run that can't begin."""
    wanted = _wanted(draft, created)
    if wanted is None or wanted not in draft.me.unresolved or _is_here(draft, created):
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
    if wanted in draft.me.images and not _is_used_up(draft, wanted):
        return replace(created, image_digest=draft.me.images[wanted])
    _resolve(draft, project, wanted)
    message = f"stage '{created.stage}' is about to start on {draft.me.name}: which image is {wanted.image} now?"
    draft.wait(project, Wait(phase=ProjectPhase.QUEUED, reason="ResolvingImage", message=message))
    return None


def _wanted(draft: Draft, created: RunCreated) -> WantedImage | None:
    """None: this node's runtime needs none."""
    is_needed = draft.me.runtime == "docker" and created.image is not None
    return WantedImage(created.image or "", created.pull) if is_needed else None


def _is_here(draft: Draft, created: RunCreated) -> bool:
    """The very image that it needs: then no registry is asked."""
    tag = created.image if created.pull is not Pull.ALWAYS else None
    return (created.image_digest or tag) in draft.me.present_images


def _is_used_up(draft: Draft, wanted: WantedImage) -> bool:
    """With ``pull: always`` the registry is asked for each run, also for the second of one plan."""
    made = (one.record for one in draft.actions if isinstance(one, CreateRun))
    return wanted.pull is Pull.ALWAYS and any(WantedImage(one.image or "", one.pull) == wanted for one in made)


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
