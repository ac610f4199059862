"""The values a plan is made from and consists of, and the draft that collects it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from reconciler.core.actions import UNSIGNED, Action
from reconciler.core.containers import ClaimKey, Container
from reconciler.core.decide import Wait
from reconciler.core.desired import Desired, Pull, Requires
from reconciler.core.fleet import Fleet
from reconciler.core.ledger import Ledger, ProjectHistory
from reconciler.core.ledger_behind import Noted
from reconciler.core.limits import Limits
from reconciler.core.names import Commit, NodeName, ProjectName, RecordNumber, ShareId, Token
from reconciler.core.nodes import Node
from reconciler.core.placement import open_claims
from reconciler.core.status import ProjectPhase
from reconciler.core.used import Used


class Header(TypedDict):
    """What every record begins with."""

    number: RecordNumber
    token: Token
    share: ShareId
    node: NodeName
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a project has no action on this node now."""

    project: ProjectName
    phase: ProjectPhase
    because: str
    message: str
    edit: str | None = None


@dataclass(frozen=True, slots=True)
class WantedImage:
    """An image as a stage names it, and when its registry is to be asked."""

    image: str
    pull: Pull


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """This node as it sees itself now. ``now`` is for records; rules use ``monotonic`` (seconds)."""

    name: NodeName
    boot: str
    incarnation: str
    runtime: str
    now: datetime
    monotonic: float
    may_claim: bool = True
    containers: tuple[Container, ...] = ()
    ran_for: Mapping[ClaimKey, float] = field(default_factory=dict)  # seconds, of those that run
    engine_answers: bool = True
    source_asked: float | None = None  # monotonic: when we put the question that desired answers; None: no answer
    share_time: datetime | None = None  # the share's own clock, at most a little late; None: not known
    images: Mapping[WantedImage, str | None] = field(default_factory=dict)  # resolved a moment ago; None: it can't be
    unresolved: Mapping[WantedImage, str] = field(default_factory=dict)  # why its registry gives no answer now
    present_images: frozenset[str] = frozenset()  # of those that unfinished projects name: they need no pull
    pulling: Mapping[ClaimKey, str] = field(default_factory=dict)  # our claims that wait for an image, and for which
    unprepared: frozenset[str] = frozenset()  # images that could not be pulled ahead of their time a while ago
    may_prepare: bool = False  # an image ahead of its time: none is being pulled so, and the disk has room
    taken: Mapping[str, str] = field(default_factory=dict)  # GPU -> what uses it beside our claims in force
    starting: frozenset[ClaimKey] = frozenset()  # being prepared or started by us at this moment
    followed: frozenset[ClaimKey] = frozenset()  # somebody writes, or has written, their log
    logged: frozenset[ClaimKey] = frozenset()  # the log is complete
    stopping: frozenset[ClaimKey] = frozenset()
    contained: frozenset[Commit] = frozenset()  # commits that desired.commit equals or descends from
    since: Mapping[str, float] = field(default_factory=dict)  # when we first met a situation, monotonic
    lacking: tuple[Noted, ...] = ()  # of what was published, what the ledger that was read after it does not hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    actions: tuple[Action, ...] = ()
    waiting: Mapping[ProjectName, Waiting] = field(default_factory=dict)
    situations: frozenset[str] = frozenset()  # what the next plan wants to know the age of
    reserved: str = ""  # the run ("crossing/3") for which this node keeps itself free
    wake_at: float | None = None  # monotonic


@dataclass(slots=True)
class Draft:
    """A plan in the making, with the resources that its own actions already took."""

    desired: Desired
    ledger: Ledger
    nodes: tuple[Node, ...]
    me: Me
    used: dict[NodeName, Used]
    actions: list[Action] = field(default_factory=list)
    waiting: dict[ProjectName, Waiting] = field(default_factory=dict)
    situations: set[str] = field(default_factory=set)
    wake_at: float | None = None
    heads: int = 0  # stages that wait and were met so far
    kept: dict[NodeName, str] = field(default_factory=dict)  # nodes that are kept free, and for which run
    reserved: str = ""  # the run for which this node is
    ttl: float = field(init=False)  # the site's, in seconds
    live: frozenset[NodeName] = field(init=False)
    _by_name: dict[NodeName, Node] = field(init=False)
    _fleet: Fleet | None = field(default=None, init=False)
    _limits: Limits | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """What thousands of projects ask for is worked out once."""
        self.ttl = self.desired.site.ttl.total_seconds()
        self.live = frozenset(node.name for node in self.nodes if node.is_live(self.ttl))
        self._by_name = {node.name: node for node in self.nodes}

    def node(self, name: NodeName) -> Node | None:
        return self._by_name.get(name)

    @property
    def fleet(self) -> Fleet:
        """All nodes, with what this plan has taken so far. Nothing may be added to ``used`` behind its back."""
        if self._fleet is None:
            self._fleet = Fleet(self.nodes, self.desired, self.used, ttl=self.ttl)
        return self._fleet

    @property
    def limits(self) -> Limits:
        if self._limits is None:
            self._limits = Limits(self.desired, open_claims(self.ledger))
        return self._limits

    def take(self, requires: Requires, gpus: tuple[str, ...]) -> None:
        """For a claim of this very node."""
        name = self.me.name
        self.fleet.take(name, requires, gpus)
        self.used[name] = self.used.get(name, Used()).plus(requires, gpus)

    def age(self, situation: str) -> float:
        """Seconds since we first met this situation (0.0 the first time)."""
        self.situations.add(situation)
        return self.me.monotonic - self.me.since.get(situation, self.me.monotonic)

    def wake_in(self, seconds: float) -> None:
        at = self.me.monotonic + max(seconds, 0.0)
        self.wake_at = at if self.wake_at is None else min(self.wake_at, at)

    def wait(self, project: ProjectName, wait: Wait) -> None:
        self.waiting[project] = Waiting(
            project=project,
            phase=wait.phase,
            because=wait.reason,
            message=wait.message,
            edit=wait.edit,
        )

    def header(self, number: RecordNumber) -> Header:
        return Header(number=number, token=UNSIGNED, share=self.ledger.share, node=self.me.name, at=self.me.now)

    def is_behind(self, history: ProjectHistory) -> bool:
        """Does our clone lack the newest commit that somebody acted on? Then our view of what people want is older."""
        return history.last_commit is not None and history.last_commit not in self.me.contained
