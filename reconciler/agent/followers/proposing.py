"""Follower: keeps the branches ``proposals/*`` as ``core.proposals`` wants them.

The remote is asked when that changes, and now and then; what stands there decides, nothing is remembered.
"""

from collections.abc import Sequence
from typing import Protocol

import structlog

from reconciler.agent.followers.forges import CurrentForge
from reconciler.agent.ports import Clock, Seen
from reconciler.codec.edit import Put, edited
from reconciler.core.names import Commit
from reconciler.core.proposal_text import described, subject
from reconciler.core.proposals import Draft, Proposal, Push, Standing, differences, proposals
from reconciler.errors import BadInput, WinslowError

log = structlog.get_logger()

LOOK = 300.0
"""Seconds after which the remote is asked though nothing changed: people push and delete branches, too."""
SOON = 0.5
MOST = 25
"""Branches a call, each perhaps a push of its own: a call that lasts a minute counts as stalled."""


class Branches(Protocol):
    """The remote's branches below ``proposals/``."""

    def standing(self, main: Commit) -> Sequence[Standing]: ...

    def read(self, main: Commit, path: str) -> str: ...

    def push(self, drafts: Sequence[Draft], main: Commit, *, forge: str | None) -> bool:
        """False if somebody moved a branch meanwhile."""
        ...

    def withdraw(self, standing: Sequence[Standing]) -> bool: ...


class Proposing:
    """Port ``Follower``."""

    trouble = "ProposalsFailing"

    def __init__(self, branches: Branches, forge: CurrentForge, clock: Clock) -> None:
        self._branches = branches
        self._forge = forge
        self._clock = clock
        self._settled: tuple[Proposal, ...] | None = None  # what stood at the last look
        self._looked = 0.0
        self._unfit: dict[str, str] = {}  # key -> why the file can't be edited

    def follow(self, seen: Seen) -> float | None:
        wanted = proposals(seen.desired, seen.ledger)
        now = self._clock.monotonic()
        if wanted != self._settled or now - self._looked >= LOOK:
            self._settled = None
            if not self._settle(seen, wanted):
                return SOON
            self._settled, self._looked = wanted, now
        unfit = [self._unfit[proposal.key] for proposal in wanted if proposal.key in self._unfit]
        if unfit:
            raise BadInput("; ".join(dict.fromkeys(unfit)))
        return None

    def _settle(self, seen: Seen, wanted: Sequence[Proposal]) -> bool:
        """Do what is due; False if there is more to do."""
        self._unfit = {proposal.key: self._unfit[proposal.key] for proposal in wanted if proposal.key in self._unfit}
        push, withdraw = differences(wanted, self._branches.standing(seen.desired.commit))
        push = tuple(one for one in push if one.proposal.key not in self._unfit)
        try:
            is_pushed = self._push(seen, push[:MOST])
        finally:  # what can't be pushed keeps nothing from being withdrawn
            is_withdrawn = self._withdraw(seen, withdraw[:MOST])
        return is_pushed and is_withdrawn and max(len(push), len(withdraw)) <= MOST

    def _push(self, seen: Seen, push: Sequence[Push]) -> bool:
        drafts = [draft for one in push if (draft := self._draft(seen, one))]
        if not drafts:
            return True
        forge = seen.desired.site.forge
        is_done = self._branches.push(drafts, seen.desired.commit, forge=forge.kind if forge else None)
        log.info("proposals_pushed", branches=[draft.branch for draft in drafts])
        return is_done

    def _draft(self, seen: Seen, push: Push) -> Draft | None:
        proposal = push.proposal
        try:
            before = self._branches.read(seen.desired.commit, proposal.path)
            text = edited(before, [Put(("next",), proposal.fields)], file=proposal.path)
        except BadInput as error:
            self._unfit[proposal.key] = f"no branch can be offered for {proposal.project}: {error}"
            return None
        project = next(one for one in seen.status.projects if one.project == proposal.project)
        return Draft(
            branch=proposal.branch,
            expected=push.expected,
            path=proposal.path,
            text=text,
            key=proposal.key,
            title=subject(proposal),
            description=described(proposal, project),
            at=(project.waiting_for and project.waiting_for.since) or self._clock.now(),
        )

    def _withdraw(self, seen: Seen, standing: Sequence[Standing]) -> bool:
        """Requests are closed first: a branch that is gone would not remind anybody of its request."""
        if not standing:
            return True
        forge = self._forge.of(seen.desired.site)
        closed: list[Standing] = []
        failure: WinslowError | None = None
        for one in standing:
            try:
                if forge is not None:
                    forge.close_requests(one.branch)
                closed.append(one)
            except WinslowError as error:
                failure = error
        is_done = not closed or self._branches.withdraw(closed)
        if failure is not None:
            raise failure
        log.info("proposals_withdrawn", branches=[one.branch for one in closed])
        return is_done
