"""What an edit is decided on: the state repository at one commit, and what the nodes last said about it."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property

from reconciler.cli.edits.clone import Clone, Fetched
from reconciler.codec.desired import load
from reconciler.codec.edit import Change, edited
from reconciler.codec.files import Place, placed
from reconciler.codec.observed import unfold
from reconciler.codec.tree import StateTree
from reconciler.codec.validate import Kind
from reconciler.core.desired import Desired, Pipeline, Project
from reconciler.core.ledger import RunPhase
from reconciler.core.names import Blob, Commit, ProjectName, run_directory
from reconciler.core.status import NodeStatus, ProjectStatus
from reconciler.errors import BadInput, RecordUnreadable, WinslowError

SHOWN = 20  # names in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One file's new text (None: no such file). ``follows`` tells what will happen then."""

    project: str
    path: str
    before: str | None
    after: str | None
    subject: str  # without the project
    follows: str


@dataclass(frozen=True, slots=True)
class File:
    path: str
    text: str


class State:
    def __init__(self, clone: Clone, fetched: Fetched, tree: StateTree, reported: StateTree | None) -> None:
        self._clone = clone
        self._fetched = fetched
        self._tree = tree
        self._reported = reported
        if not any(isinstance(placed(path), Place) for path in tree.files()):
            raise BadInput(
                f"{clone.directory} is no state repository: branch {clone.branch} of {clone.remote} has neither "
                "winslow.yaml nor pipelines/ or projects/; name one by --repository DIR"
            )

    @cached_property
    def desired(self) -> Desired:
        return load(self._tree)

    def paths(self, name: str) -> list[str]:
        """Where project ``name`` lies; more than one is a fault."""
        return sorted(path for path, stem in self._projects().items() if stem == name)

    def file(self, name: str) -> File:
        """The project's file. BadInput with the nearest name if there is none, or more than one."""
        paths = self.paths(name)
        if len(paths) > 1:
            raise BadInput(f"the project '{name}' exists twice: {', '.join(paths)}; remove one by hand first")
        if not paths:
            raise BadInput(self._nowhere(name))
        return File(paths[0], _decoded(self._tree.read(self._tree.files()[paths[0]]), paths[0]))

    def project(self, name: str) -> Project:
        """The project as it is in use, also while its file is broken."""
        path = self.file(name).path
        if ProjectName(name) not in self.desired.projects:
            told = [str(problem) for problem in self.desired.problems if problem.file == path]
            raise BadInput("\n".join(told) or f"{path} can't be used; see winslow validate")
        return self.desired.projects[ProjectName(name)]

    def pipeline(self, name: str) -> Pipeline:
        project = self.project(name)
        pipeline = self.desired.pipelines.get(project.pipeline)
        if pipeline is None:
            told = [str(problem) for problem in self.desired.problems if "pipeline" in problem.message]
            raise BadInput("\n".join(told) or f"{project.path} names no pipeline; winslow pipeline {name} NAME")
        return pipeline

    def status(self, name: str) -> ProjectStatus | None:
        """What the nodes last published of this project; None if they have not yet."""
        if self._reported is None:
            return None
        files = self._reported.files()
        mine = {path: blob for path, blob in files.items() if path.startswith(f"projects/{name}/")}
        if not mine or "status.yaml" not in files:
            return None
        wanted: Mapping[str, Blob] = {**mine, "status.yaml": files["status.yaml"]}
        found = unfold({path: self._reported.read(blob).decode(errors="replace") for path, blob in wanted.items()})
        return found.projects[0] if found.projects else None

    def glance(self, name: str) -> ProjectStatus | None:
        """As ``status``, for those who only tell of it: no fault in it keeps anybody from pausing."""
        try:
            return self.status(name)
        except RecordUnreadable:
            return None

    def text(self, path: str) -> str | None:
        """Any file as it is; None if there is none."""
        blob = self._tree.files().get(path)
        return None if blob is None else _decoded(self._tree.read(blob), path)

    def nodes(self) -> list[str]:
        """Names of all nodes: those that have joined, as far as it was published, and those that have a file."""
        known = [*self._tree.files(), *(self._reported.files() if self._reported else {})]
        found = (placed(path) for path in known if path.startswith("nodes/"))
        return sorted({place.stem for place in found if isinstance(place, Place) and place.kind is Kind.NODE})

    def runs_on(self, node: str) -> list[str]:
        """What the node runs, as it was last published: ``flight-07/0004-detect``. Only such files are parsed."""
        if self._reported is None:
            return []
        going = ("phase: Running", "phase: Starting")
        projects = set()
        for path, blob in self._reported.files().items():
            parts = path.split("/")
            if parts[0] == "projects" and "runs" in parts:
                told = self._reported.read(blob).decode(errors="replace")
                if node in told and any(phase in told for phase in going):
                    projects.add(parts[1])
        return [
            f"{name}/{run_directory(run.run, run.stage)}"
            for name in sorted(projects)
            if (status := self.glance(name))
            for run in status.runs
            if run.node == node and run.phase in (RunPhase.STARTING, RunPhase.RUNNING)
        ]

    def reported_nodes(self) -> tuple[NodeStatus, ...]:
        """All nodes as they were last published; nothing while that can't be read."""
        files = self._reported.files() if self._reported else {}
        wanted = {path: blob for path, blob in files.items() if path.startswith("nodes/") or path == "status.yaml"}
        if self._reported is None or "status.yaml" not in wanted:
            return ()
        try:
            texts = {path: self._reported.read(blob).decode(errors="replace") for path, blob in wanted.items()}
            return unfold(texts).nodes
        except RecordUnreadable:
            return ()

    def as_of(self, commit: str, name: str) -> tuple[Project, Pipeline] | None:
        """The project and its pipeline at an earlier commit, if that is still there and had them."""
        try:
            with opened(self._clone, Fetched(head=Commit(commit), observed=None)) as then:
                project = then.project(name)
                return project, then.pipeline(name)
        except WinslowError:
            return None

    def held(self) -> bool:
        """Did the nodes last say that they hold on to an older commit, main being rewritten?"""
        files = self._reported.files() if self._reported else {}
        if self._reported is None or "status.yaml" not in files:
            return False
        try:
            text = self._reported.read(files["status.yaml"]).decode(errors="replace")
            return any(one.type == "SourceRewritten" for one in unfold({"status.yaml": text}).conditions)
        except RecordUnreadable:
            return False

    def removed(self, name: str) -> File | None:
        """The file that project ``name`` had before it was deleted."""
        if not isinstance(placed(f"projects/{name}.yaml"), Place):
            return None
        found = self._clone.removal(self._fetched.head, f"{name}.yaml")
        if found is None:
            return None
        commit, path = found
        blob = self._clone.blob(f"{commit}^", path)
        return File(path, _decoded(self._tree.read(Blob(blob)), path)) if blob else None

    def change(self, name: str, *changes: Change, subject: str, follows: str) -> Edit:
        file = self.file(name)
        after = edited(file.text, changes, file=file.path)
        return Edit(project=name, path=file.path, before=file.text, after=after, subject=subject, follows=follows)

    def _projects(self) -> dict[str, str]:
        found = {path: placed(path) for path in self._tree.files()}
        return {
            path: place.stem for path, place in found.items() if isinstance(place, Place) and place.kind is Kind.PROJECT
        }

    def _nowhere(self, name: str) -> str:
        known = sorted(self._projects().values())
        if near := difflib.get_close_matches(name, known, n=1):
            return f"there is no project '{name}'; did you mean '{near[0]}'?"
        if self.removed(name):
            return f"the project '{name}' was deleted; winslow restore {name} puts it back"
        more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
        return f"there is no project '{name}'; there are: {', '.join(known[:SHOWN]) or 'none yet'}{more}"


@contextmanager
def opened(clone: Clone, fetched: Fetched) -> Iterator[State]:
    from reconciler.adapters.git.commits import Commits  # noqa: PLC0415

    commits = Commits(clone.git_directory)
    with ExitStack() as trees:
        tree = trees.enter_context(commits.tree(fetched.head))
        reported = trees.enter_context(commits.observed_tree(fetched.observed)) if fetched.observed else None
        yield State(clone, fetched, tree, reported)


def _decoded(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}:1:1: this is not UTF-8 text; save the file as UTF-8 first") from error
