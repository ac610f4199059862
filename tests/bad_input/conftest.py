"""A real site to break: a bare repository, a share, node processes, and the command as a person starts it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.docker import DockerRuntime
from reconciler.adapters.host import LinuxHost
from reconciler.adapters.process.runtime import ProcessRuntime
from reconciler.agent.ports import Runtime
from reconciler.config import DockerConfig, ProcessConfig
from reconciler.core.names import NodeName, ShareId
from tests.engine import IMAGE

WINSLOW = Path(sys.executable).with_name("winslow")
SITE_FILE = "version: 1\nheartbeat: 1s\nttl: 3s\ndefaults: {retries: {limit: 2, backoff: 0s}}\n"
UNSEEN = ("Traceback", "unexpected_fault", "worker_crashed")
"""What must stand in no output and no log."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass
class Node:
    """One ``winslow node`` process; its log is a file, as under systemd."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@dataclass
class Site:
    root: Path
    environment: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    mounts: list[Path] = field(default_factory=list)
    has_ended: bool = False

    @property
    def remote(self) -> Path:
        return self.root / "state.git"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def share(self) -> Path:
        return self.root / "share"

    def make(self) -> None:
        self.git(self.root, "init", "-q", "--bare", "-b", "main", "state.git")
        self.git(self.root, "clone", "-q", "state.git", "state")
        self.git(self.state, "symbolic-ref", "HEAD", "refs/heads/main")
        assert self("init", "--share", self.share).code == 0
        self.write("winslow.yaml", SITE_FILE)

    # --- what people do ---

    def __call__(self, *arguments: str | Path) -> Ended:
        """``winslow ...`` from a terminal; whatever happens, nobody sees a traceback."""
        ended = subprocess.run(
            [WINSLOW, *map(str, arguments)],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not any(word in ended.stderr + ended.stdout for word in (*UNSEEN, "a bug in Winslow")), ended.stderr
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def git(self, directory: Path, *arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(directory), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout

    def write(self, path: str, content: str | bytes) -> None:
        """Write, commit and push one file."""
        target = self.state / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        self.push(f"Write {path!r}")

    def stage(self, pipeline: str, shell: str, **fields: Any) -> None:
        """A pipeline of one stage that runs ``shell`` on either runtime."""
        command = ["sh", "-c", shell]
        stage = {"name": "work", "image": IMAGE, "command": command, "process": {"command": command}, **fields}
        stage.setdefault("requires", {"cpus": 0.1})
        self.write(f"pipelines/{pipeline}.yaml", json.dumps({"stages": [stage]}))

    def push(self, message: str) -> None:
        self.git(self.state, "add", "-A")
        self.git(self.state, "commit", "-q", "-m", message)
        self.git(self.state, "push", "-q", "origin", "HEAD:main")

    def config(self, name: str = "alpha", **fields: Any) -> Path:
        """node.yaml of the node ``name``; JSON is YAML."""
        path = self.root / f"{name}.yaml"
        usual = {
            "version": 1,
            "name": name,
            "state": {"url": self.remote.as_uri()},
            "share": str(self.share),
            "local": str(self.root / "local" / name),
            "runtime": "process",
            "poll": "1s",
            "process": {"stop_grace": "1s"},
            "docker": {"stop_grace": "1s"},
        }
        path.write_text(json.dumps({**usual, **self.settings, **fields}, indent=2), encoding="utf-8")
        return path

    def start(self, name: str = "alpha", **fields: Any) -> Node:
        log = self.root / f"{name}.{len(self.nodes)}.log"
        config = self.config(name, **fields)
        with log.open("wb") as file:
            process = subprocess.Popen(
                [WINSLOW, "--config", config, "node"], cwd=self.root, env=self.environment, stderr=file, stdout=file
            )
        node = Node(process, log)
        self.nodes.append(node)
        self.until(lambda: "node_joined" in node.said or process.poll() is not None)
        return node

    # --- where people look ---

    def status(self, name: str = "alpha") -> Json:
        ended = self("--config", self.root / f"{name}.yaml", "status", "--output", "json")
        assert ended.code == 0, ended.err
        found: Json = json.loads(ended.out)
        return found

    def project(self, name: str) -> Json:
        """As ``winslow status --output json`` shows it; empty if it is not there."""
        return next((project for project in self.status()["projects"] if project["project"] == name), {})

    def explain(self, name: str) -> str:
        return self("--config", self.root / "alpha.yaml", "explain", name).out

    def until(self, holds: Callable[[], object], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            logs = "".join(node.said for node in self.nodes)
            assert time.monotonic() < deadline, f"not within {seconds:.0f} seconds\n{logs}"
            time.sleep(0.1)

    def until_project(self, name: str, seconds: float = 30.0, **expected: Any) -> Json:
        """Wait until the project's status holds what is expected (``phase="Failed"``), and return it."""
        found: Json = {}

        def holds() -> bool:
            found.clear()
            found.update(self.project(name))
            return all(found.get(key) == value for key, value in expected.items())

        try:
            self.until(holds, seconds)
        except AssertionError as error:
            raise AssertionError(f"{name} is {json.dumps(found, indent=1)}\n{error}") from None
        return found

    def observed(self, path: str) -> str:
        """A file of the branch ``observed`` in the bare repository; empty if it is not there."""
        try:
            return self.git(self.remote, "show", f"observed:{path}")
        except subprocess.CalledProcessError:
            return ""

    def page(self, path: str = "/") -> str:
        """What ``winslow ui`` serves."""
        process = subprocess.Popen(
            [WINSLOW, "--config", self.root / "alpha.yaml", "ui", "--port", "0"],
            cwd=self.root,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            url = process.stderr.readline().split(" on ")[1].split(" ")[0]
            with urllib.request.urlopen(url + path, timeout=20) as answer:  # noqa: S310  # our own page
                text: str = answer.read().decode()
            return text
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
            assert not any(word in said for word in UNSEEN), said

    # --- the end ---

    def mount(self, directory: Path, *options: str) -> None:
        """A small file system of its own, as root."""
        directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", directory], check=True)
        self.mounts.append(directory)

    def end(self) -> None:
        """Once: whoever takes something away that nodes need ends the site before."""
        if self.has_ended:
            return
        self.has_ended = True
        for node in self.nodes:
            node.end()
        self._end_stages()
        for directory in reversed(self.mounts):
            subprocess.run(["umount", "-l", directory], check=False)
        for node in self.nodes:
            assert not any(word in node.said for word in UNSEEN), node.said

    def _end_stages(self) -> None:
        """Stages outlive their node: end those of this share, whichever runtime they have."""
        identity = self.share / "winslow.json"
        if not identity.exists():
            return
        share = ShareId(json.loads(identity.read_text())["share"])
        for config in self.root.glob("*.yaml"):
            for runtime in _runtimes(json.loads(config.read_text()), share):
                for container in runtime.list():
                    runtime.stop(container)
                    runtime.remove(container)
                if isinstance(runtime, DockerRuntime):
                    runtime.close()


def _runtimes(config: Json, share: ShareId) -> Iterator[Runtime]:
    name, boot, grace = NodeName(config["name"]), LinuxHost().boot(), timedelta(seconds=0)
    local = Path(config["local"])
    if config["runtime"] == "process" and local.is_dir():
        yield ProcessRuntime(ProcessConfig(stop_grace=grace), local=local, boot=boot, node=name, share=share)
    elif config["runtime"] == "docker" and "host" not in config["docker"]:  # a private engine takes its own down
        yield DockerRuntime(DockerConfig(stop_grace=grace), boot=boot, node=name, share=share)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """No node runs yet. At the end no log may hold a traceback."""
    made = make_site(tmp_path)
    yield made
    made.end()


def make_site(root: Path) -> Site:
    """In an empty directory. Whoever makes it calls its ``end``."""
    home = root / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WINSLOW_", "XDG_", "GIT_"))}
    person = {f"GIT_{role}_{what}": "ada@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    made = Site(root, {**kept, **person, "HOME": str(home), "COLUMNS": "300"})
    made.make()
    return made


@pytest.fixture
def root() -> None:
    """For tests that mount."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        pytest.skip("mounting a file system needs root: sudo make test")
