"""The ledger: all records on the shared directory, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.core.names import (
    Commit,
    ProjectName,
    RecordNumber,
    RunNumber,
    ShareId,
    StageName,
)
from reconciler.core.records import (
    Aborted,
    Claim,
    Deleted,
    DesiredSeen,
    Done,
    Failed,
    Lost,
    Outcome,
    ProjectRecord,
    Purged,
    Rebuilt,
    Released,
    Restored,
    RunCreated,
    RunRecord,
    SiteRecord,
)

_LIVES = (Deleted, Restored, Purged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """What is left of a purged project: its last numbers and commit. A namesake continues above and after them."""

    record: RecordNumber
    run: RunNumber  # 0: nothing ever ran
    commit: Commit


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
        for record in reversed(self.records):
            if isinstance(record, _LIVES):
                return record
        return None

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

    @property
    def lost_files(self) -> frozenset[RunNumber]:
        """Runs whose files were lost with the share, all rebuildings taken together."""
        return frozenset(run for record in self.records if isinstance(record, Rebuilt) for run in record.lost)

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
