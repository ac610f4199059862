"""One entry of ``notifications``: what it has told, what it still owes, and when to try again.

Told is what the share's marks say, whichever node told it. The mark comes after the delivery: a crash in between
tells twice, under the same id, rather than not at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from reconciler.agent.ports import Clock, Share
from reconciler.core.desired import Notification
from reconciler.core.transitions import Transition, concerns
from reconciler.errors import BadInput, SecretMissing, Transient, TryLater

log = structlog.get_logger()

FIRST, LONGEST = 1.0, 600.0
"""Seconds between two attempts, doubling from the one to the other."""
REFUSED_FIRST, REFUSED_LONGEST = 60.0, 3600.0
"""The same after a refusal, which takes a person to undo."""
SAID_AFTER = 3
"""Failures in a row before anybody hears of them: a server's short nap is nobody's business."""
GIVE_UP = 3 * 86400.0
"""Seconds after which what nobody waits for any more is given up."""
AT_ONCE = 20
"""Deliveries of one entry in a row."""
BEGUN = "begun"


class Sink(Protocol):
    """One way to tell people: a webhook, a mail, a command."""

    def deliver(self, transition: Transition) -> str:
        """Returns what is to be said besides ("" if nothing), such as who was left out.

        Transient: another time (TryLater: when); BadInput: refused, and trying again soon won't help; SecretMissing.
        """
        ...


@dataclass(frozen=True, slots=True)
class Again:
    """Attempts that failed in a row: how many, what was said last, and when the next one is due."""

    failures: int
    said: str
    due: float

    @staticmethod
    def after(before: "Again | None", error: Exception, now: float, *, refused: bool = False) -> "Again":
        failures = before.failures + 1 if before else 1
        first, longest = (REFUSED_FIRST, REFUSED_LONGEST) if refused else (FIRST, LONGEST)
        wait = min(first * 2 ** min(failures - 1, 20), longest)
        asked = error.after if isinstance(error, TryLater) else 0.0
        return Again(failures, str(error), now + max(wait, asked))


class Teller:
    """``tell`` is called by one thread at a time; ``trouble`` and ``due`` are read once it has returned."""

    def __init__(self, entry: Notification, sink: Sink, share: Share, clock: Clock) -> None:
        self._entry = entry
        self._sink = sink
        self._share = share
        self._clock = clock
        self._group = f"notifications.{entry.name}"
        self._told: set[str] = set()
        self._unsaved: list[str] = []
        self._owed_since: dict[str, float] = {}
        self._refused: dict[str, Again] = {}  # these are about one transition, and hold up no other
        self._again: Again | None = None  # this one is about the entry as a whole
        self._remark = ""
        self.trouble = ""
        self.due: float | None = None
        """When to call again though nothing changes, by the clock."""

    def tell(self, found: Sequence[Transition]) -> None:
        """Deliver what is owed, oldest first. Raises ShareUnavailable."""
        self._save()
        owed = self._owed(found)
        now = self._clock.monotonic()
        self._owed_since = {one.id: self._owed_since.get(one.id, now) for one in owed}
        self._refused = {identity: again for identity, again in self._refused.items() if identity in self._owed_since}
        if not owed:
            self._again = None
        elif self._again is None or self._again.due <= now:
            self._deliver([one for one in owed if self._when(one) <= now])
        left = [one for one in owed if one.id not in self._told]
        self._give_up(left)
        moments = [self._again.due] if self._again else [self._when(one) for one in left]
        self.due = min(moments, default=None)
        self.trouble = self._trouble()

    def _owed(self, found: Sequence[Transition]) -> list[Transition]:
        """A new entry owes nothing of the past, nor does one whose filter has become wider."""
        if {BEGUN, *(one.id for one in found)} <= self._told:
            return []
        self._told |= self._share.marks(self._group)
        if BEGUN not in self._told:
            self._remember([*(one.id for one in found), BEGUN])
        self._remember(one.id for one in found if one.id not in self._told and not concerns(self._entry, one))
        return [one for one in found if one.id not in self._told]

    def _remember(self, names: Iterable[str]) -> None:
        """What a full share can't take down now is not told again meanwhile."""
        self._unsaved += names
        self._told.update(self._unsaved)
        self._save()

    def _save(self) -> None:
        if self._unsaved:
            self._share.mark(self._group, self._unsaved)
            self._unsaved = []

    def _when(self, one: Transition) -> float:
        """When this one may be told, as far as it alone is concerned."""
        return self._refused[one.id].due if one.id in self._refused else self._owed_since[one.id]

    def _deliver(self, ready: Sequence[Transition]) -> None:
        """Until the entry as a whole seems to fail: refusals of two different transitions say so as well."""
        refusals = 0
        for one in ready[:AT_ONCE]:
            try:
                self._remark = self._sink.deliver(one)
            except BadInput as error:
                refusals += 1
                now = self._clock.monotonic()
                self._refused[one.id] = Again.after(self._refused.get(one.id), error, now, refused=True)
                self._log("notification_refused", one, error)
                if refusals > 1:
                    self._again = Again.after(self._again, error, now, refused=True)
                    return
            except (Transient, SecretMissing) as error:
                self._again = Again.after(self._again, error, self._clock.monotonic())
                self._log("notification_failed", one, error)
                return
            else:
                self._again = None
                self._refused.pop(one.id, None)
                self._remember([one.id])
                self._log("notification_delivered", one)

    def _give_up(self, left: Sequence[Transition]) -> None:
        """What still stands is tried for as long as it does."""
        now = self._clock.monotonic()
        for one in left:
            if not one.stands and now - self._owed_since[one.id] > GIVE_UP:
                self._remember([f"{one.id}.undeliverable", one.id])
                self._log("notification_undeliverable", one)

    def _trouble(self) -> str:
        if self._again is not None and (self._again.failures >= SAID_AFTER or self._refused):
            return self._again.said
        return next((again.said for again in self._refused.values()), self._remark)

    def _log(self, event: str, one: Transition, error: Exception | None = None) -> None:
        say = log.info if event == "notification_delivered" else log.warning
        facts = {"error": str(error)} if error else {}
        say(event, entry=self._entry.name, project=one.project, phase=one.phase.value, id=one.id, **facts)
