"""The guide's commands, run in its order at a real site: what a reader does, a person with git and a clone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.codec.config import load_config
from reconciler.codec.status import dump_status
from reconciler.compose import open_reader
from reconciler.readers.live import LiveReader
from tests.docs.conftest import ROOT

GUIDE = ROOT / "docs/working-with-projects.md"
BLOCK = re.compile(r"^```(yaml|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WINSLOW = Path(sys.executable).with_name("winslow")
ANYTHING = "…"
SECONDS = 120.0


@dataclass
class Reader:
    """Somebody who has a clone, a node's configuration, and patience between two blocks of the guide."""

    root: Path
    environment: dict[str, str]
    live: LiveReader | None = None

    @property
    def clone(self) -> Path:
        return self.root / "state"

    def run(self, command: str) -> str:
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self.clone,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 0, f"$ {command}\n{ended.stdout}{ended.stderr}"
        return ended.stdout + ended.stderr

    def follow(self, language: str, block: str) -> None:
        if language == "yaml":
            path = self.clone / block.split("\n", 1)[0].removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.split("\n", 1)[1], encoding="utf-8")
            return
        for command, expected in steps(block):
            said = self.run(command)
            assert matches(expected, said), f"$ {command}\nexpected:\n{expected}\nsaid:\n{said}"
        self.look_up()

    def look_up(self) -> None:
        """Until nothing moves but a stage that takes its time, and the nodes have published so, with all they offer."""
        deadline = time.monotonic() + SECONDS
        while (live := self._live()) != self._published() or _moves(live):
            assert time.monotonic() < deadline, f"{live}\n{self._published()}\n{(self.root / 'log').read_text()}"
            time.sleep(0.2)

    def _live(self) -> dict[str, Any]:
        self.live = self.live or open_reader(load_config(self.root / "node.yaml"), purpose="test")
        status = dump_status(self.live.status())
        head = self.run(f"git -C {self.root}/state.git rev-parse main").strip()
        projects = [_short(project, project["runs"]) for project in status["projects"]]
        offers = sorted(offer["branch"] for project in status["projects"] for offer in project["offers"])
        return {"commit": head, "projects": projects, "offers": offers}

    def _published(self) -> dict[str, Any]:
        git = ["git", "-C", str(self.root / "state.git")]
        names = subprocess.run([*git, "ls-tree", "-r", "--name-only", "observed"], capture_output=True, text=True)  # noqa: PLW1510  # there may be none yet
        files = {
            name: yaml.safe_load(
                subprocess.run([*git, "show", f"observed:{name}"], capture_output=True, check=True).stdout
            )
            for name in names.stdout.splitlines()
            if name.endswith(".yaml")
        }
        projects = []
        for name, project in files.items():
            if name.startswith("projects/") and name.endswith("/status.yaml"):
                folder = name.removesuffix("status.yaml") + "runs/"
                projects.append(_short(project, [run for path, run in files.items() if path.startswith(folder)]))
        heads = self.run(
            f"git -C {self.root}/state.git for-each-ref --format='%(refname:lstrip=2)' refs/heads/proposals"
        )
        offers = sorted(name for name in heads.split() if name.count("/") == 2 and name.rsplit("/", 1)[1][0].isdigit())
        return {"commit": files.get("status.yaml", {}).get("commit"), "projects": projects, "offers": offers}


def _short(project: dict[str, Any], runs: list[dict[str, Any]]) -> dict[str, Any]:
    last = max(runs, key=lambda run: run["run"], default={})
    return {
        "project": project["project"],
        "phase": project["phase"],
        "run": last.get("run"),
        "state": last.get("phase"),
        "takes": (last.get("environment") or {}).get("SECONDS_TO_TAKE"),
    }


def _moves(seen: dict[str, Any]) -> bool:
    return any(
        project["phase"] == "Queued"
        or project["state"] == "Starting"
        or (project["state"] == "Running" and project["takes"] == "0")
        for project in seen["projects"]
    )


def steps(block: str) -> Iterator[tuple[str, str]]:
    """(command, what it is said to print) of each ``$`` line."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def matches(expected: str, said: str) -> bool:
    """``…`` stands for any lines; a command of which nothing is told may print nothing but git's own remarks."""
    if not expected:
        return True
    wanted = [line for line in expected.splitlines() if line != ANYTHING]
    found = iter(said.splitlines())
    return all(any(line == one.rstrip() for one in found) for line in wanted)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WINSLOW_", "XDG_", "GIT_"))}
    person = {f"GIT_{role}_{what}": "ada@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    found = Reader(
        tmp_path,
        {
            **kept,
            **person,
            "HOME": str(tmp_path),
            "PATH": f"{WINSLOW.parent}:{os.environ['PATH']}",
            "WINSLOW_CONFIG": str(tmp_path / "node.yaml"),
            "SHARE": str(tmp_path / "share"),
        },
    )
    found.clone.mkdir()
    found.run(f"git init -q --bare -b main {tmp_path}/state.git && git clone -q {tmp_path}/state.git .")
    found.run("git checkout -q -b main && printf 'version: 1\\nheartbeat: 1s\\nttl: 20s\\n' > winslow.yaml")
    found.run("git add . && git commit -qm Begin && git push -qu origin main && winslow init --share $SHARE")
    settings = {
        "version": 1,
        "name": "lab-1",
        "state": {"url": f"{tmp_path}/state.git"},
        "share": str(tmp_path / "share"),
        "local": str(tmp_path / "local"),
        "runtime": "process",
        "poll": "1s",
        "process": {"stop_grace": "1s"},
    }
    (tmp_path / "node.yaml").write_text(json.dumps(settings), encoding="utf-8")
    with (tmp_path / "log").open("wb") as log:
        node = subprocess.Popen([WINSLOW, "node", "--hand-over"], env=found.environment, stdout=log, stderr=log)
    try:
        yield found
    finally:
        node.send_signal(signal.SIGTERM)
        assert node.wait(30) == 0


@pytest.mark.timeout(600)  # a minute where the machine has nothing else to do
def test_a_person_can_follow_the_guide_from_its_first_line_to_its_last(reader: Reader) -> None:
    for language, block in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        reader.follow(language, block)
    assert "Traceback" not in (reader.root / "log").read_text(encoding="utf-8")


def test_a_line_that_is_not_printed_is_noticed() -> None:
    """The check can fail."""
    assert matches("…\n+abort: 5\n…\n", "a\n+abort: 5\nb\n")
    assert not matches("…\n+abort: 5\n…\n", "a\n+abort: 6\nb\n")
    assert not matches("second\nfirst\n", "first\nsecond\n")
