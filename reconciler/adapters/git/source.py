"""The desired state: fetch main, load what is in it, keep it while nothing changes."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from reconciler.adapters.git.repository import Head, StateRepository
from reconciler.adapters.git.tree import GitTree
from reconciler.agent.ports import Fetched
from reconciler.core.desired import Desired
from reconciler.core.names import Commit, Token
from reconciler.core.records import RewriteAccepted
from reconciler.errors import BadInput, SourceUnavailable


class GitSource:
    """Port ``Source``. ``load`` makes a commit's files into desired state: ``codec.desired.load``.

    An unchanged head costs one round trip and is not read again.
    """

    def __init__(self, repository: StateRepository, load: Callable[[GitTree], Desired]) -> None:
        self._repository = repository
        self._load = load
        self._desired: Desired | None = None
        self._followed: Token | None = None

    def fetch(self, rewrites: Sequence[RewriteAccepted] = ()) -> Fetched:
        return self._loaded(self._repository.fetch_head(rewrites))

    def known(self) -> Fetched:
        return self._loaded(self._repository.last_head())

    def _loaded(self, head: Head) -> Fetched:
        if head.commit is not None and (self._desired is None or self._desired.commit != head.commit):
            try:
                self._desired = self._read(head.commit)
            except (BadInput, SourceUnavailable) as error:
                head = replace(head, reason="SourceUnreadable", error=str(error))
        if self._desired is not None and self._desired.commit == head.commit:
            self._followed = head.followed  # of what was read, not of what could not be
        return Fetched(
            desired=self._desired,
            reachable=head.reachable,
            reason=head.reason,
            error=head.error,
            followed=self._followed,
        )

    def descends(self, commit: Commit, ancestor: Commit) -> bool | None:
        return self._repository.descends(commit, ancestor)

    def _read(self, commit: Commit) -> Desired:
        def load() -> Desired:
            with self._repository.tree(commit) as tree:
                return self._load(tree)

        return self._repository.mending(load)
