"""The command as a person starts it, and a small site for it: a state repository, a share, one node.yaml."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.cli.demo.layout import Layout, make
from reconciler.cli.git import commit, git
from reconciler.cli.main import main
from reconciler.codec.observed import fold
from reconciler.core.status import Condition, NodeStatus, ProjectStatus, Status

PIPELINE = """\
name: Greeting
stages:
  - name: greet
    process: {command: [sh, -c, 'for i in 1 2 3 4 5 6 7 8 9; do echo "line $i"; done; echo oops >&2']}
    requires: {cpus: 0.1}
  - name: leave
    process: {command: [sh, -c, 'echo 50 %; echo WINSLOW_RESULT: mood=good; exit $CODE']}
    environment: {CODE: "0"}
    requires: {cpus: 0.1}
"""

FLOW = """\
name: Flow
stages:
  - {name: detect, image: "example/detect:1"}
  - {name: track, image: "example/track:1"}
  - {name: report, image: "example/report:1", confirm: before}
"""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass
class Winslow:
    """Runs ``winslow`` as its own process, away from this user's files."""

    cwd: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def __call__(self, *arguments: str | Path, extra: Mapping[str, str] | None = None) -> Ended:
        ended = subprocess.run(
            self.command(*arguments),
            cwd=self.cwd,
            env={**self.environment, **(extra or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str | Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.cwd,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "reconciler.cli.main", *map(str, arguments)]

    def end(self) -> None:
        for process in self.started:
            process.terminate()  # a demo ends its nodes; killed at once it would leave them
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


@dataclass(frozen=True)
class Site:
    layout: Layout

    @property
    def config(self) -> Path:
        return self.layout.config("alpha")

    def push(self, path: str, content: str) -> None:
        target = self.layout.state / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        commit(self.layout.state, f"Write {path}", path)
        git(self.layout.state, "push", "--quiet", "origin", "HEAD:main")


@pytest.fixture
def winslow(tmp_path: Path) -> Iterator[Winslow]:
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WINSLOW_", "XDG_"))}
    command = Winslow(tmp_path, {**kept, "HOME": str(home), "GIT_CONFIG_GLOBAL": "/dev/null", "COLUMNS": "200"})
    yield command
    command.end()


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ended]:
    """``winslow`` within this process, for commands that only look: it starts a hundred times as fast."""
    for name in [name for name in os.environ if name.startswith(("WINSLOW_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, given: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "argv", ["winslow", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two stages that end at once; no project yet."""
    layout = Layout(tmp_path / "site")
    layout.root.mkdir()
    make(layout, ["alpha"], "process")
    made = Site(layout)
    made.push("pipelines/greeting.yaml", PIPELINE)
    return made


@pytest.fixture
def eventually() -> Callable[..., None]:
    def wait_until(holds: Callable[[], object], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} seconds"
            time.sleep(0.1)

    return wait_until


@dataclass(frozen=True)
class Remote:
    """The state repository on its server, looked at directly."""

    path: Path

    def git(self, *arguments: str) -> str:
        return git(self.path, *arguments)

    def text(self, path: str, branch: str = "main") -> str:
        """Byte for byte, unlike what ``git`` gives."""
        shown = subprocess.run(["git", "-C", self.path, "show", f"{branch}:{path}"], capture_output=True, check=True)
        return shown.stdout.decode()

    def subjects(self, branch: str = "main") -> list[str]:
        return self.git("log", "--format=%s", branch).splitlines()

    def hook(self, name: str, script: str) -> None:
        write_script(self.path / "hooks" / name, script)

    def publish(
        self, *projects: ProjectStatus, conditions: tuple[Condition, ...] = (), nodes: tuple[NodeStatus, ...] = ()
    ) -> None:
        """As a node does: the branch observed."""
        commit = self.git("rev-parse", "main")
        files = fold(Status(projects=projects, nodes=nodes, commit=commit, conditions=conditions))
        with tempfile.TemporaryDirectory() as folder:
            environment = {"GIT_INDEX_FILE": f"{folder}/index"}
            for path, content in files.items():
                blob = git(self.path, "hash-object", "-w", "--stdin", stdin=content.encode())
                entry = f"100644,{blob},{path}"
                git(self.path, "update-index", "--add", "--cacheinfo", entry, extra=environment)
            tree = git(self.path, "write-tree", extra=environment)
        commit_ = git(self.path, "-c", "user.name=n", "-c", "user.email=n@n", "commit-tree", "-m", "Update", tree)
        self.git("update-ref", "refs/heads/observed", commit_)


def write_script(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@dataclass
class Desk:
    """A person at a clone who types ``winslow``; runs within this process, from its entry point on."""

    clone: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path, cwd: Path | None = None) -> Ended:
        self.capsys.readouterr()
        self.monkeypatch.chdir(cwd or self.clone)
        self.monkeypatch.setattr(sys, "argv", ["winslow", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self.capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    def git(self, *arguments: str) -> str:
        return git(self.clone, *arguments)

    def push(self, path: str, content: str) -> None:
        """An edit by hand."""
        target = self.clone / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode())
        commit(self.clone, f"Write {path}", path)
        git(self.clone, "push", "--quiet", "origin", "HEAD:main")


@pytest.fixture(scope="session")
def state_and_clones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A remote with a pipeline of three stages, and two clones; made once, and copied for each test."""
    root = tmp_path_factory.mktemp("edits")
    git(root, "init", "--quiet", "--bare", "-b", "main", "state.git")
    for name in ("ada", "ben"):
        git(root, "clone", "--quiet", (root / "state.git").as_uri(), name)
        clone = root / name
        git(clone, "config", "user.name", name.title())
        git(clone, "config", "user.email", f"{name}@example.org")
        if name == "ada":
            git(clone, "checkout", "--quiet", "-B", "main")
            (clone / "pipelines").mkdir()
            (clone / "pipelines/flow.yaml").write_text(FLOW, encoding="utf-8")
            (clone / "winslow.yaml").write_text("version: 1\n", encoding="utf-8")
            commit(clone, "Begin", ".")
            git(clone, "push", "--quiet", "--set-upstream", "origin", "main")
    return root


@pytest.fixture
def remote(tmp_path: Path, state_and_clones: Path) -> Remote:
    shutil.copytree(state_and_clones / "state.git", tmp_path / "state.git")
    return Remote(tmp_path / "state.git")


@pytest.fixture
def desks(
    tmp_path: Path,
    state_and_clones: Path,
    remote: Remote,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[Desk, Desk]:
    """Ada and Ben at their clones of the remote."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for name in ("ada", "ben"):
        shutil.copytree(state_and_clones / name, tmp_path / name)
        git(tmp_path / name, "remote", "set-url", "origin", remote.path.as_uri())
    return Desk(tmp_path / "ada", monkeypatch, capsys), Desk(tmp_path / "ben", monkeypatch, capsys)
