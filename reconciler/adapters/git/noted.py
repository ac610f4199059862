"""Which records the branch ``observed``, as last fetched, tells of. A look, no part of publishing.

Asked after each fetch: an unchanged head costs nothing, a new one the reading of the files that changed.
"""

from collections.abc import Mapping

from reconciler.adapters.git.repository import StateRepository
from reconciler.codec.noted import noted
from reconciler.core.ledger_behind import Noted
from reconciler.core.names import Blob, Commit


class NotedRecords:
    """One thread at a time."""

    def __init__(self, repository: StateRepository) -> None:
        self._repository = repository
        self._head: Commit | None = None
        self._told: Mapping[tuple[str, Blob], Noted | None] = {}
        self._noted: tuple[Noted, ...] = ()

    def noted(self) -> tuple[Noted, ...]:
        """The same object while the branch stays as it is."""
        return self._repository.mending(self._look)

    def _look(self) -> tuple[Noted, ...]:
        head = self._repository.observed_head()
        if head != self._head:
            self._told = self._read(head) if head is not None else {}
            self._noted = tuple(sorted(one for one in self._told.values() if one is not None))
            self._head = head
        return self._noted

    def _read(self, head: Commit) -> Mapping[tuple[str, Blob], Noted | None]:
        with self._repository.observed_tree(head) as tree:
            return {
                (path, blob): self._told[path, blob]
                if (path, blob) in self._told
                else noted(path, tree.read(blob).decode(errors="replace"))
                for path, blob in tree.files().items()
            }
