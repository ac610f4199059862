"""Where things lie on the share. All paths hang off one root; nothing else in the code spells them."""

from dataclasses import dataclass
from pathlib import Path

from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, StageName, run_directory
from reconciler.core.records import Base

PARTIAL = "workspace.partial"
"""In a claim's directory its workspace, until that is whole."""


@dataclass(frozen=True, slots=True)
class Layout:
    root: Path

    @property
    def identity(self) -> Path:
        return self.root / "winslow.json"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    @property
    def resources(self) -> Path:
        return self.root / "resources"

    @property
    def projects(self) -> Path:
        return self.root / "projects"

    @property
    def nodes(self) -> Path:
        return self.root / "nodes"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def site_records(self) -> Path:
        return self.root / "site" / "records"

    def marks(self, group: str) -> Path:
        return self.root / "marks" / group

    @property
    def all_retired(self) -> Path:
        return self.root / "retired"

    def retired(self, project: ProjectName, purged: RecordNumber) -> Path:
        return self.all_retired / f"{project}.{purged:08d}"

    def project(self, project: ProjectName) -> Path:
        return self.projects / project

    def project_records(self, project: ProjectName) -> Path:
        return self.project(project) / "records"

    def init(self, project: ProjectName) -> Path:
        return self.project(project) / "init"

    def input(self, project: ProjectName) -> Path:
        return self.project(project) / "input"

    def run(self, project: ProjectName, run: RunNumber, stage: StageName) -> Path:
        return self.project(project) / "runs" / run_directory(run, stage)

    def run_records(self, project: ProjectName, run: RunNumber, stage: StageName) -> Path:
        return self.run(project, run, stage) / "records"

    def claim(self, project: ProjectName, run: RunNumber, stage: StageName, claim: RecordNumber) -> Path:
        return self.run(project, run, stage) / str(claim)

    def base_workspace(self, project: ProjectName, base: Base | None) -> Path:
        """What a run's workspace is cloned from."""
        if base is None:
            return self.init(project)
        return self.claim(project, base.run, base.stage, base.claim) / "workspace"

    def outputs(self, project: ProjectName) -> Path:
        return self.project(project) / "output"

    def output(self, project: ProjectName, run: RunNumber, stage: StageName) -> Path:
        return self.outputs(project) / run_directory(run, stage)

    def node(self, node: NodeName) -> Path:
        return self.nodes / node

    def node_records(self, node: NodeName) -> Path:
        return self.node(node) / "records"

    def heartbeat(self, node: NodeName, incarnation: str) -> Path:
        return self.node(node) / f"heartbeat.{incarnation}"

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()
