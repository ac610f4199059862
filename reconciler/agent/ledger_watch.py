"""Watching whether the ledger is older than what was published of it.

Each node compares by itself, with the branch that its own fetch brought: a node that can't reach git goes on with
what it heard last. The ledger compared is always one that was read after the branch was: then it may lack nothing.
"""

import structlog

from reconciler.agent.ports import Clock, Noting
from reconciler.core.ledger import Ledger
from reconciler.core.ledger_behind import Noted, missing, told

log = structlog.get_logger()

SURE = 5.0
"""Seconds for which a lack is not told yet. One look may meet a directory that is being purged at this moment."""


class LedgerWatch:
    """``fetch`` is called by one thread, ``compare`` by another one."""

    def __init__(self, observed: Noting, clock: Clock) -> None:
        self._observed = observed
        self._clock = clock
        self._compared: tuple[Ledger, tuple[Noted, ...]] | None = None
        self._since: float | None = None
        self._is_told = False
        self.noted: tuple[Noted, ...] = ()  # take it before the ledger is read
        self.lacking: tuple[Noted, ...] = ()

    def fetch(self) -> None:
        """Take note of the branch as it was just fetched."""
        self.noted = self._observed.noted()

    def compare(self, ledger: Ledger, noted: tuple[Noted, ...]) -> tuple[Noted, ...]:
        """What a ledger lacks that was read after ``noted`` was taken."""
        if self._compared is None or self._compared[1] is not noted or self._compared[0] != ledger:
            self.lacking = missing(ledger, noted)
            self._compared = (ledger, noted)
        now = self._clock.monotonic()
        self._since = (now if self._since is None else self._since) if self.lacking else None
        if self.is_sure and not self._is_told:
            log.error("ledger_behind", records=[str(one) for one in self.lacking])
        self._is_told = self.is_sure
        return self.lacking

    @property
    def is_sure(self) -> bool:
        return self._since is not None and self._clock.monotonic() - self._since >= SURE

    @property
    def message(self) -> str:
        """For people; empty while all is well."""
        return told(self.lacking) if self.is_sure else ""
