"""``SharedDirectory``: what the agent and the readers do with the share, behind one door.

Every write first checks that this really is the share (its identity file), so that a mount that fell off
never turns into records on a local disk.
"""

import json
import os
import secrets
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from reconciler.adapters.share import attempts
from reconciler.adapters.share.faults import translated
from reconciler.adapters.share.heartbeat import HeartbeatFile, read_heartbeat
from reconciler.adapters.share.layout import Layout
from reconciler.adapters.share.lock import ShareLock
from reconciler.adapters.share.names import is_there
from reconciler.adapters.share.records import RecordStore, record_name
from reconciler.adapters.share.retired import RetiredProjects
from reconciler.agent.ports import NodeFiles
from reconciler.codec.records import dump_record, load_record
from reconciler.core.containers import Paths
from reconciler.core.ledger import Ledger, ProjectHistory, Retired, Run, RunPhase
from reconciler.core.names import NodeName, ProjectName, RecordNumber, ShareId
from reconciler.core.nodes import NodeRecord
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
    Released,
    Restored,
    RewriteAccepted,
    RunCreated,
    RunRecord,
    SiteRecord,
)
from reconciler.errors import RecordUnreadable, ShareUnavailable

FORMAT = 1
R = TypeVar("R")


def _loader(*kinds: type[R]) -> Callable[[bytes], R]:
    """A loader that refuses records of other kinds: a project's record has no business among a run's."""

    def load(content: bytes) -> R:
        record = load_record(content)
        if not isinstance(record, kinds):
            raise RecordUnreadable(f"a {type(record).__name__} record stands where it doesn't belong")
        return record

    return load


class SharedDirectory:
    """One per process. Methods raise ShareUnavailable; they may block for as long as NFS does."""

    def __init__(self, root: Path, *, writer: str = "reader") -> None:
        self.layout = Layout(root)
        tmp = self.layout.tmp
        self._project_records: RecordStore[ProjectRecord] = RecordStore(
            tmp, _loader(DesiredSeen, RunCreated, Deleted, Restored, Purged), writer=writer
        )
        self._retired = RetiredProjects(self.layout, _loader(Purged))
        self._run_records: RecordStore[RunRecord] = RecordStore(
            tmp, _loader(Claim, Done, Failed, Released, Aborted, Lost), writer=writer
        )
        self._node_records: RecordStore[NodeRecord] = RecordStore(tmp, _loader(NodeRecord), writer=writer)
        self._site_records: RecordStore[SiteRecord] = RecordStore(tmp, _loader(RewriteAccepted), writer=writer)
        self._writer = writer
        self._emptying = threading.Lock()
        self._deleted_at: dict[Path, datetime] = {}
        self._started: dict[Path, datetime] = {}
        self._settled: dict[Path, Run] = {}  # final, output published: nothing about them changes any more
        self._share: ShareId | None = None

    # --- identity ---

    @staticmethod
    def create(root: Path) -> ShareId:
        """Make ``root`` a share, or return the identity it has already."""
        layout = Layout(root)
        with translated(root):
            needed = (layout.tmp, layout.resources, layout.projects, layout.nodes, layout.locks, layout.all_retired)
            for path in needed:
                path.mkdir(parents=True, exist_ok=True)
            draft = layout.tmp / f"identity.{secrets.token_hex(8)}"
            draft.write_text(json.dumps({"format": FORMAT, "share": str(uuid.uuid4())}) + "\n", encoding="utf-8")
            try:
                os.link(draft, layout.identity)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return SharedDirectory(root).identity()

    def identity(self) -> ShareId:
        """The share's UUID, read anew. ShareUnavailable if this is not a share, or not the one we began with."""
        path = self.layout.identity
        try:
            with translated(self.layout.root):
                found = json.loads(path.read_bytes())
                share, form = ShareId(str(found["share"])), int(found.get("format", FORMAT))
        except ShareUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise ShareUnavailable(
                    f"{self.layout.root} holds no winslow.json: is the share mounted there? "
                    f"To make a new share of it: winslow init --share {self.layout.root}"
                ) from None
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise ShareUnavailable(f"{path} is not a share's identity file; restore it from a backup") from error
        if form > FORMAT:
            raise ShareUnavailable(f"{path} has format {form} and this Winslow reads {FORMAT}; update Winslow here")
        if self._share is not None and share != self._share:
            raise ShareUnavailable(f"{self.layout.root} is now another share ({share}, was {self._share})")
        self._share = share
        return share

    # --- the ledger ---

    def read(self) -> Ledger:
        """Everything that is recorded. Cached records are not read again; settled runs are not even listed again."""
        share = self.identity()
        projects: dict[ProjectName, ProjectHistory] = {}
        unreadable: dict[ProjectName, str] = {}
        with translated(self.layout.root), os.scandir(self.layout.projects) as entries:
            names = {ProjectName(entry.name) for entry in entries}
            retired = self._retired.read()
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
            remains = self._retired.remains()
            site = self._site_records.read(self.layout.site_records)
        return Ledger(share=share, projects=projects, unreadable=unreadable, remains=remains, site=site)

    def _history(self, project: ProjectName, retired: Retired | RecordUnreadable | None) -> ProjectHistory:
        if isinstance(retired, RecordUnreadable):
            raise retired
        directory = self.layout.project_records(project)
        records = self._project_records.read(directory, above=retired.record if retired else 0)
        runs = tuple(self._run(project, record) for record in records if isinstance(record, RunCreated))
        history = ProjectHistory(records=records, runs=runs, retired=retired)
        if isinstance(last := history.lifecycle, Deleted):
            return replace(history, deleted_at=self._written_at(directory / record_name(last.number)))
        return history

    def _written_at(self, record: Path) -> datetime | None:
        """When a record was written, by the share's clock; None if it was taken away this very moment."""
        if record not in self._deleted_at:
            try:
                self._deleted_at[record] = datetime.fromtimestamp(record.stat().st_mtime, UTC)
            except FileNotFoundError:
                return None
        return self._deleted_at[record]

    def time(self) -> datetime:
        """The share's clock: what it says of a file that is written now."""
        draft = self.layout.tmp / f"{self._writer}.{secrets.token_hex(8)}"
        with translated(self.layout.root):
            try:
                with draft.open("xb") as file:
                    file.write(b"now")
                    file.flush()
                    os.fsync(file.fileno())
                return datetime.fromtimestamp(draft.stat().st_mtime, UTC)
            finally:
                draft.unlink(missing_ok=True)

    def _run(self, project: ProjectName, created: RunCreated) -> Run:
        directory = self.layout.run_records(project, created.run, created.stage)
        if directory in self._settled:
            return self._settled[directory]
        run = Run(created=created, records=self._run_records.read(directory))
        run = replace(
            run, started_at=self._started_at(project, run), output_published=self._is_output_published(project, run)
        )
        if run.is_final and run.output_published:
            self._settled[directory] = run
        return run

    def read_run(self, project: ProjectName, created: RunCreated) -> Run:
        """One run as it stands now: asked right before a container starts."""
        with translated(self.layout.root):
            return self._run(project, created)

    def _started_at(self, project: ProjectName, run: Run) -> datetime | None:
        claim = run.last_claim
        if claim is None:
            return None
        directory = self.layout.claim(project, run.number, run.stage, claim.number)
        if directory not in self._started and (found := attempts.started_at(directory)) is not None:
            self._started[directory] = found
        return self._started.get(directory)

    def _is_output_published(self, project: ProjectName, run: Run) -> bool:
        """True also of what ended otherwise than well: nothing is left to publish."""
        if run.phase is not RunPhase.SUCCEEDED:
            return run.is_final
        return is_there(self.layout.output(project, run.number, run.stage))

    def publish_project(self, project: ProjectName, record: ProjectRecord) -> bool:
        """True if the record stands now under its number, False if somebody else's does.

        Only a project's first record makes its directory. A purge in between can leave our record in a namesake's
        directory, under a number that counts no more: hence the second look at what was retired.
        """
        self.identity()
        with translated(self.layout.root):
            directory = self.layout.project_records(project)
            is_first = record.number == self._retired.last(project) + 1
            within = None if is_first else directory
            content = dump_record(record)
            stands = self._project_records.publish(directory, record.number, content, record.token, within=within)
            return stands and self._retired.last(project) < record.number

    def publish_run(self, project: ProjectName, created: RunCreated, record: RunRecord) -> bool:
        self.identity()
        with translated(self.layout.root):
            directory = self.layout.run_records(project, created.run, created.stage)
            within = self.layout.project(project)
            return self._run_records.publish(directory, record.number, dump_record(record), record.token, within=within)

    # --- the end of a project ---

    def purge(self, project: ProjectName, record: Purged) -> None:
        self.identity()
        with translated(self.layout.root):
            self._retired.take(project, record.number)

    def remove_remains(self, project: ProjectName, number: RecordNumber) -> bool:
        """One directory at a time on the whole share: more would only get in each other's way. False: one is at it."""
        if not self._emptying.acquire(blocking=False):  # the share's lock excludes other processes alone
            return False
        try:
            lock = self.try_lock("retired")
            if lock is None:
                return False
            try:
                with translated(self.layout.root):
                    self._retired.empty(project, number)
            finally:
                lock.release()
        finally:
            self._emptying.release()
        return True

    # --- files of a claim ---

    def prepare(self, project: ProjectName, run: Run, claim: Claim) -> Paths:
        self.identity()
        with translated(self.layout.root):
            return attempts.prepare(self.layout, project, run, claim)

    def add_event(
        self, project: ProjectName, run: Run, claim: Claim, at: datetime, event: str, **facts: object
    ) -> None:
        with translated(self.layout.root):
            directory = self.layout.claim(project, run.number, run.stage, claim.number)
            attempts.add_event(directory, at, event, facts)

    def log_path(self, project: ProjectName, run: Run, claim: Claim) -> tuple[str, str]:
        path = self.layout.claim(project, run.number, run.stage, claim.number) / "log.jsonl"
        return str(path), self.layout.relative(path)

    def publish_output(self, project: ProjectName, run: Run) -> None:
        claim = run.last_claim
        if claim is not None:
            self.identity()
            with translated(self.layout.root):
                attempts.publish_output(self.layout, project, run, claim)

    # --- nodes ---

    def read_nodes(self) -> dict[NodeName, NodeFiles]:
        found: dict[NodeName, NodeFiles] = {}
        with translated(self.layout.root), os.scandir(self.layout.nodes) as entries:
            for name in sorted(entry.name for entry in entries):
                if files := self._node(NodeName(name)):
                    found[NodeName(name)] = files
        return found

    def _node(self, node: NodeName) -> NodeFiles | None:
        try:
            records = self._node_records.read(self.layout.node_records(node))
        except RecordUnreadable:  # of a newer Winslow, most likely: leave that node and its claims alone
            return None
        if not records:
            return None
        beat = read_heartbeat(self.layout.heartbeat(node, records[-1].incarnation))
        content, at = beat if beat else (None, None)
        return NodeFiles(records=records, heartbeat=content, beaten_at=at)

    def publish_node(self, record: NodeRecord) -> bool:
        self.identity()
        with translated(self.layout.root):
            directory = self.layout.node_records(record.node)
            return self._node_records.publish(directory, record.number, dump_record(record), record.token)

    def heartbeat(self, node: NodeName, incarnation: str) -> HeartbeatFile:
        self.identity()
        with translated(self.layout.root):
            return HeartbeatFile(self.layout.heartbeat(node, incarnation))

    # --- the site ---

    def publish_site(self, record: SiteRecord) -> bool:
        self.identity()
        with translated(self.layout.root):
            return self._site_records.publish(
                self.layout.site_records, record.number, dump_record(record), record.token
            )

    def marks(self, group: str) -> frozenset[str]:
        """What has been marked by anybody: names alone, for a mark holds nothing."""
        with translated(self.layout.root):
            try:
                with os.scandir(self.layout.marks(group)) as entries:
                    return frozenset(entry.name for entry in entries)
            except FileNotFoundError:
                return frozenset()

    def mark(self, group: str, names: Iterable[str]) -> None:
        self.identity()
        with translated(self.layout.root):
            directory = self.layout.marks(group)
            directory.mkdir(parents=True, exist_ok=True)
            for name in names:
                (directory / name).touch()

    # --- locks ---

    def try_lock(self, name: str) -> ShareLock | None:
        self.identity()
        with translated(self.layout.root):
            return ShareLock.acquire(self.layout.locks / name)
