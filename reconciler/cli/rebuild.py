"""``winslow rebuild``: a share that was lost, or put back to an older state, becomes whole again."""

import os
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.codes import Exit
from reconciler.cli.findings import counted
from reconciler.cli.options import ConfigOption, node_config
from reconciler.cli.output import out
from reconciler.codec.heartbeat import heard
from reconciler.config import NodeConfig
from reconciler.core.ledger import RunPhase
from reconciler.core.names import NodeName, ShareId
from reconciler.core.rebuild import Rebuilding
from reconciler.core.records import Lost, Rebuilt, Released
from reconciler.errors import BadInput

if TYPE_CHECKING:
    from reconciler.adapters.share.rebuilding import ShareRebuilding
    from reconciler.readers.rebuilt import Look, Published

PERIODS = 3
HELD = "LedgerBehind"


def rebuild(
    config: ConfigOption = None,
    share: Annotated[
        Path | None,
        typer.Option("--share", metavar="DIR", help="The share, without a node.yaml; with --state."),
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="URL", help="The state repository; with --share.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be restored.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Restore a share's ledger from the branch observed.

    Fills in what the share lacks, ends what was open, so that it is tried again, and gives the share a new identity.
    Shows all that, and asks, before it writes anything.
    """
    from reconciler.adapters.share.rebuilding import ShareRebuilding  # noqa: PLC0415
    from reconciler.compose import open_history, open_repository  # noqa: PLC0415
    from reconciler.readers.rebuilt import look, read_published  # noqa: PLC0415

    site = _site(config, share, state)
    place = ShareRebuilding(site.share, writer=f"rebuild.{os.getpid()}")
    place.share.identity()
    repository = open_repository(site, purpose="rebuild")
    published = read_published(repository, open_history(repository))
    found = look(place, published)
    if not found.lacking and not place.was_interrupted:
        out().print(f"nothing to rebuild: {site.share} holds every record that was published")
        return
    _refuse_living(place, _period(published))
    for line in picture(found):
        out().print(line)
    if dry_run:
        out().print("\nnothing was written")
        return
    _confirm(yes=yes)
    _carry_out(place, published)


def _site(config: Path | None, share: Path | None, state: str | None) -> NodeConfig:
    if (share is None) != (state is None):
        raise BadInput("--share and --state go together; with a node.yaml write neither")
    if share is None or state is None:
        return node_config(config)
    return NodeConfig(name=NodeName("winslow-rebuild"), state_url=state, share=share.absolute())


def _period(published: "Published") -> timedelta:
    wishes = list(published.wishes.values())
    return max((one.site.heartbeat for one in wishes), default=timedelta(seconds=5))


def _refuse_living(place: "ShareRebuilding", period: timedelta) -> None:
    """A node that is held by what is missing acts on nothing, and ends when the share has its new identity."""
    before = place.share.read_nodes()
    if not any(files.heartbeat for files in before.values()):
        return
    out().print(f"listening for living nodes, {PERIODS * period.total_seconds():g} s ...")
    threading.Event().wait(PERIODS * period.total_seconds())
    after = place.share.read_nodes()
    alive = [name for name, files in after.items() if name not in before or files.heartbeat != before[name].heartbeat]
    free = [name for name in alive if HELD not in heard(after[name].heartbeat)[0]]
    if free:
        raise BadInput(
            f"nodes are at work on this share: {', '.join(free)}; stop them first (systemctl stop winslow on each). "
            "Their stages may go on; they are stopped, and started again, once the share is rebuilt"
        )


def picture(found: "Look") -> Iterator[str]:
    """What was lost, and what becomes of it, by project."""
    projects = counted(len(found.rebuilding.projects), "project")
    yield f"of {projects} the share knows less than was published; to be restored:"
    for name, history in found.rebuilding.projects.items():
        added = [one for one in found.rebuilding.additions if one.project == name]
        unknown = sum(isinstance(one.record, Rebuilt) for one in added)
        restored = len(added) - unknown - sum(isinstance(one.record, Released | Lost) for one in added)
        runs = counted(len(history.runs), "run")
        yield f"  {name}: {counted(restored, 'record')} restored, {unknown} filled in; {runs}"
        for one in added:
            if one.run is not None and isinstance(one.record, Released):
                yield f"    run {one.run.run} ({one.run.stage}) was open: it is tried again"
            if one.run is not None and isinstance(one.record, Lost) and one.record.reason == "ShareLost":
                yield f"    run {one.run.run} ({one.run.stage}) was open and can't be tried again: {one.record.message}"
        if gone := found.rebuilding.lost[name]:
            yield f"    files of {_runs(gone)} are gone: what builds on them waits for you"


def _runs(numbers: tuple[int, ...]) -> str:
    return ("run " if len(numbers) == 1 else "runs ") + ", ".join(map(str, numbers))


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput("nothing was written; to do so without a terminal: winslow rebuild --yes")
    if not typer.confirm("\nrebuild this share?"):
        out().print("nothing was written")
        raise typer.Exit(Exit.FAILED)


def _carry_out(place: "ShareRebuilding", published: "Published") -> None:
    """What was looked at before may have changed until nobody else could write any more: so look again."""
    from reconciler.readers.rebuilt import look  # noqa: PLC0415

    place.begin()
    found = look(place, published)
    place.publish(found.rebuilding.additions)
    whole = look(place, published)
    if whole.lacking:
        raise BadInput(f"the share still lacks {whole.lacking[0]}; run winslow rebuild once more")
    _remark(place, whole.rebuilding)
    former = [ShareId(published.status.share)] if published.status.share else []
    new = place.finish(former)
    out().print(
        f"\nrebuilt: the share is now {new}\n\nnext: put back what people had put into resources/ and the projects' "
        "init/ and input/, if that is gone,\nthen start the nodes (systemctl start winslow): each first stops what it "
        "still runs of the former share"
    )


def _remark(place: "ShareRebuilding", whole: Rebuilding) -> None:
    for name, history in whole.projects.items():
        gone = [run for run in history.runs if run.number in history.lost_files and run.phase is RunPhase.SUCCEEDED]
        place.remark(name, gone)
