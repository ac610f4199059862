"""Telling people: each entry of ``notifications`` on a thread of its own, so that a broken one holds up no other."""

import threading
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Future, wait

from reconciler.agent.followers.telling import Sink, Teller
from reconciler.agent.ports import Clock, Seen, Share
from reconciler.core.desired import Notification
from reconciler.core.transitions import Transition, transitions
from reconciler.errors import TryLater

PATIENCE = 15.0
"""Seconds in which the entries' threads usually have done what they can; who needs longer is met at a later look."""
LATE = 20.0
HUNG = "an attempt does not come to an end"
AT_LEAST, AT_MOST = 0.1, 60.0
"""Seconds until the next look, while something is owed."""


class Notifying:
    """A follower. Which of the entries were told what stands on the share; here are only back-offs."""

    trouble = "NotificationFailing"

    def __init__(
        self, share: Share, clock: Clock, open_sink: Callable[[Notification], Sink], patience: float = PATIENCE
    ) -> None:
        self._share = share
        self._clock = clock
        self._open_sink = open_sink
        self._patience = patience
        self._tellers: dict[Notification, Teller] = {}
        self._busy: dict[Notification, Future[None]] = {}

    def follow(self, seen: Seen) -> float | None:
        """An entry that was changed begins anew: whoever corrected it need not wait for a back-off."""
        entries = seen.desired.site.notifications
        self._tellers = {entry: self._tellers.get(entry) or self._open(entry) for entry in entries}
        if not self._tellers:
            return None
        found = transitions(seen.desired, seen.ledger, seen.status)
        self._collect()
        hung = set(self._busy)
        started = {entry: _in_thread(teller, found) for entry, teller in self._tellers.items() if entry not in hung}
        wait(started.values(), self._patience)
        self._busy |= started
        self._collect()
        return self._next(hung & self._busy.keys())

    def _collect(self) -> None:
        """Threads that have ended; what ended one of them is raised."""
        ended = [self._busy.pop(entry) for entry in [*self._busy] if self._busy[entry].done()]
        for future in ended:
            future.result()

    def _open(self, entry: Notification) -> Teller:
        return Teller(entry, self._open_sink(entry), self._share, self._clock)

    def _next(self, hung: Set[Notification]) -> float | None:
        """Seconds until somebody has something to do. TryLater says what is in the way."""
        now = self._clock.monotonic()
        idle = [teller for entry, teller in self._tellers.items() if entry not in self._busy]
        waits = [teller.due - now for teller in idle if teller.due is not None]
        waits += [LATE] if self._busy else []
        after = max(min(waits), AT_LEAST) if waits else None
        says = {entry: HUNG if entry in hung else teller.trouble for entry, teller in self._tellers.items()}
        troubles = [_told(entry, trouble) for entry, trouble in says.items() if trouble]
        if troubles:
            raise TryLater("; ".join(troubles), after=AT_MOST if after is None else after)
        return after


def _told(entry: Notification, trouble: str) -> str:
    return f"notification '{entry.name}': {trouble}; once that is put right, try it: winslow notify {entry.name}"


def _in_thread(teller: Teller, found: Sequence[Transition]) -> Future[None]:
    """A daemon thread, not an executor's: one that hangs must never keep a node from stopping."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            teller.tell(found)
        except BaseException as error:  # noqa: BLE001  # handed over, whatever it is
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, name="notify", daemon=True).start()
    return future
