"""The command as a person starts it, and a small site for it: a state repository, a share, one node.yaml."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.cli.demo.layout import Layout, make
from reconciler.cli.git import commit, git
from reconciler.cli.main import main

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
