"""A pull under a claim, told while it lasts: in the claim's events, and to whoever looks at this moment."""

from collections.abc import MutableMapping

from reconciler.agent.ports import Clock, Share
from reconciler.core.containers import ClaimKey, claim_key
from reconciler.core.image_names import PullProgress
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from reconciler.core.records import Claim
from reconciler.errors import ShareUnavailable, Superseded

TELL = 10.0
"""Seconds between two events."""

Pulling = MutableMapping[ClaimKey, tuple[str, PullProgress]]
"""The claims that wait for an image, for which, and how far it is."""


class PullNotes:
    """Called with each progress; gives up a pull whose claim is no longer in force."""

    def __init__(
        self, share: Share, clock: Clock, pulling: Pulling, project: ProjectName, run: Run, claim: Claim
    ) -> None:
        self._share = share
        self._clock = clock
        self._pulling = pulling
        self._project = project
        self._run = run
        self._claim = claim
        self._key = claim_key(project, run, claim)
        self._image = run.created.image or ""
        self._told_at: float | None = None

    def __call__(self, progress: PullProgress) -> None:
        self._pulling[self._key] = self._image, progress
        now = self._clock.monotonic()
        if self._told_at is not None and now - self._told_at < TELL:
            return
        self._told_at = now
        try:
            if self._share.read_run(self._project, self._run.created).claim != self._claim:
                raise Superseded(f"run {self._run.number} of {self._project} was taken over while its image was pulled")
            self._note("pulling", done=progress.done, total=progress.total or None)
        except ShareUnavailable:
            pass  # the image is worth having nevertheless

    def end(self, reference: str) -> None:
        self._note("pulled", image_digest=reference)

    def over(self) -> None:
        """However it ended."""
        self._pulling.pop(self._key, None)

    def _note(self, event: str, **facts: object) -> None:
        self._share.add_event(
            self._project, self._run, self._claim, self._clock.now(), event, image=self._image, **facts
        )
