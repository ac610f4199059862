"""The git server and the nodes' clones: a line of commits that people make, a branch that nodes push."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from reconciler.agent.ports import Fetched
from reconciler.codec.noted import noted
from reconciler.core.ledger_behind import Noted
from reconciler.core.names import Commit
from reconciler.core.records import RewriteAccepted
from reconciler.errors import SourceUnavailable, Transient
from tests.fakes.history import History
from tests.simulation.scheduler import Life, Tasks

ROUND_TRIP = 0.3
GIVES_UP = 15.0
"""Seconds after which a git command that hears nothing is ended."""
Files = Mapping[str, str]

noted_of = lru_cache(maxsize=10_000)(noted)


class Pushed(Protocol):
    """Who wants to know of a push that the server took: by whom, which files."""

    def __call__(self, by: Life, files: Files) -> None: ...


@dataclass
class Remote:
    """main and observed on the server, and who is cut off from it."""

    tasks: Tasks
    main: History
    pushed: Pushed
    observed: list[Files] = field(default_factory=list)
    down: bool = False
    cut: set[Life] = field(default_factory=set)  # machines
    losing_replies: bool = False

    def trip(self, machine: Life, what: str) -> None:
        """To the server and back. SourceUnavailable if it can't be reached, which takes a while to learn."""
        self.tasks.pause(f"git {what}")
        self.tasks.sleep(self.tasks.random.random() * ROUND_TRIP)
        if self.down or machine in self.cut:
            self.tasks.sleep(GIVES_UP * self.tasks.random.random())
            raise SourceUnavailable("the remote does not answer")


@dataclass
class Clone:
    """A machine's clone; port ``Source``. It lies on the local disk: what was fetched stays known."""

    remote: Remote
    machine: Life
    fetched: int = -1  # main up to this commit
    head: int = 0  # observed as last fetched: how many commits it had

    def fetch(self, rewrites: Sequence[RewriteAccepted] = ()) -> Fetched:
        try:
            self.remote.trip(self.machine, "fetch")
        except SourceUnavailable as error:
            return self._fetched(reachable=False, error=str(error), reason="SourceUnreachable")
        self.fetched, self.head = self.remote.main.newest, len(self.remote.observed)
        return self._fetched()

    def known(self) -> Fetched:
        return self._fetched()

    def _fetched(self, *, reachable: bool = True, error: str = "", reason: str = "") -> Fetched:
        desired = self.remote.main.desired[self.fetched] if self.fetched >= 0 else None
        return Fetched(desired=desired, reachable=reachable, error=error, reason=reason)

    def descends(self, commit: Commit, ancestor: Commit) -> bool | None:
        first, second = History.number(commit), History.number(ancestor)
        return None if max(first, second) > self.fetched else second <= first


class ObservedClone:
    """Port ``Observed``: the branch as the clone knows it."""

    def __init__(self, clone: Clone) -> None:
        self._clone = clone
        self._expected: int | None = None
        self._noted_head = 0
        self._noted: tuple[Noted, ...] = ()

    def head(self) -> Commit | None:
        return Commit(f"{self._clone.head:040x}") if self._clone.head else None

    def noted(self) -> tuple[Noted, ...]:
        if self._noted_head != self._clone.head:
            told = (noted_of(path, text) for path, text in self._at(self._clone.head).items())
            self._noted_head, self._noted = self._clone.head, tuple(sorted(one for one in told if one is not None))
        return self._noted

    def read(self) -> Files:
        self._expected = self._clone.head
        return self._at(self._clone.head)

    def _at(self, head: int) -> Files:
        return self._clone.remote.observed[head - 1] if head else {}

    def publish(self, files: Files, message: str) -> Commit | None:
        clone, remote = self._clone, self._clone.remote
        if self._expected is None:
            self.read()
        expected = self._expected or 0
        if clone.head != expected:
            raise Transient("observed moved while we published")
        if self._at(expected) == files:
            return None
        remote.trip(clone.machine, "push")
        if len(remote.observed) != expected:
            raise Transient("observed moved while we published")
        remote.observed.append(dict(files))
        remote.pushed(clone.machine, files)
        remote.tasks.pause(f"git pushed: {message.splitlines()[0]}")
        if remote.losing_replies and remote.tasks.random.random() < 0.5:
            raise SourceUnavailable("the connection was lost")
        self._expected = clone.head = len(remote.observed)
        return self.head()
