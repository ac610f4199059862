"""Is the ledger older than what was published of it? Then the share was restored from a backup, or is another one.

Who acts on such a ledger does again what was done, under numbers that were used: nobody claims or publishes until
``winslow rebuild`` has brought both together.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.core.ledger import Ledger, ProjectHistory
from reconciler.core.names import ProjectName, RecordNumber, RunNumber, Token
from reconciler.core.records import ProjectRecord, RunRecord

OWN = RunNumber(0)
"""Instead of a run: the project's own records."""
SHOWN = 1
"""As many as fit into a heartbeat, so that all nodes say the same words."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Noted:
    """A record of which the branch ``observed`` tells: the last one, then, of a project or (``run``) of its run."""

    project: ProjectName
    run: RunNumber = OWN
    record: RecordNumber
    token: Token

    def __str__(self) -> str:
        return f"record {self.record} of {self.project}" + (f"'s run {self.run}" if self.run else "")


def missing(ledger: Ledger, noted: Iterable[Noted]) -> tuple[Noted, ...]:
    """What the ledger does not hold, or holds another record in its place.

    To be believed only of a ledger that was read after ``noted``: the branch may well be newer than an earlier look.
    What was purged since, with its numbers, is no loss; of records that can't be read nothing is known.
    """
    return tuple(one for one in noted if one.project not in ledger.unreadable and _is_missing(ledger, one))


def _is_missing(ledger: Ledger, noted: Noted) -> bool:
    history = ledger.history(noted.project)
    if _is_purged(history, noted):
        return False
    found = standing(history, noted)
    return found is None or found.token != noted.token


def _is_purged(history: ProjectHistory, noted: Noted) -> bool:
    if history.retired is None:
        return False
    return noted.run <= history.retired.run if noted.run else noted.record <= history.retired.record


def standing(history: ProjectHistory, noted: Noted) -> ProjectRecord | RunRecord | None:
    """What the ledger holds under that number."""
    records: tuple[ProjectRecord | RunRecord, ...] = history.records
    if noted.run:
        run = history.run(noted.run)
        records = run.records if run is not None else ()
    first = records[0].number if records else 1
    place = noted.record - first
    return records[place] if 0 <= place < len(records) else None


def told(lacking: tuple[Noted, ...]) -> str:
    """What people read, short enough for a heartbeat."""
    some = ", ".join(str(one) for one in lacking[:SHOWN])
    more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
    return (
        "the share lacks records of which the branch observed tells (restored from a backup?): nothing is claimed or "
        f"published until somebody runs winslow rebuild. Missing: {some}{more}"
    )
