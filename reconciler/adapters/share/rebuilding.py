"""Rebuilding a share: nobody else reads or writes it meanwhile, and it ends with another identity.

The file that names the share says first that it is being rebuilt, so that every node is refused; what a node that
froze after its look at that file may still have in hand lies in ``tmp/``, which is emptied next. The new identity
comes last: after a crash in between nodes are still refused, and rebuilding once more goes on.
"""

import contextlib
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.adapters.share.directory import SharedDirectory
from reconciler.adapters.share.faults import translated
from reconciler.adapters.share.files import MOUNTED, Files
from reconciler.adapters.share.identity import Identity, Named, make_share
from reconciler.adapters.share.layout import Layout
from reconciler.adapters.share.names import is_there
from reconciler.core.ledger import Run, RunPhase
from reconciler.core.names import ProjectName, RunNumber, ShareId
from reconciler.core.rebuild import Addition
from reconciler.errors import Transient

REMARK = """The files of this run were lost with the share. Its record was restored from what had been published of it:
projects/{project}/runs/ in the branch observed. To make the files again, ask for the stage again.
"""


class ShareRebuilding:
    """One process, one attempt. ``share`` reads what lies there."""

    def __init__(self, root: Path, *, writer: str, files: Files = MOUNTED) -> None:
        self.share = SharedDirectory(root, writer=writer, files=files, rebuilds=True)
        self._layout = Layout(root)
        self._files = files
        self._identity = Identity(self._layout, files, rebuilds=True)

    @property
    def was_interrupted(self) -> bool:
        return self._identity.named().is_being_rebuilt

    def claims(self, project: ProjectName) -> Mapping[RunNumber, frozenset[int]]:
        """Of the project's runs the numbers of the claims whose directories are there."""
        runs = self._layout.project(project) / "runs"
        with translated(self._layout.root):
            found = {name: self._numbers(runs / name) for name in self._listed(runs)}
        pairs = ((name.partition("-")[0], numbers) for name, numbers in found.items())
        return {RunNumber(int(number)): numbers for number, numbers in pairs if number.isdigit()}

    def _numbers(self, run: Path) -> frozenset[int]:
        return frozenset(int(name) for name in self._listed(run) if name.isdigit())

    def _listed(self, directory: Path) -> set[str]:
        try:
            return self._files.names(directory)
        except (FileNotFoundError, NotADirectoryError):
            return set()

    # --- one step after the other ---

    def begin(self) -> None:
        """From here on nobody else writes."""
        named = self._identity.named()
        make_share(self._layout, self._files)
        self._identity.write(Named(share=named.share, replaced=named.replaced, is_being_rebuilt=True))
        with translated(self._layout.root):
            for name in self._files.names(self._layout.tmp):
                with contextlib.suppress(FileNotFoundError):
                    self._files.remove(self._layout.tmp / name)

    def publish(self, additions: Iterable[Addition]) -> None:
        for one in additions:
            if one.run is None:
                stands = self.share.publish_project(one.project, one.record)  # type: ignore[arg-type]
            else:
                stands = self.share.publish_run(one.project, one.run, one.record)  # type: ignore[arg-type]
            if not stands:
                raise Transient(
                    f"record {one.record.number} of {one.project} was written by somebody else meanwhile; is a node of "
                    "another version at work? Stop it, and run winslow rebuild once more"
                )

    def remark(self, project: ProjectName, runs: Iterable[Run]) -> None:
        """Where people look for outputs that are gone they find out why."""
        for run in runs:
            target = self._layout.output(project, run.number, run.stage)
            if run.phase is not RunPhase.SUCCEEDED or is_there(self._files, target):
                continue
            with translated(self._layout.root):
                self._files.mkdir(target, parents=True)
                with contextlib.suppress(FileExistsError):
                    self._files.create(target / "LOST.txt", REMARK.format(project=project).encode())

    def finish(self, others: Iterable[ShareId]) -> ShareId:
        """The new identity. ``others`` are replaced by it as well as those that this share had."""
        named = self._identity.named()
        new = ShareId(str(uuid.uuid4()))
        self._identity.write(Named(share=new, replaced=frozenset({*others, named.share, *named.replaced})))
        return new
