"""``SharedDirectory``: what the agent and the readers do with the share, behind one door.

Every write first checks that this really is the share (its identity file), so that a mount that fell off
never turns into records on a local disk.
"""

import contextlib
import secrets
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from reconciler.adapters.share import leftovers
from reconciler.adapters.share.attempts import Attempts
from reconciler.adapters.share.faults import translated
from reconciler.adapters.share.files import MOUNTED, Files
from reconciler.adapters.share.heartbeat import HeartbeatFile, read_heartbeat
from reconciler.adapters.share.identity import Identity, make_share
from reconciler.adapters.share.inputs import InputFiles
from reconciler.adapters.share.layout import Layout
from reconciler.adapters.share.ledger import LedgerFiles, loader
from reconciler.adapters.share.lock import ShareLock
from reconciler.adapters.share.names import is_there
from reconciler.adapters.share.records import RecordStore
from reconciler.adapters.share.reuse import Reuse
from reconciler.agent.ports import NodeFiles
from reconciler.codec.records import dump_record
from reconciler.core.containers import Paths
from reconciler.core.ledger import Ledger, Run
from reconciler.core.names import NodeName, ProjectName, RecordNumber, ShareId
from reconciler.core.nodes import NodeRecord
from reconciler.core.records import Base, Claim, InputFile, ProjectRecord, Purged, RunCreated, RunRecord, SiteRecord
from reconciler.errors import RecordUnreadable


class SharedDirectory:
    """One per process. Methods raise ShareUnavailable; they may block for as long as NFS does."""

    def __init__(self, root: Path, *, writer: str = "reader", files: Files = MOUNTED, rebuilds: bool = False) -> None:
        """``writer`` names this process in its drafts' names; a node finds its own after a crash: ``<node>.<hex>``."""
        self.layout = Layout(root)
        self._files = files
        self._writer = writer
        self._identity = Identity(self.layout, files, rebuilds=rebuilds)
        self._attempts = Attempts(self.layout, files, writer=writer)
        self._inputs = InputFiles(self.layout, files, writer=writer)
        self._reuse = Reuse(self.layout, files)
        check = self._identity.read
        self._ledger = LedgerFiles(self.layout, files, self._attempts, writer=writer, check=check)
        self._node_records: RecordStore[NodeRecord] = RecordStore(
            self.layout.tmp, loader(NodeRecord), writer=writer, files=files, check=check
        )
        self._emptying = threading.Lock()

    # --- identity ---

    @staticmethod
    def create(root: Path, *, files: Files = MOUNTED) -> ShareId:
        """Make ``root`` a share, or return the identity it has already."""
        make_share(Layout(root), files)
        return SharedDirectory(root, files=files).identity()

    def identity(self) -> ShareId:
        """The share's UUID, read anew. ShareUnavailable if this is not a share, or not the one we began with."""
        return self._identity.read()

    def replaced(self) -> frozenset[ShareId]:
        """Identities that this share had before it was rebuilt: what still carries one of them is superseded."""
        self._identity.read()
        return self._identity.replaced

    # --- the ledger ---

    def read(self) -> Ledger:
        share = self.identity()
        with translated(self.layout.root):
            return self._ledger.read(share)

    def read_run(self, project: ProjectName, created: RunCreated) -> Run:
        """One run as it stands now: asked right before a container starts."""
        with translated(self.layout.root):
            return self._ledger.run(project, created)

    def publish_project(self, project: ProjectName, record: ProjectRecord) -> bool:
        """True if the record stands now under its number, False if somebody else's does."""
        self.identity()
        with translated(self.layout.root):
            return self._ledger.publish_project(project, record)

    def publish_run(self, project: ProjectName, created: RunCreated, record: RunRecord) -> bool:
        self.identity()
        with translated(self.layout.root):
            return self._ledger.publish_run(project, created, record)

    def publish_site(self, record: SiteRecord) -> bool:
        self.identity()
        with translated(self.layout.root):
            return self._ledger.publish_site(record)

    def time(self) -> datetime:
        """The share's clock: what it says of a file that is written now."""
        draft = self.layout.tmp / f"{self._writer}.{secrets.token_hex(8)}"
        with translated(self.layout.root):
            try:
                self._files.create(draft, b"now")
                return self._files.read_dated(draft)[1]
            finally:
                with contextlib.suppress(FileNotFoundError):
                    self._files.unlink(draft)

    # --- the end of a project ---

    def purge(self, project: ProjectName, record: Purged) -> None:
        self.identity()
        with translated(self.layout.root):
            self._ledger.retired.take(project, record.number)

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
                    self._ledger.retired.empty(project, number)
            finally:
                lock.release()
        finally:
            self._emptying.release()
        return True

    # --- files of a claim ---

    def prepare(self, project: ProjectName, run: Run, claim: Claim) -> Paths:
        self.identity()
        with translated(self.layout.root):
            return self._attempts.prepare(project, run, claim)

    def add_event(
        self, project: ProjectName, run: Run, claim: Claim, at: datetime, event: str, **facts: object
    ) -> None:
        with translated(self.layout.root):
            directory = self.layout.claim(project, run.number, run.stage, claim.number)
            self._attempts.add_event(directory, at, event, facts)

    def log_path(self, project: ProjectName, run: Run, claim: Claim) -> tuple[str, str]:
        path = self.layout.claim(project, run.number, run.stage, claim.number) / "log.jsonl"
        return str(path), self.layout.relative(path)

    def publish_output(self, project: ProjectName, run: Run) -> None:
        claim = run.last_claim
        if claim is not None:
            self.identity()
            with translated(self.layout.root):
                self._attempts.publish_output(project, run, claim)

    # --- what a run is given, and files that it takes over ---

    def look_at_inputs(self, project: ProjectName, declared: Iterable[str]) -> tuple[InputFile, ...]:
        with translated(self.layout.root):
            return self._inputs.look(project, declared)

    def hash_input(self, project: ProjectName, file: InputFile) -> str | None:
        self.identity()
        with translated(self.layout.root):
            return self._inputs.compute(project, file, self.try_lock)

    def has_workspace(self, project: ProjectName, base: Base) -> bool:
        self.identity()
        with translated(self.layout.root):
            return is_there(self._files, self.layout.base_workspace(project, base))

    def note_inputs(self, project: ProjectName, run: Run, claim: Claim, inputs: Sequence[InputFile]) -> None:
        self.identity()
        with translated(self.layout.root):
            self._inputs.note(self.layout.claim(project, run.number, run.stage, claim.number), inputs)

    def noted_inputs(self, project: ProjectName, run: Run, claim: Claim) -> tuple[InputFile, ...]:
        with translated(self.layout.root):
            return self._inputs.noted(self.layout.claim(project, run.number, run.stage, claim.number))

    def reuse(self, project: ProjectName, run: Run, claim: Claim, of: Run) -> bool:
        self.identity()
        with translated(self.layout.root):
            return self._reuse.take(project, run, claim, of)

    def discard_reuse(self, project: ProjectName, run: Run, claim: Claim) -> None:
        self.identity()
        with translated(self.layout.root):
            self._reuse.discard(project, run, claim)

    # --- nodes ---

    def read_nodes(self) -> dict[NodeName, NodeFiles]:
        found: dict[NodeName, NodeFiles] = {}
        with translated(self.layout.root):
            for name in sorted(self._files.names(self.layout.nodes)):
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
        beat = read_heartbeat(self.layout.heartbeat(node, records[-1].incarnation), self._files)
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
            return HeartbeatFile(self.layout.heartbeat(node, incarnation), self._files)

    # --- what a killed process leaves behind ---

    def leftovers(self, node: NodeName, incarnation: str) -> frozenset[Path]:
        ledger = self.read()
        with translated(self.layout.root):
            return frozenset(
                leftovers.find(self.layout, self._files, ledger, node, incarnation=incarnation, writer=self._writer)
            )

    def remove_leftovers(self, found: frozenset[Path]) -> int:
        self.identity()
        removed, withstood = leftovers.remove(self._files, found)
        with translated(self.layout.root):
            if withstood:
                raise withstood[0]
        return removed

    # --- marks and locks ---

    def marks(self, group: str) -> frozenset[str]:
        """What has been marked by anybody: names alone, for a mark holds nothing."""
        with translated(self.layout.root):
            try:
                return frozenset(self._files.names(self.layout.marks(group)))
            except FileNotFoundError:
                return frozenset()

    def mark(self, group: str, names: Iterable[str]) -> None:
        self.identity()
        with translated(self.layout.root):
            directory = self.layout.marks(group)
            self._files.mkdir(directory, parents=True)
            for name in names:
                with contextlib.suppress(FileExistsError):
                    self._files.create(directory / name, b"")

    def try_lock(self, name: str) -> ShareLock | None:
        self.identity()
        with translated(self.layout.root):
            return ShareLock.acquire(self.layout.locks / name, self._files)
