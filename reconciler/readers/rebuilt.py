"""What a share could be rebuilt from: the branch ``observed``, main's history, and what still lies on the share."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.adapters.git import StateRepository
from reconciler.adapters.share.rebuilding import ShareRebuilding
from reconciler.agent.tokens import new_token
from reconciler.codec.observed import unfold
from reconciler.core.desired import Desired
from reconciler.core.ledger import Ledger
from reconciler.core.ledger_behind import Noted, missing
from reconciler.core.names import Commit, ProjectName, ShareId
from reconciler.core.rebuild import OnDisk, Rebuilding, disputed, noted_in, rebuild
from reconciler.core.restored import Told
from reconciler.core.status import Status
from reconciler.errors import BadInput, SourceUnavailable, WinslowError

SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The branch ``observed`` at its newest commit, and main's files at the commits that it names."""

    observed: Commit
    status: Status
    wishes: Mapping[Commit, Desired]

    def told(self, share: ShareId) -> Told:
        return Told(
            share=ShareId(self.status.share or share),
            observed=self.observed,
            commit=Commit(self.status.commit or ""),
            at=datetime.now(UTC),
            sign=new_token,
            wishes=self.wishes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    ledger: Ledger
    lacking: tuple[Noted, ...]
    rebuilding: Rebuilding


def read_published(repository: StateRepository, history: Callable[[Commit], Desired]) -> Published:
    """Fetched now: an older view of the branch would restore less."""
    fetched = repository.fetch_head()
    if not fetched.reachable:
        raise SourceUnavailable(f"{fetched.error}. Nothing is rebuilt from an older view of the branch observed")
    head = repository.observed_head()
    if head is None:
        raise BadInput(
            f"the state repository has no branch {repository.observed_branch}: nothing was ever published, so there is "
            "nothing to rebuild from, and nodes may simply start"
        )
    with repository.alone(), repository.observed_tree(head) as tree:
        files = {path: tree.read(blob).decode(errors="replace") for path, blob in tree.files().items()}
    status = unfold(files)
    named = {run.commit for project in status.projects for run in project.runs} | {status.commit}
    with repository.alone():
        wishes = dict(_wishes(history, sorted(Commit(one) for one in named if one)))
    return Published(observed=head, status=status, wishes=wishes)


def _wishes(history: Callable[[Commit], Desired], commits: Iterable[Commit]) -> Iterable[tuple[Commit, Desired]]:
    """Commits that a rewritten main no longer holds are left out."""
    for commit in commits:
        try:
            yield commit, history(commit)
        except WinslowError:
            continue


def look(share: ShareRebuilding, published: Published) -> Look:
    """What would be added to the share as it is now. BadInput where it contradicts what was published."""
    ledger = share.share.read()
    if both := disputed(ledger, published.status):
        some = ", ".join(str(one) for one in both[:SHOWN])
        raise BadInput(
            f"the share holds other records than those that were published ({some}): somebody has gone on from a "
            "backup, and there are two histories. To go on with the share's, remove the other one: git push origin "
            "--delete observed; nodes publish it anew"
        )
    told = published.told(ledger.share)
    names = {*ledger.projects, *(project.project for project in published.status.projects)}
    return Look(
        ledger=ledger,
        lacking=missing(ledger, noted_in(published.status)),
        rebuilding=rebuild(ledger, published.status, told, _on_disk(share, names)),
    )


def _on_disk(share: ShareRebuilding, names: Iterable[ProjectName]) -> OnDisk:
    return {(name, run): numbers for name in names for run, numbers in share.claims(name).items()}
