"""Looking at everything: what plan() needs, read anew at each tick."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from reconciler.agent.containers import Containers
from reconciler.agent.ports import Clock, Share
from reconciler.agent.taken import taken
from reconciler.agent.workers import Job
from reconciler.core.containers import ClaimKey, ContainerState
from reconciler.core.draft import Me
from reconciler.core.ledger import Ledger
from reconciler.core.ledger_behind import Noted
from reconciler.core.names import Commit, NodeName, Token
from reconciler.errors import ShareUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this reconciler is, from its start to its end."""

    name: NodeName
    boot: str
    incarnation: str
    home: str
    runtime: str


class Ancestry:
    """Which commits named in the ledger belong to the history that we work from.

    Those that our commit equals or descends from, and those that an accepted rewrite replaced. None at all until our
    clone has gone along with the last rewrite that people accepted: what we hold is no longer what they want.
    """

    def __init__(self, descends: Callable[[Commit, Commit], bool | None]) -> None:
        self._descends = descends
        self._head: Commit | None = None
        self._known: dict[Commit, bool | None] = {}
        self.missing: frozenset[Commit] = frozenset()
        self.is_behind = False  # the ledger was written from something newer, or other: it is time to fetch
        self.is_older = False  # and it is we who lack it: nobody should hear our view

    def of(self, head: Commit, ledger: Ledger, *, followed: Token | None) -> frozenset[Commit]:
        """``head`` is the commit that we work from, ``followed`` as in ``Fetched``."""
        self._move(head)
        named = {h.last_commit for h in ledger.projects.values() if h.last_commit is not None}
        is_left_behind = bool(ledger.site) and ledger.site[-1].token != followed
        contained: frozenset[Commit] = frozenset()
        if not is_left_behind:
            replaced = {c for one in ledger.site if self._contains(head, one.head) for c in one.superseded}
            contained = frozenset(c for c in named if c in replaced or self._contains(head, c))
        self.missing = frozenset(named) - contained
        self.is_behind = is_left_behind or bool(self.missing)
        self.is_older = is_left_behind or any(self._known[commit] is None for commit in self.missing)
        return contained

    def _move(self, head: Commit) -> None:
        """What a commit contains its descendants contain, too. All else is asked anew."""
        if head != self._head:
            goes_on = self._head is not None and self._descends(head, self._head)
            self._known = {commit: True for commit, is_in in self._known.items() if is_in and goes_on}
            self._head = head

    def _contains(self, head: Commit, commit: Commit) -> bool:
        if commit not in self._known:
            self._known[commit] = commit == head or self._descends(head, commit)
        return bool(self._known[commit])


class ShareTime:
    """The share's own clock, looked at only while the files of a deleted project wait for it."""

    EVERY = 30.0
    """Seconds. Asking costs a file; a time that is a little late removes files a little later."""

    def __init__(self, share: Share, clock: Clock) -> None:
        self._share = share
        self._clock = clock
        self._asked_at = -self.EVERY
        self._time: datetime | None = None

    def look(self, ledger: Ledger) -> datetime | None:
        """None: nobody needs it, or the share takes no file."""
        if not any(history.deleted_at is not None for history in ledger.projects.values()):
            return None
        now = self._clock.monotonic()
        if now - self._asked_at >= self.EVERY:
            self._asked_at = now
            try:
                self._time = self._share.time()
            except ShareUnavailable:
                self._time = None
        return self._time


class Memory:
    """When we first met a situation; forgotten once the plan no longer asks."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def since(self) -> dict[str, float]:
        return dict(self._since)

    def keep(self, situations: frozenset[str], now: float) -> None:
        self._since = {situation: self._since.get(situation, now) for situation in situations}


def look_at_myself(
    identity: Identity,
    clock: Clock,
    containers: Containers,
    *,
    jobs: frozenset[Job],
    contained: frozenset[Commit],
    memory: Memory,
    may_claim: bool,
    source_asked: float | None,
    share_time: datetime | None,
    lacking: tuple[Noted, ...],
    ledger: Ledger,
) -> Me:
    found = containers.snapshot()
    logged = frozenset(containers.summaries)
    present = {container.key for container in found if container.state is not ContainerState.CREATED}
    return Me(
        name=identity.name,
        boot=identity.boot,
        incarnation=identity.incarnation,
        runtime=identity.runtime,
        now=clock.now(),
        monotonic=clock.monotonic(),
        may_claim=may_claim and not containers.engine_error,
        containers=found,
        ran_for=containers.ran_for(found),
        engine_answers=not containers.engine_error,
        source_asked=source_asked,
        share_time=share_time,
        taken=taken(containers.held(), ledger, identity.name),
        starting=_keys(jobs, "start") - present,  # a start's worker stays on to follow what it has started
        followed=_keys(jobs, "start") | _keys(jobs, "follow") | logged,
        logged=logged,
        stopping=stopping(jobs),
        contained=contained,
        since=memory.since(),
        lacking=lacking,
    )


def stopping(jobs: frozenset[Job]) -> frozenset[ClaimKey]:
    return _keys(jobs, "stop") | _keys(jobs, "remove")


def _keys(jobs: frozenset[Job], kind: str) -> frozenset[ClaimKey]:
    return frozenset(job.key for job in jobs if job.kind == kind and isinstance(job.key, ClaimKey))
