"""The branch ``observed`` of a person's clone, brought up to date before it is read."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from reconciler.cli.git import attempt, enclosing_repository, fetch, succeeds
from reconciler.core.measurements import Series
from reconciler.core.names import NodeName, ProjectName, RunNumber
from reconciler.core.status import Status
from reconciler.errors import Transient, WinslowError
from reconciler.readers import LogPage
from reconciler.readers.observed import ObservedReader

REMOTE, MAIN, OBSERVED = "origin", "main", "observed"
PATIENCE = 10.0
"""Seconds for one fetch: whoever is offline wants to see what the clone knows."""
FRESH = 2.0
"""Seconds for which a fetch holds: a page with many readers must not ask for each of them."""


class CloneReader:
    """Port ``Reader``. Fetches with the person's own git. Thread-safe; ``say`` hears of a remote that is away."""

    def __init__(self, clone: Path, say: Callable[[str], None]) -> None:
        self._clone = enclosing_repository(clone) or clone
        self._reader = ObservedReader(self._clone)
        self._say = say
        self._lock = threading.Lock()
        self._fetched_at: float | None = None
        self._told = ""

    def status(self) -> Status:
        self._fetch()
        return self._reader.status()

    def log(self, project: ProjectName, run: RunNumber, *, offset: int = 0, limit: int = 262_144) -> LogPage:
        self._fetch()
        return self._reader.log(project, run, offset=offset, limit=limit)

    def output_files(self, project: ProjectName, run: RunNumber) -> Sequence[tuple[str, int]]:
        return self._reader.output_files(project, run)

    def open_output(self, project: ProjectName, run: RunNumber, path: str) -> str:
        return self._reader.open_output(project, run, path)

    def node_series(self, node: NodeName, since: datetime) -> Series:
        return self._reader.node_series(node, since)

    def run_series(self, project: ProjectName, run: RunNumber) -> Series:
        return self._reader.run_series(project, run)

    def as_of(self, status: Status) -> str:
        """How old ``status`` is, and from which commit it was made."""
        commit = f", desired commit {status.commit[:12]}" if status.commit else ""
        return f"as of {_clock(self._reader.published_at())}{commit}"

    def unseen(self, status: Status) -> str | None:
        """The commit on the desired branch, as last fetched, that the nodes had not seen when they said ``status``."""
        branch = self._desired()
        if branch is None or status.commit is None:
            return None
        _, head, _ = attempt(self._clone, "rev-parse", "--verify", "--quiet", f"refs/remotes/{REMOTE}/{branch}")
        is_newer = head != status.commit and succeeds(
            self._clone, "merge-base", "--is-ancestor", status.commit, head or "HEAD"
        )
        return head if head and is_newer else None

    def _fetch(self) -> None:
        with self._lock:
            if self._fetched_at is None or time.monotonic() - self._fetched_at > FRESH:
                complaint = self._complaint()
                self._fetched_at = time.monotonic()
                if complaint and complaint != self._told:
                    self._say(f"can't fetch: {complaint}; this is what {self._clone} knew{self._then()}")
                self._told = complaint

    def _complaint(self) -> str:
        if not succeeds(self._clone, "remote", "get-url", REMOTE):  # the remote itself, or a clone of nothing
            return ""
        branch = self._desired()
        try:
            said = fetch(self._clone, REMOTE, *([branch] if branch else []), f"{OBSERVED}*", timeout=PATIENCE)
        except Transient as error:
            said = str(error)
        return " ".join(said.split())

    def _then(self) -> str:
        try:
            return f" at {_clock(self._reader.published_at())}"
        except WinslowError:
            return ""

    def _desired(self) -> str | None:
        """The branch that the nodes follow: main, or the remote's default one."""
        if succeeds(self._clone, "rev-parse", "--verify", "--quiet", f"refs/remotes/{REMOTE}/{MAIN}"):
            return MAIN
        code, name, _ = attempt(self._clone, "symbolic-ref", "--quiet", f"refs/remotes/{REMOTE}/HEAD")
        return name.removeprefix(f"refs/remotes/{REMOTE}/") if code == 0 else None


def _clock(time: datetime) -> str:
    """By the reader's clock; with its day unless that is today."""
    local, today = time.astimezone(), datetime.now(UTC).astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%d %b %Y %H:%M:%S}"
