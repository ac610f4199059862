"""The drills of docs/operations.md, followed word by word at a real site of two node processes.

The page's addresses stand for the site's own: its share, its git server, its clones. Services are started and stopped
by the test itself, everything else a shell runs.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.codec.config import load_config
from reconciler.codec.status import dump_status
from reconciler.compose import open_reader
from reconciler.errors import WinslowError
from reconciler.readers.live import LiveReader
from tests.bad_input.conftest import UNSEEN, WINSLOW, Json, Site
from tests.bad_input.conftest import root as root  # noqa: PLC0414
from tests.bad_input.conftest import site as site  # noqa: PLC0414  # a fixture, used by its name
from tests.docs.conftest import ROOT, read_page

PAGE = ROOT / "docs/operations.md"
PATIENCE = 120.0
"""Seconds that a busy machine may take for any step."""
FLOW = {
    "stages": [
        {
            "name": name,
            "process": {"command": ["sh", "-c", shell]},
            "requires": {"cpus": 0.1},
        }
        for name, shell in (
            ("detect", 'echo "$WINSLOW_RUN" >> boxes.txt; cp boxes.txt "$WINSLOW_OUTPUT"'),
            ("track", 'cat boxes.txt > "$WINSLOW_OUTPUT/tracks.txt"; test ! -e {hold} || exec sleep 600'),
            ("report", 'cat boxes.txt > "$WINSLOW_OUTPUT/report.txt"'),
        )
    ]
}


@dataclass
class Drill:
    """A site of the nodes lab-1 and lab-2, and somebody who reads the page."""

    site: Site
    reader: LiveReader | None = None

    # --- the site ---

    def until_true(self, holds: Callable[[], object]) -> None:
        self.site.until(holds, PATIENCE)

    def begin(self, *projects: str, nodes: int = 2) -> None:
        text = json.dumps(FLOW).replace("{hold}", str(self.hold))
        self.site.write("pipelines/flow.yaml", text)
        for name in projects:
            self.site.write(f"projects/{name}.yaml", "pipeline: flow\n")
        self.start_nodes(nodes)

    @property
    def hold(self) -> Path:
        """While it exists, track goes on for ten minutes."""
        return self.site.root / "hold"

    def start_nodes(self, count: int = 2) -> None:
        for number in range(1, count + 1):
            self.site.start(f"lab-{number}")

    def stop_nodes(self) -> None:
        for node in self.site.nodes:
            node.end()
        self.site.nodes.clear()

    def project(self, name: str) -> Json:
        return next((one for one in self.status()["projects"] if one["project"] == name), {})

    def status(self) -> Json:
        """What ``winslow status`` shows; in this process, for a drill asks often."""
        self.reader = self.reader or open_reader(load_config(self.site.root / "lab-1.yaml"), purpose="drill")
        try:
            return dump_status(self.reader.status())
        except WinslowError:  # the share is gone, or another one by now
            self.reader = None
            return {"projects": [], "nodes": [], "conditions": []}

    def until(self, name: str, **expected: object) -> Json:
        """What is shown of the project, as soon as it holds what is expected."""
        found: Json = {}

        def holds() -> bool:
            found.clear()
            found.update(self.project(name))
            return expected.items() <= found.items()

        self.until_true(holds)
        return found

    def until_published(self, name: str, phase: str) -> None:
        """The branch says so, with everything that the ledger holds."""
        self.until_true(lambda: f"phase: {phase}\n" in self.site.observed(f"projects/{name}/status.yaml"))
        self.until_true(lambda: self._published() == self._recorded())

    def _published(self) -> set[tuple[str, int]]:
        told = self.site.git(self.site.remote, "grep", "^record: ", "observed", "--", "projects")
        lines = (line.split(":") for line in told.splitlines())
        return {(path.removesuffix(".yaml").removesuffix("/status"), int(number)) for _, path, _, number in lines}

    def _recorded(self) -> set[tuple[str, int]]:
        found = set()
        for folder in (self.site.share / "projects").rglob("records"):
            if numbers := [int(path.stem) for path in folder.glob("*.json")]:
                found.add((str(folder.parent.relative_to(self.site.share)), max(numbers)))
        return found

    def conditions(self) -> dict[str, str]:
        return {one["type"]: one["message"] for one in self.status()["conditions"]}

    def stages(self) -> list[str]:
        """Programs of stages that run, by the files that their supervisors keep."""
        found = []
        for path in self.site.root.glob("local/*/process/*.json"):
            kept = json.loads(path.read_text())
            if kept["ended_at"] is None and Path(f"/proc/{kept['supervisor']['pid']}").exists():
                found.append(path.stem)
        return sorted(found)

    # --- the page ---

    def follow(self, heading: str, *, skip: str = "") -> str:
        """Run every command below that heading, in its order; what they said."""
        section = next(one for one in _sections() if one[0] == heading)
        said = ""
        for block in re.findall(r"^```console\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                if line.startswith("$ ") and not (skip and skip in line):
                    said += self.run(line.removeprefix("$ "))
        assert said or skip, f"nothing to run below {heading}"
        return said

    def run(self, command: str) -> str:
        match shlex.split(command, comments=True):
            case ["systemctl", "stop", "winslow"]:
                self.stop_nodes()
                return command
            case ["systemctl", "start" | "restart", "winslow"]:
                self.stop_nodes()
                self.start_nodes()
                return command
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._here(command)],
            cwd=self.site.state,
            env={
                **self.site.environment,
                "PATH": f"{WINSLOW.parent}:{self.site.environment['PATH']}",
                "WINSLOW_CONFIG": str(self.site.root / "lab-1.yaml"),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        said = ended.stdout + ended.stderr
        assert ended.returncode == 0, f"$ {command}\n{said}"
        assert not any(word in said for word in UNSEEN), said
        return said

    def _here(self, command: str) -> str:
        addresses = {
            "/mnt/winslow": self.site.share,
            "/backup/winslow": self.site.root / "backup",
            "/var/lib/winslow": self.site.root / "local/lab-1",
            "/etc/winslow/node.yaml": self.site.root / "lab-1.yaml",
            "git@git.example:lab/state.git": self.site.remote,
        }
        for there, here in addresses.items():
            command = command.replace(there, str(here))
        return command


def _sections() -> Iterator[tuple[str, str]]:
    """Headings of the second level with all that is below them, code included."""
    parts = re.split(r"^## (.*)$", read_page(PAGE).text, flags=re.MULTILINE)
    yield from zip(parts[1::2], parts[2::2], strict=True)


@pytest.fixture
def drill(site: Site) -> Drill:
    site.settings = {"runtime": "process"}
    return Drill(site)
