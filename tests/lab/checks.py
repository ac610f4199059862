"""What must hold after each scenario, whatever was done to the machines."""

from functools import partial
from pathlib import Path

from reconciler.adapters.share import SharedDirectory
from reconciler.codec.log import read_lines
from reconciler.codec.log_lines import STDOUT
from reconciler.core.ledger import ProjectHistory, Run
from reconciler.core.names import ProjectName
from reconciler.core.records import Claim, Done
from tests.fakes.history import History
from tests.fakes.invariants import a_runs_records_obey_the_grammar, runs_are_numbered_and_only_the_last_is_open
from tests.lab.node import Node
from tests.lab.site import UNSEEN, Site
from tests.lab.waiting import Broken, demand, until

MUCH = 100_000_000
NO_GIT = History({})


def check(site: Site, share: Path) -> None:
    """``share``: a copy of the site's directory. Broken if a promise was not kept."""
    check_share(share, padding=site.padding)
    for node in site.nodes.values():
        if node.machine.is_on:
            what = f"no program of a superseded or ended claim is left on {node.name}"
            until(what, partial(_is_quiet, node))
    check_logs(share.parent)


def check_share(share: Path, padding: str = "") -> None:
    """The records of all runs, and what the accepted attempts left. Every run must have succeeded."""
    ledger = SharedDirectory(share).read()
    demand(not ledger.unreadable, f"records can't be read: {ledger.unreadable}")
    for name, history in ledger.projects.items():
        _check_records(name, history)
        for run in history.runs:
            _check_run(share, name, run, padding)


def check_logs(kept: Path) -> None:
    for log in kept.glob("*.log"):
        said = log.read_text(encoding="utf-8")
        found = [line for line in said.splitlines() if any(word in line for word in UNSEEN)]
        demand(not found, f"{log.stem} has met what nobody foresaw: {found[:1]}")


def _check_records(name: ProjectName, history: ProjectHistory) -> None:
    """Contiguous numbers, one final record a run, and only from the claimant before it."""
    try:
        for holds in (runs_are_numbered_and_only_the_last_is_open, a_runs_records_obey_the_grammar):
            holds(name, history, NO_GIT)
    except AssertionError as error:
        raise Broken(f"{name}: {error}") from error
    for run in history.runs:
        demand([record.number for record in run.records] == list(range(1, len(run.records) + 1)), f"{name}: a hole")


def _check_run(share: Path, name: ProjectName, run: Run, padding: str) -> None:
    """The accepted attempt is whole: each line once and in order, its file on the share, and one result."""
    demand(isinstance(run.records[-1], Done), f"{name} run {run.number} ended as {run.records[-1]}")
    claim = next(record for record in reversed(run.records) if isinstance(record, Claim))
    place = share / "projects" / name / "runs" / f"{run.number:04d}-{run.stage}" / str(claim.number)
    lines = [line.line for line in read_lines(place / "log.jsonl", limit=MUCH).lines if line.stream == STDOUT]
    count = len(lines) - 1
    wanted = [*(f"line {number}{padding}" for number in range(1, count + 1)), f"end {count}"]
    demand(
        lines == wanted, f"{name} run {run.number}: its log has lost, doubled or swapped lines: {_odd(lines, wanted)}"
    )
    kept = (place / "workspace" / "lines").read_text().split()
    demand(kept == [str(number) for number in range(1, count + 1)], f"{name} run {run.number}: its file is not whole")
    results = list((share / "projects" / name / "output").glob(f"{run.number:04d}-*/result"))
    demand(len(results) == 1, f"{name} run {run.number} has {len(results)} results")
    result, expected = results[0].read_text(), f"{count} lines by attempt {run.attempts}\n"
    demand(result == expected, f"{name} run {run.number}: its result says {result!r}, not {expected!r}")


def _odd(lines: list[str], wanted: list[str]) -> str:
    return str([(one[:20], other[:20]) for one, other in zip(lines, wanted, strict=False) if one != other][:3])


def _is_quiet(node: Node) -> bool:
    return not node.stages()
