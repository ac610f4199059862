"""A reader whose world is that of ``evening``, and the page over it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import httpx
import pytest
from starlette.applications import Starlette

from readonly_ui.app import create_app
from reconciler.core.measurements import Series
from reconciler.core.names import NodeName, ProjectName, RunNumber
from reconciler.core.status import Status
from reconciler.errors import BadInput
from reconciler.readers import LogLine, LogPage
from tests.ui.evening import evening
from tests.ui.evening_nodes import NOW


@dataclass
class FakeReader:
    """Says what ``now`` says, counts, and on demand fails (``error``) or hangs until ``release``."""

    now: Status
    folder: Path
    error: Exception | None = None
    hanging: bool = False
    reads: int = 0
    release: Event = field(default_factory=Event)
    lines: list[LogLine] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict)
    log_ended: bool = False
    measured: Series = field(default_factory=Series)

    def write(self, text: str, stream: str = "stdout") -> None:
        time = NOW + timedelta(seconds=len(self.lines))
        self.lines.append(LogLine(time=time, stream=stream, line=text))

    def status(self) -> Status:
        self.reads += 1
        self._maybe_fail()
        return self.now

    def _maybe_fail(self) -> None:
        if self.hanging:
            self.release.wait(30)
        if self.error is not None:
            raise self.error

    def log(self, project: ProjectName, run: RunNumber, *, offset: int = 0, limit: int = 262_144) -> LogPage:
        """A hundred bytes a line, whatever it says."""
        self._maybe_fail()
        if not any(one.run == run for known in self.now.projects if known.project == project for one in known.runs):
            raise BadInput(f"project {project} has no run {run}")
        first = max(0, len(self.lines) + offset // 100) if offset < 0 else offset // 100
        end = min(len(self.lines), first + limit // 100)
        ended = self.log_ended and end == len(self.lines)
        return LogPage(lines=tuple(self.lines[first:end]), next_offset=100 * end, ended=ended)

    def output_files(self, project: ProjectName, run: RunNumber) -> Sequence[tuple[str, int]]:
        self._maybe_fail()
        return [(name, len(content)) for name, content in self.files.items()]

    def open_output(self, project: ProjectName, run: RunNumber, path: str) -> str:
        self._maybe_fail()
        if path not in self.files:
            raise BadInput(f"run {run} has no output file {path}")
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.files[path])
        return str(file)

    def node_series(self, node: NodeName, since: datetime) -> Series:
        self._maybe_fail()
        return self.measured

    def run_series(self, project: ProjectName, run: RunNumber) -> Series:
        self._maybe_fail()
        return self.measured


Get = Callable[..., httpx.Response]


@pytest.fixture
def reader(tmp_path: Path) -> FakeReader:
    return FakeReader(now=evening(), folder=tmp_path)


@pytest.fixture
def app(reader: FakeReader) -> Starlette:
    return create_app(reader, patience=0.3)


@pytest.fixture
def get(app: Starlette) -> Get:
    """One request to the app, in this process."""

    def ask(path: str, *, method: str = "GET", **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
                names = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.request(method, path, headers=names)

        return asyncio.run(send())

    return ask
