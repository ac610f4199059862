"""What became of the scenarios: a table for people, JSON for whoever compares."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

KEPT, BROKEN, FAILED = "as promised", "BROKEN", "lab failed"


@dataclass(frozen=True)
class Row:
    """``outcome``: as promised, BROKEN (Winslow's fault), or "lab failed" (nobody knows whose)."""

    scenario: str
    promise: str
    outcome: str
    seconds: float
    found: str
    times: Mapping[str, Sequence[float]] = field(default_factory=dict)


def write(rows: Sequence[Row], directory: Path) -> Path:
    """report.md to read, report.json to compare."""
    (directory / "report.json").write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    lines = ["| scenario | promise | outcome | seconds | found |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {r.scenario} | {r.promise} | {r.outcome} | {r.seconds:.0f} | {_one_line(r.found)} |" for r in rows]
    path = directory / "report.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def show(rows: Sequence[Row]) -> None:
    table = Table(show_lines=False)
    for column in ("scenario", "outcome", "seconds", "found"):
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    for row in rows:
        colour = "green" if row.outcome == KEPT else "red"
        table.add_row(row.scenario, f"[{colour}]{row.outcome}[/]", f"{row.seconds:.0f}", row.found)
    Console(width=None if Console().is_terminal else 160).print(table)


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("|", "/")
