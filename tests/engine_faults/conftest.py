"""A real site whose one node runs stages on an engine that tests may break."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from reconciler.codec.log import read_lines
from tests.bad_input import conftest as whole_site
from tests.bad_input.conftest import Site
from tests.engine_faults.private import PrivateEngine, private_engine, until

site = whole_site.site

NUMBERED = "i=0; while [ ! -e /workspace/enough ]; do i=$((i+1)); echo $i; usleep 2000; done; echo $i >/workspace/last"
"""Counts until somebody writes the file ``enough``, and leaves the last number beside it."""


class Stages:
    """What a test looks at: what stands on the share, whatever the reconciler believes."""

    def __init__(self, site: Site, engine: PrivateEngine) -> None:
        self.site = site
        self.engine = engine

    def start_node(self) -> None:
        self.site.start("alpha", runtime="docker", docker={"host": self.engine.host, "stop_grace": "3s"})

    def run(self, project: str, shell: str, **fields: Any) -> None:
        """A pipeline and a project of the same name, whose one stage is ``shell``."""
        self.site.stage(project, shell, **fields)
        self.site.write(f"projects/{project}.yaml", f"pipeline: {project}\n")

    def directory(self, project: str) -> Path:
        return self.site.share / "projects" / project / "runs/0001-work"

    def records(self, project: str) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted((self.directory(project) / "records").glob("*.json"))]

    def kinds(self, project: str) -> list[str]:
        return [record["kind"] for record in self.records(project)]

    def until_kinds(self, project: str, *kinds: str, seconds: float = 60.0) -> list[dict[str, Any]]:
        """Wait until the run's records are of exactly these kinds, and return them."""
        self.until(lambda: self.kinds(project) == list(kinds), seconds, lambda: self.records(project))
        return self.records(project)

    def log(self, project: str, attempt: int = 1) -> list[str]:
        path = self.directory(project) / str(attempt) / "log.jsonl"
        return [line.line for line in read_lines(path, limit=10**8).lines] if path.exists() else []

    def name(self, project: str, number: int = 1) -> str:
        """Of the attempt's container."""
        begin = f"winslow-{project}-0001-work-{number}-"
        (found,) = [name for name in self.engine.containers() if name.startswith(begin)]
        return found

    def until_says(self, project: str, *words: str, attempt: int = 1) -> None:
        self.until(lambda: set(words) <= set(self.log(project, attempt)), 60)

    def conditions(self, project: str) -> dict[str, str]:
        return {one["type"]: one["message"] for one in self.site.project(project).get("conditions", [])}

    def until(self, holds: Callable[[], object], seconds: float = 30.0, told: Callable[[], object] = str) -> None:
        until(holds, seconds, lambda: f"{told()}\n{''.join(node.said for node in self.site.nodes)}")

    def enough(self, project: str, attempt: int = 1) -> None:
        (self.directory(project) / f"{attempt}/workspace/enough").touch()

    def assert_numbered_to_the_end(self, project: str, attempt: int = 1) -> None:
        """Each line once, in order, none missing."""
        last = int((self.directory(project) / f"{attempt}/workspace/last").read_text())
        assert [int(line) for line in self.log(project, attempt)] == list(range(1, last + 1))


@pytest.fixture
def own_engine(engine: docker.DockerClient) -> Iterator[PrivateEngine]:  # it made the image
    """Without live-restore, as Docker comes."""
    yield from private_engine()


@pytest.fixture
def live_engine(engine: docker.DockerClient) -> Iterator[PrivateEngine]:  # it made the image
    yield from private_engine(["--live-restore"])


@pytest.fixture
def small_engine(engine: docker.DockerClient) -> Iterator[PrivateEngine]:  # it made the image
    """With a disk of 64 MB."""
    yield from private_engine(disk="64m")


@pytest.fixture
def on(site: Site) -> Iterator[Callable[[PrivateEngine], Stages]]:
    """``on(engine)``: a node on that engine. It ends before the engine is taken down."""

    def begin(engine: PrivateEngine) -> Stages:
        made = Stages(site, engine)
        made.start_node()
        return made

    yield begin
    site.end()
