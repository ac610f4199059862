"""Looking at everything: what plan() needs, read anew at each tick."""

from dataclasses import dataclass

from reconciler.agent.containers import Containers
from reconciler.agent.ports import Clock, Source
from reconciler.agent.workers import Job
from reconciler.core.containers import ClaimKey, ContainerState
from reconciler.core.desired import Desired
from reconciler.core.draft import Me
from reconciler.core.ledger import Ledger
from reconciler.core.names import Commit, NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this reconciler is, from its start to its end."""

    name: NodeName
    boot: str
    incarnation: str
    home: str
    runtime: str


class Ancestry:
    """Which commits named in the ledger the current desired commit contains. main only moves forward."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._contained: set[Commit] = set()
        self._head: Commit | None = None
        self._missing: set[Commit] = set()

    def of(self, desired: Desired, ledger: Ledger) -> frozenset[Commit]:
        if desired.commit != self._head:
            self._head, self._missing = desired.commit, set()
        named = {h.last_commit for h in ledger.projects.values() if h.last_commit is not None}
        for commit in named - self._contained - self._missing:
            if commit == desired.commit or self._source.descends(desired.commit, commit):
                self._contained.add(commit)
            else:
                self._missing.add(commit)
        return frozenset(self._contained)

    @property
    def is_behind(self) -> bool:
        """Does the ledger name a commit that we lack? Then it is time to fetch."""
        return bool(self._missing)


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
        starting=_keys(jobs, "start") - present,  # a start's worker stays on to follow what it has started
        followed=_keys(jobs, "start") | _keys(jobs, "follow") | logged,
        logged=logged,
        stopping=_keys(jobs, "stop") | _keys(jobs, "remove"),
        contained=contained,
        since=memory.since(),
    )


def _keys(jobs: frozenset[Job], kind: str) -> frozenset[ClaimKey]:
    return frozenset(job.key for job in jobs if job.kind == kind and isinstance(job.key, ClaimKey))
