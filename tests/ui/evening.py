"""What the page shows in these tests: a realistic evening, eight projects in all phases, three nodes, one silent."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.core.desired import Gpus, Requires
from reconciler.core.ledger import RunPhase
from reconciler.core.names import NodeName, PipelineName, ProjectName, RunNumber, StageName
from reconciler.core.records import GpuUsed, InputFile, Resources
from reconciler.core.status import (
    Condition,
    Offer,
    ProjectPhase,
    ProjectStatus,
    RunStatus,
    StageState,
    StageStatus,
    Status,
    WaitingFor,
)
from tests.ui.evening_nodes import GIB, before, nodes, uuid

UNREACHABLE = Condition(
    type="SourceUnreachable",
    status="True",
    reason="Timeout",
    message="forge.example did not answer for 12 min; the last good commit goes on",
)
STAGES = ("stabilise", "detect", "track", "report")
BROKEN = "projects/stuttgart-mitte.yaml:4:1: unknown field 'enviroment'; did you mean 'environment'?"


ENDED: Mapping[str, object] = {
    "resources": Resources(
        peak_memory=int(3.1 * GIB),
        cpu_hours=6.2,
        read=410 * GIB,
        written=2 * GIB,
        received=0,
        sent=0,
        gpu_hours=1.5,
        mean_gpu=0.62,
        peak_gpu=0.98,
        peak_gpu_memory=11 * GIB,
    ),
    "input_files": (
        InputFile(path="resources/ulm/flight-07.mp4", size=7 * GIB, modified=before(days=3), sha256="5e" * 32),
    ),
    "gpus": (GpuUsed(uuid=uuid(0), model="NVIDIA RTX A6000", driver="550.54.14"),),
    "versions": {"docker": "27.3.1", "kernel": "6.1.0-27-amd64", "winslow": "0.1.0"},
}


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
        requires=Requires(cpus=8, memory=16 * GIB, gpus=Gpus(count=1, memory=16 * GIB)),
        inputs=("resources/ulm/flight-07.mp4",),
        command=("python", "/app/detect.py", "--model", "yolo v8"),
    )
    return replace(run, **({} if going else ENDED), **more)  # type: ignore[arg-type]


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


COUNTED = {"vehicles": "1834", "mean_speed": "37.2 km/h"}


def first() -> RunStatus:
    return make_run(1, "stabilise", RunPhase.SUCCEEDED, hours=9, took=1.2)


def ulm_07() -> ProjectStatus:
    return make_project(
        "ulm-07",
        "Ulm crossing, flight 07",
        ProjectPhase.RUNNING,
        [
            first(),
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
    )


def ulm_08() -> ProjectStatus:
    return make_project(
        "ulm-08",
        "Ulm crossing, flight 08",
        ProjectPhase.QUEUED,
        [first()],
        tags=("mec-view",),
        waiting_for=WaitingFor(
            reason="NoGpuFree", message="detect needs 2 GPUs with 8 GiB; gpu-1 has 1 free, gpu-2 none"
        ),
        nodes={
            NodeName("gpu-1"): "1 of 4 GPUs free and fitting, needs 2",
            NodeName("gpu-2"): "drained (nodes/gpu-2.yaml)",
            NodeName("gpu-3"): "gives no sign of life",
        },
    )


def a8_north() -> ProjectStatus:
    return make_project(
        "a8-north",
        "A8 north, morning peak",
        ProjectPhase.AWAITING_INPUT,
        [
            first(),
            make_run(2, "detect", RunPhase.SUCCEEDED, hours=5),
            make_run(3, "track", RunPhase.SUCCEEDED, hours=3, results=COUNTED),
        ],
        tags=("highway",),
        waiting_for=WaitingFor(
            reason="ConfirmBefore",
            since=before(minutes=47),
            message="report asks for a person each time: look at the tracks of run 3, then merge this.",
            edit="next:\n  stage: report\n  after: 3\n",
            url="https://forge.example/lab/state/-/edit/main/projects/a8-north.yaml",
        ),
        offers=offers("a8-north", url="https://forge.example/lab/state/-/merge_requests/new?source_branch="),
    )


def b10_bridge() -> ProjectStatus:
    return make_project(
        "b10-bridge",
        "B10 bridge, fog",
        ProjectPhase.FAILED,
        [
            first(),
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
    )


def stuttgart_mitte() -> ProjectStatus:
    return make_project(
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
    )


def karlsruhe_02() -> ProjectStatus:
    return make_project(
        "karlsruhe-02",
        "Karlsruhe roundabout, flight 02",
        ProjectPhase.PAUSED,
        [first()],
        waiting_for=WaitingFor(reason="Paused", message="paused: true stands in the project's file"),
    )


def ulm_01() -> ProjectStatus:
    return make_project(
        "ulm-01",
        "Ulm crossing, flight 01",
        ProjectPhase.SUCCEEDED,
        [
            first(),
            make_run(2, "detect", RunPhase.SUCCEEDED, hours=6),
            make_run(3, "track", RunPhase.SUCCEEDED, hours=4),
            make_run(4, "report", RunPhase.SUCCEEDED, hours=2, took=0.1, results=COUNTED),
        ],
    )


def test_old() -> ProjectStatus:
    return make_project(
        "test-old",
        "Old test",
        ProjectPhase.DELETING,
        [first()],
        tags=(),
        waiting_for=WaitingFor(reason="Deleted", message="its files are kept for 6 more days"),
    )


def projects() -> tuple[ProjectStatus, ...]:
    return (ulm_07(), ulm_08(), a8_north(), b10_bridge(), stuttgart_mitte(), karlsruhe_02(), ulm_01(), test_old())


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
