"""What the agent asks of a runtime and what a runtime reports: values that describe, never objects that act."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.core.desired import Network, Pull
from reconciler.core.ledger import Run
from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, ShareId, StageName, Token
from reconciler.core.nodes import Gpu
from reconciler.core.records import Claim


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ClaimKey:
    """Names one attempt: a container carries exactly this in its labels."""

    share: ShareId
    project: ProjectName
    run: RunNumber
    stage: StageName
    number: RecordNumber
    token: Token

    @property
    def slug(self) -> str:
        """Deterministic container name; the engine's uniqueness of names stops a second start."""
        return f"winslow-{self.project}-{self.run:04d}-{self.stage}-{self.number}-{self.token[:8]}"


def claim_key(project: ProjectName, run: Run, claim: Claim) -> ClaimKey:
    return ClaimKey(
        share=claim.share,
        project=project,
        run=run.number,
        stage=run.stage,
        number=claim.number,
        token=claim.token,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Absolute directories on this node; in a container they are /workspace, /output, /input, /resources."""

    claim: str  # holds log.jsonl, events.jsonl
    workspace: str
    output: str
    input: str
    resources: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Everything a runtime needs to start one attempt."""

    key: ClaimKey
    node: NodeName
    image: str | None
    command: tuple[str, ...]
    environment: Mapping[str, str]  # complete except for the WINSLOW_* directories and WINSLOW_INPUTS
    paths: Paths
    inputs: tuple[str, ...] = ()  # relative to the share: resources/... or input/... (of the project)
    cpus: float = 1.0
    memory: int = 0  # bytes; 0: no limit
    disk: int = 0  # bytes
    gpus: tuple[Gpu, ...] = ()
    shares_gpus: bool = False  # other stages that say so may use them, too
    pull: Pull = Pull.MISSING
    network: Network = Network.NONE
    shm_size: int | None = None
    attempt: int = 1


class ContainerState(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One attempt's container or process as the runtime finds it now.

    ``boot`` is the boot id under which it was started: an end found under another one is not believed.
    ``engine_since`` is when the engine that tells of an end was itself started: whatever had ended before ended
    under another one, whether or not anybody was there to see that one go.
    """

    key: ClaimKey
    handle: str  # the engine's id, or the supervisor's state file
    state: ContainerState
    boot: str
    paused: bool = False  # frozen by a person; it counts as running
    removed: bool = False  # by a person: nobody knows how it ended
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""  # the engine's own words, e.g. why it could not start
    started_at: datetime | None = None
    ended_at: datetime | None = None
    engine_since: datetime | None = None  # None: it still runs, or nobody knows
    live_restore: bool = False  # that engine leaves containers alone when it stops and starts
    image_digest: str | None = None
    pid: int | None = None  # of its first process on this machine, while it runs
    gpus: tuple[str, ...] = ()  # devices that it holds
    limits: Mapping[str, str] = field(default_factory=dict)
