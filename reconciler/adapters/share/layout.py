"""Where things lie on the share. All paths hang off one root; nothing else in the code spells them."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, StageName, run_directory
from reconciler.core.records import Base

PARTIAL = "workspace.partial"
"""In a claim's directory its workspace, until that is whole."""


@dataclass(frozen=True, slots=True)
class Layout:
    root: Path
    _made: dict[tuple[str, ...], Path] = field(default_factory=dict, compare=False, repr=False)

    def _at(self, *parts: str) -> Path:
        """Joined once: that is most of what a look at an unchanged ledger costs."""
        if parts not in self._made:
            self._made[parts] = self.root.joinpath(*parts)
        return self._made[parts]

    @property
    def identity(self) -> Path:
        return self._at("winslow.json")

    @property
    def tmp(self) -> Path:
        return self._at("tmp")

    @property
    def resources(self) -> Path:
        return self._at("resources")

    @property
    def projects(self) -> Path:
        return self._at("projects")

    @property
    def nodes(self) -> Path:
        return self._at("nodes")

    @property
    def locks(self) -> Path:
        return self._at("locks")

    @property
    def site_records(self) -> Path:
        return self._at("site", "records")

    def marks(self, group: str) -> Path:
        return self._at("marks", group)

    @property
    def all_retired(self) -> Path:
        return self._at("retired")

    def retired(self, project: ProjectName, purged: RecordNumber) -> Path:
        return self._at("retired", f"{project}.{purged:08d}")

    def project(self, project: ProjectName) -> Path:
        return self._at("projects", project)

    def project_records(self, project: ProjectName) -> Path:
        return self._at("projects", project, "records")

    def init(self, project: ProjectName) -> Path:
        return self._at("projects", project, "init")

    def input(self, project: ProjectName) -> Path:
        return self._at("projects", project, "input")

    def declared(self, project: ProjectName, path: str) -> Path:
        """What a run is given: below ``resources/``, or the project's own ``input/`` or ``init``."""
        area, _, rest = path.partition("/")
        return (self.resources if area == "resources" else self.project(project) / area).joinpath(rest)

    def hashes(self, of: Path) -> Path:
        """Where the known hashes of the file ``of`` lie: nobody writes that name in a file's name."""
        return self._at("hashes", hashlib.sha256(self.relative(of).encode(errors="surrogateescape")).hexdigest())

    def run(self, project: ProjectName, run: RunNumber, stage: StageName) -> Path:
        return self._at("projects", project, "runs", run_directory(run, stage))

    def run_records(self, project: ProjectName, run: RunNumber, stage: StageName) -> Path:
        return self._at("projects", project, "runs", run_directory(run, stage), "records")

    def claim(self, project: ProjectName, run: RunNumber, stage: StageName, claim: RecordNumber) -> Path:
        return self._at("projects", project, "runs", run_directory(run, stage), str(claim))

    def base_workspace(self, project: ProjectName, base: Base | None) -> Path:
        """What a run's workspace is cloned from."""
        if base is None:
            return self.init(project)
        return self.claim(project, base.run, base.stage, base.claim) / "workspace"

    def outputs(self, project: ProjectName) -> Path:
        return self._at("projects", project, "output")

    def output(self, project: ProjectName, run: RunNumber, stage: StageName) -> Path:
        return self._at("projects", project, "output", run_directory(run, stage))

    def node(self, node: NodeName) -> Path:
        return self._at("nodes", node)

    def metrics(self, node: NodeName) -> Path:
        return self._at("nodes", node, "metrics")

    def node_records(self, node: NodeName) -> Path:
        return self._at("nodes", node, "records")

    def heartbeat(self, node: NodeName, incarnation: str) -> Path:
        return self._at("nodes", node, f"heartbeat.{incarnation}")

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()
