"""A fresh site for each scenario: a state repository, a directory on the share, a reconciler on each node."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from reconciler.codec.records import load_record
from reconciler.core.nodes import NodeRecord
from reconciler.core.records import Claim, Done, RunRecord
from tests.lab.git_server import ENVIRONMENT, GitServer
from tests.lab.guest import Machine, NoAnswer
from tests.lab.node import Node, Place
from tests.lab.waiting import Broken, until

SHARED = "/mnt/disk/shared"
UNSEEN = ("Traceback", "unexpected_fault", "worker_crashed")
"""What must stand in no node's log, whatever we did to it."""

PROGRAM = """
i=0
: > lines
while [ ! -e /run/enough.$SITE.$WINSLOW_PROJECT.$WINSLOW_RUN ]; do
  i=$((i + 1))
  echo "line $i$PADDING"
  until echo "$i" >> lines; do sleep 1; done
  sleep 0.5
done
echo "$i lines by attempt $WINSLOW_ATTEMPT" > "$WINSLOW_OUTPUT/result" || exit 1
echo "end $i"
"""
"""Counts, in its log and in a file on the share, until this machine's own disk says that it is enough."""


@dataclass(frozen=True)
class Run:
    """A run as its records tell it, from the server's own disk."""

    directory: str
    records: tuple[RunRecord, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(record for record in self.records if isinstance(record, Claim))

    @property
    def owner(self) -> str:
        """Whose claim stands last, if it is still open; else nobody's."""
        last = self.records[-1] if self.records else None
        return last.node if isinstance(last, Claim) else ""

    @property
    def is_done(self) -> bool:
        return bool(self.records) and isinstance(self.records[-1], Done)


@dataclass(eq=False)
class Site:
    name: str
    server: Machine
    machines: Mapping[str, Machine]
    git: GitServer
    release: Path
    ttl: float
    heartbeat: float
    nodes: dict[str, Node] = field(default_factory=dict)
    padding: str = ""  # makes the programs' lines long

    @property
    def place(self) -> Place:
        return Place(self.name, self.git.url(self.name), self.git.certificate, self.release)

    @cached_property
    def state(self) -> Path:
        return self.git.root / f"{self.name}-work"

    def make(self) -> None:
        bare = self.git.root / f"{self.name}.git"
        self._git(self.git.root, "init", "-q", "--bare", "-b", "main", str(bare))
        self._git(bare, "config", "http.receivepack", "true")
        self._git(self.git.root, "clone", "-q", str(bare), str(self.state))
        stage = {"process": {"command": ["sh", "-c", PROGRAM]}, "requires": {"cpus": 0.1}}
        self.write(
            {
                "winslow.yaml": {
                    "version": 1,
                    "environment": {"SITE": self.name, "PADDING": self.padding},
                    "ttl": f"{self.ttl:g}s",
                    "heartbeat": f"{self.heartbeat:g}s",
                    "defaults": {"retries": {"limit": 5, "backoff": "0s"}},
                },
                "pipelines/counting.yaml": {"stages": [{"name": "count", **stage}]},
                "pipelines/counting-twice.yaml": {
                    "stages": [{"name": "count", **stage}, {"name": "again", **stage}],
                },
            }
        )
        create = "from pathlib import Path; from reconciler.adapters.share import SharedDirectory as S; "
        create += f"S.create(Path('{SHARED}/{self.name}'))"
        self.server.run(sys.executable, "-c", create, environment=self.place.environment())

    def join(self, *names: str) -> None:
        """Start reconcilers on these machines, all at once."""
        for name in names:
            self.nodes[name] = Node(self.machines[name], self.place, name)
            self.nodes[name].start()
        for name in names:
            self.nodes[name].await_joined()

    def others(self, node: Node) -> tuple[Node, ...]:
        return tuple(other for other in self.nodes.values() if other is not node)

    # --- what people do ---

    def write(self, files: Mapping[str, Any]) -> None:
        """Write, commit and push; JSON is YAML."""
        for path, content in files.items():
            target = self.state / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(content, indent=1), encoding="utf-8")
        self._git(self.state, "add", "-A")
        self._git(self.state, "commit", "-q", "-m", f"Write {', '.join(files)}")
        self._git(self.state, "push", "-q", "origin", "HEAD:main")

    def begin(self, project: str, pipeline: str = "counting") -> Node:
        """A new project; returns the node on which its first stage counts."""
        self.write({f"projects/{project}.yaml": {"pipeline": pipeline}})
        return self.await_running(project)

    def enough(self, project: str, run: int = 1) -> None:
        """Let the run's program end, on every machine that answers."""
        for node in self.nodes.values():
            with contextlib.suppress(NoAnswer):
                node.machine.ask("write", path=f"/run/enough.{self.name}.{project}.{run}", text="")

    def finish(self, project: str, run: int = 1) -> None:
        """Say that it is enough, and see the run succeed and its output published."""

        def is_done() -> bool:
            self.enough(project, run)  # again: a machine may have been rebooted meanwhile
            found = self.runs(project)
            return len(found) >= run and found[run - 1].is_done

        until(f"run {run} of {project} succeeds", is_done, within=120.0, every=0.5)
        pattern = f"projects/{project}/output/{run:04d}-*/result"
        until(f"its output is published ({pattern})", lambda: self._files(pattern), within=120.0, every=0.5)

    # --- where the lab looks ---

    def runs(self, project: str) -> tuple[Run, ...]:
        found: dict[str, list[RunRecord]] = {}
        for path, text in self._files(f"projects/{project}/runs/*/records/*.json").items():
            record = load_record(text.encode())
            assert isinstance(record, RunRecord)
            found.setdefault(path.split("/")[3], []).append(record)
        return tuple(Run(directory, tuple(records)) for directory, records in sorted(found.items()))

    def last(self, project: str) -> Run:
        runs = self.runs(project)
        return runs[-1] if runs else Run("", ())

    def await_running(self, project: str, *, but: Node | None = None, within: float = 90.0) -> Node:
        """Until the last claim's program runs, on a node other than ``but``."""

        def running() -> Node | None:
            for node in self.nodes.values():
                if node is not but and _answers(node) and self._runs_on(node, project):
                    return node
            return None

        return until(f"{project} runs{f' elsewhere than on {but.name}' if but else ''}", running, within=within)

    def _runs_on(self, node: Node, project: str) -> bool:
        run = self.last(project)
        place = f"/{run.directory}/{run.claims[-1].number}/workspace" if run.claims else ""
        return run.owner == node.name and any(one["workspace"].endswith(place) for one in node.stages(project))

    def counted(self, project: str) -> int:
        """Lines in the last claim's log, on the server's disk."""
        run = self.last(project)
        if not run.claims:
            return 0
        path = f"{SHARED}/{self.name}/projects/{project}/runs/{run.directory}/{run.claims[-1].number}/log.jsonl"
        return str(self.server.ask("read", path=path)).count("\n")

    def await_counting(self, project: str, within: float = 60.0) -> None:
        """Until the log has grown."""
        before = self.counted(project)
        until(f"{project} goes on counting", lambda: self.counted(project) > before, within=within)

    def heartbeat_of(self, node: Node) -> str:
        return "".join(self._files(f"nodes/{node.name}/heartbeat.*").values())

    def node_records(self, node: Node) -> tuple[NodeRecord, ...]:
        records = (load_record(text.encode()) for text in self._files(f"nodes/{node.name}/records/*.json").values())
        return tuple(record for record in records if isinstance(record, NodeRecord))

    def observed(self, path: str) -> bool:
        """Is this file on the branch ``observed`` of the git server?"""
        asked = ["git", "-C", str(self.git.root / f"{self.name}.git"), "cat-file", "-e", f"observed:{path}"]
        return subprocess.run(asked, env=ENVIRONMENT, capture_output=True, check=False).returncode == 0

    def takeovers(self, project: str) -> int:
        return sum(len(run.claims) - 1 for run in self.runs(project))

    # --- the end ---

    def end(self) -> None:
        """Kill what is left, so that the next scenario has the machines for itself."""
        for node in self.nodes.values():
            with contextlib.suppress(NoAnswer):
                node.kill()
                for stage in node.stages():
                    node.machine.ask("kill", pid=int(stage["pid"]), number=9)

    def _files(self, pattern: str) -> dict[str, str]:
        """From the server's own disk; by their paths on the site's share."""
        return dict(self.server.ask("files", root=f"{SHARED}/{self.name}", patterns=[pattern]))

    def _git(self, directory: Path, *words: str) -> None:
        ended = subprocess.run(
            ["git", "-C", str(directory), *words], env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        if ended.returncode != 0:
            raise Broken(f"git {' '.join(words)}: {ended.stderr}")


def _answers(node: Node) -> bool:
    return node.machine.is_on and not node.machine.frozen
