"""The ledger: immutable, numbered records on the shared directory, and what follows from them.

Two kinds of histories exist. A *project's* records order what people asked and what was decided; a
*run's* records say who may act on it. The number of a CLAIM is its fencing token: whatever record
stands at the next number decides what became of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.core.desired import Network, Requires, Then, Workspace
from reconciler.core.environment import Setting
from reconciler.core.names import (
    Blob,
    Commit,
    NodeName,
    PipelineName,
    ProjectName,
    RecordNumber,
    RunNumber,
    ShareId,
    StageName,
    Token,
)

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every record carries. ``at`` is for people; no rule reads it."""

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
    command: tuple[str, ...] = ()
    process_command: tuple[str, ...] = ()
    environment: Mapping[str, Setting] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    requires: Requires = field(default_factory=Requires)
    timeout: float | None = None  # seconds
    retries_limit: int = 2
    retries_backoff: float = 60.0  # seconds
    retries_exit_codes: tuple[int, ...] = ()
    workspace: Workspace = Workspace.CONTINUE
    network: Network = Network.NONE
    shm_size: int | None = None
    base: Base | None = None
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


ProjectRecord = DesiredSeen | RunCreated | Deleted | Restored | Purged


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """What is left of a purged project: its last numbers and commit. A namesake continues above and after them."""

    record: RecordNumber
    run: RunNumber  # 0: nothing ever ran
    commit: Commit


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
class Outcome(Record):
    """How the program of the preceding CLAIM ended."""

    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    image_digest: str | None = None
    results: Mapping[str, str] = field(default_factory=dict)
    log: LogPointer | None = None


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

    reason: str  # Lost, EngineRestarted, ContainerMissing, Drained
    message: str = ""
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted(Record):
    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Record):
    reason: str
    message: str = ""


RunRecord = Claim | Done | Failed | Released | Aborted | Lost


# --- what follows from them ----------------------------------------------------------------------


class RunPhase(StrEnum):
    STARTING = "Starting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ABORTED = "Aborted"
    LOST = "Lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run's history. ``started_at`` and ``progress`` come from the current claim's events file."""

    created: RunCreated
    records: tuple[RunRecord, ...] = ()
    started_at: datetime | None = None
    output_published: bool = False

    @property
    def number(self) -> RunNumber:
        return self.created.run

    @property
    def stage(self) -> StageName:
        return self.created.stage

    @property
    def last(self) -> RunRecord | None:
        return self.records[-1] if self.records else None

    @property
    def next_number(self) -> RecordNumber:
        return RecordNumber(len(self.records) + 1)

    @property
    def claim(self) -> Claim | None:
        """The claim in force: the last record, if it is a CLAIM."""
        return self.last if isinstance(self.last, Claim) else None

    @property
    def last_claim(self) -> Claim | None:
        return next((record for record in reversed(self.records) if isinstance(record, Claim)), None)

    @property
    def attempts(self) -> int:
        return sum(isinstance(record, Claim) for record in self.records)

    @property
    def attempts_used(self) -> int:
        """Attempts that count against the run's retries: all claims but those handed over on purpose."""
        return self.attempts - sum(isinstance(record, Released) and not record.counts for record in self.records)

    @property
    def outcome(self) -> Outcome | None:
        return self.last if isinstance(self.last, Outcome) else None

    @property
    def is_final(self) -> bool:
        match self.last:
            case Failed(final=final):
                return final
            case Done() | Aborted() | Lost():
                return True
            case _:
                return False

    @property
    def phase(self) -> RunPhase:
        match self.last:
            case Done():
                return RunPhase.SUCCEEDED
            case Failed(final=True):
                return RunPhase.FAILED
            case Aborted():
                return RunPhase.ABORTED
            case Lost():
                return RunPhase.LOST
            case Claim() if self.started_at is not None:
                return RunPhase.RUNNING
            case _:
                return RunPhase.STARTING


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectHistory:
    records: tuple[ProjectRecord, ...] = ()
    runs: tuple[Run, ...] = ()  # in order of their numbers
    retired: Retired | None = None  # a namesake was purged before: numbers go on above its own
    deleted_at: datetime | None = None  # when DELETED was written, by the share's clock; only while it is deleted

    @property
    def next_number(self) -> RecordNumber:
        return RecordNumber((self.retired.record if self.retired else 0) + len(self.records) + 1)

    @property
    def next_run(self) -> RunNumber:
        return RunNumber(self.last_number + 1)

    @property
    def last_number(self) -> RunNumber:
        """Of the last run, also of a namesake that was purged; 0: there was none."""
        if self.last_run is not None:
            return self.last_run.number
        return self.retired.run if self.retired else RunNumber(0)

    @property
    def lifecycle(self) -> Deleted | Restored | Purged | None:
        """Whichever came last; None: it was never deleted."""
        words = (record for record in reversed(self.records) if isinstance(record, Deleted | Restored | Purged))
        return next(words, None)

    @property
    def is_deleted(self) -> bool:
        return isinstance(self.lifecycle, Deleted | Purged)

    @property
    def is_purged(self) -> bool:
        """Its directory is about to go; whatever has its name afterwards is a new project."""
        return isinstance(self.lifecycle, Purged)

    @property
    def last_run(self) -> Run | None:
        return self.runs[-1] if self.runs else None

    @property
    def last_desired(self) -> DesiredSeen | None:
        return next((record for record in reversed(self.records) if isinstance(record, DesiredSeen)), None)

    @property
    def last_commit(self) -> Commit | None:
        """The newest commit that anybody acted on here, a namesake's purge included: each descends from the last."""
        if self.records:
            return self.records[-1].commit
        return self.retired.commit if self.retired else None

    def run(self, number: RunNumber) -> Run | None:
        return next((run for run in self.runs if run.number == number), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    share: ShareId
    projects: Mapping[ProjectName, ProjectHistory] = field(default_factory=dict)  # purged ones without any record
    remains: tuple[tuple[ProjectName, RecordNumber], ...] = ()  # purged, by PURGED's number; files are still there
    unreadable: Mapping[ProjectName, str] = field(default_factory=dict)  # records that can't be read: why
    site: tuple[SiteRecord, ...] = ()

    def history(self, project: ProjectName) -> ProjectHistory:
        return self.projects.get(project, ProjectHistory())
