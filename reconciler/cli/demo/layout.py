"""The demo's directory. Every step makes only what is not there yet: starting again goes on where it was."""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.share import SharedDirectory
from reconciler.assets import asset
from reconciler.cli.git import commit, git, has_identity, set_identity, succeeds
from reconciler.cli.init import FIRST_COMMIT, write_template
from reconciler.codec.emit import dump_yaml
from reconciler.errors import BadInput

PROJECT = "crossing"
VIDEO = "crossing.mp4"
MARKER = ".winslow-demo"

PROJECT_FILE = f"""\
# yaml-language-server: $schema=../.winslow/schemas/project.schema.json
name: {PROJECT}
pipeline: traffic-flow
inputs: [resources/{VIDEO}]
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies below ``root``, an absolute path."""

    root: Path

    @property
    def remote(self) -> Path:
        return self.root / "state.git"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def share(self) -> Path:
        return self.root / "share"

    @property
    def project_file(self) -> Path:
        return self.state / "projects" / f"{PROJECT}.yaml"

    def config(self, node: str) -> Path:
        return self.root / f"{node}.yaml"

    def log(self, node: str) -> Path:
        return self.root / "logs" / f"{node}.log"

    def process(self, node: str) -> Path:
        return self.root / "logs" / f"{node}.process.json"


@contextmanager
def held(root: Path) -> Iterator[Layout]:
    """The directory, ours alone while we run. BadInput if it is somebody else's, in use, or can't be written."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not (root / MARKER).exists() and any(root.iterdir()):
            raise BadInput(f"{root} holds something else than a demo; name a new directory with --dir")
        with (root / MARKER).open("a", encoding="utf-8") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Layout(root)
    except BlockingIOError as error:
        raise BadInput(f"a demo runs already in {root}; end it with Ctrl-C, or name another directory") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(f"{root} is a file, or lies in one; name a new directory with --dir") from error
    except PermissionError as error:
        raise BadInput(f"{error.filename or root} can't be written; name a directory of yours with --dir") from error


def make(layout: Layout, nodes: Sequence[str], runtime: str) -> None:
    """Everything but the project: that is committed when the nodes are there to see it."""
    _state_repository(layout)
    SharedDirectory.create(layout.share)
    _video(layout)
    for node in nodes:
        if not layout.config(node).exists():
            _write_whole(layout.config(node), _config(layout, node, runtime))
    (layout.root / "logs").mkdir(exist_ok=True)


def _state_repository(layout: Layout) -> None:
    if not (layout.remote / "HEAD").exists():
        git(layout.root, "init", "--quiet", "--bare", "-b", "main", layout.remote.name)
    if not (layout.state / ".git").exists():
        if layout.state.exists():
            shutil.rmtree(layout.state)  # a start that ended while it copied: nobody has worked in there yet
        write_template(layout.state)
        git(layout.state, "init", "--quiet", "-b", "main")
        if not has_identity(layout.state):
            set_identity(layout.state)
    if not succeeds(layout.state, "rev-parse", "--verify", "--quiet", "HEAD"):
        commit(layout.state, FIRST_COMMIT, ".")
    if not succeeds(layout.state, "remote", "get-url", "origin"):
        git(layout.state, "remote", "add", "origin", layout.remote.as_uri())
    if not succeeds(layout.remote, "rev-parse", "--verify", "--quiet", "refs/heads/main"):
        git(layout.state, "push", "--quiet", "--set-upstream", "origin", "main")


def _video(layout: Layout) -> None:
    target = layout.share / "resources" / VIDEO
    if not target.exists():
        draft = target.with_name(f"{VIDEO}.part")
        shutil.copyfile(asset("examples/traffic-flow") / "resources" / VIDEO, draft)
        draft.rename(target)


def _config(layout: Layout, node: str, runtime: str) -> str:
    settings: dict[str, object] = {
        "version": 1,
        "name": node,
        "state": {"url": layout.remote.as_uri()},
        "share": str(layout.share),
        "local": str(layout.root / "local" / node),
        "runtime": runtime,
        "poll": "2s",
    }
    if runtime == "process":
        settings["process"] = {"environment": {"PATH": stage_path()}}
    return dump_yaml(settings)


def stage_path() -> str:
    """PATH of stages that are plain processes: our own Python first, since the example is installed beside us."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _write_whole(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    draft.rename(path)


def ask_for_project(layout: Layout) -> bool:
    """Commit and push the project; False if somebody did before. Edits of the project stay as they are."""
    known = succeeds(layout.state, "cat-file", "-e", f"HEAD:projects/{PROJECT}.yaml")
    pushed = succeeds(layout.remote, "cat-file", "-e", f"main:projects/{PROJECT}.yaml")
    if not known and not pushed:
        if not layout.project_file.exists():
            _write_whole(layout.project_file, PROJECT_FILE)
        commit(layout.state, "Ask for the crossing", f"projects/{PROJECT}.yaml")
        known = True
    if known and not pushed:
        git(layout.state, "push", "--quiet", "origin", "HEAD:main")
    return not pushed
