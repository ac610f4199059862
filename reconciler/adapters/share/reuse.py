"""Taking over the files of a completed run into the directory of a claim, instead of making them again."""

import json

from reconciler.adapters.share.files import Files
from reconciler.adapters.share.layout import PARTIAL, Layout
from reconciler.adapters.share.names import is_there, make_below
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from reconciler.core.records import Claim

MARK = "reused.json"
"""In a claim's directory: what lies beside it was not made by this claim."""


class Reuse:
    """Writes in the claim's directory alone. Each step may be the last: ``discard`` brings back the beginning."""

    def __init__(self, layout: Layout, files: Files) -> None:
        self._layout = layout
        self._files = files

    def take(self, project: ProjectName, run: Run, claim: Claim, of: Run) -> bool:
        """Clone workspace and output of the run ``of``; False, and nothing is there, if they are gone."""
        accepted = of.last_claim
        if accepted is None:
            return False
        source = self._layout.claim(project, of.number, of.stage, accepted.number)
        if not all(is_there(self._files, source / name) for name in ("workspace", "output")):
            return False
        target = self._layout.claim(project, run.number, run.stage, claim.number)
        make_below(self._files, self._layout.project(project), target)
        self._files.create(target / MARK, json.dumps({"run": of.number}).encode())
        for name in ("workspace", "output"):
            self._files.clone(source / name, target / PARTIAL)
            self._files.rename(target / PARTIAL, target / name)
        return True

    def discard(self, project: ProjectName, run: Run, claim: Claim) -> None:
        """What a ``take`` that a crash cut short has left. The mark goes last; without one nothing is touched."""
        directory = self._layout.claim(project, run.number, run.stage, claim.number)
        if not is_there(self._files, directory / MARK):
            return
        for name in (PARTIAL, "workspace", "output", MARK):
            if is_there(self._files, directory / name):
                self._files.remove(directory / name)
