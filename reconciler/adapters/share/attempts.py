"""The files of one claim: its directory, its events, its published output. Only the claimant writes here."""

import json
import os
import secrets
import shutil
from datetime import datetime
from pathlib import Path

from reconciler.adapters.share.clone import clone_tree
from reconciler.adapters.share.layout import Layout
from reconciler.adapters.share.names import is_there, make_below, refresh
from reconciler.codec.convert import read_time
from reconciler.core.containers import Paths
from reconciler.core.desired import Workspace
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from reconciler.core.records import Base, Claim, RunCreated
from reconciler.errors import StartFailed


def prepare(layout: Layout, project: ProjectName, run: Run, claim: Claim) -> Paths:
    """Make the claim's directory with a workspace cloned from the run's base. Repeatable after a crash."""
    directory = layout.claim(project, run.number, run.stage, claim.number)
    for path in (directory / "output", layout.input(project), layout.init(project)):
        make_below(layout.project(project), path)
    layout.resources.mkdir(exist_ok=True)
    workspace = directory / "workspace"
    if not workspace.exists():
        _clone_workspace(layout, project, run.created, workspace)
    return Paths(
        claim=str(directory),
        workspace=str(workspace),
        output=str(directory / "output"),
        input=str(layout.input(project)),
        resources=str(layout.resources),
    )


def _clone_workspace(layout: Layout, project: ProjectName, created: RunCreated, target: Path) -> None:
    """Under its final name a workspace is whole: what a crash left half done is thrown away and cloned again.

    A fresh one is empty, unless the request named a base with ``from``.
    """
    partial = target.with_name("workspace.partial")
    if partial.exists():
        shutil.rmtree(partial)
    if created.workspace is Workspace.FRESH and created.base is None:
        partial.mkdir()
    else:
        _clone_base(layout, project, created.base, partial)
    partial.rename(target)


def _clone_base(layout: Layout, project: ProjectName, base: Base | None, target: Path) -> None:
    """A base that is gone must not quietly become an empty workspace."""
    source = layout.base_workspace(project, base)
    if base is not None and not is_there(source):
        raise StartFailed(
            "BaseMissing",
            f"the workspace of run {base.run} is gone ({layout.relative(source)}); ask for this stage again with "
            "`from:` another run, or run the stage before it again",
        )
    clone_tree(source, target)


def add_event(directory: Path, at: datetime, event: str, facts: dict[str, object]) -> None:
    """Append one line to the claim's events.jsonl."""
    line = json.dumps({"t": at.isoformat(), "event": event, **facts}, sort_keys=True)
    with (directory / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def started_at(directory: Path) -> datetime | None:
    """When the claim's container started, by its events; None if it has not (or not visibly) yet."""
    try:
        refresh(directory)
        lines = (directory / "events.jsonl").read_bytes().splitlines()
    except FileNotFoundError:
        return None
    return next((at for line in reversed(lines) if (at := _started(line)) is not None), None)


def _started(line: bytes) -> datetime | None:
    try:
        event = json.loads(line)
        return read_time(event["t"]) if event["event"] == "started" else None
    except (ValueError, KeyError, TypeError):  # still being written, or not by us
        return None


def publish_output(layout: Layout, project: ProjectName, run: Run, claim: Claim) -> None:
    """Clone the accepted claim's output beside the target, then rename: it appears whole or not at all."""
    target = layout.output(project, run.number, run.stage)
    if is_there(target):
        return
    make_below(layout.project(project), target.parent)
    source = layout.claim(project, run.number, run.stage, claim.number) / "output"
    draft = layout.tmp / f"output.{secrets.token_hex(8)}"
    try:
        clone_tree(source, draft)
        draft.rename(target)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not is_there(target):
            raise
