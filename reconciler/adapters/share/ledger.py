"""The records of projects, runs and the site: read into a ``Ledger``, published one by one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from reconciler.adapters.share.attempts import Attempts
from reconciler.adapters.share.files import Files
from reconciler.adapters.share.layout import Layout
from reconciler.adapters.share.names import is_there
from reconciler.adapters.share.records import RecordStore, Sharing, record_name
from reconciler.adapters.share.retired import RetiredProjects
from reconciler.codec.records import dump_record, load_record
from reconciler.core.ledger import Ledger, ProjectHistory, Retired, Run, RunPhase
from reconciler.core.names import ProjectName, ShareId, Token
from reconciler.core.records import (
    Aborted,
    Claim,
    Deleted,
    DesiredSeen,
    Done,
    Failed,
    Lost,
    ProjectRecord,
    Purged,
    Rebuilt,
    Released,
    Restored,
    RewriteAccepted,
    RunCreated,
    RunRecord,
    SiteRecord,
)
from reconciler.errors import RecordUnreadable

R = TypeVar("R")


def loader(*kinds: type[R]) -> Callable[[bytes], R]:
    """A loader that refuses records of other kinds: a project's record has no business among a run's."""

    def load(content: bytes) -> R:
        record = load_record(content)
        if not isinstance(record, kinds):
            raise RecordUnreadable(f"a {type(record).__name__} record stands where it doesn't belong")
        return record

    return load


class LedgerFiles:
    """Remembers what can't change: records, dates, settled runs. Raises OSError as ``files`` does."""

    def __init__(
        self, layout: Layout, files: Files, attempts: Attempts, *, writer: str, check: Callable[[], object]
    ) -> None:
        self.retired = RetiredProjects(layout, files, loader(Purged))
        self._layout = layout
        self._files = files
        self._attempts = attempts
        shared: Sharing = {"writer": writer, "files": files, "check": check}
        self._projects: RecordStore[ProjectRecord] = RecordStore(
            layout.tmp, loader(DesiredSeen, RunCreated, Deleted, Restored, Purged, Rebuilt), **shared
        )
        self._runs: RecordStore[RunRecord] = RecordStore(
            layout.tmp, loader(Claim, Done, Failed, Released, Aborted, Lost, Rebuilt), **shared
        )
        self._site: RecordStore[SiteRecord] = RecordStore(layout.tmp, loader(RewriteAccepted), **shared)
        self._deleted_at: dict[Path, datetime] = {}
        self._started: dict[Path, datetime] = {}
        self._settled: dict[Token, Run] = {}  # final, output published: nothing about them changes any more

    # --- reading ---

    def read(self, share: ShareId) -> Ledger:
        """Everything that is recorded. Cached records are not read again; settled runs are not even listed again."""
        projects: dict[ProjectName, ProjectHistory] = {}
        unreadable: dict[ProjectName, str] = {}
        names = {ProjectName(name) for name in self._files.names(self._layout.projects)}
        retired = self.retired.read()
        for name in sorted({*names, *retired}):
            if name not in names and isinstance(left := retired[name], Retired):  # years of them: no further look
                projects[name] = ProjectHistory(retired=left)
                continue
            try:
                history = self._history(name, retired.get(name))
            except RecordUnreadable as error:
                unreadable[name] = str(error)
                continue
            except PermissionError as error:  # somebody's own directory must not stop the site
                unreadable[name] = f"{error.filename} can't be read: {error.strerror}; check its owner and mode"
                continue
            if history.records or history.retired:
                projects[name] = history
        site = self._site.read(self._layout.site_records)
        return Ledger(share=share, projects=projects, unreadable=unreadable, remains=self.retired.remains(), site=site)

    def _history(self, project: ProjectName, retired: Retired | RecordUnreadable | None) -> ProjectHistory:
        if isinstance(retired, RecordUnreadable):
            raise retired
        directory = self._layout.project_records(project)
        records = self._projects.read(directory, above=retired.record if retired else 0)
        runs = tuple(self.run(project, record) for record in records if isinstance(record, RunCreated))
        history = ProjectHistory(records=records, runs=runs, retired=retired)
        if isinstance(last := history.lifecycle, Deleted):
            return replace(history, deleted_at=self._written_at(directory / record_name(last.number)))
        return history

    def _written_at(self, record: Path) -> datetime | None:
        """When a record was written, by the share's clock; None if it was taken away this very moment."""
        if record not in self._deleted_at:
            try:
                _, self._deleted_at[record] = self._files.read_dated(record)
            except FileNotFoundError:
                return None
        return self._deleted_at[record]

    def run(self, project: ProjectName, created: RunCreated) -> Run:
        if created.token in self._settled:
            return self._settled[created.token]
        directory = self._layout.run_records(project, created.run, created.stage)
        run = Run(created=created, records=self._runs.read(directory))
        run = replace(
            run, started_at=self._started_at(project, run), output_published=self._is_output_published(project, run)
        )
        if run.is_final and run.output_published:
            self._settled[created.token] = run
        return run

    def _started_at(self, project: ProjectName, run: Run) -> datetime | None:
        claim = run.last_claim
        if claim is None:
            return None
        directory = self._layout.claim(project, run.number, run.stage, claim.number)
        if directory not in self._started and (found := self._attempts.started_at(directory)) is not None:
            self._started[directory] = found
        return self._started.get(directory)

    def _is_output_published(self, project: ProjectName, run: Run) -> bool:
        """True also of what ended otherwise than well: nothing is left to publish."""
        if run.phase is not RunPhase.SUCCEEDED:
            return run.is_final
        return is_there(self._files, self._layout.output(project, run.number, run.stage))

    # --- publishing: True if the record stands now under its number, False if somebody else's does ---

    def publish_project(self, project: ProjectName, record: ProjectRecord) -> bool:
        """Only a project's first record makes its directory.

        A purge in between can leave our record in a namesake's directory, under a number that counts no more: hence
        the second look at what was retired. One before must not leave it in what was moved away: hence the opening.
        """
        directory = self._layout.project_records(project)
        is_first = record.number == self.retired.last(project) + 1
        self._files.refresh(self._layout.projects)
        within = None if is_first else directory
        stands = self._projects.publish(directory, record.number, dump_record(record), record.token, within=within)
        return stands and self.retired.last(project) < record.number

    def publish_run(self, project: ProjectName, created: RunCreated, record: RunRecord) -> bool:
        directory = self._layout.run_records(project, created.run, created.stage)
        within = self._layout.project(project)
        return self._runs.publish(directory, record.number, dump_record(record), record.token, within=within)

    def publish_site(self, record: SiteRecord) -> bool:
        return self._site.publish(self._layout.site_records, record.number, dump_record(record), record.token)
