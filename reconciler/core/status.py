"""The one contract of CLI, page and API: what everything looks like to a person, as plain values.

Serialised by ``codec.status`` with exactly these names; times are RFC 3339 in UTC, ``log`` and other
paths are relative to the share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.core.desired import Requires
from reconciler.core.ledger import RunPhase
from reconciler.core.names import NodeName, PipelineName, ProjectName, RunNumber, StageName
from reconciler.core.nodes import Inventory
from reconciler.core.records import GpuUsed, InputFile, Resources

STATUS_VERSION = 1


class ProjectPhase(StrEnum):
    QUEUED = "Queued"
    RUNNING = "Running"
    PAUSED = "Paused"
    AWAITING_INPUT = "AwaitingInput"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"
    INVALID = "Invalid"
    DELETING = "Deleting"


class StageState(StrEnum):
    """The thesis' four words."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    SUCCEEDED = "SUCCEEDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """For machines: a CamelCase type and reason; ``status`` is True, False or Unknown as a word."""

    type: str
    status: str
    reason: str
    message: str


def condition(kind: str, message: str) -> Condition:
    """A fact that holds; its type is its reason."""
    return Condition(type=kind, status="True", reason=kind, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFor:
    """What a project waits for. ``edit`` is the YAML to paste, ``url`` where to paste it."""

    reason: str
    message: str
    since: datetime | None = None
    edit: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStatus:
    stage: StageName
    state: StageState | None
    run: RunNumber | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimStatus:
    """One attempt: the number of its CLAIM among the run's records."""

    record: int
    node: NodeName
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    run: RunNumber
    stage: StageName
    phase: RunPhase
    node: NodeName | None
    attempts: int
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    log: str | None
    reason: str | None = None
    message: str | None = None
    progress: float | None = None  # percent, of a running stage
    results: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)  # secrets masked
    sources: Mapping[str, str] = field(default_factory=dict)  # of each variable: the level that set it
    secrets: Mapping[str, str] = field(default_factory=dict)  # of each masked variable: the secret's name
    image: str | None = None
    image_digest: str | None = None
    commit: str | None = None  # the desired commit that asked
    workspace: str | None = None
    output: str | None = None
    tail: tuple[str, ...] = ()  # the last lines of the log, once it has ended
    log_sha256: str | None = None
    base: RunNumber | None = None  # whose workspace it began from; None: the project's init/, or an empty one
    inputs: tuple[str, ...] = ()
    record: int | None = None  # number and token of the run's last record
    token: str | None = None
    pipeline: PipelineName | None = None  # as it was when the run was created
    request: str | None = None  # the `next` that it answered, in its canonical form
    is_last: bool = False  # nothing followed this stage in the pipeline
    base_claim: int | None = None  # of the run ``base``: the claim whose workspace this one began from
    created: int | None = None  # number of its RUN among the project's records
    claims: tuple[ClaimStatus, ...] = ()
    command: tuple[str, ...] = ()
    process_command: tuple[str, ...] = ()
    resources: Resources | None = None  # once it has ended
    input_files: tuple[InputFile, ...] = ()
    gpus: tuple[GpuUsed, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    reused: RunNumber | None = None
    requires: Requires | None = None  # what its stage asked for
    now: str | None = None  # while it starts, e.g. how far its image is pulled; changes all the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A branch that Winslow prepared: merging it goes on. ``url`` is where the forge lets a person merge it."""

    branch: str
    title: str  # what merging does: "Start stage 'track' after run 3"
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStatus:
    project: ProjectName
    name: str
    pipeline: PipelineName
    tags: tuple[str, ...]
    phase: ProjectPhase
    waiting_for: WaitingFor | None
    conditions: tuple[Condition, ...]
    last_run: RunNumber | None
    stages: tuple[StageStatus, ...]
    runs: tuple[RunStatus, ...]
    path: str = ""  # of the project's file in the state repository
    offers: tuple[Offer, ...] = ()
    nodes: Mapping[NodeName, str] = field(default_factory=dict)  # while it waits for one: of each its rank, or why not
    record: int | None = None  # number and token of the project's last record
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """One GPU of a node, or an instance of one; memory in bytes."""

    uuid: str
    model: str = ""
    memory: int = 0
    vendor: str = "nvidia"
    capability: str = ""
    driver: str = ""
    parent: str = ""  # UUID of the GPU that this is an instance of
    fault: str = ""  # why no stage gets it now
    holder: str = ""  # the run that it is given to, "project/0004-detect"; several by commas where they share it
    busy: str = ""  # who uses it although it is given to nobody, e.g. "python (pid 4711)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    node: NodeName
    live: bool | None  # None: not known (read from git alone)
    silent_for: float | None  # seconds without a heartbeat, as seen by the reader
    runtime: str
    cpus: float
    memory: int  # bytes
    gpus: tuple[str, ...]
    labels: Mapping[str, str]
    drained: bool
    running: tuple[str, ...]  # "project/0004-detect"
    started_at: datetime | None
    versions: Mapping[str, str] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    devices: tuple[DeviceStatus, ...] = ()
    inventory: Inventory = field(default_factory=Inventory)
    cpus_used: float = 0.0  # reserved by open claims, used or not
    memory_used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    projects: tuple[ProjectStatus, ...]
    nodes: tuple[NodeStatus, ...]
    conditions: tuple[Condition, ...] = ()  # of the site: SourceUnreachable, ShareUnreachable, FileBroken, ...
    commit: str | None = None
    version: int = STATUS_VERSION
    share: str | None = None  # the identity of the share whose ledger this was made from
