"""Reading everything and changing nothing: what the CLI and the page look through.

``Reader`` is what they ask for. ``live`` reads the share and the state repository; ``observed`` reads the
branch ``observed`` of any clone, for people without the share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.codec.log import LogLine
from reconciler.core.measurements import Series
from reconciler.core.names import NodeName, ProjectName, RunNumber
from reconciler.core.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Lines from a byte offset on; ask again from ``next_offset``. ``ended``: nothing will follow."""

    lines: Sequence[LogLine]
    next_offset: int
    ended: bool


class Reader(Protocol):
    """Errors: WinslowError with a message for people. Unknown projects or runs: KeyError never, BadInput always."""

    def status(self) -> Status: ...

    def log(self, project: ProjectName, run: RunNumber, *, offset: int = 0, limit: int = 262_144) -> LogPage:
        """At most about ``limit`` bytes of log from ``offset``; a negative offset counts from the end."""
        ...

    def output_files(self, project: ProjectName, run: RunNumber) -> Sequence[tuple[str, int]]:
        """Published output files of a succeeded run: (path relative to its output directory, bytes)."""
        ...

    def open_output(self, project: ProjectName, run: RunNumber, path: str) -> str:
        """Absolute path of one output file, after checking that it lies inside; BadInput otherwise."""
        ...

    def node_series(self, node: NodeName, since: datetime) -> Series:
        """What the node measured from then on; columns as ``measurements.NODE`` and ``NODE_GPU``. Empty: nothing."""
        ...

    def run_series(self, project: ProjectName, run: RunNumber) -> Series:
        """What was measured of the run's last attempt; columns as ``measurements.RUN`` and ``RUN_GPU``."""
        ...


__all__ = ["LogLine", "LogPage", "Reader", "Series"]
