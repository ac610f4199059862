"""A site whose node is killed: a bare repository, a share, one node at a time, and a project that must not notice."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from reconciler.adapters.docker import DockerRuntime
from reconciler.adapters.host import LinuxHost
from reconciler.adapters.process.runtime import ProcessRuntime
from reconciler.adapters.share import SharedDirectory
from reconciler.agent.ports import Runtime
from reconciler.config import DockerConfig, ProcessConfig
from reconciler.core.ledger import Ledger, ProjectHistory
from reconciler.core.names import NodeName, ProjectName
from tests.crashes.dying import Dying, Point, Telling
from tests.crashes.dying_node import FORKS, be_a_node
from tests.engine import IMAGE

ALPHA = NodeName("alpha")
ULM = ProjectName("ulm")
SITE = "version: 1\nheartbeat: 1s\nttl: 3s\nretention: 0s\ndefaults: {retries: {limit: 2, backoff: 0s}}\n"
PATIENCE = 60.0


@dataclass
class Node:
    process: ForkServerProcess
    log: Path
    note: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    @property
    def died_at(self) -> str:
        """The boundary at which it (or a supervisor of its) killed itself; empty: it came to none that fits."""
        return self.note.read_text(encoding="utf-8") if self.note.exists() else ""

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def end(self) -> None:
        if self.process.is_alive():
            self.process.terminate()
        self.process.join(30)
        assert not self.process.is_alive(), "it does not end"


@dataclass
class Place:
    root: Path
    runtime: str = "process"
    files: dict[str, str] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def make(self) -> None:
        SharedDirectory.create(self.root / "share")
        (self.root / "home").mkdir()
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.root / "state.git"], check=True)
        config = {
            "version": 1,
            "name": ALPHA,
            "state": {"url": (self.root / "state.git").as_uri()},
            "share": str(self.root / "share"),
            "local": str(self.root / "local"),
            "runtime": self.runtime,
            "poll": "1s",
            "process": {"stop_grace": "1s"},
            "docker": {"stop_grace": "1s"},
        }
        (self.root / "node.yaml").write_text(json.dumps(config), encoding="utf-8")

    @property
    def config(self) -> Path:
        return self.root / "node.yaml"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.root / "home"), "LANG": "C.UTF-8"}

    # --- what people do ---

    def commit(self, files: Mapping[str, str | None]) -> None:
        """One commit on main that writes files, or removes them (None)."""
        stream = ["commit refs/heads/main", "committer Ada <ada@localhost> now", "data 4", "work"]
        if self.files:
            stream.append("from refs/heads/main^0")
        for path, text in files.items():
            stream += [f"D {path}"] if text is None else [f"M 100644 inline {path}", f"data {len(text)}", text]
            self.files[path] = text or ""
        self.git("fast-import", "--quiet", "--date-format=now", text="\n".join([*stream, ""]))

    def git(self, *arguments: str, text: str = "", directory: str = "state.git") -> str:
        command = ["git", "-C", str(self.root / directory), *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60).stdout

    # --- nodes ---

    def start(self, point: Point | None = None, *, in_supervisor: bool = False, telling: bool = False) -> Node:
        """A node that dies at the point, or lives; it may tell of all that it does outside."""
        number = len(self.nodes)
        note, log = self.root / f"note.{number}", self.root / f"alpha.{number}.log"
        dying = Dying(point, str(self.root), str(note)) if point else None
        watched = Telling(str(self.root), str(note)) if telling else dying
        named = {"dying_supervisor" if in_supervisor else "dying": watched}
        process = FORKS.Process(target=be_a_node, args=(self.config, log, self.environment), kwargs=named)
        process.start()
        node = Node(process, log, note)
        self.nodes.append(node)
        return node

    def until_dead(self, node: Node) -> None:
        node.process.join(PATIENCE)
        assert node.died_at, f"it never came to its point\n{node.said}"
        assert node.process.exitcode == -signal.SIGKILL, node.said

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            story = "".join(f"--- node {n}, died {node.died_at}\n{node.said}" for n, node in enumerate(self.nodes))
            assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}\n{story}"
            time.sleep(0.05)

    # --- where to look ---

    @cached_property
    def share(self) -> SharedDirectory:
        return SharedDirectory(self.root / "share")

    def ledger(self) -> Ledger:
        return self.share.read()

    def history(self) -> ProjectHistory:
        return self.ledger().history(ULM)

    def succeeded(self, runs: int) -> bool:
        found = self.history().runs
        return len(found) == runs and all(run.is_final and run.output_published for run in found)

    def observed(self) -> dict[str, str]:
        """Every file of the branch ``observed``."""
        commit = self.git("for-each-ref", "--format=%(objectname)", "refs/heads/observed").strip()
        paths = self.git("ls-tree", "-r", "--name-only", commit).splitlines() if commit else []
        return {path: self.git("show", f"{commit}:{path}") for path in paths}

    def open_runtime(self) -> Runtime:
        """What a node of this site would find running."""
        boot, share, grace = LinuxHost().boot(), self.share.identity(), timedelta(seconds=0)
        if self.runtime == "docker":
            return DockerRuntime(DockerConfig(stop_grace=grace), boot=boot, node=ALPHA, share=share)
        local = self.root / "local"
        return ProcessRuntime(ProcessConfig(stop_grace=grace), local=local, boot=boot, node=ALPHA, share=share)

    # --- the end ---

    def end(self) -> None:
        for node in self.nodes:
            node.end()
            node.process.close()
        runtime = self.open_runtime()
        for container in runtime.list():
            runtime.stop(container)
            runtime.remove(container)
        if isinstance(runtime, DockerRuntime):
            runtime.close()


def stage(name: str, shell: str, **fields: Any) -> dict[str, Any]:
    """One stage that runs ``shell`` on either runtime."""
    command = ["sh", "-c", shell]
    usual = {"image": IMAGE, "command": command, "process": {"command": command}, "requires": {"cpus": 0.1}}
    return {"name": name, **usual, **fields}


def printing(lines: int, pause: float) -> str:
    """A program that says on both streams which line it is at, and leaves a mark each time that it is started."""
    return (
        'echo started >> "$WINSLOW_WORKSPACE/starts.$WINSLOW_RUN.$WINSLOW_ATTEMPT"; i=0; '
        f"while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; echo remark $i >&2; sleep {pause}; done; "
        'echo whole > "$WINSLOW_OUTPUT/result"'
    )
