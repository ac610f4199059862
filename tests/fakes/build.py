"""Values for tests, one small function each: everything has a sane default, tests name only what matters to them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.core.containers import ClaimKey, Container, ContainerState
from reconciler.core.decide import StartStage
from reconciler.core.desired import Desired, Next, Pipeline, Project, Pull, Retries, Stage
from reconciler.core.draft import Header, Me, WantedImage
from reconciler.core.environment import Setting
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.names import (
    Blob,
    Commit,
    NodeName,
    PipelineName,
    ProjectName,
    RecordNumber,
    RunNumber,
    ShareId,
    StageName,
    Token,
)
from reconciler.core.nodes import Capacity, Gpu, Node, NodeRecord
from reconciler.core.records import (
    Aborted,
    Base,
    Claim,
    DesiredSeen,
    Done,
    Failed,
    Lost,
    ProjectRecord,
    Released,
    RunCreated,
    RunRecord,
)
from reconciler.core.requests import canonical

SHARE = ShareId("11111111-2222-3333-4444-555555555555")
COMMIT = Commit("c" * 40)
BLOB = Blob("b" * 40)
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
CROSSING = ProjectName("crossing")
A, B, C = NodeName("a"), NodeName("b"), NodeName("c")
BOOT = "boot-1"
EXACT = "image@sha256:" + "1" * 64
RESOLVED: Mapping[WantedImage, str | None] = {WantedImage("image:1", pull): EXACT for pull in Pull}
GIB = 2**30
THREE = ("detect", "track", "report")


def header(number: int, node: str = "a", token: str | None = None) -> Header:
    return Header(
        number=RecordNumber(number),
        token=Token(token or f"token-{node}-{number}"),
        share=SHARE,
        node=NodeName(node),
        at=NOW + timedelta(seconds=number),
    )


# --- desired ---


def a_stage(name: str = "detect", **fields: Any) -> Stage:
    defaults: dict[str, Any] = {"image": "image:1", "command": ("run",), "process_command": ("run",)}
    return Stage(name=StageName(name), **{**defaults, **fields})


def a_pipeline(*stages: Stage | str, **fields: Any) -> Pipeline:
    defaults: dict[str, Any] = {"id": PipelineName("flow"), "name": "Flow", "path": "pipelines/flow.yaml", "blob": BLOB}
    made = tuple(stage if isinstance(stage, Stage) else a_stage(stage) for stage in stages or THREE)
    return Pipeline(**{**defaults, **fields}, stages=made)


def a_project(stem: str = "crossing", /, **fields: Any) -> Project:
    defaults: dict[str, Any] = {
        "name": stem.title(),
        "pipeline": PipelineName("flow"),
        "path": f"projects/{stem}.yaml",
        "blob": BLOB,
    }
    return Project(id=ProjectName(stem), **{**defaults, **fields})


def a_next(stage: str, after: int | None = None, **fields: Any) -> Next:
    return Next(stage=StageName(stage), after=None if after is None else RunNumber(after), **fields)


def a_desired(*projects: Project, pipeline: Pipeline | None = None, **fields: Any) -> Desired:
    found = pipeline or a_pipeline()
    defaults: dict[str, Any] = {
        "commit": COMMIT,
        "pipelines": {found.id: found},
        "projects": {project.id: project for project in projects or (a_project(),)},
    }
    return Desired(**{**defaults, **fields})


# --- ledger ---


def a_seen(number: int = 1, *, request: Next | None = None, **fields: Any) -> DesiredSeen:
    defaults: dict[str, Any] = {"commit": COMMIT, "blob": BLOB}
    text = canonical(request) if request else None
    return DesiredSeen(**header(number), **{**defaults, **fields}, request=text)


def a_created(run: int = 1, stage: str = "detect", *, number: int = 1, **fields: Any) -> RunCreated:
    defaults: dict[str, Any] = {
        "commit": COMMIT,
        "pipeline": PipelineName("flow"),
        "pipeline_blob": BLOB,
        "image": "image:1",
        "command": ("run",),
        "process_command": ("run",),
        "retries_limit": Retries().limit,
        "retries_backoff": 60.0,
    }
    return RunCreated(**header(number), run=RunNumber(run), stage=StageName(stage), **{**defaults, **fields})


def a_claim(number: int = 1, node: str = "a", **fields: Any) -> Claim:
    defaults: dict[str, Any] = {"because": "Fresh", "boot": BOOT, "incarnation": f"{node}-1", "runtime": "docker"}
    return Claim(**header(number, node), **{**defaults, **fields})


def done(number: int = 2, node: str = "a", **fields: Any) -> Done:
    return Done(**header(number, node), **{"exit_code": 0, **fields})


def failed(number: int = 2, node: str = "a", **fields: Any) -> Failed:
    defaults: dict[str, Any] = {"exit_code": 1, "reason": "ExitCode", "message": "exited with code 1"}
    return Failed(**header(number, node), **{**defaults, **fields})


def released(number: int = 2, node: str = "a", **fields: Any) -> Released:
    return Released(**header(number, node), **{"reason": "Lost", "message": "it was lost", **fields})


def aborted(number: int = 2, node: str = "a") -> Aborted:
    return Aborted(**header(number, node), commit=COMMIT)


def lost(number: int = 2, node: str = "a") -> Lost:
    return Lost(**header(number, node), reason="AttemptsUsedUp", message="gave up after 3 attempts")


def a_run(run: int = 1, stage: str = "detect", *records: RunRecord, **fields: Any) -> Run:
    """Without records: a run that succeeded in its first attempt on node a, its output published."""
    state = {name: fields.pop(name) for name in ("started_at", "output_published") if name in fields}
    succeeded = not records
    return Run(
        created=a_created(run, stage, number=run, **fields),
        records=records or (a_claim(), done()),
        started_at=state.get("started_at"),
        output_published=state.get("output_published", succeeded),
    )


def an_unclaimed_run(run: int = 1, stage: str = "detect", **fields: Any) -> Run:
    return Run(created=a_created(run, stage, number=run, **fields))


def a_base(run: int, stage: str, claim: int = 1) -> Base:
    return Base(run=RunNumber(run), stage=StageName(stage), claim=RecordNumber(claim))


def a_history(*runs: Run, seen: Iterable[DesiredSeen] = (), recorded: bool = True) -> ProjectHistory:
    """A project's history; by default its file, as ``a_project`` makes it, is recorded."""
    records: list[ProjectRecord] = [*seen, *(run.created for run in runs)]
    return ProjectHistory(records=tuple(records) or ((a_seen(),) if recorded else ()), runs=runs)


def a_ledger(*runs: Run, project: str = "crossing", seen: DesiredSeen | None = None) -> Ledger:
    """One project's ledger, its file recorded."""
    history = a_history(*runs, seen=(seen or a_seen(),))
    return Ledger(share=SHARE, projects={ProjectName(project): history})


# --- nodes ---


def a_gpu(uuid: str, *, gib: int = 8, vendor: str = "nvidia") -> Gpu:
    return Gpu(uuid=uuid, model="Model", memory=gib * GIB, vendor=vendor)


def a_node(name: str = "a", *, gpus: tuple[Gpu, ...] = (), silent_for: float = 0.0, **fields: Any) -> Node:
    capacity = Capacity(cpus=fields.pop("cpus", 8.0), memory=fields.pop("memory", 32 * GIB), gpus=gpus)
    defaults: dict[str, Any] = {
        "incarnation": f"{name}-1",
        "boot": BOOT,
        "home": f"home-{name}",
        "runtime": "docker",
        "capacity": capacity,
    }
    starts = fields.pop("starts", frozenset(f"{name}-{number}" for number in range(1, 10)))
    record = NodeRecord(**header(1, name), **{**defaults, **fields})
    return Node(name=NodeName(name), record=record, starts=starts | {record.incarnation}, silent_for=silent_for)


def me(name: str = "a", **fields: Any) -> Me:
    defaults: dict[str, Any] = {
        "boot": BOOT,
        "incarnation": f"{name}-1",
        "runtime": "docker",
        "now": NOW,
        "monotonic": 1000.0,
        "contained": frozenset({COMMIT}),
        "images": RESOLVED,
    }
    return Me(name=NodeName(name), **{**defaults, **fields})


def a_key(run: Run, project: str = "crossing", claim: Claim | None = None) -> ClaimKey:
    of = claim or run.last_claim
    assert of is not None
    return ClaimKey(
        share=SHARE,
        project=ProjectName(project),
        run=run.number,
        stage=run.stage,
        number=of.number,
        token=of.token,
    )


def a_container(key: ClaimKey, state: ContainerState = ContainerState.RUNNING, **fields: Any) -> Container:
    defaults: dict[str, Any] = {"handle": key.slug, "boot": BOOT, "started_at": NOW}
    if state is ContainerState.EXITED:
        defaults |= {"exit_code": 0, "ended_at": NOW + timedelta(seconds=10)}
    return Container(key=key, state=state, **{**defaults, **fields})


def settings(values: Mapping[str, str]) -> dict[str, Setting]:
    return {name: Setting(value, "projects/crossing.yaml") for name, value in values.items()}


def started(decision: object) -> StartStage:
    """The decision, if it is to start a stage; a failed test otherwise."""
    assert isinstance(decision, StartStage), decision
    return decision
