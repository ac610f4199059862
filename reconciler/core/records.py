"""Records: immutable, numbered files on the shared directory, and nothing else is ever decided or done by.

Two kinds of histories exist. A *project's* records order what people asked and what was decided; a
*run's* records say who may act on it. The number of a CLAIM is its fencing token: whatever record
stands at the next number decides what became of it. What follows from them is in ``ledger``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.core.desired import Network, OnSuspect, Pull, Requires, Then, Workspace
from reconciler.core.environment import Setting
from reconciler.core.names import (
    Blob,
    Commit,
    NodeName,
    PipelineName,
    RecordNumber,
    RunNumber,
    ShareId,
    StageName,
    Token,
)

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every record carries. ``at`` is for people, and for who has waited longest; no rule of safety reads it."""

    number: RecordNumber
    token: Token
    share: ShareId
    node: NodeName
    at: datetime
    version: int = RECORD_VERSION


# --- a project's records -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredSeen(Record):
    """DESIRED: the project's file changed in git, or one that it builds on. Later RUNs are decided from this or newer.

    ``request`` is the canonical form of the file's ``next``; ``open_run`` the run that was still going
    when this was published (a request made meanwhile does not survive that run's failure).
    """

    commit: Commit
    blob: Blob
    digest: str = ""  # of the other files, too; empty: written by a Winslow that did not look at them
    paused: bool = False
    request: str | None = None
    abort: RunNumber | None = None
    open_run: RunNumber | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Whose workspace a run starts from: the directory of that run's accepted claim. No run: ``init/``."""

    run: RunNumber
    stage: StageName
    claim: RecordNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCreated(Record):
    """RUN: everything an attempt needs, frozen. All attempts of the run use exactly this."""

    run: RunNumber
    stage: StageName
    commit: Commit
    pipeline: PipelineName
    pipeline_blob: Blob
    request: str | None = None
    then: Then = Then.CONTINUE
    image: str | None = None
    image_digest: str | None = None  # all attempts use it; None: the creator runs processes, or could not resolve it
    pull: Pull = Pull.MISSING
    command: tuple[str, ...] = ()
    process_command: tuple[str, ...] = ()
    environment: Mapping[str, Setting] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    requires: Requires = field(default_factory=Requires)
    timeout: float | None = None  # seconds
    ttl: float | None = None  # seconds; None: the site's
    retries_limit: int = 2
    retries_backoff: float = 60.0  # seconds
    retries_exit_codes: tuple[int, ...] = ()
    workspace: Workspace = Workspace.CONTINUE
    network: Network = Network.NONE
    on_suspect: OnSuspect = OnSuspect.KEEP
    shm_size: int | None = None
    base: Base | None = None
    skip_unchanged: bool = False
    is_last: bool = False  # nothing followed this stage in the pipeline when the run was created


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted(Record):
    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored(Record):
    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged(Record):
    """PURGED: the retention of a deleted project is over; whoever reads this takes its directory away.

    Like any record it competes for its number: a RESTORED that stands there first keeps everything. It is all that
    stays of the project, hence it says where a namesake's runs continue.
    """

    commit: Commit
    last_run: RunNumber  # 0: there was none


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt(Record):
    """REBUILT, among a project's records or a run's: what stood here was lost with the share, and nobody knows it.

    The last one of a rebuilding closes a project's history: whoever froze before it finds its next number taken.
    """

    observed: Commit  # the commit of the branch observed by which the ledger was restored
    commit: Commit  # of main, by which that was published
    lost: tuple[RunNumber, ...] = ()  # runs whose files are gone: nothing can start from their workspaces


ProjectRecord = DesiredSeen | RunCreated | Deleted | Restored | Purged | Rebuilt


# --- the site's records --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteAccepted(Record):
    """A person accepts that main's history was rewritten: work goes on from ``head``.

    ``superseded`` are the commits that projects' records name and ``head`` does not contain; from now on they
    count as contained, also on nodes whose clone never had them.
    """

    head: Commit
    superseded: tuple[Commit, ...] = ()


SiteRecord = RewriteAccepted


# --- a run's records -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Record):
    """CLAIM: this node acts on the run from here on, in directory ``number`` and in nobody else's."""

    because: str  # Fresh, Retry, Takeover
    boot: str
    incarnation: str
    runtime: str
    gpus: tuple[str, ...] = ()  # device UUIDs this claim holds


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPointer:
    """Where a run's output lies, relative to the share, and how to check that it is whole."""

    path: str
    bytes: int = 0
    lines: int = 0
    sha256: str = ""
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One file that a run was given, as it was then."""

    path: str  # as declared, or below a declared directory
    size: int  # bytes
    modified: datetime  # by the share's clock, in whole milliseconds
    sha256: str = ""  # empty: not known (yet); of a directory with very many files it is a digest of their list
    changed: bool = False  # while the run read it: what the run saw is not quite this
    unread: bool = False  # no file: a link to a directory, or a pipe; nobody knows what a program finds there


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUsed:
    uuid: str
    model: str = ""
    driver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What an attempt used in all. Sizes in bytes, shares from 0 to 1; None: it could not be measured."""

    peak_memory: int | None = None
    cpu_hours: float | None = None
    read: int | None = None
    written: int | None = None
    received: int | None = None
    sent: int | None = None
    gpu_hours: float | None = None  # held, used or not
    mean_gpu: float | None = None
    peak_gpu: float | None = None
    peak_gpu_memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Record):
    """How the program of the preceding CLAIM ended."""

    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    image_digest: str | None = None
    results: Mapping[str, str] = field(default_factory=dict)
    log: LogPointer | None = None
    resources: Resources | None = None
    inputs: tuple[InputFile, ...] = ()
    gpus: tuple[GpuUsed, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)  # of Winslow, the engine, the kernel
    reused: RunNumber | None = None  # nothing ran: the files are that run's, which had the same inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Outcome):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Outcome):
    reason: str  # ExitCode, OutOfMemory, TimedOut, ImageNotFound, CommandNotFound, ...
    message: str
    final: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Record):
    """RELEASED: the claimant gives the run up without an end of the program.

    ``counts``: whether this uses up an attempt. A lost container does, a node that hands over does not.
    """

    reason: str  # Lost, Rebooted, EngineRestarted, ContainerMissing, Suspect, Drained, GpuLost, LimitReached, ...
    message: str = ""
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted(Record):
    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Record):
    reason: str
    message: str = ""


RunRecord = Claim | Done | Failed | Released | Aborted | Lost | Rebuilt
