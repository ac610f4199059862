"""A reader whose world is a realistic evening: eight projects in all phases, three nodes, one of them silent."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import httpx
import pytest
from starlette.applications import Starlette

from readonly_ui.app import create_app
from reconciler.core.ledger import RunPhase
from reconciler.core.names import NodeName, PipelineName, ProjectName, RunNumber, StageName
from reconciler.core.status import (
    Condition,
    NodeStatus,
    Offer,
    ProjectPhase,
    ProjectStatus,
    RunStatus,
    StageState,
    StageStatus,
    Status,
    WaitingFor,
)
from reconciler.errors import BadInput
from reconciler.readers import LogLine, LogPage

NOW = datetime.now(UTC)
UNREACHABLE = Condition(
    type="SourceUnreachable",
    status="True",
    reason="Timeout",
    message="forge.example did not answer for 12 min; the last good commit goes on",
)
STAGES = ("stabilise", "detect", "track", "report")
GIB = 1024**3
BROKEN = "projects/stuttgart-mitte.yaml:4:1: unknown field 'enviroment'; did you mean 'environment'?"


def before(**passed: float) -> datetime:
    return NOW - timedelta(**passed)


def make_run(number: int, stage: str, phase: RunPhase, *, hours: float, took: float = 1.5, **more: object) -> RunStatus:
    going = phase in (RunPhase.STARTING, RunPhase.RUNNING)
    run = RunStatus(
        run=RunNumber(number),
        stage=StageName(stage),
        phase=phase,
        node=NodeName("gpu-1"),
        attempts=1,
        started_at=before(hours=hours),
        ended_at=None if going else before(hours=hours - took),
        exit_code={RunPhase.SUCCEEDED: 0, RunPhase.FAILED: 1}.get(phase),
        log=f"projects/x/runs/{number:04d}-{stage}/1/log.jsonl",
        environment={"FRAME_STEP": "1", "LICENCE": "(secret tracker)", "THRESHOLD": "0.45"},
        image="registry.example/traffic:1.4",
        image_digest="sha256:4b1fd2a6c7e0c5a3d8f9417be2a6cc01f5e8d7b39a40c2f61e7d8890ab34cd12",
        commit="9f2c41d07be35a6188c0f4d2e7a91b3365d8fe20",
        workspace=f"projects/x/runs/{number:04d}-{stage}/1/workspace",
        output=None if going else f"projects/x/output/{number:04d}-{stage}",
    )
    return replace(run, **more)  # type: ignore[arg-type]


def offers(project: str, *, url: str = "") -> tuple[Offer, ...]:
    titles = {"continue": "Start stage 'report' after run 3", "redo": "Start stage 'track' again after run 3"}
    branches = {f"proposals/{project}/3-{kind}": title for kind, title in titles.items()}
    return tuple(
        Offer(branch=name, title=title, url=f"{url}{name}" if url else None) for name, title in branches.items()
    )


def make_project(
    name: str, title: str, phase: ProjectPhase, runs: Sequence[RunStatus] = (), **more: object
) -> ProjectStatus:
    words = {RunPhase.SUCCEEDED: StageState.SUCCEEDED, RunPhase.RUNNING: StageState.RUNNING}
    newest = {run.stage: run for run in runs}
    stages = []
    for stage in STAGES:
        run = newest.get(StageName(stage))
        state = words.get(run.phase, StageState.FAILED) if run else None
        stages.append(StageStatus(stage=StageName(stage), state=state, run=run.run if run else None))
    project = ProjectStatus(
        project=ProjectName(name),
        name=title,
        pipeline=PipelineName("traffic-flow"),
        tags=("mec-view", "4k"),
        phase=phase,
        waiting_for=None,
        conditions=(),
        last_run=max((run.run for run in runs), default=None),
        stages=tuple(stages),
        runs=tuple(runs),
        path=f"projects/{name}.yaml",
    )
    return replace(project, **more)  # type: ignore[arg-type]


def projects() -> tuple[ProjectStatus, ...]:
    done = RunPhase.SUCCEEDED
    counted = {"vehicles": "1834", "mean_speed": "37.2 km/h"}
    first = make_run(1, "stabilise", done, hours=9, took=1.2)
    return (
        make_project(
            "ulm-07",
            "Ulm crossing, flight 07",
            ProjectPhase.RUNNING,
            [
                first,
                make_run(2, "detect", RunPhase.LOST, hours=7, reason="Lost", message="gpu-3 went silent", attempts=3),
                make_run(3, "detect", RunPhase.RUNNING, hours=3.2, progress=41.6, attempts=2),
            ],
            conditions=(
                Condition(
                    type="EnvironmentChanged",
                    status="True",
                    reason="EnvironmentChanged",
                    message="THRESHOLD is 0.4 now; run 1 used 0.45. To use it: next: {stage: stabilise, after: 3}",
                ),
            ),
        ),
        make_project(
            "ulm-08",
            "Ulm crossing, flight 08",
            ProjectPhase.QUEUED,
            [first],
            tags=("mec-view",),
            waiting_for=WaitingFor(
                reason="NoGpuFree", message="detect needs 2 GPUs with 8 GiB; gpu-1 has 1 free, gpu-2 none"
            ),
        ),
        make_project(
            "a8-north",
            "A8 north, morning peak",
            ProjectPhase.AWAITING_INPUT,
            [first, make_run(2, "detect", done, hours=5), make_run(3, "track", done, hours=3, results=counted)],
            tags=("highway",),
            waiting_for=WaitingFor(
                reason="ConfirmBefore",
                since=before(minutes=47),
                message="report asks for a person each time: look at the tracks of run 3, then merge this.",
                edit="next:\n  stage: report\n  after: 3\n",
                url="https://forge.example/lab/state/-/edit/main/projects/a8-north.yaml",
            ),
            offers=offers("a8-north", url="https://forge.example/lab/state/-/merge_requests/new?source_branch="),
        ),
        make_project(
            "b10-bridge",
            "B10 bridge, fog",
            ProjectPhase.FAILED,
            [
                first,
                make_run(
                    2,
                    "detect",
                    RunPhase.FAILED,
                    hours=2,
                    took=0.4,
                    exit_code=137,
                    reason="OutOfMemory",
                    message="the program was killed at its limit of 8 GiB",
                    tail=("loading weights", "frame 1200 of 48000", "\x1b[31mKilled\x1b[0m"),
                ),
            ],
            waiting_for=WaitingFor(
                reason="RunFailed",
                since=before(hours=1.6),
                message="detect was killed at its limit of 8 GiB memory. Give it more and start it again:",
                edit="stages:\n  detect:\n    requires: {memory: 16GiB}\nnext: {stage: detect, after: 2}\n",
            ),
            offers=offers("b10-bridge"),
        ),
        make_project(
            "stuttgart-mitte",
            "Stuttgart Mitte",
            ProjectPhase.INVALID,
            [],
            waiting_for=WaitingFor(
                reason="FileBroken", message="The file can't be used; nothing runs before it is repaired."
            ),
            conditions=(
                Condition(
                    type="FileBroken",
                    status="True",
                    reason="UnknownField",
                    message=BROKEN,
                ),
            ),
        ),
        make_project(
            "karlsruhe-02",
            "Karlsruhe roundabout, flight 02",
            ProjectPhase.PAUSED,
            [first],
            waiting_for=WaitingFor(reason="Paused", message="paused: true stands in the project's file"),
        ),
        make_project(
            "ulm-01",
            "Ulm crossing, flight 01",
            ProjectPhase.SUCCEEDED,
            [
                first,
                make_run(2, "detect", done, hours=6),
                make_run(3, "track", done, hours=4),
                make_run(4, "report", done, hours=2, took=0.1, results=counted),
            ],
        ),
        make_project(
            "test-old",
            "Old test",
            ProjectPhase.DELETING,
            [first],
            tags=(),
            waiting_for=WaitingFor(reason="Deleted", message="its files are kept for 6 more days"),
        ),
    )


def nodes() -> tuple[NodeStatus, ...]:
    def node(name: str, **more: object) -> NodeStatus:
        base = NodeStatus(
            node=NodeName(name),
            live=True,
            silent_for=2.0,
            runtime="docker",
            cpus=32,
            memory=128 * GIB,
            gpus=("NVIDIA RTX A6000, 48 GiB", "NVIDIA RTX A6000, 48 GiB"),
            labels={"room": "lab-2"},
            drained=False,
            running=(),
            started_at=before(days=12),
            versions={"docker": "27.3.1", "winslow": "0.1.0"},
        )
        return replace(base, **more)  # type: ignore[arg-type]

    full = Condition(
        type="DiskPressure", status="True", reason="LocalDiskFull", message="/var/lib/winslow is 97 % full"
    )
    return (
        node("gpu-1", running=("ulm-07/0003-detect",)),
        node("gpu-2", drained=True, gpus=(), cpus=12.5, labels={}, conditions=(full,)),
        node("gpu-3", live=False, silent_for=6.4 * 3600),
    )


def evening() -> Status:
    broken = Condition(
        type="FileBroken",
        status="True",
        reason="UnknownField",
        message=BROKEN,
    )
    return Status(
        projects=projects(),
        nodes=nodes(),
        conditions=(broken, UNREACHABLE),
        commit="9f2c41d07be35a6188c0f4d2e7a91b3365d8fe20",
    )


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
