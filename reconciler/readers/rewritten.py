"""Is there a rewritten history to accept? Asked of everybody, not of our own clone alone.

A clone that is new, or was last used before the lost commits were pushed, has nothing against the new head. So the
nodes' heartbeats say what they hold, and the projects' records which commits people's wishes were taken from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.adapters.git import StateRepository
from reconciler.agent.observe import Ancestry
from reconciler.agent.ports import NodeFiles, Share
from reconciler.codec.heartbeat import WorksFrom, works_from
from reconciler.core.ledger import Ledger
from reconciler.core.names import Commit, NodeName, ProjectName
from reconciler.errors import SourceUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """What a person is asked to accept. ``is_open``: somebody waits for it."""

    head: Commit
    ledger: Ledger
    held: Mapping[Commit, tuple[NodeName, ...]]  # commits outside the new history, and the nodes that work from them
    missing: Mapping[Commit, tuple[ProjectName, ...]]  # and those that projects' records and the last acceptance name
    is_open: bool

    @property
    def superseded(self) -> tuple[Commit, ...]:
        return tuple(sorted({*self.held, *self.missing}))


def look_for_rewrite(repository: StateRepository, share: Share) -> Rewrite:
    """Looks at the share first, then at the remote: what the share names the remote had before."""
    ledger, nodes = share.read(), share.read_nodes()
    seen = repository.fetch_head(ledger.site)
    head, own = repository.newest(), repository.accepted()
    if head is None or not seen.reachable or seen.reason in ("SourceEmpty", "BranchMissing"):
        raise SourceUnavailable(seen.error)
    works = [(name, found) for name, found in _works(nodes) if not repository.descends(head, found.commit)]
    held: dict[Commit, tuple[NodeName, ...]] = {}
    for name, found in works:
        held[found.commit] = (*held.get(found.commit, ()), name)
    if own is not None and not repository.descends(head, own):
        held.setdefault(own, ())
    missing = _missing(repository, head, ledger)
    waits = any(not _will_follow(repository, head, ledger, found) for _, found in works)
    is_open = waits or bool(missing) or seen.reason == "SourceRewritten"
    return Rewrite(head=head, ledger=ledger, held=held, missing=missing, is_open=is_open)


def _works(nodes: Mapping[NodeName, NodeFiles]) -> Iterator[tuple[NodeName, WorksFrom]]:
    for name, files in sorted(nodes.items()):
        found = works_from(files.heartbeat)
        if found is not None:
            yield name, found


def _will_follow(repository: StateRepository, head: Commit, ledger: Ledger, node: WorksFrom) -> bool:
    """Has this been accepted already, and the node only not looked since?"""
    last = ledger.site[-1] if ledger.site else None
    return last is not None and node.followed != last.token and repository.descends(head, last.head) is True


def _missing(repository: StateRepository, head: Commit, ledger: Ledger) -> Mapping[Commit, tuple[ProjectName, ...]]:
    """Commits that whoever works from ``head`` would wait for, and whose they are."""
    ancestry = Ancestry(repository.descends)
    ancestry.of(head, ledger, followed=ledger.site[-1].token if ledger.site else None)
    accepted = {one.head for one in ledger.site[-1:] if not repository.descends(head, one.head)}
    return {
        commit: tuple(name for name, history in sorted(ledger.projects.items()) if history.last_commit == commit)
        for commit in sorted(ancestry.missing | accepted)
    }
