"""The files of one claim: its directory, its events, its published output. Only the claimant writes here."""

import contextlib
import json
import secrets
from datetime import datetime
from pathlib import Path

from reconciler.adapters.share.files import Files
from reconciler.adapters.share.layout import PARTIAL, Layout
from reconciler.adapters.share.names import is_there, make_below
from reconciler.codec.convert import read_time
from reconciler.core.containers import Paths
from reconciler.core.desired import Workspace
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from reconciler.core.records import Base, Claim, RunCreated
from reconciler.errors import StartFailed


class Attempts:
    def __init__(self, layout: Layout, files: Files, *, writer: str) -> None:
        self._layout = layout
        self._files = files
        self._writer = writer

    def prepare(self, project: ProjectName, run: Run, claim: Claim) -> Paths:
        """Make the claim's directory with a workspace cloned from the run's base. Repeatable after a crash."""
        layout = self._layout
        directory = layout.claim(project, run.number, run.stage, claim.number)
        for path in (directory / "output", layout.input(project), layout.init(project)):
            make_below(self._files, layout.project(project), path)
        self._files.mkdir(layout.resources)
        workspace = directory / "workspace"
        if not is_there(self._files, workspace):
            self._clone_workspace(project, run.created, workspace)
        return Paths(
            claim=str(directory),
            workspace=str(workspace),
            output=str(directory / "output"),
            input=str(layout.input(project)),
            resources=str(layout.resources),
        )

    def _clone_workspace(self, project: ProjectName, created: RunCreated, target: Path) -> None:
        """Under its final name a workspace is whole: what a crash left half done is thrown away and cloned again.

        A fresh one is empty, unless the request named a base with ``from``.
        """
        partial = target.with_name(PARTIAL)
        if is_there(self._files, partial):
            self._files.remove(partial)
        if created.workspace is Workspace.FRESH and created.base is None:
            self._files.mkdir(partial)
        else:
            self._clone_base(project, created.base, partial)
        self._files.rename(partial, target)

    def _clone_base(self, project: ProjectName, base: Base | None, target: Path) -> None:
        """A base that is gone must not quietly become an empty workspace."""
        source = self._layout.base_workspace(project, base)
        if base is not None and not is_there(self._files, source):
            raise StartFailed(
                "BaseMissing",
                f"the workspace of run {base.run} is gone ({self._layout.relative(source)}); ask for this stage again "
                "with `from:` another run, or run the stage before it again",
            )
        self._files.clone(source, target)

    def add_event(self, directory: Path, at: datetime, event: str, facts: dict[str, object]) -> None:
        """Append one line to the claim's events.jsonl."""
        line = json.dumps({"t": at.isoformat(), "event": event, **facts}, sort_keys=True)
        self._files.append(directory / "events.jsonl", line.encode() + b"\n")

    def started_at(self, directory: Path) -> datetime | None:
        """When the claim's container started, by its events; None if it has not (or not visibly) yet."""
        try:
            self._files.refresh(directory)
            lines = self._files.read(directory / "events.jsonl").splitlines()
        except FileNotFoundError:
            return None
        return next((at for line in reversed(lines) if (at := _started(line)) is not None), None)

    def publish_output(self, project: ProjectName, run: Run, claim: Claim) -> None:
        """Clone the accepted claim's output beside the target, then rename: it appears whole or not at all."""
        target = self._layout.output(project, run.number, run.stage)
        if is_there(self._files, target):
            return
        make_below(self._files, self._layout.project(project), target.parent)
        source = self._layout.claim(project, run.number, run.stage, claim.number) / "output"
        draft = self._layout.tmp / f"{self._writer}.{secrets.token_hex(8)}"
        try:
            self._files.clone(source, draft)
            self._files.rename(draft, target)
        except OSError:
            with contextlib.suppress(OSError):
                self._files.remove(draft)
            if not is_there(self._files, target):
                raise


def _started(line: bytes) -> datetime | None:
    try:
        event = json.loads(line)
        return read_time(event["t"]) if event["event"] == "started" else None
    except (ValueError, KeyError, TypeError):  # still being written, or not by us
        return None
