"""What the agent asks of the outside world, and no more. Adapters implement these; fakes sit the same exam.

All calls may block (a hard NFS mount blocks for ever) and are made from worker threads under a deadline.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from reconciler.core.commit_status import CommitState
from reconciler.core.containers import ClaimKey, Container, Order, Paths
from reconciler.core.desired import Desired, Pull
from reconciler.core.devices import GpuLook
from reconciler.core.image_names import PullProgress
from reconciler.core.ledger import Ledger, Run
from reconciler.core.ledger_behind import Noted
from reconciler.core.names import Commit, NodeName, ProjectName, RecordNumber, ShareId, Token
from reconciler.core.nodes import Inventory, NodeRecord
from reconciler.core.records import (
    Claim,
    InputFile,
    LogPointer,
    ProjectRecord,
    Purged,
    RewriteAccepted,
    RunCreated,
    RunRecord,
    SiteRecord,
)
from reconciler.core.status import Status
from reconciler.core.stored_images import LocalImage


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall clock in UTC, for people only."""
        ...

    def monotonic(self) -> float:
        """Seconds that also count while the machine sleeps (CLOCK_BOOTTIME); no relation between machines."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSummary:
    pointer: LogPointer  # path as given
    results: Mapping[str, str] = field(default_factory=dict)  # from WINSLOW_RESULT: key=value


class Runtime(Protocol):
    """Runs one attempt as a container or a process that outlives this reconciler.

    Errors: EngineUnavailable when the engine does not answer; StartFailed(reason, message) when the order
    can't be started as written: ImageNotFound, CommandNotFound, InputMissing, BadRequest ...
    """

    @property
    def name(self) -> str: ...

    @property
    def images(self) -> "Images | None":
        """None: what it runs needs no image."""
        ...

    def check(self) -> Mapping[str, str]:
        """The engine's version and features, e.g. {"docker": "20.10.24"}; EngineUnavailable if it does not answer."""
        ...

    def start(self, order: Order, *, image_digest: str | None) -> Container:
        """Create and start; starting the same key again returns what exists already, whatever its state."""
        ...

    def list(self) -> Sequence[Container]:
        """All containers of this node and share, running or ended, whoever started them; found by their labels."""
        ...

    def held(self) -> Mapping[ClaimKey, frozenset[str]]:
        """The GPUs that every container or process of any Winslow here holds until it has ended, whatever its share
        or node; found anew at each call."""
        ...

    def wait(self, container: Container) -> Container:
        """Block until it has ended. Raises EngineUnavailable when the engine stops answering meanwhile."""
        ...

    def stop(self, container: Container) -> None:
        """Ask it to end, kill it after the configured grace; returns when it has ended. Ending twice is no error."""
        ...

    def remove(self, container: Container) -> None:
        """Forget an ended container; removing twice is no error."""
        ...

    def follow_log(self, container: Container, path: str) -> LogSummary:
        """Write the program's output to ``path`` (log.jsonl) until it ends, then say what was written.

        Lines already there (from before a restart) are neither lost nor doubled. Blocks; one caller a container.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHere:
    """An image that a container can be made of now."""

    reference: str  # exactly this one: ``name@sha256:...``, or its id
    id: str
    was_pulled: bool = False  # just now


class Images(Protocol):
    """An engine's images. Thread-safe; pulling one may take hours.

    Errors: EngineUnavailable; RegistryUnavailable when a registry is asked and gives no answer; StartFailed when no
    trying again helps: ImageNotFound, RegistryRefused, ImageDiffers, ImageArchitecture.
    """

    def resolve(self, image: str, pull: Pull) -> str:
        """Which one it is now, so that every node can have the same: ``name@sha256:...``, or the id of one that was
        built here. Nothing is pulled."""
        ...

    def provide(self, image: str, digest: str | None, pull: Pull, tell: Callable[[PullProgress], None]) -> ImageHere:
        """Make it present. ``digest`` is what ``resolve`` said, perhaps to another node; None: whatever it is now.

        ``tell`` is called while it is pulled, and may raise to give up.
        """
        ...

    def listed(self) -> Sequence[LocalImage]: ...

    def remove(self, image: LocalImage) -> None:
        """Of what is used meanwhile nothing is removed; removing twice is no error."""
        ...

    def fill(self) -> float | None:
        """How full the engine's disk is, in percent; None: that can't be known from here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The state repository after looking at the remote. With an ``error`` this is the last good commit.

    ``reason``: SourceUnreachable (then ``reachable`` is False), SourceEmpty, BranchMissing, SourceRewritten,
    SourceUnreadable, or nothing.
    """

    desired: Desired | None  # None: there has never been a commit
    reachable: bool = True
    error: str = ""
    reason: str = ""
    followed: Token | None = None  # of the last accepted rewrite that this clone went along with
    asked: float | None = None  # monotonic, of the agent: when it asked, if the remote answered


class Source(Protocol):
    """The desired state's git repository."""

    def fetch(self, rewrites: Sequence[RewriteAccepted] = ()) -> Fetched:
        """Look at the remote, at most for the configured deadline, and load the newest commit of main.

        A head that does not descend from the commit before is held, unless the last of the ``rewrites`` that people
        have accepted leads to it.
        """
        ...

    def known(self) -> Fetched:
        """What our clone holds from earlier, without asking the remote: enough to look after what runs."""
        ...

    def descends(self, commit: Commit, ancestor: Commit) -> bool | None:
        """Does ``commit`` equal or descend from ``ancestor``? None: one of them is not in our clone."""
        ...


class Noting(Protocol):
    def noted(self) -> tuple[Noted, ...]:
        """Which records the branch ``observed``, as last fetched, tells of; the same object while nothing changed."""
        ...


class Observed(Noting, Protocol):
    """The branch ``observed``: one commit a publication, pushed with the expected head."""

    def head(self) -> Commit | None: ...

    def read(self) -> Mapping[str, str]:
        """All files of the remote's branch as last fetched: path -> text."""
        ...

    def publish(self, files: Mapping[str, str], message: str) -> Commit | None:
        """Make the branch hold exactly ``files``; None when it did. Transient when the remote moved or is gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFiles:
    """A node's records and the bytes of its newest incarnation's heartbeat (None: it has none)."""

    records: tuple[NodeRecord, ...]
    heartbeat: bytes | None
    beaten_at: datetime | None = None  # by the share's clock; only a one-time look shows it, no rule reads it

    @property
    def starts(self) -> frozenset[str]:
        """Incarnations: of one start there is a record for each change of what the node offers."""
        return frozenset(record.incarnation for record in self.records)

    @property
    def started_at(self) -> datetime:
        newest = self.records[-1].incarnation
        return next(record.at for record in self.records if record.incarnation == newest)


class Heartbeat(Protocol):
    def beat(self, facts: dict[str, object]) -> None:
        """Change the bytes that others watch; ``facts`` are for people."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a node says of itself at its HTTP port."""

    node: NodeName
    incarnation: str
    claims: frozenset[Token]  # that it acts on


class Lock(Protocol):
    def is_held(self) -> bool:
        """False once it is known to be lost. True is a good guess, no more."""
        ...

    def release(self) -> None: ...


class Share(Protocol):
    """The shared directory. Errors: ShareUnavailable. Everything may block for as long as NFS does."""

    def identity(self) -> ShareId: ...

    def read(self) -> Ledger:
        """Everything that is recorded now."""
        ...

    def read_run(self, project: ProjectName, created: RunCreated) -> Run:
        """One run as it stands now."""
        ...

    def publish_project(self, project: ProjectName, record: ProjectRecord) -> bool:
        """True if the record stands now under its number, False if somebody else's does."""
        ...

    def publish_run(self, project: ProjectName, created: RunCreated, record: RunRecord) -> bool: ...

    def publish_site(self, record: SiteRecord) -> bool: ...

    def publish_node(self, record: NodeRecord) -> bool: ...

    def prepare(self, project: ProjectName, run: Run, claim: Claim) -> Paths:
        """Make the claim's directory, with a workspace cloned from the run's base. Repeatable."""
        ...

    def add_event(
        self, project: ProjectName, run: Run, claim: Claim, at: datetime, event: str, **facts: object
    ) -> None: ...

    def log_path(self, project: ProjectName, run: Run, claim: Claim) -> tuple[str, str]:
        """Where the claim's log.jsonl lies: absolute, and relative to the share."""
        ...

    def publish_output(self, project: ProjectName, run: Run) -> None:
        """Copy the accepted claim's output to the project's ``output/``; once is enough."""
        ...

    def look_at_inputs(self, project: ProjectName, declared: Iterable[str]) -> tuple[InputFile, ...]:
        """Every file behind these paths as it is now, with its hash where that is known already."""
        ...

    def hash_input(self, project: ProjectName, file: InputFile) -> str | None:
        """Its sha256, kept for everybody; "" if the file is no longer that one or can't be read, None while another
        process reads it. May take hours, on a thread of its own that gives way to everything else."""
        ...

    def note_inputs(self, project: ProjectName, run: Run, claim: Claim, inputs: Sequence[InputFile]) -> None:
        """Keep in the claim's directory what its program began with."""
        ...

    def noted_inputs(self, project: ProjectName, run: Run, claim: Claim) -> tuple[InputFile, ...]: ...

    def reuse(self, project: ProjectName, run: Run, claim: Claim, of: Run) -> bool:
        """Clone the files of the run ``of`` into the claim's directory; False if they are gone. Not repeatable."""
        ...

    def discard_reuse(self, project: ProjectName, run: Run, claim: Claim) -> None:
        """Remove what an earlier ``reuse`` under this claim has brought; nothing else is touched."""
        ...

    def time(self) -> datetime:
        """The share's own clock: all days are counted by it. Writes a small file, so don't ask all the time."""
        ...

    def purge(self, project: ProjectName, record: Purged) -> None:
        """Take the project's directory away, once its PURGED stands; its name is free then. Repeatable."""
        ...

    def remove_remains(self, project: ProjectName, number: RecordNumber) -> bool:
        """Remove the files of what ``purge`` took away, by PURGED's number. Slow; a call after a crash goes on.

        False: somebody else is at it. FilesLeft if some withstand.
        """
        ...

    def read_nodes(self) -> Mapping[NodeName, NodeFiles]: ...

    def heartbeat(self, node: NodeName, incarnation: str) -> Heartbeat: ...

    def leftovers(self, node: NodeName, incarnation: str) -> frozenset[Path]:
        """What earlier starts of the node left when they were killed. Nobody looks at it, and its names are not used
        again; nothing of this start (``incarnation``) is among it, and nothing of another node's."""
        ...

    def remove_leftovers(self, found: frozenset[Path]) -> int:
        """Remove those that are still there; returns how many were. Slow."""
        ...

    def marks(self, group: str) -> frozenset[str]:
        """Names that somebody has marked in this group: what was done once and need not be done again."""
        ...

    def mark(self, group: str, names: Iterable[str]) -> None:
        """Remember them for every node, for good; marking again is no error. Names as in file names."""
        ...

    def try_lock(self, name: str) -> Lock | None:
        """The lock, or None if another process holds it. Keeps nodes from wasting work, no more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the publisher has just published, and what it was made from."""

    desired: Desired
    ledger: Ledger
    status: Status


class Forge(Protocol):
    """The API of what serves the state repository: GitLab, GitHub, Forgejo, Gitea.

    Errors: ForgeUnavailable (try later), ForgeRefused (a person has to change something), of it StatusRefused (this
    one only). One thread at a time.
    """

    def set_status(
        self, commit: Commit, state: CommitState, *, context: str, description: str, target_url: str | None = None
    ) -> None:
        """Show beside the commit, under ``context``, what became of it; saying the same again is no error."""
        ...

    def close_requests(self, branch: str) -> None:
        """Close the open merge or pull requests that come from ``branch``; that there are none is no error."""
        ...

    def close(self) -> None: ...


class Follower(Protocol):
    """What the node that publishes does besides: proposals, notifications, commit statuses.

    One call at a time, on a thread of its own; it may block. Level-triggered: each call looks at everything and
    does what is not done yet, for after a crash or a change of publisher another one begins anew.
    """

    @property
    def trouble(self) -> str:
        """The condition's type while it fails, such as ``NotificationFailing``."""
        ...

    def follow(self, seen: Seen) -> float | None:
        """Do what is due. WinslowError: tried again later (TryLater: when it says), and told. Returns seconds after
        which to look again though nothing changed (None: at the next publication)."""
        ...


class Host(Protocol):
    def boot(self) -> str:
        """The kernel's boot id."""
        ...

    def cpus(self) -> float: ...

    def memory(self) -> int: ...

    def free_disk(self, path: Path) -> int:
        """Bytes; 0: there is no such directory here."""
        ...

    def load(self) -> float:
        """Share of the processors that was busy since the last question, 0 to 1, in tenths."""
        ...

    def look_at_gpus(self) -> GpuLook:
        """Every device, those with a fault too, and what the drivers say of them. May hang with a broken driver."""
        ...

    def inventory(self, places: Iterable[Path] = ()) -> Inventory:
        """``places`` are directories whose file systems are told of, too. May hang with the share."""
        ...
