"""``SharedDirectory``: what the agent and the readers do with the share, behind one door.

Every write first checks that this really is the share (its identity file), so that a mount that fell off
never turns into records on a local disk.
"""

import json
import os
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from reconciler.adapters.share import attempts
from reconciler.adapters.share.faults import translated
from reconciler.adapters.share.heartbeat import HeartbeatFile, read_heartbeat
from reconciler.adapters.share.layout import Layout
from reconciler.adapters.share.lock import ShareLock
from reconciler.adapters.share.names import is_there
from reconciler.adapters.share.records import RecordStore
from reconciler.agent.ports import NodeFiles
from reconciler.codec.records import dump_record, load_record
from reconciler.core.containers import Paths
from reconciler.core.ledger import (
    Aborted,
    Claim,
    Deleted,
    DesiredSeen,
    Done,
    Failed,
    Ledger,
    Lost,
    ProjectHistory,
    ProjectRecord,
    Purged,
    Released,
    Restored,
    RewriteAccepted,
    Run,
    RunCreated,
    RunPhase,
    RunRecord,
    SiteRecord,
)
from reconciler.core.names import NodeName, ProjectName, ShareId
from reconciler.core.nodes import NodeRecord
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
        self._run_records: RecordStore[RunRecord] = RecordStore(
            tmp, _loader(Claim, Done, Failed, Released, Aborted, Lost), writer=writer
        )
        self._node_records: RecordStore[NodeRecord] = RecordStore(tmp, _loader(NodeRecord), writer=writer)
        self._site_records: RecordStore[SiteRecord] = RecordStore(tmp, _loader(RewriteAccepted), writer=writer)
        self._started: dict[Path, datetime] = {}
        self._settled: dict[Path, Run] = {}  # final, output published: nothing about them changes any more
        self._share: ShareId | None = None

    # --- identity ---

    @staticmethod
    def create(root: Path) -> ShareId:
        """Make ``root`` a share, or return the identity it has already."""
        layout = Layout(root)
        with translated(root):
            for path in (layout.tmp, layout.resources, layout.projects, layout.nodes, layout.locks, root / "trash"):
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
                share = ShareId(str(found["share"]))
        except ShareUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise ShareUnavailable(
                    f"{self.layout.root} holds no winslow.json: is the share mounted there? "
                    f"To make a new share of it: winslow init --share {self.layout.root}"
                ) from None
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise ShareUnavailable(f"{path} is not a share's identity file; restore it from a backup") from error
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
            for name in sorted(ProjectName(entry.name) for entry in entries):
                try:
                    history = self._history(name)
                except RecordUnreadable as error:
                    unreadable[name] = str(error)
                    continue
                if history.records:
                    projects[name] = history
            site = self._site_records.read(self.layout.site_records)
        return Ledger(share=share, projects=projects, unreadable=unreadable, site=site)

    def _history(self, project: ProjectName) -> ProjectHistory:
        records = self._project_records.read(self.layout.project_records(project))
        runs = tuple(self._run(project, record) for record in records if isinstance(record, RunCreated))
        return ProjectHistory(records=records, runs=runs)

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
        """True if the record stands now under its number, False if somebody else's does."""
        self.identity()
        with translated(self.layout.root):
            directory = self.layout.project_records(project)
            return self._project_records.publish(directory, record.number, dump_record(record), record.token)

    def publish_run(self, project: ProjectName, created: RunCreated, record: RunRecord) -> bool:
        self.identity()
        with translated(self.layout.root):
            directory = self.layout.run_records(project, created.run, created.stage)
            return self._run_records.publish(directory, record.number, dump_record(record), record.token)

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
