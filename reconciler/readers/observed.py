"""Reading the branch ``observed`` of a clone: for people without the share."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from reconciler.adapters.git.any_clone import published_at, read_observed
from reconciler.codec.observed import unfold
from reconciler.core.measurements import Series
from reconciler.core.names import NodeName, ProjectName, RunNumber
from reconciler.core.status import Status
from reconciler.errors import BadInput
from reconciler.readers import LogLine, LogPage
from reconciler.readers.find import find_run


class ObservedReader:
    """Port ``Reader``. Logs are their last lines only; files are on the share, out of reach."""

    def __init__(self, clone: Path) -> None:
        self._clone = clone

    def status(self) -> Status:
        return unfold(read_observed(self._clone))

    def published_at(self) -> datetime:
        """What ``status`` says is true of then; nodes publish on transitions only."""
        return published_at(self._clone)

    def log(self, project: ProjectName, run: RunNumber, *, offset: int = 0, limit: int = 262_144) -> LogPage:
        found = find_run(self.status(), project, run)
        time = found.ended_at or found.started_at
        if offset > 0 or time is None:
            return LogPage(lines=(), next_offset=offset, ended=found.ended_at is not None)
        lines = [LogLine(time=time, stream="stdout", line=line) for line in found.tail]
        return LogPage(lines=lines, next_offset=len(lines), ended=True)

    def output_files(self, project: ProjectName, run: RunNumber) -> Sequence[tuple[str, int]]:
        find_run(self.status(), project, run)
        return ()

    def open_output(self, project: ProjectName, run: RunNumber, path: str) -> str:
        raise BadInput(
            f"{path} lies on the share, which this page does not read; look there: {self._clone} has no files"
        )

    def node_series(self, node: NodeName, since: datetime) -> Series:
        """Measurements never go to git."""
        return Series()

    def run_series(self, project: ProjectName, run: RunNumber) -> Series:
        return Series()
