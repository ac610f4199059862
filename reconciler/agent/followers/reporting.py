"""Commit statuses: a person who merged something sees beside the commit what became of it.

At least once: what was posted is remembered on the share right after it was posted, so that the next publisher
does not repeat it. When a forge is met for the first time, everything that has ended already counts as posted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import structlog

from reconciler.agent.followers.forges import CurrentForge
from reconciler.agent.ports import Clock, Forge, Seen, Share
from reconciler.core.commit_status import CommitStatus, commit_statuses, page_of
from reconciler.core.desired import Forge as ForgeSettings
from reconciler.errors import ForgeRefused, ForgeUnavailable, StatusRefused, TryLater, WinslowError

log = structlog.get_logger()

GROUP = "commit-status"
MOST = 30
"""Posts in one go, and seconds to the next: forges count what writes (GitHub: some 80 a minute)."""
LONGEST = 20.0
"""Seconds for one go: whoever is slow looks again at what it posts, and whether it is still the publisher."""
FIRST_PAUSE, LONGEST_PAUSE = 15.0, 600.0
TRIES = 6
"""So often is a single status offered that the forge refuses: over a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Pause:
    """After a fault: how often it has happened in a row, until when we keep still, and what to tell meanwhile."""

    faults: int
    until: float
    error: str


class CommitReporter:
    trouble = "CommitStatusFailing"

    def __init__(self, share: Share, forges: CurrentForge, clock: Clock, *, observed_branch: str) -> None:
        self._share = share
        self._forges = forges
        self._clock = clock
        self._branch = observed_branch
        self._posted: frozenset[str] = frozenset()
        self._met: set[str] = set()  # forges that are known not to be met for the first time
        self._pause: Pause | None = None
        self._pause_of: tuple[ForgeSettings, Forge] | None = None
        self._refused: dict[str, Pause] = {}

    def follow(self, seen: Seen) -> float | None:
        settings = seen.desired.site.forge
        forge = self._forges.of(seen.desired.site) if settings and settings.commit_status else None
        if settings is None or forge is None:
            return None
        if self._pause_of != (settings, forge):  # whatever was wrong may be mended
            self._pause, self._pause_of = None, (settings, forge)
            self._refused.clear()
        due = self._due(settings, commit_statuses(seen.desired, seen.ledger))
        now = self._clock.monotonic()
        if due and self._pause is not None and now < self._pause.until:
            raise TryLater(self._pause.error, after=self._pause.until - now)
        ready = [one for one in due if not self._is_held(one.mark(settings.url), now)]
        left = self._post_all(settings, forge, ready)
        held = [self._refused[mark] for one in due if (mark := one.mark(settings.url)) in self._refused]
        if held:
            raise StatusRefused(held[0].error)
        return float(MOST) if left else None

    def _due(self, settings: ForgeSettings, wanted: Sequence[CommitStatus]) -> list[CommitStatus]:
        """What should stand and was not posted. The share is asked only if something seems to be missing."""
        marks = {one.mark(settings.url): one for one in wanted}
        if settings.url not in self._met or not marks.keys() <= self._posted:
            self._posted = self._share.marks(GROUP)
            self._meet(settings.url, [mark for mark, one in marks.items() if one.is_final])
        return [one for mark, one in marks.items() if mark not in self._posted]

    def _meet(self, forge: str, ended: Sequence[str]) -> None:
        met = "met-" + sha256(forge.encode()).hexdigest()
        if met not in self._posted:
            names = (*ended, met)  # in this order: half of it is no meeting
            self._share.mark(GROUP, names)
            self._posted |= set(names)
        self._met.add(forge)

    def _is_held(self, mark: str, now: float) -> bool:
        return mark in self._refused and now < self._refused[mark].until

    def _post_all(self, settings: ForgeSettings, forge: Forge, ready: Sequence[CommitStatus]) -> bool:
        """True if some are left for the next time."""
        began = self._clock.monotonic()
        for number, status in enumerate(ready):
            if number == MOST or self._clock.monotonic() - began > LONGEST:
                return True
            try:
                self._post(settings, forge, status)
            except (ForgeUnavailable, ForgeRefused) as error:
                self._pause = self._paused(self._pause, error)
                raise
            self._pause = None
        return False

    def _post(self, settings: ForgeSettings, forge: Forge, status: CommitStatus) -> None:
        mark = status.mark(settings.url)
        try:
            forge.set_status(
                status.commit,
                status.state,
                context=status.context,
                description=status.description,
                target_url=page_of(status.path, settings, self._branch),
            )
            log.info("commit_status_posted", commit=status.commit, context=status.context, state=status.state.value)
        except StatusRefused as error:
            held = self._paused(self._refused.get(mark), error)
            self._refused[mark] = held
            if held.faults < TRIES:
                return
            log.warning("commit_status_given_up", commit=status.commit, context=status.context, error=str(error))
        self._refused.pop(mark, None)
        self._posted |= {mark}
        self._share.mark(GROUP, [mark])

    def _paused(self, before: Pause | None, error: WinslowError) -> Pause:
        """Twice as long after each fault, and no shorter than the forge asks for."""
        faults = before.faults + 1 if before else 1
        asked = error.after if isinstance(error, ForgeUnavailable) else 0.0
        rest = min(max(FIRST_PAUSE * 2 ** (faults - 1), asked), LONGEST_PAUSE)
        return Pause(faults, self._clock.monotonic() + rest, str(error))
