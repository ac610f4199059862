"""Nodes: what they offer, and whether they live.

Dead is observed, never compared: an observer adds up, on its own monotonic clock, how long a node's
heartbeat bytes stayed the same while the observer's own reads and writes on the share succeeded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.core.names import NodeName, ProjectName, RecordNumber, ShareId, Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One device that can be given to a stage: a GPU, or an instance of one (MIG)."""

    uuid: str  # NVIDIA's own; AMD's unique id, or its place on the bus
    model: str = ""
    memory: int = 0  # bytes
    vendor: str = "nvidia"
    capability: str = ""  # CUDA compute capability, e.g. "8.6"
    driver: str = ""
    parent: str = ""  # UUID of the GPU that this is an instance of
    device: str = ""  # render node, e.g. /dev/dri/renderD128: how AMD's are given to a container
    fault: str = ""  # why it can't be used now, for people; no stage gets it


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    path: str
    size: int  # bytes
    kind: str = ""  # its file system


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    name: str
    speed: int = 0  # Mbit/s; 0: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The machine as it is, for people: nothing is decided by it. Sizes in bytes."""

    hostname: str = ""
    kernel: str = ""
    processor: str = ""
    cores: int = 0
    memory: int = 0
    swap: int = 0
    disks: tuple[Disk, ...] = ()
    network: tuple[Interface, ...] = ()
    engine: Mapping[str, str] = field(default_factory=dict)  # e.g. {"docker": "20.10.24", "cgroup": "2"}


def described(before: Inventory, now: Inventory) -> Inventory:
    """``now``, with the disks' sizes of ``before`` where they differ by little: some file systems breathe."""
    sizes = {(disk.path, disk.kind): disk.size for disk in before.disks}
    known = ((disk, sizes.get((disk.path, disk.kind), disk.size)) for disk in now.disks)
    disks = (replace(disk, size=size) if abs(disk.size - size) < 0.1 * size else disk for disk, size in known)
    return replace(now, disks=tuple(disks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a node can give to stages: cpus, memory and disk in bytes, GPUs. Already minus the node's reserve."""

    cpus: float = 1.0
    memory: int = 0
    disk: int = 0  # free on the engine's disk when the node started; 0: not known
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """One start of a reconciler: its incarnation, the machine's boot, what it offers.

    When what it offers changes it publishes another one, with the same incarnation.
    """

    number: RecordNumber
    token: Token
    share: ShareId
    node: NodeName
    at: datetime
    incarnation: str
    boot: str
    home: str  # identity of the reconciler's private directory: the same machine's same installation
    runtime: str
    capacity: Capacity
    labels: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    pid: int = 0
    health: str = ""  # host:port of its HTTP port, for others to ask; empty: it has none
    inventory: Inventory = Inventory()
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """An observer's memory of one node's heartbeat. Seconds on the observer's monotonic clock."""

    incarnation: str
    content: bytes
    seen_at: float
    silent_for: float = 0.0


def listen(
    before: Pulse | None, *, incarnation: str, content: bytes, now: float, healthy: bool, period: float
) -> Pulse:
    """The next memory after reading a heartbeat at ``now``.

    Silence counts only while ``healthy`` (our own write on the share succeeded since the last look),
    and a gap between two looks counts for at most two heartbeat periods: if we slept, we saw nothing.
    """
    if before is None or before.incarnation != incarnation:
        return Pulse(incarnation=incarnation, content=content, seen_at=now)
    if before.content != content:
        return Pulse(incarnation=incarnation, content=content, seen_at=now)
    silent = before.silent_for + (min(now - before.seen_at, 2 * period) if healthy else 0.0)
    return replace(before, seen_at=now, silent_for=silent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What came of asking a node at its HTTP port while its heartbeat stood still. Seconds on our own clock."""

    ended: float | None = None  # since we last knew whether it answers; None: the first question is still open
    vouched: Mapping[Token, float] = field(default_factory=dict)  # claim -> since it last said that it acts on it


@dataclass(frozen=True, slots=True)
class Remark:
    """What only a run's claimant can know of it."""

    reason: str
    message: str
    now: str = ""  # what changes all the time, for those who look at this moment: never for git

    def as_of_now(self) -> "Remark":
        return replace(self, message=f"{self.message}: {self.now}", now="") if self.now else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """What a node says of itself with each beat, for others to rank it by. Late or wrong, it costs waste alone."""

    busy: Mapping[str, str] = field(default_factory=dict)  # GPU -> who else uses it, e.g. "python (pid 4711)"
    images: frozenset[str] = frozenset()  # of those that projects want, which are here
    load: float = 0.0  # share of the cpus that is busy, 0 to 1, whoever keeps them so
    reserved: str = ""  # it takes nothing that would delay this run ("crossing/3"), which has waited long


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node as the observer sees it."""

    name: NodeName
    record: NodeRecord
    starts: frozenset[str]  # incarnations of all its starts that the observer has seen
    silent_for: float = 0.0  # seconds
    inquiry: Inquiry | None = None  # None: nobody asks it
    conditions: Mapping[str, str] = field(default_factory=dict)  # type -> message, by its heartbeat; for people
    faults: Mapping[ProjectName, str] = field(default_factory=dict)  # what keeps a project from starting there
    remarks: Mapping[ProjectName, Remark] = field(default_factory=dict)  # about the runs that it has claimed
    availability: Availability = Availability()
    started_at: datetime | None = None  # for people; None: when its last record was written

    def is_live(self, ttl: float) -> bool:
        return self.silent_for < ttl

    def booted_since(self, boot: str) -> bool:
        """Did the machine reboot after ``boot``? Then every container of that boot has ended."""
        return self.record.boot != boot
