"""What really happened, as no node can know it: kept from the server's, the engines' and the remote's own view.

The invariants are asked about these, never about what some node believes.
"""

import re
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from reconciler.codec.records import AnyRecord, load_record
from reconciler.core.containers import Container, Order
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, ShareId, Token
from reconciler.core.nodes import NodeRecord
from reconciler.core.records import (
    Aborted,
    Claim,
    Deleted,
    DesiredSeen,
    Done,
    Failed,
    Lost,
    Purged,
    Released,
    Restored,
    RunCreated,
)
from tests.fakes.history import History
from tests.simulation.machine import Machine
from tests.simulation.setting import Setting

PROJECT = re.compile(r"projects/([^/]+)/records/(\d{8})\.json")
RUN = re.compile(r"projects/([^/]+)/runs/(\d+)-[^/]+/records/(\d{8})\.json")
NODE = re.compile(r"nodes/([^/]+)/records/(\d{8})\.json")
CLAIM_FILES = re.compile(r"projects/([^/]+)/runs/(\d+)-[^/]+/(\d+)/(.+)")
REMEMBERED = 40  # beats
OUTPUT = re.compile(r"projects/[^/]+/output/[^/]+")
PROJECT_KINDS = (DesiredSeen, RunCreated, Deleted, Restored, Purged)
RUN_KINDS = (Claim, Done, Failed, Released, Aborted, Lost)


class Violation(BaseException):
    """An invariant does not hold. No code under test catches it."""


def ask(invariant: Callable[..., None], *about: object) -> None:
    """A violation says which invariant does not hold."""
    try:
        invariant(*about)
    except Violation as violation:
        raise Violation(f"{invariant.__name__}: {violation}") from None


class Meter:
    """Adds up true time while something is so, and counts how often it ceased to be."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._since: float | None = now()
        self._total = 0.0
        self.breaks = 0

    def total(self) -> float:
        return self._total + (self._now() - self._since if self._since is not None else 0.0)

    def turn(self, *, on: bool) -> None:
        if on and self._since is None:
            self._since = self._now()
        elif not on and self._since is not None:
            self._total, self._since = self.total(), None
            self.breaks += 1


@dataclass(frozen=True)
class NewRecord:
    """A record that the server just took."""

    at: float
    by: Machine
    record: AnyRecord
    name: int  # the number that its file's name says
    project: ProjectName | None = None
    run: RunNumber | None = None
    before: AnyRecord | None = None  # the one right before it, None for a first one


@dataclass(frozen=True)
class Beat:
    at: float
    by: Machine
    healthy: dict[Machine, tuple[float, int]]  # of each observer: its meter's total and breaks at that moment


@dataclass
class Started:
    by: Machine
    boot: str
    container: Container | None = None  # how it ended
    lost_power: bool = False


@dataclass
class Facts:
    setting: Setting
    git: History
    now: Callable[[], float]
    share: ShareId
    machines: list[Machine] = field(default_factory=list)
    meters: dict[Machine, Meter] = field(default_factory=dict)
    projects: dict[ProjectName, ProjectHistory] = field(default_factory=dict)
    nodes: dict[NodeName, list[tuple[NodeRecord, Machine]]] = field(default_factory=lambda: defaultdict(list))
    beats: dict[NodeName, deque[Beat]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=REMEMBERED)))
    rival_beats: dict[Machine, list[tuple[float, Machine]]] = field(default_factory=lambda: defaultdict(list))
    claimed: dict[Token, tuple[Machine, str]] = field(default_factory=dict)  # who published the claim, in which boot
    followed_at: dict[Token, float] = field(default_factory=dict)  # when another record followed the claim
    prepared_at: dict[tuple[ProjectName, int, int], float] = field(default_factory=dict)
    started: dict[Token, Started] = field(default_factory=dict)
    outputs: set[str] = field(default_factory=set)  # published ones
    bytes_of: dict[str, bytes] = field(default_factory=dict)  # of every record's file
    published: Ledger | None = None  # what the newest push told of

    def machine(self, life: object) -> Machine:
        return next(machine for machine in self.machines if machine.life is life)

    def named(self, name: str) -> Machine:
        return next(machine for machine in self.machines if machine.name == name)

    def ledger(self) -> Ledger:
        return Ledger(share=self.share, projects=dict(self.projects))

    def history(self, project: ProjectName) -> ProjectHistory:
        return self.projects.get(project, ProjectHistory())

    def add(self, path: str, content: bytes, by: Machine) -> NewRecord | None:
        """None: no record's name."""
        record = load_record(content)
        if found := RUN.fullmatch(path):
            new = self._run_record(found, record, by)
        elif found := PROJECT.fullmatch(path):
            new = self._project_record(found, record, by)
        elif found := NODE.fullmatch(path):
            new = self._node_record(found, record, by)
        else:
            return None
        self.bytes_of[path] = content
        return new

    def _run_record(self, found: re.Match[str], record: AnyRecord, by: Machine) -> NewRecord:
        project, number = ProjectName(found[1]), RunNumber(int(found[2]))
        history = self.history(project)
        run = history.run(number)
        before = run.last if run is not None else None
        if isinstance(record, Claim):
            self.claimed[record.token] = (by, record.boot)
        if isinstance(before, Claim):
            self.followed_at[before.token] = self.now()
        assert isinstance(record, RUN_KINDS), f"{record} stands among a run's records"
        if run is not None:
            grown = replace(run, records=(*run.records, record))
            runs = tuple(grown if one.number == number else one for one in history.runs)
            self.projects[project] = replace(history, runs=runs)
        return NewRecord(self.now(), by, record, int(found[3]), project, number, before)

    def _project_record(self, found: re.Match[str], record: AnyRecord, by: Machine) -> NewRecord:
        project = ProjectName(found[1])
        history = self.history(project)
        before = history.records[-1] if history.records else None
        assert isinstance(record, PROJECT_KINDS), f"{record} stands among a project's records"
        runs = (*history.runs, Run(created=record)) if isinstance(record, RunCreated) else history.runs
        self.projects[project] = replace(history, records=(*history.records, record), runs=runs)
        return NewRecord(self.now(), by, record, int(found[2]), project, None, before)

    def _node_record(self, found: re.Match[str], record: AnyRecord, by: Machine) -> NewRecord:
        known = self.nodes[NodeName(found[1])]
        before = known[-1][0] if known else None
        assert isinstance(record, NodeRecord), f"{record} stands among a node's records"
        known.append((record, by))
        return NewRecord(self.now(), by, record, int(found[2]), None, None, before)

    def beat(self, node: NodeName, by: Machine) -> None:
        self.beats[node].append(Beat(self.now(), by, self.heard()))

    def heard(self) -> dict[Machine, tuple[float, int]]:
        return {one: (meter.total(), meter.breaks) for one, meter in self.meters.items()}

    def claim_of(self, order: Order) -> Claim | None:
        run = self.history(order.key.project).run(order.key.run)
        if run is None or len(run.records) < order.key.number:
            return None
        record = run.records[order.key.number - 1]
        return record if isinstance(record, Claim) and record.token == order.key.token else None

    def run_record(self, project: ProjectName, run: RunNumber, number: RecordNumber) -> AnyRecord | None:
        found = self.history(project).run(run)
        return found.records[number - 1] if found is not None and len(found.records) >= number else None
